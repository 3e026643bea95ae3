// Package record knows what a piece of evidence is: its kind, its key, its names and the packages it speaks of.
//
// Data: none of its own. It reads two forms of outside bytes. A line (advisory, finding) is one canonical JSON object, OSV
// as osv.dev and vuln.go.dev publish it, and is scanned for the few members that lookups need. A document (sbom, vex,
// policy, artifact) stays byte for byte as received and is parsed once, when it is loaded:
//
//	format          kind      key                        packages
//	osv             advisory  id                         affected[].package
//	cyclonedx-sbom  sbom      serialNumber | file name   components[].purl
//	spdx-sbom       sbom      documentNamespace          packages[].externalRefs[purl]
//	cyclonedx-vex   vex       serialNumber | file name   components[].purl, affects[].ref
//	openvex         vex       @id                        products[].@id, identifiers.purl
//	csaf            vex       document.tracking.id       product_identification_helper.purl
//	artifact        artifact  file name                  none
//
// Order: pure functions; nothing is written, a crash leaves nothing. Every byte here is attacker-controlled: guards run
// before parsing, a document is at most MaxDocument bytes, lists are cut at their limits with an error, never silently.
package record

import (
	"sallyport/internal/code"
)

// The kinds of records (00-product, "Nouns").
const (
	Advisory = "advisory"
	VEX      = "vex"
	SBOM     = "sbom"
	Finding  = "finding"
	Policy   = "policy"
	Artifact = "artifact"
)

// The formats Detect tells apart.
const (
	FormatOSVZip    = "osv-zip"
	FormatOSV       = "osv"
	FormatCycloneDX = "cyclonedx-sbom"
	FormatSPDX      = "spdx-sbom"
	FormatCDXVEX    = "cyclonedx-vex"
	FormatOpenVEX   = "openvex"
	FormatCSAF      = "csaf"
	FormatArtifact  = "artifact"
)

// MaxDocument is the largest document, in bytes, that ParseDocument takes apart. A larger file can be kept as an artifact.
const MaxDocument = 32 << 20

// Package names one package the way advisories do: the ecosystem of the OSV schema ("Go", "npm", "Debian:12") and the name in it.
type Package struct{ Ecosystem, Name string }

// Fields are what lookups know about a record. The zero value knows nothing. All strings are attacker-controlled.
type Fields struct {
	ID                  string
	Aliases             []string
	Packages            []Package
	Modified, Withdrawn string // RFC 3339 as written in the record, "" when absent
}

// Document is one parsed document.
type Document struct {
	Kind, Key string
	Name      string // the file's base name as received
	MediaType string
	Fields    Fields // Aliases always hold Name, unless it is the key
}

// IsLine tells whether records of a kind are lines in shards; all others are documents.
func IsLine(kind string) bool { return kind == Advisory || kind == Finding }

// Kinds lists all kinds in the order of feeds: bytewise.
func Kinds() []string { return []string{Advisory, Artifact, Finding, Policy, SBOM, VEX} }

// Folder is the plural that paths inside a bundle use (20-bundle-format, "Payload"); "" for an unknown kind.
func Folder(kind string) string {
	switch kind {
	case Advisory:
		return "advisories"
	case Finding:
		return "findings"
	case SBOM:
		return "sboms"
	case VEX, Policy:
		return kind
	case Artifact:
		return "artifacts"
	}
	return ""
}

// CheckKind refuses a kind that is none of Kinds.
func CheckKind(kind string) error {
	if Folder(kind) == "" {
		return code.New(code.BadUsage, "kind %.40q", kind).Want("advisory, artifact, finding, policy, sbom or vex", kind)
	}
	return nil
}
