// Package seal is the one place that encrypts and decrypts: age for everyone, DARE for pairs of sites with an AES key.
//
// Data: none of its own; the forms it writes and reads (bundle format, "Sealing and volumes"):
//
//	age    native X25519 or post-quantum hybrid recipients, not mixed, never armored; `age -d -i key` opens it anywhere
//	dare   DARE 2.0, AES-256-GCM, packages of 64 KiB; the key is a file of 32 bytes written aes1-<base64>
//	tag    how a label names a recipient: a site finds itself, a finder links nothing (Tag, DareKey.ID)
//
// Order: sign, then seal; when opening, a guard of ours reads the whole age header before age sees it, and every byte
// that comes out is authenticated but proves no author: the manifest's signature does. Plaintext comes chunk by chunk,
// so what was read before an error must not be used. Nothing here touches a disk; a crash leaves nothing.
package seal

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"filippo.io/age"

	"sallyport/internal/code"
	"sallyport/internal/digest"
)

// Prefixes of the text forms of age v1.
const (
	hybridRecipient = "age1pq1"
	hybridIdentity  = "AGE-SECRET-KEY-PQ-1"
)

// Recipient is a public age key, native X25519 or hybrid. The zero value is none and cannot be sealed to.
type Recipient struct {
	text   string
	hybrid bool
	key    age.Recipient
}

// ParseRecipient reads `age1…` or `age1pq1…` and nothing else: no SSH, plugin, tag or passphrase recipients. Code key.
func ParseRecipient(s string) (Recipient, error) {
	r := Recipient{hybrid: strings.HasPrefix(s, hybridRecipient)}
	var err error
	if r.hybrid {
		var k *age.HybridRecipient
		if k, err = age.ParseHybridRecipient(s); err == nil {
			r.key, r.text = k, k.String()
		}
	} else {
		var k *age.X25519Recipient
		if k, err = age.ParseX25519Recipient(s); err == nil {
			r.key, r.text = k, k.String()
		}
	}
	if err == nil && r.text != s {
		err = fmt.Errorf("not in its one written form")
	}
	if err != nil {
		return Recipient{}, code.Wrap(code.KeyBad, err, "not an age recipient").Want("age1… or age1pq1…", fmt.Sprintf("%.40q", s)).
			Do("Take the recipient from the peer's card.")
	}
	return r, nil
}

// String is the text form; ParseRecipient reads it back.
func (r Recipient) String() string { return r.text }

// Hybrid tells a post-quantum recipient.
func (r Recipient) Hybrid() bool { return r.hybrid }

// Identity is a secret age key. The zero value is none and opens nothing.
type Identity struct {
	text      string
	key       age.Identity
	recipient Recipient
}

// NewIdentity makes a secret key from the system's randomness: age takes no other source.
func NewIdentity(hybrid bool) (Identity, error) {
	if hybrid {
		k, err := age.GenerateHybridIdentity()
		if err != nil {
			return Identity{}, fmt.Errorf("make identity: %w", err)
		}
		return wrapIdentity(k)
	}
	k, err := age.GenerateX25519Identity()
	if err != nil {
		return Identity{}, fmt.Errorf("make identity: %w", err)
	}
	return wrapIdentity(k)
}

func wrapIdentity(k age.Identity) (Identity, error) {
	switch k := k.(type) {
	case *age.X25519Identity:
		r := k.Recipient()
		return Identity{text: k.String(), key: k, recipient: Recipient{text: r.String(), key: r}}, nil
	case *age.HybridIdentity:
		r := k.Recipient()
		return Identity{text: k.String(), key: k, recipient: Recipient{text: r.String(), key: r, hybrid: true}}, nil
	}
	return Identity{}, code.New(code.KeyBad, "an identity of a kind that is not used here").Want("X25519 or hybrid", fmt.Sprintf("%T", k))
}

// identityFileMax bounds a key file; hybrid keys are about 80 bytes a line.
const identityFileMax = 64 << 10

// ParseIdentities reads an age key file: one secret key a line, empty lines and lines with # aside. Code key; the error
// never repeats a line of the file.
func ParseIdentities(file []byte) ([]Identity, error) {
	if len(file) > identityFileMax {
		return nil, code.New(code.KeyBad, "an identity file over the limit").Want(fmt.Sprintf("≤ %d bytes", identityFileMax), len(file))
	}
	keys, err := age.ParseIdentities(bytes.NewReader(file))
	if err != nil || len(keys) == 0 {
		return nil, code.New(code.KeyBad, "not an age identity file").Want("lines AGE-SECRET-KEY-1… or "+hybridIdentity+"…", "other lines").
			Do("Give the file that age-keygen or sallyport init wrote.")
	}
	ids := make([]Identity, len(keys))
	for i, k := range keys {
		if ids[i], err = wrapIdentity(k); err != nil {
			return nil, err
		}
	}
	return ids, nil
}

// Recipient is the public half.
func (i Identity) Recipient() Recipient { return i.recipient }

// String is the secret text form, a line of a key file. Never log it.
func (i Identity) String() string { return i.text }

// GoString keeps the secret out of %#v.
func (i Identity) GoString() string { return "seal.Identity(" + i.recipient.text + ")" }

// Tag is how a label names a recipient: 16 hex of SHA-256(`sallyport/v1/recipient` NUL bundle id NUL recipient), where
// recipient is its text form, or the DareKey's ID.
func Tag(bundleID digest.Digest, recipient string) string {
	return short("sallyport/v1/recipient\x00" + bundleID.String() + "\x00" + recipient)
}

// short is the first 8 bytes of a SHA-256 as hex.
func short(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:8])
}
