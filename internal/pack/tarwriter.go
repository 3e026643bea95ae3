package pack

import (
	"fmt"
	"io"

	"sallyport/internal/code"
)

// TarWriter writes members in the one form of the format: regular files, 0644, uid and gid 0, mtime 0, no names, USTAR,
// PAX only where path or size needs it, two zero blocks at the end. Small writes go to w as they come: buffer below.
// Not for concurrent use.
type TarWriter struct {
	w      io.Writer
	buf    []byte
	left   int64 // bytes of the open member still to come
	pad    int
	err    error // sticky
	closed bool
}

// NewTarWriter makes a TarWriter on w.
func NewTarWriter(w io.Writer) *TarWriter { return &TarWriter{w: w} }

// Header begins a member of exactly size bytes. The member before must be complete. A name that readers would refuse is
// refused here (tar-name).
func (t *TarWriter) Header(name string, size int64) error {
	switch {
	case t.err != nil:
		return t.err
	case t.closed:
		return errClosed
	case t.left > 0:
		return t.fail(fmt.Errorf("tar member %q: %d bytes of the member before are missing", name, t.left))
	case size < 0:
		return t.fail(code.New(code.TarHeader, "a negative size").In(name, "").Want("≥ 0", size))
	}
	if err := CheckPath(name); err != nil {
		return t.fail(err)
	}
	t.buf = append(t.buf[:0], make([]byte, t.pad)...)
	t.buf = appendHeader(t.buf, name, size)
	t.left, t.pad = size, padding(size)
	return t.flush(name)
}

func (t *TarWriter) flush(name string) error {
	if _, err := t.w.Write(t.buf); err != nil {
		return t.fail(fmt.Errorf("write tar %q: %w", name, err))
	}
	return nil
}

func (t *TarWriter) fail(err error) error {
	t.err = err
	return err
}

// Write gives bytes of the open member; more than its header said is an error and nothing of that call is written.
func (t *TarWriter) Write(p []byte) (int, error) {
	if t.err != nil {
		return 0, t.err
	}
	if int64(len(p)) > t.left {
		return 0, t.fail(fmt.Errorf("write tar: %d bytes over the member's size", int64(len(p))-t.left))
	}
	n, err := t.w.Write(p)
	t.left -= int64(n)
	if err != nil {
		return n, t.fail(fmt.Errorf("write tar: %w", err))
	}
	return n, nil
}

// Close ends the archive; it does not close w. Again: nothing happens.
func (t *TarWriter) Close() error {
	if t.err != nil || t.closed {
		return t.err
	}
	if t.left > 0 {
		return t.fail(fmt.Errorf("close tar: %d bytes of the last member are missing", t.left))
	}
	t.closed = true
	t.buf = append(t.buf[:0], make([]byte, t.pad+2*blockSize)...)
	return t.flush("end")
}
