package marks

import (
	"fmt"
	"time"

	"sallyport/internal/clock"
	"sallyport/internal/code"
)

// The limits of 30-trust-and-time, "Time".
const (
	behind   = 5 * time.Minute
	ahead    = 24 * time.Hour
	farAhead = 400 * 24 * time.Hour
	oldest   = 5 * 365 * 24 * time.Hour // a program that runs is younger; our own trust root lives longer
)

// Reading is one reading of time. Take one per operation and pass it down.
type Reading struct {
	Wall     time.Time // what this machine's clock claims
	Trusted  time.Time // at least this late it is: max(high-water mark, last anchor + time since)
	Source   string    // where Trusted came from: build, anchor, operator
	Suspect  bool      // clock-suspect: Wall is 5 minutes behind or 400 days ahead of Trusted
	Unproven bool      // time-unproven: Wall is 24 hours ahead of Trusted
	AtLeast  bool      // no anchor since this start: ages are lower bounds
	Anchor   time.Time // of the newest anchor ever applied; zero: none
}

// Now reads the time. It writes nothing; the wall clock never moves Trusted.
func (m *Marks) Now() Reading {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := Reading{
		Wall: m.clock.Now(), Trusted: m.now(), Source: m.set.Source, AtLeast: !m.anchored, Anchor: m.set.AnchorTime,
	}
	r.judge()
	return r
}

// With is the reading r as it becomes with a verified anchor: what ApplyAnchor would make of it, without applying it. An
// anchor of the past, an older counter, or a jump that two people must confirm leaves r as it is.
func (m *Marks) With(r Reading, keyID string, counter int64, at time.Time) Reading {
	m.mu.Lock()
	defer m.mu.Unlock()
	jump := at.Sub(r.Trusted)
	if jump <= 0 || counter < m.set.Anchors[keyID] || m.set.Jumped+int64(jump/time.Second) > int64(farAhead/time.Second) {
		return r
	}
	r.Trusted, r.Source, r.AtLeast, r.Anchor = at, "anchor", false, at
	r.judge()
	return r
}

// judge compares the wall clock with the trusted time. The difference saturates for clocks centuries off.
func (r *Reading) judge() {
	diff := r.Wall.Sub(r.Trusted)
	r.Suspect = diff < -behind || diff > farAhead
	r.Unproven = diff > ahead
}

// Stamp is the time written on what we sign, in whole seconds: the clock, but never before what is proven to be past, and not
// when it cannot be right while something else told the time. Where nothing ever did, a clock far ahead is all there is (the
// program may be that old), up to the age that no program reaches.
func (r Reading) Stamp() time.Time {
	at := r.Wall
	if at.Before(r.Trusted) || r.Suspect && r.Source != "build" || at.Sub(r.Trusted) > oldest {
		at = r.Trusted
	}
	return at.UTC().Truncate(time.Second)
}

func (m *Marks) now() time.Time {
	now := m.base.Add(m.clock.Mono() - m.baseMono)
	if now.Before(m.set.Trusted) {
		return m.set.Trusted
	}
	return now
}

// Tick raises the high-water mark to the trusted time: at start, once a minute, and at each acceptance. What passed
// since the last one is forgotten by a crash.
func (m *Marks) Tick() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.raise(func(s *Set) error {
		s.Trusted = m.now()
		return nil
	})
}

// ApplyAnchor takes in an anchor whose signature, dates and key are verified. A lower counter than the key's last has
// code counter; the same one again is no error. A jump of more than 400 days in sum since the last anchor that a person
// confirmed needs confirmed, else code two-persons. An anchor of the past moves no time.
func (m *Marks) ApplyAnchor(keyID string, counter int64, at time.Time, confirmed bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if last := m.set.Anchors[keyID]; counter < last {
		return code.New(code.CounterOld, "time anchor").In("", keyID).Want(fmt.Sprintf("at least %d", last), counter)
	}
	jumped := m.set.Jumped
	jump := at.Sub(m.now())
	if jump > 0 {
		jumped += int64(jump / time.Second)
	}
	if confirmed {
		jumped = 0
	}
	if jump > 0 && jumped > int64(farAhead/time.Second) {
		return code.New(code.TrustTwoPersons, "the anchor moves time by more than 400 days").
			Want(clock.Format(m.now()), clock.Format(at))
	}
	err := m.raise(func(s *Set) error {
		s.Anchors[keyID], s.Jumped = counter, jumped
		if jump > 0 {
			s.Trusted, s.Source = at, "anchor"
		}
		if at.After(s.AnchorTime) {
			s.AnchorTime = at
		}
		return nil
	})
	m.anchored = true
	return err
}

// Stated takes over a time that we stated ourselves in an anchor, made from a clock that was not suspect: an appliance that
// tells others the time goes by it too, so that its own clock is found out when it leaves it. It never goes back, never
// moves more than 400 days at once (code two-persons), and counts for no sum: no one else's word was taken.
func (m *Marks) Stated(at time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	jump := at.Sub(m.now())
	if jump > farAhead {
		return code.New(code.TrustTwoPersons, "our own anchor moves time by more than 400 days").Want(clock.Format(m.now()), clock.Format(at))
	}
	err := m.raise(func(s *Set) error {
		if jump > 0 {
			s.Trusted, s.Source = at, "anchor"
		}
		if at.After(s.AnchorTime) {
			s.AnchorTime = at
		}
		return nil
	})
	m.anchored = true
	return err
}

// SetTime takes the word of two persons for the time. It proves nothing and never goes back (code usage).
func (m *Marks) SetTime(at time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if now := m.now(); at.Before(now) {
		return code.New(code.BadUsage, "trusted time cannot go back").Want("after "+clock.Format(now), clock.Format(at))
	}
	return m.raise(func(s *Set) error {
		s.Trusted, s.Source = at, "operator"
		return nil
	})
}

// NewTimeEpoch is the way back from a wrong anchor: a root document with a higher time epoch sets the time, back or
// forth. An epoch that is not higher changes nothing.
func (m *Marks) NewTimeEpoch(epoch int64, at time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if epoch <= m.set.TimeEpoch {
		return nil
	}
	m.anchored = false
	return m.raise(func(s *Set) error {
		s.TimeEpoch, s.Trusted, s.Source, s.AnchorTime, s.Jumped = epoch, at, "anchor", at, 0
		return nil
	})
}
