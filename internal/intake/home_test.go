package intake

import (
	"context"
	"strings"
	"testing"
	"time"

	"sallyport/internal/attest"
	"sallyport/internal/bundle"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/forge"
	"sallyport/internal/ident"
	"sallyport/internal/layer"
	"sallyport/internal/peer"
	"sallyport/internal/state"
)

// outbound is the way home as a forged bundle: papers from one appliance to another.
func outbound(from, to *forge.Appliance, at time.Time, papers map[string][]byte) forge.Plan {
	return forge.Plan{
		From: from, To: []*forge.Appliance{to}, Kind: kindOutbound, Seal: bundle.SealAge, Feeds: []forge.Feed{}, At: at, NoAnchor: true,
		Contents: func([]forge.Member) []forge.Member {
			var ms []forge.Member
			for name, b := range papers {
				role := bundle.RoleReceipt
				if strings.Contains(name, "inventory") {
					role = bundle.RoleInventory
				}
				ms = append(ms, forge.Member{Name: "outbound/" + name, Body: b, Entry: &bundle.Content{Role: role, ContentType: "application/json"}})
			}
			return ms
		},
	}
}

// crossing is a hub and a site that know each other, with one bundle imported at the site.
func crossing(t *testing.T) (hub, s *site) {
	ctx := context.Background()
	hub, s = newSite(t, "hub", "acme"), newSite(t, "site", "acme")
	stick := t.TempDir()
	for _, x := range []*site{hub, s} {
		_, err := x.WriteCard(ctx, stick)
		x.must(err)
	}
	for _, pair := range [][2]*site{{hub, s}, {s, hub}} {
		_, err := pair[0].AddPeer(ctx, stick, AddRequest{Fingerprint: mustCard(t, pair[1]).Fingerprint, Actor: "uid:1001"})
		pair[0].must(err)
	}
	res, err := s.Import(ctx, Request{Path: s.stick(forge.Plan{From: hub.forged(), To: []*forge.Appliance{s.forged()}, Seal: bundle.SealAge}), Yes: true, Actor: "uid:1001", Role: "operator"}, nil)
	if err != nil || !res.Applied {
		t.Fatalf("crossing: %v %+v", err, res)
	}
	return hub, s
}

func TestReceiptsComeHome(t *testing.T) {
	ctx := context.Background()
	hub, s := crossing(t)
	papers, err := s.Receipts(ctx, "hub", true)
	if err != nil || len(papers) != 1 {
		t.Fatalf("receipts %v %+v", err, papers)
	}
	inv, err := s.Inventory(ctx, "hub")
	if err != nil {
		t.Fatal(err)
	}
	told := map[digest.Digest]int{}
	hub.Delivered = func(_ *state.Tx, d Delivery) error {
		told[d.Digest]++
		if d.Peer.Name != "site" || d.Receipt.Decision != bundle.Activated || d.Tenant != "acme" || d.Receipt.Approvals.Count != 1 || d.Receipt.Approvals.Roles[0] != "operator" {
			t.Errorf("delivery %+v", d)
		}
		return nil
	}
	all := map[string][]byte{"receipts/" + papers[0].Name: papers[0].Envelope, inv.Name: inv.Envelope}
	stick := hub.stick(outbound(s.forged(), hub.forged(), forge.Epoch(), all))
	res, err := hub.Import(ctx, Request{Path: stick, Actor: "uid:1004"}, nil)
	if err != nil || len(res.Outcomes) != 1 || res.Outcomes[0].Decision != Applied {
		t.Fatalf("%v %+v", err, res)
	}
	t.Log(res.Sentence)
	if told[papers[0].Digest] != 1 {
		t.Errorf("delivered %v", told)
	}
	v := hub.peers()[0].Views["osv-go"]
	if v.Active.Generation != 1 || v.From != peer.FromInventory || len(v.Held) != 1 {
		t.Errorf("view %+v", v)
	}
	if rows, err := hub.ListReceived(ctx, s.Self.ID); err != nil || len(rows) != 2 || rows[0].Kind != "receipt" || rows[0].BundleID.IsZero() {
		t.Errorf("received %+v: %v", rows, err)
	}
	before := hub.tree()
	for range 2 {
		if res, err = hub.Import(ctx, Request{Path: stick, Actor: "uid:1004"}, nil); err != nil {
			t.Fatal(err)
		}
	}
	if told[papers[0].Digest] != 1 || hub.tree() != before || hub.events()["bundle.import.accepted"] != 1 {
		t.Error("a second reading changed something")
	}
	// The same papers in another packing: nothing is told twice either.
	if _, err := hub.Import(ctx, Request{Path: hub.stick(outbound(s.forged(), hub.forged(), forge.Epoch().Add(time.Hour), all)), Actor: "uid:1004"}, nil); err != nil || told[papers[0].Digest] != 1 {
		t.Errorf("repacked: %v %v", err, told)
	}
	hub.acknowledges(s, papers[0].Digest)
}

// acknowledges sends the next bundle with acks and looks whether the site's receipt needs no further carrying.
func (s *site) acknowledges(to *site, want digest.Digest) {
	s.t.Helper()
	ctx := context.Background()
	var acks []digest.Digest
	s.must(s.State.View(func(tx *state.Tx) (err error) {
		acks, err = Acks(tx, to.Self.ID)
		return err
	}))
	if len(acks) != 2 {
		s.t.Fatalf("acks %v", acks)
	}
	plan := forge.Plan{From: s.forged(), To: []*forge.Appliance{to.forged()}, At: forge.Epoch().Add(2 * time.Hour), Manifest: func(m *bundle.Manifest) { m.Acks = acks }}
	_, err := to.Import(ctx, Request{Path: to.stick(plan), Yes: true, Actor: "uid:1001"}, nil)
	s.must(err)
	left, err := to.Receipts(ctx, s.name, true)
	s.must(err)
	for _, p := range left {
		if p.Digest == want {
			s.t.Error("an acknowledged receipt is still carried")
		}
	}
}

func TestForgedPapersAreRefused(t *testing.T) {
	ctx := context.Background()
	hub, s := crossing(t)
	w := world(t, 31)
	inv, err := s.Inventory(ctx, "hub")
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		plan forge.Plan
		want code.Code
	}{
		"not signed by the appliance key": {outbound(s.forged(), hub.forged(), forge.Epoch(), map[string][]byte{"inventory.json": resign(t, inv.Envelope, s.forged().Bundle)}), code.KeyRole},
		"a card as an inventory":          {outbound(s.forged(), hub.forged(), forge.Epoch(), map[string][]byte{"inventory.json": s.forged().CardEnv}), code.PayloadType},
		"signed by a stranger":            {outbound(s.forged(), hub.forged(), forge.Epoch(), map[string][]byte{"inventory.json": resign(t, inv.Envelope, w.Stranger.Key)}), code.SignerUnknown},
		"not a paper":                     {outbound(s.forged(), hub.forged(), forge.Epoch(), map[string][]byte{"inventory.json": []byte("{}")}), code.EnvelopeBad},
	}
	for name, c := range cases {
		before := hub.tree()
		res, err := hub.Import(ctx, Request{Path: hub.stick(c.plan), Actor: "uid:1004"}, nil)
		if code.Of(err) != c.want || hub.tree() != before || res.Outcomes[0].Decision != Refused {
			t.Errorf("%s: %v (%s) %+v", name, err, code.Of(err), res.Outcomes)
		}
	}
	if v := hub.peers()[0].Views; len(v) != 0 {
		t.Errorf("a forged paper was believed: %+v", v)
	}
}

func TestProofEndsAtTheSignature(t *testing.T) {
	ctx := context.Background()
	hub, s := crossing(t)
	ref := ident.FeedRef{Tenant: "acme", Origin: hub.Self.ID, Name: "osv-go"}
	key := s.keyAt(hub.forged(), "osv-go", 17)
	p, err := s.Proof(ctx, ref, "advisory", key)
	if err != nil {
		t.Fatal(err)
	}
	if p.Line == nil || *p.Line != 17 || p.SignerState != "valid" || p.RootID.Hex() != mustCard(t, hub).Fingerprint || len(p.Checked) != 5 || p.Path == "" {
		t.Errorf("proof %+v", p)
	}
	for _, c := range p.Checked {
		t.Log(c)
	}
	doc, err := s.Proof(ctx, ident.FeedRef{Tenant: "acme", Origin: hub.Self.ID, Name: "sboms"}, "sbom", "urn:uuid:11111111-1111-4111-8111-111111111111")
	if err != nil || doc.Line != nil || !strings.HasSuffix(doc.Path, "sbom.json") {
		t.Errorf("document %+v: %v", doc, err)
	}
	if _, err := s.Proof(ctx, ref, "advisory", "no such key"); code.Of(err) != code.Missing {
		t.Errorf("no such record: %v", err)
	}
	s.must(s.CAS.Condemn(p.Shard))
	if _, err := s.Proof(ctx, ref, "advisory", key); err == nil {
		t.Error("proven without its shard")
	}
}

// resign signs the payload of an envelope with another key.
func resign(t *testing.T, envelope []byte, key *attest.Signer) []byte {
	t.Helper()
	claim, err := attest.Inspect(envelope)
	if err != nil {
		t.Fatal(err)
	}
	b, err := attest.Sign(claim.Type, claim.Payload, key)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// keyAt is the key of the nth record of an active feed.
func (s *site) keyAt(hub *forge.Appliance, name string, n int) (key string) {
	s.t.Helper()
	g, _ := s.active(hub, name)
	v, err := s.view(g)
	s.must(err)
	defer v.Close()
	s.must(v.All(func(it layer.Item) error {
		if n--; n < 0 {
			key = it.Key
			return layer.ErrStop
		}
		return nil
	}))
	if key == "" {
		s.t.Fatal("too few records")
	}
	return key
}
