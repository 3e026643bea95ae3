package pack

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"

	"sallyport/internal/code"
)

// bufferSize is what we read and write at a time, everywhere in this package.
const bufferSize = 1 << 20

// level of compression: what is worth squeezing, and what was squeezed before.
type level = zstd.EncoderLevel

const (
	levelDefault = zstd.SpeedDefault // about zstd -3
	levelStored  = zstd.SpeedFastest // gives up quickly on what does not shrink
)

// newEncoder makes an encoder for whole frames of at most FrameMax bytes. The options are constants, so it cannot fail;
// the bytes it makes depend on level and input alone (the same module version; a new one may pack differently, never unreadably).
func newEncoder(l level) *zstd.Encoder {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(l), zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(true),
		zstd.WithWindowSize(FrameMax), zstd.WithSingleSegment(true), zstd.WithLowerEncoderMem(true))
	if err != nil {
		panic(fmt.Sprintf("pack: zstd encoder options: %v", err))
	}
	return e
}

// newDecoder makes a decoder that keeps at most MaxWindow of history, and in memory never inflates over the room it is given.
func newDecoder() *zstd.Decoder {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(MaxWindow),
		zstd.WithDecodeAllCapLimit(true))
	if err != nil {
		panic(fmt.Sprintf("pack: zstd decoder options: %v", err))
	}
	return d
}

// Compressor makes shard frames and keeps its tables between them (about 2 MiB). Not for concurrent use.
type Compressor struct{ enc *zstd.Encoder }

// NewCompressor makes a Compressor; there is nothing to close.
func NewCompressor() *Compressor { return &Compressor{enc: newEncoder(levelDefault)} }

// Frame appends one frame (checksum, content size, no dictionary) that inflates to lines. The bytes depend on lines alone.
// Nothing is appended for no lines: there are no empty frames. Over FrameMax bytes is the caller's bug and panics.
func (c *Compressor) Frame(dst, lines []byte) []byte {
	if len(lines) > FrameMax {
		panic(fmt.Sprintf("pack: a frame of %d bytes", len(lines)))
	}
	if len(lines) == 0 {
		return dst
	}
	return c.enc.EncodeAll(lines, dst)
}

// EncodeFrame is Compressor.Frame for one frame alone; in a loop keep a Compressor.
func EncodeFrame(dst, lines []byte) []byte { return NewCompressor().Frame(dst, lines) }

// Decompressor inflates shard frames and keeps its tables between them. Not for concurrent use.
type Decompressor struct{ dec *zstd.Decoder }

// NewDecompressor makes a Decompressor; there is nothing to close.
func NewDecompressor() *Decompressor { return &Decompressor{dec: newDecoder()} }

// Frame appends what frame, exactly one strict frame, inflates to: at most FrameMax bytes, else zstd-bomb.
// Give dst room for FrameMax and nothing is allocated. frame is attacker-controlled. Codes: zstd, zstd-form, zstd-window,
// zstd-trailing, zstd-bomb.
func (d *Decompressor) Frame(dst, frame []byte) ([]byte, error) {
	h, err := parseHead(frame, 0)
	if err == errShort {
		return dst, cutShort(int64(len(frame)))
	}
	if err != nil {
		return dst, err
	}
	n, err := walk(frame, h)
	if err == io.ErrUnexpectedEOF {
		return dst, cutShort(int64(len(frame)))
	}
	if err != nil {
		return dst, err
	}
	if n != len(frame) {
		return dst, code.New(code.ZstdTrailing, "bytes after the frame").In("", place(int64(n))).Want("the end", fmt.Sprintf("%d bytes", len(frame)-n))
	}
	return d.inflate(dst, frame, h)
}

// inflate decodes one frame that the guard has walked.
func (d *Decompressor) inflate(dst, frame []byte, h head) ([]byte, error) {
	room := uint64(FrameMax)
	if h.content != unknown {
		if h.content > FrameMax {
			return dst, bomb(FrameMax, fmt.Sprint(h.content))
		}
		room = h.content
	}
	at := len(dst)
	if uint64(cap(dst)-at) < room {
		dst = append(make([]byte, 0, at+int(room)), dst...)
	}
	out, err := d.dec.DecodeAll(frame, dst[:at:at+int(room)])
	if err != nil {
		if h.content == unknown && isSize(err) {
			return dst, bomb(FrameMax, "more")
		}
		return dst, damaged(err, 0)
	}
	if n := len(out) - at; n == 0 || (h.content != unknown && uint64(n) != h.content) {
		return dst, code.New(code.ZstdBad, "a frame with another content than it says").In("", place(0)).Want(h.content, n)
	}
	if at < cap(dst) && &out[at] == &dst[:at+1][at] {
		out = dst[:len(out)] // with all of its capacity, so that who gave dst can use it again for any frame
	}
	return out, nil
}

func bomb(limit int64, got string) error {
	return code.New(code.ZstdBomb, "more bytes than allowed come out").Want(fmt.Sprintf("≤ %d bytes", limit), got)
}

func isSize(err error) bool {
	return errors.Is(err, zstd.ErrDecoderSizeExceeded) || errors.Is(err, zstd.ErrFrameSizeExceeded)
}

// damaged is the decoder's refusal of the frame at off.
func damaged(err error, off int64) error {
	if errors.Is(err, zstd.ErrWindowSizeExceeded) {
		return code.Wrap(code.ZstdWindow, err, "a frame that asks for too much memory").In("", place(off))
	}
	return code.Wrap(code.ZstdBad, err, "a damaged frame").In("", place(off))
}

// DecodeFrame is Decompressor.Frame for one frame alone; in a loop keep a Decompressor.
func DecodeFrame(dst, frame []byte) ([]byte, error) { return NewDecompressor().Frame(dst, frame) }

// Frame is one frame of a shard as it lies there.
type Frame struct {
	Offset int64  // of its first byte in the shard
	Packed []byte // valid until the next frame; copy it to keep it
}

// Frames calls fn for every frame of a shard, in order, and stops at its first error. Nothing is inflated; a frame longer
// than FrameMax can pack to is refused (zstd-form). r is attacker-controlled; about 3 MiB are held.
func Frames(r io.Reader, fn func(f Frame) error) error {
	g := &guard{src: bufio.NewReaderSize(r, bufferSize)}
	var buf []byte
	for {
		h, err := g.next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if h.content != unknown && h.content > FrameMax {
			return bomb(FrameMax, fmt.Sprint(h.content))
		}
		off := g.off
		if buf, err = g.whole(buf, packedLimit(min(h.content, FrameMax))); err != nil {
			return err
		}
		if err := fn(Frame{Offset: off, Packed: buf}); err != nil {
			return err
		}
	}
}

// Cut tells whether a frame ends after this key: the last 8 bytes of SHA-256(kind ‖ 0x00 ‖ key) are 0 mod 2^n.
// So the cut depends on keys alone and an unchanged neighbourhood packs to unchanged frames.
func Cut(kind, key string, n uint) bool {
	var room [16 + 1 + 1024]byte
	b := append(room[:0], kind...)
	b = append(append(b, 0), key...)
	sum := sha256.Sum256(b)
	return binary.BigEndian.Uint64(sum[24:])&(1<<min(n, 63)-1) == 0
}

// CutBits is the n of Cut for a feed and kind: the least with 2^n × bytes ≥ 2^19 × lines, so frames average 512 KiB to
// 1 MiB. No lines: 0.
func CutBits(bytes, lines int64) uint {
	if bytes <= 0 || lines <= 0 {
		return 0
	}
	n := uint(0)
	for want := uint64(lines) << 19; uint64(bytes)<<n < want; n++ {
	}
	return n
}
