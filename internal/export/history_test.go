package export_test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sallyport/internal/bundle"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/durable"
	"sallyport/internal/export"
	"sallyport/internal/feed"
	"sallyport/internal/ident"
	"sallyport/internal/job"
	"sallyport/internal/layer"
	"sallyport/internal/pack"
	"sallyport/internal/peer"
	"sallyport/internal/root"
	"sallyport/internal/sample"
	"sallyport/internal/state"
	"sallyport/internal/verify"
)

// members collects the contents of a payload.
type members map[string]*bytes.Buffer

func (m members) Begin(*verify.Bundle) error { return nil }

func (m members) Entry(c bundle.Content) (io.Writer, error) {
	m[c.Path] = &bytes.Buffer{}
	return m[c.Path], nil
}

// opened is a bundle and what is in it.
func (h *hub) opened(run export.Run) (*verify.Bundle, members) {
	h.t.Helper()
	m := members{}
	o := verify.Options{Trust: verify.Trust{Roots: []*root.Trusted{h.trust}}, Now: h.clock.Now(), Audience: h.site.ID, Sink: m}
	b, err := verify.Payload(h.t.Context(), bytes.NewReader(h.payload(run)), run.Name, o)
	must(h.t, err)
	return b, m
}

// content is what a generation holds: digests by kind and key.
type content map[layer.Ref]digest.Digest

func (c content) root(t testing.TB) digest.Digest {
	refs := make([]layer.Ref, 0, len(c))
	for r := range c {
		refs = append(refs, r)
	}
	slices.SortFunc(refs, func(a, b layer.Ref) int { return strings.Compare(a.Kind+"\x00"+a.Key, b.Kind+"\x00"+b.Key) })
	var root bundle.RootBuilder
	for _, r := range refs {
		must(t, root.Add(r.Kind, r.Key, c[r]))
	}
	return root.Root()
}

// content reads a generation that is held.
func (h *hub) content(ref ident.FeedRef, p feed.Point) content {
	h.t.Helper()
	var g feed.Generation
	must(h.t, h.deps.State.View(func(tx *state.Tx) (err error) {
		var ok bool
		if g, ok, err = feed.At(tx, ref, p); err == nil && !ok {
			err = fmt.Errorf("generation %v is gone", p)
		}
		return err
	}))
	v, err := h.deps.Layers.Open(g.Layers[0].File)
	must(h.t, err)
	defer v.Close()
	c := content{}
	must(h.t, v.All(func(it layer.Item) error { c[layer.Ref{Kind: it.Kind, Key: it.Key}] = it.Digest; return nil }))
	return c
}

// apply does what a reader of a delta does to what it holds.
func apply(t testing.TB, m *bundle.Manifest, files members, n int, c content) {
	t.Helper()
	lines := func(path string) (list [][]byte) {
		if files[path].Len() == 0 {
			return nil
		}
		z := pack.NewReader(bytes.NewReader(files[path].Bytes()))
		defer z.Close()
		all, err := io.ReadAll(z)
		must(t, err)
		return bytes.SplitAfter(bytes.TrimSuffix(all, []byte("\n")), []byte("\n"))
	}
	for _, e := range m.Contents {
		if e.Feed == nil || *e.Feed != int64(n) {
			continue
		}
		switch e.Role {
		case bundle.RoleIndex:
			for _, b := range lines(e.Path) {
				l, err := bundle.ParseIndexLine(b)
				must(t, err)
				c[layer.Ref{Kind: l.Kind, Key: l.Key}] = l.Digest
			}
		case bundle.RoleTombstones:
			for _, b := range lines(e.Path) {
				l, err := bundle.ParseTombstone(b)
				must(t, err)
				delete(c, layer.Ref{Kind: e.Kind, Key: l.Key})
			}
		}
	}
}

// right checks that a delta gives its state from every base it names, and says of the newest what changed.
func (h *hub) right(run export.Run) *bundle.Manifest {
	h.t.Helper()
	b, files := h.opened(run)
	m := b.Manifest()
	if m.Delta == nil {
		h.t.Fatalf("%s is no delta", run.Name)
	}
	for n, f := range m.Feeds {
		ref := ident.FeedRef{Tenant: tenant, Origin: h.self.ID, Name: f.Feed}
		for i, base := range f.Bases {
			c := h.content(ref, feed.Point{Epoch: f.Epoch, Generation: base.Generation})
			if got := c.root(h.t); got != base.StateRoot {
				h.t.Fatalf("base %d of %s: root %v, named %v", base.Generation, f.Feed, got, base.StateRoot)
			}
			before := len(c)
			apply(h.t, m, files, n, c)
			if got := c.root(h.t); got != f.StateRoot || int64(len(c)) != f.Records {
				h.t.Fatalf("%s from base %d: root %v, want %v", f.Feed, base.Generation, got, f.StateRoot)
			}
			if sum := int64(0); i == len(f.Bases)-1 {
				for _, k := range f.Counts {
					sum += k.Added - k.Removed
				}
				if int64(before)+sum != f.Records {
					h.t.Errorf("%s: counts %+v from %d records to %d", f.Feed, f.Counts, before, f.Records)
				}
			}
		}
	}
	return m
}

// tale is a random history of one hub and its site: what the site was sent and what is known of it.
type tale struct {
	*hub
	r    *rand.Rand
	e    evidence
	docs int
	sent map[string][]job.FeedState // by feed, oldest first
	know map[string]job.FeedState
}

func (s *tale) change() {
	for range 1 + s.r.IntN(4) {
		i := s.r.IntN(60)
		switch s.r.IntN(3) {
		case 0:
			delete(s.e, i)
		default:
			s.e[i] = 1 + s.r.IntN(3) // often what it was before
		}
	}
	s.e[70] = 1 // never empty
	s.loadSnapshot("osv-go", s.e)
	if s.r.IntN(4) == 0 {
		s.docs++
		p := filepath.Join(s.t.TempDir(), fmt.Sprintf("%d.cdx.json", s.r.IntN(3)))
		must(s.t, os.WriteFile(p, sample.SBOM(uint64(s.docs), 1+s.r.IntN(3)), 0o600))
		s.load("sboms", p)
	}
}

func (s *tale) current() (list []job.FeedState) {
	must(s.t, s.deps.State.View(func(tx *state.Tx) error {
		feeds, err := feed.List(tx, tenant)
		for _, f := range feeds {
			g, _, err := feed.Current(tx, f.Ref)
			if err != nil {
				return err
			}
			list = append(list, job.FeedState{Ref: f.Ref, Epoch: g.Epoch, Generation: g.Generation, Root: g.Root})
		}
		return err
	}))
	return list
}

// export makes what an engineer would: a delta, else a full.
func (s *tale) export() {
	s.t.Helper()
	run, err := s.delta(export.Request{})
	switch code.Of(err) {
	case "":
		m := s.right(run)
		for _, f := range m.Feeds {
			s.named(f)
		}
	case code.ExportBase:
		for _, now := range s.current() {
			if len(s.sent[now.Ref.Name]) == 0 {
				run = s.mustRun(export.Request{For: "site"})
			}
		}
		if run.ID == "" {
			s.t.Fatalf("everything was sent once: %v", err)
		}
	case code.ExportEmpty:
		for _, now := range s.current() {
			if last := s.sent[now.Ref.Name]; len(last) == 0 || last[len(last)-1].Root != now.Root {
				s.t.Fatalf("%s is not there: %v", now.Ref.Name, err)
			}
		}
		return
	default:
		s.t.Fatal(err)
	}
	for _, f := range run.Feeds {
		s.sent[f.Ref.Name] = append(s.sent[f.Ref.Name], f)
	}
}

// named checks the bases: what is known, and everything sent since.
func (s *tale) named(f bundle.FeedState) {
	s.t.Helper()
	var want []int64
	known, ok := s.know[f.Feed]
	if ok {
		want = append(want, known.Generation)
	}
	for _, x := range s.sent[f.Feed] {
		if !ok || x.Generation > known.Generation {
			want = append(want, x.Generation)
		}
	}
	slices.Sort(want)
	want = slices.DeleteFunc(slices.Compact(want), func(g int64) bool { return g == f.Generation })
	var got []int64
	for _, b := range f.Bases {
		got = append(got, b.Generation)
	}
	if !slices.Equal(got, want) {
		s.t.Fatalf("%s: bases %v, want %v", f.Feed, got, want)
	}
}

// answer lets a receipt for something that was sent come back; most are lost.
func (s *tale) answer() {
	for name, list := range s.sent {
		x := list[s.r.IntN(len(list))]
		if known, ok := s.know[name]; ok && known.Generation >= x.Generation {
			continue
		}
		s.know[name] = x
		h := peer.Held{Epoch: x.Epoch, Generation: x.Generation, Root: x.Root}
		must(s.t, s.deps.State.Update(s.t.Context(), func(tx *state.Tx) error {
			view := peer.FeedView{Feed: name, Held: []peer.Held{h}, Active: h, Mark: h, From: peer.FromReceipt}
			if _, err := peer.Know(tx, "site", s.clock.Now(), []peer.FeedView{view}, nil); err != nil {
				return err
			}
			return export.Remember(tx, "site")
		}))
	}
}

// TestHistories: whatever was loaded, sent, lost and answered, a delta is right from every base it names, names all there
// may be, and its bases are still held.
func TestHistories(t *testing.T) {
	seeds := 3
	if os.Getenv("SALLYPORT_CRASH") == "all" {
		seeds = 40
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			s := &tale{
				hub: newHub(t, 60+uint64(seed)), r: rand.New(rand.NewPCG(uint64(seed), 1)), e: evidence{},
				sent: map[string][]job.FeedState{}, know: map[string]job.FeedState{},
			}
			must(t, s.room.Start(t.Context()))
			for range 25 {
				switch s.r.IntN(5) {
				case 0, 1:
					s.change()
				case 2, 3:
					if len(s.current()) > 0 {
						s.export()
					}
				case 4:
					s.answer()
				}
			}
			s.clean()
		})
	}
}

// TestChangedBack: a key that changed in 1 and changed back in 3 is in the third delta, for a site that got the first.
func TestChangedBack(t *testing.T) {
	h := newHub(t, 52)
	must(t, h.room.Start(t.Context()))
	e := evidence{1: 1, 2: 1, 3: 1}
	h.loadSnapshot("osv-go", e)
	h.mustRun(export.Request{For: "site"})
	h.heard("osv-go")
	var last export.Run
	for _, step := range []evidence{{1: 2, 2: 1, 3: 1}, {1: 2, 2: 2, 3: 1}, {1: 1, 2: 2, 3: 1}} {
		h.loadSnapshot("osv-go", step)
		var err error
		last, err = h.delta(export.Request{})
		must(t, err)
	}
	m := h.right(last)
	if len(m.Feeds[0].Bases) != 3 || m.Feeds[0].Counts["advisory"] != (bundle.Counts{Changed: 1}) {
		t.Errorf("%+v", m.Feeds[0])
	}
	_, files := h.opened(last)
	index, err := pack.DecodeFrame(nil, files[bundle.IndexPath(0)].Bytes())
	must(t, err)
	if !bytes.Contains(index, []byte(sample.AdvisoryID(1))) || !bytes.Contains(index, []byte(sample.AdvisoryID(2))) || bytes.Contains(index, []byte(sample.AdvisoryID(3))) {
		t.Errorf("index %s", index)
	}
}

// TestKeptForAPeer: what may be a base stays, at most MaxSent of it; what is not one any more goes.
func TestKeptForAPeer(t *testing.T) {
	h := newHub(t, 53)
	must(t, h.room.Start(t.Context()))
	h.loadSnapshot("osv-go", evidence{1: 1})
	h.mustRun(export.Request{For: "site"})
	h.heard("osv-go")
	ref := ident.FeedRef{Tenant: tenant, Origin: h.self.ID, Name: "osv-go"}
	held := func() (list []int64) {
		must(t, h.deps.State.View(func(tx *state.Tx) error {
			all, err := feed.Generations(tx, ref)
			for _, g := range all {
				list = append(list, g.Generation)
			}
			return err
		}))
		return list
	}
	for v := 2; v < 10; v++ {
		h.loadSnapshot("osv-go", evidence{1: v})
	}
	if got := held(); !slices.Equal(got, []int64{9, 8, 7, 6, 5, 1}) {
		t.Fatalf("held %v: what the site holds must stay", got)
	}
	for v := 10; v < 12+export.MaxSent; v++ {
		h.loadSnapshot("osv-go", evidence{1: v})
		_, err := h.delta(export.Request{})
		must(t, err)
	}
	got := held()
	if len(got) != export.MaxSent+1 || got[len(got)-1] != 1 || got[len(got)-2] != 12 { // what went with the last one goes with the next

		t.Fatalf("held %v", got)
	}
	h.heard("osv-go")
	h.loadSnapshot("osv-go", evidence{1: 1})
	if got := held(); len(got) != feed.Kept {
		t.Fatalf("held %v after the answer", got)
	}
	must(t, h.deps.State.View(func(tx *state.Tx) error {
		all, err := feed.Generations(tx, ref)
		for i, g := range all {
			if want := map[bool]int{true: 1}[i == 1]; len(g.Users) != want {
				t.Errorf("generation %d: users %q", g.Generation, g.Users)
			}
		}
		return err
	}))
}

// TestSameDeltaAtAnyWorkerCount: the payload does not depend on how many workers made it.
func TestSameDeltaAtAnyWorkerCount(t *testing.T) {
	var first []byte
	src := t.TempDir()
	for _, workers := range []int{1, 2, 8} {
		h := newHub(t, 54)
		h.close()
		h.tune = func(d *export.Deps) { d.Workers = workers }
		h.open()
		h.fillFrom(src, 900)
		must(t, h.room.Start(t.Context()))
		h.mustRun(export.Request{For: "site", Unencrypted: true}) // a seal is random, and its label stands in the log
		for _, f := range []string{"osv-go", "sboms", "vex"} {
			h.heard(f)
		}
		h.fillFrom(filepath.Join(src), 700)
		run, err := h.delta(export.Request{})
		must(t, err)
		h.right(run)
		got := h.payload(run)
		if first == nil {
			first = got
		}
		if !bytes.Equal(first, got) {
			t.Errorf("%d workers: another payload (%d and %d bytes)", workers, len(first), len(got))
		}
		h.close()
	}
}

// TestPinnedWhileItReads: as many loads as there are generations kept, in the middle of a run, take nothing from it; when it
// ends, what only it needed goes.
func TestPinnedWhileItReads(t *testing.T) {
	for _, profile := range []string{"mirror:full", "mirror:delta"} {
		t.Run(profile, func(t *testing.T) {
			h := newHub(t, 55)
			h.loadSnapshot("osv-go", evidence{1: 1})
			h.heard("osv-go")
			h.loadSnapshot("osv-go", evidence{1: 2})
			h.close()
			busy := false
			h.fs = durable.WithHook(func(op durable.Op) durable.Verdict {
				if op.Verb == "point" && op.Path == "export.planned" && !busy {
					busy = true
					for v := 3; v < 4+feed.Kept; v++ {
						h.loadSnapshot("osv-go", evidence{1: v})
					}
				}
				return durable.Do
			})
			h.open()
			must(t, h.room.Start(t.Context()))
			id, err := h.room.Submit(t.Context(), export.Request{Tenant: tenant, Profile: profile, For: "site"})
			must(t, err)
			run, err := h.room.Wait(t.Context(), id)
			if err != nil || !busy {
				t.Fatalf("%v, loaded meanwhile: %v", err, busy)
			}
			if b, _ := h.opened(run); b.Manifest().Feeds[0].Generation != 2 {
				t.Errorf("feeds %+v", b.Manifest().Feeds)
			}
			h.clean()
		})
	}
}
