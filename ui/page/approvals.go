package page

import (
	"net/url"
	"time"

	"sallyport/internal/units"
	"sallyport/internal/wire"
	"sallyport/ui/kit"
)

// ApprovalsView lists the plans that wait for people.
type ApprovalsView struct {
	Now       time.Time
	Approvals []wire.Approval
	All       bool
}

// ApprovalView is one plan for people to look at and to speak about.
type ApprovalView struct {
	Now      time.Time
	Plan     wire.Approval
	Visit    *VisitView // of an import: the plan as it was verified, when its job is still known
	Person   string
	MaySay   bool // yes or no
	MayGo    bool // execute
	Media    []wire.Medium
	Reason   string
	Problems []kit.NoticeView
}

// kindWords is what a plan would change.
func kindWords(kind string) string {
	switch kind {
	case "import":
		return "import"
	case "trust":
		return "trust"
	case "keys":
		return "our keys"
	case "time":
		return "time"
	case "hold":
		return "hold"
	}
	return kind
}

func approvalBadge(state string) kit.Node {
	switch state {
	case "waiting":
		return kit.Badge(kit.Unknown, "waits for people")
	case "ready":
		return kit.Badge(kit.Accent, "enough said yes")
	case "used":
		return kit.Badge(kit.OK, "done")
	case "denied":
		return kit.Badge(kit.Bad, "denied")
	}
	return kit.Badge(kit.Plain, state)
}

func (v ApprovalsView) filters() kit.TabsView {
	return kit.TabsView{Label: "Which plans", Pills: true, Items: []kit.Tab{
		{Label: "Waiting", Href: "/approvals", Current: !v.All}, {Label: "All", Href: "/approvals?all=yes", Current: v.All},
	}}
}

func (v ApprovalsView) lead() string {
	n := 0
	for _, a := range v.Approvals {
		if a.State == "waiting" || a.State == "ready" {
			n++
		}
	}
	if n == 0 {
		return "Nothing waits for people."
	}
	return units.Plural(int64(n), "plan waits.", "plans wait.") + " Nothing of it changes anything before enough people agree."
}

func (v ApprovalsView) table() kit.TableView {
	t := kit.TableView{
		ID: "approvals", Caption: "Plans that need people",
		Columns: []kit.Column{{Label: "Plan"}, {Label: "Changes"}, {Label: "Proposed by"}, {Label: "Said yes", Kind: kit.NumberColumn}, {Label: "State"}, {Label: "Until"}},
		Empty:   kit.EmptyView{Tone: kit.OK, Title: "Nothing waits for people", Text: "Imports where two must agree, changes of trust, keys and time stand here."},
	}
	for _, a := range v.Approvals {
		t.Rows = append(t.Rows, kit.Row{Cells: []kit.Node{
			kit.Join(kit.To("/approvals/"+a.Digest, orWords(a.Subject, a.Kind)), kit.Digest(a.Digest)), kit.Text(kindWords(a.Kind)),
			kit.Join(kit.Text(a.Proposer), since(a.CreatedAt, v.Now, "")), kit.Text(units.Count(int64(len(a.Grants))) + " of " + units.Count(int64(a.Need))), approvalBadge(a.State), day(a.ExpiresAt),
		}})
	}
	return t
}

// lead is how the plan stands.
func (v ApprovalView) lead() string {
	a := v.Plan
	switch a.State {
	case "waiting":
		return "Proposed by " + a.Proposer + ". " + units.Count(int64(len(a.Grants))) + " of " + units.Plural(int64(a.Need), "person has", "people have") + " said yes. Nothing is changed until enough agree."
	case "ready":
		return "Enough people agreed. It can be done now."
	case "used":
		return "It was done."
	case "denied":
		return "It was denied. Nothing was changed."
	case "expired":
		return "It expired. Nothing was changed; it must be proposed anew."
	}
	return "It is over: " + a.Over + "."
}

func (v ApprovalView) facts() []kit.Def {
	a := v.Plan
	list := []kit.Def{
		{Term: "Changes", Value: kit.Text(kindWords(a.Kind))},
		{Term: "Digest", Value: kit.Digest(a.Digest), Explain: "what people agree to is exactly this; another plan has another digest"},
		{Term: "Proposed", Value: kit.Join(kit.Text(a.Proposer), since(a.CreatedAt, v.Now, ""))},
		{Term: "Until", Value: day(a.ExpiresAt)},
	}
	for _, g := range a.Grants {
		list = append(list, kit.Def{Term: "Yes", Value: kit.Join(kit.Strong(g.Person), since(g.At, v.Now, ""), kit.If(g.Reason != "", kit.Soft(g.Reason)))})
	}
	if a.Denied != nil {
		list = append(list, kit.Def{Term: "No", Value: kit.Join(kit.Strong(a.Denied.Person), since(a.Denied.At, v.Now, ""), kit.Soft(a.Denied.Reason))})
	}
	return list
}

func (v ApprovalView) href(verb string) string { return "/approvals/" + v.Plan.Digest + "/" + verb }

// mine tells whether who looks has said yes already.
func (v ApprovalView) mine() bool {
	for _, g := range v.Plan.Grants {
		if g.Person == v.Person {
			return true
		}
	}
	return false
}

// open tells whether people may still speak about it.
func (v ApprovalView) open() bool { return v.Plan.State == "waiting" || v.Plan.State == "ready" }

// needsMedium tells whether doing it reads a medium again.
func (v ApprovalView) needsMedium() bool { return v.Plan.Kind == "import" || v.Plan.Kind == "trust" }

// canGo tells whether this page can do it.
func (v ApprovalView) canGo() bool {
	return v.Plan.State == "ready" && v.MayGo && (v.needsMedium() || v.Plan.Kind == "keys")
}

// medium is the field for where the medium is, with what is known of it.
func (v ApprovalView) medium() kit.FieldView {
	f := kit.FieldView{Name: "path", Label: "The stick it is on", Hint: "It is read and proven again.", Required: true, Mono: true, MaxLength: 4000}
	if v.Visit != nil {
		f.Value = v.Visit.Path
		return f
	}
	for _, m := range v.Media {
		if m.Ours {
			f.Value = m.Path
		}
	}
	return f
}

// elsewhere is where a plan of another kind is gone on with.
func (v ApprovalView) elsewhere() kit.Link {
	switch v.Plan.Kind {
	case "time":
		return kit.Link{Label: "Time", Href: "/time?" + url.Values{"approve": {v.Plan.Digest}}.Encode()}
	case "hold":
		return kit.Link{Label: "Feeds", Href: "/feeds"}
	}
	return kit.Link{}
}
