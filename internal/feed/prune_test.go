package feed

import (
	"fmt"
	"testing"

	"sallyport/internal/code"
	"sallyport/internal/state"
	"sallyport/internal/statetest"
)

// Only what nothing holds may go; a layer goes with the last generation that names it; what is needed by now stops all.
func TestSpares(t *testing.T) {
	db := statetest.Open(t)
	ref := foreign("f", 0).Ref
	for g := int64(1); g <= 5; g++ {
		p := foreign("f", g)
		if g == 3 {
			p.Generation.Layers = append(p.Generation.Layers, Layer{File: "f/5"}) // shared with the newest
		}
		if _, err := apply(t, db, p); err != nil {
			t.Fatal(err)
		}
	}
	update := func(fn func(tx *state.Tx) error) {
		t.Helper()
		if err := db.Update(t.Context(), fn); err != nil {
			t.Fatal(err)
		}
	}
	update(func(tx *state.Tx) error {
		if err := Hold(tx, ref, Point{1, 2}, true); err != nil {
			return err
		}
		return Keep(tx, ref, Point{1, 4}, "peer:site-07", true)
	})
	var spares []Spare
	for keep, want := range map[int]string{0: "[3 1]", 1: "[3 1]", 2: "[3 1]", 3: "[1]", 5: "[]"} {
		view(t, db, func(tx *state.Tx) (err error) {
			list, err := Spares(tx, keep)
			got := []int64{}
			for _, s := range list {
				got = append(got, s.Point.Generation)
			}
			if fmt.Sprint(got) != want {
				t.Errorf("keep %d: %v, want %s", keep, got, want)
			}
			if keep == 1 {
				spares = list
			}
			return err
		})
	}
	update(func(tx *state.Tx) error { return Hold(tx, ref, Point{1, 1}, true) })
	err := db.Update(t.Context(), func(tx *state.Tx) error { _, err := Discard(tx, spares); return err })
	if code.Of(err) != code.Conflict {
		t.Errorf("dropped what is held by now: %v", err)
	}
	update(func(tx *state.Tx) error { return Hold(tx, ref, Point{1, 1}, false) })
	var dropped []Layer
	for range 2 { // again: nothing more
		update(func(tx *state.Tx) (err error) { dropped, err = Discard(tx, spares); return err })
	}
	if len(dropped) != 2 || dropped[0].File != "f/3" || dropped[1].File != "f/1" {
		t.Errorf("dropped %+v", dropped)
	}
	view(t, db, func(tx *state.Tx) error {
		all, err := Generations(tx, ref)
		if len(all) != 3 {
			t.Errorf("%d generations are left", len(all))
		}
		return err
	})
}
