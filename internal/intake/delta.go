package intake

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"sallyport/internal/attest"
	"sallyport/internal/bundle"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/feed"
	"sallyport/internal/layer"
	"sallyport/internal/state"
	"sallyport/internal/timeline"
)

// base finds what a delta is applied to: what this import makes of the feed before, the active generation, or the newest that
// is held, whose state root the delta accepts. A root says what a state is, whatever its number and epoch. A delta that resets
// the baseline has every record and needs none. Code base-missing.
func (im *imports) base(m *bundle.Manifest, o *offer) error {
	o.whole = m.Delta == nil || m.Delta.ResetBaseline
	if o.whole || !o.fresh() {
		return nil
	}
	here, err := im.here(o)
	if err != nil {
		return fmt.Errorf("look for the base of %s: %w", o.state.Feed, err)
	}
	for _, s := range here {
		if slices.ContainsFunc(o.state.Bases, func(b bundle.Base) bool { return b.StateRoot == s.root }) {
			o.from = s
			return nil
		}
	}
	return o.missing(m.ExportID, here)
}

// here lists the generations of a feed that a delta may be applied to, best first.
func (im *imports) here(o *offer) (list []*stack, err error) {
	for b := o.before; b != nil; b = b.before {
		if b.made != nil {
			list = append(list, b.made)
		}
	}
	err = im.State.View(func(tx *state.Tx) error {
		g, ok, err := feed.Current(tx, o.ref)
		if err != nil {
			return err
		}
		if ok {
			list = append(list, stackOf(g))
		}
		all, err := feed.Generations(tx, o.ref)
		for _, g := range all {
			list = append(list, stackOf(g))
		}
		return err
	})
	return list, err
}

// missing is the error of a delta for which there is no base.
func (o *offer) missing(name string, here []*stack) error {
	var accepted, held []int64
	for _, b := range o.state.Bases {
		accepted = append(accepted, b.Generation)
	}
	for _, s := range here {
		held = append(held, s.point.Generation)
	}
	next := fmt.Sprintf("Bring the bundle that makes %s of %s, or ask headquarters for a full.", generations(accepted, "or"), o.state.Feed)
	return code.New(code.BaseMissing, "generation %d of %s is what changed since %s, and here is %s", o.state.Generation, o.state.Feed, generations(accepted, "or"), generations(held, "and")).
		In(name, "feed "+o.state.Feed).Want(generations(accepted, "or"), generations(held, "and")).Do(next)
}

// generations names some generations, lowest first: "generation 3", "generation 3, 4 or 7", "nothing".
func generations(list []int64, last string) string {
	const most = 8
	list = slices.Compact(slices.Sorted(slices.Values(list)))
	var parts []string
	for _, n := range list[max(0, len(list)-most):] {
		parts = append(parts, fmt.Sprint(n))
	}
	switch n := len(parts) - 1; {
	case n < 0:
		return "nothing"
	case n > 0:
		parts = []string{strings.Join(parts[:n], ", "), last, parts[n]}
	}
	return "generation " + strings.Join(parts, " ")
}

// merging is the space that merging a delta takes beside its contents: the overlay before once more, and a whole index where
// the overlay may outgrow its base. What cannot be opened is counted as if it did.
func (im *imports) merging(m *bundle.Manifest, o *offer) (n int64) {
	if o.from == nil {
		return 0
	}
	var changes int64
	for _, c := range m.Contents {
		if c.Feed != nil && int(*c.Feed) == o.index && c.Records != nil && (c.Role == bundle.RoleIndex || c.Role == bundle.RoleTombstones) {
			changes += *c.Records
		}
	}
	v, done, err := o.from.open(im.Layers)
	heavy := err != nil
	if err == nil {
		heavy = layer.Outgrows(v.Base(), v.Overlay(), changes)
		done()
	}
	for i, p := range o.from.pieces() {
		if i > 0 || heavy {
			n += max(p.layer.Bytes, p.size)
		}
	}
	return n
}

// delta merges the staged upserts and removals into an overlay over the base, and computes the state root of both together;
// an overlay that has grown heavy is written as a base of its own.
func (im *imports) delta(pr *prepared, o *offer, p parts) error {
	old, closeOld, err := o.from.open(im.Layers)
	if err != nil {
		return err
	}
	defer closeOld()
	over, err := im.merge(pr, o, p, old)
	if err != nil {
		return err
	}
	top, closeTop, err := over.open(im.Layers)
	if err != nil {
		return err
	}
	defer closeTop()
	now := layer.NewView(old.Base(), top)
	sum, err := im.rooted(o, now)
	if err != nil {
		return im.blame(o, old, err)
	}
	if !layer.Heavy(old.Base(), top) {
		all := layer.Built{Shards: now.Shards(), Records: sum.Records, Counts: sum.Counts, Bytes: sum.Bytes}
		o.made = o.becomes(pr, all, o.from.base, over, im.vouchers(o, all.Shards)...)
		return nil
	}
	base, err := im.create(pr, o, "base")
	if err != nil {
		return err
	}
	built, err := layer.Fold(im.ctx, base.writer, now, im.indexed(o))
	if err != nil {
		return err
	}
	if err := base.seal(o.meta(built)); err != nil {
		return err
	}
	over.drop()
	over.size = 0
	o.made = o.becomes(pr, built, base, nil, im.vouchers(o, built.Shards)...)
	return nil
}

// vouchers are those of the base that still vouch for something: a manifest whose every shard was overtaken is let go. One
// with documents stays, and so does one that cannot be read, as that of a bundle before in this plan.
func (im *imports) vouchers(o *offer, shards []layer.Shard) (list []feed.Voucher) {
	used := map[digest.Digest]bool{}
	for _, s := range shards {
		used[s.Digest] = true
	}
	for _, w := range o.from.vouchers {
		m, err := im.manifest(w)
		if err != nil || slices.ContainsFunc(m.Contents, func(c bundle.Content) bool {
			return c.Feed != nil && *c.Feed == int64(w.FeedIndex) && (c.Role == bundle.RoleDocument || used[c.Digest])
		}) {
			list = append(list, w)
		}
	}
	return list
}

func (im *imports) manifest(w feed.Voucher) (*bundle.Manifest, error) {
	envelope, err := im.CAS.ReadAll(w.Manifest, maxEnvelope)
	if err != nil {
		return nil, err
	}
	claim, err := attest.Inspect(envelope)
	if err != nil {
		return nil, err
	}
	return bundle.ParseManifest(claim.Payload)
}

// merge makes the overlay, and says which blobs of the bundle it needs.
func (im *imports) merge(pr *prepared, o *offer, p parts, old *layer.View) (*piece, error) {
	over, err := im.create(pr, o, "overlay")
	if err != nil {
		return nil, err
	}
	built, err := layer.Merge(im.ctx, over.writer, old, layer.Delta{Source: p.source(pr), Index: pr.lines(p.index), Gone: pr.gone(p.gone)}, im.indexed(o))
	if err != nil {
		return nil, err
	}
	if err := pr.spent(p.index); err != nil {
		return nil, err
	}
	meta := o.meta(built)
	meta.Overlay, meta.Base = true, old.Base().Meta().Root
	if err := over.seal(meta); err != nil {
		return nil, err
	}
	used := map[digest.Digest]bool{}
	for _, s := range built.Shards {
		used[s.Digest] = true
	}
	for _, c := range p.shards {
		if used[c.Digest] {
			pr.keep = append(pr.keep, c.Digest)
		}
	}
	for _, c := range p.documents {
		pr.keep = append(pr.keep, c.Digest)
	}
	return over, nil
}

// rooted demands that base and overlay together give the signed state.
func (im *imports) rooted(o *offer, v *layer.View) (layer.Sum, error) {
	sum, err := v.Sum(im.ctx)
	if err != nil {
		return sum, err
	}
	place := "feed " + o.state.Feed
	if sum.Root != o.state.StateRoot {
		return sum, code.New(code.StateRootBad, "on generation %d the delta does not give the signed state", o.from.point.Generation).In("", place).Want(o.state.StateRoot, sum.Root)
	}
	if sum.Records != o.state.Records {
		return sum, code.New(code.StateRootBad, "another number of records than was signed").In("", place).Want(o.state.Records, sum.Records)
	}
	return sum, nil
}

// blame tells a delta that does not give what it says from a base that is not any more what was accepted.
func (im *imports) blame(o *offer, old *layer.View, err error) error {
	if code.Of(err) != code.StateRootBad {
		return err
	}
	sum, serr := old.Sum(im.ctx)
	switch {
	case serr != nil:
		return serr
	case sum.Root != o.from.root:
		return code.New(code.StoreCorrupt, "generation %d of %s, which the delta is applied to, is damaged here", o.from.point.Generation, o.state.Feed).
			Want(o.from.root, sum.Root).Do("Ask headquarters for a full. Nothing is wrong with this stick.")
	}
	return err
}

// gone reads the staged removals of a feed, ascending by kind.
func (pr *prepared) gone(list []bundle.Content) iter.Seq2[layer.Ref, error] {
	return func(yield func(layer.Ref, error) bool) {
		for _, c := range list {
			err := pr.eachLine(c.Path, func(b []byte) error {
				t, err := bundle.ParseTombstone(b)
				if err == nil && !yield(layer.Ref{Kind: c.Kind, Key: t.Key}, nil) {
					err = errStop
				}
				return err
			})
			if errors.Is(err, errStop) {
				return
			}
			if err != nil {
				yield(layer.Ref{}, fmt.Errorf("read removals %s: %w", c.Path, err))
				return
			}
		}
	}
}

// notApplied is the error of a delta that was whole and signed, and did not give what it says.
type notApplied struct {
	feed string
	base feed.Point
	err  error
}

func (e *notApplied) Error() string { return e.err.Error() }
func (e *notApplied) Unwrap() error { return e.err }

// failed marks an error that is a delta's fault; a delta that resets the baseline has no base.
func (im *imports) failed(o *offer, err error) error {
	if err == nil || !ofBundle(err) {
		return err
	}
	e := &notApplied{feed: o.state.Feed, err: err}
	if o.from != nil {
		e.base = o.from.point
	}
	im.Log.Error("mirror.delta.apply_failed", "feed", o.state.Feed, "origin", o.state.Origin, "generation", o.state.Generation,
		"base", e.base.Generation, "errorCode", string(code.Of(err)))
	return e
}

// applyFailed writes down, in the transaction of a refusal, that a delta did not give what it says.
func (im *imports) applyFailed(tx *state.Tx, ev timeline.Event, why error) error {
	var e *notApplied
	if !errors.As(why, &e) {
		return nil
	}
	ev.Type = "mirror.delta.apply_failed"
	ev.Attrs = map[string]string{"feed": e.feed, "base": e.base.String(), "code": string(code.Of(why))}
	_, err := im.Timeline.Append(tx, ev)
	return err
}

// applied is the event of a bundle's deltas; ok is false when it has none.
func (im *imports) applied(pr *prepared) (ev timeline.Event, ok bool) {
	ev = im.event("mirror.delta.applied", pr, nil)
	if pr.bundle.Manifest().Delta == nil {
		return ev, false
	}
	for i := range pr.offers {
		o := &pr.offers[i]
		if !o.fresh() {
			continue
		}
		on := "everything anew"
		if o.from != nil {
			on = "on " + o.from.point.String()
		}
		ev.Attrs["feed/"+o.state.Feed] = fmt.Sprintf("%s %s: %d added, %d changed, %d removed", o.point(), on, o.plan.Added, o.plan.Changed, o.plan.Removed)
	}
	return ev, true
}
