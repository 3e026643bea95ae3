package intake

import (
	"context"
	"fmt"
	"strings"
	"time"

	"sallyport/internal/approval"
	"sallyport/internal/clock"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/marks"
	"sallyport/internal/peer"
	"sallyport/internal/state"
	"sallyport/internal/timeline"
)

// ApplyTrust proposes the changes of trust on a medium, or, with Approve, says yes to one and makes it once enough people have
// said so. The error is the first refusal, or two-persons while somebody else must agree; the result is filled either way.
func (r *Room) ApplyTrust(ctx context.Context, q TrustRequest) (TrustResult, error) {
	if err := r.alone(ctx); err != nil {
		return TrustResult{}, err
	}
	defer r.release()
	changes, done, err := r.trustOn(ctx, q)
	if err != nil {
		return TrustResult{}, err
	}
	defer done()
	if q.Approve != "" {
		c, err := r.chosen(changes, q.Approve)
		if err != nil {
			return trustResult(changes), err
		}
		err = r.applyTrust(ctx, c, q)
		return trustResult([]*trustChange{c}), err
	}
	for _, c := range changes {
		if c.why == nil {
			if err := r.proposeTrust(ctx, c, q); err != nil {
				return trustResult(changes), err
			}
		}
	}
	res := trustResult(changes)
	for _, c := range changes {
		if c.why != nil {
			return res, c.why
		}
	}
	return res, nil
}

// alone waits for the right to change what imports rest on.
func (r *Room) alone(ctx context.Context) error {
	select {
	case <-r.one:
		return nil
	case <-ctx.Done():
		return code.Wrap(code.Interrupted, ctx.Err(), "wait for the import before this one")
	}
}

func (r *Room) release() { r.one <- struct{}{} }

// chosen finds the change that an approval names.
func (r *Room) chosen(changes []*trustChange, typed string) (*trustChange, error) {
	var others []string
	for _, c := range changes {
		if c.plan.Digest == typed {
			return c, nil
		}
		if c.why != nil {
			return nil, c.why
		}
		others = append(others, c.plan.Digest)
	}
	if d, err := digest.Parse(typed); err == nil {
		var p approval.Plan
		if err := r.State.View(func(tx *state.Tx) (err error) { p, err = approval.Get(tx, d); return err }); err == nil && p.UsedAt != "" {
			return nil, code.New(code.Conflict, "this change of trust was made already, at %s", p.UsedAt).Do("Nothing to do.")
		}
	}
	return nil, code.New(code.PlanChanged, "no change of trust on this medium has this digest").
		Want(fmt.Sprintf("%.80q", typed), strings.Join(others, ", ")).Do("Look at what is on the medium now: sallyport trust plan MEDIUM.")
}

func (c *trustChange) proposal(r *Room, q TrustRequest) approval.Plan {
	return approval.Plan{Digest: c.id, Tenant: c.peer.Tenant, Kind: kindTrust, Subject: c.peer.Name + ": " + c.what(), Changes: c.plan.Changes, Proposer: q.Actor, Need: r.people()}
}

func (q TrustRequest) grant() approval.Grant {
	return approval.Grant{Person: q.Actor, Role: roleOf(q.Role), Reason: clean(q.Reason), Lone: q.Lone}
}

func roleOf(role string) string {
	if role == "" {
		return "operator"
	}
	return role
}

// proposeTrust writes a plan down with the yes of whoever proposes it. A plan that waits already stays as it is.
func (r *Room) proposeTrust(ctx context.Context, c *trustChange, q TrustRequest) error {
	at := r.Marks.Now().Trusted
	var p approval.Plan
	err := r.State.Update(ctx, func(tx *state.Tx) (err error) {
		p, err = r.propose(tx, c.proposal(r, q), q.grant(), at, c.attrs(r, q))
		return err
	})
	if err != nil {
		return fmt.Errorf("propose change of trust in %s: %w", c.peer.Name, err)
	}
	c.plan.People, c.plan.ExpiresAt = people(p), p.ExpiresAt
	return nil
}

// propose stores a plan that waits for people, with the first yes and its event; one that waits already is given back.
func (r *Room) propose(tx *state.Tx, p approval.Plan, g approval.Grant, at time.Time, attrs map[string]string) (approval.Plan, error) {
	if old, err := approval.Open(tx, p.Digest, at); err == nil {
		return old, nil
	}
	if _, err := approval.Propose(tx, p, at, r.Expire); err != nil {
		return p, err
	}
	p, err := approval.Approve(tx, p.Digest, g, at)
	if err != nil {
		return p, err
	}
	_, err = r.Timeline.Append(tx, r.trustEvent("proposed", p, g.Person, attrs))
	return p, err
}

// trustEvent is one line of the audit of trust.
func (r *Room) trustEvent(what string, p approval.Plan, actor string, attrs map[string]string) timeline.Event {
	all := map[string]string{"plan": p.Digest.String(), "need": fmt.Sprint(p.Need), "people": strings.Join(people(p), ", ")}
	for k, v := range attrs {
		all[k] = v
	}
	delete(all, "subject") // it is the event's own
	return timeline.Event{Type: "trust.rotation." + what, Tenant: p.Tenant, Actor: actor, Subject: attrs["subject"], Attrs: all}
}

// attrs are what events say about a change.
func (c *trustChange) attrs(_ *Room, q TrustRequest) map[string]string {
	a := map[string]string{
		"subject": "peer/" + c.peer.Name, "change": c.what(), "rootVersion": fmt.Sprintf("%d to %d", c.plan.From, c.plan.To), "appliance": c.peer.ID,
		"fingerprint": c.plan.Fingerprint, "before": c.from.PayloadDigest().String(), "after": c.to.PayloadDigest().String(),
	}
	if q.Reason != "" {
		a["reason"] = clean(q.Reason)
	}
	for i, line := range c.plan.Changes {
		if i == 64 {
			a["line/more"] = fmt.Sprint(len(c.plan.Changes)-i, " more lines")
			break
		}
		a[fmt.Sprintf("line/%02d", i)] = line
	}
	return a
}

// applyTrust says yes to a change and makes it when that is enough.
func (r *Room) applyTrust(ctx context.Context, c *trustChange, q TrustRequest) error {
	now := r.Marks.Now()
	var p approval.Plan
	var again timeReset
	err := r.State.Update(ctx, func(tx *state.Tx) (err error) {
		again = timeReset{}
		if p, err = r.agree(tx, c.proposal(r, q), q.grant(), now.Trusted, c.attrs(r, q)); err != nil || !p.Enough() {
			return err
		}
		if p, err = approval.Use(tx, c.id, now.Trusted); err != nil {
			return err
		}
		if err := r.storeTrust(tx, c); err != nil {
			return err
		}
		if again, err = r.resetTime(tx, c, now); err != nil {
			return err
		}
		_, err = r.Timeline.Append(tx, r.trustEvent("applied", p, q.Actor, c.attrs(r, q)))
		return err
	})
	if err != nil {
		return fmt.Errorf("change of trust in %s: %w", c.peer.Name, err)
	}
	c.plan.People, c.plan.ExpiresAt = people(p), p.ExpiresAt
	if p.UsedAt == "" {
		return r.secondPerson(p)
	}
	r.FS.Point("trust.transaction")
	c.plan.Applied = true
	c.plan.Sentence = fmt.Sprintf("Done: trust in %s is at root version %d, said by %s.", c.peer.Name, c.plan.To, strings.Join(c.plan.People, " and "))
	err = r.raiseTrust(c.marks(), again)
	r.FS.Point("trust.marks")
	return stands("the change of trust was made", err)
}

// agree adds a person's yes to a plan, which is proposed with it when nobody did.
func (r *Room) agree(tx *state.Tx, p approval.Plan, g approval.Grant, at time.Time, attrs map[string]string) (approval.Plan, error) {
	before, err := approval.Open(tx, p.Digest, at)
	if code.Of(err) == code.Missing || code.Of(err) == code.Conflict && before.UsedAt == "" && before.Denied == nil {
		return r.propose(tx, p, g, at, attrs)
	}
	if err != nil {
		return before, err
	}
	after, err := approval.Approve(tx, p.Digest, g, at)
	if err != nil || len(after.Grants) == len(before.Grants) {
		return after, err
	}
	_, err = r.Timeline.Append(tx, r.trustEvent("approved", after, g.Person, attrs))
	return after, err
}

// secondPerson tells that somebody else must agree.
func (r *Room) secondPerson(p approval.Plan) error {
	return code.New(code.TrustTwoPersons, "%s has said yes, and a change of trust needs %d people", strings.Join(people(p), ", "), p.Need).
		Want(fmt.Sprint(p.Need, " people"), len(p.Grants))
}

// storeTrust makes the peer what the change says. Anything else that changed it meanwhile ends the plan.
func (r *Room) storeTrust(tx *state.Tx, c *trustChange) error {
	_, err := peer.Edit(tx, c.peer.Name, func(p *peer.Peer) error {
		if len(p.Roots) != len(c.peer.Roots) || p.RootID != c.peer.RootID || p.Recipient != c.peer.Recipient {
			return code.New(code.PlanChanged, "trust in %s changed meanwhile", p.Name).Want(fmt.Sprint("version ", c.plan.From), len(p.Roots))
		}
		p.Roots = append(p.Roots[:len(p.Roots):len(p.Roots)], c.roots...)
		if c.card != nil {
			counters := p.Counters
			p.Counters = map[string]int64{}
			for k, n := range counters {
				p.Counters[k] = n
			}
			recordCard(p, c.card.card, c.card.envelope)
		}
		return nil
	})
	return err
}

// trustMarks are what a change raises.
type trustMarks struct {
	rootID  digest.Digest
	version int64
	peer    string // appliance id
	card    int64  // counter
}

func (c *trustChange) marks() trustMarks {
	m := trustMarks{rootID: c.to.ID(), version: c.to.Version(), peer: c.peer.ID}
	if c.card != nil {
		m.card = c.card.card.Counter
	}
	return m
}

func (r *Room) raiseTrust(m trustMarks, again timeReset) error {
	err := r.Marks.Raise(func(s *marks.Set) error {
		s.Roots[m.rootID.String()] = max(s.Roots[m.rootID.String()], m.version)
		if m.card > 0 {
			key := marks.CounterKey("card", m.peer)
			s.Counters[key] = max(s.Counters[key], m.card)
		}
		return nil
	})
	if err != nil || again.Epoch == 0 {
		return err
	}
	return again.apply(r.Marks)
}

// timeReset is a trusted time that a change of trust set anew; the newest is kept, and made again after a crash.
type timeReset struct {
	Epoch int64  `json:"epoch"` // of the marks, counted here
	At    string `json:"at"`
}

var timeResets = state.Table[timeReset]{Name: "intake.time"}

// resetTime notes, in the transaction of a change whose root raises its time epoch, where time goes on from: what this machine's
// clock reads, but no earlier than the newest card of the peer was signed, and no later than it was before: this is the way back,
// and a clock moves nothing forward.
func (r *Room) resetTime(tx *state.Tx, c *trustChange, now marks.Reading) (t timeReset, err error) {
	if c.to.Document().TimeEpoch <= c.from.Document().TimeEpoch {
		return t, nil
	}
	at := now.Wall
	if card, _, ok := parseCard(c.peer.Card); ok && issuedAt(card).After(at) {
		at = issuedAt(card)
	}
	if at.After(now.Trusted) {
		at = now.Trusted
	}
	t = timeReset{Epoch: r.Marks.Get().TimeEpoch + 1, At: clock.Format(at)}
	return t, timeResets.Put(tx, "last", t)
}

func (t timeReset) apply(m *marks.Marks) error {
	at, err := clock.Parse(t.At)
	if err != nil {
		return fmt.Errorf("time epoch %d: %w", t.Epoch, err)
	}
	return m.NewTimeEpoch(t.Epoch, at)
}

// recoverTrust raises the marks to what was committed before a crash, and finishes changes of our own keys.
func (r *Room) recoverTrust(context.Context) error {
	var raise []trustMarks
	var reset timeReset
	err := r.State.View(func(tx *state.Tx) error {
		list, err := peer.List(tx)
		for _, p := range list {
			raise = append(raise, trustMarks{rootID: p.RootID, version: int64(len(p.Roots)), peer: p.ID, card: p.Counters["card"]})
		}
		if err != nil {
			return err
		}
		reset, _, err = timeResets.Get(tx, "last")
		return err
	})
	if err != nil {
		return err
	}
	own, _, err := r.own()
	if err != nil {
		return err
	}
	raise = append(raise, trustMarks{rootID: own.ID(), version: own.Version()}) // a restore signs one
	for _, m := range raise {
		if err := r.raiseTrust(m, timeReset{}); err != nil {
			return err
		}
	}
	if reset.Epoch > 0 {
		if err := reset.apply(r.Marks); err != nil {
			return err
		}
	}
	return r.recoverKeys()
}
