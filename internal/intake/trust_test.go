package intake

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sallyport/internal/approval"
	"sallyport/internal/attest"
	"sallyport/internal/bundle"
	"sallyport/internal/clock"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/forge"
	"sallyport/internal/peer"
	"sallyport/internal/root"
	"sallyport/internal/state"
)

// line is a chain of successors of a forged root; edit is called with the version to be made.
func line(t *testing.T, a *forge.Appliance, n int, edit func(v int64, d *root.Document)) (envelopes [][]byte) {
	t.Helper()
	at := a.Root
	for range n {
		env, err := root.Successor(at, func(d *root.Document) error {
			d.TimeEpoch = at.Document().TimeEpoch
			d.NotAfter = clock.Format(forge.Epoch().AddDate(6, 0, int(at.Version())))
			if edit != nil {
				edit(at.Version()+1, d)
			}
			return nil
		}, a.RootKey)
		if err != nil {
			t.Fatal(err)
		}
		if at, err = at.Next(env, time.Time{}); err != nil {
			t.Fatal(err)
		}
		envelopes = append(envelopes, env)
	}
	return envelopes
}

// medium writes root documents, and whatever else, beside the card and root of a forged appliance.
func (s *site) medium(a *forge.Appliance, docs map[string][]byte) string {
	s.t.Helper()
	return s.stick(forge.Plan{From: a, Files: func(_ string, files map[string][]byte) {
		for name, b := range docs {
			files["sallyport/"+name] = b
		}
	}})
}

func rootName(a *forge.Appliance, version int) string {
	return fmt.Sprintf("roots/%s.%d.root.json", a.Root.ID().Short(), version)
}

// docs names successors as they lie on a medium, from version 2 on.
func docs(a *forge.Appliance, envelopes ...[]byte) map[string][]byte {
	m := map[string][]byte{}
	for i, e := range envelopes {
		if e != nil {
			m[rootName(a, i+2)] = e
		}
	}
	return m
}

// trust proposes as one person and approves as another.
func (s *site) trust(stick string) (TrustResult, error) {
	s.t.Helper()
	res, err := s.ApplyTrust(context.Background(), TrustRequest{Path: stick, Actor: "uid:1001"})
	if err != nil || len(res.Plans) == 0 {
		return res, err
	}
	return s.ApplyTrust(context.Background(), TrustRequest{Path: stick, Actor: "uid:1002", Approve: res.Plans[0].Digest})
}

func TestTrustTakesTwoPeople(t *testing.T) {
	ctx := context.Background()
	w := world(t, 31)
	s := newSite(t, "site", "acme")
	s.meetHub(w.Hub)
	stick := s.medium(w.Hub, docs(w.Hub, line(t, w.Hub, 3, nil)...))
	shown, err := s.Trust(ctx, TrustRequest{Path: stick})
	if err != nil || len(shown.Plans) != 1 || shown.Plans[0].From != 1 || shown.Plans[0].To != 4 || len(shown.Plans[0].People) != 0 {
		t.Fatalf("%+v %v", shown, err)
	}
	d := shown.Plans[0].Digest
	if res, err := s.Import(ctx, Request{Path: stick, Yes: true, Actor: "uid:1001"}, nil); err != nil && code.Of(err) != code.NothingForUs || len(s.peers()[0].Roots) != 1 {
		t.Fatalf("an import: %v %+v", err, res)
	}
	before := s.tree()
	apply := func(actor string, lone bool) error {
		_, err := s.ApplyTrust(ctx, TrustRequest{Path: stick, Actor: actor, Lone: lone, Approve: d})
		return err
	}
	// Saying yes without having proposed is a proposal; saying it again, or as root that may be anyone, is not enough.
	if err := apply("uid:1001", false); code.Of(err) != code.TrustTwoPersons {
		t.Errorf("the first: %v", err)
	}
	if err := apply("uid:1001", false); code.Of(err) != code.TrustTwoPersons {
		t.Errorf("the first again: %v", err)
	}
	if err := apply("root", true); code.Of(err) != code.PlanApproval {
		t.Errorf("root: %v", err)
	}
	if n := len(s.peers()[0].Roots); n != 1 || s.tree() != before {
		t.Fatalf("changed before the second person: %d", n)
	}
	if err := apply("uid:1002", false); err != nil {
		t.Fatal(err)
	}
	if n := len(s.peers()[0].Roots); n != 4 {
		t.Errorf("%d versions", n)
	}
	if m := s.Marks.Get().Roots[w.Hub.Root.ID().String()]; m != 4 {
		t.Errorf("mark %d", m)
	}
	if err := apply("uid:1003", false); code.Of(err) != code.Conflict {
		t.Errorf("again: %v", err)
	}
	ev := s.events()
	if ev["trust.rotation.proposed"] != 1 || ev["trust.rotation.approved"] != 1 || ev["trust.rotation.applied"] != 2 {
		t.Errorf("%v", ev)
	}
}

func TestLoneRootMayBeTheFirst(t *testing.T) {
	ctx := context.Background()
	w := world(t, 32)
	s := newSite(t, "site", "acme")
	s.meetHub(w.Hub)
	stick := s.medium(w.Hub, docs(w.Hub, line(t, w.Hub, 1, nil)...))
	res, err := s.ApplyTrust(ctx, TrustRequest{Path: stick, Actor: "root", Lone: true})
	s.must(err)
	if _, err := s.ApplyTrust(ctx, TrustRequest{Path: stick, Actor: "uid:1001", Approve: res.Plans[0].Digest}); err != nil {
		t.Error(err)
	}
}

func TestSingleOperator(t *testing.T) {
	ctx := context.Background()
	w := world(t, 33)
	s := newSite(t, "site", "acme")
	s.meetHub(w.Hub)
	s.SingleOperator = true
	stick := s.medium(w.Hub, docs(w.Hub, line(t, w.Hub, 1, nil)...))
	res, err := s.ApplyTrust(ctx, TrustRequest{Path: stick, Actor: "uid:1001"})
	if err != nil || res.Plans[0].Applied || res.Plans[0].Need != 1 {
		t.Fatalf("%+v %v", res, err)
	}
	res, err = s.ApplyTrust(ctx, TrustRequest{Path: stick, Actor: "uid:1001", Approve: res.Plans[0].Digest})
	if err != nil || !res.Plans[0].Applied {
		t.Errorf("%+v %v", res, err)
	}
}

// What the medium says about the line of versions is followed as a whole or not at all.
func TestLineage(t *testing.T) {
	w, other := world(t, 34), world(t, 35)
	long := line(t, w.Hub, 66, nil)
	fork := line(t, w.Hub, 3, func(v int64, d *root.Document) {
		if v == 3 {
			d.NotAfter = clock.Format(forge.Epoch().AddDate(7, 0, 0))
		}
	})
	unsigned := resign(t, long[0], w.Stranger.RootKey)
	with := func(m map[string][]byte, name string, b []byte) map[string][]byte {
		m[name] = b
		return m
	}
	for _, c := range []struct {
		name string
		docs map[string][]byte
		want code.Code
		to   int64
	}{
		{"one", docs(w.Hub, long[:1]...), "", 2},
		{"64 in a row", docs(w.Hub, long[:64]...), "", 65},
		{"65 in a row", docs(w.Hub, long[:65]...), code.RootMany, 0},
		{"66 in a row", docs(w.Hub, long[:66]...), code.RootMany, 0},
		{"a gap", docs(w.Hub, long[0], nil, long[2]), code.RootGap, 0},
		{"only later ones", docs(w.Hub, nil, long[1]), code.RootGap, 0},
		{"signed by a stranger", docs(w.Hub, unsigned), code.RootThreshold, 0},
		{"a stranger's beside the right one", with(docs(w.Hub, long[:1]...), "roots/other.root.json", unsigned), "", 2},
		{"two of version 3", with(docs(w.Hub, long[:3]...), "roots/other.root.json", fork[1]), code.RootFork, 0},
		{"two of version 4 where one follows", with(docs(w.Hub, long[:3]...), "roots/other.root.json", fork[2]), "", 4},
		{"another root under this name", docs(w.Hub, line(t, other.Hub, 1, nil)...), code.RootUnknown, 0},
		{"junk under this name", docs(w.Hub, []byte("{}")), "", 0},
		{"a version near the top", docs(w.Hub, claimVersion(t, long[0], 9007199254740991)), code.RootGap, 0},
	} {
		s := newSite(t, "site", "acme")
		s.meetHub(w.Hub)
		before := s.tree()
		res, err := s.ApplyTrust(context.Background(), TrustRequest{Path: s.medium(w.Hub, c.docs), Actor: "uid:1001"})
		switch {
		case code.Of(err) != c.want:
			t.Errorf("%s: %v", c.name, err)
		case c.want != "" && (len(res.Plans) != 1 || res.Plans[0].Code != string(c.want) || res.Plans[0].Digest != "" || !strings.HasPrefix(res.Plans[0].Sentence, "Refused, nothing was changed")):
			t.Errorf("%s: %+v", c.name, res)
		case c.want == "" && c.to == 0 && len(res.Plans) != 0:
			t.Errorf("%s: %+v", c.name, res)
		case c.want == "" && c.to > 0 && (len(res.Plans) != 1 || res.Plans[0].To != c.to):
			t.Errorf("%s: %+v", c.name, res)
		}
		if s.tree() != before || len(s.peers()[0].Roots) != 1 {
			t.Errorf("%s: something changed", c.name)
		}
	}
}

// claimVersion is a document that says it is version n, signed by nobody who counts.
func claimVersion(t *testing.T, envelope []byte, n int64) []byte {
	t.Helper()
	claim, err := attest.Inspect(envelope)
	if err != nil {
		t.Fatal(err)
	}
	payload := strings.Replace(string(claim.Payload), `"rootVersion":2`, fmt.Sprintf(`"rootVersion":%d`, n), 1)
	key, err := attest.NewSigner(attest.Ed25519, forge.Random(9))
	if err != nil {
		t.Fatal(err)
	}
	b, err := attest.Sign(attest.TypeRoot, []byte(payload), key)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A second document of a version that is held here already shows that the root key signed twice.
func TestEquivocationAfterwards(t *testing.T) {
	w := world(t, 36)
	s := newSite(t, "site", "acme")
	s.meetHub(w.Hub)
	one, two := line(t, w.Hub, 2, nil), line(t, w.Hub, 2, func(_ int64, d *root.Document) {
		d.TimeEpoch = 0
		d.NotAfter = clock.Format(forge.Epoch().AddDate(9, 0, 0))
	})
	if _, err := s.trust(s.medium(w.Hub, docs(w.Hub, one...))); err != nil {
		t.Fatal(err)
	}
	res, err := s.ApplyTrust(context.Background(), TrustRequest{Path: s.medium(w.Hub, docs(w.Hub, two...)), Actor: "uid:1001"})
	if code.Of(err) != code.RootFork || !strings.Contains(res.Plans[0].Sentence, "Two different documents of version 2") {
		t.Errorf("%v %+v", err, res)
	}
	if _, err := s.Import(context.Background(), Request{Path: s.medium(w.Hub, docs(w.Hub, one[0], nil)), Actor: "uid:1001", Yes: true}, nil); err != nil && code.Of(err) != code.NothingForUs {
		t.Errorf("an older stick: %v", err)
	}
}

// A restored backup forgets versions; the marks do not. Until the newest is applied again the old one vouches for nothing.
func TestForgottenVersions(t *testing.T) {
	ctx := context.Background()
	w := world(t, 37)
	s := newSite(t, "site", "acme")
	s.meetHub(w.Hub)
	known := s.peers()[0]
	long := line(t, w.Hub, 3, nil)
	if _, err := s.trust(s.medium(w.Hub, docs(w.Hub, long...))); err != nil {
		t.Fatal(err)
	}
	s.must(s.State.Update(ctx, func(tx *state.Tx) error {
		if err := peer.Remove(tx, known.Name); err != nil {
			return err
		}
		_, err := peer.Add(tx, known, forge.Epoch())
		return err
	}))
	_, err := s.Import(ctx, Request{Path: s.stick(forge.Plan{From: w.Hub, To: []*forge.Appliance{s.forged()}}), Yes: true, Actor: "uid:1001"}, nil)
	if code.Of(err) != code.SignerUnknown {
		t.Errorf("under a forgotten version: %v", err)
	}
	if _, err := s.trust(s.medium(w.Hub, docs(w.Hub, long[:1]...))); code.Of(err) != code.RootRollback {
		t.Errorf("below the mark: %v", err)
	}
	if v, err := s.TrustOf(ctx, "hub"); err != nil || v[0].Mark != 4 || v[0].Version != 1 || v[0].Warning == "" {
		t.Errorf("%+v %v", v, err)
	}
	if _, err := s.trust(s.medium(w.Hub, docs(w.Hub, long...))); err != nil {
		t.Error(err)
	}
}

// Each kind of change stands in words, old before new, and a bundle is judged by it afterwards.
func TestRevocationAndWords(t *testing.T) {
	ctx := context.Background()
	w := world(t, 38)
	s := newSite(t, "site", "acme")
	s.meetHub(w.Hub)
	to := []*forge.Appliance{s.forged()}
	old := w.Hub.Bundle.Public().ID()
	fresh, err := attest.NewSigner(attest.ECDSA, forge.Random(77))
	s.must(err)
	long := line(t, w.Hub, 1, func(_ int64, d *root.Document) {
		scope := root.Scope{Tenants: []string{"acme"}, Origins: []string{w.Hub.ID}}
		d.Keys = append(d.Keys, root.Entry(fresh.Public(), scope, forge.Epoch().AddDate(-1, 0, 0), forge.Epoch().AddDate(2, 0, 0)))
		d.Roles[root.RoleBundle] = root.Role{Threshold: 1, KeyIDs: []string{old, fresh.Public().ID()}}
		d.Revoked = []root.Revocation{{KeyID: old, From: clock.Format(forge.Epoch())}}
		d.SetEpoch(root.FeedEpoch{Tenant: "acme", Origin: w.Hub.ID, Feed: "osv-go", Epoch: 3})
	})
	_, err = s.Import(ctx, Request{Path: s.stick(forge.Plan{From: w.Hub, To: to}), Yes: true, Actor: "uid:1001"}, nil)
	s.must(err)
	stick := s.medium(w.Hub, docs(w.Hub, long...))
	shown, err := s.Trust(ctx, TrustRequest{Path: stick})
	s.must(err)
	text := strings.Join(shown.Plans[0].Changes, "\n")
	for _, want := range []string{
		"trust root: version 1 → 2", "key added: bundle key " + fresh.Public().ID() + ", words: " + fresh.Public().Words(),
		"key revoked from 2", "the trust root is valid until", "hub was restored from a backup; epoch 3 of feed osv-go begins",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if _, err := s.trust(stick); err != nil {
		t.Fatal(err)
	}
	res, err := s.Import(ctx, Request{Path: s.stick(forge.Plan{From: w.Hub, To: to}), Yes: true, Actor: "uid:1001"}, nil)
	if code.Of(err) != code.KeyRevoked {
		t.Errorf("signed by a revoked key: %v %+v", err, res.Outcomes)
	}
	w.Hub.Bundle = fresh
	in := func(epoch int64) error {
		feeds := forge.DefaultFeeds()
		for i := range feeds {
			if feeds[i].Name == "osv-go" {
				feeds[i].Epoch = epoch
			}
		}
		_, err := s.Import(ctx, Request{Path: s.stick(forge.Plan{From: w.Hub, To: to, Feeds: feeds}), Yes: true, Actor: "uid:1001"}, nil)
		return err
	}
	if err := in(2); code.Of(err) != code.EpochUnknown || !strings.Contains(err.Error(), "written before hub was restored") {
		t.Errorf("of a life between two restores: %v", err)
	}
	if err := in(4); code.Of(err) != code.EpochUnknown || strings.Contains(err.Error(), "written before") {
		t.Errorf("of a life nobody named: %v", err)
	}
	if err := in(3); err != nil {
		t.Errorf("under the new key: %v", err)
	}
}

// An expired root refuses bundles and still lets its successor in.
func TestExpiredRootLetsItsSuccessorIn(t *testing.T) {
	ctx := context.Background()
	w := world(t, 39)
	s := newSite(t, "site", "acme")
	s.meetHub(w.Hub)
	to := []*forge.Appliance{s.forged()}
	long := line(t, w.Hub, 1, func(_ int64, d *root.Document) {
		d.NotAfter = clock.Format(forge.Epoch().AddDate(30, 0, 0))
		for i := range d.Keys {
			d.Keys[i].NotAfter = d.NotAfter
		}
	})
	s.must(s.Marks.SetTime(forge.Epoch().AddDate(20, 0, 0)))
	bundle := s.stick(forge.Plan{From: w.Hub, To: to})
	if _, err := s.Import(ctx, Request{Path: bundle, Yes: true, Actor: "uid:1001"}, nil); code.Of(err) != code.RootExpired && code.Of(err) != code.KeyExpired {
		t.Errorf("under an expired root: %v", err)
	}
	if _, err := s.trust(s.medium(w.Hub, docs(w.Hub, long...))); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Import(ctx, Request{Path: bundle, Yes: true, Actor: "uid:1001"}, nil); err != nil {
		t.Errorf("under its successor: %v", err)
	}
}

func TestChangedCardIsAChangeOfTrust(t *testing.T) {
	ctx := context.Background()
	w, other := world(t, 40), world(t, 41)
	next, err := attest.NewSigner(attest.Ed25519, forge.Random(78))
	if err != nil {
		t.Fatal(err)
	}
	add := func(revoke bool) func(int64, *root.Document) {
		return func(_ int64, d *root.Document) {
			scope := root.Scope{Tenants: []string{"acme"}, Origins: []string{w.Hub.ID}}
			d.Keys = append(d.Keys, root.Entry(next.Public(), scope, forge.Epoch().AddDate(-1, 0, 0), forge.Epoch().AddDate(2, 0, 0)))
			d.Roles[root.RoleAppliance] = root.Role{Threshold: 1, KeyIDs: []string{w.Hub.Key.Public().ID(), next.Public().ID()}}
			if revoke {
				d.Revoked = []root.Revocation{{KeyID: w.Hub.Key.Public().ID(), From: clock.Format(forge.Epoch())}}
			}
		}
	}
	recipient := other.Hub.Identity.Recipient().String()
	both := func(c *bundle.Card) { c.Keys = append(cardKeys(next), c.Keys...) }
	alone := func(c *bundle.Card) { c.Keys = cardKeys(next) }
	for _, c := range []struct {
		name    string
		edit    func(*bundle.Card)
		signers []*attest.Signer
		root    func(int64, *root.Document)
		want    code.Code
		says    string
	}{
		{"another recipient", func(c *bundle.Card) { c.Counter, c.Recipient = 5, recipient }, []*attest.Signer{w.Hub.Key}, nil, "", "→ " + recipient},
		{"an older card", func(c *bundle.Card) { c.Counter, c.Recipient = 1, recipient }, []*attest.Signer{w.Hub.Key}, nil, code.CounterOld, ""},
		{"signed by a stranger", func(c *bundle.Card) { c.Counter, c.Recipient = 5, recipient }, []*attest.Signer{w.Stranger.Key}, nil, code.SignerUnknown, ""},
		{"of another root", func(c *bundle.Card) { c.Counter, c.RootID = 5, other.Hub.Root.ID() }, []*attest.Signer{w.Hub.Key}, nil, code.RootUnknown, ""},
		{"a new key signed by both", func(c *bundle.Card) { c.Counter = 5; both(c) }, []*attest.Signer{w.Hub.Key, next}, add(false), "", "signs from now on with the appliance key"},
		{"a new key signed by itself", func(c *bundle.Card) { c.Counter = 5; both(c) }, []*attest.Signer{next}, add(false), code.CardKey, ""},
		{"a new key that no root names", func(c *bundle.Card) { c.Counter = 5; both(c) }, []*attest.Signer{w.Hub.Key, next}, nil, code.SignerUnknown, ""},
		{"a new key where the old was revoked", func(c *bundle.Card) { c.Counter = 5; alone(c) }, []*attest.Signer{next}, add(true), "", "not signed by a key it had before"},
		{"a revoked key on the card", func(c *bundle.Card) { c.Counter = 5; both(c) }, []*attest.Signer{next}, add(true), code.KeyRevoked, ""},
	} {
		s := newSite(t, "site", "acme")
		s.meetHub(w.Hub)
		on := map[string][]byte{"cards/hub.card.json": s.hubCard(w.Hub, c.edit, c.signers...)}
		if c.root != nil {
			on[rootName(w.Hub, 2)] = line(t, w.Hub, 1, c.root)[0]
		}
		stick := s.medium(w.Hub, on)
		shown, err := s.Trust(ctx, TrustRequest{Path: stick})
		s.must(err)
		res, err := s.trust(stick)
		if code.Of(err) != c.want || len(res.Plans) != 1 || !strings.Contains(strings.Join(shown.Plans[0].Changes, "\n"), c.says) {
			t.Errorf("%s: %v %+v", c.name, err, res)
			continue
		}
		p := s.peers()[0]
		claim, err := attest.Inspect(p.Card)
		s.must(err)
		card, err := bundle.ParseCard(claim.Payload)
		s.must(err)
		if changed := card.Counter == 5; changed != (c.want == "") || p.Recipient != card.Recipient || p.Counters["card"] != card.Counter {
			t.Errorf("%s: card %d, recipient %s", c.name, card.Counter, p.Recipient)
		}
	}
}

func cardKeys(list ...*attest.Signer) (keys []bundle.CardKey) {
	for _, s := range list {
		keys = append(keys, bundle.CardKey{KeyID: s.Public().ID(), Alg: s.Public().Alg(), Public: s.Public().Text()})
	}
	return keys
}

// hubCard is the hub's card, edited and signed anew.
func (s *site) hubCard(hub *forge.Appliance, edit func(*bundle.Card), signers ...*attest.Signer) []byte {
	s.t.Helper()
	claim, err := attest.Inspect(hub.CardEnv)
	s.must(err)
	c, err := bundle.ParseCard(claim.Payload)
	s.must(err)
	edit(c)
	payload, err := c.Encode()
	s.must(err)
	b, err := attest.Sign(attest.TypeCard, payload, signers...)
	s.must(err)
	return b
}

// A bundle that was signed under a newer root than the one held is taken in, and says so.
func TestNewerRootIsTold(t *testing.T) {
	w := world(t, 42)
	s := newSite(t, "site", "acme")
	s.meetHub(w.Hub)
	to := []*forge.Appliance{s.forged()}
	for name, more := range map[string]map[string][]byte{"Ask for": nil, "lies on this stick": docs(w.Hub, line(t, w.Hub, 2, nil)...)} {
		stick := s.stick(forge.Plan{From: w.Hub, To: to, Manifest: func(m *bundle.Manifest) { m.TrustRoot.Version = 3 }, Files: func(_ string, files map[string][]byte) {
			for n, b := range more {
				files["sallyport/"+n] = b
			}
		}})
		res, err := s.Import(context.Background(), Request{Path: stick, PlanOnly: true, Actor: "uid:1001"}, nil)
		if err != nil || !strings.Contains(fmt.Sprintf("%+v", res.Trust), "signed under root version 3 of hub, here it is version 1") || !strings.Contains(fmt.Sprintf("%+v", res.Trust), name) {
			t.Errorf("%s: %v %+v", name, err, res.Trust)
		}
	}
}

// The way back from a wrong anchor: a root with a higher time epoch, said yes to by two people.
func TestTimeEpochTakesTimeBack(t *testing.T) {
	w := world(t, 43)
	s := newSite(t, "site", "acme")
	s.meetHub(w.Hub)
	wrong := forge.Epoch().AddDate(4, 0, 0)
	s.must(s.Marks.SetTime(wrong))
	stick := s.medium(w.Hub, docs(w.Hub, line(t, w.Hub, 1, func(_ int64, d *root.Document) { d.TimeEpoch = 1 })...))
	if _, err := s.trust(stick); err != nil {
		t.Fatal(err)
	}
	if now := s.Marks.Now().Trusted; !now.Before(wrong) || now.Before(forge.Epoch()) {
		t.Errorf("trusted time %s", now)
	}
	s.reopen()
	if now := s.Marks.Now().Trusted; !now.Before(wrong) {
		t.Errorf("after a restart %s", now)
	}
}

func TestDenyAndExpire(t *testing.T) {
	ctx := context.Background()
	w := world(t, 44)
	s := newSite(t, "site", "acme")
	s.meetHub(w.Hub)
	stick := s.medium(w.Hub, docs(w.Hub, line(t, w.Hub, 1, nil)...))
	res, err := s.ApplyTrust(ctx, TrustRequest{Path: stick, Actor: "uid:1001"})
	s.must(err)
	d, err := digest.Parse(res.Plans[0].Digest)
	s.must(err)
	if _, err := s.Deny(ctx, Word{Digest: d, Actor: "uid:1002"}); code.Of(err) != code.BadUsage {
		t.Errorf("no reason: %v", err)
	}
	s.must(s.Marks.SetTime(s.Marks.Now().Trusted.Add(8 * 24 * time.Hour)))
	if _, err := s.Approve(ctx, Word{Digest: d, Actor: "uid:1002"}); code.Of(err) != code.Conflict {
		t.Errorf("after seven days: %v", err)
	}
	if _, err := s.ApplyTrust(ctx, TrustRequest{Path: stick, Actor: "uid:1002", Approve: d.String()}); code.Of(err) != code.TrustTwoPersons {
		t.Errorf("an old yes counted: %v", err)
	}
	_, err = s.Deny(ctx, Word{Digest: d, Actor: "uid:1003", Reason: "nobody called"})
	s.must(err)
	if _, err := s.ApplyTrust(ctx, TrustRequest{Path: stick, Actor: "uid:1001", Approve: d.String()}); code.Of(err) != code.Conflict {
		t.Errorf("after a no: %v", err)
	}
	s.must(s.State.View(func(tx *state.Tx) error {
		p, err := approval.Get(tx, d)
		if err == nil && (p.Denied == nil || p.UsedAt != "") {
			t.Errorf("%+v", p)
		}
		return err
	}))
	if _, err := os.Stat(filepath.Join(s.dir, "quarantine")); err != nil {
		t.Error(err)
	}
}
