package daemon

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sallyport/internal/browser"
	"sallyport/internal/durable"
	"sallyport/internal/wire"
)

// couple is a hub and a site that have met, each with an admin before its console, and a first full taken in.
type couple struct {
	hub, site *actor
	h, s      *visitor
	stick     string
}

func met(t *testing.T) couple {
	t.Helper()
	dir := t.TempDir()
	c := couple{
		hub: enter(t, filepath.Join(dir, "h"), "hub", durable.FS{}, withConsole()), site: enter(t, filepath.Join(dir, "s"), "site-07", durable.FS{}, withConsole()),
		stick: t.TempDir(),
	}
	c.hub.must(c.hub.load("osv-made", dump(t, 120, 0)), "load")
	meet(c.hub, c.site, c.stick)
	c.h, c.s = c.hub.console(), c.site.console()
	c.h.setUp(c.hub, "anna")
	c.s.setUp(c.site, "carla")
	return c
}

// has demands an element.
func (v *visitor) has(selector string) *visitor {
	v.t.Helper()
	if !v.doc.Has(selector) {
		v.t.Fatalf("%s has no %s:\n%s", v.url, selector, v.words())
	}
	return v
}

// A full is made in the browser, followed to its end, downloaded byte for byte; what cannot be made comes back as the form.
func TestPagesExport(t *testing.T) {
	c := met(t)
	v := c.h
	v.get("/exports").at(200, "/exports").says("Nothing was exported yet")
	v.get("/exports/new").at(200, "/exports/new").says("site-07", "osv-made").has("input[name=for][value=site-07]")
	v.post("/exports/new", url.Values{"variant": {"full"}}).at(422, "/exports/new").says("Choose at least one peer")
	v.post("/exports/new", url.Values{"variant": {"full"}, "for": {"site-07"}, "volume": {"lots"}}).at(422, "/exports/new").says("Write a size like 2GiB.")
	v.post("/exports/new", url.Values{"variant": {"delta"}, "for": {"site-07"}}).at(422, "/exports/new").says("ERR_EXPORT_")
	v.post("/exports/new", url.Values{"variant": {"full"}, "for": {"site-07"}}).at(200, "/exports/")
	id := strings.TrimPrefix(v.url.Path, "/exports/")
	var run wire.Run
	c.hub.must(c.hub.long("runs/watch", wire.RunRequest{ID: id}, &run), "watch")
	v.get("/exports/"+id).at(200, "/exports/").says("Made and verified", "not answered yet", "SHA256SUMS").has("form[action=/exports/" + id + "/files/COVER.txt]")
	v.get("/exports").says(run.Name, "made, not answered yet")

	v.post("/exports/"+id+"/files/SHA256SUMS", nil)
	want, err := os.ReadFile(filepath.Join(c.hub.dir, "shelf", run.Shelf, "SHA256SUMS"))
	if err != nil || v.text != string(want) {
		t.Errorf("downloaded %q, want %q: %v", v.text, want, err)
	}
	v.post("/exports/"+id+"/files/nothing", nil).at(404, "/exports/")
	v.post("/exports/"+id+"/files/..%2F..%2Finstance.json", nil).at(404, "/exports/")
	if v.get("/exports/" + id + "/files/SHA256SUMS"); v.status < 400 {
		t.Errorf("a GET gives %d: what leaves would not be written down", v.status)
	}
	v.post("/exports/"+id+"/retry", nil).at(409, "/exports/").says("Only a run that failed or was cancelled")
	v.get("/exports/NOSUCHRUN").at(404, "/exports/")
	v.get("/exports/confirm?peer=site-07").submit("/exports/confirm", "words", "only four words here").at(422, "/exports/confirm").says("six words")
	v.submit("/exports/confirm", "words", "river lamp ocean stone winter paper").at(422, "/exports/confirm")

	v.get("/peers").says("site-07", "unknown").get("/peers/site-07").says("osv-made", run.Name, "its nine words were compared").get("/peers/nobody").at(404, "/peers/")
	csvOf(v, "/peers.csv", "site-07")
	csvOf(v, "/exports.csv", run.Name)
}

// csvOf demands a table for a spreadsheet that says so.
func csvOf(v *visitor, path, word string) {
	v.t.Helper()
	v.get(path)
	if v.status != http.StatusOK || !strings.Contains(v.text, word) || !strings.HasPrefix(v.text, "\ufeff") {
		v.t.Errorf("%s: %d %.300q, want %q", path, v.status, v.text, word)
	}
}

// What bothSides is found by id, alias and package, proven, and taken away byte for byte; a feed is rolled back, pinned, held.
func TestPagesContent(t *testing.T) {
	c := met(t)
	if _, err := c.hub.export("site-07", c.stick); err != nil {
		t.Fatal(err)
	}
	if _, err := c.site.take(c.stick); err != nil {
		t.Fatal(err)
	}
	v := c.s
	v.get("/feeds").says("osv-made", "120", "verified", "hub").has("a[href=/feeds/hub/osv-made]")
	v.get("/feeds/hub/osv-made").says("Generation 1", "120 advisories", "active").get("/feeds/hub/nothing").at(404, "/feeds/")

	v.get("/records").says("Find a record")
	if n := len(v.doc.All("#records tbody tr")); n != 50 {
		t.Fatalf("%d records on the first page", n)
	}
	first := browser.Text(v.doc.All("#records tbody th")[0])
	next, _ := browser.Attr(v.doc.One("a[rel=next]"), "href")
	v.get(next)
	if n := len(v.doc.All("#records tbody tr")); n != 50 || browser.Text(v.doc.All("#records tbody th")[0]) == first {
		t.Fatalf("%d records on the second page, or the same", n)
	}
	v.get("/records?q=" + url.QueryEscape(first)).says("Found 1 record").get("/records?q=no-such-thing").says("Nothing found for no-such-thing")
	v.get("/records/advisory/"+url.PathEscape(first)+"?feed=hub%2Fosv-made").at(200, "/records/").says("Where it comes from", "hub/osv-made")
	v.get(v.url.RequestURI()+"&proof=1").says("Every step holds", "Its key counts today", "Manifest", "Shard", "Signature")
	v.get("/records/advisory/" + url.PathEscape(first) + "?feed=hub%2Fosv-made&raw=1")
	var r wire.Record
	c.site.must(c.site.call("records/show", wire.RecordRequest{Key: first}, &r), "record")
	if sum := sha256.Sum256([]byte(v.text)); "sha256:"+hex.EncodeToString(sum[:]) != r.Digest {
		t.Errorf("the bytes taken away have another digest")
	}
	v.get("/records/advisory/NO-1").at(404, "/records/")
	csvOf(v, "/records.csv", first)
	csvOf(v, "/feeds.csv", "osv-made")

	c.hub.must(c.hub.load("osv-made", dump(t, 130, 3)), "load again")
	var due wire.Exchanged
	if err := c.hub.long("exchange/run", wire.ExchangeRequest{Path: c.stick, Yes: true, For: []string{"site-07"}}, &due); err != nil {
		t.Fatal(err)
	}
	if _, err := c.site.take(c.stick); err != nil {
		t.Fatal(err)
	}
	at := "/feeds/hub/osv-made"
	v.get(at).says("Generation 2", "130").has("a[href=" + at + "/rollback?to=1.1]")
	v.get(at+"/rollback?to=1.1").says("Go back to an earlier generation of osv-made?", "Active now", "generation 2")
	v.submit(at+"/rollback").at(422, at).says("Why is missing")
	v.submit(at+"/rollback", "reason", "too many changes").at(200, at).says("is pinned there", "Pinned at generation 1", "too many changes")
	if f := c.site.feed("osv-made"); f.Generation != 1 || !f.Pinned {
		t.Fatalf("not rolled back: %+v", f)
	}
	v.get(at + "/unpin").submit(at + "/unpin").says("generation 1.2 is active now")
	v.get(at+"/hold?to=1.1").submit(at+"/hold", "reason", "evidence").says("is kept, whatever retention says")
	v.get(at+"/release?to=1.1").submit(at+"/release", "reason", "done").says("Proposed. Nothing has changed yet")
	v.get(at+"/release?to=1.1").says("Proposed by", "carla", "Agree")
	v.get(at+"/rhythm").submit(at+"/rhythm", "every", "often").at(422, at)
	v.submit(at+"/rhythm", "every", "7d").says("a stick every 7 days")
	v.get(at+"/rollback?to=1.9").at(404, at).get(at+"/explode").at(404, at)
}

// History: events page by page, the log proven, its checkpoint, receipts and their sheet, what was refused.
func TestPagesHistory(t *testing.T) {
	c := met(t)
	run, err := c.hub.export("site-07", c.stick)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.site.take(c.stick); err != nil {
		t.Fatal(err)
	}
	v := c.s
	v.get("/timeline").says("bundle.import.activated", "daemon.started")
	v.get("/timeline?type=user").says("user.created")
	if strings.Contains(browser.Text(v.doc.One("#events")), "daemon.started") {
		t.Error("the filter lets other types through")
	}
	v.get("/timeline?q=" + run.Name).says("bundle.import.activated").get("/timeline?type=no.such.type").says("No such event on this page")
	v.get("/timeline/verify").at(200, "/timeline").says("The log is whole", "were read again")
	v.get("/timeline/checkpoint").says("sallyport.timeline/").has("svg")
	csvOf(v, "/timeline.csv", "daemon.started")
	v.get("/receipts").says("R-0001", "hub", "activated", "not yet").get("/receipts/R-0001").says(run.Name, "1 person", "Six words for the telephone")
	v.get("/receipts/R-0001/sheet").at(200, "/receipts").says("Receipt R-0001").has("svg")
	v.get("/receipts/R-9999").at(404, "/receipts/").get("/receipts/1").at(404, "/receipts/")
	csvOf(v, "/receipts.csv", "R-0001")

	v.get("/quarantine").says("Nothing was refused.")
	c.hub.must(c.hub.load("osv-made", dump(t, 121, 1)), "load again")
	other := t.TempDir()
	if run, err = c.hub.export("site-07", other); err != nil {
		t.Fatal(err)
	}
	spoil(t, filepath.Join(other, "sallyport", "bundles"))
	if _, err := c.site.take(other); err == nil {
		t.Fatal("a spoiled label was taken")
	}
	v.get("/quarantine").says("Q-1").get("/quarantine/Q-1").says("Refused, nothing was changed", "What was checked")
	v.get("/quarantine/Q-1/release").says("Verify Q-1 again?")
	v.get("/quarantine/Q-1/remove").submit("/quarantine/Q-1/remove").at(422, "/quarantine").says("Why is missing")
	v.submit("/quarantine/Q-1/remove", "reason", "settled with headquarters").at(200, "/quarantine").says("Q-1 was removed.", "Nothing was refused.")
	v.get("/quarantine/Q-1").at(404, "/quarantine/")
	csvOf(v, "/quarantine.csv", "")
}

// spoil changes a signed byte in the label of the bundle below a folder.
func spoil(t *testing.T, dir string) {
	t.Helper()
	labels, err := filepath.Glob(filepath.Join(dir, "*", "*.label.json"))
	if err != nil || len(labels) == 0 {
		t.Fatalf("no label below %s: %v", dir, err)
	}
	b, err := os.ReadFile(labels[0])
	if err != nil {
		t.Fatal(err)
	}
	i := strings.Index(string(b), `"sig":"`) + len(`"sig":"`) + 12
	b[i] = map[bool]byte{true: 'B', false: 'A'}[b[i] == 'A']
	if err := os.WriteFile(labels[0], b, 0o644); err != nil {
		t.Fatal(err)
	}
}

// Accounts, tokens and sessions: a code handed over once, a token shown once, and both taken back.
func TestPagesPeople(t *testing.T) {
	site := enter(t, t.TempDir(), "site-07", durable.FS{}, withConsole())
	v := site.console()
	v.setUp(site, "anna")
	v.get("/users").says("anna", "1 account can sign in", "Make a second admin", "There is no recovery card")
	v.get("/users/new").submit("/users/new", "name", "").at(422, "/users/new").says("Give the account a name.")
	v.post("/users/new", url.Values{"name": {"bob"}, "role": {"operator", "approver"}}).says("The account bob is made", "shown once, not kept", "operator, approver")
	code := browser.Text(v.doc.One("main pre"))
	v.get("/users").says("bob", "invited").get("/users/bob").says("operator, approver", "nothing yet").has("input[name=role][value=approver][checked]")
	if strings.Contains(v.text, code) {
		t.Error("the code is shown a second time")
	}
	v.post("/users/bob", url.Values{"role": {"viewer"}, "ends": {"2031-06-30"}}).at(200, "/users/bob").says("Changed.", "viewer", "30 Jun 2031")
	v.get("/users/bob/disable").submit("/users/bob/disable").at(422, "/users/bob").says("Why is missing")
	v.submit("/users/bob/disable", "reason", "left").at(200, "/users/bob").says("cannot sign in any more", "disabled", "left")
	v.get("/users/bob/enable").submit("/users/bob/enable").says("can sign in again")
	v.get("/users/nobody").at(404, "/users/").get("/users/bob/explode").at(404, "/users/")
	v.post("/users/anna/disable", url.Values{"reason": {"alone"}})
	if v.status < 400 {
		t.Errorf("the last admin was disabled: %d", v.status)
	}

	v.get("/tokens").says("No token").get("/tokens/new").has("input[name=scope][value=export:run]")
	v.post("/tokens/new", url.Values{"name": {"nightly"}, "days": {"soon"}}).at(422, "/tokens/new").says("Give a number of days", "Choose at least one.")
	v.post("/tokens/new", url.Values{"name": {"nightly"}, "days": {"30"}, "scope": {"feed:read"}}).says("shown once, not kept")
	secret := browser.Text(v.doc.One("main pre"))
	if !strings.HasPrefix(secret, "sp_") {
		t.Fatalf("no token in %q", secret)
	}
	v.get("/tokens").says("nightly", "feed:read", "active")
	if strings.Contains(v.text, secret) {
		t.Error("the secret is shown a second time")
	}
	revoke := ""
	for _, l := range v.links() {
		if strings.HasSuffix(l, "/revoke") {
			revoke = l
		}
	}
	v.get(revoke).says("Revoke the token nightly?").submit(revoke).at(200, "/tokens").says("The token is revoked.")
	v.get("/sessions").says("anna", "this one")
	csvOf(v, "/users.csv", "bob")
	csvOf(v, "/tokens.csv", "Name")
}

// The machine: its settings with their sources, its disk, its time, its copies; keys and trust as proposals.
func TestPagesAppliance(t *testing.T) {
	c := met(t)
	v := c.s
	v.get("/settings").says("listen.http", "test", "SALLYPORT_DELIVERY_EVERY")
	v.get("/store").says("What lies on it", "never yet").get("/store/prune").says("Nothing can go").get("/store/prune?keep=none").at(400, "/store/prune")
	v.get("/store/scrub").submit("/store/scrub").at(200, "/jobs/")
	v.get("/time").says("Trusted time").get("/time/set").submit("/time/set", "at", "tomorrow", "reason", "x").at(422, "/time/set")
	v.submit("/time/set", "at", "2099-01-01T00:00:00Z", "reason", "no stick comes here").at(200, "/time").says("Proposed. Nothing has changed yet", "carla proposed to set the time to 2099-01-01 00:00:00Z")
	v.get("/time/set?at=2099-01-01T00:00:00Z").says("Proposed by", "no stick comes here")
	v.get("/backups").submit("/backups", "path", "here").at(422, "/backups").says("Where to?")
	to := filepath.Join(t.TempDir(), "copy")
	v.post("/backups", url.Values{"path": {to}}).at(200, "/jobs/")
	v.finish(c.site)
	if _, err := os.Stat(to); err != nil {
		t.Errorf("no backup: %v\n%s", err, v.words())
	}
	v.get("/trust").says("site-07", "hub", "valid").get("/trust/hub").says(c.hub.words, "bundle key").get("/trust/site-07").says("Own trust root", "in use")
	v.get("/trust/plan?folder="+url.QueryEscape(c.stick)).at(200, "/trust/plan")
	v.get("/trust/plan?folder=%2Fnowhere").at(422, "/trust/plan")
	v.get("/trust/keys/rotate").submit("/trust/keys/rotate", "kind", "bundle").at(422, "/trust/keys").says("Why is missing")
	v.submit("/trust/keys/rotate", "kind", "bundle", "reason", "yearly").at(200, "/approvals/sha256:").says("Proposed.")
	v.get("/media").at(200, "/media").get("/media/heal").submit("/media/heal").at(422, "/media/heal").says("Which stick?")
	v.get("/media/forget/"+strings.Repeat("0", 64)).at(404, "/media/")
}

// What is not for a role is neither shown nor done.
func TestPagesByRole(t *testing.T) {
	site := enter(t, t.TempDir(), "site-07", durable.FS{}, withConsole())
	v := site.console()
	v.setUp(site, "anna")
	var made wire.UserMade
	site.must(site.call("users/create", wire.UserRequest{Name: "vic", Roles: "viewer"}, &made), "create")
	w := site.console()
	w.enrol(made.Code, "vic")
	for _, path := range []string{"/feeds", "/records", "/exports", "/peers", "/trust", "/store", "/time", "/media", "/sessions"} {
		w.get(path).at(200, path)
		for _, f := range w.doc.All("main form") {
			method, _ := browser.Attr(f, "method")
			action, _ := browser.Attr(f, "action")
			if strings.EqualFold(method, "post") && action != "/sessions/revoke" {
				t.Errorf("%s shows a viewer a form to %s", path, action)
			}
		}
	}
	for _, path := range []string{"/timeline", "/receipts", "/quarantine", "/users", "/tokens", "/settings", "/backups", "/exports/new", "/store/scrub", "/time/set", "/trust/keys/rotate", "/media/heal", "/feeds/a/b/pin"} {
		if w.get(path); w.status != http.StatusForbidden {
			t.Errorf("%s: %d for a viewer", path, w.status)
		}
	}
	for _, path := range []string{"/exports/new", "/exports/x/cancel", "/exports/x/files/y", "/store/prune", "/users/new", "/tokens/new", "/quarantine/Q-1/remove", "/trust/apply", "/time/set", "/backups", "/feeds/a/b/rollback"} {
		if w.post(path, url.Values{"reason": {"x"}}); w.status != http.StatusForbidden {
			t.Errorf("POST %s: %d for a viewer", path, w.status)
		}
	}
}

// enrol chooses a password and no phone with a code that was handed over.
func (v *visitor) enrol(code, name string) {
	v.t.Helper()
	v.get("/set-up").submit("/set-up", "code", code)
	v.post("/set-up/account", url.Values{"code": {code}, "name": {name}, "password": {password}, "again": {password}, "nototp": {"yes"}}).at(http.StatusOK, "/")
}

// Every link that the pages make leads somewhere, and every page has one title.
func TestPagesLinks(t *testing.T) {
	c := met(t)
	if _, err := c.hub.export("site-07", c.stick); err != nil {
		t.Fatal(err)
	}
	if _, err := c.site.take(c.stick); err != nil {
		t.Fatal(err)
	}
	for _, v := range []*visitor{c.h, c.s} {
		seen := map[string]bool{}
		todo := []string{"/feeds", "/records", "/exports", "/exports/new", "/peers", "/media", "/trust", "/timeline", "/receipts", "/quarantine", "/users", "/tokens", "/sessions", "/settings", "/store", "/time", "/backups"}
		for len(todo) > 0 && len(seen) < 150 {
			at := todo[0]
			todo = todo[1:]
			if seen[at] || strings.HasPrefix(at, "/records/") && len(seen) > 60 || strings.HasPrefix(at, "/help") || strings.HasPrefix(at, "/static") {
				continue
			}
			seen[at] = true
			v.get(at)
			if v.status != http.StatusOK {
				t.Errorf("%s gives %d: %s", at, v.status, v.words())
				continue
			}
			if !strings.Contains(at, ".csv") && !strings.Contains(at, "raw=1") {
				if n := len(v.doc.All("h1")); n != 1 {
					t.Errorf("%s has %d titles", at, n)
				}
				todo = append(todo, v.links()...)
			}
		}
	}
}
