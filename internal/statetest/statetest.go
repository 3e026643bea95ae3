// Package statetest opens a state database for the test of a ledger; tests alone use it.
//
// Data: one database in the test's own temporary directory.
//
// Order: created, opened, and at the end of the test checked and closed; a crash leaves the directory to the test runner.
package statetest

import (
	"path/filepath"
	"testing"

	"sallyport/internal/durable"
	"sallyport/internal/state"
)

// Open gives a new database that is checked when the test ends.
func Open(t *testing.T) *state.DB {
	t.Helper()
	path := filepath.Join(t.TempDir(), "state.db")
	if err := state.Create(path, durable.FS{}, "i"); err != nil {
		t.Fatal(err)
	}
	db, err := state.Open(path, durable.FS{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Check(); err != nil {
			t.Errorf("check: %v", err)
		}
		db.Close()
	})
	return db
}
