package layer

import (
	"errors"
	"slices"

	"sallyport/internal/digest"
)

// Item is a live record and the layer that holds it.
type Item struct {
	Entry
	layer *Layer
}

// View is one generation: a base layer and at most one overlay, whose entries hide the base's. Safe for concurrent use.
type View struct {
	base, over *Layer
	free       []func()
}

// NewView joins a base and an overlay (nil: none). Closing the view leaves them open.
func NewView(base, overlay *Layer) *View { return &View{base: base, over: overlay} }

// Close gives the layers back to their Dir.
func (v *View) Close() error {
	for _, free := range v.free {
		free()
	}
	v.free = nil
	return nil
}

// Base is the base layer, Overlay the overlay or nil.
func (v *View) Base() *Layer    { return v.base }
func (v *View) Overlay() *Layer { return v.over }

// Meta is the meta of the newest layer: the generation the view shows.
func (v *View) Meta() Meta {
	if v.over != nil {
		return v.over.meta
	}
	return v.base.meta
}

// Kinds lists the kinds that may have records, ascending.
func (v *View) Kinds() []string {
	kinds := slices.Clone(v.base.kinds)
	if v.over != nil {
		kinds = append(kinds, v.over.kinds...)
	}
	slices.Sort(kinds)
	return slices.Compact(kinds)
}

// Get finds one live record.
func (v *View) Get(kind, key string) (Item, bool, error) {
	for _, l := range [...]*Layer{v.over, v.base} {
		if l == nil {
			continue
		}
		if e, ok, err := l.Get(kind, key); err != nil || ok {
			return Item{e, l}, ok && !e.Deleted, err
		}
	}
	return Item{}, false, nil
}

// cursor pulls the entries of one kind of one layer, a page at a time.
type cursor struct {
	layer *Layer
	kind  string
	list  []Entry // of room
	room  []Entry
	after string
	done  bool
}

func (c *cursor) peek() (*Entry, error) {
	if len(c.list) == 0 && !c.done {
		list, err := c.layer.page(c.room, c.kind, c.after, page)
		if err != nil {
			return nil, err
		}
		c.room = list
		if c.list, c.done = list, len(list) < page; len(list) > 0 {
			c.after = list[len(list)-1].Key
		}
	}
	if len(c.list) == 0 {
		return nil, nil
	}
	return &c.list[0], nil
}

func (c *cursor) pop() { c.list = c.list[1:] }

// Cursor pulls the live records of one kind in key order. Not for concurrent use.
type Cursor struct{ base, over cursor }

// Cursor begins behind the key after ("": at the first).
func (v *View) Cursor(kind, after string) *Cursor {
	c := &Cursor{base: cursor{layer: v.base, kind: kind, after: after}}
	if c.over = (cursor{layer: v.over, kind: kind, after: after}); v.over == nil {
		c.over.done = true
	}
	return c
}

// Next gives the next live record; ok is false at the end.
func (c *Cursor) Next() (it Item, ok bool, err error) {
	for {
		b, err := c.base.peek()
		if err != nil {
			return it, false, err
		}
		o, err := c.over.peek()
		if err != nil {
			return it, false, err
		}
		switch {
		case b == nil && o == nil:
			return it, false, nil
		case o == nil || (b != nil && b.Key < o.Key):
			it = Item{*b, c.base.layer}
			c.base.pop()
			return it, true, nil
		}
		if b != nil && b.Key == o.Key {
			c.base.pop()
		}
		it = Item{*o, c.over.layer}
		c.over.pop()
		if !it.Deleted {
			return it, true, nil
		}
	}
}

// Scan walks the live records of a kind behind the key after, ascending. ErrStop ends it without an error.
func (v *View) Scan(kind, after string, fn func(Item) error) error {
	c := v.Cursor(kind, after)
	for {
		it, ok, err := c.Next()
		if err != nil || !ok {
			return err
		}
		if err := fn(it); err != nil {
			if errors.Is(err, ErrStop) {
				return nil
			}
			return err
		}
	}
}

// All walks all live records ascending by kind, key.
func (v *View) All(fn func(Item) error) error {
	for _, kind := range v.Kinds() {
		stopped := false
		err := v.Scan(kind, "", func(it Item) error {
			err := fn(it)
			stopped = errors.Is(err, ErrStop)
			return err
		})
		if err != nil || stopped {
			return err
		}
	}
	return nil
}

// Show finds records by key, else by alias in any case; kind "" is any. The list is empty when there is none, and has more
// than one item when an alias is shared.
func (v *View) Show(kind, name string) ([]Item, error) {
	var found []Item
	for _, k := range v.Kinds() {
		if kind != "" && k != kind {
			continue
		}
		it, ok, err := v.Get(k, name)
		if err != nil {
			return nil, err
		}
		if ok {
			found = append(found, it)
		}
	}
	if len(found) > 0 {
		return found, nil
	}
	return v.resolve(kind, Ref{}, 0, func(l *Layer) ([]Ref, error) { return l.Alias(name) })
}

// Search finds the live records about a package behind after, at most limit (0: all), ascending by kind, key. Ecosystem
// "Debian" finds "Debian:12" too, "" every ecosystem.
func (v *View) Search(ecosystem, name string, after Ref, limit int) ([]Item, error) {
	return v.resolve("", after, limit, func(l *Layer) ([]Ref, error) { return l.Package(ecosystem, name, after, 0) })
}

// resolve turns lookups of both layers into live records: a base's lookup counts only while the overlay does not hide it.
func (v *View) resolve(kind string, after Ref, limit int, look func(*Layer) ([]Ref, error)) ([]Item, error) {
	from := map[Ref]*Layer{}
	var refs []Ref
	for _, l := range [...]*Layer{v.base, v.over} {
		if l == nil {
			continue
		}
		list, err := look(l)
		if err != nil {
			return nil, err
		}
		for _, ref := range list {
			from[ref] = l
		}
		refs = append(refs, list...)
	}
	var found []Item
	for _, ref := range cutRefs(refs, after, 0) {
		if kind != "" && ref.Kind != kind {
			continue
		}
		it, ok, err := v.Get(ref.Kind, ref.Key)
		if err != nil {
			return nil, err
		}
		if !ok || it.layer != from[ref] {
			continue
		}
		if found = append(found, it); len(found) == limit {
			break
		}
	}
	return found, nil
}

// Body reads a record's bytes and hashes them again.
func (v *View) Body(it Item, open Blobs) ([]byte, error) { return it.layer.Body(it.Entry, open) }

// Shard is the shard a line lies in; ok is false for a document.
func (it Item) Shard() (s Shard, ok bool) {
	if it.Document || it.Entry.Shard < 0 || it.Entry.Shard >= len(it.layer.meta.Shards) {
		return Shard{}, false
	}
	return it.layer.meta.Shards[it.Entry.Shard], true
}

// Line says which line of which shard a record is, from 0.
func (v *View) Line(it Item, open Blobs) (Shard, int64, error) { return it.layer.Line(it.Entry, open) }

// Bodies reads many bodies in key order, keeping the last frame of base and overlay. Not for concurrent use; close it.
type Bodies struct {
	view *View
	open Blobs
	of   map[*Layer]*Reader
}

// Bodies makes a reader of many bodies.
func (v *View) Bodies(open Blobs) *Bodies {
	return &Bodies{view: v, open: open, of: map[*Layer]*Reader{}}
}

// Body is View.Body; the bytes are valid until the next call.
func (b *Bodies) Body(it Item) ([]byte, error) { return b.reader(it).Body(it.Entry) }

// Packed reads the frame of a line as it lies in its shard, not hashed; the bytes are valid until the next call.
func (b *Bodies) Packed(it Item) ([]byte, error) {
	return b.reader(it).Packed(it.Entry.Shard, it.Frame)
}

func (b *Bodies) reader(it Item) *Reader {
	r := b.of[it.layer]
	if r == nil {
		r = it.layer.Reader(b.open)
		b.of[it.layer] = r
	}
	return r
}

// Close gives back what the reader holds.
func (b *Bodies) Close() {
	for _, r := range b.of {
		r.Close()
	}
}

// Shards lists the blobs of lines of base and overlay.
func (v *View) Shards() []Shard {
	shards := slices.Clone(v.base.meta.Shards)
	if v.over != nil {
		shards = append(shards, v.over.meta.Shards...)
	}
	return shards
}

// Blobs visits every digest in the content store that the layers' files name, shards and documents, hidden ones included,
// some more than once.
func (v *View) Blobs(fn func(digest.Digest) error) error {
	for _, s := range v.Shards() {
		if err := fn(s.Digest); err != nil {
			return err
		}
	}
	for _, l := range [...]*Layer{v.base, v.over} {
		if l == nil {
			continue
		}
		if err := l.Documents(fn); err != nil {
			return err
		}
	}
	return nil
}

// Documents visits the digest of every document. A kind is nearly always documents or lines throughout, so lines cost nothing.
func (l *Layer) Documents(fn func(digest.Digest) error) error {
	for _, kind := range l.kinds {
		mixed := slices.Contains(l.meta.Mixed, kind)
		err := l.Scan(kind, "", func(e Entry) error {
			switch {
			case e.Deleted || !e.Document && mixed:
				return nil
			case !e.Document:
				return ErrStop
			}
			return fn(e.Digest)
		})
		if err != nil {
			return err
		}
	}
	return nil
}
