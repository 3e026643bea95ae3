package units

import (
	"math"
	"strconv"
	"strings"
	"testing"
	"time"
)

// FuzzSize: what is read is a number of bytes that state and JSON can hold, and plain digits mean themselves.
func FuzzSize(f *testing.F) {
	for _, s := range []string{"50MB", "256KiB", "1 GiB", "-1", "9007199254740991", "9007199254740993", "1e400", "1.5.5MB", "NaN", "0x10"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := ParseSize(s)
		if err != nil {
			if len(err.Error()) > 300 {
				t.Fatalf("a message of %d bytes", len(err.Error()))
			}
			return
		}
		if n < 0 || n > 1<<53-1 || Size(n) == "" {
			t.Fatalf("%q is read as %d", s, n)
		}
		if plain, err := strconv.ParseInt(s, 10, 64); err == nil && plain != n && plain < 1<<53 {
			t.Fatalf("%q is read as %d", s, n)
		}
	})
}

// FuzzDuration: never negative, and no number of days wraps around.
func FuzzDuration(f *testing.F) {
	for _, s := range []string{"14d", "36h", "-3h", "99999999999d", "106751d", "106752d", "1.5d", "9223372036854775807ns"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := ParseDuration(s)
		if err != nil {
			return
		}
		if d < 0 || Age(d) == "" {
			t.Fatalf("%q is read as %v", s, d)
		}
		if text, ok := strings.CutSuffix(s, "d"); ok {
			if n, err := strconv.ParseFloat(text, 64); err == nil && math.Abs(n-float64(d/(24*time.Hour))) > 0.5 {
				t.Fatalf("%q is read as %v", s, d)
			}
		}
	})
}

// FuzzWords: nine words match the fingerprint they were made of and no other, however they are typed.
func FuzzWords(f *testing.F) {
	var fp [32]byte
	for i := range fp {
		fp[i] = byte(i * 37)
	}
	right := Words(fp)
	f.Add(fp[:], right)
	f.Add(fp[:], "  "+strings.ToUpper(right)+"\n")
	f.Add(fp[:], strings.Replace(right, " ", "\u00a0", 2))
	f.Add(make([]byte, 32), strings.Repeat("abandon ", 9))
	f.Fuzz(func(t *testing.T, b []byte, typed string) {
		var fp [32]byte
		copy(fp[:], b)
		own := Words(fp)
		if ok, err := MatchWords(fp, own); err != nil || !ok {
			t.Fatalf("%q does not match itself: %v", own, err)
		}
		ok, err := MatchWords(fp, typed)
		if same := strings.Join(strings.Fields(strings.ToLower(typed)), " ") == own; ok != same || ok && err != nil {
			t.Fatalf("%q for %q: %v %v", typed, own, ok, err)
		}
	})
}
