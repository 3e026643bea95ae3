package page

import (
	"fmt"
	"strings"
	"time"

	"sallyport/internal/units"
	"sallyport/internal/wire"
	"sallyport/ui/kit"
)

// OverviewView is the first page: what needs a hand, and whether what is shown can be trusted.
type OverviewView struct {
	Now      time.Time
	Site     string
	Status   wire.Status
	Media    wire.Media
	Receipts []wire.Receipt // newest first
	Runs     []wire.Run     // newest first
	Jobs     []wire.Job     // unfinished
	Every    time.Duration  // how often a stick arrives
	Admin    bool
	Witness  bool // may see receipts
}

// maxLines is how many rows the small tables of Overview have.
const maxLines = 5

// Needs is everything that needs a hand, worst first: what is not well, then what waits for people, then what could be done.
func (v OverviewView) Needs() (list []kit.NeedView) {
	for _, r := range v.Status.Reasons {
		list = append(list, NeedOf(r))
	}
	for _, r := range v.Status.Needs {
		list = append(list, NeedOf(r))
	}
	for _, w := range v.Status.Waiting {
		list = append(list, kit.NeedView{
			Tone: kit.Unknown, Title: w.Name + " waits: it is not whole here yet", Why: kit.ByPage(w.Sentence), Action: kit.ButtonView{Label: "What waits", Href: "/media"},
		})
	}
	for _, m := range v.Media.Media {
		if n, ok := stickNeed(m); ok {
			list = append(list, n)
		}
	}
	primary := false
	for i := range list { // one of them at most
		if list[i].Action.Kind == kit.Primary {
			if primary {
				list[i].Action.Kind = kit.Quiet
			}
			primary = true
		}
	}
	return list
}

// needCount is how many they are; nothing on a good day.
func (v OverviewView) needCount() string {
	if n := len(v.Needs()); n > 0 {
		return units.Count(int64(n))
	}
	return ""
}

// stickNeed is the line of a stick that has something for this site.
func stickNeed(m wire.Medium) (kit.NeedView, bool) {
	switch {
	case m.ForUs > 0:
		return kit.NeedView{
			Tone: kit.Accent, Title: fmt.Sprintf("A stick is here with %s for this site", units.Plural(int64(m.ForUs), "bundle", "bundles")),
			Why: mediumName(m) + ". Nothing was opened yet; it is verified before anything changes.", Action: kit.ButtonView{Label: "Import", Href: "/import", Kind: kit.Primary},
		}, true
	case len(m.Strangers) > 0:
		return kit.NeedView{
			Tone: kit.Unknown, Title: fmt.Sprintf("A stick is here with the card of %s, which this site does not know", strings.Join(m.Strangers, " and ")),
			Why: "Nothing it signed is taken in before somebody has compared its nine words.", Action: kit.ButtonView{Label: "Compare", Href: AddHref(m.Path, "")},
		}, true
	}
	return kit.NeedView{}, false
}

// NeedOf is one reason as a line with the link that leads to the fix.
func NeedOf(r wire.Reason) kit.NeedView {
	n := kit.NeedView{Tone: kit.Unknown, Title: said(r.What), Why: r.Why, Action: actionOf(r)}
	switch r.Level {
	case "critical":
		n.Tone = kit.Bad
	case "warning":
		n.Tone = kit.Warn
	}
	if n.Why == "" && n.Action.Label == "" {
		n.Why = kit.ByPage(r.Next)
	}
	return n
}

// said is a reason without the command that some of them end with: the page has a link instead.
func said(what string) string {
	if before, after, ok := strings.Cut(what, " → sallyport "); ok {
		rest := ""
		if _, more, ok := strings.Cut(after, "; "); ok {
			rest = "; " + more
		}
		what = before + rest
	}
	return kit.ByPage(upper(strings.TrimSuffix(what, ".")))
}

// actionOf is where a reason is put right.
func actionOf(r wire.Reason) kit.ButtonView {
	switch r.Topic {
	case wire.AboutPlan:
		return kit.ButtonView{Label: "Review", Href: "/approvals/" + r.Subject, Kind: kit.Primary}
	case wire.AboutFork:
		return kit.ButtonView{Label: "Quarantine", Href: "/quarantine/" + r.Subject}
	case wire.AboutQuarantine:
		return kit.ButtonView{Label: "Quarantine", Href: "/quarantine"}
	case wire.AboutAsks, wire.AboutUnheard:
		return kit.ButtonView{Label: "Import", Href: "/import", Context: "a stick of " + r.Subject}
	case wire.AboutClock:
		return kit.ButtonView{Label: "Time", Href: "/time"}
	case wire.AboutBudget:
		return kit.ButtonView{Label: "Import", Href: "/import", Context: "newer data of " + r.Subject}
	case wire.AboutTrust:
		return kit.ButtonView{Label: "Trust", Href: "/trust"}
	case wire.AboutDisk:
		return kit.ButtonView{Label: "Free space", Href: "/store"}
	case wire.AboutAccess:
		return kit.ButtonView{Label: "Users", Href: "/users"}
	case wire.AboutCard:
		return kit.ButtonView{Label: "Make it", Href: "/set-up/card"}
	case wire.AboutDamaged:
		return kit.ButtonView{Label: "Heal", Href: "/media/heal"}
	}
	return kit.ButtonView{}
}

// lead is how things stand, in one or two sentences.
func (v OverviewView) lead() string {
	n := len(v.Needs())
	first := "Nothing needs you."
	if n > 0 {
		first = units.Plural(int64(n), "thing needs you.", "things need you.")
	}
	oldest, newest, found := oldestFeed(v.Status.Feeds)
	if !found {
		return first + " No data came from outside yet."
	}
	age := units.Age(seconds(oldest.AgeSeconds)) + " old"
	if oldest.AtLeast {
		age = units.AgeAtLeast(seconds(oldest.AgeSeconds)) + " old"
	}
	s := fmt.Sprintf("%s Data is %s", first, age)
	if at := instant(newest.AcceptedAt); !at.IsZero() && v.Every > 0 {
		due := at.Add(v.Every)
		if due.Before(v.Now) {
			return s + "; a stick was due on " + due.Format("2 January") + "."
		}
		return s + "; the next stick is due by " + due.Format("2 January") + "."
	}
	return s + "."
}

// oldestFeed is the foreign feed whose data is oldest, and the one that came in last.
func oldestFeed(feeds []wire.Feed) (oldest, newest wire.Feed, found bool) {
	for _, f := range feeds {
		if f.Local || f.Generation == 0 {
			continue
		}
		if !found || f.AgeSeconds > oldest.AgeSeconds {
			oldest = f
		}
		if !found || f.AcceptedAt > newest.AcceptedAt {
			newest = f
		}
		found = true
	}
	return oldest, newest, found
}

// feeds is "What we hold": age against its budget before all else.
func (v OverviewView) feeds() kit.TableView {
	t := kit.TableView{
		ID: "held", Caption: "What we hold",
		Columns: []kit.Column{{Label: "Feed"}, {Label: "Records", Kind: kit.NumberColumn}, {Label: "Age of data"}, {Label: "From"}, {Label: "State"}},
		Empty: kit.EmptyView{
			Tone: kit.Unknown, Title: "Nothing is held yet", Text: "Data comes in on a stick, or is loaded here from files.",
			Action: kit.ButtonView{Label: "Import a stick", Href: "/import"},
		},
	}
	for _, f := range v.Status.Feeds {
		t.Rows = append(t.Rows, kit.Row{Cells: []kit.Node{
			kit.Join(kit.To(FeedHref(f.OriginName, f.Name), f.Name), kit.Soft(feedGeneration(f))),
			feedRecords(f), FeedAge(f, v.Now), feedFrom(f), FeedState(f),
		}})
	}
	return t
}

// crossings are the last things that came in and went out.
func (v OverviewView) crossings() kit.TableView {
	t := kit.TableView{
		ID: "crossings", Caption: "Crossings",
		Columns: []kit.Column{{Label: "Way"}, {Label: "When"}, {Label: "What"}, {Label: "State"}},
		Empty:   kit.EmptyView{Title: "No crossing yet", Text: "Nothing came in on a stick, and nothing went out."},
	}
	in, out := v.Receipts, v.Runs
	for len(t.Rows) < maxLines && len(in)+len(out) > 0 {
		if len(out) == 0 || len(in) > 0 && in[0].At >= out[0].CreatedAt {
			t.Rows = append(t.Rows, v.cameIn(in[0]))
			in = in[1:]
			continue
		}
		t.Rows = append(t.Rows, v.wentOut(out[0]))
		out = out[1:]
	}
	return t
}

func (v OverviewView) cameIn(r wire.Receipt) kit.Row {
	return kit.Row{Cells: []kit.Node{
		kit.Text("in"), day(r.At), kit.Join(kit.To("/receipts/"+r.Number, r.Number), kit.Soft("from "+r.Peer)), DecisionBadge(r.Decision, ""),
	}}
}

func (v OverviewView) wentOut(r wire.Run) kit.Row {
	what := r.Variant
	if r.Kind == "outbound" {
		what = "receipts"
	}
	whom := ""
	if len(r.Peers) > 0 {
		whom = "for " + strings.Join(r.Peers, ", ")
	}
	return kit.Row{Cells: []kit.Node{kit.Text("out"), day(r.CreatedAt), kit.Join(kit.To("/exports/"+r.ID, what), kit.Soft(whom)), runBadge(r.Status())}}
}

// DecisionBadge is what became of a bundle, in one word. An old one is late: nothing is wrong with it.
func DecisionBadge(decision, why string) kit.Node {
	switch {
	case decision == "refused" && why == "rollback":
		return kit.Badge(kit.Unknown, "late")
	case decision == "activated", decision == "applied":
		return kit.Badge(kit.OK, "active")
	case decision == "held":
		return kit.Badge(kit.Warn, "held, pinned")
	case decision == "planned":
		return kit.Badge(kit.Unknown, "plan")
	case decision == "already-active", decision == "already-held":
		return kit.Badge(kit.OK, "here already")
	case decision == "refused", decision == "quarantined":
		return kit.Badge(kit.Bad, "refused")
	case decision == "parked", decision == "waiting":
		return kit.Badge(kit.Unknown, "waiting")
	case decision == "skipped":
		return kit.Badge(kit.Plain, "not for us")
	}
	return kit.Badge(kit.Unknown, decision)
}

func runBadge(state string) kit.Node {
	switch state {
	case "delivered", "confirmed by voice":
		return kit.Badge(kit.OK, state)
	case "succeeded":
		return kit.Badge(kit.Unknown, "sent, not answered")
	case "failed":
		return kit.Badge(kit.Bad, state)
	case "cancelled", "expired":
		return kit.Badge(kit.Plain, state)
	}
	return kit.Badge(kit.Accent, state)
}

// store is the gauge of the disk.
func (v OverviewView) store() kit.MeterView {
	d := v.Status.Disk
	if d.Total == 0 {
		return kit.MeterView{Label: "Disk", Text: "unknown", Wide: true}
	}
	used := d.Total - d.Free
	m := kit.MeterView{
		Label: "Disk used", Text: fmt.Sprintf("%d %%", used*100/d.Total), Soft: "of " + units.Size(d.Total) + " used, " + units.Size(d.Free) + " free",
		Value: float64(used), Max: float64(d.Total), Tone: kit.Accent, Wide: true,
	}
	switch {
	case used*10 > d.Total*9:
		m.Tone = kit.Bad
	case used*5 > d.Total*4:
		m.Tone = kit.Warn
	}
	return m
}

func (v OverviewView) storeLine() string {
	d := v.Status.Disk
	return fmt.Sprintf("%s are this appliance's evidence, in %s.", units.Size(d.Store), units.Plural(d.Blobs, "piece", "pieces"))
}

// time is what is known of it, line by line.
func (v OverviewView) times() []kit.Def {
	t := v.Status.Time
	list := []kit.Def{
		{Term: "Trusted time", Value: kit.Text(clockText(instant(t.Trusted))), Explain: timeFrom(t)},
		{Term: "This machine's clock", Value: kit.Join(kit.Text(clockText(instant(t.Wall))), kit.If(t.Suspect, kit.Badge(kit.Warn, "cannot be right")))},
	}
	if t.Anchor != "" {
		list = append(list, kit.Def{Term: "Last anchor", Value: since(t.Anchor, v.Now, "never"), Explain: "headquarters' signed statement of the time"})
	}
	return list
}

func timeFrom(t wire.Time) string {
	switch t.Source {
	case "anchor":
		if t.AtLeast {
			return "at least this late: from an anchor, and this machine was off since"
		}
		return "from an anchor, and the time since"
	case "operator":
		return "two people said so; it proves nothing"
	}
	return "at least this late: nobody has told the time yet but the date of this program"
}

// mediumName is how a person knows a medium.
func mediumName(m wire.Medium) string {
	if m.Label != "" {
		return m.Label + " at " + m.Path
	}
	return m.Path
}
