package verify

import (
	"fmt"
	"time"

	"sallyport/internal/attest"
	"sallyport/internal/bundle"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/root"
)

// Signed is any other signed paper that holds. Only Document makes one.
type Signed struct {
	payloadType string
	payload     []byte
	voice       voice
	root        *root.Trusted
}

// Type is the payload type.
func (s *Signed) Type() string { return s.payloadType }

// Payload is the verified payload; parse it with the function of its type.
func (s *Signed) Payload() []byte { return s.payload }

// ID is the digest of the payload.
func (s *Signed) ID() digest.Digest { return digest.Of(s.payload) }

// Signer is the key that signed it, nil for a trust root, which several may sign.
func (s *Signed) Signer() *attest.Key {
	if len(s.voice.keys) == 0 {
		return nil
	}
	return s.voice.keys[0]
}

// Root is the trust root it counts under, nil in key mode; for a trust root document the version that was verified.
func (s *Signed) Root() *root.Trusted { return s.root }

// Document verifies one signed paper by itself: card, receipt, inventory, anchor or trust root. Manifests and
// labels are not taken: they are verified with the bytes they speak of.
//
// A trust root is accepted as one of Options.Trust.Roots or as the direct successor of one. A card is signed by a key it
// names itself; that key still has to be trusted here.
func Document(envelope []byte, o Options) (*Signed, error) {
	claim, err := attest.Inspect(envelope)
	if err != nil {
		return nil, err
	}
	if claim.Type == attest.TypeRoot {
		return rootDocument(envelope, claim, o)
	}
	j := judge{trust: o.Trust, now: o.Now}
	v, err := j.envelope(envelope, "", attest.TypeCard, attest.TypeInventory, attest.TypeReceipt, attest.TypeAnchor)
	if err != nil {
		return nil, err
	}
	p, notAfter, err := speaks(v)
	if err != nil {
		return nil, err
	}
	voc, err := j.accept(v, p, "")
	if err != nil {
		return nil, err
	}
	if err := j.until(notAfter, ""); err != nil {
		return nil, err
	}
	if err := j.again(voc, p, ""); err != nil {
		return nil, err
	}
	return &Signed{payloadType: v.Type(), payload: v.Payload(), voice: voc, root: voc.root}, nil
}

// speaks parses a verified paper far enough to know for whom its signer must be allowed to speak.
func speaks(v *attest.Verified) (p purpose, notAfter string, err error) {
	switch v.Type() {
	case attest.TypeCard:
		c, err := bundle.ParseCard(v.Payload())
		if err != nil {
			return p, "", err
		}
		return purpose{roles: []string{root.RoleAppliance}, origin: c.Appliance.ID, rootID: c.RootID}, c.NotAfter, nil
	case attest.TypeInventory:
		i, err := bundle.ParseInventory(v.Payload())
		if err != nil {
			return p, "", err
		}
		return purpose{roles: []string{root.RoleAppliance}, origin: i.Issuer.ID}, "", nil
	case attest.TypeReceipt:
		r, err := bundle.ParseReceipt(v.Payload())
		if err != nil {
			return p, "", err
		}
		return purpose{roles: []string{root.RoleAppliance}, origin: r.Issuer.ID}, "", nil
	case attest.TypeAnchor:
		a, err := bundle.ParseAnchor(v.Payload())
		if err != nil {
			return p, "", err
		}
		_, err = anchorTime(a, "")
		return purpose{roles: []string{root.RoleAnchor}}, a.NotAfter, err
	}
	return p, "", code.New(code.PayloadType, "").Want("a card, inventory, receipt or anchor", fmt.Sprintf("%q", v.Type()))
}

// rootDocument accepts a trust root that is already trusted, or follows one that is.
func rootDocument(envelope []byte, claim *attest.Claim, o Options) (*Signed, error) {
	var why error
	id := digest.Of(claim.Payload)
	for _, t := range o.Trust.Roots {
		if c, err := attest.Inspect(t.Envelope()); err == nil && digest.Of(c.Payload) == id {
			return sameRoot(envelope, t, o)
		}
		next, err := t.Next(envelope, o.Now)
		if err == nil {
			return &Signed{payloadType: attest.TypeRoot, payload: claim.Payload, root: next}, nil
		}
		why = err
	}
	if why == nil {
		why = code.New(code.RootUnknown, "").Want("a trust root that is trusted here", id.Short())
	}
	return nil, why
}

// sameRoot checks the signatures of another copy of a root that is already trusted.
func sameRoot(envelope []byte, t *root.Trusted, o Options) (*Signed, error) {
	p := attest.Policy{Types: []string{attest.TypeRoot}, Keys: t.Keys(root.RoleRoot, "", "", time.Time{}), Threshold: int(t.Document().Roles[root.RoleRoot].Threshold)}
	v, err := attest.Verify(envelope, p)
	if err != nil {
		return nil, err
	}
	if err := t.Fresh(o.Now); err != nil {
		return nil, err
	}
	return &Signed{payloadType: attest.TypeRoot, payload: v.Payload(), root: t}, nil
}
