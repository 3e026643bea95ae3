package console

import (
	"sallyport/internal/wire"
	"sallyport/ui/page"
)

func peersPage(_ *Console, c *Ctx) (Page, error) {
	f, err := ask[wire.Fleet](c, "peers/fleet", wire.PeerRequest{})
	if err != nil {
		return Page{}, err
	}
	list, pager := part(c, "/peers", f.Peers)
	return Page{Title: "Peers", Body: page.Peers(page.PeersView{Peers: list, All: len(f.Peers), Pager: pager, Now: c.now(), Add: c.may("peers/add")})}, nil
}

func peersCSV(_ *Console, c *Ctx) (Page, error) {
	f, err := ask[wire.Fleet](c, "peers/fleet", wire.PeerRequest{})
	if err != nil {
		return Page{}, err
	}
	return c.csv("peers", f)
}

func peerPage(_ *Console, c *Ctx) (Page, error) {
	f, err := ask[wire.Fleet](c, "peers/fleet", wire.PeerRequest{Name: c.path("name")})
	if err != nil {
		return Page{}, err
	}
	p := f.Peers[0]
	return Page{Title: p.Name, Body: page.Peer(page.PeerView{Peer: p, Now: c.now(), Export: c.may("runs/submit")})}, nil
}
