package units

import (
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestSizes(t *testing.T) {
	for text, want := range map[string]int64{"50MB": 50e6, "256KiB": 256 << 10, "1024": 1024, "1 GiB": 1 << 30, "0": 0} {
		if got, err := ParseSize(text); err != nil || got != want {
			t.Errorf("%q: %d %v, want %d", text, got, err, want)
		}
	}
	for _, bad := range []string{"", "lots", "-1", "1XB", "9007199254740993", "1e400"} {
		if n, err := ParseSize(bad); err == nil {
			t.Errorf("%q was read as %d", bad, n)
		}
	}
	if Size(1932735283) != "1.8 GiB" || Size(-1024) != "-1.0 KiB" || Count(4155) != "4,155" {
		t.Errorf("%s %s %s", Size(1932735283), Size(-1024), Count(4155))
	}
}

func TestDurations(t *testing.T) {
	for text, want := range map[string]time.Duration{"14d": 14 * 24 * time.Hour, "36h": 36 * time.Hour, "30m": 30 * time.Minute, "0d": 0} {
		if got, err := ParseDuration(text); err != nil || got != want {
			t.Errorf("%q: %v %v, want %v", text, got, err, want)
		}
	}
	for _, bad := range []string{"", "d", "-1d", "-3h", "1.5d", "often", "99999999999d"} {
		if d, err := ParseDuration(bad); err == nil {
			t.Errorf("%q was read as %v", bad, d)
		}
	}
	for d, want := range map[time.Duration]string{
		0: "less than a minute", time.Minute: "1 minute", 90 * time.Minute: "90 minutes", 2 * time.Hour: "2 hours", 72 * time.Hour: "3 days",
	} {
		if got := Age(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}

func fingerprint(t *testing.T, s string) (fp [32]byte) {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil || copy(fp[:], b) != 32 {
		t.Fatalf("%q: %v", s, err)
	}
	return fp
}

// All zero bits are eight times the first word, all ones eight times the last; the ninth follows from SHA-256 of 11 bytes.
func TestWordsByHand(t *testing.T) {
	zero := Words([32]byte{})
	if !strings.HasPrefix(zero, strings.Repeat("abandon ", 8)) {
		t.Errorf("zero: %s", zero)
	}
	ones := Words(fingerprint(t, strings.Repeat("ff", 32)))
	if !strings.HasPrefix(ones, strings.Repeat("zoo ", 8)) {
		t.Errorf("ones: %s", ones)
	}
	// bit 11 alone is the lowest bit of nothing but the second word's highest: 1024, "length"
	var one [32]byte
	one[1] = 0x10
	if w := strings.Fields(Words(one)); w[0] != "abandon" || w[1] != "length" || w[2] != "abandon" {
		t.Errorf("one bit: %v", w)
	}
	if got := Spoken([32]byte{}); got != strings.TrimSpace(strings.Repeat("abandon ", 6)) {
		t.Errorf("spoken: %s", got)
	}
}

func TestMatchWords(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var fp, other [32]byte
		copy(fp[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "fp"))
		copy(other[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "other"))
		typed := "  " + strings.ToUpper(strings.ReplaceAll(Words(fp), " ", "\n ")) + "\t"
		if ok, err := MatchWords(fp, typed); !ok || err != nil {
			t.Fatalf("own words: %v %v", ok, err)
		}
		if ok, err := MatchWords(other, Words(fp)); [11]byte(fp[:11]) != [11]byte(other[:11]) && (ok || err != nil) {
			t.Fatalf("another's words: %v %v", ok, err)
		}
	})
	words := strings.Fields(Words([32]byte{1, 2, 3}))
	for name, typed := range map[string]string{
		"eight":   strings.Join(words[:8], " "),
		"unknown": strings.Join(append(words[:8:8], "sallyport"), " "),
		"misread": strings.Join(append([]string{"zoo"}, words[1:]...), " "),
		"nothing": "",
	} {
		if ok, err := MatchWords([32]byte{1, 2, 3}, typed); ok || err == nil {
			t.Errorf("%s: %v %v", name, ok, err)
		}
	}
}

func TestAgeAtLeast(t *testing.T) {
	for d, want := range map[time.Duration]string{0: "at least 0 minutes", time.Minute: "at least 1 minute", 72 * time.Hour: "at least 3 days"} {
		if got := AgeAtLeast(d); got != want {
			t.Errorf("%s: %q", d, got)
		}
	}
}

func TestUnlisted(t *testing.T) {
	if got := Unlisted("spot Online chargge brother lend image"); len(got) != 1 || got[0] != `word 3 "chargge"` {
		t.Errorf("%q", got)
	}
	if got := Unlisted("spot online charge"); got != nil {
		t.Errorf("%q", got)
	}
}
