package layer

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"sallyport/internal/code"
	"sallyport/internal/durable"
	"sallyport/internal/ident"
)

// Dir is D/layers: one directory a feed, named by FeedRef.Dir, and open layers shared by all readers. Files are named to the
// outside by their path below D/layers, with a slash. Safe for concurrent use.
type Dir struct {
	path string
	fs   durable.FS

	mu   sync.Mutex
	open map[string]*shared
}

// shared is an open layer and how many views use it. An unused one stays open until something else needs the room.
type shared struct {
	layer *Layer
	users int
}

// idle is how many layers stay open although nobody uses them.
const idle = 16

// NewDir serves the layers under path. Nothing is touched yet.
func NewDir(path string, fs durable.FS) *Dir {
	return &Dir{path: path, fs: fs, open: map[string]*shared{}}
}

// Path is where a layer file lies.
func (d *Dir) Path(file string) string { return filepath.Join(d.path, filepath.FromSlash(file)) }

// FileName is how the layer file of a generation is named below D/layers: <feed>/<epoch>-<generation>-<16 hex of root>.layer,
// .overlay for an overlay. The same content has the same name, so a build repeated after a crash replaces its orphan.
func FileName(m Meta) string {
	ext := "layer"
	if m.Overlay {
		ext = "overlay"
	}
	return fmt.Sprintf("%s/%d-%d-%s.%s", m.Feed.Dir(), m.Epoch, m.Generation, m.Root.Short(), ext)
}

// buildSuffix ends the name of a file that is not sealed.
const buildSuffix = ".building"

// Create begins a layer of a feed under a temporary name beside its later one. Runs are spilled into scratch.
func (d *Dir) Create(feed ident.FeedRef, scratch string) (*Writer, error) {
	dir := filepath.Join(d.path, feed.Dir())
	if err := d.fs.Mkdir(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create layer: %w", err)
	}
	f, err := os.CreateTemp(dir, "*"+buildSuffix)
	if err != nil {
		return nil, fmt.Errorf("create layer: %w", err)
	}
	f.Close()
	os.Remove(f.Name()) // the name is ours by its random part; the writer wants to make the file
	return Create(d.fs, f.Name(), scratch)
}

// Seal seals w and installs it. On an error nothing is named.
func (d *Dir) Seal(w *Writer, m Meta) (file string, bytes int64, err error) {
	if err := w.Seal(m); err != nil {
		return "", 0, err
	}
	return d.Install(w, m)
}

// Install renames a sealed layer to FileName(m) durably, and tells that name and the file's size. On an error nothing is
// named. A room that plans first seals with Writer.Seal and installs when the plan is approved.
func (d *Dir) Install(w *Writer, m Meta) (file string, bytes int64, err error) {
	return d.install(w, FileName(m))
}

// InstallBeside is Install, but leaves a file alone that named says a kept generation has, and takes the next free name:
// the layer of a generation that was forgotten may still be the base of younger ones.
func (d *Dir) InstallBeside(w *Writer, m Meta, named func(file string) bool) (file string, bytes int64, err error) {
	file = FileName(m)
	for n := 2; named(file); n++ {
		ext := filepath.Ext(FileName(m))
		file = fmt.Sprintf("%s-%d%s", strings.TrimSuffix(FileName(m), ext), n, ext)
	}
	return d.install(w, file)
}

func (d *Dir) install(w *Writer, file string) (_ string, bytes int64, err error) {
	defer w.Abort()
	if w.db != nil {
		return "", 0, fmt.Errorf("install layer: %w", code.New(code.Bug, "it is not sealed"))
	}
	st, err := os.Stat(w.path)
	if err != nil {
		return "", 0, fmt.Errorf("install layer: %w", err)
	}
	d.forget(file)
	if err := d.fs.Rename(w.path, d.Path(file)); err != nil {
		return "", 0, fmt.Errorf("install layer: %w", err)
	}
	w.path = ""
	return file, st.Size(), nil
}

// forget closes a layer that is about to be replaced or removed; views that still read it keep the old file.
func (d *Dir) forget(file string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.open[file]
	delete(d.open, file)
	if s != nil && s.users == 0 {
		s.layer.Close()
	}
}

// Open opens a generation: its base file and at most one overlay file. Close the view when done.
func (d *Dir) Open(files ...string) (*View, error) {
	if len(files) < 1 || len(files) > 2 {
		return nil, fmt.Errorf("open layers: %w", code.New(code.Missing, "a generation is a base and at most one overlay").Want("1 or 2 files", len(files)))
	}
	v := &View{}
	for i, file := range files {
		s, err := d.take(file)
		if err != nil {
			v.Close()
			return nil, err
		}
		v.free = append(v.free, func() { d.give(file, s) })
		if i == 0 {
			v.base = s.layer
		} else {
			v.over = s.layer
		}
	}
	if !v.fits() {
		v.Close()
		return nil, code.New(code.StoreCorrupt, "these layers do not belong together").In(files[len(files)-1], "")
	}
	return v, nil
}

// Take opens one layer file; call give when done.
func (d *Dir) Take(file string) (l *Layer, give func(), err error) {
	s, err := d.take(file)
	if err != nil {
		return nil, nil, err
	}
	return s.layer, func() { d.give(file, s) }, nil
}

// fits tells that an overlay lies over its base.
func (v *View) fits() bool {
	if v.base.meta.Overlay || v.over == nil {
		return !v.base.meta.Overlay
	}
	o := v.over.meta
	return o.Overlay && o.Feed == v.base.meta.Feed && (o.Base.IsZero() || o.Base == v.base.meta.Root)
}

func (d *Dir) take(file string) (*shared, error) {
	if !filepath.IsLocal(filepath.FromSlash(file)) {
		return nil, code.New(code.StoreCorrupt, "not a layer's name").In(file, "")
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.open[file]
	if s == nil {
		l, err := Open(d.Path(file))
		if errors.Is(err, fs.ErrNotExist) {
			err = code.Wrap(code.StoreCorrupt, err, "a layer is missing")
		}
		if err != nil {
			return nil, err
		}
		d.shrink()
		s = &shared{layer: l}
		d.open[file] = s
	}
	s.users++
	return s, nil
}

// shrink closes one unused layer when too many are open.
func (d *Dir) shrink() {
	if len(d.open) < idle {
		return
	}
	for file, s := range d.open {
		if s.users == 0 {
			s.layer.Close()
			delete(d.open, file)
			return
		}
	}
}

func (d *Dir) give(file string, s *shared) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s.users--
	if s.users == 0 && d.open[file] != s {
		s.layer.Close()
	}
}

// Remove deletes layer files that no kept generation names. Views that read them go on; a missing file is no error.
func (d *Dir) Remove(files ...string) error {
	for _, file := range files {
		if !filepath.IsLocal(filepath.FromSlash(file)) {
			return code.New(code.StoreCorrupt, "not a layer's name").In(file, "")
		}
		d.forget(file)
		if _, err := os.Lstat(d.Path(file)); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := d.fs.Remove(d.Path(file)); err != nil {
			return fmt.Errorf("remove layer: %w", err)
		}
	}
	return nil
}

// Orphans lists files below D/layers that live does not name: what crashed builds left, and layers whose transaction never
// came. Call it while nothing is being built.
func (d *Dir) Orphans(live func(file string) bool) (files []string, err error) {
	err = filepath.WalkDir(d.path, func(path string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || e.IsDir() {
			return err
		}
		rel, err := filepath.Rel(d.path, path)
		if err != nil {
			return err
		}
		if file := filepath.ToSlash(rel); strings.HasSuffix(file, buildSuffix) || !live(file) {
			files = append(files, file)
		}
		return nil
	})
	return files, err
}

// Close closes every layer that nobody uses.
func (d *Dir) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	var errs []error
	for file, s := range d.open {
		if s.users == 0 {
			errs = append(errs, s.layer.Close())
		}
		delete(d.open, file)
	}
	return errors.Join(errs...)
}
