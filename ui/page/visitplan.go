package page

import (
	"fmt"
	"net/url"
	"strings"

	"sallyport/internal/digest"
	"sallyport/internal/units"
	"sallyport/internal/wire"
	"sallyport/ui/kit"
)

// bundles are what the plan is about, else what became of each.
func (v VisitView) bundles() (list []wire.BundlePlan) {
	if v.In == nil {
		return nil
	}
	if len(v.In.Plan.Bundles) > 0 {
		return v.In.Plan.Bundles
	}
	for _, o := range v.In.Outcomes {
		list = append(list, o.Plan)
	}
	return list
}

// counts are the numbers of the plan.
func (v VisitView) counts() []kit.Figure {
	var added, changed, removed int64
	var generations []string
	for _, b := range v.In.Plan.Bundles {
		for _, f := range b.Feeds {
			added, changed, removed = added+f.Added, changed+f.Changed, removed+f.Removed
			generations = append(generations, steps(f))
		}
	}
	list := []kit.Figure{
		{Value: units.Count(added), Label: "added"},
		{Value: units.Count(changed), Label: "changed"},
		{Value: units.Count(removed), Label: "removed"},
		{Value: units.Size(v.In.Plan.Space), Label: "to store"},
	}
	if removed > 0 {
		list[2].Tone = kit.Warn
	}
	if len(generations) == 1 {
		list = append(list, kit.Figure{Value: generations[0], Label: "generation"})
	}
	return list
}

func steps(f wire.FeedPlan) string {
	if f.Before == 0 {
		return "new → " + fmt.Sprint(f.Generation)
	}
	return fmt.Sprintf("%d → %d", f.Before, f.Generation)
}

// feeds is what would become of each feed.
func (v VisitView) feeds() kit.TableView {
	t := kit.TableView{
		ID: "plan-feeds", Caption: "What would become of each feed",
		Columns: []kit.Column{{Label: "Feed"}, {Label: "Generation"}, {Label: "Changes"}, {Label: "Records then", Kind: kit.NumberColumn}, {Label: "State"}},
	}
	for _, b := range v.bundles() {
		for _, f := range b.Feeds {
			t.Rows = append(t.Rows, kit.Row{Cells: []kit.Node{
				kit.Join(kit.Strong(f.Feed), kit.Soft("from "+nameOr(f.OriginName, f.Origin))), kit.Text(steps(f)),
				kit.Text(fmt.Sprintf("+%s ~%s −%s", units.Count(f.Added), units.Count(f.Changed), units.Count(f.Removed))), kit.Count(f.Records), feedDecision(f.Decision),
			}})
		}
	}
	return t
}

func nameOr(name, id string) string {
	if name == "" {
		return id
	}
	return name
}

func feedDecision(d string) kit.Node {
	switch d {
	case "activated":
		return kit.Badge(kit.Accent, "would be active")
	case "held":
		return kit.Badge(kit.Warn, "would be held: pinned here")
	case "already-active", "already-held":
		return kit.Badge(kit.OK, "here already")
	}
	return kit.Badge(kit.Unknown, d)
}

// examples are the first records that would change.
func (v VisitView) examples() kit.TableView {
	t := kit.TableView{
		ID: "examples", Caption: "The first records that would change",
		Columns: []kit.Column{{Label: "Record"}, {Label: "What"}, {Label: "Kind"}, {Label: "Feed"}},
	}
	for _, b := range v.bundles() {
		for _, f := range b.Feeds {
			for _, x := range few(f.Examples) {
				cell := kit.Text(x.Key)
				if x.What != "added" {
					cell = kit.To("/records/"+url.PathEscape(x.Kind)+"/"+escapePath(x.Key), x.Key)
				}
				t.Rows = append(t.Rows, kit.Row{Cells: []kit.Node{cell, whatBadge(x.What), kit.Text(kindWord(x.Kind, 1)), kit.Text(f.Feed)}})
			}
		}
	}
	return t
}

// escapePath escapes each part of a key that may have slashes.
func escapePath(key string) string {
	parts := strings.Split(key, "/")
	for i, p := range parts {
		parts[i] = url.PathEscape(p)
	}
	return strings.Join(parts, "/")
}

func whatBadge(what string) kit.Node {
	switch what {
	case "added":
		return kit.Badge(kit.OK, "added")
	case "removed":
		return kit.Badge(kit.Warn, "removed")
	}
	return kit.Badge(kit.Accent, what)
}

// exampleNote says how many of them are shown.
func (v VisitView) exampleNote() string {
	var all, shown int64
	for _, b := range v.In.Plan.Bundles {
		for _, f := range b.Feeds {
			all += f.Added + f.Changed + f.Removed
			shown += int64(len(few(f.Examples)))
		}
	}
	if shown == all {
		return "all of them"
	}
	return fmt.Sprintf("the first %s of %s", units.Count(shown), units.Count(all))
}

// about are the facts of one bundle.
func (v VisitView) about(b wire.BundlePlan) []kit.Def {
	return []kit.Def{
		{Term: "From", Value: kit.Text(b.From)},
		{Term: "Signed by", Value: kit.Words(b.Signer), Explain: "nine words of the key"},
		{Term: "Written", Value: kit.Join(day(b.CreatedAt), kit.Soft(units.Age(seconds(b.AgeSeconds))+" old, by trusted time"))},
		{Term: "Size", Value: kit.Join(kit.Bytes(b.Bytes), kit.Soft("on the medium, "+units.Size(b.Space)+" to store"))},
		{Term: "Form", Value: kit.Text(b.Variant + " " + b.Kind + ", bundle format 1")},
	}
}

// words is the plan's digest as nine words.
func (v VisitView) words() string {
	d, err := digest.Parse(v.In.Plan.Digest)
	if err != nil {
		return ""
	}
	return units.Words(d)
}

// special is why a plan needs people whatever the rule is.
func (v VisitView) special() (list []string) {
	for _, b := range v.bundles() {
		if b.NeedsApproval != "" {
			list = append(list, upper(b.NeedsApproval)+".")
		}
	}
	return list
}

// rule says who must agree.
func (v VisitView) rule() string {
	switch {
	case v.People >= 2:
		return "Two people must agree here: you, and somebody else in their own session. What you approve is exactly this plan; if the stick or this site changes meanwhile, it is asked anew."
	case v.People == 1:
		return "Your word is enough here. What you approve is exactly this plan; if the stick or this site changes meanwhile, it is asked anew."
	}
	return "No approval is asked here. What is done is exactly this plan."
}
