package console

import (
	"strings"

	"sallyport/internal/code"
	"sallyport/ui/manual"
	"sallyport/ui/page"
)

// helpRoutes are the manual. It is open to everybody: who cannot sign in needs it most, and it tells nothing of this appliance.
func helpRoutes() []Route {
	return []Route{
		{Pattern: "GET /help", Open: true, Run: helpHome},
		{Pattern: "GET /help/codes", Open: true, Run: helpCodes},
		{Pattern: "GET /help/codes/{code}", Open: true, Run: helpCode},
		{Pattern: "GET /help/{page}", Open: true, Run: helpPage},
	}
}

// helpHome is the contents of the manual, or what a search finds in it.
func helpHome(con *Console, c *Ctx) (Page, error) {
	v := page.HelpView{Groups: con.Manual.Groups(), Query: c.query("q")}
	if v.Query != "" {
		v.Query = strings.ToValidUTF8(v.Query, "")
		v.Hits = con.Manual.Search(v.Query)
	}
	if c.Who.Session != "" {
		v.Version = con.Site.Software
	}
	for _, r := range manual.Readers() {
		v.Readers = append(v.Readers, page.HelpReader{Reader: r, Pages: con.Manual.First(r)})
	}
	return Page{Title: "Help", Body: page.Help(v)}, nil
}

func helpCodes(con *Console, _ *Ctx) (Page, error) {
	return Page{Title: "Codes", Body: page.Codes(page.CodesView{Kinds: con.Manual.Kinds()})}, nil
}

func helpCode(con *Console, c *Ctx) (Page, error) {
	found, ok := con.Manual.Code(c.path("code"))
	if !ok {
		return Page{}, code.New(code.Missing, "there is no code %.60q", c.path("code")).Do("All codes stand in Help, below Codes.")
	}
	v := page.CodeHelpView{Code: found}
	for _, k := range con.Manual.Kinds() {
		if k.Kind == found.Info.Kind {
			v.Kind = k
		}
	}
	return Page{Title: string(found.Info.Code), Body: page.CodeHelp(v)}, nil
}

func helpPage(con *Console, c *Ctx) (Page, error) {
	p, ok := con.Manual.Page(c.path("page"))
	if !ok {
		return Page{}, code.New(code.Missing, "the manual has no page %.60q", c.path("page")).Do("Look at the contents of Help, or search it.")
	}
	return Page{Title: p.Title, Body: page.Chapter(page.ChapterView{Page: p})}, nil
}
