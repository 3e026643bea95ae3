package page

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"sallyport/internal/units"
	"sallyport/internal/wire"
	"sallyport/ui/kit"
)

// PeersView is the fleet, who needs a hand first.
type PeersView struct {
	Peers []wire.PeerStanding // of this page
	All   int
	Pager kit.PagerView
	Now   time.Time
	Add   bool // the person may add peers
}

// PeerHref is the page of a peer.
func PeerHref(name string) string { return "/peers/" + url.PathEscape(name) }

func (v PeersView) lead() string {
	if v.All == 0 {
		return "No other appliance is known here yet."
	}
	n := 0
	for _, p := range v.Peers {
		if p.Level == wire.PeerBad || p.Level == wire.PeerWarn {
			n++
		}
	}
	known := units.Plural(int64(v.All), "appliance is known here.", "appliances are known here.")
	switch n {
	case 0:
		return known + " None of them needs you."
	case 1:
		return known + " One needs you."
	}
	return known + fmt.Sprintf(" %d need you.", n)
}

func (v PeersView) actions() []kit.ButtonView {
	if !v.Add {
		return nil
	}
	return []kit.ButtonView{{Label: "Add a peer", Href: "/peers/add", Kind: kit.Primary}}
}

func (v PeersView) table() kit.TableView {
	t := kit.TableView{
		ID: "fleet", Caption: "Peers, who needs a hand first", CSV: "/peers.csv", Pager: v.Pager,
		Columns: []kit.Column{{Label: "Peer"}, {Label: "State"}, {Label: "It has / we have"}, {Label: "Last heard"}, {Label: "Next stick due"}, {Label: "Delta now", Kind: kit.NumberColumn}, {Label: "Wants", Kind: kit.NumberColumn}, {Label: "Reads"}},
		Empty: kit.EmptyView{
			Title: "No peer yet", Text: "Exchange cards on a stick and compare the fingerprint, which must come from somewhere else than the stick.",
		},
	}
	if v.Add {
		t.Empty.Action = kit.ButtonView{Label: "Add a peer", Href: "/peers/add", Kind: kit.Primary}
	}
	for _, p := range v.Peers {
		t.Rows = append(t.Rows, kit.Row{Cells: []kit.Node{
			kit.To(PeerHref(p.Name), p.Name), peerState(p), peerHas(p), since(p.LastContact, v.Now, "never"), peerDue(p, v.Now), peerDelta(p), peerWants(p), kit.Soft(orNone(p.Software)),
		}})
	}
	return t
}

func orNone(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}

// peerTone is the tone and the word of a level.
func peerTone(level string) (kit.Tone, string) {
	switch level {
	case wire.PeerBad:
		return kit.Bad, "stuck"
	case wire.PeerWarn:
		return kit.Warn, "needs you"
	case wire.PeerBehind:
		return kit.Accent, "due for a stick"
	case wire.PeerOK:
		return kit.OK, "up to date"
	}
	return kit.Unknown, "unknown"
}

func peerState(p wire.PeerStanding) kit.Node {
	tone, word := peerTone(p.Level)
	if p.Level == wire.PeerOK && len(p.Feeds) == 0 {
		word = "known"
		if p.FeedsUs > 0 {
			word = "feeds us"
		}
	}
	n := kit.Badge(tone, word)
	if len(p.Why) > 0 && p.Level != wire.PeerOK && p.Level != wire.PeerBehind {
		return kit.Lines(n, kit.Soft(p.Why[0]))
	}
	return n
}

// peerHas is the generation it has and the one we have, of the feed that is furthest behind.
func peerHas(p wire.PeerStanding) kit.Node {
	if len(p.Feeds) == 0 {
		if p.FeedsUs > 0 {
			return kit.Soft("brings " + units.Plural(int64(p.FeedsUs), "feed", "feeds"))
		}
		return dash()
	}
	f, more := p.Feeds[0], len(p.Feeds)-1
	for _, x := range p.Feeds {
		if !x.Even && f.Even {
			f = x
		}
	}
	has := pointWords(f.Has)
	if has == "" {
		has = "?"
	}
	text := fmt.Sprintf("%s %s / %s", f.Feed, has, pointWords(f.We))
	if more == 0 {
		return kit.Text(text)
	}
	return kit.Join(kit.Text(text), kit.Soft("and "+units.Plural(int64(more), "feed", "feeds")))
}

func peerDue(p wire.PeerStanding, now time.Time) kit.Node {
	switch {
	case p.NextDue == "":
		return dash()
	case p.Overdue > 0:
		return kit.Join(day(p.NextDue), kit.Badge(kit.Warn, "late"))
	}
	return day(p.NextDue)
}

func peerDelta(p wire.PeerStanding) kit.Node {
	switch {
	case len(p.Feeds) == 0:
		return dash()
	case p.Delta == 0:
		return kit.Soft("nothing")
	case p.Delta > 0:
		return kit.Bytes(p.Delta)
	case p.Full > 0:
		return kit.Join(kit.Soft("full"), kit.Bytes(p.Full))
	}
	return kit.Soft("not weighed yet")
}

func peerWants(p wire.PeerStanding) kit.Node {
	if p.Asks == 0 {
		return dash()
	}
	return kit.Text(units.Plural(int64(p.Asks), "volume", "volumes"))
}

// PeerView is one peer.
type PeerView struct {
	Peer   wire.PeerStanding
	Now    time.Time
	Export bool // the person may export to it
}

func (v PeerView) lead() string {
	p := v.Peer
	if len(p.Why) > 0 {
		return p.Why[0]
	}
	if len(p.Feeds) == 0 && p.FeedsUs > 0 {
		return "It feeds this appliance " + units.Plural(int64(p.FeedsUs), "feed", "feeds") + "."
	}
	if len(p.Feeds) == 0 {
		return "Nothing is made here that it could be given."
	}
	return "It has everything that is active here."
}

func (v PeerView) needs() (list []kit.NeedView) {
	tone, _ := peerTone(v.Peer.Level)
	for i, s := range v.Peer.Why {
		n := kit.NeedView{Tone: tone, Title: s}
		if i == 0 && v.Export && (v.Peer.Level == wire.PeerBehind || v.Peer.Asks > 0) {
			n.Action = kit.ButtonView{Label: "Put in a stick", Href: "/import", Kind: kit.Primary}
		}
		list = append(list, n)
	}
	return list
}

func (v PeerView) actions() []kit.ButtonView {
	list := []kit.ButtonView{{Label: "Its trust root", Href: "/trust/" + url.PathEscape(v.Peer.Name)}}
	if v.Export && len(v.Peer.Feeds) > 0 {
		list = append(list, kit.ButtonView{Label: "New export", Href: "/exports/new?for=" + url.QueryEscape(v.Peer.Name)})
	}
	return list
}

func (v PeerView) facts() []kit.Def {
	p := v.Peer
	return []kit.Def{
		{Term: "Fingerprint in nine words", Value: kit.Words(p.Words)},
		{Term: "Fingerprint", Value: kit.Digest(p.Fingerprint)},
		{Term: "Appliance id", Value: kit.Code(p.ID)},
		{Term: "Owner", Value: kit.Text(ownerWords(p.Peer))},
		{Term: "Trusted", Value: kit.Join(kit.Text(trustedHow(p.TrustedHow)), kit.Soft("by "+orNone(p.TrustedBy)), since(p.TrustedAt, v.Now, ""))},
		{Term: "Encrypted to", Value: recipient(p.Recipient)},
		{Term: "Software there", Value: kit.Text(orNone(p.Software))},
		{Term: "Last heard", Value: since(p.LastContact, v.Now, "never")},
		{Term: "Next stick due", Value: peerDue(p, v.Now), Explain: "A stick arrives every " + units.Age(seconds(p.Every)) + ", as its card says or this appliance was told."},
	}
}

func recipient(s string) kit.Node {
	if s == "" {
		return kit.Badge(kit.Warn, "nothing: its card names no key")
	}
	return kit.Code(s)
}

func ownerWords(p wire.Peer) string {
	if p.TheirTenant == "" || p.TheirTenant == p.Tenant {
		return p.Tenant
	}
	return p.TheirTenant + " there, " + p.Tenant + " here"
}

// trustedHow says how first trust was made.
func trustedHow(how string) string {
	switch how {
	case "words":
		return "its nine words were compared"
	case "fingerprint":
		return "its fingerprint was compared"
	case "kit":
		return "it came with the installation kit"
	case "not compared":
		return "its fingerprint was never compared"
	}
	return how
}

func (v PeerView) feeds() kit.TableView {
	t := kit.TableView{
		ID: "peerfeeds", Caption: "Feeds it is given", Columns: []kit.Column{{Label: "Feed"}, {Label: "It has", Kind: kit.NumberColumn}, {Label: "We have", Kind: kit.NumberColumn}, {Label: "Sent last", Kind: kit.NumberColumn}, {Label: "It said so"}, {Label: "State"}},
		Empty: kit.EmptyView{Title: "It is given nothing", Text: "Feeds that are loaded here go to it with the next export."},
	}
	for _, f := range v.Peer.Feeds {
		state := kit.Badge(kit.Accent, "newer here")
		switch {
		case f.Has == "":
			state = kit.Badge(kit.Unknown, "unknown")
		case f.Even:
			state = kit.Badge(kit.OK, "even")
		}
		said := dash()
		if f.Heard != "" {
			said = kit.Join(since(f.Heard, v.Now, ""), kit.Soft("by "+f.From))
		}
		t.Rows = append(t.Rows, kit.Row{Cells: []kit.Node{kit.Text(f.Feed), orDash(pointWords(f.Has)), orDash(pointWords(f.We)), orDash(pointWords(f.Sent)), said, state}})
	}
	return t
}

func (v PeerView) wanted() kit.TableView {
	t := kit.TableView{ID: "wanted", Caption: "Volumes it asks for", Columns: []kit.Column{{Label: "Bundle"}, {Label: "Volumes"}}}
	for _, w := range v.Peer.Wanted {
		name := kit.Soft("a bundle that is not on the shelf any more")
		if w.Run != "" {
			name = kit.To(RunHref(w.Run), w.Name)
		}
		t.Rows = append(t.Rows, kit.Row{Cells: []kit.Node{name, kit.Text(numbers(w.Volumes))}})
	}
	return t
}

func (v PeerView) sent() kit.TableView {
	t := kit.TableView{
		ID: "sent", Caption: "Bundles made for it", Columns: []kit.Column{{Label: "Bundle"}, {Label: "Size", Kind: kit.NumberColumn}, {Label: "When"}, {Label: "Answer"}},
		Empty: kit.EmptyView{Title: "Nothing was made for it yet"},
	}
	for _, s := range v.Peer.Sent {
		answer := kit.Badge(kit.Unknown, "not answered yet")
		if s.Decision != "" {
			answer = kit.Badge(kit.OK, decisionWords(s.Decision))
		}
		t.Rows = append(t.Rows, kit.Row{Cells: []kit.Node{kit.To(RunHref(s.Run), s.Name), sizeOr(s.Bytes), since(s.At, v.Now, ""), answer}})
	}
	return t
}

func (v PeerView) keys() kit.TableView {
	t := kit.TableView{ID: "ending", Caption: "Keys that end soon", Columns: []kit.Column{{Label: "Key"}, {Label: "Id"}, {Label: "Ends"}}}
	for _, k := range v.Peer.Keys {
		t.Rows = append(t.Rows, kit.Row{Cells: []kit.Node{kit.Text(keyWord(k.Kind)), kit.Code(k.KeyID), day(k.NotAfter)}})
	}
	return t
}

// keyWord names a key by its role.
func keyWord(kind string) string {
	switch kind {
	case "age":
		return "age identity"
	case "root", "bundle", "pack", "appliance", "anchor", "release":
		return kind + " key"
	}
	return strings.TrimSpace(kind + " key")
}
