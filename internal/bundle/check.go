package bundle

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"sallyport/internal/canon"
	"sallyport/internal/clock"
	"sallyport/internal/code"
	"sallyport/internal/ident"
)

// Header begins every document we sign. Encode fills Schema, Version and MinReader; Critical names members of Ext that a reader
// must understand (none exist in version 1, so any name is reader-too-old).
type Header struct {
	Schema    string                     `json:"schema"`
	Version   int64                      `json:"version"`
	MinReader string                     `json:"minReader"` // the software version that first reads all of it
	Ext       map[string]json.RawMessage `json:"ext,omitempty"`
	Critical  []string                   `json:"critical,omitempty"`
}

func (h *Header) fill(schema string) {
	h.Schema, h.Version = schema, Version
	if h.MinReader == "" {
		h.MinReader = MinReader
	}
}

// Appliance names an appliance by id, and as it calls itself.
type Appliance struct {
	ID   string `json:"id"`   // ap1…
	Name string `json:"name"` // ident.Name
}

var (
	versionRE = regexp.MustCompile(`^[0-9]{1,6}\.[0-9]{1,6}\.[0-9]{1,6}(-[0-9A-Za-z.-]{1,32})?$`)
	wordRE    = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{0,63}$`)
	codeRE    = regexp.MustCompile(`^[A-Za-z][A-Za-z_-]{0,63}$`)
	tagRE     = regexp.MustCompile(`^[0-9a-f]{16}$`)
	hex32RE   = regexp.MustCompile(`^[0-9a-f]{32}$`)
)

// checker collects the first fault of a document. Every method is a no-op once there is one.
type checker struct {
	code code.Code // of faults that have no better one
	err  error
}

func (c *checker) ok() bool { return c.err == nil }

func (c *checker) demand(holds bool, place string, want, got any) {
	if c.err == nil && !holds {
		c.err = code.New(c.code, "").In("", place).Want(want, got)
	}
}

func (c *checker) refuse(k code.Code, place string, want, got any) {
	if c.err == nil {
		c.err = code.New(k, "").In("", place).Want(want, got)
	}
}

func (c *checker) wrap(k code.Code, place string, err error) {
	if c.err == nil && err != nil {
		c.err = code.Wrap(k, err, "").In("", place)
	}
}

func (c *checker) header(h *Header, schema string) {
	c.demand(h.Schema == schema, "schema", schema, fmt.Sprintf("%.80q", h.Schema))
	c.demand(versionRE.MatchString(h.MinReader), "minReader", "a software version like 1.2.0", fmt.Sprintf("%.40q", h.MinReader))
}

func (c *checker) appliance(place string, a Appliance) {
	c.wrap(c.code, place+".id", ident.Appliance(a.ID))
	c.wrap(c.code, place+".name", ident.Name(a.Name))
}

func (c *checker) name(place, s string) { c.wrap(c.code, place, ident.Name(s)) }

func (c *checker) match(re *regexp.Regexp, place, s string) {
	c.demand(re.MatchString(s), place, re, fmt.Sprintf("%.80q", s))
}

func (c *checker) time(place, s string) {
	if c.err == nil {
		_, err := clock.Parse(s)
		c.wrap(code.BadTime, place, err)
	}
}

// text demands well-formed UTF-8 without control characters.
func (c *checker) text(place, s string, least, most int) {
	good := len(s) >= least && len(s) <= most && utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
	c.demand(good, place, fmt.Sprintf("%d to %d bytes without control characters", least, most), fmt.Sprintf("%.80q", s))
}

func (c *checker) between(place string, n, least, most int64) {
	c.demand(n >= least && n <= most, place, fmt.Sprintf("%d to %d", least, most), n)
}

func (c *checker) ascending(place string, prev, next string) {
	c.demand(prev < next, place, fmt.Sprintf("after %.80q, each once", prev), fmt.Sprintf("%.80q", next))
}

func (c *checker) log(place string, l *Log) {
	c.demand(len(l.Checkpoint) > 0 && len(l.Checkpoint) <= MaxNote && utf8.ValidString(l.Checkpoint), place+".checkpoint", "a signed note of at most 64 KiB", fmt.Sprintf("%d bytes", len(l.Checkpoint)))
	c.demand(len(l.Proof) <= 64, place+".proof", "at most 64 hashes", len(l.Proof))
	c.demand(l.From != nil || len(l.Proof) == 0, place+".proof", "none without from", len(l.Proof))
}

// decode is the common part of every Parse.
func decode(payload []byte, most int, limit code.Code, what string, v any) error {
	if len(payload) > most {
		return code.New(limit, "%s", what).Want(fmt.Sprintf("at most %d bytes", most), len(payload))
	}
	if err := canon.Unmarshal(payload, v); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// encode is the common part of every Encode.
func encode(most int, limit code.Code, what string, v any, fault error) ([]byte, error) {
	if fault != nil {
		return nil, fmt.Errorf("encode %s: %w", what, fault)
	}
	b, err := canon.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", what, err)
	}
	if len(b) > most {
		return nil, code.New(limit, "encode %s", what).Want(fmt.Sprintf("at most %d bytes", most), len(b))
	}
	return b, nil
}

// list makes a nil list an empty one, because null is never written.
func list[T any](l *[]T) {
	if *l == nil {
		*l = []T{}
	}
}
