package intake

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"sallyport/internal/attest"
	"sallyport/internal/bundle"
	"sallyport/internal/clock"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/marks"
	"sallyport/internal/peer"
	"sallyport/internal/state"
	"sallyport/internal/timeline"
	"sallyport/internal/verify"
)

// ReceivedRow is a receipt or inventory that was taken in, kept by peer id, kind and counter.
type ReceivedRow struct {
	Peer     string        `json:"peer"`
	PeerID   string        `json:"peerId"`
	Tenant   string        `json:"tenant"` // ours
	Kind     string        `json:"kind"`   // receipt, inventory
	Counter  int64         `json:"counter"`
	Digest   digest.Digest `json:"digest"` // of the payload
	BundleID digest.Digest `json:"bundleId,omitzero"`
	Decision string        `json:"decision,omitempty"`
	At       string        `json:"at"` // trusted time here
	Envelope []byte        `json:"envelope"`
}

// maxPapers bounds the papers of one outbound bundle.
const maxPapers = 4096

// homePaper is one verified paper of an outbound bundle: a receipt or an inventory.
type homePaper struct {
	envelope  []byte
	digest    digest.Digest
	receipt   *bundle.Receipt
	inventory *bundle.Inventory
}

func (p homePaper) kind() string {
	if p.receipt != nil {
		return "receipt"
	}
	return "inventory"
}

func (p homePaper) counter() int64 {
	if p.receipt != nil {
		return p.receipt.Counter
	}
	return p.inventory.Counter
}

// home takes in an outbound bundle of a site: receipts and inventory change what we know about that site and nothing else,
// so no approval is asked. All of it is one transaction; what was taken in before changes nothing.
func (im *imports) home(c candidate) error {
	l := c.packing.Label()
	s := &sink{room: im.Room, circle: im.v.circle, label: l, staged: map[string]blob{}}
	pr := &prepared{sink: s, dir: c.dir, packing: c.packing}
	pr.plan = BundlePlan{
		Name: l.Name, Kind: l.Kind, Variant: l.Variant, BundleID: l.BundleID.String(), LabelID: c.packing.ID().String(),
		From: l.Appliance.Name, Bytes: l.Bytes, CreatedAt: l.CreatedAt, Decision: Applied,
	}
	defer pr.drop()
	if err := im.open(pr); err != nil {
		return err
	}
	if len(pr.offers) > 0 || pr.bundle.Manifest().Profile.Kind != kindOutbound {
		return code.New(code.ManifestBad, "an outbound bundle carries no feeds").In(l.Name, "feeds")
	}
	im.FS.Point("import.verified")
	papers, err := im.homePapers(pr)
	if err != nil {
		return err
	}
	pr.plan.DataTime, pr.plan.Signer = pr.bundle.Manifest().GeneratedAt, pr.bundle.Signer().Words()
	if im.q.PlanOnly {
		im.res.Outcomes = append(im.res.Outcomes, Outcome{Plan: pr.plan, Dir: pr.dir, Decision: Planned, Sentence: homeSentence(pr.peer.Name, papers, papers)})
		return nil
	}
	return im.arrive(pr, papers)
}

// homePapers verifies each paper by itself: signed by an appliance key of the sender, about the sender, for us.
func (im *imports) homePapers(pr *prepared) (list []homePaper, err error) {
	m := pr.bundle.Manifest()
	for _, c := range m.Contents {
		b, ok := pr.staged[c.Path]
		if !ok {
			continue
		}
		if c.Bytes > maxPaper || len(list) == maxPapers {
			return nil, code.New(code.ManifestLimit, "too many or too large papers").In(c.Path, "")
		}
		p, err := im.homePaper(pr, b.digest)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.Path, err)
		}
		if (p.receipt != nil) != (c.Role == bundle.RoleReceipt) {
			return nil, code.New(code.PayloadType, "").In(c.Path, "role").Want(c.Role, p.kind())
		}
		list = append(list, p)
	}
	slices.SortStableFunc(list, func(a, b homePaper) int { // receipts first, oldest first: an inventory knows more
		return cmp.Or(-strings.Compare(a.kind(), b.kind()), cmp.Compare(a.counter(), b.counter()))
	})
	return list, nil
}

func (im *imports) homePaper(pr *prepared, d digest.Digest) (p homePaper, err error) {
	f, err := pr.stage.Open(d)
	if err != nil {
		return p, err
	}
	defer f.Close()
	if p.envelope, err = io.ReadAll(io.LimitReader(f, maxPaper)); err != nil {
		return p, err
	}
	signed, err := verify.Document(p.envelope, im.v.only(pr.bundle.Root()))
	if err != nil {
		return p, err
	}
	p.digest = digest.Of(signed.Payload())
	var issuer, to bundle.Appliance
	var tenant string
	switch signed.Type() {
	case attest.TypeReceipt:
		if p.receipt, err = bundle.ParseReceipt(signed.Payload()); err == nil {
			issuer, to, tenant = p.receipt.Issuer, p.receipt.To, p.receipt.Tenant
		}
	case attest.TypeInventory:
		if p.inventory, err = bundle.ParseInventory(signed.Payload()); err == nil {
			issuer, to, tenant = p.inventory.Issuer, p.inventory.To, p.inventory.Tenant
		}
	default:
		err = code.New(code.PayloadType, "").Want("a receipt or an inventory", signed.Type())
	}
	switch {
	case err != nil:
	case issuer.ID != pr.peer.ID:
		err = code.New(code.OriginMismatch, "").In("", "issuer").Want(pr.peer.ID, issuer.ID)
	case to.ID != im.Self.ID:
		err = code.New(code.WrongAudience, "a paper for another appliance").In("", "to").Want(im.Self.ID, to.ID)
	case tenant != pr.peer.Tenant:
		err = code.New(code.WrongTenant, "").In("", "tenant").Want(pr.peer.Tenant, tenant)
	}
	return p, err
}

// arrive is the transaction of an outbound bundle.
func (im *imports) arrive(pr *prepared, papers []homePaper) error {
	im.read(pr)
	var news []homePaper
	err := im.State.Update(im.ctx, func(tx *state.Tx) error {
		news, im.doubts = nil, nil
		for _, p := range papers {
			fresh, err := im.takePaper(tx, pr.peer.Name, pr.peer.ID, pr.peer.Tenant, p)
			if err != nil {
				return fmt.Errorf("%s %d of %s: %w", p.kind(), p.counter(), pr.peer.Name, err)
			}
			if fresh {
				news = append(news, p)
			}
		}
		if err := im.remember(tx, pr, 0); err != nil {
			return err
		}
		if err := im.keepAnchor(tx, pr); err != nil {
			return err
		}
		ev := im.event("bundle.import.accepted", pr, nil)
		delete(ev.Attrs, "plan")
		im.doubt(ev.Attrs)
		for _, p := range news {
			ev.Attrs[fmt.Sprintf("%s/%d", p.kind(), p.counter())] = p.digest.String()
		}
		_, err := im.Timeline.Append(tx, ev)
		return err
	})
	if err != nil {
		return err
	}
	im.FS.Point("import.transaction")
	im.res.Trust, im.doubts = append(im.res.Trust, im.doubts...), nil
	err = im.Marks.Raise(func(s *marks.Set) error {
		for _, p := range papers {
			key := marks.CounterKey(p.kind(), pr.peer.ID)
			s.Counters[key] = max(s.Counters[key], p.counter())
		}
		return nil
	})
	if err == nil {
		im.FS.Point("import.marks")
		err = im.anchor(pr)
	}
	if code.Has(err, code.FsyncFailed) {
		return err
	}
	im.res.Outcomes = append(im.res.Outcomes, Outcome{Plan: pr.plan, Dir: pr.dir, Decision: Applied, Sentence: homeSentence(pr.peer.Name, news, papers)})
	im.FS.Point("import.done")
	return stands(string(Applied), err)
}

// takePaper takes one paper in; false when it was here before. A late one, with a lower counter than the newest, still
// tells what became of its bundle, but not what the peer holds now.
func (im *imports) takePaper(tx *state.Tx, name, id, tenant string, p homePaper) (bool, error) {
	key := id + "\x00" + p.kind() + "\x00" + receiptKey(p.counter())
	old, ok, err := taken.Get(tx, key)
	switch {
	case err != nil:
		return false, err
	case ok && old.Digest == p.digest:
		return false, nil
	case ok:
		return false, code.New(code.CounterOld, "the same counter was used for another paper").Want(old.Digest, p.digest)
	}
	at := clock.Format(im.now.Trusted)
	row := ReceivedRow{Peer: name, PeerID: id, Tenant: tenant, Kind: p.kind(), Counter: p.counter(), Digest: p.digest, At: at, Envelope: p.envelope}
	if p.receipt != nil {
		row.BundleID, row.Decision = p.receipt.BundleID, p.receipt.Decision
	}
	if err := taken.Put(tx, key, row); err != nil {
		return false, err
	}
	peerNow, err := peer.Get(tx, name)
	if err != nil {
		return false, err
	}
	newest := p.counter() > peerNow.Counters[p.kind()]
	if newest {
		if err := peer.Count(tx, name, p.kind(), p.counter()); err != nil {
			return false, err
		}
		if peerNow, err = im.learn(tx, name, p); err != nil {
			return false, err
		}
		if im.Learned != nil {
			if err := im.Learned(tx, name); err != nil {
				return false, err
			}
		}
	}
	if p.receipt == nil || im.Delivered == nil {
		return true, nil
	}
	return true, im.Delivered(tx, Delivery{Peer: peerNow, Tenant: tenant, Receipt: p.receipt, Digest: p.digest, Envelope: p.envelope, At: at})
}

// learn takes over what the newest paper of a peer says about our feeds.
func (im *imports) learn(tx *state.Tx, name string, p homePaper) (peer.Peer, error) {
	if p.inventory != nil {
		if h := p.inventory.LogSeen; h != nil {
			if err := im.logSeen(tx, name, h); err != nil {
				return peer.Peer{}, err
			}
		}
		return peer.Know(tx, name, im.now.Trusted, im.inventoryViews(p.inventory), wantedOf(p.inventory))
	}
	if _, err := peer.Edit(tx, name, func(q *peer.Peer) error {
		q.LastReceipt = receiptNumber(p.receipt.Counter)
		return nil
	}); err != nil {
		return peer.Peer{}, err
	}
	if err := im.witness(tx, name, p.receipt.Issuer.ID, p.receipt.Log); err != nil {
		return peer.Peer{}, err
	}
	if err := im.hearRecovered(tx, name, p.receipt); err != nil {
		return peer.Peer{}, err
	}
	return peer.Know(tx, name, im.now.Trusted, im.receiptViews(p.receipt), nil)
}

// receiptViews is what a receipt that covers something says about our feeds.
func (im *imports) receiptViews(rc *bundle.Receipt) (list []peer.FeedView) {
	if !bundle.Covers(rc.Decision) {
		return nil
	}
	for _, f := range rc.Feeds {
		if f.Origin != im.Self.ID {
			continue
		}
		h := peer.Held{Epoch: f.Epoch, Generation: f.After, Root: f.StateRoot}
		v := peer.FeedView{Feed: f.Feed, Held: []peer.Held{h}, Mark: h, From: peer.FromReceipt}
		if rc.Decision == bundle.Activated || rc.Decision == bundle.AlreadyActive {
			v.Active = h
		}
		list = append(list, v)
	}
	return list
}

func (im *imports) inventoryViews(in *bundle.Inventory) (list []peer.FeedView) {
	for _, f := range in.Feeds {
		if f.Origin != im.Self.ID {
			continue
		}
		v := peer.FeedView{Feed: f.Feed, Mark: peer.Held{Epoch: f.Mark.Epoch, Generation: f.Mark.Generation}, Pinned: f.Pinned, From: peer.FromInventory}
		for _, h := range f.Held {
			held := peer.Held{Epoch: h.Epoch, Generation: h.Generation, Root: h.StateRoot}
			v.Held = append(v.Held, held)
			if h.Epoch == f.Mark.Epoch && h.Generation == f.Mark.Generation {
				v.Mark = held
			}
		}
		if f.Active != nil {
			v.Active = peer.Held{Epoch: f.Active.Epoch, Generation: f.Active.Generation, Root: f.Active.StateRoot}
		}
		list = append(list, v)
	}
	return list
}

func wantedOf(in *bundle.Inventory) []peer.Wanted {
	list := []peer.Wanted{}
	for _, w := range in.Wanted {
		list = append(list, peer.Wanted{BundleID: w.BundleID, Volumes: w.Volumes})
	}
	return list
}

// logSeen notes which head of our log a peer has, so that the next section proves from there. One of the log before our
// last restore says nothing about this one; one that is strange here is kept, and found when the timeline is verified.
func (im *imports) logSeen(tx *state.Tx, name string, h *bundle.Head) error {
	at, err := im.Timeline.Where(tx, *h)
	if err != nil || at == timeline.Earlier {
		return err
	}
	_, err = peer.Edit(tx, name, func(p *peer.Peer) error {
		if p.Log == nil || p.Log.Size < uint64(h.Size) {
			p.Log = &peer.LogHead{Size: uint64(h.Size), Root: h.Root}
		}
		return nil
	})
	return err
}

// Acks are the digests of receipts and inventories taken in from a peer, ascending, for the manifest of the next bundle to it:
// the newest 256.
func Acks(tx *state.Tx, peerID string) (list []digest.Digest, err error) {
	for _, kind := range []string{"receipt", "inventory"} {
		n := 0
		err := taken.ScanBack(tx, peerID+"\x00"+kind+"\x00", "", func(_ string, p ReceivedRow) error {
			list, n = append(list, p.Digest), n+1
			if n == 128 {
				return state.ErrStop
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	slices.SortFunc(list, func(a, b digest.Digest) int { return slices.Compare(a[:], b[:]) })
	return list, nil
}

// ListReceived lists receipts and inventories taken in from a peer ("": all), newest counter first within each kind.
func (r *Room) ListReceived(ctx context.Context, peerID string) (list []ReceivedRow, err error) {
	prefix := ""
	if peerID != "" {
		prefix = peerID + "\x00"
	}
	err = r.State.View(func(tx *state.Tx) error {
		return taken.ScanBack(tx, prefix, "", func(_ string, row ReceivedRow) error {
			list = append(list, row)
			return ctx.Err()
		})
	})
	return list, err
}
