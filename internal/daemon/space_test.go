package daemon

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"sallyport/internal/cas"
	"sallyport/internal/code"
	"sallyport/internal/config"
	"sallyport/internal/durable"
	"sallyport/internal/wire"
)

// tank is a ballast on a disk that is as full as a test says.
func tank(t *testing.T, dir string, fs durable.FS, p *cas.Space) *ballast {
	t.Helper()
	return &ballast{dir: dir, fs: fs, want: 1 << 20, space: func() (cas.Space, error) { return *p, nil }}
}

func roomy() *cas.Space {
	return &cas.Space{Total: 1 << 30, Free: 1 << 29, Keep: 1 << 20, Inodes: -1}
}

// The ballast is really allocated, is given back when the disk is full and made again when there is room, and not between.
func TestBallast(t *testing.T) {
	p := roomy()
	b := tank(t, filepath.Join(t.TempDir(), "ballast"), durable.FS{}, p)
	step := func(free int64, want string, there int64) {
		t.Helper()
		p.Free = free
		did, err := b.tend()
		if did != want || err != nil || b.there() != there {
			t.Errorf("%d bytes free: %q %v, %d bytes there; want %q, %d", free, did, err, b.there(), want, there)
		}
	}
	const full = 1 << 20
	step(1<<29, "made", full)
	var st syscall.Stat_t
	if err := syscall.Stat(b.piece(0), &st); err != nil || st.Blocks*512 < full/ballastPieces {
		t.Errorf("a piece has %d bytes on the disk: %v", st.Blocks*512, err)
	}
	step(1<<29, "", full)
	step(full, "", full)
	step(1000, "given", 0)
	step(1000, "", 0)
	step(full+full/2, "", 0) // it fits, but intake would stop for it
	step(2*full, "made", full)
	p.Inodes, p.KeepInodes = 3, 64
	step(1<<29, "given", 0)
	p.Inodes = 70
	step(1<<29, "", 0)
	p.Inodes = 1000
	step(1<<29, "made", full)
	p.Total = 16 << 20 // a small disk keeps a small one: what was made for a large one stays
	step(1<<29, "", full)
}

// Each durable step of making and of giving the ballast is lost, kept, or the last; the next look puts it right.
func TestBallastFaults(t *testing.T) {
	type killed struct{}
	run := func(dir string, fs durable.FS, free int64) {
		defer func() {
			if r := recover(); r != nil && r != (killed{}) {
				panic(r)
			}
		}()
		p := roomy()
		p.Free = free
		tank(t, dir, fs, p).tend()
	}
	for _, free := range []int64{1 << 29, 0} {
		prepare := func() string {
			dir := filepath.Join(t.TempDir(), "ballast")
			if free == 0 {
				run(dir, durable.FS{}, 1<<29)
			}
			return dir
		}
		steps := 0
		run(prepare(), durable.WithHook(func(durable.Op) durable.Verdict { steps++; return durable.Do }), free)
		if steps < ballastPieces {
			t.Fatalf("only %d steps", steps)
		}
		for _, how := range []string{"lost", "kept", "killed"} {
			for at := 1; at <= steps; at++ {
				dir, n := prepare(), 0
				run(dir, durable.WithHook(func(op durable.Op) durable.Verdict {
					if n++; n != at {
						return durable.Do
					}
					switch how {
					case "lost":
						return durable.Lose
					case "kept":
						return durable.Keep
					}
					panic(killed{})
				}), free)
				p := roomy()
				p.Free = free
				b := tank(t, dir, durable.FS{}, p)
				if _, err := b.tend(); err != nil {
					t.Errorf("%s at step %d: %v", how, at, err)
				}
				if want := min(free, 1<<20); b.there() != want {
					t.Errorf("%s at step %d: %d bytes there, want %d", how, at, b.there(), want)
				}
			}
		}
	}
}

// Each durable step of a prune is lost and kept, then the daemon is started again: what is active reads, the timeline
// proves, and pruning again leaves nothing behind.
func TestPruneFaults(t *testing.T) {
	if testing.Short() {
		t.Skip("many restarts")
	}
	var hook func(durable.Op) durable.Verdict
	hub := enter(t, t.TempDir(), "hub", durable.WithHook(func(op durable.Op) durable.Verdict {
		if hook != nil {
			return hook(op)
		}
		return durable.Do
	}), map[string]string{"store.ballast": "0B"})
	week := 0
	fill := func() {
		for range 2 {
			week++
			hub.must(hub.load("osv", dump(t, 20, week%20)), "load")
		}
	}
	fill()
	steps := 0
	hook = func(durable.Op) durable.Verdict { steps++; return durable.Do }
	hub.must(hub.call("store/prune", wire.PruneRequest{Keep: 1}, nil), "prune")
	hook = nil
	if steps < 4 {
		t.Fatalf("only %d steps", steps)
	}
	for _, how := range []durable.Verdict{durable.Lose, durable.Keep} {
		for at := 1; at <= steps; at++ {
			fill()
			n := 0
			hook = func(op durable.Op) durable.Verdict {
				if n++; n == at && op.Verb != "point" {
					return how
				}
				return durable.Do
			}
			err := hub.call("store/prune", wire.PruneRequest{Keep: 1}, nil)
			hook = nil
			hub.stop()
			hub.start()
			what := fmt.Sprintf("%v at step %d of %d (%v)", how, at, steps, err)
			hub.must(hub.proves("osv", 5), what)
			hub.must(hub.call("timeline/verify", nil, nil), what)
			var again, plan wire.Pruned
			hub.must(hub.call("store/prune", wire.PruneRequest{Keep: 1}, &again), what)
			hub.must(hub.call("store/prune", wire.PruneRequest{Keep: 1, Plan: true}, &plan), what)
			if len(plan.Generations)+plan.Blobs+plan.Layers != 0 {
				t.Errorf("%s: left behind: %+v", what, plan)
			}
			layers, err := filepath.Glob(filepath.Join(hub.dir, "layers", "*", "*"))
			if err != nil || len(layers) != 1 {
				t.Errorf("%s: layers %v %v", what, layers, err)
			}
		}
	}
	if _, err := os.Stat(filepath.Join(hub.dir, "ballast")); err == nil {
		t.Error("a ballast of 0 bytes was made")
	}
}

// A failed sync is one, also of the ballast: the data directory is not known any more, and nothing is begun on it.
func TestFailedSyncOfBallastEndsTheStart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	if _, err := Init(InitOptions{DataDir: dir, Name: "hub", Tenant: "acme", SingleOperator: true, Actor: "test"}, Deps{}); err != nil {
		t.Fatal(err)
	}
	failed := false
	fs := durable.WithHook(func(op durable.Op) durable.Verdict {
		if !failed && op == (durable.Op{Verb: "syncdir", Path: dir}) {
			failed = true
			return durable.Fail(syscall.EIO)
		}
		return durable.Do
	})
	c := config.New(dir)
	c.Reserve = 1 << 20
	r, err := Start(t.Context(), c, Deps{FS: fs})
	if err == nil {
		r.Stop()
	}
	if !failed || code.Of(err) != code.FsyncFailed || !strings.Contains(err.Error(), "ballast") {
		t.Errorf("sync failed: %v; start: %v", failed, err)
	}
}
