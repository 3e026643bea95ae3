package pack

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"testing"

	"sallyport/internal/digest"
)

// mixed is 32 MiB as a bundle has it: half of it compressed before.
func mixed() (plain, stored []byte) { return bytes.Repeat(text(1, 4<<20), 4), noise(2, 16<<20) }

func BenchmarkOuterWriter(b *testing.B) {
	plain, stored := mixed()
	for _, workers := range []int{1, 2} {
		for name, f := range map[string]func(*OuterWriter){
			"text":   func(o *OuterWriter) { o.Write(plain) },
			"stored": func(o *OuterWriter) { o.Stored(true); o.Write(stored) },
		} {
			b.Run(fmt.Sprintf("%s/workers-%d", name, workers), func(b *testing.B) {
				b.SetBytes(16 << 20)
				b.ReportAllocs()
				for b.Loop() {
					o := NewOuterWriter(io.Discard, workers)
					f(o)
					if err := o.Close(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkReader(b *testing.B) {
	plain, stored := mixed()
	for name, packed := range map[string][]byte{"text": outer(b, 2, 1<<20, plain), "stored": outer(b, 2, 1<<20, nil, stored), "one-frame": streamed(b, plain)} {
		for _, hash := range []bool{false, true} {
			b.Run(fmt.Sprintf("%s/hash-%v", name, hash), func(b *testing.B) {
				b.SetBytes(16 << 20)
				b.ReportAllocs()
				for b.Loop() {
					z := NewReader(bytes.NewReader(packed))
					w := io.Discard
					if hash {
						w = digest.NewWriter(nil)
					}
					if _, err := io.Copy(w, z); err != nil {
						b.Fatal(err)
					}
					z.Close()
				}
			})
		}
	}
}

func BenchmarkFrame(b *testing.B) {
	lines := text(1, 512<<10)
	c, d := NewCompressor(), NewDecompressor()
	packed := c.Frame(nil, lines)
	out := make([]byte, 0, FrameMax)
	b.Run("encode", func(b *testing.B) {
		b.SetBytes(int64(len(lines)))
		for b.Loop() {
			out = c.Frame(out[:0], lines)
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.SetBytes(int64(len(lines)))
		for b.Loop() {
			if _, err := d.Frame(out[:0], packed); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("sha256", func(b *testing.B) {
		b.SetBytes(int64(len(lines)))
		for b.Loop() {
			sha256.Sum256(lines)
		}
	})
}
