package kit_test

import (
	"time"

	"sallyport/internal/code"
	"sallyport/ui/kit"
)

// now is the moment of every fixture.
var now = time.Date(2026, 3, 11, 14, 2, 3, 0, time.UTC)

const (
	sum   = "sha256:7c1e90ab44d2c3b0f6a1d2e3f4a5b6c7d8e9fa0b1c2d3e4f5a6b7c8d9e0f1a2b"
	words = "river lamp ocean stone winter paper copper field anchor"
)

// frame is the frame of a signed-in page.
func frame(title, path string) kit.FrameView {
	items := func(list ...kit.NavItem) kit.NavGroup {
		for i := range list {
			list[i].Current = list[i].Href == path
		}
		return list
	}
	return kit.FrameView{
		Title: title, Site: "site-07", Tenant: "acme", Person: "anna", SignOut: "/sign-out",
		Menu: []kit.Link{{Label: "Your sessions", Href: "/sessions"}},
		Strip: []kit.StripItem{
			{Text: "AIR-GAP SEALED", Href: "/settings", Tone: kit.Unknown, Icon: "sealed"},
			{Text: "trusted time 14:02Z ± 2 s", Href: "/settings", Tone: kit.OK},
			{Text: "oldest data 3 d of 14 d", Href: "/feeds", Tone: kit.OK},
			{Text: "1 stick", Href: "/media", Tone: kit.Unknown, Icon: "stick", End: true},
		},
		Nav: []kit.NavGroup{
			items(kit.NavItem{Label: "Overview", Href: "/"}, kit.NavItem{Label: "Import", Href: "/import"}, kit.NavItem{Label: "Feeds", Href: "/feeds"}, kit.NavItem{Label: "Records", Href: "/records"}, kit.NavItem{Label: "Exports", Href: "/exports"}),
			items(kit.NavItem{Label: "Media", Href: "/media"}, kit.NavItem{Label: "Peers", Href: "/peers"}, kit.NavItem{Label: "Trust", Href: "/trust"}, kit.NavItem{Label: "Approvals", Href: "/approvals", Count: 1}),
			items(kit.NavItem{Label: "Timeline", Href: "/timeline"}, kit.NavItem{Label: "Receipts", Href: "/receipts"}),
			items(kit.NavItem{Label: "Users", Href: "/users"}, kit.NavItem{Label: "Settings", Href: "/settings"}, kit.NavItem{Label: "Help", Href: "/help"}),
		},
	}
}

func tones() []kit.Tone {
	return []kit.Tone{kit.Plain, kit.OK, kit.Warn, kit.Bad, kit.Unknown, kit.Accent}
}

// holdings is a table in its normal state: fresh, nearly stale, stale and unknown.
func holdings() kit.TableView {
	row := func(name, note, records string, age kit.AgeView, from string, tone kit.Tone, state string) kit.Row {
		return kit.Row{Cells: []kit.Node{kit.Join(kit.To("/feeds/"+name, name), kit.Soft(note)), kit.Text(records), kit.Age(age), kit.Text(from), kit.Badge(tone, state)}}
	}
	day := 24 * time.Hour
	return kit.TableView{
		ID: "holdings", Caption: "What we hold",
		Columns: []kit.Column{{Label: "Feed"}, {Label: "Records", Kind: kit.NumberColumn}, {Label: "Age of data"}, {Label: "From"}, {Label: "State"}},
		Rows: []kit.Row{
			row("osv-go", "generation 42", "4,291", kit.AgeView{Age: 3 * day, Budget: 14 * day, Known: true}, "hub-01", kit.OK, "verified"),
			row("trivy-database", "built here", "4,274", kit.AgeView{Age: 13 * day, Budget: 14 * day, Known: true}, "this site", kit.Warn, "nearly stale"),
			row("policies", "generation 9", "18", kit.AgeView{Age: 21 * day, Budget: 14 * day, Known: true}, "hub-01", kit.Bad, "stale"),
			row("vendor-vex", "", "–", kit.AgeView{Never: "never received"}, "hub-02", kit.Unknown, "unknown"),
		},
	}
}

// wide is a table with many columns, sorted, paged, with buttons and a long name.
func wide() kit.TableView {
	return kit.TableView{
		Caption: "Peers", CSV: "/peers.csv", Pager: kit.PagerView{First: "/peers", Prev: "/peers?a=1", Next: "/peers?a=3", Note: "51–52 of 102"},
		Columns: []kit.Column{{Label: "Peer", Sort: "?s=peer", Sorted: "ascending"}, {Label: "Has", Kind: kit.NumberColumn, Sort: "?s=has"}, {Label: "We have", Kind: kit.NumberColumn}, {Label: "Receipt"}, {Label: "Next stick"}, {Label: "Fingerprint"}, {Label: "Revoke", Kind: kit.ActionColumn}},
		Rows: []kit.Row{
			{ID: "peer-site-07", Tone: kit.Warn, Cells: []kit.Node{kit.To("/peers/site-07", "site-07"), kit.Count(42), kit.Count(43), kit.Time(now.Add(-75*time.Hour), now), kit.Date(now.Add(72 * time.Hour)), kit.Digest(sum), kit.PostButton(kit.PostView{Action: "/peers/site-07/revoke", Label: "Revoke", Context: " site-07"})}},
			{Cells: []kit.Node{kit.To("/peers/x", "site-with-a-very-long-name-that-nobody-would-choose-but-somebody-does"), kit.Count(41000000), nil, kit.Time(time.Time{}, now), kit.Date(time.Time{}), kit.Digest("")}},
		},
	}
}

func jobs() []kit.JobView {
	failed := kit.ErrorNotice(code.New(code.Bug, "volume 3 of 5 cannot be read").In("mirror-20260311-full.v3", "byte 412,090,368"))
	return []kit.JobView{
		{ID: "1", Title: "Import mirror-20260311-full", Href: "/jobs/1", State: kit.JobRunning, Stage: "Verifying", Done: 1288490188, Total: 1932735283, Bytes: true, Rate: 222298112, ETA: 3 * time.Second, Cancel: "/jobs/1/cancel", Log: "/jobs/1/log", Notes: []string{"4 of 4 volumes are whole."}},
		{ID: "2", Title: "Export for site-12", State: kit.JobWaiting, Stage: "Waiting for the run before it", Cancel: "/jobs/2/cancel"},
		{ID: "3", Title: "Load all.zip", Href: "/jobs/3", State: kit.JobDone, Stage: "4,291 records loaded", Log: "/jobs/3/log", Result: kit.Link{Label: "See the feed", Href: "/feeds/x"}},
		{ID: "4", Title: "Import mirror-20260304-delta", Href: "/jobs/4", State: kit.JobFailed, Stage: "Stopped while verifying", Error: &failed},
		{ID: "5", Title: "Scrub", State: kit.JobCancelled, Stage: "Cancelled by anna"},
		{ID: "6", Title: "Reading a stick", State: kit.JobRunning, Stage: "Looking for bundles", Done: 12},
	}
}

func steps() []kit.Step {
	return []kit.Step{{Label: "Choose", Href: "/import", State: kit.StepDone}, {Label: "Verify", State: kit.StepDone}, {Label: "Plan", State: kit.StepNow}, {Label: "Approve"}, {Label: "Done"}}
}

func proofs() kit.ProofsView {
	return kit.ProofsView{ID: "proofs", Live: true, Items: []kit.Proof{
		{Tone: kit.OK, Text: "Label signed by acme at hub-01", Detail: words[:16] + " … trusted since 12 Jan"},
		{Tone: kit.OK, Text: "4 of 4 volumes whole", Detail: "1.8 GiB read at 92 MiB/s"},
		{Tone: kit.OK, Text: "Encrypted for this site"},
		{Tone: kit.Accent, Text: "Comparing 138 records"},
		{Tone: kit.Bad, Text: "Manifest not signed", Detail: "Nothing was changed."},
		{Tone: kit.Unknown, Text: "Virus scanner: none configured"},
	}}
}

func diff() kit.DiffView {
	row := func(id, what, severity, pkg string) kit.Row {
		return kit.Row{Cells: []kit.Node{kit.To("/records/advisory/"+id, id), kit.Text(what), kit.Text(severity), kit.Text(pkg)}}
	}
	return kit.DiffView{
		Counts: []kit.Figure{{Value: "136", Label: "added"}, {Value: "2", Label: "changed"}, {Value: "0", Label: "removed"}, {Value: "28 KiB", Label: "to store"}, {Value: "42 → 43", Label: "generation"}},
		Table: kit.TableView{Caption: "Examples", Columns: []kit.Column{{Label: "Record"}, {Label: "What"}, {Label: "Severity"}, {Label: "Package"}}, Rows: []kit.Row{
			row("GO-2026-5061", "added", "high", "golang.org/x/image"), row("GO-2026-4440", "changed: fixed in 0.45.0", "high", "golang.org/x/net"),
		}},
		More: kit.Link{Label: "All 138 (CSV)", Href: "/import/7.csv"},
	}
}

func notices() []kit.NoticeView {
	list := []kit.NoticeView{
		{Title: "Signed by a key this site does not know", Text: "If headquarters changed its key, import the trust update first. If not, keep the stick and call.", Link: kit.Link{Label: "Trust", Href: "/trust"}},
		kit.ErrorNotice(code.New(code.Bug, "the manifest is not the one that was signed").In("sallyport/mirror-20260311-full/manifest.json", "line 12, field entries[3].digest").Want(sum, "sha256:"+sum[10:]+"000")),
	}
	for _, t := range tones()[1:] {
		list = append(list, kit.NoticeView{Tone: t, Title: "A notice that says " + string(t), Text: "With a consequence in one sentence."})
	}
	return list
}
