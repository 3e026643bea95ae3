package cas

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sallyport/internal/digest"
	"sallyport/internal/durable"
)

// TestModel drives a store and two plain sets (what is committed, what some ledger names) with the same random
// operations: a named blob is never gone, an unnamed one goes only by a sweep, staging never shows.
func TestModel(t *testing.T) {
	dir, err := os.MkdirTemp("/dev/shm", "cas-model-") // in memory where that is to be had: nobody cuts the power here
	if err != nil {
		dir = t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	runs := 0
	rapid.Check(t, func(rt *rapid.T) {
		runs++
		m := &model{dir: filepath.Join(dir, fmt.Sprint(runs)), committed: map[digest.Digest]bool{}, live: map[digest.Digest]bool{}}
		if err := Create(m.dir, durable.FS{}, "i"); err != nil {
			rt.Fatal(err)
		}
		m.reopen(rt)
		rt.Repeat(map[string]func(*rapid.T){
			"import": m.put,
			"drop":   m.drop,
			"sweep":  m.sweep,
			"reopen": m.reopen,
			"":       m.compare,
		})
		os.RemoveAll(m.dir)
	})
}

type model struct {
	dir             string
	s               *Store
	committed, live map[digest.Digest]bool
}

func (m *model) reopen(rt *rapid.T) {
	s, err := Open(m.dir, durable.FS{}, "i")
	if err != nil {
		rt.Fatal(err)
	}
	m.s = s
}

func text(i int) string { return fmt.Sprint("text ", i) }

// put is an import: some blobs are staged, some of them committed, and named or not (a crash before the transaction).
// A sweep that was planned before runs between commit and transaction.
func (m *model) put(rt *rapid.T) {
	p, err := m.s.Plan(rt.Context(), m.isLive, 0, time.Now().Add(time.Hour))
	if err != nil {
		rt.Fatal(err)
	}
	st, err := m.s.Stage()
	if err != nil {
		rt.Fatal(err)
	}
	var ds []digest.Digest
	for _, i := range rapid.SliceOfN(rapid.IntRange(0, 12), 1, 6).Draw(rt, "blobs") {
		w, err := st.Create()
		if err != nil {
			rt.Fatal(err)
		}
		w.Write([]byte(text(i)))
		d, _, err := w.Close()
		if err != nil {
			rt.Fatal(err)
		}
		if rapid.Bool().Draw(rt, "commit") {
			ds = append(ds, d)
		}
	}
	if err := st.Commit(ds...); err != nil {
		rt.Fatal(err)
	}
	for _, o := range p.Blobs {
		delete(m.committed, o.Digest)
	}
	if _, _, err := m.s.Apply(rt.Context(), p, m.isLive); err != nil {
		rt.Fatal(err)
	}
	named := rapid.Bool().Draw(rt, "named")
	for _, d := range ds {
		m.committed[d] = true
		if named {
			m.live[d] = true
		}
	}
	if err := st.Discard(); err != nil {
		rt.Fatal(err)
	}
}

func (m *model) isLive(d digest.Digest) bool { return m.live[d] }

func (m *model) drop(rt *rapid.T) {
	delete(m.live, digest.Of([]byte(text(rapid.IntRange(0, 12).Draw(rt, "blob")))))
}

func (m *model) sweep(rt *rapid.T) {
	p, err := m.s.Plan(rt.Context(), m.isLive, 0, time.Now().Add(time.Hour))
	if err != nil {
		rt.Fatal(err)
	}
	if _, _, err := m.s.Apply(rt.Context(), p, m.isLive); err != nil {
		rt.Fatal(err)
	}
	for d := range m.committed {
		if !m.live[d] {
			delete(m.committed, d)
		}
	}
}

func (m *model) compare(rt *rapid.T) {
	for i := range 13 {
		d := digest.Of([]byte(text(i)))
		if m.s.Has(d) != m.committed[d] {
			rt.Errorf("%q there: %v, want %v", text(i), m.s.Has(d), m.committed[d])
		}
		if m.live[d] && !m.s.Has(d) {
			rt.Errorf("%q is named and gone", text(i))
		}
	}
	if err := m.s.Check(rt.Context()); err != nil {
		rt.Error(err)
	}
}
