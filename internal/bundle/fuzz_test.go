package bundle

import (
	"bytes"
	"testing"

	"sallyport/internal/canon"
	"sallyport/internal/code"
	"sallyport/internal/digest"
)

// document fuzzes one document of ours: what is accepted is what its own encoder writes, and what is refused has a code.
func document[T interface{ Encode() ([]byte, error) }](f *testing.F, sample T, parse func([]byte) (T, error)) {
	f.Helper()
	good, err := sample.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(bytes.Replace(good, []byte(`"version":1`), []byte(`"version":2`), 1))
	f.Add(bytes.Replace(good, []byte(`"schema":`), []byte(`"ext":{"x":[1]},"schema":`), 1))
	f.Add(good[:len(good)/2])
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := parse(b)
		if err != nil {
			if c := code.Of(err); c == "" || c == code.Bug {
				t.Fatalf("no code of ours: %v", err)
			}
			return
		}
		if again, err := v.Encode(); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%q gives %q %v", b, again, err)
		}
		if line, err := canon.Line(b); err != nil || !bytes.Equal(line, b) {
			t.Fatalf("%q is not canonical: %v", b, err)
		}
	})
}

func FuzzLabel(f *testing.F)     { document(f, sampleLabel(), ParseLabel) }
func FuzzCard(f *testing.F)      { document(f, sampleCard(f), ParseCard) }
func FuzzInventory(f *testing.F) { document(f, sampleInventory(), ParseInventory) }
func FuzzReceipt(f *testing.F)   { document(f, sampleReceipt(), ParseReceipt) }
func FuzzAnchor(f *testing.F)    { document(f, sampleAnchor(), ParseAnchor) }

// FuzzTombstone: a line that is accepted is the line its encoder writes.
func FuzzTombstone(f *testing.F) {
	f.Add(EncodeTombstone(nil, Tombstone{Key: `a"\é`, Was: digest.Of([]byte("x"))}))
	f.Add([]byte(`{"key":"k","was":"sha256:00"}`))
	f.Add([]byte(`{"was":"","key":""}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := ParseTombstone(b)
		if err != nil {
			if c := code.Of(err); c == "" || c == code.Bug {
				t.Fatalf("no code of ours: %v", err)
			}
			return
		}
		text := bytes.TrimSuffix(b, []byte("\n"))
		if again := bytes.TrimSuffix(EncodeTombstone(nil, v), []byte("\n")); !bytes.Equal(again, text) {
			t.Fatalf("%q was read as %q", b, again)
		}
		if err := CheckKey(v.Key); err != nil {
			t.Fatalf("a key that may not be: %q", v.Key)
		}
	})
}
