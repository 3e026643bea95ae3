// Package desk is the room where long tasks run as jobs, which outlive the request that asked for them.
//
// Data, of its own:
//
//	table jobs (ledger job)   one row a job: action, request, who asked, state, steps, a small result, an error
//	D/jobs/<id>.json          a result over 16 KiB
//	D/jobs/<id>.log           its log: stages and notes, at most 1 MiB; the last lines are in memory too while it runs
//
// Progress is kept in memory alone: it is a picture of now, and after a restart the job begins again. A job is no event of the
// timeline: what it changes, the room that it asks tells there.
//
// Order of a job: the row as pending is the promise that it will run; the row as running counts the attempt; the action runs
// through the same door as any request, with the right of its person asked then; a large result is written to its file, and the
// row with state and error is the end. Actions of one lane wait for each other, all for a free place (four).
//
// A daemon that stops in good order puts what runs back to pending; one that dies leaves it running. The next start takes both
// up again, with the same request, up to three deaths. Of a file without an ended row nothing is kept. Why a second run is safe:
//
//	load/run            what the first put into the feed is unchanged for the second: no generation, nothing twice
//	import/run          what the first activated is already there; a plan approved by its digest is found changed when half of it
//	                    was applied, and then changes nothing until it is approved again
//	exchange/run        as import; what goes out is due only while the medium lacks it, and the runs of the first are waited for
//	outbound/write      receipts and inventory carry their counters: a second bundle of them tells the hub the same
//	backup/create       a backup has its name only when it is whole; the second makes another
//	store/scrub, media/heal, bundles/verify   read, and mend what is wrong, however often
//
// The others (trust/apply, quarantine/release) use something up, so a second run could only say that it is gone: after a death
// they end as failed, with words that say where to look.
package desk

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"sallyport/internal/clock"
	"sallyport/internal/code"
	"sallyport/internal/durable"
	"sallyport/internal/ident"
	"sallyport/internal/job"
	"sallyport/internal/state"
	"sallyport/internal/wire"
)

// The limits.
const (
	maxRequest = 256 << 10 // bytes of a request
	maxQueue   = 100       // jobs that wait
	parallel   = 4         // jobs that run at once
	maxDeaths  = 3         // of the daemon, while one job ran
	maxSteps   = 40        // stages that are kept of a job
	maxNotes   = 60        // notes that are
	maxLines   = 50        // lines that a snapshot shows
)

// Kind is what the desk must know of an action.
type Kind struct {
	Lane string // actions of one lane run one at a time; "": beside all others
	Once bool   // not run again when the daemon died while it ran
}

// Runner runs one action for who. again says that it is not the first attempt. The result may come with an error; both are kept.
// Its context ends when the job is cancelled or the daemon stops.
type Runner func(ctx context.Context, who json.RawMessage, again bool, action string, request json.RawMessage, progress func(wire.Progress)) (json.RawMessage, error)

// Deps is what the desk works with. All are needed.
type Deps struct {
	State   *state.DB
	Clock   clock.Clock
	Random  io.Reader
	FS      durable.FS
	Log     *slog.Logger
	DataDir string
	Now     func() time.Time                 // the time written on rows
	Kind    func(action string) (Kind, bool) // false: no job
	Run     Runner
	Fatal   func(error) // a sync failed
}

// Spec is a job to be started.
type Spec struct {
	Action  string
	Request json.RawMessage
	Who     json.RawMessage // given back to Run, never shown
	By      string          // the person's name
	Via     string
	Tenant  string
	Subject string // what it is about, for lists; may be foreign
}

// Desk runs jobs. Safe for concurrent use.
type Desk struct {
	Deps
	work  sync.WaitGroup
	retry time.Duration // between two tries to write down an end on a full disk

	mu      sync.Mutex
	base    context.Context // of all jobs; nil before Open
	tasks   map[string]*task
	queue   []*task
	lanes   map[string]bool
	running int
	bells   map[*bell]bool
	newest  time.Time // in the newest id
}

// New makes a desk. Nothing is read or written.
func New(d Deps) *Desk {
	return &Desk{Deps: d, retry: 10 * time.Second, tasks: map[string]*task{}, lanes: map[string]bool{}, bells: map[*bell]bool{}}
}

// Open drops what is too old, and takes up again what a daemon before this one left unfinished. Jobs run until ctx ends.
func (d *Desk) Open(ctx context.Context) error {
	if err := d.FS.Mkdir(d.dir(), 0o700); err != nil {
		return fmt.Errorf("open jobs: %w", err)
	}
	if err := d.Sweep(ctx); err != nil {
		return fmt.Errorf("open jobs: %w", err)
	}
	var waiting []job.Job
	err := d.State.Update(ctx, func(tx *state.Tx) (err error) {
		waiting, err = job.TakeUp(tx, d.Now(), d.again)
		return err
	})
	if err != nil {
		return fmt.Errorf("open jobs: %w", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.base = ctx
	for _, row := range waiting {
		kind, ok := d.Kind(row.Action)
		if !ok {
			kind.Once = true // it ends at once, with the words of the door
		}
		d.enqueue(row, kind)
		if row.Attempt > 0 {
			d.Log.Info("job taken up again", "job", row.ID, "action", row.Action, "attempt", row.Attempt+1)
		}
	}
	d.dispatch()
	return nil
}

// again refuses to run a job once more that the daemon died of too often, or that may run but once.
func (d *Desk) again(j job.Job) *wire.Error {
	kind, ok := d.Kind(j.Action)
	switch {
	case j.Lost >= maxDeaths:
		return wire.FromError(code.New(code.Interrupted, "the daemon ended %d times while this ran; it is not tried again", j.Lost).
			Do("Look at the daemon's log, then start it anew."))
	case !ok || kind.Once:
		return wire.FromError(code.New(code.Interrupted, "the daemon ended while this ran; it may have been done").
			Do("Look whether it was done; if not, start it anew."))
	}
	return nil
}

func (d *Desk) dir() string { return filepath.Join(d.DataDir, "jobs") }

// done is closed when the daemon stops; nil before Open.
func (d *Desk) done() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.base == nil {
		return nil
	}
	return d.base.Done()
}

// Close waits until no job runs. The context given to Open has ended before.
func (d *Desk) Close() { d.work.Wait() }

// Start promises to run an action. It is on the disk when Start returns. Codes usage, not-ready.
func (d *Desk) Start(ctx context.Context, s Spec) (wire.Job, error) {
	kind, ok := d.Kind(s.Action)
	if !ok {
		return wire.Job{}, code.New(code.BadUsage, "%.60q does not run as a job", s.Action)
	}
	if len(s.Request) > maxRequest {
		return wire.Job{}, code.New(code.BadUsage, "the request of a job is too long").Want(fmt.Sprintf("at most %d bytes", maxRequest), len(s.Request))
	}
	if err := d.open(); err != nil {
		return wire.Job{}, err
	}
	now := d.Now()
	id, err := d.id(now)
	if err != nil {
		return wire.Job{}, fmt.Errorf("start job: %w", err)
	}
	row := job.Job{ID: id, Tenant: s.Tenant, Action: s.Action, Subject: cut(s.Subject, 500), By: s.By, Via: s.Via, Who: s.Who, Request: s.Request}
	err = d.State.Update(ctx, func(tx *state.Tx) (err error) {
		row, err = job.Add(tx, row, now)
		return err
	})
	if err != nil {
		return wire.Job{}, fmt.Errorf("start job: %w", err)
	}
	d.FS.Point("job.promised")
	d.mu.Lock()
	t := d.enqueue(row, kind)
	d.dispatch()
	d.mu.Unlock()
	d.ring(id)
	return d.look(t), nil
}

// id makes one that sorts behind all before it, though time is told in whole seconds.
func (d *Desk) id(at time.Time) (string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !at.After(d.newest) {
		at = d.newest.Add(time.Millisecond)
	}
	d.newest = at
	return ident.New(at, d.Random)
}

// open tells whether another job may be promised.
func (d *Desk) open() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.base == nil || d.base.Err() != nil:
		return code.New(code.NotReady, "the daemon starts or stops")
	case len(d.queue) >= maxQueue:
		return code.New(code.NotReady, "%d jobs wait already", len(d.queue)).Do("Wait until some have ended, or cancel them.")
	}
	return nil
}

// enqueue puts a pending job at the end of the queue; d.mu is held.
func (d *Desk) enqueue(row job.Job, kind Kind) *task {
	t := &task{id: row.ID, tenant: row.Tenant, row: row, kind: kind, log: d.logbook(row.ID)}
	d.tasks[row.ID] = t
	d.queue = append(d.queue, t)
	return t
}

// dispatch begins every job that has a place and a free lane, in the order they came; d.mu is held.
func (d *Desk) dispatch() {
	for i := 0; i < len(d.queue) && d.running < parallel && d.base.Err() == nil; {
		t := d.queue[i]
		if t.kind.Lane != "" && d.lanes[t.kind.Lane] {
			i++
			continue
		}
		d.queue = append(d.queue[:i:i], d.queue[i+1:]...)
		d.running++
		if t.kind.Lane != "" {
			d.lanes[t.kind.Lane] = true
		}
		ctx, cancel := context.WithCancelCause(d.base)
		t.cancel = cancel
		d.work.Add(1)
		go func() {
			defer d.work.Done()
			defer cancel(nil)
			d.execute(ctx, t)
			d.left(t)
		}()
	}
}

// left gives the place of a job to the next.
func (d *Desk) left(t *task) {
	d.mu.Lock()
	d.running--
	delete(d.lanes, t.kind.Lane)
	delete(d.tasks, t.id)
	d.dispatch()
	d.mu.Unlock()
	d.ring(t.id)
}
