package api

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"sallyport/internal/bundle"
	"sallyport/internal/clock"
	"sallyport/internal/code"
	"sallyport/internal/export"
	"sallyport/internal/export/mirror"
	"sallyport/internal/feed"
	"sallyport/internal/job"
	"sallyport/internal/peer"
	"sallyport/internal/root"
	"sallyport/internal/state"
	"sallyport/internal/units"
	"sallyport/internal/web"
	"sallyport/internal/wire"
)

// maxWeighed is how many deltas one answer weighs anew: each walks the indexes of a feed. Those that were weighed before
// are remembered, because two states never differ in another way.
const maxWeighed = 8

// maxFlown is how many bundles made for a peer are listed.
const maxFlown = 5

// scale remembers what deltas weigh, by the states they lie between. Safe for concurrent use; the zero value is empty.
type scale struct {
	mu   sync.Mutex
	seen map[string][2]int64
}

// maxScale bounds what a scale remembers; beyond it, all is forgotten.
const maxScale = 4096

func (s *scale) get(key string) (w [2]int64, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w, ok = s.seen[key]
	return w, ok
}

func (s *scale) put(key string, w [2]int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen == nil || len(s.seen) >= maxScale {
		s.seen = map[string][2]int64{}
	}
	s.seen[key] = w
}

// lacks is a peer's line under way, and what it lacks.
type lacks struct {
	row  wire.PeerStanding
	list []export.Standing
}

// peersFleet tells where each peer stands with what is made here, or the one that is named: who needs a hand comes first.
func (a *API) peersFleet(ctx context.Context, _ *web.Call, q wire.PeerRequest) (wire.Fleet, error) {
	now := a.Marks.Now().Trusted
	out := wire.Fleet{Peers: []wire.PeerStanding{}, Now: clock.Format(now)}
	var rows []lacks
	err := a.State.View(func(tx *state.Tx) error {
		rows = nil
		list, err := peer.List(tx)
		if err != nil {
			return err
		}
		for _, p := range list {
			if q.Name != "" && p.Name != q.Name {
				continue
			}
			row, err := a.standing(tx, p, now)
			if err != nil {
				return fmt.Errorf("standing of %s: %w", p.Name, err)
			}
			rows = append(rows, row)
		}
		return nil
	})
	if err != nil {
		return out, err
	}
	if q.Name != "" && len(rows) == 0 {
		return out, a.knownPeers(code.New(code.Missing, "no peer %.40q", q.Name))
	}
	fresh := maxWeighed
	for _, r := range rows {
		if err := a.weigh(ctx, &r, &fresh); err != nil {
			return out, err
		}
		judgePeer(&r.row, now)
		out.Peers = append(out.Peers, r.row)
	}
	slices.SortStableFunc(out.Peers, func(x, y wire.PeerStanding) int {
		return cmp.Or(cmp.Compare(rank(x.Level), rank(y.Level)), cmp.Compare(y.Overdue, x.Overdue), strings.Compare(x.Name, y.Name))
	})
	return out, nil
}

func rank(level string) int {
	return slices.Index([]string{wire.PeerBad, wire.PeerWarn, wire.PeerUnknown, wire.PeerBehind, wire.PeerOK}, level)
}

// standing reads what the ledgers say of one peer.
func (a *API) standing(tx *state.Tx, p peer.Peer, now time.Time) (lacks, error) {
	base, err := a.peerOf(tx, p)
	if err != nil {
		return lacks{}, err
	}
	row := wire.PeerStanding{
		Peer: base, Reader: p.Reads.BundleVersion, Unheard: p.Unheard, Delta: -1, Every: cmp.Or(p.Every, int64(a.Care.Often()/time.Second)),
	}
	if heard, err := clock.Parse(p.LastContact); err == nil {
		due := heard.Add(time.Duration(row.Every) * time.Second)
		row.NextDue, row.Overdue = clock.Format(due), int64(max(0, now.Sub(due))/time.Second)
	}
	if err := a.keysOf(&row, p, now); err != nil {
		return lacks{}, err
	}
	feeds, err := feed.List(tx, p.Tenant)
	if err != nil {
		return lacks{}, err
	}
	for _, f := range feeds {
		if f.Ref.Origin == p.ID {
			row.FeedsUs++
		}
	}
	for _, w := range p.Wanted {
		run, ok, err := job.ByBundle(tx, w.BundleID)
		if err != nil {
			return lacks{}, err
		}
		ask := wire.FleetAsk{Volumes: w.Volumes}
		if ok && run.Shelf != "" {
			ask.Run, ask.Name = run.ID, run.Name
		}
		row.Wanted = append(row.Wanted, ask)
	}
	if err := flown(tx, &row, p); err != nil {
		return lacks{}, err
	}
	return a.feedsAt(tx, row, p)
}

// flown lists the last bundles that were made for a peer.
func flown(tx *state.Tx, row *wire.PeerStanding, p peer.Peer) error {
	_, err := job.List(tx, p.Tenant, "", maxFlown, func(r job.Run) bool {
		if r.State != job.Succeeded || !slices.Contains(r.Peers, p.Name) {
			return false
		}
		row.Sent = append(row.Sent, wire.FleetFlown{Run: r.ID, Name: r.Name, At: r.FinishedAt, Bytes: r.Bytes, Decision: r.Deliveries[p.Name].Decision})
		return true
	})
	return err
}

// feedsAt adds, for each of our feeds, what the peer has and what is active here.
func (a *API) feedsAt(tx *state.Tx, row wire.PeerStanding, p peer.Peer) (lacks, error) {
	all, err := export.Standings(tx, p)
	if err != nil {
		return lacks{}, err
	}
	out := lacks{row: row}
	for _, s := range all {
		f := wire.FleetFeed{
			Feed: s.Now.Ref.Name, We: pointText(s.Now.Epoch, s.Now.Generation), Heard: s.View.At, From: s.View.From,
			Even: s.Known != nil && s.Known.Root == s.Now.Root,
		}
		if s.Holds != nil {
			f.Has = pointText(s.Holds.Epoch, s.Holds.Generation)
		}
		if len(s.Sent) > 0 {
			f.Sent = pointText(s.Sent[0].Epoch, s.Sent[0].Generation)
		}
		out.row.Feeds = append(out.row.Feeds, f)
		if !s.Current() {
			out.list = append(out.list, s)
		}
	}
	return out, nil
}

// keysOf lists the keys of a peer's trust root that end before the stick after the next.
func (a *API) keysOf(row *wire.PeerStanding, p peer.Peer, now time.Time) error {
	t, err := chain(p.Roots)
	if err != nil {
		return err
	}
	horizon := now.Add(2 * time.Duration(row.Every) * time.Second)
	d := t.Document()
	row.Root, row.RootEnds = d.RootVersion, d.NotAfter
	for _, role := range root.Roles() {
		for _, id := range d.Roles[role].KeyIDs {
			i := slices.IndexFunc(d.Keys, func(k root.KeyEntry) bool { return k.KeyID == id })
			if i < 0 || t.Why(id, role, "", "", now) != nil && code.Of(t.Why(id, role, "", "", now)) == code.KeyRevoked {
				continue
			}
			if end, err := clock.Parse(d.Keys[i].NotAfter); err == nil && end.Before(horizon) {
				row.Keys = append(row.Keys, wire.FleetKey{Kind: role, KeyID: id, NotAfter: d.Keys[i].NotAfter})
			}
		}
	}
	return nil
}

// weigh adds what the next stick would carry. fresh is how many may still be weighed anew.
func (a *API) weigh(ctx context.Context, r *lacks, fresh *int) error {
	if len(r.list) == 0 {
		if r.row.Delta = -1; len(r.row.Feeds) > 0 {
			r.row.Delta = 0
		}
		return nil
	}
	var key strings.Builder
	based := true
	for _, s := range r.list {
		r.row.Full += s.Live.Bytes
		based = based && s.Known != nil
		fmt.Fprintf(&key, "%s %s", s.Now.Ref.Key(), s.Now.Root)
		for _, b := range s.Bases() {
			fmt.Fprintf(&key, " %s", b.Root)
		}
	}
	if !based {
		return nil // a full goes: there is nothing to start from
	}
	w, ok := a.scale.get(key.String())
	if !ok {
		if *fresh == 0 {
			return nil
		}
		*fresh--
		delta, full, err := mirror.Weigh(ctx, a.State, a.Layers, r.list)
		if code.Of(err) == code.Missing {
			return nil // pruned meanwhile
		}
		if err != nil {
			return err
		}
		w = [2]int64{delta, full}
		a.scale.put(key.String(), w)
	}
	r.row.Delta, r.row.Full = w[0], w[1]
	return nil
}

// judgePeer says how a peer stands and why, in sentences.
func judgePeer(r *wire.PeerStanding, now time.Time) {
	r.Level = wire.PeerOK
	say := func(level, format string, args ...any) {
		if rank(level) < rank(r.Level) {
			r.Level = level
		}
		r.Why = append(r.Why, fmt.Sprintf(format, args...))
	}
	if end, err := clock.Parse(r.RootEnds); err == nil && !end.After(now) {
		say(wire.PeerBad, "Its trust root ended on %s: nothing signed under it is taken in. Bring its newer one.", end.Format(time.DateOnly))
	}
	if r.Unheard {
		say(wire.PeerBad, "This appliance was restored and nothing of %s was read since: nothing is exported to it.", r.Name)
	}
	if r.Reader < bundle.Version {
		say(wire.PeerBad, "It reads bundles of version %d, and this appliance writes version %d. Bring it the newer software first.", r.Reader, int64(bundle.Version))
	}
	if r.Asks > 0 {
		say(wire.PeerWarn, "It asks for %s again.", units.Plural(int64(r.Asks), "volume", "volumes"))
	}
	if r.Overdue > 0 && len(r.Feeds) > 0 {
		say(wire.PeerWarn, "Nothing was heard of it when the next stick was due, %s ago.", units.Age(time.Duration(r.Overdue)*time.Second))
	}
	for _, k := range r.Keys {
		say(wire.PeerWarn, "Its %s key ends on %s, before the stick after the next.", k.Kind, k.NotAfter[:min(10, len(k.NotAfter))])
	}
	if len(r.Feeds) == 0 {
		return
	}
	behind, unknown := 0, 0
	for _, f := range r.Feeds {
		switch {
		case f.Has == "":
			unknown++
		case !f.Even:
			behind++
		}
	}
	if unknown == len(r.Feeds) {
		say(wire.PeerUnknown, "It never told us what it holds.")
	} else if behind+unknown > 0 {
		say(wire.PeerBehind, "%s of %d are newer here.", units.Plural(int64(behind+unknown), "feed", "feeds"), len(r.Feeds))
	}
}
