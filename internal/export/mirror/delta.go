package mirror

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"sallyport/internal/bundle"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/export"
	"sallyport/internal/feed"
	"sallyport/internal/job"
	"sallyport/internal/layer"
	"sallyport/internal/peer"
	"sallyport/internal/state"
)

// Delta is the kind mirror:delta: what changed in the feeds that originate here since the states a peer may stand at.
type Delta struct{}

// Profile implements export.Kind.
func (Delta) Profile() export.Profile {
	return export.Profile{Name: "mirror:delta", Kind: "mirror", Variant: "delta", Revision: 1}
}

// Pin works out the bases: for every feed that changed, what the peer is known to hold and every generation sent to it
// since. Codes ERR_EXPORT_BASE_MISSING, ERR_EXPORT_EMPTY when it has everything, rollback and fork when it is ahead of us.
func (Delta) Pin(tx *state.Tx, run *job.Run) error {
	q, err := export.RequestOf(*run)
	if err != nil {
		return err
	}
	run.Feeds, run.Bases, run.Records = nil, nil, 0
	var all []export.Standing
	if q.Base != "" {
		all, err = chosen(tx, run, q)
	} else {
		all, err = standings(tx, run, q)
	}
	if err != nil {
		return err
	}
	unsure := false
	for _, s := range all {
		bases := s.Bases()
		if !slices.ContainsFunc(bases, func(b job.FeedState) bool { return b.Root != s.Now.Root }) {
			unsure = unsure || s.Known == nil
			continue
		}
		run.Feeds = append(run.Feeds, s.Now)
		run.Bases = append(run.Bases, bases...)
	}
	slices.SortFunc(run.Feeds, func(a, b job.FeedState) int { return strings.Compare(a.Ref.Name, b.Ref.Name) })
	if len(run.Feeds) > 0 || q.AllowEmpty {
		return nil
	}
	who := "the base"
	if q.For != "" {
		who = q.For
	}
	if unsure {
		return code.New(code.ExportEmpty, "%s was sent everything, and has not answered yet", who).
			Do("Wait for its receipt, or send a full if the stick was lost.")
	}
	return code.New(code.ExportEmpty, "%s has everything", who).Do("Nothing to do: there is nothing new here.")
}

// standings is where the peer of a run stands, with every feed that it needs in a delta.
func standings(tx *state.Tx, run *job.Run, q export.Request) (list []export.Standing, err error) {
	if len(run.Peers) != 1 {
		return nil, code.New(code.ExportInvalid, "a delta is for one peer: name it with --for, or the state it starts from with --base")
	}
	p, err := peer.Get(tx, run.Peers[0])
	if err != nil {
		return nil, err
	}
	all, err := export.Standings(tx, p)
	if err != nil {
		return nil, err
	}
	var first error
	var lacks []string
	for _, s := range all {
		if !q.Wants(s.Now.Ref.Name) {
			continue
		}
		if err := s.Ahead(tx, p.Name); err != nil {
			return nil, err
		}
		if err := based(&s, p.Name); err != nil {
			first = cmp.Or(first, err)
			lacks = append(lacks, s.Now.Ref.Name)
			continue
		}
		if s.Known != nil || len(s.Sent) > 0 {
			list = append(list, s)
		}
	}
	if first != nil {
		return nil, fullFor(first, lacks, len(list))
	}
	return list, nil
}

// fullFor says of which feeds a full is needed, where others of them can go as what changed.
func fullFor(why error, feeds []string, others int) error {
	var e *code.Error
	if others == 0 || !errors.As(why, &e) {
		return why
	}
	return e.In("", strings.Join(feeds, ", "))
}

// based refuses a feed whose state at the peer is not known, or not held here any more. A peer that never answered may be
// given a delta on what it was sent; a feed without a record is none to miss.
func based(s *export.Standing, name string) error {
	why := ""
	switch {
	case s.Known != nil, s.Live.Records == 0 && len(s.Sent) == 0, !s.Heard && len(s.Sent) > 0:
		return nil
	case s.Holds != nil:
		why = fmt.Sprintf("%s holds generation %d of %s, which is not held here any more", name, s.Holds.Generation, s.Now.Ref.Name)
	case s.Heard:
		why = fmt.Sprintf("%s holds nothing of %s", name, s.Now.Ref.Name)
	default:
		why = fmt.Sprintf("it is not known what %s holds of %s", name, s.Now.Ref.Name)
	}
	return code.New(code.ExportBase, "%s: full needed", why)
}

// chosen is what an expert says the peer holds: the run or bundle that brought it, or a generation of every feed.
func chosen(tx *state.Tx, run *job.Run, q export.Request) ([]export.Standing, error) {
	states, err := baseStates(tx, run.Tenant, q.Base)
	if err != nil {
		return nil, err
	}
	feeds, err := feed.List(tx, run.Tenant)
	if err != nil {
		return nil, err
	}
	var list []export.Standing
	for _, f := range feeds {
		g, ok, err := feed.Current(tx, f.Ref)
		if err != nil {
			return nil, err
		}
		if !f.Local || !ok || !q.Wants(f.Ref.Name) || g.Records == 0 && states(f.Ref.Name) == nil {
			continue
		}
		now := job.FeedState{Ref: f.Ref, Epoch: g.Epoch, Generation: g.Generation, Root: g.Root}
		s := export.Standing{Now: now, Live: &g, Known: states(f.Ref.Name)}
		if s.Known == nil {
			return nil, code.New(code.ExportBase, "%s has no feed %s: full needed", q.Base, f.Ref.Name).In("", f.Ref.Name)
		}
		old, ok, err := feed.At(tx, f.Ref, feed.Point{Epoch: s.Known.Epoch, Generation: s.Known.Generation})
		if err != nil {
			return nil, err
		}
		if !ok || !s.Known.Root.IsZero() && old.Root != s.Known.Root {
			return nil, code.New(code.ExportBase, "generation %d of %s is not held here any more: full needed", s.Known.Generation, f.Ref.Name).In("", f.Ref.Name)
		}
		s.Known.Ref, s.Known.Root = f.Ref, old.Root
		list = append(list, s)
	}
	return list, nil
}

// baseStates reads --base: for each feed the state it names, nil when it has none.
func baseStates(tx *state.Tx, tenant, base string) (func(feed string) *job.FeedState, error) {
	if n, err := strconv.ParseInt(base, 10, 64); err == nil && n > 0 {
		feeds, err := feed.List(tx, tenant)
		if err != nil {
			return nil, err
		}
		return func(name string) *job.FeedState {
			for _, f := range feeds {
				if f.Ref.Name == name {
					return &job.FeedState{Epoch: f.Active.Epoch, Generation: min(n, f.Active.Generation)}
				}
			}
			return nil
		}, nil
	}
	run, err := job.Get(tx, strings.ToLower(base))
	if code.Of(err) == code.ExportRun {
		err = code.New(code.ExportRun, "%.40q is no base that is known here", base).In("", "--base").Want("the id of a run, the id of a bundle, or the number of a generation like 6", fmt.Sprintf("%.40q", base)).
			Do("See what was exported: stella export run list. Without --base the delta starts from what the site is known to hold.")
	}
	if d, derr := digest.Parse(base); derr == nil {
		var ok bool
		if run, ok, err = job.ByBundle(tx, d); err == nil && !ok {
			err = code.New(code.ExportRun, "no run here made bundle %s", d)
		}
	}
	if err == nil && run.Tenant != tenant {
		err = code.New(code.ExportRun, "no run %q", base)
	}
	if err != nil {
		return nil, fmt.Errorf("--base: %w", err)
	}
	return func(name string) *job.FeedState {
		for _, s := range slices.Concat(run.Feeds, run.Bases) {
			if s.Ref.Name == name {
				return &s
			}
		}
		return nil
	}, nil
}

// Members implements export.Kind.
func (Delta) Members(ctx context.Context, b *export.Build) (export.Contents, error) {
	q, err := b.Request()
	if err != nil {
		return export.Contents{}, err
	}
	w := &writer{Build: b, ctx: ctx, paths: map[string]bool{}, changes: &job.Changes{}}
	for i, f := range b.Run.Feeds {
		if err := w.delta(i, f, q.Reset); err != nil {
			return export.Contents{}, fmt.Errorf("feed %s: %w", f.Ref.Name, err)
		}
	}
	if err := w.info(); err != nil {
		return export.Contents{}, err
	}
	return export.Contents{
		Feeds: w.feeds, Members: w.members, Records: w.records, Changes: w.changes, Delta: &bundle.Delta{ResetBaseline: q.Reset},
	}, nil
}

// delta adds what changed in one feed.
func (w *writer) delta(n int, f job.FeedState, reset bool) error {
	g, err := w.at(f)
	if err != nil {
		return err
	}
	now, err := w.view(g)
	if err != nil {
		return err
	}
	defer now.Close()
	s := bundle.FeedState{
		Feed: f.Ref.Name, Origin: f.Ref.Origin, Epoch: f.Epoch, Generation: f.Generation, StateRoot: g.Root, Records: g.Records,
	}
	d := &diff{now: now, reset: reset, counts: map[string]bundle.Counts{}}
	defer d.close()
	for _, b := range w.Run.Bases { // newest first
		if b.Ref != f.Ref {
			continue
		}
		s.Bases = append(s.Bases, bundle.Base{Generation: b.Generation, StateRoot: b.Root})
		if err := d.base(b, w.held); err != nil {
			return err
		}
	}
	slices.Reverse(s.Bases)
	u := &upserts{writer: w, n: int64(n)}
	if err := d.run(w.ctx); err != nil {
		return err
	}
	if err := u.write(d); err != nil {
		return err
	}
	s.Counts = d.counts
	for _, c := range d.counts {
		w.changes.Added += c.Added
		w.changes.Changed += c.Changed
		w.changes.Removed += c.Removed
	}
	w.feeds = append(w.feeds, s)
	w.sources = append(w.sources, sourceOf(f, g))
	return nil
}

// held opens a pinned generation.
func (w *writer) held(f job.FeedState) (*layer.View, error) {
	g, err := w.at(f)
	if err != nil {
		return nil, err
	}
	return w.view(g)
}

// at reads the pinned generation.
func (w *writer) at(f job.FeedState) (g feed.Generation, err error) {
	err = w.State.View(func(tx *state.Tx) (err error) {
		var ok bool
		g, ok, err = feed.At(tx, f.Ref, feed.Point{Epoch: f.Epoch, Generation: f.Generation})
		if err == nil && !ok {
			err = code.New(code.ExportConflict, "generation %d was pruned meanwhile", f.Generation)
		}
		return err
	})
	return g, err
}

// view opens the layers of a generation.
func (w *writer) view(g feed.Generation) (*layer.View, error) {
	files := make([]string, 0, 2)
	for _, l := range g.Layers {
		files = append(files, l.File)
	}
	return w.Layers.Open(files...)
}
