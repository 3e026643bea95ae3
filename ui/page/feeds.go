package page

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"sallyport/internal/units"
	"sallyport/internal/wire"
	"sallyport/ui/kit"
)

// explainGeneration is the sentence of the noun.
const explainGeneration = "Generation: a numbered state of this feed; you can go back to an earlier one in one step."

// explainRoot is the sentence of the noun.
const explainRoot = "State root: one number for everything in this feed; equal on both sides means equal content."

// FeedsView is the list of all feeds.
type FeedsView struct {
	Feeds []wire.Feed
	Now   time.Time
	Pager kit.PagerView
	Total int
}

// FeedView is one feed.
type FeedView struct {
	Feed  wire.FeedDetail
	Now   time.Time
	Steer bool // the person may pin, roll back, hold and set the rhythm
}

// FeedHref is the page of a feed.
func FeedHref(origin, name string) string {
	return "/feeds/" + url.PathEscape(origin) + "/" + url.PathEscape(name)
}

func (v FeedsView) lead() string {
	if v.Total == 0 {
		return "Nothing is held here yet."
	}
	var records int64
	var worst time.Duration
	late := 0
	for _, f := range v.Feeds {
		records += f.Records
		worst = max(worst, seconds(f.AgeSeconds))
		if f.Standing == "warn" || f.Standing == "breach" {
			late++
		}
	}
	s := fmt.Sprintf("%s.", units.Plural(int64(v.Total), "feed", "feeds"))
	if v.Total == len(v.Feeds) {
		s = fmt.Sprintf("%s with %s.", units.Plural(int64(v.Total), "feed", "feeds"), units.Plural(records, "record", "records"))
	}
	switch {
	case late == 1:
		s += " The data of one is older than it should be."
	case late > 1:
		s += fmt.Sprintf(" The data of %d is older than it should be.", late)
	case worst > 0:
		s += fmt.Sprintf(" The oldest data is %s old.", units.Age(worst))
	}
	return s
}

func (v FeedsView) table() kit.TableView {
	t := kit.TableView{
		ID: "feeds", Caption: "All feeds", CSV: "/feeds.csv", Pager: v.Pager,
		Columns: []kit.Column{{Label: "Feed"}, {Label: "Records", Kind: kit.NumberColumn}, {Label: "Age of data"}, {Label: "From"}, {Label: "State"}},
		Empty: kit.EmptyView{
			Title: "No feed yet", Text: "Import a stick from headquarters, or load evidence of your own. Nothing is shown here that was not verified.",
			Action: kit.ButtonView{Label: "Import", Href: "/import", Kind: kit.Primary},
		},
	}
	for _, f := range v.Feeds {
		t.Rows = append(t.Rows, kit.Row{Cells: []kit.Node{
			kit.Join(kit.To(FeedHref(f.OriginName, f.Name), f.Name), kit.Soft(feedGeneration(f))),
			feedRecords(f), FeedAge(f, v.Now), feedFrom(f), FeedState(f),
		}})
	}
	return t
}

func feedGeneration(f wire.Feed) string {
	if f.Generation == 0 {
		return "nothing active"
	}
	return "generation " + generation(f.Epoch, f.Generation)
}

func feedRecords(f wire.Feed) kit.Node {
	if f.Generation == 0 {
		return dash()
	}
	return kit.Count(f.Records)
}

// FeedAge is the age of a feed's data against its budget, the first thing in every list of content. What is made here has
// no budget; what never came is unknown.
func FeedAge(f wire.Feed, now time.Time) kit.Node {
	switch {
	case f.Generation == 0:
		return kit.Age(kit.AgeView{Never: "never received"})
	case f.Standing == "":
		return kit.Join(kit.Soft("loaded"), since(f.AcceptedAt, now, "at an unknown time"))
	}
	v := kit.AgeView{Age: seconds(f.AgeSeconds), Budget: 3 * seconds(f.Every), Known: true, AtLeast: f.AtLeast, Tone: standingTone(f.Standing)}
	return kit.Age(v)
}

func standingTone(standing string) kit.Tone {
	switch standing {
	case "ok":
		return kit.OK
	case "warn":
		return kit.Warn
	case "breach":
		return kit.Bad
	}
	return kit.Unknown
}

func feedFrom(f wire.Feed) kit.Node {
	if f.Local {
		return kit.Text("made here")
	}
	return kit.Text(f.OriginName)
}

// FeedState is how a feed stands, in badges.
func FeedState(f wire.Feed) kit.Node {
	var list []kit.Node
	switch {
	case f.Generation == 0:
		list = append(list, kit.Badge(kit.Unknown, "unknown"))
	case f.Local:
		list = append(list, kit.Badge(kit.OK, "loaded here"))
	case f.Standing == "warn":
		list = append(list, kit.Badge(kit.Warn, "late"))
	case f.Standing == "breach":
		list = append(list, kit.Badge(kit.Bad, "over its budget"))
	default:
		list = append(list, kit.Badge(kit.OK, "verified"))
	}
	if f.Pinned {
		list = append(list, kit.Badge(kit.Warn, "pinned"))
	}
	if n := newerHeld(f); n != "" {
		list = append(list, kit.Badge(kit.Unknown, n+" held"))
	}
	return kit.Join(list...)
}

// newerHeld is the newest generation that is held and not active, "" for none.
func newerHeld(f wire.Feed) string {
	if f.Newest == "" || f.Newest == fmt.Sprintf("%d.%d", f.Epoch, f.Generation) {
		return ""
	}
	return pointWords(f.Newest)
}

func (v FeedView) href(verb string) string {
	return FeedHref(v.Feed.OriginName, v.Feed.Name) + "/" + verb
}

func (v FeedView) lead() string {
	f := v.Feed.Feed
	if f.Generation == 0 {
		return "Nothing of this feed is active here."
	}
	s := fmt.Sprintf("Generation %s: %s.", generation(f.Epoch, f.Generation), units.Plural(f.Records, "record", "records"))
	if f.Standing == "" {
		return s
	}
	age := units.Age(seconds(f.AgeSeconds))
	if f.AtLeast {
		age = units.AgeAtLeast(seconds(f.AgeSeconds))
	}
	return s + fmt.Sprintf(" Its data is %s old; a stick arrives every %s.", age, units.Age(seconds(f.Every)))
}

// needs are what asks for a hand about this feed.
func (v FeedView) needs() (list []kit.NeedView) {
	f := v.Feed.Feed
	if f.Pinned {
		n := kit.NeedView{
			Tone: kit.Warn, Title: fmt.Sprintf("Pinned at generation %s", generation(f.Epoch, f.Generation)),
			Why: "What arrives is kept, not activated. Reason: " + f.PinReason,
		}
		if v.Steer {
			n.Action = kit.ButtonView{Label: "Unpin", Href: v.href("unpin")}
		}
		list = append(list, n)
	}
	switch f.Standing {
	case "warn":
		list = append(list, kit.NeedView{
			Tone: kit.Warn, Title: fmt.Sprintf("The data is older than two deliveries (%s)", units.Age(2*seconds(f.Every))),
			Why: "A newer bundle from " + f.OriginName + " renews it. Reading and searching go on.", Action: kit.ButtonView{Label: "Import", Href: "/import"},
		})
	case "breach":
		why := "A newer bundle from " + f.OriginName + " renews it. Reading and searching go on."
		if f.Blocks {
			why += " Nothing older than what is active can be activated."
		}
		list = append(list, kit.NeedView{
			Tone: kit.Bad, Title: fmt.Sprintf("The data is over its budget of %s", units.Age(3*seconds(f.Every))), Why: why,
			Action: kit.ButtonView{Label: "Import", Href: "/import"},
		})
	}
	for _, d := range v.Feed.Damaged {
		n := kit.NeedView{Tone: kit.Bad, Title: upper(d.What) + " " + shortName(d.Name) + ": " + d.Why, Why: strings.Join(d.Used, "; ")}
		if v.Steer {
			n.Action = kit.ButtonView{Label: "Heal from a stick", Href: "/media/heal"}
		}
		list = append(list, n)
	}
	return list
}

// shortName cuts a digest for a sentence.
func shortName(s string) string {
	if hex, ok := strings.CutPrefix(s, "sha256:"); ok && len(hex) > 12 {
		return hex[:12]
	}
	return s
}

func (v FeedView) facts() []kit.Def {
	f := v.Feed.Feed
	rhythm := kit.Text("none: it is made here")
	if f.Every > 0 {
		rhythm = kit.Text(fmt.Sprintf("a stick every %s; late after %s, over its budget after %s", units.Age(seconds(f.Every)), units.Age(2*seconds(f.Every)), units.Age(3*seconds(f.Every))))
	}
	list := []kit.Def{
		{Term: "Age of data", Value: FeedAge(f, v.Now)},
		{Term: "Origin", Value: kit.Join(feedFrom(f), kit.Code(f.Origin))},
		{Term: "Records", Value: orDash(kindCounts(f.Kinds))},
		{Term: "State root", Value: digestOr(f.StateRoot), Explain: explainRoot},
		{Term: "Made", Value: since(f.GeneratedAt, v.Now, "unknown")},
		{Term: "Accepted here", Value: since(f.AcceptedAt, v.Now, "never")},
		{Term: "Size", Value: kit.Bytes(f.Bytes)},
		{Term: "Rhythm", Value: rhythm},
		{Term: "Highest accepted", Value: orDash(pointWords(f.Mark)), Explain: "Never goes back: an older bundle is not taken for a newer one."},
	}
	return list
}

func (v FeedView) generations() kit.TableView {
	t := kit.TableView{
		ID: "generations", Caption: "Generations held here",
		Columns: []kit.Column{{Label: "Generation"}, {Label: "Records", Kind: kit.NumberColumn}, {Label: "Accepted"}, {Label: "State root"}, {Label: "From"}, {Label: "State"}},
		Empty:   kit.EmptyView{Tone: kit.Unknown, Title: "No generation is held", Text: "The first bundle of this feed brings one."},
	}
	if v.Steer {
		t.Columns = append(t.Columns, kit.Column{Label: "Actions", Kind: kit.ActionColumn})
	}
	for _, g := range v.Feed.Held {
		row := kit.Row{Cells: []kit.Node{
			kit.Strong(generation(g.Epoch, g.Generation)), kit.Count(g.Records), since(g.AcceptedAt, v.Now, "unknown"), digestOr(g.StateRoot),
			generationFrom(g), generationState(g),
		}}
		if v.Steer {
			row.Cells = append(row.Cells, v.verbs(g))
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

func generationFrom(g wire.Generation) kit.Node {
	if g.BundleID == "" {
		return kit.Join(kit.Soft("loaded by"), kit.Text(g.LoadedBy))
	}
	return kit.Join(kit.Soft("bundle"), kit.Digest(g.BundleID))
}

func generationState(g wire.Generation) kit.Node {
	var list []kit.Node
	if g.Active {
		list = append(list, kit.Badge(kit.OK, "active"))
	}
	if g.Held {
		list = append(list, kit.Badge(kit.Accent, "on hold"))
	}
	if len(list) == 0 {
		return kit.Soft("kept")
	}
	return kit.Join(list...)
}

// verbs are what can be done with one generation.
func (v FeedView) verbs(g wire.Generation) kit.Node {
	to := "?to=" + fmt.Sprintf("%d.%d", g.Epoch, g.Generation)
	var list []kit.Node
	older := g.Epoch < v.Feed.Epoch || g.Epoch == v.Feed.Epoch && g.Generation < v.Feed.Generation
	if older && !g.Active {
		list = append(list, kit.Button(kit.ButtonView{Label: "Go back to this", Href: v.href("rollback") + to}))
	}
	if g.Held {
		list = append(list, kit.Button(kit.ButtonView{Label: "Release", Href: v.href("release") + to}))
	} else {
		list = append(list, kit.Button(kit.ButtonView{Label: "Hold", Href: v.href("hold") + to}))
	}
	return kit.Join(list...)
}

// actions are what can be done with the feed.
func (v FeedView) actions() []kit.ButtonView {
	list := []kit.ButtonView{{Label: "Its records", Href: "/records?feed=" + url.QueryEscape(v.Feed.FullName)}}
	if !v.Steer || v.Feed.Generation == 0 {
		return list
	}
	if v.Feed.Pinned {
		list = append(list, kit.ButtonView{Label: "Unpin", Href: v.href("unpin")})
	} else {
		list = append(list, kit.ButtonView{Label: "Pin", Href: v.href("pin")})
	}
	if !v.Feed.Local {
		list = append(list, kit.ButtonView{Label: "Set rhythm", Href: v.href("rhythm")})
	}
	return list
}
