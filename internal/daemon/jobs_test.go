package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"sallyport/internal/access"
	"sallyport/internal/code"
	"sallyport/internal/desk"
	"sallyport/internal/durable"
	"sallyport/internal/web"
	"sallyport/internal/wire"
)

// barrier stops a daemon at a durable step of its choice: the first one that armed finds.
type barrier struct {
	mu      sync.Mutex
	armed   func(durable.Op) bool
	dead    bool // from then on nothing is written any more
	reached chan struct{}
	proceed chan struct{}
}

func newBarrier() *barrier {
	return &barrier{reached: make(chan struct{}), proceed: make(chan struct{})}
}

func (b *barrier) arm(at func(durable.Op) bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.armed = at
}

func (b *barrier) fs() durable.FS {
	return durable.WithHook(func(op durable.Op) durable.Verdict {
		b.mu.Lock()
		if b.dead {
			b.mu.Unlock()
			return durable.Lose
		}
		hit := b.armed != nil && b.armed(op)
		if hit {
			b.armed = nil
		}
		b.mu.Unlock()
		if hit {
			close(b.reached)
			<-b.proceed
		}
		return durable.Do
	})
}

func staging(op durable.Op) bool {
	return op.Verb == "write" && strings.Contains(op.Path, "/cas/staging/")
}

// job starts an action as a job.
func (a *actor) job(action string, in any) (j wire.Job) {
	a.t.Helper()
	b, err := json.Marshal(in)
	a.must(err, "encode")
	a.must(a.call("jobs/start", wire.JobRequest{Action: action, Request: b}, &j), "start "+action)
	return j
}

// follow watches a job to its end.
func (a *actor) follow(id string) (j wire.Job, err error) {
	err = a.long("jobs/watch", wire.JobRequest{ID: id}, &j)
	return j, err
}

// crossing is a hub with a bundle on a stick, and a site that knows the hub.
func crossing(t *testing.T, siteFS durable.FS) (hub, site *actor, stick string) {
	t.Helper()
	dir := t.TempDir()
	stick = filepath.Join(dir, "stick")
	if err := os.Mkdir(stick, 0o700); err != nil {
		t.Fatal(err)
	}
	hub = enter(t, dir, "hub", durable.FS{}, nil)
	site = enter(t, dir, "site", siteFS, nil)
	meet(hub, site, stick)
	hub.must(hub.load("osv", dump(t, 200, 0)), "load")
	_, err := hub.export("site", stick)
	hub.must(err, "export")
	return hub, site, stick
}

// A daemon that is stopped in the middle of an import, and one that dies there, finish it when they are back: every page that
// looks sees the same job go on, and its result is there for whoever comes later.
func TestJobOverRestart(t *testing.T) {
	for _, dead := range []bool{false, true} {
		t.Run(fmt.Sprintf("dead=%v", dead), func(t *testing.T) {
			b := newBarrier()
			_, site, stick := crossing(t, b.fs())
			b.arm(staging)
			id := site.job("import/run", wire.ImportRequest{Path: stick, Yes: true}).ID
			<-b.reached
			tabs := make(chan error, 2)
			for range cap(tabs) {
				go func() {
					j, err := site.follow(id)
					if err == nil {
						err = fmt.Errorf("ended as %s", j.State)
					}
					tabs <- err
				}()
			}
			var now wire.Job
			site.must(site.call("jobs/show", wire.JobRequest{ID: id}, &now), "show")
			if now.State != "running" || now.Attempt != 1 || now.Subject != stick {
				t.Errorf("%+v", now)
			}
			b.mu.Lock()
			b.dead = dead
			b.mu.Unlock()
			site.run.cancel()
			for range cap(tabs) {
				if err := <-tabs; code.Of(err) != code.Interrupted && code.Of(err) != code.NoDaemon {
					t.Errorf("a page that followed along: %v", err)
				}
			}
			close(b.proceed)
			site.stop()
			site.fs = durable.FS{}
			site.start()
			j, err := site.follow(id)
			result, ok, rerr := wire.JobResult[wire.Imported](j)
			if err != nil || j.State != "succeeded" || j.Attempt != 2 || !ok || rerr != nil || !result.Applied {
				t.Fatalf("%v %v: %+v", err, rerr, j)
			}
			if f := site.feed("osv"); f.Records != 200 || f.Generation != 1 {
				t.Errorf("%+v", f)
			}
			site.stop()
			site.start()
			var later wire.Job
			site.must(site.call("jobs/show", wire.JobRequest{ID: id}, &later), "show later")
			if later.State != "succeeded" || !bytes.Equal(later.Result, j.Result) || len(later.Notes) == 0 || later.Attempt != 2 {
				t.Errorf("later: %+v", later)
			}
			var log wire.JobLog
			site.must(site.call("jobs/log", wire.JobRequest{ID: id}, &log), "log")
			if !strings.Contains(log.Text, "begins again, attempt 2") || !strings.HasSuffix(log.Text, "  succeeded\n") {
				t.Error(log.Text)
			}
		})
	}
}

// A cancelled import changes nothing, and can be started again.
func TestCancelJob(t *testing.T) {
	b := newBarrier()
	_, site, stick := crossing(t, b.fs())
	b.arm(staging)
	id := site.job("import/run", wire.ImportRequest{Path: stick, Yes: true}).ID
	<-b.reached
	waits := site.job("exchange/run", wire.ExchangeRequest{Path: stick, Yes: true})
	if waits.Position != 1 {
		t.Errorf("an exchange beside an import: %+v", waits)
	}
	for _, i := range []string{waits.ID, id} {
		site.must(site.call("jobs/cancel", wire.JobRequest{ID: i}, nil), "cancel")
	}
	close(b.proceed)
	for _, i := range []string{waits.ID, id} {
		if j, err := site.follow(i); code.Of(err) != code.Cancelled || j.State != "cancelled" {
			t.Errorf("%v %+v", err, j)
		}
	}
	if f := site.feed("osv"); f.Records != 0 {
		t.Errorf("%+v", f)
	}
	if j, err := site.follow(site.job("import/run", wire.ImportRequest{Path: stick, Yes: true}).ID); err != nil || j.State != "succeeded" {
		t.Errorf("%v %+v", err, j)
	}
	for what, q := range map[string]wire.JobRequest{
		"no job":      {Action: "feeds/list"},
		"no action":   {Action: "no/such"},
		"odd request": {Action: "import/run", Request: json.RawMessage(`{"paht":"/x"}`)},
	} {
		if err := site.call("jobs/start", q, nil); code.Of(err) != code.BadUsage {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// send does one request to an address that is no action.
func (a *actor) send(method, path string, body io.Reader, out any) error {
	c := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", a.run.Client().Socket())
	}}}
	req, err := http.NewRequest(method, "http://sallyport/api/v1/"+path, body)
	if err != nil {
		return err
	}
	res, err := c.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode == http.StatusOK {
		return json.NewDecoder(res.Body).Decode(out)
	}
	var f wire.Failure
	if err := json.NewDecoder(res.Body).Decode(&f); err != nil {
		return fmt.Errorf("%s: %w", res.Status, err)
	}
	return f.Error.Err()
}

// The files of a stick, sent in chunks over a restart of the daemon, are imported like the stick.
func TestUploadAndImport(t *testing.T) {
	_, site, stick := crossing(t, durable.FS{})
	var q wire.UploadRequest
	err := fs.WalkDir(os.DirFS(stick), ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		st, err := e.Info()
		q.Files = append(q.Files, wire.UploadFile{Name: "STICK/" + name, Size: st.Size()})
		return err
	})
	site.must(err, "walk")
	q.ChunkBytes = 64 << 10
	plan, err := json.Marshal(q)
	site.must(err, "encode")
	var u wire.Upload
	site.must(site.send("POST", "uploads", bytes.NewReader(plan), &u), "begin")
	for _, f := range u.Files {
		b, err := os.ReadFile(filepath.Join(stick, strings.TrimPrefix(f.Name, "STICK/")))
		site.must(err, "read")
		for k := range f.Chunks {
			body := b[k*u.ChunkBytes : min(f.Size, (k+1)*u.ChunkBytes)]
			site.must(site.send("PUT", fmt.Sprintf("uploads/%s/chunks/%d", u.ID, f.First+k), bytes.NewReader(body), &wire.Upload{}), "chunk")
			site.must(site.call("uploads/chunk", wire.UploadChunk{ID: u.ID, Index: f.First + k, Total: u.Chunks, Data: body}, nil), "the same as base64")
		}
	}
	if err := site.send("PUT", "uploads/"+u.ID+"/chunks/-1", strings.NewReader("x"), nil); code.Of(err) != code.UploadForm {
		t.Errorf("index -1: %v", err)
	}
	if err := site.send("PUT", "uploads/"+u.ID+"/chunks/2147483648", strings.NewReader("x"), nil); code.Of(err) != code.UploadForm {
		t.Errorf("index 2^31: %v", err)
	}
	if err := site.send("PUT", "uploads/"+u.ID+"/chunks/0", strings.NewReader("x"), nil); code.Of(err) != code.UploadForm {
		t.Errorf("another length: %v", err)
	}
	site.stop()
	site.start()
	site.must(site.send("POST", "uploads/"+u.ID+"/complete", strings.NewReader("{}"), &u), "complete")
	j, err := site.follow(site.job("import/run", wire.ImportRequest{Path: u.Path, Yes: true}).ID)
	if result, _, _ := wire.JobResult[wire.Imported](j); err != nil || !result.Applied {
		t.Fatalf("%v %+v", err, j)
	}
	if f := site.feed("osv"); f.Records != 200 {
		t.Errorf("%+v", f)
	}
	for _, path := range []string{site.dir, filepath.Join(site.dir, "uploads"), filepath.Join(site.dir, "uploads", u.ID)} {
		if _, err := site.take(path); code.Of(err) != code.BadUsage {
			t.Errorf("import from %s: %v", path, err)
		}
	}
	site.must(site.send("DELETE", "uploads/"+u.ID, nil, &wire.None{}), "remove")
	if err := site.send("GET", "uploads/"+u.ID, nil, nil); code.Of(err) != code.Missing {
		t.Errorf("after its removal: %v", err)
	}
}

// A backup that runs as a job has itself, running, in its copy of the state: a restored appliance does not begin it again.
func TestRestoredJob(t *testing.T) {
	dir := t.TempDir()
	hub := enter(t, dir, "hub", durable.FS{}, nil)
	hub.must(hub.load("osv", dump(t, 20, 0)), "load")
	id := hub.job("backup/create", wire.BackupRequest{To: filepath.Join(dir, "safe")}).ID
	if j, err := hub.follow(id); err != nil || j.State != "succeeded" {
		t.Fatalf("%v %+v", err, j)
	}
	hub.stop()
	if _, err := restoring(filepath.Join(dir, "safe"), filepath.Join(dir, "back"), durable.FS{}); err != nil {
		t.Fatal(err)
	}
	r := start(t, filepath.Join(dir, "back"), Deps{})
	var j wire.Job
	if err := r.Client().Call(context.Background(), "jobs/show", wire.JobRequest{ID: id}, &j); err != nil || j.State != "failed" || j.Error.Code != string(code.Interrupted) || j.Attempt != 1 {
		t.Errorf("%v %+v", err, j)
	}
	if err := r.Stop(); err != nil {
		t.Error(err)
	}
}

// Who started a job is asked again when it runs: an account that is gone by then may do nothing.
func TestJobOfNobody(t *testing.T) {
	hub := enter(t, t.TempDir(), "hub", durable.FS{}, nil)
	for _, a := range []web.Actor{
		{Via: web.ViaConsole, Account: "ghost", Person: "ghost", Roles: access.Of(access.Admin), Session: "s-1", Fresh: true},
		{Via: web.ViaToken, Account: "ghost", Roles: access.Of(access.Admin), Scopes: []string{"feed:load"}, Session: "t-1"},
		{Via: web.ViaSocket, UID: 12345, GID: 12345, Login: 12345, Roles: access.Of(access.Admin), Fresh: true},
	} {
		who, err := json.Marshal(a)
		hub.must(err, "encode")
		j, err := hub.run.Daemon().desk.Start(t.Context(), desk.Spec{Action: "load/run", Request: json.RawMessage(`{"feed":"x","files":["/dev/null"]}`), Who: who, By: a.Name(), Tenant: "acme"})
		hub.must(err, "start")
		if j, err = hub.follow(j.ID); code.Of(err) != code.Denied || j.State != "failed" {
			t.Errorf("via %s: %v %+v", a.Via, err, j)
		}
	}
}

// A visit whose daemon dies while it writes to the stick, before or after the label, is finished by the next one: the stick has
// one bundle, not two.
func TestExchangeOverDeath(t *testing.T) {
	for what, at := range map[string]func(durable.Op) bool{
		"half a copy": func(op durable.Op) bool {
			return op.Verb == "rename" && strings.Contains(op.Path, "stick/sallyport/bundles/")
		},
		"labelled": func(op durable.Op) bool { return op.Verb == "point" && op.Path == "export.labelled" },
	} {
		t.Run(what, func(t *testing.T) { dieInExchange(t, at) })
	}
}

func dieInExchange(t *testing.T, at func(durable.Op) bool) {
	b := newBarrier()
	dir := t.TempDir()
	stick := filepath.Join(dir, "stick")
	if err := os.Mkdir(stick, 0o700); err != nil {
		t.Fatal(err)
	}
	hub, site := enter(t, dir, "hub", b.fs(), nil), enter(t, dir, "site", durable.FS{}, nil)
	meet(hub, site, stick)
	hub.must(hub.load("osv", dump(t, 50, 0)), "load")
	b.arm(at)
	id := hub.job("exchange/run", wire.ExchangeRequest{Path: stick, Yes: true, For: []string{"site"}}).ID
	<-b.reached
	b.mu.Lock()
	b.dead = true
	b.mu.Unlock()
	hub.run.cancel()
	close(b.proceed)
	hub.stop()
	hub.fs = durable.FS{}
	hub.start()
	j, err := hub.follow(id)
	if err != nil || j.State != "succeeded" || j.Attempt != 2 {
		t.Fatalf("%v %+v", err, j)
	}
	labels, err := filepath.Glob(filepath.Join(stick, "sallyport", "bundles", "*", "*.label.json"))
	if err != nil || len(labels) != 1 {
		t.Errorf("%v, bundles on the stick: %q", err, labels)
	}
	if in, err := site.take(stick); err != nil || !in.Applied {
		t.Errorf("%v %+v", err, in)
	}
	var runs wire.Runs
	hub.must(hub.call("runs/list", wire.RunRequest{}, &runs), "runs")
	if len(runs.Runs) != 1 {
		t.Errorf("%d export runs for one visit", len(runs.Runs))
	}
}
