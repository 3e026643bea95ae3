package console

import (
	"context"

	"sallyport/internal/access"
	"sallyport/internal/code"
	"sallyport/internal/wire"
	"sallyport/ui/page"
)

// overview is the first page: what needs a hand, and whether what is shown can be trusted. A part that cannot be read is shown
// as unknown; the rest of the page stands.
func overview(con *Console, c *Ctx) (Page, error) {
	v, err := con.overviewOf(c)
	if err != nil {
		return Page{}, err
	}
	return Page{Title: "Overview", Events: "/events", Refresh: 30, Body: page.Overview(v)}, nil
}

func (con *Console) overviewOf(c *Ctx) (page.OverviewView, error) {
	every, _ := con.Rhythm()
	v := page.OverviewView{Now: c.now(), Site: con.Site.Name, Every: every, Admin: c.Who.Roles.Has(access.Admin), Witness: c.Who.Roles.Any(witnesses())}
	var err error
	if v.Status, err = ask[wire.Status](c, "status/show", nil); err != nil {
		return v, err
	}
	if v.Media, err = con.sticks(c); err != nil && code.Of(err) != code.Denied {
		con.Log.Warn("media not listed", "err", err.Error())
	}
	if v.Witness {
		r, err := ask[wire.Receipts](c, "receipts/list", wire.ReceiptRequest{Limit: 5})
		if err != nil {
			return v, err
		}
		v.Receipts = r.Receipts
	}
	runs, err := ask[wire.Runs](c, "runs/list", wire.RunRequest{Limit: 5})
	if err != nil {
		return v, err
	}
	v.Runs = runs.Runs
	if v.Jobs, err = con.unfinished(c); err != nil {
		return v, err
	}
	return v, nil
}

// unfinished are the jobs that wait or run.
func (con *Console) unfinished(c *Ctx) ([]wire.Job, error) {
	l, err := ask[wire.Jobs](c, "jobs/list", wire.JobRequest{State: "unfinished"})
	return l.Jobs, err
}

// overviewEvents keeps the running jobs of Overview alive, and loads the page again when one has ended.
func overviewEvents(con *Console, c *Ctx) (Page, error) {
	before := -1
	topic := Topic{Name: "overview", Key: c.Who.Roles.String()}
	err := con.live.Serve(c.W, c.R, topic, func(ctx context.Context) ([]Fragment, error) {
		jobs, err := con.unfinished(c.during(ctx))
		if err != nil {
			return nil, err
		}
		html, err := HTML(ctx, page.OverviewJobs(page.OverviewView{Now: con.Now().Trusted, Jobs: jobs}))
		list := []Fragment{{ID: "running", HTML: html}}
		if before >= 0 && len(jobs) < before {
			list = append(list, Fragment{Reload: true})
		}
		before = len(jobs)
		return list, err
	})
	return served, err
}
