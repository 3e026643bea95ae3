package manual

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"sallyport/internal/code"
	"sallyport/internal/config"
)

func made(t *testing.T) *Manual {
	t.Helper()
	m, err := New()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// Every code of the table has a page with all its parts; New refuses one that lacks any.
func TestEveryCodeHasAPage(t *testing.T) {
	m := made(t)
	n := 0
	for _, k := range m.Kinds() {
		if k.Title == string(k.Kind) || k.Means == "" {
			t.Errorf("kind %s has no words", k.Kind)
		}
		n += len(k.Codes)
	}
	if n != len(code.Table()) {
		t.Errorf("%d codes have pages, %d are in the table", n, len(code.Table()))
	}
	for _, info := range code.Table() {
		c, ok := m.Code(strings.ToUpper(string(info.Code)))
		if !ok || c.Info.Code != info.Code {
			t.Errorf("no page for %s", info.Code)
			continue
		}
		if !strings.Contains(c.Do, "<li>") {
			t.Errorf("%s: what to do is not step by step", info.Code)
		}
	}
}

// What a section may look like, and what it may not.
func TestSplit(t *testing.T) {
	shared := map[string]string{"nothing": "Nothing was changed.\n"}
	got, err := split("Means: One.\nTwo.\nChanged: @nothing\nDo:\n1. First.\n@nothing\nSeen: Here.\n", shared)
	if err != nil {
		t.Fatal(err)
	}
	for field, want := range map[string]string{"Means": "One.\nTwo.\n", "Changed": "Nothing was changed.\n", "Do": "\n1. First.\nNothing was changed.\n", "Seen": "Here.\n"} {
		if got[field] != want {
			t.Errorf("%s: %q, want %q", field, got[field], want)
		}
	}
	for name, body := range map[string]string{
		"an unknown part": "Means: @other\n", "a field twice": "Means: a\nMeans: b\n", "text before a field": "hello\nMeans: a\n",
	} {
		if _, err := split(body, shared); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	if _, err := codePage(code.Table()[0], "Means: a\nChanged: b\nDo: c\n", shared); err == nil {
		t.Error("a page without Seen: taken")
	}
}

// consolePages are the pages that the manual may lead to besides its own.
var consolePages = []string{"/", "/import", "/media", "/feeds", "/records", "/exports", "/peers", "/trust", "/approvals", "/timeline", "/receipts", "/quarantine", "/users", "/tokens", "/sessions", "/settings", "/jobs", "/store", "/time", "/backups"}

// Every link leads to a page, a section or a code that is there.
func TestLinks(t *testing.T) {
	m := made(t)
	ids := map[string]bool{}
	for _, g := range m.Groups() {
		for _, p := range g.Pages {
			ids[p.URL()] = true
			for _, s := range p.Sections {
				ids[p.URL()+"#"+s.ID] = true
			}
		}
	}
	ids[Home], ids[Home+"/codes"] = true, true
	for _, p := range consolePages {
		ids[p] = true
	}
	for _, info := range code.Table() {
		ids[CodeURL(info.Code)] = true
	}
	check := func(where string, links []string) {
		for _, l := range links {
			if !ids[l] {
				t.Errorf("%s: link to %q leads nowhere", where, l)
			}
		}
	}
	for _, g := range m.Groups() {
		for _, p := range g.Pages {
			check(p.Slug, p.Links)
		}
	}
	for _, k := range m.Kinds() {
		for _, c := range k.Codes {
			check(string(c.Info.Code), c.Links)
		}
	}
}

// Nothing in a page styles or scripts, and raw HTML is not let through.
func TestSafe(t *testing.T) {
	m := made(t)
	bad := regexp.MustCompile(`(?i)<(script|style|iframe|img|link|meta|form|object)|\son[a-z]+=|\sstyle=|javascript:|raw HTML omitted|(href|src)="[a-z]+:`)
	look := func(where, html string) {
		if at := bad.FindString(html); at != "" {
			t.Errorf("%s: %q", where, at)
		}
	}
	for _, g := range m.Groups() {
		for _, p := range g.Pages {
			look(p.Slug, p.HTML)
		}
	}
	for _, k := range m.Kinds() {
		for _, c := range k.Codes {
			look(string(c.Info.Code), c.Means+c.Changed+c.Do+c.Seen)
		}
	}
	p, err := fragment("a <script>alert(1)</script> [x](javascript:alert(1)) <b onclick=x>y</b>")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(p.HTML, "<script>") || strings.Contains(p.HTML, "javascript:") || strings.Contains(p.HTML, "onclick") {
		t.Errorf("raw HTML came through: %s", p.HTML)
	}
}

// Who is sent where by the words they would type.
func TestSearch(t *testing.T) {
	m := made(t)
	for query, want := range map[string]string{
		"no-space":                  "/help/codes/no-space",
		"disk full":                 "/help/disk",
		"second person":             "/help/two-people",
		"forgot password":           "/help/users",
		"rollback":                  "/help/feeds",
		"clock wrong":               "/help/clock",
		"store.reserve":             "/help/settings",
		"Safe to remove":            "/help/exchange",
		"root key offline":          "/help/keys",
		"ERR_EXPORT_BASE_MISSING":   "/help/codes/ERR_EXPORT_BASE_MISSING",
		"signed by a key this site": "/help/codes/signer-unknown",
		"monitoring":                "/help/monitoring",
		"restore backup":            "/help/backup",
	} {
		hits := m.Search(query)
		if len(hits) == 0 {
			t.Errorf("%q: nothing found", query)
			continue
		}
		var urls []string
		for _, h := range hits[:min(4, len(hits))] {
			page, _, _ := strings.Cut(h.URL, "#")
			urls = append(urls, page)
		}
		if !slices.Contains(urls, want) {
			t.Errorf("%q: %v, want %s among the first", query, urls, want)
		}
	}
}

// A query is anything a browser sends.
func TestSearchOfAnything(t *testing.T) {
	m := made(t)
	for _, query := range []string{"", " ", "\x00\xff", strings.Repeat("a", 10000), strings.Repeat("disk ", 1000), "<script>", "%s%n", "é\u202e"} {
		for _, h := range m.Search(query) {
			if h.URL == "" || h.Title == "" {
				t.Errorf("%.20q: an empty hit", query)
			}
		}
	}
	if hits := m.Search("zzzzqqq"); len(hits) != 0 {
		t.Errorf("a word that is not there: %d hits", len(hits))
	}
	marked := false
	for _, p := range m.Search("ballast")[0].Excerpt {
		marked = marked || p.Mark
	}
	if !marked {
		t.Error("the word is not marked in its excerpt")
	}
}

func TestSettingsAreThere(t *testing.T) {
	p, ok := made(t).Page("settings")
	if !ok {
		t.Fatal("no page of settings")
	}
	for _, s := range config.Settings() {
		if !strings.Contains(p.HTML, "<code>"+s.Name+"</code>") {
			t.Errorf("the page of settings lacks %s", s.Name)
		}
	}
	if strings.Contains(p.HTML, "{{") {
		t.Error("the table of settings was not put in")
	}
}

// Each chapter has a lead, somebody it is for, and a way on.
func TestChapters(t *testing.T) {
	m := made(t)
	for _, g := range m.Groups() {
		for _, p := range g.Pages {
			if p.Title == "" || len(p.Lead) < 20 || len(p.Lead) > 300 {
				t.Errorf("%s: title %q, lead %q", p.Slug, p.Title, p.Lead)
			}
			if len(p.For) == 0 || p.Previous == nil && p.Next == nil {
				t.Errorf("%s: for nobody, or alone", p.Slug)
			}
			if strings.Contains(p.HTML, "@@") {
				t.Errorf("%s: something was left to be written", p.Slug)
			}
		}
	}
	for _, r := range Readers() {
		if list := m.First(r); len(list) < 3 || len(list) != len(r.start) {
			t.Errorf("%s begins with %d chapters of %v", r.Name, len(list), r.start)
		}
	}
}
