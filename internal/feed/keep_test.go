package feed

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"sallyport/internal/code"
	"sallyport/internal/ident"
	"sallyport/internal/state"
	"sallyport/internal/statetest"
)

// TestKeep: a generation with a user is not pruned, and goes with the next one when the last user lets go.
func TestKeep(t *testing.T) {
	db := statetest.Open(t)
	ref := ident.FeedRef{Tenant: "acme", Origin: us, Name: "f"}
	next := int64(0)
	load := func(n int) (dropped []string) {
		for range n {
			next++
			out, err := apply(t, db, local("f", Point{1, next}, fmt.Sprint(next)))
			if err != nil {
				t.Fatal(err)
			}
			for _, l := range out.Dropped {
				dropped = append(dropped, l.File)
			}
		}
		return dropped
	}
	edit := func(want code.Code, fn func(tx *state.Tx) error) {
		t.Helper()
		if err := db.Update(t.Context(), fn); code.Of(err) != want {
			t.Fatalf("%v, want code %q", err, want)
		}
	}
	keep := func(n int64, user string, on bool) func(tx *state.Tx) error {
		return func(tx *state.Tx) error { return Keep(tx, ref, Point{1, n}, user, on) }
	}
	load(2)
	edit("", keep(1, "peer:b", true))
	edit("", keep(1, "peer:a", true))
	edit("", keep(1, "peer:a", true))
	edit("", keep(2, "run:x", true))
	edit(code.Missing, keep(9, "peer:a", true))
	edit("", keep(9, "peer:a", false))
	if got := load(6); !slices.Equal(got, []string{"f/3"}) {
		t.Errorf("dropped %q", got)
	}
	view(t, db, func(tx *state.Tx) error {
		if g, _, err := At(tx, ref, Point{1, 1}); err != nil || !slices.Equal(g.Users, []string{"peer:a", "peer:b"}) {
			t.Errorf("users %q, %v", g.Users, err)
		}
		return nil
	})
	edit("", keep(1, "peer:a", false))
	edit("", keep(1, "peer:nobody", false))
	if got := load(1); !slices.Equal(got, []string{"f/4"}) {
		t.Errorf("dropped %q", got)
	}
	edit("", func(tx *state.Tx) error {
		return Drop(tx, func(user string) bool { return strings.HasPrefix(user, "run:") })
	})
	edit("", keep(1, "peer:b", false))
	if got := load(1); !slices.Equal(got, []string{"f/5", "f/2", "f/1"}) {
		t.Errorf("dropped %q", got)
	}
}
