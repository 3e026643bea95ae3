package page

import (
	"fmt"
	"strings"

	"github.com/a-h/templ"

	"sallyport/internal/units"
	"sallyport/ui/kit"
	"sallyport/ui/manual"
)

// HelpView is the first page of Help: the contents, or what a search has found.
type HelpView struct {
	Groups  []manual.Group
	Readers []HelpReader
	Query   string
	Hits    []manual.Hit
	Version string // "": not shown, to somebody who is not signed in
}

// HelpReader is what one sort of person should read, in order.
type HelpReader struct {
	manual.Reader
	Pages []*manual.Page
}

// ChapterView is one chapter of the manual.
type ChapterView struct{ Page *manual.Page }

// CodesView lists all codes by kind.
type CodesView struct{ Kinds []manual.KindCodes }

// CodeHelpView is the page of one code.
type CodeHelpView struct {
	Code *manual.CodePage
	Kind manual.KindCodes
}

func (v HelpView) lead() string {
	if v.Query != "" {
		switch {
		case len(v.Hits) == 0:
			return "Nothing was found for these words. Try one word, or look at the list of codes."
		case len(v.Hits) == 1:
			return "1 place has what you look for."
		}
		return fmt.Sprintf("%d places, the best first.", len(v.Hits))
	}
	s := "The manual of this version"
	if v.Version != "" {
		s += ", " + v.Version
	}
	return s + ". It is kept here and needs no network."
}

func (v HelpView) search() kit.SearchView {
	return kit.SearchView{
		Action: manual.Home, Name: "q", Value: v.Query, Label: "Search the manual", Hint: "A word, a command, or the code of an error.",
	}
}

func pageLinks(list []*manual.Page) (links []kit.Link) {
	for _, p := range list {
		links = append(links, kit.Link{Label: p.Title, Href: p.URL()})
	}
	return links
}

func (h HelpReader) title() string { return "For the " + h.Name }

func (v ChapterView) head() kit.HeadView {
	return kit.HeadView{Title: v.Page.Title, Back: kit.Link{Label: "Help", Href: manual.Home}}
}

func (v ChapterView) contents() (links []kit.Link) {
	for _, s := range v.Page.Sections {
		if s.ID != "" && s.Level == 2 {
			links = append(links, kit.Link{Label: s.Title, Href: v.Page.URL() + "#" + s.ID})
		}
	}
	return links
}

func (v ChapterView) readers() string {
	if len(v.Page.For) == 0 {
		return "For everybody"
	}
	return "For " + strings.Join(v.Page.For, ", ")
}

// trusted is the HTML that package manual has made of our own text: it has no raw HTML in it.
func trusted(html string) templ.Component { return templ.Raw(html) }

func (v CodesView) lead() string {
	n := 0
	for _, k := range v.Kinds {
		n += len(k.Codes)
	}
	return fmt.Sprintf("%s, by what to do about them. A code never changes its meaning.", units.Plural(int64(n), "code", "codes"))
}

func kindTable(k manual.KindCodes) kit.TableView {
	t := kit.TableView{Caption: k.Title, Columns: []kit.Column{{Label: "Code"}, {Label: "What it says"}}}
	for _, c := range k.Codes {
		t.Rows = append(t.Rows, kit.Row{Cells: []kit.Node{kit.To(c.URL(), string(c.Info.Code)), kit.Text(sentence(c.Info.Summary))}})
	}
	return t
}

// hitTitle is the page of a hit and the place in it.
func hitTitle(h manual.Hit) string {
	if h.Section == "" {
		return h.Title
	}
	return h.Title + " · " + h.Section
}

func kindNote(k manual.KindCodes) string { return fmt.Sprintf("exit status %d", k.Exit) }

func (v CodeHelpView) head() kit.HeadView {
	return kit.HeadView{Title: string(v.Code.Info.Code), Lead: sentence(v.Code.Info.Summary), Back: kit.Link{Label: "All codes", Href: manual.Home + "/codes"}}
}

func (v CodeHelpView) facts() []kit.Def {
	return []kit.Def{
		{Term: "Kind", Value: kit.Text(v.Kind.Title), Explain: v.Kind.Means},
		{Term: "Exit status", Value: kit.Text(fmt.Sprint(v.Code.Info.Exit())), Explain: "How a command ends that meets it."},
		{Term: "HTTP status", Value: kit.Text(fmt.Sprint(v.Code.Info.Status())), Explain: "How the API and a page answer."},
		{Term: "In one line", Value: kit.Text(v.Code.Info.Next), Explain: "The next step that is printed with it."},
	}
}

// sentence makes one of a summary: a capital, a full stop.
func sentence(s string) string {
	if s == "" {
		return ""
	}
	return strings.ToUpper(s[:1]) + s[1:] + "."
}
