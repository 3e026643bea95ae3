package courier

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// clean makes foreign text harmless on a terminal: control characters, invalid UTF-8, and everything that is invisible or
// changes the direction of writing become \x or \u escapes. At most 400 bytes come out.
func clean(s string) string {
	var b strings.Builder
	for i, r := range s {
		if b.Len() > 400 {
			b.WriteString("…")
			break
		}
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(s[i:], "\uFFFD"):
			b.WriteString(hex(`\x`, rune(s[i]), 2))
		case r == ' ' || unicode.IsGraphic(r) && !unicode.Is(unicode.Zs, r) && !unicode.Is(unicode.Cf, r):
			b.WriteRune(r)
		case r > 0xffff:
			b.WriteString(hex(`\U`, r, 8))
		default:
			b.WriteString(hex(`\u`, r, 4))
		}
	}
	return b.String()
}

func hex(prefix string, r rune, digits int) string {
	out := make([]byte, digits)
	for i := digits - 1; i >= 0; i-- {
		out[i] = "0123456789abcdef"[r&15]
		r >>= 4
	}
	return prefix + string(out)
}

// cleanEach cleans every string of a list: JSON goes to terminals too.
func cleanEach(list []string) []string {
	var out []string
	for _, s := range list {
		out = append(out, clean(s))
	}
	return out
}

// cleanAll cleans a list for printing on one line, at most n of them.
func cleanAll(list []string, n int) string {
	var out []string
	for i, s := range list {
		if i == n {
			out = append(out, "…")
			break
		}
		out = append(out, clean(s))
	}
	return strings.Join(out, ", ")
}
