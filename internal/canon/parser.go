package canon

import (
	"bytes"
	"fmt"
	"slices"
	"unicode"
	"unicode/utf8"

	"sallyport/internal/code"
)

// parser reads one document and writes its canonical form. Offsets in errors are into the input.
type parser struct {
	in      []byte
	pos     int
	out     []byte
	keys    []byte
	members []member
	scratch []byte
	hashes  []uint64
	depth   int
	free    int  // > 0 inside `ext`
	ours    bool // no null, only integers 0 … 2^53−1, except inside `ext`
}

// member is one member of an object that is still open: its decoded name keys[k0:k1], its text out[s:e] (`"name":value`).
type member struct {
	k0, k1, s, e int
	fold         uint64 // hash of the case-folded name
}

func (p *parser) fail(c code.Code, at int, format string, args ...any) *code.Error {
	return code.New(c, format, args...).In("", fmt.Sprintf("offset %d", at))
}

func (p *parser) document() error {
	p.depth, p.free = 0, 0
	if err := p.encoding(); err != nil {
		return err
	}
	p.space()
	if err := p.value(); err != nil {
		return err
	}
	p.space()
	if p.pos < len(p.in) {
		return p.fail(code.JSONTrailing, p.pos, "").Want("the end", fmt.Sprintf("byte 0x%02x", p.in[p.pos]))
	}
	return nil
}

// encoding refuses byte order marks and UTF-16, which would otherwise be puzzling syntax errors.
func (p *parser) encoding() error {
	for _, mark := range []string{"\xef\xbb\xbf", "\xfe\xff", "\xff\xfe"} {
		if bytes.HasPrefix(p.in, []byte(mark)) {
			return p.fail(code.JSONUnicode, 0, "a byte order mark").Want("UTF-8 without one", fmt.Sprintf("% x", mark))
		}
	}
	if len(p.in) > 1 && (p.in[0] == 0 || p.in[1] == 0) {
		return p.fail(code.JSONUnicode, 0, "UTF-16 or UTF-32 instead of UTF-8").Want("UTF-8", fmt.Sprintf("% x", p.in[:2]))
	}
	return nil
}

func (p *parser) space() {
	for p.pos < len(p.in) {
		switch p.in[p.pos] {
		case ' ', '\t', '\n', '\r':
			p.pos++
		default:
			return
		}
	}
}

// peek is the next byte, 0 at the end (a NUL in the input is never valid either).
func (p *parser) peek() byte {
	if p.pos < len(p.in) {
		return p.in[p.pos]
	}
	return 0
}

func (p *parser) syntax(want string) error {
	if p.pos >= len(p.in) {
		return p.fail(code.JSONSyntax, p.pos, "the document ends early").Want(want, "the end")
	}
	return p.fail(code.JSONSyntax, p.pos, "").Want(want, fmt.Sprintf("byte 0x%02x", p.in[p.pos]))
}

func (p *parser) value() error {
	switch c := p.peek(); {
	case c == '{':
		return p.nested(p.object)
	case c == '[':
		return p.nested(p.array)
	case c == '"':
		return p.text()
	case c == '-' || c >= '0' && c <= '9':
		return p.number()
	case c == 't':
		return p.literal("true")
	case c == 'f':
		return p.literal("false")
	case c == 'n':
		if p.ours && p.free == 0 {
			return p.fail(code.JSONType, p.pos, "null").Want("a value, or no member", "null")
		}
		return p.literal("null")
	}
	return p.syntax("a value")
}

func (p *parser) literal(s string) error {
	if !bytes.HasPrefix(p.in[p.pos:], []byte(s)) {
		return p.syntax(s)
	}
	p.pos += len(s)
	p.out = append(p.out, s...)
	return nil
}

func (p *parser) nested(inner func() error) error {
	if p.depth++; p.depth > MaxDepth {
		return p.fail(code.JSONDepth, p.pos, "").Want(fmt.Sprintf("at most %d levels", MaxDepth), "more")
	}
	p.out = append(p.out, p.in[p.pos])
	p.pos++
	err := inner()
	p.depth--
	return err
}

func (p *parser) array() error {
	for first := true; ; first = false {
		p.space()
		if first && p.peek() == ']' {
			break
		}
		if err := p.value(); err != nil {
			return err
		}
		p.space()
		if p.peek() == ']' {
			break
		}
		if p.peek() != ',' {
			return p.syntax("comma or ]")
		}
		p.pos++
		p.out = append(p.out, ',')
	}
	p.pos++
	p.out = append(p.out, ']')
	return nil
}

func (p *parser) object() error {
	base, keys, start := len(p.members), len(p.keys), len(p.out)
	for {
		p.space()
		if len(p.members) == base && p.peek() == '}' {
			break
		}
		if err := p.member(); err != nil {
			return err
		}
		p.space()
		if p.peek() == '}' {
			break
		}
		if p.peek() != ',' {
			return p.syntax("comma or }")
		}
		p.pos++
		p.out = append(p.out, ',')
	}
	p.pos++
	if err := p.order(p.members[base:], start); err != nil {
		return err
	}
	p.out = append(p.out, '}')
	p.members, p.keys = p.members[:base], p.keys[:keys]
	return nil
}

func (p *parser) member() error {
	m := member{s: len(p.out), k0: len(p.keys)}
	if p.peek() != '"' {
		return p.syntax("a member name")
	}
	if err := p.text(); err != nil {
		return err
	}
	p.keys = unescape(p.keys, p.out[m.s+1:len(p.out)-1])
	m.k1 = len(p.keys)
	m.fold = foldHash(p.keys[m.k0:])
	p.space()
	if p.peek() != ':' {
		return p.syntax("a colon")
	}
	p.pos++
	p.out = append(p.out, ':')
	p.space()
	free := p.depth == 1 && string(p.keys[m.k0:m.k1]) == "ext"
	i := len(p.members)
	p.members = append(p.members, m)
	if free {
		p.free++
	}
	err := p.value()
	if free {
		p.free--
	}
	p.members[i].e = len(p.out)
	return err
}

// order checks the names of one object and moves its members into the order of RFC 8785 section 3.2.3.
func (p *parser) order(ms []member, start int) error {
	if err := p.unique(ms); err != nil {
		return err
	}
	name := func(m member) []byte { return p.keys[m.k0:m.k1] }
	cmp := func(a, b member) int { return compareUTF16(name(a), name(b)) }
	if slices.IsSortedFunc(ms, cmp) {
		return nil
	}
	slices.SortFunc(ms, cmp)
	p.scratch = p.scratch[:0]
	for i, m := range ms {
		if i > 0 {
			p.scratch = append(p.scratch, ',')
		}
		p.scratch = append(p.scratch, p.out[m.s:m.e]...)
	}
	copy(p.out[start:], p.scratch)
	return nil
}

// unique refuses two members whose names are equal or differ only in case. Hashes find candidates, the names decide.
func (p *parser) unique(ms []member) error {
	if len(ms) < 2 {
		return nil
	}
	p.hashes = p.hashes[:0]
	for _, m := range ms {
		p.hashes = append(p.hashes, m.fold)
	}
	if len(ms) <= 12 {
		if !pairwise(p.hashes) {
			return nil
		}
	} else {
		slices.Sort(p.hashes)
		if len(slices.Compact(p.hashes)) == len(ms) {
			return nil
		}
	}
	seen := make(map[string]int, len(ms))
	for i, m := range ms {
		name := p.keys[m.k0:m.k1]
		folded := string(fold(nil, name))
		j, twice := seen[folded]
		seen[folded] = i
		if !twice {
			continue
		}
		if other := p.keys[ms[j].k0:ms[j].k1]; !bytes.Equal(name, other) {
			return code.New(code.JSONCase, "members %.60q and %.60q", other, name).In("", fmt.Sprintf("object before offset %d", p.pos)).Want("each name once", fmt.Sprintf("%.60q twice", name))
		}
		return code.New(code.JSONDuplicate, "member %.60q", name).In("", fmt.Sprintf("object before offset %d", p.pos)).Want("each name once", fmt.Sprintf("%.60q twice", name))
	}
	return nil
}

func pairwise(hs []uint64) bool {
	for i := range hs {
		for j := range i {
			if hs[i] == hs[j] {
				return true
			}
		}
	}
	return false
}

// compareUTF16 orders well-formed UTF-8 by UTF-16 code units: as bytes, except that characters beyond U+FFFF (lead byte F0 and up),
// being surrogate pairs there, come before U+E000 … U+FFFF (lead bytes EE and EF).
func compareUTF16(a, b []byte) int {
	n := min(len(a), len(b))
	for i := range n {
		x, y := a[i], b[i]
		if x == y {
			continue
		}
		if x >= 0xEE && y >= 0xEE && (x >= 0xF0) != (y >= 0xF0) {
			x, y = y, x
		}
		if x < y {
			return -1
		}
		return 1
	}
	return len(a) - len(b)
}

// fold appends name with every character replaced by the least one it equals under simple case folding, which is also how
// encoding/json finds fields.
func fold(dst, name []byte) []byte {
	for i := 0; i < len(name); {
		r, n := rune(name[i]), 1
		if r >= utf8.RuneSelf {
			r, n = utf8.DecodeRune(name[i:])
		}
		dst = utf8.AppendRune(dst, foldRune(r))
		i += n
	}
	return dst
}

func foldRune(r rune) rune {
	if r < utf8.RuneSelf {
		if r >= 'a' && r <= 'z' {
			r -= 'a' - 'A'
		}
		return r
	}
	least := r
	for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
		least = min(least, f)
	}
	return least
}

func foldHash(name []byte) uint64 {
	h := uint64(14695981039346656037)
	for i := 0; i < len(name); {
		r, n := rune(name[i]), 1
		if r >= utf8.RuneSelf {
			r, n = utf8.DecodeRune(name[i:])
		}
		h = (h ^ uint64(foldRune(r))) * 1099511628211
		i += n
	}
	return h
}
