package intake

import (
	"fmt"
	"strings"

	"sallyport/internal/canon"
	"sallyport/internal/digest"
	"sallyport/internal/units"
)

// signedPlan is what a plan's digest is made of: which bytes would do what, and nothing that changes while one looks at
// it (ages, progress, free space).
type signedPlan struct {
	What    string         `json:"what"`
	Site    string         `json:"site"`
	Bundles []signedBundle `json:"bundles"`
}

type signedBundle struct {
	BundleID string       `json:"bundleId"`
	LabelID  string       `json:"labelId"`
	Decision string       `json:"decision"`
	Feeds    []signedFeed `json:"feeds"`
}

type signedFeed struct {
	Tenant     string `json:"tenant"`
	Origin     string `json:"origin"`
	Feed       string `json:"feed"`
	Epoch      int64  `json:"epoch"`
	Generation int64  `json:"generation"`
	Before     string `json:"before"`
	After      string `json:"after"`
	Decision   string `json:"decision"`
}

// makePlan sums up what is ready. Bundles that bring nothing are part of it, so that two people read the same list.
func (im *imports) makePlan() {
	s := signedPlan{What: "sallyport/v1/import", Site: im.Self.ID, Bundles: []signedBundle{}}
	p := Plan{Bundles: []BundlePlan{}}
	for _, pr := range im.ready {
		p.Bundles = append(p.Bundles, pr.plan)
		p.Bytes += pr.plan.Bytes
		p.Space += pr.plan.Space
		s.Bundles = append(s.Bundles, signedOf(pr.plan))
	}
	b, err := canon.Marshal(s)
	if err != nil {
		panic(fmt.Sprintf("plan: %v", err)) // strings and integers only
	}
	p.Digest = digest.Of(b).String()
	im.res.Plan = p
}

func signedOf(b BundlePlan) signedBundle {
	s := signedBundle{BundleID: b.BundleID, LabelID: b.LabelID, Decision: string(b.Decision), Feeds: []signedFeed{}}
	for _, f := range b.Feeds {
		s.Feeds = append(s.Feeds, signedFeed{
			Tenant: f.Tenant, Origin: f.Origin, Feed: f.Feed, Epoch: f.Epoch, Generation: f.Generation,
			Before: f.BeforeRoot, After: f.AfterRoot, Decision: string(f.Decision),
		})
	}
	return s
}

// Nothing tells that the plan changes no feed: no approval is needed for it.
func (p Plan) Nothing() bool {
	for _, b := range p.Bundles {
		if b.Decision != AlreadyActive && b.Decision != AlreadyHeld {
			return false
		}
	}
	return true
}

// counts sums up the feeds of a bundle.
func (b BundlePlan) counts() (added, changed, removed int64) {
	for _, f := range b.Feeds {
		added, changed, removed = added+f.Added, changed+f.Changed, removed+f.Removed
	}
	return
}

func changes(added, changed, removed int64) string {
	var parts []string
	for _, p := range []struct {
		n    int64
		what string
	}{{added, "added"}, {changed, "changed"}, {removed, "removed"}} {
		if p.n > 0 {
			parts = append(parts, units.Count(p.n)+" "+p.what)
		}
	}
	if len(parts) == 0 {
		return "nothing added, changed or removed"
	}
	return strings.Join(parts, ", ")
}
