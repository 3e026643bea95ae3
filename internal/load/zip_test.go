package load

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"sallyport/internal/code"
	"sallyport/internal/sample"
)

// survey reads every member of a zip, as a load would.
func survey(path string) (bodies map[string][]byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	a, err := openArchive(f, st.Size())
	if err != nil {
		return nil, err
	}
	var z inflater
	bodies = map[string][]byte{}
	err = a.each(func(m member) error {
		if err := z.seek(f, m); err != nil {
			return err
		}
		body, err := z.read(m)
		bodies[m.name] = bytes.Clone(body)
		return err
	})
	return bodies, err
}

func TestZipAgreesWithStandardLibrary(t *testing.T) {
	path := dump(t, 3, sample.Week{To: 40})
	got, err := survey(path)
	must(t, err)
	z, err := zip.OpenReader(path)
	must(t, err)
	defer z.Close()
	for _, f := range z.File {
		r, err := f.Open()
		must(t, err)
		want, err := io.ReadAll(r)
		must(t, err)
		if !bytes.Equal(got[f.Name], want) {
			t.Errorf("%s differs", f.Name)
		}
	}
	if len(got) != len(z.File) {
		t.Errorf("%d members, want %d", len(got), len(z.File))
	}
}

func TestStoredMembersAndComments(t *testing.T) {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	f, err := z.CreateHeader(&zip.FileHeader{Name: "a.json", Method: zip.Store, Comment: "PK\x05\x06 inside a comment"})
	must(t, err)
	f.Write([]byte("stored"))
	must(t, z.SetComment("a comment at the end"))
	must(t, z.Close())
	if got, err := survey(file(t, "x.zip", b.Bytes())); err != nil || string(got["a.json"]) != "stored" {
		t.Errorf("%q %v", got, err)
	}
}

// TestHostileZips: one defect each.
func TestHostileZips(t *testing.T) {
	good, err := os.ReadFile(zipOf(t, "a.json", strings.Repeat("some text ", 500), "b.json", "other"))
	must(t, err)
	le := binary.LittleEndian
	central := bytes.Index(good, []byte("PK\x01\x02"))
	end := bytes.Index(good, []byte("PK\x05\x06"))
	second := central + 4 + bytes.Index(good[central+4:], []byte("PK\x01\x02"))
	for name, spoil := range map[string]func(b []byte) []byte{
		"cut short":               func(b []byte) []byte { return b[:len(b)-7] },
		"bytes after the end":     func(b []byte) []byte { return append(b, "xx"...) },
		"more members than there": func(b []byte) []byte { le.PutUint16(b[end+10:], 3); return b },
		"fewer than there":        func(b []byte) []byte { le.PutUint16(b[end+10:], 1); return b },
		"directory elsewhere":     func(b []byte) []byte { le.PutUint32(b[end+16:], 5); return b },
		"a split archive":         func(b []byte) []byte { le.PutUint16(b[end+4:], 1); return b },
		"encrypted":               func(b []byte) []byte { b[central+8] |= 1; return b },
		"another packing":         func(b []byte) []byte { le.PutUint16(b[central+10:], 14); return b },
		"a wrong checksum":        func(b []byte) []byte { b[central+16] ^= 1; return b },
		"a smaller size":          func(b []byte) []byte { le.PutUint32(b[central+24:], 4999); return b },
		"a larger size":           func(b []byte) []byte { le.PutUint32(b[central+24:], 5001); return b },
		"a huge size":             func(b []byte) []byte { le.PutUint32(b[central+24:], 1<<31); return b },
		"members on one place":    func(b []byte) []byte { copy(b[second+20:], []byte{0xff, 0xff, 0, 0}); return b },
		"outside the file":        func(b []byte) []byte { le.PutUint32(b[second+42:], uint32(len(b))); return b },
		"no local header":         func(b []byte) []byte { le.PutUint32(b[second+42:], 1); return b },
		"another local name":      func(b []byte) []byte { le.PutUint16(b[26:], 7); return b },
		"no name":                 func(b []byte) []byte { le.PutUint16(b[central+28:], 0); return b },
		"a long name":             func(b []byte) []byte { le.PutUint16(b[central+28:], 0xfff0); return b },
		"ZIP64 without a locator": func(b []byte) []byte { le.PutUint16(b[end+10:], 0xffff); return b },
		"a damaged member":        func(b []byte) []byte { b[50] ^= 0xff; return b },
	} {
		_, err := survey(file(t, "x.zip", spoil(bytes.Clone(good))))
		if !code.Has(err, code.ZipBad) && !code.Has(err, code.LineLimit) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestBomb: a small zip that claims much, whichever way, costs no memory and is refused or rejected.
func TestBomb(t *testing.T) {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	f, err := z.Create("bomb.json")
	must(t, err)
	for range 64 {
		_, err := f.Write(make([]byte, 1<<20))
		must(t, err)
	}
	f, err = z.Create("A.json")
	must(t, err)
	fmt.Fprint(f, advisory("A", "2024", "a"))
	must(t, z.Close())
	w := newWorld(t)
	res := w.load("f", file(t, "x.zip", b.Bytes()))
	if res.Counts != (Counts{Added: 1, Rejected: 1}) || res.Rejects[0].Code != string(code.LineLimit) {
		t.Errorf("%+v", res)
	}
}

// TestDamagedZips flips bytes everywhere: an answer or a code, never a panic, never a body with another checksum.
func TestDamagedZips(t *testing.T) {
	good, err := os.ReadFile(zipOf(t, "a.json", strings.Repeat("text ", 50), "b.json", "other"))
	must(t, err)
	path := file(t, "x.zip", nil)
	r := rand.New(rand.NewPCG(1, 1))
	for range 2000 {
		b := bytes.Clone(good)
		for range 1 + r.IntN(3) {
			b[r.IntN(len(b))] = byte(r.IntN(256))
		}
		must(t, os.WriteFile(path, b, 0o600))
		if _, err := survey(path); err != nil && !code.Has(err, code.ZipBad) && !code.Has(err, code.LineLimit) {
			t.Fatalf("%v has no code of ours", err)
		}
	}
}
