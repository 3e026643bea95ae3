// Package durable is the only place that makes bytes survive a power cut, and the seam where tests lose them.
//
// Data: none of its own. The contract: when a call returns nil, its effect is still there after a crash; when it returns
// an error, the effect may or may not be there, and the caller behaves the same in both cases. A new file is written
// under a temporary name, synced, renamed, and its directory synced; a new directory is synced with its parent.
//
// Order: every durable step announces itself to the hook of FS before it happens. A hook can lose the step (not done,
// error), keep it (done, error) or end the process. The zero FS has no hook. A failed sync is reported with
// code.FsyncFailed and must never be retried: the page may have been dropped, and a second sync would say yes to nothing.
//
// BUG: file systems that reorder a rename before the data of the renamed file are covered by syncing first; a disk that
// acknowledges a flush and loses it is not.
package durable

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"sallyport/internal/code"
)

// Op is one durable step: its verb ("write", "allocate", "sync", "rename", "syncdir", "mkdir", "remove", "commit", "point") and subject.
type Op struct {
	Verb string
	Path string
}

// Verdict is what a hook makes of a step.
type Verdict int

// The verdicts.
const (
	Do   Verdict = iota // as asked
	Lose                // not done, and an error
	Keep                // done, and an error
	Skip                // not done, and no error: a disk that lies
)

// failing is where the verdicts begin that stand for an error of the system.
const failing Verdict = 1000

// Fail is the verdict "not done, and this error".
func Fail(e syscall.Errno) Verdict { return failing + Verdict(e) }

// ErrInjected is the cause of every error a hook makes.
var ErrInjected = errors.New("injected fault")

// FS does durable steps. The zero value is the real thing; tests use WithHook. It may be copied.
type FS struct {
	hook func(Op) Verdict
}

// WithHook returns an FS that asks hook before each step. The hook may not return (a kill).
func WithHook(hook func(Op) Verdict) FS { return FS{hook: hook} }

// Step runs do as one durable step under the hook. It is how other stores (the state database) join the seam.
func (fs FS) Step(verb, path string, do func() error) error {
	switch v := fs.ask(verb, path); {
	case v == Lose:
		return wrap(verb, path, ErrInjected)
	case v == Keep:
		if err := do(); err != nil {
			return err
		}
		return wrap(verb, path, ErrInjected)
	case v == Skip:
		return nil
	case v >= failing:
		return wrap(verb, path, fmt.Errorf("%w: %w", ErrInjected, syscall.Errno(v-failing)))
	}
	return do()
}

// Point names a place between steps where a test may end the process. It does nothing else.
func (fs FS) Point(name string) { fs.ask("point", name) }

func (fs FS) ask(verb, path string) Verdict {
	if fs.hook == nil {
		return Do
	}
	return fs.hook(Op{verb, path})
}

func wrap(verb, path string, err error) error {
	if verb == "sync" || verb == "syncdir" { // whatever the reason: what was to be written may be gone
		return code.Wrap(code.FsyncFailed, err, "%s", verb).In(path, "")
	}
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return code.Wrap(code.NoSpace, err, "%s", verb).In(path, "")
	}
	return &os.PathError{Op: verb, Path: path, Err: unpath(err)}
}

func unpath(err error) error {
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// Sync flushes an open file to the disk.
func (fs FS) Sync(f *os.File) error {
	return fs.Step("sync", f.Name(), func() error {
		if err := f.Sync(); err != nil {
			return wrap("sync", f.Name(), err)
		}
		return nil
	})
}

// SyncDir flushes the names in a directory.
func (fs FS) SyncDir(path string) error {
	return fs.Step("syncdir", path, func() error {
		d, err := os.Open(path)
		if err != nil {
			return err
		}
		defer d.Close()
		if err := syncDir(d); err != nil {
			return wrap("syncdir", path, err)
		}
		return nil
	})
}

// Rename moves a synced file to its name and syncs the directory it lands in (and the one it left).
func (fs FS) Rename(from, to string) error {
	err := fs.Step("rename", to, func() error {
		if err := os.Rename(from, to); err != nil {
			return wrap("rename", to, err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := fs.SyncDir(filepath.Dir(to)); err != nil {
		return err
	}
	if filepath.Dir(from) == filepath.Dir(to) {
		return nil
	}
	return fs.SyncDir(filepath.Dir(from))
}

// Remove deletes a file and syncs its directory. A file that is not there is no error.
func (fs FS) Remove(path string) error {
	err := fs.Step("remove", path, func() error {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return wrap("remove", path, err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return fs.SyncDir(filepath.Dir(path))
}

// Mkdir makes a directory and its missing parents, each synced into its parent. Existing ones are no error.
func (fs FS) Mkdir(path string, mode os.FileMode) error {
	if st, err := os.Stat(path); err == nil {
		if !st.IsDir() {
			return &os.PathError{Op: "mkdir", Path: path, Err: syscall.ENOTDIR}
		}
		return nil
	}
	parent := filepath.Dir(path)
	if parent != path {
		if err := fs.Mkdir(parent, mode); err != nil {
			return err
		}
	}
	err := fs.Step("mkdir", path, func() error {
		if err := os.Mkdir(path, mode); err != nil && !errors.Is(err, os.ErrExist) {
			return wrap("mkdir", path, err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return fs.SyncDir(parent)
}

// WriteFile replaces path with data, whole or not at all: temporary name, sync, rename, sync of the directory.
func (fs FS) WriteFile(path string, data []byte, mode os.FileMode) (err error) {
	tmp, err := os.CreateTemp(filepath.Dir(path), ".tmp-*")
	if err != nil {
		return wrap("write", path, err)
	}
	defer func() {
		tmp.Close()
		if err != nil {
			os.Remove(tmp.Name())
		}
	}()
	if err := fs.Write(tmp, data); err != nil {
		return err
	}
	if err := tmp.Chmod(mode); err != nil {
		return wrap("write", path, err)
	}
	if err := fs.Sync(tmp); err != nil {
		return err
	}
	if err := tmp.Close(); err != nil {
		return wrap("write", path, err)
	}
	return fs.Rename(tmp.Name(), path)
}

// Write writes all of data to w; an error names the file and tells a full disk by its code.
func (fs FS) Write(w *os.File, data []byte) error {
	return fs.Step("write", w.Name(), func() error {
		if _, err := w.Write(data); err != nil {
			return wrap("write", w.Name(), err)
		}
		return nil
	})
}

// Writer makes every Write to f a step of this FS.
func (fs FS) Writer(f *os.File) io.Writer { return writer{fs, f} }

type writer struct {
	fs FS
	f  *os.File
}

func (w writer) Write(p []byte) (int, error) {
	if err := w.fs.Write(w.f, p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// SyncTree flushes the whole file system that path lies on (syncfs on Linux; elsewhere the caller's own syncs must do).
func (fs FS) SyncTree(path string) error {
	return fs.Step("sync", path, func() error {
		d, err := os.Open(path)
		if err != nil {
			return wrap("sync", path, err)
		}
		defer d.Close()
		if err := syncFS(d); err != nil {
			return wrap("sync", path, err)
		}
		return nil
	})
}

// Allocate reserves real blocks for the first size bytes of f and makes f at least that long, so that writing there later
// needs no free space. It is not synced. Codes no-space; errors.ErrUnsupported where the file system cannot do it.
func (fs FS) Allocate(f *os.File, size int64) error {
	return fs.Step("allocate", f.Name(), func() error {
		if err := allocate(f, size); err != nil {
			return wrap("allocate", f.Name(), err)
		}
		return nil
	})
}
