package peer

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"sallyport/internal/clock"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/state"
)

// Count checks and raises the counter of what (card, receipt, inventory) was taken in from a peer. A counter that is
// not higher than the last has code counter: what it came with is old or a copy.
func Count(tx *state.Tx, name, what string, counter int64) error {
	_, err := Edit(tx, name, func(p *Peer) error {
		if last := p.Counters[what]; counter <= last {
			return code.New(code.CounterOld, "%s of peer %q", what, name).Want(fmt.Sprintf("more than %d", last), counter)
		}
		p.Counters = maps.Clone(p.Counters)
		if p.Counters == nil {
			p.Counters = map[string]int64{}
		}
		p.Counters[what] = counter
		return nil
	})
	return err
}

// Know takes over what a receipt or inventory says about our feeds: each view replaces the one of its feed, except that
// a receipt or voice, which tells one state only, keeps the other states known to be held, a higher mark, and what is
// active when it says nothing of it, as for a held generation. wanted replaces the list
// (nil: keeps it, an empty one clears it). The caller has checked signature, counter and addressee.
func Know(tx *state.Tx, name string, at time.Time, views []FeedView, wanted []Wanted) (Peer, error) {
	return Edit(tx, name, func(p *Peer) error {
		p.Views = maps.Clone(p.Views)
		if p.Views == nil {
			p.Views = map[string]FeedView{}
		}
		if wanted != nil { // an inventory: what it does not name is not held, as after a restore from an early backup
			maps.DeleteFunc(p.Views, func(feed string, _ FeedView) bool {
				return !slices.ContainsFunc(views, func(v FeedView) bool { return v.Feed == feed })
			})
		}
		for _, v := range views {
			v.At = clock.Format(at)
			if old, ok := p.Views[v.Feed]; ok && v.From != FromInventory {
				v.Held = union(v.Held, old.Held)
				if v.Active == (Held{}) {
					v.Active, v.Pinned = old.Active, old.Pinned
				}
				if cmp.Or(cmp.Compare(old.Mark.Epoch, v.Mark.Epoch), cmp.Compare(old.Mark.Generation, v.Mark.Generation)) > 0 {
					v.Mark = old.Mark
				}
			}
			p.Views[v.Feed] = v
		}
		if wanted != nil {
			p.Wanted = wanted
		}
		p.LastContact, p.Unheard = clock.Format(at), false
		return nil
	})
}

// maxHeld bounds what is remembered of one feed between two inventories; a site keeps five generations and what it holds.
const maxHeld = 64

func union(newer, older []Held) []Held {
	all := slices.Clone(newer)
	for _, h := range older {
		if !slices.Contains(all, h) && len(all) < maxHeld {
			all = append(all, h)
		}
	}
	return all
}

// Knows tells whether the peer is known to hold a state root of one of our feeds, active or not.
func (p Peer) Knows(feed string, root digest.Digest) bool {
	v, ok := p.Views[feed]
	return ok && (v.Active.Root == root || slices.ContainsFunc(v.Held, func(h Held) bool { return h.Root == root }))
}

// Lags tells whether the peer was last heard of in an epoch before the given one: whatever it holds, it has to be given the
// states of this one, because this appliance was restored since.
func (p Peer) Lags(feed string, epoch int64) bool {
	v, ok := p.Views[feed]
	return ok && v.Mark.Generation > 0 && v.Mark.Epoch < epoch
}

// Holds lists the states of one of our feeds that the peer is known to hold, each once, newest first.
func (p Peer) Holds(feed string) []Held {
	v, ok := p.Views[feed]
	if !ok {
		return nil
	}
	told := append([]Held{v.Mark, v.Active}, v.Held...)
	if v.From == FromInventory { // a mark outlives the state it is of, as after a restore
		told = told[1:]
	}
	var all []Held
	for _, h := range told {
		if !h.Root.IsZero() && !slices.Contains(all, h) {
			all = append(all, h)
		}
	}
	slices.SortFunc(all, func(a, b Held) int {
		return cmp.Or(cmp.Compare(b.Epoch, a.Epoch), cmp.Compare(b.Generation, a.Generation))
	})
	return all
}
