package root

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"sallyport/internal/attest"
	"sallyport/internal/canon"
	"sallyport/internal/code"
	"sallyport/internal/digest"
)

// Trusted is a trust root at one accepted version. Only First and Next make one. Whether its root id is the right one is for a
// person who compared words, or for a mark, to say.
type Trusted struct {
	doc      *Document
	keys     map[string]*attest.Key
	id       digest.Digest
	payload  digest.Digest
	envelope []byte
}

// New signs a document. Schema, Version and nil lists are filled, lists sorted, roles that are absent added empty. The result is
// checked as First or Next would, but for the signatures of an earlier version.
func New(doc Document, signers ...*attest.Signer) ([]byte, error) {
	doc.fill()
	if _, err := doc.check(); err != nil {
		return nil, fmt.Errorf("new trust root: %w", err)
	}
	payload, err := canon.Marshal(doc)
	if err != nil {
		return nil, fmt.Errorf("new trust root: %w", err)
	}
	return attest.Sign(attest.TypeRoot, payload, signers...)
}

func (d *Document) fill() {
	d.Schema, d.Version = attest.TypeRoot, 1
	roles := map[string]Role{}
	for _, name := range Roles() {
		roles[name] = Role{Threshold: 1, KeyIDs: []string{}}
	}
	for name, r := range d.Roles {
		roles[name] = Role{Threshold: r.Threshold, KeyIDs: ascending(r.KeyIDs)}
	}
	d.Roles = roles
	d.Keys = append([]KeyEntry{}, d.Keys...)
	slices.SortFunc(d.Keys, func(a, b KeyEntry) int { return compare(a.KeyID, b.KeyID) })
	for i := range d.Keys {
		d.Keys[i].Scope = Scope{Tenants: ascending(d.Keys[i].Scope.Tenants), Origins: ascending(d.Keys[i].Scope.Origins)}
	}
	d.Revoked = append([]Revocation{}, d.Revoked...)
	slices.SortFunc(d.Revoked, func(a, b Revocation) int { return compare(a.KeyID, b.KeyID) })
	d.FeedEpochs = append([]FeedEpoch{}, d.FeedEpochs...)
	slices.SortFunc(d.FeedEpochs, compareEpochs)
}

func compare(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// First accepts version 1: signed by its own threshold of root keys. It proves only that the document is one piece; whom it belongs
// to is judged by ID. Codes root, root-gap, root-threshold and those of attest.Verify and canon.Unmarshal.
//
// The time is the caller's one reading and refuses nothing here: an expired version lets its successor in, and a clock that stands
// at 1970 must not lock anyone out of the chain that would put it right. Fresh and Why judge dates.
func First(envelope []byte, _ time.Time) (*Trusted, error) {
	doc, keys, _, err := claim(envelope)
	if err != nil {
		return nil, err
	}
	if doc.RootVersion != 1 {
		return nil, code.New(code.RootGap, "").In("", "rootVersion").Want(1, doc.RootVersion)
	}
	payload, err := verify(envelope, doc, keys)
	if err != nil {
		return nil, err
	}
	return &Trusted{doc: doc, keys: keys, id: digest.Of(payload), payload: digest.Of(payload), envelope: slices.Clone(envelope)}, nil
}

// Next accepts version N+1 of the same root: signed by the threshold of N and by that of N+1. t does not change, and may have
// expired. The very version t stands at gives t again. Codes root, root-unknown (another root id), root-gap, root-rollback,
// root-threshold and those of attest.Verify and canon.Unmarshal. The time is as in First.
func (t *Trusted) Next(envelope []byte, _ time.Time) (*Trusted, error) {
	doc, keys, payload, err := claim(envelope)
	if err != nil {
		return nil, err
	}
	if id := digest.Of(payload); id == t.payload {
		return t, nil
	} else if doc.RootVersion > 1 {
		id = doc.RootID
		if id != t.id {
			return nil, code.New(code.RootUnknown, "").In("", "rootId").Want(t.id, id)
		}
	} else if id != t.id {
		return nil, code.New(code.RootUnknown, "").In("", "document").Want(t.id, id)
	}
	switch n := t.doc.RootVersion; {
	case doc.RootVersion <= n:
		return nil, code.New(code.RootRollback, "").In("", "rootVersion").Want(n+1, doc.RootVersion)
	case doc.RootVersion > n+1:
		return nil, code.New(code.RootGap, "").In("", "rootVersion").Want(n+1, doc.RootVersion)
	}
	if _, err := verify(envelope, t.doc, t.keys); err != nil {
		return nil, fmt.Errorf("signatures of version %d: %w", t.doc.RootVersion, err)
	}
	if _, err := verify(envelope, doc, keys); err != nil {
		return nil, fmt.Errorf("signatures of version %d: %w", doc.RootVersion, err)
	}
	return &Trusted{doc: doc, keys: keys, id: t.id, payload: digest.Of(payload), envelope: slices.Clone(envelope)}, nil
}

// Follow applies Next to each envelope in turn, at most MaxChain of them: code root-many.
func (t *Trusted) Follow(envelopes [][]byte, now time.Time) (*Trusted, error) {
	if len(envelopes) > MaxChain {
		return nil, code.New(code.RootMany, "").Want(fmt.Sprintf("at most %d", MaxChain), len(envelopes))
	}
	for _, e := range envelopes {
		next, err := t.Next(e, now)
		if err != nil {
			return nil, err
		}
		t = next
	}
	return t, nil
}

// claim reads what an envelope says before it is known whose keys to check it with: a root document carries its own.
func claim(envelope []byte) (*Document, map[string]*attest.Key, []byte, error) {
	c, err := attest.Inspect(envelope)
	if err != nil {
		return nil, nil, nil, err
	}
	if c.Type != attest.TypeRoot {
		return nil, nil, nil, code.New(code.PayloadType, "").Want(attest.TypeRoot, fmt.Sprintf("%.100q", c.Type))
	}
	doc, keys, err := parse(c.Payload)
	return doc, keys, c.Payload, err
}

// verify checks an envelope against the root role of doc. What fails for want of signatures is root-threshold.
func verify(envelope []byte, doc *Document, keys map[string]*attest.Key) ([]byte, error) {
	role := doc.Roles[RoleRoot]
	var able []*attest.Key
	for _, id := range role.KeyIDs {
		able = append(able, keys[id])
	}
	v, err := attest.Verify(envelope, attest.Policy{Types: []string{attest.TypeRoot}, Keys: able, Threshold: int(role.Threshold)})
	if code.Has(err, code.Threshold) || code.Has(err, code.SignerUnknown) || code.Has(err, code.NoSignature) {
		return nil, code.Wrap(code.RootThreshold, err, "").In("", "signatures")
	}
	if err != nil {
		return nil, err
	}
	return v.Payload(), nil
}

func (d *Document) entry(id string) *KeyEntry {
	for i := range d.Keys {
		if d.Keys[i].KeyID == id {
			return &d.Keys[i]
		}
	}
	return nil
}

// ID is the digest of version 1's payload: the fingerprint of the appliance.
func (t *Trusted) ID() digest.Digest { return t.id }

// Version is N.
func (t *Trusted) Version() int64 { return t.doc.RootVersion }

// Document is a copy of what it says; lists are shared and must not be changed.
func (t *Trusted) Document() Document {
	d := *t.doc
	d.Roles = maps.Clone(d.Roles)
	return d
}

// Envelope is the signed bytes this version was accepted from.
func (t *Trusted) Envelope() []byte { return slices.Clone(t.envelope) }

// PayloadDigest identifies this version: the digest of its payload, which for version 1 is ID.
func (t *Trusted) PayloadDigest() digest.Digest { return t.payload }
