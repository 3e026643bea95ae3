package daemon

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sallyport/internal/browser"
	"sallyport/internal/durable"
	"sallyport/internal/wire"
)

// flood is the advisory that the story looks for.
const flood = `{"schema_version":"1.3.1","id":"GO-2024-2687","modified":"2024-05-20T16:03:47Z","published":"2024-04-03T21:12:01Z","aliases":["CVE-2023-45288","GHSA-4v7x-pqxf-cx7m"],"summary":"HTTP/2 CONTINUATION flood in net/http","details":"An attacker may cause an HTTP/2 endpoint to read arbitrary amounts of header data.","affected":[{"package":{"name":"golang.org/x/net","ecosystem":"Go"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"0.23.0"}]}]}]}`

// first is a site on its first day: a hub has sent a stick with a full and its card, and nobody has an account yet.
type first struct {
	hub, site *actor
	stick     string
	origin    string
}

// firstDay makes one; set are the settings of the site.
func firstDay(t *testing.T, set map[string]string) first {
	t.Helper()
	dir := t.TempDir()
	f := first{stick: filepath.Join(dir, "stick")}
	f.hub = enter(t, filepath.Join(dir, "h"), "hub", durable.FS{}, nil)
	f.site = enter(t, filepath.Join(dir, "s"), "site-07", durable.FS{}, set)
	advisory := filepath.Join(dir, "GO-2024-2687.json")
	for _, err := range []error{os.Mkdir(f.stick, 0o755), os.WriteFile(advisory, []byte(flood), 0o644)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	f.hub.must(f.hub.load("osv-go", dump(t, 200, 0), advisory), "load")
	for _, a := range []*actor{f.hub, f.site} {
		a.must(a.call("card/write", wire.MediumRequest{Path: f.stick}, nil), "card")
	}
	f.hub.must(f.hub.call("peers/add", wire.PeerRequest{Path: f.stick, Name: f.site.name, Words: f.site.words}, nil), "add site")
	if _, err := f.hub.export(f.site.name, f.stick); err != nil {
		t.Fatal(err)
	}
	c := f.site.run.Daemon().Console()
	if c == nil {
		t.Fatal("no console")
	}
	if f.origin = c.Plain; f.origin == "" && len(c.Addresses) > 0 {
		f.origin = c.Addresses[0]
	}
	f.origin = strings.TrimSuffix(f.origin, "/")
	return f
}

// story plays the first day in Chromium: set-up code, admin, phone, rhythm, recovery card; the hub met from its stick; plan,
// approval, receipt; the search for GO-2024-2687 and its proof; the exchange, and "safe to remove". It gives the session.
func (f first) story(t *testing.T, mode string) *http.Cookie {
	t.Helper()
	var once wire.SetupCode
	f.site.must(f.site.call("setup/code", nil, &once), "set-up code")
	out := browser.Script(t, "console", map[string]string{
		"ORIGIN": f.origin, "MODE": mode, "CODE": once.Code, "STICK": f.stick, "HUBWORDS": f.hub.words, "SITEWORDS": f.site.words,
	})
	t.Log(out)
	if got := f.site.feed("osv-go"); got.Generation != 1 || got.Records != 201 {
		t.Errorf("what the browser said is not so: %+v", got)
	}
	for line := range strings.Lines(out) {
		if text, ok := strings.CutPrefix(line, "SESSION "); ok {
			var c http.Cookie
			if err := json.Unmarshal([]byte(text), &c); err != nil {
				t.Fatal(err)
			}
			return &c
		}
	}
	t.Fatal("no session was left")
	return nil
}

// The first day in a browser: with the script over TLS, without JavaScript, and by keyboard alone.
func TestBrowserStory(t *testing.T) {
	t.Run("script", func(t *testing.T) {
		f := firstDay(t, map[string]string{"listen.https": "127.0.0.1:0"})
		session := f.story(t, "script")
		f.walk(t, session)
	})
	t.Run("plain", func(t *testing.T) { firstDay(t, withConsole()).story(t, "plain") })
	t.Run("keys", func(t *testing.T) { firstDay(t, withConsole()).story(t, "keys") })
}

// walk opens every page that an admin is led to from the navigation and from the pages behind it, one of each form.
func (f first) walk(t *testing.T, session *http.Cookie) {
	t.Helper()
	v := browser.Visit{Origin: f.origin, Cookies: []*http.Cookie{session}, Variants: []browser.Variant{
		{Name: "light", Scheme: "light", Width: 1280, Height: 800}, {Name: "dark-400", Scheme: "dark", Width: 400, Height: 800},
	}}
	for _, path := range []string{
		"/", "/import", "/feeds", "/feeds/hub/osv-go", "/records", "/records?q=GO-2024-2687", "/records/advisory/GO-2024-2687", "/records/advisory/GO-2024-2687?proof=1",
		"/exports", "/exports/new", "/media", "/peers", "/peers/hub", "/peers/add", "/trust", "/approvals", "/timeline", "/receipts", "/receipts/R-0001", "/quarantine",
		"/users", "/tokens", "/sessions", "/settings", "/account", "/step-up", "/jobs", "/help", "/help/codes",
	} {
		name := "live" + strings.NewReplacer("/", "-", "?", "-", "=", "-").Replace(path)
		v.Pages = append(v.Pages, browser.Page{Name: strings.TrimRight(name, "-"), Path: path})
	}
	browser.Walk(t, v)
}
