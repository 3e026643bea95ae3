package daemon

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sallyport/internal/cas"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/durable"
	"sallyport/internal/wire"
)

// documents writes n small SBOM-like artifacts, so that a store has many blobs.
func documents(t *testing.T, n int) (files []string) {
	t.Helper()
	dir := t.TempDir()
	for i := range n {
		f := filepath.Join(dir, fmt.Sprintf("note-%03d.txt", i))
		if err := os.WriteFile(f, []byte(strings.Repeat(fmt.Sprintf("document %d\n", i), 20+i)), 0o600); err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	return files
}

// crossed is a hub and a site that took its bundle in: lines and documents.
func crossed(t *testing.T) (hub, site *actor, medium string) {
	t.Helper()
	dir, medium := t.TempDir(), t.TempDir()
	hub, site = enter(t, dir, "hub", durable.FS{}, nil), enter(t, dir, "site", durable.FS{}, nil)
	meet(hub, site, medium)
	hub.must(hub.load("osv", dump(t, 400, 0)), "load lines")
	hub.must(hub.load("notes", documents(t, 60)...), "load documents")
	run, err := hub.export("site", medium)
	hub.must(err, "export "+run.Message)
	_, err = site.take(medium)
	site.must(err, "import")
	return hub, site, medium
}

// blobs lists the committed blobs of a data directory.
func blobs(t *testing.T, dir string) (files []string) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(dir, "cas", "sha256"), func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// flip changes one bit of a file, as a disk does: without a trace.
func flip(t *testing.T, path string, at int) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	b[at%len(b)] ^= 1 << (at % 8)
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, st.ModTime(), st.ModTime()); err != nil {
		t.Fatal(err)
	}
}

// A scrub finds 50 flipped bits, each in another place; the stick the data came on heals them; every record reads again
// and every proof holds. Status says so all the while.
func TestScrubAndHeal(t *testing.T) {
	_, site, medium := crossed(t)
	site.must(site.proves("osv", 40), "before")
	all := blobs(t, site.dir)
	if len(all) < 50 {
		t.Fatalf("only %d blobs", len(all))
	}
	for i := range 50 {
		flip(t, all[i], 31*i)
	}
	var found wire.Scrubbed
	site.must(site.long("store/scrub", wire.ScrubRequest{All: true}, &found), "scrub")
	if len(found.Damaged) != 50 || found.Blobs != int64(len(all)) || found.Rounds != 1 {
		t.Errorf("found %d of 50 in %d blobs: %s", len(found.Damaged), found.Blobs, found.Sentence)
	}
	for _, d := range found.Damaged {
		if d.What != "blob" || len(d.Used) == 0 || d.Next == "" {
			t.Errorf("%+v", d)
		}
	}
	if s := status(t, site.run); s.Health != "Degraded" || !strings.Contains(fmt.Sprint(s.Reasons), "50 things in the store are damaged") {
		t.Errorf("status says %s %+v", s.Health, s.Reasons)
	}
	var doctor wire.Doctor
	site.must(site.call("doctor/run", nil, &doctor), "doctor")
	if doctor.Worst != "warning" {
		t.Errorf("doctor: %+v", doctor)
	}
	site.stop()
	site.start() // what is condemned is known after a restart
	var healed wire.Healed
	site.must(site.long("media/heal", wire.MediumRequest{Path: medium}, &healed), "heal")
	if healed.Blobs != 50 || len(healed.Left) != 0 {
		t.Errorf("%+v", healed)
	}
	for _, feed := range []string{"osv", "notes"} {
		site.must(site.proves(feed, 20), "after healing")
	}
	site.must(site.long("store/scrub", wire.ScrubRequest{All: true}, &found), "scrub again")
	if len(found.Damaged) != 0 {
		t.Errorf("still damaged: %+v", found.Damaged)
	}
	if s := status(t, site.run); strings.Contains(fmt.Sprint(s.Reasons), "damaged") {
		t.Errorf("status says %s %+v", s.Health, s.Reasons)
	}
	site.must(site.long("media/heal", wire.MediumRequest{Path: medium}, &healed), "heal with nothing ill")
	var log wire.Timeline
	site.must(site.call("timeline/list", wire.TimelineRequest{}, &log), "timeline")
	said := map[string]int{}
	for _, ev := range log.Events {
		if ev.Attrs["healed.blobs"] != "" || ev.Subject == "store" {
			said[ev.Type]++
		}
	}
	if said["bundle.import.quarantined"] != 1 || said["bundle.import.accepted"] != 1 {
		t.Errorf("timeline: %v", said)
	}
}

// A record of a damaged shard that is not damaged itself can still be read; what is missing altogether is found and named;
// a damaged layer is made again from the stick.
func TestHealMissingAndLayers(t *testing.T) {
	_, site, medium := crossed(t)
	var found wire.Scrubbed
	site.must(site.long("store/scrub", wire.ScrubRequest{All: true}, &found), "scrub") // from here on layers are known by their digest
	gone := blobs(t, site.dir)[3]
	if err := os.Remove(gone); err != nil {
		t.Fatal(err)
	}
	layers, err := filepath.Glob(filepath.Join(site.dir, "layers", "*", "*.layer"))
	if err != nil || len(layers) != 2 {
		t.Fatal(layers, err)
	}
	site.stop()
	for _, l := range layers {
		st, err := os.Stat(l)
		if err != nil {
			t.Fatal(err)
		}
		flip(t, l, int(st.Size())/2)
	}
	site.start()
	site.must(site.long("store/scrub", wire.ScrubRequest{All: true}, &found), "scrub")
	count := map[string]int{}
	for _, d := range found.Damaged {
		count[d.What+" "+d.Why[:min(7, len(d.Why))]]++
	}
	if len(found.Damaged) != 3 || count["blob missing"] != 1 {
		t.Errorf("%v: %+v", count, found.Damaged)
	}
	var healed wire.Healed
	site.must(site.long("media/heal", wire.MediumRequest{Path: medium}, &healed), "heal")
	if healed.Layers != 2 || healed.Blobs != 1 || len(healed.Left) != 0 {
		t.Errorf("%+v", healed)
	}
	for _, feed := range []string{"osv", "notes"} {
		site.must(site.proves(feed, 20), "after healing")
	}
}

// A background scrub goes on where it stopped, within its budget, and comes round.
func TestScrubBudget(t *testing.T) {
	hub := enter(t, t.TempDir(), "hub", durable.FS{}, nil)
	hub.must(hub.load("notes", documents(t, 60)...), "load")
	d, ctx := hub.run.Daemon(), context.Background()
	_, total, err := d.cas.Usage()
	if err != nil {
		t.Fatal(err)
	}
	var read int64
	parts := 0
	for {
		if err := d.scrub(ctx, total/5, false, 1, func(wire.Progress) {}); err != nil {
			t.Fatal(err)
		}
		s, err := d.lastScrub()
		if err != nil {
			t.Fatal(err)
		}
		parts++
		read += s.Bytes
		if s.Rounds == 1 {
			break
		}
		if parts > 60 {
			t.Fatalf("no round after %d parts: %+v", parts, s)
		}
	}
	if parts < 3 || read < total {
		t.Errorf("%d parts read %d of %d bytes", parts, read, total)
	}
}

// A bundle on the shelf is scrubbed against its label.
func TestScrubShelf(t *testing.T) {
	hub, _, _ := crossed(t)
	volumes, err := filepath.Glob(filepath.Join(hub.dir, "shelf", "*", "*.age"))
	if err != nil || len(volumes) != 1 {
		t.Fatal(volumes, err)
	}
	flip(t, volumes[0], 5000)
	var found wire.Scrubbed
	hub.must(hub.long("store/scrub", wire.ScrubRequest{All: true}, &found), "scrub")
	if len(found.Damaged) != 1 || found.Damaged[0].What != "bundle" || found.Bundles != 1 {
		t.Errorf("%+v", found)
	}
}

// Each durable step of a scrub that condemns and of a heal is lost and kept, and the daemon is stopped at each: what was
// healed is whole, what was not can be healed, and nothing is read that is wrong.
func TestScrubAndHealFaults(t *testing.T) {
	if testing.Short() {
		t.Skip("many restarts")
	}
	var hook func(durable.Op) durable.Verdict
	dir, medium := t.TempDir(), t.TempDir()
	hub := enter(t, dir, "hub", durable.FS{}, nil)
	site := enter(t, dir, "site", durable.WithHook(func(op durable.Op) durable.Verdict {
		if hook != nil {
			return hook(op)
		}
		return durable.Do
	}), map[string]string{"store.ballast": "0B"})
	meet(hub, site, medium)
	hub.must(hub.load("notes", documents(t, 3)...), "load")
	run, err := hub.export("site", medium)
	hub.must(err, "export "+run.Message)
	_, err = site.take(medium)
	site.must(err, "import")
	round := func(damage bool) {
		if damage {
			for i, f := range blobs(t, site.dir) {
				if i < 2 {
					flip(t, f, i)
				}
			}
		}
		if err := site.long("store/scrub", wire.ScrubRequest{All: true}, nil); err == nil {
			site.long("media/heal", wire.MediumRequest{Path: medium}, nil)
		}
	}
	steps := 0
	hook = func(durable.Op) durable.Verdict { steps++; return durable.Do }
	round(true)
	hook = nil
	if steps < 12 {
		t.Fatalf("only %d steps", steps)
	}
	for _, how := range []durable.Verdict{durable.Lose, durable.Keep} {
		for at := 1; at <= steps; at += 3 {
			n := 0
			hook = func(op durable.Op) durable.Verdict {
				if n++; n == at && op.Verb != "point" {
					return how
				}
				return durable.Do
			}
			round(true)
			hook = nil
			if !site.revive() {
				site.stop()
				site.start()
			}
			round(false)
			if err := site.proves("notes", 1); err != nil {
				t.Errorf("%v at step %d: %v", how, at, err)
			}
			if left := site.run.Daemon().cas.Condemned(); len(left) != 0 {
				t.Errorf("%v at step %d: %d blobs are still condemned", how, at, len(left))
			}
		}
	}
}

// A sweep goes on when a layer cannot be read: what it names is known from the signed manifest.
func TestSweepPastADamagedLayer(t *testing.T) {
	_, site, _ := crossed(t)
	d, ctx := site.run.Daemon(), context.Background()
	orphan := commitOrphan(t, d.cas, "orphan")
	layers, err := filepath.Glob(filepath.Join(site.dir, "layers", "*", "*.layer"))
	if err != nil || len(layers) != 2 {
		t.Fatal(layers, err)
	}
	site.stop()
	for _, l := range layers {
		if err := os.Truncate(l, 100); err != nil {
			t.Fatal(err)
		}
	}
	site.start()
	d = site.run.Daemon()
	before := len(blobs(t, site.dir))
	n, _, err := d.sweep(ctx, 0)
	if err != nil || n != 1 || d.cas.Has(orphan) || len(blobs(t, site.dir)) != before-1 {
		t.Errorf("swept %d of %d: %v", n, before, err)
	}
}

func commitOrphan(t *testing.T, s *cas.Store, text string) digest.Digest {
	t.Helper()
	st, err := s.Stage()
	if err != nil {
		t.Fatal(err)
	}
	defer st.Discard()
	w, err := st.Create()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	h, _, err := w.Close()
	if err == nil {
		err = st.Commit(h)
	}
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// Pruning keeps what is active, held and needed; its plan is what it does; a second one has nothing to do.
func TestPrune(t *testing.T) {
	dir := t.TempDir()
	hub := enter(t, dir, "hub", durable.FS{}, nil)
	for i := range 6 {
		hub.must(hub.load("osv", dump(t, 60, 10*i)), "load")
	}
	hub.must(hub.load("notes", documents(t, 3)...), "load")
	var plan, done wire.Pruned
	hub.must(hub.call("store/prune", wire.PruneRequest{Keep: 2, Plan: true}, &plan), "plan")
	if len(plan.Generations) != 3 || plan.Bytes == 0 || plan.Generations[0].Feed != "hub/osv" {
		t.Errorf("%+v", plan)
	}
	hub.must(hub.call("store/prune", wire.PruneRequest{Keep: 2}, &done), "prune")
	if len(done.Generations) != 3 || done.Blobs != plan.Blobs || done.Bytes != plan.Bytes {
		t.Errorf("planned %+v, done %+v", plan, done)
	}
	hub.must(hub.call("store/prune", wire.PruneRequest{Keep: 2}, &done), "again")
	if len(done.Generations)+done.Blobs != 0 {
		t.Errorf("again: %+v", done)
	}
	hub.must(hub.proves("osv", 10), "after pruning")
	if err := hub.call("store/prune", wire.PruneRequest{Keep: -1}, nil); code.Of(err) != code.BadUsage {
		t.Errorf("keep -1: %v", err)
	}
	var show wire.Store
	hub.must(hub.call("store/show", nil, &show), "show")
	if show.Orphans != 0 || show.Blobs == 0 || show.Prunable == 0 || show.Dead != 0 {
		t.Errorf("%+v", show)
	}
}
