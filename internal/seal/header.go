package seal

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strings"

	"sallyport/internal/code"
)

// Limits of an age header (bundle format, "Reader's limits"): 64 hybrid stanzas of 1,557 bytes fit.
const (
	headerMax  = 128 << 10
	stanzaMax  = 64
	ageIntro   = "age-encryption.org/v1\n"
	armorIntro = "-----BEGIN AGE"
)

// The stanza types of native recipients.
const (
	stanzaX25519 = "X25519"
	stanzaHybrid = "mlkem768x25519"
)

// readHeader takes exactly the age header from r, every byte up to the end of the MAC line, and refuses what we do not
// write: other stanza types, mixed ones, too many, too long. It judges the form alone; age parses the bytes again and
// proves them. At most headerMax bytes are read and held. Codes: seal-form, seal-limit, seal-damaged.
func readHeader(r *bufio.Reader) ([]byte, error) {
	g := headerGuard{r: r}
	if err := g.intro(); err != nil {
		return nil, err
	}
	for {
		line, err := g.line()
		if err != nil {
			return nil, err
		}
		switch {
		case bytes.HasPrefix(line, []byte("---")):
			return g.end()
		case bytes.HasPrefix(line, []byte("-> ")):
			if err := g.stanza(line); err != nil {
				return nil, err
			}
		case g.stanzas == 0:
			return nil, g.damaged("a header without a stanza", "a line that begins with ->", line)
		}
	}
}

type headerGuard struct {
	r       *bufio.Reader
	buf     []byte
	stanzas int
	kind    string
	start   int // of the latest line
}

func (g *headerGuard) intro() error {
	b, err := g.r.Peek(len(ageIntro))
	switch {
	case string(b) == ageIntro:
		return nil
	case err != nil && err != io.EOF:
		return err
	case bytes.HasPrefix(b, []byte(armorIntro)):
		return code.New(code.SealForm, "an armored file").In("", "offset 0").Want("binary age", "armor")
	case err == io.EOF && strings.HasPrefix(ageIntro, string(b)):
		return code.New(code.SealDamaged, "the file is cut in its first line").In("", "offset 0").Want(fmt.Sprintf("%q", ageIntro), fmt.Sprintf("%q", b))
	}
	return code.New(code.SealForm, "not an age v1 file").In("", "offset 0").Want(fmt.Sprintf("%q", ageIntro), fmt.Sprintf("%q", b))
}

// line takes one line with its LF.
func (g *headerGuard) line() ([]byte, error) {
	if g.start = len(g.buf); g.start == 0 {
		g.start = len(ageIntro)
		g.buf = append(g.buf, ageIntro...)
		g.r.Discard(len(ageIntro)) // was peeked
	}
	for {
		part, err := g.r.ReadSlice('\n')
		if len(g.buf)+len(part) > headerMax {
			return nil, code.New(code.SealLimit, "a header over the limit").In("", fmt.Sprintf("offset %d", g.start)).Want(fmt.Sprintf("≤ %d bytes", headerMax), "more")
		}
		g.buf = append(g.buf, part...)
		switch err {
		case nil:
			return g.buf[g.start:], nil
		case bufio.ErrBufferFull:
		case io.EOF:
			return nil, g.damaged("the file is cut in its header", "the MAC line", g.buf[g.start:])
		default:
			return nil, err
		}
	}
}

func (g *headerGuard) damaged(msg, want string, line []byte) error {
	return code.New(code.SealDamaged, "%s", msg).In("", fmt.Sprintf("offset %d", g.start)).Want(want, fmt.Sprintf("%.40q", line))
}

// stanza judges the first line of a stanza: `-> TYPE ARGUMENTS`.
func (g *headerGuard) stanza(line []byte) error {
	if g.stanzas++; g.stanzas > stanzaMax {
		return code.New(code.SealLimit, "too many stanzas").In("", fmt.Sprintf("offset %d", g.start)).Want(fmt.Sprintf("≤ %d", stanzaMax), "more")
	}
	kind, _, _ := strings.Cut(strings.TrimSuffix(string(line[3:]), "\n"), " ")
	where := fmt.Sprintf("stanza %d", g.stanzas)
	if kind != stanzaX25519 && kind != stanzaHybrid {
		return code.New(code.SealForm, "a stanza of a kind that is not allowed").In("", where).Want(stanzaX25519+" or "+stanzaHybrid, fmt.Sprintf("%.40q", kind))
	}
	if g.kind != "" && kind != g.kind {
		return code.New(code.SealForm, "classical and post-quantum recipients in one file").In("", where).Want(g.kind, kind)
	}
	g.kind = kind
	return nil
}

func (g *headerGuard) end() ([]byte, error) {
	if g.stanzas == 0 {
		return nil, g.damaged("a header without a stanza", "a stanza", g.buf[g.start:])
	}
	return g.buf, nil
}
