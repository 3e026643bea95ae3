package mirror

import (
	"context"
	"slices"

	"sallyport/internal/bundle"
	"sallyport/internal/digest"
	"sallyport/internal/job"
	"sallyport/internal/layer"
	"sallyport/internal/pack"
	"sallyport/internal/record"
)

// keptChanges is how many changes are kept in memory between the two passes of a delta; with more the layers are walked
// again.
const keptChanges = 1 << 16

// change is one record that differs in at least one base.
type change struct {
	layer.Item               // as it is now; of a removed one kind and key alone
	last       bool          // it is the last line of its frame
	removed    bool          //
	was        digest.Digest // of a removed one: in the newest base that has it
}

// diff merges the index of a feed as it is with that of every base: what differs from one of them is in the delta, so the
// delta is right from each, also for a key that changed and changed back on the way.
type diff struct {
	now   *layer.View
	old   []*layer.View // newest base first; those with the state of now are left out, each root is there once
	roots []digest.Digest
	same  bool // the newest base has the state of now
	reset bool // every record goes in

	counts map[string]bundle.Counts // by kind, against the newest base
	lines  map[string]int64         // by kind, of upserts
	bytes  map[string]int64
	total  int64 // of all upserts
	kept   []change
	over   bool // more than keptChanges
}

// base adds one base, newest first.
func (d *diff) base(b job.FeedState, open func(job.FeedState) (*layer.View, error)) error {
	first := len(d.roots) == 0
	if slices.Contains(d.roots, b.Root) {
		return nil
	}
	d.roots = append(d.roots, b.Root)
	if b.Root == d.now.Meta().Root {
		d.same = d.same || first
		return nil
	}
	v, err := open(b)
	if err != nil {
		return err
	}
	d.old = append(d.old, v)
	return nil
}

func (d *diff) close() {
	for _, v := range d.old {
		v.Close()
	}
}

// run is the first pass: it counts, and keeps what fits.
func (d *diff) run(ctx context.Context) error {
	d.lines, d.bytes = map[string]int64{}, map[string]int64{}
	return d.walk(ctx, func(c *change, against verdict) error {
		n := d.counts[c.Kind]
		switch against {
		case added:
			n.Added++
		case changed:
			n.Changed++
		case removed:
			n.Removed++
		}
		d.counts[c.Kind] = n
		if !c.removed {
			d.total += c.Length
		}
		if !c.removed && record.IsLine(c.Kind) {
			d.lines[c.Kind]++
			d.bytes[c.Kind] += c.Length + 1
		}
		if len(d.kept) == keptChanges {
			d.kept, d.over = nil, true
		}
		if !d.over {
			d.kept = append(d.kept, *c)
		}
		return nil
	})
}

// each visits the changes ascending by kind, key.
func (d *diff) each(ctx context.Context, fn func(*change) error) error {
	if d.over {
		return d.walk(ctx, func(c *change, _ verdict) error { return fn(c) })
	}
	for i := range d.kept {
		if err := fn(&d.kept[i]); err != nil {
			return err
		}
	}
	return nil
}

// cut is n of 20, "Bodies", over the lines of a kind in this delta.
func (d *diff) cut(kind string) uint { return pack.CutBits(d.bytes[kind], d.lines[kind]) }

// verdict is what became of a record since the newest base.
type verdict int

const (
	unchanged verdict = iota
	added
	changed
	removed
)

// walk visits everything that differs from a base, ascending by kind, key.
func (d *diff) walk(ctx context.Context, fn func(*change, verdict) error) error {
	kinds := d.now.Kinds()
	for _, v := range d.old {
		kinds = append(kinds, v.Kinds()...)
	}
	slices.Sort(kinds)
	for _, kind := range slices.Compact(kinds) {
		m := &merge{diff: d, heads: make([]head, 1+len(d.old))}
		m.heads[0].cur = d.now.Cursor(kind, "")
		for i, v := range d.old {
			m.heads[1+i].cur = v.Cursor(kind, "")
		}
		if err := m.run(ctx, fn); err != nil {
			return err
		}
	}
	return nil
}

// head is the next record of one view.
type head struct {
	cur *layer.Cursor
	it  layer.Item
	ok  bool
}

func (h *head) next() (err error) {
	h.it, h.ok, err = h.cur.Next()
	return err
}

// merge walks one kind; heads[0] is now.
type merge struct {
	*diff
	heads []head
}

func (m *merge) run(ctx context.Context, fn func(*change, verdict) error) error {
	for i := range m.heads {
		if err := m.heads[i].next(); err != nil {
			return err
		}
	}
	for n := 0; ; n++ {
		if n%4096 == 0 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		key, ok := m.least()
		if !ok {
			return nil
		}
		c, against, differs := m.judge(key)
		for i := range m.heads {
			if h := &m.heads[i]; h.ok && h.it.Key == key {
				if err := h.next(); err != nil {
					return err
				}
			}
		}
		if !differs {
			continue
		}
		if next := &m.heads[0]; !c.removed && !c.Document {
			c.last = !next.ok || next.it.Entry.Shard != c.Entry.Shard || next.it.Frame != c.Frame
		}
		if err := fn(&c, against); err != nil {
			return err
		}
	}
}

// least is the smallest key that is next anywhere.
func (m *merge) least() (key string, ok bool) {
	for i := range m.heads {
		if h := &m.heads[i]; h.ok && (!ok || h.it.Key < key) {
			key, ok = h.it.Key, true
		}
	}
	return key, ok
}

// judge compares the record of a key with every base.
func (m *merge) judge(key string) (c change, against verdict, differs bool) {
	now := &m.heads[0]
	live := now.ok && now.it.Key == key
	if live {
		c.Item, differs = now.it, m.reset
	} else {
		c.removed = true
	}
	for i := range m.heads[1:] {
		h := &m.heads[1+i]
		has := h.ok && h.it.Key == key
		var v verdict
		switch {
		case live && !has:
			v = added
		case live && h.it.Digest != now.it.Digest:
			v = changed
		case !live && has:
			v = removed
			if c.was.IsZero() {
				c.Kind, c.Key, c.was = h.it.Kind, h.it.Key, h.it.Digest
			}
		}
		differs = differs || v != unchanged
		if i == 0 && !m.same {
			against = v
		}
	}
	return c, against, differs
}
