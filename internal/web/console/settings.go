package console

import (
	"path/filepath"
	"strconv"

	"sallyport/internal/access"
	"sallyport/internal/code"
	"sallyport/internal/units"
	"sallyport/internal/wire"
	"sallyport/ui/kit"
	"sallyport/ui/page"
)

func settingsPage(_ *Console, c *Ctx) (Page, error) {
	s, err := ask[wire.Settings](c, "settings/show", nil)
	if err != nil {
		return Page{}, err
	}
	return Page{Title: "Settings", Body: page.Settings(page.SettingsView{Settings: s})}, nil
}

func settingsCSV(_ *Console, c *Ctx) (Page, error) {
	s, err := ask[wire.Settings](c, "settings/show", nil)
	if err != nil {
		return Page{}, err
	}
	return c.csv("settings", s)
}

func storePage(_ *Console, c *Ctx) (Page, error) {
	s, err := ask[wire.Store](c, "store/show", nil)
	if err != nil {
		return Page{}, err
	}
	return Page{Title: "Store", Nav: "/store", Body: page.Store(page.StoreView{Store: s, Now: c.now(), Manage: c.may("store/prune"), Admin: c.may("settings/show")})}, nil
}

// kept is how many generations of each feed a form wants to keep; 0 is as many as are kept anyway.
func kept(text string) (int, error) {
	if text == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > 1000 {
		return 0, code.New(code.BadUsage, "how many generations stay?").Want("a number from 1 on", text)
	}
	return n, nil
}

// prunePage says what would go, and asks whether it should. With another number it says it again.
func prunePage(_ *Console, c *Ctx) (Page, error) {
	n, err := kept(c.query("keep"))
	if err != nil {
		return Page{}, err
	}
	p, err := ask[wire.Pruned](c, "store/plan", wire.PruneRequest{Keep: n})
	if err != nil {
		return Page{}, err
	}
	return Page{Title: "What could go", Nav: "/store", Body: page.Prune(page.PruneView{Plan: p, Now: c.now(), Manage: c.may("store/prune")})}, nil
}

func pruneDo(con *Console, c *Ctx) (Page, error) {
	n, err := kept(c.form("keep"))
	if err != nil {
		return Page{}, err
	}
	p, err := ask[wire.Pruned](c, "store/prune", wire.PruneRequest{Keep: n})
	if err != nil {
		return Page{}, err
	}
	con.strip.forget()
	c.say("Gone: " + units.Plural(int64(len(p.Generations)), "generation", "generations") + ", " + units.Size(p.Bytes) + ". Free now: " + units.Size(p.Free) + ".")
	return c.to("/store")
}

func scrubForm(_ *Console, _ *Ctx) (Page, error) {
	return Page{Title: "Read the store again", Nav: "/store", Body: page.Ask(page.AskView{
		Dialog: kit.DialogView{
			Title: "Read the store again?", Text: "Every byte is read and its digest compared. Nothing is changed; layers that are damaged are built again. It takes as long as reading the whole store.",
			Action: "/store/scrub", Confirm: "Begin", Cancel: "/store",
		},
		Fields: []kit.FieldView{{Name: "all", Label: "How much", Type: "radio", Options: []kit.Option{
			{Value: "", Label: "The next part of this round", Hint: "As much as is read in a day.", Selected: true},
			{Value: "yes", Label: "All of it", Hint: "Blobs, layers and the bundles on the shelf."},
		}}},
	})}, nil
}

func scrubDo(_ *Console, c *Ctx) (Page, error) {
	id, err := c.jobs("store/scrub", wire.ScrubRequest{All: c.form("all") != ""})
	if err != nil {
		return Page{}, err
	}
	return c.to("/jobs/" + id)
}

func timePage(_ *Console, c *Ctx) (Page, error) {
	t, err := ask[wire.TimeShown](c, "time/show", nil)
	if err != nil {
		return Page{}, err
	}
	set := c.may("time/set")
	v := page.TimeView{Shown: t, Now: c.now(), Set: set, Agree: set || c.Who.Roles.Has(access.Approver), Admin: c.may("settings/show")}
	if v.Agree {
		if v.Proposed, err = timePlans(c); err != nil {
			return Page{}, err
		}
	}
	return Page{Title: "Time", Nav: "/time", Body: page.Time(v)}, nil
}

// timePlans are the settings of the time that somebody proposed.
func timePlans(c *Ctx) (list []wire.Approval, err error) {
	all, err := ask[wire.Approvals](c, "approvals/list", wire.ApprovalRequest{})
	for _, p := range all.Approvals {
		if _, ok := page.TimeOfSubject(p.Subject); ok && p.Kind == "time" {
			list = append(list, p)
		}
	}
	return list, err
}

func timeSetForm(_ *Console, c *Ctx) (Page, error) {
	return timeAsk(c, "set", wire.TimeRequest{At: c.query("at")}, nil)
}

func timeConfirmForm(_ *Console, c *Ctx) (Page, error) {
	return timeAsk(c, "confirm", wire.TimeRequest{Peer: c.query("peer")}, nil)
}

// timeAsk is the page before time is set or an anchor counts.
func timeAsk(c *Ctx, verb string, q wire.TimeRequest, problem error) (Page, error) {
	t, err := ask[wire.TimeShown](c, "time/show", nil)
	if err != nil {
		return Page{}, err
	}
	v := page.AskView{Facts: page.TimeFacts(t), Dialog: kit.DialogView{
		Title: "Set the trusted time?", Text: "For an appliance to which no stick brings a signed time. Two people must agree; it never goes back, and it warns for as long as nothing proves it.",
		Action: "/time/" + verb, Confirm: "Propose it", Cancel: "/time", Danger: true, Hidden: map[string]string{}, Problems: problems(problem),
	}}
	subject := ""
	if verb == "confirm" {
		v.Dialog.Title, v.Dialog.Hidden["peer"] = "Let the anchor of "+q.Peer+" count?", q.Peer
		v.Dialog.Text = "It moves the trusted time by more than 400 days. Two people must agree that it is right; time never goes back."
		for _, a := range t.Waiting {
			if a.Peer == q.Peer {
				v.Facts, subject = append(v.Facts, page.AnchorFacts(a)...), page.AnchorSubject(a)
			}
		}
	} else {
		if at := parse(q.At); !at.IsZero() {
			subject = page.TimeSubject(q.At)
		}
		v.Fields = append(v.Fields, kit.FieldView{Name: "at", Label: "The time now, in UTC", Value: q.At, Placeholder: "2026-11-21T09:30:00Z", Hint: "Like 2026-11-21T09:30:00Z.", Required: true, Mono: true})
	}
	if subject != "" {
		if err := agreeing(c, &v, "time", subject); err != nil {
			return Page{}, err
		}
	}
	v.Fields = append(v.Fields, page.ReasonField(q.Reason, ""))
	return Page{Title: v.Dialog.Title, Nav: "/time", Body: page.Ask(v), Status: statusOf(problem)}, nil
}

func timeSetDo(con *Console, c *Ctx) (Page, error) { return timeDo(con, c, "set") }

func timeConfirmDo(con *Console, c *Ctx) (Page, error) { return timeDo(con, c, "confirm") }

func timeDo(con *Console, c *Ctx, verb string) (Page, error) {
	q := wire.TimeRequest{At: c.form("at"), Peer: c.form("peer"), Reason: c.form("reason"), Approve: c.form("approve")}
	t, err := ask[wire.TimeShown](c, "time/"+verb, q)
	if formError(err) {
		return timeAsk(c, verb, q, err)
	}
	if err != nil {
		return Page{}, err
	}
	con.strip.forget()
	if t.Proposed != "" {
		c.say("Proposed. Nothing has changed yet: a second person must agree, on this page, signed in as themselves.")
	} else {
		c.say("Done. The trusted time is " + t.Trusted + ".")
	}
	return c.to("/time")
}

func backupsPage(con *Console, c *Ctx) (Page, error) { return backupForm(con, c, "", nil) }

func backupForm(con *Console, c *Ctx, path string, problem error) (Page, error) {
	m, err := con.sticks(c)
	if err != nil {
		return Page{}, err
	}
	v := page.BackupView{Media: m.Media, Path: path, Now: c.now(), Problems: problems(problem)}
	if v.Last, err = lastBackup(c); err != nil {
		return Page{}, err
	}
	return Page{Title: "Backups", Nav: "/backups", Body: page.Backup(v), Status: statusOf(problem)}, nil
}

// lastBackup is when the newest backup was made, as the timeline tells; "" when it is not among what was looked through.
func lastBackup(c *Ctx) (string, error) {
	before := uint64(1) << 62
	list, err := ask[wire.Timeline](c, "timeline/list", wire.TimelineRequest{Before: &before, Limit: 1, Type: "backup.created"})
	if err != nil || len(list.Events) == 0 {
		return "", err
	}
	return list.Events[0].At, nil
}

func backupDo(con *Console, c *Ctx) (Page, error) {
	to := c.form("path")
	if to == "" {
		to = c.form("to")
	}
	if !filepath.IsAbs(to) {
		return backupForm(con, c, to, code.New(code.BadUsage, "where to?").Want("a stick, or a whole path from / on", to).Do("Choose a stick, or type the whole path of a folder."))
	}
	id, err := c.jobs("backup/create", wire.BackupRequest{To: filepath.Clean(to)})
	if formError(err) {
		return backupForm(con, c, to, err)
	}
	if err != nil {
		return Page{}, err
	}
	return c.to("/jobs/" + id)
}
