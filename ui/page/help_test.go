package page_test

import (
	"bytes"
	"strings"
	"testing"

	"sallyport/internal/browser"
	"sallyport/internal/code"
	"sallyport/ui/kit"
	"sallyport/ui/manual"
	"sallyport/ui/page"
)

// helpDoc renders a page in its frame and parses it.
func helpDoc(t *testing.T, main kit.Node) browser.Doc {
	t.Helper()
	var b bytes.Buffer
	f := kit.FrameView{Title: "Help", Site: "site-07", Nav: []kit.NavGroup{{{Label: "Help", Href: "/help", Current: true}}}, Person: "anna"}
	if err := page.Framed(f, main).Render(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	return browser.Parse(t, &b)
}

func helpManual(t *testing.T) *manual.Manual {
	t.Helper()
	m, err := manual.New()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func helpHome(m *manual.Manual, query string) kit.Node {
	v := page.HelpView{Groups: m.Groups(), Query: query, Hits: m.Search(query), Version: "0.1.0"}
	for _, r := range manual.Readers() {
		v.Readers = append(v.Readers, page.HelpReader{Reader: r, Pages: m.First(r)})
	}
	return page.Help(v)
}

func TestHelpContents(t *testing.T) {
	m := helpManual(t)
	doc := helpDoc(t, helpHome(m, ""))
	for _, g := range m.Groups() {
		for _, p := range g.Pages {
			if !doc.Has(`main a[href=` + p.URL() + `]`) {
				t.Errorf("the contents do not lead to %s", p.URL())
			}
		}
	}
	for _, want := range []string{`main a[href=/help/codes]`, `main form[action=/help]`, `main input[name=q]`} {
		if !doc.Has(want) {
			t.Errorf("the contents lack %s", want)
		}
	}
	if text := browser.Text(doc.One("main")); !strings.Contains(text, "0.1.0") {
		t.Error("the contents do not name the version")
	}
}

func TestHelpSearch(t *testing.T) {
	m := helpManual(t)
	doc := helpDoc(t, helpHome(m, "no-space"))
	if first := doc.All("main h3 a"); len(first) == 0 || browser.Text(first[0]) == "" {
		t.Fatal("nothing was found")
	} else if href, _ := browser.Attr(first[0], "href"); href != "/help/codes/no-space" {
		t.Errorf("first is %s", href)
	}
	if !doc.Has("main mark") {
		t.Error("no word is marked")
	}
	if v, _ := browser.Attr(doc.One("main input[name=q]"), "value"); v != "no-space" {
		t.Errorf("the field holds %q", v)
	}
	doc = helpDoc(t, helpHome(m, "<script>zzz</script>"))
	if text := browser.Text(doc.One("main")); !strings.Contains(text, "Nothing found") {
		t.Errorf("a word that is nowhere: %.200s", text)
	}
}

// Every chapter and every code renders as one page that is whole, without style of its own and with its headings in order.
func TestHelpPages(t *testing.T) {
	m := helpManual(t)
	check := func(name string, doc browser.Doc) {
		if n := len(doc.All("h1")); n != 1 {
			t.Errorf("%s: %d titles", name, n)
		}
		for _, none := range []string{"[style]", "main script", "main img", "main iframe"} {
			if doc.Has(none) {
				t.Errorf("%s: has %q", name, none)
			}
		}
		seen := map[string]bool{}
		for _, n := range doc.All("[id]") {
			id, _ := browser.Attr(n, "id")
			if seen[id] {
				t.Errorf("%s: id %q twice", name, id)
			}
			seen[id] = true
		}
	}
	for _, g := range m.Groups() {
		for _, p := range g.Pages {
			doc := helpDoc(t, page.Chapter(page.ChapterView{Page: p}))
			check(p.Slug, doc)
			for _, s := range p.Sections {
				if s.ID != "" && !doc.Has("#"+s.ID) {
					t.Errorf("%s: no place #%s", p.Slug, s.ID)
				}
			}
		}
	}
	for _, k := range m.Kinds() {
		for _, c := range k.Codes {
			doc := helpDoc(t, page.CodeHelp(page.CodeHelpView{Code: c, Kind: k}))
			check(string(c.Info.Code), doc)
			text := browser.Text(doc.One("main"))
			for _, want := range []string{"What it means", "What to do now", "What was changed", "Where it is seen", "Exit status", "HTTP status"} {
				if !strings.Contains(text, want) {
					t.Errorf("%s: lacks %q", c.Info.Code, want)
				}
			}
		}
	}
}

func TestHelpCodes(t *testing.T) {
	m := helpManual(t)
	doc := helpDoc(t, page.Codes(page.CodesView{Kinds: m.Kinds()}))
	for _, info := range code.Table() {
		if !doc.Has(`main a[href=` + manual.CodeURL(info.Code) + `]`) {
			t.Errorf("the list does not lead to %s", info.Code)
		}
	}
}
