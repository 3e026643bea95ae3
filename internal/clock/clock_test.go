package clock

import (
	"testing"
	"time"
)

func TestFixed(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.FixedZone("x", 3600))
	c := NewFixed(at)
	if !c.Now().Equal(at) || c.Now().Location() != time.UTC || c.Mono() != 0 {
		t.Errorf("%v %v", c.Now(), c.Mono())
	}
	c.Advance(time.Hour)
	c.Set(time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC))
	if c.Now().Year() != 1970 || c.Mono() != time.Hour {
		t.Errorf("setting the wall clock moved the monotonic one: %v %v", c.Now(), c.Mono())
	}
}

func TestShifted(t *testing.T) {
	c := Shifted(time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC))
	if c.Now().Year() != 2099 || c.Mono() < 0 {
		t.Errorf("%v %v", c.Now(), c.Mono())
	}
}

func TestFormat(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 999, time.FixedZone("x", 3600))
	if got := Format(at); got != "2026-03-01T11:00:00Z" {
		t.Error(got)
	}
}
