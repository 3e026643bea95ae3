package layer

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sallyport/internal/bundle"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/durable"
	"sallyport/internal/pack"
	"sallyport/internal/record"
)

// set is the records of a feed: bodies by kind and key.
type set map[Ref]string

func (s set) refs() []Ref { return slices.SortedFunc(maps.Keys(s), compareRefs) }

func (s set) root() digest.Digest {
	var b bundle.RootBuilder
	for _, r := range s.refs() {
		if err := b.Add(r.Kind, r.Key, digest.Of([]byte(s[r]))); err != nil {
			panic(err)
		}
	}
	return b.Root()
}

// body is one version of a record. Versions have other aliases and packages; some share them with other records.
func body(kind string, i, version int) string {
	if kind == record.SBOM {
		return fmt.Sprintf(`{"bomFormat":"CycloneDX","specVersion":"1.5","version":%d,"components":[{"type":"library","name":"c%d","purl":"pkg:golang/example.com/c%d@1"}]}`, version, i%3, i%3+version)
	}
	return fmt.Sprintf(`{"affected":[{"package":{"ecosystem":"Go","name":"p%d"}}],"aliases":["A-%d-%d","S-%d"],"id":"K%02d"}`, (i+version)%7, i, version, (i*version)%5, i)
}

// packed puts records where a bundle would have them: lines in shards of a few frames, documents in blobs.
func packed(b blobs, s set) (src Source, index []bundle.IndexLine) {
	docs := map[string]string{}
	var frame, shard []byte
	end := func(kind string) {
		if len(frame) > 0 {
			shard = pack.EncodeFrame(shard, frame)
		}
		if len(shard) > 0 {
			src.Shards = append(src.Shards, Shard{Digest: b.put(shard), Bytes: int64(len(shard)), Kind: kind})
			src.Paths = append(src.Paths, fmt.Sprintf("%s/%d", kind, len(src.Paths)))
		}
		frame, shard = nil, nil
	}
	kind, line := "", int64(0)
	for _, r := range s.refs() {
		l := bundle.IndexLine{Kind: r.Kind, Key: r.Key, Digest: digest.Of([]byte(s[r]))}
		if r.Kind != kind || line == 9 {
			end(kind)
			kind, line = r.Kind, 0
		}
		if r.Kind == record.SBOM {
			l.Path = "doc/" + r.Key
			docs[l.Path] = r.Key + ".json"
			b.put([]byte(s[r]))
		} else {
			at := line
			l.Line, l.Path = &at, fmt.Sprintf("%s/%d", kind, len(src.Paths))
			frame = append(append(frame, s[r]...), '\n')
			if line++; line%4 == 0 {
				shard, frame = pack.EncodeFrame(shard, frame), nil
			}
		}
		index = append(index, l)
	}
	end(kind)
	src.Open, src.Document = b.open, func(path string) (string, string, bool) { name, ok := docs[path]; return name, "application/json", ok }
	return src, index
}

// each makes a sequence that cannot fail.
func each[T any](list []T) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for _, v := range list {
			if !yield(v, nil) {
				return
			}
		}
	}
}

// chain is a feed at a site: its layers as files.
type chain struct {
	t     *testing.T
	dir   *Dir
	blobs blobs
}

func newChain(t *testing.T) *chain {
	c := &chain{t: t, dir: NewDir(filepath.Join(t.TempDir(), "layers"), durable.FS{}), blobs: blobs{}}
	t.Cleanup(func() { c.dir.Close() })
	return c
}

func (c *chain) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

// layer builds one file.
func (c *chain) layer(m Meta, build func(*Writer) (Built, error)) string {
	c.t.Helper()
	w, err := c.dir.Create(ref, c.t.TempDir())
	c.must(err)
	defer w.Abort()
	b, err := build(w)
	c.must(err)
	m.Feed, m.Epoch, m.Shards, m.Counts, m.Bytes = ref, 1, b.Shards, b.Counts, b.Bytes
	file, _, err := c.dir.Seal(w, m)
	c.must(err)
	return file
}

func (c *chain) full(gen int64, s set) string {
	c.t.Helper()
	return c.layer(Meta{Generation: gen, Root: s.root()}, func(w *Writer) (Built, error) {
		src, index := packed(c.blobs, s)
		return Build(context.Background(), w, each(index), src, nil)
	})
}

// delta merges what differs from any of the bases into what a view shows; noise adds what is so already.
func (c *chain) delta(gen int64, old *View, now set, bases ...set) string {
	c.t.Helper()
	return c.layer(Meta{Generation: gen, Root: now.root(), Overlay: true, Base: old.base.meta.Root}, func(w *Writer) (Built, error) {
		up, gone := set{}, map[Ref]bool{}
		for _, b := range bases {
			for r, body := range now {
				if b[r] != body {
					up[r] = body
				}
			}
			for r := range b {
				if _, ok := now[r]; !ok {
					gone[r] = true
				}
			}
		}
		src, index := packed(c.blobs, up)
		return Merge(context.Background(), w, old, Delta{Source: src, Index: each(index), Gone: each(slices.SortedFunc(maps.Keys(gone), compareRefs))}, nil)
	})
}

func (c *chain) open(files ...string) *View {
	c.t.Helper()
	v, err := c.dir.Open(files...)
	c.must(err)
	c.t.Cleanup(func() { v.Close() })
	return v
}

// same demands that a view is, in every answer it gives, what a base of the same records would be.
func (c *chain) same(got *View, now set, step string) {
	c.t.Helper()
	sum, err := got.Sum(context.Background())
	c.must(err)
	if sum.Root != now.root() || sum.Records != int64(len(now)) {
		c.t.Fatalf("%s: root %s, %d records; want %s, %d", step, sum.Root.Short(), sum.Records, now.root().Short(), len(now))
	}
	fresh := c.open(c.full(1, now))
	c.entries(got, fresh, step)
	c.lookups(got, fresh, step)
	c.shards(got, step)
}

func (c *chain) entries(got, fresh *View, step string) {
	c.t.Helper()
	plain := func(v *View) (list []Entry) {
		c.must(v.All(func(it Item) error {
			b, err := v.Body(it, c.blobs.open)
			if err != nil || digest.Of(b) != it.Digest {
				c.t.Fatalf("%s: %s %s: %v", step, it.Kind, it.Key, err)
			}
			e := it.Entry
			e.Shard, e.Frame, e.Offset = 0, 0, 0
			list = append(list, e)
			return nil
		}))
		return list
	}
	if a, b := plain(got), plain(fresh); !slices.Equal(a, b) {
		c.t.Fatalf("%s: entries\n%v\n%v", step, a, b)
	}
}

func (c *chain) lookups(got, fresh *View, step string) {
	c.t.Helper()
	compare := func(name string, look func(*View) ([]Item, error)) {
		a, errA := look(got)
		b, errB := look(fresh)
		if errA != nil || errB != nil || !slices.Equal(refs(a), refs(b)) {
			c.t.Fatalf("%s: %s: %v, want %v (%v, %v)", step, name, refs(a), refs(b), errA, errB)
		}
	}
	for i := range 12 {
		for version := range 3 {
			alias := fmt.Sprintf("a-%d-%d", i, version)
			compare(alias, func(v *View) ([]Item, error) { return v.Show("", alias) })
		}
		shared := fmt.Sprintf("S-%d", i)
		compare(shared, func(v *View) ([]Item, error) { return v.Show("", shared) })
		name := fmt.Sprintf("p%d", i)
		compare(name, func(v *View) ([]Item, error) { return v.Search("Go", name, Ref{}, 3) })
		name = fmt.Sprintf("example.com/c%d", i)
		compare(name, func(v *View) ([]Item, error) { return v.Search("", name, Ref{}, 0) })
	}
}

// shards demands that each layer names the shards it points into and no other.
func (c *chain) shards(v *View, step string) {
	c.t.Helper()
	for _, l := range [...]*Layer{v.base, v.over} {
		if l == nil {
			continue
		}
		used := map[int]bool{}
		c.must(l.All(func(e Entry) error {
			if !e.Deleted && !e.Document {
				used[e.Shard] = true
			}
			return nil
		}))
		if len(used) != len(l.meta.Shards) {
			c.t.Fatalf("%s: %d shards named, %d used", step, len(l.meta.Shards), len(used))
		}
	}
}

// TestChains runs random chains of fulls, deltas and folds, with deltas made for several bases at once.
func TestChains(t *testing.T) {
	for seed := range uint64(3) {
		r := rand.New(rand.NewPCG(seed, 9))
		c := newChain(t)
		now := set{}
		for i := range 30 {
			now[Ref{record.Advisory, fmt.Sprintf("K%02d", i)}] = body(record.Advisory, i, 0)
		}
		type state struct {
			view *View
			set  set
		}
		held := []state{{c.open(c.full(1, now)), now}}
		for gen := int64(2); gen < 9; gen++ {
			next := maps.Clone(now)
			for range 1 + r.IntN(6) {
				kind := []string{record.Advisory, record.Advisory, record.SBOM}[r.IntN(3)]
				i := r.IntN(40)
				if at := (Ref{kind, fmt.Sprintf("K%02d", i)}); r.IntN(3) == 0 {
					delete(next, at)
				} else {
					next[at] = body(kind, i, r.IntN(3))
				}
			}
			now = next
			step := fmt.Sprintf("seed %d generation %d", seed, gen)
			old := held[r.IntN(len(held))]
			bases := []set{old.set}
			for _, h := range held {
				if r.IntN(2) == 0 {
					bases = append(bases, h.set)
				}
			}
			file := c.delta(gen, old.view, now, bases...)
			v := c.open(c.dirFile(old.view.base), file)
			c.same(v, now, step)
			c.compared(old.view, v, old.set, now, step)
			c.compared(held[0].view, v, held[0].set, now, step)
			if Heavy(v.base, v.over) || r.IntN(5) == 0 {
				file := c.layer(Meta{Generation: gen, Root: now.root()}, func(w *Writer) (Built, error) { return Fold(context.Background(), w, v, nil) })
				folded := c.open(file)
				c.same(folded, now, step+" folded")
				c.compared(v, folded, now, now, step)
				v = folded
			}
			held = append(held, state{v, now})
		}
	}
}

// dirFile is the name of an open layer below the Dir.
func (c *chain) dirFile(l *Layer) string {
	c.t.Helper()
	rel, err := filepath.Rel(c.dir.path, l.path)
	c.must(err)
	return filepath.ToSlash(rel)
}

func (c *chain) compared(from, to *View, a, b set, step string) {
	c.t.Helper()
	var want Difference
	for r, body := range b {
		switch old, ok := a[r]; {
		case !ok:
			want.Added++
		case old != body:
			want.Changed++
		}
	}
	for r := range a {
		if _, ok := b[r]; !ok {
			want.Removed++
		}
	}
	if got, err := Compare(from, to); err != nil || got != want {
		c.t.Fatalf("%s: compare: %+v, want %+v (%v)", step, got, want, err)
	}
}

// A record that a delta brings as the base has it, and a removal of what is not there, leave nothing behind.
func TestMergeDropsWhatIsSo(t *testing.T) {
	c := newChain(t)
	one := set{{record.Advisory, "K01"}: body(record.Advisory, 1, 0), {record.Advisory, "K02"}: body(record.Advisory, 2, 0)}
	two := maps.Clone(one)
	two[Ref{record.Advisory, "K01"}] = body(record.Advisory, 1, 1)
	base := c.full(1, one)
	v := c.open(base)
	changed := c.open(base, c.delta(2, v, two, one))
	back := c.open(base, c.delta(3, changed, one, one, two, set{{record.Advisory, "K09"}: "{}"}, set{}))
	c.same(back, one, "changed back")
	if m := back.over.meta; len(m.Shards) != 0 || m.Gone != 0 || len(m.Counts) != 0 || m.Bytes != 0 {
		t.Errorf("%+v", m)
	}
}

// What contradicts itself is refused, and an overlay opens over its own base only.
func TestMergeRefuses(t *testing.T) {
	c := newChain(t)
	k := func(i int) Ref { return Ref{record.Advisory, fmt.Sprintf("K%02d", i)} }
	base := c.open(c.full(1, set{k(1): body(record.Advisory, 1, 0), k(2): body(record.Advisory, 2, 0)}))
	for name, gone := range map[string][]Ref{
		"brought and removed":   {k(1)},
		"removals in disorder":  {k(3), k(2)},
		"a removal named twice": {k(2), k(2)},
	} {
		t.Run(name, func(t *testing.T) {
			w, err := c.dir.Create(ref, t.TempDir())
			c.must(err)
			defer w.Abort()
			src, index := packed(c.blobs, set{k(1): body(record.Advisory, 1, 1)})
			if _, err := Merge(context.Background(), w, base, Delta{Source: src, Index: each(index), Gone: each(gone)}, nil); code.Of(err) != code.IndexBad {
				t.Errorf("%v", err)
			}
		})
	}
	other := c.full(7, set{k(1): body(record.Advisory, 1, 2)})
	over := c.delta(2, base, set{}, setOf(base, c))
	if _, err := c.dir.Open(other, over); code.Of(err) != code.StoreCorrupt {
		t.Errorf("an overlay over another base: %v", err)
	}
}

func setOf(v *View, c *chain) set {
	s := set{}
	c.must(v.All(func(it Item) error {
		b, err := v.Body(it, c.blobs.open)
		s[Ref{it.Kind, it.Key}] = string(b)
		return err
	}))
	return s
}

// A kind with both lines and documents gives up its documents to whoever asks for them.
func TestMixedKind(t *testing.T) {
	c := newChain(t)
	doc := c.blobs.put([]byte(`{"id":"D"}`))
	file := c.layer(Meta{Generation: 1, Root: func() digest.Digest {
		var b bundle.RootBuilder
		b.Add(record.Advisory, "A", digest.Of([]byte("{}")))
		b.Add(record.Advisory, "D", doc)
		return b.Root()
	}()}, func(w *Writer) (Built, error) {
		b := Built{Counts: map[string]int64{record.Advisory: 2}, Shards: []Shard{{Digest: doc, Kind: record.Advisory}}}
		if err := w.Add(Entry{Kind: record.Advisory, Key: "A", Digest: digest.Of([]byte("{}"))}, record.Fields{}); err != nil {
			return b, err
		}
		return b, w.Add(Entry{Kind: record.Advisory, Key: "D", Digest: doc, Document: true}, record.Fields{})
	})
	var found []digest.Digest
	c.must(c.open(file).base.Documents(func(d digest.Digest) error { found = append(found, d); return nil }))
	if !slices.Equal(found, []digest.Digest{doc}) {
		t.Errorf("%v", found)
	}
}

// A file that a kept generation has is not written over by another of its name.
func TestInstallBeside(t *testing.T) {
	c := newChain(t)
	one := set{{record.Advisory, "K01"}: body(record.Advisory, 1, 0)}
	taken := map[string]bool{c.full(1, one): true}
	m := Meta{Feed: ref, Epoch: 1, Generation: 1, Root: one.root()}
	for _, want := range []string{"-2.layer", "-3.layer"} {
		w, err := c.dir.Create(ref, t.TempDir())
		c.must(err)
		src, index := packed(c.blobs, one)
		b, err := Build(context.Background(), w, each(index), src, nil)
		c.must(err)
		m.Shards = b.Shards
		c.must(w.Seal(m))
		file, _, err := c.dir.InstallBeside(w, m, func(file string) bool { return taken[file] })
		if err != nil || taken[file] || !strings.HasSuffix(file, want) {
			t.Errorf("%s %v", file, err)
		}
		taken[file] = true
		c.same(c.open(file), one, file)
	}
}
