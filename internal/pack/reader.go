package pack

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/zstd"

	"sallyport/internal/code"
)

// ring is how many inflated buffers of FrameMax a Reader owns: one being read, one waiting, one being filled.
const ring = 3

// slack lets the decoder's fast copies run past the end of a buffer.
const slack = 64

// chunk is inflated bytes on their way to Read, or the end.
type chunk struct {
	b   []byte
	err error // io.EOF after the last frame
}

// Reader inflates a strict zstd stream: frames one after the other and nothing else (see parseHead for what is refused).
// It decodes one frame ahead on a goroutine of its own; about 16 MiB are held, 10 more when a frame needs a window.
// The stream is attacker-controlled: no header decides how much memory is used. Not for concurrent use. Always Close it.
// Errors: zstd, zstd-window, zstd-form, zstd-trailing, zstd-bomb, with the offset in the packed stream; errors of the
// source come through as they are.
type Reader struct {
	src     io.Reader
	limit   int64 // inflated bytes allowed; 0: not limited
	total   int64 // inflated bytes handed out
	cur     []byte
	buf     []byte // what cur is part of
	err     error
	chunks  chan chunk
	free    chan []byte
	quit    chan struct{}
	wg      sync.WaitGroup
	started bool
}

// NewReader makes a Reader; nothing is read before the first Read.
func NewReader(r io.Reader) *Reader { return &Reader{src: r} }

// Limit says how many inflated bytes the whole stream may have from its first byte on; one more is zstd-bomb.
// 0 takes the limit away. It may be called between reads, once the signed sizes are known.
func (r *Reader) Limit(total int64) { r.limit = total }

// Read gives inflated bytes. They are proven by nothing but the frame's checksum; io.EOF means the stream ended as it must.
func (r *Reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	b, err := r.peek(len(p))
	n := copy(p, b)
	r.skip(n)
	return n, err
}

// WriteTo hands every inflated buffer to w without copying it.
func (r *Reader) WriteTo(w io.Writer) (total int64, err error) {
	for {
		b, err := r.peek(FrameMax)
		if err == io.EOF {
			return total, nil
		}
		if err != nil {
			return total, err
		}
		n, err := w.Write(b)
		total += int64(n)
		r.skip(n)
		if err != nil {
			return total, err
		}
	}
}

// peek returns 1 to n bytes that are there until skip, or an error.
func (r *Reader) peek(n int) ([]byte, error) {
	for len(r.cur) == 0 {
		if r.err != nil {
			return nil, r.err
		}
		r.fetch()
	}
	b := r.cur[:min(n, len(r.cur))]
	if r.limit > 0 && r.total+int64(len(b)) > r.limit {
		if r.total >= r.limit {
			return nil, r.stop(bomb(r.limit, "more"))
		}
		b = b[:r.limit-r.total]
	}
	return b, nil
}

func (r *Reader) skip(n int) {
	r.cur = r.cur[n:]
	r.total += int64(n)
}

func (r *Reader) stop(err error) error {
	r.cur, r.err = nil, err
	return err
}

// fetch takes the next chunk and gives the used buffer back.
func (r *Reader) fetch() {
	if !r.started {
		r.start()
	}
	if r.buf != nil {
		r.free <- r.buf
		r.buf = nil
	}
	c := <-r.chunks
	if c.err != nil {
		r.err = c.err
		return
	}
	r.cur, r.buf = c.b, c.b
}

func (r *Reader) start() {
	r.started = true
	r.chunks, r.free, r.quit = make(chan chunk, ring+1), make(chan []byte, ring), make(chan struct{})
	for range ring {
		r.free <- nil
	}
	in := &inflater{g: guard{src: bufio.NewReaderSize(r.src, bufferSize)}, d: NewDecompressor(), r: r}
	r.wg.Add(1)
	go in.run()
}

// Close ends the goroutine and waits for it: a read of the source that is under way is waited for. Reads after it fail.
func (r *Reader) Close() error {
	if r.err == nil || !errors.Is(r.err, errReaderClosed) {
		r.cur, r.err = nil, errReaderClosed
	}
	if r.started {
		r.started = false
		close(r.quit)
		r.wg.Wait()
	}
	return nil
}

var errReaderClosed = errors.New("pack: read after close")

// errQuit: the reader was closed; nobody waits for the rest.
var errQuit = errors.New("pack: closed")

// inflater is the goroutine of a Reader.
type inflater struct {
	g      guard
	d      *Decompressor
	stream *zstd.Decoder // for frames that are not decoded in memory; made when one comes
	packed []byte
	r      *Reader
}

func (in *inflater) run() {
	defer in.r.wg.Done()
	defer in.d.dec.Close()
	err := in.frames()
	if in.stream != nil {
		in.stream.Close()
	}
	if err != errQuit {
		in.r.chunks <- chunk{err: err} // never blocks: at most ring buffers are on their way, and this
	}
}

func (in *inflater) frames() error {
	for {
		h, err := in.g.next()
		if err != nil {
			return err
		}
		if h.content <= FrameMax {
			err = in.small(h)
		} else {
			err = in.large(h)
		}
		if err != nil {
			return err
		}
	}
}

// buffer waits for an empty buffer.
func (in *inflater) buffer() ([]byte, error) {
	select {
	case b := <-in.r.free:
		if b == nil {
			b = make([]byte, 0, FrameMax+slack)
		}
		return b[:0], nil
	case <-in.r.quit:
		return nil, errQuit
	}
}

func (in *inflater) send(b []byte) error {
	select {
	case in.r.chunks <- chunk{b: b}:
		return nil
	case <-in.r.quit:
		return errQuit
	}
}

// small decodes a frame of known size in memory: our own frames are all of this kind.
func (in *inflater) small(h head) error {
	off := in.g.off
	b, err := in.buffer()
	if err != nil {
		return err
	}
	if in.packed, err = in.g.whole(in.packed, packedLimit(h.content)); err != nil {
		return err
	}
	if b, err = in.d.inflate(b, in.packed, h); err != nil {
		return at(err, off)
	}
	return in.send(b)
}

// at moves an error of a frame on its own to where the frame lies.
func at(err error, off int64) error {
	var e *code.Error
	if errors.As(err, &e) {
		return e.In(e.File, place(off))
	}
	return err
}

// large decodes a frame piece by piece, with at most MaxWindow of history.
func (in *inflater) large(h head) error {
	off := in.g.off
	if in.stream == nil {
		in.stream = newDecoder()
	}
	if err := in.stream.Reset(&in.g); err != nil {
		return in.refusal(err, off)
	}
	var total uint64
	for {
		b, err := in.buffer()
		if err != nil {
			return err
		}
		if cap(b) < bufferSize {
			b = make([]byte, 0, FrameMax+slack)
		}
		n, err := io.ReadFull(in.stream, b[:bufferSize])
		total += uint64(n)
		if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
			return in.refusal(err, off)
		}
		if n > 0 {
			if err := in.send(b[:n]); err != nil {
				return err
			}
		} else {
			in.r.free <- b // there is room: it was just taken
		}
		if err != nil {
			return in.ended(h, total, off)
		}
	}
}

// refusal finds the first cause: the guard's, the source's, or the decoder's own.
func (in *inflater) refusal(err error, off int64) error {
	if in.g.err != nil {
		return in.g.err
	}
	return damaged(err, off)
}

// ended demands that a frame is over and was as long as it said.
func (in *inflater) ended(h head, total uint64, off int64) error {
	if in.g.err != nil {
		return in.g.err
	}
	if !in.g.done() {
		return code.New(code.ZstdBad, "a frame that does not end where its blocks end").In("", place(off))
	}
	if total == 0 {
		return code.New(code.ZstdForm, "an empty frame").In("", place(off)).Want("content", "0 bytes")
	}
	if h.content != unknown && total != h.content {
		return code.New(code.ZstdBad, "a frame with another content than it says").In("", place(off)).Want(fmt.Sprint(h.content), total)
	}
	return nil
}
