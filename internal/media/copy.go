package media

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"

	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/durable"
	"sallyport/internal/ident"
)

// File is one file of a bundle, as its label has it.
type File struct {
	Name   string
	From   string // name in the source folder, "" means Name
	Bytes  int64
	Digest digest.Digest // of the file's bytes
	Exec   bool          // a program
}

// Bundle is a folder of the shelf to be copied: NAME-<8 hex of label id> and its files in writing order (volumes,
// SHA256SUMS, COVER.txt, label).
type Bundle struct {
	Dir   string
	Files []File
}

// Progress hears how far a copy has come: step is "check", "write" or "read back", bytes over all files of the step. It
// is called from the copying goroutine and should be quick; it may be nil.
type Progress func(step string, done, total int64)

// Copied is what a copy did, in bytes of files.
type Copied struct {
	Dir     string // folder on the medium, slashes, relative to the medium's root
	Bytes   int64  // all files of the bundle
	Written int64  // had to be written now
	Kept    int64  // stood there already and were verified
}

// CopyBundle copies the folder shelf/b.Dir to sallyport/bundles/ on the medium, the label last, and reads everything
// back; it may be repeated after any failure and continues at the first byte that is not verified. A bundle that stands
// there whole is verified and nothing is written. Errors: medium-*, no-space, file-system-limit, read-back,
// store-corrupt when the shelf's own bytes are not those of the label; ctx ends it between two chunks of 1 MiB.
//
// Points of the fault seam: export.copied before the label is written, export.labelled after it was read back.
func (m *Medium) CopyBundle(ctx context.Context, dfs durable.FS, shelf string, b Bundle, progress Progress) (Copied, error) {
	if err := b.check(); err != nil {
		return Copied{}, err
	}
	dir := path.Join(Top, "bundles", b.Dir)
	c, err := m.copier(ctx, dfs, shelf, dir, progress)
	if err != nil {
		return Copied{}, err
	}
	defer c.close()
	err = c.run(b.Files)
	return Copied{Dir: dir, Bytes: c.bytes, Written: c.written, Kept: c.kept}, err
}

func (b Bundle) check() error {
	if len(b.Files) == 0 {
		return code.New(code.BadUsage, "a bundle without files").In(b.Dir, "")
	}
	for _, n := range append([]string{b.Dir}, names(b.Files)...) {
		if n == "SHA256SUMS" || n == "COVER.txt" {
			continue
		}
		if err := ident.File(n); err != nil {
			return code.Wrap(code.MediumName, err, "").In(b.Dir, "")
		}
	}
	return nil
}

func names(files []File) (s []string) {
	for _, f := range files {
		s = append(s, f.Name)
	}
	return s
}

// copier is one copy into one folder of the medium.
type copier struct {
	ctx      context.Context
	m        *Medium
	dfs      durable.FS
	src      *os.Root
	dir      string
	progress Progress

	step          string // of the progress
	done, total   int64
	bytes         int64
	written, kept int64
	whole         int // files that stand under their own names
	buf, cmp      []byte
}

func (m *Medium) copier(ctx context.Context, dfs durable.FS, src, dir string, progress Progress) (*copier, error) {
	root, err := os.OpenRoot(src)
	if err != nil {
		return nil, fmt.Errorf("copy to medium: %w", err)
	}
	if progress == nil {
		progress = func(string, int64, int64) {}
	}
	return &copier{
		ctx: ctx, m: m, dfs: dfs, src: root, dir: dir, progress: progress,
		buf: make([]byte, chunk), cmp: make([]byte, chunk),
	}, nil
}

func (c *copier) close() { c.src.Close() }

// run copies files in their order; the last one gives meaning to the others and is written when they are proven.
func (c *copier) run(files []File) error {
	todo, err := c.survey(files)
	if err != nil {
		return err
	}
	if len(todo) == 0 {
		return nil
	}
	if err := c.preflight(todo); err != nil {
		return err
	}
	if err := c.m.mkdir(c.dfs, c.dir); err != nil {
		return err
	}
	last := files[len(files)-1].Name
	if err := c.unlabel(todo, last); err != nil {
		return err
	}
	i := slices.IndexFunc(todo, func(s standing) bool { return s.Name == last })
	if i < 0 { // the files before it were damaged under a good label, which unlabel took away
		todo, i = append(todo, standing{File: files[len(files)-1]}), len(todo)
	}
	if err := c.batch(todo[:i]); err != nil {
		return c.tell(err, len(files))
	}
	c.dfs.Point("export.copied")
	if err := c.batch(todo[i:]); err != nil {
		return c.tell(err, len(files))
	}
	c.dfs.Point("export.labelled")
	return nil
}

// batch writes files, flushes the medium and reads them back past the page cache.
func (c *copier) batch(todo []standing) error {
	if len(todo) == 0 {
		return nil
	}
	c.begin("write", todo, func(s standing) int64 { return s.Bytes - s.good })
	for _, s := range todo {
		if err := c.write(s); err != nil {
			return fmt.Errorf("write %q: %w", s.Name, c.m.writeFault(err, path.Join(c.dir, s.Name)))
		}
	}
	if err := c.m.Sync(c.dfs); err != nil {
		return err
	}
	c.begin("read back", todo, func(s standing) int64 { return s.Bytes })
	for _, s := range todo {
		d, err := c.sum(path.Join(c.dir, s.Name))
		if err != nil {
			return fmt.Errorf("read back %q: %w", s.Name, err)
		}
		if d != s.Digest {
			return code.New(code.ReadBack, "").In(path.Join(c.dir, s.Name), "").Want(s.Digest, d)
		}
	}
	return nil
}

func (c *copier) begin(step string, todo []standing, size func(standing) int64) {
	c.step, c.done, c.total = step, 0, 0
	for _, s := range todo {
		c.total += size(s)
	}
}

func (c *copier) advance(n int) error {
	c.done += int64(n)
	c.progress(c.step, c.done, max(c.total, c.done))
	return c.ctx.Err()
}

// preflight asks for exactly the blocks that are still missing, folders included.
func (c *copier) preflight(todo []standing) error {
	i, err := c.m.Info()
	if err != nil {
		return err
	}
	var n Need
	for _, s := range todo {
		n.Bytes += max(0, i.round(s.Bytes)-i.round(s.have))
		n.MaxFile = max(n.MaxFile, s.Bytes)
	}
	at := "."
	for _, part := range splitPath(c.dir) {
		at = path.Join(at, part)
		if _, err := c.m.lstat("stat", at); errors.Is(err, fs.ErrNotExist) {
			n.Bytes += i.Block
		}
	}
	if n.Bytes == 0 && i.ReadOnly {
		n.Bytes = 1 // a rename is left to do
	}
	return i.fits(n, c.m.path)
}

// unlabel takes a label away that stands over files which are not whole, so that nobody reads them as a bundle meanwhile.
func (c *copier) unlabel(todo []standing, last string) error {
	if len(todo) == 1 && todo[0].Name == last {
		return nil
	}
	full := path.Join(c.dir, last)
	if _, err := c.m.lstat("stat", full); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return c.m.writeFault(c.m.remove(c.dfs, full), full)
}

// tell adds to a pulled stick how much of it is whole.
func (c *copier) tell(err error, all int) error {
	if !code.Has(err, code.MediumGone) {
		return err
	}
	next := fmt.Sprintf("Put it back in and repeat: %d of %d files are whole and will not be written again.", c.whole, all)
	return code.Wrap(code.MediumGone, err, "the medium was removed while we wrote; nothing here is damaged").In(c.m.path, "").Do(next)
}

func splitPath(p string) []string {
	var parts []string
	for p != "." && p != "" {
		parts = append([]string{path.Base(p)}, parts...)
		p = path.Dir(p)
	}
	return parts
}
