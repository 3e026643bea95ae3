package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"go.etcd.io/bbolt"

	"sallyport/internal/durable"
	"sallyport/internal/state"
)

// writers is how many goroutines commit at the same time, each so many times.
const (
	writers    = 64
	eachWriter = 50
)

// commits measures P13: the same small transactions through the committer of state, and through bbolt's own Update.
func (l *lab) commits() error {
	var ours, theirs []Cost
	for i := range l.Rounds {
		for _, how := range []string{"ours", "plain"} {
			dir := l.path(fmt.Sprintf("commits-%s-%d", how, i))
			if err := os.Mkdir(dir, 0o700); err != nil {
				return err
			}
			c, _, err := l.step("commits", dir, how, strconv.Itoa(eachWriter))
			if err != nil {
				return err
			}
			if how == "ours" {
				ours = append(ours, c)
			} else {
				theirs = append(theirs, c)
			}
			if err := os.RemoveAll(dir); err != nil {
				return err
			}
		}
	}
	a, b := median(ours), median(theirs)
	faster := ratio(b.Wall, a.Wall)
	l.row(Row{
		ID: "P13", Work: fmt.Sprintf("%d writers, %d small commits each", writers, eachWriter), Ours: a.String(), Reference: b.String() + " (bbolt Update)",
		Ratio: times(faster) + " as fast", Goal: "≥ 4×", Verdict: atLeast(faster, 4),
	})
	return nil
}

// committed lets all writers commit n times each and returns when every commit was acknowledged.
func committed(dir, how string, n int) error {
	file := filepath.Join(dir, "state.db")
	if err := state.Create(file, durable.FS{}, "bench"); err != nil {
		return err
	}
	if how == "plain" {
		db, err := bbolt.Open(file, 0o600, &bbolt.Options{FreelistType: bbolt.FreelistMapType, NoFreelistSync: true})
		if err != nil {
			return err
		}
		err = together(n, func(key, value []byte) error {
			return db.Update(func(tx *bbolt.Tx) error {
				b, err := tx.CreateBucketIfNotExists([]byte("small"))
				if err != nil {
					return err
				}
				return b.Put(key, value)
			})
		})
		return errors.Join(err, db.Close())
	}
	db, err := state.Open(file, durable.FS{})
	if err != nil {
		return err
	}
	err = together(n, func(key, value []byte) error {
		return db.Update(context.Background(), func(tx *state.Tx) error { return tx.Put("small", key, value) })
	})
	return errors.Join(err, db.Close())
}

func together(n int, commit func(key, value []byte) error) error {
	errs := make([]error, writers)
	var wait sync.WaitGroup
	for w := range writers {
		wait.Go(func() {
			value := make([]byte, 200)
			for i := range n {
				if err := commit(fmt.Appendf(nil, "%02d-%06d", w, i), value); err != nil {
					errs[w] = err
					return
				}
			}
		})
	}
	wait.Wait()
	return errors.Join(errs...)
}
