package console

import (
	"path/filepath"

	"sallyport/internal/code"
	"sallyport/internal/wire"
	"sallyport/ui/kit"
	"sallyport/ui/page"
)

func quarantinePage(_ *Console, c *Ctx) (Page, error) {
	q, err := ask[wire.Quarantine](c, "quarantine/list", nil)
	if err != nil {
		return Page{}, err
	}
	list, pager := part(c, "/quarantine", q.Entries)
	return Page{Title: "Quarantine", Body: page.Quarantine(page.QuarantineView{Entries: list, All: len(q.Entries), Pager: pager, Now: c.now()})}, nil
}

func quarantineCSV(_ *Console, c *Ctx) (Page, error) {
	q, err := ask[wire.Quarantine](c, "quarantine/list", nil)
	if err != nil {
		return Page{}, err
	}
	return c.csv("quarantine", q)
}

func quarantineEntry(c *Ctx) (wire.Quarantined, error) {
	return ask[wire.Quarantined](c, "quarantine/show", wire.QuarantineRequest{Number: c.path("n")})
}

func quarantinedPage(_ *Console, c *Ctx) (Page, error) {
	q, err := quarantineEntry(c)
	if err != nil {
		return Page{}, err
	}
	return Page{Title: "Quarantine " + q.Number, Body: page.Quarantined(page.QuarantinedView{Entry: q, Now: c.now(), Settle: c.may("quarantine/remove")})}, nil
}

func quarantineRemoveForm(_ *Console, c *Ctx) (Page, error) { return quarantineRemovePage(c, "", nil) }

func quarantineRemovePage(c *Ctx, reason string, problem error) (Page, error) {
	q, err := quarantineEntry(c)
	if err != nil {
		return Page{}, err
	}
	href := page.QuarantineHref(q.Number)
	return Page{Title: "Remove " + q.Number, Status: statusOf(problem), Body: page.Ask(page.AskView{
		Dialog: kit.DialogView{
			Title: "Remove " + q.Number + "?", Text: "The evidence is thrown away here. That it was there, and why it was removed, stays in the timeline.",
			Action: href + "/remove", Confirm: "Remove it", Cancel: href, Danger: true, Problems: problems(problem),
		},
		Facts: page.QuarantineFacts(q, c.now()), Fields: []kit.FieldView{page.ReasonField(reason, "")},
	})}, nil
}

func quarantineRemoveDo(con *Console, c *Ctx) (Page, error) {
	reason := c.form("reason")
	if reason == "" {
		return quarantineRemovePage(c, "", code.New(code.BadUsage, "why is missing").Do("Say why, in your words: it stands in the timeline."))
	}
	q, err := ask[wire.Quarantined](c, "quarantine/remove", wire.QuarantineRequest{Number: c.path("n"), Reason: reason})
	if formError(err) {
		return quarantineRemovePage(c, reason, err)
	}
	if err != nil {
		return Page{}, err
	}
	con.strip.forget()
	c.say(q.Number + " was removed.")
	return c.to("/quarantine")
}

func quarantineReleaseForm(con *Console, c *Ctx) (Page, error) {
	return quarantineReleasePage(con, c, "", nil)
}

func quarantineReleasePage(con *Console, c *Ctx, path string, problem error) (Page, error) {
	q, err := quarantineEntry(c)
	if err != nil {
		return Page{}, err
	}
	m, err := con.sticks(c)
	if err != nil {
		return Page{}, err
	}
	href := page.QuarantineHref(q.Number)
	fields := page.MediumFields(m.Media, path, "path", "folder")
	fields[0].Hint = "Only when not all of it was kept here. Leave it out else."
	for i := range fields[0].Options {
		fields[0].Options[i].Selected = fields[0].Options[i].Value == path && path != ""
	}
	return Page{Title: "Verify " + q.Number + " again", Status: statusOf(problem), Body: page.Ask(page.AskView{
		Dialog: kit.DialogView{
			Title: "Verify " + q.Number + " again?", Text: "It goes through the gate once more, as if it had come just now. It is taken in only if every check holds today.",
			Action: href + "/release", Confirm: "Verify it again", Cancel: href, Problems: problems(problem),
		},
		Facts: page.QuarantineFacts(q, c.now()), Fields: fields,
	})}, nil
}

func quarantineReleaseDo(con *Console, c *Ctx) (Page, error) {
	path := c.form("folder")
	if path == "" {
		path = c.form("path")
	}
	if path != "" && !filepath.IsAbs(path) {
		return quarantineReleasePage(con, c, path, code.New(code.BadUsage, "the path must be absolute").In(path, ""))
	}
	id, err := c.jobs("quarantine/release", wire.QuarantineRequest{Number: c.path("n"), Path: path, Yes: true})
	if formError(err) {
		return quarantineReleasePage(con, c, path, err)
	}
	if err != nil {
		return Page{}, err
	}
	con.strip.forget()
	return c.to("/jobs/" + id)
}
