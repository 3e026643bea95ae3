package units

import (
	"encoding/csv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestCell(t *testing.T) {
	for in, want := range map[string]string{
		"":                   "",
		"plain":              "plain",
		"=1+1":               "'=1+1",
		"+49 30":             "'+49 30",
		"-5":                 "'-5",
		"@SUM(A1)":           "'@SUM(A1)",
		"\t=1":               "'\t=1",
		"\r=1":               "'\r=1",
		"\nx":                "'\nx",
		"  =cmd|' /C calc'!": "'  =cmd|' /C calc'!",
		"＝1":                 "'＝1",
		"a=1":                "a=1",
		"'=1":                "'=1",
		"\x1b[2J":            "\ufffd[2J",
		"a\u202eb":           "a\ufffdb",
		"\xff":               "\ufffd",
		"\x00=1":             "\ufffd=1",
	} {
		if got := Cell(in); got != want {
			t.Errorf("%q is %q, want %q", in, got, want)
		}
	}
}

func TestCSVText(t *testing.T) {
	b, err := CSV([]string{"name", "note"}, [][]string{{"a,b", `say "no"`}, {" spaced ", "two\nlines"}})
	if want := "\ufeffname,note\r\n\"a,b\",\"say \"\"no\"\"\"\r\n\" spaced \",\"two\nlines\"\r\n"; err != nil || string(b) != want {
		t.Errorf("%q %v", b, err)
	}
	if _, err := CSV([]string{"name"}, [][]string{{"a", "b"}}); err == nil {
		t.Error("a row that is too long was written")
	}
}

// safe judges one cell as a spreadsheet reads it.
func safe(cell string) bool {
	if !utf8.ValidString(cell) {
		return false
	}
	trimmed := strings.TrimLeft(cell, " \u00a0\u2003")
	return trimmed == "" || !strings.ContainsAny(string([]rune(trimmed)[:1]), "=+-@\t\r\n＝＋－＠")
}

func readBack(t interface{ Fatalf(string, ...any) }, b []byte) [][]string {
	text, ok := strings.CutPrefix(string(b), "\ufeff")
	if !ok {
		t.Fatalf("no mark of UTF-8")
	}
	r := csv.NewReader(strings.NewReader(text))
	rows, err := r.ReadAll()
	if err != nil {
		t.Fatalf("not RFC 4180: %v\n%q", err, text)
	}
	return rows
}

// Any table is read back with the cells that were written, and no cell of it is a formula.
func TestCSVProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 5).Draw(t, "columns")
		cell := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"=1", "+", "-x", "@", "\t", "\r\n", " =", "\"", ",", "\x1b[0m", "＝"}))
		row := rapid.SliceOfN(cell, n, n)
		head, rows := row.Draw(t, "head"), rapid.SliceOf(row).Draw(t, "rows")
		b, err := CSV(head, rows)
		if err != nil {
			t.Fatal(err)
		}
		back := readBack(t, b)
		if len(back) != len(rows)+1 {
			t.Fatalf("%d rows came back of %d", len(back), len(rows)+1)
		}
		for i, written := range append([][]string{head}, rows...) {
			for j, want := range written {
				if got := back[i][j]; got != strings.ReplaceAll(Cell(want), "\r\n", "\n") || !safe(got) {
					t.Fatalf("%q came back as %q", want, got)
				}
			}
		}
	})
}

func FuzzCSV(f *testing.F) {
	for _, s := range []string{"=1+1", "a,b", "\"", "\r", "\x00", "＝1", " =1", "\u202e=1", "\xff"} {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, one, two string) {
		b, err := CSV([]string{"one", "two"}, [][]string{{one, two}})
		if err != nil {
			t.Fatal(err)
		}
		for _, cell := range readBack(t, b)[1] {
			if !safe(cell) || strings.ContainsFunc(cell, func(r rune) bool { return unicode.IsControl(r) && !strings.ContainsRune("\t\r\n", r) }) {
				t.Fatalf("%q %q are written as %q", one, two, cell)
			}
		}
	})
}
