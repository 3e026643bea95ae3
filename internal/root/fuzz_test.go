package root

import (
	"bytes"
	"testing"
	"time"

	"sallyport/internal/attest"
	"sallyport/internal/canon"
	"sallyport/internal/code"
)

// FuzzEnvelope: no bytes but those the root keys signed make a first root, or follow one.
func FuzzEnvelope(f *testing.F) {
	k := cast(f)
	first, next := fuzzRoots(f, k)
	f.Add(first)
	f.Add(next)
	f.Add(bytes.Replace(next, []byte(`"payloadType"`), []byte(`"payloadtype"`), 1))
	one, err := First(first, time.Time{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if two, err := one.Next(b, time.Time{}); err == nil { // the version that is trusted may come again
			if want := map[int64][]byte{1: first, 2: next}[two.Document().RootVersion]; want == nil || !bytes.Equal(signedText(t, b), signedText(t, want)) {
				t.Fatalf("a successor nobody signed: %q", b)
			}
		} else if code.Of(err) == "" || code.Of(err) == code.Bug {
			t.Fatalf("no code of ours: %v", err)
		}
		got, err := First(b, time.Time{})
		if err != nil {
			return
		}
		// a first root vouches for itself, so any may stand alone; what it says is canonical and its id is its digest
		if text := signedText(t, b); got.Document().RootVersion != 1 || !canonical(text) {
			t.Fatalf("%q", text)
		}
	})
}

// FuzzDocument: whatever document the right keys sign, only one that keeps the rules is followed, and it reads back the same.
func FuzzDocument(f *testing.F) {
	k := cast(f)
	first, next := fuzzRoots(f, k)
	f.Add(signedText(f, first))
	f.Add(signedText(f, next))
	one, err := First(first, time.Time{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		env, err := attest.Sign(attest.TypeRoot, text, k.r1)
		if err != nil {
			t.Skip()
		}
		two, err := one.Next(env, time.Time{})
		if err != nil {
			if c := code.Of(err); c == "" || c == code.Bug {
				t.Fatalf("no code of ours: %v", err)
			}
			return
		}
		d := two.Document()
		again, err := canon.Marshal(d)
		if err != nil || !bytes.Equal(again, text) || d.RootVersion != 2 && !bytes.Equal(text, signedText(t, first)) || d.RootVersion == 2 && d.RootID != one.ID() || d.Roles[RoleRoot].Threshold < 1 {
			t.Fatalf("%q gives %q, %v", text, again, err)
		}
	})
}

func fuzzRoots(f *testing.F, k keys) (first, next []byte) {
	f.Helper()
	doc := k.base()
	first, err := New(doc, k.r1)
	if err != nil {
		f.Fatal(err)
	}
	one, err := First(first, time.Time{})
	if err != nil {
		f.Fatal(err)
	}
	doc.RootVersion, doc.RootID = 2, one.ID()
	if next, err = New(doc, k.r1); err != nil {
		f.Fatal(err)
	}
	return first, next
}

func signedText(t testing.TB, env []byte) []byte {
	t.Helper()
	c, err := attest.Inspect(env)
	if err != nil {
		t.Fatal(err)
	}
	return c.Payload
}

func canonical(b []byte) bool {
	line, err := canon.Line(b)
	return err == nil && bytes.Equal(line, b)
}
