package daemon

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sallyport/internal/bundle"
	"sallyport/internal/cas"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/feed"
	"sallyport/internal/ident"
	"sallyport/internal/state"
	"sallyport/internal/timeline"
)

// grace is how long a blob that nothing names stays: longer than any operation that may still come to name it.
const grace = 24 * time.Hour

// Sweep removes blobs that no kept generation names any more. What is live is read from the ledger and the layers twice:
// for the plan, and again before anything is removed. It may be repeated; a crash leaves some removed.
func (d *Daemon) Sweep(ctx context.Context) (removed int, bytes int64, err error) {
	return d.sweep(ctx, grace)
}

// sweep without grace is safe as well: what a running operation has committed is held by its Stage, and what one has
// finished meanwhile is live when it is asked for the second time. The grace is for people who want to look at a crash.
func (d *Daemon) sweep(ctx context.Context, grace time.Duration) (removed int, bytes int64, err error) {
	live, err := d.live(nil)
	if err != nil {
		return 0, 0, fmt.Errorf("sweep: %w", err)
	}
	plan, err := d.cas.Plan(ctx, live, grace, d.deps.Clock.Now())
	if err != nil || len(plan.Blobs) == 0 {
		return 0, 0, err
	}
	if live, err = d.live(nil); err != nil {
		return 0, 0, fmt.Errorf("sweep: %w", err)
	}
	return d.cas.Apply(ctx, plan, live)
}

// place is one generation of one feed.
type place struct {
	ref   ident.FeedRef
	point feed.Point
}

// live is the set of all digests that kept generations name, but for those of without. An error means that nothing may be
// removed; a layer that cannot be read is replaced by what the manifests that vouch for it name, where there are any.
func (d *Daemon) live(without map[place]bool) (func(digest.Digest) bool, error) {
	set := map[digest.Digest]bool{}
	kept, err := d.kept()
	if err != nil {
		return nil, err
	}
	for _, g := range kept {
		if without[place{g.Ref, g.Point}] {
			continue
		}
		if err := d.liveIn(g.Generation, set); err != nil {
			return nil, err
		}
	}
	return func(b digest.Digest) bool { return set[b] }, nil
}

// papersIn adds what the ledger itself names of a generation: papers and shards.
func papersIn(g feed.Generation, set map[digest.Digest]bool) {
	for _, l := range g.Layers {
		for _, s := range l.Shards {
			set[s] = true
		}
	}
	if !g.LoadRecord.IsZero() {
		set[g.LoadRecord] = true
	}
	for _, v := range g.Vouchers() {
		set[v.Manifest] = true
	}
}

// namedIn is liveIn without a look at the layers, which are damaged: what the ledger and the signed manifests name.
func (d *Daemon) namedIn(g feed.Generation, set map[digest.Digest]bool) error {
	papersIn(g, set)
	return d.vouched(g, set)
}

// liveIn adds what one generation names: papers, shards, and the documents of its layers.
func (d *Daemon) liveIn(g feed.Generation, set map[digest.Digest]bool) error {
	papersIn(g, set)
	v, err := d.layers.Open(files(g)...)
	if err == nil {
		err = v.Blobs(func(b digest.Digest) error {
			set[b] = true
			return nil
		})
		err = errors.Join(err, v.Close())
	}
	if err != nil && code.Has(err, code.StoreCorrupt) && len(g.Vouchers()) > 0 {
		return d.vouched(g, set)
	}
	return err
}

// vouched adds what the signed manifests of a generation name as bodies of the feed: all that its layers can name.
func (d *Daemon) vouched(g feed.Generation, set map[digest.Digest]bool) error {
	for _, v := range g.Vouchers() {
		m, err := d.intake.Manifest(v.Manifest)
		if err != nil {
			return err
		}
		for _, c := range m.Contents {
			if c.Feed != nil && *c.Feed == int64(v.FeedIndex) && (c.Role == bundle.RoleShard || c.Role == bundle.RoleDocument) {
				set[c.Digest] = true
			}
		}
	}
	return nil
}

// pruning is what a prune would do. Making one changes nothing.
type pruning struct {
	gone   []feed.Spare
	blobs  *cas.Plan
	layers []feed.Layer
	bytes  int64 // of all of it
}

// planPrune says what would go when only the newest keep generations of each feed stay, besides those that something holds.
func (d *Daemon) planPrune(ctx context.Context, keep int) (p pruning, err error) {
	err = d.state.View(func(tx *state.Tx) error {
		p.gone, err = feed.Spares(tx, keep)
		return err
	})
	if err != nil {
		return p, fmt.Errorf("plan prune: %w", err)
	}
	without := map[place]bool{}
	for _, s := range p.gone {
		without[place{s.Ref, s.Point}] = true
	}
	kept, err := d.kept()
	if err != nil {
		return p, fmt.Errorf("plan prune: %w", err)
	}
	p.layers = spareLayers(p.gone, kept, without)
	live, err := d.live(without)
	if err != nil {
		return p, fmt.Errorf("plan prune: %w", err)
	}
	if p.blobs, err = d.cas.Plan(ctx, live, 0, d.deps.Clock.Now()); err != nil {
		return p, err
	}
	p.bytes = p.blobs.Bytes
	for _, l := range p.layers {
		p.bytes += l.Bytes
	}
	return p, nil
}

// spareLayers lists the layers that only generations on their way out name.
func spareLayers(gone, kept []feed.Spare, without map[place]bool) (out []feed.Layer) {
	needed := map[string]bool{}
	for _, g := range kept {
		for _, l := range g.Layers {
			needed[l.File] = needed[l.File] || !without[place{g.Ref, g.Point}]
		}
	}
	for _, s := range gone {
		for _, l := range s.Layers {
			if !needed[l.File] {
				needed[l.File] = true // once
				out = append(out, l)
			}
		}
	}
	return out
}

// prune does what was planned: one transaction forgets the generations, then their layers go, then what nothing names any
// more. Each step can be repeated; a crash after the transaction leaves orphans that the next start and sweep remove.
func (d *Daemon) prune(ctx context.Context, p pruning, actor string) (blobs int, bytes int64, err error) {
	var dropped []feed.Layer
	if len(p.gone) > 0 {
		err = d.state.Update(ctx, func(tx *state.Tx) (err error) {
			if dropped, err = feed.Discard(tx, p.gone); err != nil {
				return err
			}
			attrs := map[string]string{}
			for _, s := range p.gone {
				attrs["feed/"+s.Ref.Name+"/"+s.Point.String()] = s.Root.String()
			}
			_, err = d.timeline.Append(tx, timeline.Event{Type: "export.retention.completed", Actor: actor, Subject: "store", Attrs: attrs})
			return err
		})
		if err != nil {
			return 0, 0, fmt.Errorf("prune: %w", err)
		}
	}
	d.deps.FS.Point("prune.forgotten")
	var errs []error
	for _, l := range dropped {
		if err := d.layers.Remove(l.File); err != nil {
			errs = append(errs, err)
			continue
		}
		bytes += l.Bytes
	}
	d.deps.FS.Point("prune.layers")
	n, swept, err := d.sweep(ctx, 0)
	d.forget()
	return n, bytes + swept, errors.Join(append(errs, err, d.tend())...)
}

// sweeping sweeps a minute after the start and then once a day.
func (d *Daemon) sweeping(ctx context.Context) {
	t := time.NewTimer(time.Minute)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		removed, bytes, err := d.Sweep(ctx)
		switch {
		case code.Has(err, code.FsyncFailed):
			d.die(err)
			return
		case err != nil && ctx.Err() == nil:
			d.log.Error("sweep failed", "err", err.Error())
		case removed > 0:
			d.log.Info("swept", "blobs", removed, "bytes", bytes)
		}
		t.Reset(grace)
	}
}
