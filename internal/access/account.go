package access

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"sallyport/internal/clock"
	"sallyport/internal/code"
	"sallyport/internal/state"
)

// account is one row. It holds secrets: it never leaves this package, and is never printed.
type account struct {
	Name      string   `json:"name"`
	Roles     Roles    `json:"roles"`
	CreatedAt string   `json:"createdAt"` // trusted time, as all times here
	CreatedBy string   `json:"createdBy"`
	EndsAt    string   `json:"endsAt,omitempty"` // the account counts until then
	Disabled  bool     `json:"disabled,omitempty"`
	Why       string   `json:"why,omitempty"`  // it was disabled
	UIDs      []uint32 `json:"uids,omitempty"` // users of the operating system that are the same person
	LastLogin string   `json:"lastLogin,omitempty"`

	Password string   `json:"password,omitempty"` // argon2id in PHC form; "": nobody chose one yet
	Secret   string   `json:"secret,omitempty"`   // of the authenticator app, base32; "": none
	Drift    drift    `json:"drift,omitzero"`     // how far the phone is from our clocks
	Step     int64    `json:"step,omitempty"`     // of the last code that was used; none up to it is taken again
	Recovery []string `json:"recovery,omitempty"` // hashes of the recovery codes that are left
	Invite   *invite  `json:"invite,omitempty"`   // while nobody chose a password
}

// invite is the code with which a person chooses password and app. Until is trusted time.
type invite struct {
	Hash  string `json:"hash"`
	Until string `json:"until"`
}

// GoString keeps secrets out of %#v; String does for %v.
func (a account) GoString() string { return "access.account(" + a.Name + ")" }
func (a account) String() string   { return a.GoString() }

var accounts = state.Table[account]{Name: "access.account"}

// User is an account as others may see it.
type User struct {
	Name      string   `json:"name"`
	Roles     []Role   `json:"roles"`
	State     string   `json:"state"` // active, invited, disabled, ended
	Why       string   `json:"why,omitempty"`
	CreatedAt string   `json:"createdAt"`
	CreatedBy string   `json:"createdBy"`
	EndsAt    string   `json:"endsAt,omitempty"`
	LastLogin string   `json:"lastLogin,omitempty"`
	UIDs      []uint32 `json:"uids,omitempty"`
	App       bool     `json:"app"`       // an authenticator app is asked for
	CodesLeft int      `json:"codesLeft"` // recovery codes
	Sessions  int      `json:"sessions"`
}

// The states of an account.
const (
	Active   = "active"
	Invited  = "invited" // nobody chose a password yet
	Disabled = "disabled"
	Ended    = "ended" // its last day has passed
)

// state judges at a trusted time.
func (a account) state(now time.Time) string {
	switch {
	case a.Disabled:
		return Disabled
	case over(a.EndsAt, now):
		return Ended
	case a.Password == "":
		return Invited
	}
	return Active
}

// over tells whether an end has come; one that does not read has.
func over(end string, now time.Time) bool {
	if end == "" {
		return false
	}
	t, err := clock.Parse(end)
	return err != nil || !now.Before(t)
}

// until is how long an end is away, 0 for one that does not read.
func until(end string, now time.Time) time.Duration {
	t, err := clock.Parse(end)
	if err != nil {
		return 0
	}
	return max(0, t.Sub(now))
}

func (a account) user(now time.Time) User {
	return User{
		Name: a.Name, Roles: a.Roles.List(), State: a.state(now), Why: a.Why, CreatedAt: a.CreatedAt, CreatedBy: a.CreatedBy, EndsAt: a.EndsAt,
		LastLogin: a.LastLogin, UIDs: a.UIDs, App: a.Secret != "", CodesLeft: len(a.Recovery),
	}
}

var nameRE = regexp.MustCompile(`^[a-z][a-z0-9._-]{0,31}$`)

// reserved names stand for parts of the machine in the timeline.
var reserved = []string{"root", "system", "daemon", "nobody", "sallyport", "unknown", "token"}

// NewName judges the name of a new account. Code account-name.
func NewName(name string) error {
	if !nameRE.MatchString(name) || slices.Contains(reserved, name) {
		return code.New(code.NameBad, "").Want("1 to 32 of a-z 0-9 . _ - beginning with a letter, and no name of the machine itself", fmt.Sprintf("%.40q", name))
	}
	return nil
}

// typedName is a name as a person types it.
func typedName(s string) string { return strings.ToLower(strings.TrimSpace(s)) }

// get reads an account; code not-found.
func get(tx *state.Tx, name string) (account, error) {
	a, ok, err := accounts.Get(tx, name)
	if err == nil && !ok {
		err = code.New(code.Missing, "there is no account %.40q", name).Do("List them: sallyport users list.")
	}
	return a, err
}

func put(tx *state.Tx, a account) error { return accounts.Put(tx, a.Name, a) }

// all lists the accounts by name.
func all(tx *state.Tx) (list []account, err error) {
	err = accounts.Scan(tx, "", func(_ string, a account) error {
		list = append(list, a)
		return nil
	})
	return list, err
}

// lasting tells whether some account may administer for ever: an admin that is enabled, can sign in and has no end date.
func lasting(tx *state.Tx) (bool, error) {
	list, err := all(tx)
	return slices.ContainsFunc(list, func(a account) bool {
		return a.Roles.Has(Admin) && !a.Disabled && a.EndsAt == "" && a.Password != ""
	}), err
}

// keepAdmin writes a changed account, unless that takes away the last lasting admin: code last-admin.
func keepAdmin(tx *state.Tx, a account) error {
	before, err := lasting(tx)
	if err != nil {
		return err
	}
	if err := put(tx, a); err != nil {
		return err
	}
	after, err := lasting(tx)
	if err == nil && before && !after {
		err = code.New(code.LastAdmin, "%s is the last account that may administer this appliance without an end date", a.Name)
	}
	return err
}

// Linked is the account that a user of the operating system is joined to; ok is false where none is. Where the account is over it
// is still the same person, without any role.
func (d *Desk) Linked(uid uint32) (w Who, ok bool) {
	now := d.Now().Trusted
	err := d.State.View(func(tx *state.Tx) error {
		return accounts.Scan(tx, "", func(_ string, a account) error {
			if !slices.Contains(a.UIDs, uid) {
				return nil
			}
			w, ok = Who{Account: a.Name, Person: a.Name}, true
			if s := a.state(now); s == Active || s == Invited {
				w.Roles = a.Roles
			}
			return state.ErrStop
		})
	})
	if err != nil {
		d.Log.Error("linked users cannot be read", "err", err.Error())
		return Who{}, false
	}
	return w, ok
}
