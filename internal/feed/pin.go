package feed

import (
	"fmt"

	"sallyport/internal/code"
	"sallyport/internal/ident"
	"sallyport/internal/state"
)

// Unpin clears the pin of a foreign feed and points it at the newest generation that is held, in one flip; Change.Before
// and Change.After are equal when that was active already. A local feed has code conflict: it is never pinned.
func Unpin(tx *state.Tx, ref ident.FeedRef) (Change, error) {
	f, err := Steerable(tx, ref)
	if err != nil {
		return Change{}, err
	}
	c := Change{Ref: ref, Decision: Activated, Before: f.Active, After: f.Active, New: f.Active}
	all, err := Generations(tx, ref)
	if err != nil {
		return Change{}, err
	}
	if len(all) > 0 {
		c.After, c.New, c.Root = all[0].Point, all[0].Point, all[0].Root
	}
	f.Active, f.Pinned, f.PinReason = c.After, false, ""
	return c, feeds.Put(tx, ref.Key(), f)
}

// Steerable reads a feed whose pointer may be moved here. A local feed has code conflict: its generations are minted
// here, and going back means loading the older file.
func Steerable(tx *state.Tx, ref ident.FeedRef) (Feed, error) {
	f, err := must(tx, ref)
	if err == nil && f.Local {
		err = code.New(code.Conflict, "feed %q is made here: it is neither pinned nor rolled back", ref.Name).
			Do("Load the older file: that makes a new generation with the older contents.")
	}
	return f, err
}

// HeldAt finds the held generation that a person means: number n of the epoch, or of whichever epoch holds it when epoch
// is 0. Codes not-found, ambiguous.
func HeldAt(tx *state.Tx, ref ident.FeedRef, epoch, n int64) (Generation, error) {
	all, err := Generations(tx, ref)
	if err != nil {
		return Generation{}, err
	}
	var found, held []Generation
	for _, g := range all {
		held = append(held, g)
		if g.Generation == n && (epoch == 0 || g.Epoch == epoch) {
			found = append(found, g)
		}
	}
	switch {
	case len(found) == 0:
		return Generation{}, code.New(code.Missing, "generation %s of feed %q is not held here", pointText(epoch, n), ref.Name).
			Do("Held here: " + pointList(held) + ".")
	case len(found) > 1:
		return Generation{}, code.New(code.Ambiguous, "generation %d of feed %q is one of %s", n, ref.Name, pointList(found)).
			Do("Name it with its epoch, like " + found[0].String() + ".")
	}
	return found[0], nil
}

// String writes a point as people type it: epoch.generation.
func (p Point) String() string { return fmt.Sprintf("%d.%d", p.Epoch, p.Generation) }

func pointText(epoch, n int64) string {
	if epoch == 0 {
		return fmt.Sprint(n)
	}
	return Point{epoch, n}.String()
}

func pointList(all []Generation) (text string) {
	for i, g := range all {
		if i > 0 {
			text += ", "
		}
		text += g.String()
	}
	if text == "" {
		return "none"
	}
	return text
}
