package ident

import (
	"bytes"
	"crypto/ed25519"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestNames(t *testing.T) {
	for name, c := range map[string]struct {
		check     func(string) error
		good, bad []string
	}{
		"name": {Name, []string{"a", "site-07", strings.Repeat("a", 16)}, []string{"", "-a", "A", "a_b", "a.b", "é", strings.Repeat("a", 17), "a/b", "a\n"}},
		"feed": {Feed, []string{"osv-go", "a.b_c", strings.Repeat("a", 40)}, []string{"", ".a", "A", "a b", strings.Repeat("a", 41), "../a", "a\x00"}},
		"file": {File, []string{"x", "a.tar.zst", ".partial"}, []string{"", ".", "..", "A", "a/b", strings.Repeat("a", 65)}},
		"kind": {Kind, []string{"advisory", "a"}, []string{"", "Advisory", "a1", strings.Repeat("a", 17)}},
		"appl": {Appliance, []string{"ap1" + strings.Repeat("a2", 16)}, []string{"", "ap1", "ap1" + strings.Repeat("a1", 16), "ap2" + strings.Repeat("aa", 16)}},
	} {
		for _, s := range c.good {
			if err := c.check(s); err != nil {
				t.Errorf("%s %q: %v", name, s, err)
			}
		}
		for _, s := range c.bad {
			if c.check(s) == nil {
				t.Errorf("%s %q was accepted", name, s)
			}
		}
	}
}

// SHA-256 of 32 zero bytes is 66687aadf862bd776c8fc18b8e9f8e20089714856ee233b3902a591d0d5f2925; its first 20 bytes in
// base32, by hand with coreutils: base32 < 20 bytes, lower case.
func TestApplianceID(t *testing.T) {
	got := ApplianceID(ed25519.PublicKey(make([]byte, 32)))
	if want := "ap1mzuhvlpymk6xo3epygfy5h4oeaejofef"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if err := Appliance(got); err != nil {
		t.Error(err)
	}
}

func TestNew(t *testing.T) {
	at := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	a, err := New(at, bytes.NewReader(make([]byte, 16)))
	if err != nil || !regexp.MustCompile(`^[0-9a-z]{26}$`).MatchString(a) {
		t.Fatalf("%q %v", a, err)
	}
	b, err := New(at.Add(time.Millisecond), bytes.NewReader(make([]byte, 16)))
	if err != nil || a >= b {
		t.Errorf("%q then %q: %v", a, b, err)
	}
	if _, err := New(at, bytes.NewReader(nil)); err == nil {
		t.Error("an id without randomness")
	}
}

func TestFeedRef(t *testing.T) {
	a, b := FeedRef{"acme", "x", "y-z"}, FeedRef{"acme", "x-y", "z"}
	if a.Key() == b.Key() || a.Dir() == b.Dir() || !regexp.MustCompile(`^[0-9a-f]{16}$`).MatchString(a.Dir()) {
		t.Errorf("%q %q %s %s", a.Key(), b.Key(), a.Dir(), b.Dir())
	}
}
