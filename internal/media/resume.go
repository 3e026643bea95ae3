package media

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"

	"sallyport/internal/code"
	"sallyport/internal/digest"
)

// standing is how much of a file is on the medium already.
type standing struct {
	File
	good    int64          // verified bytes from the start
	have    int64          // bytes the medium has allocated to it under either name
	damaged bool           // stands under its own name with other bytes
	sum     *digest.Writer // over the first good bytes of the source
}

// survey reads what stands on the medium, past the page cache, and returns the files that are not whole.
func (c *copier) survey(files []File) (todo []standing, err error) {
	c.step = "check"
	for _, f := range files {
		c.bytes += f.Bytes
		full := path.Join(c.dir, f.Name)
		for _, name := range []string{full, full + partial} {
			if st, err := c.m.lstat("stat", name); err == nil {
				c.total += st.Size()
			}
		}
	}
	for _, f := range files {
		s, whole, err := c.stands(f)
		if err != nil {
			return nil, fmt.Errorf("check %q: %w", f.Name, err)
		}
		if whole {
			c.kept += f.Bytes
			c.whole++
			continue
		}
		c.kept += s.good
		todo = append(todo, s)
	}
	return todo, nil
}

// stands looks at one file: whole, or how many of its first bytes are those of the source.
func (c *copier) stands(f File) (s standing, whole bool, err error) {
	s = standing{File: f, sum: digest.NewWriter(nil)}
	full := path.Join(c.dir, f.Name)
	st, err := c.m.lstat("stat", full)
	if errors.Is(err, fs.ErrNotExist) {
		return s, false, c.prefix(&s, full+partial)
	}
	if err != nil {
		return s, false, err
	}
	if st.Size() == f.Bytes {
		d, err := c.sum(full)
		if err != nil && !code.Has(err, code.MediumRead) {
			return s, false, err
		}
		if err == nil && d == f.Digest {
			return s, true, nil
		}
	}
	s.damaged = true
	return s, false, c.prefix(&s, full)
}

// prefix compares what the medium has under name with the source, chunk by chunk, up to the first byte that differs.
func (c *copier) prefix(s *standing, name string) error {
	st, err := c.m.lstat("stat", name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	s.have = st.Size()
	there, err := c.m.uncached(name)
	if err != nil {
		return err
	}
	defer there.Close()
	src, err := c.source(*s)
	if err != nil {
		return err
	}
	defer src.Close()
	for limit := min(s.have, s.Bytes); s.good < limit; {
		p := c.buf[:min(chunk, limit-s.good)]
		q := c.cmp[:len(p)]
		if err := c.fill(src, p, *s); err != nil {
			return err
		}
		if _, err := io.ReadFull(there, q); err != nil {
			return nil // an unreadable place is where writing starts again
		}
		n := same(p, q)
		s.sum.Write(p[:n])
		s.good += int64(n)
		if err := c.advance(n); err != nil || n < len(p) {
			return err
		}
	}
	return nil
}

// same is the length of the common prefix.
func same(p, q []byte) int {
	if bytes.Equal(p, q) {
		return len(p)
	}
	for i := range p {
		if p[i] != q[i] {
			return i
		}
	}
	return len(p)
}

// write brings one file to its own name: the rest of it as *.partial, synced, renamed. The bytes are hashed from the
// first one, and other bytes than the label's are not renamed.
func (c *copier) write(s standing) error {
	full := path.Join(c.dir, s.Name)
	if s.damaged {
		if err := c.m.rename(c.dfs, full, full+partial); err != nil {
			return err
		}
	}
	if s.sum == nil {
		s.sum = digest.NewWriter(nil)
	}
	f, err := c.m.openWrite(c.dfs, full+partial)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := c.fillFile(f, s); err != nil {
		return err
	}
	if err := c.executable(f, s.Exec); err != nil {
		return err
	}
	if err := c.dfs.Sync(f); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := c.m.rename(c.dfs, full+partial, full); err != nil {
		return err
	}
	c.whole++
	return nil
}

// executable sets the mode of a program; FAT has no such bits and says EPERM, which is no reason not to carry it.
func (c *copier) executable(f *os.File, on bool) error {
	if !on {
		return nil
	}
	if err := f.Chmod(0o755); err != nil && !errors.Is(err, fs.ErrPermission) {
		return err
	}
	return nil
}

// fillFile writes everything after the good bytes.
func (c *copier) fillFile(f *os.File, s standing) error {
	src, err := c.source(s)
	if err != nil {
		return err
	}
	defer src.Close()
	if err := f.Truncate(s.good); err != nil {
		return err
	}
	for _, h := range []*os.File{f, src} {
		if _, err := h.Seek(s.good, io.SeekStart); err != nil {
			return err
		}
	}
	for at := s.good; at < s.Bytes; {
		p := c.buf[:min(chunk, s.Bytes-at)]
		if err := c.fill(src, p, s); err != nil {
			return err
		}
		s.sum.Write(p)
		if err := c.dfs.Write(f, p); err != nil {
			return err
		}
		at += int64(len(p))
		c.written += int64(len(p))
		if err := c.advance(len(p)); err != nil {
			return err
		}
	}
	if d := s.sum.Sum(); d != s.Digest {
		return code.New(code.StoreCorrupt, "the shelf has other bytes than the label says").In(s.Name, "").Want(s.Digest, d)
	}
	return nil
}

// source opens a file of the shelf.
func (c *copier) source(s standing) (*os.File, error) {
	name := s.From
	if name == "" {
		name = s.Name
	}
	f, err := c.src.Open(name)
	if err != nil {
		return nil, code.Wrap(code.StoreCorrupt, err, "the shelf lacks a file").In(name, "")
	}
	return f, nil
}

// fill reads exactly len(p) bytes of the shelf.
func (c *copier) fill(src *os.File, p []byte, s standing) error {
	if _, err := io.ReadFull(src, p); err != nil {
		return code.Wrap(code.StoreCorrupt, err, "the shelf's file is shorter than its label says").In(s.Name, "")
	}
	return nil
}

// sum hashes a file of the medium past the page cache.
func (c *copier) sum(name string) (digest.Digest, error) {
	f, err := c.m.uncached(name)
	if err != nil {
		return digest.Digest{}, err
	}
	defer f.Close()
	h := digest.NewWriter(nil)
	for {
		n, err := f.Read(c.buf)
		h.Write(c.buf[:n])
		if err == io.EOF {
			return h.Sum(), nil
		}
		if err == nil {
			err = c.advance(n)
		}
		if err != nil {
			return digest.Digest{}, err
		}
	}
}

// uncached opens a file of the medium and has the kernel forget its pages, so that reads come from the medium.
func (m *Medium) uncached(name string) (fs.File, error) {
	f, err := m.FS().Open(name)
	if err != nil {
		return nil, err
	}
	if o, ok := f.(*file); ok {
		err = dropCache(o.File)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}
