package load

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"

	"sallyport/internal/durable"
	"sallyport/internal/feed"
	"sallyport/internal/layer"
	"sallyport/internal/sample"
	"sallyport/internal/state"
)

// killed is what a hook panics with where a process would end.
type killed struct{ step string }

// journey begins where the first week is loaded, and loads the second under a hook.
type journey struct {
	w      *world
	second string
	before feed.Generation
}

// begun is a world with the first week in it, closed.
func begun(t *testing.T, first string) *world {
	t.Helper()
	w := newWorld(t)
	w.load("f", first)
	w.close()
	return w
}

// newJourney begins with a copy of a world.
func newJourney(t *testing.T, from *world, second string) *journey {
	t.Helper()
	w := &world{t: t, dir: t.TempDir()}
	must(t, os.CopyFS(w.dir, os.DirFS(from.dir)))
	t.Cleanup(w.close)
	w.open(durable.FS{})
	before, _ := w.current("f")
	return &journey{w, second, before}
}

// run loads the second week under the hook; a kill comes back as an error.
func (j *journey) run(hook func(durable.Op) durable.Verdict) (res Result, err error) {
	j.w.reopen(durable.WithHook(hook))
	defer func() {
		if p := recover(); p != nil {
			k, ok := p.(killed)
			if !ok {
				panic(p)
			}
			err = fmt.Errorf("killed at %s", k.step)
		}
	}()
	return j.w.room.Load(context.Background(), Request{Tenant: "acme", Feed: "f", Files: []string{j.second}, Actor: "x"}, nil)
}

// after restarts without faults: the feed is what it was or what it was to become, acknowledged work is there, and the same load
// ends well.
func (j *journey) after(t *testing.T, step string, acknowledged bool) {
	t.Helper()
	w := j.w
	w.reopen(durable.FS{})
	w.check()
	now, _ := w.current("f")
	if now.Generation != j.before.Generation && now.Generation != j.before.Generation+1 {
		t.Errorf("%s: generation %d after %d", step, now.Generation, j.before.Generation)
	}
	if acknowledged && now.Generation == j.before.Generation {
		t.Errorf("%s: an acknowledged load is lost", step)
	}
	res := w.load("f", j.second)
	if res.Generation != 2 || res.Records != 41 {
		t.Errorf("%s: on retry %+v", step, res)
	}
	w.check()
	must(t, w.room.State.View(func(tx *state.Tx) error {
		live, err := feed.LayerFiles(tx)
		if err != nil {
			return err
		}
		orphans, err := w.room.Layers.Orphans(func(file string) bool { return live[file] })
		if err != nil {
			return err
		}
		return w.room.Layers.Remove(orphans...)
	}))
	w.check()
	if left, _ := os.ReadDir(w.path("cas/staging")); len(left) > 0 {
		t.Errorf("%s: staging holds %v", step, left)
	}
}

// TestEveryStepLostAndKept fails each durable step of a load both ways, restarts, checks and retries.
func TestEveryStepLostAndKept(t *testing.T) {
	first, second := dump(t, 1, sample.Week{To: 40}), dump(t, 1, sample.Week{To: 42, Removed: func(n int) bool { return n == 9 }})
	from := begun(t, first)
	for n := 1; ; n++ {
		for _, verdict := range []durable.Verdict{durable.Lose, durable.Keep} {
			j := newJourney(t, from, second)
			steps, step := 0, ""
			_, err := j.run(func(op durable.Op) durable.Verdict {
				if op.Verb == "point" {
					return durable.Do
				}
				if steps++; steps != n {
					return durable.Do
				}
				step = fmt.Sprintf("step %d, %s %s, verdict %d", n, op.Verb, op.Path, verdict)
				return verdict
			})
			if steps < n {
				must(t, err)
				if n < 10 {
					t.Errorf("only %d steps", n)
				}
				return
			}
			if err == nil {
				t.Logf("%s: tidying up only", step)
			} else if !errors.Is(err, durable.ErrInjected) {
				t.Errorf("%s: %v", step, err)
			}
			j.after(t, step, err == nil)
		}
	}
}

// TestKilledAtEveryPoint ends the process at each named point, restarts, checks and retries.
func TestKilledAtEveryPoint(t *testing.T) {
	first, second := dump(t, 1, sample.Week{To: 40}), dump(t, 1, sample.Week{To: 42, Removed: func(n int) bool { return n == 9 }})
	points := []string{"load.staged", "load.committed", "load.layer", "load.transaction", "load.done"}
	var visited []string
	from := begun(t, first)
	for _, point := range points {
		j := newJourney(t, from, second)
		_, err := j.run(func(op durable.Op) durable.Verdict {
			if op.Verb == "point" && op.Path == point {
				visited = append(visited, point)
				panic(killed{point})
			}
			return durable.Do
		})
		if err == nil {
			t.Errorf("%s was never reached", point)
		}
		now, _ := j.w.current("f")
		want := j.before.Generation
		if point == "load.transaction" || point == "load.done" {
			want++
		}
		if now.Generation != want {
			t.Errorf("%s: generation %d, want %d", point, now.Generation, want)
		}
		j.after(t, point, false)
	}
	if !slices.Equal(visited, points) {
		t.Errorf("visited %q", visited)
	}
}

// TestLoadsOfOneFeedWait: two loads at once are two generations, none lost.
func TestLoadsOfOneFeedWait(t *testing.T) {
	w := newWorld(t)
	errs := make(chan error)
	for i := range 4 {
		path := file(t, fmt.Sprintf("s%d.json", i), sample.SBOM(uint64(i), 3))
		go func() {
			_, err := w.room.Load(context.Background(), Request{Tenant: "acme", Feed: "f", Files: []string{path}, Actor: "x"}, nil)
			errs <- err
		}()
	}
	for range 4 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	gen, v := w.view("f")
	defer v.Close()
	n := 0
	must(t, v.All(func(layer.Item) error { n++; return nil }))
	if gen.Generation != 4 || n != 4 {
		t.Errorf("generation %d with %d records", gen.Generation, n)
	}
}
