package kit

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"sallyport/internal/code"
	"sallyport/internal/units"
)

// StepState is how far a step of a wizard is.
type StepState string

// The states of a step.
const (
	StepTodo   StepState = ""
	StepDone   StepState = "done"
	StepNow    StepState = "now"
	StepFailed StepState = "failed"
)

// Step is one step of a wizard; Href leads back to a step that can be seen again.
type Step struct {
	Label, Href string
	State       StepState
}

// ProofsView is what was proven so far, growing line by line.
type ProofsView struct {
	ID    string
	Items []Proof
	Live  bool // new lines are announced politely
}

// Proof is one line of what was checked; Accent is the one that is being checked now.
type Proof struct {
	Tone         Tone
	Text, Detail string
}

// JobState is the state of a long task.
type JobState string

// The states of a job.
const (
	JobWaiting   JobState = "waiting"
	JobRunning   JobState = "running"
	JobDone      JobState = "done"
	JobFailed    JobState = "failed"
	JobCancelled JobState = "cancelled"
)

// JobView is a long task. Its element's id is "job-" and its ID: event streams replace it by that.
type JobView struct {
	ID, Title, Href string
	State           JobState
	Stage           string // what is being done now
	Done, Total     int64  // Total 0 = nobody knows: the bar stays empty
	Bytes           bool   // Done and Total are bytes, else pieces
	Rate            int64  // bytes a second; 0 = not known
	ETA             time.Duration
	Cancel          string   // where the cancel form posts to; "" = it cannot be cancelled
	Log             string   // address of the log
	Notes           []string // sentences that stay
	Result          Link
	Error           *NoticeView
}

// NoticeView is something the reader must know. An error carries its code, place, and what to do next.
type NoticeView struct {
	ID            string
	Tone          Tone
	Title, Text   string
	Code          string
	File, Place   string
	Expected, Got string
	Next          string
	Help          string // address of the code's page
	Link          Link
}

// ErrorNotice is the notice of an error. An error without a code is shown as code.Bug, without its own text.
func ErrorNotice(err error) NoticeView {
	var e *code.Error
	if !errors.As(err, &e) {
		e = &code.Error{Code: code.Bug}
	}
	info := code.Lookup(e.Code)
	v := NoticeView{
		Tone: Bad, Code: string(e.Code), File: e.File, Place: e.Place, Expected: e.Expected, Got: e.Got,
		Title: sentence(info.Summary), Text: sentence(e.Msg), Next: sentence(info.Next), Help: "/help/codes/" + string(e.Code),
	}
	if e.Next != "" {
		v.Next = sentence(e.Next)
	}
	v.Next = ByPage(v.Next)
	if strings.EqualFold(v.Text, v.Title) {
		v.Text = ""
	}
	return v
}

// sentence begins with a capital and ends with a full stop. A first word that is a name with its own capitals, a digit
// or a sign stays as it is.
func sentence(s string) string {
	s = strings.TrimSpace(s)
	if s == "" {
		return ""
	}
	if first, _, _ := strings.Cut(s, " "); first == strings.ToLower(first) && !strings.ContainsAny(first, "./:_-") && s[0] >= 'a' && s[0] <= 'z' {
		s = strings.ToUpper(s[:1]) + s[1:]
	}
	if !strings.ContainsAny(s[len(s)-1:], ".?!:") {
		s += "."
	}
	return s
}

func (v NoticeView) icon() string {
	if v.Tone == Plain || v.Tone == Accent {
		return "info"
	}
	return string(v.Tone)
}

// facts are the lines below a notice's text.
func (v NoticeView) facts() (list []Def) {
	where := v.File
	if v.Place != "" {
		where = strings.TrimPrefix(where+", "+v.Place, ", ")
	}
	for _, f := range []struct{ term, value string }{{"Where", where}, {"Expected", v.Expected}, {"Found", v.Got}} {
		if f.value != "" {
			list = append(list, Def{Term: f.term, Value: Text(f.value)})
		}
	}
	return list
}

func (s StepState) word() string {
	switch s {
	case StepDone:
		return "done"
	case StepNow:
		return "now"
	case StepFailed:
		return "failed"
	}
	return "to come"
}

func (p Proof) word() string {
	if p.Tone == Accent {
		return "being checked"
	}
	if p.Tone == OK {
		return "proven"
	}
	return p.Tone.word()
}

func (v JobView) element() string { return "job-" + v.ID }

func (v JobView) part() float64 {
	if v.State == JobDone {
		return 100
	}
	return share(float64(v.Done), float64(v.Total))
}

func (v JobView) tone() Tone {
	switch v.State {
	case JobDone:
		return OK
	case JobFailed:
		return Bad
	case JobRunning:
		return Accent
	}
	return Plain
}

// line says in words how far a job is: "Verifying · 1.2 of 1.8 GiB · 212 MiB/s · about 3 s".
func (v JobView) line() string {
	var parts []string
	if v.Stage != "" {
		parts = append(parts, v.Stage)
	}
	if v.State != JobRunning {
		return strings.Join(parts, " · ")
	}
	if v.Done > 0 || v.Total > 0 {
		parts = append(parts, v.amount())
	}
	if v.Rate > 0 {
		parts = append(parts, units.Size(v.Rate)+"/s")
	}
	if v.ETA > 0 {
		parts = append(parts, "about "+short(v.ETA.Round(time.Second)))
	}
	return strings.Join(parts, " · ")
}

func (v JobView) amount() string {
	write := units.Count
	if v.Bytes {
		write = units.Size
	}
	if v.Total <= 0 {
		return write(v.Done)
	}
	done, total := write(v.Done), write(v.Total)
	if n, unit, ok := strings.Cut(done, " "); ok && strings.HasSuffix(total, " "+unit) {
		done = n
	}
	return done + " of " + total
}

// spoken is the state for the ear: it changes with the stage and each quarter, so a reader is not flooded.
func (v JobView) spoken() string {
	if v.State != JobRunning {
		return v.Title + ": " + string(v.State)
	}
	if v.Total <= 0 {
		return v.Stage
	}
	return fmt.Sprintf("%s, %d %%", v.Stage, int(v.part())/25*25)
}
