package mirror

import (
	"context"
	"fmt"

	"sallyport/internal/bundle"
	"sallyport/internal/code"
	"sallyport/internal/export"
	"sallyport/internal/feed"
	"sallyport/internal/job"
	"sallyport/internal/layer"
	"sallyport/internal/state"
)

// Weigh tells how many bytes of bodies, not packed, a delta from where a peer stands would carry, and how many a full of
// the same feeds. Nothing is pinned: code not-found when a generation went meanwhile.
func Weigh(ctx context.Context, db *state.DB, layers *layer.Dir, list []export.Standing) (delta, full int64, err error) {
	open := func(s job.FeedState) (*layer.View, error) {
		var g feed.Generation
		err := db.View(func(tx *state.Tx) (err error) {
			var ok bool
			g, ok, err = feed.At(tx, s.Ref, feed.Point{Epoch: s.Epoch, Generation: s.Generation})
			if err == nil && !ok {
				err = code.New(code.Missing, "generation %d of %s", s.Generation, s.Ref.Name)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		files := make([]string, 0, 2)
		for _, l := range g.Layers {
			files = append(files, l.File)
		}
		return layers.Open(files...)
	}
	for _, s := range list {
		n, err := weigh(ctx, s, open)
		if err != nil {
			return 0, 0, fmt.Errorf("weigh %s: %w", s.Now.Ref.Name, err)
		}
		delta, full = delta+n, full+s.Live.Bytes
	}
	return delta, full, nil
}

func weigh(ctx context.Context, s export.Standing, open func(job.FeedState) (*layer.View, error)) (int64, error) {
	now, err := open(s.Now)
	if err != nil {
		return 0, err
	}
	defer now.Close()
	d := &diff{now: now, counts: map[string]bundle.Counts{}}
	defer d.close()
	for _, b := range s.Bases() {
		if err := d.base(b, open); err != nil {
			return 0, err
		}
	}
	if err := d.run(ctx); err != nil {
		return 0, err
	}
	return d.total, nil
}
