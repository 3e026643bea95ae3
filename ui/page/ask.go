package page

import (
	"fmt"
	"time"

	"sallyport/internal/code"
	"sallyport/internal/units"
	"sallyport/internal/wire"
	"sallyport/ui/kit"
)

// AskView is the page on which a change is looked at once more before it is made: what it is about, what would happen, what
// is still needed of the person, and two buttons.
type AskView struct {
	Dialog kit.DialogView
	Facts  []kit.Def       // what it is about
	Lines  []string        // what would change, one sentence each
	Table  kit.TableView   // with more to look at; shown when it has columns
	Fields []kit.FieldView // what the person says
}

// plainLines are sentences one below the other, each with a quiet mark.
func plainLines(list []string) kit.ProofsView {
	var v kit.ProofsView
	for _, s := range list {
		v.Items = append(v.Items, kit.Proof{Tone: kit.Accent, Text: s})
	}
	return v
}

// ReasonField is the field for why: it stands in the timeline.
func ReasonField(value, problem string) kit.FieldView {
	return kit.FieldView{Name: "reason", Label: "Why", Value: value, Error: problem, Required: true, MaxLength: 500, Hint: "In your words; it stands in the timeline."}
}

// AskGeneration adds to a page before a change which generation it is about, and what is active now. Code not-found when it is
// not held.
func AskGeneration(v AskView, f wire.FeedDetail, to string, back bool, now time.Time) (AskView, error) {
	for _, g := range f.Held {
		if fmt.Sprintf("%d.%d", g.Epoch, g.Generation) != to && fmt.Sprint(g.Generation) != to {
			continue
		}
		v.Facts = append(v.Facts,
			kit.Def{Term: "Generation", Value: kit.Strong(generation(g.Epoch, g.Generation))},
			kit.Def{Term: "Records", Value: kit.Count(g.Records)},
			kit.Def{Term: "Accepted", Value: since(g.AcceptedAt, now, "unknown")},
			kit.Def{Term: "State root", Value: digestOr(g.StateRoot)},
		)
		if back {
			v.Facts = append(v.Facts, kit.Def{Term: "Active now", Value: kit.Text("generation " + generation(f.Epoch, f.Generation) + ", " + units.Plural(f.Records, "record", "records"))})
		}
		return v, nil
	}
	return v, code.New(code.Missing, "generation %.40q of feed %q is not held here", to, f.Name).Do("Choose one that the feed's page lists.")
}

// AskAgree turns a page that proposes into one that agrees to what somebody proposed.
func AskAgree(v *AskView, p wire.Approval, now time.Time) {
	v.Dialog.Confirm = "Agree"
	v.Facts = append(v.Facts,
		kit.Def{Term: "Proposed by", Value: kit.Join(kit.Text(p.Proposer), since(p.CreatedAt, now, ""))},
		kit.Def{Term: "Digest of the plan", Value: kit.Digest(p.Digest)},
	)
	if len(p.Grants) > 0 && p.Grants[0].Reason != "" {
		v.Facts = append(v.Facts, kit.Def{Term: "Because", Value: kit.Text(p.Grants[0].Reason)})
	}
}

// ReleaseSubject is how the ledger of approvals names the release of a hold.
func ReleaseSubject(feed, to string) string {
	return "releasing the hold on generation " + to + " of " + feed
}
