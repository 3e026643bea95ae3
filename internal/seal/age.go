package seal

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"filippo.io/age"

	"sallyport/internal/code"
)

// bufferSize is what is read and written below the ciphers at a time: age alone would do it in 64 KiB.
const bufferSize = 1 << 20

// Encrypt seals what is written to every one of the recipients. Close writes the last chunk and leaves w open; without
// it the file is cut. None, a zero one, more than 64 or mixed kinds are refused, never replaced by plaintext:
// ERR_EXPORT_ENCRYPTION_REQUIRED. The bytes differ every time.
func Encrypt(w io.Writer, rs ...Recipient) (io.WriteCloser, error) {
	if len(rs) == 0 || len(rs) > stanzaMax {
		return nil, code.New(code.EncryptionRequired, "").In("", "recipients").Want(fmt.Sprintf("1 to %d", stanzaMax), len(rs))
	}
	keys := make([]age.Recipient, len(rs))
	for i, r := range rs {
		if r.key == nil {
			return nil, code.New(code.EncryptionRequired, "").In("", "recipients").Want("a recipient", "none")
		}
		if r.hybrid != rs[0].hybrid {
			return nil, code.New(code.EncryptionRequired, "classical and post-quantum recipients cannot be mixed").In("", "recipients").
				Want("one kind", "both").Do("Make one bundle for each kind, or renew the older card.")
		}
		keys[i] = r.key
	}
	out := bufio.NewWriterSize(w, bufferSize)
	in, err := age.Encrypt(out, keys...)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	return &closer{WriteCloser: in, out: out}, nil
}

// closer flushes the buffer below a cipher.
type closer struct {
	io.WriteCloser
	out    *bufio.Writer
	closed bool
}

func (c *closer) Close() error {
	if c.closed {
		return nil
	}
	c.closed = true
	if err := c.WriteCloser.Close(); err != nil {
		return fmt.Errorf("seal: %w", err)
	}
	if err := c.out.Flush(); err != nil {
		return fmt.Errorf("seal: %w", err)
	}
	return nil
}

// Decrypt opens a file that was sealed to one of the identities. r is attacker-controlled: at most 128 KiB of header are
// held, and only native stanzas reach age. Codes: seal-form and seal-limit (the header is none of ours), not-for-us (no
// identity fits), seal-damaged (one fits and the rest does not, or the header does not parse), identity-missing.
// Later read errors are seal-damaged, bytes behind the last chunk too; errors of r come through as they are.
// It reads in 1 MiB, so r may be read further than the answers show.
func Decrypt(r io.Reader, ids ...Identity) (io.Reader, error) {
	var keys []age.Identity
	for _, id := range ids {
		if id.key != nil {
			keys = append(keys, id.key)
		}
	}
	if len(keys) == 0 {
		return nil, code.New(code.IdentityMissing, "")
	}
	src := &source{r: r}
	in := bufio.NewReaderSize(src, bufferSize)
	header, err := readHeader(in)
	if err != nil {
		return nil, err
	}
	out, err := age.Decrypt(&joined{head: bytes.NewReader(header), r: in}, keys...)
	if err != nil {
		return nil, src.refusal(err, "open header")
	}
	return &opened{r: out, src: src}, nil
}

// source remembers an error of the file itself, to tell it from damage.
type source struct {
	r   io.Reader
	n   int64
	err error // not io.EOF
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	s.n += int64(n)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

// refusal gives an error of the ciphers its code; the source's own error comes through.
func (s *source) refusal(err error, step string) error {
	if s.err != nil {
		return s.err
	}
	if _, ok := errors.AsType[*age.NoIdentityMatchError](err); ok {
		return code.New(code.NotForUs, "")
	}
	return code.Wrap(code.SealDamaged, err, "").In("", fmt.Sprintf("%s, before offset %d", step, s.n))
}

// joined is the header that was looked at, then the rest.
type joined struct {
	head *bytes.Reader
	r    *bufio.Reader
}

func (j *joined) Read(p []byte) (int, error) {
	if j.head.Len() > 0 {
		return j.head.Read(p)
	}
	return j.r.Read(p)
}

// opened gives read errors their code.
type opened struct {
	r   io.Reader
	src *source
	err error // sticky
}

func (o *opened) Read(p []byte) (int, error) {
	if o.err != nil {
		return 0, o.err
	}
	n, err := o.r.Read(p)
	if err != nil && err != io.EOF {
		err = o.src.refusal(err, "open chunk")
	}
	o.err = err
	return n, err
}
