package intake

import (
	"context"
	"fmt"
	"time"

	"sallyport/internal/attest"
	"sallyport/internal/clock"
	"sallyport/internal/code"
	"sallyport/internal/feed"
	"sallyport/internal/marks"
	"sallyport/internal/root"
	"sallyport/internal/state"
	"sallyport/internal/verify"
)

// again recognises a packing that was accepted before, by its label id: its outer bytes are hashed again, and since the
// label's digests are those that were verified to the last byte then, nothing has to be opened. False: it is to be taken
// in like any other, because its generations are no longer known here.
func (im *imports) again(c candidate) (bool, error) {
	var s seenBundle
	known, covered := false, true
	err := im.State.View(func(tx *state.Tx) (err error) {
		if s, known, err = seen.Get(tx, c.packing.ID().Hex()); err != nil || !known {
			return err
		}
		for _, f := range s.Feeds {
			var mark *marks.Mark
			if m, ok := im.Marks.Feed(f.Ref.Key()); ok {
				mark = &m
			}
			v, err := feed.Judge(tx, f.Ref, mark, feed.Point{Epoch: f.Epoch, Generation: f.Generation}, f.Root)
			if err != nil {
				return err
			}
			covered = covered && (v == feed.AlreadyActive || v == feed.AlreadyHeld || v == feed.SiteAhead)
		}
		return nil
	})
	if err != nil || !known || !covered {
		return false, err
	}
	if c.err != nil {
		return true, im.recall(c, s) // not whole any more, and nothing of it is needed
	}
	o := im.v.gate()
	o.Progress = func(done, total int64) { im.progress("verify "+s.Name, done, total) }
	if err := verify.Outer(im.ctx, c.packing, o); err != nil {
		return false, err
	}
	return true, im.recall(c, s)
}

// recall tells what became of a bundle then.
func (im *imports) recall(c candidate, s seenBundle) error {
	l := c.packing.Label()
	o := Outcome{Dir: c.dir, Decision: AlreadyHeld, Plan: BundlePlan{
		Name: l.Name, Kind: l.Kind, Variant: l.Variant, BundleID: l.BundleID.String(),
		LabelID: c.packing.ID().String(), From: l.Appliance.Name, Signer: c.packing.Signer().Words(), Bytes: l.Bytes, CreatedAt: l.CreatedAt,
	}}
	active := len(s.Feeds) > 0
	err := im.State.View(func(tx *state.Tx) error {
		for _, f := range s.Feeds {
			g, ok, err := feed.Current(tx, f.Ref)
			if err != nil {
				return err
			}
			active = active && ok && g.Epoch == f.Epoch && g.Generation == f.Generation
		}
		return nil
	})
	if err != nil {
		return err
	}
	if active {
		o.Decision = AlreadyActive
	}
	if s.Receipt > 0 {
		o.Receipt = receiptNumber(s.Receipt)
	}
	o.Plan.Decision, o.Sentence = o.Decision, hasAlready(s.At, o.Receipt)
	if s.Kind == kindOutbound {
		o.Sentence = fmt.Sprintf("What %s sent with %s is known here already (since %s).", l.Appliance.Name, l.Name, day(s.At))
	}
	im.res.Outcomes = append(im.res.Outcomes, o)
	return nil
}

// anchor takes the time anchor of an accepted bundle in. An older one moves nothing; a jump of more than 400 days waits
// for people.
func (im *imports) anchor(pr *prepared) error {
	a := pr.bundle.Anchor()
	if a == nil {
		return im.Marks.Tick()
	}
	at, err := clock.Parse(a.AnchorTime)
	if err != nil {
		return fmt.Errorf("anchor of %s: %w", pr.plan.Name, err)
	}
	err = im.Marks.ApplyAnchor(anchorKey(pr), a.Counter, at, false)
	switch code.Of(err) {
	case "", code.CounterOld:
		return nil
	case code.TrustTwoPersons:
		im.res.Trust = append(im.res.Trust, TrustChange{
			Peer: pr.peer.Name, What: "time", Old: clock.Format(im.v.time.Trusted), New: a.AnchorTime,
			Sentence: "The time anchor of " + pr.peer.Name + " would move time by more than 400 days: two people must say so. The data was taken in, the time was not.",
		})
		return nil
	}
	return err
}

// anchorKey is the key that signed the anchor: the one of the envelope's keys that has the role.
func anchorKey(pr *prepared) string {
	claim, err := attest.Inspect(pr.sink.anchor.Bytes())
	if err != nil {
		return pr.peer.ID
	}
	for _, id := range claim.KeyIDs {
		if pr.bundle.Root().Why(id, root.RoleAnchor, "", "", time.Time{}) == nil {
			return id
		}
	}
	return pr.peer.ID
}

// removeLayers deletes layer files that no kept generation names any more. What fails is found again by Recover.
func (r *Room) removeLayers(dropped []feed.Layer) {
	for _, l := range dropped {
		if err := r.Layers.Remove(l.File); err != nil {
			r.Log.Warn("old layer not removed", "layer", l.File, "err", err)
		}
	}
}

// Recover puts right what a crash left: layers no generation names are removed, folders of quarantine and of what waits
// without a row too, and the marks are raised to what was committed. Staging is dropped by cas.Open. Run it before the room is used, while
// nothing else builds layers.
func (r *Room) Recover(ctx context.Context) error {
	var live map[string]bool
	set := marks.Set{Feeds: map[string]marks.Mark{}}
	err := r.State.View(func(tx *state.Tx) (err error) {
		if live, err = feed.LayerFiles(tx); err != nil {
			return err
		}
		list, err := feed.List(tx, "")
		for _, f := range list {
			set.Feeds[f.Ref.Key()] = f.Mark
			if err := pairsOf(tx, f, &set); err != nil {
				return err
			}
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("recover imports: %w", err)
	}
	orphans, err := r.Layers.Orphans(func(file string) bool { return live[file] })
	if err != nil {
		return fmt.Errorf("recover imports: %w", err)
	}
	if err := r.Layers.Remove(orphans...); err != nil {
		return fmt.Errorf("recover imports: %w", err)
	}
	if err := r.Marks.Raise(func(s *marks.Set) error {
		for key, m := range set.Feeds {
			if m.Generation > 0 {
				lift(s, key, m)
			}
			for _, p := range set.Accepted[key] {
				s.Accept(key, p)
			}
		}
		return nil
	}); err != nil {
		return fmt.Errorf("recover imports: %w", err)
	}
	if err := r.recoverAnchors(); err != nil {
		return fmt.Errorf("recover imports: %w", err)
	}
	if err := r.recoverTrust(ctx); err != nil {
		return fmt.Errorf("recover trust: %w", err)
	}
	if err := r.sweepWaiting(ctx); err != nil {
		return fmt.Errorf("recover imports: %w", err)
	}
	return r.staleQuarantine()
}
