package state

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	bolt "go.etcd.io/bbolt"
	"go.uber.org/goleak"

	"sallyport/internal/code"
	"sallyport/internal/durable"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type item struct{ N int }

var items = Table[item]{Name: "items"}

func create(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "state.db")
	if err := Create(path, durable.FS{}, "inst-1"); err != nil {
		t.Fatal(err)
	}
	return path
}

// open opens a database that is checked and closed when the test ends.
func open(t *testing.T, path string, fs durable.FS) *DB {
	t.Helper()
	db, err := Open(path, fs)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { check(t, db) })
	return db
}

func check(t *testing.T, db *DB) {
	t.Helper()
	if err := db.Check(); err != nil && code.Of(err) != code.NotReady && code.Of(err) != code.FsyncFailed {
		t.Errorf("check: %v", err)
	}
	if err := db.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}

func put(key string, n int) func(*Tx) error {
	return func(tx *Tx) error { return items.Put(tx, key, item{n}) }
}

func get(t *testing.T, db *DB, key string) int {
	t.Helper()
	n := -1
	err := db.View(func(tx *Tx) error {
		v, ok, err := items.Get(tx, key)
		if ok {
			n = v.N
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestCreateAndReopen(t *testing.T) {
	path := create(t)
	if err := Create(path, durable.FS{}, "inst-2"); code.Of(err) != code.Conflict {
		t.Errorf("a second create: %v", err)
	}
	db := open(t, path, durable.FS{})
	if db.Instance() != "inst-1" {
		t.Errorf("instance %q", db.Instance())
	}
	if err := db.Update(t.Context(), put("a", 7)); err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v %v", st.Mode(), err)
	}
	check(t, db)
	if err := db.Update(t.Context(), put("a", 8)); code.Of(err) != code.NotReady {
		t.Errorf("update after close: %v", err)
	}
	if err := db.View(func(*Tx) error { return nil }); code.Of(err) != code.NotReady {
		t.Errorf("view after close: %v", err)
	}
	if got := get(t, open(t, path, durable.FS{}), "a"); got != 7 {
		t.Errorf("after reopening: %d", got)
	}
}

func TestOpenRefuses(t *testing.T) {
	path := create(t)
	t.Run("missing", func(t *testing.T) {
		if _, err := Open(path+"x", durable.FS{}); code.Of(err) != code.Missing {
			t.Error(err)
		}
	})
	t.Run("locked", func(t *testing.T) {
		open(t, path, durable.FS{})
		if _, err := Open(path, durable.FS{}); code.Of(err) != code.Locked {
			t.Error(err)
		}
	})
	t.Run("newer", func(t *testing.T) {
		setMeta(t, path, "schema", "2")
		if _, err := Open(path, durable.FS{}); code.Of(err) != code.StateNewer {
			t.Error(err)
		}
	})
	t.Run("no schema", func(t *testing.T) {
		setMeta(t, path, "schema", "one")
		if _, err := Open(path, durable.FS{}); code.Of(err) != code.StateCorrupt {
			t.Error(err)
		}
	})
	t.Run("empty", func(t *testing.T) {
		if err := os.Truncate(path, 0); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(path, durable.FS{}); code.Of(err) != code.StateCorrupt {
			t.Error(err)
		}
	})
}

func setMeta(t *testing.T, path, key, value string) {
	t.Helper()
	b, err := bolt.Open(path, 0o600, options())
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if err := b.Update(func(tx *bolt.Tx) error { return tx.Bucket(metaBucket).Put([]byte(key), []byte(value)) }); err != nil {
		t.Fatal(err)
	}
}

// TestCommitFaults loses and keeps each commit of a series: what was acknowledged is there, what failed is there
// exactly when it was kept, and nothing is written after a failure.
func TestCommitFaults(t *testing.T) {
	const commits = 5
	for _, verdict := range []durable.Verdict{durable.Lose, durable.Keep} {
		for at := 1; at <= commits; at++ {
			t.Run(fmt.Sprint(verdict, at), func(t *testing.T) {
				path := create(t)
				n := 0
				db := open(t, path, durable.WithHook(func(op durable.Op) durable.Verdict {
					if op.Verb != "commit" {
						return durable.Do
					}
					if n++; n == at {
						return verdict
					}
					return durable.Do
				}))
				for i := 1; i <= commits; i++ {
					err := db.Update(t.Context(), put(fmt.Sprint(i), i))
					if (err != nil) != (i >= at) {
						t.Fatalf("commit %d: %v", i, err)
					}
					if err != nil && (code.Of(err) != code.FsyncFailed || i == at && !errors.Is(err, durable.ErrInjected)) {
						t.Fatalf("commit %d: %v", i, err)
					}
				}
				<-db.Failed()
				check(t, db)
				db = open(t, path, durable.FS{})
				for i := 1; i <= commits; i++ {
					there := get(t, db, fmt.Sprint(i)) == i
					if want := i < at || i == at && verdict == durable.Keep; there != want {
						t.Errorf("after reopening: item %d there %v, want %v", i, there, want)
					}
				}
			})
		}
	}
}

// TestFullDisk: a commit that found no space is harmless when the file still shows the state before, fatal otherwise.
func TestFullDisk(t *testing.T) {
	full := &os.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}
	db := open(t, create(t), durable.FS{})
	b, err := db.bolt.Begin(true)
	if err != nil {
		t.Fatal(err)
	}
	id := b.ID()
	b.Rollback()
	if err := db.settle(full, id); code.Of(err) != code.NoSpace || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("nothing written: %v", err)
	}
	if err := db.Update(t.Context(), put("a", 1)); err != nil {
		t.Errorf("after a full disk: %v", err)
	}
	if err := db.settle(full, id); code.Of(err) != code.FsyncFailed {
		t.Errorf("transaction %d shows, but: %v", id, err)
	}
	<-db.Failed()
	if err := db.Update(t.Context(), put("a", 2)); code.Of(err) != code.FsyncFailed {
		t.Errorf("after an unknown outcome: %v", err)
	}
}

func TestGroupCommit(t *testing.T) {
	path := create(t)
	var mu sync.Mutex
	commits := 0
	gate := make(chan struct{})
	db := open(t, path, durable.WithHook(func(op durable.Op) durable.Verdict {
		mu.Lock()
		defer mu.Unlock()
		if commits++; commits == 1 {
			mu.Unlock()
			<-gate // the first commit is slow: the others gather behind it
			mu.Lock()
		}
		return durable.Do
	}))
	odd := errors.New("odd")
	var wg sync.WaitGroup
	update := func(i int) {
		defer wg.Done()
		err := db.Update(t.Context(), func(tx *Tx) error {
			if _, err := tx.NextSeq("n"); err != nil {
				return err
			}
			if err := items.Put(tx, fmt.Sprint(i), item{i}); err != nil {
				return err
			}
			if i%2 == 1 {
				return odd
			}
			return nil
		})
		if i%2 == 1 != errors.Is(err, odd) || i%2 == 0 && err != nil {
			t.Errorf("update %d: %v", i, err)
		}
	}
	wg.Add(1)
	go update(0)
	for i := 1; i < 60; i++ {
		wg.Add(1)
		go update(i)
	}
	close(gate)
	wg.Wait()
	for i := range 60 {
		if want := i%2 == 0; (get(t, db, fmt.Sprint(i)) == i) != want {
			t.Errorf("item %d there: %v", i, !want)
		}
	}
	var seq uint64
	if err := db.Update(t.Context(), func(tx *Tx) (err error) { seq, err = tx.NextSeq("n"); return err }); err != nil || seq != 31 {
		t.Errorf("30 numbers were given out, the next is %d (%v)", seq, err)
	}
	for name, want := range map[string]uint64{"n": 1032, "never used": 1001} {
		if err := db.Update(t.Context(), func(tx *Tx) (err error) {
			if err = tx.LeapSeq(name, 1000); err == nil {
				seq, err = tx.NextSeq(name)
			}
			return err
		}); err != nil || seq != want {
			t.Errorf("%s after a leap: %d (%v)", name, seq, err)
		}
	}
}

func TestUpdateEdges(t *testing.T) {
	db := open(t, create(t), durable.FS{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := db.Update(ctx, put("a", 1)); !errors.Is(err, context.Canceled) || get(t, db, "a") != -1 {
		t.Errorf("cancelled before: %v", err)
	}
	ran := 0
	err := db.Update(t.Context(), func(tx *Tx) error {
		tx.OnCommit(func() { ran++ })
		return put("a", 1)(tx)
	})
	if err != nil || ran != 1 {
		t.Errorf("OnCommit ran %d times (%v)", ran, err)
	}
	db.Update(t.Context(), func(tx *Tx) error {
		tx.OnCommit(func() { ran++ })
		return errors.Join(put("a", 2)(tx), errors.New("no"))
	})
	if ran != 1 || get(t, db, "a") != 1 {
		t.Errorf("after a failure: OnCommit ran %d times, a = %d", ran, get(t, db, "a"))
	}
	func() {
		defer func() {
			if r := recover(); r != "boom" {
				t.Errorf("the panic came back as %v", r)
			}
		}()
		db.Update(t.Context(), func(tx *Tx) error {
			put("a", 3)(tx)
			panic("boom")
		})
	}()
	if get(t, db, "a") != 1 {
		t.Error("a panic left its writes")
	}
	if err := db.View(put("a", 4)); err == nil {
		t.Error("a view can write")
	}
	if err := db.View(func(tx *Tx) error { return items.Delete(tx, "a") }); err == nil {
		t.Error("a view can delete")
	}
}

func TestCopyIsWhole(t *testing.T) {
	db := open(t, create(t), durable.FS{})
	for i := range 200 {
		if err := db.Update(t.Context(), put(fmt.Sprint(i), i)); err != nil {
			t.Fatal(err)
		}
	}
	var buf bytes.Buffer
	n, err := db.Copy(&buf)
	if err != nil || n != int64(buf.Len()) || n == 0 {
		t.Fatalf("copied %d of %d: %v", n, buf.Len(), err)
	}
	path := filepath.Join(t.TempDir(), "copy.db")
	if err := os.WriteFile(path, buf.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := get(t, open(t, path, durable.FS{}), "199"); got != 199 {
		t.Errorf("in the copy: %d", got)
	}
}

func TestDamagedValue(t *testing.T) {
	db := open(t, create(t), durable.FS{})
	err := db.Update(t.Context(), func(tx *Tx) error { return tx.Put("items", []byte("x"), []byte(`{"N":`)) })
	if err != nil {
		t.Fatal(err)
	}
	err = db.View(func(tx *Tx) error { _, _, err := items.Get(tx, "x"); return err })
	if code.Of(err) != code.StateCorrupt {
		t.Errorf("get: %v", err)
	}
}
