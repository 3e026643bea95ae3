package console

import (
	"fmt"

	"sallyport/internal/access"
	"sallyport/internal/code"
	"sallyport/internal/web"
	"sallyport/ui/kit"
	"sallyport/ui/page"
)

// signInForm asks who is there. While nobody can sign in it leads to set-up.
func signInForm(con *Console, c *Ctx) (Page, error) {
	empty, err := con.Access.Empty(c.R.Context())
	if err != nil {
		return Page{}, err
	}
	if empty {
		return c.to("/set-up")
	}
	if c.Who.Session != "" {
		return c.to(here(c.query("next")))
	}
	return con.signInPage(page.SignInView{Next: here(c.query("next"))}, 0), nil
}

// signInPage shows the time of this machine, because codes from a phone depend on it, and says so when it cannot be right.
func (con *Console) signInPage(v page.SignInView, status int) Page {
	t := con.Access.Reads()
	v.Site, v.Clock, v.Doubt = con.Site.Name, t.Wall.UTC(), t.Doubt
	return Page{Title: "Sign in", Narrow: true, Status: status, Body: page.SignIn(v)}
}

// signInDo opens a session. A wrong name, password or code is one and the same answer.
func signInDo(con *Console, c *Ctx) (Page, error) {
	q := access.SignIn{Name: c.form("name"), Password: c.secret("password"), Code: c.form("code"), Remote: web.Remote(c.R), Agent: c.R.UserAgent()}
	got, err := con.Access.SignIn(c.R.Context(), q)
	if err != nil {
		return con.refusedSignIn(c, page.SignInView{Name: q.Name, Next: here(c.form("next"))}, err)
	}
	con.enter(c, got)
	return c.to(here(c.form("next")))
}

// refusedSignIn shows the form again, or the error where it is not about the form.
func (con *Console) refusedSignIn(c *Ctx, v page.SignInView, err error) (Page, error) {
	if wait, ok := access.RetryAfter(err); ok {
		c.W.Header().Set("Retry-After", fmt.Sprint(int(wait.Seconds())+1))
	} else if code.Of(err) != code.SignInBad {
		return Page{}, err
	}
	v.Problems = []kit.NoticeView{kit.ErrorNotice(err)}
	return con.signInPage(v, code.Lookup(code.Of(err)).Status()), nil
}

// enter hands out the cookie of a new session; whatever session the browser had before ends.
func (con *Console) enter(c *Ctx, got access.Entered) {
	if old := web.SessionToken(c.R); old != "" {
		_ = con.Access.SignOut(c.R.Context(), old) // it may be over already
	}
	web.SetSession(c.W, c.R, got.Token)
	if got.UsedRecovery {
		con.say(got.Who.Session, fmt.Sprintf("You signed in with a recovery code. %d of them are left; each works once.", got.CodesLeft))
	}
}

// signInLink takes the one-time link of a demonstration, from this machine alone.
func signInLink(con *Console, c *Ctx) (Page, error) {
	got, err := con.Access.Redeem(c.R.Context(), c.path("code"), web.Remote(c.R), c.R.UserAgent())
	if err != nil {
		return con.refusedSignIn(c, page.SignInView{}, err)
	}
	con.enter(c, got)
	return c.to("/")
}

// lostForm is for somebody whose phone or password is gone and who has the recovery card.
func lostForm(con *Console, c *Ctx) (Page, error) {
	return Page{Title: "Get back in", Narrow: true, Body: page.Lost(page.LostView{Site: con.Site.Name})}, nil
}

// lostDo takes the code of the recovery card and goes on at set-up with a code of its own. It cannot be silent: the timeline,
// every receipt from then on and Overview say so.
func lostDo(con *Console, c *Ctx) (Page, error) {
	one, err := con.Access.Recover(c.R.Context(), access.By{Remote: web.Remote(c.R)}, c.form("card"))
	if err != nil {
		if !formError(err) {
			return Page{}, err
		}
		v := page.LostView{Site: con.Site.Name, Problems: []kit.NoticeView{kit.ErrorNotice(err)}}
		return Page{Title: "Get back in", Narrow: true, Status: code.Lookup(code.Of(err)).Status(), Body: page.Lost(v)}, nil
	}
	return con.enrol(c, one.Code, "")
}

// signOut ends the session here and there.
func signOut(con *Console, c *Ctx) (Page, error) {
	if token := web.SessionToken(c.R); token != "" {
		if err := con.Access.SignOut(c.R.Context(), token); err != nil && code.Of(err) != code.SessionOver {
			return Page{}, err
		}
	}
	web.ClearSession(c.W, c.R)
	return c.to("/sign-in")
}

// stepUpForm asks once more who is there, before keys, trust and restore.
func stepUpForm(con *Console, c *Ctx) (Page, error) {
	return con.stepUpPage(c, here(c.query("next")), 0), nil
}

func (con *Console) stepUpPage(c *Ctx, next string, status int, problems ...kit.NoticeView) Page {
	t := con.Access.Reads()
	v := page.StepUpView{Person: c.Who.Name(), Next: next, Clock: t.Wall.UTC(), Doubt: t.Doubt, Problems: problems}
	return Page{Title: "Is it still you?", Narrow: true, Status: status, Body: page.StepUp(v)}
}

func stepUpDo(con *Console, c *Ctx) (Page, error) {
	next := here(c.form("next"))
	proof := c.secret("password")
	if code := c.form("code"); code != "" {
		proof = code
	}
	err := con.Access.StepUp(c.R.Context(), web.SessionToken(c.R), proof, web.Remote(c.R))
	if code.Of(err) == code.SignInBad || code.Of(err) == code.SignInDelayed {
		return con.stepUpPage(c, next, code.Lookup(code.Of(err)).Status(), kit.ErrorNotice(err)), nil
	}
	if err != nil {
		return Page{}, err
	}
	c.say("Thank you. Go on where you were; what you sent was not done yet.")
	return c.to(next)
}
