// Package digest is the one way Sallyport names bytes: SHA-256, written `sha256:` + 64 lower-case hex.
//
// Data: no state. A Digest is a comparable [32]byte, so it can be a map key and is never nil. Tree is the running
// RFC 6962 tree head that state roots are made of (bundle format, "Feeds, generations, state root").
//
// Order: a Tree keeps one node per set bit of its size, so memory is O(log n); nothing here touches a disk,
// a crash leaves nothing.
package digest

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"strings"
)

// Prefix starts the text form of every digest.
const Prefix = "sha256:"

// Digest is a SHA-256. The zero value stands for "none" and is never the digest of anything we store.
type Digest [32]byte

// Of returns the digest of b.
func Of(b []byte) Digest { return sha256.Sum256(b) }

// Parse reads the text form and nothing else: lower-case, full length, no other algorithm.
func Parse(s string) (Digest, error) {
	h, ok := strings.CutPrefix(s, Prefix)
	if !ok {
		return Digest{}, fmt.Errorf("digest %.80q: want %s and 64 hex digits", s, Prefix)
	}
	return ParseHex(h)
}

// ParseHex reads 64 lower-case hex digits.
func ParseHex(h string) (d Digest, err error) {
	if len(h) != 64 || strings.ToLower(h) != h {
		return Digest{}, fmt.Errorf("digest %.80q: want 64 lower-case hex digits", h)
	}
	if _, err := hex.Decode(d[:], []byte(h)); err != nil {
		return Digest{}, fmt.Errorf("digest %.80q: want 64 lower-case hex digits", h)
	}
	return d, nil
}

// String is `sha256:` + 64 hex; Parse reads it back.
func (d Digest) String() string { return Prefix + hex.EncodeToString(d[:]) }

// Hex is the 64 digits alone: the file name in the content store.
func (d Digest) Hex() string { return hex.EncodeToString(d[:]) }

// Short is the first 16 digits, for people and log lines, never for comparing.
func (d Digest) Short() string { return hex.EncodeToString(d[:8]) }

// IsZero tells "none".
func (d Digest) IsZero() bool { return d == Digest{} }

// MarshalText writes String; a zero digest is an error, because absent is absent in everything we sign.
func (d Digest) MarshalText() ([]byte, error) {
	if d.IsZero() {
		return nil, fmt.Errorf("digest: zero value has no text form")
	}
	return []byte(d.String()), nil
}

// UnmarshalText is Parse.
func (d *Digest) UnmarshalText(b []byte) (err error) {
	*d, err = Parse(string(b))
	return err
}

// NewHash is the one hash of the house.
func NewHash() hash.Hash { return sha256.New() }

// Sum reads the state of a hash made by NewHash.
func Sum(h hash.Hash) (d Digest) {
	h.Sum(d[:0])
	return d
}

// Writer hashes and counts what passes through to W. A nil W only hashes.
type Writer struct {
	W io.Writer
	h hash.Hash
	n int64
}

// NewWriter hashes everything written to w.
func NewWriter(w io.Writer) *Writer { return &Writer{W: w, h: sha256.New()} }

func (w *Writer) Write(p []byte) (int, error) {
	n := len(p)
	var err error
	if w.W != nil {
		n, err = w.W.Write(p)
	}
	w.h.Write(p[:n])
	w.n += int64(n)
	return n, err
}

// Sum is the digest of everything written so far.
func (w *Writer) Sum() Digest { return Sum(w.h) }

// Size is the number of bytes written so far.
func (w *Writer) Size() int64 { return w.n }

// Reader hashes and counts what is read from R.
type Reader struct {
	R io.Reader
	h hash.Hash
	n int64
}

// NewReader hashes everything read from r.
func NewReader(r io.Reader) *Reader { return &Reader{R: r, h: sha256.New()} }

func (r *Reader) Read(p []byte) (int, error) {
	n, err := r.R.Read(p)
	r.h.Write(p[:n])
	r.n += int64(n)
	return n, err
}

// Sum is the digest of everything read so far.
func (r *Reader) Sum() Digest { return Sum(r.h) }

// Size is the number of bytes read so far.
func (r *Reader) Size() int64 { return r.n }
