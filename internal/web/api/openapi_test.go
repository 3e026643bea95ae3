package api

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"sallyport/internal/web"
	"sallyport/internal/wire"
)

// describe gives the description as a reader gets it.
func describe(t *testing.T) (text []byte, doc map[string]any) {
	t.Helper()
	text, err := Describe("0.1.0")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	return text, doc
}

// The description is an OpenAPI 3.1 document, its schemas included, by the schema that the OpenAPI Initiative publishes
// (testdata/openapi).
func TestDocumentIsOpenAPI(t *testing.T) {
	c := jsonschema.NewCompiler()
	files, err := filepath.Glob("testdata/openapi/*.json")
	if err != nil || len(files) != 4 {
		t.Fatalf("%d schemas, %v", len(files), err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		if err := c.AddResource(doc.(map[string]any)["$id"].(string), doc); err != nil {
			t.Fatal(err)
		}
	}
	schema, err := c.Compile("https://spec.openapis.org/oas/3.1/schema-base/2022-10-07")
	if err != nil {
		t.Fatal(err)
	}
	text, _ := describe(t)
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(doc); err != nil {
		t.Errorf("%v", err)
	}
	paths := doc.(map[string]any)["paths"].(map[string]any)
	for _, spoil := range []func(){ // the schema does see something
		func() {
			doc.(map[string]any)["components"].(map[string]any)["schemas"].(map[string]any)["Feed"].(map[string]any)["type"] = "thing"
		},
		func() {
			delete(paths["/api/v1/feeds/list"].(map[string]any)["post"].(map[string]any), "responses")
			paths["feeds"] = 1
		},
	} {
		spoil()
		if schema.Validate(doc) == nil {
			t.Error("a spoilt description is valid")
		}
	}
}

// Every reference leads somewhere, and every component is used.
func TestDocumentReferences(t *testing.T) {
	_, doc := describe(t)
	schemas := doc["components"].(map[string]any)["schemas"].(map[string]any)
	used := map[string]bool{}
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			if ref, ok := v["$ref"].(string); ok {
				name := ref[strings.LastIndexByte(ref, '/')+1:]
				if _, ok := schemas[name]; !ok && !strings.HasPrefix(ref, "#/components/responses/") {
					t.Errorf("%s leads nowhere", ref)
				}
				used[name] = true
			}
			for _, e := range v {
				walk(e)
			}
		case []any:
			for _, e := range v {
				walk(e)
			}
		}
	}
	walk(doc)
	for name := range schemas {
		if !used[name] {
			t.Errorf("nothing refers to %s", name)
		}
	}
}

// Every row has one operation, of its own types and scope, and nothing else is described but the routes beside the table.
func TestDocumentIsTheTable(t *testing.T) {
	_, doc := describe(t)
	paths := doc["paths"].(map[string]any)
	expected := map[string]bool{"GET " + wire.Prefix + "openapi.json": true, "GET /healthz": true, "GET /readyz": true, "GET /metrics": true}
	ids := map[string]bool{}
	for _, a := range Table() {
		expected["POST "+wire.Prefix+a.Name] = true
		op, ok := paths[wire.Prefix+a.Name].(map[string]any)["post"].(map[string]any)
		if !ok {
			t.Errorf("%s is not described", a.Name)
			continue
		}
		checkOperation(t, a, op)
	}
	for _, r := range new(API).Routes() {
		path, _ := template(r.Path)
		expected[r.Method+" "+wire.Prefix+path] = true
	}
	for path, item := range paths {
		for method, op := range item.(map[string]any) {
			if !expected[strings.ToUpper(method)+" "+path] {
				t.Errorf("%s %s is described and does not exist", method, path)
			}
			delete(expected, strings.ToUpper(method)+" "+path)
			if id := op.(map[string]any)["operationId"].(string); ids[id] {
				t.Errorf("operation id %s stands twice", id)
			} else {
				ids[id] = true
			}
		}
	}
	for left := range expected {
		t.Errorf("%s is not described", left)
	}
}

func checkOperation(t *testing.T, a web.Action, op map[string]any) {
	t.Helper()
	schema := func(v any, kind string) string {
		body := v.(map[string]any)["content"].(map[string]any)[kind].(map[string]any)["schema"].(map[string]any)
		if all, ok := body["allOf"].([]any); ok { // a line, and what its result is
			body = all[1].(map[string]any)["properties"].(map[string]any)["result"].(map[string]any)
		}
		ref, _ := body["$ref"].(string)
		return strings.TrimPrefix(ref, "#/components/schemas/")
	}
	name := func(v any) string {
		typ := reflect.TypeOf(v)
		if typ.Kind() == reflect.Pointer {
			typ = typ.Elem()
		}
		return typ.Name()
	}
	if got := schema(op["requestBody"], "application/json"); got != name(a.In) {
		t.Errorf("%s asks for %s, described is %s", a.Name, name(a.In), got)
	}
	kind := map[bool]string{true: wire.StreamType, false: "application/json"}[a.Long]
	if got := schema(op["responses"].(map[string]any)["200"], kind); got != name(a.Out) {
		t.Errorf("%s gives %s, described is %s", a.Name, name(a.Out), got)
	}
	if op["summary"] != a.Summary {
		t.Errorf("%s: %v", a.Name, op["summary"])
	}
	security, _ := json.Marshal(op["security"])
	if want := `{"token":["` + a.Scope + `"]}`; (a.Scope != "") != strings.Contains(string(security), want) {
		t.Errorf("%s: scope %q, described is %s", a.Name, a.Scope, security)
	}
}

// What an action decodes and gives back is what the description says: a value with every member set is valid, and a request with a
// member more is not.
func TestSchemasAreTheTypes(t *testing.T) {
	_, doc := describe(t)
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	if err := c.AddResource("mem:///doc.json", doc); err != nil {
		t.Fatal(err)
	}
	compile := func(typ reflect.Type) *jsonschema.Schema {
		s, err := c.Compile("mem:///doc.json#/components/schemas/" + typ.Name())
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	for _, a := range Table() {
		for _, v := range []any{a.In, a.Out} {
			typ := reflect.TypeOf(v)
			if typ.Kind() == reflect.Pointer {
				typ = typ.Elem()
			}
			s := compile(typ)
			full, zero := reflect.New(typ), reflect.New(typ)
			fill(full.Elem(), 0)
			for _, value := range []any{full.Interface(), zero.Interface()} {
				if err := s.Validate(plainJSON(t, value)); err != nil {
					t.Errorf("%s: %v", a.Name, err)
				}
			}
		}
		in := reflect.New(reflect.TypeOf(a.In))
		fill(in.Elem(), 0)
		value := plainJSON(t, in.Interface()).(map[string]any)
		value["noSuchMember"] = 1
		if compile(reflect.TypeOf(a.In)).Validate(value) == nil {
			t.Errorf("%s: the description lets a member through that nobody knows", a.Name)
		}
	}
}

func plainJSON(t *testing.T, v any) (out any) {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	if out, err = jsonschema.UnmarshalJSON(bytes.NewReader(b)); err != nil {
		t.Fatal(err)
	}
	return out
}

// The texts of the description are those of the types.
func TestDocumentSpeaks(t *testing.T) {
	_, doc := describe(t)
	schemas := doc["components"].(map[string]any)["schemas"].(map[string]any)
	feed := schemas["Feed"].(map[string]any)
	if feed["description"] != "Feed is one feed as people see it." || feed["properties"].(map[string]any)["fullName"].(map[string]any)["description"] != "origin's name/feed" {
		t.Errorf("%v", feed)
	}
	if req := feed["required"].([]any); !slices.Contains(req, any("records")) || slices.Contains(req, any("pinReason")) {
		t.Errorf("%v", req)
	}
	var silent []string
	for name, s := range schemas {
		if s.(map[string]any)["description"] == nil && name != "Problem" {
			silent = append(silent, name)
		}
	}
	if len(silent) > 0 {
		t.Errorf("no text about %v", silent)
	}
}
