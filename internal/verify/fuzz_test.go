package verify_test

import (
	"bytes"
	"context"
	"testing"
	"testing/fstest"

	"sallyport/internal/attest"
	"sallyport/internal/code"
	"sallyport/internal/forge"
	"sallyport/internal/verify"
)

// Any bytes offered as a payload are refused with a code, or are the one bundle that was signed.
func FuzzPayload(f *testing.F) {
	w, b := fuzzBundle(f)
	o := verify.Options{Trust: verify.Trust{Keys: []*attest.Key{w.Hub.Bundle.Public()}}}
	f.Add(b.Payload)
	f.Fuzz(func(t *testing.T, in []byte) {
		got, err := verify.Payload(context.Background(), bytes.NewReader(in), "in", o)
		if err == nil && got.ID() != b.ID || err != nil && code.Of(err) == code.Bug {
			t.Fatalf("%v, %v", got, err)
		}
	})
}

// Any archive, rightly compressed, likewise.
func FuzzArchive(f *testing.F) {
	w, b := fuzzBundle(f)
	o := verify.Options{Trust: verify.Trust{Keys: []*attest.Key{w.Hub.Bundle.Public()}}}
	tar, err := forge.Tar(b.Members)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(tar)
	f.Fuzz(func(t *testing.T, in []byte) {
		z, err := forge.Zstd(in)
		if err != nil {
			t.Skip()
		}
		got, err := verify.Payload(context.Background(), bytes.NewReader(z), "in", o)
		if err == nil && got.ID() != b.ID || err != nil && code.Of(err) == code.Bug {
			t.Fatalf("%v, %v", got, err)
		}
	})
}

// Any bytes offered as a label likewise.
func FuzzLabel(f *testing.F) {
	w, b := fuzzBundle(f)
	o := verify.Options{Trust: verify.Trust{Keys: []*attest.Key{w.Hub.Bundle.Public()}}}
	name := find(b.Files, b.Dir, ".label.json")
	f.Add(b.Files[name])
	f.Fuzz(func(t *testing.T, in []byte) {
		fsys := b.FS()
		fsys[name] = &fstest.MapFile{Data: in, Mode: 0o644}
		got, err := verify.CheckLabel(context.Background(), fsys, b.Dir, o)
		if err == nil && got.ID() != b.LabelID || err != nil && code.Of(err) == code.Bug {
			t.Fatalf("%v, %v", got, err)
		}
	})
}

func fuzzBundle(f *testing.F) (*forge.World, *forge.Bundle) {
	f.Helper()
	w, err := forge.NewWorld(1)
	if err != nil {
		f.Fatal(err)
	}
	b, err := forge.Plan{From: w.Hub, Feeds: []forge.Feed{{Name: "f", Generation: 1, Epoch: 1, Lines: 2}}}.Build()
	if err != nil {
		f.Fatal(err)
	}
	return w, b
}
