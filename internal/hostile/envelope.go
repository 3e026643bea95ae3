package hostile

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf16"

	"sallyport/internal/attest"
	"sallyport/internal/bundle"
	"sallyport/internal/canon"
	"sallyport/internal/clock"
	"sallyport/internal/code"
	"sallyport/internal/forge"
	"sallyport/internal/root"
)

// dsse is an envelope to be taken apart and put together again.
type dsse struct {
	Payload     string      `json:"payload"`
	PayloadType string      `json:"payloadType"`
	Signatures  []signature `json:"signatures"`
}

type signature struct {
	KeyID string `json:"keyid"`
	Sig   string `json:"sig"`
}

// remade edits the parts of an envelope and writes it in canonical form.
func remade(edit func(*dsse)) func([]byte) []byte {
	return func(env []byte) []byte {
		var d dsse
		if err := json.Unmarshal(env, &d); err != nil {
			panic(err)
		}
		edit(&d)
		return must(canon.Marshal(d))
	}
}

// envelope edits the manifest's envelope.
func envelope(edit func([]byte) []byte) func(*forge.World, *forge.Plan) {
	return func(_ *forge.World, p *forge.Plan) { p.Envelope = edit }
}

// labelled edits the label's envelope.
func labelled(edit func([]byte) []byte) func(*forge.World, *forge.Plan) {
	return func(_ *forge.World, p *forge.Plan) { p.LabelEnvelope = edit }
}

func replaced(old, new string) func([]byte) []byte {
	return func(b []byte) []byte {
		if !bytes.Contains(b, []byte(old)) {
			panic("no " + old)
		}
		return bytes.Replace(b, []byte(old), []byte(new), 1)
	}
}

// resigned signs the manifest's payload as something else.
func resigned(sign func(w *forge.World, payload []byte) ([]byte, error)) func(*forge.World, *forge.Plan) {
	return func(w *forge.World, p *forge.Plan) {
		p.Envelope = func(env []byte) []byte { return must(sign(w, must(attest.Inspect(env)).Payload)) }
	}
}

// signedBy has the manifest signed by others.
func signedBy(who func(*forge.World) []*attest.Signer) func(*forge.World, *forge.Plan) {
	return func(w *forge.World, p *forge.Plan) { p.Signers = who(w) }
}

func hubAndStranger(w *forge.World) []*attest.Signer {
	return []*attest.Signer{w.Hub.Bundle, w.Stranger.Bundle}
}

// two has a second signature by a stranger, and edits both.
func two(edit func(*dsse)) func(*forge.World, *forge.Plan) {
	return func(w *forge.World, p *forge.Plan) {
		p.Signers = hubAndStranger(w)
		p.Envelope = remade(edit)
	}
}

// thresholdTwo is a root in which two bundle keys must sign, and one may pack.
func thresholdTwo(w *forge.World) ([][]byte, error) {
	_, env, err := w.Hub.NextRoot(func(d *root.Document) {
		d.Keys = append(d.Keys, root.Entry(w.Stranger.Bundle.Public(), d.Keys[0].Scope, forge.Epoch().AddDate(-1, 0, 0), forge.Epoch().AddDate(9, 0, 0)))
		d.Roles[root.RoleBundle] = root.Role{Threshold: 2, KeyIDs: []string{w.Hub.Bundle.Public().ID(), w.Stranger.Bundle.Public().ID()}}
		d.Roles[root.RolePack] = root.Role{Threshold: 1, KeyIDs: []string{w.Hub.Bundle.Public().ID()}}
	})
	return [][]byte{w.Hub.RootEnv, env}, err
}

// receipt is what a site would sign, here by the hub's bundle key over the manifest's bytes.
func receipt(w *forge.World, payload []byte) ([]byte, error) {
	return attest.Sign(attest.TypeReceipt, payload, w.Hub.Bundle)
}

// otherAlphabet makes a base64 text that uses a letter of the other alphabet, or of none.
func urlSafe(s string) string { return strings.NewReplacer("+", "-", "/", "_").Replace(s) }

// loose changes bits of the last letter that decoders ignore.
func loose(s string) string {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	i := strings.IndexByte(s, '=') - 1
	if i < 0 {
		return s[:len(s)-4] + loose(base64.StdEncoding.EncodeToString([]byte("x")))
	}
	return s[:i] + string(letters[strings.IndexByte(letters, s[i])|1]) + s[i+1:]
}

func wide(b []byte) []byte {
	out := []byte{0xff, 0xfe}
	for _, u := range utf16.Encode([]rune(string(b))) {
		out = append(out, byte(u), byte(u>>8))
	}
	return out
}

func bom(b []byte) []byte { return append([]byte("\xef\xbb\xbf"), b...) }

// reader says that the document is for readers that know more.
func reader(m *bundle.Manifest) {
	m.Ext = map[string]json.RawMessage{"quantum": json.RawMessage(`{"a":1}`)}
	m.Critical = []string{"quantum"}
	m.MinReader = "9.0.0"
}

func swapIDs(d *dsse) {
	d.Signatures[0].KeyID, d.Signatures[1].KeyID = d.Signatures[1].KeyID, d.Signatures[0].KeyID
}

func many(n int) func(*dsse) {
	return func(d *dsse) {
		for i := range n - 1 {
			d.Signatures = append(d.Signatures, signature{fmt.Sprintf("SHA256:%043d=", i), d.Signatures[0].Sig})
		}
	}
}

var envelopeCases = []Case{
	{Number: 401, Slug: "no-signature", Defect: "a manifest without signatures", Code: code.NoSignature, Plan: envelope(remade(func(d *dsse) { d.Signatures = []signature{} }))},
	{Number: 402, Slug: "empty-signature", Defect: "an empty signature", Code: code.SignatureBad, Plan: envelope(remade(func(d *dsse) { d.Signatures[0].Sig = "" }))},
	{Number: 403, Slug: "bad-base64-in-one", Defect: "bad base64 in the second of two signatures", Code: code.EnvelopeBad, Plan: two(func(d *dsse) { d.Signatures[1].Sig = "!" + d.Signatures[1].Sig[1:] })},
	{Number: 404, Slug: "signatures-20000", Defect: "20,000 signatures", Code: code.SignatureCount, Big: true, Plan: envelope(remade(many(20000)))},
	{Number: 405, Slug: "signatures-17", Defect: "one signature over the limit", Code: code.SignatureCount, Plan: envelope(remade(many(17)))},
	{Number: 406, Slug: "signature-twice", Defect: "the same signature twice", Code: code.EnvelopeBad, Plan: envelope(remade(func(d *dsse) { d.Signatures = append(d.Signatures, d.Signatures[0]) }))},
	{
		Number: 407, Slug: "one-key-two-ids", Defect: "one key under two key ids where two keys must sign", Code: code.Threshold, Trust: thresholdTwo,
		Plan: envelope(remade(func(d *dsse) {
			d.Signatures = append(d.Signatures, signature{"SHA256:" + strings.Repeat("A", 43) + "=", d.Signatures[0].Sig})
		})),
	},
	{Number: 408, Slug: "one-of-two-keys", Defect: "one signature where two keys must sign", Code: code.Threshold, Trust: thresholdTwo},
	{Number: 409, Slug: "key-ids-swapped", Defect: "two signatures with each other's key ids", Code: code.SignatureBad, Plan: two(swapIDs)},
	{Number: 410, Slug: "key-id-missing", Defect: "a signature without a key id", Code: code.NotCanonical, Plan: envelope(func(b []byte) []byte {
		i := bytes.Index(b, []byte(`"keyid":"`))
		j := bytes.Index(b[i:], []byte(`"sig"`))
		return append(b[:i:i], b[i+j:]...)
	})},
	{Number: 411, Slug: "key-id-empty", Defect: "a signature with an empty key id", Code: code.EnvelopeBad, Plan: envelope(remade(func(d *dsse) { d.Signatures[0].KeyID = "" }))},
	{
		Number: 412, Slug: "payload-type-foreign", Defect: "a manifest signed as an in-toto statement", Code: code.PayloadType,
		Plan: resigned(func(w *forge.World, payload []byte) ([]byte, error) {
			return attest.SignForeign("application/vnd.in-toto+json", payload, w.Hub.Bundle)
		}),
	},
	{Number: 413, Slug: "receipt-as-manifest", Defect: "a receipt offered as a manifest", Code: code.PayloadType, Plan: resigned(receipt)},
	{
		Number: 414, Slug: "payload-type-case", Defect: "the payload type in other letters", Code: code.PayloadType,
		Plan: resigned(func(w *forge.World, payload []byte) ([]byte, error) {
			return attest.SignForeign(strings.ToUpper(attest.TypeManifest), payload, w.Hub.Bundle)
		}),
	},
	{Number: 415, Slug: "payload-twice", Defect: "two members payload", Code: code.EnvelopeBad, Plan: envelope(replaced(`{"payload":`, `{"payload":"e30=","payload":`))},
	{Number: 416, Slug: "payload-capitals", Defect: "members payload and PAYLOAD", Code: code.EnvelopeBad, Plan: envelope(replaced(`{"payload":`, `{"PAYLOAD":"e30=","payload":`))},
	{Number: 417, Slug: "base64-newline", Defect: "a newline in the base64 of the payload", Code: code.EnvelopeBad, Plan: envelope(remade(func(d *dsse) { d.Payload = d.Payload[:76] + "\n" + d.Payload[76:] }))},
	{Number: 418, Slug: "base64-url-safe", Defect: "a signature in the base64 of URLs", Code: code.EnvelopeBad, Plan: envelope(remade(func(d *dsse) { d.Signatures[0].Sig = urlSafe(d.Signatures[0].Sig) }))},
	{Number: 419, Slug: "base64-unpadded", Defect: "base64 without padding", Code: code.EnvelopeBad, Plan: envelope(remade(func(d *dsse) { d.Signatures[0].Sig = strings.TrimRight(loosePad(d.Signatures[0].Sig), "=") }))},
	{Number: 420, Slug: "base64-loose-bits", Defect: "base64 whose last letter has bits that mean nothing", Code: code.EnvelopeBad, Plan: envelope(remade(func(d *dsse) { d.Signatures[0].Sig = loose(d.Signatures[0].Sig) }))},
	{Number: 421, Slug: "envelope-member", Defect: "an unknown member in the envelope", Code: code.EnvelopeBad, Plan: envelope(replaced(`{"payload":`, `{"extra":1,"payload":`))},
	{Number: 422, Slug: "envelope-space", Defect: "an envelope that is not in its one form", Code: code.NotCanonical, Plan: envelope(replaced(`{"payload":`, `{ "payload":`))},
	{Number: 423, Slug: "envelope-trailing", Defect: "a second JSON document behind the envelope", Code: code.EnvelopeBad, Plan: envelope(func(b []byte) []byte { return append(b, "{}"...) })},
	{Number: 424, Slug: "envelope-depth", Defect: "an envelope nested 100,000 levels deep", Code: code.EnvelopeBad, Plan: envelope(func([]byte) []byte { return []byte(strings.Repeat("[", 100_000)) })},
	{Number: 425, Slug: "signature-flipped", Defect: "a signature by a known key that does not verify", Code: code.SignatureBad, Plan: envelope(remade(func(d *dsse) { d.Payload = flipped(d.Payload) }))},
	{Number: 426, Slug: "stranger-beside", Defect: "a signature by a stranger beside the right one, which is ignored", Code: OK, Plan: strangerBeside},
	{Number: 431, Slug: "label-no-signature", Defect: "a label without signatures", Code: code.NoSignature, Plan: labelled(remade(func(d *dsse) { d.Signatures = []signature{} }))},
	{Number: 432, Slug: "label-byte-order-mark", Defect: "a label that begins with a byte order mark", Code: code.EnvelopeBad, Plan: labelled(bom)},
	{Number: 433, Slug: "label-utf16", Defect: "a label in UTF-16", Code: code.EnvelopeBad, Plan: labelled(wide)},
	{Number: 434, Slug: "label-trailing", Defect: "bytes behind the label", Code: code.NotCanonical, Plan: labelled(func(b []byte) []byte { return append(b, '\n') })},
	{Number: 435, Slug: "label-is-a-root", Defect: "a trust root where the label should be", Code: code.PayloadType, Plan: func(w *forge.World, p *forge.Plan) { p.LabelEnvelope = func([]byte) []byte { return w.Hub.RootEnv } }},
	{Number: 436, Slug: "label-too-big", Defect: "a label of more than 1 MiB", Code: code.LabelBad, Big: true, Plan: labelled(func(b []byte) []byte { return append(b, bytes.Repeat([]byte(" "), 3<<20)...) })},
	{Number: 437, Slug: "label-of-a-stranger", Defect: "a right bundle under a stranger's label", Code: code.SignerUnknown, Plan: func(w *forge.World, p *forge.Plan) { p.Labelers = []*attest.Signer{w.Stranger.Bundle} }},
	{Number: 438, Slug: "label-empty", Defect: "a label without bytes", Code: code.EnvelopeBad, Plan: labelled(func([]byte) []byte { return nil })},
	{
		Number: 439, Slug: "label-expired", Defect: "a label whose validity has ended", Code: code.Expired,
		Plan: func(w *forge.World, p *forge.Plan) {
			end := clock.Format(forge.Epoch().AddDate(0, 0, -1))
			p.Manifest = func(m *bundle.Manifest) { m.NotAfter = end }
		},
	},
}

// flipped changes one bit of what a base64 text holds.
func flipped(s string) string {
	b := must(base64.StdEncoding.DecodeString(s))
	b[len(b)/2] ^= 1
	return base64.StdEncoding.EncodeToString(b)
}

// loosePad is a text that has padding to lose.
func loosePad(s string) string {
	if strings.HasSuffix(s, "=") {
		return s
	}
	return s[:len(s)-4] + "AA=="
}

// strangerBeside signs with the hub's key and a stranger's; the copies are made by the hub's.
func strangerBeside(w *forge.World, p *forge.Plan) {
	p.Signers = slices.Clone(hubAndStranger(w))
}
