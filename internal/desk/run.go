package desk

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"time"

	"sallyport/internal/code"
	"sallyport/internal/job"
	"sallyport/internal/state"
	"sallyport/internal/wire"
)

// beat is how often watchers of a running job are told at most.
const beat = 250 * time.Millisecond

// The sizes of results, in bytes: in the row, and at all.
const (
	smallResult = 16 << 10
	maxResult   = 16 << 20
)

// execute runs one attempt of a job from pending to its end. What cannot be written down is left as it is in the row: the next
// start takes it up.
func (d *Desk) execute(ctx context.Context, t *task) {
	t.mu.Lock()
	id, began := t.id, d.Clock.Mono()
	t.mu.Unlock()
	row, err := d.step(id, job.Running, nil)
	if err != nil {
		d.broken(t, err)
		return
	}
	d.FS.Point("job.running")
	t.mu.Lock()
	t.row, t.began = row, began
	t.mu.Unlock()
	if row.Attempt > 1 {
		t.log.line(fmt.Sprintf("%s begins again, attempt %d", row.Action, row.Attempt))
	} else {
		t.log.line(row.Action + " begins, for " + row.By)
	}
	d.ring(t.id)
	stop := d.beating(t)
	result, err := d.Run(ctx, row.Who, row.Attempt > 1, row.Action, row.Request, func(p wire.Progress) { t.hear(p, d.Clock.Mono()) })
	stop()
	d.FS.Point("job.ran")
	if err := d.finish(ctx, t, result, err); err != nil {
		d.broken(t, err)
	}
}

// broken is an end that could not be written down.
func (d *Desk) broken(t *task, err error) {
	d.Log.Error("a job cannot be written down", "job", t.id, "err", err.Error())
	if fatal(err) {
		d.Fatal(err)
	}
}

// beating tells the watchers of a job what was heard, until it is stopped.
func (d *Desk) beating(t *task) (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(beat)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				if t.told() {
					d.ring(t.id)
				}
			}
		}
	}()
	return func() {
		close(done)
		<-ended
	}
}

// verdict is how an attempt ends.
func (d *Desk) verdict(ctx context.Context, t *task, err error) (job.State, error) {
	t.mu.Lock()
	ender := t.ender
	t.mu.Unlock()
	switch {
	case err == nil:
		return job.Succeeded, nil
	case ctx.Err() == nil:
		return job.Failed, err
	case ender != "":
		return job.Cancelled, code.Wrap(code.Cancelled, err, "cancelled by %s", ender)
	case t.kind.Once:
		return job.Failed, code.Wrap(code.Interrupted, err, "the daemon stopped while this ran").Do("Look whether it was done; if not, start it anew.")
	}
	return job.Pending, nil
}

// finish writes the end of an attempt: log, result, row.
func (d *Desk) finish(ctx context.Context, t *task, result json.RawMessage, err error) error {
	to, err := d.verdict(ctx, t, err)
	t.log.line(said(to, err))
	if cerr := t.log.close(); fatal(cerr) {
		return cerr
	}
	kept, lost, rerr := d.keep(t.id, to, result)
	if rerr != nil {
		return rerr
	}
	d.FS.Point("job.result")
	t.mu.Lock()
	if n := len(t.steps); n > 0 {
		t.steps[n-1].Done = to == job.Succeeded
	}
	steps, notes, ran := t.steps, t.notes, int64((d.Clock.Mono()-t.began)/time.Second)
	t.mu.Unlock()
	return d.end(t, to, func(j *job.Job) {
		j.Error, j.NoResult, j.Seconds, j.Steps, j.Notes = wire.FromError(err), lost, j.Seconds+ran, steps, notes
		switch {
		case kept:
			j.ResultBytes = int64(len(result))
		case !lost && to.Final():
			j.Result = result
		}
	})
}

// end writes the row of an attempt that is over. On a full disk it waits for room: the work is done, and a second run of it
// would say less.
func (d *Desk) end(t *task, to job.State, change func(*job.Job)) error {
	for {
		_, err := d.step(t.id, to, change)
		if code.Of(err) != code.NoSpace || fatal(err) {
			d.FS.Point("job.ended")
			return err
		}
		d.Log.Warn("the disk is full: the end of a job is not written down yet", "job", t.id)
		select {
		case <-d.done():
			return err
		case <-time.After(d.retry):
		}
	}
}

// said is the last line of an attempt.
func said(to job.State, err error) string {
	switch {
	case to == job.Pending:
		return "the daemon stops; this begins again when it starts"
	case err != nil:
		return string(to) + ": " + err.Error() + " (" + string(code.Of(err)) + ")"
	}
	return string(to)
}

// keep writes a large result to its file. lost says that it is in neither file nor row: that is no reason to forget how it ended.
func (d *Desk) keep(id string, to job.State, result json.RawMessage) (kept, lost bool, err error) {
	switch {
	case !to.Final() || len(result) <= smallResult:
		return false, false, nil
	case len(result) > maxResult:
		return false, true, nil
	}
	err = d.FS.WriteFile(d.resultFile(id), result, 0o600)
	if err != nil && !fatal(err) {
		d.Log.Warn("the result of a job is not kept", "job", id, "err", err.Error())
		return false, true, nil
	}
	return err == nil, false, err
}

func (d *Desk) resultFile(id string) string { return filepath.Join(d.dir(), id+".json") }

// step moves a row. It is not given up when the daemon stops: what happened must be told.
func (d *Desk) step(id string, to job.State, change func(*job.Job)) (row job.Job, err error) {
	err = d.State.Update(context.Background(), func(tx *state.Tx) (err error) {
		row, err = job.Step(tx, id, to, d.Now(), change)
		return err
	})
	return row, err
}
