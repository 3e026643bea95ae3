// Package sample makes evidence for tests: advisories, SBOMs and VEX documents of any number, from a seed.
//
// Data: none; everything is made up, and says so in its text. The same seed and number give the same bytes on every machine.
//
// Order: pure functions; nothing is written but to the writer given.
package sample

import (
	"archive/zip"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"time"
)

// words are what descriptions are made of.
var words = strings.Fields(`crafted request header parser buffer session token certificate archive path template handler
	stream decoder length index pointer cache cookie redirect proxy query field remote local user attacker may cause read
	write exhaust bypass inject overflow memory disk check limit missing improper validation before after when the a in of`)

// ecosystems are spread over the advisories.
var ecosystems = []string{"Go", "npm", "PyPI", "Maven", "crates.io", "Packagist", "RubyGems", "NuGet"}

// AdvisoryID is the id of the n-th advisory: ids ascend with n.
func AdvisoryID(n int) string { return fmt.Sprintf("SAMPLE-%04d-%06d", 2000+n/1000000, n%1000000) }

// Advisory is the n-th made-up OSV advisory as source JSON, indented as feeds publish it: about 2.9 KB once canonical.
func Advisory(seed uint64, n int) []byte { return Revised(seed, n, 0) }

// Revised is the same advisory after a number of revisions: another text and a later date.
func Revised(seed uint64, n, revision int) []byte {
	r := rand.New(rand.NewPCG(seed, uint64(n)))
	published := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(r.IntN(200000)) * time.Minute)
	doc := map[string]any{
		"schema_version": "1.6.0",
		"id":             AdvisoryID(n),
		"published":      published.Format(time.RFC3339),
		"modified":       published.AddDate(0, 0, 1+revision).Format(time.RFC3339),
		"aliases":        []string{fmt.Sprintf("CVE-%d-%05d", 2100+n%20, n), fmt.Sprintf("GHSA-%04x-%04x-%04x", n>>16, n&0xffff, r.IntN(1<<16))},
		"summary":        "Made-up advisory: " + sentence(r, 8),
		"details":        text(r, 200+r.IntN(100)),
		"affected":       affected(r),
		"references":     references(r, n),
		"severity":       []map[string]string{{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}},
		"database_specific": map[string]any{
			"made_up": true, "review_status": "SAMPLE", "score": float64(r.IntN(100)) / 10, "revision": revision,
		},
	}
	return encode(doc)
}

func encode(doc any) []byte {
	b, err := json.MarshalIndent(doc, "", "  ")
	if err != nil {
		panic(err) // of our own maps: cannot be
	}
	return b
}

func sentence(r *rand.Rand, n int) string {
	out := make([]string, n)
	for i := range out {
		out[i] = words[r.IntN(len(words))]
	}
	return strings.Join(out, " ")
}

func text(r *rand.Rand, n int) string {
	var b strings.Builder
	for n > 0 {
		k := min(n, 6+r.IntN(12))
		b.WriteString(sentence(r, k) + ". ")
		if n -= k; r.IntN(6) == 0 {
			b.WriteString("\n\n")
		}
	}
	return b.String()
}

func affected(r *rand.Rand) []map[string]any {
	var out []map[string]any
	for range 1 + r.IntN(3) {
		fixed := fmt.Sprintf("%d.%d.%d", r.IntN(5), r.IntN(20), r.IntN(40))
		symbols := make([]string, 4)
		for i := range symbols {
			symbols[i] = sentence(r, 2)
		}
		out = append(out, map[string]any{
			"package": map[string]string{"ecosystem": ecosystems[r.IntN(len(ecosystems))], "name": PackageName(r.IntN(20000))},
			"ranges": []map[string]any{{"type": "SEMVER", "events": []map[string]string{
				{"introduced": "0"}, {"fixed": fixed},
			}}},
			"ecosystem_specific": map[string]any{"imports": []map[string]any{{"path": "sample.invalid/x", "symbols": symbols}}},
		})
	}
	return out
}

// PackageName is the n-th made-up package.
func PackageName(n int) string { return fmt.Sprintf("sample.invalid/%s/p%d", words[n%len(words)], n) }

func references(r *rand.Rand, n int) []map[string]string {
	var out []map[string]string
	for i := range 2 + r.IntN(4) {
		out = append(out, map[string]string{"type": "WEB", "url": fmt.Sprintf("https://sample.invalid/%d/%d/%x", n, i, r.Uint64())})
	}
	return out
}

// Week says which advisories a dump has and how it differs from the first.
type Week struct {
	From, To int              // advisories [From, To)
	Changed  func(n int) bool // nil: none
	Removed  func(n int) bool // nil: none
}

// Zip writes an OSV dump as a zip, one JSON file per advisory.
func Zip(w io.Writer, seed uint64, week Week) error {
	z := zip.NewWriter(w)
	for n := week.From; n < week.To; n++ {
		if week.Removed != nil && week.Removed(n) {
			continue
		}
		revision := 0
		if week.Changed != nil && week.Changed(n) {
			revision = 1
		}
		f, err := z.Create(AdvisoryID(n) + ".json")
		if err != nil {
			return err
		}
		if _, err := f.Write(Revised(seed, n, revision)); err != nil {
			return err
		}
	}
	return z.Close()
}

// SBOM is a CycloneDX 1.5 document with n components; its serial number follows from seed and n.
func SBOM(seed uint64, n int) []byte {
	r := rand.New(rand.NewPCG(seed, uint64(n)))
	components := make([]map[string]string, n)
	for i := range components {
		name, version := PackageName(r.IntN(20000)), fmt.Sprintf("v%d.%d.%d", r.IntN(5), r.IntN(20), r.IntN(40))
		components[i] = map[string]string{
			"type": "library", "name": name, "version": version, "purl": "pkg:golang/" + name + "@" + version,
		}
	}
	return encode(map[string]any{
		"bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1, "serialNumber": "urn:uuid:" + uuid(r),
		"metadata":   map[string]any{"component": map[string]string{"type": "application", "name": fmt.Sprintf("sample-%d", n), "version": "1.0.0"}},
		"components": components,
	})
}

// SPDX is an SPDX 2.3 document with n packages.
func SPDX(seed uint64, n int) []byte {
	r := rand.New(rand.NewPCG(seed, uint64(n)))
	packages := make([]map[string]any, n)
	for i := range packages {
		name := PackageName(r.IntN(20000))
		packages[i] = map[string]any{
			"SPDXID": fmt.Sprintf("SPDXRef-%d", i), "name": name, "versionInfo": "v1.0.0", "downloadLocation": "NOASSERTION",
			"externalRefs": []map[string]string{{
				"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": "pkg:golang/" + name + "@v1.0.0",
			}},
		}
	}
	return encode(map[string]any{
		"spdxVersion": "SPDX-2.3", "SPDXID": "SPDXRef-DOCUMENT", "name": fmt.Sprintf("sample-%d", n), "dataLicense": "CC0-1.0",
		"documentNamespace": "https://sample.invalid/spdx/" + uuid(r), "packages": packages,
	})
}

func uuid(r *rand.Rand) string {
	a, b := r.Uint64(), r.Uint64()
	return fmt.Sprintf("%08x-%04x-4%03x-8%03x-%012x", a>>32, a>>16&0xffff, a&0xfff, b>>48&0xfff, b&0xffffffffffff)
}

// VEX is an OpenVEX document with n statements, about the first n advisories.
func VEX(seed uint64, n int) []byte {
	r := rand.New(rand.NewPCG(seed, uint64(n)))
	statements := make([]map[string]any, n)
	for i := range statements {
		statements[i] = map[string]any{
			"vulnerability": map[string]any{"name": AdvisoryID(i)},
			"products":      []map[string]any{{"@id": "pkg:golang/" + PackageName(r.IntN(20000)) + "@v1.0.0"}},
			"status":        "not_affected", "justification": "vulnerable_code_not_in_execute_path",
		}
	}
	return encode(map[string]any{
		"@context": "https://openvex.dev/ns/v0.2.0", "@id": "https://sample.invalid/vex/" + uuid(r), "author": "sample",
		"timestamp": "2026-01-01T00:00:00Z", "version": 1, "statements": statements,
	})
}

// CSAF is a CSAF 2.0 document about n vulnerabilities.
func CSAF(seed uint64, n int) []byte {
	r := rand.New(rand.NewPCG(seed, uint64(n)))
	list := make([]map[string]any, n)
	for i := range list {
		list[i] = map[string]any{"cve": fmt.Sprintf("CVE-%d-%05d", 2100+i%20, i)}
	}
	return encode(map[string]any{
		"document": map[string]any{
			"category": "csaf_vex", "csaf_version": "2.0", "title": "Made-up CSAF",
			"tracking": map[string]any{"id": "SAMPLE-" + uuid(r), "version": "1", "status": "final"},
		},
		"product_tree": map[string]any{"full_product_names": []map[string]any{{
			"product_id": "P1", "name": "sample", "product_identification_helper": map[string]string{"purl": "pkg:golang/" + PackageName(r.IntN(20000)) + "@v1.0.0"},
		}}},
		"vulnerabilities": list,
	})
}
