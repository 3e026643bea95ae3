package console

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"sallyport/internal/code"
	"sallyport/internal/marks"
	"sallyport/internal/web"
	"sallyport/internal/wire"
	"sallyport/ui/kit"
)

// Page is what a view gives: the main part, and how it is framed.
type Page struct {
	Title   string
	Body    kit.Node
	Nav     string // href of the entry that is current; "" goes by the first part of the path
	Events  string // stream of what changes on it
	Refresh int    // seconds until a browser without script loads it again
	Status  int    // 0 is 200
	Narrow  bool   // one narrow column
	Sheet   bool   // one printed page

	goTo   string // 303
	served bool   // the view has written the answer itself
}

// served is the page of a view that wrote the answer itself.
var served = Page{served: true}

// view answers one route.
type view func(con *Console, c *Ctx) (Page, error)

// Ctx is one request of one person.
type Ctx struct {
	W   http.ResponseWriter // for downloads and streams alone
	R   *http.Request
	Who web.Actor // zero on a page that is open to everybody

	con     *Console
	reading marks.Reading
}

// ask runs an action as the person who asks. T is what the action answers, or what that points to. A long action that gives
// a result beside its error gives both.
func ask[T any](c *Ctx, action string, in any) (T, error) {
	v, err := c.con.Door.Do(c.R.Context(), c.Who, action, in, nil)
	out, cerr := as[T](v)
	if err != nil {
		return out, err
	}
	return out, cerr
}

// as takes an answer for what it is, through its JSON where it is something else with the same members.
func as[T any](v any) (out T, err error) {
	switch v := v.(type) {
	case nil:
		return out, nil
	case T:
		return v, nil
	case *T:
		if v != nil {
			out = *v
		}
		return out, nil
	}
	b, err := json.Marshal(v)
	if err != nil {
		return out, code.Wrap(code.Bug, err, "an answer does not encode")
	}
	if err := json.Unmarshal(b, &out); err != nil {
		return out, code.Wrap(code.Bug, err, "an answer has another form")
	}
	return out, nil
}

// may tells whether the person may ask for an action, for showing a button.
func (c *Ctx) may(action string) bool {
	err := c.con.Door.Allow(c.Who, action, nil)
	return err == nil || code.Of(err) == code.StepUpNeeded
}

func (c *Ctx) path(name string) string  { return c.R.PathValue(name) }
func (c *Ctx) query(name string) string { return strings.TrimSpace(c.R.URL.Query().Get(name)) }

// form is a field of the posted form, without the blanks around it. Never for secrets: see secret.
func (c *Ctx) form(name string) string { return strings.TrimSpace(c.R.PostFormValue(name)) }

// secret is a field as it was typed.
func (c *Ctx) secret(name string) string { return c.R.PostFormValue(name) }

// to leads to another page after a POST.
func (c *Ctx) to(path string) (Page, error) { return Page{goTo: path}, nil }

// say puts a sentence on the next page.
func (c *Ctx) say(sentence string) { c.con.say(c.Who.Session, sentence) }

// now is the trusted time, read once a request.
func (c *Ctx) now() time.Time { return c.clock().Trusted }

func (c *Ctx) clock() marks.Reading {
	if c.reading.Trusted.IsZero() {
		c.reading = c.con.Now()
	}
	return c.reading
}

// parse reads a stamp of ours; one that cannot be read is zero.
func parse(stamp string) time.Time {
	at, err := time.Parse(time.RFC3339, stamp)
	if err != nil {
		return time.Time{}
	}
	return at.UTC()
}

// jobs starts a long action that goes on when the page is closed.
func (c *Ctx) jobs(action string, in any) (id string, err error) {
	b, err := json.Marshal(in)
	if err != nil {
		return "", code.Wrap(code.Bug, err, "a request does not encode")
	}
	j, err := ask[wire.Job](c, "jobs/start", wire.JobRequest{Action: action, Request: b})
	return j.ID, err
}

// csv sends the answer of a list as a table for a spreadsheet.
func (c *Ctx) csv(name string, answer any) (Page, error) {
	b, err := web.CSV(answer)
	if err != nil {
		return Page{}, err
	}
	c.W.Header().Set("Content-Type", "text/csv; charset=utf-8")
	return c.download(name+".csv", b)
}

// text sends lines as a file.
func (c *Ctx) text(name, body string) (Page, error) {
	c.W.Header().Set("Content-Type", "text/plain; charset=utf-8")
	return c.download(name, []byte(body))
}

func (c *Ctx) download(name string, body []byte) (Page, error) {
	web.Attachment(c.W, name)
	_, _ = c.W.Write(body) // a client that is gone wants no more
	return served, nil
}

// formError tells whether an error is about what was asked, to be shown beside the form, and not about the appliance.
func formError(err error) bool {
	if err == nil {
		return false
	}
	switch code.Of(err) {
	case code.Denied, code.StepUpNeeded, code.SessionOver, code.Bug:
		return false
	}
	switch code.Lookup(code.Of(err)).Kind {
	case code.Unexpected, code.Interrupt:
		return false
	}
	return true
}
