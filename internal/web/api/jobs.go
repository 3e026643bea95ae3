package api

import (
	"cmp"
	"context"
	"encoding/json"
	"reflect"

	"sallyport/internal/code"
	"sallyport/internal/desk"
	"sallyport/internal/web"
	"sallyport/internal/wire"
)

func (a *API) jobRows() []web.Action {
	return []web.Action{
		web.Row("jobs/list", "Lists what runs, what waits to run, and what ran.", readers(), "job:read", a.jobsList),
		web.Row("jobs/show", "Shows one job: how far it is, what it said, its result or its error.", readers(), "job:read", a.jobsShow),
		web.Row("jobs/start", "Starts a long action that goes on when whoever asked has left.", anybody(), "job:run", a.jobsStart).Changes(),
		web.Row("jobs/cancel", "Ends a job as soon as what it does lets go.", doers(), "job:run", a.jobsCancel).Changes(),
		web.Row("jobs/log", "Gives the log of a job.", readers(), "job:read", a.jobsLog),
		web.Row("jobs/watch", "Follows a job until it has ended.", readers(), "job:read", a.jobsWatch).Streams(),
	}
}

// jobsList lists jobs, newest first.
func (a *API) jobsList(_ context.Context, _ *web.Call, q wire.JobRequest) (wire.Jobs, error) {
	return a.Jobs.List(q.Tenant, q)
}

func (a *API) jobsShow(_ context.Context, _ *web.Call, q wire.JobRequest) (wire.Job, error) {
	return a.Jobs.Get(q.Tenant, q.ID)
}

func (a *API) jobsCancel(ctx context.Context, c *web.Call, q wire.JobRequest) (wire.Job, error) {
	return a.Jobs.Cancel(ctx, q.Tenant, q.ID, c.Actor.Name())
}

func (a *API) jobsLog(_ context.Context, _ *web.Call, q wire.JobRequest) (wire.JobLog, error) {
	return a.Jobs.ReadLog(q.Tenant, q.ID)
}

// jobsStart judges the action inside at once, so that whoever may not, or must prove who they are, hears it now. It is judged
// again when it runs.
func (a *API) jobsStart(ctx context.Context, c *web.Call, q wire.JobRequest) (wire.Job, error) {
	row, ok := a.row(q.Action)
	if !ok || !row.Job {
		return wire.Job{}, code.New(code.BadUsage, "%.60q does not run as a job", q.Action)
	}
	request := q.Request
	if len(request) == 0 {
		request = json.RawMessage("{}")
	}
	if err := row.May(c.Actor, request); err != nil {
		return wire.Job{}, err
	}
	if err := web.NewCall(c.Actor, request, nil).Decode(reflect.New(reflect.TypeOf(row.In)).Interface()); err != nil {
		return wire.Job{}, err
	}
	var about struct{ Tenant, Path, Feed, To, Number, Peer string }
	if err := json.Unmarshal(request, &about); err != nil {
		return wire.Job{}, code.Wrap(code.BadUsage, err, "the request does not decode")
	}
	who := c.Actor
	who.Remote = "" // it is not a reason to let anybody in later
	keep, err := json.Marshal(who)
	if err != nil {
		return wire.Job{}, code.Wrap(code.Bug, err, "start job")
	}
	tenant := cmp.Or(q.Tenant, about.Tenant)
	if tenant != "" || len(a.Self.Tenants) == 1 {
		if tenant, err = a.tenant(tenant); err != nil {
			return wire.Job{}, err
		}
	}
	return a.Jobs.Start(ctx, desk.Spec{
		Action: q.Action, Request: request, Who: keep, By: c.Actor.Name(), Via: c.Actor.Via, Tenant: tenant,
		Subject: cmp.Or(about.Path, about.Feed, about.To, about.Number, about.Peer),
	})
}

// row finds an action of the table.
func (a *API) row(name string) (web.Action, bool) {
	for _, row := range a.Actions() {
		if row.Name == name {
			return row, true
		}
	}
	return web.Action{}, false
}

// jobsWatch follows a job. Its error is that of the job.
func (a *API) jobsWatch(ctx context.Context, c *web.Call, q wire.JobRequest) (wire.Job, error) {
	watch, err := a.Jobs.Watch(ctx, q.Tenant, q.ID)
	if err != nil {
		return wire.Job{}, err
	}
	var last wire.Job
	said := 0
	for last = range watch {
		p := wire.Progress{Stage: last.State}
		if last.Progress != nil {
			p = *last.Progress
		} else if last.Position > 0 {
			p = wire.Progress{Stage: "waiting", Items: int64(last.Position)}
		}
		for _, note := range last.Notes[min(said, len(last.Notes)):] {
			c.Progress(wire.Progress{Stage: p.Stage, Subject: p.Subject, Note: note})
		}
		said, p.Note = max(said, len(last.Notes)), ""
		c.Progress(p)
	}
	if !last.Finished() {
		return last, code.New(code.Interrupted, "watching ended, the job goes on").Do("Look again: sallyport jobs watch " + last.ID)
	}
	return last, last.Error.Err()
}
