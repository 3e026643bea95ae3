package code

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"syscall"
	"testing"
)

func TestTable(t *testing.T) {
	seen := map[Code]bool{}
	for _, row := range Table() {
		if seen[row.Code] {
			t.Errorf("%s stands in the table twice", row.Code)
		}
		seen[row.Code] = true
		if !regexp.MustCompile(`^([a-z][a-z0-9-]*|ERR_EXPORT_[A-Z_]+)$`).MatchString(string(row.Code)) {
			t.Errorf("%s: not a stable name", row.Code)
		}
		if row.Exit() == 0 || row.Status() < 400 || row.Summary == "" || row.Next == "" {
			t.Errorf("%s: the row is not complete: %+v", row.Code, row)
		}
	}
}

func TestError(t *testing.T) {
	err := fmt.Errorf("import stick: %w", New(EntryDigest, "entry has other bytes").In("a.tar", "member 3").Want("x", "y"))
	if Of(err) != EntryDigest || !Has(err, EntryDigest) || Has(err, EntrySize) || Exit(err) != 6 {
		t.Errorf("code of %v: %s, exit %d", err, Of(err), Exit(err))
	}
	if got, want := err.Error(), "import stick: a.tar: member 3: entry has other bytes (want x, got y)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if Of(errors.New("plain")) != Bug || Exit(nil) != 0 || Of(nil) != "" {
		t.Error("errors without a code")
	}
	if NextStep(err) == "" || NextStep(New(Bug, "").Do("do this")) != "do this" {
		t.Error("next step")
	}
}

// A full disk has its own code through whatever library it was met.
func TestFullDiskHasItsCode(t *testing.T) {
	err := fmt.Errorf("build layer: %w", &os.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC})
	if Of(err) != NoSpace || Exit(err) != 14 {
		t.Errorf("%s, exit %d", Of(err), Exit(err))
	}
}
