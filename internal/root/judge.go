package root

import (
	"fmt"
	"slices"
	"time"

	"sallyport/internal/attest"
	"sallyport/internal/clock"
	"sallyport/internal/code"
	"sallyport/internal/units"
)

// Words is the root id as nine words for people.
func (t *Trusted) Words() string { return units.Words(t.id) }

// Fresh tells whether the document's own notAfter lies ahead: code root-expired. A zero now judges no date.
func (t *Trusted) Fresh(now time.Time) error {
	if end, err := clock.Parse(t.doc.NotAfter); !now.IsZero() && (err != nil || now.After(end)) {
		return code.New(code.RootExpired, "version %d ended at %s", t.doc.RootVersion, t.doc.NotAfter).In("", "notAfter").Want("before "+t.doc.NotAfter, clock.Format(now))
	}
	return nil
}

// All are all keys of the document, whatever their role, scope, dates and revocation, ascending by key id: to be verified against
// first and judged with Why afterwards, so that a refusal names its reason.
func (t *Trusted) All() (keys []*attest.Key) {
	for _, e := range t.doc.Keys {
		keys = append(keys, t.keys[e.KeyID])
	}
	return keys
}

// Key finds a key by its id, nil when the document has none.
func (t *Trusted) Key(keyid string) *attest.Key { return t.keys[keyid] }

// Keys are the keys that may act: those for which Why has no objection.
func (t *Trusted) Keys(role, tenant, origin string, now time.Time) (keys []*attest.Key) {
	for _, k := range t.All() {
		if t.Why(k.ID(), role, tenant, origin, now) == nil {
			keys = append(keys, k)
		}
	}
	return keys
}

// Threshold is how many distinct keys the role takes.
func (t *Trusted) Threshold(role string) int { return int(max(1, t.doc.Roles[role].Threshold)) }

// Why says why a key may not act in a role for a tenant and an origin at a time: nil, or signer-unknown, key-revoked, key-role,
// key-scope, key-expired, root-expired. An empty tenant or origin is not judged; a zero now judges no date, and then a revocation
// counts whenever it begins. A bundle key has the role `pack` too.
func (t *Trusted) Why(keyid, role, tenant, origin string, now time.Time) error {
	e := t.doc.entry(keyid)
	if e == nil {
		return code.New(code.SignerUnknown, "").Want("a key of the trust root", fmt.Sprintf("%.60q", keyid))
	}
	if err := t.revoked(keyid, now); err != nil {
		return err
	}
	able := slices.Contains(t.doc.Roles[role].KeyIDs, keyid)
	if role == RolePack {
		able = able || slices.Contains(t.doc.Roles[RoleBundle].KeyIDs, keyid)
	}
	if !able {
		return code.New(code.KeyRole, "key %s", keyid).Want("role "+role, "other roles")
	}
	if tenant != "" && !e.Scope.covers(e.Scope.Tenants, tenant) {
		return code.New(code.KeyScope, "key %s", keyid).Want("tenant "+fmt.Sprintf("%.40q", tenant), fmt.Sprintf("%q", e.Scope.Tenants))
	}
	if origin != "" && !e.Scope.covers(e.Scope.Origins, origin) {
		return code.New(code.KeyScope, "key %s", keyid).Want("origin "+fmt.Sprintf("%.60q", origin), fmt.Sprintf("%q", e.Scope.Origins))
	}
	end, err := clock.Parse(e.NotAfter)
	if !now.IsZero() && (err != nil || now.After(end)) || !e.starts(now) {
		return code.New(code.KeyExpired, "key %s", keyid).Want(e.NotBefore+" to "+e.NotAfter, clock.Format(now))
	}
	return t.Fresh(now)
}

func (e *KeyEntry) starts(now time.Time) bool {
	from, err := clock.Parse(e.NotBefore)
	return now.IsZero() || err == nil && !now.Before(from)
}

func (t *Trusted) revoked(keyid string, now time.Time) error {
	for _, r := range t.doc.Revoked {
		if from, err := clock.Parse(r.From); r.KeyID == keyid && (now.IsZero() || err != nil || !now.Before(from)) {
			return code.New(code.KeyRevoked, "key %s was revoked from %s on", keyid, r.From).In("", "revoked").Want("a key that is not revoked", keyid)
		}
	}
	return nil
}

func (Scope) covers(list []string, name string) bool {
	return slices.Contains(list, name) || len(list) == 1 && list[0] == Any
}

// FeedEpoch is the epoch the document names for a feed, and whether it names one.
func (t *Trusted) FeedEpoch(tenant, origin, feed string) (int64, bool) {
	for _, e := range t.doc.FeedEpochs {
		if e.Tenant == tenant && e.Origin == origin && e.Feed == feed {
			return e.Epoch, true
		}
	}
	return 0, false
}
