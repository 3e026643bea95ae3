package pack

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"runtime"
	"testing"
	"testing/iotest"

	"github.com/klauspost/compress/zstd"

	"sallyport/internal/code"
)

// hand makes a frame by hand: descriptor, then what follows it.
func hand(descriptor byte, rest ...[]byte) []byte {
	b := binary.LittleEndian.AppendUint32(nil, frameMagic)
	return append(append(b, descriptor), bytes.Join(rest, nil)...)
}

func blockHead(kind, size int, last bool) []byte {
	v := size<<3 | kind<<1
	if last {
		v |= 1
	}
	return []byte{byte(v), byte(v >> 8), byte(v >> 16)}
}

func rle(size int, last bool) []byte { return append(blockHead(blockRLE, size, last), 0) }

func raw(b string, last bool) []byte { return append(blockHead(blockRaw, len(b), last), b...) }

func le(n int, v uint64) []byte { return binary.LittleEndian.AppendUint64(nil, v)[:n] }

// bombRLE is 1 GiB of zeros in 32 KiB: window 1 MiB, no content size.
func bombRLE() []byte {
	return hand(0x04, []byte{0x50}, bytes.Repeat(rle(blockMax, false), 8191), rle(blockMax, true), make([]byte, 4))
}

// streamed is a frame without content size, as a writer makes it that does not know the end.
func streamed(t testing.TB, data []byte, opts ...zstd.EOption) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := zstd.NewWriter(&b, append([]zstd.EOption{zstd.WithEncoderConcurrency(1)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	w.Write(data[:1])
	w.Flush()
	w.Write(data[1:])
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// both reads a stream as a whole and, when it is one small frame, as a frame.
func both(t testing.TB, b []byte, limit int64) (whole, frame error) {
	z := NewReader(bytes.NewReader(b))
	z.Limit(limit)
	_, whole = io.Copy(io.Discard, z)
	z.Close()
	_, frame = DecodeFrame(nil, b)
	return whole, frame
}

func TestHostileZstd(t *testing.T) {
	data := text(1, 200<<10)
	good := EncodeFrame(nil, data)
	open := streamed(t, data)
	fcs := 5 // magic and descriptor; single segment, four bytes of content size
	lie := func(n uint64) []byte {
		b := bytes.Clone(good)
		copy(b[fcs:], le(4, n))
		return b
	}
	change := func(b []byte, at int) []byte {
		b = bytes.Clone(b)
		b[(at+len(b))%len(b)] ^= 0x40
		return b
	}
	skippable := append(binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, skippableLow), 0xFFFFFFFF), make([]byte, 100)...)
	empty := hand(0x24, []byte{0}, raw("", true), []byte{0x99, 0xe9, 0xd8, 0x51})
	for _, row := range []struct {
		name         string
		in           []byte
		whole, frame code.Code
	}{
		{"as it must be", good, "", ""},
		{"without content size", open, "", ""},
		{"RLE bomb", bombRLE(), code.ZstdBomb, code.ZstdBomb},
		{"content 1 GiB in one segment", hand(0xA4, le(4, 1<<30), rle(blockMax, false)), code.ZstdWindow, code.ZstdWindow},
		{"content 1 GiB, small window", hand(0x84, []byte{0x50}, le(4, 1<<30), bytes.Repeat(rle(blockMax, false), 8191), rle(blockMax, true), make([]byte, 4)), code.ZstdBomb, code.ZstdBomb},
		{"content 2^64 − 1", hand(0xC4, []byte{0x50}, le(8, 1<<64-1), rle(9, true), make([]byte, 4)), code.ZstdBad, code.ZstdBomb},
		{"window 512 MiB", hand(0x04, []byte{19 << 3}, rle(blockMax, false)), code.ZstdWindow, code.ZstdWindow},
		{"window 2^41", hand(0x04, []byte{31 << 3}, rle(blockMax, false)), code.ZstdWindow, code.ZstdWindow},
		{"window 8 MiB and an eighth", hand(0x04, []byte{13<<3 | 1}, rle(blockMax, false)), code.ZstdWindow, code.ZstdWindow},
		{"content size one low", lie(200<<10 - 1), code.ZstdBad, code.ZstdBad},
		{"content size one high", lie(200<<10 + 1), code.ZstdBad, code.ZstdBad},
		{"content size 2 MiB high", lie(FrameMax), code.ZstdBad, code.ZstdBad},
		{"content size far low", lie(1), code.ZstdBad, code.ZstdBad},
		{"content size over a frame", lie(FrameMax + 1), code.ZstdBad, code.ZstdBomb},
		{"content size low without segment", hand(0x44, []byte{0x50}, le(2, 44), rle(1000, true), make([]byte, 4)), code.ZstdBad, code.ZstdBad},
		{"a million empty frames", bytes.Repeat(empty, 1<<20), code.ZstdForm, code.ZstdForm},
		{"an empty frame behind", append(bytes.Clone(good), empty...), code.ZstdForm, code.ZstdTrailing},
		{"an empty frame of unknown size", hand(0x04, []byte{0x50}, raw("", true), make([]byte, 4)), code.ZstdForm, code.ZstdForm},
		{"an empty frame by RLE", hand(0x04, []byte{0x50}, rle(0, true), make([]byte, 4)), code.ZstdForm, code.ZstdForm},
		{"a million empty blocks", hand(0x04, []byte{0x50}, raw("x", false), bytes.Repeat(raw("", false), 1<<20), raw("", true), make([]byte, 4)), code.ZstdForm, code.ZstdForm},
		{"a million blocks of one byte", hand(0xA4, le(4, 1<<20), bytes.Repeat(raw("x", false), 1<<20-1), raw("x", true), make([]byte, 4)), code.ZstdForm, code.ZstdBad},
		{"skippable 4 GiB", skippable, code.ZstdForm, code.ZstdForm},
		{"skippable behind", append(bytes.Clone(good), skippable...), code.ZstdForm, code.ZstdTrailing},
		{"dictionary id", hand(0x25, []byte{7}, le(1, 5), raw("hello", true), make([]byte, 4)), code.ZstdForm, code.ZstdForm},
		{"dictionary id of 4 bytes", hand(0x07, []byte{0x50}, le(4, 0), raw("hello", true), make([]byte, 4)), code.ZstdForm, code.ZstdForm},
		{"reserved bit", hand(0x2C, le(1, 5), raw("hello", true), make([]byte, 4)), code.ZstdForm, code.ZstdForm},
		{"absent checksum", hand(0x20, le(1, 5), raw("hello", true)), code.ZstdForm, code.ZstdForm},
		{"bad checksum", change(good, -1), code.ZstdBad, code.ZstdBad},
		{"bad checksum, unknown size", change(open, -1), code.ZstdBad, code.ZstdBad},
		{"damaged", change(good, 1000), code.ZstdBad, code.ZstdBad},
		{"damaged, unknown size", change(open, 1000), code.ZstdBad, code.ZstdBad},
		{"reserved block type", hand(0x24, le(1, 5), blockHead(blockReserved, 5, true), make([]byte, 9)), code.ZstdBad, code.ZstdBad},
		{"a block over its limit", hand(0x04, []byte{0x50}, rle(blockMax+1, true), make([]byte, 4)), code.ZstdBad, code.ZstdBad},
		{"a block over a small window", hand(0x04, []byte{0}, rle(1025, true), make([]byte, 4)), code.ZstdBad, code.ZstdBad},
		{"one byte behind", append(bytes.Clone(good), 0), code.ZstdTrailing, code.ZstdTrailing},
		{"three bytes behind", append(bytes.Clone(good), "abc"...), code.ZstdTrailing, code.ZstdTrailing},
		{"text behind", append(bytes.Clone(good), "more and more"...), code.ZstdTrailing, code.ZstdTrailing},
		{"gzip behind", append(bytes.Clone(good), "\x1f\x8b\x08\x00"...), code.ZstdTrailing, code.ZstdTrailing},
		{"half a magic behind", append(bytes.Clone(good), good[:2]...), code.ZstdBad, code.ZstdTrailing},
		{"gzip", []byte("\x1f\x8b\x08\x00\x00\x00\x00"), code.ZstdBad, code.ZstdBad},
		{"legacy zstd 0.7", []byte("\x27\xb5\x2f\xfd\x00\x00\x00"), code.ZstdBad, code.ZstdBad},
		{"nothing", nil, code.ZstdBad, code.ZstdBad},
		{"cut in the magic", good[:3], code.ZstdBad, code.ZstdBad},
		{"cut in the frame header", good[:6], code.ZstdBad, code.ZstdBad},
		{"cut in a block header", good[:10], code.ZstdBad, code.ZstdBad},
		{"cut in a block", good[:1000], code.ZstdBad, code.ZstdBad},
		{"cut in the checksum", good[:len(good)-1], code.ZstdBad, code.ZstdBad},
		{"cut, unknown size", open[:len(open)-2], code.ZstdBad, code.ZstdBad},
	} {
		t.Run(row.name, func(t *testing.T) {
			whole, frame := both(t, row.in, 8<<20)
			want(t, whole, row.whole)
			want(t, frame, row.frame)
			if whole == nil {
				return
			}
			if _, err := io.ReadAll(iotest.HalfReader(NewReader(bytes.NewReader(row.in[:min(len(row.in), 4096)])))); err == nil {
				t.Error("the beginning alone was accepted")
			}
			var e *code.Error
			if errors.As(whole, &e) && e.Code != code.ZstdBomb && e.Place == "" {
				t.Errorf("the error does not say where: %v", e)
			}
		})
	}
}

func TestErrorOffsetsAreOfTheStream(t *testing.T) {
	first := EncodeFrame(nil, text(1, 1<<20))
	second := EncodeFrame(nil, text(2, 1<<20))
	second[len(second)-1] ^= 1
	got, err := inflate(t, bytes.NewReader(append(bytes.Clone(first), second...)))
	var e *code.Error
	if !errors.As(err, &e) || e.Place != place(int64(len(first))) || len(got) != 1<<20 {
		t.Errorf("%d bytes, %+v", len(got), e)
	}
}

// A small frame leaves its buffer to a large one behind it.
func TestSmallFrameBeforeLarge(t *testing.T) {
	small, big := text(1, 1000), text(2, 3<<20)
	got, err := inflate(t, bytes.NewReader(append(bytes.Repeat(EncodeFrame(nil, small), 2*ring), streamed(t, big)...)))
	if want := append(bytes.Repeat(small, 2*ring), big...); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

func TestDoubleBomb(t *testing.T) {
	outer := EncodeFrame(nil, EncodeFrame(nil, bombRLE()))
	if len(outer) > 300 {
		t.Errorf("the bomb has %d bytes", len(outer))
	}
	for range 2 {
		var err error
		if outer, err = DecodeFrame(nil, outer); err != nil {
			t.Fatal(err)
		}
	}
	_, err := DecodeFrame(nil, outer)
	want(t, err, code.ZstdBomb)
}

// allocated is how many bytes f asks for in all.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func TestBombsDoNotAllocate(t *testing.T) {
	big := hand(0x84, []byte{0x50}, le(4, 1<<30), bytes.Repeat(rle(blockMax, false), 8191), rle(blockMax, true), make([]byte, 4))
	window := hand(0x04, []byte{13 << 3}, bytes.Repeat(rle(blockMax, false), 8191), rle(blockMax, true), make([]byte, 4))
	for name, b := range map[string][]byte{"RLE": bombRLE(), "content size": big, "window": window} {
		if n := allocated(func() { both(t, b, 64<<20) }); n > 48<<20 {
			t.Errorf("%s: %d MiB allocated", name, n>>20)
		}
		if n := allocated(func() { Frames(bytes.NewReader(b), func(Frame) error { return nil }) }); n > 8<<20 {
			t.Errorf("%s: Frames allocated %d MiB", name, n>>20)
		}
	}
	lying := hand(0xA4, le(4, FrameMax), bytes.Repeat(raw("x", false), 100))
	if n := allocated(func() { NextFrame(lying) }); n > 1<<10 {
		t.Errorf("NextFrame allocated %d bytes", n)
	}
}

// TestReaderMemoryIsConstant reads ten times as much and allocates no more.
func TestReaderMemoryIsConstant(t *testing.T) {
	one := EncodeFrame(nil, text(1, FrameMax))
	run := func(frames int) uint64 {
		z := NewReader(bytes.NewReader(bytes.Repeat(one, frames)))
		defer z.Close()
		return allocated(func() {
			if n, err := io.Copy(io.Discard, z); n != int64(frames)*FrameMax || err != nil {
				t.Errorf("%d bytes, %v", n, err)
			}
		})
	}
	if small, large := run(4), run(40); large > small+1<<20 {
		t.Errorf("%d bytes for 8 MiB, %d for 80 MiB", small, large)
	}
}

func TestOuterMemoryIsBounded(t *testing.T) {
	one := text(1, 1<<20)
	run := func(n int) uint64 {
		return allocated(func() {
			o := NewOuterWriter(io.Discard, 2)
			for range n {
				o.Write(one)
			}
			if err := o.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	small, large := run(20), run(100)
	if large > small+8<<20 || large > 64<<20 {
		t.Errorf("%d bytes for 20 MiB, %d for 100 MiB", small, large)
	}
}

// FuzzZstd: the strict reader gives what a stock decoder gives, or refuses.
func FuzzZstd(f *testing.F) {
	f.Add(EncodeFrame(nil, text(1, 500)))
	f.Add(append(EncodeFrame(nil, text(1, 70000)), EncodeFrame(nil, []byte("x"))...))
	f.Add(streamed(f, text(2, 3000)))
	f.Add(hand(0x24, []byte{0}, raw("", true), make([]byte, 4)))
	f.Add(bombRLE()[:500])
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(16<<20))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		z := NewReader(bytes.NewReader(b))
		defer z.Close()
		z.Limit(16 << 20)
		got, err := io.ReadAll(z)
		if err != nil {
			switch code.Of(err) {
			case code.ZstdBad, code.ZstdForm, code.ZstdWindow, code.ZstdTrailing, code.ZstdBomb:
			default:
				t.Errorf("no code of ours: %v", err)
			}
			return
		}
		if plain, err := d.DecodeAll(b, nil); err != nil || !bytes.Equal(plain, got) || len(got) == 0 {
			t.Errorf("%d bytes where the decoder gives %d, %v", len(got), len(plain), err)
		}
	})
}

// FuzzFrame: what NextFrame measures is what DecodeFrame takes, and every frame stands for itself.
func FuzzFrame(f *testing.F) {
	f.Add(EncodeFrame(nil, text(1, 500)))
	f.Add(append(EncodeFrame(nil, text(1, 70000)), EncodeFrame(nil, []byte("x"))...))
	f.Add(streamed(f, text(2, 3000)))
	f.Add(bombRLE()[:500])
	d := NewDecompressor()
	f.Fuzz(func(t *testing.T, b []byte) {
		n, err := NextFrame(b)
		if err != nil {
			if _, err := d.Frame(nil, b); err == nil {
				t.Error("a frame without a length was decoded")
			}
			return
		}
		if n <= 0 || n > len(b) {
			t.Fatalf("a frame of %d in %d bytes", n, len(b))
		}
		got, err := d.Frame(nil, b[:n])
		if err == nil && (len(got) == 0 || len(got) > FrameMax) {
			t.Errorf("%d bytes", len(got))
		}
		if _, err := d.Frame(nil, b); err == nil && n != len(b) {
			t.Error("bytes behind the frame were accepted")
		}
		count := int64(0)
		Frames(bytes.NewReader(b), func(fr Frame) error {
			if fr.Offset != count || !bytes.Equal(fr.Packed, b[count:count+int64(len(fr.Packed))]) {
				t.Error("Frames and the bytes disagree")
			}
			count += int64(len(fr.Packed))
			return nil
		})
	})
}
