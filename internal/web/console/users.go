package console

import (
	"strconv"
	"strings"

	"sallyport/internal/access"
	"sallyport/internal/code"
	"sallyport/internal/units"
	"sallyport/internal/wire"
	"sallyport/ui/kit"
	"sallyport/ui/page"
)

func usersPage(_ *Console, c *Ctx) (Page, error) {
	u, err := ask[wire.Users](c, "users/list", nil)
	if err != nil {
		return Page{}, err
	}
	list, pager := part(c, "/users", u.Users)
	return Page{Title: "Users", Body: page.Users(page.UsersView{Users: u, Page: list, Pager: pager, Now: c.now(), Manage: c.may("users/create")})}, nil
}

func usersCSV(_ *Console, c *Ctx) (Page, error) {
	u, err := ask[wire.Users](c, "users/list", nil)
	if err != nil {
		return Page{}, err
	}
	return c.csv("users", u)
}

func userNewForm(_ *Console, _ *Ctx) (Page, error) {
	return Page{Title: "New account", Nav: "/users", Body: page.UserNew(page.UserNewView{Roles: []string{string(access.Operator)}})}, nil
}

// rolesOf joins the ticked roles as requests have them.
func rolesOf(c *Ctx) ([]string, string) {
	_ = c.R.PostFormValue("role") // reads the form
	list := c.R.PostForm["role"]
	return list, strings.Join(list, "+")
}

func userNewDo(_ *Console, c *Ctx) (Page, error) {
	list, roles := rolesOf(c)
	v := page.UserNewView{Name: c.form("name"), Roles: list, Ends: c.form("ends"), Errors: map[string]string{}}
	q := wire.UserRequest{Name: v.Name, Roles: roles}
	if v.Ends != "" {
		q.EndsAt = &v.Ends
	}
	if v.Name == "" {
		v.Errors["name"] = "Give the account a name."
	}
	if roles == "" {
		v.Errors["role"] = "Choose at least one role."
	}
	if len(v.Errors) > 0 {
		return Page{Title: "New account", Nav: "/users", Status: 422, Body: page.UserNew(v)}, nil
	}
	made, err := ask[wire.UserMade](c, "users/create", q)
	if formError(err) {
		v.Problems = problems(err)
		return Page{Title: "New account", Nav: "/users", Status: 422, Body: page.UserNew(v)}, nil
	}
	if err != nil {
		return Page{}, err
	}
	return codePage("The account "+made.Name+" is made", made), nil
}

// codePage shows the code for a person, once. It answers the POST itself: an address would show it again.
func codePage(title string, made wire.UserMade) Page {
	return Page{Title: title, Nav: "/users", Body: page.Once(page.OnceView{
		Title: title, Lead: "Hand this code to the person, and to nobody else.", Label: "Code for " + made.Name, Secret: made.Code,
		Facts: page.CodeFacts(made), Back: kit.Link{Label: "Users", Href: "/users"},
		Steps: []string{"The person opens this console and chooses “I have a code” on the sign-in page.", "They type the code, choose a password, and join their authenticator app.", "The code works once, until it ends. A new one can be made here."},
	})}
}

func userPage(_ *Console, c *Ctx) (Page, error) { return userView(c, nil) }

func userView(c *Ctx, problem error) (Page, error) {
	u, err := ask[wire.User](c, "users/show", wire.UserRequest{Name: c.path("name")})
	if err != nil {
		return Page{}, err
	}
	s, err := ask[wire.WebSessions](c, "sessions/list", wire.SessionRequest{Account: u.Name})
	if err != nil {
		return Page{}, err
	}
	return Page{Title: u.Name, Status: statusOf(problem), Body: page.User(page.UserView{
		User: u, Sessions: s.Sessions, Now: c.now(), Self: c.Who.Account == u.Name, Manage: c.may("users/change"), Problems: problems(problem),
	})}, nil
}

func userChangeDo(_ *Console, c *Ctx) (Page, error) {
	_, roles := rolesOf(c)
	ends := c.form("ends")
	if roles == "" {
		return userView(c, code.New(code.BadUsage, "an account needs a role").Do("Choose at least one, or disable the account."))
	}
	return changed(c, wire.UserRequest{Name: c.path("name"), Roles: roles, EndsAt: &ends}, "Changed.")
}

// changed changes an account and says so.
func changed(c *Ctx, q wire.UserRequest, said string) (Page, error) {
	made, err := ask[wire.UserMade](c, "users/change", q)
	if formError(err) {
		return userView(c, err)
	}
	if err != nil {
		return Page{}, err
	}
	if made.Code != "" {
		return codePage("A new way in for "+made.Name, made), nil
	}
	c.say(said)
	return c.to(page.UserHref(made.Name))
}

func userLinkDo(_ *Console, c *Ctx) (Page, error) {
	q := wire.UserRequest{Name: c.path("name"), User: c.form("user"), Remove: c.form("remove") != ""}
	if _, err := ask[wire.User](c, "users/link", q); formError(err) {
		return userView(c, err)
	} else if err != nil {
		return Page{}, err
	}
	c.say(map[bool]string{true: "They are two people again.", false: "They are one person from now on."}[q.Remove])
	return c.to(page.UserHref(q.Name))
}

// userVerb is a change of an account that is asked about first.
type userVerb struct{ title, text, confirm string }

func userVerbs() map[string]userVerb {
	return map[string]userVerb{
		"disable": {"Disable %s?", "It cannot sign in any more, and its sessions and tokens end now. What it did stays in the timeline.", "Disable"},
		"enable":  {"Enable %s again?", "It can sign in again, with the password and app it had.", "Enable"},
		"reset":   {"A new password and app for %s?", "Its sessions end now. You get a code to hand over, with which the person chooses both anew.", "Make the code"},
	}
}

func userAsk(con *Console, c *Ctx) (Page, error) { return userAskPage(con, c, "", nil) }

func userAskPage(con *Console, c *Ctx, reason string, problem error) (Page, error) {
	verb, ok := userVerbs()[c.path("verb")]
	if !ok {
		return missing(con, c)
	}
	u, err := ask[wire.User](c, "users/show", wire.UserRequest{Name: c.path("name")})
	if err != nil {
		return Page{}, err
	}
	href := page.UserHref(u.Name)
	v := page.AskView{Dialog: kit.DialogView{
		Title: strings.Replace(verb.title, "%s", u.Name, 1), Text: verb.text, Action: href + "/" + c.path("verb"), Confirm: verb.confirm, Cancel: href,
		Danger: c.path("verb") == "disable", Problems: problems(problem),
	}, Facts: page.UserFacts(u, c.now())}
	if c.path("verb") == "disable" {
		v.Fields = append(v.Fields, page.ReasonField(reason, ""))
	}
	return Page{Title: v.Dialog.Title, Body: page.Ask(v), Status: statusOf(problem)}, nil
}

func userDo(con *Console, c *Ctx) (Page, error) {
	q := wire.UserRequest{Name: c.path("name")}
	switch c.path("verb") {
	case "enable":
		q.Enable = true
		return changed(c, q, q.Name+" can sign in again.")
	case "reset":
		q.Reset = true
		return changed(c, q, "")
	case "disable":
		q.Reason = c.form("reason")
		if q.Reason == "" {
			return userAskPage(con, c, "", code.New(code.BadUsage, "why is missing").Do("Say why, in your words: it stands in the timeline."))
		}
		if _, err := ask[wire.User](c, "users/disable", q); formError(err) {
			return userAskPage(con, c, q.Reason, err)
		} else if err != nil {
			return Page{}, err
		}
		c.say(q.Name + " cannot sign in any more.")
		return c.to(page.UserHref(q.Name))
	}
	return missing(con, c)
}

func sessionsPage(_ *Console, c *Ctx) (Page, error) {
	s, err := ask[wire.WebSessions](c, "sessions/list", wire.SessionRequest{})
	if err != nil {
		return Page{}, err
	}
	list, pager := part(c, "/sessions", s.Sessions)
	return Page{Title: "Sessions", Nav: "/users", Body: page.Sessions(page.SessionsView{Sessions: list, All: len(s.Sessions), Pager: pager, Now: c.now(), Admin: c.may("users/list")})}, nil
}

func sessionsRevoke(_ *Console, c *Ctx) (Page, error) {
	n, err := ask[wire.SessionsEnded](c, "sessions/revoke", wire.SessionRequest{ID: c.form("id"), Account: c.form("account")})
	if err != nil {
		return Page{}, err
	}
	c.say(units.Plural(int64(n.Ended), "session has", "sessions have") + " ended.")
	return c.to("/sessions")
}

func tokensPage(_ *Console, c *Ctx) (Page, error) {
	t, err := ask[wire.APITokens](c, "tokens/list", nil)
	if err != nil {
		return Page{}, err
	}
	list, pager := part(c, "/tokens", t.Tokens)
	return Page{Title: "Tokens", Nav: "/users", Body: page.Tokens(page.TokensView{Tokens: list, All: len(t.Tokens), Pager: pager, Now: c.now(), Manage: c.may("tokens/create")})}, nil
}

func tokensCSV(_ *Console, c *Ctx) (Page, error) {
	t, err := ask[wire.APITokens](c, "tokens/list", nil)
	if err != nil {
		return Page{}, err
	}
	return c.csv("tokens", t)
}

func tokenNewForm(_ *Console, c *Ctx) (Page, error) {
	return tokenNewPage(c, page.TokenNewView{Days: "90"}, nil)
}

func tokenNewPage(c *Ctx, v page.TokenNewView, problem error) (Page, error) {
	t, err := ask[wire.APITokens](c, "tokens/list", nil)
	if err != nil {
		return Page{}, err
	}
	v.Scopes, v.Problems = t.Scopes, problems(problem)
	p := Page{Title: "New token", Nav: "/users", Body: page.TokenNew(v), Status: statusOf(problem)}
	if len(v.Errors) > 0 {
		p.Status = 422
	}
	return p, nil
}

func tokenNewDo(_ *Console, c *Ctx) (Page, error) {
	_ = c.R.PostFormValue("scope") // reads the form
	v := page.TokenNewView{Name: c.form("name"), Chosen: c.R.PostForm["scope"], Days: c.form("days"), Errors: map[string]string{}}
	days, err := strconv.Atoi(v.Days)
	if err != nil || days < 1 {
		v.Errors["days"] = "Give a number of days, from 1 on."
	}
	if v.Name == "" {
		v.Errors["name"] = "Give the token a name."
	}
	if len(v.Chosen) == 0 {
		v.Errors["scope"] = "Choose at least one."
	}
	if len(v.Errors) > 0 {
		return tokenNewPage(c, v, nil)
	}
	made, err := ask[wire.TokenMade](c, "tokens/create", wire.TokenRequest{Name: v.Name, Scopes: v.Chosen, Days: days})
	if formError(err) {
		return tokenNewPage(c, v, err)
	}
	if err != nil {
		return Page{}, err
	}
	return Page{Title: "The token is made", Nav: "/users", Body: page.Once(page.OnceView{
		Title: "The token " + made.Name + " is made", Lead: "Put it where the program keeps its secrets. It is not kept here and cannot be shown again.",
		Label: "Secret of " + made.Name, Secret: made.Secret, Facts: page.TokenFacts(made.APIToken, c.now()), Back: kit.Link{Label: "Tokens", Href: "/tokens"},
		Steps: []string{"A program sends it with each request: Authorization: Bearer, then the secret."},
	})}, nil
}

func tokenOne(c *Ctx) (wire.APIToken, error) {
	t, err := ask[wire.APITokens](c, "tokens/list", nil)
	for _, k := range t.Tokens {
		if k.ID == c.path("id") {
			return k, nil
		}
	}
	if err == nil {
		err = code.New(code.Missing, "no token %.40q", c.path("id"))
	}
	return wire.APIToken{}, err
}

func tokenRevokeForm(_ *Console, c *Ctx) (Page, error) {
	k, err := tokenOne(c)
	if err != nil {
		return Page{}, err
	}
	return Page{Title: "Revoke " + k.Name, Nav: "/users", Body: page.Ask(page.AskView{
		Dialog: kit.DialogView{
			Title: "Revoke the token " + k.Name + "?", Text: "Whatever uses it is refused from now on. This cannot be taken back; a new token can be made.",
			Action: c.R.URL.Path, Confirm: "Revoke", Cancel: "/tokens", Danger: true,
		}, Facts: page.TokenFacts(k, c.now()),
	})}, nil
}

func tokenRevokeDo(_ *Console, c *Ctx) (Page, error) {
	if _, err := ask[wire.APIToken](c, "tokens/revoke", wire.TokenRequest{ID: c.path("id")}); err != nil {
		return Page{}, err
	}
	c.say("The token is revoked.")
	return c.to("/tokens")
}
