package units

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// bom tells a spreadsheet that the text is UTF-8: without it, common ones read names with letters beyond ASCII as something
// else. A program reads the JSON of the API instead.
const bom = "\ufeff"

// CSV writes a table as RFC 4180 has it: the head, then the rows, commas, CRLF, quotes where they are needed. Cells are foreign
// text: one that a spreadsheet would take for a formula begins with an apostrophe, and what no screen shows is replaced.
// A row of another length than the head is an error.
func CSV(head []string, rows [][]string) ([]byte, error) {
	var b strings.Builder
	b.WriteString(bom)
	for i, row := range append([][]string{head}, rows...) {
		if len(row) != len(head) {
			return nil, fmt.Errorf("csv: row %d has %d cells, the head %d", i, len(row), len(head))
		}
		for j, cell := range row {
			if j > 0 {
				b.WriteByte(',')
			}
			b.WriteString(quoted(Cell(cell)))
		}
		b.WriteString("\r\n")
	}
	return []byte(b.String()), nil
}

// Cell is a text that a spreadsheet shows and never computes. A cell that begins, after spaces, with = + - @ (also in their
// full-width forms), a tab, a carriage return or a line feed gets an apostrophe before it.
func Cell(s string) string {
	s = strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || r == '\r' || unicode.IsGraphic(r) {
			return r
		}
		return unicode.ReplacementChar // controls, invalid UTF-8, marks that turn the direction of a text
	}, s)
	blank := func(r rune) bool { return unicode.IsSpace(r) && !strings.ContainsRune("\t\r\n", r) }
	if r, n := utf8.DecodeRuneInString(strings.TrimLeftFunc(s, blank)); n > 0 && strings.ContainsRune("=+-@\t\r\n＝＋－＠", r) {
		return "'" + s
	}
	return s
}

func quoted(s string) string {
	if !strings.ContainsAny(s, "\",\r\n") && strings.TrimSpace(s) == s {
		return s
	}
	return `"` + strings.ReplaceAll(s, `"`, `""`) + `"`
}
