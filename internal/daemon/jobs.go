package daemon

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/code"
	"sallyport/internal/desk"
	"sallyport/internal/job"
	"sallyport/internal/state"
	"sallyport/internal/upload"
	"sallyport/internal/web"
	"sallyport/internal/wire"
)

// newDesk makes the room where jobs run; they go through the door as any request does.
func (d *Daemon) newDesk() *desk.Desk {
	return desk.New(desk.Deps{
		State: d.state, Clock: d.deps.Clock, Random: d.deps.Random, FS: d.deps.FS, Log: d.log, DataDir: d.cfg.DataDir,
		Now: d.stamp, Kind: d.jobKind, Run: d.runJob, Fatal: d.die,
	})
}

// newUploads makes the room where files of browsers arrive.
func (d *Daemon) newUploads() *upload.Room {
	return upload.New(upload.Deps{
		DataDir: d.cfg.DataDir, FS: d.deps.FS, Clock: d.deps.Clock, Random: d.deps.Random, Log: d.log,
		Now: d.stamp, Reserve: d.cas.Reserve, Quota: d.cfg.Uploads, Fatal: d.die,
	})
}

func (d *Daemon) stamp() time.Time { return d.marks.Now().Stamp() }

// jobKind says of each action whether it runs as a job, and beside which others: what takes in bundles waits for each other.
func (d *Daemon) jobKind(action string) (k desk.Kind, ok bool) {
	row, ok := d.door.Action(action)
	if !ok || !row.Job {
		return k, false
	}
	switch action {
	case "import/run", "exchange/run", "media/heal":
		k.Lane = "intake"
	case "quarantine/release":
		k = desk.Kind{Lane: "intake", Once: true}
	case "trust/apply":
		k.Once = true
	case "backup/create", "store/scrub":
		k.Lane = action
	}
	return k, true
}

// runJob asks the door for a job in the name of its person, with the right that person has now.
func (d *Daemon) runJob(ctx context.Context, who json.RawMessage, again bool, action string, request json.RawMessage, progress func(wire.Progress)) (json.RawMessage, error) {
	var actor web.Actor
	if err := json.Unmarshal(who, &actor); err != nil {
		return nil, code.Wrap(code.StateCorrupt, err, "who asked for this job does not read")
	}
	actor, err := d.standing(ctx, actor)
	if err != nil {
		return nil, err
	}
	if again && (action == "exchange/run" || action == "outbound/write") {
		if err := d.quiet(ctx, progress); err != nil {
			return nil, err
		}
	}
	v, err := d.door.Do(ctx, actor, action, request, progress)
	if v == nil {
		return nil, err
	}
	b, merr := json.Marshal(v)
	if merr != nil && err == nil {
		return nil, fmt.Errorf("encode result: %w", merr)
	}
	if merr != nil || string(b) == "null" {
		b = nil
	}
	return b, err
}

// standing is an actor as of now: roles may have been taken since the job was started, or an account closed. A proof that was
// fresh when it was started counts for it, however long it waited.
func (d *Daemon) standing(ctx context.Context, a web.Actor) (web.Actor, error) {
	if a.Via == web.ViaSocket {
		return d.standingUser(a)
	}
	who, ok := d.access.Standing(ctx, a.Account, a.Session)
	if !ok {
		return a, code.New(code.Denied, "%s may not do anything here any more", a.Name()).Do("Start it anew as somebody who may.")
	}
	a.Roles, a.Person = who.Roles, who.Person
	if a.Via == web.ViaToken {
		a.Scopes = who.Scopes
	}
	return a, nil
}

// standingUser is the same for somebody who came over the socket.
func (d *Daemon) standingUser(a web.Actor) (web.Actor, error) {
	groups, err := Groups(d.cfg)
	if err != nil {
		return a, err
	}
	a.Roles = member(groups)(a)
	who, linked := d.access.Linked(a.Login)
	switch {
	case a.Admin:
		a.Roles = access.Of(access.Admin)
	case linked && !a.Lone && a.UID == a.Login && who.Roles == 0:
		a.Roles = 0
	case linked && !a.Lone && a.UID == a.Login:
		a.Roles |= who.Roles
	}
	if a.Roles == 0 {
		return a, code.New(code.Denied, "user %d may not do anything here any more", a.UID).Do("Start it anew as somebody who may.")
	}
	return a, nil
}

// quiet waits for the export runs that the daemon before this one left: what they write is not to be written twice.
func (d *Daemon) quiet(ctx context.Context, progress func(wire.Progress)) error {
	var left []job.Run
	err := d.state.View(func(tx *state.Tx) (err error) {
		left, err = job.List(tx, "", "", 0, func(r job.Run) bool { return !r.State.Final() })
		return err
	})
	for _, r := range left {
		progress(wire.Progress{Stage: "wait for export run", Subject: r.ID})
		if _, werr := d.export.Wait(ctx, r.ID); werr != nil && ctx.Err() != nil {
			return code.Wrap(code.Interrupted, context.Cause(ctx), "wait for export run %s", r.ID)
		}
	}
	return err
}

// tidying forgets, once an hour, jobs that ended long ago and uploads that nobody touches any more.
func (d *Daemon) tidying(ctx context.Context) {
	t := time.NewTicker(time.Hour)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		_, err := d.uploads.Sweep()
		d.minute("uploads not tidied", err)
		d.minute("jobs not tidied", d.desk.Sweep(ctx))
	}
}
