package daemon

import (
	"context"

	"sallyport/internal/digest"
	"sallyport/internal/feed"
	"sallyport/internal/layer"
	"sallyport/internal/peer"
	"sallyport/internal/state"
	"sallyport/internal/wire"
)

// store answers what people ask about the appliance's own disk.
type store struct{ d *Daemon }

// Show counts what is on the disk and what of it could go.
func (s store) Show(ctx context.Context) (out wire.Store, err error) {
	d, dir := s.d, s.d.cfg.DataDir
	p, err := d.cas.Space()
	if err != nil {
		return out, err
	}
	out = wire.Store{
		Free: p.Free, Total: p.Total, Keep: p.Keep, Reserved: p.Reserved, Inodes: p.Inodes, Stopped: p.Stopped(),
		Ballast: d.ballast.there(), Layers: diskUse(at(dir, "layers")), Staging: diskUse(at(dir, "cas", "staging")), Waiting: diskUse(at(dir, "waiting")),
		Quarantine: diskUse(at(dir, "quarantine")) + diskUse(at(dir, "cas", "damaged")), Shelf: diskUse(at(dir, "shelf")), Backups: diskUse(at(dir, "backups")),
		State: d.state.Size(), Keeping: 1,
	}
	if out.Blobs, out.Bytes, err = d.cas.Usage(); err != nil {
		return out, err
	}
	live, err := d.live(nil)
	if err != nil {
		return out, err
	}
	orphans, err := d.cas.Plan(ctx, live, 0, d.deps.Clock.Now())
	if err != nil {
		return out, err
	}
	out.Orphans, out.OrphanSize = int64(len(orphans.Blobs)), orphans.Bytes
	plan, err := d.planPrune(ctx, out.Keeping)
	if err != nil {
		return out, err
	}
	out.Prunable = plan.bytes
	if out.Dead, err = d.dead(); err != nil {
		return out, err
	}
	if out.Scrub, err = d.lastScrub(); err != nil {
		return out, err
	}
	out.Damaged = out.Scrub.Damaged
	return out, nil
}

// Damaged lists what is known to be damaged or missing.
func (s store) Damaged(context.Context) ([]wire.Damaged, error) {
	last, err := s.d.lastScrub()
	return last.Damaged, err
}

// Prune drops generations beyond the newest ones, and what nothing names; with q.Plan it only says what would go.
func (s store) Prune(ctx context.Context, q wire.PruneRequest, actor string) (out wire.Pruned, err error) {
	if q.Keep == 0 {
		q.Keep = feed.Kept
	}
	p, err := s.d.planPrune(ctx, q.Keep)
	if err != nil {
		return out, err
	}
	out = wire.Pruned{Plan: q.Plan, Keep: q.Keep, Generations: []wire.PrunedPlace{}, Layers: len(p.layers), Blobs: len(p.blobs.Blobs), Bytes: p.bytes}
	if err := s.places(p.gone, &out); err != nil {
		return out, err
	}
	if !q.Plan {
		if out.Blobs, out.Bytes, err = s.d.prune(ctx, p, actor); err != nil {
			return out, err
		}
	}
	now, err := s.d.cas.Space()
	out.Free, out.Stopped = now.Free, now.Stopped()
	return out, err
}

// places names the generations that go as people do: origin/feed.
func (s store) places(gone []feed.Spare, out *wire.Pruned) error {
	return s.d.state.View(func(tx *state.Tx) error {
		for _, g := range gone {
			name, err := s.d.feedName(tx, g)
			if err != nil {
				return err
			}
			out.Generations = append(out.Generations, wire.PrunedPlace{
				Feed: name, Tenant: g.Ref.Tenant, Epoch: g.Epoch, Generation: g.Generation.Generation, Records: g.Records, AcceptedAt: g.AcceptedAt,
			})
		}
		return nil
	})
}

// feedName is the full name of a feed: that of its origin here, and its own.
func (d *Daemon) feedName(tx *state.Tx, g feed.Spare) (string, error) {
	if g.Ref.Origin == d.in.ID {
		return d.in.Name + "/" + g.Ref.Name, nil
	}
	p, ok, err := peer.ByID(tx, g.Ref.Origin)
	if err == nil && !ok {
		p.Name = g.Ref.Origin
	}
	return p.Name + "/" + g.Ref.Name, err
}

// lines is how one shard is used.
type lines struct {
	bytes, records int64
	whole          bool              // some kept generation names every line of it
	used           map[[2]int64]bool // frame and offset
}

// dead is how many bytes of kept shards belong to records that no kept generation has any more: the packed size of a shard
// in the share of its lines. They go when nothing names the shard any more.
func (d *Daemon) dead() (bytes int64, err error) {
	shards := map[string]*lines{}
	gens, err := d.kept()
	if err != nil {
		return 0, err
	}
	for _, g := range gens {
		if err := d.linesOf(g.Generation, shards); err != nil {
			return 0, err
		}
	}
	for _, s := range shards {
		if gone := s.records - int64(len(s.used)); !s.whole && s.records > 0 && gone > 0 {
			bytes += int64(float64(s.bytes) * float64(gone) / float64(s.records))
		}
	}
	return bytes, nil
}

// kept lists every generation that is kept.
func (d *Daemon) kept() (all []feed.Spare, err error) {
	err = d.state.View(func(tx *state.Tx) error {
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
				all = append(all, feed.Spare{Ref: f.Ref, Generation: g})
			}
		}
		return nil
	})
	return all, err
}

func files(g feed.Generation) (list []string) {
	for _, l := range g.Layers {
		list = append(list, l.File)
	}
	return list
}

// linesOf adds what one generation uses of its shards. When it has as many lines as its shards, it uses them whole and
// nothing is walked; a layer that is damaged counts nothing.
func (d *Daemon) linesOf(g feed.Generation, shards map[string]*lines) error {
	v, err := d.layers.Open(files(g)...)
	if err != nil {
		return nil // a scrub names it
	}
	defer v.Close()
	var total int64
	mine := v.Shards()
	for _, s := range mine {
		total += s.Records
		if shards[s.Digest.Hex()] == nil {
			shards[s.Digest.Hex()] = &lines{used: map[[2]int64]bool{}}
		}
		l := shards[s.Digest.Hex()]
		l.bytes, l.records = s.Bytes, max(l.records, s.Records)
	}
	if v.Overlay() == nil {
		var docs int64
		if err := v.Base().Documents(func(digest.Digest) error { docs++; return nil }); err != nil {
			return nil
		}
		if total == g.Records-docs {
			for _, s := range mine {
				shards[s.Digest.Hex()].whole = true
			}
			return nil
		}
	}
	return v.All(func(it layer.Item) error {
		if s, ok := it.Shard(); ok && !it.Document {
			if l := shards[s.Digest.Hex()]; l != nil && !l.whole {
				l.used[[2]int64{it.Frame, it.Offset}] = true
			}
		}
		return nil
	})
}
