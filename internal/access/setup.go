package access

import (
	"context"
	"fmt"
	"time"

	"sallyport/internal/clock"
	"sallyport/internal/code"
	"sallyport/internal/state"
)

// Empty tells whether nobody ever became admin here: then there is a set-up code, and nothing to sign in to.
func (d *Desk) Empty(ctx context.Context) (empty bool, err error) {
	err = d.State.View(func(tx *state.Tx) error {
		found, err := administered(tx)
		empty = !found
		return err
	})
	if err == nil {
		err = ctx.Err()
	}
	return empty, err
}

// administered tells whether some admin ever chose a password, also one that is over: from then on the way in past all accounts
// is recovery, which nobody does silently.
func administered(tx *state.Tx) (found bool, err error) {
	err = accounts.Scan(tx, "", func(_ string, a account) error {
		if a.Roles.Has(Admin) && a.Password != "" {
			found = true
			return state.ErrStop
		}
		return nil
	})
	return found, err
}

// SetupCode makes the code with which the first admin is made; the one before is void. Code set-up-done where there is one.
func (d *Desk) SetupCode(ctx context.Context, by By) (OneTime, error) {
	if !by.Host {
		return OneTime{}, code.New(code.Denied, "a set-up code is for root and the daemon's own user")
	}
	if empty, err := d.Empty(ctx); err != nil || !empty {
		if err == nil {
			err = code.New(code.SetupDone, "")
		}
		return OneTime{}, err
	}
	c, err := d.open(kindSetup, "", setupLife, codeTries, by.Name)
	if err != nil {
		return OneTime{}, err
	}
	err = d.State.Update(ctx, func(tx *state.Tx) error {
		return d.event(tx, "token.created", by.Name, "set-up code", "minutes", fmt.Sprint(int(setupLife/time.Minute)))
	})
	return c, roomy(err)
}

// Enrolment is what the page needs on which somebody chooses password and app.
type Enrolment struct {
	Kind   string // setup, recover, invitation; "" for one's own account
	Name   string // fixed by an invitation, else as it was typed
	Roles  Roles
	Secret string        // for the app, base32
	URI    string        // the same as the QR code says it
	Life   time.Duration // that is left of the code; 0 for one's own account
}

// grant is a one-time code that was typed right.
type grant struct {
	kind    string
	hash    string
	account account // of an invitation
	by      string
	left    time.Duration
}

// Enrol judges a one-time code and gives what the next page shows; the code is not used up by it. Codes set-up-code, sign-in-delayed.
func (d *Desk) Enrol(ctx context.Context, typed, name, remote string) (Enrolment, error) {
	g, err := d.grant(ctx, typed, remote, d.moment())
	if err != nil {
		return Enrolment{}, err
	}
	e := Enrolment{Kind: g.kind, Name: typedName(name), Roles: Of(Admin), Life: g.left}
	if g.kind == kindInvite {
		e.Name, e.Roles = g.account.Name, g.account.Roles
	}
	if e.Secret, err = d.secretFor(g.hash); err != nil {
		return Enrolment{}, err
	}
	e.URI, err = uri(e.Secret, d.Appliance.Name, e.Name)
	return e, err
}

// grant finds what a typed code opens. A wrong one costs a try of set-up and recovery codes, and slows the address down.
func (d *Desk) grant(ctx context.Context, typed, remote string, now moment) (g grant, err error) {
	if err := d.attempt(now, "", remote); err != nil {
		return g, err
	}
	hash := hashCode(typed)
	err = d.State.View(func(tx *state.Tx) error {
		return accounts.Scan(tx, "", func(_ string, a account) error {
			if a.Invite != nil && same(a.Invite.Hash, hash) && a.state(now.Trusted) == Invited && !over(a.Invite.Until, now.Trusted) {
				g = grant{kind: kindInvite, hash: hash, account: a, left: until(a.Invite.Until, now.Trusted)}
				return state.ErrStop
			}
			return nil
		})
	})
	if err != nil {
		return g, err
	}
	if g.kind == "" {
		if kind, h, ok := d.heldBy(typed, []string{kindSetup, kindRecover}, true); ok {
			g = grant{kind: kind, hash: hash, by: h.by, left: h.until - now.mono}
		}
	}
	if g.kind == "" {
		d.denied(ctx, now, denial{What: "code", Remote: remote})
		return g, code.New(code.SetupCodeBad, "")
	}
	d.delays.won("", remote)
	return g, nil
}

// SetUp is what somebody with a one-time code chose. All of it is attacker-controlled.
type SetUp struct {
	Code     string
	Name     string // of the new admin; an invitation has its own
	Password string
	TOTP     string // what the app shows now, or two codes in a row
	NoTOTP   bool   // without an app
	Remote   string
	Agent    string
}

// Welcome is a session that has begun on a new or renewed account.
type Welcome struct {
	Token    string
	Who      Who
	Recovery []string // ten codes, shown once; none without an app
}

// SetUp makes the account, uses the code up and signs in, in one transaction. Codes: set-up-code, sign-in-delayed, account-name,
// account-exists, password, totp-code, set-up-done (somebody else was first).
func (d *Desk) SetUp(ctx context.Context, q SetUp) (Welcome, error) {
	now := d.moment()
	g, err := d.grant(ctx, q.Code, q.Remote, now)
	if err != nil {
		return Welcome{}, err
	}
	a := account{Name: typedName(q.Name), Roles: Of(Admin), CreatedAt: clock.Format(now.Trusted), CreatedBy: g.by}
	if g.kind == kindInvite {
		a = g.account
	} else if err := NewName(a.Name); err != nil {
		return Welcome{}, err
	}
	if err := NewPassword(q.Password, a.Name); err != nil {
		return Welcome{}, err
	}
	var codes []string
	if !q.NoTOTP {
		if codes, err = d.install(ctx, &a, g.hash, q.TOTP, now); err != nil {
			return Welcome{}, err
		}
	}
	if a.Password, err = d.hash.make(ctx, q.Password); err != nil {
		return Welcome{}, err
	}
	a.Invite = nil
	return d.welcome(ctx, a, g, q, codes, now)
}

// install puts the app that was shown to who into an account, once a code proves that it is there. Code totp-code.
func (d *Desk) install(ctx context.Context, a *account, who, typed string, now moment) ([]string, error) {
	secret, err := d.secretFor(who)
	if err != nil {
		return nil, err
	}
	var step int64
	if err := d.hash.work(ctx, func() { step = match(ctx, secret, drift{}, 0, typed, now) }); err != nil {
		return nil, err
	}
	if step == 0 {
		e := code.New(code.TOTPBad, "")
		if codes, ok := typedCodes(typed); ok && len(codes) == 1 && now.doubtful() {
			return nil, e.Do("Type two codes in a row, with a space between: the one the phone shows now, and the next one. So this machine learns how far the clocks are apart.")
		}
		return nil, e
	}
	a.Secret, a.Step, a.Drift = secret, step, learn(now, step)
	codes, hashes, err := d.recovery()
	a.Recovery = hashes
	return codes, err
}

// welcome writes the account and its first session.
func (d *Desk) welcome(ctx context.Context, a account, g grant, q SetUp, codes []string, now moment) (Welcome, error) {
	token, s, err := d.newSession(a.Name, q.Remote, q.Agent, now)
	if err != nil {
		return Welcome{}, err
	}
	key := hashToken(token)
	a.LastLogin = s.At
	err = d.State.Update(ctx, func(tx *state.Tx) error {
		if err := d.settle(tx, a, g, q.Remote); err != nil {
			return err
		}
		return d.begin(tx, key, s, entry{account: a.Name, how: g.kind + " code"})
	})
	if err != nil {
		return Welcome{}, err
	}
	d.drop(g.hash)
	d.delays.won(a.Name, q.Remote)
	d.prove(key, now)
	return Welcome{
		Token: token, Recovery: codes, Who: Who{Account: a.Name, Person: a.Name, Roles: a.Roles, Session: s.ID, Proven: now.mono, Fresh: true},
	}, nil
}

// settle writes the account, if the code may still do so.
func (d *Desk) settle(tx *state.Tx, a account, g grant, remote string) error {
	old, exists, err := accounts.Get(tx, a.Name)
	if err != nil {
		return err
	}
	app := "none"
	if a.Secret != "" {
		app = "set up"
	}
	if g.kind == kindInvite {
		if !exists || old.Invite == nil || !same(old.Invite.Hash, g.hash) || old.state(d.Now().Trusted) != Invited {
			return code.New(code.SetupCodeBad, "")
		}
		a.Roles, a.EndsAt, a.UIDs = old.Roles, old.EndsAt, old.UIDs // as they are at this moment
		if err := put(tx, a); err != nil {
			return err
		}
		return d.event(tx, "user.changed", a.Name, a.Name, "change", "password chosen", "app", app, "remote", remote)
	}
	found, err := administered(tx)
	switch {
	case err != nil:
		return err
	case g.kind == kindSetup && found:
		return code.New(code.SetupDone, "")
	case exists:
		return code.New(code.NameTaken, "there is an account %s already", a.Name)
	}
	if err := put(tx, a); err != nil {
		return err
	}
	return d.event(tx, "user.created", a.Name, a.Name, "roles", a.Roles.String(), "how", g.kind+" code", "app", app, "remote", remote)
}

// Link makes a code that opens a session of an account once, within ten minutes and from this machine alone: for a demonstration.
func (d *Desk) Link(ctx context.Context, name string) (OneTime, error) {
	a, ok, err := d.view(typedName(name))
	if err == nil && (!ok || a.state(d.Now().Trusted) != Active) {
		err = code.New(code.Missing, "there is no account %.40q that can sign in", name)
	}
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return OneTime{}, err
	}
	return d.open(kindLink, a.Name, linkLife, 0, "system")
}

// Redeem opens the session of a link. Codes set-up-code, denied (not from this machine), sign-in-delayed.
func (d *Desk) Redeem(ctx context.Context, typed, remote, agent string) (Entered, error) {
	now := d.moment()
	if err := d.attempt(now, "", remote); err != nil {
		return Entered{}, err
	}
	if !loopback(remote) {
		return Entered{}, code.New(code.Denied, "a one-time link works on the machine itself alone")
	}
	_, h, ok := d.heldBy(typed, []string{kindLink}, false)
	if !ok {
		d.denied(ctx, now, denial{What: "code", Remote: remote})
		return Entered{}, code.New(code.SetupCodeBad, "this link was used, or its time is over")
	}
	d.drop(h.hash)
	a, _, err := d.view(h.account)
	if err != nil {
		return Entered{}, err
	}
	return d.enter(ctx, entry{account: a.Name, password: a.Password, how: "one-time link", remote: remote, agent: agent}, now)
}
