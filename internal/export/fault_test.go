package export_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"sallyport/internal/code"
	"sallyport/internal/durable"
	"sallyport/internal/export"
	"sallyport/internal/feed"
	"sallyport/internal/job"
	"sallyport/internal/state"
)

// fault is a seam that fails or dies at one place.
type fault struct {
	mu    sync.Mutex
	armed bool
	point string // dies here, or
	at    int    // fails the at-th step this way
	how   durable.Verdict
	dead  bool
	steps int
	hit   bool
}

// hook loses everything after a death: what a killed process would still have done never happens.
func (f *fault) hook(op durable.Op) durable.Verdict {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case !f.armed:
		return durable.Do
	case op.Verb == "point":
		if op.Path == f.point {
			f.dead, f.hit = true, true
		}
		return durable.Do
	case f.dead:
		return durable.Lose
	}
	if f.steps++; f.point == "" && f.steps == f.at {
		f.hit = true
		return f.how
	}
	return durable.Do
}

func (f *fault) arm() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.armed = true
}

// crossing runs one export to a medium under a fault, restarts, and checks that the run ends well and nothing is left over.
func crossing(t *testing.T, h *hub, f *fault, profile string) {
	t.Helper()
	h.close()
	h.fs = durable.WithHook(f.hook)
	h.open()
	stick := filepath.Join(t.TempDir(), "stick")
	must(t, os.Mkdir(stick, 0o755))
	must(t, h.room.Start(t.Context()))
	id, err := h.room.Submit(t.Context(), export.Request{Tenant: tenant, Profile: profile, For: "site", To: stick, Actor: "test"})
	must(t, err)
	f.arm()
	h.await(id)
	h.restart()
	run := h.stored(id)
	if run.State == job.Failed { // the fault was told and the run ended: a person retries
		must(t, h.room.Retry(t.Context(), id, "test"))
	}
	got, err := h.room.Wait(t.Context(), id)
	if err != nil {
		t.Fatalf("after restart: %v (%+v)", err, got)
	}
	for _, dir := range []string{h.shelf(got), filepath.Join(stick, "sallyport", "bundles", got.Shelf)} {
		if b, err := h.gate(dir, h.site.Identity); err != nil || b.ID() != got.BundleID || b.Packing().ID() != got.LabelID {
			t.Fatalf("%s: %v", dir, err)
		}
	}
	h.clean()
	bundles, err := os.ReadDir(filepath.Join(stick, "sallyport", "bundles"))
	must(t, err)
	for _, b := range bundles {
		inside, err := os.ReadDir(filepath.Join(stick, "sallyport", "bundles", b.Name()))
		must(t, err)
		for _, e := range inside {
			if strings.HasSuffix(e.Name(), ".label.json") && b.Name() != got.Shelf {
				t.Errorf("a second bundle %s stands finished on the medium", b.Name())
			}
		}
	}
}

// await starts the room and waits until the run has ended or can get no further.
func (h *hub) await(id string) {
	h.t.Helper()
	watch, err := h.room.Watch(h.t.Context(), id)
	if err != nil {
		return
	}
	for {
		select {
		case _, open := <-watch:
			if !open {
				return
			}
		case <-h.deps.State.Failed():
			return
		}
	}
}

// clean checks that shelf and store hold what the ledger names and nothing half done.
func (h *hub) clean() {
	h.t.Helper()
	named := map[string]bool{}
	must(h.t, h.deps.State.View(func(tx *state.Tx) error {
		runs, err := job.List(tx, "", "", 0, nil)
		for _, r := range runs {
			named[r.Shelf] = true
		}
		return err
	}))
	entries, err := os.ReadDir(h.room.Shelf())
	must(h.t, err)
	for _, e := range entries {
		if !named[e.Name()] {
			h.t.Errorf("left on the shelf: %s", e.Name())
		}
	}
	must(h.t, h.deps.State.View(func(tx *state.Tx) error {
		feeds, err := feed.List(tx, tenant)
		for _, f := range feeds {
			all, err := feed.Generations(tx, f.Ref)
			if err != nil {
				return err
			}
			for _, g := range all {
				if slices.ContainsFunc(g.Users, func(u string) bool { return strings.HasPrefix(u, "run:") }) {
					h.t.Errorf("generation %d of %s is still pinned: %q", g.Generation, f.Ref.Name, g.Users)
				}
			}
		}
		return err
	}))
	must(h.t, h.deps.CAS.Check(h.t.Context()))
	must(h.t, h.deps.State.Check())
	must(h.t, h.deps.State.View(func(tx *state.Tx) error {
		_, err := h.deps.Timeline.Verify(tx)
		return err
	}))
}

var points = []string{
	"export.planned", "export.running", "export.payload", "export.sealed", "export.signed", "export.verified",
	"export.shelved", "export.copied", "export.labelled", "export.done",
}

// profiles are hubs with something to export, closed, by profile.
func profiles(t *testing.T, seed uint64, n int) map[string]*hub {
	t.Helper()
	full := newHub(t, seed)
	full.fill(n)
	full.close()
	delta := newHub(t, seed)
	e := evidence{}
	for i := range n {
		e[i] = 1
	}
	delta.loadSnapshot("osv-go", e)
	delta.heard("osv-go")
	e[0], e[n] = 2, 1
	delete(e, 1)
	delta.loadSnapshot("osv-go", e)
	delta.close()
	return map[string]*hub{"mirror:full": full, "mirror:delta": delta}
}

func TestKillAtEachPoint(t *testing.T) {
	for profile, h := range profiles(t, 30, 40) {
		for _, point := range points {
			t.Run(profile+"/"+point, func(t *testing.T) {
				f := &fault{point: point}
				crossing(t, h.fork(t), f, profile)
				if !f.hit {
					t.Fatal("the point was never reached")
				}
			})
		}
	}
}

// TestFaultAtSteps fails durable steps both ways: a few of them, chosen evenly; SALLYPORT_CRASH=all takes every one.
func TestFaultAtSteps(t *testing.T) {
	stride := 14
	if os.Getenv("SALLYPORT_CRASH") == "all" {
		stride = 1
	}
	for profile, h := range profiles(t, 31, 10) {
		for _, how := range []durable.Verdict{durable.Lose, durable.Keep} {
			for at := 1 + int(how); ; at += stride {
				f := &fault{at: at, how: how}
				crossing(t, h.fork(t), f, profile)
				if !f.hit {
					if at < 40 {
						t.Fatalf("%s: only %d durable steps", profile, f.steps)
					}
					break
				}
				if t.Failed() {
					t.Fatalf("%s: step %d, verdict %d", profile, at, how)
				}
			}
		}
	}
}

// TestFatalSync: a failed sync of our own disk stops the daemon and leaves the run to the next start.
func TestFatalSync(t *testing.T) {
	h := newHub(t, 20)
	h.close()
	f := &fault{}
	h.fs = durable.WithHook(func(op durable.Op) durable.Verdict {
		if op.Verb == "sync" && strings.Contains(op.Path, ".building-") {
			return durable.Lose
		}
		return f.hook(op)
	})
	told := make(chan error, 1)
	h.tune = func(d *export.Deps) { d.Fatal = func(err error) { told <- err } }
	h.open()
	h.fill(10)
	must(t, h.room.Start(t.Context()))
	id, err := h.room.Submit(t.Context(), export.Request{Tenant: tenant, Profile: "mirror:full", For: "site"})
	must(t, err)
	if err := <-told; !code.Has(err, code.FsyncFailed) {
		t.Fatalf("told %v", err)
	}
	h.restart()
	if run, err := h.room.Wait(t.Context(), id); err != nil || run.Attempt != 2 {
		t.Errorf("%v, run %+v", err, run)
	}
}
