package daemon

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
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

// Headquarters' own data rots: the scrub says to load it again, its own stick says that it was made here, and the same file
// loaded again gives it back. At the site the stick that brings nothing new says that it may heal.
func TestOwnDataRots(t *testing.T) {
	hub, site, medium := crossed(t)
	files := documents(t, 60)
	for _, a := range []*actor{hub, site} {
		all := blobs(t, a.dir)
		for i, f := range all {
			flip(t, f, 17*i)
		}
		var found wire.Scrubbed
		a.must(a.long("store/scrub", wire.ScrubRequest{All: true}, &found), "scrub")
		if len(found.Damaged) != len(all) {
			t.Fatalf("%s: %s", a.name, found.Sentence)
		}
		for _, d := range found.Damaged {
			if local := strings.Contains(d.Next, "sallyport load"); local != (a == hub) {
				t.Errorf("%s: %s: %s", a.name, d.Used, d.Next)
			}
		}
	}
	var healed wire.Healed
	hub.must(hub.long("media/heal", wire.MediumRequest{Path: medium}, &healed), "heal")
	if len(healed.Bundles) != 1 || !strings.HasPrefix(healed.Bundles[0].Reason, "made here") || !strings.Contains(healed.Sentence, "sallyport load") {
		t.Errorf("%+v", healed)
	}
	for feed, files := range map[string][]string{"osv": {dump(t, 400, 0)}, "notes": files} {
		var res wire.Loaded
		hub.must(hub.long("load/run", wire.LoadRequest{Feed: feed, Files: files}, &res), "load again")
		if !res.Unchanged || res.Mended == 0 || res.Ill != 0 {
			t.Errorf("%s: %+v", feed, res)
		}
		hub.must(hub.proves(feed, 1000), "after loading again")
	}
	if run, err := hub.export("site", t.TempDir()); err != nil {
		t.Errorf("export: %v %s", err, run.Message)
	}
	out, err := site.take(medium)
	site.must(err, "the same stick")
	if out.Damaged == 0 || out.Next != "sallyport media heal "+medium {
		t.Errorf("%s %d %q", out.Sentence, out.Damaged, out.Next)
	}
	site.must(site.long("media/heal", wire.MediumRequest{Path: medium}, &healed), "heal")
	if len(healed.Left) != 0 {
		t.Errorf("%+v", healed.Left)
	}
	if out, err = site.take(medium); err != nil || out.Damaged != 0 {
		t.Errorf("%v %+v", err, out)
	}
}

// A bit flipped in a layer before any scrub knew the file: it is the layer that is called damaged, never a blob that is there, as
// long as the flip changes what the layer says.
func TestLayerFlippedBeforeTheFirstScrub(t *testing.T) {
	_, site, _ := crossed(t)
	layers, err := filepath.Glob(filepath.Join(site.dir, "layers", "*", "*.layer"))
	if err != nil || len(layers) != 2 {
		t.Fatal(layers, err)
	}
	for _, l := range layers {
		whole, err := os.ReadFile(l)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 12 {
			site.stop()
			b := bytes.Clone(whole)
			b[len(b)*(2*i+1)/24] ^= 0x10
			if err := os.WriteFile(l, b, 0o600); err != nil {
				t.Fatal(err)
			}
			site.start()
			var found wire.Scrubbed
			site.must(site.long("store/scrub", wire.ScrubRequest{All: true}, &found), "scrub")
			for _, d := range found.Damaged {
				if d.What != "layer" || len(d.Why) > 60 {
					t.Errorf("%s byte %d: %+v", filepath.Base(l), len(b)*(2*i+1)/24, d)
				}
			}
		}
		site.stop()
		if err := os.WriteFile(l, whole, 0o600); err != nil {
			t.Fatal(err)
		}
		site.start()
	}
}
