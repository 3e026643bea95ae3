package console

import (
	"path/filepath"
	"slices"
	"strings"

	"sallyport/internal/code"
	"sallyport/internal/wire"
	"sallyport/ui/kit"
	"sallyport/ui/page"
)

// importChoose is the first step: what is plugged in, a folder, an upload.
func importChoose(con *Console, c *Ctx) (Page, error) { return con.choose(c, c.query("path"), 0) }

func (con *Console) choose(c *Ctx, path string, status int, problems ...kit.NoticeView) (Page, error) {
	v := page.ChooseView{Now: c.now(), Site: con.Site.Name, Path: path, Problems: problems, May: c.may("import/run"), MayAdd: c.may("peers/add")}
	con.media.forget() // who opens this page has just plugged something in
	var err error
	if v.Media, err = con.sticks(c); err != nil {
		return Page{}, err
	}
	jobs, err := ask[wire.Jobs](c, "jobs/list", wire.JobRequest{})
	if err != nil {
		return Page{}, err
	}
	for _, j := range jobs.Jobs {
		if (j.Action == "import/run" || j.Action == "exchange/run") && len(v.Recent) < 8 {
			v.Recent = append(v.Recent, j)
		}
	}
	if id := c.query("upload"); id != "" {
		up, err := ask[wire.Upload](c, "uploads/show", wire.UploadRequest{ID: id})
		if err == nil && up.Path != "" {
			m, err := ask[wire.Medium](c, "media/show", wire.MediumRequest{Path: up.Path})
			if err != nil {
				return Page{}, err
			}
			m.Label = "Uploaded files"
			v.Uploaded = &m
		} else if err != nil {
			v.Problems = append(v.Problems, kit.ErrorNotice(err))
		}
	}
	return Page{Title: "Import", Status: status, Body: page.Choose(v)}, nil
}

// importStart looks at a medium and plans; nothing is changed by it. The button beside it does a whole visit.
func importStart(con *Console, c *Ctx) (Page, error) {
	if c.form("do") == "exchange" {
		return exchangeStart(con, c)
	}
	return con.start(c, "import/run", wire.ImportRequest{Path: c.form("path"), Plan: true}, "/import/")
}

// start starts a job on the medium that the form names, and leads to its page.
func (con *Console) start(c *Ctx, action string, in any, root string) (Page, error) {
	path := c.form("path")
	if !filepath.IsAbs(path) {
		e := code.New(code.BadUsage, "name the folder from the root on, like /mnt/stick").In(path, "")
		return con.choose(c, path, 422, kit.ErrorNotice(e))
	}
	if p, first, err := con.firstMeeting(c, path); first {
		return p, err
	}
	id, err := c.jobs(action, in)
	if err != nil {
		if !formError(err) {
			return Page{}, err
		}
		return con.choose(c, path, 422, kit.ErrorNotice(err))
	}
	return c.to(root + id)
}

// firstMeeting leads to comparing a card when all that a medium has for us comes from somebody who is not known here: without
// that, everything on it would be refused and kept as evidence against its sender.
func (con *Console) firstMeeting(c *Ctx, path string) (p Page, first bool, err error) {
	m, err := ask[wire.Medium](c, "media/show", wire.MediumRequest{Path: path})
	if err != nil || m.ForUs > 0 || len(m.Strangers) == 0 || len(m.Peers) > 0 {
		return Page{}, false, nil // what is wrong with it is the job's to say
	}
	if c.may("peers/add") {
		p, err = c.to(page.AddHref(path, ""))
		return p, true, err
	}
	e := code.New(code.RootUnknown, "the card of %s is on it, and this site does not know it yet", strings.Join(m.Strangers, " and ")).In(path, "").
		Do("Ask an admin to compare its nine words: Peers, then Add a peer.")
	p, err = con.choose(c, path, 422, kit.ErrorNotice(e))
	return p, true, err
}

// importJob is one import at one of its steps.
func importJob(con *Console, c *Ctx) (Page, error) {
	v, err := con.visitOf(c, c.path("job"))
	if err != nil {
		return Page{}, err
	}
	if v.Exchange {
		return c.to("/exchange/" + v.Job.ID)
	}
	return visitPage(v), nil
}

// importApprove says yes to exactly the plan that was shown, by its digest, and takes it in when that is enough.
func importApprove(con *Console, c *Ctx) (Page, error) {
	v, err := con.visitOf(c, c.path("job"))
	if err != nil {
		return Page{}, err
	}
	id, err := c.jobs("import/run", wire.ImportRequest{Path: v.Path, Approve: c.form("digest")})
	if err != nil {
		return Page{}, err
	}
	con.strip.forget()
	return c.to("/import/" + id)
}

// importAgain looks at the same medium once more.
func importAgain(con *Console, c *Ctx) (Page, error) {
	v, err := con.visitOf(c, c.path("job"))
	if err != nil {
		return Page{}, err
	}
	return con.lookAgain(c, v)
}

func (con *Console) lookAgain(c *Ctx, v page.VisitView) (Page, error) {
	action, root := "import/run", "/import/"
	var in any = wire.ImportRequest{Path: v.Path, Plan: true}
	if v.Exchange {
		action, root, in = "exchange/run", "/exchange/", wire.ExchangeRequest{Path: v.Path, Plan: true}
	}
	id, err := c.jobs(action, in)
	if err != nil {
		return Page{}, err
	}
	return c.to(root + id)
}

// importSheet is the receipt of a visit on one page, to be signed for and carried.
func importSheet(con *Console, c *Ctx) (Page, error) {
	v, err := con.visitOf(c, c.path("job"))
	if err != nil {
		return Page{}, err
	}
	s := page.SheetView{Site: con.Site.Name, Appliance: con.Site.ID, Now: c.now(), Path: v.Path, By: v.Job.By, Back: visitHref(v)}
	if v.In != nil {
		for _, o := range v.In.Outcomes {
			if o.Receipt == "" {
				continue
			}
			r, err := ask[wire.Receipt](c, "receipts/show", wire.ReceiptRequest{Number: o.Receipt})
			if err != nil {
				return Page{}, err
			}
			s.Crossings = append(s.Crossings, page.Crossing{Outcome: o, Receipt: r})
		}
	}
	if len(s.Crossings) == 0 {
		return Page{}, code.New(code.Missing, "this visit made no receipt").Do("Go back to it: it says why.")
	}
	if v.Approval != nil {
		for _, g := range v.Approval.Grants {
			s.Approvers = append(s.Approvers, g.Person)
		}
		slices.Sort(s.Approvers)
	}
	return Page{Title: "Receipt", Nav: "/import", Sheet: true, Body: page.Sheet(s)}, nil
}

func visitHref(v page.VisitView) string {
	if v.Exchange {
		return "/exchange/" + v.Job.ID
	}
	return "/import/" + v.Job.ID
}
