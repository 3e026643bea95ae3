package intake

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"sallyport/internal/approval"
	"sallyport/internal/attest"
	"sallyport/internal/bundle"
	"sallyport/internal/clock"
	"sallyport/internal/digest"
	"sallyport/internal/feed"
	"sallyport/internal/ident"
	"sallyport/internal/peer"
	"sallyport/internal/state"
	"sallyport/internal/timeline"
)

// ReceiptRow is a receipt we gave out.
type ReceiptRow struct {
	Number   string        `json:"number"` // R-0042
	Counter  int64         `json:"counter"`
	Tenant   string        `json:"tenant"`
	Peer     string        `json:"peer"`
	PeerID   string        `json:"peerId"`
	Bundle   string        `json:"bundle"` // NAME
	BundleID digest.Digest `json:"bundleId"`
	LabelID  digest.Digest `json:"labelId,omitzero"`
	Decision string        `json:"decision"`
	At       string        `json:"at"`
	Digest   digest.Digest `json:"digest"` // of the payload
	Envelope []byte        `json:"envelope"`
	AckedAt  string        `json:"ackedAt,omitempty"` // when a manifest of the peer named it
	Spoken   string        `json:"spoken,omitempty"`  // six words for the telephone
}

// seenBundle is the memory of a packing that was accepted, by label id.
type seenBundle struct {
	BundleID digest.Digest `json:"bundleId"`
	Name     string        `json:"name"`
	Kind     string        `json:"kind"`
	PeerID   string        `json:"peerId"`
	Feeds    []seenFeed    `json:"feeds,omitempty"`
	Receipt  int64         `json:"receipt,omitempty"` // counter
	At       string        `json:"at"`
}

type seenFeed struct {
	Ref        ident.FeedRef `json:"ref"`
	Epoch      int64         `json:"epoch"`
	Generation int64         `json:"generation"`
	Root       digest.Digest `json:"root"`
}

// The tables of this room: receipts by counter, accepted packings by label id, papers taken in by peer and digest.
var (
	receipts = state.Table[ReceiptRow]{Name: "intake.receipt"}
	seen     = state.Table[seenBundle]{Name: "intake.seen"}
	taken    = state.Table[ReceivedRow]{Name: "intake.taken"}
)

func receiptKey(counter int64) string { return fmt.Sprintf("%016d", counter) }

func receiptNumber(counter int64) string { return fmt.Sprintf("R-%04d", counter) }

// receipt signs the answer to a bundle, inside the transaction that accepts it.
func (im *imports) receipt(tx *state.Tx, pr *prepared, acc *accepted, counter int64, grants []approval.Grant, key *attest.Signer) (ReceiptRow, error) {
	log, err := section(im.Timeline, tx, key, pr.peer.Log)
	if err != nil {
		return ReceiptRow{}, fmt.Errorf("receipt: %w", err)
	}
	top, err := header(tx)
	if err != nil {
		return ReceiptRow{}, err
	}
	m := pr.bundle.Manifest()
	rc := &bundle.Receipt{
		Header: top, Issuer: im.self(), Tenant: m.Tenant, To: m.Appliance, Counter: counter, BundleID: pr.bundle.ID(), LabelID: pr.packing.ID(),
		Opened: true, Decision: string(acc.decision), Feeds: receiptFeeds(pr, acc.outcome.Changes), Approvals: count(grants),
		TrustedTime: clock.Format(im.now.Trusted), TimeSource: im.now.Source, Medium: im.mediumFacts(),
		Verifier: "sallyport " + im.Self.Software, Log: log,
	}
	envelope, d, err := signPaper(attest.TypeReceipt, rc.Encode, key)
	if err != nil {
		return ReceiptRow{}, fmt.Errorf("receipt: %w", err)
	}
	row := ReceiptRow{
		Number: receiptNumber(counter), Counter: counter, Tenant: pr.peer.Tenant, Peer: pr.peer.Name, PeerID: pr.peer.ID, Bundle: m.ExportID,
		BundleID: rc.BundleID, LabelID: rc.LabelID, Decision: rc.Decision, At: rc.TrustedTime, Digest: d, Envelope: envelope,
	}
	if m.Challenge != "" {
		row.Spoken, err = bundle.SpokenWords(m.Challenge, rc.BundleID, rc.Decision, rootsOf(rc.Feeds)...)
	}
	return row, err
}

func rootsOf(feeds []bundle.ReceiptFeed) (list []digest.Digest) {
	for _, f := range feeds {
		list = append(list, f.StateRoot)
	}
	return list
}

// receiptFeeds says what became of each feed, in the manifest's order: what was active before, and the generation that the
// bundle brought, active or held now, with its root.
func receiptFeeds(pr *prepared, changes []feed.Change) []bundle.ReceiptFeed {
	list := []bundle.ReceiptFeed{}
	for i := range pr.offers {
		o := &pr.offers[i]
		f := bundle.ReceiptFeed{Feed: o.state.Feed, Origin: o.state.Origin, Epoch: o.state.Epoch, Before: o.active.Generation, After: o.state.Generation, StateRoot: o.state.StateRoot}
		for _, c := range changes {
			if c.Ref == o.ref {
				f.Before = c.Before.Generation
			}
		}
		list = append(list, f)
	}
	return list
}

func count(grants []approval.Grant) bundle.Approvals {
	a := bundle.Approvals{Count: int64(len(grants)), Roles: []string{}}
	for _, g := range grants {
		a.Roles = append(a.Roles, g.Role)
	}
	slices.Sort(a.Roles)
	a.Roles = slices.Compact(a.Roles)
	return a
}

func (im *imports) mediumFacts() bundle.Medium {
	info, err := im.v.medium.Info()
	if err != nil {
		return bundle.Medium{}
	}
	return bundle.Medium{Serial: info.Serial, FSUUID: info.UUID, Label: info.Label}
}

// signPaper encodes and signs one paper; the digest is the payload's.
func signPaper(kind string, encode func() ([]byte, error), key *attest.Signer) ([]byte, digest.Digest, error) {
	payload, err := encode()
	if err != nil {
		return nil, digest.Digest{}, err
	}
	envelope, err := attest.Sign(kind, payload, key)
	return envelope, digest.Of(payload), err
}

// section is our log as a paper carries it: the checkpoint now, and the proof from the head the reader knows.
func section(l *timeline.Log, tx *state.Tx, key *attest.Signer, known *peer.LogHead) (bundle.Log, error) {
	if known == nil {
		return l.Section(tx, key, nil)
	}
	return l.Section(tx, key, &bundle.Head{Size: int64(known.Size), Root: known.Root})
}

// remember keeps what a packing was, so that the same stick is known again.
func (im *imports) remember(tx *state.Tx, pr *prepared, counter int64) error {
	s := seenBundle{BundleID: pr.bundle.ID(), Name: pr.plan.Name, Kind: pr.plan.Kind, PeerID: pr.peer.ID, Receipt: counter, At: clock.Format(im.now.Trusted)}
	for i := range pr.offers {
		o := &pr.offers[i]
		s.Feeds = append(s.Feeds, seenFeed{Ref: o.ref, Epoch: o.state.Epoch, Generation: o.state.Generation, Root: o.state.StateRoot})
	}
	if err := forget(tx, s.BundleID); err != nil {
		return err
	}
	return seen.Put(tx, pr.packing.ID().Hex(), s)
}

// acknowledge marks our receipts that a peer's manifest names.
func acknowledge(tx *state.Tx, peerID string, acks []digest.Digest, at string) error {
	if len(acks) == 0 {
		return nil
	}
	return receipts.Scan(tx, "", func(key string, row ReceiptRow) error {
		if row.PeerID != peerID || row.AckedAt != "" || !slices.Contains(acks, row.Digest) {
			return nil
		}
		row.AckedAt = at
		return receipts.Put(tx, key, row)
	})
}

// Paper is a signed document for the way home.
type Paper struct {
	Name     string // file name: r-0042.receipt.json
	Envelope []byte
	Digest   digest.Digest // of the payload
	Counter  int64
}

// Receipts are the signed receipts for a hub, oldest first: those it has not acknowledged, or all.
func (r *Room) Receipts(ctx context.Context, hub string, undelivered bool) (list []Paper, err error) {
	err = r.State.View(func(tx *state.Tx) error {
		p, err := peer.Get(tx, hub)
		if err != nil {
			return err
		}
		return receipts.Scan(tx, "", func(_ string, row ReceiptRow) error {
			if row.PeerID == p.ID && !(undelivered && row.AckedAt != "") {
				list = append(list, Paper{strings.ToLower(row.Number) + ".receipt.json", row.Envelope, row.Digest, row.Counter})
			}
			return ctx.Err()
		})
	})
	return list, err
}

// ListReceipts lists receipts we gave out, newest first; limit 0 is all.
func (r *Room) ListReceipts(ctx context.Context, tenant string, limit int) (list []ReceiptRow, err error) {
	err = r.State.View(func(tx *state.Tx) error {
		err := receipts.ScanBack(tx, "", "", func(_ string, row ReceiptRow) error {
			if tenant == "" || row.Tenant == tenant {
				list = append(list, row)
			}
			if limit > 0 && len(list) == limit {
				return state.ErrStop
			}
			return ctx.Err()
		})
		return err
	})
	return list, err
}

// Inventory signs what we hold of a hub's feeds, under a new counter.
func (r *Room) Inventory(ctx context.Context, hub string) (Paper, error) {
	key, err := r.Keys.Appliance()
	if err != nil {
		return Paper{}, err
	}
	var v *bundle.Inventory
	err = r.State.View(func(tx *state.Tx) error {
		p, err := peer.Get(tx, hub)
		if err != nil {
			return err
		}
		v, err = r.inventory(tx, p)
		return err
	})
	if err != nil {
		return Paper{}, fmt.Errorf("inventory for %s: %w", hub, err)
	}
	if v.Counter, err = r.Marks.Issue("own-inventory", v.To.ID); err != nil {
		return Paper{}, fmt.Errorf("inventory for %s: %w", hub, err)
	}
	envelope, d, err := signPaper(attest.TypeInventory, v.Encode, key)
	return Paper{Name: "inventory.json", Envelope: envelope, Digest: d, Counter: v.Counter}, err
}

func (r *Room) inventory(tx *state.Tx, p peer.Peer) (*bundle.Inventory, error) {
	now := r.Marks.Now()
	v := &bundle.Inventory{
		Issuer: r.self(), Tenant: p.TheirTenant, To: bundle.Appliance{ID: p.ID, Name: p.Name}, Feeds: []bundle.InventoryFeed{}, Wanted: []bundle.Wanted{},
		IssuedAt: clock.Format(issued(now)),
	}
	list, err := feed.List(tx, p.Tenant)
	if err != nil {
		return nil, err
	}
	for _, f := range list {
		if f.Ref.Origin != p.ID {
			continue
		}
		line, err := inventoryFeed(tx, f)
		if err != nil {
			return nil, err
		}
		v.Feeds = append(v.Feeds, line)
	}
	slices.SortFunc(v.Feeds, func(a, b bundle.InventoryFeed) int { return strings.Compare(a.Feed, b.Feed) })
	if v.Wanted, err = r.wanted(tx, p.ID); err != nil {
		return nil, err
	}
	last, err := timeline.LastSeen(tx, p.ID)
	if err == nil && last != nil {
		v.LogSeen = &bundle.Head{Size: int64(last.Head.Size), Root: last.Head.Root}
	}
	return v, err
}

// Told is a digest of what a hub would be told now: the receipts it has not acknowledged, and the inventory without its
// counter and date. The same digest again means there is nothing new to say.
func (r *Room) Told(tx *state.Tx, hub string) (digest.Digest, error) {
	p, err := peer.Get(tx, hub)
	if err != nil {
		return digest.Digest{}, err
	}
	v, err := r.inventory(tx, p)
	if err != nil {
		return digest.Digest{}, fmt.Errorf("papers for %s: %w", hub, err)
	}
	v.Counter, v.IssuedAt = 1, clock.Format(time.Unix(0, 0))
	told, err := v.Encode()
	if err != nil {
		return digest.Digest{}, fmt.Errorf("papers for %s: %w", hub, err)
	}
	err = receipts.Scan(tx, "", func(_ string, row ReceiptRow) error {
		if row.PeerID == p.ID && row.AckedAt == "" {
			told = append(told, row.Digest[:]...)
		}
		return nil
	})
	return digest.Of(told), err
}

func inventoryFeed(tx *state.Tx, f feed.Feed) (bundle.InventoryFeed, error) {
	line := bundle.InventoryFeed{
		Feed: f.Ref.Name, Origin: f.Ref.Origin, Held: []bundle.Held{}, Mark: bundle.Mark{Epoch: f.Mark.Epoch, Generation: f.Mark.Generation}, Pinned: f.Pinned,
	}
	gens, err := feed.Generations(tx, f.Ref)
	if err != nil {
		return line, err
	}
	for _, g := range gens {
		h := bundle.Held{Epoch: g.Epoch, Generation: g.Generation, StateRoot: g.Root}
		line.Held = append(line.Held, h)
		if g.Point == f.Active {
			line.Active = &h
		}
	}
	slices.Reverse(line.Held) // ascending
	return line, nil
}

// visitPeer counts what a peer met on a medium is owed.
func (r *Room) visitPeer(tx *state.Tx, p peer.Peer) (VisitPeer, error) {
	v := VisitPeer{Name: p.Name, ID: p.ID, Tenant: p.Tenant}
	list, err := feed.List(tx, p.Tenant)
	if err != nil {
		return v, err
	}
	for _, f := range list {
		v.Hub = v.Hub || f.Ref.Origin == p.ID
		if !f.Local {
			continue
		}
		g, ok, err := feed.Current(tx, f.Ref)
		if err != nil {
			return v, err
		}
		if ok && (!p.Knows(f.Ref.Name, g.Root) || p.Lags(f.Ref.Name, g.Epoch)) {
			v.Behind = append(v.Behind, f.Ref.Name)
		}
	}
	rows, err := r.Waiting(tx, "")
	if err != nil {
		return v, err
	}
	for _, row := range rows {
		if row.PeerID == p.ID && row.Kind == kindMirror {
			v.Hub, v.Wanted = true, v.Wanted+len(row.Wanted)
		}
	}
	err = receipts.Scan(tx, "", func(_ string, row ReceiptRow) error {
		if row.PeerID == p.ID && row.AckedAt == "" {
			v.Receipts++
		}
		return nil
	})
	return v, err
}

// ReceiptsBefore lists at most limit receipts (0: all) whose counter is below the given one, newest first.
func (r *Room) ReceiptsBefore(ctx context.Context, counter int64, limit int) (list []ReceiptRow, err error) {
	err = r.State.View(func(tx *state.Tx) error {
		return receipts.ScanBack(tx, "", receiptKey(counter), func(_ string, row ReceiptRow) error {
			list = append(list, row)
			if len(list) == limit {
				return state.ErrStop
			}
			return ctx.Err()
		})
	})
	return list, err
}

// ReceiptByNumber reads one, as R-0042; ok is false when there is none.
func (r *Room) ReceiptByNumber(number string) (row ReceiptRow, ok bool, err error) {
	counter, perr := strconv.ParseInt(strings.TrimPrefix(number, "R-"), 10, 64)
	if perr != nil || counter < 1 {
		return row, false, nil
	}
	err = r.State.View(func(tx *state.Tx) error {
		row, ok, err = receipts.Get(tx, receiptKey(counter))
		return err
	})
	return row, ok && row.Number == number, err
}
