package marks

import (
	"path/filepath"
	"testing"
	"time"

	"sallyport/internal/clock"
	"sallyport/internal/code"
	"sallyport/internal/durable"
)

// An appliance that states the time finds its own clock out afterwards: far ahead is suspect, and is not stated again.
func TestStated(t *testing.T) {
	build := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
	path := filepath.Join(t.TempDir(), "marks")
	if err := Create(path, durable.FS{}, "i", build); err != nil {
		t.Fatal(err)
	}
	c := clock.NewFixed(build.Add(30 * 24 * time.Hour))
	m, err := Open(path, durable.FS{}, c)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Stated(c.Now()); err != nil {
		t.Fatal(err)
	}
	if r := m.Now(); !r.Trusted.Equal(c.Now()) || r.Source != "anchor" || r.Anchor.IsZero() || r.Suspect || m.Get().Jumped != 0 {
		t.Fatalf("%+v", r)
	}
	before := m.Get().Trusted
	if err := m.Stated(build); err != nil || m.Get().Trusted.Before(before) {
		t.Fatalf("it went back: %v %s", err, m.Get().Trusted)
	}
	far := time.Date(2099, 6, 1, 0, 0, 0, 0, time.UTC)
	c.Set(far)
	if !m.Now().Suspect {
		t.Fatal("2099 is not suspect")
	}
	if err := m.Stated(far); code.Of(err) != code.TrustTwoPersons || m.Get().Trusted.Equal(far) {
		t.Fatalf("%v %s", err, m.Get().Trusted)
	}
}

// What is signed carries the clock's time as long as that can be.
func TestStamp(t *testing.T) {
	build := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
	day := 24 * time.Hour
	for _, c := range []struct {
		name     string
		wall     time.Time
		source   string
		believed bool
	}{
		{"a day later", build.Add(day), "build", true},
		{"1970", time.Unix(0, 0).UTC(), "build", false},
		{"an old program", build.Add(800 * day), "build", true},
		{"2099 and nobody ever told", time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC), "build", false},
		{"far ahead of an anchor", build.Add(800 * day), "anchor", false},
		{"a year after an anchor", build.Add(365 * day), "anchor", true},
	} {
		r := Reading{Wall: c.wall, Trusted: build, Source: c.source}
		r.judge()
		want := build
		if c.believed {
			want = c.wall
		}
		if got := r.Stamp(); !got.Equal(want) {
			t.Errorf("%s: %s, want %s", c.name, got, want)
		}
	}
}
