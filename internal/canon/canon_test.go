package canon

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/gowebpki/jcs"
	"pgregory.net/rapid"

	"sallyport/internal/code"
	"sallyport/internal/digest"
)

var update = flag.Bool("update", false, "write the vectors anew")

const vectorFile = "../../testdata/vectors/canonical.json"

// vector is one input with the canonical text it gives, or the code it is refused with.
type vector struct {
	Name  string `json:"name"`
	In    []byte `json:"in"`              // base64
	Times int    `json:"times,omitempty"` // In that often in a row; 0: once
	Out   string `json:"out,omitempty"`
	Code  string `json:"code,omitempty"`
}

func cases() []vector {
	deep := func(n int) []byte { return []byte(strings.Repeat("[", n) + strings.Repeat("]", n)) }
	ok := func(name, in, out string) vector { return vector{Name: name, In: []byte(in), Out: out} }
	no := func(name, in string, c code.Code) vector { return vector{Name: name, In: []byte(in), Code: string(c)} }
	return []vector{
		ok("space", " { \"b\" : [ 1 ,\t2 ] ,\r\n\"a\" : { } } \n", `{"a":{},"b":[1,2]}`),
		ok("order is by UTF-16 code units", `{"\ufb33":1,"😀":2,"é":3,"":4,"a":5,"1":6,"\r":7}`, "{\"\":4,\"\\r\":7,\"1\":6,\"a\":5,\"é\":3,\"😀\":2,\"\ufb33\":1}"),
		ok("escapes", `"\u0041\/\u00e9\u20ac\ud83d\ude00\u001f\b\f\n\r\t\"\\\u007f"`, "\"A/é€😀\\u001f\\b\\f\\n\\r\\t\\\"\\\\\x7f\""),
		ok("numbers", `[0,1.0,1E2,1e-7,0.1,7.50,-1.5,9007199254740991,-9007199254740991,4.35,0.000001,100e-2]`, `[0,1,100,1e-7,0.1,7.5,-1.5,9007199254740991,-9007199254740991,4.35,0.000001,1]`),
		ok("literals", `[true,false,null]`, `[true,false,null]`),
		ok("depth 64", string(deep(64)), string(deep(64))),
		ok("nested order", `{"b":{"d":1,"c":[{"z":1,"y":2}]},"a":1}`, `{"a":1,"b":{"c":[{"y":2,"z":1}],"d":1}}`),
		no("duplicate", `{"a":1,"b":2,"a":1}`, code.JSONDuplicate),
		no("duplicate by escape", `{"a":1,"\u0061":2}`, code.JSONDuplicate),
		no("duplicate below", `{"x":[{"a":1,"a":2}]}`, code.JSONDuplicate),
		no("case variant", `{"payload":1,"PAYLOAD":2}`, code.JSONCase),
		no("case variant by Kelvin sign", `{"k":1,"\u212a":2}`, code.JSONCase),
		no("case variant among many", `{"a":1,"b":1,"c":1,"d":1,"e":1,"f":1,"g":1,"h":1,"i":1,"j":1,"k":1,"l":1,"m":1,"n":1,"E":1}`, code.JSONCase),
		no("depth 65", string(deep(65)), code.JSONDepth),
		{Name: "depth 100000", In: []byte("["), Times: 100000, Code: string(code.JSONDepth)},
		{Name: "depth 100000 of objects", In: []byte(`{"a":`), Times: 100000, Code: string(code.JSONDepth)},
		no("2^53", `9007199254740992`, code.JSONNumber),
		no("2^53+1", `[9007199254740993]`, code.JSONNumber),
		no("-2^53", `-9007199254740992`, code.JSONNumber),
		no("2^53 as a fraction", `9007199254740992.0`, code.JSONNumber),
		no("1e400", `1e400`, code.JSONNumber),
		no("1e-400", `1e-400`, code.JSONNumber),
		no("1e21", `1e21`, code.JSONNumber),
		no("huge exponent", `1e99999999999999999999`, code.JSONNumber),
		no("minus zero", `-0`, code.JSONNumber),
		no("minus zero as a fraction", `-0.0`, code.JSONNumber),
		no("too many digits", `0.1000000000000000055511151231257827`, code.JSONNumber),
		no("leading zero", `[01]`, code.JSONSyntax),
		no("plus", `+1`, code.JSONSyntax),
		no("bare point", `1.`, code.JSONSyntax),
		no("NaN", `NaN`, code.JSONSyntax),
		no("lone high surrogate", `"\ud800"`, code.JSONUnicode),
		no("lone low surrogate", `"\udc00x"`, code.JSONUnicode),
		no("two high surrogates", `"\ud800\ud800"`, code.JSONUnicode),
		no("surrogate in UTF-8", "\"\xed\xa0\x80\"", code.JSONUnicode),
		no("overlong UTF-8", "\"\xc0\xaf\"", code.JSONUnicode),
		no("cut UTF-8", "\"\xe2\x82\"", code.JSONUnicode),
		no("BOM", "\xef\xbb\xbf{}", code.JSONUnicode),
		no("UTF-16", "\xff\xfe{\x00}\x00", code.JSONUnicode),
		no("UTF-16 without mark", "{\x00}\x00", code.JSONUnicode),
		no("trailing document", `{} {}`, code.JSONTrailing),
		no("trailing byte", `{}]`, code.JSONTrailing),
		no("trailing NUL", "{}\x00", code.JSONTrailing),
		no("empty", ``, code.JSONSyntax),
		no("cut object", `{"a":1`, code.JSONSyntax),
		no("cut escape", `"\u12`, code.JSONSyntax),
		no("comma at the end", `{"a":1,}`, code.JSONSyntax),
		no("comma at the end of an array", `[1,]`, code.JSONSyntax),
		no("comment", `{/**/}`, code.JSONSyntax),
		no("control character", "\"a\nb\"", code.JSONSyntax),
		no("single quotes", `{'a':1}`, code.JSONSyntax),
		no("unknown escape", `"\x41"`, code.JSONSyntax),
	}
}

func TestVectors(t *testing.T) {
	if *update {
		b, err := json.MarshalIndent(cases(), "", " ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll("../../testdata/vectors", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(vectorFile, append(b, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(vectorFile)
	if err != nil {
		t.Fatal(err)
	}
	var vs []vector
	if err := json.Unmarshal(b, &vs); err != nil {
		t.Fatal(err)
	}
	if len(vs) != len(cases()) {
		t.Errorf("%d vectors in the file, %d here: run with -update", len(vs), len(cases()))
	}
	for _, v := range vs {
		got, err := Line(bytes.Repeat(v.In, max(v.Times, 1)))
		if string(code.Of(err)) != v.Code || string(got) != v.Out {
			t.Errorf("%s: got %.200q and %v, want %.200q and code %q", v.Name, got, err, v.Out, v.Code)
		}
		if err != nil && !strings.Contains(err.Error(), "offset") {
			t.Errorf("%s: %v names no offset", v.Name, err)
		}
	}
}

// text draws JSON with any formatting, from values whose member names never collide by case.
func text(t *rapid.T, depth int) string {
	space := rapid.SampledFrom([]string{"", " ", "\n\t"})
	kind := rapid.IntRange(0, 6).Draw(t, "kind")
	if depth == 0 && kind > 4 {
		kind = 0
	}
	switch kind {
	case 0:
		return rapid.SampledFrom([]string{"true", "false", "null"}).Draw(t, "literal")
	case 1:
		return fmt.Sprint(rapid.Int64Range(-MaxInteger, MaxInteger).Draw(t, "int"))
	case 2:
		b, _ := json.Marshal(rapid.Float64Range(-1e15, 1e15).Draw(t, "float"))
		return string(b)
	case 3, 4:
		return quoted(t, rapid.String().Draw(t, "string"))
	case 5:
		var parts []string
		for range rapid.IntRange(0, 4).Draw(t, "n") {
			parts = append(parts, space.Draw(t, "s")+text(t, depth-1)+space.Draw(t, "s"))
		}
		return "[" + strings.Join(parts, ",") + "]"
	}
	var parts []string
	seen := map[string]bool{}
	for range rapid.IntRange(0, 16).Draw(t, "n") {
		name := rapid.StringN(0, 6, 20).Draw(t, "name")
		if f := string(fold(nil, []byte(name))); !seen[f] {
			seen[f] = true
			parts = append(parts, space.Draw(t, "s")+quoted(t, name)+space.Draw(t, "s")+":"+text(t, depth-1))
		}
	}
	return "{" + strings.Join(parts, ",") + "}"
}

func quoted(t *rapid.T, s string) string {
	if rapid.Bool().Draw(t, "ascii") {
		return escaped(s)
	}
	b, _ := json.Marshal(s)
	return string(b)
}

// escaped writes every character as UTF-16 escapes.
func escaped(s string) string {
	var b strings.Builder
	for _, u := range utf16.Encode([]rune(s)) {
		fmt.Fprintf(&b, `\u%04X`, u)
	}
	return `"` + b.String() + `"`
}

// The canonical form is that of the reference implementation, is a fixed point, and keeps every value.
func TestLineIsRFC8785(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := text(t, 4)
		got, err := Line([]byte(in))
		if code.Has(err, code.JSONNumber) {
			t.Skip("a number that would be rounded")
		}
		if err != nil {
			t.Fatalf("%s: %v", in, err)
		}
		want, err := jcs.Transform([]byte(in))
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%s:\n got %s\nwant %s %v", in, got, want, err)
		}
		again, err := Line(got)
		if err != nil || !bytes.Equal(again, got) {
			t.Fatalf("not a fixed point: %s then %s %v", got, again, err)
		}
	})
}

// Whatever the bytes: no panic, and what is accepted is a fixed point and valid for encoding/json.
func FuzzLine(f *testing.F) {
	for _, v := range cases() {
		f.Add(v.In)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		got, err := Line(in)
		if err != nil {
			return
		}
		again, err := Line(got)
		if err != nil || !bytes.Equal(again, got) || !json.Valid(got) {
			t.Fatalf("%q: %q then %q %v", in, got, again, err)
		}
	})
}

type inner struct {
	N   int64  `json:"n"`
	Opt *int64 `json:"opt,omitempty"`
}

type doc struct {
	Schema   string                     `json:"schema"`
	Version  int64                      `json:"version"`
	Ext      map[string]json.RawMessage `json:"ext,omitempty"`
	Critical []string                   `json:"critical,omitempty"`
	Min      string                     `json:"minReader,omitempty"`
	Inner    []inner                    `json:"inner"`
	D        digest.Digest              `json:"d,omitzero"`
	M        map[string]inner           `json:"m,omitempty"`
	B        bool                       `json:"b,omitempty"`
}

func TestUnmarshal(t *testing.T) {
	d := strings.Repeat("0", 63) + "1"
	for _, tc := range []struct {
		in   string
		want code.Code
	}{
		{`{"inner":[],"schema":"s","version":1}`, ""},
		{`{"b":true,"d":"sha256:` + d + `","ext":{"x":[null,-1.5]},"inner":[{"n":3},{"n":0,"opt":9}],"m":{"k":{"n":1}},"schema":"\"","version":1}`, ""},
		{`{"schema":"s","inner":[],"version":1}`, code.NotCanonical},
		{`{"inner":[], "schema":"s","version":1}`, code.NotCanonical},
		{"{\"inner\":[],\"schema\":\"s\",\"version\":1}\n", code.NotCanonical},
		{`{"inner":[],"schema":"\u0073","version":1}`, code.NotCanonical},
		{`{"inner":[],"schema":"s","version":1,"z":1}`, code.JSONUnknown},
		{`{"inner":[{"n":1,"z":1}],"schema":"s","version":1}`, code.JSONUnknown},
		{`{"Schema":"s","inner":[],"version":1}`, code.JSONUnknown},
		{`{"inner":[],"schema":"s"}`, code.JSONType},
		{`{"schema":"s","version":1}`, code.JSONType},
		{`{"inner":[{}],"schema":"s","version":1}`, code.JSONType},
		{`{"inner":null,"schema":"s","version":1}`, code.JSONType},
		{`{"inner":[{"n":1,"opt":null}],"schema":"s","version":1}`, code.JSONType},
		{`{"inner":{},"schema":"s","version":1}`, code.JSONType},
		{`{"inner":[],"schema":1,"version":1}`, code.JSONType},
		{`{"b":"true","inner":[],"schema":"s","version":1}`, code.JSONType},
		{`{"inner":[{"n":"1"}],"schema":"s","version":1}`, code.JSONType},
		{`{"d":"sha256:` + strings.ToUpper("ab"+d[2:]) + `","inner":[],"schema":"s","version":1}`, code.JSONType},
		{`{"d":"md5:` + d + `","inner":[],"schema":"s","version":1}`, code.JSONType},
		{`{"d":"sha256:` + d[1:] + `","inner":[],"schema":"s","version":1}`, code.JSONType},
		{`{"inner":[{"n":-1}],"schema":"s","version":1}`, code.JSONNumber},
		{`{"inner":[{"n":1.5}],"schema":"s","version":1}`, code.JSONNumber},
		{`{"inner":[{"n":9007199254740992}],"schema":"s","version":1}`, code.JSONNumber},
		{`{"anything":"else","version":2}`, code.BadVersion},
		{`{"version":"1"}`, code.BadVersion},
		{`{"critical":["x"],"ext":{"x":1},"inner":[],"minReader":"9.0.0","schema":"s","version":1}`, code.ReaderTooOld},
		{`[]`, code.JSONType},
		{`"x"`, code.JSONType},
	} {
		var v doc
		err := Unmarshal([]byte(tc.in), &v)
		if code.Of(err) != tc.want {
			t.Errorf("%s: %v, want code %q", tc.in, err, tc.want)
		}
		if err != nil {
			continue
		}
		again, err := Marshal(v)
		if err != nil || string(again) != tc.in {
			t.Errorf("round trip: %s, want %s (%v)", again, tc.in, err)
		}
	}
}

func TestMarshalRefuses(t *testing.T) {
	for _, v := range []any{
		doc{}, // nil list
		map[string]any{"a": nil},
		map[string]any{"a": -1},
		map[string]any{"a": 1.5},
		map[string]any{"a": int64(1 << 53)},
		map[string]any{"a": 1, "A": 2},
	} {
		if b, err := Marshal(v); err == nil {
			t.Errorf("%#v was written as %s", v, b)
		}
	}
}

func TestUnmarshalForeign(t *testing.T) {
	var v struct {
		A string `json:"a"`
		F float64
		X any `json:"x"`
	}
	if err := UnmarshalForeign([]byte(" {\"x\": [null, 1.5], \"a\": \"\\u0041\",\"F\":-2.5e3 }\n"), &v); err != nil || v.A != "A" || v.F != -2500 {
		t.Errorf("%+v %v", v, err)
	}
	for in, want := range map[string]code.Code{
		`{"a":"x","b":1}`: code.JSONUnknown, `{"A":"x"}`: code.JSONUnknown, `{"a":"1","a":"2"}`: code.JSONDuplicate, `{"a":null}`: code.JSONType,
	} {
		if err := UnmarshalForeign([]byte(in), &v); code.Of(err) != want {
			t.Errorf("%s: %v, want %s", in, err, want)
		}
	}
}

func TestYAML(t *testing.T) {
	var v struct{ A int }
	if err := YAML([]byte("a: 3\n"), &v); err != nil || v.A != 3 {
		t.Errorf("%+v %v", v, err)
	}
	if err := YAML(nil, &v); err != nil {
		t.Errorf("empty: %v", err)
	}
	for _, in := range []string{"a: 1\nb: 2\n", "a: 1\n---\na: 2\n", "a: [\n", "a: x\n"} {
		if err := YAML([]byte(in), &v); code.Of(err) != code.BadConfig {
			t.Errorf("%q: %v", in, err)
		}
	}
	if err := YAML([]byte("a: 1\nb: 2\n"), &v); !strings.Contains(err.Error(), "line 2") {
		t.Errorf("no line: %v", err)
	}
}

func BenchmarkLine(b *testing.B) {
	in := []byte(`{"schema_version":"1.7.3","id":"X-1","modified":"2026-01-01T00:00:00Z","aliases":["A-1","B-2"],"details":"` + strings.Repeat("some words and é; ", 150) + `","affected":[{"package":{"name":"x","ecosystem":"Go"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"1.2.3"}]}]}],"score":7.5}`)
	var e Encoder
	var dst []byte
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if dst, err = e.Line(dst[:0], in); err != nil {
			b.Fatal(err)
		}
	}
}
