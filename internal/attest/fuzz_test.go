package attest

import (
	"bytes"
	"encoding/json"
	"testing"

	"sallyport/internal/canon"
	"sallyport/internal/code"
)

// FuzzEnvelope: whatever verifies is, byte for byte, the canonical form of what was signed, and nobody signed anything else.
func FuzzEnvelope(f *testing.F) {
	a := cast(f)
	signed := map[string]bool{}
	for _, text := range []string{`{"a":1}`, `{"schema":"x"}`} {
		env, err := Sign(TypeManifest, []byte(text), a.hub, a.pack)
		if err != nil {
			f.Fatal(err)
		}
		signed[text] = true
		f.Add(env)
	}
	for _, v := range cases(f) {
		var env struct{ Payload []byte }
		if json.Unmarshal(v.body, &env) == nil {
			signed[string(env.Payload)] = true
		}
		if len(v.body) < 4096 {
			f.Add(v.body)
		}
	}
	p := a.policy(1)
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := Verify(b, p)
		if err != nil {
			if code.Of(err) == code.Bug || code.Of(err) == "" {
				t.Fatalf("no code of ours: %v", err)
			}
			return
		}
		if again, err := canon.Line(b); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%q verified and is not canonical: %v", b, err)
		}
		if !signed[string(v.Payload())] {
			t.Fatalf("nobody signed %q", v.Payload())
		}
	})
}

// FuzzRaw: of all texts only the one that was made verifies (RFC 6979), and only over the blob it was made for.
func FuzzRaw(f *testing.F) {
	hub := signer(f, ECDSA, "hub")
	blob := []byte(`{"a":1}`)
	good, err := SignRaw(hub, blob)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good, blob)
	f.Add(append(bytes.Clone(good), '\n'), blob)
	f.Add(good, []byte("DSSEv1 1 a 1 b"))
	f.Add(good, []byte{0x1f, 0x8b, 8})
	f.Fuzz(func(t *testing.T, sig, b []byte) {
		if err := VerifyRaw(hub.Public(), b, sig); err == nil && (!bytes.Equal(sig, good) || !bytes.Equal(b, blob)) {
			t.Fatalf("%q verifies over %q", sig, b)
		} else if err != nil && code.Of(err) != code.RawSignature {
			t.Fatalf("no code of ours: %v", err)
		}
	})
}

// FuzzKey: a public key is read from one form only, and written back as it was.
func FuzzKey(f *testing.F) {
	for _, alg := range []string{ECDSA, Ed25519} {
		k := signer(f, alg, "hub").Public()
		f.Add(k.PEM())
		f.Add(k.DER())
		f.Add([]byte(k.Text()))
		priv, err := signer(f, alg, "hub").PEM()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(priv)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if k, err := ParseKey(b); err == nil {
			if again, err := ParseKey(k.PEM()); err != nil || !again.Equal(k) || !bytes.Equal(b, k.DER()) && !bytes.Contains(b, []byte("PUBLIC KEY")) {
				t.Fatalf("%q: %v", b, err)
			}
		} else if code.Of(err) != code.KeyBad {
			t.Fatalf("no code of ours: %v", err)
		}
		if k, err := ParseKeyText(string(b)); err == nil && k.Text() != string(b) {
			t.Fatalf("%q is read as %q", b, k.Text())
		}
		s, err := ParseSigner(b)
		if err != nil {
			return
		}
		text, err := s.PEM()
		if err != nil {
			t.Fatal(err)
		}
		if again, err := ParseSigner(text); err != nil || !again.Public().Equal(s.Public()) {
			t.Fatalf("a private key that is not read back: %v", err)
		}
	})
}
