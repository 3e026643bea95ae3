package feed

import (
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/ident"
	"sallyport/internal/marks"
	"sallyport/internal/state"
)

// Proposal is what one feed would become. AcceptedAt of the generation is set by Activate.
type Proposal struct {
	Ref        ident.FeedRef
	Local      bool // origin is this appliance
	Generation Generation
	Uses       []string // layer files of the generation it was built upon: a kept one must still name them, with the blobs that it shares
}

// Plan is a checked set of proposals, applied all or none. The zero Plan is refused.
type Plan struct {
	proposals []Proposal
}

// NewPlan checks that the proposals are complete: distinct feeds of one tenant; a root; a base layer and at most one
// overlay, named by local paths; for a foreign feed the bundle, its manifest and signer, for a local one who loaded it.
// Only the rooms intake and load may call it.
func NewPlan(ps ...Proposal) (Plan, error) {
	if len(ps) == 0 {
		return Plan{}, code.New(code.Bug, "feed plan: nothing in it")
	}
	seen := map[ident.FeedRef]bool{}
	for _, p := range ps {
		if seen[p.Ref] || p.Ref.Tenant != ps[0].Ref.Tenant {
			return Plan{}, code.New(code.Bug, "feed plan: feed %q twice, or of another tenant", p.Ref.Name)
		}
		seen[p.Ref] = true
		if err := p.check(); err != nil {
			return Plan{}, fmt.Errorf("feed plan: %q: %w", p.Ref.Name, err)
		}
	}
	return Plan{slices.Clone(ps)}, nil
}

func (p Proposal) check() error {
	g := p.Generation
	if err := ident.Feed(p.Ref.Name); err != nil {
		return err
	}
	if err := ident.Appliance(p.Ref.Origin); err != nil {
		return err
	}
	switch {
	case g.Generation < 1 || g.Epoch < 0 || g.Root.IsZero():
		return code.New(code.Bug, "no generation or root")
	case len(g.Layers) < 1 || len(g.Layers) > 2:
		return code.New(code.Bug, "%d layers", len(g.Layers))
	case p.Local && g.LoadedBy == "":
		return code.New(code.Bug, "nobody loaded it")
	case !p.Local && (g.BundleID.IsZero() || len(g.Vouchers()) == 0 || g.Signer == ""):
		return code.New(code.Bug, "no bundle vouches for it")
	}
	for _, l := range g.Layers {
		if !filepath.IsLocal(l.File) {
			return code.New(code.Bug, "layer file %q", l.File)
		}
	}
	return nil
}

// Feeds lists what the plan is about, in its order.
func (p Plan) Feeds() []Proposal { return slices.Clone(p.proposals) }

// Decision is what became of one feed.
type Decision string

// The decisions.
const (
	Activated Decision = "activated"
	Held      Decision = "held" // pinned: kept, not activated
)

// Change is what happened to one feed.
type Change struct {
	Ref      ident.FeedRef
	Decision Decision
	Before   Point         // what was active
	After    Point         // what is active now
	New      Point         // the generation that came in
	Root     digest.Digest // of that generation
}

// Outcome is what Activate did. No kept generation names the dropped layers any more: delete their files after the
// commit.
type Outcome struct {
	Changes []Change
	Dropped []Layer
}

// Activate takes in the generations of a plan and flips the pointers of their feeds, or only holds those of pinned
// feeds. It judges again what the plan was made from: codes rollback, fork, and conflict when the feed moved meanwhile
// (the generation is held already, what it was built upon is not any more, or a local one is not the next). The marks file is raised by the caller after the
// commit. Of each feed the active, the held and the last Kept generations stay.
func Activate(tx *state.Tx, p Plan, at time.Time) (Outcome, error) {
	var out Outcome
	if len(p.proposals) == 0 {
		return out, code.New(code.Bug, "activate: an empty plan")
	}
	for _, pr := range p.proposals {
		c, err := activate(tx, pr, at)
		if err != nil {
			return Outcome{}, fmt.Errorf("activate %q: %w", pr.Ref.Name, err)
		}
		out.Changes = append(out.Changes, c)
		dropped, err := prune(tx, pr.Ref)
		if err != nil {
			return Outcome{}, fmt.Errorf("activate %q: %w", pr.Ref.Name, err)
		}
		out.Dropped = append(out.Dropped, dropped...)
	}
	return out, nil
}

func activate(tx *state.Tx, p Proposal, at time.Time) (Change, error) {
	f, known, err := Get(tx, p.Ref)
	if err != nil {
		return Change{}, err
	}
	if !known {
		f = Feed{Ref: p.Ref, Local: p.Local, CreatedAt: stamp(at)}
		if f.Local {
			if f.NextEpoch, err = begin(tx); err != nil {
				return Change{}, err
			}
		}
	}
	g := p.Generation
	if err := admit(tx, f, p); err != nil {
		return Change{}, err
	}
	if err := builtOn(tx, p); err != nil {
		return Change{}, err
	}
	g.AcceptedAt = stamp(at)
	if err := generations.Put(tx, genKey(p.Ref, g.Point), g); err != nil {
		return Change{}, err
	}
	c := Change{Ref: p.Ref, Decision: Held, Before: f.Active, After: f.Active, New: g.Point, Root: g.Root}
	f.Mark = marks.Mark{Epoch: g.Epoch, Generation: g.Generation, Root: g.Root}
	f.NextEpoch = 0
	if f.Local || !f.Pinned {
		f.Active, c.After, c.Decision = g.Point, g.Point, Activated
	}
	return c, feeds.Put(tx, p.Ref.Key(), f)
}

// builtOn demands that the layers a generation was built upon are still named by one that is kept.
func builtOn(tx *state.Tx, p Proposal) error {
	if len(p.Uses) == 0 {
		return nil
	}
	all, err := Generations(tx, p.Ref)
	if err != nil {
		return err
	}
	for _, file := range p.Uses {
		if !slices.ContainsFunc(all, func(g Generation) bool {
			return slices.ContainsFunc(g.Layers, func(l Layer) bool { return l.File == file })
		}) {
			return code.New(code.Conflict, "the generation that this one was built upon was removed meanwhile").In(file, "")
		}
	}
	return nil
}

func admit(tx *state.Tx, f Feed, p Proposal) error {
	g := p.Generation
	if f.Local != p.Local {
		return code.New(code.FeedForeign, "")
	}
	if next := f.next(); p.Local && g.Point != next {
		return code.New(code.Conflict, "another generation was minted meanwhile").Want(next, g.Point)
	}
	if p.Local && g.Root == f.Mark.Root {
		return code.New(code.Conflict, "nothing changed: a generation needs another state root")
	}
	v, err := Judge(tx, p.Ref, nil, g.Point, g.Root)
	if err != nil {
		return err
	}
	switch v {
	case Forked:
		return code.New(code.Fork, "").Want(f.Mark.Root, g.Root)
	case SiteAhead:
		return code.New(code.Rollback, "").Want(f.Mark.Generation, g.Generation)
	case AlreadyActive, AlreadyHeld:
		return code.New(code.Conflict, "generation %d is here already", g.Generation)
	}
	return nil
}

// prune removes the generations that are no longer kept and tells the layers that go with them.
func prune(tx *state.Tx, ref ident.FeedRef) (dropped []Layer, err error) {
	f, err := must(tx, ref)
	if err != nil {
		return nil, err
	}
	all, err := Generations(tx, ref)
	if err != nil {
		return nil, err
	}
	kept := map[string]bool{}
	var gone []Generation
	for i, g := range all {
		if i >= Kept && !g.Held && len(g.Users) == 0 && g.Point != f.Active {
			gone = append(gone, g)
			continue
		}
		for _, l := range g.Layers {
			kept[l.File] = true
		}
	}
	for _, g := range gone {
		if err := generations.Delete(tx, genKey(ref, g.Point)); err != nil {
			return nil, err
		}
		for _, l := range g.Layers {
			if !kept[l.File] {
				kept[l.File] = true // hand back once
				dropped = append(dropped, l)
			}
		}
	}
	return dropped, nil
}

// Verdict is what 20-bundle-format, "Delta", says about an offered generation.
type Verdict string

// The verdicts.
const (
	New           Verdict = "new"
	AlreadyActive Verdict = "already-active" // success, nothing to do
	AlreadyHeld   Verdict = "already-held"   // success, nothing to do
	Forked        Verdict = "fork"           // code fork: keep both as evidence
	SiteAhead     Verdict = "site-ahead"     // code rollback
	FastForward   Verdict = "fast-forward"   // new, but more than MaxJump above the mark: two approvers
	NewEpoch      Verdict = "new-epoch"      // new, if the root document names the epoch, or as a trust change
)

// Judge classifies an offered generation against the ledger and the mark in the marks file (nil: none; the higher of
// the two marks counts). A generation at the mark with its root that is not held, as after a restored backup, is New.
func Judge(tx *state.Tx, ref ident.FeedRef, file *marks.Mark, offered Point, root digest.Digest) (Verdict, error) {
	f, _, err := Get(tx, ref)
	if err != nil {
		return "", err
	}
	held, ok, err := At(tx, ref, offered)
	if err != nil {
		return "", err
	}
	mark := f.Mark
	if file != nil && mark.Less(*file) {
		mark = *file
	}
	switch {
	case ok && held.Root != root:
		return Forked, nil
	case ok && f.Active == offered:
		return AlreadyActive, nil
	case ok:
		return AlreadyHeld, nil
	case mark.Generation == 0:
		return New, nil
	}
	return beyond(mark, offered, root), nil
}

func beyond(mark marks.Mark, offered Point, root digest.Digest) Verdict {
	switch {
	case offered == markPoint(mark) && root != mark.Root:
		return Forked
	case offered == markPoint(mark):
		return New
	case offered.Less(markPoint(mark)):
		return SiteAhead
	case offered.Epoch > mark.Epoch:
		return NewEpoch
	case offered.Generation-mark.Generation > MaxJump:
		return FastForward
	}
	return New
}
