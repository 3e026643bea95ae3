package api

import (
	"bytes"
	"encoding/csv"
	"reflect"
	"strings"
	"testing"

	"sallyport/internal/code"
	"sallyport/internal/web"
	"sallyport/internal/wire"
)

// poison makes every string of a value what a spreadsheet would compute.
func poison(v reflect.Value, depth int) {
	if depth > 8 {
		return
	}
	switch v.Kind() {
	case reflect.String:
		if v.CanSet() {
			v.SetString("=cmd|' /C calc'!A0")
		}
	case reflect.Pointer:
		if !v.IsNil() {
			poison(v.Elem(), depth+1)
		}
	case reflect.Slice:
		for i := range v.Len() {
			poison(v.Index(i), depth+1)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			poison(v.Field(i), depth+1)
		}
	}
}

// Every action that lists something has a table, whose rows fit its head and in which no cell is a formula.
func TestEveryListHasCSV(t *testing.T) {
	lists := []string{"peers/fleet", "feeds/show", "timeline/list", "trust/show", "settings/show", "runs/files", "records/search", "store/show", "store/plan", "doctor/run", "import/run"}
	for _, a := range Table() {
		if strings.HasSuffix(a.Name, "/list") {
			lists = append(lists, a.Name)
		}
	}
	rows := map[string]web.Action{}
	for _, a := range Table() {
		rows[a.Name] = a
	}
	for _, name := range lists {
		typ := reflect.TypeOf(rows[name].Out)
		if typ.Kind() == reflect.Pointer {
			typ = typ.Elem()
		}
		v := reflect.New(typ).Elem()
		fill(v, 0)
		poison(v, 0)
		b, err := web.CSV(v.Interface())
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		read, err := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(b, []byte("\ufeff")))).ReadAll()
		if err != nil || len(read) < 2 {
			t.Errorf("%s: %d lines, %v", name, len(read), err)
			continue
		}
		for i, cell := range read[1] {
			if strings.HasPrefix(cell, "=") {
				t.Errorf("%s: %s is a formula: %s", name, read[0][i], cell)
			}
		}
	}
	if _, err := web.CSV(wire.Status{}); code.Of(err) != code.Missing {
		t.Errorf("status is a table: %v", err)
	}
}
