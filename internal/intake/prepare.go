package intake

import (
	"fmt"
	"time"

	"sallyport/internal/bundle"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/feed"
	"sallyport/internal/ident"
	"sallyport/internal/layer"
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
	root    digest.Digest // of the active generation; zero: none
	since   string        // when its origin made the active generation
	records int64         // of the active generation
	pinned  bool
	base    func() (*layer.View, func(), error) // opens the active generation and tells how to close it; nil: none

	writer    *layer.Writer
	meta      layer.Meta
	size      int64 // of the layer file
	installed bool  // under its lasting name
	plan      FeedPlan
}

// fresh tells whether the feed's contents are new here.
func (o *offer) fresh() bool {
	return o.verdict == feed.New || o.verdict == feed.FastForward || o.verdict == feed.NewEpoch
}

// shrinks tells whether more than a fifth of the feed would go.
func (o *offer) shrinks() bool { return o.plan.Removed*5 > o.records && o.records > 0 }

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
	pr.manifest, err = pr.put(pr.bundle.Envelope())
	return err
}

// judge compares one offered feed with the ledger, the marks file and what this import is about to apply.
func (im *imports) judge(pr *prepared, ref ident.FeedRef, f bundle.FeedState) (o offer, err error) {
	o = offer{ref: ref, state: f, index: len(pr.offers)}
	if before := im.pending[ref]; before != nil {
		return o, o.after(before)
	}
	err = im.State.View(func(tx *state.Tx) error {
		var mark *marks.Mark
		if m, ok := im.Marks.Feed(ref.Key()); ok {
			mark = &m
		}
		if o.verdict, err = feed.Judge(tx, ref, mark, o.point(), f.StateRoot); err != nil {
			return err
		}
		if mark == nil && o.verdict == feed.New && f.Generation > feed.MaxJump {
			o.verdict = feed.FastForward // without a mark, generation 0 is where we stand
		}
		return im.standing(tx, &o)
	})
	if err != nil {
		return o, fmt.Errorf("judge feed %s: %w", f.Feed, err)
	}
	pr.since = o.since
	return o, o.refusal()
}

// standing reads what is active now.
func (im *imports) standing(tx *state.Tx, o *offer) error {
	f, ok, err := feed.Get(tx, o.ref)
	if err != nil || !ok {
		return err
	}
	o.pinned = f.Pinned
	g, ok, err := feed.Current(tx, o.ref)
	if err != nil || !ok {
		return err
	}
	o.active, o.root, o.records = g.Point, g.Root, g.Records
	o.since = g.GeneratedAt
	o.base = func() (*layer.View, func(), error) {
		v, err := im.view(g)
		return v, func() { v.Close() }, err
	}
	return nil
}

// after judges an offer against one that this import applies first.
func (o *offer) after(b *offer) error {
	o.active, o.root, o.records, o.pinned = b.point(), b.state.StateRoot, b.state.Records, b.pinned
	o.base = func() (*layer.View, func(), error) { return sealed(b.writer.Path()) }
	if b.pinned {
		o.active, o.root, o.records, o.base = b.active, b.root, b.records, b.base
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

// epochs demands that the sender's root names a higher epoch.
func (im *imports) epochs(pr *prepared) error {
	doc := pr.bundle.Root().Document()
	for i := range pr.offers {
		o := &pr.offers[i]
		if o.verdict != feed.NewEpoch {
			continue
		}
		named := false
		for _, e := range doc.FeedEpochs {
			named = named || e.Feed == o.state.Feed && e.Origin == o.state.Origin && e.Tenant == pr.peer.TheirTenant && e.Epoch == o.state.Epoch
		}
		if !named {
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
		pr.plan.Space += o.size
		if rank[o.plan.Decision] > rank[pr.plan.Decision] {
			pr.plan.Decision = o.plan.Decision
		}
		switch {
		case o.verdict == feed.FastForward:
			pr.plan.NeedsApproval = fmt.Sprintf("generation %d of %s is more than %d above the highest accepted here: two people must say yes", o.state.Generation, o.state.Feed, feed.MaxJump)
		case o.shrinks():
			pr.plan.NeedsApproval = fmt.Sprintf("%d of %d records of %s would be removed", o.plan.Removed, o.records, o.state.Feed)
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
	if !o.root.IsZero() {
		p.BeforeRoot = o.root.String()
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
