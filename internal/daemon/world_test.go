package daemon

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"sallyport/internal/config"
	"sallyport/internal/durable"
	"sallyport/internal/sample"
	"sallyport/internal/wire"
)

// actor is one appliance of a test, and its daemon while that runs.
type actor struct {
	t     *testing.T
	name  string
	dir   string
	words string
	cfg   config.Config
	fs    durable.FS
	run   *Running
}

// enter makes an appliance below dir and starts it. set overrides settings.
func enter(t *testing.T, dir, name string, fs durable.FS, set map[string]string) *actor {
	t.Helper()
	a := &actor{t: t, name: name, dir: filepath.Join(dir, name), fs: fs}
	made, err := Init(InitOptions{DataDir: a.dir, Name: name, Tenant: "acme", Actor: "test"}, Deps{})
	if err != nil {
		t.Fatal(err)
	}
	a.words, a.cfg = made.Words, config.New(a.dir)
	for k, v := range set {
		if err := a.cfg.Set(k, v, "test"); err != nil {
			t.Fatal(err)
		}
	}
	a.start()
	t.Cleanup(a.stop)
	return a
}

func (a *actor) start() {
	a.t.Helper()
	r, err := Start(context.Background(), a.cfg, Deps{FS: a.fs})
	if err != nil {
		a.t.Fatalf("%s does not start: %v", a.name, err)
	}
	a.run = r
}

// stop ends the daemon; one that has ended by itself is no error.
func (a *actor) stop() {
	if a.run != nil {
		a.run.Stop()
		a.run = nil
	}
}

// revive starts it again when it has stopped by itself, and tells whether it had.
func (a *actor) revive() bool {
	a.t.Helper()
	select {
	case err := <-a.run.done:
		a.t.Logf("%s stopped: %v", a.name, err)
		a.run.cancel()
		a.start()
		return true
	default:
		return false
	}
}

func (a *actor) call(action string, in, out any) error {
	return a.run.Client().Call(context.Background(), action, in, out)
}

func (a *actor) long(action string, in, out any) error {
	return a.run.Client().Stream(context.Background(), action, in, nil, out)
}

func (a *actor) must(err error, what string) {
	a.t.Helper()
	if err != nil {
		a.t.Fatalf("%s: %s: %v", a.name, what, err)
	}
}

// meet makes two appliances peers.
func meet(hub, site *actor, medium string) {
	hub.t.Helper()
	for _, a := range []*actor{hub, site} {
		a.must(a.call("card/write", wire.MediumRequest{Path: medium}, nil), "card")
	}
	hub.must(hub.call("peers/add", wire.PeerRequest{Path: medium, Name: site.name, Words: site.words}, nil), "add site")
	site.must(site.call("peers/add", wire.PeerRequest{Path: medium, Name: hub.name, Words: hub.words}, nil), "add hub")
}

// dump writes an OSV zip of n advisories; those below changed are revised.
func dump(t *testing.T, n, changed int) string {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), fmt.Sprintf("osv-%d-%d.zip", n, changed)))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := sample.Zip(f, 7, sample.Week{To: n, Changed: func(i int) bool { return i < changed }}); err != nil {
		t.Fatal(err)
	}
	return f.Name()
}

func (a *actor) load(feed string, files ...string) error {
	return a.long("load/run", wire.LoadRequest{Feed: feed, Files: files}, nil)
}

// export makes a full for a peer; to may be empty: the bundle stays on the shelf.
func (a *actor) export(peer, to string) (run wire.Run, err error) {
	if err := a.call("runs/submit", wire.RunRequest{Profile: "mirror:full", For: peer, To: to}, &run); err != nil {
		return run, err
	}
	err = a.long("runs/watch", wire.RunRequest{ID: run.ID}, &run)
	return run, err
}

func (a *actor) take(medium string) (out wire.Imported, err error) {
	err = a.long("import/run", wire.ImportRequest{Path: medium, Yes: true}, &out)
	return out, err
}

// feed reads what is known of a feed, zero when there is none.
func (a *actor) feed(name string) wire.Feed {
	a.t.Helper()
	var out wire.Feeds
	a.must(a.call("feeds/list", wire.FeedRequest{}, &out), "feeds")
	for _, f := range out.Feeds {
		if f.Name == name {
			return f
		}
	}
	return wire.Feed{}
}

// proves reads every record of a feed and proves some of them to the signature; the error is the first.
func (a *actor) proves(feed string, step int) error {
	q := wire.RecordRequest{Feed: feed, Limit: 200, Body: true}
	n := 0
	for {
		var page wire.Records
		if err := a.call("records/list", q, &page); err != nil {
			return err
		}
		for _, r := range page.Records {
			if n++; n%step == 0 {
				if err := a.call("records/show", wire.RecordRequest{Feed: feed, Kind: r.Kind, Key: r.Key, Proof: true}, nil); err != nil {
					return err
				}
			}
		}
		if q.After = page.Next; q.After == "" {
			break
		}
	}
	if want := a.feed(feed).Records; int64(n) != want {
		return fmt.Errorf("%d of %d records of %s can be read", n, want, feed)
	}
	return nil
}
