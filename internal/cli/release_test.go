//go:build !faultpoints

package cli_test

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

// A program built without the tag has no seam to the outside: not even the names of the variables are in it. This test's
// own program links everything that sallyport does.
func TestReleaseHasNoFaultPoints(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(exe)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(b, []byte("SALLYPORT_DATA_DIR")) {
		t.Fatal("this is not the program that was meant")
	}
	for _, name := range []string{"FAKE_TIME", "KILL", "FAULT", "TRACE"} {
		if whole := strings.Join([]string{"SALLYPORT", name}, "_"); bytes.Contains(b, []byte(whole)) {
			t.Errorf("the program contains %s", whole)
		}
	}
}
