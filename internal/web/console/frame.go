package console

import (
	"fmt"
	"strings"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/units"
	"sallyport/internal/wire"
	"sallyport/ui/kit"
)

// bare is the frame of a page for somebody who is not signed in.
func (con *Console) bare(p Page) kit.FrameView {
	return kit.FrameView{
		Title: p.Title, Site: con.Site.Name, Tenant: strings.Join(con.Site.Tenants, ", "), Events: p.Events, Refresh: p.Refresh, Narrow: p.Narrow, Print: p.Sheet,
	}
}

// frame is the whole frame: strip, navigation, who is signed in, what the page before has to say.
func (con *Console) frame(c *Ctx, p Page) kit.FrameView {
	f := con.bare(p)
	f.Person, f.SignOut = c.Who.Name(), "/sign-out"
	f.Menu = []kit.Link{{Label: "My account", Href: "/account"}, {Label: "Sessions", Href: "/sessions"}, {Label: "Help", Href: "/help"}}
	if said := con.heard(c.Who.Session); len(said) > 0 {
		f.Notice = &kit.NoticeView{Tone: kit.OK, Title: strings.Join(said, " ")}
	}
	s, err := con.status(c)
	if err != nil {
		f.Strip = []kit.StripItem{{Text: "state unknown", Href: "/", Tone: kit.Unknown}}
	} else {
		f.Strip = con.stripOf(c, s)
	}
	f.Nav = con.nav(c, p, s)
	return f
}

// status is what the appliance says of itself, a second old at most.
func (con *Console) status(c *Ctx) (wire.Status, error) {
	return con.strip.get(time.Now(), func() (wire.Status, error) { return ask[wire.Status](c, "status/show", nil) })
}

// sticks are the media that are seen, some seconds old at most.
func (con *Console) sticks(c *Ctx) (wire.Media, error) {
	return con.media.get(time.Now(), func() (wire.Media, error) { return ask[wire.Media](c, "media/list", nil) })
}

// stripOf is the status strip: time, age of data, sticks. What is not known says so.
func (con *Console) stripOf(c *Ctx, s wire.Status) []kit.StripItem {
	list := []kit.StripItem{timeItem(s.Time), oldestItem(s.Feeds)}
	if s.Health == "Unhealthy" {
		list = append(list, kit.StripItem{Text: "not well", Href: "/", Tone: kit.Bad})
	}
	if m, err := con.sticks(c); err == nil {
		n := 0
		for _, x := range m.Media {
			if x.Ours {
				n++
			}
		}
		if n > 0 {
			list = append(list, kit.StripItem{Text: units.Plural(int64(n), "stick", "sticks"), Href: "/import", Tone: kit.Unknown, Icon: "stick", End: true})
		}
	}
	return list
}

// timeItem says what time it is believed to be, and on whose word.
func timeItem(t wire.Time) kit.StripItem {
	at := parse(t.Trusted).Format("15:04Z")
	switch {
	case t.Suspect:
		return kit.StripItem{Text: "clock is wrong; trusted time " + at, Href: "/time", Tone: kit.Warn}
	case t.Unproven, t.Source == "operator":
		return kit.StripItem{Text: "time not proven " + at, Href: "/time", Tone: kit.Warn}
	case t.AtLeast:
		return kit.StripItem{Text: "time at least " + at, Href: "/time", Tone: kit.Unknown}
	}
	return kit.StripItem{Text: "trusted time " + at, Href: "/time", Tone: kit.OK}
}

// oldestItem is the age of the oldest data that came from elsewhere.
func oldestItem(feeds []wire.Feed) kit.StripItem {
	worst, found := wire.Feed{}, false
	for _, f := range feeds {
		if f.Local || f.Generation == 0 {
			continue
		}
		if !found || f.AgeSeconds > worst.AgeSeconds {
			worst, found = f, true
		}
	}
	if !found {
		return kit.StripItem{Text: "no data from outside yet", Href: "/import", Tone: kit.Unknown}
	}
	text := "oldest data " + short(worst.AgeSeconds)
	if worst.AtLeast {
		text = "oldest data at least " + short(worst.AgeSeconds)
	}
	if worst.Every > 0 {
		text += " of " + short(budget(worst))
	}
	return kit.StripItem{Text: text, Href: "/feeds", Tone: standing(worst)}
}

// budget is how old a feed may become, in seconds, before it is in breach.
func budget(f wire.Feed) int64 { return breachAfter * f.Every }

// breachAfter is how many times the rhythm of sticks data may be old (30-trust-and-time, "Budgets").
const breachAfter = 3

// standing is the tone of a feed's age.
func standing(f wire.Feed) kit.Tone {
	switch f.Standing {
	case "ok":
		return kit.OK
	case "warn":
		return kit.Warn
	case "breach":
		return kit.Bad
	}
	return kit.Unknown
}

// short writes seconds with one short unit.
func short(seconds int64) string {
	switch d := time.Duration(seconds) * time.Second; {
	case d < time.Hour:
		return fmt.Sprintf("%d min", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", d/time.Hour)
	default:
		return fmt.Sprintf("%d d", d/(24*time.Hour))
	}
}

// entry is one line of the navigation.
type entry struct {
	label, href string
	roles       access.Roles
}

// entries are the groups of the navigation. An entry that a role may not open is not shown to it.
func entries() [][]entry {
	return [][]entry{
		{{"Overview", "/", anybody()}, {"Import", "/import", anybody()}, {"Feeds", "/feeds", anybody()}, {"Records", "/records", anybody()}, {"Exports", "/exports", anybody()}},
		{{"Media", "/media", anybody()}, {"Peers", "/peers", anybody()}, {"Trust", "/trust", anybody()}, {"Approvals", "/approvals", witnesses()}, {"Quarantine", "/quarantine", witnesses()}},
		{{"Timeline", "/timeline", witnesses()}, {"Receipts", "/receipts", witnesses()}, {"Jobs", "/jobs", anybody()}, {"Store", "/store", anybody()}, {"Time", "/time", anybody()}, {"Backups", "/backups", admins()}},
		{{"Users", "/users", auditors()}, {"Tokens", "/tokens", auditors()}, {"Settings", "/settings", admins()}, {"Help", "/help", anybody()}},
	}
}

// nav is the navigation of one person, with what waits.
func (con *Console) nav(c *Ctx, p Page, s wire.Status) (groups []kit.NavGroup) {
	current := p.Nav
	if current == "" {
		current = first(c.R.URL.Path)
	}
	for _, g := range entries() {
		var group kit.NavGroup
		for _, e := range g {
			if !c.Who.Roles.Any(e.roles) {
				continue
			}
			item := kit.NavItem{Label: e.label, Href: e.href, Current: e.href == current}
			if e.href == "/approvals" {
				item.Count = about(s.Needs, wire.AboutPlan)
			}
			group = append(group, item)
		}
		if len(group) > 0 {
			groups = append(groups, group)
		}
	}
	return groups
}

// first is the first part of a path, with its slash.
func first(path string) string {
	head, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	return "/" + head
}

func about(list []wire.Reason, topic string) (n int) {
	for _, r := range list {
		if r.Topic == topic {
			n++
		}
	}
	return n
}
