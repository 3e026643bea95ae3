package canon

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"sallyport/internal/code"
)

// decoder reads canonical text, which has passed every guard, into Go values by exact member names.
type decoder struct {
	in    []byte
	pos   int
	ours  bool // members without omitempty must be present
	loose bool // unknown members are passed over, members of another type left alone
	types map[reflect.Type]*shape
}

// shape is what the decoder needs to know of a struct type.
type shape struct {
	fields   map[string]field
	required []string
}

type field struct {
	index []int
	bit   int
}

func (d *decoder) document(v any) error {
	rv := reflect.ValueOf(v)
	if rv.Kind() != reflect.Pointer || rv.IsNil() {
		return fmt.Errorf("decode into %T: not a pointer", v)
	}
	d.types = map[reflect.Type]*shape{}
	return d.value(rv.Elem(), "")
}

func (d *decoder) wrong(path, want string) error {
	got := map[byte]string{'{': "an object", '[': "an array", '"': "a string", 't': "a boolean", 'f': "a boolean", 'n': "null"}[d.in[d.pos]]
	if got == "" {
		got = "a number"
	}
	return code.New(code.JSONType, "").In("", place(path)).Want(want, got)
}

func place(path string) string {
	if path == "" {
		return "document"
	}
	return path
}

func (d *decoder) value(v reflect.Value, path string) error {
	switch v.Type() {
	case reflect.TypeFor[json.RawMessage]():
		v.SetBytes(append([]byte{}, d.skip()...))
		return nil
	case reflect.TypeFor[any]():
		return json.Unmarshal(d.skip(), v.Addr().Interface())
	}
	if t, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok && v.Kind() != reflect.Pointer {
		s, err := d.string(path)
		if err != nil {
			return err
		}
		if err := t.UnmarshalText([]byte(s)); err != nil {
			return code.Wrap(code.JSONType, err, "").In("", place(path))
		}
		return nil
	}
	switch v.Kind() {
	case reflect.Pointer:
		if d.in[d.pos] == 'n' {
			return d.wrong(path, "a value")
		}
		v.Set(reflect.New(v.Type().Elem()))
		return d.value(v.Elem(), path)
	case reflect.Struct:
		return d.object(v, path)
	case reflect.Map:
		return d.dictionary(v, path)
	case reflect.Slice:
		return d.array(v, path)
	}
	return d.scalar(v, path)
}

func (d *decoder) scalar(v reflect.Value, path string) error {
	switch v.Kind() {
	case reflect.String:
		s, err := d.string(path)
		if err == nil {
			v.SetString(s)
		}
		return err
	case reflect.Bool:
		if c := d.in[d.pos]; c != 't' && c != 'f' {
			return d.wrong(path, "a boolean")
		}
		v.SetBool(string(d.skip()) == "true")
		return nil
	}
	if c := d.in[d.pos]; c != '-' && (c < '0' || c > '9') {
		return d.wrong(path, "a number")
	}
	token := string(d.skip())
	if v.CanInt() {
		n, err := strconv.ParseInt(token, 10, 64)
		if err != nil || v.OverflowInt(n) {
			return code.New(code.JSONNumber, "").In("", place(path)).Want("an integer", token)
		}
		v.SetInt(n)
		return nil
	}
	if v.CanFloat() {
		f, err := strconv.ParseFloat(token, 64)
		v.SetFloat(f)
		return err
	}
	return fmt.Errorf("decode %s: no rule for %s", place(path), v.Type())
}

func (d *decoder) string(path string) (string, error) {
	if d.in[d.pos] != '"' {
		return "", d.wrong(path, "a string")
	}
	raw := d.skip()
	return string(unescape(make([]byte, 0, len(raw)), raw[1:len(raw)-1])), nil
}

// members calls fn at the value of each member of the object at pos.
func (d *decoder) members(path string, fn func(name string) error) error {
	if d.in[d.pos] != '{' {
		return d.wrong(path, "an object")
	}
	d.pos++
	for d.in[d.pos] != '}' {
		if d.in[d.pos] == ',' {
			d.pos++
		}
		name, err := d.string(path)
		if err != nil {
			return err
		}
		d.pos++ // colon
		if err := fn(name); err != nil {
			return err
		}
	}
	d.pos++
	return nil
}

func (d *decoder) object(v reflect.Value, path string) error {
	s := d.shape(v.Type())
	seen := make([]bool, len(s.fields))
	err := d.members(path, func(name string) error {
		f, known := s.fields[name]
		switch {
		case known && d.loose:
			start := d.pos
			if err := d.value(v.FieldByIndex(f.index), join(path, name)); err != nil {
				d.pos = start
				d.skip()
			}
			return nil
		case known:
			seen[f.bit] = true
			return d.value(v.FieldByIndex(f.index), join(path, name))
		case d.loose:
			d.skip()
			return nil
		}
		return code.New(code.JSONUnknown, "").In("", place(path)).Want("no other member", fmt.Sprintf("%.60q", name))
	})
	if err != nil || !d.ours {
		return err
	}
	for _, name := range s.required {
		if !seen[s.fields[name].bit] {
			return code.New(code.JSONType, "").In("", place(path)).Want("a member "+strconv.Quote(name), "none")
		}
	}
	return nil
}

func (d *decoder) dictionary(v reflect.Value, path string) error {
	t := v.Type()
	if t.Key().Kind() != reflect.String {
		return fmt.Errorf("decode %s: no rule for %s", place(path), t)
	}
	v.Set(reflect.MakeMap(t))
	return d.members(path, func(name string) error {
		e := reflect.New(t.Elem()).Elem()
		if err := d.value(e, join(path, name)); err != nil {
			return err
		}
		v.SetMapIndex(reflect.ValueOf(name).Convert(t.Key()), e)
		return nil
	})
}

func (d *decoder) array(v reflect.Value, path string) error {
	if d.in[d.pos] != '[' {
		return d.wrong(path, "an array")
	}
	d.pos++
	v.Set(reflect.MakeSlice(v.Type(), 0, 0))
	for d.in[d.pos] != ']' {
		if d.in[d.pos] == ',' {
			d.pos++
		}
		n := v.Len()
		v.Set(reflect.Append(v, reflect.Zero(v.Type().Elem())))
		if err := d.value(v.Index(n), fmt.Sprintf("%s[%d]", path, n)); err != nil {
			return err
		}
	}
	d.pos++
	return nil
}

// skip moves behind one value and returns its text.
func (d *decoder) skip() []byte {
	start, depth := d.pos, 0
	for {
		switch c := d.in[d.pos]; c {
		case '{', '[':
			depth++
			d.pos++
		case '}', ']':
			depth--
			d.pos++
		case '"':
			for d.pos++; d.in[d.pos] != '"'; d.pos++ {
				if d.in[d.pos] == '\\' {
					d.pos++
				}
			}
			d.pos++
		case ',', ':':
			d.pos++
			continue
		default:
			for d.pos < len(d.in) && !strings.ContainsRune(",:]}", rune(d.in[d.pos])) {
				d.pos++
			}
		}
		if depth == 0 {
			return d.in[start:d.pos]
		}
	}
}

func (d *decoder) shape(t reflect.Type) *shape {
	if s, ok := d.types[t]; ok {
		return s
	}
	s := &shape{fields: map[string]field{}}
	s.collect(t, nil)
	d.types[t] = s
	return s
}

func (s *shape) collect(t reflect.Type, index []int) {
	for i := range t.NumField() {
		f := t.Field(i)
		at := append(append([]int{}, index...), i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "":
			s.collect(f.Type, at)
			continue
		case !f.IsExported() || name == "-":
			continue
		case name == "":
			name = f.Name
		}
		s.fields[name] = field{index: at, bit: len(s.fields)}
		if !strings.Contains(options, "omitempty") && !strings.Contains(options, "omitzero") {
			s.required = append(s.required, name)
		}
	}
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
