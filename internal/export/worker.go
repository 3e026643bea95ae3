package export

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sallyport/internal/code"
	"sallyport/internal/job"
	"sallyport/internal/state"
)

// Why a run's context ended.
var (
	errCancelled = errors.New("cancelled on request")
	errStopping  = errors.New("the daemon stops")
)

// building starts the name of a run's own folder on the shelf.
const building = ".building-"

// Start recovers what a crash left (runs that are not final go back to pending, folders nobody names are removed) and
// begins to take runs. ctx bounds the recovery only; Close ends the room.
func (r *Room) Start(ctx context.Context) error {
	if err := r.recover(ctx); err != nil {
		return fmt.Errorf("start export: %w", err)
	}
	run, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	r.mu.Lock()
	r.stop, r.wake = stop, make(chan struct{}, 1)
	r.mu.Unlock()
	for range r.Parallel {
		r.done.Add(1)
		go func() {
			defer r.done.Done()
			r.work(run)
		}()
	}
	r.poke()
	return nil
}

// Close stops taking runs, ends those in work (they begin again at the next start) and waits for them and for watchers.
func (r *Room) Close() error {
	r.mu.Lock()
	stop := r.stop
	r.mu.Unlock()
	if stop != nil {
		stop(errStopping)
	}
	r.hub.close()
	r.done.Wait()
	return nil
}

// recover puts interrupted runs back into the queue and drops staged output.
func (r *Room) recover(ctx context.Context) error {
	if err := r.FS.Mkdir(r.Shelf(), 0o700); err != nil {
		return err
	}
	named := map[string]bool{}
	err := r.State.Update(ctx, func(tx *state.Tx) error {
		clear(named)
		if _, err := job.Requeue(tx, r.Clock.Now()); err != nil {
			return err
		}
		if err := settle(tx); err != nil {
			return err
		}
		_, err := job.List(tx, "", "", 0, func(run job.Run) bool {
			named[run.Shelf] = true
			return false
		})
		return err
	})
	if err != nil {
		return err
	}
	entries, err := os.ReadDir(r.Shelf())
	if err != nil {
		return err
	}
	for _, e := range entries {
		if named[e.Name()] && !strings.HasPrefix(e.Name(), building) {
			continue
		}
		r.Log.Info("removed what a crash left", "shelf", e.Name())
		if err := os.RemoveAll(filepath.Join(r.Shelf(), e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// poke wakes a worker.
func (r *Room) poke() {
	r.mu.Lock()
	wake := r.wake
	r.mu.Unlock()
	if wake == nil {
		return
	}
	select {
	case wake <- struct{}{}:
	default:
	}
}

// work takes pending runs, oldest first, until ctx ends.
func (r *Room) work(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.wake:
		}
		for {
			id, t, run := r.take(ctx)
			if id == "" {
				break
			}
			r.poke() // there may be more, for another worker
			err := r.execute(run, id)
			r.finish(ctx, id, t, err)
		}
	}
}

// take claims the oldest pending run that no other worker has.
func (r *Room) take(ctx context.Context) (string, *task, context.Context) {
	if ctx.Err() != nil {
		return "", nil, nil
	}
	var pending []string
	err := r.State.View(func(tx *state.Tx) error {
		_, err := job.List(tx, "", "", 0, func(run job.Run) bool {
			if run.State == job.Pending {
				pending = append(pending, run.ID)
			}
			return false
		})
		return err
	})
	if err != nil {
		r.Log.Error("look for pending runs", "error", err.Error())
		return "", nil, nil
	}
	slices.Reverse(pending)
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, id := range pending {
		if r.active[id] == nil {
			run, cancel := context.WithCancelCause(ctx)
			r.active[id] = &task{cancel: cancel}
			return id, r.active[id], run
		}
	}
	return "", nil, nil
}

// finish records how a run ended, unless the daemon stops: then it stays as it is and begins again at the next start. A
// run whose end cannot be recorded stays with its worker, so that nobody takes it again from a ledger that writes no more.
func (r *Room) finish(ctx context.Context, id string, t *task, err error) {
	if err != nil && ctx.Err() == nil && !r.ended(ctx, id, t, err) {
		return
	}
	t.cancel(nil)
	r.mu.Lock()
	delete(r.active, id)
	r.mu.Unlock()
}

// ended records why a run did not succeed and tells whether that stands in the ledger.
func (r *Room) ended(ctx context.Context, id string, t *task, err error) bool {
	r.Log.Error("run ended", "runId", id, "code", code.Of(err), "error", err.Error())
	if code.Has(err, code.FsyncFailed) && r.Fatal != nil {
		r.Fatal(err)
		return false
	}
	to, ec := job.Failed, errorCode(err)
	if errors.Is(err, errCancelled) {
		r.mu.Lock()
		err = code.New(code.Cancelled, "cancelled by %q", t.actor)
		r.mu.Unlock()
		to, ec = job.Cancelled, "cancelled"
	}
	_, merr := r.move(context.WithoutCancel(ctx), id, to, set(func(run *job.Run) {
		run.ErrorCode, run.Code, run.Message = ec, code.Of(err), err.Error()
	}))
	if merr != nil {
		r.Log.Error("record the end of a run", "runId", id, "error", merr.Error())
	}
	return merr == nil || code.Of(merr) == code.ExportConflict
}

// stageError says in which part of a run an error arose; the part decides the errorCode of 40-export-center.
type stageError struct {
	part string
	err  error
}

func (e *stageError) Error() string { return e.part + ": " + e.err.Error() }
func (e *stageError) Unwrap() error { return e.err }

func in(part string, err error) error {
	if err == nil {
		return nil
	}
	return &stageError{part, err}
}

// errorCode is the class monitors count.
func errorCode(err error) string {
	switch code.Of(err) {
	case code.ExportEmpty:
		return "empty"
	case code.ExportBase:
		return "base_missing"
	case code.SigningKey, code.ExportSigning:
		return "signing"
	}
	var s *stageError
	if errors.As(err, &s) {
		return s.part
	}
	return "adapter"
}
