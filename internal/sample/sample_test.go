package sample

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"testing"
)

// TestSame: the same seed and number give the same bytes, another seed or number other ones.
func TestSame(t *testing.T) {
	for name, make := range map[string]func(seed uint64, n int) []byte{
		"advisory": Advisory, "SBOM": SBOM, "SPDX": SPDX, "VEX": VEX, "CSAF": CSAF,
	} {
		a, b, c, d := make(1, 5), make(1, 5), make(2, 5), make(1, 6)
		if !bytes.Equal(a, b) || bytes.Equal(a, c) || bytes.Equal(a, d) || !json.Valid(a) {
			t.Errorf("%s is not a function of seed and number", name)
		}
	}
	if bytes.Equal(Revised(1, 5, 0), Revised(1, 5, 1)) {
		t.Error("a revision changes nothing")
	}
}

func TestIDsAscend(t *testing.T) {
	for n := range 3_000_000 {
		if n%9973 == 0 && AdvisoryID(n) >= AdvisoryID(n+1) || n == 999_999 && AdvisoryID(n) >= AdvisoryID(n+1) {
			t.Fatalf("%s comes before %s", AdvisoryID(n), AdvisoryID(n+1))
		}
	}
}

func TestZip(t *testing.T) {
	var b bytes.Buffer
	if err := Zip(&b, 1, Week{From: 3, To: 9, Changed: func(n int) bool { return n == 4 }, Removed: func(n int) bool { return n == 5 }}); err != nil {
		t.Fatal(err)
	}
	z, err := zip.NewReader(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil || len(z.File) != 5 || z.File[0].Name != AdvisoryID(3)+".json" {
		t.Fatalf("%v %v", z, err)
	}
}
