package intake

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"sallyport/internal/approval"
	"sallyport/internal/code"
	"sallyport/internal/feed"
	"sallyport/internal/ident"
	"sallyport/internal/marks"
	"sallyport/internal/media"
)

// The kinds of bundles this room knows.
const (
	kindMirror   = "mirror"
	kindOutbound = "outbound"
)

// imports is one call of Import.
type imports struct {
	*Room
	ctx      context.Context
	q        Request
	v        *visit
	progress Progress
	res      Result
	ready    []*prepared              // verified, layered, waiting for approval, in order of creation
	pending  map[ident.FeedRef]*offer // what feeds will be once ready is applied
	doubts   []TrustChange            // of the transaction that is running
	now      marks.Reading            // of the bundle that is being accepted: the visit's, or later by the bundle's own anchor
	used     bool                     // the approval was used up by the first bundle applied
	late     []belated                // deltas whose base may still come in with this plan
	rows     []WaitingRow             // what waited here when the import began
	opens    []*media.Medium          // folders of what waits here
	carried  []approval.Grant         // given to every new bundle of the plan while it was parked
}

// Import takes in what is on a medium for this appliance: outbound bundles at once, mirrors after their plan is approved
// (Yes, or Approve with the plan's digest). The error is the first refusal, or nothing-for-us; Result is filled either
// way. Cancelling ctx stops between two bytes and leaves nothing but staging, which is dropped.
func (r *Room) Import(ctx context.Context, q Request, progress Progress) (Result, error) {
	select {
	case <-r.one:
		defer func() { r.one <- struct{}{} }()
	case <-ctx.Done():
		return Result{}, code.Wrap(code.Interrupted, ctx.Err(), "wait for the import before this one")
	}
	if progress == nil {
		progress = func(string, int64, int64) {}
	}
	look := r.look
	if q.own {
		look = r.inside
	}
	v, err := look(ctx, q.Path)
	if err != nil {
		return Result{}, err
	}
	defer v.medium.Close()
	if err := v.keepOnly(q.only); err != nil {
		return Result{}, err
	}
	im := &imports{Room: r, ctx: ctx, q: q, v: v, now: v.time, progress: progress, pending: map[ident.FeedRef]*offer{}}
	defer im.drop()
	err = im.run()
	if lerr := im.leave(); err == nil {
		err = lerr
	}
	if cerr := im.letGo(); err == nil {
		err = cerr
	}
	if err != nil {
		return im.res, stopped(ctx, err)
	}
	return im.res, im.verdict()
}

func (im *imports) run() error {
	im.v.papers()
	im.res.Trust = im.v.trust
	if !im.q.PlanOnly {
		if err := im.noNumberTwice(im.v.own.ID(), im.v.published); err != nil {
			return err
		}
	}
	for _, c := range im.v.others {
		im.skip(c)
	}
	for _, c := range im.v.broken {
		if err := im.refuse(c, nil, c.err); err != nil {
			return err
		}
	}
	list, err := im.candidates()
	if err != nil {
		return err
	}
	if err := im.approveParked(); err != nil {
		return err
	}
	for _, c := range list {
		if err := im.take(c); err != nil {
			return err
		}
	}
	if err := im.belated(); err != nil {
		return err
	}
	im.versions()
	im.makePlan()
	if err := im.decide(); err != nil {
		return err
	}
	return im.newCards()
}

// newCards records newer cards of known peers, when the visit was a good one: a medium with something refused on it, or
// one that was only looked at, changes nothing here.
func (im *imports) newCards() error {
	refused := slices.ContainsFunc(im.res.Outcomes, func(o Outcome) bool { return o.Decision == Refused })
	waiting := slices.ContainsFunc(im.ready, func(pr *prepared) bool { return !pr.done })
	if refused || waiting || im.q.PlanOnly || im.q.only != nil {
		return nil
	}
	for _, n := range im.v.cards {
		if err := im.recordCard(im.ctx, n); err != nil {
			return err
		}
		im.res.Cards = append(im.res.Cards, n.peer.Name)
	}
	return nil
}

// take brings one bundle as far as it goes without an approval.
func (im *imports) take(c candidate) error {
	if err := im.ctx.Err(); err != nil {
		return code.Wrap(code.Interrupted, err, "import")
	}
	done, err := im.again(c)
	if err != nil || done {
		return im.settle(c, nil, err)
	}
	if c.err != nil {
		return im.wait(c, nil)
	}
	return im.enter(c)
}

// enter sends a whole bundle through the gate.
func (im *imports) enter(c candidate) error {
	switch kind := c.packing.Label().Kind; kind {
	case kindOutbound:
		return im.unless(c, nil, im.home(c))
	case kindMirror:
		pr, err := im.prepare(c)
		if err != nil {
			return im.unless(c, pr, err)
		}
		im.ready = append(im.ready, pr)
		return nil
	default:
		return im.settle(c, nil, code.New(code.ReaderTooOld, "this version does not take in bundles of kind %.20q", kind).In(c.dir, "kind"))
	}
}

// unless keeps what another day can put right, and settles everything else.
func (im *imports) unless(c candidate, pr *prepared, err error) error {
	switch {
	case err == nil || im.ctx.Err() != nil:
	case isCode(err, code.VolumeMissing, code.VolumeDamaged, code.MediumRead, code.MediumGone) && c.again == 0 && !c.parked(),
		code.Of(err) == code.VolumeDamaged && c.again == 1 && c.row != nil && !c.parked(): // one that stood here was not read then
		return im.wait(c, err)
	case code.Of(err) == code.BaseMissing:
		im.late = append(im.late, belated{c, len(im.ready)})
		return nil
	case c.parked() && code.Of(err) == code.Rollback:
		return im.overtaken(*c.row)
	}
	return im.settle(c, pr, err)
}

// settle makes a refusal of an error that is the bundle's fault, and gives back every other.
func (im *imports) settle(c candidate, pr *prepared, err error) error {
	if err == nil {
		return nil
	}
	if im.ctx.Err() != nil {
		return code.Wrap(code.Interrupted, err, "import")
	}
	if !ofBundle(err) {
		return err
	}
	if c.row != nil && len(c.sources) == 0 && code.Of(err) == code.MediumRead {
		im.Log.Error("a bundle that waits here cannot be read", "bundle", c.row.Name, "err", err) // our disk, not a medium
		return nil
	}
	return im.refuse(c, pr, err)
}

// ofBundle tells whether an error speaks about the bundle or the medium, not about this appliance.
func ofBundle(err error) bool {
	switch c := code.Of(err); c {
	case code.StoreCorrupt, code.StateCorrupt, code.WrongInstance, code.TimelineBroken, code.BadUsage, code.PlanChanged, code.Conflict, code.StateNewer:
		return false
	default:
		switch code.Lookup(c).Kind {
		case code.Integrity, code.Trust, code.Monotonic, code.Stale, code.Decrypt, code.Base, code.Usage:
			return true
		}
		return c == code.WaitingFull || c == code.VolumeMissing || c == code.LabelMissing || c == code.MediumRead || c == code.Missing
	}
}

// decide applies what is ready when that is wanted and approved; else everything in staging is dropped.
func (im *imports) decide() error {
	if len(im.ready) == 0 || im.q.PlanOnly {
		return nil
	}
	silent, err := im.q.Approve == "" && !im.q.Yes, error(nil)
	if im.carried, err = im.parkedGrants(); err != nil {
		return err
	}
	if !im.res.Plan.Nothing() {
		if im.q.Approve != "" && im.q.Approve != im.res.Plan.Digest {
			return code.New(code.PlanChanged, "").Want(fmt.Sprintf("%.80q", im.q.Approve), im.res.Plan.Digest)
		}
		if silent && im.Approvals > 0 && (len(im.carried) < im.Approvals || im.special() > 0) {
			return nil
		}
		if silent && im.special() > 0 {
			return nil
		}
	}
	grants, err := im.approve()
	if code.Of(err) == code.FastForward {
		return im.tooFar(err)
	}
	if err != nil {
		return err
	}
	for _, pr := range im.ready {
		if err := im.apply(pr, grants); err != nil {
			im.res.Applied = pr.done && !im.res.Plan.Nothing()
			return fmt.Errorf("apply %s: %w", pr.plan.Name, err)
		}
	}
	im.res.Applied = !im.res.Plan.Nothing()
	return nil
}

// tooFar refuses the bundles that jump far above the mark until two people approve; with them the whole plan waits.
func (im *imports) tooFar(why error) error {
	for _, pr := range im.ready {
		for i := range pr.offers {
			if pr.offers[i].verdict == feed.FastForward && !pr.done {
				pr.done = true
				if err := im.refuse(candidate{dir: pr.dir, packing: pr.packing}, pr, why); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// drop gives back what is still in staging.
func (im *imports) drop() {
	for _, pr := range im.ready {
		pr.drop()
	}
	for _, m := range im.opens {
		m.Close()
	}
}

// verdict sums up: the sentence for people and the error for scripts.
func (im *imports) verdict() error {
	im.outcomes()
	im.unlisted()
	im.res.Sentence = im.sentence()
	if t := im.v.time; t.Suspect || t.Unproven {
		im.res.Clock = t.Words()[0]
	}
	var first, later error
	good := false
	for _, o := range im.res.Outcomes {
		switch o.Decision {
		case Refused:
			if first == nil {
				first = o.Err
			}
		case Skipped:
		case Waits, Parked:
			if later == nil {
				later = o.Err
			}
			good = true
		default:
			good = true
		}
	}
	if good && isCode(first, code.Rollback, code.LabelMissing) {
		return later // an old bundle or half a copy beside a good one: nothing to do about it here
	}
	if first == nil && !good {
		return im.nothing()
	}
	if first == nil {
		return later
	}
	return first
}

// outcomes adds what was prepared and is still only a plan.
func (im *imports) outcomes() {
	for _, pr := range im.ready {
		if pr.done {
			continue
		}
		o := Outcome{Plan: pr.plan, Dir: pr.dir, Decision: Planned, Sentence: plannedSentence(pr.plan)}
		if pr.already() {
			o.Decision, o.Sentence = pr.plan.Decision, nothingNew
		}
		im.res.Outcomes = append(im.res.Outcomes, o)
	}
}

// unlisted adds the files beside each bundle that its label does not name, and the sheets that it names and are missing.
func (im *imports) unlisted() {
	for _, c := range im.v.ours {
		for i := range im.res.Outcomes {
			if o := &im.res.Outcomes[i]; o.Dir == c.dir && c.packing != nil {
				for _, name := range c.packing.Unlisted() {
					o.Unlisted = append(o.Unlisted, clean(name))
				}
				o.Lacking = c.packing.Lacking()
			}
		}
	}
}

func (im *imports) nothing() error {
	if len(im.v.others) > 0 {
		return code.New(code.NothingForUs, "")
	}
	if im.v.refused != nil && len(im.res.Trust) == 1 && len(im.res.Cards)+len(im.v.fresh) == 0 {
		return im.v.refused
	}
	if len(im.res.Cards)+len(im.res.Trust) > 0 || len(im.v.fresh) > 0 {
		return nil
	}
	return code.New(code.NothingForUs, "no bundle on this medium").Do("Check that this is the right stick. Nothing was changed.")
}

// special is how many people a plan needs whatever the rule is: 1 when it removes more than a fifth of a feed, 2 when a
// generation is far above the mark.
func (im *imports) special() (n int) {
	for _, pr := range im.ready {
		for i := range pr.offers {
			if pr.offers[i].verdict == feed.FastForward {
				return 2
			}
			if pr.offers[i].shrinks() {
				n = 1
			}
		}
	}
	return n
}

// stopped gives an error its code when it is nothing but the end of the context, wherever that was noticed.
func stopped(ctx context.Context, err error) error {
	if ctx.Err() != nil && code.Of(err) == code.Bug && errors.Is(err, ctx.Err()) {
		return code.Wrap(code.Interrupted, err, "import")
	}
	return err
}
