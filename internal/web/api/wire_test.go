package api

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"

	"sallyport/internal/access"
	"sallyport/internal/approval"
	"sallyport/internal/digest"
	"sallyport/internal/export"
	"sallyport/internal/intake"
	"sallyport/internal/load"
	"sallyport/internal/wire"
)

// fill puts something into every exported field that encoding/json would write.
func fill(v reflect.Value, depth int) {
	if depth > 8 || !v.CanSet() {
		return
	}
	if _, ok := v.Interface().(digest.Digest); ok {
		v.Set(reflect.ValueOf(digest.Of([]byte("x"))))
		return
	}
	if _, ok := v.Interface().(json.RawMessage); ok {
		v.Set(reflect.ValueOf(json.RawMessage(`{"a":1}`)))
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString("x")
	case reflect.Int, reflect.Int64, reflect.Int32:
		v.SetInt(7)
	case reflect.Uint64, reflect.Uint32, reflect.Uint8:
		v.SetUint(7)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), depth+1)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), depth+1)
	case reflect.Map:
		e := reflect.New(v.Type().Elem()).Elem()
		fill(e, depth+1)
		k := reflect.New(v.Type().Key()).Elem()
		fill(k, depth+1)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(k, e)
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() && f.Tag.Get("json") != "-" {
				fill(v.Field(i), depth+1)
			}
		}
	}
}

// What rooms answer has a twin in wire: no field of a room is unknown there.
func TestRoomsAndWireAgree(t *testing.T) {
	for _, pair := range []struct{ room, wire any }{
		{&load.Result{}, &wire.Loaded{}},
		{&intake.Result{}, &wire.Imported{}},
		{&intake.CardInfo{}, &wire.Card{}},
		{&intake.Question{}, &wire.Question{}},
		{&intake.Proof{}, &wire.Proof{}},
		{&intake.ReceiptRow{}, &wire.Receipt{}},
		{&export.Run{}, &wire.Run{}},
		{&intake.TrustResult{}, &wire.TrustResult{}},
		{&intake.TrustView{}, &wire.TrustView{}},
		{&intake.KeyPlan{}, &wire.KeyPlan{}},
		{&approval.Plan{}, &wire.Approval{}},
		{&access.User{}, &wire.User{}},
		{&access.TokenView{}, &wire.APIToken{}},
		{&access.Card{}, &wire.RecoveryCard{}},
	} {
		fill(reflect.ValueOf(pair.room).Elem(), 0)
		b, err := json.Marshal(pair.room)
		if err != nil {
			t.Fatalf("%T: %v", pair.room, err)
		}
		dec := json.NewDecoder(bytes.NewReader(b))
		dec.DisallowUnknownFields()
		if err := dec.Decode(pair.wire); err != nil {
			t.Errorf("%T is not %T: %v\n%s", pair.room, pair.wire, err, b)
		}
	}
}

func TestBeforePrefix(t *testing.T) {
	for _, prefix := range []string{"GO-2024", "a", "z/", "\x01"} {
		if b := before(prefix); b >= prefix {
			t.Errorf("before(%q) = %q is not before it", prefix, b)
		}
	}
}
