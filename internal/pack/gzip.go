package pack

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"

	"sallyport/internal/code"
)

// GzipWriter packs one member without name, comment or time, so the bytes depend on the input alone. Close writes the
// trailer and leaves w open.
func GzipWriter(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) }

// source remembers an error of what it reads, to tell it from the decoder's opinion of the bytes.
type source struct {
	r   io.Reader
	err error // not io.EOF
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

// gzipReader is one gzip member and nothing behind it.
type gzipReader struct {
	in  *source
	src *bufio.Reader
	z   *gzip.Reader
	max int64
	n   int64
	err error // sticky
}

// GzipReader inflates exactly one gzip member of at most max inflated bytes. What is refused has the code gzip: a bad
// header, a wrong CRC or size, a cut, a second member or any byte behind the first, and one inflated byte over max.
// r is attacker-controlled; about 1 MiB is held. Errors of r come through as they are.
func GzipReader(r io.Reader, max int64) (io.Reader, error) {
	g := &gzipReader{in: &source{r: r}, max: max}
	g.src = bufio.NewReaderSize(g.in, bufferSize)
	var err error
	if g.z, err = gzip.NewReader(g.src); err != nil {
		return nil, g.refusal(err)
	}
	g.z.Multistream(false)
	return g, nil
}

func (g *gzipReader) Read(p []byte) (int, error) {
	if g.err != nil {
		return 0, g.err
	}
	if len(p) == 0 {
		return 0, nil
	}
	if left := g.max - g.n; int64(len(p)) > left+1 {
		p = p[:left+1] // one more than allowed, to see it
	}
	n, err := g.z.Read(p)
	g.n += int64(n)
	switch {
	case g.n > g.max:
		n--
		g.err = code.New(code.GzipBad, "more bytes than allowed come out").In("", fmt.Sprintf("inflated offset %d", g.max)).Want(fmt.Sprintf("≤ %d bytes", g.max), "more")
	case err == io.EOF:
		g.err = g.end()
	case err != nil:
		g.err = g.refusal(err)
	}
	return n, g.err
}

// end demands the end of the source behind the member.
func (g *gzipReader) end() error {
	b, err := g.src.Peek(1)
	if len(b) > 0 {
		return code.New(code.GzipBad, "bytes behind the gzip member").Want("the end", fmt.Sprintf("%02x", b[0]))
	}
	return err
}

// refusal is the decoder's error with a code, or the source's own.
func (g *gzipReader) refusal(err error) error {
	where := fmt.Sprintf("inflated offset %d", g.n)
	switch {
	case g.in.err != nil:
		return g.in.err
	case errors.Is(err, gzip.ErrChecksum):
		return code.Wrap(code.GzipBad, err, "wrong CRC or size").In("", where)
	case errors.Is(err, gzip.ErrHeader):
		return code.Wrap(code.GzipBad, err, "not a gzip header").In("", where)
	case err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF):
		return code.New(code.GzipBad, "the stream is cut").In("", where).Want("more bytes", "the end")
	}
	return code.Wrap(code.GzipBad, err, "a damaged stream").In("", where)
}
