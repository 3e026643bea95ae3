package layer

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"sallyport/internal/bundle"
	"sallyport/internal/canon"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/durable"
	"sallyport/internal/ident"
	"sallyport/internal/pack"
	"sallyport/internal/record"
	"sallyport/internal/sample"
)

// blobs is a content store in memory.
type blobs map[digest.Digest][]byte

type blob struct{ *bytes.Reader }

func (blob) Close() error { return nil }

func (b blobs) open(d digest.Digest) (Blob, error) {
	body, ok := b[d]
	if !ok {
		return nil, os.ErrNotExist
	}
	return blob{bytes.NewReader(body)}, nil
}

func (b blobs) put(body []byte) digest.Digest {
	d := digest.Of(body)
	b[d] = body
	return d
}

// fixture is one feed as a bundle would carry it.
type fixture struct {
	blobs  blobs
	shards []Shard
	paths  []string
	index  []bundle.IndexLine
	bodies map[Ref][]byte
	docs   map[string]string
	root   digest.Digest
}

var ref = ident.FeedRef{Tenant: "acme", Origin: "ap1aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", Name: "osv"}

// newFixture packs n advisories, perFrame lines a frame and perShard frames a shard, and one SBOM.
func newFixture(t testing.TB, n, perFrame, perShard int) *fixture {
	t.Helper()
	f := &fixture{blobs: blobs{}, bodies: map[Ref][]byte{}, docs: map[string]string{}}
	var root bundle.RootBuilder
	var frame, shard []byte
	var inShard, frames int64
	endShard := func() {
		if len(shard) > 0 {
			d := f.blobs.put(shard)
			f.shards = append(f.shards, Shard{Digest: d, Bytes: int64(len(shard)), Kind: record.Advisory, Records: inShard})
			f.paths = append(f.paths, bundle.ShardPath(record.Advisory, 0, len(f.paths)))
			shard, inShard, frames = nil, 0, 0
		}
	}
	for i := range n {
		line, err := canon.Line(sample.Advisory(1, i))
		if err != nil {
			t.Fatal(err)
		}
		r := Ref{record.Advisory, sample.AdvisoryID(i)}
		f.bodies[r] = line
		at := inShard
		f.index = append(f.index, bundle.IndexLine{Kind: r.Kind, Key: r.Key, Line: &at, Digest: digest.Of(line), Path: bundle.ShardPath(record.Advisory, 0, len(f.paths))})
		frame = append(append(frame, line...), '\n')
		inShard++
		if err := root.Add(r.Kind, r.Key, digest.Of(line)); err != nil {
			t.Fatal(err)
		}
		if (i+1)%perFrame == 0 || i == n-1 {
			shard, frame = pack.EncodeFrame(shard, frame), frame[:0]
			if frames++; frames == int64(perShard) {
				endShard()
			}
		}
	}
	endShard()
	body := sample.SBOM(1, 20)
	d, err := record.ParseDocument("a.json", "", body)
	if err != nil {
		t.Fatal(err)
	}
	path := bundle.DocumentPath("mirror", record.SBOM, d.Key, "a.json")
	f.docs[path] = "a.json"
	f.bodies[Ref{record.SBOM, d.Key}] = body
	f.index = append(f.index, bundle.IndexLine{Kind: record.SBOM, Key: d.Key, Path: path, Digest: f.blobs.put(body), Source: "somewhere"})
	if err := root.Add(record.SBOM, d.Key, digest.Of(body)); err != nil {
		t.Fatal(err)
	}
	f.root = root.Root()
	return f
}

func (f *fixture) lines() iter.Seq2[bundle.IndexLine, error] {
	return func(yield func(bundle.IndexLine, error) bool) {
		for _, l := range f.index {
			if !yield(l, nil) {
				return
			}
		}
	}
}

func (f *fixture) source() Source {
	return Source{Shards: f.shards, Paths: f.paths, Open: f.blobs.open, Workers: 3, Document: func(path string) (string, string, bool) {
		name, ok := f.docs[path]
		return name, "application/json", ok
	}}
}

// build makes the layer of a fixture in a Dir and opens it.
func (f *fixture) build(t testing.TB, dir *Dir) *View {
	t.Helper()
	w, err := dir.Create(ref, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	built, err := Build(context.Background(), w, f.lines(), f.source(), nil)
	if err != nil {
		t.Fatal(err)
	}
	file, _, err := dir.Seal(w, Meta{Feed: ref, Epoch: 1, Generation: 1, Root: f.root, Shards: built.Shards, Counts: built.Counts, Bytes: built.Bytes})
	if err != nil {
		t.Fatal(err)
	}
	v, err := dir.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { v.Close(); dir.Close() })
	return v
}

func TestBuildAndRead(t *testing.T) {
	f := newFixture(t, 500, 30, 7)
	dir := NewDir(filepath.Join(t.TempDir(), "layers"), durable.FS{})
	v := f.build(t, dir)
	if !reflect.DeepEqual(v.Meta().Shards, f.shards) || v.Meta().Counts["advisory"] != 500 || v.Meta().Counts["sbom"] != 1 {
		t.Errorf("meta %+v", v.Meta())
	}
	bodies := v.Bodies(f.blobs.open)
	defer bodies.Close()
	i := 0
	err := v.All(func(it Item) error {
		l := f.index[i]
		i++
		if it.Kind != l.Kind || it.Key != l.Key || it.Digest != l.Digest || it.Source != l.Source || it.Document != (l.Line == nil) {
			t.Fatalf("entry %d: %+v, want %+v", i, it.Entry, l)
		}
		got, err := bodies.Body(it)
		if err != nil || !bytes.Equal(got, f.bodies[Ref{l.Kind, l.Key}]) {
			t.Fatalf("body of %s: %v", l.Key, err)
		}
		one, err := v.Body(it, f.blobs.open)
		if err != nil || !bytes.Equal(one, got) {
			t.Fatalf("body of %s read alone: %v", l.Key, err)
		}
		if l.Line != nil && i%37 == 0 {
			if s, n, err := v.Line(it, f.blobs.open); err != nil || n != *l.Line || s.Digest != f.shards[it.Entry.Shard].Digest {
				t.Fatalf("line of %s: %d %v, want %d", l.Key, n, err, *l.Line)
			}
		}
		return nil
	})
	if err != nil || i != len(f.index) {
		t.Fatalf("%d entries, %v", i, err)
	}
	var after []string
	if err := v.Scan("advisory", f.index[497].Key, func(it Item) error { after = append(after, it.Key); return nil }); err != nil {
		t.Fatal(err)
	}
	if want := []string{f.index[498].Key, f.index[499].Key}; !slices.Equal(after, want) {
		t.Errorf("after: %q, want %q", after, want)
	}
}

// TestLookups compares every lookup with a search through all bodies.
func TestLookups(t *testing.T) {
	f := newFixture(t, 400, 50, 9)
	v := f.build(t, NewDir(t.TempDir(), durable.FS{}))
	aliases, packages := map[string][]Ref{}, map[record.Package][]Ref{}
	for _, l := range f.index {
		r := Ref{l.Kind, l.Key}
		fields, err := record.Scan(f.bodies[r])
		if l.Line == nil {
			var d record.Document
			d, err = record.ParseDocument("a.json", l.Kind, f.bodies[r])
			fields = d.Fields
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range fields.Aliases {
			aliases[a] = append(aliases[a], r)
		}
		for _, p := range fields.Packages {
			packages[p] = append(packages[p], r)
		}
	}
	if len(aliases) < 700 || len(packages) < 200 {
		t.Fatalf("the fixture has %d aliases and %d packages", len(aliases), len(packages))
	}
	for a, want := range aliases {
		items, err := v.Show("", strings.ToLower(a))
		if got := refs(items); err != nil || !slices.Equal(got, want) {
			t.Fatalf("alias %q: %v %v, want %v", a, got, err, want)
		}
	}
	for p, want := range packages {
		items, err := v.Search(p.Ecosystem, p.Name, Ref{}, 0)
		if got := refs(items); err != nil || !slices.Equal(got, want) {
			t.Fatalf("package %v: %v %v, want %v", p, got, err, want)
		}
		if all, err := v.Search("", p.Name, Ref{}, 0); err != nil || len(all) < len(want) {
			t.Fatalf("package %v in any ecosystem: %v %v", p, all, err)
		}
		if rest, err := v.Search(p.Ecosystem, p.Name, want[0], 1); err != nil || len(rest) > 1 || len(want) > 1 && refs(rest)[0] != want[1] {
			t.Fatalf("package %v behind the first: %v %v", p, rest, err)
		}
	}
	for _, none := range []string{"", "no such", "CVE\x00", strings.Repeat("x", 5000)} {
		if items, err := v.Show("", none); err != nil || len(items) > 0 {
			t.Errorf("%.20q: %v %v", none, items, err)
		}
		if items, err := v.Search("Go", none, Ref{}, 0); err != nil || len(items) > 0 {
			t.Errorf("%.20q: %v %v", none, items, err)
		}
	}
	if items, err := v.Show("vex", f.index[0].Key); err != nil || len(items) > 0 {
		t.Errorf("a key of another kind: %v %v", items, err)
	}
}

func refs(items []Item) (list []Ref) {
	for _, it := range items {
		list = append(list, Ref{it.Kind, it.Key})
	}
	return list
}

func TestEcosystemPrefix(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	w, err := Create(durable.FS{}, path, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	var root bundle.RootBuilder
	for i, eco := range []string{"Debian", "Debian:11", "Debian:12", "DebianX", "Alpine:v3"} {
		key := fmt.Sprint("A", i)
		if err := w.Add(Entry{Kind: "advisory", Key: key, Digest: digest.Of([]byte(key))}, record.Fields{Packages: []record.Package{{Ecosystem: eco, Name: "curl"}}}); err != nil {
			t.Fatal(err)
		}
		root.Add("advisory", key, digest.Of([]byte(key)))
	}
	if err := w.Seal(Meta{Feed: ref, Root: root.Root()}); err != nil {
		t.Fatal(err)
	}
	l, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for eco, want := range map[string]int{"Debian": 3, "Debian:12": 1, "": 5, "Deb": 0, "Alpine": 1, "Zzz": 0} {
		if got, err := l.Package(eco, "curl", Ref{}, 0); err != nil || len(got) != want {
			t.Errorf("%q: %v %v, want %d", eco, got, err, want)
		}
	}
}

// TestBuildRefuses: every way in which index and shards can disagree.
func TestBuildRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(f *fixture)
		want  code.Code
	}{
		"a line too few": {func(f *fixture) { f.index = slices.Delete(f.index, 99, 100) }, code.IndexBad},
		"a line too many": {func(f *fixture) {
			n := int64(40)
			l := f.index[99]
			l.Key += "x"
			l.Line = &n
			f.index = slices.Insert(f.index, 100, l)
		}, code.IndexBad},
		"another digest":        {func(f *fixture) { f.index[50].Digest[0] ^= 1 }, code.IndexBad},
		"another line number":   {func(f *fixture) { n := int64(3); f.index[50].Line = &n }, code.IndexBad},
		"another path":          {func(f *fixture) { f.index[50].Path = f.paths[0] }, code.IndexBad},
		"another kind":          {func(f *fixture) { f.index[50].Kind = "finding" }, code.IndexBad},
		"exchanged keys":        {func(f *fixture) { f.index[50].Key, f.index[51].Key = f.index[51].Key, f.index[50].Key }, code.IndexBad},
		"unknown document":      {func(f *fixture) { f.index[100].Path = "mirror/other" }, code.IndexBad},
		"the last line missing": {func(f *fixture) { f.index = slices.Delete(f.index, 99, 101) }, code.IndexBad},
		"torn shard":            {func(f *fixture) { d := f.shards[1].Digest; f.blobs[d] = f.blobs[d][:len(f.blobs[d])-3] }, ""},
		"damaged shard":         {func(f *fixture) { d := f.shards[1].Digest; f.blobs[d][40] ^= 1 }, ""},
		"missing shard":         {func(f *fixture) { delete(f.blobs, f.shards[1].Digest) }, ""},
		"missing document":      {func(f *fixture) { delete(f.blobs, f.index[100].Digest) }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, 100, 20, 2)
			c.spoil(f)
			w, err := Create(durable.FS{}, filepath.Join(t.TempDir(), "x"), t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			defer w.Abort()
			_, err = Build(context.Background(), w, f.lines(), f.source(), nil)
			if err == nil || c.want != "" && !code.Has(err, c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}

func TestBuildStopsWhenCancelled(t *testing.T) {
	f := newFixture(t, 200, 2, 10)
	ctx, cancel := context.WithCancel(context.Background())
	w, err := Create(durable.FS{}, filepath.Join(t.TempDir(), "x"), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	n := 0
	_, err = Build(ctx, w, func(yield func(bundle.IndexLine, error) bool) {
		for l := range f.lines() {
			if n++; n == 50 {
				cancel()
			}
			if !yield(l, nil) {
				return
			}
		}
	}, f.source(), nil)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestSealRefuses(t *testing.T) {
	for name, m := range map[string]Meta{
		"another root":    {Feed: ref, Root: digest.Of(nil)},
		"other counts":    {Feed: ref, Root: oneRoot(), Counts: map[string]int64{"advisory": 2}},
		"a kind too many": {Feed: ref, Root: oneRoot(), Counts: map[string]int64{"advisory": 1, "vex": 1}},
	} {
		path := filepath.Join(t.TempDir(), "x")
		w, err := Create(durable.FS{}, path, t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Add(Entry{Kind: "advisory", Key: "A", Digest: digest.Of([]byte("A"))}, record.Fields{}); err != nil {
			t.Fatal(err)
		}
		if err := w.Add(Entry{Kind: "advisory", Key: "A"}, record.Fields{}); !code.Has(err, code.IndexBad) {
			t.Errorf("the same key again: %v", err)
		}
		if err := w.Seal(m); err == nil {
			t.Errorf("%s was sealed", name)
		}
		if _, err := os.Stat(path); !os.IsNotExist(err) {
			t.Errorf("%s left a file: %v", name, err)
		}
	}
}

func oneRoot() digest.Digest {
	var r bundle.RootBuilder
	r.Add("advisory", "A", digest.Of([]byte("A")))
	return r.Root()
}

// TestDamage flips and cuts a layer file everywhere: reading it gives an error or the truth, and never panics or lies about a body.
func TestDamage(t *testing.T) {
	f := newFixture(t, 60, 10, 3)
	dir := NewDir(t.TempDir(), durable.FS{})
	v := f.build(t, dir)
	whole, err := os.ReadFile(dir.Path(FileName(v.Meta())))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "x")
	r := rand.New(rand.NewPCG(1, 1))
	for range 400 {
		b := bytes.Clone(whole)
		for range 1 + r.IntN(4) {
			b[r.IntN(len(b))] ^= byte(1 + r.IntN(255))
		}
		if r.IntN(4) == 0 {
			b = b[:r.IntN(len(b))]
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		l, err := Open(path)
		if err != nil {
			continue
		}
		n := 0
		l.All(func(e Entry) error {
			if n++; n > 1000 {
				return ErrStop
			}
			body, err := l.Body(e, f.blobs.open)
			if err == nil && digest.Of(body) != e.Digest {
				t.Fatal("a body that is not what its entry says")
			}
			return nil
		})
		l.Alias("CVE-2100-00000")
		l.Package("", sample.PackageName(1), Ref{}, 0)
		l.Close()
	}
}

func TestBodyIsHashedAgain(t *testing.T) {
	f := newFixture(t, 20, 10, 1)
	v := f.build(t, NewDir(t.TempDir(), durable.FS{}))
	it, _, err := v.Get("advisory", f.index[3].Key)
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.Split(bytes.TrimSuffix(inflateAll(t, f.blobs[f.shards[0].Digest]), []byte("\n")), []byte("\n"))
	lines[3][20] ^= 1
	f.blobs[f.shards[0].Digest] = pack.EncodeFrame(nil, append(bytes.Join(lines, []byte("\n")), '\n'))
	if _, err := v.Body(it, f.blobs.open); !code.Has(err, code.StoreCorrupt) {
		t.Errorf("another line under the same name: %v", err)
	}
}

func inflateAll(t *testing.T, shard []byte) (text []byte) {
	t.Helper()
	err := pack.Frames(bytes.NewReader(shard), func(f pack.Frame) (err error) {
		text, err = pack.DecodeFrame(text, f.Packed)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestOverlay compares a base with an overlay against a model.
func TestOverlay(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for round := range 20 {
		model := map[Ref]digest.Digest{}
		base := makeLayer(t, r, false, model)
		over := makeLayer(t, r, true, model)
		v := NewView(base, over)
		var got []Ref
		err := v.All(func(it Item) error {
			got = append(got, Ref{it.Kind, it.Key})
			if model[Ref{it.Kind, it.Key}] != it.Digest || it.Deleted {
				t.Fatalf("round %d: %+v", round, it.Entry)
			}
			return nil
		})
		if err != nil || len(got) != len(model) || !slices.IsSortedFunc(got, compareRefs) {
			t.Fatalf("round %d: %d of %d, %v", round, len(got), len(model), err)
		}
		for i := range 60 {
			ref := Ref{"advisory", fmt.Sprint("K", i)}
			it, ok, err := v.Get(ref.Kind, ref.Key)
			want, live := model[ref]
			if err != nil || ok != live || ok && it.Digest != want {
				t.Fatalf("round %d: get %v: %v %v", round, ref, ok, err)
			}
			items, err := v.Show("", fmt.Sprintf("alias-%x", want[:4]))
			if live && (err != nil || !slices.Contains(refs(items), ref)) {
				t.Fatalf("round %d: alias of %v: %v %v", round, ref, items, err)
			}
		}
		for _, ref := range base.aliasesNotIn(t, model) {
			if items, err := v.Show("", ref); err != nil || len(items) != 0 {
				t.Fatalf("round %d: a hidden alias %q shows %v %v", round, ref, items, err)
			}
		}
	}
}

func makeLayer(t *testing.T, r *rand.Rand, overlay bool, model map[Ref]digest.Digest) *Layer {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x")
	w, err := Create(durable.FS{}, path, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	var list []Ref
	for _, kind := range []string{"advisory", "finding"} {
		for i := range 60 {
			if r.IntN(3) == 0 {
				list = append(list, Ref{kind, fmt.Sprint("K", i)})
			}
		}
	}
	slices.SortFunc(list, compareRefs)
	var root bundle.RootBuilder
	for _, ref := range list {
		e := Entry{Kind: ref.Kind, Key: ref.Key}
		binary.BigEndian.PutUint64(e.Digest[:], r.Uint64())
		e.Deleted = overlay && r.IntN(3) == 0
		if delete(model, ref); !e.Deleted {
			model[ref] = e.Digest
			root.Add(ref.Kind, ref.Key, e.Digest)
		}
		if err := w.Add(e, record.Fields{Aliases: []string{fmt.Sprintf("alias-%x", e.Digest[:4])}}); err != nil {
			t.Fatal(err)
		}
	}
	m := Meta{Feed: testRef(), Overlay: overlay, Root: root.Root()}
	if err := w.Seal(m); err != nil {
		t.Fatal(err)
	}
	l, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func testRef() ident.FeedRef { return ref }

// aliasesNotIn lists the aliases of entries that the model does not have any more.
func (l *Layer) aliasesNotIn(t *testing.T, model map[Ref]digest.Digest) (list []string) {
	t.Helper()
	err := l.All(func(e Entry) error {
		if model[Ref{e.Kind, e.Key}] != e.Digest {
			list = append(list, fmt.Sprintf("alias-%x", e.Digest[:4]))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestInherit(t *testing.T) {
	f := newFixture(t, 50, 10, 2)
	v := f.build(t, NewDir(t.TempDir(), durable.FS{}))
	gone, changed := f.index[7].Key, f.index[9].Key
	path := filepath.Join(t.TempDir(), "x")
	w, err := Create(durable.FS{}, path, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	w.Inherit(v.Base(), func(r Ref) bool { return r.Key == gone || r.Key == changed })
	var root bundle.RootBuilder
	err = v.All(func(it Item) error {
		if it.Key == gone {
			return nil
		}
		var fields record.Fields
		if it.Key == changed {
			it.Digest[0] ^= 1
			fields = record.Fields{Aliases: []string{"NEW-1"}, Packages: []record.Package{{Ecosystem: "Go", Name: "new"}}}
		}
		root.Add(it.Kind, it.Key, it.Digest)
		return w.Add(it.Entry, fields)
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Seal(Meta{Feed: ref, Root: root.Root(), Shards: f.shards}); err != nil {
		t.Fatal(err)
	}
	l, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for i, line := range f.index[:50] {
		fields, err := record.Scan(f.bodies[Ref{line.Kind, line.Key}])
		if err != nil {
			t.Fatal(err)
		}
		want := 1
		if line.Key == gone || line.Key == changed {
			want = 0
		}
		if got, err := l.Alias(fields.Aliases[0]); err != nil || len(got) != want {
			t.Errorf("%d: alias %q: %v %v", i, fields.Aliases[0], got, err)
		}
	}
	if got, err := l.Alias("new-1"); err != nil || len(got) != 1 || got[0].Key != changed {
		t.Errorf("the new alias: %v %v", got, err)
	}
	if got, err := l.Package("Go", "new", Ref{}, 0); err != nil || len(got) != 1 {
		t.Errorf("the new package: %v %v", got, err)
	}
}

func TestSorter(t *testing.T) {
	scratch := t.TempDir()
	s := NewSorter(durable.FS{}, scratch, "x", 4<<10)
	r := rand.New(rand.NewPCG(5, 6))
	var want []string
	for range 3000 {
		b := make([]byte, r.IntN(40))
		for i := range b {
			b[i] = byte(r.IntN(4))
		}
		want = append(want, string(b))
		if err := s.Add(b); err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(want)
	for range 2 {
		i := 0
		for b, err := range s.All() {
			if err != nil || string(b) != want[i] {
				t.Fatalf("%d: %q %v, want %q", i, b, err, want[i])
			}
			i++
		}
		if i != len(want) || s.Count() != int64(i) {
			t.Fatalf("%d strings", i)
		}
	}
	if runs, _ := os.ReadDir(scratch); len(runs) < 5 {
		t.Errorf("only %d runs were spilled", len(runs))
	}
	s.Close()
	if runs, _ := os.ReadDir(scratch); len(runs) != 0 {
		t.Errorf("%d runs are left", len(runs))
	}
}

func TestDamagedRun(t *testing.T) {
	for _, damage := range []func([]byte) []byte{
		func(b []byte) []byte { return b[:len(b)-3] },
		func(b []byte) []byte { b[len(b)/2] ^= 1; return b },
	} {
		scratch := t.TempDir()
		s := NewSorter(durable.FS{}, scratch, "x", 4<<10)
		for n := range 1000 {
			if err := s.Add(fmt.Appendf(nil, "CVE-%06d", n*7919%1000)); err != nil {
				t.Fatal(err)
			}
		}
		runs, err := os.ReadDir(scratch)
		if err != nil || len(runs) == 0 {
			t.Fatal("nothing was spilled", err)
		}
		path := filepath.Join(scratch, runs[0].Name())
		b, err := os.ReadFile(path)
		if err == nil {
			err = os.WriteFile(path, damage(b), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		var seen error
		for _, err := range s.All() {
			seen = errors.Join(seen, err)
		}
		if seen == nil {
			t.Error("a damaged run was read without an error")
		}
		s.Close()
	}
}

// A walk gives the pages of the file back now and then, and reads them again as they were.
func TestWalkForgetsPages(t *testing.T) {
	f := newFixture(t, 300, 10, 2)
	v := f.build(t, NewDir(filepath.Join(t.TempDir(), "layers"), durable.FS{}))
	defer v.Close()
	for _, seen := range []int64{0, forgetBytes - 1, forgetBytes - 5000} {
		v.Base().seen.Store(seen)
		n := 0
		err := v.All(func(it Item) error {
			if it.Key != f.index[n].Key || it.Digest != f.index[n].Digest {
				t.Errorf("%d: %s", n, it.Key)
			}
			n++
			return nil
		})
		if err != nil || n != len(f.index) {
			t.Fatalf("%d of %d records: %v", n, len(f.index), err)
		}
		if left := v.Base().seen.Load(); seen > 0 && left >= seen {
			t.Errorf("from %d: still %d bytes walked", seen, left)
		}
	}
}

func TestDir(t *testing.T) {
	f := newFixture(t, 30, 10, 2)
	dir := NewDir(filepath.Join(t.TempDir(), "layers"), durable.FS{})
	v := f.build(t, dir)
	file := FileName(v.Meta())
	again, err := dir.Open(file)
	if err != nil || again.Base() != v.Base() {
		t.Fatalf("an open layer is not shared: %v", err)
	}
	again.Close()
	if orphans, err := dir.Orphans(func(string) bool { return true }); err != nil || len(orphans) != 0 {
		t.Errorf("orphans %q %v", orphans, err)
	}
	if orphans, err := dir.Orphans(func(string) bool { return false }); err != nil || !slices.Equal(orphans, []string{file}) {
		t.Errorf("orphans %q %v", orphans, err)
	}
	if err := dir.Remove(file, "no/such"); err != nil {
		t.Fatal(err)
	}
	if _, ok, err := v.Get("advisory", f.index[0].Key); !ok || err != nil {
		t.Errorf("an open view lost its layer: %v %v", ok, err)
	}
	if _, err := dir.Open(file); !code.Has(err, code.StoreCorrupt) {
		t.Errorf("a removed layer opens: %v", err)
	}
	for _, bad := range []string{"../x", "/etc/passwd", ""} {
		if _, err := dir.Open(bad); err == nil {
			t.Errorf("%q opens", bad)
		}
	}
	if err := dir.Remove("../x"); err == nil {
		t.Error("a path outside was removed")
	}
}

// TestSealFaults loses and keeps each durable step of sealing: after an error there is no layer, or a whole one.
func TestSealFaults(t *testing.T) {
	f := newFixture(t, 40, 10, 2)
	for n := 1; ; n++ {
		for _, verdict := range []durable.Verdict{durable.Lose, durable.Keep} {
			steps := 0
			fs := durable.WithHook(func(op durable.Op) durable.Verdict {
				if op.Verb == "point" || op.Verb == "write" {
					return durable.Do
				}
				if steps++; steps == n {
					return verdict
				}
				return durable.Do
			})
			root := filepath.Join(t.TempDir(), "layers")
			dir := NewDir(root, fs)
			m := Meta{Feed: ref, Epoch: 1, Generation: 1, Root: f.root}
			w, err := dir.Create(ref, t.TempDir())
			if err == nil {
				var built Built
				if built, err = Build(context.Background(), w, f.lines(), f.source(), nil); err != nil {
					t.Fatal(err)
				}
				m.Shards = built.Shards
				_, _, err = dir.Seal(w, m)
				w.Abort()
			}
			if steps < n {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if !errors.Is(err, durable.ErrInjected) {
				t.Fatalf("step %d: %v", n, err)
			}
			v, err := NewDir(root, durable.FS{}).Open(FileName(m))
			if err == nil && v.Meta().Root != f.root {
				t.Errorf("step %d: half a layer", n)
			}
			left, err := NewDir(root, durable.FS{}).Orphans(func(file string) bool { return !strings.HasSuffix(file, buildSuffix) })
			if err != nil || len(left) > 0 {
				t.Errorf("step %d left %q %v", n, left, err)
			}
		}
	}
}

func TestMediumSizedBodies(t *testing.T) {
	// A line that hardly shrinks makes a frame longer than the reader's first bite.
	r := rand.New(rand.NewPCG(9, 9))
	noise := make([]byte, 900<<10)
	for i := range noise {
		noise[i] = byte('!' + r.IntN(90))
		if noise[i] == '"' || noise[i] == '\\' {
			noise[i] = 'x'
		}
	}
	line := []byte(`{"id":"A","x":"` + string(noise) + `"}`)
	f := &fixture{blobs: blobs{}, paths: []string{"p"}}
	shard := pack.EncodeFrame(nil, append(bytes.Clone(line), '\n'))
	f.shards = []Shard{{Digest: f.blobs.put(shard), Bytes: int64(len(shard)), Kind: "advisory"}}
	zero := int64(0)
	f.index = []bundle.IndexLine{{Kind: "advisory", Key: "A", Path: "p", Line: &zero, Digest: digest.Of(line)}}
	var root bundle.RootBuilder
	root.Add("advisory", "A", digest.Of(line))
	f.root = root.Root()
	v := f.build(t, NewDir(t.TempDir(), durable.FS{}))
	it, _, err := v.Get("advisory", "A")
	if err != nil {
		t.Fatal(err)
	}
	if body, err := v.Body(it, f.blobs.open); err != nil || !bytes.Equal(body, line) {
		t.Fatal(err)
	}
}

func BenchmarkBuild(b *testing.B) {
	f := newFixture(b, 20000, 250, 400)
	for b.Loop() {
		w, err := Create(durable.FS{}, filepath.Join(b.TempDir(), "x"), b.TempDir())
		if err != nil {
			b.Fatal(err)
		}
		src := f.source()
		src.Workers = 2
		built, err := Build(context.Background(), w, f.lines(), src, nil)
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(built.Bytes)
		if err := w.Seal(Meta{Feed: ref, Root: f.root, Shards: built.Shards}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkBody(b *testing.B) {
	f := newFixture(b, 20000, 250, 400)
	v := f.build(b, NewDir(b.TempDir(), durable.FS{}))
	r := rand.New(rand.NewPCG(1, 2))
	for b.Loop() {
		it, _, err := v.Get("advisory", f.index[r.IntN(20000)].Key)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := v.Body(it, f.blobs.open); err != nil {
			b.Fatal(err)
		}
	}
}
