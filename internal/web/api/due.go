package api

import (
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"sallyport/internal/bundle"
	"sallyport/internal/code"
	"sallyport/internal/export"
	"sallyport/internal/export/mirror"
	"sallyport/internal/intake"
	"sallyport/internal/job"
	"sallyport/internal/media"
	"sallyport/internal/peer"
	"sallyport/internal/state"
	"sallyport/internal/units"
	"sallyport/internal/wire"
)

// ask is volumes of one of our bundles that a peer misses.
type ask struct {
	run     job.Run
	volumes []int64
}

// due works out what those whom we met lack. It reads the medium again, so that what lies on it already is not written
// twice, and the ledgers after the first half.
func (v *visit) due(ctx context.Context) ([]wire.Due, error) {
	met, err := v.Intake.Found(ctx, v.q.Path)
	if err != nil && code.Of(err) != code.MediumEmpty {
		return nil, err
	}
	there, err := onMedium(v.q.Path)
	if err != nil {
		return nil, err
	}
	m, err := media.Open(v.q.Path)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	v.fsys = m.FS()
	names := v.q.For
	receipts := map[string]intake.VisitPeer{}
	v.met = map[string]bool{}
	for _, p := range met.Peers {
		receipts[p.Name], v.met[p.Name] = p, true
		if len(v.q.For) == 0 {
			names = append(names, p.Name)
		}
	}
	v.wanted, v.notes, v.carried = map[string][]ask{}, nil, nil
	list := []wire.Due{}
	for _, name := range names {
		d, err := v.owed(ctx, name, receipts[name], there)
		if err != nil {
			return nil, v.knownPeers(err)
		}
		if d.Hub || d.Site || d.Wanted > 0 {
			list = append(list, d)
		}
	}
	return list, nil
}

// owed judges one peer: it is our hub when we hold feeds of it, our site when we have feeds of our own for it. A hub is
// told when there is something to say; a site gets what it asked for, and a mirror when what is active here is neither
// known to be held there nor on this medium already.
func (v *visit) owed(ctx context.Context, name string, met intake.VisitPeer, there map[string]bool) (wire.Due, error) {
	d := wire.Due{Peer: name, Receipts: met.Receipts}
	var why []string
	var lacks []export.Standing
	var runs []job.Run
	var p peer.Peer
	err := v.State.View(func(tx *state.Tx) (err error) {
		if p, err = peer.Get(tx, name); err != nil {
			return err
		}
		if err := v.hub(tx, &d, p, met, there); err != nil {
			return err
		}
		if v.wanted[name], err = v.asked(tx, p); err != nil {
			return err
		}
		lacks, runs, err = v.lacking(tx, p)
		return err
	})
	if err == nil {
		lacks, err = v.missing(ctx, p, runs, lacks, there)
	}
	if err != nil {
		return d, err
	}
	if d.Hub {
		why = append(why, units.Plural(int64(met.Receipts), "receipt", "receipts")+" and an inventory"+asking(met.Wanted))
	}
	for _, a := range v.wanted[name] {
		d.Wanted += len(a.volumes)
		why = append(why, units.Plural(int64(len(a.volumes)), "volume", "volumes")+" of "+a.run.Name+" again")
	}
	if err := v.choose(ctx, &d, lacks); err != nil {
		return d, err
	}
	if d.Site = len(d.Delta)+len(d.Full) > 0; len(d.Full) > 0 {
		why = append(why, "new for it: "+strings.Join(d.Full, ", "))
	}
	if len(d.Delta) > 0 {
		why = append(why, "changed: "+strings.Join(d.Delta, ", "))
	}
	if len(why) == 0 && slices.Contains(v.q.For, name) && len(v.carried)+len(v.notes) == 0 {
		v.notes = append(v.notes, fmt.Sprintf("%s has everything, or it is on this stick already.", name))
	}
	d.Why = strings.Join(why, "; ")
	return d, nil
}

func asking(volumes int) string {
	if volumes == 0 {
		return ""
	}
	return " that asks for " + units.Plural(int64(volumes), "volume", "volumes")
}

// hub tells whether receipts and inventory are owed: also when something was refused, came late or waits, because the
// inventory says from where to go on.
func (v *visit) hub(tx *state.Tx, d *wire.Due, p peer.Peer, met intake.VisitPeer, there map[string]bool) error {
	if !met.Hub || met.Receipts+met.Wanted == 0 && v.later == nil && !slices.Contains(v.q.For, p.Name) {
		return nil
	}
	home, err := v.home(tx, p, there)
	if err == nil && home {
		v.carried = append(v.carried, p.Name)
	}
	d.Hub = err == nil && !home
	return err
}

// home tells whether a way home for the peer that says exactly what would be said now is on the medium already.
func (v *visit) home(tx *state.Tx, p peer.Peer, there map[string]bool) (bool, error) {
	told, err := v.Intake.Told(tx, p.Name)
	if err != nil {
		return false, err
	}
	runs, err := job.List(tx, p.Tenant, "", 1, func(r job.Run) bool {
		return r.State == job.Succeeded && r.Papers == told && slices.Contains(r.Peers, p.Name) && there[bundle.BundleDir(r.Name, r.LabelID)]
	})
	return len(runs) > 0, err
}

// asked finds, for what a peer says it misses, the bundles that are still on the shelf.
func (v *visit) asked(tx *state.Tx, p peer.Peer) (list []ask, err error) {
	for _, w := range p.Wanted {
		run, ok, err := job.ByBundle(tx, w.BundleID)
		if err != nil {
			return nil, err
		}
		if !ok || run.Tenant != p.Tenant || !slices.Contains(run.Peers, p.Name) || run.Deliveries[p.Name].Covers {
			continue
		}
		if _, err := os.Stat(filepath.Join(v.Export.Shelf(), run.Shelf)); run.Shelf == "" || err != nil {
			v.notes = append(v.notes, fmt.Sprintf("%s asked for volumes of %s, which is not on the shelf any more.", p.Name, run.Name))
			continue
		}
		list = append(list, ask{run, w.Volumes})
	}
	return list, nil
}

// lacking is where the peer stands with every feed that it lacks, and which runs wrote for it. A peer that is ahead of us
// lacks nothing: that is said, and nothing is built for it.
func (v *visit) lacking(tx *state.Tx, p peer.Peer) (list []export.Standing, runs []job.Run, err error) {
	all, err := export.Standings(tx, p)
	if err != nil {
		return nil, nil, err
	}
	for _, s := range all {
		if err := s.Ahead(tx, p.Name); err != nil {
			e := wire.FromError(err)
			v.notes = append(v.notes, fmt.Sprintf("Nothing of %s was written: %s. %s", s.Now.Ref.Name, e.Message, e.Next))
			return nil, nil, nil
		}
		for _, a := range v.wanted[p.Name] {
			for _, f := range a.run.Feeds {
				s.Expect(f)
			}
		}
		if !s.Current() {
			list = append(list, s)
		}
	}
	runs, err = job.List(tx, p.Tenant, "", 0, func(r job.Run) bool {
		return r.State.Final() && !r.BundleID.IsZero() && slices.Contains(r.Peers, p.Name)
	})
	return list, runs, err
}

// missing are those that this medium does not bring. Bundles on it are read for that, outside of any transaction.
func (v *visit) missing(ctx context.Context, p peer.Peer, runs []job.Run, lacks []export.Standing, there map[string]bool) (list []export.Standing, err error) {
	read := map[string]onStick{}
	for _, s := range lacks {
		brought, err := v.brought(ctx, p, runs, s, there, read)
		if err != nil {
			return nil, err
		}
		if !brought {
			list = append(list, s)
		}
	}
	return list, nil
}

// onStick is what was found out about one of our bundles on the medium.
type onStick struct {
	found bool
	lost  []int64 // volumes
}

// brought tells whether a bundle on this medium brings the peer what it lacks. One whose copy was not finished, or of which
// volumes are gone or damaged, does when they are written again. read keeps what was found out.
func (v *visit) brought(ctx context.Context, p peer.Peer, runs []job.Run, s export.Standing, there map[string]bool, read map[string]onStick) (bool, error) {
	for _, r := range runs {
		if !brings(r, s) {
			continue
		}
		dir := bundle.BundleDir(r.Name, r.LabelID)
		if _, err := os.Stat(filepath.Join(v.Export.Shelf(), r.Shelf)); r.Shelf == "" || err != nil {
			if there[dir] {
				return true, nil
			}
			continue
		}
		b, known := read[r.ID]
		if !known {
			v.c.Progress(wire.Progress{Stage: "look", Subject: p.Name, Note: "reading " + r.Name + " on this medium"})
			var err error
			if b.lost, b.found, err = v.Export.Missing(ctx, r, v.fsys, path.Join(media.Top, "bundles", dir)); err != nil {
				return false, err
			}
			read[r.ID] = b
		}
		switch {
		case !b.found && !there[dir]:
			continue
		case len(b.lost) > 0 && !slices.ContainsFunc(v.wanted[p.Name], func(a ask) bool { return a.run.ID == r.ID }):
			v.wanted[p.Name] = append(v.wanted[p.Name], ask{r, b.lost})
		}
		return true, nil
	}
	return false, nil
}

// brings tells whether the bundle of a run takes the peer to what is active here, from where it is known to stand.
func brings(r job.Run, s export.Standing) bool {
	if !slices.Contains(r.Feeds, s.Now) {
		return false
	}
	return len(r.Bases) == 0 || s.Known != nil && slices.Contains(r.Bases, *s.Known)
}

// choose sorts feeds by how they go: as what changed when it is known where the peer stands and that is less, else whole.
func (v *visit) choose(ctx context.Context, d *wire.Due, lacks []export.Standing) error {
	var based []export.Standing
	for _, s := range lacks {
		if s.Known == nil {
			d.Full = append(d.Full, s.Now.Ref.Name)
			continue
		}
		based = append(based, s)
	}
	if len(based) == 0 {
		return nil
	}
	delta, full, err := mirror.Weigh(ctx, v.State, v.Layers, based)
	if err != nil && code.Of(err) != code.Missing {
		return err
	}
	to := &d.Delta
	if err != nil || delta >= full {
		to = &d.Full
	}
	for _, s := range based {
		*to = append(*to, s.Now.Ref.Name)
	}
	slices.Sort(*to)
	return nil
}
