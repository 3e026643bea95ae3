package pack

import (
	"bytes"
	"compress/gzip"
	"io"
	"testing"

	"sallyport/internal/code"
)

// FuzzGzip: the reader gives what the standard library gives for one member and nothing behind it, or refuses; never more
// than was allowed.
func FuzzGzip(f *testing.F) {
	pack := func(b []byte) []byte {
		var out bytes.Buffer
		w := GzipWriter(&out)
		if _, err := w.Write(b); err != nil {
			f.Fatal(err)
		}
		if err := w.Close(); err != nil {
			f.Fatal(err)
		}
		return out.Bytes()
	}
	one := pack([]byte("hello hello hello"))
	f.Add(one)
	f.Add(append(bytes.Clone(one), one...))                   // two members
	f.Add(append(bytes.Clone(one), 0))                        // a byte behind
	f.Add(one[:len(one)-3])                                   // cut in the trailer
	f.Add(pack(make([]byte, 1<<16)))                          // 1032:1
	f.Add(append(one[:len(one)-8:len(one)-8], "wrongsum"...)) // CRC and size
	const most = 1 << 12
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := unzip(b, most)
		if len(got) > most {
			t.Fatalf("%d bytes", len(got))
		}
		if err != nil {
			if code.Of(err) != code.GzipBad {
				t.Fatalf("no code of ours: %v", err)
			}
			return
		}
		src := bytes.NewReader(b)
		z, err := gzip.NewReader(src)
		if err != nil {
			t.Fatalf("the standard library refuses: %v", err)
		}
		z.Multistream(false)
		if want, err := io.ReadAll(z); err != nil || !bytes.Equal(want, got) || src.Len() != 0 {
			t.Fatalf("%d bytes, the standard library gives %d and leaves %d: %v", len(got), len(want), src.Len(), err)
		}
	})
}

func unzip(b []byte, most int64) ([]byte, error) {
	r, err := GzipReader(bytes.NewReader(b), most)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

// FuzzPath: a path that is allowed means the same everywhere.
func FuzzPath(f *testing.F) {
	for _, p := range []string{"mirror/a", "../x", "a//b", "a/./b", `a\b`, "a\x00", "\u212a"} {
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, p string) {
		if CheckPath(p) != nil {
			return
		}
		for _, c := range []byte(p) {
			if c != '.' && c != '_' && c != '/' && c != '-' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
				t.Fatalf("%q has %q", p, c)
			}
		}
		if p == "" || p[0] == '/' || len(p) > 512 || bytes.Contains([]byte("/"+p+"/"), []byte("/../")) || bytes.Contains([]byte("/"+p+"/"), []byte("/./")) || bytes.Contains([]byte(p), []byte("//")) {
			t.Fatalf("%q is allowed", p)
		}
	})
}
