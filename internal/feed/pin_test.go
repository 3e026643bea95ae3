package feed

import (
	"testing"
	"time"

	"sallyport/internal/code"
	"sallyport/internal/marks"
	"sallyport/internal/state"
	"sallyport/internal/statetest"
)

func flip(t *testing.T, db *state.DB, fn func(tx *state.Tx) (Change, error)) (c Change, err error) {
	t.Helper()
	err = db.Update(t.Context(), func(tx *state.Tx) (err error) { c, err = fn(tx); return err })
	return c, err
}

// Back to 1, three imports while pinned, and forward again to the newest of them in one flip; the mark never falls.
func TestUnpin(t *testing.T) {
	db := statetest.Open(t)
	ref := foreign("f", 0).Ref
	for g := int64(1); g <= 2; g++ {
		if _, err := apply(t, db, foreign("f", g)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := flip(t, db, func(tx *state.Tx) (Change, error) { return Rollback(tx, ref, Point{1, 1}, "bad") }); err != nil {
		t.Fatal(err)
	}
	for g := int64(3); g <= 5; g++ {
		if _, err := apply(t, db, foreign("f", g)); err != nil {
			t.Fatal(err)
		}
	}
	c, err := flip(t, db, func(tx *state.Tx) (Change, error) { return Unpin(tx, ref) })
	if err != nil || c.Before != (Point{1, 1}) || c.After != (Point{1, 5}) || c.Root != d("f5") {
		t.Fatalf("%+v %v", c, err)
	}
	view(t, db, func(tx *state.Tx) error {
		f, _, err := Get(tx, ref)
		if f.Active != (Point{1, 5}) || f.Pinned || f.PinReason != "" || f.Mark.Generation != 5 {
			t.Errorf("%+v", f)
		}
		return err
	})
	if c, err := flip(t, db, func(tx *state.Tx) (Change, error) { return Unpin(tx, ref) }); err != nil || c.Before != c.After {
		t.Errorf("again: %+v %v", c, err)
	}
	if _, err := apply(t, db, local("mine", Point{1, 1}, "a")); err != nil {
		t.Fatal(err)
	}
	if _, err := flip(t, db, func(tx *state.Tx) (Change, error) { return Unpin(tx, local("mine", Point{}, "").Ref) }); code.Of(err) != code.Conflict {
		t.Errorf("a local feed: %v", err)
	}
}

// A bare number is enough while one epoch holds it.
func TestHeldAt(t *testing.T) {
	db := statetest.Open(t)
	ref := foreign("f", 0).Ref
	for _, p := range []Point{{1, 3}, {1, 4}, {2, 3}} {
		pr := foreign("f", p.Generation)
		pr.Generation.Point, pr.Generation.Root = p, d(p.String())
		if _, err := apply(t, db, pr); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		epoch, n int64
		want     Point
		code     code.Code
	}{
		{0, 4, Point{1, 4}, ""},
		{1, 3, Point{1, 3}, ""},
		{2, 3, Point{2, 3}, ""},
		{0, 3, Point{}, code.Ambiguous},
		{0, 9, Point{}, code.Missing},
		{2, 4, Point{}, code.Missing},
	} {
		view(t, db, func(tx *state.Tx) error {
			g, err := HeldAt(tx, ref, c.epoch, c.n)
			if g.Point != c.want || c.code != "" && code.Of(err) != c.code {
				t.Errorf("%d.%d: %v %v", c.epoch, c.n, g.Point, err)
			}
			return nil
		})
	}
}

// Warned at twice the rhythm, in breach at three times, blocking a day later; the origin's later anchor makes what is
// newest young again, and never what was rolled back to.
func TestBudget(t *testing.T) {
	const day = 24 * time.Hour
	db := statetest.Open(t)
	made := foreign("f", 7)
	made.Generation.AnchorTime = stamp(now)
	if _, err := apply(t, db, made); err != nil {
		t.Fatal(err)
	}
	judged := func(age time.Duration) (b Budget) {
		view(t, db, func(tx *state.Tx) error {
			f, _, err := Get(tx, made.Ref)
			g, _, _ := Current(tx, made.Ref)
			b = f.Judged(g, marks.Reading{Trusted: now.Add(age), AtLeast: true}, 14*day)
			return err
		})
		return b
	}
	for _, c := range []struct {
		age    time.Duration
		want   Standing
		blocks bool
	}{
		{0, Fresh, false},
		{-day, Fresh, false},
		{28 * day, Fresh, false},
		{28*day + 1, Late, false},
		{42 * day, Late, false},
		{42*day + 1, Breach, false},
		{43 * day, Breach, false},
		{43*day + 1, Breach, true},
	} {
		b := judged(c.age)
		if b.Standing != c.want || b.Blocks != c.blocks || !b.AtLeast || (b.Older(made.Ref) != nil) != c.blocks {
			t.Errorf("%v: %+v", c.age, b)
		}
	}
	err := db.Update(t.Context(), func(tx *state.Tx) error { return Vouch(tx, "acme", hub, now.Add(40*day)) })
	if err != nil {
		t.Fatal(err)
	}
	if b := judged(43*day + 1); b.Standing != Fresh || b.Age != 3*day+1 {
		t.Errorf("after a later anchor: %+v", b)
	}
	if _, err := apply(t, db, foreign("f", 8)); err != nil {
		t.Fatal(err)
	}
	if _, err := flip(t, db, func(tx *state.Tx) (Change, error) { return Rollback(tx, made.Ref, Point{1, 7}, "x") }); err != nil {
		t.Fatal(err)
	}
	if b := judged(43*day + 1); b.Standing != Breach {
		t.Errorf("what was rolled back to is as old as it is: %+v", b)
	}
}
