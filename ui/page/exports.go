package page

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"sallyport/internal/units"
	"sallyport/internal/wire"
	"sallyport/ui/kit"
)

// ExportsView is the list of runs, newest first.
type ExportsView struct {
	Runs   []wire.Run
	Status string // only those in this state
	First  string
	Next   string
	Now    time.Time
	Make   bool // the person may submit runs
	Peers  int
}

// RunHref is the page of a run.
func RunHref(id string) string { return "/exports/" + url.PathEscape(id) }

// runStates are the filters of the list, with their words.
func runStates() [][2]string {
	return [][2]string{{"", "All"}, {"unfinished", "Under way"}, {"succeeded", "Made"}, {"failed", "Failed"}, {"cancelled", "Cancelled"}}
}

func (v ExportsView) address(status string) string {
	if status == "" {
		return "/exports"
	}
	return "/exports?status=" + url.QueryEscape(status)
}

func (v ExportsView) tabs() kit.TabsView {
	t := kit.TabsView{Label: "State", Pills: true}
	for _, s := range runStates() {
		t.Items = append(t.Items, kit.Tab{Label: s[1], Href: v.address(s[0]), Current: v.Status == s[0]})
	}
	return t
}

func (v ExportsView) actions() []kit.ButtonView {
	if !v.Make {
		return nil
	}
	return []kit.ButtonView{{Label: "New export", Href: "/exports/new", Kind: kit.Primary}, {Label: "Confirm by voice", Href: "/exports/confirm"}}
}

func (v ExportsView) table() kit.TableView {
	t := kit.TableView{
		ID: "runs", Caption: "Export runs", CSV: strings.Replace(v.address(v.Status), "/exports", "/exports.csv", 1), Pager: kit.PagerView{First: v.First, Next: v.Next},
		Columns: []kit.Column{{Label: "Bundle"}, {Label: "For"}, {Label: "What"}, {Label: "Size", Kind: kit.NumberColumn}, {Label: "When"}, {Label: "State"}},
		Empty:   v.empty(),
	}
	for _, r := range v.Runs {
		t.Rows = append(t.Rows, kit.Row{Cells: []kit.Node{
			kit.To(RunHref(r.ID), runName(r)), orDash(strings.Join(r.Peers, ", ")), kit.Text(runWhat(r)), sizeOr(r.Bytes), since(r.CreatedAt, v.Now, "unknown"), RunBadge(r),
		}})
	}
	return t
}

func (v ExportsView) empty() kit.EmptyView {
	switch {
	case v.Status != "":
		return kit.EmptyView{Title: "No run is in this state", Action: kit.ButtonView{Label: "All runs", Href: "/exports"}}
	case v.Peers == 0:
		return kit.EmptyView{Title: "Nothing was exported yet", Text: "A bundle is encrypted for a peer. Take in the card of the other side first.", Action: kit.ButtonView{Label: "Add a peer", Href: "/peers/add", Kind: kit.Primary}}
	}
	e := kit.EmptyView{Title: "Nothing was exported yet", Text: "An export writes signed, encrypted bundles for one peer or for many."}
	if v.Make {
		e.Action = kit.ButtonView{Label: "New export", Href: "/exports/new", Kind: kit.Primary}
	}
	return e
}

func sizeOr(n int64) kit.Node {
	if n == 0 {
		return dash()
	}
	return kit.Bytes(n)
}

// runName is the bundle's name, or the run's id while it has none.
func runName(r wire.Run) string {
	if r.Name != "" {
		return r.Name
	}
	return "run " + r.ID
}

// runWhat says in a few words what a run carries.
func runWhat(r wire.Run) string {
	what := r.Variant
	if r.Kind == "outbound" {
		what = "receipts and inventory"
	}
	switch {
	case r.Changes != nil:
		what += fmt.Sprintf(": +%s ~%s −%s", units.Count(r.Changes.Added), units.Count(r.Changes.Changed), units.Count(r.Changes.Removed))
	case r.Records > 0:
		what += ": " + units.Plural(r.Records, "record", "records")
	}
	return what
}

// Over tells whether nothing more happens to a run.
func Over(r wire.Run) bool {
	return slices.Contains([]string{"succeeded", "failed", "cancelled", "expired"}, r.State)
}

// RunBadge is how a run stands.
func RunBadge(r wire.Run) kit.Node {
	switch s := r.Status(); s {
	case "delivered":
		return kit.Badge(kit.OK, "delivered")
	case "confirmed by voice":
		return kit.Badge(kit.OK, s)
	case "succeeded":
		return kit.Badge(kit.Accent, "made, not answered yet")
	case "failed":
		return kit.Badge(kit.Bad, "failed")
	case "cancelled":
		return kit.Badge(kit.Unknown, "cancelled")
	case "expired":
		return kit.Badge(kit.Unknown, "no longer on the shelf")
	default:
		return kit.Badge(kit.Unknown, s)
	}
}

// ExportView is one run.
type ExportView struct {
	Run    wire.Run
	Files  []wire.ShelfFile // on the shelf; empty when there are none or they are gone
	Gone   string           // why there are no files, when there should be
	Now    time.Time
	Manage bool // the person may cancel, retry and write
	Take   bool // the person may download
}

// asked is the part of a run's request that people want to see again.
type asked struct {
	To          string   `json:"to"`
	Unencrypted bool     `json:"unencrypted"`
	VolumeBytes int64    `json:"volumeBytes"`
	Feeds       []string `json:"feeds"`
	Base        string   `json:"base"`
	Reset       bool     `json:"resetBaseline"`
	Anonymous   bool     `json:"anonymous"`
}

func (v ExportView) asked() (q asked) {
	if json.Unmarshal(v.Run.Request, &q) != nil {
		return asked{}
	}
	return q
}

func (v ExportView) lead() string {
	r := v.Run
	whom := strings.Join(r.Peers, ", ")
	if whom == "" {
		whom = "everybody"
	}
	switch r.Status() {
	case "delivered":
		return "Every addressee answered that it holds exactly this."
	case "confirmed by voice":
		return whom + " confirmed it by voice. Its receipt proves it when it comes."
	case "succeeded":
		if to := v.asked().To; to != "" {
			return fmt.Sprintf("Done. Safe to remove: %s. Everything was read back past the cache.", to)
		}
		return "Made and verified. It lies on the shelf until it is written to a stick or downloaded."
	case "failed":
		return "This run did not come to its end. Nothing that left this appliance is harmed by it."
	case "cancelled":
		return "This run was cancelled."
	case "expired":
		return "Retention removed the files of this run. What it said stays here."
	}
	return "Under way for " + whom + ". This page may be closed; the run goes on."
}

// runSteps are the states on the way, with their words.
func runSteps() [][2]string {
	return [][2]string{{"pending", "Waiting"}, {"planning", "Plan"}, {"running", "Build"}, {"signing", "Sign"}, {"verifying", "Verify"}, {"distributing", "Write"}, {"succeeded", "Done"}}
}

func (v ExportView) stepper() []kit.Step {
	steps := runSteps()
	at := slices.IndexFunc(steps, func(s [2]string) bool { return s[0] == v.Run.State })
	if v.Run.State == "expired" {
		at = len(steps) - 1
	}
	if at < 0 { // failed or cancelled: where it ended is told by what was reached
		at = v.reached()
	}
	list := make([]kit.Step, 0, len(steps))
	for i, s := range steps {
		step := kit.Step{Label: s[1], State: kit.StepTodo}
		switch {
		case i < at, i == at && at == len(steps)-1:
			step.State = kit.StepDone
		case i == at && (v.Run.State == "failed" || v.Run.State == "cancelled"):
			step.State = kit.StepFailed
		case i == at:
			step.State = kit.StepNow
		}
		list = append(list, step)
	}
	return list
}

// reached is the step at which a run ended, from what it left behind.
func (v ExportView) reached() int {
	switch {
	case v.Run.StartedAt == "":
		return 0
	case v.Run.ErrorCode == "signing":
		return 3
	case v.Run.ErrorCode == "verify":
		return 4
	case v.Run.Shelf != "":
		return 5
	case v.Run.Name != "":
		return 2
	}
	return 1
}

// job is the live part of a run.
func (v ExportView) job() kit.JobView {
	return RunJob(v.Run, v.Manage)
}

// RunJob is a run as a job: the part of the page that moves.
func RunJob(r wire.Run, manage bool) kit.JobView {
	j := kit.JobView{ID: r.ID, Title: runTitle(r), Href: RunHref(r.ID), State: kit.JobRunning, Stage: stageWords(r.State)}
	if p := r.Progress; p != nil {
		j.Stage, j.Rate, j.ETA = stageWords(p.Stage), p.Rate, seconds(p.ETA)
		if p.TotalBytes > 0 {
			j.Done, j.Total, j.Bytes = p.Bytes, p.TotalBytes, true
		} else {
			j.Done, j.Total = p.Items, p.TotalItems
		}
	}
	switch r.State {
	case "pending":
		j.State = kit.JobWaiting
	case "succeeded", "expired":
		j.State = kit.JobDone
	case "failed":
		j.State = kit.JobFailed
		j.Error = &kit.NoticeView{Tone: kit.Bad, Title: "The run failed", Text: r.Message, Code: r.Code, Help: "/help/codes/" + url.PathEscape(r.Code)}
	case "cancelled":
		j.State = kit.JobCancelled
	}
	if manage && !Over(r) {
		j.Cancel = RunHref(r.ID) + "/cancel"
	}
	return j
}

func runTitle(r wire.Run) string {
	if r.Name != "" {
		return r.Name
	}
	return r.Profile
}

// stageWords says what is being done, for people.
func stageWords(stage string) string {
	switch stage {
	case "pending":
		return "waiting for its turn"
	case "planning":
		return "planning what to carry"
	case "running":
		return "packing and encrypting"
	case "signing":
		return "signing"
	case "verifying":
		return "verifying what was made"
	case "distributing":
		return "writing"
	case "distributing: write":
		return "writing to the stick"
	case "distributing: read back":
		return "reading back from the stick"
	}
	return strings.TrimPrefix(stage, "distributing: ")
}

func (v ExportView) facts() []kit.Def {
	r, q := v.Run, v.asked()
	list := []kit.Def{
		{Term: "For", Value: orDash(strings.Join(r.Peers, ", "))},
		{Term: "What", Value: kit.Text(runWhat(r))},
		{Term: "Encrypted", Value: encrypted(r, q)},
		{Term: "Size", Value: sizeOr(r.Bytes)},
		{Term: "Asked for by", Value: kit.Join(orDash(r.By), since(r.CreatedAt, v.Now, ""))},
		{Term: "Attempt", Value: kit.Count(int64(r.Attempt))},
	}
	if r.FinishedAt != "" {
		list = append(list, kit.Def{Term: "Ended", Value: since(r.FinishedAt, v.Now, "")})
	}
	if q.To != "" {
		list = append(list, kit.Def{Term: "Written to", Value: kit.Code(q.To)})
	}
	if q.VolumeBytes > 0 {
		list = append(list, kit.Def{Term: "Volumes of at most", Value: kit.Bytes(q.VolumeBytes)})
	}
	list = append(list, kit.Def{Term: "Bundle id", Value: digestOr(r.BundleID)}, kit.Def{Term: "Label id", Value: digestOr(r.LabelID)})
	return list
}

func encrypted(r wire.Run, q asked) kit.Node {
	if q.Unencrypted {
		return kit.Badge(kit.Warn, "in clear, readable by everybody")
	}
	return kit.Text("for " + strings.Join(r.Peers, ", "))
}

func (v ExportView) feeds() kit.TableView {
	t := kit.TableView{ID: "carried", Caption: "What it carries", Columns: []kit.Column{{Label: "Feed"}, {Label: "Generation", Kind: kit.NumberColumn}, {Label: "State root"}, {Label: "Builds on"}}}
	for _, f := range v.Run.Feeds {
		var bases []string
		for _, b := range v.Run.Bases {
			if b.Ref == f.Ref {
				bases = append(bases, generation(b.Epoch, b.Generation))
			}
		}
		t.Rows = append(t.Rows, kit.Row{Cells: []kit.Node{kit.Text(f.Ref.Name), kit.Text(generation(f.Epoch, f.Generation)), digestOr(f.Root), orDash(strings.Join(bases, " or "))}})
	}
	return t
}

// answers lists what each addressee said, also those that have not yet.
func (v ExportView) answers() kit.TableView {
	t := kit.TableView{
		ID: "answers", Caption: "Who received it", Columns: []kit.Column{{Label: "Peer"}, {Label: "Answer"}, {Label: "How"}, {Label: "When"}},
		Empty: kit.EmptyView{Title: "It is for nobody in particular", Text: "Nobody is asked for a receipt."},
	}
	for _, p := range v.Run.Peers {
		d, ok := v.Run.Deliveries[p]
		row := []kit.Node{kit.To("/peers/"+url.PathEscape(p), p), kit.Badge(kit.Unknown, "not answered yet"), dash(), dash()}
		if ok {
			tone := kit.Warn
			if d.Covers {
				tone = kit.OK
			}
			row = []kit.Node{row[0], kit.Badge(tone, decisionWords(d.Decision)), kit.Text("by " + d.How), since(d.At, v.Now, "")}
		}
		t.Rows = append(t.Rows, kit.Row{Cells: row})
	}
	return t
}

// decisionWords are the words for what became of a bundle.
func decisionWords(decision string) string {
	switch decision {
	case "already-active":
		return "was active already"
	case "already-held":
		return "was held already"
	case "parked":
		return "kept, waiting"
	}
	return decision
}

func (v ExportView) files() kit.TableView {
	t := kit.TableView{
		ID: "files", Caption: "Files on the shelf", Columns: []kit.Column{{Label: "File"}, {Label: "Size", Kind: kit.NumberColumn}, {Label: "Digest"}},
		Empty: kit.EmptyView{Tone: kit.Unknown, Title: "No files on the shelf", Text: v.Gone},
	}
	if v.Take {
		t.Columns = append(t.Columns, kit.Column{Label: "Download", Kind: kit.ActionColumn})
	}
	for _, f := range v.Files {
		row := kit.Row{Cells: []kit.Node{kit.Text(f.Name), kit.Bytes(f.Bytes), kit.Digest(f.Digest)}}
		if v.Take {
			row.Cells = append(row.Cells, kit.PostButton(kit.PostView{Action: RunHref(v.Run.ID) + "/files/" + url.PathEscape(f.Name), Label: "Download", Context: " " + f.Name}))
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// waits tells whether an addressee has not answered yet.
func (v ExportView) waits() bool {
	return v.Run.State == "succeeded" && v.Run.Kind == "mirror" && !v.Run.Delivered && len(v.Run.Peers) > 0
}

func (v ExportView) actions() (list []kit.ButtonView) {
	if v.Manage && v.waits() {
		list = append(list, kit.ButtonView{Label: "Confirm by voice", Href: "/exports/confirm?peer=" + url.QueryEscape(v.Run.Peers[0])})
	}
	return list
}

// retriable tells whether the run may be tried again.
func (v ExportView) retriable() bool {
	return v.Manage && (v.Run.State == "failed" || v.Run.State == "cancelled")
}
