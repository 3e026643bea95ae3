package demo

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"sallyport/internal/client"
	"sallyport/internal/clock"
	"sallyport/internal/config"
	"sallyport/internal/courier"
	"sallyport/internal/daemon"
	"sallyport/internal/wire"
)

// appliance is one of the players: a data directory, and a daemon in this process while it is on stage.
type appliance struct {
	name, dir string
	running   *daemon.Running
	c         *client.Client
	ctx       context.Context
	words     string
	root      string
}

// found makes an appliance and starts it.
func (p *play) found(name string) *appliance {
	a := &appliance{name: name, dir: filepath.Join(p.Dir, name), ctx: p.ctx}
	if p.err != nil {
		return a
	}
	made, err := daemon.Init(daemon.InitOptions{DataDir: a.dir, Name: name, Tenant: "acme", Actor: "demo"}, p.deps(p.now))
	if p.must(err, "init "+name) {
		a.words, a.root = made.Words, made.Fingerprint
		p.start(a, p.now)
	}
	return a
}

// nameless is a stranger who calls itself as another does.
func (p *play) impostor(name, dir string) *appliance {
	a := &appliance{name: name, dir: filepath.Join(p.Dir, dir), ctx: p.ctx}
	if p.err != nil {
		return a
	}
	made, err := daemon.Init(daemon.InitOptions{DataDir: a.dir, Name: name, Tenant: "acme", Actor: "demo"}, p.deps(p.now))
	if p.must(err, "init "+dir) {
		a.words, a.root = made.Words, made.Fingerprint
		p.start(a, p.now)
	}
	return a
}

func (p *play) deps(now time.Time) daemon.Deps { return daemon.Deps{Clock: clock.NewFixed(now)} }

// start brings an appliance on stage with its clock standing at now.
func (p *play) start(a *appliance, now time.Time) {
	if p.err != nil {
		return
	}
	r, err := daemon.Start(p.ctx, config.New(a.dir), p.deps(now))
	if p.must(err, "serve "+a.name) {
		a.running, a.c = r, r.Client()
	}
}

func (a *appliance) stop() {
	if a.running != nil {
		_ = a.running.Stop() // on the way out; acts that depend on it start it again
		a.running = nil
	}
}

// restart sets the clock of an appliance.
func (p *play) restart(a *appliance, now time.Time) {
	a.stop()
	p.start(a, now)
}

func (a *appliance) call(action string, in, out any) error {
	if a.c == nil {
		return errors.New(a.name + " is not on stage")
	}
	return a.c.Call(a.ctx, action, in, out)
}

func (a *appliance) long(action string, in, out any) error {
	if a.c == nil {
		return errors.New(a.name + " is not on stage")
	}
	return a.c.Stream(a.ctx, action, in, nil, out)
}

func (p *play) loadInto(a *appliance, feed string, files ...string) wire.Loaded {
	var out wire.Loaded
	if p.err == nil {
		p.must(a.long("load/run", wire.LoadRequest{Feed: feed, Files: files}, &out), "load "+feed)
	}
	return out
}

func (p *play) feeds(a *appliance) map[string]wire.Feed {
	var out wire.Feeds
	if p.err == nil {
		p.must(a.call("feeds/list", wire.FeedRequest{}, &out), "feeds of "+a.name)
	}
	all := map[string]wire.Feed{}
	for _, f := range out.Feeds {
		all[f.Name] = f
	}
	return all
}

// export runs mirror:full for a peer onto a stick and waits for its end.
func (p *play) export(a *appliance, peer, stick string) wire.Run {
	var run wire.Run
	if p.err != nil {
		return run
	}
	if !p.must(a.call("runs/submit", wire.RunRequest{Profile: "mirror:full", For: peer, To: stick}, &run), "export for "+peer) {
		return run
	}
	if p.must(a.long("runs/watch", wire.RunRequest{ID: run.ID}, &run), "watch "+run.ID) {
		p.expect("run for "+peer+" ("+run.Message+")", "succeeded", run.State)
	}
	return run
}

// take imports a stick; the decision is the worst outcome's code, or the decision of the only bundle for us.
func (a *appliance) take(stick string) (wire.Imported, error) {
	var out wire.Imported
	err := a.long("import/run", wire.ImportRequest{Path: stick, Yes: true}, &out)
	return out, err
}

// courierSays runs mirror as a courier does and returns its exit status and first line.
func courierSays(args ...string) (status int, first string) {
	var out bytes.Buffer
	status = courier.Program{Out: &out, Err: io.Discard}.Main(context.Background(), append([]string{"mirror"}, args...))
	line, _, _ := bytes.Cut(out.Bytes(), []byte("\n"))
	return status, string(line)
}

// treeHash is one number for names and bytes under cas/sha256, layers and marks: what a refusal must not change.
func (a *appliance) treeHash() (string, error) {
	h := sha256.New()
	for _, part := range []string{"cas/sha256", "layers", "marks"} {
		err := filepath.WalkDir(filepath.Join(a.dir, part), func(path string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			rel, err := filepath.Rel(a.dir, path)
			fmt.Fprintf(h, "%s %x\n", rel, sha256.Sum256(b))
			return err
		})
		if err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%x", h.Sum(nil)), nil
}
