package intake

import (
	"fmt"

	"sallyport/internal/clock"
	"sallyport/internal/feed"
	"sallyport/internal/marks"
	"sallyport/internal/root"
	"sallyport/internal/state"
	"sallyport/internal/timeline"
	"sallyport/internal/units"
)

// acceptedBefore lets in again what lies below the mark because this site was restored from a backup: exactly the
// generations and bundles that are among the last accepted, and only where the ledger is behind the marks. The mark stays.
func (im *imports) acceptedBefore(tx *state.Tx, pr *prepared, o *offer) error {
	if o.verdict != feed.SiteAhead {
		return nil
	}
	p := marks.Pair{Epoch: o.state.Epoch, Generation: o.state.Generation, Bundle: pr.label.BundleID}
	if !im.Marks.Accepted(o.ref.Key(), p) {
		return nil
	}
	v, err := feed.Judge(tx, o.ref, nil, o.point(), o.state.StateRoot)
	if err == nil {
		o.verdict = v
	}
	return err
}

// marked judges an offer behind another one of this import by the marks file too: where the ledger is behind it, the one before
// may have come in below the mark, and what comes after it must have been accepted before as well.
func (im *imports) marked(pr *prepared, o *offer) error {
	m, ok := im.Marks.Feed(o.ref.Key())
	if !ok || !o.fresh() {
		return nil
	}
	p := marks.Pair{Epoch: o.state.Epoch, Generation: o.state.Generation, Bundle: pr.label.BundleID}
	switch mark := (feed.Point{Epoch: m.Epoch, Generation: m.Generation}); {
	case o.point() == mark && o.state.StateRoot != m.Root:
		o.verdict = feed.Forked
	case o.point().Less(mark) && !im.Marks.Accepted(o.ref.Key(), p):
		o.verdict = feed.SiteAhead
	}
	return o.refusal()
}

// pairsOf adds what a feed holds to the pairs: a crash may have come between its transaction and the marks.
func pairsOf(tx *state.Tx, f feed.Feed, set *marks.Set) error {
	if f.Local {
		return nil
	}
	gens, err := feed.Generations(tx, f.Ref)
	for _, g := range gens {
		if !g.BundleID.IsZero() {
			set.Accept(f.Ref.Key(), marks.Pair{Epoch: g.Epoch, Generation: g.Generation, Bundle: g.BundleID})
		}
	}
	return err
}

// restoredSentence tells what is lost of a peer's timeline by a restore that its root names, as far as we had seen it.
func restoredSentence(name string, re *root.Restored, last *timeline.Seen) string {
	s := fmt.Sprintf("%s was restored from a backup of %s", name, longDay(re.Backup))
	switch {
	case last == nil || last.Number >= re.Log:
		return s + "."
	case last.Number != re.Before:
		return fmt.Sprintf("%s; its log %d, of which %s are known here, is lost there.", s, last.Number, units.Plural(last.Head.Size, "entry", "entries"))
	case last.Head.Size > re.Size+1:
		return fmt.Sprintf("%s; entries %s–%s of its log are known here and missing there.", s, units.Count(re.Size+1), units.Count(last.Head.Size))
	case last.Head.Size > re.Size:
		return fmt.Sprintf("%s; entry %s of its log is known here and missing there.", s, units.Count(last.Head.Size))
	}
	return s + "; nothing that was known here of its log is missing there."
}

// longDay writes a date as in a letter.
func longDay(at string) string {
	t, err := clock.Parse(at)
	if err != nil {
		return at
	}
	return t.Format("2 January 2006")
}

// restored adds to a change of trust what is lost by the restore that the newer root was made for.
func (c *trustChange) restored(tx *state.Tx) error {
	a, b := c.from.Document(), c.to.Document()
	re := b.Restored()
	if old := a.Restored(); re == nil || old != nil && *old == *re {
		return nil
	}
	last, err := timeline.LastSeen(tx, c.peer.ID)
	if err == nil {
		c.plan.Changes = append(c.plan.Changes, restoredSentence(c.plan.Peer, re, last))
	}
	return err
}
