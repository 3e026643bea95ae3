package verify

import (
	"errors"
	"fmt"
	"io"

	"sallyport/internal/bundle"
	"sallyport/internal/code"
	"sallyport/internal/digest"
)

// readContent reads the next member, which must be content i: name, size, digest, and by its role what is inside. Bytes
// go to the sink while they pass. An error inside a content whose digest is wrong is reported as the wrong digest.
func (ps *pass) readContent(i int) error {
	c := ps.b.manifest.Contents[i]
	name, size, err := ps.tar.Next()
	switch {
	case errors.Is(err, io.EOF):
		return code.New(code.EntryMissing, "the payload ends before this entry").In(c.Path, "").Want(c.Path, "the end")
	case err != nil:
		return in(err, ps.name)
	case name != c.Path:
		return ps.misplaced(i, name, size)
	case size != c.Bytes:
		return code.New(code.EntrySize, "").In(c.Path, "size").Want(c.Bytes, size)
	}
	out, err := ps.writer(c)
	if err != nil {
		return err
	}
	dw := digest.NewWriter(out)
	inner := ps.check.content(i, c, io.TeeReader(ps.tar, dw))
	if out.err == nil {
		if _, err := io.Copy(dw, ps.tar); err != nil && out.err == nil {
			return in(err, ps.name) // the archive or what is around it, not this content
		}
	}
	switch {
	case out.err != nil:
		return out.err
	case dw.Size() == c.Bytes && dw.Sum() != c.Digest:
		return code.New(code.EntryDigest, "").In(c.Path, "").Want(c.Digest, dw.Sum())
	case inner != nil:
		return in(inner, c.Path)
	case dw.Size() != c.Bytes:
		return code.New(code.EntrySize, "").In(c.Path, "size").Want(c.Bytes, dw.Size())
	}
	ps.b.stats.Entries++
	ps.b.stats.Bytes += c.Bytes
	return out.close()
}

// outlet is the sink's writer for one entry. It keeps the sink's error, which is none of the bundle's fault.
type outlet struct {
	w   io.Writer
	err error
}

func (ps *pass) writer(c bundle.Content) (*outlet, error) {
	if ps.o.Sink == nil {
		return &outlet{}, nil
	}
	w, err := ps.o.Sink.Entry(c)
	return &outlet{w: w}, err
}

func (o *outlet) Write(p []byte) (int, error) {
	if o.err != nil {
		return 0, o.err
	}
	if o.w == nil {
		return len(p), nil
	}
	var n int
	n, o.err = o.w.Write(p)
	return n, o.err
}

func (o *outlet) close() error {
	if c, ok := o.w.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

// misplaced says what is wrong when another member stands where content i must: a duplicate, an entry that was not
// signed, an order that was not signed, or an entry that is missing. To tell the last two apart it looks on as long as
// what it skips has a name and size that were signed.
func (ps *pass) misplaced(i int, name string, size int64) error {
	m, want := ps.b.manifest, ps.b.manifest.Contents[i].Path
	if ps.before(i, name) {
		return code.New(code.TarDuplicate, "").In(want, "").Want(want, fmt.Sprintf("%q again", name))
	}
	ahead := map[string]int64{}
	for _, c := range m.Contents[i:] {
		ahead[c.Path] = c.Bytes
	}
	switch signed, ok := ahead[name]; {
	case !ok:
		return code.New(code.EntryExtra, "").In(ps.name, "").Want(want, fmt.Sprintf("%q", name))
	case size != signed: // nobody signed so many bytes: they are not inflated only to be skipped
		return code.New(code.EntryMissing, "").In(want, "").Want(want, fmt.Sprintf("%q", name))
	}
	for range len(ahead) {
		next, size, err := ps.tar.Next()
		if signed, ok := ahead[next]; err != nil || !ok || size != signed {
			break
		}
		if next == want {
			return code.New(code.TarOrder, "").In(want, "").Want(want, fmt.Sprintf("%q", name))
		}
	}
	return code.New(code.EntryMissing, "").In(want, "").Want(want, fmt.Sprintf("%q", name))
}

// before tells whether a member of that name, compared without case, has been read already.
func (ps *pass) before(i int, name string) bool {
	m := ps.b.manifest
	for _, front := range []string{memberEnvelope, m.Profile.Kind + "/export.json", memberRaw, memberSigstore} {
		if fold(front) == fold(name) {
			return true
		}
	}
	for _, c := range m.Contents[:i] {
		if fold(c.Path) == fold(name) {
			return true
		}
	}
	return false
}

// readEnd demands that nothing follows the last content.
func (ps *pass) readEnd() error {
	name, _, err := ps.tar.Next()
	switch {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return err
	case ps.before(len(ps.b.manifest.Contents), name):
		return code.New(code.TarDuplicate, "").In(ps.name, "").Want("the end", fmt.Sprintf("%q again", name))
	}
	return code.New(code.EntryExtra, "").In(ps.name, "").Want("the end", fmt.Sprintf("%q", name))
}
