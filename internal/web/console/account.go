package console

import (
	"sallyport/internal/access"
	"sallyport/internal/code"
	"sallyport/internal/web"
	"sallyport/ui/kit"
	"sallyport/ui/page"
)

// accountShow is what a person has here: roles, phone, recovery codes, password.
func accountShow(con *Console, c *Ctx) (Page, error) { return con.accountPage(c, 0) }

func (con *Console) accountPage(c *Ctx, status int, problems ...kit.NoticeView) (Page, error) {
	u, err := con.Access.Me(c.R.Context(), web.SessionToken(c.R))
	if err != nil {
		return Page{}, err
	}
	v := page.MyAccountView{
		Now: c.now(), Name: u.Name, Roles: access.Of(u.Roles...).String(), Phone: u.App, CodesLeft: u.CodesLeft, EndsAt: u.EndsAt, Problems: problems,
	}
	return Page{Title: "My account", Narrow: true, Status: status, Body: page.MyAccount(v)}, nil
}

// accountPassword takes a new password for the old one; all other sessions of the account end.
func accountPassword(con *Console, c *Ctx) (Page, error) {
	if c.secret("password") != c.secret("again") {
		return con.accountPage(c, 422, kit.NoticeView{Tone: kit.Bad, Title: "The two new passwords are not the same.", Text: "Nothing was changed."})
	}
	err := con.Access.ChangePassword(c.R.Context(), web.SessionToken(c.R), c.secret("old"), c.secret("password"), web.Remote(c.R))
	if err != nil {
		if code.Of(err) == code.SessionOver || !formError(err) {
			return Page{}, err
		}
		return con.accountPage(c, 422, kit.ErrorNotice(err))
	}
	c.say("Your password was changed. Your other sessions have ended.")
	return c.to("/account")
}

// accountPhone shows the secret of a new phone, to somebody who has just proven who they are.
func accountPhone(con *Console, c *Ctx) (Page, error) { return con.phonePage(c, 0) }

func (con *Console) phonePage(c *Ctx, status int, problems ...kit.NoticeView) (Page, error) {
	e, err := con.Access.BeginTOTP(c.R.Context(), web.SessionToken(c.R))
	if err != nil {
		return Page{}, err
	}
	t := con.Access.Reads()
	v := page.PhoneView{Name: e.Name, Secret: spaced(e.Secret), URI: e.URI, Clock: t.Wall.UTC(), Doubt: t.Doubt, Problems: problems}
	return Page{Title: "Enrol a phone", Narrow: true, Status: status, Body: page.Phone(v)}, nil
}

// accountEnrol takes the phone into use and shows new recovery codes once.
func accountEnrol(con *Console, c *Ctx) (Page, error) {
	codes, err := con.Access.ConfirmTOTP(c.R.Context(), web.SessionToken(c.R), c.form("totp"), web.Remote(c.R))
	if code.Of(err) == code.TOTPBad {
		return con.phonePage(c, 422, kit.ErrorNotice(err))
	}
	if err != nil {
		return Page{}, err
	}
	return con.codesPage(c, codes), nil
}

// accountCodes makes new recovery codes; those before are void.
func accountCodes(con *Console, c *Ctx) (Page, error) {
	codes, err := con.Access.NewRecoveryCodes(c.R.Context(), web.SessionToken(c.R), web.Remote(c.R))
	if err != nil {
		if !formError(err) {
			return Page{}, err
		}
		return con.accountPage(c, 422, kit.ErrorNotice(err))
	}
	return con.codesPage(c, codes), nil
}

func (con *Console) codesPage(c *Ctx, codes []string) Page {
	v := page.RecoveryView{Site: con.Site.Name, Name: c.Who.Account, Codes: codes, Next: "/account", MadeAt: con.Access.Reads().Trusted.UTC()}
	return Page{Title: "Recovery codes", Narrow: true, Body: page.RecoveryCodes(v)}
}
