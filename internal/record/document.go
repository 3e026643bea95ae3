package record

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/CycloneDX/cyclonedx-go"

	"sallyport/internal/canon"
	"sallyport/internal/code"
)

// ParseDocument takes a document apart far enough to name it: kind, key, and what it speaks of. The body is what is stored
// and shipped, byte for byte. kindOverride "" detects; "artifact" and "policy" take the body unread; "sbom" and "vex" decide
// for a document that could be either. A document that breaks the guards of canon.Check, lacks the members its format
// demands or has them with another type is refused with a code and the place. Not for lines: code.BadUsage.
func ParseDocument(name string, kindOverride string, body []byte) (Document, error) {
	name = filepath.Base(filepath.ToSlash(name))
	if kindOverride != "" {
		if err := CheckKind(kindOverride); err != nil {
			return Document{}, err
		}
	}
	if kindOverride == Artifact || kindOverride == Policy {
		return asReceived(kindOverride, name)
	}
	if len(body) > MaxDocument {
		return Document{}, code.New(code.LoadType, "the document is too large to be taken apart").In(name, "").
			Want(fmt.Sprintf("at most %d bytes", MaxDocument), len(body)).Do("Load it with --kind artifact.")
	}
	format, err := Detect(name, body)
	if err != nil {
		return Document{}, err
	}
	d, err := parse(format, name, body)
	if err != nil {
		return Document{}, err
	}
	if kindOverride != "" && kindOverride != d.Kind {
		if !(format == FormatCycloneDX || format == FormatCDXVEX) || IsLine(kindOverride) {
			return Document{}, code.New(code.LoadType, "the document is of another kind").In(name, "").Want(kindOverride, d.Kind)
		}
		d.Kind = kindOverride
	}
	return d, nil
}

func asReceived(kind, name string) (Document, error) {
	return named(Document{Kind: kind, MediaType: "application/octet-stream"}, name, "", &names{})
}

func parse(format, name string, body []byte) (Document, error) {
	if format == FormatArtifact {
		return asReceived(Artifact, name)
	}
	if format == FormatOSV || format == FormatOSVZip {
		return Document{}, code.New(code.BadUsage, "an advisory is a line, not a document").In(name, "")
	}
	if err := canon.Check(body); err != nil {
		return Document{}, fmt.Errorf("document %q: %w", name, err)
	}
	var d Document
	var key string
	var n names
	var err error
	switch format {
	case FormatCycloneDX, FormatCDXVEX:
		d, key, err = cycloneDX(body, &n)
	case FormatSPDX:
		d, key, err = spdx(body, &n)
	case FormatOpenVEX:
		d, key, err = openVEX(body, &n)
	case FormatCSAF:
		d, key, err = csaf(body, &n)
	}
	if err != nil {
		return Document{}, fmt.Errorf("document %q: %w", name, err)
	}
	return named(d, name, key, &n)
}

// named gives a document its key, or its file name as key, and the file name as alias.
func named(d Document, name, key string, n *names) (Document, error) {
	if key == "" {
		key = name
	}
	if err := checkKey(key); err != nil {
		return Document{}, fmt.Errorf("document %q: %w", name, err)
	}
	if err := checkKey(name); err == nil {
		n.alias(name)
	} else if len(name) > 255 {
		name = name[:255]
	}
	d.Key, d.Name, d.Fields = key, strings.Map(plain, name), n.fields(key)
	return d, nil
}

// plain replaces what no name of a file shows: control characters, and bytes that are no UTF-8.
func plain(r rune) rune {
	if r < 0x20 || r >= 0x7f && r <= 0x9f || r == utf8.RuneError {
		return '_'
	}
	return r
}

// checkKey is the rule of keys: 1 to 1,024 bytes of UTF-8 without control characters (20-bundle-format, "Feeds").
func checkKey(key string) error {
	ok := len(key) >= 1 && len(key) <= 1024 && utf8.ValidString(key)
	for _, r := range key {
		ok = ok && r >= 0x20 && (r < 0x7f || r > 0x9f)
	}
	if !ok {
		return code.New(code.LineBad, "the key").Want("1 to 1024 bytes of UTF-8 without control characters", fmt.Sprintf("%.80q", key))
	}
	return nil
}

func decode(body []byte, to any) error {
	if err := json.Unmarshal(body, to); err != nil {
		return code.Wrap(code.JSONType, err, "")
	}
	return nil
}

func missing(member string) error {
	return code.New(code.JSONType, "").In("", member).Want("a text", "nothing")
}

// cycloneDX reads versions 1.2 to 1.6 (ECMA-424). With vulnerabilities, and no more components than those, it is a VEX.
func cycloneDX(body []byte, n *names) (Document, string, error) {
	var peek struct {
		SpecVersion string `json:"specVersion"`
	}
	if err := decode(body, &peek); err != nil {
		return Document{}, "", err
	}
	switch peek.SpecVersion {
	case "1.2", "1.3", "1.4", "1.5", "1.6":
	default:
		return Document{}, "", code.New(code.LoadType, "").In("", "specVersion").Want("CycloneDX 1.2 to 1.6", fmt.Sprintf("%.20q", peek.SpecVersion))
	}
	var bom cyclonedx.BOM
	if err := cyclonedx.NewBOMDecoder(bytes.NewReader(body), cyclonedx.BOMFileFormatJSON).Decode(&bom); err != nil {
		return Document{}, "", code.Wrap(code.JSONType, err, "CycloneDX")
	}
	if bom.Metadata != nil && bom.Metadata.Component != nil {
		c := bom.Metadata.Component
		n.alias(c.PackageURL)
		n.alias(subject(c.Group, c.Name, c.Version))
		n.purl(c.PackageURL)
	}
	components := componentNames(bom.Components, n)
	d := Document{Kind: SBOM, MediaType: "application/vnd.cyclonedx+json"}
	if v := bom.Vulnerabilities; v != nil && len(*v) > 0 {
		if components <= len(*v) {
			d.Kind = VEX
		}
		vulnerabilityNames(*v, d.Kind == VEX, n)
	}
	return d, bom.SerialNumber, nil
}

func subject(group, name, version string) string {
	if group != "" {
		name = group + "/" + name
	}
	if version != "" {
		name += "@" + version
	}
	return name
}

func componentNames(list *[]cyclonedx.Component, n *names) (count int) {
	if list == nil {
		return 0
	}
	for i := range *list {
		c := &(*list)[i]
		n.purl(c.PackageURL)
		count += 1 + componentNames(c.Components, n)
	}
	return count
}

// vulnerabilityNames lets a VEX be found by the vulnerabilities it judges and the packages it names as affected.
func vulnerabilityNames(list []cyclonedx.Vulnerability, vex bool, n *names) {
	for _, v := range list {
		if vex {
			n.alias(v.ID)
		}
		if v.Affects == nil {
			continue
		}
		for _, a := range *v.Affects {
			n.purl(a.Ref)
		}
	}
}
