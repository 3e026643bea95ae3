package daemon

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// What a crash left beside the files of this appliance goes; what lies in the folders of the stores is theirs.
func TestTidy(t *testing.T) {
	dir := t.TempDir()
	ours := []string{".tmp-1", "keys/.tmp-2", "keys/tenants/.tmp-3", "cas/.tmp-4"}
	theirs := []string{"cas/instance", "cas/sha256/ab/.tmp-5", "layers/f/.tmp-6", "shelf/n/.tmp-7", "keys/a.key"}
	for _, name := range slices.Concat(ours, theirs) {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := tidy(dir); err != nil {
		t.Fatal(err)
	}
	for _, name := range ours {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			t.Errorf("%s is left", name)
		}
	}
	for _, name := range theirs {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
