package intake

import (
	"io/fs"
	"path"
	"slices"
	"strings"
)

// joined is one bundle directory made of files from several places: what is here already, and what lies on the medium. It is
// all the gate sees, so a bundle that comes in parts is verified in one pass like any other.
type joined struct {
	dir   string
	files map[string]place // by name
}

// place is where one of the files really is.
type place struct {
	fsys fs.FS
	name string
}

// all adds every plain file of a directory whose name is not taken yet.
func (j *joined) all(fsys fs.FS, dir string) error {
	list, err := fs.ReadDir(fsys, dir)
	for _, e := range list {
		if e.Type().IsRegular() && !strings.HasSuffix(e.Name(), partialSuffix) {
			j.add(e.Name(), fsys, path.Join(dir, e.Name()))
		}
	}
	return err
}

func (j *joined) add(name string, fsys fs.FS, at string) {
	if _, ok := j.files[name]; !ok {
		j.files[name] = place{fsys, at}
	}
}

// find gives the place of a path.
func (j *joined) find(op, name string) (place, error) {
	dir, base := path.Split(name)
	p, ok := j.files[base]
	if !ok || path.Clean(dir) != j.dir {
		return place{}, &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
	}
	return p, nil
}

// Open implements fs.FS for files; the directory is read with ReadDir.
func (j *joined) Open(name string) (fs.File, error) {
	p, err := j.find("open", name)
	if err != nil {
		return nil, err
	}
	return p.fsys.Open(p.name)
}

// Stat implements fs.StatFS.
func (j *joined) Stat(name string) (fs.FileInfo, error) {
	p, err := j.find("stat", name)
	if err != nil {
		return nil, err
	}
	return fs.Stat(p.fsys, p.name)
}

// ReadDir implements fs.ReadDirFS.
func (j *joined) ReadDir(name string) ([]fs.DirEntry, error) {
	if path.Clean(name) != j.dir {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: fs.ErrNotExist}
	}
	var list []fs.DirEntry
	for n := range j.files {
		list = append(list, joinedEntry{j, n})
	}
	slices.SortFunc(list, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return list, nil
}

// joinedEntry is a plain file; nothing else is ever added.
type joinedEntry struct {
	j    *joined
	name string
}

func (e joinedEntry) Name() string               { return e.name }
func (e joinedEntry) IsDir() bool                { return false }
func (e joinedEntry) Type() fs.FileMode          { return 0 }
func (e joinedEntry) Info() (fs.FileInfo, error) { return e.j.Stat(path.Join(e.j.dir, e.name)) }
