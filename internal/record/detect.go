package record

import (
	"bytes"
	"strings"

	"sallyport/internal/code"
)

// Detect tells the format of a file from its name and its first bytes (64 KiB, or all of it; an SBOM with vulnerabilities is
// told from a VEX by ParseDocument, which sees everything). Bytes that look like evidence in a form this version does not
// read are refused with code.LoadType; anything else that is not JSON is an artifact.
func Detect(name string, head []byte) (format string, err error) {
	if bytes.HasPrefix(head, []byte("PK\x03\x04")) || bytes.HasPrefix(head, []byte("PK\x05\x06")) {
		if strings.HasSuffix(strings.ToLower(name), ".zip") {
			return FormatOSVZip, nil
		}
		return FormatArtifact, nil
	}
	text := bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\xef\xbb\xbf")), " \t\r\n")
	switch {
	case bytes.HasPrefix(text, []byte("SPDXVersion:")):
		return "", unread(name, "SPDX tag-value", "SPDX 2.3 JSON")
	case bytes.HasPrefix(text, []byte("<")) && bytes.Contains(text, []byte("cyclonedx.org/schema/bom")):
		return "", unread(name, "CycloneDX XML", "CycloneDX JSON")
	case bytes.HasPrefix(text, []byte("{")):
		return detectJSON(name, text)
	case bytes.HasPrefix(text, []byte("[")) && strings.HasSuffix(strings.ToLower(name), ".json"):
		return "", unread(name, "a JSON array", "one JSON document per file")
	}
	return FormatArtifact, nil
}

func unread(name, got, want string) error {
	return code.New(code.LoadType, "").In(name, "").Want(want, got)
}

// detectJSON looks at the names of the members of the outermost object, and at the few values that tell formats apart.
func detectJSON(name string, text []byte) (string, error) {
	m := outline(text)
	switch {
	case m.is("bomFormat", `"CycloneDX"`):
		if m.has("vulnerabilities") && !m.has("components") && m.whole {
			return FormatCDXVEX, nil
		}
		return FormatCycloneDX, nil
	case m.has("spdxVersion"):
		return FormatSPDX, nil
	case strings.Contains(m.value["@context"], "openvex"):
		return FormatOpenVEX, nil
	case strings.Contains(m.value["@context"], "spdx.org/rdf/3"):
		return "", unread(name, "SPDX 3", "SPDX 2.3 JSON")
	case strings.Contains(m.value["document"], `"csaf_version"`):
		return FormatCSAF, nil
	case m.has("id") && (m.has("modified") || m.has("affected") || m.has("schema_version")):
		return FormatOSV, nil
	}
	return "", unread(name, "JSON of another kind", "OSV, CycloneDX, SPDX 2.3, OpenVEX or CSAF")
}

type members struct {
	value map[string]string // the value's bytes as written
	whole bool              // the object ended within the head
}

func (m members) has(name string) bool          { _, ok := m.value[name]; return ok }
func (m members) is(name, value string) bool    { return m.value[name] == value }
func (m members) add(name []byte, value []byte) { m.value[string(name)] = string(value) }

// outline walks the outermost object as far as the head goes; the last value may be cut. At most 256 members are looked at.
func outline(text []byte) members {
	m := members{value: map[string]string{}}
	s := scanner{b: text}
	s.at++
	for len(m.value) < 256 {
		s.space()
		if s.eat('}') {
			m.whole = true
			return m
		}
		s.eat(',')
		s.space()
		name, _, err := s.raw()
		s.space()
		if err != nil || !s.eat(':') {
			return m
		}
		s.space()
		start := s.at
		err = s.skip()
		m.add(name, bytes.TrimRight(s.b[start:s.at], " \t\r\n"))
		if err != nil {
			return m
		}
	}
	return m
}

func (s *scanner) space() {
	for s.at < len(s.b) && (s.b[s.at] == ' ' || s.b[s.at] == '\t' || s.b[s.at] == '\n' || s.b[s.at] == '\r') {
		s.at++
	}
}
