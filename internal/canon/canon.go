// Package canon is the only door to encodings: canonical JSON (RFC 8785) with its guards, strict decoding, and YAML.
//
// Data: none. What we sign is canonical JSON without a trailing LF whose numbers are integers 0 … 2^53−1 and which knows no null
// (20-bundle-format, "Encoding of what we sign"); what others wrote and we keep as lines is canonical JSON of any shape whose
// values are exactly those that were written ("Bodies"). One pass does both: it reads a document, applies every guard and writes
// the canonical form, keeping no tree:
//
//	out     the canonical text so far; an object's members are written as they come and moved into order when it closes
//	keys    the decoded member names of the objects that are still open, for sorting and for finding duplicates
//	members one entry per member of the objects that are still open
//
// Order: guards, canonical form, then decoding into Go values; nothing is decoded that has not passed the guards. Every input here
// is attacker-controlled: depth is bounded by MaxDepth, time by the input's length times MaxDepth, memory by about three times
// the input. Pure functions, a crash leaves nothing.
package canon

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"

	"sallyport/internal/code"
)

// MaxDepth is how many objects and arrays may stand inside each other.
const MaxDepth = 64

// MaxInteger is the largest integer that every JSON reader keeps: 2^53−1.
const MaxInteger = 1<<53 - 1

// Marshal writes a Go value as RFC 8785 bytes without a trailing LF. Integers outside 0 … 2^53−1, fractions and null (nil slices,
// maps and pointers without omitempty) are errors, except inside a top-level member `ext`.
func Marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("encode %T: %w", v, err)
	}
	var e Encoder
	out, err := e.append(nil, b.Bytes(), true)
	if err != nil {
		return nil, fmt.Errorf("encode %T: %w", v, err)
	}
	return out, nil
}

// Line writes foreign JSON as RFC 8785 bytes without a trailing LF, or says why that would change it: codes json-*. Nothing is ever
// rounded. Use an Encoder for many lines.
func Line(b []byte) ([]byte, error) {
	var e Encoder
	return e.Line(make([]byte, 0, len(b)), b)
}

// Check applies the guards alone: one document, well-formed UTF-8 without BOM, no duplicate or case-variant member, at most
// MaxDepth deep, every number exact, no lone surrogate, nothing after the end. Codes json-*.
func Check(b []byte) error {
	_, err := Line(b)
	return err
}

// Encoder is Line for many documents: it keeps its buffers. The zero value is ready; not for concurrent use.
type Encoder struct {
	p parser
}

// Line appends the canonical form of b to dst. On an error dst comes back as it was.
func (e *Encoder) Line(dst, b []byte) ([]byte, error) { return e.append(dst, b, false) }

func (e *Encoder) append(dst, b []byte, ours bool) ([]byte, error) {
	p := &e.p
	p.in, p.pos, p.out, p.ours = b, 0, dst, ours
	p.keys, p.members = p.keys[:0], p.members[:0]
	err := p.document()
	out := p.out
	p.in, p.out = nil, nil
	if err != nil {
		return dst, err
	}
	return out, nil
}

// Unmarshal reads what we sign into v. The bytes must be canonical; unknown members are refused at every depth, as are null,
// members of another type and missing members (those without omitempty or omitzero). A top-level `version` is looked at first:
// other than 1 is format-version. A non-empty `critical` is reader-too-old, because version 1 knows no extension. A field of type
// map[string]json.RawMessage is free inside. Codes json-*, not-canonical, format-version, reader-too-old.
func Unmarshal(b []byte, v any) error {
	text, err := Line(b)
	if err != nil {
		return err
	}
	var head struct {
		Version   json.RawMessage `json:"version"`
		Critical  []string        `json:"critical"`
		MinReader string          `json:"minReader"`
	}
	d := decoder{in: text, loose: true}
	if err := d.document(&head); err != nil {
		return err
	}
	if head.Version != nil && string(head.Version) != "1" {
		return code.New(code.BadVersion, "").In("", "version").Want(1, string(head.Version))
	}
	if at := firstDifference(text, b); at >= 0 {
		return code.New(code.NotCanonical, "").In("", fmt.Sprintf("offset %d", at)).
			Want(fmt.Sprintf("%.40q", text[min(at, len(text)):]), fmt.Sprintf("%.40q", b[min(at, len(b)):]))
	}
	if len(head.Critical) > 0 {
		return code.New(code.ReaderTooOld, "the extension %.40q must be understood, which takes version %.40q", head.Critical[0], head.MinReader).
			In("", "critical").Want("no critical extension", len(head.Critical))
	}
	var e Encoder
	if _, err := e.append(make([]byte, 0, len(text)), text, true); err != nil {
		return err
	}
	d = decoder{in: text, ours: true}
	return d.document(v)
}

func firstDifference(a, b []byte) int {
	if bytes.Equal(a, b) {
		return -1
	}
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// UnmarshalForeign reads what others wrote into v: all guards, exact member names, no unknown member where v has a struct, no
// null, but any formatting, missing members and negative numbers. Codes json-*.
func UnmarshalForeign(b []byte, v any) error {
	text, err := Line(b)
	if err != nil {
		return err
	}
	d := decoder{in: text}
	return d.document(v)
}

// YAML reads one YAML document into v; unknown keys and a second document are errors that name their line. Code config.
func YAML(b []byte, v any) error {
	dec := yaml.NewDecoder(bytes.NewReader(b))
	dec.KnownFields(true)
	if err := dec.Decode(v); err != nil {
		if errors.Is(err, io.EOF) {
			return nil
		}
		return code.New(code.BadConfig, "%s", strings.ReplaceAll(strings.TrimPrefix(err.Error(), "yaml: "), "\n", " "))
	}
	var more yaml.Node
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		return code.New(code.BadConfig, "a second document in one file")
	}
	return nil
}
