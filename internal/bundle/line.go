package bundle

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"sallyport/internal/canon"
	"sallyport/internal/code"
	"sallyport/internal/digest"
)

// IndexLine is one line of an index: one live record. Lines ascend by kind, then key.
type IndexLine struct {
	Kind   string        `json:"kind"`
	Key    string        `json:"key"`
	Path   string        `json:"path"`           // of the content that holds it
	Line   *int64        `json:"line,omitempty"` // from 0; nil for documents
	Digest digest.Digest `json:"digest"`         // of the line without LF, or of the document
	Source string        `json:"source,omitempty"`
}

// Tombstone is one line of a tombstone file: a record that is gone. Was is its digest in the newest base.
type Tombstone struct {
	Key string        `json:"key"`
	Was digest.Digest `json:"was"`
}

// EncodeIndexLine appends the canonical line with its LF. The caller has checked kind, key and path.
func EncodeIndexLine(dst []byte, l IndexLine) []byte {
	dst = append(dst, `{"digest":"sha256:`...)
	dst = hex.AppendEncode(dst, l.Digest[:])
	dst = append(dst, `","key":`...)
	dst = canon.AppendString(dst, l.Key)
	dst = append(dst, `,"kind":`...)
	dst = canon.AppendString(dst, l.Kind)
	if l.Line != nil {
		dst = append(dst, `,"line":`...)
		dst = strconv.AppendInt(dst, *l.Line, 10)
	}
	dst = append(dst, `,"path":`...)
	dst = canon.AppendString(dst, l.Path)
	if l.Source != "" {
		dst = append(dst, `,"source":`...)
		dst = canon.AppendString(dst, l.Source)
	}
	return append(dst, '}', '\n')
}

// EncodeTombstone appends the canonical line with its LF.
func EncodeTombstone(dst []byte, t Tombstone) []byte {
	dst = append(dst, `{"key":`...)
	dst = canon.AppendString(dst, t.Key)
	dst = append(dst, `,"was":"sha256:`...)
	dst = hex.AppendEncode(dst, t.Was[:])
	return append(dst, '"', '}', '\n')
}

// ParseIndexLine reads one line, with or without its LF, and accepts the canonical form alone. Code index.
func ParseIndexLine(b []byte) (IndexLine, error) {
	var p LineParser
	return p.Index(b)
}

// ParseTombstone reads one line, with or without its LF, and accepts the canonical form alone. Code index.
func ParseTombstone(b []byte) (Tombstone, error) {
	p := LineParser{in: bytes.TrimSuffix(b, []byte("\n"))}
	var t Tombstone
	p.literal(`{"key":`)
	t.Key = p.text("")
	p.literal(`,"was":`)
	t.Was = p.digest()
	p.literal(`}`)
	if err := p.end(); err != nil {
		return Tombstone{}, err
	}
	return t, CheckKey(t.Key)
}

// LineParser reads many lines and shares what repeats from line to line. The zero value is ready; not for concurrent use.
type LineParser struct {
	in   []byte
	pos  int
	bad  bool
	last IndexLine
}

// Index is ParseIndexLine.
func (p *LineParser) Index(b []byte) (IndexLine, error) {
	p.in, p.pos, p.bad = bytes.TrimSuffix(b, []byte("\n")), 0, false
	var l IndexLine
	p.literal(`{"digest":`)
	l.Digest = p.digest()
	p.literal(`,"key":`)
	l.Key = p.text("")
	p.literal(`,"kind":`)
	l.Kind = p.text(p.last.Kind)
	if p.optional(`,"line":`) {
		n := p.integer()
		l.Line = &n
	}
	p.literal(`,"path":`)
	l.Path = p.text(p.last.Path)
	if p.optional(`,"source":`) {
		l.Source = p.text(p.last.Source)
		p.bad = p.bad || l.Source == ""
	}
	p.literal(`}`)
	if err := p.end(); err != nil {
		return IndexLine{}, err
	}
	if err := checkKind(l.Kind); err != nil {
		return IndexLine{}, err
	}
	p.last = l
	return l, CheckKey(l.Key)
}

func (p *LineParser) end() error {
	if p.bad || p.pos != len(p.in) {
		return code.New(code.IndexBad, "a line that is not in its one form").In("", fmt.Sprintf("offset %d", min(p.pos, len(p.in)))).
			Want("canonical JSON with exactly the members of such a line", fmt.Sprintf("%.40q", p.in[min(p.pos, len(p.in)):]))
	}
	if len(p.in) >= MaxLine {
		return code.New(code.LineLimit, "").Want("less than 1 MiB", len(p.in))
	}
	return nil
}

func (p *LineParser) optional(s string) bool {
	if p.bad || !bytes.HasPrefix(p.in[p.pos:], []byte(s)) {
		return false
	}
	p.pos += len(s)
	return true
}

func (p *LineParser) literal(s string) { p.bad = !p.optional(s) || p.bad }

func (p *LineParser) digest() (d digest.Digest) {
	if !p.optional(`"sha256:`) || len(p.in) < p.pos+65 || p.in[p.pos+64] != '"' {
		p.bad = true
		return d
	}
	for _, c := range p.in[p.pos : p.pos+64] {
		p.bad = p.bad || c >= 'A' && c <= 'F'
	}
	_, err := hex.Decode(d[:], p.in[p.pos:p.pos+64])
	p.bad = p.bad || err != nil
	p.pos += 65
	return d
}

func (p *LineParser) integer() (n int64) {
	start := p.pos
	for p.pos < len(p.in) && p.in[p.pos] >= '0' && p.in[p.pos] <= '9' && n <= MaxNumber {
		n = n*10 + int64(p.in[p.pos]-'0')
		p.pos++
	}
	digits := p.pos - start
	p.bad = p.bad || digits == 0 || n > MaxNumber || digits > 1 && p.in[start] == '0'
	return n
}

// text reads a string; what equals same is given back as it, without a copy. Control characters are not in any string of ours, so the
// only canonical escapes are \" and \\.
func (p *LineParser) text(same string) string {
	if !p.optional(`"`) {
		p.bad = true
		return ""
	}
	start, escaped := p.pos, false
	for ; p.pos < len(p.in) && p.in[p.pos] != '"'; p.pos++ {
		switch c := p.in[p.pos]; {
		case c < 0x20:
			p.bad = true
		case c == '\\':
			escaped = true
			p.pos++
			p.bad = p.bad || p.pos >= len(p.in) || p.in[p.pos] != '"' && p.in[p.pos] != '\\'
		}
	}
	if p.bad || p.pos >= len(p.in) || !utf8.Valid(p.in[start:p.pos]) {
		p.bad = true
		return ""
	}
	raw := p.in[start:p.pos]
	p.pos++
	switch {
	case string(raw) == same:
		return same
	case escaped:
		return strings.NewReplacer(`\\`, `\`, `\"`, `"`).Replace(string(raw))
	}
	return string(raw)
}

// CheckKey refuses a record's key that is not 1 … 1024 bytes of UTF-8 without control characters. Keys are never normalised. Code line.
func CheckKey(key string) error {
	if key == "" || len(key) > MaxKey {
		return code.New(code.LineBad, "key %.40q", key).Want("1 to 1024 bytes", len(key))
	}
	ascii := true
	for i := range len(key) {
		if key[i] < 0x20 || key[i] == 0x7f {
			return code.New(code.LineBad, "key %.40q has a control character", key)
		}
		ascii = ascii && key[i] < utf8.RuneSelf
	}
	if !ascii && (!utf8.ValidString(key) || strings.ContainsFunc(key, unicode.IsControl)) {
		return code.New(code.LineBad, "key %.40q has a control character or is not UTF-8", key)
	}
	return nil
}

func checkKind(kind string) error {
	good := len(kind) >= 1 && len(kind) <= 16
	for i := range len(kind) {
		good = good && kind[i] >= 'a' && kind[i] <= 'z'
	}
	if !good {
		return code.New(code.LineBad, "kind %.40q", kind).Want("1 to 16 of a-z", kind)
	}
	return nil
}
