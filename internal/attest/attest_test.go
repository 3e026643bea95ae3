package attest

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"

	"sallyport/internal/code"
	"sallyport/internal/digest"
)

var update = flag.Bool("update", false, "write the vectors anew")

const vectorDir = "../../testdata/vectors/envelopes"

// seeded gives the same bytes for the same name.
func seeded(name string) *bytes.Reader {
	var b []byte
	for i := range 4 {
		sum := sha256.Sum256(fmt.Appendf(nil, "%s %d", name, i))
		b = append(b, sum[:]...)
	}
	return bytes.NewReader(b)
}

func signer(t testing.TB, alg, name string) *Signer {
	t.Helper()
	s, err := NewSigner(alg, seeded(name))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

type actors struct{ hub, pack, other, stranger *Signer }

func cast(t testing.TB) actors {
	return actors{signer(t, ECDSA, "hub"), signer(t, Ed25519, "pack"), signer(t, Ed25519, "other"), signer(t, ECDSA, "stranger")}
}

// policy is the one all envelope vectors are judged by.
func (a actors) policy(threshold int) Policy {
	return Policy{Types: []string{TypeManifest}, Keys: []*Key{a.hub.Public(), a.pack.Public()}, Threshold: threshold}
}

// vector is one envelope of testdata/vectors/envelopes: `<name>.json` beside `want.json`.
type vector struct {
	Name      string `json:"name"`
	Threshold int    `json:"threshold"`
	Code      string `json:"code"` // "" when it verifies
	body      []byte
}

// envelope signs and lets a test bend the result before it is written.
func envelope(t testing.TB, payloadType, payload string, bend func(*dsse.Envelope), signers ...*Signer) []byte {
	t.Helper()
	b, err := SignForeign(payloadType, []byte(payload), signers...)
	if err != nil {
		t.Fatal(err)
	}
	var e dsse.Envelope
	if err := json.Unmarshal(b, &e); err != nil {
		t.Fatal(err)
	}
	if bend == nil {
		return b
	}
	bend(&e)
	out := map[string]any{"payload": e.Payload, "payloadType": e.PayloadType, "signatures": e.Signatures}
	if b, err = json.Marshal(out); err != nil {
		t.Fatal(err)
	}
	return bytes.ReplaceAll(b, []byte(`\u003c`), []byte("<"))
}

func replaced(b []byte, old, with string) []byte {
	if !bytes.Contains(b, []byte(old)) {
		panic("nothing to replace: " + old)
	}
	return bytes.Replace(b, []byte(old), []byte(with), 1)
}

func flip(s *string) {
	b, _ := base64.StdEncoding.DecodeString(*s)
	b[len(b)-1] ^= 1
	*s = base64.StdEncoding.EncodeToString(b)
}

func cases(t testing.TB) (vs []vector) {
	a := cast(t)
	const payload = `{"schema":"` + TypeManifest + `","version":1}`
	good := envelope(t, TypeManifest, payload, nil, a.hub)
	two := envelope(t, TypeManifest, payload, nil, a.hub, a.pack)
	bent := func(bend func(*dsse.Envelope), s ...*Signer) []byte {
		return envelope(t, TypeManifest, payload, bend, s...)
	}
	add := func(name string, threshold int, c code.Code, body []byte) {
		vs = append(vs, vector{Name: name, Threshold: threshold, Code: string(c), body: body})
	}
	b64 := base64.StdEncoding.EncodeToString([]byte(payload))
	add("good", 1, "", good)
	add("good-two-of-two", 2, "", two)
	add("good-and-a-stranger", 1, "", envelope(t, TypeManifest, payload, nil, a.hub, a.stranger))
	add("no-signature", 1, code.NoSignature, bent(func(e *dsse.Envelope) { e.Signatures = []dsse.Signature{} }, a.hub))
	add("empty-signature", 1, code.SignatureBad, bent(func(e *dsse.Envelope) { e.Signatures[0].Sig = "" }, a.hub))
	add("bad-base64-in-one-of-two", 1, code.EnvelopeBad, bent(func(e *dsse.Envelope) { e.Signatures[1].Sig = "!!!!" }, a.hub, a.stranger))
	add("20000-signatures", 1, code.SignatureCount, bent(func(e *dsse.Envelope) {
		for i := range 20000 {
			e.Signatures = append(e.Signatures, dsse.Signature{KeyID: fmt.Sprint(i), Sig: "AAAA"})
		}
	}, a.hub))
	add("17-signatures", 1, code.SignatureCount, bent(func(e *dsse.Envelope) {
		for i := range 16 {
			e.Signatures = append(e.Signatures, dsse.Signature{KeyID: fmt.Sprint(i), Sig: "AAAA"})
		}
	}, a.hub))
	add("the-same-twice", 1, code.EnvelopeBad, bent(func(e *dsse.Envelope) { e.Signatures = append(e.Signatures, e.Signatures[0]) }, a.hub))
	add("one-key-two-ids-for-two", 2, code.Threshold, bent(func(e *dsse.Envelope) {
		e.Signatures = append(e.Signatures, dsse.Signature{KeyID: "SHA256:another", Sig: e.Signatures[0].Sig})
	}, a.hub))
	add("one-of-two", 2, code.Threshold, good)
	add("key-ids-swapped", 1, code.SignatureBad, bent(func(e *dsse.Envelope) {
		e.Signatures[0].KeyID, e.Signatures[1].KeyID = e.Signatures[1].KeyID, e.Signatures[0].KeyID
	}, a.hub, a.pack))
	add("key-id-of-another-known-key", 1, code.SignatureBad, bent(func(e *dsse.Envelope) { e.Signatures[0].KeyID = a.pack.Public().ID() }, a.hub))
	add("key-id-empty", 1, code.EnvelopeBad, bent(func(e *dsse.Envelope) { e.Signatures[0].KeyID = "" }, a.hub))
	add("key-id-missing", 1, code.NotCanonical, replaced(good, `"keyid":"`+a.hub.Public().ID()+`",`, ""))
	add("known-key-bad-signature", 1, code.SignatureBad, bent(func(e *dsse.Envelope) { flip(&e.Signatures[0].Sig) }, a.hub))
	add("one-good-one-bad-known", 1, code.SignatureBad, bent(func(e *dsse.Envelope) {
		for i := range e.Signatures {
			if e.Signatures[i].KeyID == a.pack.Public().ID() {
				flip(&e.Signatures[i].Sig)
			}
		}
	}, a.hub, a.pack))
	add("payload-changed", 1, code.SignatureBad, bent(func(e *dsse.Envelope) {
		e.Payload = base64.StdEncoding.EncodeToString([]byte(strings.Replace(payload, "1}", "2}", 1)))
	}, a.hub))
	add("stranger", 1, code.SignerUnknown, bent(nil, a.stranger))
	add("receipt-as-manifest", 1, code.PayloadType, envelope(t, TypeReceipt, payload, nil, a.hub))
	add("payload-type-unknown", 1, code.PayloadType, envelope(t, "application/vnd.in-toto+json", payload, nil, a.hub))
	add("payload-type-case", 1, code.PayloadType, envelope(t, "application/vnd.sallyport.Manifest.v1+json", payload, nil, a.hub))
	add("payload-type-relabelled", 1, code.SignatureBad, envelope(t, TypeReceipt, payload, func(e *dsse.Envelope) { e.PayloadType = TypeManifest }, a.hub))
	add("duplicate-payload", 1, code.EnvelopeBad, replaced(good, `"payloadType"`, `"payload":"e30=","payloadType"`))
	add("case-variant-payload", 1, code.EnvelopeBad, replaced(good, `"payloadType"`, `"PAYLOAD":"e30=","payloadType"`))
	add("only-case-variant", 1, code.EnvelopeBad, replaced(good, `"payload"`, `"Payload"`))
	add("unknown-member", 1, code.EnvelopeBad, replaced(good, `"payloadType"`, `"extra":1,"payloadType"`))
	add("unknown-member-in-signature", 1, code.EnvelopeBad, replaced(good, `"sig":`, `"cert":"x","sig":`))
	add("newline-in-base64", 1, code.EnvelopeBad, replaced(good, b64[:8], b64[:8]+`\n`))
	add("url-safe-base64", 1, code.EnvelopeBad, bent(func(e *dsse.Envelope) {
		b, _ := base64.StdEncoding.DecodeString(e.Signatures[0].Sig)
		e.Signatures[0].Sig = base64.URLEncoding.EncodeToString(b) + "_-=="
	}, a.hub))
	add("unpadded-base64", 1, code.EnvelopeBad, bent(func(e *dsse.Envelope) { e.Payload = strings.TrimRight(e.Payload+"e30=", "=") }, a.hub))
	add("stray-bits-in-base64", 1, code.EnvelopeBad, bent(func(e *dsse.Envelope) { e.Signatures[0].Sig = "AB==" }, a.hub))
	add("spaces", 1, code.NotCanonical, replaced(good, `,"payloadType"`, `, "payloadType"`))
	add("line-feed-at-the-end", 1, code.NotCanonical, append(bytes.Clone(good), '\n'))
	add("members-in-other-order", 1, code.NotCanonical, fmt.Appendf(nil, `{"payloadType":%q,%s`, TypeManifest, replaced(good, `,"payloadType":"`+TypeManifest+`"`, "")[1:]))
	add("trailing-document", 1, code.EnvelopeBad, append(bytes.Clone(good), '{', '}'))
	add("byte-order-mark", 1, code.EnvelopeBad, append([]byte("\xef\xbb\xbf"), good...))
	add("utf-16", 1, code.EnvelopeBad, bytes.Join(bytes.Split(good, nil), []byte{0}))
	add("depth-100000", 1, code.EnvelopeBad, []byte(`{"payload":`+strings.Repeat("[", 100000)))
	add("payload-null", 1, code.EnvelopeBad, replaced(good, `"`+b64+`"`, "null"))
	add("signatures-null", 1, code.EnvelopeBad, fmt.Appendf(nil, `{"payload":%q,"payloadType":%q,"signatures":null}`, b64, TypeManifest))
	add("signatures-missing", 1, code.EnvelopeBad, fmt.Appendf(nil, `{"payload":%q,"payloadType":%q}`, b64, TypeManifest))
	add("empty-file", 1, code.EnvelopeBad, nil)
	add("p1363-where-der-is-due", 1, code.SignatureBad, bent(func(e *dsse.Envelope) { e.Signatures[0].Sig = p1363(e.Signatures[0].Sig) }, a.hub))
	add("der-with-a-trailing-byte", 1, code.SignatureBad, bent(func(e *dsse.Envelope) {
		b, _ := base64.StdEncoding.DecodeString(e.Signatures[0].Sig)
		e.Signatures[0].Sig = base64.StdEncoding.EncodeToString(append(b, 0))
	}, a.hub))
	return vs
}

// p1363 rewrites a DER signature as the plain r ‖ s.
func p1363(sig string) string {
	der, _ := base64.StdEncoding.DecodeString(sig)
	r := der[4 : 4+der[3]]
	s := der[4+int(der[3])+2:]
	out := make([]byte, 64)
	copy(out[32-len(bytes.TrimLeft(r, "\x00")):], bytes.TrimLeft(r, "\x00"))
	copy(out[64-len(bytes.TrimLeft(s, "\x00")):], bytes.TrimLeft(s, "\x00"))
	return base64.StdEncoding.EncodeToString(out)
}

func TestEnvelopes(t *testing.T) {
	a := cast(t)
	for _, v := range cases(t) {
		got, err := Verify(v.body, a.policy(v.Threshold))
		if string(code.Of(err)) != v.Code {
			t.Errorf("%s: %v, want code %q", v.Name, err, v.Code)
			continue
		}
		if err != nil && got != nil {
			t.Errorf("%s: a refused envelope gave a payload", v.Name)
		}
		if err == nil && (!strings.Contains(string(got.Payload()), "version") || got.PayloadDigest() != digest.Of(got.Payload())) {
			t.Errorf("%s: payload %s", v.Name, got.Payload())
		}
	}
}

// The files say the same as the table: other readers are held to them.
func TestEnvelopeVectors(t *testing.T) {
	if *update {
		writeVectors(t)
	}
	var want struct {
		Type string   `json:"payloadType"`
		Keys []string `json:"keys"`
		Vs   []vector `json:"vectors"`
	}
	b, err := os.ReadFile(filepath.Join(vectorDir, "want.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &want); err != nil || len(want.Vs) < 40 {
		t.Fatalf("%d vectors, %v", len(want.Vs), err)
	}
	var keys []*Key
	for _, text := range want.Keys {
		k, err := ParseKey([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, k)
	}
	for _, v := range want.Vs {
		body, err := os.ReadFile(filepath.Join(vectorDir, v.Name+".json"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Verify(body, Policy{Types: []string{want.Type}, Keys: keys, Threshold: v.Threshold}); string(code.Of(err)) != v.Code {
			t.Errorf("%s: %v, want code %q", v.Name, err, v.Code)
		}
	}
}

func writeVectors(t *testing.T) {
	t.Helper()
	if err := os.MkdirAll(vectorDir, 0o755); err != nil {
		t.Fatal(err)
	}
	a := cast(t)
	var vs []vector
	for _, v := range cases(t) {
		if len(v.body) > 64<<10 { // big ones are made by the test alone
			continue
		}
		vs = append(vs, v)
		if err := os.WriteFile(filepath.Join(vectorDir, v.Name+".json"), v.body, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b, err := json.MarshalIndent(map[string]any{
		"payloadType": TypeManifest, "keys": []string{string(a.hub.Public().PEM()), string(a.pack.Public().PEM())}, "vectors": vs,
	}, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(vectorDir, "want.json"), append(b, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}

// Every single-byte change of a good envelope is refused, or changes nothing that is signed (none is).
func TestEveryFlipIsRefused(t *testing.T) {
	a := cast(t)
	good := cases(t)[0].body
	for i := range good {
		for _, x := range []byte{1, 0x20, 0x80} {
			bad := bytes.Clone(good)
			bad[i] ^= x
			if _, err := Verify(bad, a.policy(1)); err == nil {
				t.Fatalf("byte %d ^ %#x was accepted: %s", i, x, bad)
			}
		}
	}
	for n := range good {
		if _, err := Verify(good[:n], a.policy(1)); err == nil {
			t.Fatalf("cut at %d was accepted", n)
		}
	}
}

func TestForeignEnvelope(t *testing.T) {
	a := cast(t)
	const intoto = "application/vnd.in-toto+json"
	p := Policy{Types: []string{intoto}, Keys: []*Key{a.pack.Public(), a.hub.Public()}}
	loose := envelope(t, intoto, "{ \"any\": null }\n", func(e *dsse.Envelope) { e.Signatures[0].KeyID = "" }, a.hub)
	loose = append(replaced(loose, ",", ",\n  "), '\n')
	v, err := Verify(loose, p)
	if err != nil || len(v.Keys()) != 1 || !v.Keys()[0].Equal(a.hub.Public()) {
		t.Fatalf("a foreign envelope without key id: %v", err)
	}
	twice := envelope(t, intoto, "{}", func(e *dsse.Envelope) {
		e.Signatures[0].KeyID = ""
		e.Signatures = append(e.Signatures, e.Signatures[0])
	}, a.hub)
	p.Threshold = 2
	if _, err := Verify(twice, p); code.Of(err) != code.Threshold {
		t.Errorf("one signature twice counted as two: %v", err)
	}
}

func TestSignIsDeterministic(t *testing.T) {
	a := cast(t)
	one, err := Sign(TypeManifest, []byte(`{}`), a.hub, a.pack)
	if err != nil {
		t.Fatal(err)
	}
	again := cast(t)
	two, err := Sign(TypeManifest, []byte(`{}`), again.pack, again.hub, again.hub)
	if err != nil || !bytes.Equal(one, two) {
		t.Errorf("%s\n%s\n%v", one, two, err)
	}
	if _, err := Sign("application/x", []byte(`{}`), a.hub); code.Of(err) != code.PayloadType {
		t.Errorf("a foreign type was signed as ours: %v", err)
	}
	if _, err := Sign(TypeManifest, []byte(`{}`)); code.Of(err) != code.SignatureCount {
		t.Errorf("no signer: %v", err)
	}
	c, err := Inspect(one)
	if err != nil || c.Type != TypeManifest || string(c.Payload) != "{}" || len(c.KeyIDs) != 2 {
		t.Errorf("claim %+v %v", c, err)
	}
}

func TestRaw(t *testing.T) {
	a := cast(t)
	blob := []byte(`{"a":1}`)
	sig, err := SignRaw(a.hub, blob)
	if err != nil {
		t.Fatal(err)
	}
	if err := VerifyRaw(a.hub.Public(), blob, sig); err != nil {
		t.Fatal(err)
	}
	der, _ := base64.StdEncoding.DecodeString(string(sig))
	sum := sha256.Sum256(blob)
	if !ecdsa.VerifyASN1(a.hub.Public().pub.(*ecdsa.PublicKey), sum[:], der) {
		t.Error("stock verification refuses the signature")
	}
	for name, bad := range map[string][]byte{
		"newline": append(bytes.Clone(sig), '\n'), "url-safe": []byte(base64.URLEncoding.EncodeToString(der) + "-_=="), "empty": nil,
		"P1363": []byte(p1363(string(sig))), "unpadded": bytes.TrimRight(append(sig[:len(sig):len(sig)], '='), "="),
	} {
		if name == "unpadded" && bytes.Equal(bad, sig) {
			continue
		}
		if err := VerifyRaw(a.hub.Public(), blob, bad); code.Of(err) != code.RawSignature {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := VerifyRaw(a.stranger.Public(), blob, sig); code.Of(err) != code.RawSignature {
		t.Errorf("another key: %v", err)
	}
	if err := VerifyRaw(a.hub.Public(), []byte(`{"a":2}`), sig); code.Of(err) != code.RawSignature {
		t.Errorf("another blob: %v", err)
	}
	pae := dsse.PAE(TypeManifest, []byte(`{}`))
	for _, blob := range [][]byte{pae, nil, []byte("text"), []byte(`{"b":1,"a":2}`), []byte("{} "), {0x1f, 0x8b}, []byte("sallyport.timeline/x\n")} {
		if _, err := SignRaw(a.hub, blob); code.Of(err) != code.RawSigning {
			t.Errorf("%q was signed raw: %v", blob, err)
		}
	}
	if _, err := SignRaw(a.hub, []byte("\x1f\x8b\x08 gzip")); err != nil {
		t.Error(err)
	}
}

func TestNote(t *testing.T) {
	a := cast(t)
	text := []byte("sallyport.timeline/ap1x/1\n5\nAAAA\n")
	sig, err := SignNote(a.pack, text)
	if err != nil || !VerifyNote(a.pack.Public(), text, sig) || VerifyNote(a.other.Public(), text, sig) {
		t.Errorf("note: %v", err)
	}
	for _, bad := range []string{"", "{}\n", "DSSEv1 1 x", "sallyport.timeline/x", "other.log\n"} {
		if _, err := SignNote(a.pack, []byte(bad)); code.Of(err) != code.RawSigning {
			t.Errorf("%q was signed as a note: %v", bad, err)
		}
	}
	if _, err := SignNote(a.hub, text); code.Of(err) != code.RawSigning {
		t.Errorf("an ECDSA key signed a note: %v", err)
	}
}

func TestSigstoreBundle(t *testing.T) {
	a := cast(t)
	blob := digest.Of([]byte("{}"))
	b, err := SigstoreBundle(a.hub.Public(), blob, []byte{0x30, 1, 2})
	want := `{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","messageSignature":{"messageDigest":{"algorithm":"SHA2_256","digest":"` +
		base64.StdEncoding.EncodeToString(blob[:]) + `"},"signature":"MAEC"},"verificationMaterial":{"publicKey":{"hint":"` + a.hub.Public().ID() + `"}}}`
	if err != nil || string(b) != want {
		t.Errorf("%s %v\nwant %s", b, err, want)
	}
}

func TestKeys(t *testing.T) {
	for _, alg := range []string{ECDSA, Ed25519} {
		s := signer(t, alg, "key")
		text, err := s.PEM()
		if err != nil {
			t.Fatal(err)
		}
		back, err := ParseSigner(text)
		if err != nil || !back.Public().Equal(s.Public()) {
			t.Errorf("%s: private key round trip: %v", alg, err)
		}
		if fmt.Sprintf("%v %+v %#v %s", s, s, s, s) != strings.TrimSpace(strings.Repeat("signer "+s.Public().ID()+" ", 4)) {
			t.Errorf("%s: formatting shows more than the key id: %#v", alg, s)
		}
		for _, form := range [][]byte{s.Public().PEM(), s.Public().DER(), append([]byte("\n "), s.Public().PEM()...)} {
			k, err := ParseKey(form)
			if err != nil || !k.Equal(s.Public()) || k.Alg() != alg || k.ID() != s.Public().ID() {
				t.Errorf("%s: public key round trip: %v", alg, err)
			}
		}
		if k, err := ParseKeyText(s.Public().Text()); err != nil || k.Words() != s.Public().Words() || len(strings.Fields(k.Words())) != 9 {
			t.Errorf("%s: text round trip: %v", alg, err)
		}
	}
	if _, err := NewSigner("rsa", seeded("x")); code.Of(err) != code.KeyBad {
		t.Errorf("rsa: %v", err)
	}
	if _, err := NewSigner(Ed25519, strings.NewReader("short")); err == nil {
		t.Error("a key from five bytes")
	}
}

func TestBadKeys(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Skip("this Go makes no RSA-1024 keys: ", err)
	}
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der := func(pub any) []byte {
		b, err := x509.MarshalPKIXPublicKey(pub)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	good := signer(t, Ed25519, "x").Public()
	bad := map[string][]byte{
		"RSA-1024": der(&rsaKey.PublicKey), "P-224": der(&p224.PublicKey), "empty": nil, "trailing": append(good.DER(), 0),
		"two PEM blocks": append(good.PEM(), good.PEM()...), "wrong PEM type": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: good.DER()}),
		"PEM of nothing": []byte("-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n"),
	}
	prefix := good.DER()[:12]
	for _, h := range []string{ // all points of small order, both signs, and those that are not reduced
		"0000000000000000000000000000000000000000000000000000000000000000", "0000000000000000000000000000000000000000000000000000000000000080",
		"0100000000000000000000000000000000000000000000000000000000000000", "0100000000000000000000000000000000000000000000000000000000000080",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05", "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a", "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
	} {
		raw, _ := hex.DecodeString(h)
		bad["low order "+h] = append(bytes.Clone(prefix), raw...)
	}
	for name, b := range bad {
		if _, err := ParseKey(b); code.Of(err) != code.KeyBad {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, text := range []string{"", "x", good.Text() + "\n", strings.TrimRight(good.Text(), "="), base64.StdEncoding.EncodeToString(good.PEM())} {
		if _, err := ParseKeyText(text); err == nil && text != good.Text() {
			t.Errorf("key text %q was accepted", text)
		}
	}
	for _, text := range []string{"", "x", string(good.PEM()), "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"} {
		if _, err := ParseSigner([]byte(text)); code.Of(err) != code.KeyBad {
			t.Errorf("private key %q: %v", text, err)
		}
	}
}

func FuzzVerify(f *testing.F) {
	for _, v := range cases(f) {
		if len(v.body) < 4096 {
			f.Add(v.body)
		}
	}
	p := cast(f).policy(1)
	f.Fuzz(func(t *testing.T, b []byte) {
		if v, err := Verify(b, p); (v == nil) == (err == nil) {
			t.Fatalf("%v %v", v, err)
		}
	})
}
