package marks

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"sallyport/internal/clock"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/durable"
)

var build = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

const day = 24 * time.Hour

func root(s string) digest.Digest { return digest.Of([]byte(s)) }

func create(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "marks")
	if err := Create(path, durable.FS{}, "inst", build); err != nil {
		t.Fatal(err)
	}
	return path
}

func open(t *testing.T, path string, fs durable.FS, c clock.Clock) *Marks {
	t.Helper()
	m, err := Open(path, fs, c)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func feedTo(gen int64, r string) func(*Set) error {
	return func(s *Set) error {
		s.Feeds["f"] = Mark{1, gen, root(r)}
		return nil
	}
}

func TestOnlyUp(t *testing.T) {
	path := create(t)
	c := clock.NewFixed(build)
	m := open(t, path, durable.FS{}, c)
	if err := m.Raise(feedTo(5, "five")); err != nil {
		t.Fatal(err)
	}
	if err := m.Raise(feedTo(4, "four")); err != nil {
		t.Fatal(err)
	}
	if err := m.Raise(feedTo(5, "other")); code.Of(err) != code.Fork {
		t.Errorf("another root at the mark: %v", err)
	}
	err := m.Raise(func(s *Set) error {
		delete(s.Feeds, "f")
		s.Roots["r"], s.Anchors["a"], s.Counters["c"] = 3, 4, 5
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	m.Raise(func(s *Set) error {
		s.Roots["r"], s.Anchors["a"], s.Counters["c"], s.Trusted = 2, 2, 2, build.Add(-day)
		return nil
	})
	boom := errors.New("boom")
	if err := m.Raise(func(s *Set) error { s.Roots["r"] = 99; return boom }); !errors.Is(err, boom) {
		t.Error(err)
	}
	for _, m := range []*Marks{m, open(t, path, durable.FS{}, c)} {
		s := m.Get()
		f, ok := m.Feed("f")
		if !ok || f != (Mark{1, 5, root("five")}) || s.Roots["r"] != 3 || s.Anchors["a"] != 4 || s.Counters["c"] != 5 || !s.Trusted.Equal(build) || s.Instance != "inst" {
			t.Errorf("%+v", s)
		}
	}
	if err := m.Raise(func(s *Set) error { s.Feeds["f"] = Mark{2, 1, root("new life")}; return nil }); err != nil {
		t.Fatal(err)
	}
	if f, _ := m.Feed("f"); f.Epoch != 2 || f.Generation != 1 {
		t.Errorf("a higher epoch with a lower generation is higher: %+v", f)
	}
	if err := Create(path, durable.FS{}, "inst", build); code.Of(err) != code.Conflict {
		t.Errorf("create over it: %v", err)
	}
}

func TestDamagedIsRefused(t *testing.T) {
	path := create(t)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if st, _ := os.Stat(path); st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", st.Mode())
	}
	for at := range whole {
		b := append([]byte(nil), whole...)
		b[at] ^= 1
		os.WriteFile(path, b, 0o600)
		if _, err := Open(path, durable.FS{}, clock.NewFixed(build)); code.Of(err) != code.StateCorrupt {
			t.Errorf("byte %d flipped: %v", at, err)
		}
		os.WriteFile(path, whole[:at], 0o600)
		if _, err := Open(path, durable.FS{}, clock.NewFixed(build)); code.Of(err) != code.StateCorrupt {
			t.Errorf("cut at %d: %v", at, err)
		}
	}
	os.Remove(path)
	if _, err := Open(path, durable.FS{}, clock.NewFixed(build)); code.Of(err) != code.Missing {
		t.Errorf("missing: %v", err)
	}
}

// TestFaults: each durable step of a series of raises is lost and kept. What was acknowledged is there after reopening,
// nothing is lower than before, and memory is never below the file.
func TestFaults(t *testing.T) {
	const raises = 3
	series := func(fs durable.FS, path string) (acked int64, m *Marks) {
		m, err := Open(path, fs, clock.NewFixed(build))
		if err != nil {
			return 0, nil
		}
		for i := int64(1); i <= raises; i++ {
			if m.Raise(feedTo(i, fmt.Sprint(i))) == nil {
				acked = i
			}
			m.Issue("own-receipt", "hub")
		}
		return acked, m
	}
	steps := 0
	series(durable.WithHook(func(durable.Op) durable.Verdict { steps++; return durable.Do }), create(t))
	for _, v := range []durable.Verdict{durable.Lose, durable.Keep} {
		for at := 1; at <= steps; at++ {
			n := 0
			path := create(t)
			acked, m := series(durable.WithHook(func(durable.Op) durable.Verdict {
				if n++; n == at {
					return v
				}
				return durable.Do
			}), path)
			again := open(t, path, durable.FS{}, clock.NewFixed(build))
			f, _ := again.Feed("f")
			mem, _ := m.Feed("f")
			if f.Generation < acked || mem.Less(f) {
				t.Errorf("%v at %d: acknowledged %d, file %d, memory %d", v, at, acked, f.Generation, mem.Generation)
			}
			if file, mem := again.Get().Counters, m.Get().Counters; file["own-receipt/hub"] > mem["own-receipt/hub"] {
				t.Errorf("%v at %d: a counter in the file is above memory", v, at)
			}
			if err := again.Raise(feedTo(raises, fmt.Sprint(raises))); err != nil {
				t.Errorf("%v at %d: raising after reopening: %v", v, at, err)
			}
		}
	}
}

func TestLostRaiseIsWrittenLater(t *testing.T) {
	path := create(t)
	lose := true
	c := clock.NewFixed(build)
	m := open(t, path, durable.WithHook(func(op durable.Op) durable.Verdict {
		if lose {
			return durable.Lose
		}
		return durable.Do
	}), c)
	if err := m.Raise(feedTo(1, "one")); err == nil {
		t.Fatal("no error")
	}
	lose = false
	if err := m.Raise(func(*Set) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if f, _ := open(t, path, durable.FS{}, c).Feed("f"); f.Generation != 1 {
		t.Errorf("%+v", f)
	}
}

func TestIssue(t *testing.T) {
	path := create(t)
	fail := false
	c := clock.NewFixed(build)
	m := open(t, path, durable.WithHook(func(op durable.Op) durable.Verdict {
		if fail {
			return durable.Keep
		}
		return durable.Do
	}), c)
	for want := int64(1); want <= 2; want++ {
		if n, err := m.Issue("own-card", ""); n != want || err != nil {
			t.Errorf("issued %d, %v", n, err)
		}
	}
	fail = true
	if n, err := m.Issue("own-card", ""); err == nil {
		t.Errorf("issued %d without a disk", n)
	}
	fail = false
	if n, err := m.Issue("own-card", ""); n != 4 || err != nil {
		t.Errorf("after a failure %d, %v: a number may never be given out twice", n, err)
	}
}

func TestTime(t *testing.T) {
	path := create(t)
	c := clock.NewFixed(build.Add(30 * day))
	m := open(t, path, durable.FS{}, c)
	r := m.Now()
	if !r.Trusted.Equal(build) || r.Source != "build" || !r.AtLeast || r.Suspect || !r.Unproven {
		t.Errorf("at first: %+v", r)
	}
	c.Advance(time.Hour)
	if got := m.Now().Trusted; !got.Equal(build.Add(time.Hour)) {
		t.Errorf("an hour later: %v", got)
	}
	for _, wall := range []time.Time{time.Unix(0, 0), time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC)} {
		c.Set(wall)
		if r := m.Now(); !r.Trusted.Equal(build.Add(time.Hour)) || !r.Suspect {
			t.Errorf("wall clock %v moved trusted time: %+v", wall, r)
		}
	}
	anchor := build.Add(20 * day)
	if err := m.ApplyAnchor("k", 7, anchor, false); err != nil {
		t.Fatal(err)
	}
	c.Set(anchor)
	c.Advance(time.Minute)
	if r := m.Now(); !r.Trusted.Equal(anchor.Add(time.Minute)) || r.Source != "anchor" || r.AtLeast || r.Suspect || r.Unproven || !r.Anchor.Equal(anchor) {
		t.Errorf("after an anchor: %+v", r)
	}
	c.Set(m.Now().Trusted.Add(-6 * time.Minute))
	if !m.Now().Suspect {
		t.Error("6 minutes behind is suspect")
	}
	if err := m.Tick(); err != nil {
		t.Fatal(err)
	}
	again := open(t, path, durable.FS{}, clock.NewFixed(time.Unix(0, 0)))
	if r := again.Now(); r.Trusted.Before(anchor.Add(time.Minute)) || !r.AtLeast || !r.Anchor.Equal(anchor) {
		t.Errorf("after a restart: %+v", r)
	}
}

func TestAnchors(t *testing.T) {
	path := create(t)
	m := open(t, path, durable.FS{}, clock.NewFixed(build))
	if err := m.ApplyAnchor("k", 5, build.Add(300*day), false); err != nil {
		t.Fatal(err)
	}
	if err := m.ApplyAnchor("k", 4, build.Add(301*day), false); code.Of(err) != code.CounterOld {
		t.Errorf("an older counter: %v", err)
	}
	if err := m.ApplyAnchor("k", 5, build.Add(300*day), false); err != nil {
		t.Errorf("the same anchor again: %v", err)
	}
	if err := m.ApplyAnchor("k", 6, build.Add(200*day), false); err != nil || !m.Now().Trusted.Equal(build.Add(300*day)) {
		t.Errorf("an anchor of the past: %v, now %v", err, m.Now().Trusted)
	}
	if err := m.ApplyAnchor("k", 7, build.Add(401*day), false); code.Of(err) != code.TrustTwoPersons {
		t.Errorf("401 days in sum: %v", err)
	}
	if s := m.Get(); s.Anchors["k"] != 6 || !s.Trusted.Equal(build.Add(300*day)) {
		t.Errorf("a refused anchor left %+v", s)
	}
	if err := m.ApplyAnchor("k", 7, build.Add(401*day), true); err != nil {
		t.Errorf("confirmed: %v", err)
	}
	if err := m.ApplyAnchor("k", 8, build.Add(801*day), false); err != nil {
		t.Errorf("400 days since the confirmed one: %v", err)
	}
	if err := m.SetTime(build); code.Of(err) != code.BadUsage {
		t.Errorf("operator sets time back: %v", err)
	}
	if err := m.SetTime(build.Add(900 * day)); err != nil || m.Now().Source != "operator" {
		t.Errorf("operator: %v", err)
	}
	if err := m.NewTimeEpoch(1, build.Add(10*day)); err != nil || !m.Now().Trusted.Equal(build.Add(10*day)) {
		t.Errorf("time epoch: %v, now %v", err, m.Now().Trusted)
	}
	if err := m.NewTimeEpoch(1, build); err != nil || !m.Now().Trusted.Equal(build.Add(10*day)) {
		t.Errorf("the same time epoch again: %v, now %v", err, m.Now().Trusted)
	}
	again := open(t, path, durable.FS{}, clock.NewFixed(build))
	if r := again.Now(); !r.Trusted.Equal(build.Add(10 * day)) {
		t.Errorf("after a restart: %+v", r)
	}
}
