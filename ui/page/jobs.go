package page

import (
	"strings"
	"time"

	"sallyport/internal/units"
	"sallyport/internal/wire"
	"sallyport/ui/kit"
)

// JobsView is the list of jobs.
type JobsView struct {
	Now    time.Time
	Jobs   wire.Jobs
	State  string // the filter; "" is all
	Before string
}

// JobPageView is one job.
type JobPageView struct {
	Now    time.Time
	Job    wire.Job
	Cancel bool // the person may
}

// JobTitle is what a job does, in words.
func JobTitle(j wire.Job) string {
	what := map[string]string{
		"load/run": "Load into", "import/run": "Import from", "exchange/run": "Exchange with", "outbound/write": "Write what is due to",
		"backup/create": "Backup to", "store/scrub": "Check of the store", "media/heal": "Heal from", "trust/apply": "Trust change from",
		"quarantine/release": "Release from quarantine",
	}[j.Action]
	if what == "" {
		what = strings.ReplaceAll(j.Action, "/", " ")
	}
	return strings.TrimSpace(what + " " + j.Subject)
}

// jobHref is where the result of a job is read: a wizard where there is one.
func jobHref(j wire.Job) string {
	switch j.Action {
	case "import/run":
		return "/import/" + j.ID
	case "exchange/run":
		return "/exchange/" + j.ID
	}
	return "/jobs/" + j.ID
}

func jobState(state string) kit.JobState {
	switch state {
	case "pending":
		return kit.JobWaiting
	case "running":
		return kit.JobRunning
	case "failed":
		return kit.JobFailed
	case "cancelled":
		return kit.JobCancelled
	}
	return kit.JobDone
}

// JobOf is a job as a line that lives: it may be cancelled while it is not over.
func JobOf(j wire.Job) kit.JobView {
	v := kit.JobView{
		ID: j.ID, Title: JobTitle(j), Href: jobHref(j), State: jobState(j.State), Log: "/jobs/" + j.ID + "/log", Stage: jobStage(j),
	}
	if !j.Finished() {
		v.Cancel = "/jobs/" + j.ID + "/cancel"
	}
	if p := j.Progress; p != nil {
		v.Done, v.Total, v.Bytes, v.Rate, v.ETA = p.Bytes, p.TotalBytes, true, p.Rate, seconds(p.ETA)
		if p.Bytes == 0 && p.TotalBytes == 0 {
			v.Done, v.Total, v.Bytes = p.Items, p.TotalItems, false
		}
	}
	if j.Error != nil && j.State == "failed" {
		n := ErrorOf(j.Error)
		v.Error = &n
	}
	return v
}

// jobStage says what a job is doing now.
func jobStage(j wire.Job) string {
	switch {
	case j.Position > 0:
		return "waits for " + units.Plural(int64(j.Position), "job", "jobs") + " before it"
	case j.Progress == nil:
		return ""
	}
	stage, name, _ := strings.Cut(j.Progress.Stage, " ")
	words := map[string]string{
		"verify": "Verifying", "index": "Indexing", "commit": "Storing", "look": "Looking", "export": "Writing for", "outbound": "Writing for",
		"backup": "Copying", "scrub": "Checking", "heal": "Healing", "planning": "Planning", "running": "Building", "signing": "Signing",
		"verifying": "Verifying", "distributing": "Copying to the medium", "pending": "Waiting",
	}[stage]
	if words == "" {
		words = upper(stage)
	}
	if name == "" {
		name = j.Progress.Subject
	}
	return strings.TrimSpace(words + " " + name)
}

// ErrorOf is the notice of an error that came with an answer.
func ErrorOf(e *wire.Error) kit.NoticeView {
	if e == nil {
		return kit.NoticeView{}
	}
	return kit.ErrorNotice(e.Err())
}

// Facts are what was proven while a job ran, from its lines.
func Facts(lines []string) (list []kit.Proof) {
	for _, l := range lines {
		if f, ok := wire.ParseFact(l); ok {
			list = append(list, kit.Proof{Tone: kit.OK, Text: f.What, Detail: f.Detail})
		}
	}
	return list
}

func (v JobsView) filters() kit.TabsView {
	t := kit.TabsView{Label: "Which jobs", Pills: true}
	for _, f := range []struct{ state, label string }{{"", "All"}, {"unfinished", "Running"}, {"failed", "Failed"}} {
		href := "/jobs"
		if f.state != "" {
			href += "?state=" + f.state
		}
		t.Items = append(t.Items, kit.Tab{Label: f.label, Href: href, Current: v.State == f.state})
	}
	return t
}

func (v JobsView) table() kit.TableView {
	t := kit.TableView{
		ID: "jobs", Caption: "Jobs",
		Columns: []kit.Column{{Label: "Job"}, {Label: "State"}, {Label: "Asked by"}, {Label: "When"}, {Label: "Took", Kind: kit.NumberColumn}},
		Empty:   kit.EmptyView{Title: "No job", Text: "Imports, exchanges, loads and backups stand here, with their log."},
	}
	for _, j := range v.Jobs.Jobs {
		t.Rows = append(t.Rows, kit.Row{ID: "row-" + j.ID, Cells: []kit.Node{
			kit.To(jobHref(j), JobTitle(j)), jobBadge(j), kit.Text(j.By), since(j.CreatedAt, v.Now, "never"), kit.Text(took(j)),
		}})
	}
	if v.Jobs.Next != "" {
		t.Pager.Next = "/jobs?before=" + v.Jobs.Next
		if v.State != "" {
			t.Pager.Next += "&state=" + v.State
		}
	}
	if v.Before != "" {
		t.Pager.First = "/jobs"
	}
	return t
}

func jobBadge(j wire.Job) kit.Node {
	switch j.State {
	case "succeeded":
		return kit.Badge(kit.OK, "done")
	case "failed":
		if j.Error != nil && j.Error.Code == "approval-needed" {
			return kit.Badge(kit.Unknown, "waits for people")
		}
		return kit.Badge(kit.Bad, "failed")
	case "cancelled":
		return kit.Badge(kit.Plain, "cancelled")
	case "pending":
		return kit.Badge(kit.Unknown, "waiting")
	}
	return kit.Badge(kit.Accent, "running")
}

func took(j wire.Job) string {
	if j.StartedAt == "" {
		return "–"
	}
	d := seconds(j.Seconds)
	if d < time.Minute {
		return units.Plural(j.Seconds, "second", "seconds")
	}
	return units.Age(d)
}

// facts are the lines about one job.
func (v JobPageView) facts() []kit.Def {
	j := v.Job
	list := []kit.Def{
		{Term: "Asked by", Value: kit.Join(kit.Text(j.By), kit.If(j.Via != "", kit.Soft("through the "+j.Via)))},
		{Term: "Asked", Value: since(j.CreatedAt, v.Now, "never")},
		{Term: "Took", Value: kit.Text(took(j))},
	}
	if j.Attempt > 1 {
		list = append(list, kit.Def{Term: "Attempt", Value: kit.Count(int64(j.Attempt)), Explain: "the daemon was started again meanwhile, and took it up"})
	}
	return append(list, kit.Def{Term: "Number", Value: kit.Code(j.ID)})
}

// steps are the stages it went through.
func (v JobPageView) steps() kit.TableView {
	t := kit.TableView{
		ID: "steps", Caption: "Steps",
		Columns: []kit.Column{{Label: "Step"}, {Label: "Done", Kind: kit.NumberColumn}, {Label: "Took", Kind: kit.NumberColumn}},
		Empty:   kit.EmptyView{Title: "No step yet", Text: "It has not begun."},
	}
	for _, s := range v.Job.Steps {
		t.Rows = append(t.Rows, kit.Row{Cells: []kit.Node{
			kit.Text(strings.TrimSpace(upper(s.Stage) + " " + s.Subject)), kit.Text(stepDone(s)), kit.Text(units.Plural(s.Seconds, "second", "seconds")),
		}})
	}
	return t
}

func stepDone(s wire.JobStep) string {
	switch {
	case s.Bytes > 0:
		return units.Size(s.Bytes)
	case s.Items > 0:
		return units.Count(s.Items)
	}
	return "–"
}

// view is the job without its link: one is there.
func (v JobPageView) view() kit.JobView {
	j := JobOf(v.Job)
	j.Href = ""
	if !v.Cancel {
		j.Cancel = ""
	}
	if href := jobHref(v.Job); href != "/jobs/"+v.Job.ID {
		j.Result = kit.Link{Label: "What came of it", Href: href}
	}
	return j
}
