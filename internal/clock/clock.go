// Package clock is the only source of time and randomness: both are arguments, so tests fix them.
//
// Data: none. The system clock is a hint, never a proof; what may be trusted about time is worked out in marks.
//
// Order: a reading is taken once per operation and passed down; nothing is written, a crash leaves nothing.
package clock

import (
	"crypto/rand"
	"io"
	"sync"
	"time"
)

// Clock tells wall time (UTC, a claim of this machine) and time since some fixed point that no one can set.
type Clock interface {
	Now() time.Time      // wall clock, UTC
	Mono() time.Duration // monotonic, never goes back
}

// System is the machine's clock.
func System() Clock { return system{time.Now()} }

type system struct{ start time.Time }

func (system) Now() time.Time        { return time.Now().UTC() }
func (s system) Mono() time.Duration { return time.Since(s.start) }

// Fixed is a clock that stands still until told otherwise. Safe for concurrent use.
type Fixed struct {
	mu   sync.Mutex
	now  time.Time
	mono time.Duration
}

// NewFixed stands at t.
func NewFixed(t time.Time) *Fixed { return &Fixed{now: t.UTC()} }

func (f *Fixed) Now() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now
}

func (f *Fixed) Mono() time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.mono
}

// Advance moves wall and monotonic time.
func (f *Fixed) Advance(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now, f.mono = f.now.Add(d), f.mono+d
}

// Set moves the wall clock alone, as an operator or a dead battery does.
func (f *Fixed) Set(t time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now = t.UTC()
}

// Shifted runs at the speed of the system clock but reads as if it had been started at t.
func Shifted(t time.Time) Clock { return shifted{t.UTC(), time.Now()} }

type shifted struct{ at, start time.Time }

func (s shifted) Now() time.Time      { return s.at.Add(time.Since(s.start)) }
func (s shifted) Mono() time.Duration { return time.Since(s.start) }

// Random is the system's randomness.
func Random() io.Reader { return rand.Reader }

// Format writes a time as everything we sign does: RFC 3339, UTC, whole seconds, `Z`.
func Format(t time.Time) string { return t.UTC().Truncate(time.Second).Format(time.RFC3339) }
