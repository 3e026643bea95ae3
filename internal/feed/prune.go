package feed

import (
	"fmt"

	"sallyport/internal/code"
	"sallyport/internal/ident"
	"sallyport/internal/state"
)

// Spare is one generation that may go when there is no room.
type Spare struct {
	Ref ident.FeedRef
	Generation
}

// Spares lists the generations beyond the newest keep of each feed that nothing holds: not active, not held, and nobody
// else's need (Users). keep is at least 1.
func Spares(tx *state.Tx, keep int) (all []Spare, err error) {
	list, err := List(tx, "")
	if err != nil {
		return nil, err
	}
	for _, f := range list {
		gens, err := Generations(tx, f.Ref)
		if err != nil {
			return nil, err
		}
		for i, g := range gens {
			if i >= max(keep, 1) && f.spares(g) {
				all = append(all, Spare{f.Ref, g})
			}
		}
	}
	return all, nil
}

// spares tells whether nothing holds a generation of the feed.
func (f Feed) spares(g Generation) bool {
	return !g.Held && len(g.Users) == 0 && g.Point != f.Active
}

// Discard removes generations that Spares listed, and tells the layers that no kept generation names any more: delete their
// files after the commit. One that is needed by now has code conflict, and nothing is dropped; one that is gone already is
// no error.
func Discard(tx *state.Tx, gone []Spare) (dropped []Layer, err error) {
	for _, s := range gone {
		f, err := must(tx, s.Ref)
		if err != nil {
			return nil, err
		}
		g, ok, err := At(tx, s.Ref, s.Point)
		if err != nil {
			return nil, err
		}
		if ok && !f.spares(g) {
			return nil, code.New(code.Conflict, "generation %s of feed %q is needed by now", s.Point, s.Ref.Name)
		}
		if err := generations.Delete(tx, genKey(s.Ref, s.Point)); err != nil {
			return nil, fmt.Errorf("drop generation %s of feed %q: %w", s.Point, s.Ref.Name, err)
		}
	}
	kept, err := LayerFiles(tx)
	if err != nil {
		return nil, err
	}
	for _, s := range gone {
		for _, l := range s.Layers {
			if !kept[l.File] {
				kept[l.File] = true // hand back once
				dropped = append(dropped, l)
			}
		}
	}
	return dropped, nil
}
