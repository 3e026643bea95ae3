package access

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"sallyport/internal/clock"
	"sallyport/internal/code"
	"sallyport/internal/state"
)

// TokenPrefix begins every API token, so that a scanner for secrets knows one.
const TokenPrefix = "sp_"

// The life of an API token in days.
const (
	tokenDays    = 90
	maxTokenDays = 366
	maxTokens    = 1000
)

// apiToken is one row; its key is the hash of the token.
type apiToken struct {
	ID        string   `json:"id"` // t-…
	Name      string   `json:"name"`
	Account   string   `json:"account,omitempty"` // it may what this account may, within its scopes; "": what Roles say
	Roles     Roles    `json:"roles,omitempty"`
	Scopes    []string `json:"scopes"`
	CreatedAt string   `json:"createdAt"`
	CreatedBy string   `json:"createdBy"`
	EndsAt    string   `json:"endsAt"` // trusted time
	UsedAt    string   `json:"usedAt,omitempty"`
}

var tokens = state.Table[apiToken]{Name: "access.token"}

// TokenView is an API token as people see it.
type TokenView struct {
	ID        string   `json:"id"`
	Name      string   `json:"name"`
	Account   string   `json:"account,omitempty"`
	Scopes    []string `json:"scopes"`
	State     string   `json:"state"` // active, ended, disabled (its account is over)
	CreatedAt string   `json:"createdAt"`
	CreatedBy string   `json:"createdBy"`
	EndsAt    string   `json:"endsAt"`
	UsedAt    string   `json:"usedAt,omitempty"`
}

// NewToken is an API token to be made.
type NewToken struct {
	Name    string
	Account string // "": it belongs to nobody and has Roles
	Roles   Roles  // where Account is ""
	Scopes  []string
	Days    int // 0: 90; at most 366
}

var scopeRE = regexp.MustCompile(`^[a-z]{1,32}(:[a-z-]{1,32}){0,2}:([a-z-]{1,32}|\*)$`)

func (n NewToken) check() error {
	switch {
	case !nameRE.MatchString(n.Name):
		return code.New(code.BadUsage, "the name of a token").Want("1 to 32 of a-z 0-9 . _ - beginning with a letter", fmt.Sprintf("%.40q", n.Name))
	case len(n.Scopes) == 0 || len(n.Scopes) > 64:
		return code.New(code.BadUsage, "a token needs scopes").Want("1 to 64", fmt.Sprint(len(n.Scopes)))
	case n.Days < 1 || n.Days > maxTokenDays:
		return code.New(code.BadUsage, "the days of a token").Want(fmt.Sprintf("1 to %d", maxTokenDays), fmt.Sprint(n.Days))
	case n.Account == "" && n.Roles == 0:
		return code.New(code.BadUsage, "a token that belongs to no account needs roles")
	}
	for _, s := range n.Scopes {
		if !scopeRE.MatchString(s) {
			return code.New(code.BadUsage, "there is no scope %.40q", s)
		}
	}
	return nil
}

// CreateToken makes an API token and gives its secret, which is not kept. Whether the scopes exist is the caller's. Codes usage,
// not-found (the account), conflict (a token of that name).
func (d *Desk) CreateToken(ctx context.Context, by By, n NewToken) (v TokenView, secret string, err error) {
	if n.Days == 0 {
		n.Days = tokenDays
	}
	n.Name, n.Account = typedName(n.Name), typedName(n.Account)
	if err := n.check(); err != nil {
		return v, "", err
	}
	secret, id, err := newToken(d.Random, TokenPrefix, "t")
	if err != nil {
		return v, "", err
	}
	now := d.Now().Trusted
	scopes := slices.Clone(n.Scopes)
	slices.Sort(scopes)
	t := apiToken{
		ID: id, Name: n.Name, Account: n.Account, Scopes: slices.Compact(scopes), CreatedAt: clock.Format(now), CreatedBy: by.Name,
		EndsAt: clock.Format(now.AddDate(0, 0, n.Days)),
	}
	if n.Account == "" {
		t.Roles = n.Roles
	}
	err = d.State.Update(ctx, func(tx *state.Tx) error {
		if err := d.room(tx, t); err != nil {
			return err
		}
		if err := tokens.Put(tx, hashToken(secret), t); err != nil {
			return err
		}
		v, err = tokenView(tx, t, now)
		if err != nil {
			return err
		}
		return d.event(tx, "token.created", by.Name, id, "name", t.Name, "account", t.Account, "scopes", strings.Join(t.Scopes, " "), "endsAt", t.EndsAt, "remote", by.Remote)
	})
	if err != nil {
		return TokenView{}, "", err
	}
	return v, secret, nil
}

// room refuses a token whose account is not there, or whose name is taken.
func (d *Desk) room(tx *state.Tx, t apiToken) error {
	if t.Account != "" {
		if _, err := get(tx, t.Account); err != nil {
			return err
		}
	}
	n := 0
	err := tokens.Scan(tx, "", func(_ string, have apiToken) error {
		if n++; have.Name == t.Name {
			return code.New(code.Conflict, "there is an API token %s already", t.Name).Do("Choose another name, or revoke that one: sallyport tokens revoke " + have.ID)
		}
		return nil
	})
	if err == nil && n >= maxTokens {
		err = code.New(code.Conflict, "there are %d API tokens already", n).Do("Revoke those that nobody uses: sallyport tokens list.")
	}
	return err
}

func tokenView(tx *state.Tx, t apiToken, now time.Time) (TokenView, error) {
	v := TokenView{
		ID: t.ID, Name: t.Name, Account: t.Account, Scopes: t.Scopes, State: Active, CreatedAt: t.CreatedAt, CreatedBy: t.CreatedBy, EndsAt: t.EndsAt, UsedAt: t.UsedAt,
	}
	if over(t.EndsAt, now) {
		v.State = Ended
		return v, nil
	}
	if t.Account == "" {
		return v, nil
	}
	a, ok, err := accounts.Get(tx, t.Account)
	if !ok || a.state(now) != Active {
		v.State = Disabled
	}
	return v, err
}

// Tokens lists the API tokens by name.
func (d *Desk) Tokens(ctx context.Context) (list []TokenView, err error) {
	now := d.Now().Trusted
	err = d.State.View(func(tx *state.Tx) error {
		return tokens.Scan(tx, "", func(_ string, t apiToken) error {
			v, err := tokenView(tx, t, now)
			list = append(list, v)
			if err == nil {
				err = ctx.Err()
			}
			return err
		})
	})
	slices.SortFunc(list, func(a, b TokenView) int { return strings.Compare(a.Name, b.Name) })
	return list, err
}

// RevokeToken ends an API token by its id or name. Code not-found.
func (d *Desk) RevokeToken(ctx context.Context, by By, id string) (v TokenView, err error) {
	now := d.Now().Trusted
	err = d.State.Update(ctx, func(tx *state.Tx) error {
		key := ""
		if err := tokens.Scan(tx, "", func(k string, t apiToken) (err error) {
			if t.ID == id || t.Name == id {
				key = k
				v, err = tokenView(tx, t, now)
			}
			return err
		}); err != nil {
			return err
		}
		if key == "" {
			return code.New(code.Missing, "there is no API token %.40q", id).Do("List them: sallyport tokens list.")
		}
		if err := tokens.Delete(tx, key); err != nil {
			return err
		}
		return d.event(tx, "token.revoked", by.Name, v.ID, "name", v.Name, "account", v.Account, "remote", by.Remote)
	})
	return v, err
}

// Token finds who an API token stands for, with the roles that its account has now. Code token.
func (d *Desk) Token(ctx context.Context, bearer, remote string) (w Who, err error) {
	key, now := hashToken(bearer), d.moment()
	var account string
	err = d.State.View(func(tx *state.Tx) error {
		t, ok, err := tokens.Get(tx, key)
		if err != nil {
			return err
		}
		if !ok || !strings.HasPrefix(bearer, TokenPrefix) || over(t.EndsAt, now.Trusted) {
			return code.New(code.TokenBad, "")
		}
		// whoever made it is the person, also where it acts for another account: else an admin could be two people
		w = Who{Account: t.Account, Person: t.CreatedBy, Roles: t.Roles, Scopes: t.Scopes, Session: t.ID}
		if t.Account == "" {
			return nil
		}
		account = t.Account
		a, ok, err := accounts.Get(tx, t.Account)
		if err == nil && (!ok || a.state(now.Trusted) != Active) {
			return code.New(code.TokenBad, "")
		}
		w.Roles = a.Roles
		return err
	})
	if code.Of(err) == code.TokenBad {
		d.denied(ctx, now, denial{What: "token", Account: account, Remote: remote})
	}
	if err != nil {
		return Who{}, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.used[key] = clock.Format(now.Trusted.Truncate(time.Minute))
	return w, ctx.Err()
}
