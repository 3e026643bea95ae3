package api

import (
	"encoding"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"reflect"
	"strings"

	"sallyport/internal/web"
	"sallyport/internal/wire"
)

// schemas makes JSON Schemas of types as encoding/json reads and writes them, each named type once.
type schemas struct {
	all   object                       // by name of the type
	named map[string]reflect.Type      // whose schema that is
	asked map[reflect.Type]bool        // requests: they refuse members that they do not know
	words map[string]map[string]string // type → member ("" the type itself) → its comment
}

func newSchemas(table []web.Action) (*schemas, error) {
	s := &schemas{all: object{}, named: map[string]reflect.Type{}, asked: map[reflect.Type]bool{}, words: map[string]map[string]string{}}
	for _, a := range table {
		s.asked[reflect.TypeOf(a.In)] = true
	}
	if err := s.read(wire.Source); err != nil {
		return nil, fmt.Errorf("describe the API: %w", err)
	}
	return s, nil
}

// read takes the comments on types and their members out of Go files.
func (s *schemas) read(files fs.FS) error {
	names, err := fs.Glob(files, "*.go")
	if err != nil {
		return err
	}
	for _, name := range names {
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, text, parser.ParseComments)
		if err != nil {
			return err
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if d, ok := n.(*ast.GenDecl); ok {
				s.take(d)
			}
			return true
		})
	}
	return nil
}

func (s *schemas) take(d *ast.GenDecl) {
	for _, spec := range d.Specs {
		t, ok := spec.(*ast.TypeSpec)
		if !ok {
			continue
		}
		members := map[string]string{"": plainText(d.Doc, t.Doc)}
		if st, ok := t.Type.(*ast.StructType); ok {
			for _, f := range st.Fields.List {
				for _, id := range f.Names {
					members[id.Name] = plainText(f.Doc, f.Comment)
				}
			}
		}
		s.words[t.Name.Name] = members
	}
}

// plainText is the first comment there is, on one line.
func plainText(groups ...*ast.CommentGroup) string {
	for _, g := range groups {
		if text := strings.Join(strings.Fields(g.Text()), " "); text != "" {
			return text
		}
	}
	return ""
}

// of is the schema of a value's type, a reference where the type has a name.
func (s *schemas) of(v any) object { return s.typ(reflect.TypeOf(v)) }

// line is one line of the stream that a long action answers with.
func (s *schemas) line(a web.Action) object {
	line := s.typ(reflect.TypeOf(wire.Line{}))
	return object{"allOf": []object{line, {"properties": object{"result": s.of(a.Out)}}}}
}

var (
	textMarshaler = reflect.TypeFor[encoding.TextMarshaler]()
	jsonMarshaler = reflect.TypeFor[json.Marshaler]()
	rawMessage    = reflect.TypeFor[json.RawMessage]()
)

func (s *schemas) typ(t reflect.Type) object {
	switch {
	case t == nil || t == rawMessage || t.Kind() == reflect.Interface:
		return object{}
	case t.Kind() == reflect.Pointer:
		return s.typ(t.Elem())
	case t.Implements(jsonMarshaler):
		return object{}
	case t.Implements(textMarshaler):
		return object{"type": "string"}
	}
	switch t.Kind() {
	case reflect.String:
		return object{"type": "string"}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return object{"type": "integer"}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return object{"type": "integer", "minimum": 0}
	case reflect.Float32, reflect.Float64:
		return object{"type": "number"}
	case reflect.Slice, reflect.Array:
		if t.Elem().Kind() == reflect.Uint8 {
			return object{"type": "string", "contentEncoding": "base64"}
		}
		return object{"type": "array", "items": s.typ(t.Elem())}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": s.typ(t.Elem())}
	}
	return s.structure(t)
}

// structure describes a struct; one with a name stands among the components, and is there before its members are looked at,
// because it may hold itself.
func (s *schemas) structure(t reflect.Type) object {
	name := title(t.Name())
	if name == "" {
		return s.members(t)
	}
	if other, ok := s.named[name]; ok && other != t { // of another package
		name = title(path.Base(t.PkgPath())) + name
	}
	if _, ok := s.named[name]; !ok {
		s.named[name] = t
		s.all[name] = s.members(t)
	}
	return object{"$ref": "#/components/schemas/" + name}
}

func (s *schemas) members(t reflect.Type) object {
	properties, required := object{}, []string{}
	s.fields(t, properties, &required)
	o := object{"type": "object", "properties": properties}
	if len(required) > 0 {
		o["required"] = required
	}
	if text := s.words[t.Name()][""]; text != "" {
		o["description"] = text
	}
	if s.asked[t] {
		o["additionalProperties"] = false
	}
	return o
}

// fields lists the members that encoding/json reads and writes; those of embedded structs are the struct's own.
func (s *schemas) fields(t reflect.Type, properties object, required *[]string) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "":
			s.fields(f.Type, properties, required)
			continue
		case !f.IsExported() || name == "-":
			continue
		case name == "":
			name = f.Name
		}
		p := s.typ(f.Type)
		optional := strings.Contains(options, "omitempty") || strings.Contains(options, "omitzero")
		if !optional {
			*required = append(*required, name)
			p = nullable(f.Type, p)
		}
		if text := s.words[t.Name()][f.Name]; text != "" {
			p["description"] = text
		}
		properties[name] = p
	}
}

// nullable is the schema of a member that is always written, and is null where Go has nil.
func nullable(t reflect.Type, p object) object {
	switch t.Kind() {
	case reflect.Slice, reflect.Map:
		if kind, ok := p["type"].(string); ok {
			p["type"] = []string{kind, "null"}
		}
	case reflect.Pointer:
		return object{"anyOf": []object{p, {"type": "null"}}}
	}
	return p
}
