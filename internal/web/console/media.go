package console

import (
	"path/filepath"
	"strings"

	"sallyport/internal/code"
	"sallyport/internal/wire"
	"sallyport/ui/kit"
	"sallyport/ui/page"
)

func mediaPage(con *Console, c *Ctx) (Page, error) {
	con.media.forget() // who looks at sticks wants to see them as they are
	m, err := con.sticks(c)
	v := page.MediaView{Media: m.Media, Waiting: m.Waiting, Now: c.now(), Use: c.may("exchange/run")}
	if err != nil {
		if !formError(err) {
			return Page{}, err
		}
		n := kit.ErrorNotice(err)
		v.Failed = &n
	}
	return Page{Title: "Media", Body: page.Media(v)}, nil
}

// waitingOne is a bundle that waits, by its label.
func waitingOne(c *Ctx) (wire.Waiting, error) {
	m, err := ask[wire.Media](c, "media/list", nil)
	if err != nil {
		return wire.Waiting{}, err
	}
	for _, w := range m.Waiting {
		if w.Label == c.path("label") {
			return w, nil
		}
	}
	return wire.Waiting{}, code.New(code.Missing, "no bundle with this label waits here").Do("It may have come in meanwhile: look at Media.")
}

func forgetForm(_ *Console, c *Ctx) (Page, error) { return forgetPage(c, "", nil) }

func forgetPage(c *Ctx, reason string, problem error) (Page, error) {
	w, err := waitingOne(c)
	if err != nil {
		return Page{}, err
	}
	return Page{Title: "Forget a bundle", Nav: "/media", Status: statusOf(problem), Body: page.Ask(page.AskView{
		Dialog: kit.DialogView{
			Title: "Forget " + w.Name + "?", Text: "What came of it is dropped. It can be brought again, from its first volume on.",
			Action: "/media/forget/" + w.Label, Confirm: "Forget it", Cancel: "/media", Danger: true, Problems: problems(problem),
		},
		Facts:  page.WaitingFacts(w, c.now()),
		Fields: []kit.FieldView{page.ReasonField(reason, "")},
	})}, nil
}

func forgetDo(con *Console, c *Ctx) (Page, error) {
	q := wire.ForgetRequest{Label: c.path("label"), Reason: c.form("reason")}
	w, err := ask[wire.Waiting](c, "media/forget", q)
	if formError(err) {
		return forgetPage(c, q.Reason, err)
	}
	if err != nil {
		return Page{}, err
	}
	con.strip.forget()
	c.say(w.Name + " does not wait any more.")
	return c.to("/media")
}

func healForm(con *Console, c *Ctx) (Page, error) { return healPage(con, c, c.query("path"), nil) }

func healPage(con *Console, c *Ctx, path string, problem error) (Page, error) {
	m, err := con.sticks(c)
	if err != nil {
		return Page{}, err
	}
	v := page.AskView{Dialog: kit.DialogView{
		Title: "Heal from a stick?", Text: "What is damaged or missing here is taken from a bundle that has it, after it was verified again. Nothing else is changed.",
		Action: "/media/heal", Confirm: "Heal", Cancel: "/store", Problems: problems(problem),
	}}
	v.Fields = page.MediumFields(m.Media, path, "path", "folder")
	return Page{Title: "Heal from a stick", Body: page.Ask(v), Status: statusOf(problem)}, nil
}

// mediumOf is the medium of a form: what was typed, else what was chosen. Code usage when it is none.
func mediumOf(c *Ctx) (string, error) {
	path := c.form("folder")
	if path == "" {
		path = c.form("path")
	}
	if !filepath.IsAbs(path) {
		return path, code.New(code.BadUsage, "which stick?").Want("a stick, or a whole path from / on", strings.TrimSpace(path)).Do("Choose a stick, or type the whole path of a folder.")
	}
	return filepath.Clean(path), nil
}

func healDo(con *Console, c *Ctx) (Page, error) {
	path, err := mediumOf(c)
	if err != nil {
		return healPage(con, c, path, err)
	}
	id, err := c.jobs("media/heal", wire.MediumRequest{Path: path})
	if formError(err) {
		return healPage(con, c, path, err)
	}
	if err != nil {
		return Page{}, err
	}
	return c.to("/jobs/" + id)
}
