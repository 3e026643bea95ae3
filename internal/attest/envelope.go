package attest

import (
	"bytes"
	"context"
	"crypto"
	"errors"
	"fmt"
	"slices"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"

	"sallyport/internal/canon"
	"sallyport/internal/code"
	"sallyport/internal/digest"
)

// paePrefix begins every message that a DSSE signature is made over.
const paePrefix = "DSSEv1"

// provider is one key as the DSSE library wants it. It accepts a signature only under its own key id.
type provider struct {
	signer *Signer
	key    *Key
}

var errNoMatch = errors.New("signature does not verify")

func (p provider) KeyID() (string, error)   { return p.key.ID(), nil }
func (p provider) Public() crypto.PublicKey { return p.key.pub }

func (p provider) Sign(_ context.Context, message []byte) ([]byte, error) {
	return p.signer.sign(message)
}

func (p provider) Verify(_ context.Context, message, sig []byte) error {
	if !p.key.verify(message, sig) {
		return errNoMatch
	}
	return nil
}

// Sign wraps payload in a canonical DSSE envelope with one signature per signer, ascending by key id. payloadType is one of Types,
// payload canonical JSON. The same arguments give the same bytes.
func Sign(payloadType string, payload []byte, signers ...*Signer) ([]byte, error) {
	if !slices.Contains(Types(), payloadType) {
		return nil, code.New(code.PayloadType, "sign %.80q", payloadType)
	}
	return SignForeign(payloadType, payload, signers...)
}

// SignForeign is Sign for payload types that are not ours, as in-toto Statements.
func SignForeign(payloadType string, payload []byte, signers ...*Signer) ([]byte, error) {
	if len(signers) == 0 || len(signers) > MaxSignatures {
		return nil, code.New(code.SignatureCount, "sign %s", payloadType).Want("1 to 16 signers", len(signers))
	}
	var providers []dsse.Signer
	for _, s := range sorted(signers) {
		providers = append(providers, provider{signer: s, key: s.key})
	}
	es, err := dsse.NewEnvelopeSigner(providers...)
	if err != nil {
		return nil, fmt.Errorf("sign %s: %w", payloadType, err)
	}
	env, err := es.SignPayload(context.Background(), payloadType, payload)
	if err != nil {
		return nil, code.Wrap(code.SigningKey, err, "sign %s", payloadType)
	}
	return canon.Marshal(env)
}

// sorted orders signers by key id and leaves out repetitions.
func sorted(signers []*Signer) []*Signer {
	out := slices.Clone(signers)
	slices.SortFunc(out, func(a, b *Signer) int { return bytes.Compare([]byte(a.key.id), []byte(b.key.id)) })
	return slices.CompactFunc(out, func(a, b *Signer) bool { return a.key.id == b.key.id })
}

// Policy says what a place accepts: payload types, keys, and how many distinct keys must have signed (0 means 1).
type Policy struct {
	Types     []string
	Keys      []*Key
	Threshold int
}

// Verified is what a verified envelope says. Only Verify makes one.
type Verified struct {
	payload     []byte
	payloadType string
	keys        []*Key
	sigs        [][]byte
}

// Payload is the signed bytes.
func (v *Verified) Payload() []byte { return bytes.Clone(v.payload) }

// Type is the payload type.
func (v *Verified) Type() string { return v.payloadType }

// Keys are the distinct keys of the policy whose signatures verified, in the order of the signatures.
func (v *Verified) Keys() []*Key { return slices.Clone(v.keys) }

// PayloadDigest identifies the document; envelopes are never identified by their own digest.
func (v *Verified) PayloadDigest() digest.Digest { return digest.Of(v.payload) }

// Signature is the signature by k over the envelope's message (DER or 64 bytes), nil when k did not sign.
func (v *Verified) Signature(k *Key) []byte {
	for i, have := range v.keys {
		if have.Equal(k) {
			return bytes.Clone(v.sigs[i])
		}
	}
	return nil
}

// Verify does every check of 30-trust-and-time, "Envelope checks". Signatures by unknown keys are ignored; one that names a known key
// and does not verify is a refusal. Codes envelope, not-canonical, payload-type, no-signature, signature-count, signature,
// signer-unknown, threshold.
func Verify(envelope []byte, p Policy) (*Verified, error) {
	env, err := open(envelope)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(p.Types, env.PayloadType) {
		return nil, code.New(code.PayloadType, "").Want(fmt.Sprint(p.Types), fmt.Sprintf("%.100q", env.PayloadType))
	}
	switch n := len(env.Signatures); {
	case n == 0:
		return nil, code.New(code.NoSignature, "").Want("1 to 16 signatures", 0)
	case n > MaxSignatures:
		return nil, code.New(code.SignatureCount, "").Want("at most 16", n)
	}
	keys := distinct(p.Keys)
	known, sigs, err := match(env, keys)
	if err != nil {
		return nil, err
	}
	threshold := max(p.Threshold, 1)
	if len(known) < threshold {
		return nil, code.New(code.Threshold, "").Want(fmt.Sprintf("%d distinct keys", threshold), len(known))
	}
	payload, err := decode(env, known, threshold)
	if err != nil {
		return nil, err
	}
	return &Verified{payload: payload, payloadType: env.PayloadType, keys: known, sigs: sigs}, nil
}

// distinct drops keys that are the same public key.
func distinct(keys []*Key) (out []*Key) {
	for _, k := range keys {
		if k != nil && !slices.ContainsFunc(out, k.Equal) {
			out = append(out, k)
		}
	}
	return out
}

// match finds the known keys among the signatures and checks each one's signature, before the payload is looked at.
func match(env *dsse.Envelope, keys []*Key) (known []*Key, sigs [][]byte, err error) {
	payload, err := decodeBase64(env.Payload)
	if err != nil {
		return nil, nil, code.Wrap(code.EnvelopeBad, err, "").In("", "payload")
	}
	message := dsse.PAE(env.PayloadType, payload)
	ids := map[string]bool{}
	for i, s := range env.Signatures {
		place := fmt.Sprintf("signatures[%d]", i)
		sig, err := decodeBase64(s.Sig)
		if err != nil {
			return nil, nil, code.Wrap(code.EnvelopeBad, err, "").In("", place+".sig")
		}
		if s.KeyID == "" && ours(env) || s.KeyID != "" && ids[s.KeyID] {
			return nil, nil, code.New(code.EnvelopeBad, "").In("", place+".keyid").Want("a key id that stands here once", fmt.Sprintf("%.60q", s.KeyID))
		}
		ids[s.KeyID] = true
		at := slices.IndexFunc(keys, func(k *Key) bool {
			return k.id == s.KeyID || s.KeyID == "" && !slices.Contains(known, k) && k.verify(message, sig)
		})
		if at < 0 || slices.Contains(known, keys[at]) {
			continue
		}
		if !keys[at].verify(message, sig) {
			return nil, nil, code.New(code.SignatureBad, "the signature by %s does not verify", keys[at].id).In("", place).Want("a signature over this payload", fmt.Sprintf("%d other bytes", len(sig)))
		}
		known, sigs = append(known, keys[at]), append(sigs, sig)
	}
	if len(known) == 0 {
		return nil, nil, code.New(code.SignerUnknown, "").Want("a signature by one of the known keys", fmt.Sprintf("%.60q", env.Signatures[0].KeyID))
	}
	return known, sigs, nil
}

// decode asks the DSSE library for the payload it verified, with exactly the keys that count.
func decode(env *dsse.Envelope, keys []*Key, threshold int) ([]byte, error) {
	var providers []dsse.Verifier
	for _, k := range keys {
		providers = append(providers, provider{key: k})
	}
	ev, err := dsse.NewMultiEnvelopeVerifier(threshold, providers...)
	if err != nil {
		return nil, code.Wrap(code.Threshold, err, "")
	}
	accepted, payload, err := ev.VerifyAndDecode(context.Background(), env)
	if err != nil {
		return nil, code.Wrap(code.SignatureBad, err, "")
	}
	if len(accepted) != len(keys) {
		return nil, code.New(code.SignatureBad, "").Want(len(keys), len(accepted))
	}
	return payload, nil
}

// open reads the form of an envelope: strict members, and for our own payload types its one canonical encoding.
func open(envelope []byte) (*dsse.Envelope, error) {
	if len(envelope) > MaxEnvelope {
		return nil, code.New(code.EnvelopeBad, "").Want("at most 16 MiB", fmt.Sprintf("%d bytes", len(envelope)))
	}
	var raw struct {
		Payload     *string `json:"payload"`
		PayloadType *string `json:"payloadType"`
		Signatures  *[]struct {
			KeyID *string `json:"keyid"`
			Sig   *string `json:"sig"`
		} `json:"signatures"`
	}
	if err := canon.UnmarshalForeign(envelope, &raw); err != nil {
		return nil, code.Wrap(code.EnvelopeBad, err, "")
	}
	if raw.Payload == nil || raw.PayloadType == nil || raw.Signatures == nil {
		return nil, code.New(code.EnvelopeBad, "").Want("payload, payloadType and signatures", "less")
	}
	env := &dsse.Envelope{Payload: *raw.Payload, PayloadType: *raw.PayloadType, Signatures: []dsse.Signature{}}
	for i, s := range *raw.Signatures {
		if s.Sig == nil {
			return nil, code.New(code.EnvelopeBad, "a signature without sig").In("", fmt.Sprintf("signatures[%d]", i))
		}
		var id string
		if s.KeyID != nil {
			id = *s.KeyID
		}
		env.Signatures = append(env.Signatures, dsse.Signature{KeyID: id, Sig: *s.Sig})
	}
	if !ours(env) {
		return env, nil
	}
	want, err := canon.Marshal(env)
	if err != nil || !bytes.Equal(want, envelope) {
		return nil, code.New(code.NotCanonical, "the envelope is not in its one form").Want("RFC 8785", "another encoding")
	}
	return env, nil
}

// ours tells whether an envelope claims a payload type of Types. Only foreign ones may leave out key ids: then every key is tried.
func ours(env *dsse.Envelope) bool { return slices.Contains(Types(), env.PayloadType) }

// Claim is what an envelope says of itself. It proves nothing.
type Claim struct {
	Type    string
	Payload []byte
	KeyIDs  []string
}

// Inspect reads a claim, to choose the door an envelope goes to and to show an unknown signer's words. The form is checked as
// strictly as by Verify. Codes envelope, not-canonical.
func Inspect(envelope []byte) (*Claim, error) {
	env, err := open(envelope)
	if err != nil {
		return nil, err
	}
	payload, err := decodeBase64(env.Payload)
	if err != nil {
		return nil, code.Wrap(code.EnvelopeBad, err, "").In("", "payload")
	}
	c := &Claim{Type: env.PayloadType, Payload: payload}
	for _, s := range env.Signatures {
		c.KeyIDs = append(c.KeyIDs, s.KeyID)
	}
	return c, nil
}
