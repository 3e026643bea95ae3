package access

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"sallyport/internal/code"
	"sallyport/internal/state"
)

// SignIn is what somebody typed. All of it is attacker-controlled.
type SignIn struct {
	Name     string
	Password string
	Code     string // of the authenticator app, two of them in a row, a recovery code, or "" where the account has no app
	Remote   string // address of the browser
	Agent    string // what it says it is
}

// Entered is a session that has begun.
type Entered struct {
	Token        string // for the cookie; nobody else ever sees it
	Who          Who
	CodesLeft    int // recovery codes
	UsedRecovery bool
}

// dummy stands for the secret of an account that is not there, so that both take the same time.
const dummy = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

// errRefused is the inner answer of a transaction that finds something used up or changed meanwhile.
var errRefused = errors.New("refused")

// SignIn begins a session. Codes sign-in (for every reason alike, and after the same time) and sign-in-delayed.
func (d *Desk) SignIn(ctx context.Context, q SignIn) (Entered, error) {
	now, name := d.moment(), typedName(q.Name)
	name = name[:min(len(name), 64)]
	if err := d.attempt(now, name, q.Remote); err != nil {
		return Entered{}, err
	}
	a, found, err := d.view(name)
	if err != nil {
		return Entered{}, err
	}
	usable := found && a.state(now.Trusted) == Active
	if !usable {
		a = account{}
	}
	good, err := d.hash.check(ctx, a.Password, q.Password)
	if err != nil {
		return Entered{}, err
	}
	second, err := d.second(ctx, a, q.Code, now)
	if err != nil {
		return Entered{}, err
	}
	if usable && good && second.ok {
		e := entry{account: name, password: a.Password, second: second, remote: q.Remote, agent: q.Agent}
		if d.hash.stale(a.Password) {
			if e.renewed, err = d.hash.make(ctx, q.Password); err != nil {
				return Entered{}, err
			}
		}
		if in, err := d.enter(ctx, e, now); !errors.Is(err, errRefused) {
			return in, err
		}
	}
	k := denial{What: "sign-in", Remote: q.Remote}
	if found {
		k.Account = name
	}
	d.denied(ctx, now, k)
	return Entered{}, d.refusal()
}

// refusal is the one answer to everybody who may not come in.
func (d *Desk) refusal() error {
	err := code.New(code.SignInBad, "")
	if doubt := d.Reads().Doubt; doubt != "" {
		return err.Do(doubt)
	}
	return err
}

// second is what the second factor of an account showed.
type second struct {
	ok       bool
	step     int64 // of the app; 0: another way
	drift    drift
	recovery string // hash of the recovery code that was typed
}

// second judges what was typed as a code. An account without an app needs none. Codes that memory knows as used do not count.
func (d *Desk) second(ctx context.Context, a account, typed string, now moment) (s second, err error) {
	secret := a.Secret
	if secret == "" {
		secret = dummy
	}
	d.mu.Lock()
	used := max(a.Step, d.spent[a.Name])
	d.mu.Unlock()
	var step int64
	if err := d.hash.work(ctx, func() { step = match(ctx, secret, a.Drift, used, typed, now) }); err != nil {
		return s, err
	}
	hash := hashCode(typed)
	d.mu.Lock()
	left := slices.Contains(a.Recovery, hash) && !d.burnt[hash]
	d.mu.Unlock()
	switch {
	case a.Secret == "":
		s.ok = true
	case step > 0:
		s = second{ok: true, step: step, drift: learn(now, step)}
	case left:
		s = second{ok: true, recovery: hash}
	}
	return s, ctx.Err()
}

// spend uses a code up, in the transaction that lets somebody in. late applies what was let in before, while the disk was full.
func (s second) spend(a *account, late bool) error {
	switch {
	case s.step > a.Step:
		a.Step, a.Drift = s.step, s.drift
	case s.step > 0 && !late:
		return errRefused
	}
	if i := slices.Index(a.Recovery, s.recovery); i >= 0 {
		a.Recovery = slices.Delete(a.Recovery, i, i+1)
	} else if s.recovery != "" && !late {
		return errRefused
	}
	return nil
}

func (s second) how() string {
	switch {
	case s.step > 0:
		return "password and code"
	case s.recovery != "":
		return "password and recovery code"
	}
	return "password"
}

// entry is somebody who has proven who they are.
type entry struct {
	account  string
	password string // the hash that the password fitted
	renewed  string // the same password hashed at today's cost; "" as it is
	second   second
	how      string // "" as second says
	remote   string
	agent    string
}

// unwritten is a sign-in that a full disk keeps from the state.
type unwritten struct {
	session session
	entry   entry
}

// enter writes session, used code and event; where the disk is full they stay in memory. errRefused when something changed since.
func (d *Desk) enter(ctx context.Context, e entry, now moment) (Entered, error) {
	token, s, err := d.newSession(e.account, e.remote, e.agent, now)
	if err != nil {
		return Entered{}, err
	}
	key := hashToken(token)
	var a account
	err = d.State.Update(ctx, func(tx *state.Tx) (err error) {
		a, err = d.admit(tx, key, s, e, false)
		return err
	})
	if code.Of(err) == code.NoSpace {
		a, err = d.keep(key, s, e)
	}
	if err != nil {
		return Entered{}, err
	}
	d.delays.won(e.account, e.remote)
	d.prove(key, now)
	return Entered{
		Token: token, CodesLeft: len(a.Recovery), UsedRecovery: e.second.recovery != "",
		Who: Who{Account: a.Name, Person: a.Name, Roles: a.Roles, Session: s.ID, Proven: now.mono, Fresh: true},
	}, nil
}

// admit is what a sign-in writes.
func (d *Desk) admit(tx *state.Tx, key string, s session, e entry, late bool) (account, error) {
	a, ok, err := accounts.Get(tx, e.account)
	if err != nil {
		return a, err
	}
	if !ok || a.state(d.Now().Trusted) != Active || a.Password != e.password {
		return a, errRefused
	}
	if err := e.second.spend(&a, late); err != nil {
		return a, err
	}
	if e.renewed != "" {
		a.Password = e.renewed
	}
	a.LastLogin = s.At
	if err := put(tx, a); err != nil {
		return a, err
	}
	return a, d.begin(tx, key, s, e)
}

// begin writes a session and its event.
func (d *Desk) begin(tx *state.Tx, key string, s session, e entry) error {
	if err := crowd(tx, s.Account); err != nil {
		return err
	}
	if err := sessions.Put(tx, key, s); err != nil {
		return err
	}
	how := e.how
	if how == "" {
		how = e.second.how()
	}
	return d.event(tx, "auth.login", s.Account, s.ID, "how", how, "remote", s.Remote, "since", s.At)
}

// maxWaiting bounds the sign-ins in memory.
const maxWaiting = 64

// keep holds a sign-in in memory. What it used up counts as used from now on.
func (d *Desk) keep(key string, s session, e entry) (account, error) {
	a, ok, err := d.view(e.account)
	if err != nil {
		return a, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	burnt := e.second.recovery != "" && d.burnt[e.second.recovery]
	late := e.second.step > 0 && e.second.step <= d.spent[e.account]
	if !ok || a.Password != e.password || burnt || late || e.second.spend(&a, false) != nil {
		return a, errRefused
	}
	if len(d.waiting) >= maxWaiting {
		return a, code.New(code.NoSpace, "the disk is full, and so is the room for sessions in memory")
	}
	if e.second.step > 0 {
		d.spent[e.account] = e.second.step
	}
	if e.second.recovery != "" {
		d.burnt[e.second.recovery] = true
	}
	e.renewed = ""
	d.waiting[key] = &unwritten{session: s, entry: e}
	d.Log.Warn("the disk is full: a sign-in is kept in memory and written later", "account", e.account, "session", s.ID, "remote", e.remote)
	return a, nil
}

// catchUp writes the sign-ins that a full disk kept from the state. What can no longer be written ends.
func (d *Desk) catchUp(ctx context.Context) error {
	d.mu.Lock()
	list := map[string]*unwritten{}
	for key, u := range d.waiting {
		list[key] = u
	}
	d.mu.Unlock()
	for key, u := range list {
		err := d.State.Update(ctx, func(tx *state.Tx) error {
			_, err := d.admit(tx, key, u.session, u.entry, true)
			return err
		})
		if err != nil && !errors.Is(err, errRefused) {
			return err
		}
		d.mu.Lock()
		delete(d.waiting, key)
		delete(d.burnt, u.entry.second.recovery)
		if d.spent[u.entry.account] <= u.entry.second.step {
			delete(d.spent, u.entry.account)
		}
		d.mu.Unlock()
	}
	return nil
}

func (d *Desk) prove(key string, now moment) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.proofs[key], d.seen[key] = now.mono, now.boot.Since
}

// StepUp takes the proof again that the person is still there: the password, the code that the phone shows now (one not used
// yet), or a recovery code. Codes session-over, sign-in, sign-in-delayed.
func (d *Desk) StepUp(ctx context.Context, token, proof, remote string) error {
	key, _, a, now, err := d.lookup(ctx, token)
	if err != nil {
		return err
	}
	if err := d.attempt(now, a.Name, remote); err != nil {
		return err
	}
	second := second{}
	if a.Secret != "" {
		if second, err = d.second(ctx, a, proof, now); err != nil {
			return err
		}
	}
	good := second.ok
	if !good {
		if good, err = d.hash.check(ctx, a.Password, proof); err != nil {
			return err
		}
	}
	if good {
		err = d.use(ctx, a, second)
	}
	if !good || errors.Is(err, errRefused) {
		d.denied(ctx, now, denial{What: "step-up", Account: a.Name, Remote: remote})
		return d.refusal()
	}
	if err == nil {
		d.delays.won(a.Name, remote)
		d.prove(key, now)
	}
	return err
}

// use writes that a code was used up. It is bookkeeping for a code of the app; a recovery code is an event.
func (d *Desk) use(ctx context.Context, a account, s second) error {
	if s.step == 0 && s.recovery == "" {
		return nil
	}
	err := d.State.Update(ctx, func(tx *state.Tx) error {
		b, err := get(tx, a.Name)
		if err != nil {
			return err
		}
		if err := s.spend(&b, false); err != nil {
			return err
		}
		if err := put(tx, b); err != nil || s.recovery == "" {
			return err
		}
		return d.event(tx, "user.changed", a.Name, a.Name, "change", "a recovery code was used", "left", fmt.Sprint(len(b.Recovery)))
	})
	if code.Of(err) != code.NoSpace {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if s.step > 0 && s.step <= d.spent[a.Name] || d.burnt[s.recovery] {
		return errRefused
	}
	if s.step > 0 {
		d.spent[a.Name] = s.step
	}
	if s.recovery != "" {
		d.burnt[s.recovery] = true
	}
	return nil
}
