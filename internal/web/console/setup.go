package console

import (
	"strings"

	"sallyport/internal/access"
	"sallyport/internal/code"
	"sallyport/internal/units"
	"sallyport/internal/web"
	"sallyport/internal/wire"
	"sallyport/ui/kit"
	"sallyport/ui/page"
)

// setUpForm asks for a one-time code: of a new appliance, of somebody who was invited, or of somebody who was locked out.
func setUpForm(con *Console, c *Ctx) (Page, error) {
	return con.setUpPage(c, page.CodeView{}, 0)
}

func (con *Console) setUpPage(c *Ctx, v page.CodeView, status int) (Page, error) {
	empty, err := con.Access.Empty(c.R.Context())
	if err != nil {
		return Page{}, err
	}
	v.Site, v.First = con.Site.Name, empty
	if con.Front != nil && web.Secure(c.R) {
		if f := con.Front(); f != nil {
			v.Certificate, v.OwnCA = f.Fingerprint, f.Authority != ""
		}
	}
	return Page{Title: "Set up", Narrow: true, Status: status, Body: page.SetUpCode(v)}, nil
}

// setUpCode takes the code and shows the form of the account it opens.
func setUpCode(con *Console, c *Ctx) (Page, error) { return con.enrol(c, c.form("code"), "") }

// enrol shows the form of the account that a code opens, with the secret for the phone. The code stands in the form and never
// in an address.
func (con *Console) enrol(c *Ctx, text, name string, problems ...kit.NoticeView) (Page, error) {
	e, err := con.Access.Enrol(c.R.Context(), text, name, web.Remote(c.R))
	if err != nil {
		if !formError(err) {
			return Page{}, err
		}
		return con.setUpPage(c, page.CodeView{Problems: []kit.NoticeView{kit.ErrorNotice(err)}}, code.Lookup(code.Of(err)).Status())
	}
	t := con.Access.Reads()
	v := page.AccountView{
		Site: con.Site.Name, Kind: e.Kind, Code: text, Name: e.Name, Roles: e.Roles.String(), Secret: spaced(e.Secret), URI: e.URI,
		Left: units.Age(e.Life), Clock: t.Wall.UTC(), Doubt: t.Doubt, Problems: problems,
	}
	if v.Name == "" {
		v.Name = name
	}
	status := 0
	if len(problems) > 0 {
		status = 422
	}
	return Page{Title: "Your account", Narrow: true, Status: status, Body: page.Account(v)}, nil
}

// spaced writes a secret in groups of four, to be typed into a phone.
func spaced(s string) string {
	var b strings.Builder
	for i, r := range s {
		if i > 0 && i%4 == 0 {
			b.WriteByte(' ')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// setUpAccount makes the account, signs it in, and shows the recovery codes once.
func setUpAccount(con *Console, c *Ctx) (Page, error) {
	text, name := c.form("code"), c.form("name")
	if c.secret("password") != c.secret("again") {
		return con.enrol(c, text, name, kit.NoticeView{Tone: kit.Bad, Title: "The two passwords are not the same.", Text: "Nothing was made. Type it again."})
	}
	got, err := con.Access.SetUp(c.R.Context(), access.SetUp{
		Code: text, Name: name, Password: c.secret("password"), TOTP: c.form("totp"), NoTOTP: c.form("nototp") == "yes",
		Remote: web.Remote(c.R), Agent: c.R.UserAgent(),
	})
	if err != nil {
		if !formError(err) {
			return Page{}, err
		}
		return con.enrol(c, text, name, kit.ErrorNotice(err))
	}
	web.SetSession(c.W, c.R, got.Token)
	next := "/"
	if got.Who.Roles.Has(access.Admin) {
		next = "/set-up/rhythm"
	}
	if len(got.Recovery) == 0 {
		return c.to(next)
	}
	v := page.RecoveryView{Site: con.Site.Name, Name: got.Who.Account, Codes: got.Recovery, Next: next, MadeAt: con.Access.Reads().Trusted.UTC()}
	return Page{Title: "Recovery codes", Narrow: true, Body: page.RecoveryCodes(v)}, nil
}

// rhythmForm asks how often a stick arrives; budgets follow from it.
func rhythmForm(con *Console, c *Ctx) (Page, error) { return con.rhythmPage(c, 0) }

func (con *Console) rhythmPage(c *Ctx, status int, problems ...kit.NoticeView) (Page, error) {
	every, fixed := con.Rhythm()
	card, err := ask[wire.Card](c, "card/show", nil)
	if err != nil {
		return Page{}, err
	}
	v := page.RhythmView{
		Site: con.Site.Name, Tenant: strings.Join(con.Site.Tenants, ", "), Fingerprint: card.Fingerprint, Words: card.Words,
		Every: every, Fixed: fixed, Problems: problems,
	}
	return Page{Title: "This appliance", Narrow: true, Status: status, Body: page.Rhythm(v)}, nil
}

func rhythmDo(con *Console, c *Ctx) (Page, error) {
	every := c.form("every")
	if every == "other" {
		every = c.form("days") + "d"
	}
	if _, fixed := con.Rhythm(); !fixed {
		if _, err := ask[wire.Rhythm](c, "delivery/set", wire.DeliveryRequest{Every: every}); err != nil {
			if !formError(err) {
				return Page{}, err
			}
			return con.rhythmPage(c, 422, kit.ErrorNotice(err))
		}
		con.strip.forget()
	}
	return c.to("/set-up/card")
}

// cardForm explains the recovery card before it is made: what stands on it is shown once.
func cardForm(con *Console, c *Ctx) (Page, error) {
	made, _, err := con.Access.CardAt(c.R.Context())
	if err != nil {
		return Page{}, err
	}
	v := page.CardView{Site: con.Site.Name, There: made != "", MadeAt: parse(made), Now: c.now()}
	return Page{Title: "Recovery card", Narrow: true, Body: page.CardAsk(v)}, nil
}

// cardDo makes the card and prints it. The identity on it is kept nowhere here.
func cardDo(_ *Console, c *Ctx) (Page, error) {
	card, err := ask[wire.RecoveryCard](c, "users/card", nil)
	if err != nil {
		return Page{}, err
	}
	return Page{Title: "Recovery card", Sheet: true, Body: page.CardSheet(card)}, nil
}
