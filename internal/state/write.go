package state

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	bolt "go.etcd.io/bbolt"

	"sallyport/internal/code"
)

// batchMax bounds how many functions share one commit, so that none waits for an endless queue.
const batchMax = 256

type request struct {
	ctx    context.Context
	fn     func(*Tx) error
	check  bool
	reply  chan error // buffered 1
	panics any        // set before reply when fn panicked
}

// Update runs fn in a write transaction, together with what others ask for at the same time, and returns after the
// commit. fn may run more than once; an error of fn rolls back its own writes only. A cancelled ctx is honoured while
// waiting in the queue, not later: the outcome of a commit is always reported. Codes no-space, fsync-failed, not-ready.
func (db *DB) Update(ctx context.Context, fn func(*Tx) error) error {
	return db.submit(ctx, &request{ctx: ctx, fn: fn})
}

func (db *DB) submit(ctx context.Context, r *request) error {
	r.ctx, r.reply = ctx, make(chan error, 1)
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case <-db.closed:
		return code.New(code.NotReady, "the state database is closed")
	case <-ctx.Done():
		return ctx.Err()
	case db.queue <- r:
	}
	err := <-r.reply
	if r.panics != nil {
		panic(r.panics)
	}
	return err
}

// write is the goroutine that alone begins write transactions. Close ends it.
func (db *DB) write() {
	defer close(db.done)
	for {
		select {
		case <-db.closed:
			return
		case r := <-db.queue:
			db.serve(append([]*request{r}, db.drain()...))
		}
	}
}

func (db *DB) drain() (rs []*request) {
	for len(rs) < batchMax-1 {
		select {
		case r := <-db.queue:
			rs = append(rs, r)
		default:
			return rs
		}
	}
	return rs
}

func (db *DB) serve(rs []*request) {
	var updates []*request
	for _, r := range rs {
		switch {
		case db.failure != nil:
			r.reply <- db.failure
		case r.check:
			r.reply <- db.check()
		default:
			updates = append(updates, r)
		}
	}
	for len(updates) > 0 {
		updates = db.attempt(updates)
	}
}

// attempt runs all requests in one transaction. When one fails after writing, it is answered and the rest is returned
// to be tried again without it; otherwise everything is answered.
func (db *DB) attempt(rs []*request) (again []*request) {
	b, err := db.bolt.Begin(true)
	if err != nil {
		answer(rs, fmt.Errorf("begin state transaction: %w", err))
		return nil
	}
	tx := &Tx{bolt: b, path: db.path}
	var good []*request
	for i, r := range rs {
		dirty := tx.dirty
		tx.dirty = false
		hooks := len(tx.hooks)
		if err := r.run(tx); err != nil {
			wrote := tx.dirty
			tx.dirty, tx.hooks = dirty, tx.hooks[:hooks]
			r.reply <- err
			if wrote {
				b.Rollback()
				return append(good, rs[i+1:]...)
			}
			continue
		}
		tx.dirty = tx.dirty || dirty
		good = append(good, r)
	}
	if !tx.dirty {
		b.Rollback()
		tx.ran()
		answer(good, nil)
		return nil
	}
	err = db.commit(b)
	if err == nil {
		tx.ran()
	}
	answer(good, err)
	return nil
}

// run calls fn on a goroutine of its own, so that neither a panic nor a runtime.Goexit (a test's FailNow) ends the
// writer. A panic is carried to the goroutine of the caller, and counts as an error after writing.
func (r *request) run(tx *Tx) error {
	if err := r.ctx.Err(); err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() {
		err := errors.New("panic in a state transaction")
		defer func() { done <- err }()
		returned := false
		defer func() {
			if returned {
				return
			}
			tx.dirty = true
			if r.panics = recover(); r.panics == nil {
				r.panics = "state: runtime.Goexit inside Update"
			}
		}()
		got := r.fn(tx)
		returned, err = true, got
	}()
	return <-done
}

func answer(rs []*request, err error) {
	for _, r := range rs {
		r.reply <- err
	}
}

func (tx *Tx) ran() {
	for _, fn := range tx.hooks {
		fn()
	}
}

// commit is the commit point of everything.
func (db *DB) commit(b *bolt.Tx) error {
	id := b.ID()
	err := db.fs.Step("commit", db.path, func() error {
		if err := db.grow(b); err != nil {
			return err
		}
		return b.Commit()
	})
	if err == nil {
		return nil
	}
	b.Rollback() // a lost commit; after a tried one this does nothing
	return db.settle(err, id)
}

// settle judges a commit that failed: nothing more may be written, unless the disk was full and the file provably still
// shows the state before transaction id.
func (db *DB) settle(err error, id int) error {
	full := errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
	if full && db.lastID() < id {
		return code.Wrap(code.NoSpace, err, "commit state").In(db.path, "")
	}
	db.failure = code.Wrap(code.FsyncFailed, err, "commit state: the outcome is unknown").In(db.path, "")
	close(db.failed)
	return db.failure
}

func (db *DB) lastID() (id int) {
	db.bolt.View(func(tx *bolt.Tx) error {
		id = tx.ID()
		return nil
	})
	return id
}

func (db *DB) check() error {
	b, err := db.bolt.Begin(true)
	if err != nil {
		return fmt.Errorf("check state: %w", err)
	}
	defer b.Rollback()
	var first error
	for err := range b.Check() {
		if first == nil {
			first = fmt.Errorf("check state: %w", corrupt(db.path, "", "%v", err))
		}
	}
	return first
}
