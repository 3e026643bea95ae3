package intake

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"sallyport/internal/approval"
	"sallyport/internal/attest"
	"sallyport/internal/canon"
	"sallyport/internal/clock"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/keyring"
	"sallyport/internal/marks"
	"sallyport/internal/root"
	"sallyport/internal/state"
	"sallyport/internal/timeline"
)

// The kinds of our own keys that can be exchanged.
const (
	keyBundle    = "bundle"
	keyAppliance = "appliance"
	keyAge       = "age"
	keyRoot      = "root" // not exchanged but renewed
)

// years is how much longer a renewed trust root is valid.
const years = 10

// overlap is how long an exchanged key stays valid: what was signed with it and is still on its way arrives by then.
const overlap = 90 * 24 * time.Hour

// ownChange is a change of our own keys, waiting or made.
//
// A rotation goes: the new key is on the disk, the plan is proposed, people agree; one transaction keeps the signed root and says
// that the change is made; then the root document is put beside the others, the key into its place, and the mark is raised. Those
// three may be done again at any time, so a crash between them is finished at the next start.
type ownChange struct {
	Digest    digest.Digest `json:"digest"`
	What      string        `json:"what"` // rotate, revoke, renew
	Kind      string        `json:"kind"`
	Tenant    string        `json:"tenant,omitempty"`
	Old       string        `json:"old,omitempty"`
	New       string        `json:"new,omitempty"`
	Version   int64         `json:"version"`            // of our root after it; 0: no new one
	Document  []byte        `json:"document,omitempty"` // payload of that version
	Envelope  []byte        `json:"envelope,omitempty"` // once it was made
	Changes   []string      `json:"changes"`
	Reason    string        `json:"reason"`
	CreatedAt string        `json:"createdAt"`
	AppliedAt string        `json:"appliedAt,omitempty"`
}

var ownChanges = state.Table[ownChange]{Name: "own-changes"}

// signedKeys is what the digest of a change of our own keys is made of.
type signedKeys struct {
	What     string `json:"what"`
	Site     string `json:"site"`
	Change   string `json:"change"`
	Kind     string `json:"kind"`
	Old      string `json:"old"`
	New      string `json:"new"`
	Document string `json:"document"` // digest of the payload, "" for none
	At       string `json:"at"`
}

// ProposeKeys makes the new key, if one is asked for, and proposes the change that puts it to use, with the yes of whoever
// proposes it. The same change that waits already is given back.
func (r *Room) ProposeKeys(ctx context.Context, q KeyRequest) (KeyPlan, error) {
	if strings.TrimSpace(q.Reason) == "" {
		return KeyPlan{}, code.New(code.BadUsage, "a change of keys needs a reason").Do("Say why with --reason.")
	}
	if err := r.alone(ctx); err != nil {
		return KeyPlan{}, err
	}
	defer r.release()
	if err := r.recoverKeys(); err != nil { // one that was made is finished before another is thought of
		return KeyPlan{}, err
	}
	now := r.Marks.Now()
	own, _, err := r.own()
	if err != nil {
		return KeyPlan{}, err
	}
	if err := r.notForgotten(own); err != nil {
		return KeyPlan{}, err
	}
	c, err := r.newChange(own, q, now)
	if err != nil {
		return KeyPlan{}, err
	}
	var p approval.Plan
	err = r.State.Update(ctx, func(tx *state.Tx) error {
		var fresh bool
		if p, fresh, err = r.waiting(tx, &c, now.Trusted); err != nil || !p.Digest.IsZero() {
			return err
		}
		if err := ownChanges.Put(tx, c.Digest.Hex(), c); err != nil {
			return err
		}
		if fresh && c.What == "rotate" {
			if _, err := r.Timeline.Append(tx, r.keyEvent("created", c, q.Actor, c.New)); err != nil {
				return err
			}
		}
		p, err = r.propose(tx, r.keyProposal(c, q), q.grant(), now.Trusted, c.attrs())
		return err
	})
	if err != nil {
		return KeyPlan{}, fmt.Errorf("propose change of keys: %w", err)
	}
	return r.keyPlan(c, p, own), nil
}

// notForgotten refuses to number a version of our root that was given out before: a restored disk forgets what it published.
func (r *Room) notForgotten(own *root.Trusted) error {
	if mark := r.Marks.Get().Roots[own.ID().String()]; mark > own.Version() {
		return code.New(code.RootRollback, "version %d of our own trust root was published, and this disk has version %d", mark, own.Version()).
			Want(mark, own.Version()).Do("Bring back the files of pub/roots from a newer backup, or from the folder roots of any medium that was written since.")
	}
	return nil
}

// waiting finds a change like c that people may still speak about, and puts it in c's place. fresh tells that the new key of c was
// in no change before.
func (r *Room) waiting(tx *state.Tx, c *ownChange, at time.Time) (found approval.Plan, fresh bool, err error) {
	fresh = true
	err = ownChanges.Scan(tx, "", func(_ string, o ownChange) error {
		fresh = fresh && o.New != c.New
		if o.AppliedAt != "" || o.What != c.What || o.Kind != c.Kind || o.Tenant != c.Tenant || o.Old != c.Old || o.New != c.New || o.Version != c.Version {
			return nil
		}
		if p, err := approval.Open(tx, o.Digest, at); err == nil {
			found, *c = p, o
		}
		return nil
	})
	return found, fresh, err
}

func (q KeyRequest) grant() approval.Grant {
	return approval.Grant{Person: q.Actor, Role: roleOf(q.Role), Reason: clean(q.Reason), Lone: q.Lone}
}

func (r *Room) keyProposal(c ownChange, q KeyRequest) approval.Plan {
	tenant := c.Tenant
	if tenant == "" {
		tenant = r.Self.Tenants[0]
	}
	return approval.Plan{Digest: c.Digest, Tenant: tenant, Kind: kindKeys, Subject: c.subject(), Proposer: q.Actor, Need: r.people()}
}

func (c ownChange) subject() string {
	if c.What == "revoke" {
		return "revoke our " + c.Kind + " key " + c.Old
	}
	if c.What == "renew" {
		return "renew our trust root until " + date(c.New)
	}
	return "exchange our " + c.Kind + " key for " + c.New
}

func (c ownChange) attrs() map[string]string {
	a := map[string]string{"subject": "keys/" + c.Kind, "change": c.subject(), "reason": c.Reason, "before": c.Old}
	if c.New != "" {
		a["after"] = c.New
	}
	if c.Version > 0 {
		a["rootVersion"] = fmt.Sprintf("%d to %d", c.Version-1, c.Version)
	}
	return a
}

func (r *Room) keyEvent(what string, c ownChange, actor, subject string) timeline.Event {
	attrs := map[string]string{"kind": c.Kind, "plan": c.Digest.String(), "reason": c.Reason}
	if what == "rotated" {
		attrs["before"] = c.Old
	}
	return timeline.Event{Type: "key." + what, Tenant: c.Tenant, Actor: actor, Subject: subject, Attrs: attrs}
}

// newChange works out what a change would be. A new key is durable when it returns.
func (r *Room) newChange(own *root.Trusted, q KeyRequest, now marks.Reading) (c ownChange, err error) {
	c = ownChange{What: "rotate", Kind: q.Kind, Tenant: q.Tenant, Reason: clean(q.Reason), CreatedAt: clock.Format(now.Trusted)}
	switch {
	case q.KeyID != "" && q.Kind == "":
		c.What, c.Old = "revoke", q.KeyID
		err = r.revocation(own, &c, now)
	case q.Kind == keyAge:
		err = r.newRecipient(&c)
	case q.Kind == keyRoot:
		c.What = "renew"
		err = r.renewal(own, &c, now)
	case q.Kind == keyBundle || q.Kind == keyAppliance:
		err = r.rotation(own, &c, q, now)
	default:
		err = code.New(code.BadUsage, "which key").Want("bundle, appliance or age", fmt.Sprintf("%.40q", q.Kind))
	}
	if err != nil {
		return c, err
	}
	s := signedKeys{What: "sallyport/v1/keys", Site: r.Self.ID, Change: c.What, Kind: c.Kind, Old: c.Old, New: c.New, At: c.CreatedAt}
	if c.Document != nil {
		s.Document = digest.Of(c.Document).String()
	}
	b, err := canon.Marshal(s)
	c.Digest = digest.Of(b)
	return c, err
}

// rotation is the root that names a new bundle or appliance key beside the one in use, which ends after the overlap.
func (r *Room) rotation(own *root.Trusted, c *ownChange, q KeyRequest, now marks.Reading) error {
	name, role := keyring.ApplianceKey, root.RoleAppliance
	inUse := r.Keys.Appliance
	if c.Kind == keyBundle {
		tenant, err := r.oneTenant(c.Tenant)
		if err != nil {
			return err
		}
		c.Tenant, name, role = tenant, keyring.TenantKey(tenant), root.RoleBundle
		inUse = func() (*attest.Signer, error) { return r.Keys.Bundle(tenant) }
	} else if c.Tenant != "" {
		return code.New(code.BadUsage, "an appliance key belongs to no tenant").Do("Leave --tenant out.")
	}
	old, err := inUse()
	if err != nil {
		return err
	}
	next, err := r.Keys.Prepare(name, r.Random)
	if err != nil {
		return err
	}
	c.Old, c.New = old.Public().ID(), next.Public().ID()
	long := overlap
	if q.Overlap > 0 {
		long = time.Duration(q.Overlap) * time.Second
	}
	return c.draft(own, r.Self.Name, func(d *root.Document) error {
		e := entryOf(*d, c.Old)
		if e == nil {
			return code.New(code.SigningKey, "the key in use is not in our own trust root").Want(c.Old, "other keys")
		}
		scope, end := e.Scope, issued(now).Add(long)
		if last, err := clock.Parse(e.NotAfter); err == nil && end.Before(last) {
			e.NotAfter = clock.Format(end)
		}
		from, err := clock.Parse(e.NotBefore)
		if err != nil {
			return err
		}
		last, err := clock.Parse(d.NotAfter)
		if err != nil {
			return err
		}
		d.Keys = append(d.Keys, root.Entry(next.Public(), scope, from, last))
		roles := d.Roles[role]
		roles.KeyIDs = append(roles.KeyIDs, c.New)
		d.Roles[role] = roles
		return nil
	})
}

// renewal is the root with a later end, for itself and for the keys that were to last as long as it.
func (r *Room) renewal(own *root.Trusted, c *ownChange, now marks.Reading) error {
	if c.Tenant != "" {
		return code.New(code.BadUsage, "the trust root belongs to no tenant").Do("Leave --tenant out.")
	}
	before := own.Document()
	end := issued(now).AddDate(years, 0, 0)
	c.Old, c.New = before.NotAfter, clock.Format(end)
	if last, err := clock.Parse(before.NotAfter); err == nil && end.Sub(last) < 30*24*time.Hour {
		return code.New(code.Conflict, "our trust root is valid until %s", date(before.NotAfter)).Do("Nothing to do yet.")
	}
	return c.draft(own, r.Self.Name, func(d *root.Document) error {
		d.NotAfter = c.New
		for i := range d.Keys {
			if d.Keys[i].NotAfter >= before.NotAfter {
				d.Keys[i].NotAfter = c.New
			}
		}
		return nil
	})
}

func (r *Room) oneTenant(name string) (string, error) {
	if name == "" && len(r.Self.Tenants) == 1 {
		return r.Self.Tenants[0], nil
	}
	if !slices.Contains(r.Self.Tenants, name) {
		return "", code.New(code.BadUsage, "whose bundle key").Want(strings.Join(r.Self.Tenants, ", "), fmt.Sprintf("%.40q", name)).Do("Name the tenant with --tenant.")
	}
	return name, nil
}

// revocation is the root that ends a key from now on.
func (r *Room) revocation(own *root.Trusted, c *ownChange, now marks.Reading) error {
	d := own.Document()
	switch e := entryOf(d, c.Old); {
	case e == nil:
		return code.New(code.Missing, "our trust root has no key %.60q", c.Old).Do("List them with sallyport keys list.")
	case slices.ContainsFunc(d.Revoked, func(x root.Revocation) bool { return x.KeyID == c.Old }):
		return code.New(code.Conflict, "key %s is revoked already", c.Old).Do("Nothing to do.")
	case slices.Contains(d.Roles[root.RoleRoot].KeyIDs, c.Old):
		return code.New(code.BadUsage, "a root key is not revoked but replaced").Want("a bundle, appliance or anchor key", c.Old)
	}
	inUse, err := r.inUse(c.Old)
	if err != nil {
		return err
	}
	if inUse != "" {
		return code.New(code.BadUsage, "key %s is in use", c.Old).Do("Exchange it first: sallyport keys rotate " + inUse + " --reason REASON.")
	}
	for _, role := range []string{root.RoleBundle, root.RoleAppliance, root.RoleAnchor, root.RolePack, root.RoleRelease} {
		if slices.Contains(d.Roles[role].KeyIDs, c.Old) {
			c.Kind = role
		}
	}
	return c.draft(own, r.Self.Name, func(d *root.Document) error {
		d.Revoked = append(d.Revoked, root.Revocation{KeyID: c.Old, From: clock.Format(now.Trusted)})
		return nil
	})
}

// inUse tells which of our keys has an id: the word for `keys rotate`, "" for none.
func (r *Room) inUse(keyid string) (string, error) {
	s, err := r.Keys.Appliance()
	if err != nil {
		return "", err
	}
	if s.Public().ID() == keyid {
		return keyAppliance, nil
	}
	for _, t := range r.Self.Tenants {
		s, err := r.Keys.Bundle(t)
		if err != nil {
			return "", err
		}
		if s.Public().ID() == keyid {
			return keyBundle + " --tenant " + t, nil
		}
	}
	return "", nil
}

// draft puts the next version of our root into a change, signed by nobody yet: its payload is what people agree to.
func (c *ownChange) draft(own *root.Trusted, name string, change func(*root.Document) error) error {
	payload, next, err := root.Draft(own, change)
	if err != nil {
		return err
	}
	c.Version, c.Document, c.Changes = next.RootVersion, payload, trustChanges(name, own.Document(), next)
	return nil
}

// newRecipient makes the identity that follows the newest.
func (r *Room) newRecipient(c *ownChange) error {
	if c.Tenant != "" {
		return code.New(code.BadUsage, "the encryption key belongs to no tenant").Do("Leave --tenant out.")
	}
	old, err := r.Keys.Recipient()
	if err != nil {
		return err
	}
	next, err := r.Keys.PrepareIdentity(old.Hybrid())
	if err != nil {
		return err
	}
	c.Old, c.New = old.String(), next.String()
	c.Changes = []string{fmt.Sprintf("encryption key (age recipient): %s → %s; the old identity is kept for reading", c.Old, c.New)}
	return nil
}
