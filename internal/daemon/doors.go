package daemon

import (
	"context"
	"fmt"
	"io"
	"syscall"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/digest"
	"sallyport/internal/web"
	"sallyport/internal/web/api"
	"sallyport/internal/web/console"
	"sallyport/ui/manual"
)

// people lets them in.
func (d *Daemon) people() {
	id, _ := digest.Parse(d.in.RootID) // it was parsed when our trust root was read
	d.access = access.New(access.Deps{
		State: d.state, Timeline: d.timeline, Now: d.marks.Now, Clock: d.deps.Clock, Random: d.deps.Random, Log: d.log,
		Appliance: access.Appliance{ID: d.in.ID, Name: d.in.Name, Fingerprint: id},
	})
}

// do asks the door for an action that has another address too.
func (d *Daemon) do(ctx context.Context, who web.Actor, action string, in any) (any, error) {
	return d.door.Do(ctx, who, action, in, nil)
}

// server puts the doors before the rooms. ctx is the base of all requests.
func (d *Daemon) server(ctx context.Context) (*web.Server, error) {
	groups, err := Groups(d.cfg)
	if err != nil {
		return nil, err
	}
	about, err := api.Document(d.api.Actions(), d.api.Routes(), d.deps.Software)
	if err != nil {
		return nil, err
	}
	o := web.Options{
		Door: d.door, Metrics: d.metrics.Handler(), Health: d.health, Log: d.log, Clock: d.deps.Clock,
		Member: member(groups), Access: d.access, Routes: d.api.Routes(), OpenAPI: about,
		Hosts: d.ours, CA: d.Authority, Limits: d.limits(),
	}
	if d.https() == "" && d.cfg.ListenHTTP == "" {
		return web.New(ctx, o), nil
	}
	if d.console, err = d.pages(ctx); err != nil {
		return nil, err
	}
	o.Console, o.Page = d.console, d.console.ErrorPage
	return web.New(ctx, o), nil
}

// pages are the console.
func (d *Daemon) pages(ctx context.Context) (*console.Console, error) {
	book, err := manual.New()
	if err != nil {
		return nil, fmt.Errorf("manual: %w", err)
	}
	return console.New(ctx, console.Deps{
		Door: d.door, Access: d.access, Bells: d.desk, Log: d.log, Manual: book, Site: applianceOf(d.in, d.cfg.DataDir, d.deps.Software),
		Now: d.marks.Now, Open: d.shelf, Upload: d.uploads, People: d.cfg.Approvals, Front: d.Console,
		Rhythm: func() (time.Duration, bool) { return d.care.Often(), d.cfg.Source("delivery.every") != "default" },
	}), nil
}

// shelf opens a file of a finished bundle.
func (d *Daemon) shelf(ctx context.Context, run, file string) (io.ReadSeekCloser, int64, error) {
	f, about, err := d.export.Open(ctx, run, file)
	if err != nil {
		return nil, 0, err
	}
	return f, about.Bytes, nil
}

// welcome tells where the console is, and the code with which the first person becomes admin while there is nobody.
func (d *Daemon) welcome(ctx context.Context) error {
	c := d.Console()
	if c == nil {
		return nil
	}
	g := Greeting{Console: *c}
	if len(c.Addresses) > 0 || c.Plain != "" {
		empty, err := d.access.Empty(ctx)
		if err != nil {
			return err
		}
		if empty {
			once, err := d.access.SetupCode(ctx, access.By{Name: "system", Host: true})
			if err != nil {
				return err
			}
			g.Code, g.Minutes, g.Tries = once.Code, int(once.Life/time.Minute), once.Tries
		}
	}
	if d.deps.Greet != nil {
		d.deps.Greet(g)
		return nil
	}
	if len(c.Addresses) == 0 && c.Plain == "" {
		return nil // why not stands in the log already
	}
	d.log.Info("console", "addresses", c.Addresses, "plain", c.Plain, "fingerprint", c.Fingerprint, "authority", c.Authority)
	if g.Code != "" {
		d.log.Info("set-up code", "code", g.Code, "minutes", g.Minutes, "tries", g.Tries)
	}
	return nil
}

// limits are those of the configuration, within what the system lets this process open.
func (d *Daemon) limits() web.Limits {
	conns := d.cfg.Connections
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err == nil && files.Cur/2 < uint64(conns) {
		conns = int(files.Cur / 2)
		d.log.Debug("fewer connections than limits.connections", "connections", conns, "files", fmt.Sprint(files.Cur))
	}
	streams := d.cfg.Streams
	return web.Limits{
		Rate: d.cfg.Rate, Conns: conns, ConnsEach: max(conns*3/8, 1), Streams: streams, StreamsEach: max(streams*3/5, 1),
	}
}
