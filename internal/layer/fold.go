package layer

import (
	"context"
	"fmt"

	"sallyport/internal/bundle"
	"sallyport/internal/digest"
	"sallyport/internal/record"
)

// Fold fills w with a base of everything a view shows. No body is read or moved: the new base points into the shards of both
// layers. Memory does not grow with the feed. It neither seals nor aborts w.
func Fold(ctx context.Context, w *Writer, v *View, progress func(items, bytes int64)) (Built, error) {
	c := newCopier(w)
	if v.over == nil {
		w.Inherit(v.base, func(Ref) bool { return false })
	} else {
		w.Inherit(v.base, v.hides)
		if err := w.adopt(v.over); err != nil {
			return Built{}, fmt.Errorf("fold layers: %w", err)
		}
	}
	err := v.All(func(it Item) error {
		if c.built.Records%page == 0 {
			if err := context.Cause(ctx); err != nil {
				return err
			}
			if progress != nil {
				progress(c.built.Records, c.built.Bytes)
			}
		}
		return c.copy(it.Entry, it.layer.meta.Shards, it.layer, record.Fields{})
	})
	if err != nil {
		return Built{}, fmt.Errorf("fold layers: %w", err)
	}
	return c.built, nil
}

// hides tells that the overlay has its own word on a record. That the overlay can be read whole was seen by the walk before.
func (v *View) hides(r Ref) bool {
	_, ok, err := v.over.Get(r.Kind, r.Key)
	return ok && err == nil
}

// adopt takes all lookups of an older layer as if its records were added with their fields.
func (w *Writer) adopt(old *Layer) error {
	if err := old.raw(aliasBucket, func(k, _ []byte) error { return w.aliases.Add(k) }); err != nil {
		return err
	}
	return old.raw(packageBucket, func(k, _ []byte) error { return w.packages.Add(k) })
}

// copier adds entries of several layers to one, and gives the shards they point into new numbers, in order of first use.
type copier struct {
	w       *Writer
	built   Built
	numbers map[shardOf]int
}

type shardOf struct {
	layer *Layer // nil: of the delta
	shard int
}

func newCopier(w *Writer) *copier {
	return &copier{w: w, built: Built{Counts: map[string]int64{}}, numbers: map[shardOf]int{}}
}

// copy adds an entry that points into the shards of a layer.
func (c *copier) copy(e Entry, shards []Shard, from *Layer, f record.Fields) error {
	if e.Deleted {
		return c.w.Add(Entry{Kind: e.Kind, Key: e.Key, Deleted: true}, f)
	}
	c.built.Records++
	c.built.Counts[e.Kind]++
	c.built.Bytes += e.body()
	if e.Document {
		return c.w.Add(e, f)
	}
	at := shardOf{from, e.Shard}
	n, ok := c.numbers[at]
	if !ok {
		if e.Shard < 0 || e.Shard >= len(shards) {
			return torn(e.Kind, []byte(e.Key))
		}
		n = len(c.built.Shards)
		c.numbers[at] = n
		c.built.Shards = append(c.built.Shards, shards[e.Shard])
	}
	e.Shard = n
	return c.w.Add(e, f)
}

// body is what an entry's body counts in Meta.Bytes.
func (e *Entry) body() int64 {
	switch {
	case e.Deleted:
		return 0
	case e.Document:
		return e.Length
	}
	return e.Length + 1
}

// Sum is what a view shows, added up.
type Sum struct {
	Root    digest.Digest // the state root
	Counts  map[string]int64
	Records int64
	Bytes   int64 // of all live bodies, lines with their LF, not packed
}

// Sum walks all live records. A caller that has merged a delta compares the root with the signed one.
func (v *View) Sum(ctx context.Context) (Sum, error) {
	s := Sum{Counts: map[string]int64{}}
	var root bundle.RootBuilder
	err := v.All(func(it Item) error {
		if s.Records++; s.Records%page == 0 {
			if err := context.Cause(ctx); err != nil {
				return err
			}
		}
		s.Counts[it.Kind]++
		s.Bytes += it.body()
		return root.Add(it.Kind, it.Key, it.Digest)
	})
	if err != nil {
		return Sum{}, fmt.Errorf("compute state root: %w", err)
	}
	s.Root = root.Root()
	return s, nil
}
