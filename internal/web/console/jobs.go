package console

import (
	"context"

	"sallyport/internal/wire"
	"sallyport/ui/page"
)

// during is the request of a stream while one of its parts is rendered.
func (c *Ctx) during(ctx context.Context) *Ctx {
	d := *c
	d.R, d.reading = c.R.WithContext(ctx), c.con.Now()
	return &d
}

// jobsList is what runs and what ran.
func jobsList(_ *Console, c *Ctx) (Page, error) {
	v := page.JobsView{Now: c.now(), State: c.query("state"), Before: c.query("before")}
	var err error
	if v.Jobs, err = ask[wire.Jobs](c, "jobs/list", wire.JobRequest{State: v.State, Before: v.Before}); err != nil {
		return Page{}, err
	}
	p := Page{Title: "Jobs", Body: page.Jobs(v)}
	if v.Jobs.Running+v.Jobs.Waiting > 0 {
		p.Refresh = 5
	}
	return p, nil
}

// jobShow is one job, live while it runs.
func jobShow(_ *Console, c *Ctx) (Page, error) {
	j, err := ask[wire.Job](c, "jobs/show", wire.JobRequest{ID: c.path("id")})
	if err != nil {
		return Page{}, err
	}
	p := Page{Title: page.JobTitle(j), Nav: "/jobs", Body: page.JobPage(page.JobPageView{Now: c.now(), Job: j, Cancel: c.may("jobs/cancel")})}
	if !j.Finished() {
		p.Events, p.Refresh = "/jobs/"+j.ID+"/events", 2
	}
	return p, nil
}

// jobCancel ends a job; what it has done so far stays as its action says.
func jobCancel(_ *Console, c *Ctx) (Page, error) {
	if _, err := ask[wire.Job](c, "jobs/cancel", wire.JobRequest{ID: c.path("id")}); err != nil {
		return Page{}, err
	}
	c.say("It was asked to stop.")
	return c.to(here(c.back()))
}

// jobLog is the whole log as a file.
func jobLog(_ *Console, c *Ctx) (Page, error) {
	l, err := ask[wire.JobLog](c, "jobs/log", wire.JobRequest{ID: c.path("id")})
	if err != nil {
		return Page{}, err
	}
	return c.text("job-"+l.ID+".txt", l.Text)
}
