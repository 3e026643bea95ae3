package export

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"testing/iotest"

	"sallyport/internal/bundle"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/durable"
)

func noise(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{1})
	r.Read(b)
	return b
}

func TestPipe(t *testing.T) {
	want := noise(100_000)
	p := newPipe(3, 1000)
	got := make(chan []byte)
	go func() {
		b, err := io.ReadAll(iotest.OneByteReader(p))
		if err != nil {
			b = nil
		}
		got <- b
	}()
	for rest, n := want, 1; len(rest) > 0; n = n*3%7919 + 1 {
		k := min(n, len(rest))
		if _, err := p.Write(rest[:k]); err != nil {
			t.Fatal(err)
		}
		rest = rest[k:]
	}
	p.closeWrite(nil)
	if !bytes.Equal(<-got, want) {
		t.Error("other bytes came out")
	}
}

func TestPipeEnds(t *testing.T) {
	p := newPipe(2, 10)
	p.closeRead()
	if _, err := p.Write(noise(100)); !errors.Is(err, errGate) {
		t.Errorf("write to nobody: %v", err)
	}
	p.closeWrite(nil)
	boom := errors.New("boom")
	p = newPipe(2, 10)
	p.Write([]byte("abc"))
	p.closeWrite(boom)
	if b, err := io.ReadAll(p); string(b) != "abc" || !errors.Is(err, boom) {
		t.Errorf("read %q, %v", b, err)
	}
}

func TestVolumes(t *testing.T) {
	data := noise(10_000)
	for _, tc := range []struct {
		limit int64
		count int
		last  string
	}{{10_000, 1, "x.tar.zst"}, {20_000, 1, "x.tar.zst"}, {9_999, 2, "x.tar.zst.002"}, {333, 31, "x.tar.zst.031"}} {
		dir := t.TempDir()
		v := newVolumes(durable.FS{}, dir, tc.limit)
		for rest := data; len(rest) > 0; {
			n := min(777, len(rest))
			if _, err := v.Write(rest[:n]); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		list, sum, err := v.finish("x", ".tar.zst")
		if err != nil || sum != digest.Of(data) || len(list) != tc.count || list[tc.count-1].Name != tc.last {
			t.Fatalf("limit %d: %d volumes, last %+v, %v", tc.limit, len(list), list[len(list)-1], err)
		}
		var all []byte
		for i, vol := range list {
			b, err := os.ReadFile(filepath.Join(dir, vol.Name))
			if err != nil || int64(len(b)) != vol.Bytes || int64(len(b)) > tc.limit || digest.Of(b) != vol.Digest || vol.N != int64(i+1) {
				t.Fatalf("volume %+v: %d bytes, %v", vol, len(b), err)
			}
			all = append(all, b...)
		}
		if !bytes.Equal(all, data) {
			t.Errorf("limit %d: other bytes", tc.limit)
		}
	}
	v := newVolumes(durable.FS{}, t.TempDir(), 10)
	v.list = make([]bundle.Volume, bundle.MaxVolumes)
	if _, err := v.Write([]byte("x")); code.Of(err) != code.ExportInvalid {
		t.Errorf("too many volumes: %v", err)
	}
	v.abort()
}

func TestSizesOfContentsThatAreStored(t *testing.T) {
	for path, want := range map[string]bool{
		"mirror/indexes/0.index.jsonl.zst": true, "mirror/data/raw/sboms/x/a.json": false, "mirror/data/raw/artifacts/x/A.TGZ": true, "mirror/README.md": false,
	} {
		if got := packed(bundle.Content{Path: path, ContentType: "application/octet-stream"}); got != want {
			t.Errorf("%s: %v", path, got)
		}
	}
}
