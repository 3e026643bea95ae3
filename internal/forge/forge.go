// Package forge makes complete bundles for tests: signed, packed, sealed, cut, with labels and sheets, whole or with exactly
// one defect injected at any stage.
//
// Data: none. A World holds the identities a test needs (hub, site, stranger), all derived from a seed. A Plan says what
// a bundle holds and carries the hooks; Build turns it into the files of a medium:
//
//	records ─► contents ─► manifest ─► envelope ─► members ─► tar ─► zstd ─► seal ─► volumes ─► sheets ─► label ─► files
//	           Contents    Manifest    Envelope    Members    Tar    Zstd    Seal    Volumes    Sheets    Label    Files
//	                       Payload                                                                        LabelPayload
//	                                                                                                      LabelEnvelope
//
// Order: each hook sees the finished output of its stage and may replace it; everything after it is made from what the hook
// returned, so one defect stays one defect. The same seed and plan give the same payload bytes; sealed bytes differ, as age
// is randomised. Test-only: no package of the product imports it.
package forge

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"time"

	"sallyport/internal/attest"
	"sallyport/internal/bundle"
	"sallyport/internal/canon"
	"sallyport/internal/clock"
	"sallyport/internal/ident"
	"sallyport/internal/root"
	"sallyport/internal/seal"
)

// Epoch is the time at which every forged world begins.
func Epoch() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

// Appliance is one appliance with all its secrets.
type Appliance struct {
	Name, ID  string
	Key       *attest.Signer // appliance key, Ed25519
	Bundle    *attest.Signer // tenant bundle key, ECDSA P-256
	Anchor    *attest.Signer
	RootKey   *attest.Signer
	Identity  seal.Identity // age; made by the module's own randomness
	RootEnv   []byte        // trust root version 1
	Root      *root.Trusted
	RootDoc   root.Document
	CardEnv   []byte
	Tenant    string
	notAfter  time.Time
	notBefore time.Time
}

// World is the cast of a test.
type World struct {
	Hub, Site, Stranger *Appliance
	Dare                seal.DareKey
}

// NewWorld makes a world; the same seed gives the same keys and ids, but for the age identities.
func NewWorld(seed uint64) (*World, error) {
	w := &World{}
	var err error
	for i, a := range []struct {
		name string
		to   **Appliance
	}{{"hub", &w.Hub}, {"site", &w.Site}, {"stranger", &w.Stranger}} {
		if *a.to, err = NewAppliance(a.name, "acme", Random(seed*16+uint64(i))); err != nil {
			return nil, fmt.Errorf("forge %s: %w", a.name, err)
		}
	}
	w.Dare, err = seal.NewDareKey(Random(seed*16 + 15))
	return w, err
}

// NewAppliance makes an appliance with one tenant, its trust root and its card.
func NewAppliance(name, tenant string, random io.Reader) (*Appliance, error) {
	a := &Appliance{Name: name, Tenant: tenant, notBefore: Epoch().AddDate(-1, 0, 0), notAfter: Epoch().AddDate(10, 0, 0)}
	for _, k := range []struct {
		alg string
		to  **attest.Signer
	}{{attest.Ed25519, &a.Key}, {attest.ECDSA, &a.Bundle}, {attest.Ed25519, &a.Anchor}, {attest.Ed25519, &a.RootKey}} {
		s, err := attest.NewSigner(k.alg, random)
		if err != nil {
			return nil, err
		}
		*k.to = s
	}
	a.ID = ident.ApplianceID(a.Key.Public().Raw())
	var err error
	if a.Identity, err = seal.NewIdentity(false); err != nil {
		return nil, err
	}
	a.RootDoc = a.rootDoc()
	if a.RootEnv, err = root.New(a.RootDoc, a.RootKey); err != nil {
		return nil, err
	}
	if a.Root, err = root.First(a.RootEnv, time.Time{}); err != nil {
		return nil, err
	}
	a.CardEnv, err = a.card()
	return a, err
}

func (a *Appliance) rootDoc() root.Document {
	own := root.Scope{Tenants: []string{a.Tenant}, Origins: []string{a.ID}}
	entry := func(s *attest.Signer) root.KeyEntry { return root.Entry(s.Public(), own, a.notBefore, a.notAfter) }
	role := func(s *attest.Signer) root.Role { return root.Role{Threshold: 1, KeyIDs: []string{s.Public().ID()}} }
	return root.Document{
		RootVersion: 1,
		Roles: map[string]root.Role{
			root.RoleRoot: role(a.RootKey), root.RoleBundle: role(a.Bundle),
			root.RoleAppliance: role(a.Key), root.RoleAnchor: role(a.Anchor),
		},
		Keys:     []root.KeyEntry{entry(a.RootKey), entry(a.Bundle), entry(a.Key), entry(a.Anchor)},
		NotAfter: clock.Format(a.notAfter),
	}
}

// NextRoot signs version 2 of the appliance's trust root, changed by edit.
func (a *Appliance) NextRoot(edit func(*root.Document)) (*root.Trusted, []byte, error) {
	doc := a.rootDoc()
	doc.RootVersion, doc.RootID = 2, a.Root.ID()
	edit(&doc)
	env, err := root.New(doc, a.RootKey)
	if err != nil {
		return nil, nil, err
	}
	t, err := a.Root.Next(env, time.Time{})
	return t, env, err
}

func (a *Appliance) card() ([]byte, error) {
	c := bundle.Card{
		Appliance: bundle.Appliance{ID: a.ID, Name: a.Name},
		Keys:      []bundle.CardKey{{KeyID: a.Key.Public().ID(), Alg: attest.Ed25519, Public: a.Key.Public().Text()}},
		Recipient: a.Identity.Recipient().String(),
		RootID:    a.Root.ID(),
		Reads:     bundle.Reads{BundleVersion: 1, TrivyDBSchemas: []int64{2}, Software: "sallyport forge"},
		Delivery:  bundle.Delivery{EverySeconds: 14 * 86400},
		Counter:   1, IssuedAt: clock.Format(Epoch()), NotAfter: clock.Format(a.notAfter),
	}
	payload, err := c.Encode()
	if err != nil {
		return nil, err
	}
	return attest.Sign(attest.TypeCard, payload, a.Key)
}

// AnchorAt signs a time anchor.
func (a *Appliance) AnchorAt(at time.Time) ([]byte, error) {
	an := bundle.Anchor{AnchorTime: clock.Format(at), IssuedAt: clock.Format(at), NotAfter: clock.Format(at.AddDate(0, 0, 90)), Counter: 1, Source: "operator", AccuracyMS: 1000}
	payload, err := an.Encode()
	if err != nil {
		return nil, err
	}
	return attest.Sign(attest.TypeAnchor, payload, a.Anchor)
}

// Random is an endless stream made of a seed: SHA-256 in counter mode. For keys in tests only.
func Random(seed uint64) io.Reader { return &stream{seed: seed} }

type stream struct {
	seed, n uint64
	rest    []byte
}

func (s *stream) Read(p []byte) (int, error) {
	for i := range p {
		if len(s.rest) == 0 {
			var b [16]byte
			binary.BigEndian.PutUint64(b[:8], s.seed)
			binary.BigEndian.PutUint64(b[8:], s.n)
			sum := sha256.Sum256(b[:])
			s.rest, s.n = sum[:], s.n+1
		}
		p[i], s.rest = s.rest[0], s.rest[1:]
	}
	return len(p), nil
}

// encode writes what a document of ours would be, valid or not: the format's own encoders refuse what a test wants to see.
func encode(v any) ([]byte, error) { return canon.Marshal(v) }
