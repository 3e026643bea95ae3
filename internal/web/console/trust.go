package console

import (
	"fmt"
	"strings"

	"sallyport/internal/access"
	"sallyport/internal/code"
	"sallyport/internal/wire"
	"sallyport/ui/kit"
	"sallyport/ui/page"
)

func trustPage(_ *Console, c *Ctx) (Page, error) {
	t, err := ask[wire.TrustViews](c, "trust/show", wire.TrustRequest{})
	if err != nil {
		return Page{}, err
	}
	return Page{Title: "Trust", Body: page.Trust(page.TrustView{Appliances: t.Appliances, Now: c.now(), Propose: c.may("trust/plan")})}, nil
}

func trustCSV(_ *Console, c *Ctx) (Page, error) {
	t, err := ask[wire.TrustViews](c, "trust/show", wire.TrustRequest{})
	if err != nil {
		return Page{}, err
	}
	return c.csv("trust", t)
}

func trustOnePage(_ *Console, c *Ctx) (Page, error) {
	t, err := ask[wire.TrustViews](c, "trust/show", wire.TrustRequest{Peer: c.path("name")})
	if err != nil {
		return Page{}, err
	}
	v := page.TrustOneView{Root: t.Appliances[0], Now: c.now(), Propose: c.may("keys/rotate")}
	return Page{Title: "Trust root of " + v.Root.Name, Body: page.TrustOne(v)}, nil
}

func trustPlanPage(con *Console, c *Ctx) (Page, error) {
	path := c.query("folder")
	if path == "" {
		path = c.query("path")
	}
	return trustPlanned(con, c, page.TrustPlanView{Path: path}, nil)
}

// trustPlanned looks at a medium, and shows what it would change.
func trustPlanned(con *Console, c *Ctx, v page.TrustPlanView, problem error) (Page, error) {
	m, err := con.sticks(c)
	if err != nil {
		return Page{}, err
	}
	v.Media, v.Now, v.Problems = m.Media, c.now(), problems(problem)
	v.Apply = c.may("trust/apply") || c.Who.Roles.Has(access.Approver)
	p := Page{Title: "Changes of trust on a stick", Status: statusOf(problem)}
	if v.Path != "" {
		res, err := ask[wire.TrustResult](c, "trust/plan", wire.TrustRequest{Path: v.Path})
		switch {
		case formError(err):
			v.Problems, p.Status = append(v.Problems, kit.ErrorNotice(err)), 422
		case err != nil:
			return Page{}, err
		default:
			v.Result = &res
		}
	}
	p.Body = page.TrustPlan(v)
	return p, nil
}

// trustApply proposes a change of trust, or says yes to it: a job, because the medium is read again.
func trustApply(con *Console, c *Ctx) (Page, error) {
	q := wire.TrustRequest{Path: c.form("path"), Peer: c.form("peer"), Approve: c.form("approve"), Reason: c.form("reason")}
	if q.Reason == "" {
		return trustPlanned(con, c, page.TrustPlanView{Path: q.Path}, code.New(code.BadUsage, "why is missing").Do("Say why, in your words: it stands in the timeline."))
	}
	id, err := c.jobs("trust/apply", q)
	if formError(err) {
		return trustPlanned(con, c, page.TrustPlanView{Path: q.Path}, err)
	}
	if err != nil {
		return Page{}, err
	}
	con.strip.forget()
	return c.to("/jobs/" + id)
}

// keyChange is one proposal about our own keys, as a page and a form.
type keyChange struct {
	verb, title, text, confirm string
}

func keyChanges() map[string]keyChange {
	return map[string]keyChange{
		"rotate": {
			"rotate", "Rotate a key?", "A new key takes over, signed for by the old one. The others learn it from the next stick; until then both count. Nothing is rewritten.", "Propose it",
		},
		"revoke": {
			"revoke", "Revoke a key?", "What it signs from now on is refused everywhere this reaches. What came in before stays, and is shown as signer revoked. It cannot be taken back quietly.", "Propose it",
		},
		"renew": {
			"renew", "Renew the trust root?", "The same keys, a later end. The others learn it from the next stick.", "Propose it",
		},
	}
}

func keyForm(con *Console, c *Ctx) (Page, error) {
	k, ok := keyChanges()[c.path("verb")]
	if !ok {
		return missing(con, c)
	}
	return keyPage(c, k, wire.KeyRequest{KeyID: c.query("key"), Kind: c.query("kind")}, nil)
}

func keyPage(c *Ctx, k keyChange, q wire.KeyRequest, problem error) (Page, error) {
	list, err := ask[wire.KeyRows](c, "keys/list", nil)
	if err != nil {
		return Page{}, err
	}
	v := page.AskView{Dialog: kit.DialogView{
		Title: k.title, Text: k.text, Action: "/trust/keys/" + k.verb, Confirm: k.confirm, Cancel: "/trust", Danger: k.verb == "revoke",
		Hidden: map[string]string{}, Problems: problems(problem),
	}}
	switch k.verb {
	case "rotate":
		v.Fields = append(v.Fields, page.KeyKinds(q.Kind))
	case "revoke":
		v.Fields = append(v.Fields, page.KeyChoice(list.Keys, q.KeyID))
	}
	v.Fields = append(v.Fields, page.ReasonField(q.Reason, ""))
	return Page{Title: k.title, Body: page.Ask(v), Status: statusOf(problem)}, nil
}

func keyDo(con *Console, c *Ctx) (Page, error) {
	k, ok := keyChanges()[c.path("verb")]
	if !ok {
		return missing(con, c)
	}
	q := wire.KeyRequest{Kind: c.form("kind"), KeyID: c.form("key"), Reason: c.form("reason")}
	if q.Reason == "" {
		return keyPage(c, k, q, code.New(code.BadUsage, "why is missing").Do("Say why, in your words: it stands in the timeline."))
	}
	p, err := ask[wire.KeyPlan](c, "keys/"+k.verb, q)
	if formError(err) {
		return keyPage(c, k, q, err)
	}
	if err != nil {
		return Page{}, err
	}
	con.strip.forget()
	c.say(strings.TrimSpace(fmt.Sprintf("Proposed. %s", p.Sentence)))
	return c.to("/approvals/" + p.Digest)
}
