package intake

import (
	"fmt"
	"slices"

	"sallyport/internal/bundle"
	"sallyport/internal/peer"
	"sallyport/internal/state"
	"sallyport/internal/timeline"
)

// witness keeps the newest head of a peer's log, so that a log that was changed afterwards is found at the next crossing.
// A log that does not continue the one we saw is no reason to refuse what the peer says about its data or ours; it is
// noted among the doubts, which the event of the import carries and people are shown.
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
	why := fmt.Errorf("no key of its card signed it")
	for _, k := range t.All() {
		if !slices.Contains(p.KeyIDs, k.ID()) {
			continue
		}
		var newest timeline.Seen
		if newest, _, why = timeline.VerifySection(log, id, k, last); why == nil {
			return timeline.Witness(tx, id, newest)
		}
	}
	im.doubts = append(im.doubts, TrustChange{
		Peer: name, What: "timeline",
		Sentence: fmt.Sprintf("The timeline of %s does not prove: %s. Keep this stick and call.", name, clean(why.Error())),
	})
	return nil
}

// doubt puts the doubts of this transaction into its event.
func (im *imports) doubt(attrs map[string]string) {
	for _, d := range im.doubts {
		attrs["doubt/"+d.What] = d.Sentence
	}
}
