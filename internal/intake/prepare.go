package intake

import (
	"fmt"
	"time"

	"sallyport/internal/bundle"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/feed"
	"sallyport/internal/ident"
	"sallyport/internal/marks"
	"sallyport/internal/state"
	"sallyport/internal/verify"
)

// prepared is one mirror bundle, verified, staged and layered.
type prepared struct {
	*sink
	dir      string
	packing  *verify.Packing
	bundle   *verify.Bundle
	plan     BundlePlan
	keep     []digest.Digest // blobs to commit
	manifest digest.Digest   // blob of the manifest's envelope
	now      marks.Reading   // the visit's, or later by the bundle's own anchor
	since    string          // when the data that is active here was made, for a sentence
	done     bool
}

// offer is one feed of a bundle against what is held here.
type offer struct {
	ref     ident.FeedRef
	state   bundle.FeedState
	index   int
	verdict feed.Verdict
	active  feed.Point
	current *stack // the active generation, as it will be when this offer's turn comes; nil: none
	pinned  bool
	before  *offer // of the same feed, applied first by this import; nil: none

	whole bool     // the bundle carries every record: a full, or a delta that resets the baseline
	from  *stack   // what a delta is applied to
	made  *stack   // what the feed becomes; nil while it is not built
	own   []*piece // the layers that were built for it; made may have others too
	plan  FeedPlan

	uncounted bool // what is active cannot be read: nobody knows how many records would go
}

// drop removes the layers that were built and have no lasting name.
func (o *offer) drop() {
	for _, p := range o.own {
		p.drop()
	}
}

// size is what the layers that were built take on the disk.
func (o *offer) size() (n int64) {
	for _, p := range o.own {
		n += p.size
	}
	return n
}

// fresh tells whether the feed's contents are new here.
func (o *offer) fresh() bool {
	return o.verdict == feed.New || o.verdict == feed.FastForward || o.verdict == feed.NewEpoch
}

// shrinks tells whether more than a fifth of the feed would go, or may.
func (o *offer) shrinks() bool {
	return o.uncounted || o.current != nil && o.plan.Removed*5 > o.current.records
}

func (o *offer) point() feed.Point {
	return feed.Point{Epoch: o.state.Epoch, Generation: o.state.Generation}
}

// already tells that nothing of the bundle is new.
func (pr *prepared) already() bool {
	for i := range pr.offers {
		if pr.offers[i].fresh() {
			return false
		}
	}
	return true
}

// prepare sends one bundle through the gate into staging and builds its layers. On an error staging is dropped; what it
// returns then serves to describe the refusal.
func (im *imports) prepare(c candidate) (pr *prepared, err error) {
	l := c.packing.Label()
	s := &sink{room: im.Room, circle: im.v.circle, label: l, staged: map[string]blob{}}
	pr = &prepared{sink: s, dir: c.dir, packing: c.packing}
	pr.plan = BundlePlan{
		Name: l.Name, Kind: l.Kind, Variant: l.Variant, BundleID: l.BundleID.String(), LabelID: c.packing.ID().String(),
		From: l.Appliance.Name, Signer: c.packing.Signer().Words(), Bytes: l.Bytes, CreatedAt: l.CreatedAt,
	}
	defer func() {
		if err != nil {
			pr.drop()
		}
	}()
	if err := im.open(pr); err != nil {
		return pr, err
	}
	im.FS.Point("import.verified")
	if err := im.layers(pr); err != nil {
		return pr, err
	}
	im.FS.Point("import.layered")
	im.describe(pr)
	for i := range pr.offers {
		if o := &pr.offers[i]; o.fresh() {
			im.pending[o.ref] = o
		}
	}
	return pr, nil
}

// open is the way through the gate: space first, then every byte once.
func (im *imports) open(pr *prepared) (err error) {
	im.proveLabel(pr)
	release, err := im.CAS.Reserve(pr.label.Bytes)
	if err != nil {
		return fmt.Errorf("reserve space for %s: %w", pr.label.Name, err)
	}
	pr.release = append(pr.release, release)
	if pr.stage, err = im.CAS.Stage(); err != nil {
		return fmt.Errorf("stage %s: %w", pr.label.Name, err)
	}
	o := im.v.gate()
	o.Sink = pr.sink
	o.Progress = func(done, total int64) { im.progress("verify "+pr.label.Name, done, total) }
	pr.judge = func(ref ident.FeedRef, f bundle.FeedState) (offer, error) { return im.judge(pr, ref, f) }
	pr.base, pr.merging = im.base, im.merging
	if pr.bundle, err = verify.Open(im.ctx, pr.packing, o); err != nil {
		return err
	}
	if err := pr.closeCurrent(); err != nil {
		return err
	}
	im.FS.Point("import.staged")
	if !pr.bundle.Done() {
		return code.New(code.Bug, "the gate did not finish")
	}
	pr.now = im.reading(pr)
	if err := im.epochs(pr); err != nil {
		return err
	}
	im.proveWhole(pr)
	pr.manifest, err = pr.put(pr.bundle.Envelope())
	return err
}

// judge compares one offered feed with the ledger, the marks file and what this import is about to apply.
func (im *imports) judge(pr *prepared, ref ident.FeedRef, f bundle.FeedState) (o offer, err error) {
	o = offer{ref: ref, state: f, index: len(pr.offers), before: im.pending[ref]}
	if o.before != nil {
		err := o.after()
		if err == nil {
			err = im.marked(pr, &o)
		}
		if o.verdict == feed.SiteAhead && im.holds(&o) {
			o.verdict, err = feed.AlreadyHeld, nil
		}
		return o, err
	}
	err = im.State.View(func(tx *state.Tx) error {
		var mark *marks.Mark
		if m, ok := im.Marks.Feed(ref.Key()); ok {
			mark = &m
		}
		if o.verdict, err = feed.Judge(tx, ref, mark, o.point(), f.StateRoot); err != nil {
			return err
		}
		if err := im.acceptedBefore(tx, pr, &o); err != nil {
			return err
		}
		if mark == nil && o.verdict == feed.New && f.Generation > feed.MaxJump {
			o.verdict = feed.FastForward // without a mark, generation 0 is where we stand
		}
		return o.standing(tx)
	})
	if err != nil {
		return o, fmt.Errorf("judge feed %s: %w", f.Feed, err)
	}
	if o.current != nil {
		pr.since = o.current.since
	}
	return o, o.refusal()
}

// holds tells whether an offer older than one that comes first is held here, or will be by then: a hub whose clock went back
// dates its newest bundle before the others.
func (im *imports) holds(o *offer) (held bool) {
	for b := o.before; b != nil && !held; b = b.before {
		held = b.point() == o.point() && b.state.StateRoot == o.state.StateRoot
	}
	if held {
		return true
	}
	err := im.State.View(func(tx *state.Tx) error {
		v, err := feed.Judge(tx, o.ref, nil, o.point(), o.state.StateRoot)
		held = v == feed.AlreadyHeld || v == feed.AlreadyActive
		return err
	})
	return err == nil && held
}

// standing reads what is active now.
func (o *offer) standing(tx *state.Tx) error {
	f, ok, err := feed.Get(tx, o.ref)
	if err != nil || !ok {
		return err
	}
	o.pinned = f.Pinned
	g, ok, err := feed.Current(tx, o.ref)
	if err != nil || !ok {
		return err
	}
	o.active, o.current = g.Point, stackOf(g)
	return nil
}

// after judges an offer against one that this import applies first.
func (o *offer) after() error {
	b := o.before
	o.active, o.current, o.pinned = b.point(), b.made, b.pinned
	if b.pinned {
		o.active, o.current = b.active, b.current
	}
	switch p := o.point(); {
	case p == b.point() && o.state.StateRoot == b.state.StateRoot:
		o.verdict = feed.AlreadyActive
		if b.pinned {
			o.verdict = feed.AlreadyHeld
		}
	case p == b.point():
		o.verdict = feed.Forked
	case p.Less(b.point()):
		o.verdict = feed.SiteAhead
	case p.Epoch > b.point().Epoch:
		o.verdict = feed.NewEpoch
	case p.Generation > b.point().Generation+feed.MaxJump:
		o.verdict = feed.FastForward
	default:
		o.verdict = feed.New
	}
	return o.refusal()
}

// refusal is the error for what may not come in.
func (o *offer) refusal() error {
	place := "feed " + o.state.Feed
	switch o.verdict {
	case feed.Forked:
		return code.New(code.Fork, "generation %d of %s was accepted here with other contents", o.state.Generation, o.state.Feed).In("", place).
			Want("the state root accepted here", o.state.StateRoot)
	case feed.SiteAhead:
		return code.New(code.Rollback, "generation %d of %s is older than what was accepted here", o.state.Generation, o.state.Feed).
			In("", place).Want(fmt.Sprint("above generation ", o.active.Generation), fmt.Sprint("generation ", o.state.Generation))
	}
	return nil
}

// epochs demands that the sender's root names a higher epoch: for the feed, or as that of all feeds since a restore.
func (im *imports) epochs(pr *prepared) error {
	doc := pr.bundle.Root().Document()
	for i := range pr.offers {
		o := &pr.offers[i]
		if o.verdict != feed.NewEpoch {
			continue
		}
		var highest int64
		named := false
		if re := doc.Restored(); re != nil {
			highest, named = re.Epoch, re.Epoch == o.state.Epoch // also a feed that the backup did not know
		}
		for _, e := range doc.FeedEpochs {
			if e.Feed == o.state.Feed && e.Origin == o.state.Origin && e.Tenant == pr.peer.TheirTenant {
				highest, named = max(highest, e.Epoch), named || e.Epoch == o.state.Epoch
			}
		}
		switch {
		case named:
		case o.state.Epoch < highest:
			return code.New(code.EpochUnknown, "written before %s was restored", pr.peer.Name).
				In(pr.plan.Name, "feed "+o.state.Feed).Want(fmt.Sprintf("epoch %d, the one its trust root names", highest), o.state.Epoch).
				Do("It belongs to a life that ended: take a newer bundle of " + pr.peer.Name + ".")
		default:
			return code.New(code.EpochUnknown, "").In(pr.plan.Name, "feed "+o.state.Feed).Want("an epoch the trust root names", o.state.Epoch)
		}
	}
	return nil
}

// describe fills the plan of the bundle.
func (im *imports) describe(pr *prepared) {
	m := pr.bundle.Manifest()
	pr.plan.Space, pr.plan.DataTime = 0, m.GeneratedAt
	pr.plan.Signer = pr.bundle.Signer().Words()
	if at, err := time.Parse(time.RFC3339, m.GeneratedAt); err == nil {
		pr.plan.AgeSeconds = max(0, int64(pr.now.Trusted.Sub(at)/time.Second))
	}
	pr.plan.Decision = AlreadyActive
	for i := range pr.offers {
		o := &pr.offers[i]
		o.describe(pr.peer.Name)
		pr.plan.Feeds = append(pr.plan.Feeds, o.plan)
		pr.plan.Space += o.size()
		if rank[o.plan.Decision] > rank[pr.plan.Decision] {
			pr.plan.Decision = o.plan.Decision
		}
		switch {
		case o.verdict == feed.FastForward:
			pr.plan.NeedsApproval = fmt.Sprintf("generation %d of %s is more than %d above the highest accepted here: two people must say yes", o.state.Generation, o.state.Feed, feed.MaxJump)
		case o.uncounted:
			pr.plan.NeedsApproval = fmt.Sprintf("what is active of %s is damaged here, so what would be removed cannot be counted", o.state.Feed)
		case o.shrinks():
			pr.plan.NeedsApproval = fmt.Sprintf("%d of %d records of %s would be removed", o.plan.Removed, o.current.records, o.state.Feed)
		}
	}
	for _, b := range pr.staged {
		pr.plan.Space += b.bytes
	}
}

// rank orders decisions about feeds: the bundle's is the highest.
var rank = map[Decision]int{AlreadyActive: 0, AlreadyHeld: 1, Held: 2, Activated: 3}

func (o *offer) describe(origin string) {
	p := &o.plan
	p.Feed, p.Origin, p.OriginName, p.Tenant = o.state.Feed, o.state.Origin, origin, o.ref.Tenant
	p.Epoch, p.Generation, p.Before, p.Records = o.state.Epoch, o.state.Generation, o.active.Generation, o.state.Records
	p.AfterRoot = o.state.StateRoot.String()
	if o.current != nil {
		p.BeforeRoot = o.current.root.String()
	}
	p.Refresh = o.whole
	if o.from != nil {
		p.Base = o.from.point.Generation
	}
	switch {
	case !o.fresh() && o.verdict == feed.AlreadyHeld:
		p.Decision, p.Unchanged = AlreadyHeld, o.state.Records
	case !o.fresh():
		p.Decision, p.Unchanged = AlreadyActive, o.state.Records
	case o.pinned:
		p.Decision = Held
	default:
		p.Decision = Activated
	}
}
