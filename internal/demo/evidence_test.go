package demo

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"sallyport/internal/sample"
)

// update writes the embedded evidence again: go test ./internal/demo -run TestEvidence -update
var update = flag.Bool("update", false, "write testdata again")

// The evidence the demonstration carries is made up, and this is where it comes from.
func TestEvidence(t *testing.T) {
	var dump bytes.Buffer
	if err := sample.Zip(&dump, 7, sample.Week{To: 60}); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]byte{
		"osv.zip":              dump.Bytes(),
		"gateway.cdx.json":     sample.SBOM(7, 24),
		"collector.spdx.json":  sample.SPDX(7, 12),
		"gateway.openvex.json": sample.VEX(7, 5),
		"collector.csaf.json":  sample.CSAF(7, 3),
	} {
		path := filepath.Join("testdata", name)
		if *update {
			if err := os.WriteFile(path, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not what its generator makes", path)
		}
	}
}
