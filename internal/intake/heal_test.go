package intake

import (
	"context"
	"strings"
	"testing"

	"sallyport/internal/attest"
	"sallyport/internal/bundle"
	"sallyport/internal/clock"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/forge"
	"sallyport/internal/root"
)

// bodies are the digests of the shards a forged bundle carries.
func bodies(b *forge.Bundle) (ill Ill) {
	ill = Ill{Blobs: map[digest.Digest]bool{}, Layers: map[string]bool{}}
	for _, c := range b.Manifest.Contents {
		if c.Role == bundle.RoleShard {
			ill.Blobs[c.Digest] = true
		}
	}
	return ill
}

// A stick whose signer was revoked since still gives back bodies whose digests are known here, but no layer, and still brings
// nothing in.
func TestHealAfterRevoke(t *testing.T) {
	ctx := context.Background()
	w := world(t, 41)
	s := newSite(t, "site", "acme")
	s.meetHub(w.Hub)
	plan := forge.Plan{From: w.Hub, To: []*forge.Appliance{s.forged()}}
	b, err := plan.Build()
	s.must(err)
	stick := s.stick(plan)
	_, err = s.Import(ctx, Request{Path: stick, Yes: true, Actor: "uid:1001"}, nil)
	s.must(err)
	old := w.Hub.Bundle.Public().ID()
	fresh, err := attest.NewSigner(attest.ECDSA, forge.Random(78))
	s.must(err)
	long := line(t, w.Hub, 1, func(_ int64, d *root.Document) {
		scope := root.Scope{Tenants: []string{"acme"}, Origins: []string{w.Hub.ID}}
		d.Keys = append(d.Keys, root.Entry(fresh.Public(), scope, forge.Epoch().AddDate(-1, 0, 0), forge.Epoch().AddDate(2, 0, 0)))
		d.Roles[root.RoleBundle] = root.Role{Threshold: 1, KeyIDs: []string{old, fresh.Public().ID()}}
		d.Revoked = []root.Revocation{{KeyID: old, From: clock.Format(forge.Epoch())}}
	})
	if _, err := s.trust(s.medium(w.Hub, docs(w.Hub, long...))); err != nil {
		t.Fatal(err)
	}
	ill, before := bodies(b), s.tree()
	for d := range ill.Blobs {
		s.must(s.CAS.Condemn(d))
	}
	g, _ := s.active(w.Hub, b.Manifest.Feeds[0].Feed)
	ill.Layers[g.Layers[0].File] = true
	n := len(ill.Blobs)
	got, err := s.Heal(ctx, stick, ill, "uid:1001", nil)
	s.must(err)
	if len(got) != 1 || got[0].Err != nil || len(got[0].Blobs) != n || len(got[0].Layers) != 0 || len(ill.Layers) != 1 || len(s.CAS.Condemned()) != 0 {
		t.Errorf("%+v", got)
	}
	if s.tree() != before {
		t.Error("healing changed more than what was ill")
	}
	if _, err := s.Import(ctx, Request{Path: s.stick(plan, plan), Yes: true, Actor: "uid:1001"}, nil); code.Of(err) != code.KeyRevoked {
		t.Errorf("a new bundle by the revoked key: %v", err)
	}
	ill = bodies(b)
	for d := range ill.Blobs {
		s.must(s.CAS.Condemn(d))
	}
	plan.Labelers, plan.Signers = []*attest.Signer{w.Stranger.Bundle}, []*attest.Signer{w.Stranger.Bundle}
	if got, err := s.Heal(ctx, s.stick(plan), ill, "uid:1001", nil); err != nil || len(got) != 1 || code.Of(got[0].Err) != code.SignerUnknown || len(got[0].Blobs) != 0 {
		t.Errorf("a key that never counted: %v %+v", err, got)
	}
}

// Our own bundles heal us where they can be opened here; where they are encrypted for others, that is what is said.
func TestHealFromOwn(t *testing.T) {
	w := world(t, 42)
	s := newSite(t, "site", "acme")
	s.meetHub(w.Hub)
	for _, c := range []struct {
		plan forge.Plan
		err  code.Code
		says string
	}{
		{forge.Plan{From: s.forged(), To: []*forge.Appliance{w.Hub}, Seal: bundle.SealNone}, "", ""},
		{forge.Plan{From: s.forged(), To: []*forge.Appliance{w.Hub}, Seal: bundle.SealAge}, code.NotForUs, "made here"},
		{forge.Plan{From: w.Stranger, To: []*forge.Appliance{w.Hub}, Seal: bundle.SealAge}, code.NotForUs, "not encrypted"},
	} {
		b, err := c.plan.Build()
		s.must(err)
		ill := bodies(b)
		n := len(ill.Blobs)
		got, err := s.Heal(context.Background(), s.stick(c.plan), ill, "uid:1001", nil)
		s.must(err)
		if len(got) != 1 || code.Of(got[0].Err) != c.err || c.err == "" && len(got[0].Blobs) != n {
			t.Errorf("%s: %+v", c.says, got)
		}
		if c.err != "" && !strings.Contains(got[0].Err.Error(), c.says) {
			t.Errorf("no %q: %v", c.says, got[0].Err)
		}
	}
}
