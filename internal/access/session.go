package access

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"sallyport/internal/clock"
	"sallyport/internal/code"
	"sallyport/internal/state"
)

// session is one row; its key is the hash of the token.
type session struct {
	ID      string `json:"id"` // s-…
	Account string `json:"account"`
	Boot    string `json:"boot"`
	Born    int64  `json:"born"` // seconds since boot
	Seen    int64  `json:"seen"`
	At      string `json:"at"` // trusted time of the sign-in, for people
	Remote  string `json:"remote"`
	Agent   string `json:"agent,omitempty"` // what the browser says it is: foreign text
}

var sessions = state.Table[session]{Name: "access.session"}

// maxSessions of one account; the one used longest ago ends for a new one.
const maxSessions = 10

// SessionView is a session as people see it.
type SessionView struct {
	ID      string        `json:"id"`
	Account string        `json:"account"`
	At      string        `json:"at"`
	Remote  string        `json:"remote"`
	Agent   string        `json:"agent,omitempty"`
	Idle    time.Duration `json:"-"`
	Left    time.Duration `json:"-"` // until it ends in any case
}

// dead tells whether a session is over at a moment; seen is the newest last request that is known.
func (s session) dead(b Boot, seen int64) bool {
	return b.ID == "" || s.Boot != b.ID || b.Since < s.Born || b.Since-max(s.Seen, seen) >= int64(Idle/time.Second) || b.Since-s.Born >= int64(Absolute/time.Second)
}

// Session finds who a token stands for, and notes the request. Code session-over.
func (d *Desk) Session(ctx context.Context, token string) (Who, error) {
	return d.session(ctx, token, true)
}

// Peek is Session for what is no request of a person, like a stream that stays open: the session does not live longer by it.
func (d *Desk) Peek(ctx context.Context, token string) (Who, error) {
	return d.session(ctx, token, false)
}

func (d *Desk) session(ctx context.Context, token string, touch bool) (Who, error) {
	_, s, a, now, err := d.lookup(ctx, token)
	if err != nil {
		return Who{}, err
	}
	key := hashToken(token)
	d.mu.Lock()
	defer d.mu.Unlock()
	if touch {
		d.seen[key] = now.boot.Since
	}
	w := Who{Account: a.Name, Person: a.Name, Roles: a.Roles, Session: s.ID}
	if at, ok := d.proofs[key]; ok {
		w.Proven, w.Fresh = at, now.mono-at <= Fresh
	}
	return w, nil
}

// lookup reads session and account, from the state or, while the disk is full, from memory.
func (d *Desk) lookup(ctx context.Context, token string) (key string, s session, a account, now moment, err error) {
	key, now = hashToken(token), d.moment()
	d.mu.Lock()
	if u := d.waiting[key]; u != nil {
		s = u.session
	}
	seen := d.seen[key]
	d.mu.Unlock()
	err = d.State.View(func(tx *state.Tx) error {
		stored, ok, err := sessions.Get(tx, key)
		if err != nil {
			return err
		}
		if ok {
			s = stored
		}
		if s.ID == "" || s.dead(now.boot, seen) {
			return code.New(code.SessionOver, "")
		}
		a, ok, err = accounts.Get(tx, s.Account)
		if err == nil && (!ok || a.state(now.Trusted) != Active) {
			err = code.New(code.SessionOver, "")
		}
		return err
	})
	if err == nil {
		err = ctx.Err()
	}
	return key, s, a, now, err
}

// writeSeen writes when sessions and API tokens were last used, once a minute at most, and sweeps sessions that are over.
func (d *Desk) writeSeen(ctx context.Context) error {
	b := d.Boot()
	seen, used := d.takeSeen()
	var gone []string
	err := d.State.Update(ctx, func(tx *state.Tx) error {
		gone = gone[:0]
		if err := sessions.Scan(tx, "", func(key string, s session) error {
			switch {
			case s.dead(b, seen[key]):
				gone = append(gone, key)
				return sessions.Delete(tx, key)
			case seen[key] > s.Seen:
				s.Seen = seen[key]
				return sessions.Put(tx, key, s)
			}
			return nil
		}); err != nil {
			return err
		}
		for key, at := range used {
			t, ok, err := tokens.Get(tx, key)
			if err != nil || !ok {
				return err
			}
			t.UsedAt = at
			if err := tokens.Put(tx, key, t); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("last requests: %w", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, key := range gone {
		delete(d.seen, key)
		delete(d.proofs, key)
		delete(d.enrolling, key)
	}
	for key, at := range used {
		if d.used[key] == at {
			delete(d.used, key)
		}
	}
	for key, u := range d.waiting {
		if u.session.dead(b, d.seen[key]) {
			delete(d.waiting, key)
		}
	}
	return nil
}

func (d *Desk) takeSeen() (seen map[string]int64, used map[string]string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	seen, used = map[string]int64{}, map[string]string{}
	for k, v := range d.seen {
		seen[k] = v
	}
	for k, v := range d.used {
		used[k] = v
	}
	return seen, used
}

// Sessions lists the open sessions of an account ("": all), the last used first.
func (d *Desk) Sessions(ctx context.Context, account string) (list []SessionView, err error) {
	b := d.Boot()
	seen, _ := d.takeSeen()
	add := func(key string, s session) error {
		last := max(s.Seen, seen[key])
		if s.dead(b, last) || account != "" && s.Account != account {
			return ctx.Err()
		}
		list = append(list, SessionView{
			ID: s.ID, Account: s.Account, At: s.At, Remote: s.Remote, Agent: s.Agent,
			Idle: time.Duration(b.Since-last) * time.Second, Left: Absolute - time.Duration(b.Since-s.Born)*time.Second,
		})
		return ctx.Err()
	}
	if err := d.State.View(func(tx *state.Tx) error { return sessions.Scan(tx, "", add) }); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for key, u := range d.waiting {
		if err := add(key, u.session); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(list, func(a, b SessionView) int { return cmp.Or(cmp.Compare(a.Idle, b.Idle), cmp.Compare(a.ID, b.ID)) })
	return list, nil
}

// Revoke ends one session by its id, or all of an account; how many is told. Code not-found when there is none.
func (d *Desk) Revoke(ctx context.Context, by By, id, account string) (n int, err error) {
	if (id == "") == (account == "") {
		return 0, code.New(code.BadUsage, "name a session or an account").Want("one of them", "none or both")
	}
	gone := func(s session) bool { return s.ID == id || account != "" && s.Account == account }
	var keys []string
	err = d.State.Update(ctx, func(tx *state.Tx) (err error) {
		if keys, err = endSessions(tx, gone); err != nil {
			return err
		}
		keys = append(keys, d.heldSessions(gone)...)
		if n = len(keys); n == 0 {
			return code.New(code.Missing, "there is no such session").Do("List them: sallyport sessions list.")
		}
		return d.event(tx, "session.revoked", by.Name, cmp.Or(id, account), "sessions", fmt.Sprint(n), "remote", by.Remote)
	})
	if err != nil && code.Of(err) != code.NoSpace {
		return 0, err
	}
	d.forget(keys)
	return n, err
}

// SignOut ends the session of a token. One that is over already is no error.
func (d *Desk) SignOut(ctx context.Context, token string) error {
	key := hashToken(token)
	err := d.State.Update(ctx, func(tx *state.Tx) error {
		s, ok, err := sessions.Get(tx, key)
		if err != nil || !ok {
			return err
		}
		if err := sessions.Delete(tx, key); err != nil {
			return err
		}
		return d.event(tx, "session.revoked", s.Account, s.ID, "how", "sign-out", "remote", s.Remote)
	})
	d.forget([]string{key})
	return roomy(err)
}

// endSessions deletes the sessions that fit and gives their keys.
func endSessions(tx *state.Tx, fits func(session) bool) (keys []string, err error) {
	err = sessions.Scan(tx, "", func(key string, s session) error {
		if !fits(s) {
			return nil
		}
		keys = append(keys, key)
		return sessions.Delete(tx, key)
	})
	return keys, err
}

// heldSessions are those that a full disk keeps in memory.
func (d *Desk) heldSessions(fits func(session) bool) (keys []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for key, u := range d.waiting {
		if fits(u.session) {
			keys = append(keys, key)
		}
	}
	return keys
}

// forget drops what memory knows of sessions.
func (d *Desk) forget(keys []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, key := range keys {
		delete(d.waiting, key)
		delete(d.seen, key)
		delete(d.proofs, key)
		delete(d.enrolling, key)
	}
}

// crowd ends the sessions of an account that are too many for one more, those used longest ago.
func crowd(tx *state.Tx, account string) error {
	type row struct {
		key  string
		seen int64
	}
	var list []row
	err := sessions.Scan(tx, "", func(key string, s session) error {
		if s.Account == account {
			list = append(list, row{key, s.Seen})
		}
		return nil
	})
	slices.SortFunc(list, func(a, b row) int { return cmp.Compare(b.seen, a.seen) })
	for i := maxSessions - 1; err == nil && i < len(list); i++ {
		err = sessions.Delete(tx, list[i].key)
	}
	return err
}

// roomy makes a full disk no error: what could not be written is in memory, or is tried again.
func roomy(err error) error {
	if code.Of(err) == code.NoSpace {
		return nil
	}
	return err
}

// newSession is a session that begins now.
func (d *Desk) newSession(account, remote, agent string, now moment) (token string, s session, err error) {
	token, id, err := newToken(d.Random, "", "s")
	if len(agent) > 200 {
		agent = agent[:200]
	}
	return token, session{
		ID: id, Account: account, Boot: now.boot.ID, Born: now.boot.Since, Seen: now.boot.Since, At: clock.Format(now.Trusted), Remote: remote, Agent: agent,
	}, err
}

// Standing is what an account may at this moment, for work that goes on after its session: session is the public id of the session or
// API token that began it. ok is false when the account is over, or the token was revoked or is over; an ended session is no reason.
func (d *Desk) Standing(ctx context.Context, account, session string) (w Who, ok bool) {
	now := d.Now().Trusted
	w = Who{Account: account, Person: account, Session: session}
	err := d.State.View(func(tx *state.Tx) error {
		if strings.HasPrefix(session, "t-") {
			if err := tokens.Scan(tx, "", func(_ string, t apiToken) error {
				if t.ID == session && !over(t.EndsAt, now) {
					ok, w.Account, w.Person, w.Roles, w.Scopes = true, t.Account, t.CreatedBy, t.Roles, t.Scopes
					return state.ErrStop
				}
				return nil
			}); err != nil || !ok || w.Account == "" {
				return err
			}
		}
		a, found, err := accounts.Get(tx, w.Account)
		ok = found && a.state(now) == Active
		w.Roles = a.Roles
		return err
	})
	if err == nil {
		err = ctx.Err()
	}
	if err != nil || !ok {
		return Who{}, false
	}
	return w, true
}
