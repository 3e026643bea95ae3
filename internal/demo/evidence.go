package demo

import (
	"embed"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"sallyport/internal/units"
)

//go:embed testdata
var made embed.FS

// evidence is what the play is given with.
type evidence struct {
	dump   string   // OSV zip
	feed   string   // what to call it
	sboms  []string // all but one
	vex    []string
	later  string // a VEX document loaded between two exports
	extra  string // an SBOM loaded for the second round
	lookup string // an advisory to ask for
	alias  string // what it is also called
	note   string
}

// findEvidence takes real evidence where it is complete, else writes the made-up one into dir.
func findEvidence(data, dir string) (evidence, error) {
	if data != "" {
		abs, err := filepath.Abs(data)
		if err != nil {
			return evidence{}, err
		}
		if e, ok := found(abs); ok {
			return e, nil
		}
	}
	files, err := fs.Sub(made, "testdata")
	if err != nil {
		return evidence{}, err
	}
	if err := os.CopyFS(dir, files); err != nil {
		return evidence{}, fmt.Errorf("write evidence: %w", err)
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	return evidence{
		dump: at("osv.zip"), feed: "osv-made", sboms: []string{at("gateway.cdx.json")}, vex: []string{at("gateway.openvex.json")},
		later: at("collector.csaf.json"), extra: at("collector.spdx.json"), lookup: "SAMPLE-2000-000007", alias: "CVE-2107-00007", note: "Evidence: made up, from this program.",
	}, nil
}

// found looks for real evidence below an absolute folder.
func found(data string) (evidence, bool) {
	find := func(pattern string) []string {
		found, err := filepath.Glob(filepath.Join(data, pattern))
		if err != nil {
			return nil
		}
		return found
	}
	dumps, sboms, vex := find("osv/go-*.zip"), find("sbom/*.json"), find("vex/*.json")
	if len(dumps) == 0 || len(sboms) < 2 || len(vex) < 2 {
		return evidence{}, false
	}
	last := len(sboms) - 1
	return evidence{
		dump: dumps[0], feed: "osv-go", sboms: sboms[:last], vex: vex[:1], later: vex[1], extra: sboms[last],
		lookup: "GO-2024-2687", alias: "CVE-2023-45288", note: "Evidence: real.",
	}, true
}

func count(n int64, what string) string { return units.Plural(n, what, what+"s") }
