package console

import (
	"fmt"
	"strconv"

	"sallyport/internal/code"
	"sallyport/internal/units"
	"sallyport/internal/wire"
	"sallyport/ui/kit"
	"sallyport/ui/page"
)

// perPage is how much one page of a list shows.
const perPage = 50

// part cuts one page out of a list that is held whole, by the number of its first row; it gives the pager too. hrefs are made
// from the path and its other parameters.
func part[T any](c *Ctx, path string, all []T) ([]T, kit.PagerView) {
	from, err := strconv.Atoi(c.query("from"))
	if err != nil || from < 0 || from >= len(all) {
		from = 0
	}
	from -= from % perPage
	to := min(from+perPage, len(all))
	var p kit.PagerView
	if len(all) > perPage {
		p.Note = fmt.Sprintf("%s–%s of %s", units.Count(int64(from+1)), units.Count(int64(to)), units.Count(int64(len(all))))
	}
	if from > 0 {
		p.First = path
		p.Prev = path + "?from=" + strconv.Itoa(from-perPage)
	}
	if to < len(all) {
		p.Next = path + "?from=" + strconv.Itoa(to)
	}
	return all[from:to], p
}

func feedsPage(_ *Console, c *Ctx) (Page, error) {
	f, err := ask[wire.Feeds](c, "feeds/list", wire.FeedRequest{})
	if err != nil {
		return Page{}, err
	}
	list, pager := part(c, "/feeds", f.Feeds)
	return Page{Title: "Feeds", Body: page.Feeds(page.FeedsView{Feeds: list, Total: len(f.Feeds), Pager: pager, Now: c.now()})}, nil
}

func feedsCSV(_ *Console, c *Ctx) (Page, error) {
	f, err := ask[wire.Feeds](c, "feeds/list", wire.FeedRequest{})
	if err != nil {
		return Page{}, err
	}
	return c.csv("feeds", f)
}

// feedName is the full name of the feed that the path names.
func feedName(c *Ctx) string { return c.path("origin") + "/" + c.path("feed") }

func feedHref(c *Ctx) string { return page.FeedHref(c.path("origin"), c.path("feed")) }

func feedPage(_ *Console, c *Ctx) (Page, error) {
	f, err := ask[wire.FeedDetail](c, "feeds/show", wire.FeedRequest{Name: feedName(c)})
	if err != nil {
		return Page{}, err
	}
	return Page{Title: f.Name, Body: page.Feed(page.FeedView{Feed: f, Now: c.now(), Steer: c.may("feeds/pin")})}, nil
}

// steer is one verb about a feed as a page and a form.
type steer struct {
	verb    string // of the path and of the action feeds/<verb>
	title   string // "%s" is the feed
	text    string // the consequence
	confirm string
	to      bool // it is about a generation
	reason  bool
	danger  bool
}

func steers() map[string]steer {
	return map[string]steer{
		"rollback": {
			verb: "rollback", title: "Go back to an earlier generation of %s?", confirm: "Go back", to: true, reason: true, danger: true,
			text: "The earlier generation is shown again at once, and the feed is pinned there: what arrives from now on is kept, not activated. Unpinning goes forward again.",
		},
		"pin": {
			verb: "pin", title: "Pin %s?", confirm: "Pin", reason: true,
			text: "It stays at what is active now. What arrives from now on is kept, not activated, until it is unpinned.",
		},
		"unpin": {verb: "unpin", title: "Unpin %s?", confirm: "Unpin", text: "The newest generation that is held becomes active."},
		"hold": {
			verb: "hold", title: "Hold a generation of %s?", confirm: "Hold", to: true, reason: true,
			text: "Hold: keep this, whatever retention says. Two people can release it again.",
		},
		"release": {
			verb: "release", title: "Release the hold on a generation of %s?", confirm: "Propose the release", to: true, reason: true, danger: true,
			text: "Two people must agree. After that retention may remove this generation when newer ones are here.",
		},
		"rhythm": {
			verb: "rhythm", title: "How often does a stick arrive for %s?", confirm: "Set the rhythm",
			text: "Data older than two deliveries is late, older than three is over its budget. Nothing is removed by that.",
		},
	}
}

func feedAsk(con *Console, c *Ctx) (Page, error) {
	s, ok := steers()[c.path("verb")]
	if !ok {
		return missing(con, c)
	}
	return steerPage(c, s, wire.FeedChange{To: c.query("to")}, nil)
}

// steerPage is the page before a verb, or after a try that went wrong.
func steerPage(c *Ctx, s steer, q wire.FeedChange, problem error) (Page, error) {
	f, err := ask[wire.FeedDetail](c, "feeds/show", wire.FeedRequest{Name: feedName(c)})
	if err != nil {
		return Page{}, err
	}
	v := page.AskView{Dialog: kit.DialogView{
		Title: fmt.Sprintf(s.title, f.Name), Text: s.text, Action: feedHref(c) + "/" + s.verb, Confirm: s.confirm, Cancel: feedHref(c), Danger: s.danger,
		Hidden: map[string]string{}, Problems: problems(problem),
	}}
	if s.to {
		if v, err = page.AskGeneration(v, f, q.To, s.verb == "rollback", c.now()); err != nil {
			return Page{}, err
		}
		v.Dialog.Hidden["to"] = q.To
	}
	if s.verb == "rhythm" {
		v.Fields = append(v.Fields, kit.FieldView{
			Name: "every", Label: "A stick arrives every", Value: q.Every, Placeholder: "14d",
			Hint: "Like 7d or 36h. Empty: as for the whole appliance.",
		})
	}
	if s.verb == "release" {
		if err := agreeing(c, &v, "hold", page.ReleaseSubject(f.Name, q.To)); err != nil {
			return Page{}, err
		}
	}
	if s.reason {
		v.Fields = append(v.Fields, page.ReasonField(q.Reason, ""))
	}
	return Page{Title: v.Dialog.Title, Body: page.Ask(v), Status: statusOf(problem)}, nil
}

// problems is what was wrong with the last try.
func problems(err error) []kit.NoticeView {
	if err == nil {
		return nil
	}
	return []kit.NoticeView{kit.ErrorNotice(err)}
}

// statusOf is 422 for a form that came back.
func statusOf(problem error) int {
	if problem == nil {
		return 0
	}
	return 422
}

// agreeing makes a page that proposes into one that agrees, where the same was proposed before by somebody else.
func agreeing(c *Ctx, v *page.AskView, kind, subject string) error {
	if !c.may("approvals/list") {
		return nil
	}
	list, err := ask[wire.Approvals](c, "approvals/list", wire.ApprovalRequest{})
	if err != nil {
		return err
	}
	for _, p := range list.Approvals {
		if p.Kind != kind || p.Subject != subject || len(p.Grants) == 0 {
			continue
		}
		page.AskAgree(v, p, c.now())
		v.Dialog.Hidden["approve"] = p.Digest
		return nil
	}
	return nil
}

// proposed tells whether an error says that the first person has proposed, which is no failure.
func proposed(approve string, err error) bool {
	return approve == "" && code.Of(err) == code.PlanApproval
}

func feedDo(con *Console, c *Ctx) (Page, error) {
	s, ok := steers()[c.path("verb")]
	if !ok {
		return missing(con, c)
	}
	q := wire.FeedChange{Name: feedName(c), To: c.form("to"), Reason: c.form("reason"), Every: c.form("every"), Approve: c.form("approve")}
	if s.reason && q.Reason == "" {
		return steerPage(c, s, q, code.New(code.BadUsage, "why is missing").Do("Say why, in your words: it stands in the timeline."))
	}
	f, err := ask[wire.FeedChanged](c, "feeds/"+s.verb, q)
	if proposed(q.Approve, err) {
		c.say("Proposed. Nothing has changed yet: a second person must agree, on this same page, signed in as themselves.")
		return c.to(feedHref(c))
	}
	if formError(err) {
		return steerPage(c, s, q, err)
	}
	if err != nil {
		return Page{}, err
	}
	con.strip.forget()
	c.say(f.Sentence)
	return c.to(feedHref(c))
}
