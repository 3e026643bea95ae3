package api

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"sallyport/internal/access"
	"sallyport/internal/web"
	"sallyport/internal/wire"
)

// dialect is the one of the schemas in the description.
const dialect = "https://spec.openapis.org/oas/3.1/dialect/base"

// object is a JSON object of the description. encoding/json writes its members in the order of their names, so that the same
// table gives the same bytes.
type object = map[string]any

// Describe is the description of the API of this version, without a daemon behind it.
func Describe(software string) ([]byte, error) { return Document(Table(), new(API).Routes(), software) }

// Document describes the API in OpenAPI 3.1: one operation for each row of the table, and for each of the few routes whose body is
// not one JSON object. Nothing in it is written by hand twice: names, roles and scopes are those of the table, schemas are those
// of the types that are decoded and given back, and texts are the comments on them.
func Document(table []web.Action, routes []web.Route, software string) ([]byte, error) {
	s, err := newSchemas(table)
	if err != nil {
		return nil, err
	}
	paths := object{}
	by := map[string]web.Action{}
	for _, a := range table {
		by[a.Name] = a
		paths[wire.Prefix+a.Name] = object{"post": s.operation(a)}
	}
	for _, r := range routes {
		path, params := template(r.Path)
		item, ok := paths[wire.Prefix+path].(object)
		if !ok {
			item = object{}
			paths[wire.Prefix+path] = item
		}
		item[strings.ToLower(r.Method)] = s.bytes(r, by[r.Action], params)
	}
	paths[wire.Prefix+"openapi.json"] = object{"get": s.plain("api", "apiShow", "Gives this description.", "application/json", object{"type": "object"})}
	paths["/healthz"] = object{"get": s.plain("status", "healthz", "Answers while the daemon runs.", "application/json", object{"type": "object"})}
	paths["/readyz"] = object{"get": s.plain("status", "readyz", "Tells Healthy, Degraded or Unhealthy with reasons.", "application/json", object{"type": "object"})}
	paths["/metrics"] = object{"get": s.plain("status", "metrics", "Gives the metrics as monitoring reads them.", "text/plain", object{"type": "string"})}
	doc := object{
		"openapi": "3.1.0", "jsonSchemaDialect": dialect,
		"info":    object{"title": "Sallyport", "version": software, "summary": "Evidence across the gap.", "description": about},
		"servers": []object{{"url": "/", "description": "This appliance: its unix socket, or its HTTPS address."}},
		"tags":    tags(table),
		"paths":   paths,
		"components": object{
			"schemas": s.all,
			"securitySchemes": object{"token": object{
				"type": "http", "scheme": "bearer",
				"description": "An API token (sp_…). It may do what its scopes and the roles of its account both allow.",
			}},
			"responses": object{"problem": object{
				"description": "What happened, where, what was expected, what was found, and what to do next.",
				"content":     object{"application/problem+json": object{"schema": s.of(web.Failed())}},
			}},
		},
	}
	b, err := json.MarshalIndent(doc, "", " ")
	if err != nil {
		return nil, fmt.Errorf("describe the API: %w", err)
	}
	return append(b, '\n'), nil
}

// about is what a reader of the description is told first.
const about = "Every action is a POST of one JSON object to /api/v1/<noun>/<verb>. Unknown members of a request are refused; a reader of an answer ignores members that it does not know. " +
	"A long action answers with lines of JSON: progress, then one last line with a result, an error, or both. " +
	"Over the network a token is needed; on the unix socket the kernel says who asks. x-roles lists the roles of which one is enough; " +
	"x-approve those that may as well, with the digest of a plan that somebody proposed. An operation without the scheme token is for people alone."

// operation describes one row.
func (s *schemas) operation(a web.Action) object {
	op := s.head(a, a.Noun(), camel(a.Name), a.Summary)
	op["requestBody"] = object{"required": false, "content": object{"application/json": object{"schema": s.of(a.In)}}}
	ok := object{"description": "Done.", "content": object{"application/json": object{"schema": s.of(a.Out)}}}
	if a.Long {
		ok = object{
			"description": "Lines of JSON, each as the schema has it: progress, then one last line with a result, an error, or both.",
			"content":     object{wire.StreamType: object{"schema": s.line(a)}},
		}
	}
	op["responses"] = object{"200": ok, "default": object{"$ref": "#/components/responses/problem"}}
	return op
}

// bytes describes a route that takes or gives more than one JSON object.
func (s *schemas) bytes(r web.Route, a web.Action, params []string) object {
	op := s.head(a, a.Noun(), strings.ToLower(r.Method)+title(camel(strings.NewReplacer("/:", "/by/", "-", "/").Replace(r.Path))), a.Summary)
	var list []object
	for _, p := range params {
		list = append(list, object{"name": p, "in": "path", "required": true, "schema": object{"type": "string"}})
	}
	if list != nil {
		op["parameters"] = list
	}
	if r.Method != http.MethodGet && r.Method != http.MethodDelete {
		op["requestBody"] = object{"content": object{"application/octet-stream": object{}, "application/json": object{}}}
	}
	op["responses"] = object{"2XX": object{"description": "Done."}, "default": object{"$ref": "#/components/responses/problem"}}
	return op
}

// plain describes a page that is no action and that everybody may read who reaches it.
func (s *schemas) plain(tag, id, summary, kind string, schema object) object {
	return object{
		"operationId": id, "summary": summary, "tags": []string{tag}, "security": []object{},
		"responses": object{"200": object{"description": "Done.", "content": object{kind: object{"schema": schema}}}},
	}
}

// head is what all operations of a row have.
func (s *schemas) head(a web.Action, tag, id, summary string) object {
	op := object{"operationId": id, "summary": summary, "tags": []string{tag}, "x-roles": a.Roles.List()}
	security := []object{{}} // on the unix socket
	if a.Scope != "" {
		security = append([]object{{"token": []string{a.Scope}}}, security...)
	}
	op["security"] = security
	for name, v := range map[string]any{"x-audit": a.Audit, "x-step-up": a.StepUp, "x-job": a.Job, "x-approve": (a.Approve &^ a.Roles).List()} {
		switch v := v.(type) {
		case string:
			if v != "" {
				op[name] = v
			}
		case bool:
			if v {
				op[name] = v
			}
		case []access.Role:
			if len(v) > 0 {
				op[name] = v
			}
		}
	}
	return op
}

// tags are the nouns, by name.
func tags(table []web.Action) (list []object) {
	nouns := map[string]bool{"api": true, "status": true}
	for _, a := range table {
		nouns[a.Noun()] = true
	}
	for _, n := range slices.Sorted(maps.Keys(nouns)) {
		list = append(list, object{"name": n})
	}
	return list
}

// template turns a route's path, "uploads/:id", into "uploads/{id}" and its parameters.
func template(path string) (string, []string) {
	var params []string
	parts := strings.Split(path, "/")
	for i, p := range parts {
		if name, ok := strings.CutPrefix(p, ":"); ok {
			parts[i] = "{" + name + "}"
			params = append(params, name)
		}
	}
	return strings.Join(parts, "/"), params
}

// camel makes "feeds/list" feedsList.
func camel(name string) string {
	noun, rest, _ := strings.Cut(name, "/")
	for _, part := range strings.Split(rest, "/") {
		noun += title(part)
	}
	return noun
}

func title(s string) string {
	if s == "" {
		return ""
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
