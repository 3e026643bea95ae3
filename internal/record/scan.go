package record

import (
	"bytes"
	"slices"
	"strings"

	"sallyport/internal/code"
)

// Scan finds the fields of one line (an advisory in OSV form, or a finding): id, aliases, modified, withdrawn,
// affected[].package{ecosystem,name}, and a finding's own purl. Members it does not look for are stepped over by bracket
// and quote alone, never decoded, so a line costs about as much as reading it; only a line that canon.Line or the gate has
// passed is known to be JSON. A line without an id, or with one of the sought members of another type, is refused with
// code.LineBad; null counts as absent.
func Scan(line []byte) (Fields, error) {
	s := scanner{b: line}
	var f Fields
	err := s.object(func(name []byte) error {
		switch string(name) {
		case "id":
			return s.text(&f.ID)
		case "modified":
			return s.text(&f.Modified)
		case "withdrawn":
			return s.text(&f.Withdrawn)
		case "aliases":
			return s.array(func() error { return s.item(&f.Aliases) })
		case "affected":
			return s.array(func() error { return s.affected(&f) })
		case "purl":
			return s.purl(&f)
		}
		return s.skip()
	})
	if err == nil && s.at != len(line) {
		err = s.bad("end of line")
	}
	if err == nil && f.ID == "" {
		err = code.New(code.LineBad, "the record has no id").In("", "id").Want("a name", "nothing")
	}
	if err != nil {
		return Fields{}, err
	}
	f.Packages = unique(f.Packages)
	return f, nil
}

// unique sorts and drops repetitions: an advisory names a package once per range.
func unique(p []Package) []Package {
	if len(p) < 2 {
		return p
	}
	slices.SortFunc(p, func(a, b Package) int {
		if c := strings.Compare(a.Ecosystem, b.Ecosystem); c != 0 {
			return c
		}
		return strings.Compare(a.Name, b.Name)
	})
	return slices.Compact(p)
}

type scanner struct {
	b  []byte
	at int
}

func (s *scanner) bad(want string) error {
	got := "end of line"
	if s.at < len(s.b) {
		got = string(s.b[s.at : s.at+1])
	}
	return code.New(code.LineBad, "byte %d", s.at).Want(want, got)
}

func (s *scanner) peek() byte {
	if s.at < len(s.b) {
		return s.b[s.at]
	}
	return 0
}

func (s *scanner) eat(c byte) bool {
	if s.peek() != c {
		return false
	}
	s.at++
	return true
}

func (s *scanner) null() bool {
	if bytes.HasPrefix(s.b[s.at:], []byte("null")) {
		s.at += 4
		return true
	}
	return false
}

// object calls fn at each member's value; fn must step over it.
func (s *scanner) object(fn func(name []byte) error) error {
	if !s.eat('{') {
		return s.bad("{")
	}
	if s.eat('}') {
		return nil
	}
	for {
		name, _, err := s.raw()
		if err != nil {
			return err
		}
		if !s.eat(':') {
			return s.bad(":")
		}
		if err := fn(name); err != nil {
			return err
		}
		if s.eat('}') {
			return nil
		}
		if !s.eat(',') {
			return s.bad(", or }")
		}
	}
}

// array calls fn at each item; fn must step over it. null is an empty array.
func (s *scanner) array(fn func() error) error {
	if s.null() {
		return nil
	}
	if !s.eat('[') {
		return s.bad("[")
	}
	if s.eat(']') {
		return nil
	}
	for {
		if err := fn(); err != nil {
			return err
		}
		if s.eat(']') {
			return nil
		}
		if !s.eat(',') {
			return s.bad(", or ]")
		}
	}
}

// raw steps over a string and returns what is between its quotes, and whether it has escapes.
func (s *scanner) raw() ([]byte, bool, error) {
	start := s.at + 1
	if err := s.quoted(); err != nil {
		return nil, false, err
	}
	b := s.b[start : s.at-1]
	return b, bytes.IndexByte(b, '\\') >= 0, nil
}

// backslashes counts those at the end of b.
func backslashes(b []byte) (n int) {
	for n < len(b) && b[len(b)-1-n] == '\\' {
		n++
	}
	return n
}

func (s *scanner) text(to *string) error {
	if s.null() {
		return nil
	}
	b, escaped, err := s.raw()
	if err != nil {
		return err
	}
	if !escaped {
		*to = string(b)
		return nil
	}
	t, ok := unescape(b)
	if !ok {
		return s.bad("a string with valid escapes")
	}
	*to = t
	return nil
}

func (s *scanner) item(to *[]string) error {
	var t string
	if err := s.text(&t); err != nil {
		return err
	}
	if t != "" {
		*to = append(*to, t)
	}
	return nil
}

func (s *scanner) affected(f *Fields) error {
	return s.object(func(name []byte) error {
		if string(name) != "package" || s.null() {
			return s.skip()
		}
		var p Package
		err := s.object(func(name []byte) error {
			switch string(name) {
			case "ecosystem":
				return s.text(&p.Ecosystem)
			case "name":
				return s.text(&p.Name)
			}
			return s.skip()
		})
		if err == nil && p.Name != "" {
			f.Packages = append(f.Packages, p)
		}
		return err
	})
}

func (s *scanner) purl(f *Fields) error {
	if s.peek() != '"' {
		return s.skip()
	}
	var t string
	if err := s.text(&t); err != nil {
		return err
	}
	if p, ok := FromPURL(t); ok {
		f.Packages = append(f.Packages, p)
	}
	return nil
}

// skip steps over any value. At "," "}" "]" there is nothing to step over (after null in affected).
func (s *scanner) skip() error {
	switch s.peek() {
	case '"':
		_, _, err := s.raw()
		return err
	case '{', '[':
		return s.nested()
	case 0:
		return s.bad("a value")
	}
	for s.at < len(s.b) {
		switch s.b[s.at] {
		case ',', '}', ']':
			return nil
		}
		s.at++
	}
	return nil
}

func (s *scanner) nested() error {
	depth := 0
	for s.at < len(s.b) {
		switch s.b[s.at] {
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				s.at++
				return nil
			}
		case '"':
			if err := s.quoted(); err != nil {
				return err
			}
			continue
		}
		s.at++
	}
	return s.bad("a closing bracket")
}

// quoted steps over a string, looking at each byte once and at each run of backslashes before a quote twice.
func (s *scanner) quoted() error {
	open := s.at
	if !s.eat('"') {
		return s.bad("a string")
	}
	for {
		i := bytes.IndexByte(s.b[s.at:], '"')
		if i < 0 {
			s.at = len(s.b)
			return s.bad(`"`)
		}
		s.at += i + 1
		if backslashes(s.b[open+1:s.at-1])%2 == 0 {
			return nil
		}
	}
}
