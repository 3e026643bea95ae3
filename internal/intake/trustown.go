package intake

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"sallyport/internal/approval"
	"sallyport/internal/attest"
	"sallyport/internal/clock"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/keyring"
	"sallyport/internal/marks"
	"sallyport/internal/root"
	"sallyport/internal/state"
)

// ApplyKeys says yes to a change of our own keys and makes it once enough people have said so. Code two-persons while somebody
// else must agree; signing where the root key is neither here nor brought along.
func (r *Room) ApplyKeys(ctx context.Context, q KeyRequest) (KeyPlan, error) {
	d, err := digest.Parse(q.Approve)
	if err != nil {
		return KeyPlan{}, code.Wrap(code.BadUsage, err, "this is not the digest of a change")
	}
	if err := r.alone(ctx); err != nil {
		return KeyPlan{}, err
	}
	defer r.release()
	if err := r.recoverKeys(); err != nil { // one that was made is finished before another is
		return KeyPlan{}, err
	}
	var c ownChange
	err = r.State.View(func(tx *state.Tx) error {
		var ok bool
		if c, ok, err = ownChanges.Get(tx, d.Hex()); err == nil && !ok {
			err = code.New(code.Missing, "no change of our keys %s waits here", d).Do("List what waits with sallyport approvals list.")
		}
		return err
	})
	if err != nil {
		return KeyPlan{}, err
	}
	own, _, err := r.own()
	if err != nil {
		return KeyPlan{}, err
	}
	p, err := r.makeChange(ctx, &c, q, own)
	if err != nil {
		return KeyPlan{}, err
	}
	plan := r.keyPlan(c, p, own)
	if c.AppliedAt == "" {
		return plan, r.secondPerson(p)
	}
	r.FS.Point("keys.transaction")
	if err := r.settle(c); err != nil {
		return plan, fmt.Errorf("the change was made, and the next start finishes it: %w", err)
	}
	return plan, nil
}

// makeChange is the commit point: a yes, and when that is enough, the signed root, the approval used up, and the events.
func (r *Room) makeChange(ctx context.Context, c *ownChange, q KeyRequest, own *root.Trusted) (p approval.Plan, err error) {
	now := r.Marks.Now()
	envelope, unsigned := r.signChange(*c, own, q)
	was := *c
	err = r.State.Update(ctx, func(tx *state.Tx) (err error) {
		*c = was
		if p, err = r.agree(tx, r.keyProposal(*c, q), q.grant(), now.Trusted, c.attrs()); err != nil || !p.Enough() {
			return err
		}
		if unsigned != nil {
			return unsigned // also the yes is not kept: it comes again with the key
		}
		if p, err = approval.Use(tx, c.Digest, now.Trusted); err != nil {
			return err
		}
		c.AppliedAt, c.Envelope = clock.Format(now.Trusted), envelope
		if err := ownChanges.Put(tx, c.Digest.Hex(), *c); err != nil {
			return err
		}
		if _, err := r.Timeline.Append(tx, r.trustEvent("applied", p, q.Actor, c.attrs())); err != nil {
			return err
		}
		switch c.What {
		case "rotate":
			_, err = r.Timeline.Append(tx, r.keyEvent("rotated", *c, q.Actor, c.New))
		case "revoke":
			_, err = r.Timeline.Append(tx, r.keyEvent("revoked", *c, q.Actor, c.Old))
		}
		return err
	})
	if err != nil {
		*c = was
		return p, fmt.Errorf("change of keys: %w", err)
	}
	return p, nil
}

// signChange signs the root of a change with the root keys that are here and those brought along; nothing for a change without.
func (r *Room) signChange(c ownChange, own *root.Trusted, q KeyRequest) ([]byte, error) {
	if c.Document == nil {
		return nil, nil
	}
	if err := r.notForgotten(own); err != nil {
		return nil, err
	}
	if c.Version != own.Version()+1 {
		return nil, code.New(code.PlanChanged, "our trust root changed meanwhile").Want(c.Version-1, own.Version()).Do("Propose the change of keys again.")
	}
	var signers []*attest.Signer
	for _, pem := range q.RootKeys {
		s, err := keyring.ParseRoot(pem)
		if err != nil {
			return nil, err
		}
		signers = append(signers, s)
	}
	here, err := r.Keys.Root()
	if err == nil {
		signers = append(signers, here)
	}
	if len(signers) == 0 {
		return nil, code.Wrap(code.SigningKey, err, "the root key is not here").Do("Bring it along: --root-key FILE. It is read once and not kept.")
	}
	envelope, err := root.SignDraft(own, c.Document, signers...)
	if code.Has(err, code.RootThreshold) {
		return nil, code.Wrap(code.SigningKey, err, "these are not the root keys of this appliance, or too few of them").Do("Bring the right ones: --root-key FILE, once for each.")
	}
	return envelope, err
}

// settle does what follows from a change that was made; all of it may be done again.
func (r *Room) settle(c ownChange) error {
	if c.Envelope != nil {
		claim, err := attest.Inspect(c.Envelope)
		if err != nil {
			return err
		}
		id := digest.Of(claim.Payload)
		if s, ok := claimed("", c.Envelope); ok {
			id = s.id
		}
		if err := r.Keys.AddRoot(id, c.Version, c.Envelope); err != nil {
			return err
		}
		r.FS.Point("keys.root")
		if err := r.Marks.Raise(func(s *marks.Set) error {
			s.Roots[id.String()] = max(s.Roots[id.String()], c.Version)
			return nil
		}); err != nil {
			return fmt.Errorf("raise marks: %w", err)
		}
	}
	if c.What != "rotate" {
		return nil
	}
	var err error
	switch c.Kind {
	case keyAge:
		err = r.Keys.PromoteIdentity(c.New)
	case keyAppliance:
		err = r.Keys.Promote(keyring.ApplianceKey, c.New)
	case keyBundle:
		err = r.Keys.Promote(keyring.TenantKey(c.Tenant), c.New)
	}
	r.FS.Point("keys.promoted")
	return err
}

// Settle finishes the changes of our own keys that were made and met a full disk, as the next start would; a backup comes after
// it. While an import or another change of trust is under way it does nothing.
func (r *Room) Settle() error {
	select {
	case <-r.one:
		defer r.release()
		return r.recoverKeys()
	default:
		return nil
	}
}

// recoverKeys finishes the changes that were made before a crash, or before the disk was full. For each key the newest counts: those before it were finished
// when that one was proposed.
func (r *Room) recoverKeys() error {
	var made []ownChange
	err := r.State.View(func(tx *state.Tx) error {
		return ownChanges.Scan(tx, "", func(_ string, c ownChange) error {
			if c.AppliedAt != "" {
				made = append(made, c)
			}
			return nil
		})
	})
	if err != nil {
		return err
	}
	slices.SortStableFunc(made, func(a, b ownChange) int {
		if a.Version != b.Version {
			return int(a.Version - b.Version)
		}
		return strings.Compare(a.AppliedAt, b.AppliedAt)
	})
	last := map[string]int{}
	for i, c := range made {
		if c.What == "rotate" {
			last[c.Kind+"/"+c.Tenant] = i
		}
	}
	for i, c := range made {
		if c.What == "rotate" && last[c.Kind+"/"+c.Tenant] != i {
			c.What = "" // its root stays, its key was followed by another
		}
		if err := r.settle(c); err != nil {
			return fmt.Errorf("finish change of keys %s: %w", c.Digest.Short(), err)
		}
	}
	return nil
}

// keyPlan shows a change in plain values.
func (r *Room) keyPlan(c ownChange, p approval.Plan, own *root.Trusted) KeyPlan {
	k := KeyPlan{
		Digest: c.Digest.String(), Kind: c.Kind, What: c.What, Tenant: c.Tenant, Old: c.Old, New: c.New, From: own.Version(), To: own.Version(),
		Changes: c.Changes, Need: p.Need, People: people(p), ExpiresAt: p.ExpiresAt, Applied: c.AppliedAt != "",
	}
	if c.Version > 0 {
		k.From, k.To = c.Version-1, c.Version
		_, err := r.Keys.Root()
		k.Offline = err != nil && !k.Applied
	}
	switch {
	case k.Applied && c.Version > 0:
		k.Sentence = fmt.Sprintf("Done: %s. Our trust root is at version %d, said by %s. It travels with the next card, export and exchange; the others approve it there.", c.subject(), k.To, strings.Join(k.People, " and "))
	case k.Applied:
		k.Sentence = fmt.Sprintf("Done: %s, said by %s. It travels on the next card; until the others approve it they seal to the old one, which still opens.", c.subject(), strings.Join(k.People, " and "))
	default:
		k.Sentence = "Proposed: " + c.subject() + ". Nothing has changed yet."
	}
	return k
}

// KeyChanges are the lines of a change of our own keys, none for any other digest.
func (r *Room) KeyChanges(d digest.Digest) (lines []string, err error) {
	err = r.State.View(func(tx *state.Tx) error {
		c, _, err := ownChanges.Get(tx, d.Hex())
		lines = c.Changes
		return err
	})
	return lines, err
}
