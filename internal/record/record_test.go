package record

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"sallyport/internal/canon"
	"sallyport/internal/code"
	"sallyport/internal/sample"
)

func TestScan(t *testing.T) {
	for _, c := range []struct {
		line string
		want Fields
	}{
		{`{"id":"A"}`, Fields{ID: "A"}},
		{
			`{"aliases":["X","Y"],"id":"A","modified":"2024-01-01T00:00:00Z","withdrawn":"2025-01-01T00:00:00Z"}`,
			Fields{ID: "A", Aliases: []string{"X", "Y"}, Modified: "2024-01-01T00:00:00Z", Withdrawn: "2025-01-01T00:00:00Z"},
		},
		{`{"aliases":null,"affected":null,"id":"A"}`, Fields{ID: "A"}},
		{`{"affected":[],"aliases":[],"id":"A"}`, Fields{ID: "A"}},
		{
			`{"affected":[{"package":null},{"ranges":[{"id":"no","events":["]","}"]}]},{"package":{"ecosystem":"Go","name":"b","purl":"x"}},` +
				`{"package":{"ecosystem":"Go","name":"a"}},{"package":{"ecosystem":"Go","name":"b"}}],"id":"A"}`,
			Fields{ID: "A", Packages: []Package{{"Go", "a"}, {"Go", "b"}}},
		},
		{`{"details":"a \"quoted\" brace } and \\","id":"A\"\u00e9\n"}`, Fields{ID: "A\"é\n"}},
		{`{"id":"\ud83d\ude00"}`, Fields{ID: "😀"}},
		{`{"a":{"id":"inner","b":[1,2,{"id":3}]},"id":"A","n":-1.5,"t":true}`, Fields{ID: "A"}},
		{`{"id":"F-1","purl":"pkg:npm/%40scope/x@1.0.0"}`, Fields{ID: "F-1", Packages: []Package{{"npm", "@scope/x"}}}},
	} {
		got, err := Scan([]byte(c.line))
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s\n got %+v, %v\nwant %+v", c.line, got, err, c.want)
		}
	}
}

func TestScanRefuses(t *testing.T) {
	for _, line := range []string{
		``, `{`, `{}`, `[]`, `"x"`, `{"id":""}`, `{"id":7}`, `{"id":null}`, `{"aliases":["X"]}`, `{"aliases":"X","id":"A"}`, `{"aliases":[7],"id":"A"}`,
		`{"affected":{"package":{}},"id":"A"}`, `{"affected":[{"package":"x"}],"id":"A"}`, `{"affected":[{"package":{"name":["x"]}}],"id":"A"}`,
		`{"id":"A"`, `{"id":"A"}x`, `{"id":"A",}`, `{"id":"A","x":{"y":[}`, `{"id":"A","x":"`, `{"id":"A","x":"\"}`, `{"id":"\ud83d"}`, `{"id":"\u12"}`, `{"id":"\q"}`,
	} {
		if f, err := Scan([]byte(line)); !code.Has(err, code.LineBad) {
			t.Errorf("%s gave %+v, %v", line, f, err)
		}
	}
}

// TestScanAgreesWithJSON: on canonical lines the scanner finds what encoding/json finds.
func TestScanAgreesWithJSON(t *testing.T) {
	for n := range 300 {
		line, err := canon.Line(sample.Advisory(7, n))
		if err != nil {
			t.Fatal(err)
		}
		agree(t, line)
	}
}

func agree(t *testing.T, line []byte) {
	t.Helper()
	var want struct {
		ID, Modified, Withdrawn string
		Aliases                 []string
		Affected                []struct{ Package Package }
	}
	if err := json.Unmarshal(line, &want); err != nil {
		t.Fatal(err)
	}
	got, err := Scan(line)
	if err != nil {
		t.Fatalf("%v in %.200s", err, line)
	}
	var packages []Package
	for _, a := range want.Affected {
		if a.Package.Name != "" {
			packages = append(packages, a.Package)
		}
	}
	if got.ID != want.ID || got.Modified != want.Modified || got.Withdrawn != want.Withdrawn || !slices.Equal(got.Aliases, want.Aliases) ||
		!slices.Equal(got.Packages, unique(packages)) {
		t.Fatalf("got %+v, want %+v", got, want)
	}
}

func FuzzScan(f *testing.F) {
	f.Add([]byte(`{"affected":[{"package":{"ecosystem":"Go","name":"b"}}],"aliases":["a\n"],"id":"A","x":[{"y":"z"}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		Scan(b) // any bytes: an answer or an error, no panic
		if line, err := canon.Line(b); err == nil && line[0] == '{' {
			Scan(line)
		}
		Detect("x.json", b)
	})
}

func TestFromPURL(t *testing.T) {
	for purl, want := range map[string]Package{
		"pkg:golang/golang.org/x/net@v0.1.0":     {"Go", "golang.org/x/net"},
		"pkg:maven/org.apache/log4j@2":           {"Maven", "org.apache:log4j"},
		"pkg:npm/%40angular/core@1":              {"npm", "@angular/core"},
		"pkg:composer/laravel/framework@7":       {"Packagist", "laravel/framework"},
		"pkg:cargo/serde":                        {"crates.io", "serde"},
		"pkg:deb/debian/curl@7?arch=amd64":       {"Debian", "curl"},
		"pkg:deb/ubuntu/curl@7":                  {"Ubuntu", "curl"},
		"pkg:apk/alpine/curl@7":                  {"Alpine", "curl"},
		"pkg:rpm/redhat/curl@7":                  {"Red Hat", "curl"},
		"pkg:unheard/a/b@1":                      {"unheard", "a/b"},
		"pkg:pypi/Django@3":                      {"PyPI", "django"},
		"pkg:githubactions/actions/checkout@v4":  {"GitHub Actions", "actions/checkout"},
		"pkg:golang/github.com/!foo/bar@v1#x/yy": {"Go", "github.com/!foo/bar"},
	} {
		if got, ok := FromPURL(purl); !ok || got != want {
			t.Errorf("%s: %+v %v, want %+v", purl, got, ok, want)
		}
	}
	for _, bad := range []string{"", "x", "pkg:", "pkg:npm", "http://x", "pkg:npm/" + strings.Repeat("x", 5000)} {
		if got, ok := FromPURL(bad); ok {
			t.Errorf("%.40q gave %+v", bad, got)
		}
	}
}

func TestDetect(t *testing.T) {
	for _, c := range []struct{ name, head, want string }{
		{"a.zip", "PK\x03\x04rest", FormatOSVZip},
		{"a.jar", "PK\x03\x04rest", FormatArtifact},
		{"a.bin", "\x00\x01", FormatArtifact},
		{"empty", "", FormatArtifact},
		{"a.json", `{"id":"A","modified":"x"}`, FormatOSV},
		{"a.json", " \n{ \"schema_version\": \"1\",\n \"id\" : \"A\" }", FormatOSV},
		{"a.json", `{"bomFormat":"CycloneDX","components":[]`, FormatCycloneDX},
		{"a.json", `{"metadata":{"bomFormat":"x"},"bomFormat":"CycloneDX","vulnerabilities":[{}]}`, FormatCDXVEX},
		{"a.json", `{"SPDXID":"x","spdxVersion":"SPDX-2.3"}`, FormatSPDX},
		{"a.json", `{"@context":"https://openvex.dev/ns/v0.2.0","@id":"x"`, FormatOpenVEX},
		{"a.json", `{"document":{"category":"csaf_vex","csaf_version":"2.0"}}`, FormatCSAF},
		{"a.json", `{"@context":"https://spdx.org/rdf/3.0.1/spdx-context.jsonld"}`, ""},
		{"a.json", `{"some":"thing"}`, ""},
		{"a.json", `[{"id":"A"}]`, ""},
		{"a.spdx", "SPDXVersion: SPDX-2.3\n", ""},
		{"a.xml", `<?xml version="1.0"?><bom xmlns="http://cyclonedx.org/schema/bom/1.4">`, ""},
	} {
		got, err := Detect(c.name, []byte(c.head))
		if got != c.want || (c.want == "") != code.Has(err, code.LoadType) {
			t.Errorf("%s %.40q: %q, %v, want %q", c.name, c.head, got, err, c.want)
		}
	}
}

func TestSampleDocuments(t *testing.T) {
	for _, c := range []struct {
		name, kind, media string
		body              []byte
	}{
		{"a.json", SBOM, "application/vnd.cyclonedx+json", sample.SBOM(1, 50)},
		{"b.json", SBOM, "application/spdx+json", sample.SPDX(1, 50)},
		{"c.json", VEX, "application/vnd.openvex+json", sample.VEX(1, 50)},
		{"d.json", VEX, "application/csaf+json", sample.CSAF(1, 50)},
	} {
		d, err := ParseDocument("/some/where/"+c.name, "", c.body)
		if err != nil || d.Kind != c.kind || d.MediaType != c.media || d.Name != c.name || d.Key == c.name || len(d.Fields.Packages) == 0 {
			t.Errorf("%s: %+v %v", c.name, d, err)
		}
		if !slices.Contains(d.Fields.Aliases, c.name) {
			t.Errorf("%s is not among its aliases %q", c.name, d.Fields.Aliases)
		}
		for cut := range []int{0, 1, 2, 3} {
			if _, err := ParseDocument(c.name, "", c.body[:len(c.body)-cut-1]); err == nil {
				t.Errorf("%s cut by %d bytes was accepted", c.name, cut+1)
			}
		}
	}
}

func TestDocumentRefusals(t *testing.T) {
	for _, c := range []struct {
		kind, body string
		want       code.Code
	}{
		{"", `{"bomFormat":"CycloneDX","specVersion":"1.1"}`, code.LoadType},
		{"", `{"bomFormat":"CycloneDX","specVersion":"9"}`, code.LoadType},
		{"", `{"bomFormat":"CycloneDX","specVersion":"1.4","components":{}}`, code.JSONType},
		{"", `{"bomFormat":"CycloneDX","specVersion":"1.4","specVersion":"1.5"}`, code.JSONDuplicate},
		{"", `{"bomFormat":"CycloneDX","specVersion":"1.4","serialNumber":"a\u0000b"}`, code.LineBad},
		{"", `{"spdxVersion":"SPDX-2.3"}`, code.JSONType},
		{"", `{"spdxVersion":"SPDX-2.1","documentNamespace":"x"}`, code.LoadType},
		{"", `{"@context":"https://openvex.dev/ns","statements":[]}`, code.JSONType},
		{"", `{"@context":"https://openvex.dev/ns","@id":"x","statements":[{"status":"fine"}]}`, code.JSONType},
		{"", `{"document":{"csaf_version":"1.0","tracking":{"id":"x"}}}`, code.LoadType},
		{"", `{"document":{"csaf_version":"2.0","tracking":{}}}`, code.JSONType},
		{"", `{"id":"A","modified":"x"}`, code.BadUsage},
		{"vex", `{"spdxVersion":"SPDX-2.3","documentNamespace":"x"}`, code.LoadType},
		{"advisory", `{"bomFormat":"CycloneDX","specVersion":"1.4"}`, code.LoadType},
		{"nonsense", `{}`, code.BadUsage},
	} {
		if d, err := ParseDocument("x.json", c.kind, []byte(c.body)); !code.Has(err, c.want) {
			t.Errorf("%s %s: %+v, %v, want %s", c.kind, c.body, d, err, c.want)
		}
	}
}

func TestKindOverride(t *testing.T) {
	both := `{"bomFormat":"CycloneDX","specVersion":"1.5","components":[{"type":"library","name":"x"}],"vulnerabilities":[{"id":"CVE-1"}]}`
	for kind, want := range map[string]string{"": VEX, "sbom": SBOM, "vex": VEX, "artifact": Artifact, "policy": Policy} {
		d, err := ParseDocument("x.json", kind, []byte(both))
		if err != nil || d.Kind != want || d.Key != "x.json" {
			t.Errorf("%q: %+v %v", kind, d, err)
		}
	}
	if d, err := ParseDocument("notes.txt", "", []byte("hello")); err != nil || d.Kind != Artifact || d.Key != "notes.txt" {
		t.Errorf("%+v %v", d, err)
	}
	if _, err := ParseDocument("a\nb", "artifact", nil); !code.Has(err, code.LineBad) {
		t.Errorf("a name with a control character: %v", err)
	}
}

// TestRealDocuments reads what the field publishes.
func TestRealDocuments(t *testing.T) {
	dir := os.Getenv("SALLYPORT_DATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "data")
	}
	want := map[string]string{
		"sbom/cern-lhc-vdm-editor.cdx.json":  "sbom urn:uuid:699b6458-60da-4f52-b1b3-34915dc01eb6",
		"sbom/laravel-7.12.0.cdx.json":       "sbom laravel-7.12.0.cdx.json",
		"sbom/proton-bridge-v1.6.3.cdx.json": "sbom urn:uuid:2392d49c-ea93-44e0-aa36-5923fcfb5efb",
		"vex/cisa-case-2.cdx-vex.json":       "vex cisa-case-2.cdx-vex.json",
		"vex/cisa-case-8.cdx-vex.json":       "vex cisa-case-8.cdx-vex.json",
	}
	for name, want := range want {
		body, err := os.ReadFile(filepath.Join(dir, name))
		if os.IsNotExist(err) {
			t.Skip("no real data in", dir)
		}
		d, err := ParseDocument(name, "", body)
		if got := d.Kind + " " + d.Key; err != nil || got != want {
			t.Errorf("%s: %s %v", name, got, err)
		}
		if d.Kind == SBOM && len(d.Fields.Packages) < 20 {
			t.Errorf("%s names %d packages", name, len(d.Fields.Packages))
		}
	}
}

func BenchmarkScan(b *testing.B) {
	var lines [][]byte
	var total int64
	for n := range 1000 {
		line, err := canon.Line(sample.Advisory(1, n))
		if err != nil {
			b.Fatal(err)
		}
		lines, total = append(lines, line), total+int64(len(line))
	}
	b.SetBytes(total)
	for b.Loop() {
		for _, line := range lines {
			if _, err := Scan(line); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(total)/1000, "B/line")
}
