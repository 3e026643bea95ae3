package api

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"time"

	"sallyport/internal/clock"
	"sallyport/internal/code"
	"sallyport/internal/export"
	"sallyport/internal/job"
	"sallyport/internal/marks"
	"sallyport/internal/peer"
	"sallyport/internal/root"
	"sallyport/internal/state"
	"sallyport/internal/units"
	"sallyport/internal/web"
	"sallyport/internal/wire"
)

func (a *API) statusShow(ctx context.Context, _ *web.Call, _ wire.None) (wire.Status, error) {
	out := wire.Status{Appliance: a.Self, Since: clock.Format(a.began), Time: timeOf(a.Marks.Now())}
	err := a.State.View(func(tx *state.Tx) error {
		n, err := a.names(tx)
		if err != nil {
			return err
		}
		if out.Feeds, err = a.feedsOf(tx, "", n); err != nil {
			return err
		}
		peers, err := peer.List(tx)
		if err != nil {
			return err
		}
		out.Peers = len(peers)
		head, err := a.Timeline.Head(tx)
		out.Events = head.Size
		return err
	})
	if err != nil {
		return wire.Status{}, err
	}
	if out.Disk, err = a.disk(); err != nil {
		return wire.Status{}, err
	}
	out.Runs = a.Waiting()
	if out.Waiting, err = a.waitingHere(""); err != nil {
		return wire.Status{}, err
	}
	if out.Needs, err = a.needs(ctx); err != nil {
		return wire.Status{}, err
	}
	out.Health, out.Reasons = a.Health()
	out.Ready = a.Ready() && out.Health != "Unhealthy"
	out.Console = a.Console()
	return out, ctx.Err()
}

func timeOf(r marks.Reading) wire.Time {
	t := wire.Time{
		Wall: clock.Format(r.Wall), Trusted: clock.Format(r.Trusted), Source: r.Source, Suspect: r.Suspect, Unproven: r.Unproven, AtLeast: r.AtLeast,
	}
	if !r.Anchor.IsZero() {
		t.Anchor = clock.Format(r.Anchor)
	}
	return t
}

func (a *API) disk() (d wire.Disk, err error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(a.Self.DataDir, &st); err != nil {
		return d, fmt.Errorf("disk of %s: %w", a.Self.DataDir, err)
	}
	d.Free, d.Total, d.State = int64(st.Bavail)*st.Bsize, int64(st.Blocks)*st.Bsize, a.State.Size()
	d.Blobs, d.Store, err = a.CAS.Usage()
	return d, err
}

// Waiting is how many runs are not finished.
func (a *API) Waiting() int {
	runs, err := a.Export.List(context.Background(), export.Filter{})
	if err != nil {
		return 0
	}
	n := 0
	for _, r := range runs {
		if !r.State.Final() {
			n++
		}
	}
	return n
}

// Health judges what can be judged without reading every byte.
func (a *API) Health() (health string, reasons []wire.Reason) {
	reasons = a.Reasons()
	reasons = append(reasons, clockReasons(a.Marks.Now())...)
	reasons = append(reasons, a.budgetReasons()...)
	reasons = append(reasons, a.forks()...)
	reasons = append(reasons, a.trustReasons()...)
	health = "Healthy"
	for _, r := range reasons {
		if r.Level == "critical" {
			return "Unhealthy", reasons
		}
		health = "Degraded"
	}
	return health, reasons
}

// doctorRun checks what must be true of a healthy appliance. It reads every page of the state, no blob.
func (a *API) doctorRun(ctx context.Context, _ *web.Call, _ wire.None) (wire.Doctor, error) {
	d := wire.Doctor{Worst: "ok"}
	add := func(name string, err error, good string) {
		c := wire.Check{Name: name, Level: "ok", Detail: good}
		if err != nil {
			c.Level, c.Detail, c.Next, d.Worst = "critical", err.Error(), code.NextStep(err), "critical"
		}
		d.Checks = append(d.Checks, c)
	}
	add("state database", a.State.Check(), units.Size(a.State.Size()))
	add("timeline", a.State.View(func(tx *state.Tx) error { _, err := a.Timeline.Verify(tx); return err }), "every entry proven")
	_, err := a.Keys.Appliance()
	add("appliance key", err, "readable by its owner alone")
	_, err = a.Keys.Identities()
	add("age identity", err, "readable by its owner alone")
	for _, t := range a.Self.Tenants {
		_, err = a.Keys.Bundle(t)
		add("bundle key of "+t, err, "readable by its owner alone")
	}
	add("trust root", a.ownRoot(), "valid, and names these keys")
	add("layers", a.layersOpen(ctx), "every active generation opens")
	kept, err := a.refusals(ctx)
	add("quarantine", err, kept)
	waits, err := a.waitingHere("")
	add("waiting", err, fmt.Sprintf("%s not taken in yet", units.Plural(int64(len(waits)), "bundle", "bundles")))
	_, reasons := a.Health()
	for _, r := range reasons {
		d.Checks = append(d.Checks, wire.Check{Name: "health", Level: r.Level, Detail: r.What, Next: r.Next})
		if d.Worst == "ok" {
			d.Worst = r.Level
		}
	}
	if len(reasons) == 0 {
		add("disk and clock", nil, "well")
	}
	return d, ctx.Err()
}

// ownRoot checks that our own trust root still speaks for the keys we sign with.
func (a *API) ownRoot() error {
	t, err := a.root()
	if err != nil {
		return err
	}
	now := a.Marks.Now().Trusted
	for _, tenant := range a.Self.Tenants {
		k, err := a.Keys.Bundle(tenant)
		if err != nil {
			return err
		}
		if err := t.Why(k.Public().ID(), root.RoleBundle, tenant, a.Self.ID, now); err != nil {
			return err
		}
	}
	k, err := a.Keys.Appliance()
	if err != nil {
		return err
	}
	return t.Why(k.Public().ID(), root.RoleAppliance, "", a.Self.ID, now)
}

// root is our own trust root at its newest version.
func (a *API) root() (*root.Trusted, error) {
	envelopes, err := a.Keys.Roots(a.Roots)
	if err != nil {
		return nil, err
	}
	return chain(envelopes)
}

func (a *API) layersOpen(ctx context.Context) error {
	views, err := a.views("", "")
	if err != nil {
		return err
	}
	for _, v := range views {
		if err := v.Close(); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (a *API) metricsShow(_ context.Context, _ *web.Call, _ wire.None) (wire.Text, error) {
	text, err := a.Metrics.Text()
	return wire.Text{Text: text}, err
}

// count feeds the metrics from a run when it ends.
func (a *API) count(id string) {
	start := a.Clock.Mono()
	a.Go(func() {
		watch, err := a.Export.Watch(context.Background(), id)
		if err != nil {
			return
		}
		var last export.Run
		var pushed time.Duration
		var began time.Duration
		for run := range watch {
			if run.State == job.Distributing && last.State != job.Distributing {
				began = a.Clock.Mono()
			}
			if run.State.Final() && last.State == job.Distributing {
				pushed = a.Clock.Mono() - began
			}
			last = run
		}
		switch last.State {
		case job.Succeeded:
			a.Metrics.RunDone(last.Kind, a.Clock.Mono()-start, last.Bytes, pushed)
		case job.Failed:
			profile, _, _ := strings.Cut(last.Profile, "@")
			a.Metrics.RunFailed(profile, last.ErrorCode)
		}
	})
}
