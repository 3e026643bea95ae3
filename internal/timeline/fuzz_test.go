package timeline

import (
	"bytes"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"sallyport/internal/attest"
	"sallyport/internal/bundle"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/ident"
)

// FuzzCheckpoint: only the very note that was signed is believed, and only for the head in it.
func FuzzCheckpoint(f *testing.F) {
	key, err := attest.NewSigner(attest.Ed25519, bytes.NewReader(bytes.Repeat([]byte{3}, 32)))
	if err != nil {
		f.Fatal(err)
	}
	id := ident.ApplianceID(key.Public().Raw())
	head := bundle.Head{Size: 7, Root: digest.Of([]byte("seven"))}
	good := fuzzNote(f, key, id, head)
	f.Add(good, []byte{})
	f.Add(bytes.Replace(good, []byte("\n7\n"), []byte("\n8\n"), 1), []byte{})
	f.Add(append(bytes.Clone(good), "\u2014 other AAAA\n"...), make([]byte, 64))
	f.Fuzz(func(t *testing.T, msg, proof []byte) {
		number, h, err := VerifyCheckpoint(msg, id, key.Public())
		if err != nil {
			if code.Of(err) != code.TimelineBroken {
				t.Fatalf("no code of ours: %v", err)
			}
		} else if number != 1 || h != head || !bytes.HasPrefix(msg, good[:bytes.Index(good, []byte("\n\n"))]) {
			t.Fatalf("%q was believed", msg)
		}
		// a proof of nothing leads nowhere from another beginning
		s := bundle.Log{Checkpoint: string(good), From: &bundle.Head{Size: 3, Root: digest.Of([]byte("three"))}}
		for ; len(proof) >= 32; proof = proof[32:] {
			s.Proof = append(s.Proof, digest.Digest(proof[:32]))
		}
		if _, _, err := VerifySection(s, id, key.Public(), nil); code.Of(err) != code.TimelineBroken {
			t.Fatalf("a proof was believed: %v", err)
		}
	})
}

func fuzzNote(f *testing.F, key *attest.Signer, id string, h bundle.Head) []byte {
	f.Helper()
	origin := Origin(id, 1)
	s, err := newNoteSigner(origin, key)
	if err != nil {
		f.Fatal(err)
	}
	b, err := note.Sign(&note.Note{Text: checkpointText(origin, h)}, s)
	if err != nil {
		f.Fatal(err)
	}
	return b
}
