// Package ident makes and checks names: appliance ids, event and run ids, and the names people give.
//
// Data: none. Names are what 20-bundle-format fixes: an appliance, peer or tenant is `[a-z0-9][a-z0-9-]{0,15}`, a feed
// `[a-z0-9][a-z0-9._-]{0,39}`, a file on a medium `[a-z0-9._-]` of at most 64 characters.
//
// Order: pure functions; nothing is written.
package ident

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"
)

var (
	nameRE   = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,15}$`)
	feedRE   = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,39}$`)
	mediumRE = regexp.MustCompile(`^[a-z0-9._-]{1,64}$`)
	applRE   = regexp.MustCompile(`^ap1[a-z2-7]{32}$`)
	kindRE   = regexp.MustCompile(`^[a-z]{1,16}$`)
)

// Name checks the name of an appliance, peer or tenant.
func Name(s string) error {
	return match(nameRE, "name", s, "a-z 0-9 - , at most 16, not beginning with -")
}

// Feed checks the short name of a feed.
func Feed(s string) error {
	return match(feedRE, "feed name", s, "a-z 0-9 . _ - , at most 40, beginning with a letter or digit")
}

// File checks a name we write on a medium.
func File(s string) error {
	if s == "." || s == ".." {
		return fmt.Errorf("file name %q is not a name", s)
	}
	return match(mediumRE, "file name", s, "a-z 0-9 . _ - , at most 64")
}

// Kind checks the kind of a record.
func Kind(s string) error { return match(kindRE, "kind", s, "1 to 16 of a-z") }

// Appliance checks an appliance id.
func Appliance(s string) error { return match(applRE, "appliance id", s, "ap1 and 32 of a-z 2-7") }

func match(re *regexp.Regexp, what, s, want string) error {
	if re.MatchString(s) {
		return nil
	}
	return fmt.Errorf("%s %.80q: want %s", what, s, want)
}

// ApplianceID is `ap1` + lower-case unpadded RFC 4648 base32 of the first 20 bytes of SHA-256 of the 32 public bytes
// of the appliance's first key (20-bundle-format, "Card"). It survives rotation.
func ApplianceID(pub ed25519.PublicKey) string {
	sum := sha256.Sum256(pub)
	return "ap1" + strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:20]))
}

// New makes a ULID from the given time and randomness, lower case so that it can be part of a file name.
func New(at time.Time, random io.Reader) (string, error) {
	id, err := ulid.New(ulid.Timestamp(at), random)
	if err != nil {
		return "", fmt.Errorf("new id: %w", err)
	}
	return strings.ToLower(id.String()), nil
}

// FeedRef names one feed everywhere: tenant (ours), origin appliance id, short name.
type FeedRef struct {
	Tenant string `json:"tenant"`
	Origin string `json:"origin"`
	Name   string `json:"name"`
}

// Key is the FeedRef as a store key: parts joined by NUL, which no part can contain.
func (f FeedRef) Key() string { return f.Tenant + "\x00" + f.Origin + "\x00" + f.Name }

// Dir is the feed's folder name on our disk: 16 hex of SHA-256 of Key, so no foreign name becomes a path.
func (f FeedRef) Dir() string {
	sum := sha256.Sum256([]byte(f.Key()))
	return fmt.Sprintf("%x", sum[:8])
}
