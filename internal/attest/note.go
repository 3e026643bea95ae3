package attest

import (
	"bytes"

	"sallyport/internal/code"
)

// notePrefix begins every note we sign: the origin line of a timeline. No envelope message, canonical JSON or gzip begins like it.
const notePrefix = "sallyport.timeline/"

// SignNote signs the text of a timeline checkpoint, as C2SP signed notes want it: the 64 bytes of an Ed25519 signature over the text,
// which begins with `sallyport.timeline/` and ends with LF. Anything else is code raw-signing.
func SignNote(s *Signer, text []byte) ([]byte, error) {
	if s.key.Alg() != Ed25519 || !isNote(text) {
		return nil, code.New(code.RawSigning, "").Want("a timeline checkpoint and an Ed25519 key", "something else")
	}
	sig, err := s.sign(text)
	if err != nil {
		return nil, code.Wrap(code.SigningKey, err, "sign checkpoint")
	}
	return sig, nil
}

// VerifyNote tells whether sig is k's signature over the text of a checkpoint.
func VerifyNote(k *Key, text, sig []byte) bool {
	return k.Alg() == Ed25519 && isNote(text) && k.verify(text, sig)
}

func isNote(text []byte) bool {
	return bytes.HasPrefix(text, []byte(notePrefix)) && bytes.HasSuffix(text, []byte("\n"))
}
