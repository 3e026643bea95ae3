package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/term"

	"sallyport/internal/code"
	"sallyport/internal/units"
	"sallyport/internal/wire"
)

// show prints an answer: as JSON, or as text writes it.
func (a *app) show(v any, text func(w io.Writer)) error {
	if !a.json {
		text(a.Out)
		return nil
	}
	enc := json.NewEncoder(a.Out)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// say writes a line of talk.
func (a *app) say(format string, args ...any) {
	if a.quiet {
		return
	}
	a.clear()
	fmt.Fprintf(a.Err, format+"\n", args...)
}

// fail prints an error: what, where, expected and got, what to do, the code.
func (a *app) fail(err error) {
	e := wire.FromError(err)
	if a.json {
		enc := json.NewEncoder(a.Err)
		enc.SetIndent("", "  ")
		if enc.Encode(wire.Failure{Error: e}) == nil {
			return
		}
	}
	fmt.Fprintf(a.Err, "%s %s\n", a.colour("31", "error:"), clean(e.Message))
	if at := strings.TrimSuffix(strings.TrimPrefix(e.File+": "+e.Place, ": "), ": "); at != "" {
		fmt.Fprintf(a.Err, "  at: %s\n", clean(at))
	}
	if e.Expected != "" || e.Got != "" {
		fmt.Fprintf(a.Err, "  expected: %s\n  got: %s\n", clean(e.Expected), clean(e.Got))
	}
	if e.Next != "" {
		fmt.Fprintf(a.Err, "  next: %s\n", clean(e.Next))
	}
	fmt.Fprintf(a.Err, "  code: %s\n", e.Code)
}

// clean makes foreign text harmless on a terminal: what is not printed, or would change how other text is read, is escaped.
func clean(s string) string {
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(s[i:], "\uFFFD"):
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case r == ' ' || unicode.IsGraphic(r) && !unicode.Is(unicode.Zs, r) && !unicode.Is(unicode.Cf, r):
			b.WriteRune(r)
		case r > 0xffff:
			fmt.Fprintf(&b, `\U%08x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// table prints rows under a head, columns aligned. Every cell is cleaned.
func table(w io.Writer, head string, rows [][]string) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, strings.ReplaceAll(head, " ", "\t"))
	for _, r := range rows {
		for i, cell := range r {
			if i > 0 {
				fmt.Fprint(t, "\t")
			}
			fmt.Fprint(t, clean(cell))
		}
		fmt.Fprintln(t)
	}
	t.Flush()
}

// pairs prints names and values; empty values are left out.
func pairs(w io.Writer, list ...string) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for i := 0; i+1 < len(list); i += 2 {
		if list[i+1] != "" {
			fmt.Fprintf(t, "%s\t%s\n", list[i], clean(list[i+1]))
		}
	}
	t.Flush()
}

// terminal tells whether a stream is one.
func terminal(v any) bool {
	f, ok := v.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// colour paints on a terminal, unless NO_COLOR is set.
func (a *app) colour(number, s string) string {
	if no, ok := a.LookupEnv("NO_COLOR"); ok && no != "" || !terminal(a.Err) {
		return s
	}
	return "\x1b[" + number + "m" + s + "\x1b[0m"
}

// progress draws one line on a terminal; notes stay.
func (a *app) progress(p wire.Progress) {
	if a.quiet {
		return
	}
	if p.Note != "" && !a.json && (!wire.IsFact(p.Note) || terminal(a.Err)) {
		a.say("%s", clean(p.Note))
	}
	if !terminal(a.Err) {
		return
	}
	a.drawn = true
	line := progressLine(p)
	if f, ok := a.Err.(*os.File); ok {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && utf8.RuneCountInString(line) > width-1 && width > 4 {
			line = string([]rune(line)[:width-2]) + "…"
		}
	}
	fmt.Fprintf(a.Err, "\r\x1b[K%s", line)
}

func progressLine(p wire.Progress) string {
	parts := []string{clean(p.Stage)}
	if p.TotalBytes > 0 {
		parts = append(parts, fmt.Sprintf("%d %%", 100*min(p.Bytes, p.TotalBytes)/p.TotalBytes), units.Size(p.Bytes)+" of "+units.Size(p.TotalBytes))
	} else if p.Bytes > 0 {
		parts = append(parts, units.Size(p.Bytes))
	}
	if p.TotalItems > 0 {
		parts = append(parts, units.Count(p.Items)+" of "+units.Count(p.TotalItems))
	} else if p.Items > 0 {
		parts = append(parts, units.Count(p.Items))
	}
	if p.Rate > 0 {
		parts = append(parts, units.Size(p.Rate)+"/s")
	}
	if p.ETA > 0 {
		parts = append(parts, (time.Duration(p.ETA)*time.Second).String()+" left")
	}
	if p.Subject != "" {
		parts = append(parts, clean(p.Subject))
	}
	return strings.Join(parts, " · ")
}

// clear takes the progress line away.
func (a *app) clear() {
	if a.drawn {
		fmt.Fprint(a.Err, "\r\x1b[K")
		a.drawn = false
	}
}

// short cuts a digest for people.
func short(d string) string {
	if hex, ok := strings.CutPrefix(d, "sha256:"); ok && len(hex) > 12 {
		return hex[:12]
	}
	return d
}

// join runs a text and then an error: what was found is shown even when it was refused.
func (a *app) join(v any, text func(w io.Writer), err error) error {
	if perr := a.show(v, text); perr != nil && err == nil {
		return perr
	}
	return err
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// missing refuses a flag that must be there.
func missing(flag, why string) error {
	return code.New(code.BadUsage, "%s is needed", flag).Do(why)
}
