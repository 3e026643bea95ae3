package kit

import (
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"sallyport/internal/digest"
	"sallyport/internal/units"
)

// shortDigest is the first 12 characters of a digest's hex, or of whatever else was given.
func shortDigest(s string) string {
	s = strings.TrimPrefix(s, digest.Prefix)
	if len(s) > 12 {
		s = s[:12]
	}
	return s
}

// isDigest tells whether the text is hex as long as a digest's; anything else is shown whole.
func isDigest(s string) bool {
	b, err := hex.DecodeString(strings.TrimPrefix(s, digest.Prefix))
	return err == nil && len(b) > 6
}

// relative writes when something was or will be ("3 days ago", "in 2 hours", "never").
func relative(at, now time.Time) string {
	switch d := now.Sub(at); {
	case at.IsZero():
		return "never"
	case d < 0 && d > -time.Minute:
		return "now"
	case d < 0:
		return "in " + units.Age(-d)
	default:
		return units.Age(d) + " ago"
	}
}

// utc writes a time whole, for the title of a relative one and for paper.
func utc(at time.Time) string { return at.UTC().Format("2006-01-02 15:04:05") + " UTC" }

// Percent writes a part of a whole in whole percent: 100 % only when nothing is missing, 0 % only when nothing is there.
func Percent(part, whole int64) Node {
	if whole <= 0 {
		return Soft("unknown")
	}
	p := int(share(float64(part), float64(whole)))
	if p == 0 && part > 0 {
		return Text("under 1 %")
	}
	return Text(fmt.Sprintf("%d %%", p))
}

// Bytes writes a size in IEC units.
func Bytes(n int64) Node { return Text(units.Size(n)) }

// Count writes a number with thousands separated.
func Count(n int64) Node { return Text(units.Count(n)) }

// Out is a link as a node.
func Out(l Link) Node { return To(l.Href, l.Label) }

// Time writes how long ago something was, with UTC in the title; the zero time is "never".
func Time(at, now time.Time) Node { return TimeOr(at, now, "never") }

// TimeOr is Time with its own words for a time that nobody knows.
func TimeOr(at, now time.Time, unknown string) Node {
	if at.IsZero() {
		return Soft(unknown)
	}
	return moment(at, relative(at, now), true)
}

// Date writes the day ("11 Mar 2026"), with UTC in the title; the zero time is a dash.
func Date(at time.Time) Node {
	if at.IsZero() {
		return Soft("–")
	}
	return moment(at, at.UTC().Format("2 Jan 2006"), false)
}
