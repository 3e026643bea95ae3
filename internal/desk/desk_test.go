package desk

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sallyport/internal/clock"
	"sallyport/internal/code"
	"sallyport/internal/durable"
	"sallyport/internal/state"
	"sallyport/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a data directory with a desk that can be stopped, killed and started again.
type world struct {
	t      *testing.T
	dir    string
	fs     durable.FS
	clock  *clock.Fixed
	db     *state.DB
	desk   *Desk
	run    Runner
	cancel context.CancelFunc
	fatal  []error
	mu     sync.Mutex
}

func newWorld(t *testing.T, run Runner) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), clock: clock.NewFixed(time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)), run: run}
	if err := state.Create(filepath.Join(w.dir, "state.db"), durable.FS{}, "i"); err != nil {
		t.Fatal(err)
	}
	w.start()
	t.Cleanup(w.stop)
	return w
}

func kinds(action string) (Kind, bool) {
	switch action {
	case "import/run":
		return Kind{Lane: "intake"}, true
	case "load/run":
		return Kind{}, true
	case "trust/apply":
		return Kind{Once: true}, true
	}
	return Kind{}, false
}

func (w *world) start() {
	w.t.Helper()
	db, err := state.Open(filepath.Join(w.dir, "state.db"), w.fs)
	if err != nil {
		w.t.Fatal(err)
	}
	w.db = db
	w.desk = New(Deps{
		State: db, Clock: w.clock, Random: rand.Reader, FS: w.fs, Log: slog.New(slog.DiscardHandler), DataDir: w.dir, Now: w.clock.Now,
		Kind: kinds, Run: w.run, Fatal: func(err error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.fatal = append(w.fatal, err)
		},
	})
	w.desk.retry = time.Millisecond
	ctx, cancel := context.WithCancel(context.Background())
	w.cancel = cancel
	if err := w.desk.Open(ctx); err != nil {
		w.t.Fatalf("open: %v", err)
	}
}

// stop ends the desk in good order.
func (w *world) stop() {
	if w.db == nil {
		return
	}
	w.cancel()
	w.desk.Close()
	if err := w.db.Check(); err != nil && code.Of(err) != code.FsyncFailed {
		w.t.Errorf("check: %v", err)
	}
	w.db.Close()
	w.db = nil
}

// kill ends it as a power cut does: nothing is written any more, then everything goes.
func (w *world) kill() {
	w.db.Close()
	w.cancel()
	w.desk.Close()
	w.db = nil
}

func (w *world) begin(action, request string) wire.Job {
	w.t.Helper()
	j, err := w.desk.Start(w.t.Context(), Spec{Action: action, Request: json.RawMessage(request), Who: json.RawMessage(`{"uid":7}`), By: "anna", Tenant: "acme", Subject: "stick"})
	if err != nil {
		w.t.Fatal(err)
	}
	return j
}

// end waits until a job has ended.
func (w *world) end(id string) (last wire.Job) {
	w.t.Helper()
	watch, err := w.desk.Watch(w.t.Context(), "acme", id)
	if err != nil {
		w.t.Fatal(err)
	}
	for last = range watch {
	}
	if !last.Finished() {
		w.t.Fatalf("job %s ended as %s", id, last.State)
	}
	return last
}

func (w *world) get(id string) wire.Job {
	w.t.Helper()
	j, err := w.desk.Get("acme", id)
	if err != nil {
		w.t.Fatal(err)
	}
	return j
}

// gate is an action that tells when it runs and ends when it is let.
type gate struct {
	in  chan string // requests that have begun
	out chan error  // nil: the next one succeeds
}

func newGate() *gate { return &gate{make(chan string, 100), make(chan error, 100)} }

func (g *gate) run(ctx context.Context, _ json.RawMessage, _ bool, _ string, request json.RawMessage, _ func(wire.Progress)) (json.RawMessage, error) {
	g.in <- string(request)
	select {
	case <-ctx.Done():
		return nil, fmt.Errorf("stopped: %w", ctx.Err())
	case err := <-g.out:
		return json.RawMessage(`{"done":` + string(request) + `}`), err
	}
}

// A job keeps what was said of it: who, request, steps, notes, log, result beside an error.
func TestJob(t *testing.T) {
	big := `"` + strings.Repeat("x", smallResult) + `"`
	w := newWorld(t, func(_ context.Context, who json.RawMessage, again bool, action string, request json.RawMessage, progress func(wire.Progress)) (json.RawMessage, error) {
		progress(wire.Progress{Stage: "verify", Subject: "mirror\x1b[2J", Bytes: 10, TotalBytes: 20})
		progress(wire.Progress{Stage: "verify", Subject: "mirror\x1b[2J", Bytes: 20, TotalBytes: 20, Note: "✓ signed by hub\nfaked: line"})
		progress(wire.Progress{Stage: "index", Items: 3})
		if string(who) != `{"uid":7}` || again || action != "import/run" {
			t.Errorf("who %s, again %v, action %s", who, again, action)
		}
		if string(request) == `{"big":true}` {
			return json.RawMessage(big), nil
		}
		return json.RawMessage(`{"found":1}`), code.New(code.Rollback, "too old").In("stick", "label")
	})
	j := w.end(w.begin("import/run", `{"path":"stick"}`).ID)
	if j.State != "failed" || j.Error.Code != string(code.Rollback) || j.Error.File != "stick" || string(j.Result) != `{"found":1}` || j.Attempt != 1 || j.By != "anna" || string(j.Request) != `{"path":"stick"}` {
		t.Errorf("%+v", j)
	}
	if len(j.Steps) != 2 || j.Steps[0].Bytes != 20 || !j.Steps[0].Done || j.Steps[1].Done || len(j.Notes) != 1 || j.Notes[0] != "✓ signed by hub?faked: line" {
		t.Errorf("steps %+v, notes %q", j.Steps, j.Notes)
	}
	log, err := w.desk.ReadLog("acme", j.ID)
	if err != nil || !log.Whole || strings.Count(log.Text, "\n") != 5 || strings.ContainsRune(log.Text, '\x1b') || !strings.Contains(log.Text, "2026-11-21T09:00:00Z  failed: stick: label: too old (rollback)\n") {
		t.Errorf("%v %+v", err, log)
	}
	large := w.end(w.begin("import/run", `{"big":true}`).ID)
	w.stop()
	w.start()
	if got := w.get(large.ID); string(got.Result) != big || got.State != "succeeded" || got.Lost || len(got.Lines) != 5 {
		t.Errorf("after a restart: %d bytes, %s, %d lines", len(got.Result), got.State, len(got.Lines))
	}
	if err := os.Remove(filepath.Join(w.dir, "jobs", large.ID+".json")); err != nil {
		t.Fatal(err)
	}
	if got := w.get(large.ID); !got.Lost || got.Result != nil {
		t.Errorf("a result that is gone: %+v", got.Lost)
	}
	list, err := w.desk.List("acme", wire.JobRequest{Limit: 1})
	if err != nil || len(list.Jobs) != 1 || list.Jobs[0].ID != large.ID || list.Next != large.ID || list.Jobs[0].Result != nil {
		t.Errorf("%v %+v", err, list)
	}
	if list, err = w.desk.List("acme", wire.JobRequest{Before: list.Next}); err != nil || len(list.Jobs) != 1 || list.Jobs[0].ID != j.ID || list.Next != "" {
		t.Errorf("%v %+v", err, list)
	}
}

// Jobs of one lane run one at a time in the order they came, others beside them, four in all.
func TestQueue(t *testing.T) {
	g := newGate()
	w := newWorld(t, g.run)
	var imports, loads []wire.Job
	for i := range 3 {
		imports = append(imports, w.begin("import/run", fmt.Sprint(i)))
	}
	for i := 10; i < 14; i++ {
		loads = append(loads, w.begin("load/run", fmt.Sprint(i)))
	}
	begun := map[string]bool{}
	for range parallel {
		begun[<-g.in] = true
	}
	if !begun["0"] || !begun["10"] || !begun["11"] || !begun["12"] {
		t.Errorf("begun: %v", begun)
	}
	for i, want := range []int{0, 1, 2} {
		if got := w.get(imports[i].ID).Position; got != want {
			t.Errorf("import %d has position %d", i, got)
		}
	}
	if list, err := w.desk.List("acme", wire.JobRequest{State: "unfinished"}); err != nil || list.Running != parallel || list.Waiting != 3 || len(list.Jobs) != 7 {
		t.Errorf("%v, %d running, %d waiting, %d listed", err, list.Running, list.Waiting, len(list.Jobs))
	}
	// one that waits is cancelled at once, one that runs when its action lets go
	c, err := w.desk.Cancel(t.Context(), "acme", imports[1].ID, "bob")
	if err != nil || c.State != "cancelled" || !strings.Contains(c.Error.Message, "bob") {
		t.Errorf("%v %+v", err, c)
	}
	if _, err := w.desk.Cancel(t.Context(), "acme", imports[0].ID, "bob"); err != nil {
		t.Error(err)
	}
	if j := w.end(imports[0].ID); j.State != "cancelled" || j.Error.Code != string(code.Cancelled) || !strings.Contains(j.Error.Message, "bob") {
		t.Errorf("%+v", j)
	}
	if _, err := w.desk.Cancel(t.Context(), "acme", imports[0].ID, "bob"); code.Of(err) != code.Conflict {
		t.Errorf("cancelled twice: %v", err)
	}
	if got := <-g.in; got != "2" {
		t.Errorf("next is %s", got)
	}
	for range 5 {
		g.out <- nil
	}
	for _, j := range append(loads, imports[2]) {
		if got := w.end(j.ID); got.State != "succeeded" {
			t.Errorf("%s: %s", j.ID, got.State)
		}
	}
}

func TestRefused(t *testing.T) {
	g := newGate()
	w := newWorld(t, g.run)
	ctx := t.Context()
	j := w.begin("import/run", "1")
	for what, err := range map[string]error{
		"unknown action": second(w.desk.Start(ctx, Spec{Action: "feeds/list"})),
		"long request":   second(w.desk.Start(ctx, Spec{Action: "load/run", Request: make([]byte, maxRequest+1)})),
	} {
		if code.Of(err) != code.BadUsage {
			t.Errorf("%s: %v", what, err)
		}
	}
	for what, err := range map[string]error{
		"get":    second(w.desk.Get("other", j.ID)),
		"cancel": second(w.desk.Cancel(ctx, "other", j.ID, "eve")),
		"log":    second(w.desk.ReadLog("other", j.ID)),
		"watch":  second(w.desk.Watch(ctx, "other", j.ID)),
		"none":   second(w.desk.Get("acme", "01")),
		"empty":  second(w.desk.Get("acme", "")),
	} {
		if code.Of(err) != code.Missing {
			t.Errorf("another tenant, %s: %v", what, err)
		}
	}
	if list, err := w.desk.List("other", wire.JobRequest{}); err != nil || len(list.Jobs)+list.Running+list.Waiting != 0 {
		t.Errorf("%v %+v", err, list)
	}
	for range maxQueue {
		w.begin("import/run", "2")
	}
	if _, err := w.desk.Start(ctx, Spec{Action: "import/run"}); code.Of(err) != code.NotReady {
		t.Errorf("a full queue: %v", err)
	}
	w.cancel()
	w.desk.Close()
	if _, err := w.desk.Start(ctx, Spec{Action: "import/run"}); code.Of(err) != code.NotReady {
		t.Errorf("a desk that stops: %v", err)
	}
}

func second[T any](_ T, err error) error { return err }

// A daemon that stops in good order puts its jobs back; the next one finishes them, and it does not count as a death.
func TestRestart(t *testing.T) {
	g := newGate()
	w := newWorld(t, g.run)
	ids := []string{w.begin("import/run", "1").ID, w.begin("import/run", "2").ID, w.begin("trust/apply", "3").ID}
	for range 2 {
		<-g.in
	}
	for range maxDeaths + 1 {
		w.stop()
		w.start()
		if got := <-g.in; got != "1" {
			t.Fatalf("taken up again: %s", got)
		}
	}
	g.out <- nil
	if got := w.end(ids[0]); got.State != "succeeded" || got.Attempt != maxDeaths+2 {
		t.Errorf("%+v", got)
	}
	if got := <-g.in; got != "2" {
		t.Errorf("second in the queue: %s", got)
	}
	if got := w.get(ids[2]); got.State != "failed" || got.Error.Code != string(code.Interrupted) || got.Attempt != 1 {
		t.Errorf("what may run but once: %+v", got)
	}
	log, err := w.desk.ReadLog("acme", ids[0])
	if err != nil || !strings.Contains(log.Text, "begins again, attempt 5") || !strings.Contains(log.Text, "the daemon stops") {
		t.Errorf("%v\n%s", err, log.Text)
	}
	g.out <- nil
	w.end(ids[1])
}

// A job that kills the daemon is not tried for ever.
func TestDeaths(t *testing.T) {
	g := newGate()
	w := newWorld(t, g.run)
	id, once := w.begin("load/run", "1").ID, w.begin("trust/apply", "2").ID
	for range 2 {
		<-g.in
	}
	for death := 1; death < maxDeaths; death++ {
		w.kill()
		w.start()
		if got := <-g.in; got != "1" {
			t.Fatal(got)
		}
		if got := w.get(id); got.Attempt != death+1 || got.State != "running" {
			t.Errorf("after %d deaths: %+v", death, got)
		}
	}
	w.kill()
	w.start()
	if got := w.get(id); got.State != "failed" || got.Error.Code != string(code.Interrupted) || !strings.Contains(got.Error.Message, "3 times") {
		t.Errorf("%+v", got)
	}
	if got := w.get(once); got.State != "failed" || !strings.Contains(got.Error.Next, "Look whether it was done") {
		t.Errorf("%+v", got)
	}
}

// Any number of watchers see the same; one that does not look loses only what is out of date.
func TestWatchers(t *testing.T) {
	step, ask := make(chan int64), make(chan bool)
	w := newWorld(t, func(_ context.Context, _ json.RawMessage, _ bool, _ string, _ json.RawMessage, progress func(wire.Progress)) (json.RawMessage, error) {
		for n := range step {
			progress(wire.Progress{Stage: "verify", Bytes: n, TotalBytes: 100})
			ask <- true
		}
		return nil, nil
	})
	id := w.begin("load/run", "1").ID
	tell := func(n int64) {
		step <- n
		<-ask
	}
	tell(1)
	slow, err := w.desk.Watch(t.Context(), "acme", id)
	if err != nil {
		t.Fatal(err)
	}
	fast, err := w.desk.Watch(t.Context(), "acme", id)
	if err != nil {
		t.Fatal(err)
	}
	for n := int64(2); n <= 4; n++ {
		w.clock.Advance(time.Second)
		tell(n)
		for got := range fast {
			if got.Progress.Bytes == n {
				break
			}
		}
	}
	if p := w.get(id).Progress; p.Rate != 1 || p.ETA != 96 || w.get(id).Seconds != 3 {
		t.Errorf("%+v", p)
	}
	close(step)
	for range fast {
	}
	var seen []wire.Job
	for j := range slow {
		seen = append(seen, j)
	}
	if n := len(seen); n > 2 || seen[n-1].State != "succeeded" || seen[n-1].Progress != nil || seen[n-1].Steps[0].Bytes != 4 {
		t.Errorf("%+v", seen)
	}
}

// What is old is forgotten, with its files; what runs, and the newest, never.
func TestSweep(t *testing.T) {
	g := newGate()
	w := newWorld(t, g.run)
	var ids []string
	for range 52 {
		j := w.begin("load/run", "1")
		<-g.in
		g.out <- nil
		w.end(j.ID)
		ids = append(ids, j.ID)
		w.clock.Advance(time.Minute)
	}
	w.clock.Advance(31 * 24 * time.Hour)
	running := w.begin("load/run", "2").ID
	<-g.in
	stray := filepath.Join(w.dir, "jobs", "01stray.json")
	if err := os.WriteFile(stray, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := w.desk.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i, id := range ids {
		_, err := w.desk.Get("acme", id)
		_, ferr := os.Stat(filepath.Join(w.dir, "jobs", id+".log"))
		if gone := i < 2; gone != (code.Of(err) == code.Missing) || gone != os.IsNotExist(ferr) {
			t.Errorf("job %d: %v, file %v", i, err, ferr)
		}
	}
	if _, err := os.Stat(stray); !os.IsNotExist(err) {
		t.Error("a file of no job stays")
	}
	if w.get(running).State != "running" {
		t.Error("what runs was swept")
	}
	g.out <- nil
	w.end(running)
}

// A full disk costs a log or a large result, never the job; its end is written down when there is room.
func TestFullDisk(t *testing.T) {
	for _, c := range []struct{ verb, suffix string }{{"write", ".log"}, {"rename", ".json"}, {"commit", "state.db"}} {
		t.Run(c.suffix, func(t *testing.T) {
			var mu sync.Mutex
			armed, failed := false, 0
			w := &world{t: t, dir: t.TempDir(), clock: clock.NewFixed(time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC))}
			w.fs = durable.WithHook(func(op durable.Op) durable.Verdict {
				mu.Lock()
				defer mu.Unlock()
				if op.Verb == "point" && op.Path == "job.ran" {
					armed = true
				}
				if !armed || op.Verb != c.verb || !strings.HasSuffix(op.Path, c.suffix) || failed == 3 {
					return durable.Do
				}
				failed++
				return durable.Fail(28) // ENOSPC
			})
			result := json.RawMessage(`"` + strings.Repeat("x", smallResult) + `"`)
			w.run = func(context.Context, json.RawMessage, bool, string, json.RawMessage, func(wire.Progress)) (json.RawMessage, error) {
				return result, nil
			}
			if err := state.Create(filepath.Join(w.dir, "state.db"), durable.FS{}, "i"); err != nil {
				t.Fatal(err)
			}
			w.start()
			defer w.stop()
			got := w.end(w.begin("load/run", "1").ID)
			if got.State != "succeeded" || got.Lost != (c.suffix == ".json") || failed == 0 || len(w.fatal) > 0 {
				t.Errorf("%s, lost %v, %d failures, fatal %v", got.State, got.Lost, failed, w.fatal)
			}
		})
	}
}
