package intake

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"sallyport/internal/attest"
	"sallyport/internal/bundle"
	"sallyport/internal/code"
	"sallyport/internal/marks"
	"sallyport/internal/media"
	"sallyport/internal/peer"
	"sallyport/internal/root"
	"sallyport/internal/seal"
	"sallyport/internal/state"
	"sallyport/internal/verify"
)

// Visit is what a medium means to this appliance before anything on it is opened.
type Visit struct {
	Peers   []VisitPeer `json:"peers"`
	ForUs   int         `json:"forUs"`   // bundles addressed to us
	Others  int         `json:"others"`  // bundles addressed to somebody else, or made here
	Unknown []string    `json:"unknown"` // names on cards of appliances that are no peers yet; they prove nothing
}

// VisitPeer is one known peer of which the medium has a card or a bundle.
type VisitPeer struct {
	Name     string `json:"name"`
	ID       string `json:"id"`
	Tenant   string `json:"tenant"`
	Hub      bool   `json:"hub"`      // we hold feeds of it: it wants our receipts and inventory
	Receipts int    `json:"receipts"` // receipts it has not acknowledged
	Wanted   int    `json:"wanted"`   // volumes of its bundles that are missing here
	// Behind names our local feeds whose active state it is not known to hold: it wants a bundle.
	Behind []string `json:"behind,omitempty"`
}

// visit is one medium looked through: bundles sorted by what they are to us.
type visit struct {
	*circle
	medium  *media.Medium
	fsys    fs.FS
	found   *verify.Medium
	ours    []candidate // addressed to us, in order of creation
	others  []candidate
	broken  []candidate // err says why
	trust   []TrustChange
	cards   []newerCard     // of known peers, verified, not recorded yet
	seen    map[string]bool // appliance ids of peers met on the medium
	fresh   []string        // names on unknown cards
	refused error           // why a trust root on the medium is none: the verdict where nothing else is on it

	published int64 // newest version of our own root that the medium proves and this disk does not know
}

// candidate is one bundle directory.
type candidate struct {
	dir     string
	packing *verify.Packing
	err     error             // why it is broken; beside a packing: volumes of it are missing or have another size
	fsys    fs.FS             // where dir is, when that is not the medium
	sources []*verify.Packing // its directories on the medium, where it was joined from several places
	row     *WaitingRow       // what waits here under its label id
	again   int               // how often its volumes were gone through one by one already
}

// look opens a medium and sorts what lies on it. Labels are checked; nothing behind them is read.
func (r *Room) look(ctx context.Context, at string) (*visit, error) {
	if err := media.Outside(at, r.DataDir); code.Of(err) == code.BadUsage && !uploaded(at, r.DataDir) {
		return nil, err
	}
	return r.inside(ctx, at)
}

// inside is look for a folder that may be our own.
func (r *Room) inside(ctx context.Context, at string) (*visit, error) {
	c, err := r.circle()
	if err != nil {
		return nil, err
	}
	m, err := media.Open(at)
	if err != nil {
		return nil, err
	}
	v := &visit{circle: c, medium: m, fsys: r.through(m.FS()), seen: map[string]bool{}}
	if err := v.sort(ctx); err != nil {
		m.Close()
		return nil, err
	}
	return v, nil
}

func (v *visit) sort(ctx context.Context) (err error) {
	if v.found, err = verify.Find(v.fsys); err != nil {
		return err
	}
	if v.found.Empty() {
		return v.medium.Nothing()
	}
	for _, dir := range v.found.Unfinished {
		v.broken = append(v.broken, candidate{dir: dir, err: code.New(code.LabelMissing, "").In(dir, "").Want("a label", "none")})
	}
	for _, dir := range v.found.Bundles {
		if err := ctx.Err(); err != nil {
			return code.Wrap(code.Interrupted, err, "look at medium")
		}
		v.bundle(ctx, dir)
	}
	slices.SortStableFunc(v.ours, func(a, b candidate) int {
		x, y := a.packing.Label(), b.packing.Label()
		return cmp.Or(strings.Compare(x.CreatedAt, y.CreatedAt), strings.Compare(x.Name, y.Name))
	})
	return nil
}

// bundle checks one label and sorts its directory.
func (v *visit) bundle(ctx context.Context, dir string) {
	p, err := verify.CheckLabel(ctx, v.fsys, dir, v.labels())
	c := candidate{dir: dir, packing: p, err: err}
	switch {
	case err != nil && v.forOthers(dir, err):
		v.others = append(v.others, c)
	case err != nil && p == nil:
		v.broken = append(v.broken, c)
	case v.forUs(p):
		v.meet(p.Root())
		v.ours = append(v.ours, c)
	default:
		v.meet(p.Root())
		v.others = append(v.others, c)
	}
}

func (v *visit) meet(t *root.Trusted) {
	if p, err := v.of(t); err == nil {
		v.seen[p.ID] = true
	}
}

// forUs tells whether a label addresses us: by name, else by the tag of one of our recipients; a bundle in clear that
// names nobody is for whoever its manifest says.
func (v *visit) forUs(p *verify.Packing) bool {
	l := p.Label()
	if l.Packer.ID == v.selfID && l.Appliance.ID == v.selfID {
		return false
	}
	if len(l.For) > 0 {
		return slices.ContainsFunc(l.For, func(a bundle.Appliance) bool { return a.ID == v.selfID })
	}
	return l.Sealed.Mode == bundle.SealNone || p.ForUs(v.ids, v.selfID) ||
		slices.ContainsFunc(v.dare, func(k seal.DareKey) bool {
			return slices.Contains(l.Sealed.Recipients, seal.Tag(l.BundleID, k.ID()))
		})
}

// forOthers tells whether a label that nobody vouches for addresses somebody else: then it is not ours to judge. Its
// words prove nothing, and nothing is done because of them but leaving the stick to its courier.
func (v *visit) forOthers(dir string, err error) bool {
	if code.Of(err) != code.SignerUnknown {
		return false
	}
	l := v.peek(dir)
	return l != nil && len(l.For) > 0 && !slices.ContainsFunc(l.For, func(a bundle.Appliance) bool { return a.ID == v.selfID })
}

// peek reads a label as it says itself; nil when it cannot be read at all.
func (v *visit) peek(dir string) *bundle.Label {
	claim, err := v.claim(dir)
	if err != nil {
		return nil
	}
	l, err := bundle.ParseLabel(claim.Payload)
	if err != nil {
		return nil
	}
	return l
}

// labelFile reads the bytes of the label in a directory, at most 1 MiB.
func labelFile(fsys fs.FS, dir string) ([]byte, error) {
	list, err := fs.ReadDir(fsys, dir)
	if err != nil {
		return nil, err
	}
	for _, e := range list {
		if name := strings.ToLower(e.Name()); strings.HasSuffix(name, ".label.json") && !strings.HasPrefix(name, "._") && e.Type().IsRegular() {
			return readPaper(fsys, path.Join(dir, e.Name()))
		}
	}
	return nil, code.New(code.LabelMissing, "").In(dir, "")
}

func (v *visit) claim(dir string) (*attest.Claim, error) {
	b, err := labelFile(v.fsys, dir)
	if err != nil {
		return nil, err
	}
	claim, err := attest.Inspect(b)
	if err == nil && claim.Type != attest.TypeLabel {
		err = code.New(code.PayloadType, "")
	}
	return claim, err
}

// newerCard is a verified card of a known peer that is newer than the one recorded.
type newerCard struct {
	peer     peer.Peer
	card     *bundle.Card
	envelope []byte
}

// papers judges cards and roots of known peers: newer cards are noted, changes of trust are only reported. A paper that
// does not verify is reported, never believed.
func (v *visit) papers() {
	for _, file := range v.found.Cards {
		c, envelope, err := readCard(v.fsys, file)
		if err != nil {
			v.trust = append(v.trust, TrustChange{What: "card", Sentence: fmt.Sprintf("The card %q on this medium cannot be read and was left alone: %s", file, clean(err.Error()))})
			continue
		}
		p, ok := v.byID(c.Appliance.ID)
		switch {
		case c.Appliance.ID == v.selfID:
		case !ok:
			v.fresh = append(v.fresh, c.Appliance.Name)
		default:
			v.seen[p.ID] = true
			v.cardOf(p, c, envelope)
		}
	}
	v.changes()
}

// cardOf judges the card of a known peer: one that is only newer is noted, one that changes keys or root is a change of trust
// and not judged here, and one under a root that a restore put back is not believed.
func (v *visit) cardOf(p peer.Peer, c *bundle.Card, envelope []byte) {
	if c.RootID != p.RootID || c.Recipient != p.Recipient || !sameKeys(c, p) || v.forgets(v.roots[p.RootID]) {
		return
	}
	_, err := verify.Document(envelope, v.only(v.roots[p.RootID]))
	switch {
	case err != nil:
		v.trust = append(v.trust, TrustChange{
			Peer: p.Name, What: "card", Old: p.Recipient, New: c.Recipient,
			Sentence: fmt.Sprintf("The card of %s on this medium was left alone: %s", p.Name, clean(err.Error())),
		})
	case c.Counter > v.lastCard(p) || p.Unheard && c.Counter == v.lastCard(p): // after a restore the same one is heard again
		v.cards = append(v.cards, newerCard{p, c, envelope})
	}
}

// lastCard is the counter of the newest card that was ever taken in from a peer.
func (v *visit) lastCard(p peer.Peer) int64 {
	return max(p.Counters["card"], v.floor[marks.CounterKey("card", p.ID)])
}

func sameKeys(c *bundle.Card, p peer.Peer) bool {
	var ids []string
	for _, k := range c.Keys {
		ids = append(ids, k.KeyID)
	}
	return slices.Equal(ids, p.KeyIDs)
}

// recordCard stores a newer card of a known peer.
func (r *Room) recordCard(ctx context.Context, n newerCard) error {
	err := r.State.Update(ctx, func(tx *state.Tx) error {
		_, err := peer.Edit(tx, n.peer.Name, func(p *peer.Peer) error {
			recordCard(p, n.card, n.envelope)
			return nil
		})
		return err
	})
	if err != nil {
		return fmt.Errorf("record card of %s: %w", n.peer.Name, err)
	}
	return r.Marks.Raise(func(m *marks.Set) error {
		key := marks.CounterKey("card", n.peer.ID)
		m.Counters[key] = max(m.Counters[key], n.card.Counter)
		return nil
	})
}

// Found tells what lies on a medium, for an exchange. Nothing is recorded.
func (r *Room) Found(ctx context.Context, at string) (Visit, error) {
	v, err := r.look(ctx, at)
	if err != nil {
		return Visit{}, err
	}
	defer v.medium.Close()
	v.papers()
	out := Visit{ForUs: len(v.ours), Others: len(v.others), Unknown: v.fresh}
	err = r.State.View(func(tx *state.Tx) error {
		for _, p := range v.peers {
			if !v.seen[p.ID] {
				continue
			}
			known, err := r.visitPeer(tx, p)
			if err != nil {
				return err
			}
			out.Peers = append(out.Peers, known)
		}
		return nil
	})
	slices.SortFunc(out.Peers, func(a, b VisitPeer) int { return strings.Compare(a.Name, b.Name) })
	return out, err
}

// day writes a date as people read it; "" stays "".
func day(at string) string {
	t, err := time.Parse(time.RFC3339, at)
	if err != nil {
		return at
	}
	return t.Format("2 Jan 2006")
}

// isCode tells whether err carries any of the codes.
func isCode(err error, codes ...code.Code) bool {
	return slices.ContainsFunc(codes, func(c code.Code) bool { return errors.Is(err, &code.Error{Code: c}) })
}
