package crash

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"sallyport/internal/archtest"
)

// rigged builds program and rig in a scratch directory, in memory where the system has such a place.
func rigged(t *testing.T) *Rig {
	t.Helper()
	module, err := archtest.Root()
	if err != nil {
		t.Fatal(err)
	}
	dir := scratch(t)
	program := filepath.Join(dir, "bin", "sallyport")
	if p := os.Getenv("CRASH_PROGRAM"); p != "" {
		program = p
	} else if err := Build(context.Background(), module, program, true); err != nil {
		t.Fatal(err)
	}
	r, err := New(context.Background(), dir, program)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func scratch(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "sallyport-crash-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func TestCrash(t *testing.T) {
	r := rigged(t)
	cells := Pick(r.Cells(), 1, 30, 50)
	if os.Getenv("SALLYPORT_CAMPAIGN") != "" {
		cells = r.Cells()
	}
	idle := 0
	err := r.RunAll(context.Background(), cells, func(o Outcome) {
		if !o.Struck {
			idle++
		}
		for _, f := range o.Findings {
			t.Errorf("%s: %s (%s): %s", o.Operation.Name, o.Fault, o.Step, f)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d cells, %d of them without the fault", len(cells), idle)
}
