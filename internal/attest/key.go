package attest

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"

	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/units"
)

// Key is a public key that may verify: ECDSA on P-256 or Ed25519. Made by ParseKey or from a Signer only.
type Key struct {
	pub crypto.PublicKey
	der []byte
	id  string
}

// ParseKey reads a public key: one PEM block of type PUBLIC KEY, or DER SubjectPublicKeyInfo. Other algorithms and curves, points of
// low order and DER that is not canonical are code key.
func ParseKey(pemOrDER []byte) (*Key, error) {
	der := pemOrDER
	if bytes.HasPrefix(bytes.TrimSpace(pemOrDER), []byte("-----BEGIN")) {
		block, rest := pem.Decode(bytes.TrimSpace(pemOrDER))
		if block == nil || block.Type != "PUBLIC KEY" || len(bytes.TrimSpace(rest)) != 0 {
			return nil, code.New(code.KeyBad, "not one PEM block of type PUBLIC KEY")
		}
		der = block.Bytes
	}
	pub, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, code.Wrap(code.KeyBad, err, "not a public key")
	}
	k, err := newKey(pub)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(k.der, der) {
		return nil, code.New(code.KeyBad, "the key is not in its canonical form")
	}
	return k, nil
}

// ParseKeyText reads the padded base64 of DER SubjectPublicKeyInfo, as trust roots and cards carry it.
func ParseKeyText(s string) (*Key, error) {
	der, err := decodeBase64(s)
	if err != nil {
		return nil, code.Wrap(code.KeyBad, err, "public key")
	}
	if bytes.HasPrefix(der, []byte("-")) {
		return nil, code.New(code.KeyBad, "a PEM block where DER is due")
	}
	return ParseKey(der)
}

func newKey(pub crypto.PublicKey) (*Key, error) {
	switch p := pub.(type) {
	case *ecdsa.PublicKey:
		if p.Curve != elliptic.P256() {
			return nil, code.New(code.KeyBad, "").Want("curve P-256", p.Curve.Params().Name)
		}
	case ed25519.PublicKey:
		if lowOrder(p) {
			return nil, code.New(code.KeyBad, "an Ed25519 point of low order or beyond the field: signatures by it prove nothing")
		}
	default:
		return nil, code.New(code.KeyBad, "").Want("ECDSA P-256 or Ed25519", fmt.Sprintf("%T", pub))
	}
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return nil, code.Wrap(code.KeyBad, err, "encode public key")
	}
	id, err := dsse.SHA256KeyID(pub)
	if err != nil {
		return nil, code.Wrap(code.KeyBad, err, "key id")
	}
	return &Key{pub: pub, der: der, id: id}, nil
}

// lowOrder tells whether an Ed25519 public key is a point of order 1, 2, 4 or 8, by its y coordinate (1, −1, 0, and for order 8 the
// root below and its negative), or not reduced.
func lowOrder(pub ed25519.PublicKey) bool {
	p := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(19))
	y := make([]byte, 32)
	for i, b := range pub {
		y[31-i] = b
	}
	y[0] &= 0x7f
	v := new(big.Int).SetBytes(y)
	if v.Cmp(p) >= 0 {
		return true
	}
	eight, _ := new(big.Int).SetString("05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826", 16)
	one := big.NewInt(1)
	low := []*big.Int{big.NewInt(0), one, new(big.Int).Sub(p, one), eight, new(big.Int).Sub(p, eight)}
	for _, n := range low {
		if v.Cmp(n) == 0 {
			return true
		}
	}
	return false
}

// ID is `SHA256:` + base64 of the SSH form's fingerprint: the only key id cosign accepts inside a Sigstore bundle.
func (k *Key) ID() string { return k.id }

// Fingerprint is the SHA-256 of the DER SubjectPublicKeyInfo.
func (k *Key) Fingerprint() digest.Digest { return digest.Of(k.der) }

// Words is the fingerprint as nine words for people.
func (k *Key) Words() string { return units.Words(k.Fingerprint()) }

// DER is the SubjectPublicKeyInfo.
func (k *Key) DER() []byte { return bytes.Clone(k.der) }

// Text is the padded base64 of DER; ParseKeyText reads it back.
func (k *Key) Text() string { return base64.StdEncoding.EncodeToString(k.der) }

// PEM is DER as a block of type PUBLIC KEY; ParseKey reads it back.
func (k *Key) PEM() []byte { return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: k.der}) }

// Alg is ECDSA or Ed25519.
func (k *Key) Alg() string {
	if _, ok := k.pub.(ed25519.PublicKey); ok {
		return Ed25519
	}
	return ECDSA
}

// Raw is the 32 bytes of an Ed25519 key, nil for other keys.
func (k *Key) Raw() []byte {
	if p, ok := k.pub.(ed25519.PublicKey); ok {
		return bytes.Clone(p)
	}
	return nil
}

// Equal tells whether both are the same public key.
func (k *Key) Equal(o *Key) bool { return bytes.Equal(k.der, o.der) }

// verify checks a signature over message: strict DER and SHA-256 for ECDSA, 64 bytes for Ed25519.
func (k *Key) verify(message, sig []byte) bool {
	if p, ok := k.pub.(ed25519.PublicKey); ok {
		return len(sig) == ed25519.SignatureSize && ed25519.Verify(p, message, sig)
	}
	sum := sha256.Sum256(message)
	return strictDER(sig) && ecdsa.VerifyASN1(k.pub.(*ecdsa.PublicKey), sum[:], sig)
}

// strictDER accepts SEQUENCE{INTEGER r, INTEGER s} in the one shortest form, both positive and at most 33 bytes, nothing after.
func strictDER(sig []byte) bool {
	if len(sig) < 8 || len(sig) > 72 || sig[0] != 0x30 || int(sig[1]) != len(sig)-2 {
		return false
	}
	rest := sig[2:]
	for range 2 {
		if len(rest) < 3 || rest[0] != 0x02 {
			return false
		}
		n := int(rest[1])
		if n < 1 || n > 33 || len(rest) < 2+n {
			return false
		}
		v := rest[2 : 2+n]
		negative, padded := v[0]&0x80 != 0, n > 1 && v[0] == 0 && v[1]&0x80 == 0
		if negative || padded || n == 1 && v[0] == 0 || n == 33 && v[0] != 0 {
			return false
		}
		rest = rest[2+n:]
	}
	return len(rest) == 0
}

// decodeBase64 reads padded standard base64 in its one form: no line breaks, no stray bits.
func decodeBase64(s string) ([]byte, error) {
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil || base64.StdEncoding.EncodeToString(b) != s {
		return nil, fmt.Errorf("not padded standard base64")
	}
	return b, nil
}
