package daemon

import (
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"sallyport/internal/browser"
	"sallyport/internal/durable"
	"sallyport/internal/wire"
)

const password = "correct horse battery staple"

// withConsole has an appliance answer browsers on loopback.
func withConsole() map[string]string { return map[string]string{"listen.http": "127.0.0.1:0"} }

var secretOf = regexp.MustCompile(`secret=([A-Z2-7]+)|([A-Z2-7]{4}( [A-Z2-7]{1,4}){3,})`)

// setUp makes the first admin as a new user would: code, password, phone, rhythm. It gives the secret of the phone and a
// recovery code.
func (v *visitor) setUp(a *actor, name string) (secret string, recovery []string) {
	v.t.Helper()
	v.get("/").at(http.StatusOK, "/set-up").says("Nobody can sign in yet")
	var once wire.SetupCode
	a.must(a.call("setup/code", nil, &once), "set-up code")
	v.submit("/set-up", "code", "wrong-wrong-wrong-wrong").says("code")
	if v.status < 400 {
		v.t.Fatalf("a wrong code gives %d", v.status)
	}
	v.submit("/set-up", "code", once.Code).says("The first admin")
	secret = secretOf.FindString(v.words())
	v.submit("/set-up/account", "name", name, "password", "short", "again", "short", "totp", phone(v.t, secret, time.Now())).at(422, "/set-up/account").says("12")
	v.submit("/set-up/account", "name", name, "password", password, "again", "another one entirely", "totp", "1").at(422, "/set-up/account").says("not the same")
	v.submit("/set-up/account", "name", name, "password", password, "again", password, "totp", phone(v.t, secret, time.Now())).says("Recovery codes")
	for _, c := range v.doc.All("main code") {
		recovery = append(recovery, browser.Text(c))
	}
	if len(recovery) < 10 {
		v.t.Fatalf("%d recovery codes: %q\n%s", len(recovery), recovery, v.words())
	}
	return secret, recovery
}

// The whole story of the first day without JavaScript: set-up code, admin, rhythm, card; the hub met from its stick; plan,
// approval, receipt; a search; the exchange, and "safe to remove".
func TestConsoleStory(t *testing.T) {
	dir := t.TempDir()
	hub := enter(t, filepath.Join(dir, "h"), "hub", durable.FS{}, nil)
	site := enter(t, filepath.Join(dir, "s"), "site-07", durable.FS{}, withConsole())
	stick := t.TempDir()
	hub.must(hub.load("osv-made", dump(t, 60, 0)), "load")
	for _, a := range []*actor{hub, site} {
		a.must(a.call("card/write", wire.MediumRequest{Path: stick}, nil), "card")
	}
	hub.must(hub.call("peers/add", wire.PeerRequest{Path: stick, Name: site.name, Words: site.words}, nil), "add site")
	if _, err := hub.export(site.name, stick); err != nil {
		t.Fatal(err)
	}

	v := site.console()
	v.setUp(site, "anna")
	v.get("/set-up/rhythm").says("How often does a stick arrive?", site.words)
	v.submit("/set-up/rhythm", "every", "7d").at(200, "/set-up/card")
	var s wire.Settings
	site.must(site.call("settings/show", nil, &s), "settings")
	v.submit("/set-up/card").says("Recovery card of site-07", site.words, "To get back in")

	v.get("/").at(200, "/").says("Needs you", "No data came from outside yet", "Nothing is held yet")
	// the first import: the hub is not known yet, and the page leads to the comparison
	v.get("/import").at(200, "/import").submit("/import", "path", stick)
	v.finish(site).says("Nothing was changed")
	add := ""
	for _, l := range v.links() {
		if strings.HasPrefix(l, "/peers/add") {
			add = l
		}
	}
	if add == "" {
		t.Fatalf("no way to meet the hub from %s: %q\n%s", v.url, v.links(), v.words())
	}
	v.get(add).says("Meet hub", hub.words, site.words)
	v.submit("/peers/add", "typed", "abandon abandon abandon abandon abandon abandon abandon abandon abandon").at(422, "/peers/add")
	v.submit("/peers/add", "typed", hub.words).at(200, "/import/")
	v.finish(site).says("What would change", "60", "Label signed by acme at hub", "Encrypted for this site", "Approve this plan")
	if got := site.feed("osv-made"); got.Generation != 0 {
		t.Fatalf("a plan changed something: %+v", got)
	}
	v.submit(v.url.Path+"/approve").at(200, "/import/")
	v.finish(site).says("Activated osv-made generation 1", "Receipt")
	if got := site.feed("osv-made"); got.Generation != 1 || got.Records != 60 {
		t.Fatalf("not imported: %+v", got)
	}
	v.get(v.url.Path+"/sheet").says("R-0001", "Signed by")
	v.get("/").says("osv-made", "verified", "R-0001")

	// the exchange writes the receipt home
	v.get("/import").submit("/import", "path", stick)
	v.finish(site).says("already has everything")
	v.submit("/exchange").at(200, "/exchange/")
	v.finish(site).says("What would go out", "1 receipt")
	v.submit(v.url.Path+"/approve").at(200, "/exchange/")
	v.finish(site).says("Done. Safe to remove.", "readable only by hub")

	// what was done stands under jobs, with its log
	v.get("/jobs").says("Exchange with", "done", "anna")
	// out, and in again with the phone
	v.submit("/sign-out").at(200, "/sign-in")
	v.get("/feeds").at(200, "/sign-in")
	v.submit("/sign-in", "name", "anna", "password", "wrong wrong wrong", "code", "000000")
	if v.status != 401 && v.status != 429 {
		t.Errorf("a wrong password gives %d", v.status)
	}
}

// Every link of the navigation and of Overview leads somewhere, for an admin.
func TestConsoleLinks(t *testing.T) {
	site := enter(t, t.TempDir(), "site-07", durable.FS{}, withConsole())
	v := site.console()
	v.setUp(site, "anna")
	v.get("/")
	for _, l := range append(v.links(), "/set-up/rhythm", "/set-up/card", "/jobs?state=unfinished", "/approvals?all=yes", "/peers/add", "/step-up") {
		if v.get(l); v.status != 200 {
			t.Errorf("%s: %d\n%s", l, v.status, v.words())
		}
		if n := len(v.doc.All("h1")); n != 1 {
			t.Errorf("%s: %d headings", l, n)
		}
	}
	v.get("/no/such/page").at(404, "/no/such/page").says("There is no page")
	v.get("/jobs/01NOSUCHJOB").at(404, "/jobs/").says("No job")
	v.get("/approvals/sha256:00").at(400, "/approvals/")
}
