package console

import (
	"net/url"
	"strings"

	"sallyport/internal/code"
	"sallyport/internal/wire"
	"sallyport/ui/kit"
	"sallyport/ui/page"
)

// peerAddForm shows whose card a medium carries, with its nine words and ours.
func peerAddForm(con *Console, c *Ctx) (Page, error) {
	q := wire.PeerRequest{Path: c.query("path"), Name: c.query("name")}
	return con.peerAddPage(c, q, page.PeerAddView{Job: c.query("job")}, 0)
}

func (con *Console) peerAddPage(c *Ctx, q wire.PeerRequest, v page.PeerAddView, status int) (Page, error) {
	v.Path, v.Tenants = q.Path, con.Site.Tenants
	var err error
	if v.Own, err = ask[wire.Card](c, "card/show", nil); err != nil {
		return Page{}, err
	}
	if q.Path != "" {
		found, err := ask[wire.Question](c, "peers/inspect", wire.PeerRequest{Path: q.Path, Name: q.Name})
		switch {
		case err == nil:
			v.Question = &found
		case !formError(err):
			return Page{}, err
		default:
			if v.Names, err = con.severalCards(c, q, err); err != nil {
				v.Problems, status = append(v.Problems, kit.ErrorNotice(err)), code.Lookup(code.Of(err)).Status()
			}
		}
	}
	if v.Question == nil {
		if v.MediaSeen, err = con.sticks(c); err != nil {
			return Page{}, err
		}
	}
	return Page{Title: "Add a peer", Nav: "/peers", Status: status, Body: page.PeerAdd(v)}, nil
}

// severalCards are the names of strangers on a medium where an inspection wants one of them; else the error stays.
func (con *Console) severalCards(c *Ctx, q wire.PeerRequest, why error) ([]string, error) {
	if q.Name != "" || code.Of(why) != code.BadUsage {
		return nil, why
	}
	m, err := ask[wire.Medium](c, "media/show", wire.MediumRequest{Path: q.Path})
	if err != nil || len(m.Strangers) < 2 {
		return nil, why
	}
	return m.Strangers, nil
}

// peerAddDo makes first trust: by what the person typed from paper, or by their word that all nine matched on the phone, for
// exactly the card they were shown.
func peerAddDo(con *Console, c *Ctx) (Page, error) {
	q := wire.PeerRequest{Path: c.form("path"), Name: c.form("name"), Tenant: c.form("tenant"), TheirTenant: c.form("theirs")}
	typed := c.form("typed")
	switch {
	case c.form("answered") != "" && c.form("match") == "yes":
		q.Answered = c.form("answered")
	case len(strings.Fields(typed)) > 4 && !hexish(typed):
		q.Words = typed
	default:
		q.Fingerprint = typed
	}
	p, err := ask[wire.Peer](c, "peers/add", q)
	if err != nil {
		if !formError(err) {
			return Page{}, err
		}
		v := page.PeerAddView{Job: c.form("job"), Typed: typed, Problems: []kit.NoticeView{kit.ErrorNotice(err)}}
		return con.peerAddPage(c, q, v, 422)
	}
	con.strip.forget()
	con.media.forget()
	c.say(p.Name + " is a peer now. What it signed can come in.")
	if !c.may("import/run") {
		return c.to("/peers/" + url.PathEscape(p.Name))
	}
	v := page.VisitView{Path: q.Path}
	if job := c.form("job"); job != "" {
		if before, err := con.visitOf(c, job); err == nil {
			v = before
		}
	}
	return con.lookAgain(c, v)
}

// hexish tells a fingerprint with blanks in it from words.
func hexish(s string) bool {
	return strings.Trim(strings.ToLower(s), "0123456789abcdef :") == ""
}
