package load

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"sallyport/internal/cas"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/feed"
	"sallyport/internal/layer"
	"sallyport/internal/marks"
	"sallyport/internal/pack"
	"sallyport/internal/state"
	"sallyport/internal/timeline"
)

// EventLoaded is the timeline event of a load. Its subject is the feed's name.
const EventLoaded = "feed.loaded"

// build is the generation under construction: layer and shards, written in one pass.
type build struct {
	op     *operation
	layer  *layer.Writer
	shards []layer.Shard
	shard  *cas.Writer // the one being written
	at     int64       // its packed bytes
	rows   int64
	fresh  []digest.Digest // documents that came with this load
}

// write is the second half of a load that changes something.
func (op *operation) write(ctx context.Context) error {
	b := &build{op: op}
	defer b.abort()
	record, _, err := op.in.blob.Close()
	if err != nil {
		return err
	}
	if err := b.run(ctx); err != nil {
		return err
	}
	op.room.FS.Point("load.staged")
	if err := op.stage.Commit(b.blobs(record)...); err != nil {
		return err
	}
	op.room.FS.Point("load.committed")
	op.progress(Progress{Stage: "commit", Items: op.sum.records, TotalItems: op.sum.records, Bytes: op.sum.bytes})
	gen, err := b.seal(record)
	if err != nil {
		return err
	}
	op.room.FS.Point("load.layer")
	gen.Members = op.keepMembers()
	out, err := op.activate(ctx, gen)
	if err != nil {
		return err
	}
	op.room.FS.Point("load.transaction")
	op.res.Epoch, op.res.Generation = gen.Epoch, gen.Generation
	if err := op.mark(gen); err != nil {
		return err
	}
	op.after(out, gen.Members)
	op.room.FS.Point("load.done")
	return nil
}

// run makes all shards and the layer's records.
func (b *build) run(ctx context.Context) (err error) {
	op := b.op
	if b.layer, err = op.room.Layers.Create(op.ref, op.scratch()); err != nil {
		return err
	}
	if op.view != nil {
		b.layer.Inherit(op.view.Base(), func(ref layer.Ref) bool {
			_, gone := op.sum.dropped[refDigest(ref.Kind, ref.Key)]
			return gone
		})
	}
	ctx, cancel := context.WithCancel(ctx)
	var wait sync.WaitGroup
	defer wait.Wait()
	defer cancel()
	for done := range op.pieces(ctx, &wait) {
		p := <-done
		if p.err != nil {
			return p.err
		}
		if err := b.put(p); err != nil {
			return err
		}
		b.rows += int64(len(p.rows))
		op.progress(Progress{Stage: "write", Items: b.rows, TotalItems: op.sum.records})
	}
	if err := context.Cause(ctx); err != nil {
		return err
	}
	return b.end()
}

// put takes one finished piece.
func (b *build) put(p *piece) error {
	if p.packed == nil {
		if r := &p.rows[0]; r.fresh != nil {
			b.fresh = append(b.fresh, r.fresh.digest)
		}
		return b.layer.Add(p.rows[0].entry(), p.rows[0].fields)
	}
	if p.reuse {
		b.op.res.Frames.Copied++
	} else {
		b.op.res.Frames.Written++
	}
	if b.shard != nil && b.shards[len(b.shards)-1].Kind != p.rows[0].kind {
		if err := b.end(); err != nil {
			return err
		}
	}
	if b.shard == nil {
		w, err := b.op.stage.Create()
		if err != nil {
			return err
		}
		b.shard, b.at = w, 0
		b.shards = append(b.shards, layer.Shard{Kind: p.rows[0].kind})
	}
	if _, err := b.shard.Write(p.packed); err != nil {
		return err
	}
	for i := range p.rows {
		r := &p.rows[i]
		e := r.entry()
		e.Shard, e.Frame, e.Offset = len(b.shards)-1, b.at, r.offset
		if err := b.layer.Add(e, r.fields); err != nil {
			return err
		}
	}
	b.shards[len(b.shards)-1].Records += int64(len(p.rows))
	if b.at += int64(len(p.packed)); b.at >= pack.ShardMax {
		return b.end()
	}
	return nil
}

// end ends the shard being written.
func (b *build) end() (err error) {
	if b.shard == nil {
		return nil
	}
	s := &b.shards[len(b.shards)-1]
	s.Digest, s.Bytes, err = b.shard.Close()
	b.shard = nil
	return err
}

// blobs lists what must be durable before the layer is.
func (b *build) blobs(record digest.Digest) []digest.Digest {
	list := append([]digest.Digest{record}, b.fresh...)
	for _, s := range b.shards {
		list = append(list, s.Digest)
	}
	return list
}

// seal names the layer and describes the generation.
func (b *build) seal(record digest.Digest) (feed.Generation, error) {
	op := b.op
	file, size, err := op.room.Layers.Seal(b.layer, layer.Meta{
		Feed: op.ref, Epoch: op.at.Epoch, Generation: op.at.Generation, Root: op.sum.root, Shards: b.shards,
		Counts: op.sum.live, Bytes: op.sum.bytes,
	})
	if err != nil {
		return feed.Generation{}, err
	}
	l := feed.Layer{File: file, Bytes: size}
	for _, s := range b.shards {
		l.Shards = append(l.Shards, s.Digest)
	}
	return feed.Generation{
		Point: op.at, Root: op.sum.root, Records: op.sum.records, Counts: op.sum.live, Layers: []feed.Layer{l},
		Bytes: op.sum.bytes, LoadedBy: op.req.Actor, LoadRecord: record, GeneratedAt: op.now, AcceptedAt: op.now,
	}, nil
}

func (b *build) abort() {
	if b.shard != nil {
		b.shard.Abort()
	}
	if b.layer != nil {
		b.layer.Abort()
	}
}

// activate is the commit point. The layer stays when it fails: the transaction may have reached the disk all the same, and an
// orphan is swept.
func (op *operation) activate(ctx context.Context, gen feed.Generation) (out feed.Outcome, err error) {
	plan, err := feed.NewPlan(feed.Proposal{Ref: op.ref, Local: true, Generation: gen})
	if err != nil {
		return out, err
	}
	at, err := time.Parse(time.RFC3339, op.now)
	if err != nil {
		return out, err
	}
	err = op.room.State.Update(ctx, func(tx *state.Tx) error {
		if err := op.room.ours(tx, op.ref); err != nil {
			return err
		}
		current, _, err := feed.Current(tx, op.ref)
		if err != nil {
			return err
		}
		next, err := feed.Next(tx, op.ref)
		if err != nil {
			return err
		}
		if current.Root != op.from.Root || next != op.at {
			return code.New(code.Conflict, "the feed changed while the files were read").Want(op.at, next)
		}
		if out, err = feed.Activate(tx, plan, at); err != nil {
			return err
		}
		return op.event(tx, gen)
	})
	return out, err
}

// event writes what happened into the timeline.
func (op *operation) event(tx *state.Tx, gen feed.Generation) error {
	n := func(v int64) string { return strconv.FormatInt(v, 10) }
	attrs := map[string]string{
		"load": op.res.ID, "origin": op.ref.Origin, "epoch": n(gen.Epoch), "generation": n(gen.Generation),
		"stateRoot": gen.Root.String(), "records": n(gen.Records), "added": n(op.res.Counts.Added), "changed": n(op.res.Counts.Changed),
		"removed": n(op.res.Counts.Removed), "unchanged": n(op.res.Counts.Unchanged), "rejected": n(op.res.Counts.Rejected),
	}
	if !gen.LoadRecord.IsZero() {
		attrs["loadRecord"] = gen.LoadRecord.String()
	}
	_, err := op.room.Timeline.Append(tx, timeline.Event{
		Type: EventLoaded, Tenant: op.ref.Tenant, Actor: op.req.Actor, Subject: op.ref.Name, Attrs: attrs,
	})
	return err
}

// mark raises the feed's mark. The generation stands already: an error says so, and the mark counts in memory all the same.
func (op *operation) mark(gen feed.Generation) error {
	err := op.room.Marks.Raise(func(s *marks.Set) error {
		s.Feeds[op.ref.Key()] = marks.Mark{Epoch: gen.Epoch, Generation: gen.Generation, Root: gen.Root}
		return nil
	})
	if err != nil {
		return fmt.Errorf("generation %d is active, but its mark was not written: %w", gen.Generation, err)
	}
	return nil
}

// after removes the layers that no kept generation names. It only tidies: an error is logged, and the sweep tries again.
func (op *operation) after(out feed.Outcome, members digest.Digest) {
	for _, l := range out.Dropped {
		if err := op.room.Layers.Remove(l.File); err != nil {
			op.room.log().Warn("old layer not removed", "file", l.File, "err", err.Error())
		}
	}
	op.tidyMembers(members)
	op.progress(Progress{Stage: "done", Items: op.sum.records, TotalItems: op.sum.records, Bytes: op.sum.bytes})
}

// record makes this load's record durable, in place of one that is lost.
func (op *operation) record() (digest.Digest, error) {
	d, _, err := op.in.blob.Close()
	if err == nil {
		err = op.stage.Commit(d)
	}
	return d, err
}

// nothing ends a load that changes nothing: the feed stays as it is; that someone loaded these files is still an event.
func (op *operation) nothing(ctx context.Context) error {
	op.res.Unchanged, op.res.Epoch, op.res.Generation = true, op.from.Epoch, op.from.Generation
	gen := op.from
	gen.LoadRecord = digest.Digest{}
	if op.ill[op.from.LoadRecord] {
		var err error
		if gen.LoadRecord, err = op.record(); err != nil {
			return err
		}
	}
	err := op.room.State.Update(ctx, func(tx *state.Tx) error {
		if !gen.LoadRecord.IsZero() {
			if err := feed.Recorded(tx, op.ref, gen.Point, op.from.LoadRecord, gen.LoadRecord, op.req.Actor); err != nil {
				return err
			}
		}
		return op.event(tx, gen)
	})
	if err != nil {
		return err
	}
	if !gen.LoadRecord.IsZero() {
		delete(op.ill, op.from.LoadRecord)
		op.res.Mended++
	}
	op.res.Ill = int64(len(op.ill))
	op.progress(Progress{Stage: "done", Items: op.sum.records, TotalItems: op.sum.records, Bytes: op.sum.bytes})
	return nil
}
