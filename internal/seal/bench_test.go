package seal

import (
	"bytes"
	"io"
	"testing"
)

func BenchmarkSeal(b *testing.B) {
	id := identity(b, false)
	plain := pattern(32 << 20)
	file := sealed(b, plain, id.Recipient())
	k := DareKey{1}
	dare := dared(b, k, plain)
	for name, f := range map[string]func() (int64, error){
		"age/seal": func() (int64, error) {
			w, err := Encrypt(io.Discard, id.Recipient())
			if err != nil {
				return 0, err
			}
			n, err := w.Write(plain)
			return int64(n), err
		},
		"age/open": func() (int64, error) {
			r, err := Decrypt(bytes.NewReader(file), id)
			if err != nil {
				return 0, err
			}
			return io.Copy(io.Discard, r)
		},
		"dare/open": func() (int64, error) {
			r, err := DecryptDARE(bytes.NewReader(dare), k)
			if err != nil {
				return 0, err
			}
			return io.Copy(io.Discard, r)
		},
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(plain)))
			b.ReportAllocs()
			for b.Loop() {
				if n, err := f(); err != nil || n != int64(len(plain)) {
					b.Fatal(n, err)
				}
			}
		})
	}
}
