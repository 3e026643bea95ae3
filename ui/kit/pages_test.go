package kit_test

import (
	"sallyport/ui/kit"
)

// pages are the fixture: every component in every state, and two pages that are laid out as real ones.
func pages() map[string]kit.Node {
	sheet := frame("Receipt", "/receipts")
	sheet.Print = true
	alone := kit.FrameView{Title: "Sign in", Site: "site-07", Tenant: "acme", Narrow: true}
	live := frame("Live", "/jobs")
	live.Events, live.Refresh = "/events", 2
	told := frame("Sessions", "/users")
	told.Notice = &kit.NoticeView{Tone: kit.OK, Title: "The session was ended."}
	return map[string]kit.Node{
		"/":       kit.With(kit.Frame(frame("Overview", "/")), overview()),
		"/import": kit.With(kit.Frame(frame("Import", "/import")), importing()),
		"/parts":  kit.With(kit.Frame(frame("Parts", "/records")), parts()),
		"/empty":  kit.With(kit.Frame(told), empties()),
		"/forms":  kit.With(kit.Frame(frame("Forms", "/settings")), forms()),
		"/dialog": kit.With(kit.Frame(frame("Revoke", "/users")), dialog()),
		"/prose":  kit.With(kit.Frame(frame("Help", "/help")), prose()),
		"/sheet":  kit.With(kit.Frame(sheet), paper()),
		"/alone":  kit.With(kit.Frame(alone), signIn()),
		"/live":   kit.With(kit.Frame(live), liveParts(0)),
	}
}

func card(title string, children ...kit.Node) kit.Node {
	return kit.With(kit.Card(kit.CardView{Title: title}), children...)
}

func pad(children ...kit.Node) kit.Node { return kit.With(kit.Pad(), children...) }

func overview() kit.Node {
	return kit.All(
		kit.Head(kit.HeadView{Title: "Overview", Lead: "2 things need you. Data is 3 days old; the next stick is due by 14 March."}),
		kit.With(kit.Card(kit.CardView{Title: "Needs you", Count: "2", Live: true}), kit.Needs([]kit.NeedView{
			{Tone: kit.Warn, Title: "The trivy database crosses its budget in 31 hours", Why: "After that scans still run, but show it as stale. A delta on the next stick renews it.", Action: kit.ButtonView{Label: "Forecast", Href: "/feeds"}},
			{Tone: kit.Unknown, Mark: "2", Title: "mirror-20260311-delta waits for a second person", Why: "Anna proposed it 20 minutes ago: 136 added, 2 changed, 28 KiB, signed by acme at hub-01.", Action: kit.ButtonView{Label: "Review", Href: "/approvals", Kind: kit.Primary}},
		})),
		kit.With(kit.Card(kit.CardView{Title: "What we hold", Link: kit.Link{Label: "All feeds", Href: "/feeds"}}), kit.Table(holdings())),
		kit.With(kit.Two(),
			kit.With(kit.Card(kit.CardView{Title: "Crossings", Link: kit.Link{Label: "All", Href: "/timeline"}}), kit.Table(kit.TableView{
				Caption: "Crossings", NoHead: true, Columns: []kit.Column{{Label: "Way"}, {Label: "When"}, {Label: "What"}, {Label: "State"}},
				Rows: []kit.Row{
					{Cells: []kit.Node{kit.Text("in"), kit.Date(now), kit.Join(kit.Text("delta"), kit.Soft("+136 ~2 −0")), kit.Badge(kit.Unknown, "2 waiting")}},
					{Cells: []kit.Node{kit.Text("out"), kit.Date(now), kit.Text("1 receipt, 1 inventory"), kit.Badge(kit.OK, "delivered")}},
				},
			})),
			kit.With(kit.Card(kit.CardView{Title: "Store", Link: kit.Link{Label: "Settings", Href: "/settings"}}), pad(
				kit.Meter(kit.MeterView{Label: "Disk used", Text: "61 %", Soft: "of 200 GiB · full in about 90 days", Value: 61, Max: 100, Tone: kit.Accent, Wide: true}),
				kit.Lines(kit.Soft("4.1 GiB can be freed under the current rules. Last backup off this machine: 12 days ago.")),
			)),
		),
		card("Running", kit.Job(jobs()[0])),
	)
}

func importing() kit.Node {
	return kit.All(
		kit.Head(kit.HeadView{Title: "Import mirror-20260311-delta-for-site-07", Lead: "From the stick KINGSTON, 2 bundles for this site. Nothing is changed until you approve.", Back: kit.Link{Label: "Import", Href: "/import"}}),
		kit.Stepper(steps()),
		kit.With(kit.Split(kit.With(kit.Card(kit.CardView{Title: "Proven so far"}), kit.Proofs(proofs()))),
			kit.With(kit.Card(kit.CardView{Title: "What would change", Link: kit.Link{Label: "Full list (CSV)", Href: "/import/7.csv"}}), kit.Diff(diff())),
			kit.With(kit.Card(kit.CardView{}), kit.With(kit.Form(kit.FormView{Action: "/import/7", InPlace: true, Label: "Approve"}),
				kit.Say("This plan in nine words, to read to headquarters if you like:"),
				kit.Lines(kit.Words(words)),
				kit.Lines(kit.Join(kit.Soft("Digest"), kit.Digest(sum))),
				kit.With(kit.Buttons(), kit.Button(kit.ButtonView{Label: "Approve this plan", Kind: kit.Primary}), kit.Button(kit.ButtonView{Label: "Not now", Href: "/import"})),
			)),
		),
	)
}

func parts() kit.Node {
	var badges, marks, list []kit.Node
	for _, t := range tones() {
		badges = append(badges, kit.Badge(t, "state "+string(t)))
		marks = append(marks, kit.Mark(t, "mark"))
	}
	for _, j := range jobs() {
		list = append(list, kit.Job(j))
	}
	return kit.All(
		kit.Head(kit.HeadView{
			Title: "Parts", Lead: "Every component in every state.", Explain: "A generation is a numbered state of this feed; you can go back to an earlier one in one step.",
			Actions: []kit.ButtonView{{Label: "Export", Href: "/exports"}, {Label: "Import", Href: "/import", Kind: kit.Primary}},
		}),
		kit.Search(kit.SearchView{Action: "/records", Name: "q", Value: "GO-2024", Label: "Find a record", Hint: "An id, an alias or a package.", Hidden: map[string]string{"kind": "advisory"}}),
		kit.Tabs(kit.TabsView{Label: "Parts of the feed", Items: []kit.Tab{{Label: "Generations", Href: "#a", Count: "5", Current: true}, {Label: "Pins", Href: "#b"}, {Label: "Records", Href: "#c", Count: "4,291"}}}),
		kit.Tabs(kit.TabsView{Label: "Filters", Pills: true, Items: []kit.Tab{{Label: "All", Href: "?f=all", Current: true, Count: "12"}, {Label: "Advisories", Href: "?f=advisory"}, {Label: "Withdrawn", Href: "?f=withdrawn", Count: "0"}}}),
		kit.With(kit.Card(kit.CardView{Title: "Peers", Note: "/etc/sallyport/config.d/a-file-with-quite-a-long-name-that-nobody-broke.yaml"}), kit.Table(wide())),
		card("Meaning", pad(kit.Join(badges...), kit.Join(marks...),
			kit.Meter(kit.MeterView{Label: "Nobody knows", Text: "unknown"}),
			kit.Age(kit.AgeView{Known: true, Age: 7200000000000}),
			kit.Spark(kit.SparkView{Label: "Disk used in 30 days", Text: "61 %", Points: []float64{40, 42, 41, 48, 52, 55, 61}}),
			kit.Spark(kit.SparkView{Label: "One point", Points: []float64{1}}), kit.Spark(kit.SparkView{Text: "no numbers yet"}),
			kit.Pre("A command", "sallyport import /media/KINGSTON --plan --wait --output json --approve sha256:7c1e90ab44d2c3b0f6a1d2e3f4a5b6c7d8e9fa0b1c2d3e4f5a6b7c8d9e0f1a2b"),
			kit.Join(kit.Bytes(1932735283), kit.Count(4291), kit.Percent(1, 1000), kit.Percent(1, 0), kit.Percent(999, 1000), kit.Strong("strong"), kit.Code("/var/lib/sallyport")),
			kit.Join(kit.To("https://go.dev/issue/1", "an address outside"), kit.Out(kit.Link{Label: "a page here", Href: "/help"}), kit.To("javascript:alert(1)", "not a link"), kit.To("//evil.example/", "not this either")),
			kit.QR(kit.QRView{Text: "R-0042 " + sum, Label: "Receipt R-0042"}),
		)),
		card("Facts", kit.Defs([]kit.Def{{Term: "State root", Value: kit.Digest(sum), Explain: "One number for everything in this feed; equal on both sides means equal content."}, {Term: "Signed by", Value: kit.Words(words)}, {Term: "Received", Value: kit.TimeOr(now.Add(90*60*1000000000), now, "never")}, {Term: "Nothing"}})),
		card("Changes", kit.Changes([]kit.Change{{Label: "Fingerprint", Old: kit.Digest(sum), New: kit.Digest("sha256:" + sum[17:] + "0123456789")}, {Label: "Words", Old: kit.Words(words), New: kit.Words("one two three four five six seven eight nine")}})),
		kit.With(kit.Card(kit.CardView{Title: "Jobs", Tone: kit.Warn}), list...),
		kit.Stepper([]kit.Step{{Label: "Choose", State: kit.StepDone}, {Label: "Verify", State: kit.StepFailed}, {Label: "Plan"}}),
		card("Proofs", kit.Proofs(kit.ProofsView{Items: proofs().Items})),
		card("Log", kit.Log([]string{"14:02:03Z verifying mirror-20260311-full", "14:02:05Z 4 of 4 volumes are whole", "14:02:09Z " + sum + sum})),
	)
}

func empties() kit.Node {
	var cards []kit.Node
	for _, n := range notices() {
		cards = append(cards, kit.Notice(n))
	}
	cards = append(cards,
		card("Needs you", kit.Empty(kit.EmptyView{Tone: kit.OK, Title: "Nothing needs you.", Text: "Data is 3 days old; the next stick is due by 14 March."})),
		card("Quarantine", kit.Table(kit.TableView{Columns: []kit.Column{{Label: "Number"}}, Empty: kit.EmptyView{Title: "Nothing was refused here.", Text: "Whatever the gate refuses waits here for a person."}})),
		card("Users", kit.Empty(kit.EmptyView{Tone: kit.Bad, Title: "This page is for admins.", Text: "You are signed in as an operator. Ask an admin, or sign in as one.", Action: kit.ButtonView{Label: "Overview", Href: "/"}})),
		card("Trusted time", kit.Empty(kit.EmptyView{Tone: kit.Unknown, Title: "Nobody has told this site the time yet.", Text: "The next stick brings headquarters' signed statement of the time."})),
	)
	return kit.All(kit.Head(kit.HeadView{Title: "Notices and empty states"}), kit.All(cards...))
}

func forms() kit.Node {
	long := kit.Option{Value: "7", Label: "Every week", Hint: "Data is called stale after 14 days.", Selected: true}
	return kit.All(
		kit.Head(kit.HeadView{Title: "Forms"}),
		card("A form that was refused", kit.With(kit.Form(kit.FormView{Action: "/forms", InPlace: true, Label: "Account", Problems: []kit.NoticeView{{Tone: kit.Bad, Title: "Two fields need another look.", Text: "Nothing was changed."}}}),
			kit.Hidden("token", "x"),
			kit.Field(kit.FieldView{Name: "name", Label: "Name", Value: "anna", Hint: "As it stands in the timeline.", Autocomplete: "username", Required: true}),
			kit.Field(kit.FieldView{Name: "password", Label: "Password", Type: "password", Hint: "At least 12 characters.", Error: "This has 9 characters; at least 12 are needed.", Autocomplete: "new-password"}),
			kit.Field(kit.FieldView{Name: "code", Label: "Code from your phone", InputMode: "numeric", Mono: true, MaxLength: 6, Autocomplete: "one-time-code", Error: "This code was used already. Wait for the next one."}),
			kit.Field(kit.FieldView{Name: "every", Label: "How often does a stick arrive?", Type: "radio", Options: []kit.Option{{Value: "1", Label: "Every day"}, long, {Value: "30", Label: "Every month"}}}),
			kit.Field(kit.FieldView{Name: "role", Label: "Role", Type: "select", Value: "operator", Options: []kit.Option{{Value: "viewer", Label: "Viewer"}, {Value: "operator", Label: "Operator"}}}),
			kit.Field(kit.FieldView{Name: "kinds", Label: "Kinds", Type: "checks", Error: "Tick one at least.", Options: []kit.Option{{Value: "advisory", Label: "Advisories", Selected: true}, {Value: "vex", Label: "VEX", Hint: "What a vendor says of an advisory."}}}),
			kit.Field(kit.FieldView{Name: "why", Label: "Reason", Type: "textarea", Placeholder: "Stands in the timeline"}),
			kit.Field(kit.FieldView{Name: "strict", Label: "Refuse the whole file when one document is bad", Type: "checkbox", Checked: true, Hint: "Otherwise the bad one is listed and the others go in."}),
			kit.Field(kit.FieldView{Name: "until", Label: "Ends on", Type: "date", Value: "2026-12-31"}),
			kit.Field(kit.FieldView{Name: "token", ID: "f-token-2", Label: "Token", Prefix: "sp_", ReadOnly: true, Value: "abc", Mono: true}),
			kit.With(kit.Buttons(), kit.Button(kit.ButtonView{Label: "Save", Kind: kit.Primary}), kit.Button(kit.ButtonView{Label: "Not now", Href: "/"}), kit.Button(kit.ButtonView{Label: "Delete", Kind: kit.Danger, Name: "do", Value: "delete"}), kit.Button(kit.ButtonView{Label: "Approve", Disabled: "You proposed this: somebody else approves it."})),
		)),
		card("A file", kit.With(kit.Form(kit.FormView{Action: "/forms", Upload: "/uploads", Next: "/import?upload=", Label: "Upload"}),
			kit.Field(kit.FieldView{Name: "file", Label: "Bundle", Type: "file", Multiple: true, Hint: "All files of one bundle at once."}),
			kit.With(kit.Buttons(), kit.Button(kit.ButtonView{Label: "Send", Kind: kit.Primary})),
		)),
	)
}

func dialog() kit.Node {
	return kit.With(kit.Dialog(kit.DialogView{Title: "Revoke the token ci-reader?", Text: "Whoever uses it is refused from now on. This cannot be undone; a new token can be made.", Action: "/tokens/7/revoke", Confirm: "Revoke the token", Cancel: "/tokens", Danger: true, Hidden: map[string]string{"id": "7"}}),
		kit.Defs([]kit.Def{{Term: "Made by", Value: kit.Text("anna")}, {Term: "Used", Value: kit.Time(now.Add(-3600000000000), now)}}))
}

func prose() kit.Node {
	return kit.All(kit.Head(kit.HeadView{Title: "Carrying a stick", Back: kit.Link{Label: "Help", Href: "/help"}}),
		card("Contents", pad(kit.Contents([]kit.Link{{Label: "Before you go", Href: "#before"}, {Label: "At the site", Href: "#site"}}))),
		card("", pad(kit.With(kit.Prose(), kit.Say("A stick is carried by a courier, often without a key. What it carries is checked on arrival, every byte of it."), kit.Pre("On the stick", "./mirror verify ."), kit.Say("Whatever is wrong with it is said in a sentence.")))))
}

func paper() kit.Node {
	return kit.All(kit.PrintButton(), kit.With(kit.Sheet(kit.SheetView{Title: "Receipt R-0042", Subtitle: "site-07 of acme to hub-01", QR: "R-0042 " + sum, QRLabel: "Id, digest and signer", Foot: "Printed 11 March 2026 by anna at site-07."}),
		kit.Defs([]kit.Def{{Term: "Bundle", Value: kit.Text("mirror-20260311-delta-for-site-07")}, {Term: "Digest", Value: kit.Digest(sum)}, {Term: "Verdict", Value: kit.Badge(kit.OK, "imported")}, {Term: "At", Value: kit.Time(now.Add(-3600000000000), now)}, {Term: "In six words", Value: kit.Words("river lamp ocean stone winter paper")}}),
		kit.With(kit.Cutout(), kit.Strong("For the courier"), kit.Text("This site has everything that was on the stick. You can take it back."))))
}

func signIn() kit.Node {
	return kit.All(kit.Head(kit.HeadView{Title: "Sign in to site-07"}),
		kit.With(kit.Card(kit.CardView{}), kit.With(kit.Form(kit.FormView{Action: "/sign-in", Label: "Sign in"}),
			kit.Field(kit.FieldView{Name: "name", Label: "Name", Autocomplete: "username", Required: true, Autofocus: true}),
			kit.Field(kit.FieldView{Name: "password", Label: "Password", Type: "password", Autocomplete: "current-password", Required: true}),
			kit.With(kit.Buttons(), kit.Button(kit.ButtonView{Label: "Sign in", Kind: kit.Primary})))))
}

// liveParts are the parts of the live page after n messages.
func liveParts(n int) kit.Node {
	j := kit.JobView{ID: "live", Title: "Import", State: kit.JobRunning, Stage: "Verifying", Done: int64(n), Total: 4, Cancel: "/jobs/live/cancel"}
	if n >= 4 {
		j.State, j.Cancel = kit.JobDone, ""
	}
	items := proofs().Items[:min(n, 4)]
	return kit.All(kit.Head(kit.HeadView{Title: "Live"}), card("Job", kit.Job(j)), card("Proven so far", kit.Proofs(kit.ProofsView{ID: "proofs", Live: true, Items: items})))
}
