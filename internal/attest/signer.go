package attest

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"

	"sallyport/internal/code"
)

// Signer is a private key. It has no text form but PEM, so that it does not get into a log.
type Signer struct {
	priv crypto.Signer
	key  *Key
}

// NewSigner makes a key of alg from random: the same bytes give the same key (seed of 32 bytes for Ed25519; for ECDSA the scalar
// is 48 bytes reduced modulo n−1, plus 1, FIPS 186-5 A.2.1).
func NewSigner(alg string, random io.Reader) (*Signer, error) {
	switch alg {
	case Ed25519:
		seed := make([]byte, ed25519.SeedSize)
		if _, err := io.ReadFull(random, seed); err != nil {
			return nil, fmt.Errorf("new key: %w", err)
		}
		return newSigner(ed25519.NewKeyFromSeed(seed))
	case ECDSA:
		raw := make([]byte, 48)
		if _, err := io.ReadFull(random, raw); err != nil {
			return nil, fmt.Errorf("new key: %w", err)
		}
		one := big.NewInt(1)
		d := new(big.Int).Mod(new(big.Int).SetBytes(raw), new(big.Int).Sub(elliptic.P256().Params().N, one))
		priv, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), d.Add(d, one).FillBytes(make([]byte, 32)))
		if err != nil {
			return nil, fmt.Errorf("new key: %w", err)
		}
		return newSigner(priv)
	}
	return nil, code.New(code.KeyBad, "").Want(ECDSA+" or "+Ed25519, fmt.Sprintf("%.40q", alg))
}

func newSigner(priv crypto.Signer) (*Signer, error) {
	k, err := newKey(priv.Public())
	if err != nil {
		return nil, err
	}
	return &Signer{priv: priv, key: k}, nil
}

// ParseSigner reads one PEM block: PKCS #8 ("PRIVATE KEY") or SEC 1 ("EC PRIVATE KEY"), not encrypted. Code key. Neither the
// message nor its cause contains any of the bytes.
func ParseSigner(text []byte) (*Signer, error) {
	block, rest := pem.Decode(bytes.TrimSpace(text))
	if block == nil || len(bytes.TrimSpace(rest)) != 0 {
		return nil, code.New(code.KeyBad, "not one PEM block")
	}
	var priv any
	var err error
	switch block.Type {
	case "PRIVATE KEY":
		priv, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		priv, err = x509.ParseECPrivateKey(block.Bytes)
	default:
		return nil, code.New(code.KeyBad, "").Want("PRIVATE KEY or EC PRIVATE KEY, not encrypted", fmt.Sprintf("%.60q", block.Type))
	}
	if err != nil {
		return nil, code.New(code.KeyBad, "the private key is damaged")
	}
	s, ok := priv.(crypto.Signer)
	if !ok {
		return nil, code.New(code.KeyBad, "").Want("ECDSA P-256 or Ed25519", fmt.Sprintf("%T", priv))
	}
	return newSigner(s)
}

// PEM is the key as PKCS #8; ParseSigner reads it back. Write it to files of mode 0600 only.
func (s *Signer) PEM() ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(s.priv)
	if err != nil {
		return nil, fmt.Errorf("encode private key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// Public is the public half.
func (s *Signer) Public() *Key { return s.key }

// String hides the key from formatting verbs.
func (s *Signer) String() string { return "signer " + s.key.ID() }

// GoString does the same for %#v.
func (s *Signer) GoString() string { return s.String() }

// sign is deterministic: RFC 8032, or RFC 6979 with SHA-256 in DER.
func (s *Signer) sign(message []byte) ([]byte, error) {
	if s.key.Alg() == Ed25519 {
		return s.priv.Sign(nil, message, crypto.Hash(0))
	}
	sum := sha256.Sum256(message)
	return s.priv.Sign(nil, sum[:], crypto.SHA256)
}
