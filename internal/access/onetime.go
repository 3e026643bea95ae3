package access

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"sallyport/internal/code"
)

// codeBytes of randomness are in each one-time code: nobody guesses them, so a plain hash of one is enough.
const codeBytes = 10

// maxEnrolling bounds the secrets that are shown and not confirmed.
const maxEnrolling = 256

// recoveryCodes is how many an account gets.
const recoveryCodes = 10

// OneTime is a code that works once.
type OneTime struct {
	Code  string
	Life  time.Duration // from now, by the monotonic clock
	Tries int           // wrong ones, all together, before it is void; 0: not counted
}

// held is an open one-time code, in memory alone.
type held struct {
	hash    string
	until   time.Duration // of Clock.Mono
	tries   int
	account string // of a link
	by      string // who asked for it
}

// The kinds of one-time codes.
const (
	kindSetup   = "setup"
	kindRecover = "recover"
	kindInvite  = "invitation"
	kindLink    = "link"
)

// newCode makes a code of four groups of four letters and digits.
func newCode(random io.Reader) (string, error) {
	var b [codeBytes]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return "", fmt.Errorf("one-time code: %w", err)
	}
	text := strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b[:]))
	return text[:4] + "-" + text[4:8] + "-" + text[8:12] + "-" + text[12:], nil
}

// hashCode is the hash under which a typed code is kept: without case, spaces and hyphens, and with the three digits that the
// alphabet has not read as the letters they look like.
func hashCode(typed string) string {
	plain := strings.NewReplacer("-", "", " ", "", "\t", "", "0", "o", "1", "l", "8", "b").Replace(strings.ToLower(strings.TrimSpace(typed)))
	sum := sha256.Sum256([]byte("sallyport/v1/one-time\x00" + plain))
	return hex.EncodeToString(sum[:])
}

// hashToken is the key under which the bearer of a long random token is kept.
func hashToken(token string) string {
	sum := sha256.Sum256([]byte("sallyport/v1/token\x00" + token))
	return hex.EncodeToString(sum[:])
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// newToken makes a bearer of 32 random bytes, and the public id of what it stands for.
func newToken(random io.Reader, prefix, letter string) (token, id string, err error) {
	var b [32 + 6]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return "", "", fmt.Errorf("token: %w", err)
	}
	enc := base32.StdEncoding.WithPadding(base32.NoPadding)
	return prefix + strings.ToLower(enc.EncodeToString(b[:32])), letter + "-" + strings.ToLower(enc.EncodeToString(b[32:]))[:8], nil
}

// open keeps a code in the place of the one of its kind before. name tells links apart, "" otherwise.
func (d *Desk) open(kind, account string, life time.Duration, tries int, by string) (OneTime, error) {
	text, err := newCode(d.Random)
	if err != nil {
		return OneTime{}, err
	}
	h := &held{hash: hashCode(text), until: d.Clock.Mono() + life, tries: tries, account: account, by: by}
	key := kind
	if kind == kindLink {
		key += "\x00" + h.hash
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sweepCodes()
	if len(d.codes) > 64 {
		return OneTime{}, code.New(code.Conflict, "too many one-time codes are open")
	}
	d.codes[key] = h
	return OneTime{Code: text, Life: life, Tries: tries}, nil
}

// sweepCodes drops what is over. The caller holds mu.
func (d *Desk) sweepCodes() {
	mono := d.Clock.Mono()
	for k, h := range d.codes {
		if mono >= h.until {
			delete(d.codes, k)
			delete(d.enrolling, h.hash)
		}
	}
}

// held finds an open code by what was typed. A wrong one costs each open code one try when spend is set; the last makes it void.
func (d *Desk) heldBy(typed string, kinds []string, spend bool) (kind string, h held, ok bool) {
	hash := hashCode(typed)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sweepCodes()
	for k, have := range d.codes {
		k, _, _ = strings.Cut(k, "\x00")
		if slices.Contains(kinds, k) && same(have.hash, hash) {
			return k, *have, true
		}
	}
	for k, have := range d.codes {
		if spend && slices.Contains(kinds, k) {
			if have.tries--; have.tries <= 0 {
				delete(d.codes, k)
				delete(d.enrolling, have.hash)
			}
		}
	}
	return "", held{}, false
}

// drop forgets a code that was used.
func (d *Desk) drop(hash string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for k, h := range d.codes {
		if h.hash == hash {
			delete(d.codes, k)
		}
	}
	delete(d.enrolling, hash)
}

// secretFor is the secret that is shown as a QR code for as long as who asked may confirm it: the same one each time.
func (d *Desk) secretFor(who string) (string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if s := d.enrolling[who]; s != "" {
		return s, nil
	}
	if len(d.enrolling) > maxEnrolling {
		clear(d.enrolling) // pages that nobody finished: who still has one sees a new QR code
	}
	s, err := newSecret(d.Random)
	if err == nil {
		d.enrolling[who] = s
	}
	return s, err
}

// recovery makes ten recovery codes and their hashes.
func (d *Desk) recovery() (codes, hashes []string, err error) {
	for range recoveryCodes {
		c, err := newCode(d.Random)
		if err != nil {
			return nil, nil, err
		}
		codes, hashes = append(codes, c), append(hashes, hashCode(c))
	}
	return codes, hashes, nil
}
