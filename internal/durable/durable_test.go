package durable

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"sallyport/internal/code"
)

// record is a hook that lists steps and gives one of them a verdict.
type record struct {
	steps   []string
	at      int // 1-based, 0: never
	verdict Verdict
}

func (r *record) hook(op Op) Verdict {
	r.steps = append(r.steps, op.Verb)
	if len(r.steps) == r.at {
		return r.verdict
	}
	return Do
}

func TestWriteFileSteps(t *testing.T) {
	r := &record{}
	path := filepath.Join(t.TempDir(), "f")
	if err := WithHook(r.hook).WriteFile(path, []byte("new"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(r.steps), "[write sync rename syncdir]"; got != want {
		t.Errorf("steps %s, want %s", got, want)
	}
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", st, err)
	}
}

// Whatever step of a replacement is lost or kept, the file is wholly old or wholly new and nothing else is left.
func TestWriteFileIsWholeOrNot(t *testing.T) {
	for _, verdict := range []Verdict{Lose, Keep} {
		for at := 1; at <= 4; at++ {
			dir := t.TempDir()
			path := filepath.Join(dir, "f")
			if err := (FS{}).WriteFile(path, []byte("old"), 0o600); err != nil {
				t.Fatal(err)
			}
			r := &record{at: at, verdict: verdict}
			err := WithHook(r.hook).WriteFile(path, []byte("new"), 0o600)
			if !errors.Is(err, ErrInjected) {
				t.Errorf("verdict %d at step %d: error %v", verdict, at, err)
			}
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			want := "old"
			if at == 4 || at == 3 && verdict == Keep {
				want = "new"
			}
			if string(b) != want {
				t.Errorf("verdict %d at step %d: %q, want %q", verdict, at, b, want)
			}
			if names, err := os.ReadDir(dir); err != nil || len(names) != 1 {
				t.Errorf("verdict %d at step %d: left behind %v %v", verdict, at, names, err)
			}
		}
	}
}

func TestFailedSyncHasItsCode(t *testing.T) {
	f, err := os.CreateTemp(t.TempDir(), "f")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := &record{at: 1, verdict: Lose}
	if err := WithHook(r.hook).Sync(f); code.Of(err) != code.FsyncFailed {
		t.Errorf("sync: %v", err)
	}
	if err := (FS{}).Sync(f); err != nil {
		t.Errorf("real sync: %v", err)
	}
}

func TestFullDiskHasItsCode(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("no /dev/full: ", err)
	}
	defer full.Close()
	if err := (FS{}).Write(full, []byte("x")); code.Of(err) != code.NoSpace {
		t.Errorf("write: %v", err)
	}
	if n, err := (FS{}).Writer(full).Write([]byte("x")); n != 0 || code.Of(err) != code.NoSpace {
		t.Errorf("writer: %d %v", n, err)
	}
}

func TestMkdirSyncsEachParent(t *testing.T) {
	r := &record{}
	dir := t.TempDir()
	if err := WithHook(r.hook).Mkdir(filepath.Join(dir, "a", "b"), 0o700); err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(r.steps), "[mkdir syncdir mkdir syncdir]"; got != want {
		t.Errorf("steps %s, want %s", got, want)
	}
	if err := (FS{}).Mkdir(filepath.Join(dir, "a"), 0o700); err != nil {
		t.Errorf("again: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "f"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := (FS{}).Mkdir(filepath.Join(dir, "f"), 0o700); err == nil {
		t.Error("a file passed for a directory")
	}
}

func TestRenameAndRemove(t *testing.T) {
	dir := t.TempDir()
	for _, d := range []string{"from", "to"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	from, to := filepath.Join(dir, "from", "f"), filepath.Join(dir, "to", "f")
	if err := os.WriteFile(from, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := &record{}
	fs := WithHook(r.hook)
	if err := fs.Rename(from, to); err != nil {
		t.Fatal(err)
	}
	if err := fs.Remove(to); err != nil {
		t.Fatal(err)
	}
	if err := fs.Remove(to); err != nil {
		t.Errorf("remove what is gone: %v", err)
	}
	if got, want := fmt.Sprint(r.steps), "[rename syncdir syncdir remove syncdir remove syncdir]"; got != want {
		t.Errorf("steps %s, want %s", got, want)
	}
	if err := fs.SyncTree(dir); err != nil {
		t.Error(err)
	}
}

func TestReleaseHasNoSeam(t *testing.T) {
	fs, err := FromEnv(func(string) string { return "x:1:lose" })
	if err != nil || fs.hook != nil {
		t.Skip("built with fault points")
	}
	fs.Point("anything")
}
