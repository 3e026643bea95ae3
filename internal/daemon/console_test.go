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
	// the first import: the hub is not known yet, and the page leads to the comparison before anything is judged
	v.get("/import").at(200, "/import").submit("/import", "path", stick)
	v.at(200, "/peers/add").says("Meet hub", hub.words, site.words)
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

// invite makes an account with roles and lets its owner choose a password alone.
func (a *actor) invite(name string, roles ...string) *visitor {
	a.t.Helper()
	var made wire.UserMade
	a.must(a.call("users/create", wire.UserRequest{Name: name, Roles: strings.Join(roles, "+")}, &made), "create "+name)
	v := a.console()
	v.get("/set-up").submit("/set-up", "code", made.Code).says("You were invited as " + strings.Join(roles, "+"))
	v.submit("/set-up/account", "password", password, "again", password, "nototp", "yes").at(200, "/")
	return v
}

// digestOf is the plan that a page asks about.
func (v *visitor) digestOf() string {
	v.t.Helper()
	d, _ := browser.Attr(v.doc.One("main input[name=digest]"), "value")
	return d
}

// Where two must agree: the proposer is never the second, the other looks at the same plan in their own session, and what was
// approved is exactly what is done. A plan that has changed cannot be approved by the old digest.
func TestConsoleTwoPeople(t *testing.T) {
	dir, stick := t.TempDir(), t.TempDir()
	set := withConsole()
	set["approvals.import"] = "2"
	hub := enter(t, filepath.Join(dir, "h"), "hub", durable.FS{}, nil)
	site := enter(t, filepath.Join(dir, "s"), "site-07", durable.FS{}, set)
	meet(hub, site, stick)
	hub.must(hub.load("osv-made", dump(t, 40, 0)), "load")
	if _, err := hub.export(site.name, stick); err != nil {
		t.Fatal(err)
	}
	anna := site.console()
	anna.setUp(site, "anna")
	bob, carl := site.invite("bob", "approver"), site.invite("carl", "viewer")

	anna.get("/import").submit("/import", "path", stick)
	anna.finish(site).says("Two people must agree here")
	plan := anna.digestOf()
	// the plan changes while the page is open: a second bundle comes onto the stick
	hub.must(hub.load("osv-made", dump(t, 45, 3)), "load again")
	if _, err := hub.export(site.name, stick); err != nil {
		t.Fatal(err)
	}
	anna.submit(anna.url.Path + "/approve")
	anna.finish(site).says("not the one that was approved")
	if now := anna.digestOf(); now == plan {
		t.Fatal("the plan did not change")
	}
	plan = anna.digestOf()
	anna.submit(anna.url.Path + "/approve")
	anna.finish(site).says("A second person is needed", "You said yes")

	// the proposer's second yes counts for nothing, and going on without the other is refused
	anna.get("/approvals/" + plan).says("You said yes.")
	anna.post("/approvals/"+plan+"/approve", nil)
	anna.post("/approvals/"+plan+"/go", map[string][]string{"path": {stick}})
	anna.finish(site).says("A second person is needed")
	if f := site.feed("osv-made"); f.Generation != 0 {
		t.Fatalf("imported by one person: %+v", f)
	}

	// a viewer sees neither
	for _, path := range []string{"/approvals", "/approvals/" + plan, "/users"} {
		carl.get(path).at(http.StatusForbidden, path).says("not for your role")
	}
	carl.post("/import", map[string][]string{"path": {stick}}).at(http.StatusForbidden, "/import")
	carl.get("/import").says("Importing is for operators")

	bob.get("/").says("A plan waits")
	bob.get("/approvals/"+plan).says("What would change", "Approve this plan", "anna")
	bob.submit("/approvals/"+plan+"/approve", "reason", "looked at it").says("Enough people agreed")
	anna.get("/approvals/"+plan).submit("/approvals/"+plan+"/go", "path", stick)
	anna.finish(site).says("Activated osv-made")
	if f := site.feed("osv-made"); f.Records != 45 {
		t.Fatalf("not imported: %+v", f)
	}
	anna.get("/approvals?all=yes").says("done")
}

// A one-time link opens the console signed in, once.
func TestConsoleLink(t *testing.T) {
	site := enter(t, t.TempDir(), "site-07", durable.FS{}, withConsole())
	site.console().setUp(site, "anna")
	link, err := site.run.Daemon().SignInLink(t.Context(), "anna")
	if err != nil {
		t.Fatal(err)
	}
	path := link[strings.LastIndex(link, "/sign-in/"):]
	v := site.console()
	v.get(path).at(200, "/").says("Needs you")
	site.console().get(path).at(http.StatusForbidden, "/sign-in/link/").says("This link was used")
}
