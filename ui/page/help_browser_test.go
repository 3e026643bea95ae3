package page_test

import (
	"slices"
	"testing"

	"sallyport/internal/browser"
	"sallyport/internal/code"
	"sallyport/ui/kit"
	"sallyport/ui/manual"
	"sallyport/ui/page"
	"sallyport/ui/static"
)

// The manual in Chromium: one page of each sort, and the one with the widest table.
func TestBrowserHelp(t *testing.T) {
	m := helpManual(t)
	chapter, ok := m.Page("settings")
	if !ok {
		t.Fatal("no page of settings")
	}
	found, ok := m.Code(string(code.SignerUnknown))
	if !ok {
		t.Fatal("no page of a code")
	}
	kinds := m.Kinds()
	kind := slices.IndexFunc(kinds, func(k manual.KindCodes) bool { return k.Kind == found.Info.Kind })
	pages := map[string]browser.Renderer{}
	for path, main := range map[string]kit.Node{
		"/normal": helpHome(m, ""), "/search": helpHome(m, "disk full"), "/empty": helpHome(m, "zzzqqq"),
		"/codes": page.Codes(page.CodesView{Kinds: m.Kinds()}), "/chapter": page.Chapter(page.ChapterView{Page: chapter}),
		"/code": page.CodeHelp(page.CodeHelpView{Code: found, Kind: kinds[kind]}),
	} {
		f := kit.FrameView{Title: "Help", Site: "site-07", Nav: []kit.NavGroup{{{Label: "Help", Href: "/help", Current: true}}}, Person: "anna"}
		pages[path] = page.Framed(f, main)
	}
	browser.Show(t, "help", browser.Fixture{Pages: pages, Asset: static.File})
}
