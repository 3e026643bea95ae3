package load

import (
	"archive/zip"
	"bytes"
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"sallyport/internal/bundle"
	"sallyport/internal/cas"
	"sallyport/internal/clock"
	"sallyport/internal/durable"
	"sallyport/internal/feed"
	"sallyport/internal/ident"
	"sallyport/internal/layer"
	"sallyport/internal/marks"
	"sallyport/internal/pack"
	"sallyport/internal/sample"
	"sallyport/internal/state"
	"sallyport/internal/timeline"
)

const (
	instance = "i-1"
	self     = "ap1aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	other    = "ap1bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
)

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// world is a data directory and a room over it.
type world struct {
	t    testing.TB
	dir  string
	room *Room
}

// random is the same stream in every world.
type random struct{ r *rand.Rand }

func (r random) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(r.r.Uint32())
	}
	return len(p), nil
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir()}
	must(t, state.Create(w.path("state.db"), durable.FS{}, instance))
	must(t, cas.Create(w.path("cas"), durable.FS{}, instance))
	must(t, marks.Create(w.path("marks"), durable.FS{}, instance, epoch))
	w.open(durable.FS{})
	must(t, w.room.State.Update(context.Background(), func(tx *state.Tx) error {
		_, err := w.room.Timeline.Begin(tx, "test")
		return err
	}))
	t.Cleanup(func() { w.check(); w.close() })
	return w
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

func (w *world) open(fs durable.FS) {
	w.t.Helper()
	db, err := state.Open(w.path("state.db"), fs)
	must(w.t, err)
	store, err := cas.Open(w.path("cas"), fs, instance)
	must(w.t, err)
	c := clock.NewFixed(epoch)
	m, err := marks.Open(w.path("marks"), fs, c)
	must(w.t, err)
	seed := random{rand.New(rand.NewPCG(1, 2))}
	w.room = &Room{
		State: db, CAS: store, Layers: layer.NewDir(w.path("layers"), fs), Timeline: timeline.New(self, m.Now, seed), Marks: m,
		DataDir: w.dir, Self: Self{ID: self, Name: "hub"}, Clock: c, Random: seed, FS: fs,
	}
}

func (w *world) close() {
	if w.room != nil {
		w.room.Layers.Close()
		must(w.t, w.room.State.Close())
		w.room = nil
	}
}

// reopen is a restart, after a crash or not.
func (w *world) reopen(fs durable.FS) {
	w.t.Helper()
	w.close()
	w.open(fs)
}

func ref(name string) ident.FeedRef { return ident.FeedRef{Tenant: "acme", Origin: self, Name: name} }

func (w *world) current(name string) (gen feed.Generation, ok bool) {
	w.t.Helper()
	must(w.t, w.room.State.View(func(tx *state.Tx) (err error) {
		gen, ok, err = feed.Current(tx, ref(name))
		return err
	}))
	return gen, ok
}

func (w *world) view(name string) (feed.Generation, *layer.View) {
	w.t.Helper()
	gen, ok := w.current(name)
	if !ok {
		w.t.Fatalf("feed %s has no generation", name)
	}
	v, err := w.room.Layers.Open(gen.Layers[0].File)
	must(w.t, err)
	return gen, v
}

func (w *world) blobs() layer.Blobs { return layer.Opener(w.room.CAS.Open) }

// check proves what a world must be at any time: every generation held is whole, every body is there, the log proves.
func (w *world) check() {
	w.t.Helper()
	if w.room == nil {
		return
	}
	must(w.t, w.room.State.Check())
	var gens []feed.Generation
	events := map[string]int{}
	must(w.t, w.room.State.View(func(tx *state.Tx) error {
		if _, err := w.room.Timeline.Verify(tx); err != nil {
			return err
		}
		feeds, err := feed.List(tx, "acme")
		if err != nil {
			return err
		}
		for _, f := range feeds {
			list, err := feed.Generations(tx, f.Ref)
			if err != nil {
				return err
			}
			gens = append(gens, list...)
		}
		return w.room.Timeline.Read(tx, 0, 0, func(e timeline.Entry) error {
			if e.Type == EventLoaded {
				events[e.Event.Attrs["stateRoot"]]++
			}
			return nil
		})
	}))
	for _, g := range gens {
		if events[g.Root.String()] == 0 {
			w.t.Errorf("generation %d has no event", g.Generation)
		}
		w.checkGeneration(g)
	}
}

func (w *world) checkGeneration(g feed.Generation) {
	w.t.Helper()
	v, err := w.room.Layers.Open(g.Layers[0].File)
	must(w.t, err)
	defer v.Close()
	var root bundle.RootBuilder
	bodies := v.Bodies(w.blobs())
	defer bodies.Close()
	var n int64
	must(w.t, v.All(func(it layer.Item) error {
		n++
		if _, err := bodies.Body(it); err != nil {
			return err
		}
		return root.Add(it.Kind, it.Key, it.Digest)
	}))
	if root.Root() != g.Root || n != g.Records || v.Meta().Generation != g.Generation {
		w.t.Errorf("generation %d: root %v with %d records, want %v with %d", g.Generation, root.Root(), n, g.Root, g.Records)
	}
	if _, err := w.room.CAS.ReadAll(g.LoadRecord, 1<<30); err != nil {
		w.t.Errorf("load record of generation %d: %v", g.Generation, err)
	}
	for i, s := range v.Shards() {
		w.checkShard(v, i, s)
	}
}

// checkShard demands of a shard what 20 "Bodies" says of what we write.
func (w *world) checkShard(v *layer.View, n int, s layer.Shard) {
	w.t.Helper()
	packed, err := w.room.CAS.ReadAll(s.Digest, 1<<30)
	must(w.t, err)
	var lines, total int64
	var last int
	must(w.t, pack.Frames(bytes.NewReader(packed), func(f pack.Frame) error {
		text, err := pack.DecodeFrame(nil, f.Packed)
		lines, total, last = lines+int64(bytes.Count(text, []byte{'\n'})), total+int64(len(f.Packed)), len(f.Packed)
		return err
	}))
	if lines != s.Records || total != s.Bytes || total-int64(last) >= pack.ShardMax {
		w.t.Errorf("shard %d: %d lines, %d bytes, the last frame %d; want %d and %d", n, lines, total, last, s.Records, s.Bytes)
	}
}

// load loads files into a feed and fails the test on an error.
func (w *world) load(name string, files ...string) Result {
	w.t.Helper()
	res, err := w.room.Load(context.Background(), Request{Tenant: "acme", Feed: name, Files: files, Actor: "tester"}, nil)
	must(w.t, err)
	return res
}

// file writes a file outside the data directory.
func file(t testing.TB, name string, body []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	must(t, os.WriteFile(path, body, 0o600))
	return path
}

func dump(t testing.TB, seed uint64, week sample.Week) string {
	t.Helper()
	var b bytes.Buffer
	must(t, sample.Zip(&b, seed, week))
	return file(t, "dump.zip", b.Bytes())
}

// zipOf makes a dump of members name, body, name, body…
func zipOf(t testing.TB, pairs ...string) string {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := 0; i < len(pairs); i += 2 {
		f, err := z.Create(pairs[i])
		must(t, err)
		_, err = f.Write([]byte(pairs[i+1]))
		must(t, err)
	}
	must(t, z.Close())
	return file(t, "dump.zip", b.Bytes())
}

func shared(t testing.TB, name string) string {
	t.Helper()
	dir := os.Getenv("SALLYPORT_DATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "data")
	}
	path := filepath.Join(dir, name)
	if _, err := os.Stat(path); err != nil {
		t.Skip("no real data in", dir)
	}
	return path
}
