package export

import (
	"cmp"
	"fmt"
	"slices"

	"sallyport/internal/code"
	"sallyport/internal/feed"
	"sallyport/internal/job"
	"sallyport/internal/peer"
	"sallyport/internal/state"
)

// MaxSent is how many generations are kept here for one peer and feed: the newest it is known to hold and the last that
// were sent since. With more sticks under way than that, the oldest that nobody answered is no base any more.
const MaxSent = 32

// Standing is where a peer stands with one of our feeds.
type Standing struct {
	Now   job.FeedState    // what is active here
	Known *job.FeedState   // the newest state it is known to hold that is held here too; nil: none
	Sent  []job.FeedState  // sent to it since and held here, newest first
	Heard bool             // it told us about this feed
	Holds *peer.Held       // the newest it told us of, held here or not; nil: none
	View  peer.FeedView    // what it told us last
	Live  *feed.Generation // Now
}

// Standings tells, for each local feed of the peer's tenant with a generation, where the peer stands: from what it told us
// and from the bundles that were made for it.
func Standings(tx *state.Tx, p peer.Peer) ([]Standing, error) {
	feeds, err := feed.List(tx, p.Tenant)
	if err != nil {
		return nil, fmt.Errorf("standing of %s: %w", p.Name, err)
	}
	sent, err := sentTo(tx, p)
	if err != nil {
		return nil, fmt.Errorf("standing of %s: %w", p.Name, err)
	}
	var all []Standing
	for _, f := range feeds {
		g, ok, err := feed.Current(tx, f.Ref)
		if err != nil {
			return nil, fmt.Errorf("standing of %s: %w", p.Name, err)
		}
		if !f.Local || !ok {
			continue
		}
		s := Standing{Now: stateOf(f, g), Live: &g}
		s.View, s.Heard = p.Views[f.Ref.Name]
		if err := s.find(tx, p, sent); err != nil {
			return nil, fmt.Errorf("standing of %s: %w", p.Name, err)
		}
		all = append(all, s)
	}
	return all, nil
}

func stateOf(f feed.Feed, g feed.Generation) job.FeedState {
	return job.FeedState{Ref: f.Ref, Epoch: g.Epoch, Generation: g.Generation, Root: g.Root}
}

// point is the place of a state in its feed's life.
func point(s job.FeedState) feed.Point {
	return feed.Point{Epoch: s.Epoch, Generation: s.Generation}
}

// sentTo lists what the bundles made for a peer carried. A bundle that stands finished on the shelf counts
// whether its run succeeded or not: nobody can tell how much of it a broken medium took.
func sentTo(tx *state.Tx, p peer.Peer) (all []job.FeedState, err error) {
	_, err = job.List(tx, p.Tenant, "", 0, func(r job.Run) bool {
		if !r.BundleID.IsZero() && slices.Contains(r.Peers, p.Name) {
			all = append(all, r.Feeds...)
		}
		return false
	})
	return all, err
}

// find fills Known and Sent.
func (s *Standing) find(tx *state.Tx, p peer.Peer, sent []job.FeedState) error {
	for _, h := range p.Holds(s.Now.Ref.Name) {
		if s.Holds == nil {
			s.Holds = &h
		}
		if h.Epoch != s.Now.Epoch {
			continue // from before a restore: a base is named by its number, and numbers begin again
		}
		have := job.FeedState{Ref: s.Now.Ref, Epoch: h.Epoch, Generation: h.Generation, Root: h.Root}
		ok, err := held(tx, have)
		if err != nil {
			return err
		}
		if ok {
			s.Known = &have
			break
		}
	}
	for _, b := range sent {
		if b.Epoch != s.Now.Epoch || b.Ref != s.Now.Ref || slices.Contains(s.Sent, b) || s.Known != nil && !point(*s.Known).Less(point(b)) {
			continue
		}
		ok, err := held(tx, b)
		if err != nil {
			return err
		}
		if ok {
			s.Sent = append(s.Sent, b)
		}
	}
	newest(s.Sent)
	s.Sent = s.Sent[:min(len(s.Sent), MaxSent-1)]
	return nil
}

// held tells whether exactly this state is held here.
func held(tx *state.Tx, s job.FeedState) (bool, error) {
	g, ok, err := feed.At(tx, s.Ref, point(s))
	return ok && g.Root == s.Root, err
}

// Bases are the states that a delta to Now must start from, newest first: what it may be applied to. Two with one number,
// of two epochs, cannot both be named; the one that is known counts.
func (s *Standing) Bases() (list []job.FeedState) {
	all := slices.Clone(s.Sent)
	if s.Known != nil {
		all = append([]job.FeedState{*s.Known}, all...)
	}
	for _, b := range all {
		twice := slices.ContainsFunc(list, func(o job.FeedState) bool { return o.Generation == b.Generation })
		if point(b) != point(s.Now) && !twice {
			list = append(list, b)
		}
	}
	newest(list)
	return list
}

// newest sorts by place in the feed's life, the last first. The order of run ids is none to rely on: clocks go back.
func newest(list []job.FeedState) {
	slices.SortFunc(list, func(a, b job.FeedState) int {
		return cmp.Or(cmp.Compare(b.Epoch, a.Epoch), cmp.Compare(b.Generation, a.Generation))
	})
}

// Current tells whether the peer has what is active here, wherever it stands between what is known and what was sent.
func (s *Standing) Current() bool {
	if m := s.View.Mark; m.Generation > 0 && m.Epoch < s.Now.Epoch {
		return false // we were restored since: whatever it holds, it has to be given the new epoch
	}
	other := func(b job.FeedState) bool { return b.Root != s.Now.Root }
	if s.Known == nil {
		return s.Live.Records == 0 && len(s.Sent) == 0 // nothing to miss
	}
	return !other(*s.Known) && !slices.ContainsFunc(s.Sent, other)
}

// Ahead refuses to write for a peer that has more of our own feed than we do: what we would write it would refuse. Codes
// rollback; fork when it has another state of the same number.
func (s *Standing) Ahead(tx *state.Tx, name string) error {
	mark := feed.Point{Epoch: s.View.Mark.Epoch, Generation: s.View.Mark.Generation}
	now := point(s.Now)
	if now.Less(mark) {
		return code.New(code.Rollback, "%s has newer data than this hub", name).
			In(s.Now.Ref.Name, "").Want(fmt.Sprintf("generation %d or older there", now.Generation), fmt.Sprintf("generation %d", mark.Generation)).
			Do("Nothing was built: it would refuse it. If this hub was restored from a backup, finish the restore so that a new epoch begins, then export again.")
	}
	for _, h := range append([]peer.Held{s.View.Mark, s.View.Active}, s.View.Held...) {
		g, ok, err := feed.At(tx, s.Now.Ref, feed.Point{Epoch: h.Epoch, Generation: h.Generation})
		if err != nil {
			return err
		}
		if ok && !h.Root.IsZero() && g.Root != h.Root {
			return code.New(code.Fork, "%s holds another generation %d than this hub made", name, h.Generation).
				In(s.Now.Ref.Name, "").Want(g.Root, h.Root).
				Do("Nothing was built. Two hubs used the same number: find out which history is right before anything else is sent.")
		}
	}
	return nil
}

// Expect takes a state that another bundle on the same medium completes for a known one, when it is newer than what is
// known and held here.
func (s *Standing) Expect(b job.FeedState) {
	if b.Ref == s.Now.Ref && slices.Contains(s.Sent, b) && (s.Known == nil || point(*s.Known).Less(point(b))) {
		s.Known = &b
	}
}
