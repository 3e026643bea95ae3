package record

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"

	"sallyport/internal/canon"
	"sallyport/internal/code"
)

// FuzzAdvisory: on a canonical line the scanner finds what encoding/json finds, or both find that a sought member has
// another type.
func FuzzAdvisory(f *testing.F) {
	f.Add([]byte(`{"affected":[{"package":{"ecosystem":"Go","name":"b"}}],"aliases":["a\n"],"id":"A","x":[{"y":"z"}]}`))
	f.Add([]byte(`{"affected":null,"aliases":null,"id":"A","modified":"2026","withdrawn":"\ud83d\ude00"}`))
	f.Add([]byte(`{"affected":[{"package":null},{}],"id":"\\\"","purl":"pkg:npm/a@1"}`))
	f.Add([]byte(`{"aliases":[1],"id":"A"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := Scan(b) // any bytes: an answer or an error of ours
		if c := code.Of(err); err != nil && (c == "" || c == code.Bug) {
			t.Fatalf("no code of ours: %v", err)
		}
		line, bad := canon.Line(b)
		if bad != nil || !bytes.Equal(line, b) || len(b) == 0 || b[0] != '{' {
			return
		}
		want, ok := scanSlowly(t, b)
		if ok != (err == nil) {
			t.Fatalf("%q: %v, encoding/json says %v", b, err, ok)
		}
		if ok && (got.ID != want.ID || got.Modified != want.Modified || got.Withdrawn != want.Withdrawn || !slices.Equal(got.Aliases, want.Aliases)) {
			t.Fatalf("%q: got %+v, want %+v", b, got, want)
		}
	})
}

// scanSlowly finds the plain fields of a line with encoding/json; ok is false when one of them has another type or there is
// no id. Packages and purls are judged by the scanner alone: their rules are its own.
func scanSlowly(t *testing.T, line []byte) (f Fields, ok bool) {
	t.Helper()
	var m map[string]json.RawMessage
	if err := json.Unmarshal(line, &m); err != nil {
		t.Fatalf("canonical and no JSON: %q", line)
	}
	for name, to := range map[string]any{"id": &f.ID, "modified": &f.Modified, "withdrawn": &f.Withdrawn, "aliases": &f.Aliases} {
		if raw, there := m[name]; there && json.Unmarshal(raw, to) != nil {
			return f, false
		}
	}
	var affected []struct {
		Package *struct{ Ecosystem, Name string }
	}
	_, purl := m["purl"]
	if raw, there := m["affected"]; purl || there && json.Unmarshal(raw, &affected) != nil {
		_, err := Scan(line)
		return f, err == nil && f.ID != ""
	}
	return f, f.ID != ""
}

// FuzzDocument: a document that is taken apart is JSON by the strict rules, has a key that may stand in a feed, and gives the
// same answer again; what is refused has a code.
func FuzzDocument(f *testing.F) {
	files, err := filepath.Glob(filepath.Join("..", "demo", "testdata", "*.json"))
	if err != nil || len(files) < 3 {
		f.Fatalf("%d documents: %v", len(files), err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(filepath.Base(name), b)
	}
	f.Add("a.json", []byte(`{"bomFormat":"CycloneDX","specVersion":"1.5","components":[{"purl":"pkg:npm/a@1","name":"a","type":"library"}]}`))
	f.Add("a.json", []byte(`{"@context":"https://openvex.dev/ns/v0.2.0","@id":"x","statements":[{"products":[{"@id":"pkg:a/b@1"}]}]}`))
	f.Add("x.bin", []byte("PK\x03\x04"))
	f.Add("a\x1b[2J.json", []byte(`{"bomFormat":"CycloneDX","specVersion":"1.5","serialNumber":"urn:uuid:1"}`))
	f.Fuzz(func(t *testing.T, name string, b []byte) {
		d, err := ParseDocument(name, "", b)
		if err != nil {
			if c := code.Of(err); c == "" || c == code.Bug {
				t.Fatalf("no code of ours: %v", err)
			}
			return
		}
		if !slices.Contains(Kinds(), d.Kind) || IsLine(d.Kind) || checkKey(d.Key) != nil || strings.ContainsFunc(d.Name, unicode.IsControl) && d.Kind != Artifact {
			t.Fatalf("%+v", d)
		}
		if d.Kind != Artifact {
			if err := canon.Check(b); err != nil && !bytes.HasPrefix(b, []byte("\xef\xbb\xbf")) {
				t.Fatalf("%q was taken apart: %v", b, err)
			}
		}
		if again, err := ParseDocument(name, "", b); err != nil || again.Key != d.Key || again.Kind != d.Kind || !slices.Equal(again.Fields.Packages, d.Fields.Packages) {
			t.Fatalf("%+v, then %+v %v", d, again, err)
		}
	})
}

// FuzzPURL: what is understood names a package that fits into an index.
func FuzzPURL(f *testing.F) {
	for _, s := range []string{"pkg:npm/%40angular/core@1", "pkg:deb/debian/curl@7?arch=amd64", "pkg:golang/a/b#c", "pkg:npm/%00", "pkg:maven/a", "pkg://npm/a"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if p, ok := FromPURL(s); ok && (p.Ecosystem == "" || p.Name == "") {
			t.Fatalf("%q gives %+v", s, p)
		}
	})
}
