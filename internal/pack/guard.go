package pack

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"sallyport/internal/code"
)

// RFC 8878 section 3.1.1: the parts of a frame that decide what a decoder must do.
const (
	frameMagic    = 0xFD2FB528
	skippableLow  = 0x184D2A50
	skippableHigh = 0x184D2A5F
	headMax       = 4 + 1 + 1 + 4 + 8 // magic, descriptor, window, dictionary id, content size
	blockMax      = 128 << 10
)

// Block types of RFC 8878 section 3.1.1.2.
const (
	blockRaw = iota
	blockRLE
	blockCompressed
	blockReserved
)

// head is what a frame header says.
type head struct {
	size    int    // bytes of the header itself, with the magic number
	window  uint64 // history the decoder has to keep
	content uint64 // inflated bytes; unknown when the header does not say
}

const unknown = math.MaxUint64

// block is what a block header says; the header is three bytes.
type block struct {
	last  bool
	kind  int
	bytes int // packed bytes behind the header
}

// errShort: the bytes at hand are the beginning of something longer.
var errShort = errors.New("zstd: more bytes are needed")

// place is how offsets are written in errors.
func place(off int64) string { return fmt.Sprintf("offset %d", off) }

// parseHead reads a frame header at the stream offset off and refuses what our writer would not write.
// Errors: errShort, or the codes zstd, zstd-form, zstd-window, zstd-trailing (no frame where one should begin, after another).
func parseHead(b []byte, off int64) (head, error) {
	if len(b) < 4 {
		return head{}, errShort
	}
	if magic := binary.LittleEndian.Uint32(b); magic != frameMagic {
		return head{}, badMagic(magic, off)
	}
	if len(b) < 5 {
		return head{}, errShort
	}
	d := b[4]
	if err := checkDescriptor(d, off+4); err != nil {
		return head{}, err
	}
	single := d&0x20 != 0
	h := head{size: 5, content: unknown}
	if !single {
		if len(b) < 6 {
			return head{}, errShort
		}
		h.window = windowSize(b[5])
		h.size = 6
	}
	n := contentBytes(d>>6, single)
	if len(b) < h.size+n {
		return head{}, errShort
	}
	h.content = contentSize(b[h.size : h.size+n])
	h.size += n
	if single {
		h.window = h.content
	}
	return h, h.check(off)
}

func badMagic(magic uint32, off int64) error {
	switch {
	case magic >= skippableLow && magic <= skippableHigh:
		return code.New(code.ZstdForm, "a skippable frame").In("", place(off)).Want("a zstd frame", fmt.Sprintf("magic %08x", magic))
	case off > 0:
		return code.New(code.ZstdTrailing, "bytes after the last frame").In("", place(off)).Want("a frame or the end", fmt.Sprintf("%08x", magic))
	}
	return code.New(code.ZstdBad, "not a zstd stream").In("", place(off)).Want(fmt.Sprintf("magic %08x", uint32(frameMagic)), fmt.Sprintf("%08x", magic))
}

func checkDescriptor(d byte, off int64) error {
	switch {
	case d&0x03 != 0:
		return code.New(code.ZstdForm, "a frame that needs a dictionary").In("", place(off)).Want("no dictionary id", fmt.Sprintf("descriptor %02x", d))
	case d&0x18 != 0:
		return code.New(code.ZstdForm, "a frame with reserved bits").In("", place(off)).Want("reserved bits 0", fmt.Sprintf("descriptor %02x", d))
	case d&0x04 == 0:
		return code.New(code.ZstdForm, "a frame without checksum").In("", place(off)).Want("a content checksum", fmt.Sprintf("descriptor %02x", d))
	}
	return nil
}

func (h head) check(off int64) error {
	if h.content == 0 {
		return code.New(code.ZstdForm, "an empty frame").In("", place(off)).Want("content", "0 bytes")
	}
	if h.window > MaxWindow {
		return code.New(code.ZstdWindow, "a frame that asks for too much memory").In("", place(off)).
			Want(fmt.Sprintf("window ≤ %d", MaxWindow), h.window)
	}
	return nil
}

func windowSize(b byte) uint64 {
	base := uint64(1) << (10 + b>>3)
	return base + base/8*uint64(b&7)
}

func contentBytes(flag byte, single bool) int {
	if flag == 0 && !single {
		return 0
	}
	return 1 << flag
}

func contentSize(b []byte) uint64 {
	switch len(b) {
	case 1:
		return uint64(b[0])
	case 2:
		return uint64(binary.LittleEndian.Uint16(b)) + 256
	case 4:
		return uint64(binary.LittleEndian.Uint32(b))
	case 8:
		return min(binary.LittleEndian.Uint64(b), unknown-1)
	}
	return unknown
}

// parseBlock reads the three bytes of a block header. first tells the frame's first block, which may not be empty.
func parseBlock(b []byte, h head, first bool, off int64) (block, error) {
	v := int(b[0]) | int(b[1])<<8 | int(b[2])<<16
	k := block{last: v&1 != 0, kind: v >> 1 & 3, bytes: v >> 3}
	if k.kind == blockReserved {
		return k, code.New(code.ZstdBad, "a block of a reserved type").In("", place(off)).Want("raw, RLE or compressed", "type 3")
	}
	if limit := min(h.window, blockMax); uint64(k.bytes) > limit {
		return k, code.New(code.ZstdBad, "a block over the format's limit").In("", place(off)).Want(fmt.Sprintf("≤ %d bytes", limit), k.bytes)
	}
	if k.bytes == 0 && (first || !k.last) {
		return k, code.New(code.ZstdForm, "an empty block").In("", place(off)).Want("content", "0 bytes")
	}
	if k.kind == blockRLE {
		k.bytes = 1
	}
	return k, nil
}

// guard passes the bytes of one frame after the other from src and looks at every header before it passes it.
// After next it reads as exactly one frame, then io.EOF. Every error is sticky and one of ours, or the source's own.
type guard struct {
	src   *bufio.Reader
	off   int64 // bytes passed
	head  head
	left  int // bytes of the current piece still to pass
	stage int
	err   error // not io.EOF
}

// What follows the current piece.
const (
	stageEnd   = iota // the frame is over
	stageFirst        // the first block header
	stageBlock
	stageSum // the checksum
)

// next looks at the next frame header without passing it. io.EOF: the stream ends properly here.
func (g *guard) next() (head, error) {
	if g.err != nil {
		return head{}, g.err
	}
	b, err := g.src.Peek(headMax)
	if len(b) == 0 && err == io.EOF {
		if g.off == 0 {
			return head{}, g.fail(code.New(code.ZstdBad, "an empty stream").In("", place(0)).Want("a zstd frame", "the end"))
		}
		return head{}, io.EOF
	}
	if err != nil && err != io.EOF {
		return head{}, g.fail(err)
	}
	h, err := parseHead(b, g.off)
	if err == errShort {
		err = g.short(b)
	}
	if err != nil {
		return head{}, g.fail(err)
	}
	g.head, g.left, g.stage = h, h.size, stageFirst
	return h, nil
}

// short judges an end inside a frame header: fewer than four bytes behind a frame are not even a frame.
func (g *guard) short(b []byte) error {
	var magic [4]byte
	binary.LittleEndian.PutUint32(magic[:], frameMagic)
	if g.off > 0 && string(b[:min(4, len(b))]) != string(magic[:min(4, len(b))]) {
		return code.New(code.ZstdTrailing, "bytes after the last frame").In("", place(g.off)).Want("the end", fmt.Sprintf("%x", b))
	}
	return cutShort(g.off + int64(len(b)))
}

func cutShort(off int64) error {
	return code.New(code.ZstdBad, "the stream is cut inside a frame").In("", place(off)).Want("more bytes", "the end")
}

func (g *guard) fail(err error) error {
	g.err = err
	return err
}

func (g *guard) Read(p []byte) (int, error) {
	if g.err != nil {
		return 0, g.err
	}
	if g.left == 0 {
		if err := g.piece(); err != nil {
			return 0, err
		}
	}
	if len(p) > g.left {
		p = p[:g.left]
	}
	n, err := g.src.Read(p)
	g.off += int64(n)
	g.left -= n
	if err == io.EOF {
		err = g.fail(cutShort(g.off))
	} else if err != nil {
		g.err = err
	}
	return n, err
}

// piece decides how many bytes may pass next.
func (g *guard) piece() error {
	switch g.stage {
	case stageEnd:
		return io.EOF
	case stageSum:
		g.left, g.stage = 4, stageEnd
		return nil
	}
	b, err := g.src.Peek(3)
	if err == io.EOF {
		return g.fail(cutShort(g.off + int64(len(b))))
	}
	if err != nil {
		return g.fail(err)
	}
	k, err := parseBlock(b, g.head, g.stage == stageFirst, g.off)
	if err != nil {
		return g.fail(err)
	}
	g.left, g.stage = 3+k.bytes, stageBlock
	if k.last {
		g.stage = stageSum
	}
	return nil
}

// done tells whether the whole frame has passed.
func (g *guard) done() bool { return g.err == nil && g.left == 0 && g.stage == stageEnd }

// packedLimit bounds the packed bytes of a frame with a known content size: an honest frame never grows by more than
// its headers, so what is longer is made to waste memory.
func packedLimit(content uint64) int { return int(content + content/64 + 1024) }

// whole reads the rest of the current frame into buf[:0], which grows to at most limit bytes.
func (g *guard) whole(buf []byte, limit int) ([]byte, error) {
	start := g.off
	buf = buf[:0]
	for {
		if g.left == 0 {
			if err := g.piece(); err == io.EOF {
				return buf, nil
			} else if err != nil {
				return buf, err
			}
		}
		n := len(buf)
		if n+g.left > limit {
			return buf, g.fail(code.New(code.ZstdForm, "a frame far longer than its content").In("", place(start)).
				Want(fmt.Sprintf("≤ %d packed bytes", limit), n+g.left))
		}
		buf = grow(buf, g.left)
		if _, err := io.ReadFull(g, buf[n:]); err != nil {
			return buf[:n], err
		}
	}
}

// grow lengthens buf by n bytes; it doubles, so a frame costs few allocations once.
func grow(buf []byte, n int) []byte {
	if len(buf)+n <= cap(buf) {
		return buf[:len(buf)+n]
	}
	next := make([]byte, len(buf)+n, max(2*cap(buf), len(buf)+n, 64<<10))
	copy(next, buf)
	return next
}

// NextFrame is the length of the first frame in b, found by walking its headers; nothing is inflated.
// It returns io.ErrUnexpectedEOF when b is the beginning of a longer frame, else the codes of the guard.
func NextFrame(b []byte) (int, error) {
	h, err := parseHead(b, 0)
	if err == errShort {
		return 0, io.ErrUnexpectedEOF
	}
	if err != nil {
		return 0, err
	}
	return walk(b, h)
}

func walk(b []byte, h head) (int, error) {
	n := h.size
	for first := true; ; first = false {
		if len(b)-n < 3 {
			return 0, io.ErrUnexpectedEOF
		}
		k, err := parseBlock(b[n:], h, first, int64(n))
		if err != nil {
			return 0, err
		}
		n += 3 + k.bytes
		if k.last {
			n += 4
			break
		}
	}
	if n > len(b) {
		return 0, io.ErrUnexpectedEOF
	}
	return n, nil
}
