package intake

import (
	"fmt"
	"slices"

	"sallyport/internal/approval"
	"sallyport/internal/attest"
	"sallyport/internal/clock"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/feed"
	"sallyport/internal/marks"
	"sallyport/internal/state"
	"sallyport/internal/timeline"
)

// approve writes down who says yes, and refuses while that is not enough people.
func (im *imports) approve() ([]approval.Grant, error) {
	if im.res.Plan.Nothing() {
		return nil, nil
	}
	d, err := digest.Parse(im.res.Plan.Digest)
	if err != nil {
		return nil, err
	}
	special := im.special()
	var p approval.Plan
	err = im.State.Update(im.ctx, func(tx *state.Tx) (err error) {
		at := im.v.time.Trusted
		p, err = approval.Propose(tx, approval.Plan{
			Digest: d, Tenant: im.ready[0].peer.Tenant, Kind: "import", Subject: im.res.Plan.subject(), Proposer: im.q.Actor,
			Need: approval.Need(im.Approvals, special),
		}, at, im.Expire)
		if err != nil || p.Need == 0 {
			return err
		}
		for _, g := range im.carried {
			if g.OwnOnly && g.Person != p.Proposer {
				continue // it was a yes to what they proposed themselves
			}
			if p, err = approval.Approve(tx, d, g, at); err != nil {
				return err
			}
		}
		if im.q.Approve == "" && !im.q.Yes {
			return nil // nobody says yes now; those who did while it was parked are enough
		}
		if im.q.Lone && len(p.Grants) > 0 && !slices.ContainsFunc(p.Grants, func(g approval.Grant) bool { return g.Person == im.q.Actor }) {
			return code.New(code.PlanApproval, "root that nobody signed in to start may propose a plan, but is not the second person for plan %s", d)
		}
		p, err = approval.Approve(tx, d, approval.Grant{Person: im.q.Actor, Role: im.role(), At: clock.Format(at), OwnOnly: im.q.OwnOnly}, at)
		return err
	})
	switch {
	case err != nil:
		return nil, fmt.Errorf("approve plan %s: %w", d.Short(), err)
	case p.Enough():
		return p.Grants, nil
	case special == 2:
		return nil, code.New(code.FastForward, "").In(im.ready[0].plan.Name, "").Want(fmt.Sprint("two people who approve ", d), len(p.Grants))
	}
	return nil, code.New(code.PlanApproval, "a second person must approve plan %s", d)
}

func (im *imports) role() string {
	if im.q.Role == "" {
		return "operator"
	}
	return im.q.Role
}

// subject is what a person sees in a list of approvals.
func (p Plan) subject() string {
	if len(p.Bundles) == 1 {
		return p.Bundles[0].Name
	}
	return fmt.Sprintf("%d bundles, first %s", len(p.Bundles), p.Bundles[0].Name)
}

// accepted is what the transaction of one bundle learns.
type accepted struct {
	outcome  feed.Outcome
	receipt  ReceiptRow
	decision Decision
}

// apply makes one prepared bundle part of this appliance: blobs, layers, one transaction, marks.
func (im *imports) apply(pr *prepared, grants []approval.Grant) error {
	defer pr.drop()
	im.read(pr)
	if pr.already() {
		return im.confirm(pr)
	}
	im.progress("commit "+pr.plan.Name, 0, 0)
	slices.SortFunc(pr.keep, func(a, b digest.Digest) int { return slices.Compare(a[:], b[:]) })
	pr.keep = slices.Compact(pr.keep)
	if err := pr.stage.Commit(append(pr.keep, pr.manifest)...); err != nil {
		return err
	}
	proposals, err := im.install(pr)
	if err != nil {
		return err
	}
	im.FS.Point("import.committed")
	acc, err := im.transact(pr, proposals, grants)
	if isCode(err, code.Conflict, code.PlanChanged) {
		im.uninstall(pr)
	}
	if err != nil {
		return err
	}
	im.FS.Point("import.transaction")
	err = im.raise(pr)
	if code.Has(err, code.FsyncFailed) {
		return err
	}
	im.FS.Point("import.marks")
	im.removeLayers(acc.outcome.Dropped)
	im.done(pr, acc)
	im.FS.Point("import.done")
	return stands(string(acc.decision), err)
}

// stands says of an error after the transaction that what was decided stands all the same. The marks count in memory, and
// are written with the next that rises or at the next start.
func stands(decision string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s, but its marks were not written: %w", decision, err)
}

// install renames the sealed layers to their names and says what each feed would become.
func (im *imports) install(pr *prepared) ([]feed.Proposal, error) {
	var list []feed.Proposal
	var live map[string]bool
	err := im.State.View(func(tx *state.Tx) (err error) {
		live, err = feed.LayerFiles(tx)
		return err
	})
	if err != nil {
		return nil, err
	}
	for i := range pr.offers {
		o := &pr.offers[i]
		if !o.fresh() {
			continue
		}
		p, err := im.proposal(pr, o, live)
		if err != nil {
			return nil, fmt.Errorf("install layer of %s: %w", o.state.Feed, err)
		}
		list = append(list, p)
	}
	return list, nil
}

func (im *imports) proposal(pr *prepared, o *offer, live map[string]bool) (feed.Proposal, error) {
	g := feed.Generation{
		Point: o.point(), Root: o.state.StateRoot, Records: o.state.Records, Counts: o.made.counts, Bytes: o.made.bytes,
		BundleID: pr.bundle.ID(), Signer: pr.bundle.Signer().ID(), Manifests: o.made.vouchers,
		GeneratedAt: o.made.since, AcceptedAt: clock.Format(im.now.Trusted),
	}
	if a := pr.bundle.Anchor(); a != nil {
		g.AnchorTime = a.AnchorTime
	}
	p := feed.Proposal{Ref: o.ref}
	if o.from != nil { // its layers name the shards and documents of what has not changed
		for _, l := range o.from.pieces() {
			if !l.named {
				return p, code.New(code.Bug, "the bundle that makes the base comes later in the plan")
			}
			p.Uses = append(p.Uses, l.layer.File)
		}
	}
	for _, l := range o.made.pieces() {
		if err := l.install(im.Layers, live); err != nil {
			return p, err
		}
		g.Layers = append(g.Layers, l.layer)
	}
	p.Generation = g
	return p, nil
}

// transact is the commit point of one bundle.
func (im *imports) transact(pr *prepared, proposals []feed.Proposal, grants []approval.Grant) (acc accepted, err error) {
	plan, err := feed.NewPlan(proposals...)
	if err != nil {
		return acc, err
	}
	counter, err := im.Marks.Issue("own-receipt", im.Self.ID)
	if err != nil {
		return acc, err
	}
	key, err := im.Keys.Appliance()
	if err != nil {
		return acc, err
	}
	err = im.State.Update(im.ctx, func(tx *state.Tx) error {
		acc = accepted{}
		if err := im.use(tx); err != nil {
			return err
		}
		out, err := feed.Activate(tx, plan, im.now.Trusted)
		if err != nil {
			return err
		}
		if err := pr.asPlanned(out.Changes); err != nil {
			return err
		}
		acc.outcome, acc.decision = out, Held
		for _, c := range out.Changes {
			if c.Decision == feed.Activated {
				acc.decision = Activated
			}
		}
		return im.book(tx, pr, &acc, counter, grants, key)
	})
	return acc, err
}

// asPlanned demands that nothing is activated but what the plan says, over what the plan says: a feed may have been unpinned
// since. That one is held which was to be activated, because a person went back meanwhile, is no reason to stop.
func (pr *prepared) asPlanned(changes []feed.Change) error {
	for _, c := range changes {
		for i := range pr.offers {
			o := &pr.offers[i]
			if o.ref == c.Ref && c.Decision == feed.Activated && (o.plan.Decision != Activated || c.Before != o.active) {
				return code.New(code.PlanChanged, "feed %s was steered while the plan was made", c.Ref.Name).In(pr.plan.Name, "feed "+c.Ref.Name).
					Want(fmt.Sprint(o.plan.Decision, " over ", o.active), fmt.Sprint(c.Decision, " over ", c.Before))
			}
		}
	}
	return nil
}

// uninstall removes the layers of a bundle whose transaction did not take place.
func (im *imports) uninstall(pr *prepared) {
	var list []feed.Layer
	for i := range pr.offers {
		for _, p := range pr.offers[i].own {
			if p.named {
				list = append(list, p.layer)
			}
		}
	}
	im.removeLayers(list)
}

// use checks the approval again and marks it used; the first bundle of a plan does it for all.
func (im *imports) use(tx *state.Tx) error {
	if im.used {
		return nil
	}
	d, err := digest.Parse(im.res.Plan.Digest)
	if err != nil {
		return err
	}
	if _, err := approval.Use(tx, d, im.v.time.Trusted); err != nil {
		return err
	}
	tx.OnCommit(func() { im.used = true })
	return nil
}

// book writes events, receipt and memory of a bundle that was accepted.
func (im *imports) book(tx *state.Tx, pr *prepared, acc *accepted, counter int64, grants []approval.Grant, key *attest.Signer) error {
	im.doubts = nil
	if err := im.witness(tx, pr.peer.Name, pr.peer.ID, pr.bundle.Manifest().Log); err != nil {
		return err
	}
	events := []timeline.Event{im.event("bundle.import.accepted", pr, nil), im.event("bundle.import."+string(acc.decision), pr, acc.outcome.Changes)}
	if acc.outcome.Changes == nil {
		events = events[:1]
	} else if ev, ok := im.applied(pr); ok {
		events = append(events, ev)
	}
	im.doubt(events[0].Attrs)
	for _, ev := range events {
		if _, err := im.Timeline.Append(tx, ev); err != nil {
			return err
		}
	}
	receipt, err := im.receipt(tx, pr, acc, counter, grants, key)
	if err != nil {
		return err
	}
	acc.receipt = receipt
	if err := receipts.Put(tx, receiptKey(counter), receipt); err != nil {
		return err
	}
	if err := im.remember(tx, pr, counter); err != nil {
		return err
	}
	if err := im.keepAnchor(tx, pr); err != nil {
		return err
	}
	return acknowledge(tx, pr.peer.ID, pr.bundle.Manifest().Acks, clock.Format(im.now.Trusted))
}

func (im *imports) event(kind string, pr *prepared, changes []feed.Change) timeline.Event {
	attrs := map[string]string{
		"bundleId": pr.plan.BundleID, "labelId": pr.plan.LabelID, "peer": pr.peer.Name, "signer": pr.bundle.Signer().ID(), "plan": im.res.Plan.Digest,
	}
	for _, c := range changes {
		attrs["feed/"+c.Ref.Name] = fmt.Sprintf("%d.%d %s %s", c.New.Epoch, c.New.Generation, c.Decision, c.Root)
	}
	return timeline.Event{Type: kind, Tenant: pr.peer.Tenant, Actor: im.q.Actor, Subject: "bundle/" + pr.plan.Name, Attrs: attrs}
}

// raise lifts the marks to what was committed, and takes the bundle's time anchor in.
func (im *imports) raise(pr *prepared) error {
	err := im.Marks.Raise(func(s *marks.Set) error {
		for i := range pr.offers {
			if o := &pr.offers[i]; o.fresh() {
				lift(s, o.ref.Key(), marks.Mark{Epoch: o.state.Epoch, Generation: o.state.Generation, Root: o.state.StateRoot})
				s.Accept(o.ref.Key(), marks.Pair{Epoch: o.state.Epoch, Generation: o.state.Generation, Bundle: pr.bundle.ID()})
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("raise marks: %w", err)
	}
	return im.anchor(pr)
}

func lift(s *marks.Set, key string, m marks.Mark) {
	if old, ok := s.Feeds[key]; !ok || old.Less(m) {
		s.Feeds[key] = m
	}
}

// done writes the outcome down.
func (im *imports) done(pr *prepared, acc accepted) {
	pr.done = true
	pr.plan.Decision = acc.decision
	im.res.Trust, im.doubts = append(im.res.Trust, im.doubts...), nil
	im.res.Outcomes = append(im.res.Outcomes, Outcome{
		Plan: pr.plan, Dir: pr.dir, Decision: acc.decision, Receipt: acc.receipt.Number, Spoken: acc.receipt.Spoken, Sentence: doneSentence(pr.plan, acc),
	})
}

// confirm answers a bundle that brought nothing new: with a receipt, unless it has one.
func (im *imports) confirm(pr *prepared) error {
	counter, err := im.Marks.Issue("own-receipt", im.Self.ID)
	if err != nil {
		return err
	}
	key, err := im.Keys.Appliance()
	if err != nil {
		return err
	}
	acc := accepted{decision: pr.plan.Decision}
	err = im.State.Update(im.ctx, func(tx *state.Tx) error { return im.book(tx, pr, &acc, counter, nil, key) })
	if err != nil {
		return err
	}
	err = im.anchor(pr)
	if code.Has(err, code.FsyncFailed) {
		return err
	}
	im.done(pr, acc)
	return stands(string(acc.decision), err)
}
