package load

import (
	"archive/zip"
	"bytes"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"testing"

	"sallyport/internal/code"
)

// FuzzZip: what the reader takes, the standard library takes too and with the same bytes; no member is larger than the limit.
func FuzzZip(f *testing.F) {
	for _, name := range []string{filepath.Join("..", "demo", "testdata", "osv.zip")} {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		if len(b) < 1<<16 {
			f.Add(b)
		}
	}
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, m := range []zip.FileHeader{{Name: "a.json", Method: zip.Deflate}, {Name: "../b.json", Method: zip.Store}, {Name: "c/", Method: zip.Store}} {
		w, err := z.CreateHeader(&m)
		if err != nil {
			f.Fatal(err)
		}
		if m.Name != "c/" {
			if _, err := w.Write([]byte(`{"id":"A"}`)); err != nil {
				f.Fatal(err)
			}
		}
	}
	if err := z.Close(); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	path := filepath.Join(f.TempDir(), "x.zip")
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := survey(path)
		if err != nil {
			if c := code.Of(err); c == "" || c == code.Bug {
				t.Fatalf("no code of ours: %v", err)
			}
			return
		}
		for name, body := range got {
			if len(body) > maxMember || len(name) > maxName {
				t.Fatalf("%d bytes under a name of %d", len(body), len(name))
			}
		}
		r, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			t.Fatalf("the standard library refuses: %v", err)
		}
		for _, m := range r.File {
			have, there := got[m.Name]
			if !there || count(r, m.Name) == 1 && (crc32.ChecksumIEEE(have) != m.CRC32 || uint64(len(have)) != m.UncompressedSize64) {
				t.Fatalf("%q: not what the directory says", m.Name)
			}
			o, err := m.Open()
			if err != nil {
				t.Fatalf("the standard library refuses %q: %v", m.Name, err)
			}
			want, err := io.ReadAll(io.LimitReader(o, maxMember+1))
			o.Close()
			if err == nil && !bytes.Equal(have, want) && count(r, m.Name) == 1 { // it also judges the sum behind a member, which nobody needs
				t.Fatalf("%q: %d bytes here, %d there", m.Name, len(have), len(want))
			}
		}
	})
}

// count tells how many members have a name: of two with one name the later body is kept.
func count(r *zip.Reader, name string) (n int) {
	for _, m := range r.File {
		if m.Name == name {
			n++
		}
	}
	return n
}
