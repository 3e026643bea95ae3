package layer

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"slices"

	"sallyport/internal/pack"
)

// runBlock is how many bytes of strings are packed at a time: sorted neighbours are alike, so a run takes a fraction of
// what it holds, and the disk that an import needs stays near what it keeps.
const runBlock = 128 << 10

// runWriter writes a spilled run: blocks of (uvarint length, one zstd frame), in each the strings after their lengths.
type runWriter struct {
	w     io.Writer
	c     *pack.Compressor
	block []byte
	out   []byte
}

func newRunWriter(w io.Writer) *runWriter { return &runWriter{w: w, c: pack.NewCompressor()} }

func (w *runWriter) add(b []byte) error {
	w.block = append(binary.AppendUvarint(w.block, uint64(len(b))), b...)
	if len(w.block) < runBlock {
		return nil
	}
	return w.flush()
}

func (w *runWriter) flush() error {
	if len(w.block) == 0 {
		return nil
	}
	const head = binary.MaxVarintLen32
	w.out = w.c.Frame(append(w.out[:0], make([]byte, head)...), w.block)
	w.block = w.block[:0]
	var n [head]byte
	k := binary.PutUvarint(n[:], uint64(len(w.out)-head))
	copy(w.out[head-k:], n[:k])
	_, err := w.w.Write(w.out[head-k:])
	return err
}

// run is one sorted source: a spilled file, or what is still in memory.
type run struct {
	r             *bufio.Reader
	z             *pack.Decompressor // shared by all runs
	packed, block []byte
	rest          []byte // of block
	head          []byte
	arena         []byte
	at            []span
}

func (r *run) next() error {
	if r.r == nil {
		if len(r.at) == 0 {
			return io.EOF
		}
		r.head, r.at = r.arena[r.at[0].from:r.at[0].to], r.at[1:]
		return nil
	}
	if len(r.rest) == 0 {
		if err := r.fill(); err != nil {
			return err
		}
	}
	n, k := binary.Uvarint(r.rest)
	if k <= 0 || n > uint64(len(r.rest)-k) {
		return fmt.Errorf("a damaged block: %w", io.ErrUnexpectedEOF)
	}
	r.head, r.rest = r.rest[k:k+int(n)], r.rest[k+int(n):]
	return nil
}

// fill inflates the next block; io.EOF at the end of the run.
func (r *run) fill() error {
	n, err := binary.ReadUvarint(r.r)
	if err != nil {
		return err
	}
	if n > pack.FrameMax {
		return fmt.Errorf("a damaged block: %d bytes", n)
	}
	r.packed = slices.Grow(r.packed[:0], int(n))[:n]
	if _, err := io.ReadFull(r.r, r.packed); err != nil {
		return fmt.Errorf("a damaged block: %w", err)
	}
	if r.block, err = r.z.Frame(r.block[:0], r.packed); err != nil {
		return err
	}
	r.rest = r.block
	return nil
}
