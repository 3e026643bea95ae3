package seal

import (
	"bufio"
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"fmt"
	"io"

	"github.com/minio/sio"

	"sallyport/internal/code"
)

// darePrefix starts the text form of a shared key.
const darePrefix = "aes1-"

// DareKey is the AES-256 key that a pair of appliances shares. The zero value is none and is refused.
type DareKey [32]byte

// ParseDareKey reads a key file: `aes1-` and 44 characters of padded standard base64, spaces around it aside. Code key.
func ParseDareKey(b []byte) (DareKey, error) {
	var k DareKey
	bad := code.New(code.KeyBad, "not a shared AES key").Want(darePrefix+" and 44 characters of base64", fmt.Sprintf("%d bytes", len(b)))
	text, ok := bytes.CutPrefix(bytes.TrimSpace(b), []byte(darePrefix))
	if !ok || len(text) != base64.StdEncoding.EncodedLen(len(k)) {
		return k, bad
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(string(text))
	if err != nil || len(raw) != len(k) {
		return k, bad
	}
	if copy(k[:], raw); k == (DareKey{}) {
		bad.Msg = "a shared AES key of zeros"
		return k, bad
	}
	return k, nil
}

// NewDareKey takes a key from random.
func NewDareKey(random io.Reader) (DareKey, error) {
	var k DareKey
	if _, err := io.ReadFull(random, k[:]); err != nil {
		return DareKey{}, fmt.Errorf("make shared key: %w", err)
	}
	return k, nil
}

// String is the secret text form without LF; ParseDareKey reads it back. Never log it.
func (k DareKey) String() string { return darePrefix + base64.StdEncoding.EncodeToString(k[:]) }

// GoString keeps the secret out of %#v.
func (k DareKey) GoString() string { return "seal.DareKey(" + k.ID() + ")" }

// ID is the public name of a key: 16 hex of SHA-256(`sallyport/v1/dare-key` NUL key). Labels carry Tag(bundle id, ID).
func (k DareKey) ID() string { return short("sallyport/v1/dare-key\x00" + string(k[:])) }

// DARE 2.0: a package is a header of 16 bytes, 1–65,536 bytes and a tag of 16.
const (
	dareHeader  = 16
	darePackage = dareHeader + 64<<10 + 16
)

func (k DareKey) config(random io.Reader) sio.Config {
	return sio.Config{MinVersion: sio.Version20, MaxVersion: sio.Version20, CipherSuites: []byte{sio.AES_256_GCM}, Key: k[:], Rand: random}
}

// EncryptDARE seals what is written with a shared key as DARE 2.0. random gives the 12 bytes that no two streams of one
// key may share; the same bytes give the same output. Close writes the last package and leaves w open. Nothing written is
// an error at Close: DARE cannot tell an empty stream from a lost one.
func EncryptDARE(w io.Writer, k DareKey, random io.Reader) (io.WriteCloser, error) {
	if k == (DareKey{}) {
		return nil, code.New(code.EncryptionRequired, "no shared AES key")
	}
	out := bufio.NewWriterSize(w, bufferSize)
	in, err := sio.EncryptWriter(onlyWriter{out}, k.config(random))
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	return &dareWriter{closer: closer{WriteCloser: in, out: out}}, nil
}

// onlyWriter hides every other method of what sio writes to.
type onlyWriter struct{ io.Writer }

type dareWriter struct {
	closer
	any bool
}

func (d *dareWriter) Write(p []byte) (int, error) {
	if d.closed {
		return 0, fmt.Errorf("seal: write after close")
	}
	d.any = d.any || len(p) > 0
	return d.closer.Write(p)
}

func (d *dareWriter) Close() error {
	if !d.any && !d.closed {
		return fmt.Errorf("seal: nothing was written")
	}
	return d.closer.Close()
}

// DecryptDARE opens a DARE 2.0 stream. r is attacker-controlled; about 1 MiB is held. Codes: seal-form (not DARE 2.0 with
// AES-256-GCM), not-for-us (the first package is whole and the key does not open it), seal-damaged (everything else, at
// once or when read; bytes behind the last package too). Errors of r come through as they are.
func DecryptDARE(r io.Reader, k DareKey) (io.Reader, error) {
	if k == (DareKey{}) {
		return nil, code.New(code.IdentityMissing, "no shared AES key")
	}
	src := &source{r: r}
	in := bufio.NewReaderSize(src, bufferSize)
	if err := checkDare(in, k); err != nil {
		return nil, err
	}
	out, err := sio.DecryptReader(in, k.config(nil))
	if err != nil {
		return nil, fmt.Errorf("open: %w", err)
	}
	return &opened{r: out, src: src}, nil
}

// checkDare looks at the first package without passing it.
func checkDare(in *bufio.Reader, k DareKey) error {
	b, err := in.Peek(darePackage)
	if err != nil && err != io.EOF {
		return err
	}
	if len(b) <= dareHeader*2 {
		return code.New(code.SealDamaged, "the file is cut in its first package").In("", "offset 0").Want("a DARE package", fmt.Sprintf("%d bytes", len(b)))
	}
	if b[0] != sio.Version20 || b[1] != sio.AES_256_GCM {
		return code.New(code.SealForm, "not DARE 2.0 with AES-256-GCM").In("", "offset 0").Want("20 00", fmt.Sprintf("% x", b[:2]))
	}
	n := 2*dareHeader + 1 + int(b[2]) + int(b[3])<<8
	if len(b) < n {
		return code.New(code.SealDamaged, "the file is cut in its first package").In("", fmt.Sprintf("offset %d", len(b))).Want(fmt.Sprintf("%d bytes", n), len(b))
	}
	return k.opens(b[:n])
}

// opens tries the key on a stream's first package, whose nonce is as written: the sequence number is 0.
func (k DareKey) opens(b []byte) error {
	block, err := aes.NewCipher(k[:])
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	if _, err := gcm.Open(nil, b[4:dareHeader], b[dareHeader:], b[:4]); err != nil {
		return code.New(code.NotForUs, "the shared AES key does not open the first package").In("", "offset 0").Want("key "+k.ID(), "another key, or damage")
	}
	return nil
}
