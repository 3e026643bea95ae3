package daemon

import (
	"context"
	"fmt"
	"time"

	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/feed"
	"sallyport/internal/state"
)

// grace is how long a blob that nothing names stays: longer than any operation that may still come to name it.
const grace = 24 * time.Hour

// Sweep removes blobs that no kept generation names any more. What is live is read from the ledger and the layers twice:
// for the plan, and again before anything is removed. It may be repeated; a crash leaves some removed.
func (d *Daemon) Sweep(ctx context.Context) (removed int, bytes int64, err error) {
	live, err := d.live()
	if err != nil {
		return 0, 0, fmt.Errorf("sweep: %w", err)
	}
	plan, err := d.cas.Plan(ctx, live, grace, d.deps.Clock.Now())
	if err != nil || len(plan.Blobs) == 0 {
		return 0, 0, err
	}
	if live, err = d.live(); err != nil {
		return 0, 0, fmt.Errorf("sweep: %w", err)
	}
	return d.cas.Apply(ctx, plan, live)
}

// live is the set of all digests that kept generations name. An error means that nothing may be removed.
func (d *Daemon) live() (func(digest.Digest) bool, error) {
	set := map[digest.Digest]bool{}
	var kept [][]string // layer files of each generation: an overlay opens only over its base
	err := d.state.View(func(tx *state.Tx) error {
		if err := feed.Live(tx, func(b digest.Digest) { set[b] = true }); err != nil {
			return err
		}
		feeds, err := feed.List(tx, "")
		if err != nil {
			return err
		}
		for _, f := range feeds {
			gens, err := feed.Generations(tx, f.Ref)
			if err != nil {
				return err
			}
			for _, g := range gens {
				var files []string
				for _, l := range g.Layers {
					files = append(files, l.File)
				}
				kept = append(kept, files)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, files := range kept {
		if err := d.liveIn(files, set); err != nil {
			return nil, err
		}
	}
	return func(b digest.Digest) bool { return set[b] }, nil
}

func (d *Daemon) liveIn(files []string, set map[digest.Digest]bool) error {
	v, err := d.layers.Open(files...)
	if err != nil {
		return err
	}
	err = v.Blobs(func(b digest.Digest) error {
		set[b] = true
		return nil
	})
	if cerr := v.Close(); err == nil {
		err = cerr
	}
	return err
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
