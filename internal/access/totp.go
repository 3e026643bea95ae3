package access

import (
	"context"
	"crypto/hmac"
	"crypto/sha1" // RFC 6238: what authenticator apps do
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"
	"github.com/pquerna/otp/totp"
)

// Codes of an authenticator app: RFC 6238, SHA-1, six digits, a new one every 30 seconds.
const (
	period     = 30
	secretSize = 20
	first      = 10 // steps either way while nothing is known of the phone
	near       = 2  // steps either way around a drift that was learnt
	plain      = 1  // steps either way around our clocks, besides: one of them may have been set right
	day        = 24 * 60 * 60 / period
	fiveYears  = 5 * 365 * day // no program is older than that
)

// drift is how many steps the phone is ahead of our two clocks, since a code told.
type drift struct {
	Known   bool  `json:"known,omitempty"`
	Wall    int64 `json:"wall,omitempty"`
	Trusted int64 `json:"trusted,omitempty"`
}

// learn is the drift as a code of a step shows it.
func learn(now moment, step int64) drift {
	return drift{Known: true, Wall: step - steps(now.Wall), Trusted: step - steps(now.Trusted)}
}

func steps(t time.Time) int64 {
	s := t.Unix()
	if s < 0 {
		s -= period - 1
	}
	return s / period
}

// newSecret makes the secret of an app, base32.
func newSecret(random io.Reader) (string, error) {
	b := make([]byte, secretSize)
	if _, err := io.ReadFull(random, b); err != nil {
		return "", fmt.Errorf("secret of the app: %w", err)
	}
	return base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b), nil
}

// uri is what the QR code says.
func uri(secret, appliance, account string) (string, error) {
	raw, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(secret)
	if err != nil {
		return "", fmt.Errorf("secret of the app: %w", err)
	}
	if account == "" {
		account = "you"
	}
	key, err := totp.Generate(totp.GenerateOpts{
		Issuer: "Sallyport " + appliance, AccountName: account, Secret: raw, Period: period, Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1,
	})
	if err != nil {
		return "", fmt.Errorf("QR code: %w", err)
	}
	return key.URL(), nil
}

// typedCodes reads one code or two in a row, with or without spaces and hyphens inside. ok is false for anything else.
func typedCodes(s string) (codes []string, ok bool) {
	digits := strings.Map(func(r rune) rune {
		switch {
		case r >= '0' && r <= '9':
			return r
		case r == ' ' || r == '-':
			return -1
		}
		return 'x'
	}, strings.TrimSpace(s))
	if strings.ContainsRune(digits, 'x') {
		return nil, false
	}
	switch len(digits) {
	case 6:
		return []string{digits}, true
	case 12:
		return []string{digits[:6], digits[6:]}, true
	}
	return nil, false
}

// at is the code of one step; "" for a secret that is none.
func at(secret string, step int64) string {
	if step < 0 {
		return ""
	}
	c, err := hotp.GenerateCodeCustom(secret, uint64(step), hotp.ValidateOpts{Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
	if err != nil {
		return ""
	}
	return c
}

// match finds the step of what was typed, after the last one used. One code must be near what our clocks, or a learnt drift,
// say. Two in a row may be further away, because nobody guesses two: a day either way while no anchor told the time since the start,
// five years where the clock cannot be right (five million pairs of a million million: rarer than a lucky guess of one code).
// 0 is none.
func match(ctx context.Context, secret string, known drift, used int64, typed string, now moment) int64 {
	codes, ok := typedCodes(typed)
	if !ok {
		return 0
	}
	for _, step := range candidates(known, now) {
		if step > used && fits(secret, step, codes) {
			return step + int64(len(codes)) - 1
		}
	}
	if len(codes) == 1 || !now.doubtful() {
		return 0
	}
	from, to := steps(now.Trusted)-day, max(steps(now.Wall), steps(now.Trusted))+day
	if now.Suspect || now.Unproven {
		to = steps(now.Trusted) + fiveYears
	}
	return search(ctx, secret, max(used+1, from), to, codes)
}

func fits(secret string, step int64, codes []string) bool {
	for i, c := range codes {
		if at(secret, step+int64(i)) != c {
			return false
		}
	}
	return true
}

// candidates are the steps at which a phone may stand, likely ones first, each once.
func candidates(known drift, now moment) (list []int64) {
	wall, trusted := steps(now.Wall), steps(now.Trusted)
	around := func(middle, by int64) {
		for i := int64(0); i <= 2*by; i++ {
			step := middle + (i+1)/2*(1-2*(i%2)) // 0, -1, +1, -2, +2
			dup := step < 1
			for _, have := range list {
				dup = dup || have == step
			}
			if !dup {
				list = append(list, step)
			}
		}
	}
	if !known.Known {
		around(wall, first)
		around(trusted, first)
		return list
	}
	around(wall+known.Wall, near)
	around(trusted+known.Trusted, near)
	around(wall, plain)
	around(trusted, plain)
	return list
}

// search looks for two codes in a row from a step on. It takes about a second for the five years, so it ends with ctx. The found
// step is checked again by the library.
func search(ctx context.Context, secret string, from, to int64, codes []string) int64 {
	key, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(secret)
	if err != nil {
		return 0
	}
	mac := hmac.New(sha1.New, key)
	var counter [8]byte
	var sum [sha1.Size]byte
	var want [2]uint32
	for i, c := range codes {
		for _, digit := range c {
			want[i] = want[i]*10 + uint32(digit-'0')
		}
	}
	before := false // the first code stood at the step before
	for step := max(from, 1); step <= to; step++ {
		if step%65536 == 0 && ctx.Err() != nil {
			return 0
		}
		binary.BigEndian.PutUint64(counter[:], uint64(step))
		mac.Reset()
		mac.Write(counter[:])
		b := mac.Sum(sum[:0])
		at := b[len(b)-1] & 0xf
		got := (binary.BigEndian.Uint32(b[at:at+4]) & 0x7fffffff) % 1_000_000
		if before && got == want[1] && fits(secret, step-1, codes) {
			return step
		}
		before = got == want[0]
	}
	return 0
}
