package console

import (
	"path/filepath"

	"sallyport/internal/code"
	"sallyport/internal/wire"
	"sallyport/ui/kit"
	"sallyport/ui/page"
)

// approvalsList lists what waits for people.
func approvalsList(_ *Console, c *Ctx) (Page, error) {
	all := c.query("all") == "yes"
	l, err := ask[wire.Approvals](c, "approvals/list", wire.ApprovalRequest{All: all})
	if err != nil {
		return Page{}, err
	}
	return Page{Title: "Approvals", Body: page.Approvals(page.ApprovalsView{Now: c.now(), Approvals: l.Approvals, All: all})}, nil
}

// approvalShow is one plan for people to look at.
func approvalShow(con *Console, c *Ctx) (Page, error) { return con.approvalPage(c, "", 0) }

func (con *Console) approvalPage(c *Ctx, reason string, status int, problems ...kit.NoticeView) (Page, error) {
	a, err := ask[wire.Approval](c, "approvals/show", wire.ApprovalRequest{Digest: c.path("digest")})
	if err != nil {
		return Page{}, err
	}
	v := page.ApprovalView{
		Now: c.now(), Plan: a, Person: c.Who.Name(), MaySay: c.may("approvals/approve"), MayGo: con.mayGo(c, a.Kind), Reason: reason, Problems: problems,
	}
	if a.Kind == "import" {
		if v.Visit, err = con.visitFor(c, a.Digest); err != nil {
			return Page{}, err
		}
	}
	if m, err := con.sticks(c); err == nil {
		v.Media = m.Media
	}
	return Page{Title: "Approval", Nav: "/approvals", Status: status, Body: page.Approval(v)}, nil
}

// mayGo tells whether the person may do what was approved.
func (con *Console) mayGo(c *Ctx, kind string) bool {
	switch kind {
	case "import":
		return c.may("import/run")
	case "trust":
		return c.may("trust/apply")
	case "keys":
		return c.may("keys/apply")
	}
	return false
}

// maxLook bounds how many jobs are looked through for the plan of a digest.
const maxLook = 200

// visitFor finds the newest job that looked at a plan, so that whoever is asked sees what was proven; nil when none is known.
func (con *Console) visitFor(c *Ctx, digest string) (*page.VisitView, error) {
	l, err := ask[wire.Jobs](c, "jobs/list", wire.JobRequest{Limit: maxLook})
	if err != nil {
		return nil, err
	}
	for _, row := range l.Jobs {
		if !row.Finished() || row.Action != "import/run" && row.Action != "exchange/run" {
			continue
		}
		j, err := ask[wire.Job](c, "jobs/show", wire.JobRequest{ID: row.ID})
		if err != nil {
			continue // it went meanwhile
		}
		v, err := con.visit(c, j)
		if err == nil && v.In != nil && v.In.Plan.Digest == digest {
			return &v, nil
		}
	}
	return nil, nil
}

// approvalYes says yes, as the person whose session it is.
func approvalYes(con *Console, c *Ctx) (Page, error) {
	a, err := ask[wire.Approval](c, "approvals/approve", wire.ApprovalRequest{Digest: c.path("digest"), Reason: c.form("reason")})
	return con.spoken(c, a, err, "You said yes.")
}

// approvalNo ends a plan, with a reason.
func approvalNo(con *Console, c *Ctx) (Page, error) {
	a, err := ask[wire.Approval](c, "approvals/deny", wire.ApprovalRequest{Digest: c.path("digest"), Reason: c.form("reason")})
	return con.spoken(c, a, err, "Denied. Nothing was changed.")
}

func (con *Console) spoken(c *Ctx, a wire.Approval, err error, said string) (Page, error) {
	if err != nil {
		if !formError(err) {
			return Page{}, err
		}
		return con.approvalPage(c, c.form("reason"), 422, kit.ErrorNotice(err))
	}
	con.strip.forget()
	if a.State == "waiting" {
		said += " Somebody else must agree as well."
	}
	c.say(said)
	return c.to("/approvals/" + c.path("digest"))
}

// approvalGo does what enough people agreed to; it is judged again when it runs.
func approvalGo(con *Console, c *Ctx) (Page, error) {
	digest := c.path("digest")
	a, err := ask[wire.Approval](c, "approvals/show", wire.ApprovalRequest{Digest: digest})
	if err != nil {
		return Page{}, err
	}
	if a.Kind == "keys" {
		done, err := ask[wire.KeyPlan](c, "keys/apply", wire.KeyRequest{Approve: digest})
		return con.spoken(c, a, err, done.Sentence)
	}
	action, root, in, err := con.goOn(c, a)
	if err == nil {
		var id string
		if id, err = c.jobs(action, in); err == nil {
			con.strip.forget()
			return c.to(root + id)
		}
	}
	if !formError(err) {
		return Page{}, err
	}
	return con.approvalPage(c, "", 422, kit.ErrorNotice(err))
}

// goOn is the job that does what was approved: on the medium that was looked at, or that the form names.
func (con *Console) goOn(c *Ctx, a wire.Approval) (action, root string, in any, err error) {
	path, exchange := c.form("path"), false
	if a.Kind == "import" {
		v, err := con.visitFor(c, a.Digest)
		if err != nil {
			return "", "", nil, err
		}
		if v != nil {
			exchange = v.Exchange
			if path == "" {
				path = v.Path
			}
		}
	}
	if !filepath.IsAbs(path) {
		return "", "", nil, code.New(code.BadUsage, "name the folder where the stick is, from the root on, like /mnt/stick").In(path, "")
	}
	switch {
	case exchange:
		return "exchange/run", "/exchange/", wire.ExchangeRequest{Path: path, Approve: a.Digest}, nil
	case a.Kind == "import":
		return "import/run", "/import/", wire.ImportRequest{Path: path, Approve: a.Digest}, nil
	case a.Kind == "trust":
		return "trust/apply", "/jobs/", wire.TrustRequest{Path: path, Approve: a.Digest}, nil
	}
	return "", "", nil, code.New(code.Conflict, "this plan is gone on with elsewhere").Do(a.Next)
}
