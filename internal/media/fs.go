package media

import (
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"sallyport/internal/code"
)

// FS is the medium as a read-only file system. Only directories and regular files open; a symbolic link anywhere in a
// name is refused with medium-name, a read error of the hardware is medium-read with its byte, a pulled stick medium-gone.
// Directory entries show links and devices by their type, so that a walker can list them as what they are.
func (m *Medium) FS() fs.FS { return readFS{m} }

type readFS struct{ m *Medium }

// Open implements fs.FS. Names are fs.ValidPath names; bytes from the medium, attacker-controlled.
func (r readFS) Open(name string) (fs.File, error) {
	st, err := r.m.lstat("open", name)
	if err != nil {
		return nil, err
	}
	f, err := r.m.root.OpenFile(name, os.O_RDONLY|noBlock, 0)
	if err != nil {
		return nil, r.m.fault(err, name, 0)
	}
	got, err := f.Stat()
	if err == nil && (!os.SameFile(st, got) || got.Mode().Type() != st.Mode().Type()) { // an inode's number is given out again
		err = code.New(code.MediumName, "was replaced while it was opened").In(name, "")
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return &file{File: f, m: r.m, name: name}, nil
}

// Stat implements fs.StatFS without opening; links are refused.
func (r readFS) Stat(name string) (fs.FileInfo, error) { return r.m.lstat("stat", name) }

// ReadDir implements fs.ReadDirFS, sorted by name.
func (r readFS) ReadDir(name string) ([]fs.DirEntry, error) {
	f, err := r.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	d, ok := f.(*file)
	if !ok {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: fs.ErrInvalid}
	}
	entries, err := d.ReadDir(-1)
	sortEntries(entries)
	return entries, err
}

// lstat walks name part by part and refuses a link, device, FIFO or socket on the way. os.Root keeps a race between this
// look and a later open inside the medium; the open compares what it got with what was seen here.
func (m *Medium) lstat(op, name string) (fs.FileInfo, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	for i := 0; i < len(name); i++ {
		if name[i] == '/' {
			st, err := m.lstatOne(name[:i])
			if err != nil {
				return nil, err
			}
			if !st.IsDir() {
				return nil, code.New(code.MediumName, "a file stands where a folder must be").In(name[:i], "")
			}
		}
	}
	return m.lstatOne(name)
}

func (m *Medium) lstatOne(name string) (fs.FileInfo, error) {
	st, err := m.root.Lstat(name)
	if err != nil {
		return nil, m.fault(err, name, 0)
	}
	if !st.IsDir() && !st.Mode().IsRegular() {
		return nil, code.New(code.MediumName, "not a regular file; links and devices are never followed").In(name, "").
			Want("file or directory", st.Mode().Type())
	}
	return st, nil
}

// file reads one file; it counts so that a bad sector can be named.
type file struct {
	*os.File
	m    *Medium
	name string
	at   int64
}

func (f *file) Read(p []byte) (int, error) {
	n, err := f.File.Read(p)
	f.at += int64(n)
	if err != nil && err != io.EOF {
		err = f.m.fault(err, f.name, f.at)
	}
	return n, err
}

func (f *file) ReadAt(p []byte, off int64) (int, error) {
	n, err := f.File.ReadAt(p, off)
	if err != nil && err != io.EOF {
		err = f.m.fault(err, f.name, off+int64(n))
	}
	return n, err
}

func (f *file) Seek(offset int64, whence int) (int64, error) {
	at, err := f.File.Seek(offset, whence)
	if err == nil {
		f.at = at
	}
	return at, err
}

// WriteTo keeps io.Copy on Read, where errors are named.
func (f *file) WriteTo(w io.Writer) (int64, error) {
	return io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{f}, make([]byte, 1<<20))
}

func (f *file) ReadDir(n int) ([]fs.DirEntry, error) {
	entries, err := f.File.ReadDir(n)
	for i, e := range entries {
		entries[i] = entry{e, f.m, path.Join(f.name, e.Name())}
	}
	if err != nil && err != io.EOF {
		err = f.m.fault(err, f.name, 0)
	}
	return entries, err
}

// entry asks for its facts through the root, never by an absolute path.
type entry struct {
	fs.DirEntry
	m    *Medium
	name string
}

func (e entry) Info() (fs.FileInfo, error) { return e.m.root.Lstat(e.name) }

func sortEntries(entries []fs.DirEntry) {
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
}
