package attest

import (
	"bytes"
	"encoding/base64"
	"fmt"

	"sallyport/internal/canon"
	"sallyport/internal/code"
	"sallyport/internal/digest"
)

// rawAllowed tells the two things that are signed raw: canonical JSON (an object) and our own gzip.
func rawAllowed(blob []byte) bool {
	return bytes.HasPrefix(blob, []byte("{")) || bytes.HasPrefix(blob, []byte{0x1f, 0x8b, 0x08})
}

// SignRaw signs a blob for tools that know no envelopes: padded base64 without a newline. Anything but canonical JSON and gzip is
// refused with code raw-signing, above all what begins like the message of an envelope.
func SignRaw(s *Signer, blob []byte) (sig []byte, err error) {
	if bytes.HasPrefix(blob, []byte(paePrefix)) || !rawAllowed(blob) {
		return nil, code.New(code.RawSigning, "").Want("canonical JSON or gzip", "something else")
	}
	if blob[0] == '{' {
		if text, err := canon.Line(blob); err != nil || !bytes.Equal(text, blob) {
			return nil, code.New(code.RawSigning, "JSON that is not canonical")
		}
	}
	raw, err := s.sign(blob)
	if err != nil {
		return nil, code.Wrap(code.SigningKey, err, "sign")
	}
	return base64.StdEncoding.AppendEncode(nil, raw), nil
}

// DecodeRaw reads the text of a .sig file: padded standard base64, no newline. Code raw-signature.
func DecodeRaw(sig []byte) ([]byte, error) {
	raw, err := decodeBase64(string(sig))
	if err != nil {
		return nil, code.Wrap(code.RawSignature, err, "")
	}
	return raw, nil
}

// VerifyRaw checks what SignRaw made: strict DER for ECDSA. Code raw-signature.
func VerifyRaw(k *Key, blob, sig []byte) error {
	if bytes.HasPrefix(blob, []byte(paePrefix)) || !rawAllowed(blob) {
		return code.New(code.RawSignature, "a blob that is never signed raw")
	}
	return verifyText(k, blob, sig)
}

func verifyText(k *Key, blob, sig []byte) error {
	raw, err := DecodeRaw(sig)
	if err != nil {
		return err
	}
	if !k.verify(blob, raw) {
		return code.New(code.RawSignature, "the raw signature does not verify with %s", k.id).Want("a signature over the manifest", fmt.Sprintf("%d other bytes", len(raw)))
	}
	return nil
}

// The members of a Sigstore bundle v0.3 for a key and a message signature (sigstore/protobuf-specs, bundle/v1).
type (
	sigstoreBundle struct {
		MediaType            string           `json:"mediaType"`
		VerificationMaterial sigstoreMaterial `json:"verificationMaterial"`
		MessageSignature     sigstoreMessage  `json:"messageSignature"`
	}
	sigstoreMaterial struct {
		PublicKey sigstoreKey `json:"publicKey"`
	}
	sigstoreKey struct {
		Hint string `json:"hint"`
	}
	sigstoreMessage struct {
		MessageDigest sigstoreDigest `json:"messageDigest"`
		Signature     string         `json:"signature"`
	}
	sigstoreDigest struct {
		Algorithm string `json:"algorithm"`
		Digest    string `json:"digest"`
	}
)

// SigstoreBundle is the canonical Sigstore bundle over a blob of this digest: what `cosign verify-blob --bundle` takes. The bytes
// depend on the arguments alone, so a reader compares instead of parsing. sig is the raw signature (DER for ECDSA).
func SigstoreBundle(k *Key, blob digest.Digest, sig []byte) ([]byte, error) {
	return canon.Marshal(sigstoreBundle{
		MediaType:            "application/vnd.dev.sigstore.bundle.v0.3+json",
		VerificationMaterial: sigstoreMaterial{PublicKey: sigstoreKey{Hint: k.id}},
		MessageSignature: sigstoreMessage{
			MessageDigest: sigstoreDigest{Algorithm: "SHA2_256", Digest: base64.StdEncoding.EncodeToString(blob[:])},
			Signature:     base64.StdEncoding.EncodeToString(sig),
		},
	})
}
