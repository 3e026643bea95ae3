package export

import (
	"fmt"
	"slices"
	"strings"

	"sallyport/internal/code"
	"sallyport/internal/feed"
	"sallyport/internal/job"
	"sallyport/internal/peer"
	"sallyport/internal/state"
)

// Who keeps a generation: a run that reads it, a peer that holds it or was sent it.
const (
	byRun  = "run:"
	byPeer = "peer:"
)

// pinned moves a run's pins from what an earlier attempt carried to what this one carries.
func pinned(tx *state.Tx, before, now job.Run) error {
	if err := unpin(tx, before); err != nil {
		return err
	}
	for _, s := range slices.Concat(now.Feeds, now.Bases) {
		if err := feed.Keep(tx, s.Ref, point(s), byRun+now.ID, true); err != nil {
			return fmt.Errorf("pin for run %s: %w", now.ID, err)
		}
	}
	return nil
}

// keeping does what a move means for the generations of a run: one that ended reads no more, one whose bundle stands has
// sent something.
func keeping(tx *state.Tx, run job.Run) error {
	switch {
	case run.State.Final():
		return unpin(tx, run)
	case run.State == job.Distributing:
		for _, p := range run.Peers {
			if err := Remember(tx, p); err != nil {
				return err
			}
		}
	}
	return nil
}

// unpin lets go of what a run read.
func unpin(tx *state.Tx, run job.Run) error {
	for _, s := range slices.Concat(run.Feeds, run.Bases) {
		if err := feed.Keep(tx, s.Ref, point(s), byRun+run.ID, false); err != nil {
			return fmt.Errorf("unpin for run %s: %w", run.ID, err)
		}
	}
	return nil
}

// Remember keeps, for a peer, the generations that the next delta for it may have to start from, and lets go of the others:
// in every transaction that sends it something or hears from it.
func Remember(tx *state.Tx, name string) error {
	p, err := peer.Get(tx, name)
	if code.Of(err) == code.Missing {
		return nil // gone; what was kept for it goes at the next start
	}
	if err != nil {
		return err
	}
	all, err := Standings(tx, p)
	if err != nil {
		return err
	}
	for _, s := range all {
		want := slices.Clone(s.Sent)
		if s.Known != nil {
			want = append(want, *s.Known)
		}
		held, err := feed.Generations(tx, s.Now.Ref)
		if err != nil {
			return err
		}
		for _, g := range held {
			on := slices.ContainsFunc(want, func(b job.FeedState) bool { return point(b) == g.Point })
			if err := feed.Keep(tx, s.Now.Ref, g.Point, byPeer+name, on); err != nil {
				return fmt.Errorf("keep for %s: %w", name, err)
			}
		}
	}
	return nil
}

// settle makes the pins those of the runs that are still to be worked on and of the peers that are known, at start.
func settle(tx *state.Tx) error {
	open := map[string]bool{}
	if _, err := job.List(tx, "", "", 0, func(r job.Run) bool {
		open[byRun+r.ID] = !r.State.Final()
		return false
	}); err != nil {
		return err
	}
	peers, err := peer.List(tx)
	if err != nil {
		return err
	}
	for _, p := range peers {
		open[byPeer+p.Name] = true
		if err := Remember(tx, p.Name); err != nil {
			return err
		}
	}
	return feed.Drop(tx, func(user string) bool {
		ours := strings.HasPrefix(user, byRun) || strings.HasPrefix(user, byPeer)
		return ours && !open[user]
	})
}
