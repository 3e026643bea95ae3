package export_test

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"sallyport/internal/bundle"
	"sallyport/internal/code"
	"sallyport/internal/export"
	"sallyport/internal/feed"
	"sallyport/internal/ident"
	"sallyport/internal/job"
	"sallyport/internal/peer"
	"sallyport/internal/sample"
	"sallyport/internal/state"
)

// evidence is the content of a snapshot: which advisories there are, and in which version.
type evidence map[int]int

// loadSnapshot loads a dump that holds exactly this.
func (h *hub) loadSnapshot(feed string, e evidence) {
	h.t.Helper()
	var z bytes.Buffer
	zw := zip.NewWriter(&z)
	for i := range 4000 {
		version, ok := e[i]
		if !ok {
			continue
		}
		w, err := zw.Create(sample.AdvisoryID(i) + ".json")
		must(h.t, err)
		_, err = w.Write(advisory(h.t, i, version))
		must(h.t, err)
	}
	must(h.t, zw.Close())
	p := filepath.Join(h.t.TempDir(), "all.zip")
	must(h.t, os.WriteFile(p, z.Bytes(), 0o600))
	h.load(feed, p)
}

func advisory(t testing.TB, i, version int) []byte {
	var m map[string]any
	must(t, json.Unmarshal(sample.Advisory(7, i), &m))
	m["summary"] = version
	b, err := json.Marshal(m)
	must(t, err)
	return b
}

func (h *hub) delta(q export.Request) (export.Run, error) {
	h.t.Helper()
	q.Tenant, q.Profile, q.Actor = tenant, "mirror:delta", "test"
	if q.For == "" {
		q.For = "site"
	}
	id, err := h.room.Submit(h.t.Context(), q)
	if err != nil {
		return export.Run{}, err
	}
	return h.room.Wait(h.t.Context(), id)
}

// heard is a receipt or inventory of the site that says it holds exactly the active generation of a feed.
func (h *hub) heard(name string) {
	h.t.Helper()
	must(h.t, h.deps.State.Update(h.t.Context(), func(tx *state.Tx) error {
		g, _, err := feed.Current(tx, ident.FeedRef{Tenant: tenant, Origin: h.self.ID, Name: name})
		if err != nil {
			return err
		}
		held := peer.Held{Epoch: g.Epoch, Generation: g.Generation, Root: g.Root}
		_, err = peer.Know(tx, "site", h.clock.Now(), []peer.FeedView{{Feed: name, Held: []peer.Held{held}, Active: held, Mark: held, From: peer.FromInventory}}, nil)
		if err != nil {
			return err
		}
		return export.Remember(tx, "site")
	}))
}

func TestDelta(t *testing.T) {
	h := newHub(t, 50)
	must(t, h.room.Start(t.Context()))
	e := evidence{}
	for i := range 300 {
		e[i] = 1
	}
	h.loadSnapshot("osv-go", e)
	if _, err := h.delta(export.Request{}); code.Of(err) != code.ExportBase {
		t.Fatalf("to a stranger: %v", err)
	}
	h.mustRun(export.Request{For: "site"})
	h.heard("osv-go")
	if _, err := h.delta(export.Request{}); code.Of(err) != code.ExportEmpty {
		t.Fatalf("nothing new: %v", err)
	}
	for i := 300; i < 320; i++ {
		e[i] = 1
	}
	e[5], e[6] = 2, 2
	delete(e, 100)
	h.loadSnapshot("osv-go", e)
	run, err := h.delta(export.Request{})
	if err != nil {
		t.Fatalf("%v %+v", err, run)
	}
	if run.Changes == nil || *run.Changes != (job.Changes{Added: 20, Changed: 2, Removed: 1}) {
		t.Errorf("changes %+v", run.Changes)
	}
	b, err := h.gate(h.shelf(run), h.site.Identity)
	if err != nil {
		t.Fatal(err)
	}
	m := b.Manifest()
	if m.Delta == nil || len(m.Feeds) != 1 || len(m.Feeds[0].Bases) != 1 || m.Feeds[0].Bases[0].Generation != 1 || m.Feeds[0].Generation != 2 {
		t.Errorf("feeds %+v", m.Feeds)
	}
	if c := m.Feeds[0].Counts["advisory"]; c != (bundle.Counts{Added: 20, Changed: 2, Removed: 1}) {
		t.Errorf("counts %+v", c)
	}
	for _, c := range m.Contents {
		t.Log(c.Path, c.Role, c.Bytes, c.Records)
	}
}
