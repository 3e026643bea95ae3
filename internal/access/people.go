package access

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"sallyport/internal/clock"
	"sallyport/internal/code"
	"sallyport/internal/state"
)

// loopback tells whether an address is this machine's own.
func loopback(remote string) bool {
	a, err := netip.ParseAddr(remote)
	return err == nil && a.Unmap().IsLoopback()
}

// Users lists the accounts by name.
func (d *Desk) Users(ctx context.Context) (list []User, err error) {
	open, err := d.Sessions(ctx, "")
	if err != nil {
		return nil, err
	}
	now := d.Now().Trusted
	err = d.State.View(func(tx *state.Tx) error {
		return accounts.Scan(tx, "", func(_ string, a account) error {
			u := a.user(now)
			for _, s := range open {
				if s.Account == a.Name {
					u.Sessions++
				}
			}
			list = append(list, u)
			return nil
		})
	})
	return list, err
}

// User is one account; code not-found.
func (d *Desk) User(ctx context.Context, name string) (User, error) {
	list, err := d.Users(ctx)
	if err != nil {
		return User{}, err
	}
	for _, u := range list {
		if u.Name == name {
			return u, nil
		}
	}
	return User{}, code.New(code.Missing, "there is no account %.40q", name).Do("List them: sallyport users list.")
}

// EndDate reads the end of an account: RFC 3339 in UTC, or a day, which is counted whole. "" is none. Code usage.
func EndDate(s string) (string, error) {
	if s == "" {
		return "", nil
	}
	if day, err := time.Parse(time.DateOnly, s); err == nil {
		return clock.Format(day.AddDate(0, 0, 1)), nil
	}
	t, err := clock.Parse(s)
	if err != nil {
		return "", code.Wrap(code.BadUsage, err, "the end of an account").Want("a day like 2027-06-30", fmt.Sprintf("%.40q", s))
	}
	return clock.Format(t), nil
}

// NewUser is an account to be made.
type NewUser struct {
	Name   string
	Roles  Roles
	EndsAt string // as EndDate reads it
}

// Create makes an account without a password and the code with which the person chooses one within 72 hours. Codes account-name,
// account-exists, usage.
func (d *Desk) Create(ctx context.Context, by By, n NewUser) (User, OneTime, error) {
	now := d.Now().Trusted
	a := account{Name: typedName(n.Name), Roles: n.Roles, CreatedAt: clock.Format(now), CreatedBy: by.Name}
	if err := NewName(a.Name); err != nil {
		return User{}, OneTime{}, err
	}
	if n.Roles == 0 {
		return User{}, OneTime{}, code.New(code.BadUsage, "an account needs a role").Want(Of(All()...).String(), "none")
	}
	var err error
	if a.EndsAt, err = EndDate(n.EndsAt); err != nil {
		return User{}, OneTime{}, err
	}
	if over(a.EndsAt, now) {
		return User{}, OneTime{}, code.New(code.BadUsage, "the end of the account is past").Want("after "+clock.Format(now), a.EndsAt)
	}
	c, err := d.invite(&a, now)
	if err != nil {
		return User{}, OneTime{}, err
	}
	err = d.State.Update(ctx, func(tx *state.Tx) error {
		if _, exists, err := accounts.Get(tx, a.Name); err != nil || exists {
			if err == nil {
				err = code.New(code.NameTaken, "there is an account %s already", a.Name)
			}
			return err
		}
		if err := put(tx, a); err != nil {
			return err
		}
		return d.event(tx, "user.created", by.Name, a.Name, "roles", a.Roles.String(), "endsAt", a.EndsAt, "how", "invitation", "remote", by.Remote)
	})
	return a.user(now), c, err
}

// invite takes away what an account signs in with and puts a code in its place.
func (d *Desk) invite(a *account, now time.Time) (OneTime, error) {
	text, err := newCode(d.Random)
	if err != nil {
		return OneTime{}, err
	}
	a.Password, a.Secret, a.Recovery, a.Drift = "", "", nil, drift{}
	a.Invite = &invite{Hash: hashCode(text), Until: clock.Format(now.Add(inviteLife))}
	return OneTime{Code: text, Life: inviteLife}, nil
}

// Change is what is to become of an account; nil and false leave as it is.
type Change struct {
	Roles  *Roles
	EndsAt *string // "" takes the end away
	Enable bool
	Reset  bool // takes password, app, recovery codes and sessions away and gives a new code to choose them
}

// Change changes an account. Roles count from the next request on. Codes not-found, usage, last-admin.
func (d *Desk) Change(ctx context.Context, by By, name string, c Change) (u User, once OneTime, err error) {
	now := d.Now().Trusted
	var keys []string
	err = d.State.Update(ctx, func(tx *state.Tx) error {
		keys, once = nil, OneTime{}
		a, err := get(tx, name)
		if err != nil {
			return err
		}
		typ, attrs, err := c.apply(&a, now)
		if err != nil {
			return err
		}
		if c.Reset {
			if once, err = d.invite(&a, now); err != nil {
				return err
			}
			if keys, err = d.out(tx, name); err != nil {
				return err
			}
		}
		if err := keepAdmin(tx, a); err != nil {
			return err
		}
		u = a.user(now)
		return d.event(tx, typ, by.Name, name, append(attrs, "remote", by.Remote)...)
	})
	if err == nil {
		d.forget(keys)
	}
	return u, once, err
}

// apply changes a row and says what event that is.
func (c Change) apply(a *account, now time.Time) (typ string, attrs []string, err error) {
	typ = "user.changed"
	changed := c.Reset
	if c.Reset {
		attrs = append(attrs, "change", "reset")
	}
	if c.Roles != nil && *c.Roles != a.Roles {
		if *c.Roles == 0 {
			return "", nil, code.New(code.BadUsage, "an account needs a role; to end it, disable it").Want(Of(All()...).String(), "none")
		}
		attrs = append(attrs, "before", a.Roles.String(), "roles", c.Roles.String())
		typ, changed, a.Roles = "role.changed", true, *c.Roles
	}
	if c.EndsAt != nil {
		end, err := EndDate(*c.EndsAt)
		if err != nil {
			return "", nil, err
		}
		if over(end, now) {
			return "", nil, code.New(code.BadUsage, "the end of the account is past").Want("after "+clock.Format(now), end).Do("To end it at once, disable it.")
		}
		if end != a.EndsAt {
			before := a.EndsAt
			attrs, changed, a.EndsAt = append(attrs, "endedAt", before, "endsAt", orNever(end)), true, end
		}
	}
	if c.Enable && a.Disabled {
		attrs, changed, a.Disabled, a.Why = append(attrs, "enabled", "true"), true, false, ""
	}
	if !changed {
		return "", nil, code.New(code.BadUsage, "this changes nothing of account %s", a.Name)
	}
	return typ, attrs, nil
}

func orNever(end string) string {
	if end == "" {
		return "never"
	}
	return end
}

// out ends the sessions of an account, in the state and in memory.
func (d *Desk) out(tx *state.Tx, name string) ([]string, error) {
	of := func(s session) bool { return s.Account == name }
	keys, err := endSessions(tx, of)
	return append(keys, d.heldSessions(of)...), err
}

// Disable ends an account, its sessions and, as long as it is so, its API tokens. Codes not-found, conflict, usage, last-admin.
func (d *Desk) Disable(ctx context.Context, by By, name, reason string) (u User, err error) {
	if reason == "" || len(reason) > 500 {
		return u, code.New(code.BadUsage, "say why, in at most 500 bytes")
	}
	var keys []string
	err = d.State.Update(ctx, func(tx *state.Tx) error {
		a, err := get(tx, name)
		if err != nil {
			return err
		}
		if a.Disabled {
			return code.New(code.Conflict, "account %s is disabled already", name)
		}
		a.Disabled, a.Why = true, reason
		if keys, err = d.out(tx, name); err != nil {
			return err
		}
		if err := keepAdmin(tx, a); err != nil {
			return err
		}
		u = a.user(d.Now().Trusted)
		return d.event(tx, "user.disabled", by.Name, name, "reason", reason, "sessions", fmt.Sprint(len(keys)), "remote", by.Remote)
	})
	if err == nil {
		d.forget(keys)
	}
	return u, err
}

// Ids that are no person's: of a process that nobody signed in to start, and of users that a container cannot name.
const (
	nobody  = ^uint32(0)
	unnamed = 65534
)

// LinkUser joins a user of the operating system to an account, or parts them: both are one person for approvals. Root is never
// one person. Codes not-found, usage, conflict.
func (d *Desk) LinkUser(ctx context.Context, by By, name string, uid uint32, remove bool) (u User, err error) {
	if uid == nobody || uid == unnamed {
		return u, code.New(code.BadUsage, "user %d stands for anyone, so it is nobody's", uid)
	}
	if uid == 0 {
		return u, code.New(code.BadUsage, "root may be anyone, so it is nobody's").Do("Link the user who signs in, not the one they become.")
	}
	err = d.State.Update(ctx, func(tx *state.Tx) error {
		a, err := get(tx, name)
		if err != nil {
			return err
		}
		list, err := all(tx)
		if err != nil {
			return err
		}
		for _, other := range list {
			if !remove && slices.Contains(other.UIDs, uid) {
				return code.New(code.Conflict, "user %d is linked to account %s already", uid, other.Name).Do("A user is one person: part them first.")
			}
		}
		i := slices.Index(a.UIDs, uid)
		change := "linked"
		switch {
		case remove && i < 0:
			return code.New(code.Missing, "user %d is not linked to account %s", uid, name)
		case remove:
			change, a.UIDs = "parted", slices.Delete(a.UIDs, i, i+1)
		default:
			a.UIDs = append(a.UIDs, uid)
			slices.Sort(a.UIDs)
		}
		if err := put(tx, a); err != nil {
			return err
		}
		u = a.user(d.Now().Trusted)
		return d.event(tx, "user.changed", by.Name, name, "change", change, "uid", fmt.Sprint(uid), "remote", by.Remote)
	})
	return u, err
}
