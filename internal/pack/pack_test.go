package pack

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"
	"testing/iotest"

	"sallyport/internal/code"
)

// text makes n bytes that squeeze like JSON lines; the same seed, the same bytes.
func text(seed uint64, n int) []byte {
	r := rand.New(rand.NewPCG(seed, 7))
	var b bytes.Buffer
	for b.Len() < n {
		fmt.Fprintf(&b, `{"id":"GO-%d-%04d","summary":"a made-up line %x","affected":[{"package":{"ecosystem":"Go","name":"example.com/m%d"}}]}`+"\n",
			2000+r.IntN(26), r.IntN(10000), r.Uint64(), r.IntN(300))
	}
	return b.Bytes()[:n]
}

func noise(seed uint64, n int) []byte {
	r := rand.New(rand.NewPCG(seed, 8))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// inflate reads a whole strict stream.
func inflate(t testing.TB, r io.Reader) ([]byte, error) {
	t.Helper()
	z := NewReader(r)
	defer z.Close()
	return io.ReadAll(z)
}

// want fails unless err carries the code.
func want(t testing.TB, err error, c code.Code) {
	t.Helper()
	if code.Of(err) != c {
		t.Errorf("code %q, want %q: %v", code.Of(err), c, err)
	}
}

func stock(t *testing.T, in []byte, name string, args ...string) []byte {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("%s is not here", name)
	}
	cmd := exec.Command(name, args...)
	cmd.Stdin = bytes.NewReader(in)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v: %s", name, strings.Join(args, " "), err, errs.String())
	}
	return out
}

// outer packs pieces; a piece with an odd index is stored.
func outer(t testing.TB, workers int, step int, pieces ...[]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	o := NewOuterWriter(&b, workers)
	for i, p := range pieces {
		o.Stored(i%2 == 1)
		for len(p) > 0 {
			n, err := o.Write(p[:min(step, len(p))])
			if err != nil {
				t.Fatal(err)
			}
			p = p[n:]
		}
	}
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestOuterBytesAreIndependentOfWorkersAndWrites(t *testing.T) {
	pieces := [][]byte{text(1, 5<<20+77), noise(2, 3<<20), text(3, 100), noise(4, 10), text(5, 4<<20)}
	ref := outer(t, 1, 1<<20, pieces...)
	for workers, step := range map[int]int{2: 1000, 3: 1 << 22, 8: 65537} {
		if got := outer(t, workers, step, pieces...); !bytes.Equal(got, ref) {
			t.Errorf("%d workers, writes of %d bytes: other bytes", workers, step)
		}
	}
	got, err := inflate(t, bytes.NewReader(ref))
	if err != nil || !bytes.Equal(got, bytes.Join(pieces, nil)) {
		t.Errorf("read back %d bytes: %v", len(got), err)
	}
	if out := stock(t, ref, "zstd", "-dc"); !bytes.Equal(out, bytes.Join(pieces, nil)) {
		t.Error("zstd -dc gives other bytes")
	}
}

func TestOuterFrames(t *testing.T) {
	pieces := [][]byte{text(1, 3<<20+1), noise(2, 1<<20+5), text(3, 1<<19), noise(4, 3<<20)}
	packed := outer(t, 2, 1<<16, pieces...)
	var sizes []int
	d := NewDecompressor()
	err := Frames(bytes.NewReader(packed), func(f Frame) error {
		b, err := d.Frame(nil, f.Packed)
		sizes = append(sizes, len(b))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, n := range sizes {
		if n > FrameMax || n < frameLow && i < len(sizes)-1 {
			t.Errorf("frame %d of %d has %d bytes", i, len(sizes), n)
		}
	}
	if len(packed) > 6<<20 {
		t.Errorf("%d bytes for 4 MiB of noise and 3.5 MiB of text", len(packed))
	}
}

type failing struct {
	w    bytes.Buffer
	left int
}

var errDisk = errors.New("disk is gone")

func (f *failing) Write(p []byte) (int, error) {
	if f.left -= len(p); f.left < 0 {
		return 0, errDisk
	}
	return f.w.Write(p)
}

func TestOuterWriteError(t *testing.T) {
	f := &failing{left: 3 << 20}
	o := NewOuterWriter(f, 2)
	var err error
	for range 100 {
		if _, err = o.Write(noise(9, 1<<20)); err != nil {
			break
		}
	}
	if !errors.Is(err, errDisk) {
		t.Errorf("Write went on: %v", err)
	}
	if err := o.Close(); !errors.Is(err, errDisk) {
		t.Errorf("Close: %v", err)
	}
	if f.w.Len() > 3<<20 {
		t.Error("written after the error")
	}
	if _, err := o.Write([]byte("x")); err == nil {
		t.Error("write after close")
	}
}

func TestOuterEmpty(t *testing.T) {
	if b := outer(t, 2, 1); len(b) != 0 {
		t.Errorf("%d bytes for nothing", len(b))
	}
	_, err := inflate(t, strings.NewReader(""))
	want(t, err, code.ZstdBad)
}

func TestReaderTakesAnySource(t *testing.T) {
	data := text(1, 300<<10)
	packed := EncodeFrame(nil, data)
	for name, r := range map[string]io.Reader{"one byte": iotest.OneByteReader(bytes.NewReader(packed)), "half": iotest.HalfReader(bytes.NewReader(packed)), "data with EOF": iotest.DataErrReader(bytes.NewReader(packed))} {
		got, err := inflate(t, r)
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
	if err := iotest.TestReader(NewReader(bytes.NewReader(packed)), data); err != nil {
		t.Error(err)
	}
}

func TestReaderPassesErrorsOfTheSource(t *testing.T) {
	packed := outer(t, 1, 1<<20, text(1, 5<<20))
	for _, n := range []int{0, 2, 10, len(packed) / 2, len(packed)} {
		got, err := inflate(t, io.MultiReader(bytes.NewReader(packed[:n]), iotest.ErrReader(errDisk)))
		if !errors.Is(err, errDisk) || code.Of(err) != code.Bug {
			t.Errorf("after %d bytes: %v (%d bytes out)", n, err, len(got))
		}
	}
}

func TestReaderClose(t *testing.T) {
	packed := outer(t, 1, 1<<20, bytes.Repeat(text(1, 1<<20), 20))
	for _, read := range []int64{0, 1, 3 << 20} {
		z := NewReader(bytes.NewReader(packed))
		if _, err := io.CopyN(io.Discard, z, read); err != nil {
			t.Fatal(err)
		}
		z.Close()
		z.Close()
		if _, err := z.Read(make([]byte, 1)); err == nil || err == io.EOF {
			t.Errorf("read after close: %v", err)
		}
	}
}

func TestReaderLimit(t *testing.T) {
	packed := outer(t, 1, 1<<20, text(1, 5<<20))
	for limit, ok := range map[int64]bool{5 << 20: true, 5<<20 - 1: false, 1: false, 0: true} {
		z := NewReader(bytes.NewReader(packed))
		z.Limit(limit)
		n, err := io.Copy(io.Discard, z)
		z.Close()
		if ok != (err == nil) || !ok && (code.Of(err) != code.ZstdBomb || n != limit) {
			t.Errorf("limit %d: %d bytes, %v", limit, n, err)
		}
	}
}

func TestReaderTakesStockStreams(t *testing.T) {
	data := text(1, 5<<20)
	for _, args := range [][]string{{"-3", "-c"}, {"-12", "-c", "--single-thread"}, {"-c", "--stream-size=5242880"}, {"-1", "-c", "-T2"}} {
		got, err := inflate(t, bytes.NewReader(stock(t, data, "zstd", args...)))
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("zstd %v: %d bytes, %v", args, len(got), err)
		}
	}
	_, err := inflate(t, bytes.NewReader(stock(t, text(1, 1<<20), "zstd", "-c", "--long=27")))
	want(t, err, code.ZstdWindow)
	_, err = inflate(t, bytes.NewReader(stock(t, data, "zstd", "-c", "--no-check")))
	want(t, err, code.ZstdForm)
}

func TestEncodeStream(t *testing.T) {
	data := text(1, 3<<20+9)
	var b bytes.Buffer
	w, err := EncodeStream(&b)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(w, iotest.HalfReader(bytes.NewReader(data))); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	frames := 0
	if err := Frames(bytes.NewReader(b.Bytes()), func(f Frame) error {
		out, err := DecodeFrame(nil, f.Packed)
		if len(out) > streamFrame {
			t.Errorf("a frame of %d bytes", len(out))
		}
		frames++
		return err
	}); err != nil || frames != 4 {
		t.Errorf("%d frames, %v", frames, err)
	}
	if got, err := inflate(t, &b); err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

func TestFrameRoundTrip(t *testing.T) {
	c, d := NewCompressor(), NewDecompressor()
	room := make([]byte, 0, FrameMax+10)
	for _, n := range []int{1, 2, 200, 255, 256, 257, 1023, 1024, 1025, 65535, 65536 + 255, 65536 + 256, 128 << 10, 1 << 20, FrameMax} {
		for name, data := range map[string][]byte{"text": text(uint64(n), n), "noise": noise(uint64(n), n), "same": bytes.Repeat([]byte("a"), n)} {
			f := c.Frame(nil, data)
			if !bytes.Equal(f, EncodeFrame(nil, data)) {
				t.Errorf("%s %d: the bytes depend on what was packed before", name, n)
			}
			if m, err := NextFrame(append(f[:len(f):len(f)], "more"...)); m != len(f) || err != nil {
				t.Errorf("%s %d: NextFrame %d of %d, %v", name, n, m, len(f), err)
			}
			got, err := d.Frame(append(room[:0], "before"...), f)
			if err != nil || string(got[:6]) != "before" || !bytes.Equal(got[6:], data) {
				t.Errorf("%s %d: %v", name, n, err)
			}
		}
	}
	if got := c.Frame([]byte("x"), nil); string(got) != "x" {
		t.Error("an empty frame was made")
	}
}

func TestNextFrameOfEveryPrefix(t *testing.T) {
	f := EncodeFrame(nil, text(1, 300<<10))
	for n := range len(f) {
		if _, err := NextFrame(f[:n]); err != io.ErrUnexpectedEOF {
			t.Fatalf("%d of %d bytes: %v", n, len(f), err)
		}
	}
}

func TestFramesOffsets(t *testing.T) {
	var shard []byte
	var offs []int64
	for i := range 20 {
		offs = append(offs, int64(len(shard)))
		shard = EncodeFrame(shard, text(uint64(i), 1+i*50000))
	}
	i := 0
	err := Frames(bytes.NewReader(shard), func(f Frame) error {
		if f.Offset != offs[i] {
			t.Errorf("frame %d at %d, want %d", i, f.Offset, offs[i])
		}
		i++
		return nil
	})
	if err != nil || i != 20 {
		t.Errorf("%d frames, %v", i, err)
	}
	if err := Frames(bytes.NewReader(shard), func(Frame) error { return errDisk }); err != errDisk {
		t.Errorf("error of fn: %v", err)
	}
}

func TestCut(t *testing.T) {
	for _, row := range []struct {
		bytes, lines int64
		n            uint
	}{{0, 0, 0}, {2900 * 1000, 1000, 8}, {1 << 19, 1, 0}, {1<<19 - 1, 1, 1}, {1 << 20, 1, 0}, {1, 1, 19}, {1_400_000_000, 500_000, 8}} {
		if got := CutBits(row.bytes, row.lines); got != row.n {
			t.Errorf("CutBits(%d, %d) = %d, want %d", row.bytes, row.lines, got, row.n)
		}
	}
	hits := 0
	for i := range 1 << 12 {
		if Cut("advisory", fmt.Sprint("GO-2025-", i), 6) {
			hits++
		}
	}
	if hits < 40 || hits > 90 {
		t.Errorf("%d cuts in 4096 keys with n = 6", hits)
	}
	if !Cut("advisory", strings.Repeat("k", 1024), 0) || !Cut("finding", "", 0) {
		t.Error("n = 0 cuts after every key")
	}
	// printf 'advisory\0GO-2025-32' | sha256sum ends in …1b511fc91e964a00: nine zero bits
	for n, cut := range map[uint]bool{8: true, 9: true, 10: false, 63: false, 64: false} {
		if Cut("advisory", "GO-2025-32", n) != cut {
			t.Errorf("GO-2025-32 with n = %d: cut %v", n, !cut)
		}
	}
	if Cut("finding", "GO-2025-32", 8) {
		t.Error("the kind is not part of the cut")
	}
}

func TestGzip(t *testing.T) {
	data := text(1, 2<<20)
	var b bytes.Buffer
	w := GzipWriter(&b)
	w.Write(data)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	good := b.Bytes()
	read := func(in []byte, max int64) ([]byte, error) {
		r, err := GzipReader(bytes.NewReader(in), max)
		if err != nil {
			return nil, err
		}
		return io.ReadAll(r)
	}
	if got, err := read(good, int64(len(data))); err != nil || !bytes.Equal(got, data) {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	if out := stock(t, good, "gzip", "-dc"); !bytes.Equal(out, data) {
		t.Error("gzip -dc gives other bytes")
	}
	change := func(at int) []byte {
		b := bytes.Clone(good)
		b[(at+len(b))%len(b)] ^= 1
		return b
	}
	for name, bad := range map[string][]byte{
		"empty": nil, "no gzip": []byte("plain text, no gzip"), "cut": good[:len(good)/2], "cut in the header": good[:5], "cut in the trailer": good[:len(good)-1],
		"wrong CRC": change(-8), "wrong ISIZE": change(-1), "multistream": append(bytes.Clone(good), good...), "one byte behind": append(bytes.Clone(good), 0),
		"damaged": change(len(good) / 2),
	} {
		_, err := read(bad, 1<<30)
		if code.Of(err) != code.GzipBad {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got, err := read(good, int64(len(data))-1); code.Of(err) != code.GzipBad || len(got) != len(data)-1 {
		t.Errorf("one byte over the limit: %d bytes, %v", len(got), err)
	}
	var flat bytes.Buffer
	w = GzipWriter(&flat)
	w.Write(make([]byte, 64<<20))
	w.Close()
	if got, err := read(flat.Bytes(), 1<<20); code.Of(err) != code.GzipBad || len(got) != 1<<20 {
		t.Errorf("1032:1: %d bytes from %d, %v", len(got), flat.Len(), err)
	}
	r, err := GzipReader(io.MultiReader(bytes.NewReader(good[:1000]), iotest.ErrReader(errDisk)), 1<<30)
	if err == nil {
		_, err = io.ReadAll(r)
	}
	if !errors.Is(err, errDisk) {
		t.Errorf("an error of the source: %v", err)
	}
}
