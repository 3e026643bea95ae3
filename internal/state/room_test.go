package state

import (
	"fmt"
	"os"
	"syscall"
	"testing"

	"sallyport/internal/code"
	"sallyport/internal/durable"
)

// blocks tells how many bytes of a file have blocks on the disk.
func blocks(t *testing.T, path string) int64 {
	t.Helper()
	var st syscall.Stat_t
	if err := syscall.Stat(path, &st); err != nil {
		t.Fatal(err)
	}
	return st.Blocks * 512
}

// Behind the last page there is always room that is really there.
func TestRoomIsAllocated(t *testing.T) {
	path := create(t)
	db := open(t, path, durable.FS{})
	value := make([]byte, 100<<10)
	for i := range 40 {
		err := db.Update(t.Context(), func(tx *Tx) error { return tx.Put("b", fmt.Appendf(nil, "%d", i), value) })
		if err != nil {
			t.Fatal(err)
		}
		var used int64
		if err := db.View(func(tx *Tx) error { used = tx.bolt.Size(); return nil }); err != nil {
			t.Fatal(err)
		}
		if db.allocated == 1<<62 {
			t.Skip("this file system cannot allocate")
		}
		if got := blocks(t, path); got < used {
			t.Fatalf("%d bytes of %d pages' have blocks", got, used)
		}
	}
	if st, err := os.Stat(path); err != nil || blocks(t, path) < st.Size() {
		t.Errorf("holes in %v: %v", st, err)
	}
}

// A disk that has no room to allocate harms nothing; a sync that fails then is as fatal as any.
func TestRoomFaults(t *testing.T) {
	for _, how := range []durable.Verdict{durable.Lose, durable.Keep} {
		path := create(t)
		db := open(t, path, durable.WithHook(func(op durable.Op) durable.Verdict {
			if op.Verb == "allocate" {
				return how
			}
			return durable.Do
		}))
		for i := range 5 {
			if err := db.Update(t.Context(), put(fmt.Sprint(i), i)); err != nil {
				t.Errorf("allocate fails and so does commit %d: %v", i, err)
			}
		}
		path = create(t)
		db = open(t, path, durable.WithHook(func(op durable.Op) durable.Verdict {
			if op.Verb == "sync" {
				return how
			}
			return durable.Do
		}))
		if err := db.Update(t.Context(), put("a", 1)); code.Of(err) != code.FsyncFailed {
			t.Errorf("the sync of what was allocated failed: %v", err)
		}
		<-db.Failed()
		if err := db.Close(); err != nil {
			t.Error(err)
		}
		if db = open(t, path, durable.FS{}); get(t, db, "a") == 1 {
			t.Error("a commit that was refused is there")
		}
	}
}
