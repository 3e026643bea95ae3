package canon

import (
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/gowebpki/jcs"

	"sallyport/internal/code"
)

const hexDigits = "0123456789abcdef"

// text reads a string and writes it canonically (RFC 8785 section 3.2.2.2).
func (p *parser) text() error {
	start := p.pos
	p.pos++
	p.out = append(p.out, '"')
	for {
		run := p.pos
		for p.pos < len(p.in) {
			c := p.in[p.pos]
			if c < 0x20 || c == '"' || c == '\\' || c >= utf8.RuneSelf {
				break
			}
			p.pos++
		}
		p.out = append(p.out, p.in[run:p.pos]...)
		if p.pos >= len(p.in) {
			return p.fail(code.JSONSyntax, start, "a string that does not end")
		}
		switch c := p.in[p.pos]; {
		case c == '"':
			p.pos++
			p.out = append(p.out, '"')
			return nil
		case c == '\\':
			if err := p.escape(); err != nil {
				return err
			}
		case c < 0x20:
			return p.fail(code.JSONSyntax, p.pos, "a control character in a string")
		default:
			r, n := utf8.DecodeRune(p.in[p.pos:])
			if r == utf8.RuneError && n == 1 {
				return p.fail(code.JSONUnicode, p.pos, "bytes that are not UTF-8")
			}
			p.out = append(p.out, p.in[p.pos:p.pos+n]...)
			p.pos += n
		}
	}
}

func (p *parser) escape() error {
	at := p.pos
	if p.pos+1 >= len(p.in) {
		return p.fail(code.JSONSyntax, at, "an escape that does not end")
	}
	c := p.in[p.pos+1]
	p.pos += 2
	if c == 'u' {
		return p.unicode(at)
	}
	i := strings.IndexByte(`"\/bfnrt`, c)
	if i < 0 {
		return p.fail(code.JSONSyntax, at, "an unknown escape")
	}
	p.out = appendEscaped(p.out, rune("\"\\/\b\f\n\r\t"[i]))
	return nil
}

func (p *parser) unicode(at int) error {
	r, ok := p.hex4()
	if !ok {
		return p.fail(code.JSONSyntax, at, "an escape without four hex digits")
	}
	if utf16.IsSurrogate(r) {
		if !strings.HasPrefix(string(p.in[p.pos:min(p.pos+2, len(p.in))]), `\u`) {
			return p.fail(code.JSONUnicode, at, "a lone surrogate").Want("a pair", "half of one")
		}
		p.pos += 2
		low, ok := p.hex4()
		if !ok {
			return p.fail(code.JSONSyntax, at, "an escape without four hex digits")
		}
		if r = utf16.DecodeRune(r, low); r == utf8.RuneError {
			return p.fail(code.JSONUnicode, at, "a lone surrogate").Want("a pair", "half of one")
		}
	}
	p.out = appendEscaped(p.out, r)
	return nil
}

func (p *parser) hex4() (r rune, ok bool) {
	if p.pos+4 > len(p.in) {
		return 0, false
	}
	for _, c := range p.in[p.pos : p.pos+4] {
		switch {
		case c >= '0' && c <= '9':
			r = r<<4 | rune(c-'0')
		case c >= 'a' && c <= 'f':
			r = r<<4 | rune(c-'a'+10)
		case c >= 'A' && c <= 'F':
			r = r<<4 | rune(c-'A'+10)
		default:
			return 0, false
		}
	}
	p.pos += 4
	return r, true
}

// AppendString appends s as a canonical JSON string. s must be well-formed UTF-8.
func AppendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	run := 0
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < 0x20 || c == '"' || c == '\\' {
			dst = append(dst, s[run:i]...)
			dst = appendEscaped(dst, rune(c))
			run = i + 1
		}
	}
	return append(append(dst, s[run:]...), '"')
}

func appendEscaped(dst []byte, r rune) []byte {
	switch r {
	case '"', '\\':
		return append(dst, '\\', byte(r))
	case '\b':
		return append(dst, '\\', 'b')
	case '\f':
		return append(dst, '\\', 'f')
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	}
	if r < 0x20 {
		return append(dst, '\\', 'u', '0', '0', hexDigits[r>>4], hexDigits[r&15])
	}
	return utf8.AppendRune(dst, r)
}

// unescape appends the value of canonical string text (without its quotation marks).
func unescape(dst, text []byte) []byte {
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c != '\\' {
			dst = append(dst, c)
			continue
		}
		i++
		switch text[i] {
		case 'u': // canonical text has \u00xx only
			v, _ := strconv.ParseUint(string(text[i+1:i+5]), 16, 8)
			dst = append(dst, byte(v))
			i += 4
		default:
			dst = append(dst, "\"\\\b\f\n\r\t"[strings.IndexByte(`"\bfnrt`, text[i])])
		}
	}
	return dst
}

// number reads a number and writes it canonically, if its value survives (RFC 8785 section 3.2.2.3).
func (p *parser) number() error {
	start := p.pos
	whole, ok := p.grammar()
	token := p.in[start:p.pos]
	if !ok {
		return p.syntax("a number")
	}
	if whole && len(token) <= 15 && token[0] != '-' {
		p.out = append(p.out, token...)
		return nil
	}
	if p.ours && p.free == 0 && (!whole || token[0] == '-') {
		return p.fail(code.JSONNumber, start, "number %.40q", token).Want("an integer from 0 to 2^53-1", short(token))
	}
	text, ok := exact(string(token), whole)
	if !ok {
		return p.fail(code.JSONNumber, start, "number %.40q would change its value", token).Want("an exact number, integers within 2^53-1", short(token))
	}
	p.out = append(p.out, text...)
	return nil
}

func short(b []byte) string { return string(b[:min(len(b), 40)]) }

// grammar moves behind a number of RFC 8259 section 6 and tells whether it is written as an integer.
func (p *parser) grammar() (whole, ok bool) {
	if p.peek() == '-' {
		p.pos++
	}
	if p.peek() == '0' {
		p.pos++
	} else if p.digits() == 0 {
		return false, false
	}
	whole = true
	if p.peek() == '.' {
		p.pos++
		if whole = false; p.digits() == 0 {
			return false, false
		}
	}
	if c := p.peek(); c == 'e' || c == 'E' {
		p.pos++
		if c := p.peek(); c == '+' || c == '-' {
			p.pos++
		}
		if whole = false; p.digits() == 0 {
			return false, false
		}
	}
	return whole, true
}

func (p *parser) digits() (n int) {
	for c := p.peek(); c >= '0' && c <= '9'; c = p.peek() {
		p.pos++
		n++
	}
	return n
}

// exact gives the canonical text of a number, if that has the same decimal value: no rounding, no −0, no integer beyond 2^53−1
// however it is written.
func exact(token string, whole bool) (string, bool) {
	if whole {
		n, err := strconv.ParseInt(token, 10, 64)
		if err != nil || n > MaxInteger || n < -MaxInteger || token == "-0" {
			return "", false
		}
		return token, true
	}
	f, err := strconv.ParseFloat(token, 64)
	if err != nil {
		return "", false
	}
	if f > MaxInteger || f < -MaxInteger { // all of these are integers
		return "", false
	}
	text, err := jcs.NumberToJSON(f)
	if err != nil || (f == 0 && token[0] == '-') {
		return "", false
	}
	d1, e1, ok1 := decimal(token)
	d2, e2, ok2 := decimal(text)
	return text, ok1 && ok2 && d1 == d2 && e1 == e2
}

// decimal takes a number apart: its significant digits without zeros at either end, with sign, and the power of ten of the last.
func decimal(token string) (digits string, exp int, ok bool) {
	mantissa, power, _ := strings.Cut(strings.ToLower(token), "e")
	if power != "" {
		v, err := strconv.Atoi(power)
		if err != nil || v > 1<<30 || v < -(1<<30) {
			return "", 0, false
		}
		exp = v
	}
	sign := ""
	if strings.HasPrefix(mantissa, "-") {
		sign, mantissa = "-", mantissa[1:]
	}
	whole, frac, _ := strings.Cut(mantissa, ".")
	exp -= len(frac)
	digits = strings.TrimLeft(whole+frac, "0")
	trimmed := strings.TrimRight(digits, "0")
	exp += len(digits) - len(trimmed)
	if trimmed == "" {
		return "", 0, true
	}
	return sign + trimmed, exp, true
}
