// Package access is the ledger of people and programs that may come in, and the desk that lets them in.
//
// Data, tables of the state database; secrets are kept as hashes, except the secrets of authenticator apps, which a server
// must know (state.db is 0600, and trusted):
//
//	access.account    name → account: roles, argon2id hash, secret and steps of the authenticator app, hashes of recovery
//	                  codes, users of the operating system that are the same person, end date, invitation
//	access.session    hex SHA-256 of the token → session: account, boot id, begin and last request in seconds since boot
//	access.token      hex SHA-256 of the token → API token: account, scopes, end
//	access.recovered  16 digits → who opened a way in past all accounts, when and how; never deleted
//	access.card       "card" → recipient of the recovery identity, hash of the recovery card's code
//
// In memory alone, and gone with the daemon: set-up and recovery codes, one-time links, when a session last proved who it is,
// delays after failed attempts, counts of refusals that are not in the timeline yet. All of these, and the ages of sessions,
// go by clocks that nobody can set (monotonic, or since boot together with the boot id), so a wall clock at 1970 or 2099 ends no
// session and opens none. That is why sessions are our own: the usual libraries keep deadlines of the wall clock. What lives
// for days (end dates, invitations, API tokens) goes by trusted time, which never goes back.
//
// Order: a password is hashed before the transaction, never in it, one at a time; what was read before is read again in
// the transaction that lets somebody in, and a code is used up there. Every change writes its event in the same transaction.
// Unlike the ledgers beside it the desk opens transactions itself: it has no room above it, the doors call it. A crash leaves the
// state before or after a change; a session's last request may be a minute too old. On a full disk a sign-in still works: its
// session stays in memory, and Tick writes it when there is room.
package access

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"sallyport/internal/clock"
	"sallyport/internal/digest"
	"sallyport/internal/marks"
	"sallyport/internal/state"
	"sallyport/internal/timeline"
)

// The limits of 60-console-and-operations, "First run", and of 30-trust-and-time, "Access".
const (
	Idle     = 15 * time.Minute // a session without a request
	Absolute = 8 * time.Hour    // a session in any case
	Fresh    = 5 * time.Minute  // how long a proof counts for what asks for one

	setupLife   = 30 * time.Minute
	recoverLife = 15 * time.Minute
	linkLife    = 10 * time.Minute
	inviteLife  = 72 * time.Hour
	codeTries   = 5
)

// Appliance is what people see of this one: in the authenticator app and on the recovery card.
type Appliance struct {
	ID          string
	Name        string
	Fingerprint digest.Digest // root id
}

// Deps is what the desk works with. Boot, Cost and Log may be zero.
type Deps struct {
	State     *state.DB
	Timeline  *timeline.Log
	Now       func() marks.Reading
	Clock     clock.Clock
	Random    io.Reader
	Log       *slog.Logger // nil: says nothing
	Appliance Appliance
	Boot      func() Boot // nil: SystemBoot
	Cost      Cost        // of a password; zero: DefaultCost
}

// Desk lets people and programs in. Safe for concurrent use.
type Desk struct {
	Deps
	hash    *hasher
	delays  *delays
	denials *denials

	mu        sync.Mutex
	codes     map[string]*held         // open one-time codes by kind, links by kind and hash
	enrolling map[string]string        // secrets shown as QR codes and not confirmed yet, by what asked
	proofs    map[string]time.Duration // session key → Clock.Mono at its last proof
	seen      map[string]int64         // session key → seconds since boot at its last request, not written yet
	used      map[string]string        // token key → when it was last used, not written yet
	waiting   map[string]*unwritten    // sign-ins that a full disk keeps from the state, by session key
	spent     map[string]int64         // account → last step of an app that was used, where that could not be written
	burnt     map[string]bool          // hashes of recovery codes that were used, where that could not be written
}

// New makes a desk. Nothing is read or written.
func New(d Deps) *Desk {
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	if d.Boot == nil {
		d.Boot = SystemBoot
	}
	if d.Cost == (Cost{}) {
		d.Cost = DefaultCost()
	}
	return &Desk{
		Deps: d, hash: newHasher(d.Cost, d.Random), delays: newDelays(), denials: newDenials(),
		codes: map[string]*held{}, enrolling: map[string]string{}, proofs: map[string]time.Duration{}, seen: map[string]int64{},
		used: map[string]string{}, waiting: map[string]*unwritten{}, spent: map[string]int64{}, burnt: map[string]bool{},
	}
}

// Who came in: what the doors know of them.
type Who struct {
	Account string        // name of the console account; "" for an API token that belongs to none
	Person  string        // for approvals and timeline: the account, which is one person with the users linked to it; of a token: who made it
	Roles   Roles         // of this moment
	Scopes  []string      // of an API token; nil for a session
	Session string        // public id of session or token, never the secret
	Proven  time.Duration // Clock.Mono at the last proof of who it is
	Fresh   bool          // that proof was at most Fresh ago; only then Proven means anything
}

// By is who asks for a change.
type By struct {
	Name   string // for the timeline
	Host   bool   // root or the daemon's own user, on the socket
	Remote string // address of a browser; "" on the socket
}

// moment is one reading of all clocks.
type moment struct {
	marks.Reading
	mono time.Duration
	boot Boot
}

func (d *Desk) moment() moment { return moment{d.Now(), d.Clock.Mono(), d.Boot()} }

// doubtful tells whether this machine may not know the time.
func (m moment) doubtful() bool { return m.Suspect || m.Unproven || m.AtLeast }

// Clock is what the sign-in page says about the time.
type Clock struct {
	Wall    time.Time
	Trusted time.Time
	Doubt   string // a sentence where the clock cannot be right, else ""
}

// Reads tells the time for the sign-in page.
func (d *Desk) Reads() Clock {
	r := d.Now()
	c := Clock{Wall: r.Wall, Trusted: r.Trusted}
	if r.Suspect || r.Unproven {
		c.Doubt = fmt.Sprintf("This machine's clock reads %s. Codes from your phone may not match. Use a recovery code, or on the host: sallyport users recover",
			r.Wall.UTC().Format("2006-01-02 15:04"))
	}
	return c
}

// event writes one entry of the timeline; more is pairs of names and values, empty values left out.
func (d *Desk) event(tx *state.Tx, typ, actor, subject string, more ...string) error {
	attrs := map[string]string{}
	for i := 0; i+1 < len(more); i += 2 {
		if more[i+1] != "" {
			attrs[more[i]] = more[i+1]
		}
	}
	_, err := d.Timeline.Append(tx, timeline.Event{Type: typ, Actor: actor, Subject: subject, Attrs: attrs})
	return err
}

// view reads one account; ok is false when there is none.
func (d *Desk) view(name string) (a account, ok bool, err error) {
	err = d.State.View(func(tx *state.Tx) error {
		a, ok, err = accounts.Get(tx, name)
		return err
	})
	return a, ok, err
}

// Tick does what is due each minute, and at a stop: it writes refusals that were counted, sign-ins that a full disk kept from
// the state and the last requests of sessions, and sweeps what is over. A full disk is no error: it is tried again.
func (d *Desk) Tick(ctx context.Context) error {
	for _, step := range []func(context.Context) error{d.catchUp, d.tellDenials, d.writeSeen} {
		if err := roomy(step(ctx)); err != nil {
			return err
		}
	}
	return nil
}
