package api

import (
	"bytes"
	"encoding/json"
	"fmt"
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

// The description has what OpenAPI 3.1 asks of one: its version, information, and for each operation an id of its own, a request
// and responses that say what they are; and each of its schemas is one of JSON Schema 2020-12.
func TestDocumentIsOpenAPI(t *testing.T) {
	_, doc := describe(t)
	for _, f := range faultsOf(doc) {
		t.Error(f)
	}
	paths := doc["paths"].(map[string]any)
	list := paths["/api/v1/feeds/list"].(map[string]any)["post"].(map[string]any)
	for name, spoil := range map[string]func(){ // the check does see something
		"type": func() {
			doc["components"].(map[string]any)["schemas"].(map[string]any)["Feed"].(map[string]any)["type"] = "thing"
		},
		"responses": func() { delete(list, "responses") },
		"path":      func() { paths["feeds"] = map[string]any{} },
		"version":   func() { doc["openapi"] = "3.0.3" },
	} {
		before := len(faultsOf(doc))
		if spoil(); len(faultsOf(doc)) <= before {
			t.Errorf("%s: a spoilt description is as good", name)
		}
	}
}

// faultsOf lists what is wrong with a description.
func faultsOf(doc map[string]any) (list []string) {
	bad := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	if v, _ := doc["openapi"].(string); !strings.HasPrefix(v, "3.1.") {
		bad("openapi %q", v)
	}
	info, _ := doc["info"].(map[string]any)
	for _, k := range []string{"title", "version"} {
		if s, _ := info[k].(string); s == "" {
			bad("no info.%s", k)
		}
	}
	seen := map[string]string{}
	paths, _ := doc["paths"].(map[string]any)
	for path, item := range paths {
		if !strings.HasPrefix(path, "/") {
			bad("path %q", path)
		}
		for verb, op := range item.(map[string]any) {
			op, _ := op.(map[string]any)
			if !slices.Contains([]string{"get", "put", "post", "delete", "head", "patch"}, verb) {
				continue
			}
			at := verb + " " + path
			id, _ := op["operationId"].(string)
			if id == "" || seen[id] != "" {
				bad("%s: operationId %q, as %s", at, id, seen[id])
			}
			seen[id] = at
			responses, _ := op["responses"].(map[string]any)
			if len(responses) == 0 {
				bad("%s: no responses", at)
			}
			for status, r := range responses {
				r, _ := r.(map[string]any)
				if d, _ := r["description"].(string); d == "" && r["$ref"] == nil {
					bad("%s: response %s says nothing", at, status)
				}
			}
			if body, ok := op["requestBody"].(map[string]any); ok && body["$ref"] == nil && len(body["content"].(map[string]any)) == 0 {
				bad("%s: a request without content", at)
			}
		}
	}
	components, _ := doc["components"].(map[string]any)
	schemas, _ := components["schemas"].(map[string]any)
	for name, s := range schemas {
		c := jsonschema.NewCompiler()
		c.DefaultDraft(jsonschema.Draft2020)
		err := c.AddResource("https://sallyport.invalid/doc", map[string]any{"components": map[string]any{"schemas": schemas}})
		if err == nil {
			_, err = c.Compile("https://sallyport.invalid/doc#/components/schemas/" + name)
		}
		if err != nil {
			bad("schema %s %v: %v", name, s, err)
		}
	}
	if len(schemas) == 0 {
		bad("no schemas")
	}
	return list
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
