package state

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"sallyport/internal/code"
	"sallyport/internal/durable"
)

// small is a database with branch pages, an overflow page, several buckets and both metas in use.
func small(t *testing.T) string {
	path := create(t)
	db, err := Open(path, durable.FS{})
	if err != nil {
		t.Fatal(err)
	}
	defer check(t, db)
	err = db.Update(t.Context(), func(tx *Tx) error {
		for i := range 120 {
			if err := items.Put(tx, fmt.Sprintf("key-%04d-%s", i, "padding to fill the pages sooner"), item{i}); err != nil {
				return err
			}
		}
		return tx.Put("big", []byte("k"), make([]byte, 10000))
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if err := db.Update(t.Context(), put("more", i)); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

// used reads a database without the room behind its last page.
func used(t *testing.T, path string) []byte {
	t.Helper()
	db := open(t, path, durable.FS{})
	var b bytes.Buffer
	if _, err := db.Copy(&b); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestDamageNeverPanics flips bytes all over a database and cuts it at many places: opening it says so, or it opens and
// is read and checked without a panic. A panic would end the test process, since bbolt panics on its own goroutines.
func TestDamageNeverPanics(t *testing.T) {
	whole := used(t, small(t))
	path := filepath.Join(t.TempDir(), "damaged.db")
	refused := 0
	try := func(b []byte) {
		t.Helper()
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		db, err := Open(path, durable.FS{})
		if err != nil {
			refused++
			if c := code.Of(err); c != code.StateCorrupt && c != code.StateNewer {
				t.Errorf("refused with %s: %v", c, err)
			}
			return
		}
		db.View(func(tx *Tx) error { return items.Scan(tx, "", func(string, item) error { return nil }) })
		db.Check()
		db.Close()
	}
	const step = 211
	tried := 0
	for at := 0; at < len(whole); at += flipStep(at, step) {
		b := append([]byte(nil), whole...)
		b[at] ^= 0xff
		try(b)
		tried++
	}
	for n := 0; n < len(whole); n += 1021 {
		try(whole[:n])
		tried++
	}
	if refused < tried/20 {
		t.Errorf("only %d of %d damaged files were refused", refused, tried)
	}
}

// flipStep visits every byte of the page headers and first elements, and some of the rest.
func flipStep(at, step int) int {
	if at%4096 < 56 {
		return 1
	}
	return min(step, 4096-at%4096)
}

func TestHealthyFilesPass(t *testing.T) {
	if err := probe(small(t)); err != nil {
		t.Error(err)
	}
}
