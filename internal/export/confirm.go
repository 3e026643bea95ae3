package export

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"sallyport/internal/bundle"
	"sallyport/internal/clock"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/job"
	"sallyport/internal/peer"
	"sallyport/internal/state"
	"sallyport/internal/timeline"
	"sallyport/internal/units"
)

// Confirmed is what six spoken words said.
type Confirmed struct {
	Run      Run
	Decision string
	Proven   bool // a receipt had said so before: the words added nothing
}

// Confirm takes a spoken receipt: the six words that a peer reads over the phone after it opened and activated a bundle.
// They depend on the bundle's challenge, which only who opened it knows, so they name bundle and decision at once. What
// they confirm is weaker than what a receipt proves, but the next delta may start from it. Codes not-found for a peer,
// spoken when the words are those of no bundle that was sent to it.
func (r *Room) Confirm(ctx context.Context, name, words, actor string) (c Confirmed, err error) {
	heard := strings.Join(strings.Fields(strings.ToLower(words)), " ")
	at := r.Marks.Now().Trusted
	err = r.State.Update(ctx, func(tx *state.Tx) error {
		p, err := peer.Get(tx, name)
		if err != nil {
			return err
		}
		run, decision, err := spoken(tx, p, heard)
		if err != nil {
			return err
		}
		c = Confirmed{Run: Run{Run: run}, Decision: decision, Proven: run.Deliveries[name].Covers}
		if c.Proven {
			return nil
		}
		if c.Run.Run, _, err = job.Deliver(tx, run.BundleID, name, job.Delivery{Decision: decision, At: clock.Format(at), How: job.ByVoice, Covers: true}); err != nil {
			return err
		}
		if _, err = peer.Know(tx, name, at, voiced(run, decision), nil); err != nil {
			return err
		}
		if err := Remember(tx, name); err != nil {
			return err
		}
		_, err = r.Timeline.Append(tx, timeline.Event{
			Type: "bundle.import.accepted", Tenant: run.Tenant, Actor: actor, Subject: run.Name,
			Attrs: map[string]string{"by": "voice", "decision": decision, "peer": name, "bundleId": run.BundleID.String(), "runId": run.ID},
		})
		return err
	})
	if err != nil {
		return Confirmed{}, fmt.Errorf("confirm: %w", err)
	}
	return c, nil
}

// spoken finds the run and the decision that the words speak of.
func spoken(tx *state.Tx, p peer.Peer, words string) (found job.Run, decision string, err error) {
	_, err = job.List(tx, p.Tenant, "", 0, func(run job.Run) bool {
		if found.ID != "" || run.Challenge == "" || run.BundleID.IsZero() || !slices.Contains(run.Peers, p.Name) {
			return false
		}
		roots := make([]digest.Digest, 0, len(run.Feeds))
		for _, f := range run.Feeds {
			roots = append(roots, f.Root)
		}
		for _, d := range bundle.Decisions() {
			want, err := bundle.SpokenWords(run.Challenge, run.BundleID, d, roots...)
			if err == nil && bundle.Covers(d) && want == words {
				found, decision = run, d
			}
		}
		return false
	})
	if err == nil && found.ID == "" {
		err = misheard(p.Name, words)
	}
	return found, decision, err
}

// misheard says of six words that fit nothing which of them cannot be right, and where the site reads them again.
func misheard(name, words string) error {
	text, got := "", fmt.Sprintf("%.80q", words)
	if odd := units.Unlisted(words); len(odd) > 0 {
		text = "misheard: " + strings.Join(odd, ", ") + " is on no list of words"
	}
	return code.New(code.SpokenWrong, "%s", text).In(name, "").Want("six words of a bundle for "+name, got).
		Do("Hear all six words again: at " + name + " sallyport receipts list names the receipt, and sallyport receipts show R-n prints its words.")
}

// voiced is what the words say about our feeds.
func voiced(run job.Run, decision string) (list []peer.FeedView) {
	for _, f := range run.Feeds {
		h := peer.Held{Epoch: f.Epoch, Generation: f.Generation, Root: f.Root}
		v := peer.FeedView{Feed: f.Ref.Name, Held: []peer.Held{h}, Mark: h, From: peer.FromVoice}
		if decision == bundle.Activated || decision == bundle.AlreadyActive {
			v.Active = h
		}
		list = append(list, v)
	}
	return list
}
