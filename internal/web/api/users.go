package api

import (
	"context"
	"fmt"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/clock"
	"sallyport/internal/code"
	"sallyport/internal/state"
	"sallyport/internal/units"
	"sallyport/internal/web"
	"sallyport/internal/wire"
)

// accessRows are people, sessions and tokens. Nobody sees another's secret here: an account that is made or reset gets a code with
// which its person chooses password and authenticator app themselves.
func (a *API) accessRows() []web.Action {
	return []web.Action{
		web.Row("setup/code", "Makes a one-time code for the first admin.", admins(), "", a.setupCode).Changes(),
		web.Row("users/list", "Lists the accounts of the console and who they are on this machine.", auditors(), "", a.usersList),
		web.Row("users/show", "Shows one account.", auditors(), "", a.usersShow),
		web.Row("users/create", "Makes an account and the code with which its person chooses a password.", admins(), "", a.usersCreate).Changes().Proves(),
		web.Row("users/change", "Changes roles or end of an account, enables it, or resets how it signs in.", admins(), "", a.usersChange).Changes().Proves(),
		web.Row("users/disable", "Ends an account and its sessions, and says why.", admins(), "", a.usersDisable).Changes().Proves(),
		web.Row("users/link", "Says that a user of this machine and an account are one person, or no longer.", admins(), "", a.usersLink).Changes().Proves(),
		web.Row("users/recover", "Opens a way in for one new admin when nobody can sign in; it cannot be done silently.", anybody(), "", a.usersRecover).Changes(),
		web.Row("users/card", "Makes a new recovery card to print; the one before is void.", admins(), "", a.usersCard).Changes().Proves(),
		web.Row("tokens/list", "Lists the API tokens and the scopes there are.", auditors(), "", a.tokensList),
		web.Row("tokens/create", "Makes an API token; its secret is shown once.", admins(), "", a.tokensCreate).Changes().Proves(),
		web.Row("tokens/revoke", "Ends an API token.", admins(), "", a.tokensRevoke).Changes().Proves(),
		web.Row("sessions/list", "Lists who is signed in to the console; without the role admin or auditor one's own sessions.", anybody(), "", a.sessionsList),
		web.Row("sessions/revoke", "Ends sessions of the console; without the role admin one's own.", anybody(), "", a.sessionsRevoke).Changes(),
	}
}

func by(c *web.Call) access.By {
	return access.By{Name: c.Actor.Name(), Host: c.Actor.Admin && c.Actor.Via == web.ViaSocket, Remote: c.Actor.Remote}
}

// setupCode makes a one-time code for the first admin, while there is none.
func (a *API) setupCode(ctx context.Context, c *web.Call, _ wire.None) (wire.SetupCode, error) {
	one, err := a.Access.SetupCode(ctx, by(c))
	return a.oneTime(one), err
}

// oneTime says a code's life as the clock of this machine will read at its end, and in minutes for those whose clock cannot be right.
func (a *API) oneTime(one access.OneTime) wire.SetupCode {
	if one.Code == "" {
		return wire.SetupCode{}
	}
	return wire.SetupCode{Code: one.Code, ExpiresAt: clock.Format(a.Clock.Now().Add(one.Life)), Tries: one.Tries, Minutes: int(one.Life / time.Minute)}
}

func (a *API) usersList(ctx context.Context, _ *web.Call, _ wire.None) (out wire.Users, err error) {
	list, err := a.Access.Users(ctx)
	if err != nil {
		return out, err
	}
	out.Users = []wire.User{}
	for _, u := range list {
		w, err := userOf(u)
		if err != nil {
			return out, err
		}
		out.Users = append(out.Users, w)
	}
	good := false
	if out.CardAt, good, err = a.Access.CardAt(ctx); err != nil {
		return out, err
	}
	out.CardSpent = out.CardAt != "" && !good
	err = a.State.View(func(tx *state.Tx) error {
		r, ok, err := access.Recovered(tx)
		if ok {
			out.Recovered = &wire.Recovered{Count: r.Count, At: r.At, By: r.By, How: r.How}
		}
		return err
	})
	return out, err
}

// userOf is an account as it crosses the wire, with the names that its users have on this machine.
func userOf(u access.User) (wire.User, error) {
	w, err := recode[wire.User](u)
	for _, uid := range u.UIDs {
		name := fmt.Sprintf("uid:%d", uid)
		if known, err := user.LookupId(strconv.FormatUint(uint64(uid), 10)); err == nil && known.Username != "" {
			name = known.Username
		}
		w.Names = append(w.Names, name)
	}
	return w, err
}

func (a *API) usersShow(ctx context.Context, _ *web.Call, q wire.UserRequest) (wire.User, error) {
	u, err := a.Access.User(ctx, q.Name)
	if err != nil {
		return wire.User{}, err
	}
	return userOf(u)
}

func (a *API) usersCreate(ctx context.Context, c *web.Call, q wire.UserRequest) (wire.UserMade, error) {
	roles, err := access.ParseRoles(q.Roles)
	if err != nil {
		return wire.UserMade{}, err
	}
	n := access.NewUser{Name: q.Name, Roles: roles}
	if q.EndsAt != nil {
		n.EndsAt = *q.EndsAt
	}
	u, one, err := a.Access.Create(ctx, by(c), n)
	if err != nil {
		return wire.UserMade{}, err
	}
	return a.made(u, one)
}

func (a *API) made(u access.User, one access.OneTime) (out wire.UserMade, err error) {
	if out.User, err = userOf(u); err == nil && one.Code != "" {
		out.Code, out.ExpiresAt = one.Code, clock.Format(a.Marks.Now().Trusted.Add(one.Life))
	}
	return out, err
}

func (a *API) usersChange(ctx context.Context, c *web.Call, q wire.UserRequest) (wire.UserMade, error) {
	change := access.Change{EndsAt: q.EndsAt, Enable: q.Enable, Reset: q.Reset}
	if q.Roles != "" {
		roles, err := access.ParseRoles(q.Roles)
		if err != nil {
			return wire.UserMade{}, err
		}
		change.Roles = &roles
	}
	u, one, err := a.Access.Change(ctx, by(c), q.Name, change)
	if err != nil {
		return wire.UserMade{}, err
	}
	return a.made(u, one)
}

func (a *API) usersDisable(ctx context.Context, c *web.Call, q wire.UserRequest) (wire.User, error) {
	u, err := a.Access.Disable(ctx, by(c), q.Name, q.Reason)
	if err != nil {
		return wire.User{}, err
	}
	return userOf(u)
}

// usersLink joins a user of the operating system, by name or number, to an account.
func (a *API) usersLink(ctx context.Context, c *web.Call, q wire.UserRequest) (wire.User, error) {
	id, err := strconv.ParseUint(strings.TrimPrefix(q.User, "uid:"), 10, 32)
	if err != nil {
		known, err := user.Lookup(q.User)
		if err != nil {
			return wire.User{}, code.New(code.Missing, "there is no user %.40q on this machine", q.User).Do("Name one as `id USER` knows it, or its number.")
		}
		if id, err = strconv.ParseUint(known.Uid, 10, 32); err != nil {
			return wire.User{}, fmt.Errorf("user %q: %w", q.User, err)
		}
	}
	u, err := a.Access.LinkUser(ctx, by(c), q.Name, uint32(id), q.Remove)
	if err != nil {
		return wire.User{}, err
	}
	return userOf(u)
}

func (a *API) usersRecover(ctx context.Context, c *web.Call, q wire.RecoverRequest) (wire.SetupCode, error) {
	one, err := a.Access.Recover(ctx, by(c), q.Card)
	return a.oneTime(one), err
}

func (a *API) usersCard(ctx context.Context, c *web.Call, _ wire.None) (wire.RecoveryCard, error) {
	card, err := a.Access.MakeCard(ctx, by(c))
	if err != nil {
		return wire.RecoveryCard{}, err
	}
	return recode[wire.RecoveryCard](card)
}

func (a *API) tokensList(ctx context.Context, _ *web.Call, _ wire.None) (wire.APITokens, error) {
	out := wire.APITokens{Tokens: []wire.APIToken{}}
	list, err := a.Access.Tokens(ctx)
	if err != nil {
		return out, err
	}
	for _, t := range list {
		w, err := recode[wire.APIToken](t)
		if err != nil {
			return out, err
		}
		out.Tokens = append(out.Tokens, w)
	}
	for _, s := range Scopes(a.Actions()) {
		out.Scopes = append(out.Scopes, wire.APIScope{Name: s.Name, Actions: s.Actions})
	}
	return out, nil
}

// tokensCreate makes a token for an account: the one that asks, or the one that is named. Over the socket, where nobody has an account,
// it is a token of its own with the roles of who asks.
func (a *API) tokensCreate(ctx context.Context, c *web.Call, q wire.TokenRequest) (wire.TokenMade, error) {
	if err := a.scopes(q.Scopes); err != nil {
		return wire.TokenMade{}, err
	}
	n := access.NewToken{Name: q.Name, Account: q.Account, Scopes: q.Scopes, Days: q.Days}
	if n.Account == "" {
		n.Account = c.Actor.Account
	}
	if n.Account == "" {
		n.Roles = c.Actor.Roles
	}
	v, secret, err := a.Access.CreateToken(ctx, by(c), n)
	if err != nil {
		return wire.TokenMade{}, err
	}
	out := wire.TokenMade{Secret: secret}
	out.APIToken, err = recode[wire.APIToken](v)
	return out, err
}

// scopes refuses what no action asks for.
func (a *API) scopes(asked []string) error {
	var names []string
	for _, s := range Scopes(a.Actions()) {
		names = append(names, s.Name)
	}
	for _, s := range asked {
		prefix, every := strings.CutSuffix(s, "*")
		known := slices.ContainsFunc(names, func(n string) bool {
			return n == s || every && strings.HasSuffix(prefix, ":") && strings.HasPrefix(n, prefix)
		})
		if !known {
			return code.New(code.BadUsage, "there is no scope %.40q", s).Want(strings.Join(names, " "), fmt.Sprintf("%.40q", s)).Do("See what each allows: sallyport tokens list --scopes.")
		}
	}
	return nil
}

func (a *API) tokensRevoke(ctx context.Context, c *web.Call, q wire.TokenRequest) (wire.APIToken, error) {
	v, err := a.Access.RevokeToken(ctx, by(c), q.ID)
	if err != nil {
		return wire.APIToken{}, err
	}
	return recode[wire.APIToken](v)
}

func (a *API) sessionsList(ctx context.Context, c *web.Call, q wire.SessionRequest) (wire.WebSessions, error) {
	out := wire.WebSessions{Sessions: []wire.WebSession{}}
	account := q.Account
	if !c.Actor.Roles.Any(access.Of(access.Admin, access.Auditor)) {
		if account = c.Actor.Account; account == "" {
			return out, nil
		}
	}
	list, err := a.Access.Sessions(ctx, account)
	for _, s := range list {
		out.Sessions = append(out.Sessions, wire.WebSession{
			ID: s.ID, Account: s.Account, At: s.At, Remote: s.Remote, Agent: s.Agent, Idle: int64(s.Idle / time.Second), Left: int64(s.Left / time.Second),
			Yours: s.ID == c.Actor.Session,
		})
	}
	return out, err
}

// sessionsRevoke ends a session, or all of an account: an admin any, others their own. Whose another one is, is not told.
func (a *API) sessionsRevoke(ctx context.Context, c *web.Call, q wire.SessionRequest) (wire.SessionsEnded, error) {
	if !c.Actor.Roles.Has(access.Admin) {
		mine, err := a.Access.Sessions(ctx, c.Actor.Account)
		if err != nil {
			return wire.SessionsEnded{}, err
		}
		own := slices.ContainsFunc(mine, func(s access.SessionView) bool { return q.ID != "" && s.ID == q.ID })
		if c.Actor.Account == "" || q.Account != "" && q.Account != c.Actor.Account || q.ID != "" && !own {
			return wire.SessionsEnded{}, code.New(code.Denied, "only an admin ends the sessions of others")
		}
	}
	n, err := a.Access.Revoke(ctx, by(c), q.ID, q.Account)
	return wire.SessionsEnded{Ended: n}, err
}

// recoveredFor is how long a way in past all accounts stays under "Needs you".
const recoveredFor = 30 * 24 * time.Hour

// accessNeeds are what people should know about accounts: a way in that somebody opened, and a recovery card that is missing.
func (a *API) accessNeeds(ctx context.Context) (list []wire.Reason, err error) {
	now := a.Marks.Now().Trusted
	err = a.State.View(func(tx *state.Tx) error {
		r, ok, err := access.Recovered(tx)
		if err != nil || !ok {
			return err
		}
		at, perr := clock.Parse(r.At)
		if age := now.Sub(at); perr != nil || age < recoveredFor {
			how := "as root on the host"
			if r.How == "card" {
				how = "with the recovery card"
			}
			list = append(list, wire.Reason{
				Level: "note", What: fmt.Sprintf("Somebody opened a way in past all accounts %s ago, %s (%s). It stands in every receipt.", units.Age(age), how, r.By),
				Next:  "If you did not expect it: sallyport users list, and sallyport timeline list --type user.created",
				Topic: wire.AboutAccess, Why: "Whoever did may have made themselves an admin.",
			})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	empty, err := a.Access.Empty(ctx)
	if err != nil || empty {
		return list, err
	}
	made, good, err := a.Access.CardAt(ctx)
	switch {
	case err != nil:
		return nil, err
	case made == "":
		list = append(list, wire.Reason{
			Level: "note", What: "No recovery card was printed.", Next: "sallyport users card",
			Topic: wire.AboutCard, Why: "Without it only root on this machine can open a way in when nobody can sign in.",
		})
	case !good:
		list = append(list, wire.Reason{
			Level: "note", What: "The code of the recovery card was used.", Next: "Print a new card: sallyport users card",
			Topic: wire.AboutCard, Why: "It opens no second way in.",
		})
	}
	return list, nil
}
