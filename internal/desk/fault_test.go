package desk

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/internal/clock"
	"sallyport/internal/code"
	"sallyport/internal/durable"
	"sallyport/internal/state"
	"sallyport/internal/wire"
)

// fault is one thing that goes wrong at one durable step.
type fault struct {
	at    int
	first durable.Verdict
	dead  bool // nothing after it happens either: the power is gone
}

// life starts one job with a large result and lets it end; then the daemon is started again on a good disk.
type life struct {
	mu    sync.Mutex
	steps int
	name  string
	ran   int
}

func (l *life) hook(f fault) durable.FS {
	return durable.WithHook(func(op durable.Op) durable.Verdict {
		if op.Verb == "point" {
			return durable.Do
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		l.steps++
		switch {
		case l.steps == f.at:
			l.name = op.Verb + " " + filepath.Base(op.Path)
			return f.first
		case f.at > 0 && l.steps > f.at && f.dead:
			return durable.Lose
		}
		return durable.Do
	})
}

func (l *life) act(_ context.Context, _ json.RawMessage, _ bool, _ string, _ json.RawMessage, progress func(wire.Progress)) (json.RawMessage, error) {
	l.mu.Lock()
	l.ran++
	l.mu.Unlock()
	progress(wire.Progress{Stage: "verify"})
	return json.RawMessage(`"` + strings.Repeat("x", smallResult) + `"`), nil
}

func (l *life) live(t *testing.T, f fault) {
	w := &world{t: t, dir: t.TempDir(), clock: clock.NewFixed(time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)), run: l.act}
	if err := state.Create(filepath.Join(w.dir, "state.db"), durable.FS{}, "i"); err != nil {
		t.Fatal(err)
	}
	w.start()
	w.stop() // the folder is there
	w.fs = l.hook(f)
	w.start()
	j, err := w.desk.Start(t.Context(), Spec{Action: "load/run", Who: json.RawMessage(`{}`), By: "anna", Tenant: "acme"})
	var seen wire.Job
	if err == nil {
		watch, werr := w.desk.Watch(t.Context(), "acme", j.ID)
		if werr != nil {
			t.Fatal(werr)
		}
		for waiting := true; waiting; {
			select {
			case got, ok := <-watch:
				if waiting = ok; ok {
					seen = got
				}
			case <-w.db.Failed():
				waiting = false
			case <-time.After(2 * time.Second): // a step that is lost at the end leaves it as it was
				waiting = false
			}
			w.mu.Lock()
			waiting = waiting && len(w.fatal) == 0
			w.mu.Unlock()
		}
	}
	w.kill()
	w.fs = durable.FS{}
	w.start()
	defer w.stop()
	l.check(t, w, f, err == nil, j.ID, seen)
}

// check is what must hold after any fault: what was promised runs and ends, and an end that was told stays as it was told.
func (l *life) check(t *testing.T, w *world, f fault, promised bool, id string, seen wire.Job) {
	t.Helper()
	what := fmt.Sprintf("step %d (%s), verdict %d, dead %v", f.at, l.name, f.first, f.dead)
	if !promised {
		list, err := w.desk.List("", wire.JobRequest{})
		if err != nil || len(list.Jobs) > 1 {
			t.Errorf("%s: %v, %d jobs", what, err, len(list.Jobs))
		}
		return
	}
	before := l.ran
	got := w.end(id)
	if got.State != "succeeded" || (len(got.Result) != smallResult+2) != got.Lost {
		t.Errorf("%s: %s, %d bytes of result, error %+v", what, got.State, len(got.Result), got.Error)
	}
	if seen.ID != "" && seen.Finished() && (seen.State != got.State || seen.Attempt != got.Attempt || l.ran != before) {
		t.Errorf("%s: told as %s in attempt %d, then %s in attempt %d", what, seen.State, seen.Attempt, got.State, got.Attempt)
	}
}

// TestFaults fails each durable step of a job, lost and kept, alone and with everything after it.
func TestFaults(t *testing.T) {
	dry := &life{}
	dry.live(t, fault{})
	t.Logf("%d durable steps", dry.steps)
	if dry.steps < 8 {
		t.Errorf("only %d durable steps", dry.steps)
	}
	for at := 1; at <= dry.steps; at++ {
		for _, dead := range []bool{false, true} {
			for _, first := range []durable.Verdict{durable.Lose, durable.Keep} {
				(&life{}).live(t, fault{at, first, dead})
			}
		}
	}
}

// A sync that failed ends the daemon.
func TestFatal(t *testing.T) {
	w := &world{t: t, dir: t.TempDir(), clock: clock.NewFixed(time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)), run: (&life{}).act}
	if err := state.Create(filepath.Join(w.dir, "state.db"), durable.FS{}, "i"); err != nil {
		t.Fatal(err)
	}
	died := make(chan struct{})
	var once sync.Once
	w.fs = durable.WithHook(func(op durable.Op) durable.Verdict {
		if op.Verb == "sync" && strings.HasSuffix(op.Path, ".log") {
			return durable.Lose
		}
		return durable.Do
	})
	w.start()
	w.desk.Fatal = func(err error) {
		if code.Has(err, code.FsyncFailed) {
			once.Do(func() { close(died) })
		}
	}
	w.begin("load/run", "1")
	<-died
	w.stop()
}
