package cas

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"sallyport/internal/code"
	"sallyport/internal/digest"
)

// many is the number of files or directories from which one flush of the file system is cheaper than one of each.
const many = 32

// Stage is the staging area of one operation. Safe for concurrent use. It must be kept open until the transaction that
// names its blobs has ended, then discarded.
type Stage struct {
	s   *Store
	dir string

	mu     sync.Mutex
	n      int
	pinned map[digest.Digest]bool
	gone   bool
}

// Stage opens a staging area.
func (s *Store) Stage() (*Stage, error) {
	s.mu.Lock()
	s.ops++
	dir := filepath.Join(s.dir, stagingDir, "op-"+strconv.Itoa(s.ops))
	s.mu.Unlock()
	if err := os.Mkdir(dir, dirMode); err != nil {
		return nil, fmt.Errorf("stage: %w", err)
	}
	return &Stage{s: s, dir: dir, pinned: map[digest.Digest]bool{}}, nil
}

// Path is a path inside the staging directory for scratch files of the operation; Discard removes them. The name must
// not be one of a blob ("w-…" or 64 hex digits).
func (st *Stage) Path(name string) string { return filepath.Join(st.dir, name) }

func (st *Stage) path(d digest.Digest) string { return filepath.Join(st.dir, d.Hex()) }

// Create starts a new blob.
func (st *Stage) Create() (*Writer, error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.gone {
		return nil, fmt.Errorf("stage blob: %w", fs.ErrClosed)
	}
	st.n++
	f, err := os.OpenFile(filepath.Join(st.dir, "w-"+strconv.Itoa(st.n)), os.O_WRONLY|os.O_CREATE|os.O_EXCL, blobMode)
	if err != nil {
		return nil, fmt.Errorf("stage blob: %w", err)
	}
	return &Writer{st: st, f: f, w: digest.NewWriter(st.s.fs.Writer(f))}, nil
}

// Writer is a blob being written. Not safe for concurrent use.
type Writer struct {
	st *Stage
	f  *os.File // nil when closed or aborted
	w  *digest.Writer
}

// Write appends; a full disk has code no-space.
func (w *Writer) Write(p []byte) (int, error) {
	if w.f == nil {
		return 0, fs.ErrClosed
	}
	return w.w.Write(p)
}

// Close ends the blob and tells its digest and its size in bytes. It is staged, not yet durable.
func (w *Writer) Close() (digest.Digest, int64, error) {
	if w.f == nil {
		return digest.Digest{}, 0, fs.ErrClosed
	}
	f := w.f
	w.f = nil
	d := w.w.Sum()
	writeback(f)
	err := f.Close()
	if err == nil {
		err = os.Rename(f.Name(), w.st.path(d))
	}
	if err != nil {
		os.Remove(f.Name())
		return digest.Digest{}, 0, fmt.Errorf("stage blob: %w", err)
	}
	return d, w.w.Size(), nil
}

// Abort drops the blob; after Close it does nothing.
func (w *Writer) Abort() {
	if w.f != nil {
		w.f.Close()
		os.Remove(w.f.Name())
		w.f = nil
	}
}

// Has tells whether a blob is staged here or committed.
func (st *Stage) Has(d digest.Digest) bool {
	if _, err := os.Lstat(st.path(d)); err == nil {
		return true
	}
	return st.s.Has(d)
}

// Open opens a blob that is staged here or committed, without hashing it; code not-found.
func (st *Stage) Open(d digest.Digest) (*File, error) {
	f, err := open(st.path(d), d)
	if code.Has(err, code.Missing) {
		return st.s.Open(d)
	}
	return f, err
}

// Drop removes a staged blob that will not be committed, so that its space is free before Discard. One that is not staged
// is no error.
func (st *Stage) Drop(d digest.Digest) error {
	if err := os.Remove(st.path(d)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("drop staged blob: %w", err)
	}
	return nil
}

// Commit makes blobs durable under their digests, and holds them from the sweep until Discard. A blob that is not
// staged must be committed already (code not-found). A staged one heals a damaged or condemned one. It may be repeated, with the same or more blobs.
func (st *Stage) Commit(ds ...digest.Digest) error {
	st.pin(ds)
	staged, err := st.staged(ds)
	if err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	if err := st.syncFiles(staged); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	dirs, err := st.place(ds, staged)
	if err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	st.s.fs.Point("cas-renamed")
	if err := st.syncDirs(dirs); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	for d := range staged {
		if err := st.s.forgive(d); err != nil {
			return fmt.Errorf("commit: %w", err)
		}
	}
	return nil
}

func (st *Stage) pin(ds []digest.Digest) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.s.mu.Lock()
	defer st.s.mu.Unlock()
	for _, d := range ds {
		if !st.pinned[d] && !st.gone {
			st.pinned[d] = true
			st.s.pins[d]++
		}
	}
}

// staged tells which of the blobs wait here. They are written over what is committed under their names: whether those
// bytes are still right would cost as much to find out.
func (st *Stage) staged(ds []digest.Digest) (map[digest.Digest]bool, error) {
	staged := map[digest.Digest]bool{}
	for _, d := range ds {
		_, err := os.Lstat(st.path(d))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		staged[d] = true
	}
	return staged, nil
}

func (st *Stage) syncFiles(staged map[digest.Digest]bool) error {
	if len(staged) > many {
		return st.s.fs.SyncTree(st.dir)
	}
	for d := range staged {
		f, err := os.Open(st.path(d))
		if err != nil {
			return err
		}
		err = st.s.fs.Sync(f)
		f.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// place renames staged blobs to their names, restarts the grace of those already there, and tells which directories
// have to be synced: also for the latter, since whoever renamed them may not have come to it.
func (st *Stage) place(ds []digest.Digest, staged map[digest.Digest]bool) ([]string, error) {
	seen := map[string]bool{}
	var dirs []string
	for _, d := range ds {
		dir := filepath.Dir(st.s.path(d))
		if !seen[dir] {
			seen[dir] = true
			dirs = append(dirs, dir)
			if err := st.s.fs.Mkdir(dir, dirMode); err != nil {
				return nil, err
			}
		}
		if err := st.put(d, staged[d]); err != nil {
			return nil, err
		}
	}
	return dirs, nil
}

func (st *Stage) put(d digest.Digest, staged bool) error {
	st.s.mu.Lock()
	defer st.s.mu.Unlock()
	to := st.s.path(d)
	if staged {
		err := st.s.fs.Step("rename", to, func() error { return os.Rename(st.path(d), to) })
		if !errors.Is(err, fs.ErrNotExist) { // named twice in one call: already there
			return err
		}
	}
	if err := os.Chtimes(to, time.Time{}, time.Now()); err != nil {
		return absent(d, err)
	}
	return nil
}

func (st *Stage) syncDirs(dirs []string) error {
	if len(dirs) > many {
		return st.s.fs.SyncTree(st.s.dir)
	}
	for _, dir := range dirs {
		if err := st.s.fs.SyncDir(dir); err != nil {
			return err
		}
	}
	return nil
}

// Discard drops what was not committed and lets go of what was. It may be called twice.
func (st *Stage) Discard() error {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.gone {
		return nil
	}
	st.gone = true
	st.s.mu.Lock()
	for d := range st.pinned {
		if st.s.pins[d]--; st.s.pins[d] == 0 {
			delete(st.s.pins, d)
		}
	}
	st.s.mu.Unlock()
	if err := os.RemoveAll(st.dir); err != nil {
		return fmt.Errorf("discard stage: %w", err)
	}
	return nil
}
