package feed

import (
	"slices"

	"sallyport/internal/code"
	"sallyport/internal/ident"
	"sallyport/internal/state"
)

// Keep notes (on) or clears that somebody needs a generation kept: while it has a user it is not pruned, whatever came
// after it. A user is "run:<id>", which reads it, or "peer:<name>", which holds it or was sent it. Noting one twice and
// clearing one that is not noted, or of a generation that is gone, change nothing; noting one that is gone has code
// not-found. What is cleared goes when the feed is next activated.
func Keep(tx *state.Tx, ref ident.FeedRef, p Point, user string, on bool) error {
	g, ok, err := At(tx, ref, p)
	switch {
	case err != nil:
		return err
	case !ok && on:
		return code.New(code.Missing, "generation %d of feed %q is not held here", p.Generation, ref.Name)
	case !ok || slices.Contains(g.Users, user) == on:
		return nil
	}
	if on {
		g.Users = append(slices.Clone(g.Users), user)
		slices.Sort(g.Users)
	} else {
		g.Users = slices.DeleteFunc(slices.Clone(g.Users), func(u string) bool { return u == user })
	}
	return generations.Put(tx, genKey(ref, p), g)
}

// Drop clears every user that gone names from every generation.
func Drop(tx *state.Tx, gone func(user string) bool) error {
	type use struct {
		g   Generation
		key string
	}
	var list []use
	err := generations.Scan(tx, "", func(key string, g Generation) error {
		if slices.ContainsFunc(g.Users, gone) {
			g.Users = slices.DeleteFunc(g.Users, gone)
			list = append(list, use{g, key})
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, u := range list {
		if err := generations.Put(tx, u.key, u.g); err != nil {
			return err
		}
	}
	return nil
}
