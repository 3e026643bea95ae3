package export_test

import (
	"os"
	"path/filepath"
	"testing"

	"sallyport/internal/bundle"
	"sallyport/internal/export"
	"sallyport/internal/job"
)

// What 20 lines of a week of real advisories cost: goals of the issue, in bytes. The reference is `zstd -3` of the changed
// records as JSONL, measured once.
const (
	weekAdded, weekChanged = 136, 2
	weekPacked             = 27_800
	weekRest               = 24 << 10
)

// data finds real evidence, or skips.
func data(t *testing.T, name string) string {
	t.Helper()
	root := os.Getenv("SALLYPORT_DATA")
	if root == "" {
		root = "../../../shared/data"
	}
	p := filepath.Join(root, name)
	if _, err := os.Stat(p); err != nil {
		t.Skipf("no real data: %v", err)
	}
	return p
}

// TestDeltaSize: a week of real advisories is one small bundle.
func TestDeltaSize(t *testing.T) {
	before, after := data(t, "osv/go-2026-08-13.zip"), data(t, "osv/go-2026-08-20.zip")
	h := newHub(t, 51)
	must(t, h.room.Start(t.Context()))
	h.load("osv-go", before)
	h.mustRun(export.Request{For: "site"})
	h.heard("osv-go")
	h.load("osv-go", after)
	run, err := h.delta(export.Request{})
	must(t, err)
	if run.Changes == nil || *run.Changes != (job.Changes{Added: weekAdded, Changed: weekChanged}) {
		t.Errorf("changes %+v", run.Changes)
	}
	b, err := h.gate(h.shelf(run), h.site.Identity)
	must(t, err)
	var shards int64
	for _, c := range b.Manifest().Contents {
		t.Logf("%8d %s", c.Bytes, c.Path)
		if c.Role == bundle.RoleShard {
			shards += c.Bytes
		}
	}
	label, err := os.Stat(filepath.Join(h.shelf(run), bundle.LabelName(run.Name)))
	must(t, err)
	rest := label.Size() + run.Bytes - shards
	t.Logf("shards %d, label %d, volumes %d, rest %d", shards, label.Size(), run.Bytes, rest)
	if shards*10 > weekPacked*11 {
		t.Errorf("the shards take %d bytes, goal %d", shards, weekPacked*11/10)
	}
	if rest > weekRest {
		t.Errorf("all else takes %d bytes, goal %d", rest, weekRest)
	}
}
