package daemon

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/internal/clock"
	"sallyport/internal/code"
	"sallyport/internal/config"
	"sallyport/internal/durable"
	"sallyport/internal/wire"
)

func made(t *testing.T, dir string, d Deps) {
	t.Helper()
	out, err := Init(InitOptions{DataDir: dir, Name: "hub", Tenant: "acme", Actor: "test"}, d)
	if err != nil {
		t.Fatal(err)
	}
	if len(out.Fingerprint) != 64 || len(strings.Fields(out.Words)) != 9 || !strings.HasPrefix(out.ID, "ap1") {
		t.Errorf("%+v", out)
	}
}

func start(t *testing.T, dir string, d Deps) *Running {
	t.Helper()
	r, err := Start(context.Background(), config.New(dir), d)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func status(t *testing.T, r *Running) (s wire.Status) {
	t.Helper()
	if err := r.Client().Call(context.Background(), "status/show", nil, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// It starts, is ready, stops, leaves no socket, and starts again as the same one; its path may be longer than a socket's
// address can be.
func TestLife(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("a-long-name-", 8), "d")
	made(t, dir, Deps{})
	r := start(t, dir, Deps{})
	first := status(t, r)
	if !first.Ready || first.Name != "hub" {
		t.Errorf("%+v", first)
	}
	if _, err := New(config.New(dir), Deps{}); code.Of(err) != code.Locked {
		t.Errorf("a second daemon: %v", err)
	}
	if err := r.Stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(r.Daemon().Socket()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is still there: %v", err)
	}
	r = start(t, dir, Deps{})
	if again := status(t, r); again.Instance != first.Instance || again.Events != first.Events+2 {
		t.Errorf("%+v after %+v", again, first)
	}
	if err := r.Stop(); err != nil {
		t.Fatal(err)
	}
}

// A crash in any durable step of init leaves something that init finishes, and nothing that serves.
func TestInitFaults(t *testing.T) {
	steps := 0
	count := durable.WithHook(func(op durable.Op) durable.Verdict {
		if op.Verb != "point" {
			steps++
		}
		return durable.Do
	})
	made(t, filepath.Join(t.TempDir(), "d"), Deps{FS: count})
	if steps < 20 {
		t.Fatalf("only %d durable steps", steps)
	}
	for _, how := range []durable.Verdict{durable.Lose, durable.Keep} {
		for at := 1; at <= steps; at += 11 {
			dir, n := filepath.Join(t.TempDir(), "d"), 0
			fault := durable.WithHook(func(op durable.Op) durable.Verdict {
				if op.Verb != "point" {
					if n++; n == at {
						return how
					}
				}
				return durable.Do
			})
			_, err := Init(InitOptions{DataDir: dir, Name: "hub", Tenant: "acme"}, Deps{FS: fault})
			if err == nil {
				t.Errorf("step %d: the fault was not seen", at)
				continue
			}
			if _, err := os.Stat(filepath.Join(dir, "instance.json")); err != nil {
				if _, err := New(config.New(dir), Deps{}); code.Of(err) != code.Missing {
					t.Errorf("step %d: an unfinished appliance starts: %v", at, err)
				}
				made(t, dir, Deps{})
			}
			r := start(t, dir, Deps{})
			if err := r.Stop(); err != nil {
				t.Errorf("step %d: %v", at, err)
			}
		}
	}
}

// A clock that cannot be right makes keys that are valid today all the same.
func TestInitWithoutAClock(t *testing.T) {
	build := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
	for _, year := range []int{1970, 2099} {
		dir := filepath.Join(t.TempDir(), "d")
		d := Deps{Clock: clock.NewFixed(time.Date(year, 1, 1, 0, 12, 0, 0, time.UTC)), Build: build}
		made(t, dir, d)
		r := start(t, dir, d)
		s := status(t, r)
		if !s.Ready || !s.Time.Suspect || len(s.Reasons) == 0 {
			t.Errorf("%d: %+v", year, s)
		}
		var doctor wire.Doctor
		if err := r.Client().Call(context.Background(), "doctor/run", nil, &doctor); err != nil || doctor.Worst == "critical" {
			t.Errorf("%d: %v %+v", year, err, doctor)
		}
		if err := r.Stop(); err != nil {
			t.Fatal(err)
		}
	}
}

// The directory is not shared with anything, and secrets are for their owner.
func TestModes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	made(t, dir, Deps{})
	for name, want := range map[string]os.FileMode{".": 0o700, "keys": 0o700, "keys/root.key": 0o600, "instance.json": 0o600, "config.yaml": 0o600, "state.db": 0o600} {
		st, err := os.Stat(filepath.Join(dir, name))
		if err != nil || st.Mode().Perm() != want {
			t.Errorf("%s: %v %v", name, st, err)
		}
	}
	r := start(t, dir, Deps{})
	defer r.Stop()
	if st, err := os.Stat(r.Daemon().Socket()); err != nil || st.Mode().Perm() != 0o660 {
		t.Errorf("socket: %v %v", st, err)
	}
}

func TestTCP(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	made(t, dir, Deps{})
	c := config.New(dir)
	if err := c.Set("listen.http", "127.0.0.1:0", "test"); err != nil {
		t.Fatal(err)
	}
	r, err := Start(context.Background(), c, Deps{})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Stop(); err != nil {
		t.Fatal(err)
	}
}

// What nothing names goes after its grace; what a generation names stays, documents and lines alike.
func TestSweep(t *testing.T) {
	dir, ctx := filepath.Join(t.TempDir(), "d"), context.Background()
	made(t, dir, Deps{})
	r := start(t, dir, Deps{})
	defer r.Stop()
	d := r.Daemon()
	doc := filepath.Join(t.TempDir(), "a.txt")
	if err := os.WriteFile(doc, []byte("a document"), 0o600); err != nil {
		t.Fatal(err)
	}
	osv, err := filepath.Abs("../demo/testdata/osv.zip")
	if err != nil {
		t.Fatal(err)
	}
	for feed, file := range map[string]string{"docs": doc, "lines": osv} {
		if err := r.Client().Stream(ctx, "load/run", wire.LoadRequest{Feed: feed, Files: []string{file}}, nil, nil); err != nil {
			t.Fatal(err)
		}
	}
	st, err := d.cas.Stage()
	if err != nil {
		t.Fatal(err)
	}
	w, err := st.Create()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("orphan")); err != nil {
		t.Fatal(err)
	}
	orphan, _, err := w.Close()
	if err != nil {
		t.Fatal(err)
	}
	if err := st.Commit(orphan); err != nil {
		t.Fatal(err)
	}
	if err := st.Discard(); err != nil {
		t.Fatal(err)
	}
	if n, _, err := d.Sweep(ctx); err != nil || n != 0 || !d.cas.Has(orphan) {
		t.Fatal("swept within its grace")
	}
	old := time.Now().Add(-2 * grace)
	blobs := 0
	err = filepath.WalkDir(filepath.Join(dir, "cas", "sha256"), func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		blobs++
		return os.Chtimes(path, old, old)
	})
	if err != nil {
		t.Fatal(err)
	}
	if n, _, err := d.Sweep(ctx); err != nil || n != 1 || d.cas.Has(orphan) {
		t.Error("not swept after its grace")
	}
	if left, _, err := d.cas.Usage(); err != nil || left != int64(blobs)-1 {
		t.Errorf("%d of %d blobs are left: %v", left, blobs, err)
	}
}

// After a sync that failed, whatever file it was of, a stop writes nothing.
func TestNothingIsWrittenAfterAFailedSync(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	made(t, dir, Deps{})
	var mu sync.Mutex
	var steps []string
	armed := false
	r := start(t, dir, Deps{FS: durable.WithHook(func(op durable.Op) durable.Verdict {
		mu.Lock()
		defer mu.Unlock()
		if armed {
			steps = append(steps, op.Verb+" "+filepath.Base(op.Path))
		}
		return durable.Do
	})})
	mu.Lock()
	armed = true
	mu.Unlock()
	r.d.die(code.New(code.FsyncFailed, "a blob"))
	if err := <-r.done; !code.Has(err, code.FsyncFailed) {
		t.Errorf("%v", err)
	}
	if len(steps) > 0 {
		t.Errorf("written: %q", steps)
	}
}

// Pages of any size give every record once and in the same order.
func TestPaging(t *testing.T) {
	dir, ctx := filepath.Join(t.TempDir(), "d"), context.Background()
	made(t, dir, Deps{})
	r := start(t, dir, Deps{})
	defer r.Stop()
	for feed, name := range map[string]string{"a-lines": "osv.zip", "b-docs": "gateway.cdx.json", "c-docs": "gateway.openvex.json"} {
		file, err := filepath.Abs("../demo/testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Client().Stream(ctx, "load/run", wire.LoadRequest{Feed: feed, Files: []string{file}}, nil, nil); err != nil {
			t.Fatal(err)
		}
	}
	list := func(limit int) (keys []string) {
		q := wire.RecordRequest{Limit: limit}
		for {
			var page wire.Records
			if err := r.Client().Call(ctx, "records/list", q, &page); err != nil {
				t.Fatal(err)
			}
			for _, x := range page.Records {
				keys = append(keys, x.Feed+" "+x.Kind+" "+x.Key)
			}
			if q.After = page.Next; q.After == "" {
				return keys
			}
		}
	}
	all := strings.Join(list(1000), "\n")
	if n := strings.Count(all, "\n") + 1; n != 62 {
		t.Errorf("%d records", n)
	}
	for _, limit := range []int{1, 7, 60, 61, 62} {
		if got := strings.Join(list(limit), "\n"); got != all {
			t.Errorf("pages of %d differ:\n%s", limit, got)
		}
	}
	if err := r.Client().Call(ctx, "records/list", wire.RecordRequest{After: "!"}, nil); code.Of(err) != code.BadUsage {
		t.Errorf("a cursor of nobody: %v", err)
	}
}
