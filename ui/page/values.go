package page

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"sallyport/internal/clock"
	"sallyport/internal/units"
	"sallyport/ui/kit"
)

// instant reads a time as our answers write it; zero when there is none.
func instant(text string) time.Time {
	t, err := clock.Parse(text)
	if err != nil {
		return time.Time{}
	}
	return t
}

// since shows a time relative to now; never stands where there is none.
func since(text string, now time.Time, never string) kit.Node {
	return kit.TimeOr(instant(text), now, never)
}

// day shows the date of a time, a dash where there is none.
func day(text string) kit.Node {
	t := instant(text)
	if t.IsZero() {
		return dash()
	}
	return kit.Date(t)
}

// dash stands where there is nothing to say.
func dash() kit.Node { return kit.Soft("–") }

// orDash is the text, or a dash for none.
func orDash(s string) kit.Node {
	if s == "" {
		return dash()
	}
	return kit.Text(s)
}

// digestOr shows a digest, or a dash for none.
func digestOr(s string) kit.Node {
	if s == "" {
		return dash()
	}
	return kit.Digest(s)
}

// seconds is a duration of an answer.
func seconds(n int64) time.Duration { return time.Duration(n) * time.Second }

// generation writes a place in a feed's life: its number, with the epoch once a restore has begun a new one.
func generation(epoch, number int64) string {
	switch {
	case number == 0:
		return "none"
	case epoch > 1:
		return fmt.Sprintf("%d.%d", epoch, number)
	}
	return fmt.Sprint(number)
}

// pointWords writes an epoch.generation of an answer as people read it: without the epoch while there was only one.
func pointWords(point string) string {
	if after, ok := strings.CutPrefix(point, "1."); ok {
		return after
	}
	return point
}

// kindWord is the word for so many records of a kind.
func kindWord(kind string, n int64) string {
	one := map[string]string{"advisory": "advisory", "vex": "VEX statement", "sbom": "SBOM", "finding": "finding", "policy": "policy", "artifact": "artifact"}[kind]
	many := map[string]string{"advisory": "advisories", "vex": "VEX statements", "sbom": "SBOMs", "finding": "findings", "policy": "policies", "artifact": "artifacts"}[kind]
	if one == "" {
		return kind
	}
	if n == 1 {
		return one
	}
	return many
}

// kindCounts says how many records of each kind there are.
func kindCounts(kinds map[string]int64) string {
	names := make([]string, 0, len(kinds))
	for k := range kinds {
		names = append(names, k)
	}
	slices.Sort(names)
	for i, k := range names {
		names[i] = units.Count(kinds[k]) + " " + kindWord(k, kinds[k])
	}
	return strings.Join(names, ", ")
}

// numbers writes 1, 2 and 5.
func numbers(list []int64) string {
	parts := make([]string, len(list))
	for i, n := range list {
		parts[i] = units.Count(n)
	}
	if len(parts) < 2 {
		return strings.Join(parts, "")
	}
	return strings.Join(parts[:len(parts)-1], ", ") + " and " + parts[len(parts)-1]
}

// upper begins a sentence.
func upper(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// paragraphs stacks sentences.
func paragraphs(list []string) kit.Node {
	nodes := make([]kit.Node, len(list))
	for i, s := range list {
		nodes[i] = kit.Text(s)
	}
	return kit.Lines(nodes...)
}

// itoa writes a number without separators: one that names something.
func itoa(n uint32) string { return strconv.FormatUint(uint64(n), 10) }
