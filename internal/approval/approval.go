// Package approval is the ledger of plans that need people, and of who said yes to them.
//
// Data, one table of the state database:
//
//	approvals  digest of the plan → Plan: who proposed it, how many must agree, who did, until when
//
// Order: a room makes a plan, Propose stores its digest; people Approve or Deny that digest; the room that executes
// calls Use in the executing transaction, which checks everything again and lets a plan run once. A plan whose content
// changes has another digest and starts without grants. A crash leaves the plan as it was before or after.
package approval

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"sallyport/internal/clock"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/state"
)

// Plan is something that needs people: bound to the exact digest of what would happen.
type Plan struct {
	Digest    digest.Digest `json:"digest"`
	Tenant    string        `json:"tenant"`
	Kind      string        `json:"kind"`              // import, trust, …
	Subject   string        `json:"subject"`           // what a person sees
	Changes   []string      `json:"changes,omitempty"` // and the lines below it: what would change
	Proposer  string        `json:"proposer"`
	Need      int           `json:"need"` // people who must say yes
	Grants    []Grant       `json:"grants,omitempty"`
	Denied    *Grant        `json:"denied,omitempty"`
	CreatedAt string        `json:"createdAt"`
	ExpiresAt string        `json:"expiresAt"`
	UsedAt    string        `json:"usedAt,omitempty"`
	Over      string        `json:"over,omitempty"` // why nobody is asked any more, where it was neither used nor denied
}

// Grant is one person's word.
type Grant struct {
	Person string `json:"person"`
	Role   string `json:"role"`
	At     string `json:"at"`
	Reason string `json:"reason,omitempty"`
	// Lone says that the person is root that nobody signed in to start: it may be anyone, so it is never the second person.
	Lone bool `json:"lone,omitempty"`
	// OwnOnly says that the person is no approver: where two are asked, theirs is a yes to what they proposed themselves.
	OwnOnly bool `json:"ownOnly,omitempty"`
}

var plans = state.Table[Plan]{Name: "approvals"}

// Need is how many people must say yes: what the rule of the configuration (approvals.import: 0, 1 or 2) asks, or what
// this plan asks in any case (1: it removes more than 20 % of a feed; 2: trust, fast-forward), whichever is more.
func Need(rule, special int) int { return max(rule, special) }

// Enough tells whether the people who said yes are enough distinct persons; the proposer may be one of them, so where
// two are asked somebody else has agreed. A grant without a person counts for nobody.
func (p Plan) Enough() bool {
	people := map[string]bool{}
	for _, g := range p.Grants {
		if g.Person != "" {
			people[g.Person] = true
		}
	}
	return len(people) >= p.Need
}

// open is nil while people may still speak about the plan and it may run.
func (p Plan) open(at time.Time) error {
	expires, err := time.Parse(time.RFC3339, p.ExpiresAt)
	switch {
	case p.UsedAt != "":
		return code.New(code.Conflict, "plan %s was executed at %s", p.Digest.Short(), p.UsedAt)
	case p.Denied != nil:
		return code.New(code.Conflict, "plan %s was denied by %q", p.Digest.Short(), p.Denied.Person)
	case p.Over != "":
		return code.New(code.Conflict, "plan %s is over: %s", p.Digest.Short(), p.Over)
	case err != nil:
		return fmt.Errorf("plan %s: %w", p.Digest.Short(), err)
	case !at.Before(expires):
		return code.New(code.Conflict, "plan %s expired at %s", p.Digest.Short(), p.ExpiresAt)
	}
	return nil
}

// Propose stores a plan. Digest, Kind, Proposer and Need are the caller's; grants start empty. The same digest again
// gives the stored plan while it is open (a greater Need is taken over); one that was used, denied or expired starts anew.
func Propose(tx *state.Tx, p Plan, at time.Time, expire time.Duration) (Plan, error) {
	if p.Digest.IsZero() || p.Kind == "" || p.Need < 0 {
		return Plan{}, code.New(code.Bug, "propose: no digest, kind or count")
	}
	old, ok, err := plans.Get(tx, p.Digest.String())
	if err != nil {
		return Plan{}, err
	}
	if ok && old.open(at) == nil {
		old.Need = max(old.Need, p.Need)
		return old, put(tx, old)
	}
	p.Grants, p.Denied, p.UsedAt, p.Over = nil, nil, "", ""
	p.CreatedAt, p.ExpiresAt = clock.Format(at), clock.Format(at.Add(expire))
	return p, put(tx, p)
}

func put(tx *state.Tx, p Plan) error { return plans.Put(tx, p.Digest.String(), p) }

// Get reads a plan; code not-found.
func Get(tx *state.Tx, d digest.Digest) (Plan, error) {
	p, ok, err := plans.Get(tx, d.String())
	if err == nil && !ok {
		err = code.New(code.Missing, "no plan %s", d)
	}
	return p, err
}

// Open reads a plan about which people may still speak; codes not-found, and conflict with the plan when they may not.
func Open(tx *state.Tx, d digest.Digest, at time.Time) (Plan, error) { return getOpen(tx, d, at) }

func getOpen(tx *state.Tx, d digest.Digest, at time.Time) (Plan, error) {
	p, err := Get(tx, d)
	if err != nil {
		return Plan{}, err
	}
	return p, p.open(at)
}

// Approve adds a person's yes; saying it again changes nothing. Codes not-found, denied (no person, or no approver where two are
// asked), approval-needed (a lone root after somebody else), conflict (used, denied or expired).
func Approve(tx *state.Tx, d digest.Digest, g Grant, at time.Time) (Plan, error) {
	p, err := getOpen(tx, d, at)
	if err != nil {
		return Plan{}, err
	}
	if g.Person == "" {
		return Plan{}, code.New(code.Denied, "only a person can approve")
	}
	if slices.ContainsFunc(p.Grants, func(o Grant) bool { return o.Person == g.Person }) {
		return p, nil
	}
	second := p.Need > 1 && g.Person != p.Proposer
	if (g.Lone || g.OwnOnly && second) && p.Enough() {
		return p, nil // it only executes what people agreed to
	}
	if g.OwnOnly && second {
		return p, code.New(code.Denied, "plan %s was proposed by %q, and only an approver says yes to what somebody else proposed", d.Short(), p.Proposer).
			Do("Ask an approver.")
	}
	if g.Lone && len(p.Grants) > 0 {
		return p, code.New(code.PlanApproval, "root that nobody signed in to start may propose a plan, but is not the second person for plan %s", d).
			Do("Let the second person type it as themselves.")
	}
	g.At = clock.Format(at)
	p.Grants = append(p.Grants, g)
	return p, put(tx, p)
}

// Deny ends a plan. Codes as Approve.
func Deny(tx *state.Tx, d digest.Digest, g Grant, at time.Time) (Plan, error) {
	p, err := getOpen(tx, d, at)
	if err != nil {
		return Plan{}, err
	}
	if g.Person == "" {
		return Plan{}, code.New(code.Denied, "only a person can deny")
	}
	g.At = clock.Format(at)
	p.Denied = &g
	return p, put(tx, p)
}

// Use marks a plan as executed, in the executing transaction. Codes not-found, approval-needed, conflict.
func Use(tx *state.Tx, d digest.Digest, at time.Time) (Plan, error) {
	p, err := getOpen(tx, d, at)
	if err != nil {
		return Plan{}, err
	}
	if !p.Enough() {
		return Plan{}, code.New(code.PlanApproval, "plan %s", d.Short()).
			Want(fmt.Sprintf("%d people", p.Need), fmt.Sprintf("%d", len(p.Grants)))
	}
	p.UsedAt = clock.Format(at)
	return p, put(tx, p)
}

// Close ends a plan that there is nothing left to do for, and says why. One that is unknown or over stays as it is.
func Close(tx *state.Tx, d digest.Digest, why string) error {
	p, ok, err := plans.Get(tx, d.String())
	if err != nil || !ok || p.UsedAt != "" || p.Denied != nil || p.Over != "" {
		return err
	}
	p.Over = why
	return put(tx, p)
}

// List lists the plans of a tenant ("": all): first those neither used nor denied, then the others, newest first.
func List(tx *state.Tx, tenant string) (all []Plan, err error) {
	err = plans.Scan(tx, "", func(_ string, p Plan) error {
		if tenant == "" || p.Tenant == tenant {
			all = append(all, p)
		}
		return nil
	})
	over := func(p Plan) int {
		if p.UsedAt != "" || p.Denied != nil || p.Over != "" {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(all, func(a, b Plan) int {
		return cmp.Or(cmp.Compare(over(a), over(b)), cmp.Compare(b.CreatedAt, a.CreatedAt))
	})
	return all, err
}
