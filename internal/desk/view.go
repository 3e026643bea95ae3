package desk

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"sallyport/internal/code"
	"sallyport/internal/job"
	"sallyport/internal/state"
	"sallyport/internal/wire"
)

// errCancelled ends the context of a job that a person cancelled.
var errCancelled = code.New(code.Cancelled, "")

// bell rings when a job has something new to show.
type bell struct {
	id    string // "": any
	rings chan struct{}
}

// Bell gives a channel that gets a value when the job ("": any) has something new, at most four times a second while it
// runs; one that nobody empties rings once. stop takes it away.
func (d *Desk) Bell(id string) (rings <-chan struct{}, stop func()) {
	b := &bell{id, make(chan struct{}, 1)}
	d.mu.Lock()
	d.bells[b] = true
	d.mu.Unlock()
	return b.rings, func() {
		d.mu.Lock()
		delete(d.bells, b)
		d.mu.Unlock()
	}
}

func (d *Desk) ring(id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for b := range d.bells {
		if b.id != "" && b.id != id {
			continue
		}
		select {
		case b.rings <- struct{}{}:
		default: // it has not looked yet, and will see this too
		}
	}
}

// Get shows a job of a tenant ("": of any) as it is now. Code not-found.
func (d *Desk) Get(tenant, id string) (wire.Job, error) {
	d.mu.Lock()
	t := d.tasks[id]
	d.mu.Unlock()
	if t != nil {
		if !of(t.tenant, tenant) {
			return wire.Job{}, code.New(code.Missing, "no job %.40q", id)
		}
		return d.look(t), nil
	}
	row, err := d.find(tenant, id)
	if err != nil {
		return wire.Job{}, err
	}
	w := shown(row)
	w.Lines = tail(filepath.Join(d.dir(), row.ID+".log"), maxLines)
	if row.ResultBytes > 0 {
		b, err := os.ReadFile(d.resultFile(row.ID))
		w.Lost = err != nil || int64(len(b)) != row.ResultBytes
		if !w.Lost {
			w.Result = b
		}
	}
	return w, nil
}

// of tells whether a job belongs to a tenant; one of no tenant belongs to all, and "" asks for all.
func of(owner, tenant string) bool { return owner == "" || tenant == "" || owner == tenant }

// find reads the row of a tenant's job; another tenant's is not there.
func (d *Desk) find(tenant, id string) (row job.Job, err error) {
	err = d.State.View(func(tx *state.Tx) error {
		row, err = job.Find(tx, id)
		return err
	})
	if err == nil && !of(row.Tenant, tenant) {
		err = code.New(code.Missing, "no job %.40q", id)
	}
	return row, err
}

// look is an unfinished job with what is known of it in memory.
func (d *Desk) look(t *task) wire.Job {
	d.mu.Lock()
	position := slices.Index(d.queue, t) + 1
	d.mu.Unlock()
	lines := t.log.last()
	t.mu.Lock()
	defer t.mu.Unlock()
	w := shown(t.row)
	w.Position, w.Lines = position, lines
	if t.row.State == job.Running {
		w.Seconds += int64((d.Clock.Mono() - t.began) / time.Second)
		w.Steps, w.Notes = slices.Clone(t.steps), slices.Clone(t.notes)
		if t.latest != nil {
			p := *t.latest
			w.Progress = &p
		}
	}
	return w
}

// shown is a row as others see it.
func shown(j job.Job) wire.Job {
	return wire.Job{
		ID: j.ID, Action: j.Action, Tenant: j.Tenant, Subject: j.Subject, By: j.By, Via: j.Via, State: string(j.State), Attempt: j.Attempt,
		Steps: j.Steps, Notes: j.Notes, Request: j.Request, Result: j.Result, Lost: j.NoResult, Error: j.Error,
		CreatedAt: j.CreatedAt, StartedAt: j.StartedAt, FinishedAt: j.FinishedAt, Seconds: j.Seconds,
	}
}

// List lists jobs of a tenant ("": of all), newest first, without results and lines.
func (d *Desk) List(tenant string, q wire.JobRequest) (out wire.Jobs, err error) {
	limit := q.Limit
	if limit <= 0 || limit > 200 {
		limit = 50
	}
	var rows []job.Job
	err = d.State.View(func(tx *state.Tx) error {
		rows, err = job.Jobs(tx, "", q.Before, limit+1, func(j job.Job) bool {
			return of(j.Tenant, tenant) && (q.State == "" || q.State == string(j.State) || q.State == "unfinished" && !j.State.Final())
		})
		return err
	})
	if err != nil {
		return out, err
	}
	if len(rows) > limit {
		rows = rows[:limit]
		out.Next = rows[limit-1].ID
	}
	out.Jobs = []wire.Job{}
	for _, row := range rows {
		out.Jobs = append(out.Jobs, d.brief(row))
	}
	out.Running, out.Waiting = d.counts(tenant)
	return out, nil
}

// brief is a row of a list, with its progress when it runs.
func (d *Desk) brief(row job.Job) wire.Job {
	d.mu.Lock()
	t := d.tasks[row.ID]
	d.mu.Unlock()
	w := shown(row)
	if t != nil {
		w = d.look(t)
	}
	w.Result, w.Lines, w.Notes, w.Steps = nil, nil, nil, nil
	return w
}

func (d *Desk) counts(tenant string) (running, waiting int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, t := range d.tasks {
		if of(t.tenant, tenant) {
			running++
		}
	}
	for _, t := range d.queue {
		if of(t.tenant, tenant) {
			running--
			waiting++
		}
	}
	return running, waiting
}

// Cancel ends a job: one that waits at once, one that runs as soon as its action lets go. Codes not-found, conflict (it has ended).
func (d *Desk) Cancel(ctx context.Context, tenant, id, by string) (wire.Job, error) {
	d.mu.Lock()
	t := d.tasks[id]
	if t == nil || !of(t.tenant, tenant) {
		d.mu.Unlock()
		if _, err := d.find(tenant, id); err != nil {
			return wire.Job{}, err
		}
		return wire.Job{}, code.New(code.Conflict, "job %s has ended", id).Do("Look at its result.")
	}
	t.mu.Lock()
	t.ender = by
	t.mu.Unlock()
	if t.cancel != nil {
		t.cancel(errCancelled)
		d.mu.Unlock()
		return d.look(t), nil
	}
	d.queue = slices.DeleteFunc(d.queue, func(o *task) bool { return o == t })
	delete(d.tasks, id)
	d.mu.Unlock()
	defer d.ring(id)
	row, err := d.step(id, job.Cancelled, func(j *job.Job) {
		j.Error = wire.FromError(code.New(code.Cancelled, "cancelled by %s before it began", by))
	})
	return shown(row), err
}

// ReadLog gives the log of a job.
func (d *Desk) ReadLog(tenant, id string) (out wire.JobLog, err error) {
	w, err := d.Get(tenant, id)
	if err != nil {
		return out, err
	}
	text, ok, err := whole(filepath.Join(d.dir(), w.ID+".log"))
	if err != nil {
		return out, err
	}
	if !ok {
		for _, l := range w.Lines {
			text += l + "\n"
		}
	}
	return wire.JobLog{ID: w.ID, Text: text, Whole: ok && len(text) < maxLog}, nil
}

// Watch gives the latest picture of a job until it has ended or ctx does; a slow reader loses those in between.
func (d *Desk) Watch(ctx context.Context, tenant, id string) (<-chan wire.Job, error) {
	rings, stop := d.Bell(id)
	first, err := d.Get(tenant, id)
	if err != nil {
		stop()
		return nil, err
	}
	out, done := make(chan wire.Job, 1), d.done()
	out <- first
	d.work.Add(1)
	go func() {
		defer d.work.Done()
		defer stop()
		defer close(out)
		for w := first; !w.Finished(); {
			select {
			case <-ctx.Done():
				return
			case <-done:
				return
			case <-rings:
			}
			if w, err = d.Get(tenant, id); err != nil {
				return
			}
			select {
			case <-out: // not taken yet
			default:
			}
			out <- w
		}
	}()
	return out, nil
}

// Sweep forgets jobs that ended long ago, and removes files that belong to none.
func (d *Desk) Sweep(ctx context.Context) error {
	const most, few, keep = 500, 50, 30 * 24 * time.Hour
	files, err := os.ReadDir(d.dir()) // before the rows: whatever is there now had its row before
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("sweep jobs: %w", err)
	}
	var old []string
	live := map[string]bool{}
	err = d.State.View(func(tx *state.Tx) (err error) {
		if old, err = job.Old(tx, most, few, d.Now().Add(-keep).Format(time.RFC3339)); err != nil {
			return err
		}
		all, err := job.Jobs(tx, "", "", 0, nil)
		for _, j := range all {
			live[j.ID] = true
		}
		return err
	})
	if err != nil {
		return err
	}
	if len(old) > 0 {
		err = d.State.Update(ctx, func(tx *state.Tx) error {
			for _, id := range old {
				if err := job.Drop(tx, id); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		for _, id := range old {
			delete(live, id)
		}
	}
	d.FS.Point("jobs.forgotten")
	return d.orphans(files, live)
}

// orphans removes files of no job. It needs no sync: what comes back after a crash is removed by the next sweep.
func (d *Desk) orphans(files []fs.DirEntry, live map[string]bool) error {
	var errs []error
	for _, e := range files {
		id := strings.TrimSuffix(e.Name(), filepath.Ext(e.Name()))
		if live[id] {
			continue
		}
		if err := os.Remove(filepath.Join(d.dir(), e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
