package export

import (
	"errors"
	"io"
	"sync"
)

// errGate is what the writer of a pipe gets when the gate reads no more.
var errGate = errors.New("the gate refused the payload")

// pipe is a bounded in-process pipe: n buffers go round between one writer and one reader, so each may be n buffers ahead
// of the other and nothing else is allocated.
type pipe struct {
	full, free chan []byte
	filling    []byte // the writer's
	reading    []byte // the reader's: what is left of taken
	taken      []byte
	gone       chan struct{} // closed: the reader has left
	left, ends sync.Once
	end        error // why the writer ended, set before full is closed
}

func newPipe(n, size int) *pipe {
	p := &pipe{full: make(chan []byte, n), free: make(chan []byte, n), gone: make(chan struct{})}
	for range n {
		p.free <- make([]byte, 0, size)
	}
	return p
}

// Write copies b; it blocks while all buffers are full and fails once the reader has left.
func (p *pipe) Write(b []byte) (int, error) {
	total := len(b)
	for len(b) > 0 {
		if p.filling == nil {
			select {
			case p.filling = <-p.free:
			case <-p.gone:
				return total - len(b), errGate
			}
		}
		n := min(len(b), cap(p.filling)-len(p.filling))
		p.filling = append(p.filling, b[:n]...)
		b = b[n:]
		if len(p.filling) == cap(p.filling) {
			p.flush()
		}
	}
	return total, nil
}

// flush hands a buffer over; full has room for all of them.
func (p *pipe) flush() {
	p.full <- p.filling
	p.filling = nil
}

// closeWrite ends the stream: the reader gets what was written, then err, or io.EOF for nil. Only the first call counts.
func (p *pipe) closeWrite(err error) {
	p.ends.Do(func() {
		if len(p.filling) > 0 {
			p.flush()
		}
		p.end = err
		close(p.full)
	})
}

// closeRead lets the writer fail instead of waiting for a reader that has left.
func (p *pipe) closeRead() { p.left.Do(func() { close(p.gone) }) }

// Read implements io.Reader.
func (p *pipe) Read(b []byte) (int, error) {
	for len(p.reading) == 0 {
		if p.taken != nil {
			p.free <- p.taken[:0]
			p.taken = nil
		}
		next, ok := <-p.full
		if !ok {
			if p.end != nil {
				return 0, p.end
			}
			return 0, io.EOF
		}
		p.taken, p.reading = next, next
	}
	n := copy(b, p.reading)
	p.reading = p.reading[n:]
	return n, nil
}
