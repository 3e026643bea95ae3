package page_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"sallyport/internal/browser"
	"sallyport/ui/kit"
	"sallyport/ui/page"
	"sallyport/ui/static"
)

// helpPolicy is the content policy of the console.
const helpPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// The manual in Chromium: axe, requests, the content policy, sideways scrolling. One page of each sort, and the longest.
func TestBrowserHelp(t *testing.T) {
	m := helpManual(t)
	pages := map[string]kit.Node{
		"/help": helpHome(m, ""), "/help-search": helpHome(m, "disk full"), "/help-nothing": helpHome(m, "zzzqqq"),
		"/help/codes": page.Codes(page.CodesView{Kinds: m.Kinds()}),
	}
	for _, slug := range []string{"exchange", "settings", "cli", "glossary", "two-people"} {
		p, ok := m.Page(slug)
		if !ok {
			t.Fatalf("no page %s", slug)
		}
		pages["/help/"+slug] = page.Chapter(page.ChapterView{Page: p})
	}
	for _, k := range m.Kinds() {
		pages[k.Codes[0].URL()] = page.CodeHelp(page.CodeHelpView{Code: k.Codes[0], Kind: k})
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", helpPolicy)
		if name, ok := strings.CutPrefix(r.URL.Path, static.Prefix); ok {
			body, kind, _ := static.File(name)
			w.Header().Set("Content-Type", kind)
			_, _ = w.Write(body)
			return
		}
		node, ok := pages[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		var b bytes.Buffer
		f := kit.FrameView{Title: "Help", Site: "site-07", Nav: []kit.NavGroup{{{Label: "Help", Href: "/help", Current: true}}}, Person: "anna"}
		if err := page.Framed(f, node).Render(r.Context(), &b); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write(b.Bytes())
	}))
	defer server.Close()
	var list []browser.Page
	for path := range pages {
		list = append(list, browser.Page{Name: strings.Trim(strings.ReplaceAll(path, "/", "-"), "-"), Path: path})
	}
	browser.Walk(t, browser.Visit{Origin: server.URL, Pages: list})
}
