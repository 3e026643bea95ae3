package api

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"sallyport/internal/code"
	"sallyport/internal/feed"
	"sallyport/internal/intake"
	"sallyport/internal/media"
	"sallyport/internal/peer"
	"sallyport/internal/state"
	"sallyport/internal/units"
	"sallyport/internal/web"
	"sallyport/internal/wire"
)

func (a *API) cardShow(ctx context.Context, _ *web.Call, _ wire.None) (wire.Card, error) {
	k, err := a.Intake.Card(ctx)
	if err != nil {
		return wire.Card{}, err
	}
	return recode[wire.Card](k)
}

func (a *API) cardWrite(ctx context.Context, c *web.Call, q wire.MediumRequest) (wire.Card, error) {
	if err := absolute(q.Path); err != nil {
		return wire.Card{}, err
	}
	if err := mayWrite(c.Actor, q.Path); err != nil {
		return wire.Card{}, err
	}
	k, err := a.Intake.WriteCard(ctx, q.Path)
	if err != nil {
		return wire.Card{}, err
	}
	return recode[wire.Card](k)
}

// mayWrite refuses what the caller could not do alone: root and the daemon's user may write everywhere, others where the
// folder's mode lets them, also in our own folder on it when it is there. Who comes through the console is no user of this
// machine: sticks alone are for them.
func mayWrite(who web.Actor, path string) error {
	if who.Admin || who.UID == web.NoLogin && onMount(path) {
		return nil
	}
	if filepath.Base(path) == media.Top {
		path = filepath.Dir(path)
	}
	if err := writable(who, path); err != nil {
		return err
	}
	err := writable(who, filepath.Join(path, media.Top))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// onMount tells whether a path lies where sticks are mounted.
func onMount(path string) bool {
	return slices.ContainsFunc(media.Usual(), func(p string) bool { return strings.HasPrefix(filepath.Clean(path), p) })
}

func writable(who web.Actor, dir string) error {
	f, err := os.OpenFile(dir, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return code.Wrap(code.Missing, err, "there is no such directory").In(dir, "").Do("Is the stick plugged in and mounted? Nothing was changed.")
	}
	if err != nil {
		return code.Wrap(code.MediumRead, err, "open medium").In(dir, "")
	}
	defer f.Close()
	var st syscall.Stat_t
	if err := syscall.Fstat(int(f.Fd()), &st); err != nil {
		return code.Wrap(code.MediumRead, err, "open medium").In(dir, "")
	}
	if allows(who, &st, 2) && allows(who, &st, 1) && reachable(who, f) {
		return nil
	}
	return code.New(code.Denied, "you may not write to this folder").In(dir, "")
}

func (a *API) peersList(_ context.Context, _ *web.Call, _ wire.None) (wire.Peers, error) {
	out := wire.Peers{Peers: []wire.Peer{}}
	err := a.State.View(func(tx *state.Tx) error {
		list, err := peer.List(tx)
		if err != nil {
			return err
		}
		for _, p := range list {
			w, err := a.peerOf(tx, p)
			if err != nil {
				return err
			}
			out.Peers = append(out.Peers, w)
		}
		return nil
	})
	return out, err
}

func (a *API) peersShow(_ context.Context, _ *web.Call, q wire.PeerRequest) (wire.Peer, error) {
	var out wire.Peer
	err := a.State.View(func(tx *state.Tx) error {
		p, err := peer.Get(tx, q.Name)
		if err != nil {
			return err
		}
		out, err = a.peerOf(tx, p)
		return err
	})
	return out, a.knownPeers(err)
}

func (a *API) peerOf(tx *state.Tx, p peer.Peer) (wire.Peer, error) {
	w := wire.Peer{
		Name: p.Name, ID: p.ID, Tenant: p.Tenant, TheirTenant: p.TheirTenant, Fingerprint: p.RootID.Hex(), Words: units.Words(p.RootID),
		Recipient: p.Recipient, Software: p.Reads.Software, TrustedBy: p.Trust.By, TrustedHow: p.Trust.How, TrustedAt: p.Trust.At, LastContact: p.LastContact,
		Asks: asks(p),
	}
	ours, err := feed.List(tx, p.Tenant)
	if err != nil {
		return w, err
	}
	for _, f := range ours {
		v, ok := p.Views[f.Ref.Name]
		if !f.Local || !ok {
			continue
		}
		g, _, err := feed.Current(tx, f.Ref)
		if err != nil {
			return w, err
		}
		w.Holds = append(w.Holds, wire.PeerFeed{
			Feed: v.Feed, Epoch: v.Active.Epoch, Generation: v.Active.Generation, StateRoot: rootText(v.Active), At: v.At, From: v.From,
			Current: v.Active.Root == g.Root && !g.Root.IsZero(),
		})
	}
	return w, nil
}

func rootText(h peer.Held) string {
	if h.Root.IsZero() {
		return ""
	}
	return h.Root.String()
}

func (a *API) peersInspect(ctx context.Context, _ *web.Call, q wire.PeerRequest) (wire.Question, error) {
	if err := absolute(q.Path); err != nil {
		return wire.Question{}, err
	}
	found, err := a.Intake.Inspect(ctx, q.Path, intake.AddRequest{Name: q.Name, Fingerprint: q.Fingerprint})
	if err != nil {
		return wire.Question{}, err
	}
	return recode[wire.Question](found)
}

// peersAdd makes first trust. What a person answered on a terminal comes as the fingerprint whose words were compared, so
// that a card exchanged between question and answer is refused.
func (a *API) peersAdd(ctx context.Context, c *web.Call, q wire.PeerRequest) (wire.Peer, error) {
	if err := absolute(q.Path); err != nil {
		return wire.Peer{}, err
	}
	given := 0
	for _, s := range []string{q.Fingerprint, q.Words, q.Answered} {
		if s != "" {
			given++
		}
	}
	if given > 1 {
		return wire.Peer{}, code.New(code.BadUsage, "a fingerprint and words at once").Do("Give one of --fingerprint and --words.")
	}
	r := intake.AddRequest{
		Name: q.Name, Fingerprint: q.Fingerprint, Words: q.Words, Tenant: q.Tenant, TheirTenant: q.TheirTenant, Actor: c.Actor.Name(),
	}
	if q.Answered != "" {
		r.Fingerprint, r.Compared = q.Answered, peer.ByWords
	}
	p, err := a.Intake.AddPeer(ctx, q.Path, r)
	if err != nil {
		return wire.Peer{}, err
	}
	var out wire.Peer
	err = a.State.View(func(tx *state.Tx) (err error) {
		out, err = a.peerOf(tx, p)
		return err
	})
	return out, err
}

func (a *API) receiptsList(ctx context.Context, _ *web.Call, q wire.ReceiptRequest) (wire.Receipts, error) {
	if q.Before > 0 {
		return a.receiptsBack(ctx, q)
	}
	rows, err := a.Intake.ListReceipts(ctx, "", q.Limit)
	if err != nil {
		return wire.Receipts{}, err
	}
	out := wire.Receipts{Receipts: []wire.Receipt{}}
	for _, r := range rows {
		w, err := recode[wire.Receipt](r)
		if err != nil {
			return wire.Receipts{}, err
		}
		out.Receipts = append(out.Receipts, w)
	}
	return out, nil
}

func (a *API) receiptsShow(ctx context.Context, _ *web.Call, q wire.ReceiptRequest) (wire.Receipt, error) {
	row, ok, err := a.Intake.ReceiptByNumber(q.Number)
	if err != nil {
		return wire.Receipt{}, err
	}
	if !ok {
		return wire.Receipt{}, code.New(code.Missing, "no receipt %.40q", q.Number).Do("List them with sallyport receipts list.")
	}
	return recode[wire.Receipt](row)
}
