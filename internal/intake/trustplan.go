package intake

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"sallyport/internal/approval"
	"sallyport/internal/attest"
	"sallyport/internal/canon"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/peer"
	"sallyport/internal/root"
	"sallyport/internal/state"
)

// The kinds of plans in the approvals that are made here.
const (
	kindImport = "import"
	kindTrust  = "trust"
	kindKeys   = "keys"
)

// trustChange is what one medium would change in one peer.
type trustChange struct {
	plan  TrustPlan
	peer  peer.Peer
	from  *root.Trusted
	to    *root.Trusted
	roots [][]byte // envelopes that lead from one to the other
	card  *newCard // nil: the card stays
	id    digest.Digest
	why   error // it is refused
}

// signedTrust is what the digest of a change of trust is made of (bytes that would count, never how they are shown).
type signedTrust struct {
	What string `json:"what"`
	Site string `json:"site"`
	Peer string `json:"peer"` // appliance id
	Root string `json:"root"` // root id
	From string `json:"from"` // payload of the version held
	To   string `json:"to"`
	Card string `json:"card"` // payload of the changed card, "" for none
}

// Trust shows the changes of trust that lie on a medium. Nothing is stored. What is refused stands in its plan; the error is
// the medium's alone.
func (r *Room) Trust(ctx context.Context, q TrustRequest) (TrustResult, error) {
	changes, done, err := r.trustOn(ctx, q)
	if err != nil {
		return TrustResult{}, err
	}
	defer done()
	return trustResult(changes), nil
}

func trustResult(changes []*trustChange) TrustResult {
	res := TrustResult{Plans: []TrustPlan{}}
	for _, c := range changes {
		res.Plans = append(res.Plans, c.plan)
	}
	if len(changes) == 0 {
		res.Sentence = "No change of trust is on this medium. Nothing to do."
	}
	return res
}

// trustOn reads a medium and works out what it would change in each peer that is meant, those with nothing new left out.
func (r *Room) trustOn(ctx context.Context, q TrustRequest) (list []*trustChange, done func(), err error) {
	v, err := r.look(ctx, q.Path)
	if err != nil {
		return nil, nil, err
	}
	done = func() { v.medium.Close() }
	defer func() {
		if err != nil {
			done()
		}
	}()
	sheets, err := v.sheets()
	if err != nil {
		return nil, nil, err
	}
	named := false
	for _, p := range v.peers {
		if q.Peer != "" && p.Name != q.Peer {
			continue
		}
		named = true
		c, err := v.change(p, sheets)
		if err != nil {
			return nil, nil, err
		}
		if c != nil {
			list = append(list, c)
		}
	}
	if q.Peer != "" && !named {
		return nil, nil, code.New(code.Missing, "no peer %.40q", q.Peer)
	}
	slices.SortFunc(list, func(a, b *trustChange) int { return strings.Compare(a.plan.Peer, b.plan.Peer) })
	return list, done, r.asked(list)
}

// asked adds what people have said about the plans.
func (r *Room) asked(list []*trustChange) error {
	need := r.people()
	return r.State.View(func(tx *state.Tx) error {
		for _, c := range list {
			c.plan.Need = need
			if c.why != nil {
				continue
			}
			if err := c.restored(tx); err != nil {
				return err
			}
			p, err := approval.Get(tx, c.id)
			if code.Of(err) == code.Missing {
				continue
			}
			if err != nil {
				return err
			}
			c.plan.People, c.plan.ExpiresAt = people(p), p.ExpiresAt
		}
		return nil
	})
}

// people is how many must say yes to a change of trust.
func (r *Room) people() int {
	if r.SingleOperator {
		return 1
	}
	return 2
}

func people(p approval.Plan) (names []string) {
	for _, g := range p.Grants {
		names = append(names, g.Person)
	}
	return names
}

// change is what the medium would change in one peer, nil for nothing. What speaks against it is in why, and the error is about
// us or the medium.
func (v *visit) change(p peer.Peer, sheets []sheet) (*trustChange, error) {
	held := v.roots[p.RootID]
	c := &trustChange{peer: p, from: held, to: held, plan: TrustPlan{
		Peer: p.Name, ID: p.ID, Tenant: p.Tenant, Fingerprint: p.RootID.Hex(), From: held.Version(), To: held.Version(),
	}}
	next, taken, err := v.lineage(p.Roots, sheets)
	if err == nil {
		c.to, c.roots = next, taken
		c.card, err = v.changedCard(p, held, next)
		// A card that an old stick has is no news; only together with a newer root something is wrong with it.
		if code.Of(err) == code.CounterOld && len(taken) > 0 {
			c.card, err = nil, nil
		}
	}
	if err != nil {
		if !ofTrust(err) {
			return nil, err
		}
		c.refused(err)
		return c, nil
	}
	if len(c.roots) == 0 && c.card == nil {
		return nil, nil
	}
	return c, c.word(v.selfID)
}

// ofTrust tells an error about what is on the medium from one about the medium or this appliance.
func ofTrust(err error) bool {
	switch k := code.Lookup(code.Of(err)).Kind; code.Of(err) {
	case code.StateCorrupt, code.MediumRead:
		return false
	default:
		return k == code.Trust || k == code.Monotonic || k == code.Stale || k == code.Integrity || k == code.Usage
	}
}

func (c *trustChange) refused(err error) {
	c.why, c.card, c.roots = err, nil, nil
	c.plan.Code, c.plan.Reason, c.plan.Next = string(code.Of(err)), clean(err.Error()), code.NextStep(err)
	c.plan.Sentence = fmt.Sprintf("Refused, nothing was changed: what this medium says about the trust in %s cannot be followed (%s). %s", c.plan.Peer, upper(plainly(err)), c.plan.Next)
}

// plainly is the reason as a person reads it: the message of its own, else that of its code.
func plainly(err error) string {
	var e *code.Error
	if errors.As(err, &e) && e.Msg != "" {
		return clean(e.Msg)
	}
	return inShort(err)
}

// word puts the change in words and gives it its digest.
func (c *trustChange) word(site string) error {
	s := signedTrust{
		What: "sallyport/v1/trust", Site: site, Peer: c.peer.ID, Root: c.from.ID().String(),
		From: c.from.PayloadDigest().String(), To: c.to.PayloadDigest().String(),
	}
	c.plan.To = c.to.Version()
	c.plan.Changes = trustChanges(c.plan.Peer, c.from.Document(), c.to.Document())
	if c.card != nil {
		claim, err := attest.Inspect(c.card.envelope)
		if err != nil {
			return err
		}
		s.Card = digest.Of(claim.Payload).String()
		c.plan.Changes = append(c.plan.Changes, c.card.words(c.peer)...)
	}
	b, err := canon.Marshal(s)
	if err != nil {
		return fmt.Errorf("plan of trust: %w", err)
	}
	c.id = digest.Of(b)
	c.plan.Digest = c.id.String()
	c.plan.Sentence = fmt.Sprintf("%s changes %s. Compare this with what %s told you some other way than by this stick.", c.plan.Peer, c.what(), c.plan.Peer)
	return nil
}

// what is the change in a few words.
func (c *trustChange) what() string {
	var parts []string
	if len(c.roots) > 0 {
		parts = append(parts, fmt.Sprintf("its trust root from version %d to %d", c.plan.From, c.plan.To))
	}
	if c.card != nil {
		parts = append(parts, "the keys on its card")
	}
	return strings.Join(parts, " and ")
}
