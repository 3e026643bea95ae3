package daemon

import (
	"path/filepath"
	"testing"

	"sallyport/internal/durable"
	"sallyport/internal/wire"
)

// A stick whose only volume was damaged is refused at the site, which has nothing to ask for then. Brought back to
// headquarters it is not taken for good because it has the right size: what is damaged on it is written again.
func TestDamagedStickBroughtBack(t *testing.T) {
	dir, medium := t.TempDir(), t.TempDir()
	hub, site := enter(t, dir, "hub", durable.FS{}, nil), enter(t, dir, "site", durable.FS{}, nil)
	meet(hub, site, medium)
	hub.must(hub.load("osv", dump(t, 400, 0)), "load")
	run, err := hub.export("site", medium)
	hub.must(err, "export "+run.Message)
	volumes, err := filepath.Glob(filepath.Join(medium, "sallyport", "bundles", "*", "*.tar.zst.age"))
	if err != nil || len(volumes) != 1 {
		t.Fatalf("%v %q", err, volumes)
	}
	exchange := func(a *actor) (out wire.Exchanged) {
		t.Helper()
		a.must(a.long("exchange/run", wire.ExchangeRequest{Path: medium, Yes: true}, &out), "exchange")
		return out
	}
	if out := exchange(hub); len(out.Written) != 0 {
		t.Errorf("a good stick is written again: %+v", out.Written)
	}
	flip(t, volumes[0], 1234)
	if out, err := site.take(medium); err == nil || out.Applied {
		t.Fatalf("a damaged volume: %v %s", err, out.Sentence)
	}
	out := exchange(hub)
	if len(out.Written) != 1 || len(out.Written[0].Volumes) != 1 || out.Written[0].Name != run.Name {
		t.Errorf("brought back: %s %+v", out.Sentence, out.Written)
	}
	if _, err := site.take(medium); err != nil {
		t.Fatal(err)
	}
	if f := site.feed("osv"); f.Generation != 1 {
		t.Errorf("%+v", f)
	}
}
