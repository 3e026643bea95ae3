// Package units turns numbers into words and back: sizes, durations and the nine words of a fingerprint.
//
// Data: the BIP-39 English list of 2,048 words (from its module, data only).
//
// Order: pure functions; nothing is written.
package units

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
)

// ParseSize reads SI and IEC sizes ("50MB", "256KiB", "1024"): bytes, at most 2^53−1.
func ParseSize(s string) (int64, error) {
	n, err := humanize.ParseBytes(s)
	if err != nil || n > 1<<53-1 {
		return 0, fmt.Errorf("size %.40q: want a number with an optional unit like KiB, MB, GiB", s)
	}
	return int64(n), nil
}

// Size writes bytes for people in IEC units ("1.8 GiB"). It is not read back.
func Size(n int64) string {
	if n < 0 {
		return "-" + humanize.IBytes(uint64(-n))
	}
	return humanize.IBytes(uint64(n))
}

// Count writes a number with thousands separators ("4,155").
func Count(n int64) string { return humanize.Comma(n) }

// ParseDuration reads Go durations and whole days ("14d").
func ParseDuration(s string) (time.Duration, error) {
	if d, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.Atoi(d)
		if err != nil || n < 0 || int64(n) > math.MaxInt64/int64(24*time.Hour) {
			return 0, fmt.Errorf("duration %.40q: want days like 14d", s)
		}
		return time.Duration(n) * 24 * time.Hour, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("duration %.40q: want a duration like 14d, 36h or 30m", s)
	}
	return d, nil
}

// Age writes how old something is in its largest sensible unit ("3 days", "2 hours", "less than a minute").
func Age(d time.Duration) string {
	switch {
	case d < time.Minute:
		return "less than a minute"
	case d < 2*time.Hour:
		return Plural(int64(d/time.Minute), "minute", "minutes")
	case d < 48*time.Hour:
		return Plural(int64(d/time.Hour), "hour", "hours")
	}
	return Plural(int64(d/(24*time.Hour)), "day", "days")
}

// AgeAtLeast writes a lower bound of an age: after a start without a signed word of the time nobody knows more.
func AgeAtLeast(d time.Duration) string {
	if d < time.Minute {
		return "at least 0 minutes"
	}
	return "at least " + Age(d)
}

// Plural counts things for people: "1 record", "4,155 records".
func Plural(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return Count(n) + " " + many
}
