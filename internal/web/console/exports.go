package console

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"sallyport/internal/code"
	"sallyport/internal/units"
	"sallyport/internal/web"
	"sallyport/internal/wire"
	"sallyport/ui/kit"
	"sallyport/ui/page"
)

func exportsPage(_ *Console, c *Ctx) (Page, error) {
	status := c.query("status")
	list, err := ask[wire.Runs](c, "runs/list", wire.RunRequest{Status: status, Before: c.query("before"), Limit: perPage})
	if err != nil {
		return Page{}, err
	}
	peers, err := ask[wire.Peers](c, "peers/list", nil)
	if err != nil {
		return Page{}, err
	}
	v := page.ExportsView{Runs: list.Runs, Status: status, Now: c.now(), Make: c.may("runs/submit"), Peers: len(peers.Peers)}
	if list.Next != "" {
		v.Next = runsHref(status, list.Next)
	}
	if c.query("before") != "" {
		v.First = runsHref(status, "")
	}
	return Page{Title: "Exports", Body: page.Exports(v)}, nil
}

func runsHref(status, before string) string {
	q := url.Values{}
	if status != "" {
		q.Set("status", status)
	}
	if before != "" {
		q.Set("before", before)
	}
	if len(q) == 0 {
		return "/exports"
	}
	return "/exports?" + q.Encode()
}

func exportsCSV(_ *Console, c *Ctx) (Page, error) {
	list, err := ask[wire.Runs](c, "runs/list", wire.RunRequest{Status: c.query("status"), Limit: maxRows})
	if err != nil {
		return Page{}, err
	}
	return c.csv("exports", list)
}

// maxRows bounds a table for a spreadsheet.
const maxRows = 10_000

func exportPage(_ *Console, c *Ctx) (Page, error) {
	v, err := exportView(c)
	if err != nil {
		return Page{}, err
	}
	p := Page{Title: "Export " + v.Run.Name, Body: page.Export(v)}
	if !page.Over(v.Run) {
		p.Events, p.Refresh = page.RunHref(v.Run.ID)+"/events", 2
	}
	return p, nil
}

func exportView(c *Ctx) (page.ExportView, error) {
	r, err := ask[wire.Run](c, "runs/show", wire.RunRequest{ID: c.path("id")})
	v := page.ExportView{Run: r, Now: c.now(), Manage: c.may("runs/cancel"), Take: c.may("runs/download")}
	if err != nil || r.Shelf == "" || !page.Over(r) {
		return v, err
	}
	files, err := ask[wire.Shelf](c, "runs/files", wire.ShelfRequest{ID: r.ID})
	switch {
	case code.Of(err) == code.Missing, code.Of(err) == code.ExportConflict:
		v.Gone = "Retention has removed them."
	case err != nil: // the run is shown all the same
		v.Gone = wire.FromError(err).Message
	}
	v.Files = files.Files
	return v, nil
}

// exportEvents follows a run: its part of the page is drawn again while it moves, and the page is loaded anew at the end.
func exportEvents(con *Console, c *Ctx) (Page, error) {
	id, manage := c.path("id"), c.may("runs/cancel")
	if _, err := ask[wire.Run](c, "runs/show", wire.RunRequest{ID: id}); err != nil {
		return Page{}, err
	}
	topic := Topic{Name: "run/" + id, Key: strings.Join(con.Site.Tenants, ",") + "/" + c.Who.Roles.String(), Beat: time.Second}
	err := con.live.Serve(c.W, c.R, topic, func(ctx context.Context) ([]Fragment, error) {
		v, err := con.Door.Do(ctx, c.Who, "runs/show", wire.RunRequest{ID: id}, nil)
		if err != nil {
			return nil, err
		}
		r, err := as[wire.Run](v)
		if err != nil {
			return nil, err
		}
		job := page.RunJob(r, manage)
		html, err := HTML(ctx, kit.Job(job))
		if err != nil {
			return nil, err
		}
		list := []Fragment{{ID: "job-" + id, HTML: html}}
		if page.Over(r) {
			list = append(list, Fragment{Reload: true})
		}
		return list, nil
	})
	return served, err
}

func exportCancel(_ *Console, c *Ctx) (Page, error) {
	if _, err := ask[wire.Run](c, "runs/cancel", wire.RunRequest{ID: c.path("id")}); err != nil {
		return Page{}, err
	}
	c.say("The run was cancelled.")
	return c.to(page.RunHref(c.path("id")))
}

func exportRetry(_ *Console, c *Ctx) (Page, error) {
	if _, err := ask[wire.Run](c, "runs/retry", wire.RunRequest{ID: c.path("id")}); err != nil {
		return Page{}, err
	}
	c.say("The run is tried again. What was made already is not made twice.")
	return c.to(page.RunHref(c.path("id")))
}

// exportFile sends one file of a bundle. It is a POST because what leaves is written down.
func exportFile(con *Console, c *Ctx) (Page, error) {
	f, err := ask[wire.ShelfFile](c, "runs/download", wire.ShelfRequest{ID: c.path("id"), File: c.path("name")})
	if err != nil {
		return Page{}, err
	}
	body, size, err := con.Open(c.R.Context(), c.path("id"), f.Name)
	if err != nil {
		return Page{}, err
	}
	defer body.Close()
	_ = http.NewResponseController(c.W).SetWriteDeadline(time.Time{}) // a slow line is no fault; the door's pace rules end it
	h := c.W.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Length", strconv.FormatInt(size, 10))
	h.Set("Digest", "sha-256="+strings.TrimPrefix(f.Digest, "sha256:"))
	web.Attachment(c.W, f.Name)
	_, _ = io.Copy(c.W, body) // a browser that is gone wants no more
	return served, nil
}

func exportNewForm(_ *Console, c *Ctx) (Page, error) {
	v := page.ExportNewView{Form: page.ExportForm{Variant: "delta", For: c.R.URL.Query()["for"]}}
	return exportNewPage(c, v, nil)
}

// exportNewPage fills the form with what there is to choose from.
func exportNewPage(c *Ctx, v page.ExportNewView, problem error) (Page, error) {
	fleet, err := ask[wire.Fleet](c, "peers/fleet", wire.PeerRequest{})
	if err != nil {
		return Page{}, err
	}
	feeds, err := ask[wire.Feeds](c, "feeds/list", wire.FeedRequest{})
	if err != nil {
		return Page{}, err
	}
	media, err := ask[wire.Media](c, "media/list", nil)
	if err != nil {
		return Page{}, err
	}
	v.Peers, v.Media = fleet.Peers, media.Media
	for _, f := range feeds.Feeds {
		if f.Local && f.Generation > 0 {
			v.Feeds = append(v.Feeds, f)
		}
	}
	v.Problems = append(v.Problems, problems(problem)...)
	p := Page{Title: "New export", Body: page.ExportNew(v), Status: statusOf(problem)}
	if len(v.Errors) > 0 {
		p.Status = http.StatusUnprocessableEntity
	}
	return p, nil
}

// exportForm reads the form.
func exportForm(c *Ctx) (f page.ExportForm, volume int64, wrong map[string]string) {
	_ = c.R.PostFormValue("variant") // reads the form
	f = page.ExportForm{
		Variant: c.form("variant"), For: c.R.PostForm["for"], Feeds: c.R.PostForm["feed"], To: c.form("to"), Volume: c.form("volume"),
		Clear: c.form("clear") != "", Empty: c.form("empty") != "", Anon: c.form("anonymous") != "",
	}
	if path := c.form("path"); path != "" {
		f.To = path
	}
	wrong = map[string]string{}
	if f.Variant != "full" && f.Variant != "delta" {
		wrong["variant"] = "Choose one of the two."
	}
	if len(f.For) == 0 && !f.Clear {
		wrong["for"] = "Choose at least one peer, or write it in clear."
	}
	if f.To != "" && !filepath.IsAbs(f.To) {
		wrong["to"] = "Give the whole path, from / on."
	}
	if f.Volume != "" {
		var err error
		if volume, err = units.ParseSize(f.Volume); err != nil {
			wrong["volume"] = "Write a size like 2GiB."
		}
	}
	return f, volume, wrong
}

// exportNewDo submits one run for each peer. Those that cannot be are told; the others go on.
func exportNewDo(_ *Console, c *Ctx) (Page, error) {
	form, volume, wrong := exportForm(c)
	if len(wrong) > 0 {
		return exportNewPage(c, page.ExportNewView{Form: form, Errors: wrong}, nil)
	}
	peers := form.For
	if len(peers) == 0 {
		peers = []string{""}
	}
	var made []wire.Run
	var left []string
	var last error
	for _, peer := range peers {
		r, err := ask[wire.Run](c, "runs/submit", wire.RunRequest{
			Profile: "mirror:" + form.Variant, For: peer, To: form.To, Unencrypted: form.Clear, VolumeBytes: volume, AllowEmpty: form.Empty,
			Feeds: form.Feeds, Anonymous: form.Anon,
		})
		switch {
		case err == nil:
			made = append(made, r)
		case formError(err):
			left, last = append(left, peer), err
		default:
			return Page{}, err
		}
	}
	switch {
	case len(made) == 0:
		return exportNewPage(c, page.ExportNewView{Form: form}, last)
	case len(left) > 0:
		c.say(fmt.Sprintf("%s submitted. Nothing was submitted for %s: %s", units.Plural(int64(len(made)), "run is", "runs are"), strings.Join(left, ", "), wire.FromError(last).Message))
		return c.to("/exports")
	case len(made) == 1:
		return c.to(page.RunHref(made[0].ID))
	}
	c.say(units.Plural(int64(len(made)), "run is", "runs are") + " submitted.")
	return c.to("/exports")
}

func confirmForm(_ *Console, c *Ctx) (Page, error) {
	return confirmPage(c, page.ConfirmView{Peer: c.query("peer")}, nil)
}

func confirmPage(c *Ctx, v page.ConfirmView, problem error) (Page, error) {
	list, err := ask[wire.Peers](c, "peers/list", nil)
	if err != nil {
		return Page{}, err
	}
	for _, p := range list.Peers {
		v.Peers = append(v.Peers, p.Name)
	}
	v.Problems = problems(problem)
	return Page{Title: "Confirm by voice", Body: page.Confirm(v), Status: statusOf(problem)}, nil
}

func confirmDo(_ *Console, c *Ctx) (Page, error) {
	q := wire.ConfirmRequest{Peer: c.form("peer"), Words: strings.Join(strings.Fields(c.form("words")), " ")}
	back := page.ConfirmView{Peer: q.Peer, Words: q.Words}
	if n := len(strings.Fields(q.Words)); n != 6 {
		return confirmPage(c, back, code.New(code.BadUsage, "a spoken receipt has six words").Want(6, n).Do("Hear all six again: the site's receipt shows them."))
	}
	got, err := ask[wire.Confirmation](c, "peers/confirm", q)
	if formError(err) {
		return confirmPage(c, back, err)
	}
	if err != nil {
		return Page{}, err
	}
	how := "It is confirmed by voice now."
	if got.Proven {
		how = "It was proven before; the words say the same."
	}
	c.say(fmt.Sprintf("%s: %s at %s. %s", got.Run.Name, got.Decision, q.Peer, how))
	return c.to(page.RunHref(got.Run.ID))
}
