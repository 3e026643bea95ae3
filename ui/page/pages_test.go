package page_test

import (
	"bytes"
	"maps"
	"net/http/httptest"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"sallyport/internal/browser"
	"sallyport/internal/wire"
	"sallyport/ui/kit"
	"sallyport/ui/page"
	"sallyport/ui/static"
)

// fixture is one page in one state.
type fixture struct {
	body  kit.Node
	sheet bool
	want  []string // selectors that must find something
	text  []string // words that must stand in it
}

func pagesOf() map[string]fixture {
	m := contentPages()
	maps.Copy(m, crossingPages())
	maps.Copy(m, trustPages())
	maps.Copy(m, appliancePages())
	return m
}

func contentPages() map[string]fixture {
	all, r := feeds(), record()
	return map[string]fixture{
		"/feeds": {
			body: page.Feeds(page.FeedsView{Feeds: all, Total: len(all), Now: midday}),
			want: []string{"#feeds tbody a[href=/feeds/hub-01/osv-go]", `a[href=/feeds.csv]`, ".bar"},
			text: []string{"5 feeds with", "never received", "made here", "over its budget", "pinned", "at least"},
		},
		"/feeds-empty": {body: page.Feeds(page.FeedsView{Now: midday}), want: []string{".empty a[href=/import]"}, text: []string{"Nothing is held here yet."}},
		"/feed": {
			body: page.Feed(page.FeedView{Feed: feedDetail(0), Now: midday, Steer: true}),
			want: []string{"a[href=/feeds/hub-01/osv-go/rollback?to=1.41]", "a[href=/feeds/hub-01/osv-go/release?to=1.40]", "a[href=/feeds/hub-01/osv-go/pin]", "a[href=/feeds/hub-01/osv-go/rhythm]"},
			text: []string{"a numbered state of this feed", "on hold", "active"},
		},
		"/feed-stale": {
			body: page.Feed(page.FeedView{Feed: func() wire.FeedDetail { d := feedDetail(2); d.Damaged = damaged(); return d }(), Now: midday}),
			text: []string{"over its budget", "Nothing older than what is active can be activated", "its bytes have another digest"},
		},
		"/feed-pinned":   {body: page.Feed(page.FeedView{Feed: feedDetail(1), Now: midday, Steer: true}), want: []string{"a[href=/feeds/hub-01/osv-npm/unpin]"}, text: []string{"Pinned at generation 40", "headquarters looks at it"}},
		"/feed-unknown":  {body: page.Feed(page.FeedView{Feed: wire.FeedDetail{Feed: all[3]}, Now: midday}), text: []string{"never received", "Nothing of this feed is active here"}},
		"/feed-rollback": {body: page.Ask(askRollback()), want: []string{"input[name=to]", "input[name=reason]", "button.danger"}, text: []string{"Go back", "Active now", "generation 42"}},
		"/records": {
			body: page.Records(page.RecordsView{List: records(), Feeds: 3, Next: "/records?after=x", First: "/records"}),
			want: []string{"form[role=search] input[name=q]", "a[rel=next]", "#records tbody tr"},
		},
		"/records-found": {body: page.Records(page.RecordsView{Query: "golang.org/x/net", Kind: "advisory", Feed: "hub-01/osv-go", List: records(), Feeds: 3}), want: []string{"input[name=kind]", "a[href=/records?kind=advisory&q=golang.org%2Fx%2Fnet]"}, text: []string{"by golang.org/x/net"}},
		"/records-none":  {body: page.Records(page.RecordsView{Query: "GO-0000-0000", Feeds: 3}), text: []string{"Nothing found for GO-0000-0000", "says nothing about what no feed here covers"}},
		"/records-empty": {body: page.Records(page.RecordsView{}), text: []string{"No feed has records yet"}},
		"/record": {
			body: page.Record(r), want: []string{"a[href=/records?q=CVE-2023-45288]", "a[href=/records/advisory/GO-2024-2687?feed=hub-01%2Fosv-go&proof=1]", "#packages tbody tr"},
			text: []string{"HTTP/2 CONTINUATION flood", "before 0.23.0", "from 1.22.0-0, before 1.22.2", "https://go.dev/issue/65051"},
		},
		"/record-binary": {body: page.Record(page.RecordView{Record: records().Records[2], Now: midday, Binary: true}), text: []string{"These bytes are not text"}},
		"/proof":         {body: page.Proof(proof("valid")), want: []string{"#proof tbody tr"}, text: []string{"Every step holds", "line 1,234 of a shard", "Its key counts today", "Manifest", "Shard"}},
		"/proof-revoked": {body: page.Proof(proof("key-revoked")), text: []string{"signer revoked", "Signer revoked"}},
		"/proof-local":   {body: page.Proof(localProof()), text: []string{"loaded here by anna", "signed by nobody else"}},
	}
}

func crossingPages() map[string]fixture {
	many, made := run("succeeded"), run("succeeded")
	many.Deliveries = map[string]wire.Delivery{"site-07": {Decision: "activated", At: ago(1), How: "receipt", Covers: true}}
	many.Delivered = true
	runs := []wire.Run{run("running"), many, made, run("failed"), run("cancelled"), run("expired")}
	local := feeds()[4:]
	return map[string]fixture{
		"/exports":       {body: page.Exports(page.ExportsView{Runs: runs, Now: midday, Make: true, Peers: 2, Next: "/exports?before=x"}), want: []string{"a[href=/exports/new]", "a[rel=next]"}, text: []string{"delivered", "made, not answered yet", "failed", "+136 ~2 −0"}},
		"/exports-empty": {body: page.Exports(page.ExportsView{Now: midday}), want: []string{"a[href=/peers/add]"}},
		"/export-live":   {body: page.Export(page.ExportView{Run: run("running"), Now: midday, Manage: true}), want: []string{"#job-01JD0EXAMPLE0000000000001", "form[action=/exports/01JD0EXAMPLE0000000000001/cancel]"}, text: []string{"packing and encrypting", "220 MiB/s"}},
		"/export":        {body: page.Export(page.ExportView{Run: many, Files: shelf(), Now: midday, Manage: true, Take: true}), want: []string{"form[action=/exports/01JD0EXAMPLE0000000000001/files/COVER.txt]"}, text: []string{"Every addressee answered", "by receipt", "for site-07"}},
		"/export-made":   {body: page.Export(page.ExportView{Run: made, Now: midday, Manage: true, Gone: "Retention has removed them."}), want: []string{"a[href=/exports/confirm?peer=site-07]"}, text: []string{"Safe to remove: /media/KINGSTON", "not answered yet", "Retention has removed them."}},
		"/export-failed": {body: page.Export(page.ExportView{Run: run("failed"), Now: midday, Manage: true}), want: []string{"form[action=/exports/01JD0EXAMPLE0000000000001/retry]", "a[href=/help/codes/medium-gone]"}, text: []string{"the stick was removed while we wrote"}},
		"/export-new": {
			body: page.ExportNew(page.ExportNewView{Peers: fleet(), Feeds: local, Media: media(), Form: page.ExportForm{Variant: "delta", For: []string{"site-07"}}, Errors: map[string]string{"volume": "Write a size like 2GiB."}}),
			want: []string{"input[name=for][value=site-07][checked]", "input[name=variant][value=delta][checked]", "input[name=to][value=/media/KINGSTON]", ".error"},
		},
		"/export-new-empty": {body: page.ExportNew(page.ExportNewView{}), want: []string{"a[href=/help?q=load]"}},
		"/confirm":          {body: page.Confirm(page.ConfirmView{Peers: []string{"site-07", "site-12"}, Peer: "site-12"}), want: []string{"select[name=peer] option[selected]", "input[name=words]"}},
		"/peers": {
			body: page.Peers(page.PeersView{Peers: fleet(), All: 6, Now: midday, Add: true}), want: []string{"#fleet tbody a[href=/peers/site-12]", "a[href=/peers.csv]"},
			text: []string{"2 need you", "stuck", "due for a stick", "feeds us", "osv-go 42 / 43", "28 KiB", "2 volumes"},
		},
		"/peers-empty": {body: page.Peers(page.PeersView{Now: midday}), text: []string{"No other appliance is known here yet."}},
		"/peer":        {body: page.Peer(page.PeerView{Peer: fleet()[1], Now: midday, Export: true}), want: []string{"#wanted", "#ending", "a[href=/exports/new?for=site-03]"}, text: []string{"2 and 5", "newer here", "even", "its nine words were compared"}},
		"/peer-hub":    {body: page.Peer(page.PeerView{Peer: fleet()[5], Now: midday}), text: []string{"It feeds this appliance 2 feeds."}},
		"/media":       {body: page.Media(page.MediaView{Media: media(), Waiting: waiting(), Now: midday, Use: true}), want: []string{"#waiting a[href=/media/forget/" + sum[7:] + "]", "form[action=/exchange] input[name=path][value=/media/KINGSTON]", "form[action=/media/card] input[value=/media/KINGSTON]"}, text: []string{"Safe to remove", "locked", "Thumbs.db", "missing 3 and 5", "generation 42 of osv-go"}},
		"/media-empty": {body: page.Media(page.MediaView{Now: midday}), text: []string{"No stick is plugged in."}},
		"/media-failed": {
			body: page.Media(page.MediaView{Now: midday, Failed: &kit.NoticeView{Tone: kit.Bad, Title: "The stick cannot be read", Code: "medium-read", Next: "Try another port."}}),
			text: []string{"The stick cannot be read", "Try another port."},
		},
		"/quarantine":       {body: page.Quarantine(page.QuarantineView{Entries: []wire.Quarantined{quarantined()}, All: 1, Now: midday}), want: []string{"a[href=/quarantine/Q-17]"}},
		"/quarantine-empty": {body: page.Quarantine(page.QuarantineView{Now: midday}), text: []string{"Nothing was refused."}},
		"/quarantined":      {body: page.Quarantined(page.QuarantinedView{Entry: quarantined(), Now: midday, Settle: true}), want: []string{"a[href=/quarantine/Q-17/remove]", "a[href=/quarantine/Q-17/release]", "a[href=/help/codes/signature]"}, text: []string{"Write Q-17 on the stick", "signature does not fit"}},
		"/receipts":         {body: page.Receipts(page.ReceiptsView{List: receipts(), First: true, Now: midday}), want: []string{"a[href=/receipts/R-0043]", "a[href=/receipts?before=41]"}, text: []string{"not yet", "was active already"}},
		"/receipts-empty":   {body: page.Receipts(page.ReceiptsView{First: true, Now: midday}), text: []string{"No receipt yet"}},
		"/receipt":          {body: page.Receipt(receipt()), want: []string{"a[href=/receipts/R-0043/sheet]"}, text: []string{"2 people (operator, approver)", "42 → 43", "river lamp ocean stone winter paper"}},
		"/receipt-sheet":    {body: page.ReceiptSheet(receipt()), sheet: true, want: []string{"svg path"}, text: []string{"Receipt R-0043", "KINGSTON 0019E06B"}},
	}
}

func trustPages() map[string]fixture {
	plan := wire.KeyPlan{Digest: sum, Kind: "bundle", What: "rotate", Old: keyID, New: keyID + "z", From: 3, To: 4, Changes: []string{"trust root: version 3 → 4", "key added: bundle " + keyID + "z"}, Need: 2, Sentence: "A new bundle key for acme."}
	return map[string]fixture{
		"/trust":           {body: page.Trust(page.TrustView{Appliances: roots(), Now: midday, Propose: true}), want: []string{"a[href=/trust/hub-02]", "a[href=/trust/plan]"}, text: []string{"Look at hub-02", "ends soon", "look at this"}},
		"/trust-own":       {body: page.TrustOne(page.TrustOneView{Root: roots()[0], Now: midday, Propose: true}), want: []string{"a[href=/trust/keys/rotate]", "a[href=/trust/keys/renew]"}, text: []string{"Own trust root", "This trust root ends on 20 Apr 2026", "revoked", "in use"}},
		"/trust-peer":      {body: page.TrustOne(page.TrustOneView{Root: roots()[2], Now: midday}), text: []string{"its fingerprint was never compared", "Version 4 was accepted here before"}},
		"/trust-plan":      {body: page.TrustPlan(page.TrustPlanView{Path: "/media/KINGSTON", Media: media(), Result: trustResult(), Now: midday, Apply: true}), want: []string{"form[action=/trust/apply] input[name=approve]"}, text: []string{"version 2 → 3", "key revoked", "2 people must agree; anna did", "Bring version 2 as well."}},
		"/trust-plan-look": {body: page.TrustPlan(page.TrustPlanView{Now: midday}), want: []string{"form[action=/trust/plan] input[name=folder]"}},
		"/key-plan":        {body: page.KeyPlan(page.KeyPlanView{Plan: plan}), want: []string{"a[href=/approvals/" + sum + "]"}, text: []string{"key added"}},
		"/key-rotate":      {body: page.Ask(page.AskView{Dialog: kit.DialogView{Title: "Rotate a key?", Action: "/trust/keys/rotate", Confirm: "Propose it", Cancel: "/trust"}, Fields: []kit.FieldView{page.KeyKinds(""), page.ReasonField("", "")}}), want: []string{"input[name=kind][value=bundle][checked]"}},
		"/key-revoke":      {body: page.Ask(page.AskView{Dialog: kit.DialogView{Title: "Revoke a key?", Action: "/trust/keys/revoke", Confirm: "Propose it", Cancel: "/trust", Danger: true}, Fields: []kit.FieldView{page.KeyChoice(roots()[0].Keys, keyID), page.ReasonField("", "")}}), want: []string{"input[name=key][checked]"}},
		"/timeline":        {body: page.Timeline(page.TimelineView{List: timeline(), Types: []string{"auth.login", "media.seen"}, First: true, Now: midday}), want: []string{"a[href=/timeline/verify]", "a[href=/timeline?before=4211]", "#events tbody tr"}, text: []string{"4,215 events", "redacted", "anna, bob"}},
		"/timeline-none":   {body: page.Timeline(page.TimelineView{List: wire.Timeline{Size: 9}, Type: "auth.login", Text: "x", Now: midday}), want: []string{"a[href=/timeline?q=x&type=auth.login]"}, text: []string{"No such event on this page"}},
		"/log-verified":    {body: page.LogVerified(page.LogView{Head: head(), Now: midday}), text: []string{"All 4,215 entries were read again", "2 heads that came back from outside agree"}},
		"/log-alone":       {body: page.LogVerified(page.LogView{Head: func() wire.TimelineHead { h := head(); h.Witnesses = 0; return h }(), Now: midday}), text: []string{"nobody else can vouch for its past"}},
		"/checkpoint":      {body: page.Checkpoint(page.LogView{Head: head(), Now: midday}), sheet: true, want: []string{"svg path"}, text: []string{"sallyport.timeline/ap1self/1"}},
	}
}

func appliancePages() map[string]fixture {
	u := users()
	gone := u
	gone.CardAt, gone.Recovered = "", &wire.Recovered{Count: 1, At: ago(30), By: "root", How: "root"}
	full := store()
	full.Free, full.Stopped, full.Damaged = 3<<20, true, damaged()
	plan := wire.Pruned{Plan: true, Keep: 1, Generations: []wire.PrunedPlace{{Feed: "hub-01/osv-go", Tenant: "acme", Epoch: 1, Generation: 38, Records: 4100, AcceptedAt: ago(2000)}}, Layers: 1, Blobs: 3, Bytes: 4402341478, Free: 78 << 30}
	set := page.AskView{Facts: page.TimeFacts(clockWrong()), Dialog: kit.DialogView{Title: "Set the trusted time?", Action: "/time/set", Confirm: "Propose it", Cancel: "/time", Danger: true}}
	page.AskAgree(&set, proposal("time", page.TimeSubject("2026-03-14T14:00:00Z")), midday)
	return map[string]fixture{
		"/settings":      {body: page.Settings(page.SettingsView{Settings: settings()}), want: []string{"#settings tbody tr"}, text: []string{"SALLYPORT_DELIVERY_EVERY", "not set"}},
		"/store":         {body: page.Store(page.StoreView{Store: store(), Now: midday, Manage: true, Admin: true}), want: []string{"a[href=/store/prune]", ".bar"}, text: []string{"4.1 GiB could be freed", "every byte as it was", "61 %"}},
		"/store-full":    {body: page.Store(page.StoreView{Store: full, Now: midday}), want: []string{"#damaged"}, text: []string{"Disk full: intake stopped, nothing lost.", "1 thing is damaged"}},
		"/store-unknown": {body: page.Store(page.StoreView{Now: midday}), text: []string{"Nobody knows how much room there is."}},
		"/prune":         {body: page.Prune(page.PruneView{Plan: plan, Now: midday, Manage: true}), want: []string{"form[action=/store/prune] input[type=hidden][name=keep]"}, text: []string{"would be freed", "hub-01/osv-go"}},
		"/prune-nothing": {body: page.Prune(page.PruneView{Plan: wire.Pruned{Plan: true, Keep: 5}, Now: midday, Manage: true}), text: []string{"Nothing can go"}},
		"/time":          {body: page.Time(page.TimeView{Shown: timeShown(), Now: midday, Set: true, Admin: true}), want: []string{"a[href=/time/set]"}, text: []string{"proven", "2026-03-14 14:02:03Z", "3 days old"}},
		"/time-wrong":    {body: page.Time(page.TimeView{Shown: clockWrong(), Now: midday, Agree: true, Proposed: []wire.Approval{proposal("time", page.TimeSubject("2026-03-14T14:00:00Z"))}}), want: []string{"a[href=/time/confirm?peer=hub-01]", "a[href=/time/set?at=2026-03-14T14%3A00%3A00Z]"}, text: []string{"the clock is wrong", "anna proposed to set the time"}},
		"/time-set":      {body: page.Ask(set), text: []string{"Agree", "Proposed by", "no stick for months"}},
		"/backups":       {body: page.Backup(page.BackupView{Media: media(), Last: ago(300), Now: midday}), want: []string{"input[name=to][value=/media/KINGSTON]", "input[name=path]"}},
		"/users":         {body: page.Users(page.UsersView{Users: u, Page: u.Users, Now: midday, Manage: true}), want: []string{"a[href=/users/new]", "a[href=/users/carla]"}, text: []string{"2 accounts can sign in", "Make a second admin", "invited", "disabled"}},
		"/users-needs":   {body: page.Users(page.UsersView{Users: gone, Page: u.Users, Now: midday}), text: []string{"There is no recovery card", "Access was recovered with root on the host"}},
		"/user":          {body: page.User(page.UserView{User: u.Users[0], Sessions: sessions(), Now: midday, Manage: true}), want: []string{"form[action=/users/anna] input[name=role][value=admin][checked]", "a[href=/users/anna/disable]", "form[action=/users/anna/link] input[name=user]"}},
		"/user-seen":     {body: page.User(page.UserView{User: u.Users[3], Now: midday}), text: []string{"left the company"}},
		"/user-new":      {body: page.UserNew(page.UserNewView{Roles: []string{"operator"}, Errors: map[string]string{"name": "Give the account a name."}}), want: []string{"input[name=role][value=operator][checked]", ".error"}},
		"/code":          {body: page.Once(page.OnceView{Title: "The account carla is made", Lead: "Hand this code to the person.", Label: "Code for carla", Secret: "k7mq-2v4p-x9tr-5hwz", Facts: page.CodeFacts(wire.UserMade{User: u.Users[2], ExpiresAt: ago(-72)}), Steps: []string{"The person opens this console."}, Back: kit.Link{Label: "Users", Href: "/users"}}), text: []string{"k7mq-2v4p-x9tr-5hwz", "shown once, not kept"}},
		"/sessions":      {body: page.Sessions(page.SessionsView{Sessions: sessions(), All: 2, Now: midday, Admin: true}), want: []string{"form[action=/sessions/revoke] input[name=id][value=s-2]"}, text: []string{"this one"}},
		"/tokens":        {body: page.Tokens(page.TokensView{Tokens: tokens(), All: 2, Now: midday, Manage: true}), want: []string{"a[href=/tokens/t-1/revoke]"}, text: []string{"export:run, export:read", "ended"}},
		"/tokens-empty":  {body: page.Tokens(page.TokensView{Now: midday, Manage: true}), text: []string{"No token"}},
		"/token-new":     {body: page.TokenNew(page.TokenNewView{Scopes: scopes(), Days: "90", Chosen: []string{"export:run"}, Errors: map[string]string{"name": "Give the token a name."}}), want: []string{"input[name=scope][value=export:run][checked]", "input[name=days][value=90]"}},
	}
}

func frameOf(path string, f fixture) kit.FrameView {
	v := kit.FrameView{
		Title: path, Site: "site-07", Tenant: "acme", Person: "anna", SignOut: "/sign-out", Print: f.sheet,
		Strip: []kit.StripItem{{Text: "trusted time 14:02Z", Href: "/time", Tone: kit.OK}, {Text: "1 stick", Href: "/media", Tone: kit.Unknown, Icon: "stick", End: true}},
	}
	for _, g := range [][]string{{"Overview", "Import", "Feeds", "Records", "Exports"}, {"Media", "Peers", "Trust", "Approvals", "Quarantine"}, {"Timeline", "Receipts", "Jobs", "Store"}, {"Users", "Settings", "Help"}} {
		var group kit.NavGroup
		for _, n := range g {
			group = append(group, kit.NavItem{Label: n, Href: "/" + strings.ToLower(n), Current: strings.HasPrefix(path, "/"+strings.ToLower(n))})
		}
		v.Nav = append(v.Nav, group)
	}
	return v
}

func rendered(t *testing.T, path string, f fixture) *bytes.Buffer {
	t.Helper()
	var b bytes.Buffer
	if err := page.Framed(frameOf(path, f), f.body).Render(t.Context(), &b); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return &b
}

// Every page in every state says what it must, has one title, and no element that its state does not call for.
func TestPages(t *testing.T) {
	all := pagesOf()
	for _, path := range slices.Sorted(maps.Keys(all)) {
		t.Run(path[1:], func(t *testing.T) {
			f := all[path]
			doc := browser.Parse(t, rendered(t, path, f))
			if n := len(doc.All("main h1")); n != 1 {
				t.Errorf("%d titles, not one", n)
			}
			for _, s := range f.want {
				if !doc.Has(s) {
					t.Errorf("nothing is found by %s", s)
				}
			}
			text := browser.Text(doc.One("main"))
			for _, s := range f.text {
				if !strings.Contains(text, s) {
					t.Errorf("%q does not stand in %q", s, text)
				}
			}
			for _, n := range doc.All("main table") {
				if !slices.ContainsFunc(slices.Collect(n.Descendants()), func(c *html.Node) bool { return c.Type == html.ElementNode && c.Data == "caption" }) {
					t.Error("a table without a caption")
				}
			}
		})
	}
}

// Whoever may change nothing sees no button that would.
func TestNothingToPressWithoutTheRight(t *testing.T) {
	for path, body := range map[string]kit.Node{
		"/feed": page.Feed(page.FeedView{Feed: feedDetail(0), Now: midday}), "/exports": page.Exports(page.ExportsView{Runs: []wire.Run{run("failed")}, Now: midday, Peers: 1}),
		"/export": page.Export(page.ExportView{Run: run("failed"), Files: shelf(), Now: midday}), "/peers": page.Peers(page.PeersView{Peers: fleet(), All: 6, Now: midday}),
		"/peer": page.Peer(page.PeerView{Peer: fleet()[1], Now: midday}), "/media": page.Media(page.MediaView{Media: media(), Waiting: waiting(), Now: midday}),
		"/trust": page.TrustOne(page.TrustOneView{Root: roots()[0], Now: midday}), "/quarantined": page.Quarantined(page.QuarantinedView{Entry: quarantined(), Now: midday}),
		"/store": page.Store(page.StoreView{Store: store(), Now: midday}), "/users": page.Users(page.UsersView{Users: users(), Page: users().Users, Now: midday}),
		"/user": page.User(page.UserView{User: users().Users[0], Now: midday}), "/tokens": page.Tokens(page.TokensView{Tokens: tokens(), All: 2, Now: midday}),
		"/time": page.Time(page.TimeView{Shown: clockWrong(), Now: midday}), "/prune": page.Prune(page.PruneView{Plan: wire.Pruned{Keep: 1, Blobs: 1}, Now: midday}),
	} {
		doc := browser.Parse(t, rendered(t, path, fixture{body: body}))
		for _, n := range doc.All("main form") {
			action, _ := browser.Attr(n, "action")
			if method, _ := browser.Attr(n, "method"); strings.EqualFold(method, "post") && !strings.HasSuffix(action, "/verify") {
				t.Errorf("%s: a form that posts: %s", path, browser.HTML(n))
			}
		}
		for _, s := range []string{"rollback", "/pin", "/new", "revoke", "remove", "release", "rotate", "/set", "disable", "forget"} {
			for _, n := range doc.All("main a") {
				if href, _ := browser.Attr(n, "href"); strings.Contains(href, s) && !strings.HasPrefix(href, "/help") {
					t.Errorf("%s: %s leads to a change", path, href)
				}
			}
		}
	}
}

// evil is what a foreign text may hold.
const evil = `"'><script>alert(1)</script><img src=x onerror=alert(1)>=cmd|'/c calc'!A1 javascript:alert(1) ` + "\u202e\x1b[31m"

// hostile puts evil into every string of a value of wire, but where a word of ours decides what is shown.
func hostile(v reflect.Value, depth int) {
	if depth > 8 || !v.CanSet() {
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(evil)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		hostile(v.Elem(), depth+1)
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		hostile(v.Index(0), depth+1)
		hostile(v.Index(1), depth+1)
	case reflect.Map:
		e := reflect.New(v.Type().Elem()).Elem()
		hostile(e, depth+1)
		v.Set(reflect.MakeMap(v.Type()))
		k := reflect.New(v.Type().Key()).Elem()
		hostile(k, depth+1)
		v.SetMapIndex(k, e)
	case reflect.Struct:
		for i := range v.NumField() {
			hostile(v.Field(i), depth+1)
		}
	case reflect.Int, reflect.Int64, reflect.Int32:
		v.SetInt(7)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Uint32, reflect.Uint64:
		v.SetUint(7)
	}
}

// filled is a value of wire in which every string is hostile.
func filled[T any](t *testing.T) T {
	t.Helper()
	var v T
	hostile(reflect.ValueOf(&v).Elem(), 0)
	return v
}

// evilViews are the pages made of nothing but hostile strings.
func evilViews(t *testing.T) map[string]kit.Node {
	feed, rec, pr := filled[wire.FeedDetail](t), filled[wire.Record](t), filled[wire.Proof](t)
	r := filled[wire.Run](t)
	r.State, r.Shelf = "succeeded", evil
	failed := r
	failed.State = "failed"
	local := pr
	local.Local = true
	body := `{"summary":"<script>alert(1)</script>","details":"<img src=x onerror=alert(1)>","aliases":["\"><script>"],"affected":[{"package":{"name":"javascript:alert(1)","ecosystem":"<b>"}}],"references":[{"url":"javascript:alert(1)"}]}`
	about := page.RecordView{Record: rec, Now: midday, About: page.AboutRecord("advisory", []byte(body)), Text: evil, Proof: &pr}
	fl, med, wait := filled[wire.Fleet](t), filled[wire.Media](t), filled[[]wire.Waiting](t)
	users := filled[wire.Users](t)
	return map[string]kit.Node{
		"feeds": page.Feeds(page.FeedsView{Feeds: []wire.Feed{feed.Feed}, Total: 1, Now: midday}), "feed": page.Feed(page.FeedView{Feed: feed, Now: midday, Steer: true}),
		"records": page.Records(page.RecordsView{Query: evil, Feed: evil, Kind: evil, List: filled[wire.Records](t), Feeds: 1}), "record": page.Record(about), "proof": page.Proof(about),
		"local": page.Proof(page.RecordView{Record: rec, Now: midday, Proof: &local}), "exports": page.Exports(page.ExportsView{Runs: []wire.Run{r}, Now: midday}),
		"export": page.Export(page.ExportView{Run: r, Files: filled[[]wire.ShelfFile](t), Now: midday, Manage: true, Take: true}), "failed": page.Export(page.ExportView{Run: failed, Now: midday, Manage: true, Gone: evil}),
		"new":   page.ExportNew(page.ExportNewView{Peers: fl.Peers, Feeds: []wire.Feed{feed.Feed}, Media: med.Media, Form: page.ExportForm{To: evil, Volume: evil}}),
		"peers": page.Peers(page.PeersView{Peers: fl.Peers, All: 2, Now: midday}), "peer": page.Peer(page.PeerView{Peer: fl.Peers[0], Now: midday, Export: true}),
		"media": page.Media(page.MediaView{Media: med.Media, Waiting: wait, Now: midday, Use: true}), "trust": page.Trust(page.TrustView{Appliances: filled[[]wire.TrustView](t), Now: midday}),
		"root": page.TrustOne(page.TrustOneView{Root: filled[wire.TrustView](t), Now: midday, Propose: true}), "plan": page.TrustPlan(page.TrustPlanView{Path: evil, Media: med.Media, Result: &[]wire.TrustResult{filled[wire.TrustResult](t)}[0], Now: midday, Apply: true}),
		"keys": page.KeyPlan(page.KeyPlanView{Plan: filled[wire.KeyPlan](t)}), "timeline": page.Timeline(page.TimelineView{List: filled[wire.Timeline](t), Type: evil, Text: evil, Types: []string{evil}, Now: midday}),
		"log": page.LogVerified(page.LogView{Head: filled[wire.TimelineHead](t)}), "receipts": page.Receipts(page.ReceiptsView{List: filled[wire.Receipts](t), Now: midday}),
		"receipt": page.Receipt(page.ReceiptView{Receipt: filled[wire.Receipt](t), Site: evil, Signer: evil, Medium: evil, Time: evil, Verifier: evil, Roles: []string{evil}, Feeds: []page.ReceiptFeed{{Feed: evil, StateRoot: evil}}, Now: midday}),
		"sheet":   page.ReceiptSheet(page.ReceiptView{Receipt: filled[wire.Receipt](t), Site: evil, Signer: evil, Medium: evil, Now: midday}), "quarantine": page.Quarantine(page.QuarantineView{Entries: filled[[]wire.Quarantined](t), All: 2, Now: midday}),
		"quarantined": page.Quarantined(page.QuarantinedView{Entry: filled[wire.Quarantined](t), Now: midday, Settle: true}), "settings": page.Settings(page.SettingsView{Settings: filled[wire.Settings](t)}),
		"store": page.Store(page.StoreView{Store: filled[wire.Store](t), Now: midday}), "prune": page.Prune(page.PruneView{Plan: filled[wire.Pruned](t), Now: midday}),
		"time": page.Time(page.TimeView{Shown: filled[wire.TimeShown](t), Now: midday, Agree: true, Proposed: filled[[]wire.Approval](t)}), "users": page.Users(page.UsersView{Users: users, Page: users.Users, Now: midday}),
		"user": page.User(page.UserView{User: users.Users[0], Sessions: filled[wire.WebSessions](t).Sessions, Now: midday, Manage: true}), "tokens": page.Tokens(page.TokensView{Tokens: filled[[]wire.APIToken](t), Now: midday, Manage: true}),
		"token": page.TokenNew(page.TokenNewView{Scopes: filled[[]wire.APIScope](t), Name: evil, Days: evil}), "backup": page.Backup(page.BackupView{Media: med.Media, Path: evil, Last: evil, Now: midday, Problems: []kit.NoticeView{{Title: evil, Text: evil, File: evil}}}),
	}
}

// Script, markup and links in foreign strings stay text wherever they are shown (70-hostile-inputs, K).
func TestForeignStringsStayText(t *testing.T) {
	for name, body := range evilViews(t) {
		t.Run(name, func(t *testing.T) {
			doc := browser.Parse(t, rendered(t, "/"+name, fixture{body: body}))
			if n := doc.All("main script"); len(n) > 0 {
				t.Errorf("a script came through: %s", browser.HTML(n[0]))
			}
			if n := doc.All("main img"); len(n) > 0 {
				t.Errorf("an image came through: %s", browser.HTML(n[0]))
			}
			shown := strings.Contains(browser.Text(doc.One("main")), "<script>alert(1)</script>")
			if !shown {
				t.Error("the hostile text is shown nowhere, so this proves nothing")
			}
			for _, n := range doc.All("main *") {
				checkAttrs(t, n)
			}
			for n := range doc.One("main").Descendants() {
				checkAttrs(t, n)
			}
		})
	}
}

func checkAttrs(t *testing.T, n *html.Node) {
	t.Helper()
	for _, a := range n.Attr {
		if strings.HasPrefix(a.Key, "on") || a.Key == "style" {
			t.Errorf("%s has %s", n.Data, a.Key)
		}
		if a.Key != "href" && a.Key != "action" && a.Key != "src" {
			continue
		}
		if !strings.HasPrefix(a.Val, "/") && !strings.HasPrefix(a.Val, "#") && !strings.HasPrefix(a.Val, "?") || strings.HasPrefix(a.Val, "//") {
			t.Errorf("%s %s=%q leads away", n.Data, a.Key, a.Val)
		}
	}
}

// A record's page is found again from its address, whatever its key is.
func TestRecordHref(t *testing.T) {
	for key, want := range map[string]string{
		"GO-2024-2687": "/records/advisory/GO-2024-2687?feed=hub%2Ff", "a/b": "/records/advisory/a/b?feed=hub%2Ff", "a//b": "/records/advisory/-?feed=hub%2Ff&key=a%2F%2Fb",
		"../x": "/records/advisory/-?feed=hub%2Ff&key=..%2Fx", "a?b#c": "/records/advisory/a%3Fb%23c?feed=hub%2Ff", "/x": "/records/advisory/-?feed=hub%2Ff&key=%2Fx", "x/": "/records/advisory/-?feed=hub%2Ff&key=x%2F",
	} {
		if got := page.RecordHref(wire.Record{Kind: "advisory", Key: key, OriginName: "hub", Feed: "f"}); got != want {
			t.Errorf("%q: %s, want %s", key, got, want)
		}
	}
}

// Long texts are cut where a letter ends, bytes that are no text are not shown.
func TestRecordText(t *testing.T) {
	long := strings.Repeat("é", 200_000)
	text, cut, binary := page.RecordText([]byte(long))
	if !cut || binary || len(text) == 0 || len(text) > 64<<10 || strings.ContainsRune(text, '\uFFFD') {
		t.Errorf("%d bytes, cut %v, binary %v", len(text), cut, binary)
	}
	if _, _, binary := page.RecordText([]byte("a\x00b")); !binary {
		t.Error("a zero byte is shown as text")
	}
	if text, cut, _ := page.RecordText([]byte(`{"a":1}`)); cut || text != "{\n  \"a\": 1\n}" {
		t.Errorf("%q", text)
	}
}

// lookAt opens pages in Chromium: axe, no request elsewhere, nothing that scrolls sideways, sheets on one page.
func lookAt(t *testing.T, all map[string]fixture) {
	t.Helper()
	f := browser.Fixture{Pages: map[string]browser.Renderer{}, Asset: static.File}
	var v browser.Visit
	for _, path := range slices.Sorted(maps.Keys(all)) {
		if only := os.Getenv("SALLYPORT_ONLY"); only != "" && !slices.ContainsFunc(strings.Split(only, ","), func(p string) bool { return strings.HasPrefix(path, p) }) {
			continue
		}
		f.Pages[path] = page.Framed(frameOf(path, all[path]), all[path].body)
		v.Pages = append(v.Pages, browser.Page{Name: strings.ReplaceAll(path[1:], "/", "-"), Path: path, Sheet: all[path].sheet})
	}
	s := httptest.NewServer(f)
	defer s.Close()
	v.Origin = s.URL
	browser.Walk(t, v)
}

func TestBrowserContentPages(t *testing.T)   { lookAt(t, contentPages()) }
func TestBrowserCrossingPages(t *testing.T)  { lookAt(t, crossingPages()) }
func TestBrowserTrustPages(t *testing.T)     { lookAt(t, trustPages()) }
func TestBrowserAppliancePages(t *testing.T) { lookAt(t, appliancePages()) }
