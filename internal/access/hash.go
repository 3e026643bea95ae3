package access

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"

	"sallyport/internal/code"
)

// Cost is what one argon2id hash takes.
type Cost struct {
	Memory  uint32 // KiB
	Time    uint32 // passes
	Threads uint8
}

// DefaultCost is the second choice of RFC 9106 with two threads: 64 MiB, three passes, for hosts with two cores.
func DefaultCost() Cost { return Cost{Memory: 64 << 10, Time: 3, Threads: 2} }

// The limits of what is taken from the state, so that a strange row costs no more than a strange sign-in.
const (
	maxMemory  = 256 << 10
	maxTime    = 16
	maxThreads = 8
	saltBytes  = 16
	sumBytes   = 32
)

// queue is how many hashes wait at most behind the one that runs; more are sent away.
const queue = 16

// minPassword counts characters; maxPassword bytes, so that a long one is no work.
const (
	minPassword = 12
	maxPassword = 256
)

// hasher makes and checks passwords, one at a time.
type hasher struct {
	cost   Cost
	random io.Reader
	line   chan struct{} // who waits or works
	turn   chan struct{} // who works
}

func newHasher(c Cost, random io.Reader) *hasher {
	return &hasher{cost: c, random: random, line: make(chan struct{}, queue+1), turn: make(chan struct{}, 1)}
}

// work runs do when it is its turn. Code sign-in-delayed when too many wait.
func (h *hasher) work(ctx context.Context, do func()) error {
	select {
	case h.line <- struct{}{}:
		defer func() { <-h.line }()
	default:
		return delayed(2*time.Second, "too many people sign in at this moment")
	}
	select {
	case h.turn <- struct{}{}:
		defer func() { <-h.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	do()
	return nil
}

// make hashes a password with a new salt, in PHC form.
func (h *hasher) make(ctx context.Context, password string) (string, error) {
	p := phc{Cost: h.cost, salt: make([]byte, saltBytes)}
	if _, err := io.ReadFull(h.random, p.salt); err != nil {
		return "", fmt.Errorf("salt: %w", err)
	}
	if err := h.work(ctx, func() { p.sum = p.of(password) }); err != nil {
		return "", err
	}
	return p.String(), nil
}

// check compares a password with a hash. An empty or strange hash takes as long as a good one, and fits nothing.
func (h *hasher) check(ctx context.Context, hash, password string) (ok bool, err error) {
	p, perr := parsePHC(hash)
	if perr != nil {
		p = phc{Cost: h.cost, salt: make([]byte, saltBytes), sum: make([]byte, sumBytes)}
	}
	if len(password) > maxPassword {
		password = password[:maxPassword] // no such password exists, and it takes as long
		perr = errPHC
	}
	err = h.work(ctx, func() { ok = subtle.ConstantTimeCompare(p.of(password), p.sum) == 1 })
	return ok && perr == nil, err
}

// stale tells whether a hash was made at another cost than today's.
func (h *hasher) stale(hash string) bool {
	p, err := parsePHC(hash)
	return err == nil && p.Cost != h.cost
}

// phc is `$argon2id$v=19$m=65536,t=3,p=2$salt$sum`, the base64 without padding.
type phc struct {
	Cost
	salt, sum []byte
}

var errPHC = fmt.Errorf("not an argon2id hash")

func (p phc) of(password string) []byte {
	return argon2.IDKey([]byte(password), p.salt, p.Time, p.Memory, p.Threads, sumBytes)
}

func (p phc) String() string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, p.Memory, p.Time, p.Threads, b64.EncodeToString(p.salt), b64.EncodeToString(p.sum))
}

func parsePHC(s string) (p phc, err error) {
	parts := strings.Split(s, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return p, errPHC
	}
	if n, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &p.Memory, &p.Time, &p.Threads); n != 3 || err != nil {
		return p, errPHC
	}
	if p.salt, err = base64.RawStdEncoding.Strict().DecodeString(parts[4]); err != nil {
		return p, errPHC
	}
	if p.sum, err = base64.RawStdEncoding.Strict().DecodeString(parts[5]); err != nil {
		return p, errPHC
	}
	least := p.Memory >= 8 && p.Time >= 1 && p.Threads >= 1 && len(p.salt) >= 8 && len(p.sum) == sumBytes
	if !least || p.Memory > maxMemory || p.Time > maxTime || p.Threads > maxThreads || p.String() != s {
		return p, errPHC
	}
	return p, nil
}

// NewPassword judges a password that somebody chose for an account. Code password; the error never repeats it.
func NewPassword(password, account string) error {
	n := utf8.RuneCountInString(password)
	switch {
	case n < minPassword:
		return code.New(code.PasswordBad, "this password is too short").Want(fmt.Sprintf("at least %d characters", minPassword), fmt.Sprintf("%d", n))
	case len(password) > maxPassword:
		return code.New(code.PasswordBad, "this password is too long").Want(fmt.Sprintf("at most %d bytes", maxPassword), fmt.Sprintf("%d", len(password)))
	case !utf8.ValidString(password):
		return code.New(code.PasswordBad, "this password is not text")
	case easy(strings.ToLower(password), strings.ToLower(account)):
		return code.New(code.PasswordBad, "this password is one that everybody tries first")
	}
	return nil
}

// easy finds passwords of a repeated piece, rows of the keyboard or the alphabet, and the account's own name with little around it.
func easy(p, account string) bool {
	for size := 1; size <= len(p)/2; size++ {
		if strings.Repeat(p[:size], len(p)/size+1)[:len(p)] == p {
			return true
		}
	}
	rest := p
	for _, known := range []string{account, "password", "passwort", "sallyport", "qwertyuiop", "qwertzuiop", "asdfghjkl", "abcdefghijklmnopqrstuvwxyz", "1234567890", "letmein", "welcome", "admin"} {
		if known != "" {
			rest = strings.ReplaceAll(rest, known, "")
		}
	}
	return len(rest) < 5 || strings.Contains("abcdefghijklmnopqrstuvwxyz", p) || strings.Contains("12345678901234567890", p)
}
