package intake

import (
	"fmt"
	"slices"

	"sallyport/internal/bundle"
	"sallyport/internal/code"
	"sallyport/internal/peer"
	"sallyport/internal/root"
	"sallyport/internal/state"
	"sallyport/internal/timeline"
)

// witness keeps the newest head of a peer's log, so that a log that was changed afterwards is found at the next crossing.
// A log that does not continue the one we saw is no reason to refuse what the peer says about its data or ours; it is
// noted among the doubts, which the event of the import carries and people are shown. A new log is continued from only when
// the trust root that we hold of the peer says that it was restored: what is lost by it is said once.
func (im *imports) witness(tx *state.Tx, name, id string, log bundle.Log) error {
	p, err := peer.Get(tx, name)
	if err != nil {
		return err
	}
	t, err := chain(p.Roots)
	if err != nil {
		return err
	}
	last, err := timeline.LastSeen(tx, id)
	if err != nil {
		return err
	}
	newest, why := seenBy(t, p, id, log, last)
	if why == nil && last != nil && newest.Number > last.Number {
		re := restoredTo(t, newest.Number)
		if why = continues(re, last); why == nil {
			im.doubts = append(im.doubts, TrustChange{Peer: name, What: "restored", Sentence: restoredSentence(name, re, last)})
		}
	}
	if why == nil {
		return timeline.Witness(tx, id, newest)
	}
	sentence := fmt.Sprintf("The timeline of %s does not prove: %s. Keep this stick and call.", name, clean(why.Error()))
	if last != nil && newest.Number > last.Number && im.rootComes(name) {
		sentence = fmt.Sprintf("%s begins a new timeline, as an appliance does that was restored from a backup, and its new trust root, which must say so, waits: look at it with %s. If the timeline does not prove after that either, keep this stick and call.", name, im.v.trustPlan())
	} else if im.newerRoot(name) {
		sentence = fmt.Sprintf("The timeline of %s does not prove yet: %s. It was written under a newer trust root than the one known here: apply that, and if the next bundle does not prove it either, keep this stick and call.", name, clean(why.Error()))
	}
	im.doubts = append(im.doubts, TrustChange{Peer: name, What: "timeline", Sentence: sentence})
	return nil
}

// seenBy checks a section with the keys of the peer's card that its root still has.
func seenBy(t *root.Trusted, p peer.Peer, id string, log bundle.Log, last *timeline.Seen) (newest timeline.Seen, why error) {
	why = fmt.Errorf("no key of its card signed it")
	for _, k := range t.All() {
		if !slices.Contains(p.KeyIDs, k.ID()) {
			continue
		}
		if newest, _, why = timeline.VerifySection(log, id, k, last); why == nil {
			return newest, nil
		}
	}
	return newest, why
}

// restoredTo is the restore that opened a log, as the root names it; nil when it names none.
func restoredTo(t *root.Trusted, number int64) *root.Restored {
	doc := t.Document()
	if re := doc.Restored(); re != nil && re.Log == number {
		return re
	}
	return nil
}

// continues judges whether a new log goes on from the one we saw.
func continues(re *root.Restored, last *timeline.Seen) error {
	switch {
	case re == nil:
		return code.New(code.TimelineBroken, "it begins a new log, and no trust root known here says that the appliance was restored")
	case re.Before == last.Number && re.Size == last.Head.Size && re.Root != last.Head.Root:
		return code.New(code.TimelineBroken, "it was restored from another log than the one seen here").Want(last.Head.Root, re.Root)
	}
	return nil
}

// doubt puts the doubts of this transaction into its event.
func (im *imports) doubt(attrs map[string]string) {
	for _, d := range im.doubts {
		attrs["doubt/"+d.What] = d.Sentence
	}
}
