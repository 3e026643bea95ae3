package access

import (
	"context"
	"slices"

	"sallyport/internal/code"
	"sallyport/internal/state"
)

// Me is the account of a session. Code session-over.
func (d *Desk) Me(ctx context.Context, token string) (User, error) {
	_, s, _, _, err := d.lookup(ctx, token)
	if err != nil {
		return User{}, err
	}
	return d.User(ctx, s.Account)
}

// fresh is the account of a session that proved itself a moment ago. Codes session-over, step-up-needed.
func (d *Desk) fresh(ctx context.Context, token string) (key string, a account, now moment, err error) {
	key, _, a, now, err = d.lookup(ctx, token)
	if err != nil {
		return "", a, now, err
	}
	d.mu.Lock()
	at, ok := d.proofs[key]
	d.mu.Unlock()
	if !ok || now.mono-at > Fresh {
		return "", a, now, code.New(code.StepUpNeeded, "")
	}
	return key, a, now, nil
}

// change writes a change of a session's own account; the account must be as it was read. Code conflict.
func (d *Desk) change(ctx context.Context, was, is account, what, remote string, more func(tx *state.Tx) error) error {
	return d.State.Update(ctx, func(tx *state.Tx) error {
		b, err := get(tx, was.Name)
		if err != nil {
			return err
		}
		if b.Password != was.Password || b.Secret != was.Secret {
			return code.New(code.Conflict, "account %s was changed at the same moment", was.Name)
		}
		if is.Secret != was.Secret { // a new app begins with its own first code, whatever the old one's clock said
			b.Secret, b.Drift, b.Step = is.Secret, is.Drift, is.Step
		}
		if !slices.Equal(is.Recovery, was.Recovery) { // else those that were used meanwhile stay used
			b.Recovery = is.Recovery
		}
		b.Password = is.Password
		if err := put(tx, b); err != nil {
			return err
		}
		if more != nil {
			if err := more(tx); err != nil {
				return err
			}
		}
		return d.event(tx, "user.changed", was.Name, was.Name, "change", what, "remote", remote)
	})
}

// ChangePassword takes a new password for the old one and ends the other sessions of the account. Codes session-over, sign-in,
// sign-in-delayed, password.
func (d *Desk) ChangePassword(ctx context.Context, token, old, fresh, remote string) error {
	key, _, a, now, err := d.lookup(ctx, token)
	if err != nil {
		return err
	}
	if err := NewPassword(fresh, a.Name); err != nil {
		return err
	}
	if err := d.attempt(now, a.Name, remote); err != nil {
		return err
	}
	good, err := d.hash.check(ctx, a.Password, old)
	if err != nil {
		return err
	}
	if !good {
		d.denied(ctx, now, denial{What: "step-up", Account: a.Name, Remote: remote})
		return d.refusal()
	}
	is := a
	if is.Password, err = d.hash.make(ctx, fresh); err != nil {
		return err
	}
	others := func(s session) bool { return s.Account == a.Name }
	var gone []string
	err = d.change(ctx, a, is, "password", remote, func(tx *state.Tx) error {
		mine, ok, err := sessions.Get(tx, key)
		if err != nil {
			return err
		}
		if gone, err = endSessions(tx, others); err != nil || !ok {
			return err
		}
		return sessions.Put(tx, key, mine)
	})
	if err != nil {
		return err
	}
	d.delays.won(a.Name, remote)
	for _, k := range append(gone, d.heldSessions(others)...) {
		if k != key {
			d.forget([]string{k})
		}
	}
	d.prove(key, now)
	return nil
}

// BeginTOTP shows the secret of a new authenticator app for one's own account; nothing is changed. Codes session-over,
// step-up-needed.
func (d *Desk) BeginTOTP(ctx context.Context, token string) (Enrolment, error) {
	key, a, _, err := d.fresh(ctx, token)
	if err != nil {
		return Enrolment{}, err
	}
	e := Enrolment{Name: a.Name, Roles: a.Roles}
	if e.Secret, err = d.secretFor(key); err != nil {
		return Enrolment{}, err
	}
	e.URI, err = uri(e.Secret, d.Appliance.Name, a.Name)
	return e, err
}

// ConfirmTOTP takes the app into use that BeginTOTP showed, in the place of one before, and gives ten new recovery codes. Codes
// session-over, step-up-needed, totp-code.
func (d *Desk) ConfirmTOTP(ctx context.Context, token, typed, remote string) ([]string, error) {
	key, a, now, err := d.fresh(ctx, token)
	if err != nil {
		return nil, err
	}
	is := a
	codes, err := d.install(ctx, &is, key, typed, now)
	if err != nil {
		return nil, err
	}
	if err := d.change(ctx, a, is, "authenticator app", remote, nil); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.enrolling, key)
	return codes, nil
}

// NewRecoveryCodes gives ten new recovery codes; those before are void. Codes session-over, step-up-needed, usage (no app).
func (d *Desk) NewRecoveryCodes(ctx context.Context, token, remote string) ([]string, error) {
	_, a, _, err := d.fresh(ctx, token)
	if err != nil {
		return nil, err
	}
	if a.Secret == "" {
		return nil, code.New(code.BadUsage, "recovery codes stand for the codes of an authenticator app, and this account has none")
	}
	codes, hashes, err := d.recovery()
	if err != nil {
		return nil, err
	}
	is := a
	is.Recovery = hashes
	return codes, d.change(ctx, a, is, "new recovery codes", remote, nil)
}
