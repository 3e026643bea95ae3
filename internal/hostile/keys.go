package hostile

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"fmt"
	"math/big"

	"sallyport/internal/attest"
	"sallyport/internal/bundle"
	"sallyport/internal/canon"
	"sallyport/internal/clock"
	"sallyport/internal/code"
	"sallyport/internal/forge"
	"sallyport/internal/root"
)

// rootAt signs a version of the hub's root, changed by edit, with the hub's root key, whatever the document says.
func rootAt(version int64, edit func(*forge.World, *root.Document)) func(*forge.World, *Medium) error {
	return func(w *forge.World, m *Medium) error { return lay(w, m, version, edit, nil, w.Hub.RootKey) }
}

// lay puts a root document on a medium, its bytes edited before it is signed.
func lay(w *forge.World, m *Medium, version int64, edit func(*forge.World, *root.Document), text func([]byte) []byte, signers ...*attest.Signer) error {
	_, env, err := w.Hub.NextRoot(func(*root.Document) {})
	if err != nil {
		return err
	}
	c, err := attest.Inspect(env)
	if err != nil {
		return err
	}
	var doc root.Document
	if err := canon.Unmarshal(c.Payload, &doc); err != nil {
		return err
	}
	doc.RootVersion = version
	if edit != nil {
		edit(w, &doc)
	}
	payload, err := canon.Marshal(doc)
	if err != nil {
		return err
	}
	if text != nil {
		payload = text(payload)
	}
	if env, err = attest.Sign(attest.TypeRoot, payload, signers...); err != nil {
		return err
	}
	m.Files[fmt.Sprintf("sallyport/roots/%s.%d.root.json", w.Hub.Root.ID().Short(), version)] = env
	return nil
}

// threshold writes another threshold of the root role.
func threshold(text string) func(*forge.World, *Medium) error {
	return func(w *forge.World, m *Medium) error {
		return lay(w, m, 2, nil, func(b []byte) []byte {
			i := bytes.Index(b, []byte(`"root":{"keyids":`))
			j := i + bytes.Index(b[i:], []byte(`"threshold":1`))
			return append(append(b[:j:j], `"threshold":`+text...), b[j+len(`"threshold":1`):]...)
		}, w.Hub.RootKey)
	}
}

// newKeys hands the root role to a stranger's key.
func newKeys(w *forge.World, d *root.Document) {
	k := w.Stranger.RootKey.Public()
	d.Keys = append(d.Keys, root.Entry(k, d.Keys[0].Scope, forge.Epoch().AddDate(-1, 0, 0), forge.Epoch().AddDate(9, 0, 0)))
	for i := len(d.Keys) - 1; i > 0 && d.Keys[i].KeyID < d.Keys[i-1].KeyID; i-- {
		d.Keys[i], d.Keys[i-1] = d.Keys[i-1], d.Keys[i]
	}
	d.Roles[root.RoleRoot] = root.Role{Threshold: 1, KeyIDs: []string{k.ID()}}
}

func handedOver(signer func(*forge.World) *attest.Signer) func(*forge.World, *Medium) error {
	return func(w *forge.World, m *Medium) error { return lay(w, m, 2, newKeys, nil, signer(w)) }
}

// weak puts a public key of another kind into the document.
func weak(der func() []byte) func(*forge.World, *Medium) error {
	return rootAt(2, func(_ *forge.World, d *root.Document) {
		d.Keys[0].Public = base64.StdEncoding.EncodeToString(der())
	})
}

// rsa1024 is a well-formed public key nobody has the other half of.
func rsa1024() []byte {
	n := new(big.Int).Add(new(big.Int).Lsh(big.NewInt(1), 1023), big.NewInt(12345))
	return must(x509.MarshalPKIXPublicKey(&rsa.PublicKey{N: n, E: 65537}))
}

func p224() []byte {
	c := elliptic.P224()
	g := append(c.Params().Gx.FillBytes(make([]byte, 1+28))[:29:29], c.Params().Gy.FillBytes(make([]byte, 28))...)
	g[0] = 4 // uncompressed
	return must(x509.MarshalPKIXPublicKey(must(ecdsa.ParseUncompressedPublicKey(c, g))))
}

// lowOrder is an Ed25519 key of order 1: signatures of zeros verify under it for every message.
func lowOrder() []byte {
	return append([]byte{0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00, 0x01}, make([]byte, 31)...)
}

// chain lays versions 2 to n of the root on a medium.
func chain(n int64) func(*forge.World, *Medium) error {
	return func(w *forge.World, m *Medium) error {
		m.Files["sallyport/roots/"+w.Hub.Root.ID().Short()+".1.root.json"] = w.Hub.RootEnv
		_, env, err := w.Hub.NextRoot(func(*root.Document) {})
		if err != nil {
			return err
		}
		c, err := attest.Inspect(env)
		if err != nil {
			return err
		}
		for v := int64(2); v <= n; v++ {
			next := bytes.Replace(c.Payload, []byte(`"rootVersion":2`), fmt.Appendf(nil, `"rootVersion":%d`, v), 1)
			if env, err = attest.Sign(attest.TypeRoot, next, w.Hub.RootKey); err != nil {
				return err
			}
			m.Files[fmt.Sprintf("sallyport/roots/%s.%d.root.json", w.Hub.Root.ID().Short(), v)] = env
		}
		return nil
	}
}

// revoked is a root that revokes the hub's bundle key from the day before.
func revoked(w *forge.World) ([][]byte, error) {
	_, env, err := w.Hub.NextRoot(func(d *root.Document) {
		d.Revoked = []root.Revocation{{KeyID: w.Hub.Bundle.Public().ID(), From: clock.Format(forge.Epoch().AddDate(0, 0, -1))}}
	})
	return [][]byte{w.Hub.RootEnv, env}, err
}

// ended is a root whose bundle key ended the day before.
func ended(w *forge.World) ([][]byte, error) {
	_, env, err := w.Hub.NextRoot(func(d *root.Document) {
		for i := range d.Keys {
			if d.Keys[i].KeyID == w.Hub.Bundle.Public().ID() {
				d.Keys[i].NotAfter = clock.Format(forge.Epoch().AddDate(0, 0, -1))
			}
		}
	})
	return [][]byte{w.Hub.RootEnv, env}, err
}

// expired is a root that ended the day before.
func expired(w *forge.World) ([][]byte, error) {
	_, env, err := w.Hub.NextRoot(func(d *root.Document) { d.NotAfter = clock.Format(forge.Epoch().AddDate(0, 0, -1)) })
	return [][]byte{w.Hub.RootEnv, env}, err
}

// p1363 writes the manifest's signature as two numbers side by side.
func p1363(d *dsse) {
	var sig struct{ R, S *big.Int }
	must(asn1.Unmarshal(must(base64.StdEncoding.DecodeString(d.Signatures[0].Sig)), &sig))
	raw := make([]byte, 64)
	sig.R.FillBytes(raw[:32])
	sig.S.FillBytes(raw[32:])
	d.Signatures[0].Sig = base64.StdEncoding.EncodeToString(raw)
}

// raw replaces the raw signature.
func raw(make func(*forge.World, []forge.Member) []byte) func(*forge.World, *forge.Plan) {
	return func(w *forge.World, p *forge.Plan) {
		p.Members = func(ms []forge.Member) []forge.Member {
			ms[2].Body = make(w, ms)
			return ms
		}
	}
}

var rootCases = []Case{
	{Number: 501, Slug: "stranger", Defect: "a whole bundle by an appliance nobody knows", Code: code.SignerUnknown, Plan: func(w *forge.World, p *forge.Plan) { p.From = w.Stranger }},
	{
		Number: 502, Slug: "stranger-signs-manifest", Defect: "a right label around a stranger's manifest", Code: code.SignerUnknown,
		Plan: signedBy(func(w *forge.World) []*attest.Signer { return []*attest.Signer{w.Stranger.Bundle} }),
	},
	{Number: 503, Slug: "wrong-role", Defect: "a manifest signed with the appliance key", Code: code.KeyRole, Plan: signedBy(func(w *forge.World) []*attest.Signer { return []*attest.Signer{w.Hub.Key} })},
	{Number: 504, Slug: "wrong-role-label", Defect: "a label signed with the appliance key", Code: code.KeyRole, Plan: func(w *forge.World, p *forge.Plan) { p.Labelers = []*attest.Signer{w.Hub.Key} }},
	{Number: 505, Slug: "key-revoked", Defect: "a bundle signed with a revoked key", Code: code.KeyRevoked, Trust: revoked},
	{Number: 506, Slug: "key-ended", Defect: "a bundle signed with a key whose time has ended", Code: code.KeyExpired, Trust: ended},
	{Number: 507, Slug: "root-expired", Defect: "a bundle signed under a root that has expired", Code: code.RootExpired, Trust: expired},
	{Number: 508, Slug: "p1363", Defect: "a signature as two numbers where DER is due", Code: code.SignatureBad, Plan: envelope(remade(p1363))},
	{
		Number: 509, Slug: "raw-other-file", Defect: "a right raw signature over another file", Code: code.RawSignature,
		Plan: raw(func(w *forge.World, _ []forge.Member) []byte { return must(attest.SignRaw(w.Hub.Bundle, []byte("{}"))) }),
	},
	{
		Number: 510, Slug: "raw-other-key", Defect: "a raw signature by another key than the envelope's", Code: code.RawSignature,
		Plan: raw(func(w *forge.World, ms []forge.Member) []byte {
			return must(attest.SignRaw(w.Stranger.Bundle, ms[1].Body))
		}),
	},
	{Number: 511, Slug: "raw-newline", Defect: "a raw signature with a newline", Code: code.RawSignature, Plan: raw(func(_ *forge.World, ms []forge.Member) []byte { return append(ms[2].Body, '\n') })},
	{
		Number: 512, Slug: "sigstore-changed", Defect: "a Sigstore bundle that is not the one of this manifest", Code: code.SigstoreBad,
		Plan: members(func(ms []forge.Member) []forge.Member { ms[3].Body = append(ms[3].Body, ' '); return ms }),
	},
	{
		Number: 513, Slug: "root-other", Defect: "a manifest under a trust root nobody pinned", Code: code.RootUnknown,
		Plan: func(w *forge.World, p *forge.Plan) {
			p.Manifest = manifestRoot(w.Stranger)
		},
	},
	{Number: 521, Slug: "root-gap", Defect: "version 3 of a root of which version 1 is known", Code: code.RootGap, Paper: true, Input: rootAt(3, nil)},
	{Number: 522, Slug: "root-new-only", Defect: "a new root signed by its new keys alone", Code: code.RootThreshold, Paper: true, Input: handedOver(func(w *forge.World) *attest.Signer { return w.Stranger.RootKey })},
	{Number: 523, Slug: "root-old-only", Defect: "a new root signed by the old keys alone", Code: code.RootThreshold, Paper: true, Input: handedOver(func(w *forge.World) *attest.Signer { return w.Hub.RootKey })},
	{Number: 524, Slug: "root-threshold-0", Defect: "a root with a threshold of 0", Code: code.RootBad, Paper: true, Input: threshold("0")},
	{Number: 525, Slug: "root-threshold-negative", Defect: "a root with a threshold of −1", Code: code.JSONNumber, Paper: true, Input: threshold("-1")},
	{Number: 526, Slug: "root-threshold-above", Defect: "a root with a threshold above its keys", Code: code.RootBad, Paper: true, Input: threshold("2")},
	{
		Number: 527, Slug: "root-key-twice", Defect: "a root that lists one key twice for a threshold of 2", Code: code.RootBad, Paper: true,
		Input: rootAt(2, func(w *forge.World, d *root.Document) {
			id := w.Hub.RootKey.Public().ID()
			d.Roles[root.RoleRoot] = root.Role{Threshold: 2, KeyIDs: []string{id, id}}
		}),
	},
	{Number: 528, Slug: "root-rsa-1024", Defect: "a root with an RSA key", Code: code.KeyBad, Paper: true, Input: weak(rsa1024)},
	{Number: 529, Slug: "root-p224", Defect: "a root with a key on P-224", Code: code.KeyBad, Paper: true, Input: weak(p224)},
	{Number: 530, Slug: "root-low-order", Defect: "a root with an Ed25519 key of low order", Code: code.KeyBad, Paper: true, Input: weak(lowOrder)},
	{
		Number: 531, Slug: "root-rollback", Defect: "another version 1 of a known root", Code: code.RootUnknown, Import: code.NothingForUs, Paper: true,
		Input: func(w *forge.World, m *Medium) error {
			m.Files["sallyport/roots/"+w.Stranger.Root.ID().Short()+".1.root.json"] = w.Stranger.RootEnv
			return nil
		},
	},
	{Number: 532, Slug: "roots-2000", Defect: "2,000 versions of a root beside a right bundle, none of which is applied", Code: OK, Big: true, Input: chain(2000)},
}

// manifestRoot names the root of another appliance.
func manifestRoot(a *forge.Appliance) func(*bundle.Manifest) {
	return func(m *bundle.Manifest) { m.TrustRoot.ID = a.Root.ID() }
}
