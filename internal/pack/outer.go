package pack

import (
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// frameLow is the least content of a frame of the outer stream, but for the last.
const frameLow = 1 << 20

// errClosed: written to after Close.
var errClosed = errors.New("pack: write after close")

// job is one frame on its way: filled by Write, packed by a worker, written and recycled by the flusher.
type job struct {
	in, out []byte
	level   level
	ready   chan struct{} // one value: out is whole
}

// OuterWriter packs a stream into independent frames of 1–2 MiB, on several goroutines, written in order.
// Where a frame ends depends on the input and the calls of Stored alone, so the bytes do not depend on the worker count.
// Memory: (workers + 2) × 4 MiB and the tables of the encoders. Not for concurrent use. Always Close it.
type OuterWriter struct {
	w       io.Writer
	workers int
	stored  bool
	cheap   int // bytes of the open frame that were written while stored
	cur     *job
	free    chan *job
	work    chan *job // to the workers
	order   chan *job // to the flusher, as written
	wg      sync.WaitGroup
	closed  bool

	mu  sync.Mutex
	err error
}

// NewOuterWriter makes a writer; goroutines start with the first full frame. workers below 1 means 1.
func NewOuterWriter(w io.Writer, workers int) *OuterWriter {
	return &OuterWriter{w: w, workers: max(workers, 1), cur: newJob()}
}

func newJob() *job { return &job{ready: make(chan struct{}, 1)} }

// Stored says whether what follows was compressed before: it is then packed with the least effort. The frame ends here
// when it has 1 MiB; a shorter one goes on and is packed as most of its bytes ask for.
func (o *OuterWriter) Stored(on bool) {
	if on != o.stored && len(o.cur.in) >= frameLow {
		o.submit()
	}
	o.stored = on
}

// Write returns the first error of the underlying writer, perhaps some frames late; after that nothing more is written.
func (o *OuterWriter) Write(p []byte) (int, error) {
	if o.closed {
		return 0, errClosed
	}
	total := len(p)
	for len(p) > 0 {
		if o.cur.in == nil {
			o.cur.in = make([]byte, 0, FrameMax)
		}
		n := min(len(p), FrameMax-len(o.cur.in))
		o.cur.in = append(o.cur.in, p[:n]...)
		if o.stored {
			o.cheap += n
		}
		p = p[n:]
		if len(o.cur.in) == FrameMax {
			o.submit()
			if err := o.failure(); err != nil {
				return total - len(p), err
			}
		}
	}
	return total, nil
}

// submit hands the open frame over and takes an empty job; it waits while all are on their way.
func (o *OuterWriter) submit() {
	if o.work == nil {
		o.start()
	}
	o.cur.level = levelDefault
	if 2*o.cheap > len(o.cur.in) {
		o.cur.level = levelStored
	}
	o.cheap = 0
	o.order <- o.cur
	o.work <- o.cur
	o.cur = <-o.free
}

func (o *OuterWriter) start() {
	jobs := o.workers + 2 // one being filled, one being written
	o.free, o.order, o.work = make(chan *job, jobs), make(chan *job, jobs), make(chan *job, jobs)
	for range jobs - 1 {
		o.free <- newJob()
	}
	o.wg.Add(1 + o.workers)
	go o.flush()
	for range o.workers {
		go o.encode()
	}
}

func (o *OuterWriter) encode() {
	defer o.wg.Done()
	encoders := map[level]*zstd.Encoder{}
	for j := range o.work {
		if encoders[j.level] == nil {
			encoders[j.level] = newEncoder(j.level)
		}
		if j.out == nil {
			j.out = make([]byte, 0, packedLimit(FrameMax))
		}
		j.out = encoders[j.level].EncodeAll(j.in, j.out[:0])
		j.ready <- struct{}{}
	}
}

func (o *OuterWriter) flush() {
	defer o.wg.Done()
	for j := range o.order {
		<-j.ready
		if o.failure() == nil {
			n, err := o.w.Write(j.out)
			if err == nil && n < len(j.out) {
				err = io.ErrShortWrite
			}
			o.fail(err)
		}
		j.in = j.in[:0]
		o.free <- j
	}
}

func (o *OuterWriter) failure() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.err
}

func (o *OuterWriter) fail(err error) {
	if err == nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err == nil {
		o.err = fmt.Errorf("write frame: %w", err)
	}
}

// Close packs what is left, waits for everything to be written and ends the goroutines. It does not close the underlying
// writer. A stream without a byte is not a stream: it has no frame and readers refuse it. Again: the same answer.
func (o *OuterWriter) Close() error {
	if o.closed {
		return o.failure()
	}
	o.closed = true
	if len(o.cur.in) > 0 {
		o.submit()
	}
	if o.work != nil {
		close(o.work)
		close(o.order)
		o.wg.Wait()
	}
	return o.failure()
}

// streamFrame is the content of one frame of an index file.
const streamFrame = 1 << 20

// stream writes frames one after the other on the caller's goroutine.
type stream struct {
	w      io.Writer
	c      *Compressor
	in     []byte
	out    []byte
	closed bool
}

// EncodeStream packs an index file or any other small stream: frames of 1 MiB, bytes that depend on the input alone.
// Close writes the last frame and leaves w open. About 4 MiB are held. The error is always nil today.
func EncodeStream(w io.Writer) (io.WriteCloser, error) {
	return &stream{w: w, c: NewCompressor(), in: make([]byte, 0, streamFrame)}, nil
}

func (s *stream) Write(p []byte) (int, error) {
	if s.closed {
		return 0, errClosed
	}
	total := len(p)
	for len(p) > 0 {
		n := min(len(p), streamFrame-len(s.in))
		s.in = append(s.in, p[:n]...)
		p = p[n:]
		if len(s.in) == streamFrame {
			if err := s.frame(); err != nil {
				return total - len(p), err
			}
		}
	}
	return total, nil
}

func (s *stream) frame() error {
	if len(s.in) == 0 {
		return nil
	}
	s.out = s.c.Frame(s.out[:0], s.in)
	s.in = s.in[:0]
	if _, err := s.w.Write(s.out); err != nil {
		return fmt.Errorf("write frame: %w", err)
	}
	return nil
}

func (s *stream) Close() error {
	if s.closed {
		return nil
	}
	s.closed = true
	return s.frame()
}
