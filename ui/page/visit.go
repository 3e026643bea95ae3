package page

import (
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"sallyport/internal/code"
	"sallyport/internal/units"
	"sallyport/internal/wire"
	"sallyport/ui/kit"
)

// VisitView is an import or an exchange at one of its steps: Verify, Plan, Approve or Done. Which one follows from the job.
type VisitView struct {
	Now       time.Time
	Site      string
	Job       wire.Job
	Exchange  bool   // both halves of a visit
	Planning  bool   // the job only looks
	Path      string // of the medium
	In        *wire.Imported
	Out       *wire.Exchanged
	Approval  *wire.Approval // of the plan, once somebody said yes
	People    int            // who must say yes as the configuration has it: 0, 1, 2
	Person    string         // who looks at the page
	May       bool           // they may import
	MayAgree  bool           // they may approve
	MayAdd    bool           // they may add a peer
	Strangers []string       // names on cards of the medium that are not trusted here
}

// Stage is a step of the wizard.
type Stage int

// The steps, in order.
const (
	Choosing Stage = iota
	Verifying
	Planning
	Approving
	Finished
)

// Stage is where the visit is.
func (v VisitView) Stage() Stage {
	switch {
	case !v.Job.Finished() && v.Planning:
		return Verifying
	case !v.Job.Finished():
		return Approving
	case v.planned() && v.failure() == "":
		return Planning
	case v.waitsForPeople():
		return Approving
	case v.failure() == code.PlanChanged:
		return Planning
	case v.In == nil && v.Out == nil:
		return Verifying
	}
	return Finished
}

// planned tells whether something stands in the result that is only a plan yet.
func (v VisitView) planned() bool {
	if v.In != nil && !v.In.Applied {
		for _, o := range v.In.Outcomes {
			if o.Decision == "planned" {
				return true
			}
		}
	}
	return v.Planning && v.Out != nil && len(v.Out.Due) > 0
}

// failure is the code that the job ended with; "" for none. A cancelled one has its own.
func (v VisitView) failure() code.Code {
	if v.Job.Error == nil {
		return ""
	}
	return code.Code(v.Job.Error.Code)
}

// waitsForPeople tells whether a plan was approved, and by too few yet.
func (v VisitView) waitsForPeople() bool {
	return v.failure() == code.PlanApproval || v.failure() == code.FastForward && v.Approval != nil
}

// root is the address of the wizard.
func (v VisitView) root() string {
	if v.Exchange {
		return "/exchange/" + v.Job.ID
	}
	return "/import/" + v.Job.ID
}

func (v VisitView) again() string { return "/import/" + v.Job.ID + "/again" }

// Title names the visit by what is on the medium, else by the medium.
func (v VisitView) Title() string {
	what := "Import"
	if v.Exchange {
		what = "Exchange with"
	}
	if v.In != nil && !v.Exchange {
		var names []string
		for _, o := range v.In.Outcomes {
			if o.Plan.Name != "" && o.Decision != "skipped" {
				names = append(names, o.Plan.Name)
			}
		}
		if len(names) == 1 {
			return what + " " + names[0]
		}
	}
	return what + " " + filepath.Base(v.Path)
}

// lead is where things are, in a sentence.
func (v VisitView) lead() string {
	from := "From " + v.Path + ". "
	switch v.Stage() {
	case Verifying:
		if v.Job.Finished() {
			return from + "It went no further. Nothing was changed."
		}
		return from + "Every byte is read and proven before anything else. Nothing is changed until you approve."
	case Planning:
		return from + "Nothing is changed until you approve."
	case Approving:
		if v.waitsForPeople() {
			return from + "Approved by " + v.names() + ". Nothing is changed until enough people agree."
		}
		return from + "It is taken in now. You may close this page: it goes on."
	}
	return from + "What became of it stands below, and in the receipt."
}

// names are those who said yes.
func (v VisitView) names() string {
	if v.Approval == nil || len(v.Approval.Grants) == 0 {
		return "nobody yet"
	}
	var list []string
	for _, g := range v.Approval.Grants {
		list = append(list, g.Person)
	}
	return strings.Join(list, " and ")
}

// steps is the wizard's row of five.
func (v VisitView) steps() []kit.Step {
	labels := []string{"Choose", "Verify", "Plan", "Approve", "Done"}
	at := v.Stage()
	list := make([]kit.Step, len(labels))
	for i, l := range labels {
		list[i].Label = l
		switch {
		case Stage(i) < at:
			list[i].State = kit.StepDone
		case Stage(i) == at:
			list[i].State = kit.StepNow
		}
	}
	list[0].Href = "/import"
	if v.stuck() {
		list[at].State = kit.StepFailed
	} else if at == Finished {
		list[at].State = kit.StepDone
	}
	return list
}

// stuck tells whether the step failed: an error that is not "later", "older" or "nothing for us".
func (v VisitView) stuck() bool {
	switch v.failure() {
	case "", code.PlanApproval, code.Rollback, code.NothingForUs, code.Parked:
		return v.Job.State == "cancelled"
	}
	return !v.waitsForPeople()
}

// proofs are the facts so far: of the result when there is one, else what the job has said.
func (v VisitView) proofs() kit.ProofsView {
	p := kit.ProofsView{ID: "proofs", Live: !v.Job.Finished()}
	for _, b := range v.bundles() {
		for _, f := range b.Proven {
			p.Items = append(p.Items, kit.Proof{Tone: kit.OK, Text: f.What, Detail: f.Detail})
		}
	}
	if len(p.Items) == 0 {
		p.Items = Facts(v.Job.Notes)
	}
	if v.In != nil {
		for _, o := range v.In.Outcomes {
			if o.Decision == "refused" && o.Code != string(code.Rollback) {
				p.Items = append(p.Items, kit.Proof{Tone: kit.Bad, Text: upper(code.Lookup(code.Code(o.Code)).Summary), Detail: o.Plan.Name})
			}
		}
	}
	if !v.Job.Finished() {
		p.Items = append(p.Items, kit.Proof{Tone: kit.Accent, Text: orWords(jobStage(v.Job), "Looking at the medium")})
	}
	return p
}

func orWords(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// outcomes are what became of each bundle.
func (v VisitView) outcomes() kit.TableView {
	t := kit.TableView{
		ID: "outcomes", Caption: "What became of each bundle",
		Columns: []kit.Column{{Label: "Bundle"}, {Label: "Became"}, {Label: "In words"}, {Label: "Receipt"}},
		Empty:   kit.EmptyView{Title: "No bundle for this site", Text: "Nothing was opened."},
	}
	for _, o := range v.In.Outcomes {
		receipt := dash()
		switch {
		case o.Receipt != "":
			receipt = kit.To("/receipts/"+o.Receipt, o.Receipt)
		case o.Quarantine != "":
			receipt = kit.To("/quarantine/"+o.Quarantine, o.Quarantine)
		}
		said := kit.Text(kit.ByPage(o.Sentence))
		if o.Spoken != "" {
			said = kit.Lines(said, kit.Join(kit.Soft("To confirm it by phone, read these six words:"), kit.Words(o.Spoken)))
		}
		t.Rows = append(t.Rows, kit.Row{Tone: outcomeTone(o), Cells: []kit.Node{
			kit.Text(nameOr(o.Plan.Name, filepath.Base(o.Dir))), DecisionBadge(o.Decision, o.Code), said, receipt,
		}})
	}
	return t
}

func outcomeTone(o wire.Outcome) kit.Tone {
	if o.Decision == "refused" && o.Code != string(code.Rollback) {
		return kit.Bad
	}
	return kit.Plain
}

// notices are the refusals, each with code, place and next step.
func (v VisitView) notices() (list []kit.NoticeView) {
	if v.In != nil {
		for _, o := range v.In.Outcomes {
			if n, ok := v.refusal(o); ok {
				list = append(list, n)
			}
		}
	}
	if e := v.Job.Error; e != nil && !v.saidAlready(e) {
		n := ErrorOf(e)
		if v.failure() == code.RootUnknown && v.MayAdd {
			n.Link = kit.Link{Label: "Compare its card", Href: AddHref(v.Path, v.Job.ID)}
		}
		list = append(list, n)
	}
	return list
}

// saidAlready tells whether an error is that of an outcome, or no failure at all.
func (v VisitView) saidAlready(e *wire.Error) bool {
	if v.waitsForPeople() || v.Stage() == Finished && (v.failure() == code.NothingForUs || v.failure() == code.Rollback) {
		return true
	}
	if v.In != nil {
		for _, o := range v.In.Outcomes {
			if o.Code == e.Code {
				return true
			}
		}
	}
	return false
}

// refusal is the notice of one outcome that was refused or waits.
func (v VisitView) refusal(o wire.Outcome) (kit.NoticeView, bool) {
	if o.Code == "" || o.Code == string(code.Rollback) || o.Decision != "refused" && o.Decision != "waiting" && o.Decision != "parked" {
		return kit.NoticeView{}, false
	}
	n := kit.NoticeView{Tone: kit.Bad, Title: kit.ByPage(o.Sentence), Code: o.Code, File: o.Dir, Next: kit.ByPage(o.Next), Help: "/help/codes/" + o.Code}
	if o.Decision != "refused" {
		n.Tone = kit.Unknown
	}
	if o.Quarantine != "" {
		n.Link = kit.Link{Label: "Quarantine " + o.Quarantine, Href: "/quarantine/" + o.Quarantine}
	}
	if stranger(o.Code) && len(v.Strangers) > 0 && v.MayAdd {
		n.Link = kit.Link{Label: "Compare the card of " + strings.Join(v.Strangers, " or "), Href: AddHref(v.Path, v.Job.ID)}
	}
	return n, true
}

// stranger tells whether a code says that somebody is not known here.
func stranger(c string) bool {
	return c == string(code.SignerUnknown) || c == string(code.RootUnknown)
}

// AddHref is the page on which a card of a medium is compared; job is the visit to go on with, "" for none.
func AddHref(path, job string) string {
	q := url.Values{"path": {path}}
	if job != "" {
		q.Set("job", job)
	}
	return "/peers/add?" + q.Encode()
}

// due is the second half of an exchange: what goes out, for whom and why.
func (v VisitView) due() kit.TableView {
	t := kit.TableView{
		ID: "due", Caption: "What goes out",
		Columns: []kit.Column{{Label: "For"}, {Label: "What and why"}, {Label: "State"}},
		Empty:   kit.EmptyView{Title: "Nothing is due", Text: "Whoever was met on this stick has all there is, or nobody was met on it."},
	}
	for _, d := range v.Out.Due {
		state := kit.Badge(kit.Unknown, "to be written")
		if d.Owed {
			state = kit.Badge(kit.Warn, "owed: the stick is read-only")
		} else if len(v.Out.Written) > 0 {
			state = kit.Badge(kit.OK, "written")
		}
		t.Rows = append(t.Rows, kit.Row{Cells: []kit.Node{kit.To("/peers/"+url.PathEscape(d.Peer), d.Peer), kit.Text(d.Why), state}})
	}
	return t
}

// written is what lies on the stick now.
func (v VisitView) written() kit.TableView {
	t := kit.TableView{
		ID: "written", Caption: "What was written",
		Columns: []kit.Column{{Label: "For"}, {Label: "Bundle"}, {Label: "Size", Kind: kit.NumberColumn}},
		Empty:   kit.EmptyView{Title: "Nothing was written"},
	}
	for _, w := range v.Out.Written {
		t.Rows = append(t.Rows, kit.Row{Cells: []kit.Node{kit.Text(w.For), kit.To("/exports/"+w.Run, w.Name), kit.Bytes(w.Bytes)}})
	}
	return t
}

// sentence is the last word of the visit.
func (v VisitView) sentence() string {
	if v.Out != nil && v.Out.Sentence != "" {
		return kit.ByPage(v.Out.Sentence)
	}
	if v.In != nil && v.In.Sentence != "" {
		return kit.ByPage(v.In.Sentence)
	}
	if v.Job.Error != nil {
		return upper(v.Job.Error.Message) + "."
	}
	return "It is over."
}

// tone is how it ended.
func (v VisitView) tone() kit.Tone {
	switch {
	case v.stuck():
		return kit.Bad
	case v.Job.Error != nil:
		return kit.Unknown
	}
	return kit.OK
}

// trust are changes of trust that were seen, and never applied by an import.
func (v VisitView) trust() (list []kit.NeedView) {
	if v.In == nil {
		return nil
	}
	for _, t := range v.In.Trust {
		list = append(list, kit.NeedView{
			Tone: kit.Warn, Title: kit.ByPage(t.Sentence), Why: "An import never changes trust: it is looked at and agreed to by itself.",
			Action: kit.ButtonView{Label: "Trust", Href: "/trust/plan?" + url.Values{"path": {v.Path}}.Encode()},
		})
	}
	return list
}

// hasReceipt tells whether there is something to print.
func (v VisitView) hasReceipt() bool {
	if v.In == nil {
		return false
	}
	for _, o := range v.In.Outcomes {
		if o.Receipt != "" {
			return true
		}
	}
	return false
}

// waitingCard is what a second person needs to know.
func (v VisitView) waitingFacts() []kit.Def {
	list := []kit.Def{{Term: "Said yes", Value: kit.Text(v.names())}}
	if a := v.Approval; a != nil {
		list = append(list,
			kit.Def{Term: "Needed", Value: kit.Text(units.Plural(int64(a.Need), "person", "people"))},
			kit.Def{Term: "Until", Value: day(a.ExpiresAt)},
			kit.Def{Term: "Plan", Value: kit.Digest(a.Digest)},
		)
	}
	return list
}

// ready tells whether enough people agreed.
func (v VisitView) ready() bool { return v.Approval != nil && v.Approval.State == "ready" }

// own tells whether who looks has said yes already.
func (v VisitView) own() bool {
	if v.Approval == nil {
		return false
	}
	for _, g := range v.Approval.Grants {
		if g.Person == v.Person {
			return true
		}
	}
	return false
}

// approveLabel is what the button of the plan does.
func (v VisitView) approveLabel() string {
	switch {
	case v.In != nil && len(v.In.Plan.Bundles) > 0 && v.Exchange:
		return "Approve this plan and exchange"
	case v.In != nil && len(v.In.Plan.Bundles) > 0:
		return "Approve this plan"
	case v.Exchange:
		return "Write it"
	}
	return "Take it in"
}

func (v VisitView) jobTitle() string {
	if v.Planning {
		return "Verifying"
	}
	return "Taking it in"
}

// job is the running job without its title: the card has one.
func (v VisitView) job() kit.JobView {
	j := JobOf(v.Job)
	j.Title, j.Href = filepath.Base(v.Path), ""
	if !v.May {
		j.Cancel = ""
	}
	return j
}

// strangerNeeds lead to comparing a card.
func (v VisitView) strangerNeeds() (list []kit.NeedView) {
	for _, s := range v.Strangers {
		list = append(list, kit.NeedView{
			Tone: kit.Unknown, Title: "The card of " + s + " is on this stick, and this site does not know it",
			Why: "Compare its nine words by phone or letter; then what it signed can come in.", Action: kit.ButtonView{Label: "Compare", Href: AddHref(v.Path, v.Job.ID), Kind: kit.Primary},
		})
	}
	return list
}

// saidByNotice tells whether a refusal on the page says the last word already.
func (v VisitView) saidByNotice() bool {
	for _, n := range v.notices() {
		if n.Title == v.sentence() {
			return true
		}
	}
	return false
}

// tabled tells whether the table of outcomes says more than the sentence above it.
func (v VisitView) tabled() bool {
	if v.In == nil || len(v.In.Outcomes) == 0 {
		return false
	}
	o := v.In.Outcomes[0]
	return len(v.In.Outcomes) > 1 || o.Receipt != "" || o.Spoken != ""
}

// manyFeeds tells whether the feeds of a plan need a table: one that would be active is told by the numbers above it.
func (v VisitView) manyFeeds() bool {
	t := v.feeds()
	return len(t.Rows) > 1 || len(t.Rows) == 1 && v.In.Plan.Bundles[0].Decision == "held"
}

// maxFew is how many examples of each sort of change a page shows.
const maxFew = 5

// few are the first examples of each sort.
func few(list []wire.Example) (some []wire.Example) {
	n := map[string]int{}
	for _, x := range list {
		if n[x.What]++; n[x.What] <= maxFew {
			some = append(some, x)
		}
	}
	return some
}
