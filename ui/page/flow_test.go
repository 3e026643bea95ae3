package page_test

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"sallyport/internal/browser"
	"sallyport/internal/wire"
	"sallyport/ui/kit"
	"sallyport/ui/page"
	"sallyport/ui/static"
)

var noon = time.Date(2026, 3, 14, 14, 2, 0, 0, time.UTC)

func stamp(ago time.Duration) string { return noon.Add(-ago).Format(time.RFC3339) }

const (
	days     = 24 * time.Hour
	planHex  = "sha256:7c1e90ab44d2000000000000000000000000000000000000000000000000beef"
	rootHex  = "1f3a5c7e9b2d4f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8"
	hubWords = "river lamp ocean stone winter paper copper field anchor"
)

func advisories(f wire.Feed) wire.Feed {
	f.Tenant, f.Every, f.Kinds = "acme", int64(14*days/time.Second), map[string]int64{"advisory": f.Records}
	return f
}

func goodFeeds() []wire.Feed {
	return []wire.Feed{
		advisories(wire.Feed{Name: "osv-go", Origin: "ap1hub", OriginName: "hub-01", Epoch: 1, Generation: 42, Newest: "1.42", Records: 4291, Standing: "ok", AgeSeconds: int64(3 * days / time.Second), AcceptedAt: stamp(2 * days)}),
		advisories(wire.Feed{Name: "sboms", Origin: "ap1us", OriginName: "site-07", Local: true, Epoch: 1, Generation: 9, Newest: "1.9", Records: 212, AcceptedAt: stamp(6 * time.Hour)}),
	}
}

func goodStatus() wire.Status {
	return wire.Status{
		Appliance: wire.Appliance{Name: "site-07", Tenants: []string{"acme"}}, Ready: true, Health: "Healthy", Feeds: goodFeeds(), Peers: 1,
		Time: wire.Time{Wall: noon.Format(time.RFC3339), Trusted: noon.Format(time.RFC3339), Source: "anchor", Anchor: stamp(3 * days)},
		Disk: wire.Disk{Free: 78 << 30, Total: 200 << 30, Store: 31 << 30, Blobs: 12_345},
	}
}

// needsOf is a bad day: everything that can need somebody.
func needsOf(s wire.Status) wire.Status {
	s.Health = "Degraded"
	s.Reasons = []wire.Reason{
		{Level: "critical", What: "the disk of the data directory does not answer: input/output error", Topic: wire.AboutDisk},
		{Level: "warning", What: "Disk full: intake stopped, nothing lost. 4.1 GiB can be freed here → sallyport store prune --plan; 37 GiB on this disk belong to other programs.", Topic: wire.AboutDisk, Why: "180 MiB are free; loads and imports go on above 2.0 GiB."},
		{Level: "warning", What: "the data of hub-01/osv-go is 47 days old; a stick arrives every 14 days: in breach", Topic: wire.AboutBudget, Subject: "hub-01/osv-go", Why: "It can still be read and searched; nothing older is activated any more."},
		{Level: "warning", What: "Q-17: mirror-20260311-full came with other contents than were accepted here under the same number: two histories exist", Topic: wire.AboutFork, Subject: "Q-17", Why: "Call the sender."},
	}
	s.Needs = []wire.Reason{
		{Level: "note", What: "A plan waits (import: mirror-20260311-delta): 1 of 2 have said yes.", Topic: wire.AboutPlan, Subject: planHex, Why: "Proposed by anna. Nothing changes before enough people agree."},
		{Level: "note", What: "No recovery card was printed.", Topic: wire.AboutCard, Why: "Without it only root on this machine can open a way in."},
	}
	s.Waiting = []wire.Waiting{{Name: "mirror-20260301-delta", Sentence: "Kept, waiting for generation 41 of osv-go. Ask headquarters for it, or for a full (1.8 GiB)."}}
	s.Time.Suspect, s.Time.Wall, s.Time.AtLeast = true, "1970-01-01T00:12:00Z", true
	s.Disk.Free = 2 << 30
	s.Feeds[0].Standing, s.Feeds[0].AgeSeconds, s.Feeds[0].AtLeast = "breach", int64(47*days/time.Second), true
	s.Feeds = append(s.Feeds, advisories(wire.Feed{Name: "vendor-vex", Origin: "ap1two", OriginName: "hub-02"}))
	return s
}

func runningJob() wire.Job {
	return wire.Job{
		ID: "01HX0000000000000000000001", Action: "import/run", Subject: "/media/stick", By: "anna", Via: "console", State: "running", Attempt: 1, CreatedAt: stamp(time.Minute), StartedAt: stamp(time.Minute), Seconds: 6,
		Request:  json.RawMessage(`{"path":"/media/stick","plan":true}`),
		Progress: &wire.Progress{Stage: "verify mirror-20260311-full", Bytes: 1288490188, TotalBytes: 1932735283, Rate: 212 << 20, ETA: 3},
		Notes:    []string{wire.FactLine("Label signed by acme at hub-01", hubWords+", trusted since 12 Jan 2026")},
		Steps:    []wire.JobStep{{Stage: "verify mirror-20260311-full", Bytes: 1288490188, TotalBytes: 1932735283, Seconds: 6}},
	}
}

func overviews() map[string]page.OverviewView {
	media := wire.Media{Media: []wire.Medium{{Path: "/media/stick", Label: "KINGSTON", Ours: true, State: "ours", ForUs: 2, FSType: "vfat", Free: 12 << 30, Total: 29 << 30}}}
	stale := goodStatus()
	stale.Feeds[0].Standing, stale.Feeds[0].AgeSeconds = "warn", int64(33*days/time.Second)
	normal := page.OverviewView{
		Now: noon, Site: "site-07", Status: goodStatus(), Every: 14 * days, Admin: true, Witness: true,
		Receipts: []wire.Receipt{{Number: "R-0042", Bundle: "mirror-20260311-delta-for-site-07", Decision: "activated", At: stamp(2 * days), Peer: "hub-01"}},
		Runs:     []wire.Run{{ID: "01R", Kind: "outbound", Variant: "site", Peers: []string{"hub-01"}, State: "succeeded", Delivered: true, CreatedAt: stamp(2 * days)}},
	}
	failing := normal
	failing.Status, failing.Media, failing.Jobs = needsOf(goodStatus()), media, []wire.Job{runningJob()}
	old := normal
	old.Status = stale
	return map[string]page.OverviewView{
		"/normal": normal, "/failing": failing, "/stale": old,
		"/empty": {Now: noon, Site: "site-07", Status: wire.Status{Time: wire.Time{Wall: noon.Format(time.RFC3339), Trusted: noon.Format(time.RFC3339), Source: "build"}}},
	}
}

func bundlePlan() wire.BundlePlan {
	b := wire.BundlePlan{
		Name: "mirror-20260311-delta-for-site-07", Kind: "mirror", Variant: "delta", BundleID: planHex, LabelID: planHex, From: "hub-01", Signer: hubWords, Decision: "activated",
		Bytes: 28 << 10, Space: 31 << 10, CreatedAt: stamp(3 * days), DataTime: stamp(3 * days), AgeSeconds: int64(3 * days / time.Second),
		Feeds:  []wire.FeedPlan{{Feed: "osv-go", OriginName: "hub-01", Generation: 43, Before: 42, Decision: "activated", Added: 136, Changed: 2, Records: 4427, Base: 42}},
		Proven: []wire.Fact{{What: "Label signed by acme at hub-01", Detail: hubWords}, {What: "4 of 4 volumes whole", Detail: "1.8 GiB read"}, {What: "Encrypted for this site"}, {What: "138 of 138 entries match"}},
	}
	b.Feeds[0].Examples = []wire.Example{{What: "added", Kind: "advisory", Key: "GO-2026-5061"}, {What: "changed", Kind: "advisory", Key: "GO-2026-4440"}, {What: "removed", Kind: "sbom", Key: "urn:uuid:3e67/<script>"}}
	return b
}

func planned() *wire.Imported {
	b := bundlePlan()
	return &wire.Imported{
		Plan:     wire.Plan{Digest: planHex, Bundles: []wire.BundlePlan{b}, Bytes: b.Bytes, Space: b.Space},
		Outcomes: []wire.Outcome{{Plan: b, Dir: "sallyport/x", Decision: "planned", Sentence: "Already verified."}}, Sentence: "This stick has 1 bundle for this site.",
	}
}

func visit(change func(*page.VisitView)) page.VisitView {
	j := runningJob()
	j.State, j.Progress = "succeeded", nil
	v := page.VisitView{Now: noon, Site: "site-07", Job: j, Planning: true, Path: "/media/stick", People: 1, Person: "anna", May: true, MayAgree: true, MayAdd: true}
	change(&v)
	return v
}

func ended(c, message string) *wire.Error { return &wire.Error{Code: c, Message: message, Exit: 1} }

// visits are an import and an exchange at each step and in each state.
func visits() map[string]page.VisitView {
	waiting := &wire.Approval{Digest: planHex, Kind: "import", Proposer: "anna", Need: 2, Grants: []wire.Grant{{Person: "anna", At: stamp(time.Hour)}}, ExpiresAt: stamp(-6 * days), State: "waiting"}
	return map[string]page.VisitView{
		"/verify": visit(func(v *page.VisitView) { v.Job = runningJob() }),
		"/plan":   visit(func(v *page.VisitView) { v.In = planned() }),
		"/plan-shrinks": visit(func(v *page.VisitView) {
			v.In, v.People = planned(), 2
			v.In.Plan.Bundles[0].NeedsApproval, v.In.Plan.Bundles[0].Feeds[0].Removed = "900 of 4291 records of osv-go would be removed", 900
			v.In.Clock = "This machine's clock reads 1970-01-01 00:12."
		}),
		"/people": visit(func(v *page.VisitView) {
			v.In, v.Planning, v.Approval, v.Job.State, v.Job.Error = planned(), false, waiting, "failed", ended("approval-needed", "a second person must approve")
		}),
		"/changed": visit(func(v *page.VisitView) {
			v.In, v.Planning, v.Job.State, v.Job.Error = planned(), false, "failed", ended("plan-changed", "the plan is not the one that was approved")
		}),
		"/done": visit(func(v *page.VisitView) {
			v.In, v.Planning = planned(), false
			v.In.Applied, v.In.Sentence = true, "Activated osv-go generation 43: 136 added, 2 changed. Receipt R-0043."
			v.In.Outcomes[0].Decision, v.In.Outcomes[0].Receipt, v.In.Outcomes[0].Sentence = "activated", "R-0043", v.In.Sentence
			v.In.Outcomes[0].Spoken = "river lamp ocean stone winter paper"
		}),
		"/refused": visit(func(v *page.VisitView) {
			v.Job.State, v.Job.Error = "failed", ended("entry-digest", "an entry has other bytes than were signed")
			v.In = &wire.Imported{Outcomes: []wire.Outcome{{Plan: bundlePlan(), Dir: "sallyport/x", Decision: "refused", Code: "entry-digest", Reason: "entry", Next: "Do not import; ask for a new copy.", Quarantine: "Q-17", Sentence: "Refused, nothing was changed. (An entry has other bytes than were signed.)"}}}
		}),
		"/stranger": visit(func(v *page.VisitView) {
			v.Strangers, v.Job.State, v.Job.Error = []string{"hub-01"}, "failed", ended("signer-unknown", "signed by a key this appliance does not know")
			v.In = &wire.Imported{Outcomes: []wire.Outcome{{Dir: "sallyport/x", Decision: "refused", Code: "signer-unknown", Sentence: "Signed by a key this site does not know: (" + hubWords + ").", Next: "Keep the stick and call."}}}
		}),
		"/late": visit(func(v *page.VisitView) {
			v.Job.State, v.Job.Error = "failed", ended("rollback", "older")
			v.In = &wire.Imported{Sentence: "You have newer data (12 Mar) than this stick (5 Mar). Nothing to do.", Outcomes: []wire.Outcome{{Plan: bundlePlan(), Decision: "refused", Code: "rollback", Sentence: "You have newer data (12 Mar) than this stick (5 Mar). Nothing to do."}}}
		}),
		"/gone": visit(func(v *page.VisitView) {
			v.Job.State, v.Job.Error = "failed", ended("not-found", "there is no such directory")
		}),
		"/cancelled": visit(func(v *page.VisitView) {
			v.Job.State, v.Job.Error = "cancelled", ended("cancelled", "anna cancelled it")
		}),
		"/denied": visit(func(v *page.VisitView) { v.In, v.May, v.MayAdd = planned(), false, false }),
		"/exchange-plan": visit(func(v *page.VisitView) {
			v.Exchange, v.In, v.Out = true, planned(), &wire.Exchanged{Waiting: planHex, Due: []wire.Due{{Peer: "hub-01", Hub: true, Why: "1 receipt and an inventory"}}}
		}),
		"/exchange-done": visit(func(v *page.VisitView) {
			v.Exchange, v.Planning, v.Out = true, false, &wire.Exchanged{
				Due: []wire.Due{{Peer: "hub-01", Hub: true, Why: "1 receipt and an inventory"}}, Written: []wire.Written{{For: "hub-01", Name: "outbound-site-07", Run: "01R", Bytes: 9000}},
				Sentence: "Done. Safe to remove. On this stick for hub-01: 1 receipt, 1 inventory, readable only by hub-01.",
			}
		}),
	}
}

// flow is every page of the main flow in every state, as a browser gets it.
func flow() map[string]kit.Node {
	all := map[string]kit.Node{}
	put := func(path, title string, narrow, sheet bool, main kit.Node) {
		f := kit.FrameView{
			Title: title, Site: "site-07", Tenant: "acme", Person: "anna", SignOut: "/sign-out", Menu: []kit.Link{{Label: "My account", Href: "/account"}}, Narrow: narrow, Print: sheet,
			Strip: []kit.StripItem{{Text: "trusted time 14:02Z", Href: "/time", Tone: kit.OK}, {Text: "oldest data 3 d of 42 d", Href: "/feeds", Tone: kit.OK}, {Text: "1 stick", Href: "/import", Tone: kit.Unknown, Icon: "stick", End: true}},
			Nav:   []kit.NavGroup{{{Label: "Overview", Href: "/", Current: title == "Overview"}, {Label: "Import", Href: "/import", Current: title == "Import"}, {Label: "Feeds", Href: "/feeds"}}, {{Label: "Approvals", Href: "/approvals", Count: 1}}, {{Label: "Help", Href: "/help"}}},
		}
		if narrow {
			f.Person, f.Nav, f.Strip = "", nil, nil
		}
		all[path] = page.Framed(f, main)
	}
	for name, v := range overviews() {
		put("/overview"+name, "Overview", false, false, page.Overview(v))
	}
	for name, v := range visits() {
		put("/import"+name, "Import", false, false, page.Visit(v))
	}
	bad := []kit.NoticeView{{Tone: kit.Bad, Title: "Name, password or code is not right.", Code: "sign-in", Next: "Try again.", Help: "/help/codes/sign-in"}}
	doubt := "This machine's clock reads 1970-01-01 00:12. Codes from your phone may not match. Use a recovery code, or on the host: sallyport users recover"
	put("/door/sign-in", "Sign in", true, false, page.SignIn(page.SignInView{Site: "site-07", Clock: noon}))
	put("/door/sign-in-failing", "Sign in", true, false, page.SignIn(page.SignInView{Site: "site-07", Name: "anna", Clock: noon, Doubt: doubt, Problems: bad}))
	put("/door/step-up", "Is it still you?", true, false, page.StepUp(page.StepUpView{Person: "anna", Next: "/trust", Clock: noon}))
	put("/door/lost", "Get back in", true, false, page.Lost(page.LostView{Site: "site-07"}))
	put("/door/set-up", "Set up", true, false, page.SetUpCode(page.CodeView{Site: "site-07", First: true}))
	put("/door/set-up-failing", "Set up", true, false, page.SetUpCode(page.CodeView{Site: "site-07", Problems: bad}))
	put("/door/account", "Your account", true, false, page.Account(page.AccountView{Site: "site-07", Kind: "setup", Code: "abcd-efgh", Secret: "JBSW Y3DP EHPK 3PXP", URI: "otpauth://totp/Sallyport:anna?secret=JBSWY3DPEHPK3PXP", Left: "29 minutes", Clock: noon, Doubt: doubt}))
	put("/door/codes", "Recovery codes", true, false, page.RecoveryCodes(page.RecoveryView{Site: "site-07", Name: "anna", Codes: strings.Fields(strings.Repeat("abcd-efgh-jkmn ", 10)), Next: "/set-up/rhythm", MadeAt: noon}))
	put("/door/rhythm", "This appliance", true, false, page.Rhythm(page.RhythmView{Site: "site-07", Tenant: "acme", Fingerprint: rootHex, Words: hubWords, Every: 14 * days}))
	put("/door/card", "Recovery card", true, false, page.CardAsk(page.CardView{Site: "site-07", There: true, MadeAt: noon, Now: noon}))
	put("/door/my-account", "My account", true, false, page.MyAccount(page.MyAccountView{Now: noon, Name: "anna", Roles: "admin", Phone: true, CodesLeft: 9}))
	put("/door/phone", "Enrol a phone", true, false, page.Phone(page.PhoneView{Name: "anna", Secret: "JBSW Y3DP", URI: "otpauth://totp/x", Clock: noon}))
	put("/sheet/card", "Recovery card", false, true, page.CardSheet(wire.RecoveryCard{Appliance: "site-07", ApplianceID: "ap1us", Fingerprint: rootHex, Words: hubWords, Identity: "AGE-SECRET-KEY-1QQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQ", Code: "abcd-efgh-jkmn-pqrs", MadeAt: stamp(0), Restore: []string{"Install.", "Restore."}, Return: []string{"Open.", "Type."}}))
	put("/sheet/receipt", "Receipt", false, true, page.Sheet(page.SheetView{Site: "site-07", Appliance: "ap1us", Now: noon, Path: "/media/stick", By: "anna", Back: "/import/1", Crossings: []page.Crossing{{
		Outcome: wire.Outcome{Plan: bundlePlan()}, Receipt: wire.Receipt{Number: "R-0043", Bundle: "mirror-20260311-delta-for-site-07", BundleID: planHex, Digest: planHex, Decision: "activated", Peer: "hub-01", At: stamp(0)},
	}}}))
	stick := wire.Medium{
		Path: "/media/stick", Label: "KINGSTON", Ours: true, State: "ours", ForUs: 1, FSType: "vfat", Free: 12 << 30, Total: 29 << 30, Strangers: []string{"hub-01"},
		Sentence: "This stick has 1 bundle for this site, 28 KiB. Nothing was opened: sallyport import verifies it.",
		Bundles:  []wire.MediumBundle{{Dir: "x", Name: "mirror-20260311-delta", From: "hub-01", For: []string{"site-07"}, Bytes: 28 << 10, CreatedAt: stamp(3 * days)}, {Dir: "sallyport/half", Problem: "copying was not finished"}},
	}
	locked := wire.Medium{Path: "/dev/sdb1", State: "encrypted", Sentence: "This stick is encrypted with BitLocker. Unlock it on another machine and copy the folder sallyport."}
	put("/choose/normal", "Import", false, false, page.Choose(page.ChooseView{Now: noon, Site: "site-07", May: true, MayAdd: true, Media: wire.Media{Media: []wire.Medium{stick, locked}}, Recent: []wire.Job{runningJob()}}))
	put("/choose/empty", "Import", false, false, page.Choose(page.ChooseView{Now: noon, Site: "site-07", May: true}))
	put("/choose/denied", "Import", false, false, page.Choose(page.ChooseView{Now: noon, Site: "site-07", Media: wire.Media{Media: []wire.Medium{stick}}}))
	q := &wire.Question{Card: wire.Card{Name: "hub-01", Fingerprint: rootHex, Words: hubWords, Tenants: []string{"acme"}, Counter: 1, IssuedAt: stamp(days)}, Sentence: "Read these nine words to headquarters and hear theirs."}
	put("/add/normal", "Import", false, false, page.PeerAdd(page.PeerAddView{Path: "/media/stick", Question: q, Own: wire.Card{Name: "site-07", Words: hubWords}, Tenants: []string{"acme"}}))
	put("/add/empty", "Import", false, false, page.PeerAdd(page.PeerAddView{Own: wire.Card{Name: "site-07"}, MediaSeen: wire.Media{Media: []wire.Medium{stick}}}))
	put("/add/several", "Import", false, false, page.PeerAdd(page.PeerAddView{Path: "/media/stick", Names: []string{"hub-01", "hub-02"}}))
	plan := wire.Approval{Digest: planHex, Kind: "import", Subject: "mirror-20260311-delta", Proposer: "anna", Need: 2, Grants: []wire.Grant{{Person: "anna", At: stamp(time.Hour)}}, CreatedAt: stamp(time.Hour), ExpiresAt: stamp(-6 * days), State: "waiting"}
	seen := visits()["/plan"]
	ready, denied, keys := plan, plan, plan
	ready.State, denied.State, denied.Denied, keys.Kind, keys.Changes = "ready", "denied", &wire.Grant{Person: "bob", At: stamp(0), Reason: "wrong stick"}, "keys", []string{"the bundle key of acme is replaced"}
	put("/approval/list", "Approvals", false, false, page.Approvals(page.ApprovalsView{Now: noon, Approvals: []wire.Approval{plan, ready}}))
	put("/approval/empty", "Approvals", false, false, page.Approvals(page.ApprovalsView{Now: noon}))
	put("/approval/waiting", "Approvals", false, false, page.Approval(page.ApprovalView{Now: noon, Plan: plan, Visit: &seen, Person: "bob", MaySay: true, MayGo: true}))
	put("/approval/mine", "Approvals", false, false, page.Approval(page.ApprovalView{Now: noon, Plan: plan, Person: "anna", MaySay: true}))
	put("/approval/ready", "Approvals", false, false, page.Approval(page.ApprovalView{Now: noon, Plan: ready, Visit: &seen, Person: "bob", MaySay: true, MayGo: true}))
	put("/approval/denied", "Approvals", false, false, page.Approval(page.ApprovalView{Now: noon, Plan: denied, Person: "bob", MaySay: true}))
	put("/approval/keys", "Approvals", false, false, page.Approval(page.ApprovalView{Now: noon, Plan: keys, Person: "carl"}))
	failed := runningJob()
	failed.ID, failed.State, failed.Error = "01HX0000000000000000000002", "failed", ended("no-space", "no space left")
	put("/job/running", "Jobs", false, false, page.JobPage(page.JobPageView{Now: noon, Job: runningJob(), Cancel: true}))
	put("/job/failing", "Jobs", false, false, page.JobPage(page.JobPageView{Now: noon, Job: failed}))
	put("/job/list", "Jobs", false, false, page.Jobs(page.JobsView{Now: noon, Jobs: wire.Jobs{Jobs: []wire.Job{runningJob(), failed}, Next: "01H"}}))
	put("/job/empty", "Jobs", false, false, page.Jobs(page.JobsView{Now: noon}))
	put("/error/missing", "Not here", false, false, page.Failed(page.FailedView{Code: "not-found", Summary: "there is no such thing here", Notice: kit.NoticeView{Tone: kit.Bad, Title: "There is no page.", Code: "not-found", Help: "/help/codes/not-found"}}))
	return all
}

func flowDocs(t *testing.T) map[string]browser.Doc {
	t.Helper()
	docs := map[string]browser.Doc{}
	for path, node := range flow() {
		var b bytes.Buffer
		if err := node.Render(t.Context(), &b); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		docs[path] = browser.Parse(t, &b)
	}
	return docs
}

// Every page has one main part and one heading, no id twice, and nothing that leads off this appliance.
func TestFlowPages(t *testing.T) {
	for path, doc := range flowDocs(t) {
		for _, one := range []string{"main", "h1"} {
			if n := len(doc.All(one)); n != 1 {
				t.Errorf("%s: %d elements %q", path, n, one)
			}
		}
		seen := map[string]bool{}
		for _, n := range doc.All("[id]") {
			id, _ := browser.Attr(n, "id")
			if seen[id] {
				t.Errorf("%s: id %q twice", path, id)
			}
			seen[id] = true
		}
		for _, n := range doc.All("[href]") {
			if href, _ := browser.Attr(n, "href"); !strings.HasPrefix(href, "/") && !strings.HasPrefix(href, "#") && !strings.HasPrefix(href, "?") {
				t.Errorf("%s leads to %q", path, href)
			}
		}
		for _, none := range []string{"[style]", "[onclick]", "main script"} {
			if doc.Has(none) {
				t.Errorf("%s has %q", path, none)
			}
		}
	}
}

// What each state must show, by selector and word.
func TestFlowStates(t *testing.T) {
	docs := flowDocs(t)
	for _, c := range []struct {
		path, selector string
		words          []string
	}{
		{"/overview/normal", "#needs", []string{"Nothing needs you"}},
		{"/overview/normal", "main", []string{"Data is 3 days old; the next stick is due by 26 March."}},
		{"/overview/normal", "#held", []string{"osv-go", "4,291", "3 d", "of 42 d", "verified", "loaded here"}},
		{"/overview/failing", "#needs", []string{"4.1 GiB can be freed here", "Free space", "Review", "in breach", "waiting for generation 41", "A stick is here with 2 bundles for this site"}},
		{"/overview/failing", "#held", []string{"never received", "unknown", "over its budget"}},
		{"/overview/failing", "#running", []string{"Verifying mirror-20260311-full", "Cancel"}},
		{"/overview/stale", "#held", []string{"late"}},
		{"/overview/empty", "main", []string{"Nothing is held yet", "No data came from outside yet", "unknown"}},
		{"/import/verify", "#proven", []string{"Label signed by acme at hub-01", "Verifying mirror-20260311-full"}},
		{"/import/verify", "#visit-job", []string{"Cancel"}},
		{"/import/plan", "#changes", []string{"136", "42 → 43"}},
		{"/import/plan", "#examples", []string{"GO-2026-5061", "urn:uuid:3e67/<script>"}},
		{"/import/plan", "#approve", []string{"nine words", "Approve this plan", "Your word is enough"}},
		{"/import/plan-shrinks", "#approve", []string{"900 of 4291 records", "Two people must agree"}},
		{"/import/people", "#people", []string{"A second person is needed", "You said yes", "1"}},
		{"/import/changed", "main", []string{"not the one that was approved", "Approve this plan"}},
		{"/import/done", "#verdict", []string{"Activated osv-go generation 43"}},
		{"/import/done", "#came", []string{"R-0043", "six words"}},
		{"/import/refused", "main", []string{"Refused, nothing was changed.", "entry-digest", "Q-17", "ask for a new copy"}},
		{"/import/stranger", "main", []string{"Signed by a key this site does not know", "Compare the card of hub-01"}},
		{"/import/late", "#verdict", []string{"You have newer data"}},
		{"/import/gone", "main", []string{"no such directory", "Look again"}},
		{"/import/denied", "#approve", []string{"for operators"}},
		{"/import/exchange-plan", "main", []string{"What would go out", "1 receipt and an inventory", "Approve this plan and exchange"}},
		{"/import/exchange-done", "#verdict", []string{"Done. Safe to remove."}},
		{"/door/sign-in-failing", "main", []string{"1970-01-01 00:12", "Name, password or code is not right"}},
		{"/door/rhythm", "main", []string{"How often does a stick arrive?", "old after 28 days, too old after 42 days"}},
		{"/choose/normal", "main", []string{"Exchange", "Only import", "First meeting: the card of hub-01", "BitLocker"}},
		{"/choose/denied", "main", []string{"Importing is for operators"}},
		{"/approval/waiting", "#yes", []string{"Approve this plan"}},
		{"/approval/ready", "#go", []string{"Do what was approved"}},
		{"/approval/denied", "main", []string{"wrong stick"}},
		{"/job/failing", "main", []string{"no-space"}},
	} {
		doc, ok := docs[c.path]
		if !ok {
			t.Errorf("no fixture %s", c.path)
			continue
		}
		found := doc.All(c.selector)
		if len(found) != 1 {
			t.Errorf("%s: %d elements %q", c.path, len(found), c.selector)
			continue
		}
		for _, w := range c.words {
			if !strings.Contains(browser.Text(found[0]), w) {
				t.Errorf("%s %s does not say %q:\n%s", c.path, c.selector, w, browser.Text(found[0]))
			}
		}
	}
	for path, none := range map[string]string{"/import/denied": "main form[action=/import/01HX0000000000000000000001/approve]", "/choose/denied": "main form[action=/exchange]", "/approval/mine": "#yes"} {
		if docs[path].Has(none) {
			t.Errorf("%s offers %q", path, none)
		}
	}
}

// The pages of the main flow in Chromium: both themes, narrow, zoomed, printed.
func TestBrowserFlow(t *testing.T) {
	pages := map[string]browser.Renderer{}
	for path, node := range flow() {
		if only := os.Getenv("SALLYPORT_ONLY"); only == "" || strings.HasPrefix(path, only) {
			pages[path] = node
		}
	}
	browser.Show(t, "flow", browser.Fixture{Pages: pages, Asset: static.File}, "/sheet/card", "/sheet/receipt")
}
