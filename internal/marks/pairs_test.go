package marks

import (
	"path/filepath"
	"testing"
	"time"

	"sallyport/internal/clock"
	"sallyport/internal/digest"
	"sallyport/internal/durable"
)

// The last 64 pairs of a feed are kept over a restart, in whatever order they came; an older one neither comes in nor pushes a
// newer one out, and another bundle of the same generation is another pair.
func TestAccepted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "marks")
	now := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
	if err := Create(path, durable.FS{}, "i", now); err != nil {
		t.Fatal(err)
	}
	m, err := Open(path, durable.FS{}, clock.NewFixed(now))
	if err != nil {
		t.Fatal(err)
	}
	pair := func(g int64) Pair { return Pair{1, g, digest.Of([]byte{byte(g)})} }
	accept := func(p Pair) {
		if err := m.Raise(func(s *Set) error { s.Accept("f", p); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	for _, g := range []int64{70, 3, 50} {
		accept(pair(g))
	}
	for g := int64(1); g <= 80; g++ {
		accept(pair(g))
	}
	accept(pair(2)) // long gone
	before := m.Get()
	if m, err = Open(path, durable.FS{}, clock.NewFixed(now)); err != nil {
		t.Fatal(err)
	}
	for g := int64(1); g <= 80; g++ {
		if got, want := m.Accepted("f", pair(g)), g > 80-MaxPairs; got != want {
			t.Errorf("generation %d: %v", g, got)
		}
	}
	if m.Accepted("f", Pair{1, 80, digest.Of([]byte("other"))}) || m.Accepted("g", pair(80)) || m.Accepted("f", Pair{2, 80, pair(80).Bundle}) {
		t.Error("what was not accepted counts as accepted")
	}
	if len(before.Accepted["f"]) != MaxPairs {
		t.Errorf("%d pairs", len(before.Accepted["f"]))
	}
}
