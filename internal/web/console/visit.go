package console

import (
	"context"
	"encoding/json"

	"sallyport/internal/code"
	"sallyport/internal/wire"
	"sallyport/ui/page"
)

// visitOf reads a job of an import or an exchange as a visit at one of its steps.
func (con *Console) visitOf(c *Ctx, id string) (page.VisitView, error) {
	j, err := ask[wire.Job](c, "jobs/show", wire.JobRequest{ID: id})
	if err != nil {
		return page.VisitView{}, err
	}
	v, err := con.visit(c, j)
	if err != nil {
		return v, err
	}
	if v.In != nil && v.In.Plan.Digest != "" && c.Who.Roles.Any(witnesses()) {
		a, err := ask[wire.Approval](c, "approvals/show", wire.ApprovalRequest{Digest: v.In.Plan.Digest})
		if err == nil {
			v.Approval = &a
		} else if code.Of(err) != code.Missing {
			return v, err
		}
	}
	if j.Finished() && v.MayAdd {
		if m, err := ask[wire.Medium](c, "media/show", wire.MediumRequest{Path: v.Path}); err == nil {
			v.Strangers = m.Strangers // a hint: a stick that is gone tells nothing
		}
	}
	return v, nil
}

// visit is a job alone as a visit, with what the person may do. Code not-found for a job of another sort.
func (con *Console) visit(c *Ctx, j wire.Job) (page.VisitView, error) {
	v := page.VisitView{
		Now: c.now(), Site: con.Site.Name, Job: j, People: con.People, Person: c.Who.Name(),
		May: c.may("import/run"), MayAgree: c.may("approvals/approve"), MayAdd: c.may("peers/add"),
	}
	switch j.Action {
	case "import/run":
		var q wire.ImportRequest
		if err := json.Unmarshal(j.Request, &q); err != nil {
			return v, code.Wrap(code.Bug, err, "the request of job %s", j.ID)
		}
		v.Path, v.Planning = q.Path, q.Plan
		in, ok, err := wire.JobResult[wire.Imported](j)
		if ok {
			v.In = &in
		}
		return v, err
	case "exchange/run":
		var q wire.ExchangeRequest
		if err := json.Unmarshal(j.Request, &q); err != nil {
			return v, code.Wrap(code.Bug, err, "the request of job %s", j.ID)
		}
		v.Exchange, v.Path, v.Planning = true, q.Path, q.Plan
		out, ok, err := wire.JobResult[wire.Exchanged](j)
		if ok {
			v.Out, v.In = &out, out.In
		}
		return v, err
	}
	return v, code.New(code.Missing, "job %.40q is no import", j.ID).Do("Look at it under Jobs.")
}

// visitPage frames a visit: live while its job runs.
func visitPage(v page.VisitView) Page {
	p := Page{Title: v.Title(), Nav: "/import", Body: page.Visit(v)}
	if !v.Job.Finished() {
		p.Events, p.Refresh = "/jobs/"+v.Job.ID+"/events?as=visit", 2
	}
	return p
}

// jobEvents keeps the page of a job alive, and loads it again once when the job is over.
func jobEvents(con *Console, c *Ctx) (Page, error) {
	id, as := c.path("id"), c.query("as")
	if _, err := ask[wire.Job](c, "jobs/show", wire.JobRequest{ID: id}); err != nil {
		return Page{}, err
	}
	topic := Topic{Name: "job/" + id + "/" + as, Key: c.Who.Roles.String(), Job: id}
	err := con.live.Serve(c.W, c.R, topic, func(ctx context.Context) ([]Fragment, error) {
		c := c.during(ctx)
		j, err := ask[wire.Job](c, "jobs/show", wire.JobRequest{ID: id})
		if err != nil {
			return nil, err
		}
		list, err := con.fragments(c, j, as)
		if j.Finished() {
			list = append(list, Fragment{Reload: true})
		}
		return list, err
	})
	return served, err
}

// fragments are the living parts of a job's page.
func (con *Console) fragments(c *Ctx, j wire.Job, as string) ([]Fragment, error) {
	ctx := c.R.Context()
	if as != "visit" {
		html, err := HTML(ctx, page.JobLive(page.JobPageView{Now: c.now(), Job: j, Cancel: c.may("jobs/cancel")}))
		return []Fragment{{ID: "live", HTML: html}}, err
	}
	v, err := con.visit(c, j)
	if err != nil {
		return nil, err
	}
	proven, err := HTML(ctx, page.VisitProofs(v))
	if err != nil {
		return nil, err
	}
	running, err := HTML(ctx, page.VisitJob(v))
	return []Fragment{{ID: "proven", HTML: proven}, {ID: "visit-job", HTML: running}}, err
}
