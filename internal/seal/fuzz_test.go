package seal

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"sallyport/internal/code"
)

// FuzzDARE: whatever comes out of a stream was sealed with the key, in its order, and an end that was cut is an error.
func FuzzDARE(f *testing.F) {
	k, err := NewDareKey(bytes.NewReader(bytes.Repeat([]byte{7}, 32)))
	if err != nil {
		f.Fatal(err)
	}
	plain := bytes.Repeat([]byte("sally"), 14000) // two packages
	var b bytes.Buffer
	w, err := EncryptDARE(&b, k, bytes.NewReader(bytes.Repeat([]byte{9}, 64)))
	if err != nil {
		f.Fatal(err)
	}
	if _, err := w.Write(plain); err != nil {
		f.Fatal(err)
	}
	if err := w.Close(); err != nil {
		f.Fatal(err)
	}
	good := b.Bytes()
	f.Add(good[:200], 0)
	f.Add([]byte{}, len(good))
	f.Add([]byte{0x20, 1}, 0)
	f.Add([]byte{0x10}, 0)
	f.Add(good[darePackage:], 0)
	// The first keep bytes of the right stream, then in: so that the fuzzer gets beyond the first package.
	f.Fuzz(func(t *testing.T, in []byte, keep int) {
		if keep < 0 || keep > len(good) {
			t.Skip()
		}
		stream := append(bytes.Clone(good[:keep]), in...)
		r, err := DecryptDARE(bytes.NewReader(stream), k)
		var got []byte
		if err == nil {
			got, err = io.ReadAll(r)
		}
		if !bytes.HasPrefix(plain, got) {
			t.Fatal("bytes came out that were never sealed")
		}
		if err == nil && (!bytes.Equal(stream, good) || !bytes.Equal(got, plain)) {
			t.Fatalf("%d bytes of %d were taken for all", len(got), len(plain))
		}
		switch code.Of(err) {
		case "", code.SealDamaged, code.SealForm, code.SealLimit, code.NotForUs:
		default:
			t.Fatalf("no code of ours: %v", err)
		}
	})
}

// FuzzAge: the same for age streams, behind a right header.
func FuzzAge(f *testing.F) {
	me := identity(f, false)
	plain := bytes.Repeat([]byte("port"), 20000) // two chunks
	good := sealed(f, plain, me.Recipient())
	f.Add([]byte{}, len(good))
	f.Add([]byte{0}, len(good))
	f.Add(good[len(good)-100:], len(good)-200)
	f.Add(good, 0)
	f.Fuzz(func(t *testing.T, in []byte, keep int) {
		if keep < 0 || keep > len(good) {
			t.Skip()
		}
		stream := append(bytes.Clone(good[:keep]), in...)
		r, err := Decrypt(bytes.NewReader(stream), me)
		var got []byte
		if err == nil {
			got, err = io.ReadAll(r)
		}
		if !bytes.HasPrefix(plain, got) {
			t.Fatal("bytes came out that were never sealed")
		}
		if err == nil && !bytes.Equal(stream, good) {
			t.Fatalf("another stream opened: %d bytes of %d", len(got), len(plain))
		}
		switch code.Of(err) {
		case "", code.SealDamaged, code.SealForm, code.SealLimit, code.NotForUs:
		default:
			t.Fatalf("no code of ours: %v", err)
		}
	})
}

// FuzzKeys: recipients, key files and shared keys are read from one form, written back as they were, and never repeated in
// an error.
func FuzzKeys(f *testing.F) {
	for _, hybrid := range []bool{false, true} {
		id := identity(f, hybrid)
		f.Add("# a comment\n" + id.String() + "\n")
		f.Add(id.Recipient().String())
		f.Add(strings.ToUpper(id.Recipient().String()))
	}
	f.Add(DareKey{1}.String() + "\n")
	f.Add("ssh-ed25519 AAAA")
	f.Fuzz(func(t *testing.T, s string) {
		if r, err := ParseRecipient(s); err == nil && r.String() != s {
			t.Fatalf("%q is read as %q", s, r)
		} else if err != nil && code.Of(err) != code.KeyBad {
			t.Fatalf("no code of ours: %v", err)
		}
		ids, err := ParseIdentities([]byte(s))
		if err != nil && (code.Of(err) != code.KeyBad || len(s) > 20 && strings.Contains(err.Error(), s)) {
			t.Fatalf("no code of ours, or it repeats the key: %v", err)
		}
		for _, id := range ids {
			if again, err := ParseIdentities([]byte(id.String())); err != nil || again[0].String() != id.String() {
				t.Fatalf("%q is not read back: %v", id, err)
			}
		}
		k, err := ParseDareKey([]byte(s))
		if err == nil && (strings.TrimSpace(s) != k.String() || k == DareKey{}) {
			t.Fatalf("%q is read as %q", s, k)
		}
	})
}
