package intake

import (
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/internal/attest"
	"sallyport/internal/bundle"
	"sallyport/internal/code"
	"sallyport/internal/durable"
	"sallyport/internal/forge"
	"sallyport/internal/marks"
	"sallyport/internal/root"
	"sallyport/internal/seal"
	"sallyport/internal/state"
)

func rotate(kind string) KeyRequest {
	return KeyRequest{Kind: kind, Reason: "yearly", Actor: "uid:1001"}
}

// keys proposes a change as one person and makes it as another.
func (s *site) keys(q KeyRequest) (KeyPlan, error) {
	p, err := s.ProposeKeys(context.Background(), q)
	if err != nil {
		return p, err
	}
	return s.ApplyKeys(context.Background(), KeyRequest{Approve: p.Digest, Actor: "uid:1002", RootKeys: q.RootKeys})
}

func (s *site) version() int64 {
	s.t.Helper()
	own, _, err := s.own()
	s.must(err)
	return own.Version()
}

func TestKeysTakeTwoPeople(t *testing.T) {
	ctx := context.Background()
	s := newSite(t, "hub", "acme")
	if _, err := s.ProposeKeys(ctx, KeyRequest{Kind: "bundle", Actor: "uid:1001"}); code.Of(err) != code.BadUsage {
		t.Errorf("no reason: %v", err)
	}
	p, err := s.ProposeKeys(ctx, rotate("bundle"))
	s.must(err)
	again, err := s.ProposeKeys(ctx, rotate("bundle"))
	if err != nil || again.Digest != p.Digest || again.New != p.New {
		t.Errorf("proposed twice: %+v %v", again, err)
	}
	for _, who := range []KeyRequest{{Actor: "uid:1001"}, {Actor: "root", Lone: true}} {
		who.Approve = p.Digest
		if _, err := s.ApplyKeys(ctx, who); code.Of(err) != code.TrustTwoPersons && code.Of(err) != code.PlanApproval {
			t.Errorf("%s: %v", who.Actor, err)
		}
	}
	if k, err := s.Keys.Bundle("acme"); err != nil || k.Public().ID() != p.Old || s.version() != 1 {
		t.Errorf("changed before the second person: %v", err)
	}
	done, err := s.ApplyKeys(ctx, KeyRequest{Approve: p.Digest, Actor: "uid:1002"})
	if err != nil || !done.Applied || s.version() != 2 {
		t.Fatalf("%+v %v", done, err)
	}
	if k, err := s.Keys.Bundle("acme"); err != nil || k.Public().ID() != p.New {
		t.Errorf("key in use: %v", err)
	}
	if pub, err := os.ReadFile(s.Keys.PublicPath("acme")); err != nil || !strings.Contains(string(pub), "PUBLIC KEY") {
		t.Errorf("%s %v", pub, err)
	} else if k, err := attest.ParseKey(pub); err != nil || k.ID() != p.New {
		t.Errorf("public half: %v", err)
	}
	if _, err := s.ApplyKeys(ctx, KeyRequest{Approve: p.Digest, Actor: "uid:1003"}); code.Of(err) != code.Conflict && code.Of(err) != code.PlanChanged {
		t.Errorf("again: %v", err)
	}
	rows, err := s.KeysList(ctx)
	s.must(err)
	states := map[string]string{}
	for _, r := range rows {
		states[r.KeyID] = r.State
		if r.KeyID == p.Old && !r.Here {
			t.Error("the old private half is gone")
		}
	}
	if states[p.Old] != "previous" || states[p.New] != "in use" {
		t.Errorf("%v", states)
	}
	if ev := s.events(); ev["key.created"] != 1 || ev["key.rotated"] != 1 || ev["trust.rotation.proposed"] != 1 || ev["trust.rotation.approved"] != 1 || ev["trust.rotation.applied"] != 1 {
		t.Errorf("%v", ev)
	}
	if _, err := s.keys(KeyRequest{KeyID: p.New, Reason: "lost", Actor: "uid:1001"}); code.Of(err) != code.BadUsage {
		t.Errorf("revoke what is in use: %v", err)
	}
	if _, err := s.keys(KeyRequest{KeyID: p.Old, Reason: "lost", Actor: "uid:1001"}); err != nil || s.version() != 3 {
		t.Errorf("revoke: %v", err)
	}
	if _, err := s.keys(KeyRequest{KeyID: p.Old, Reason: "lost", Actor: "uid:1001"}); code.Of(err) != code.Conflict {
		t.Errorf("revoke twice: %v", err)
	}
}

// Keys of both sides change while papers are under way; what was sealed before opens, what was signed before verifies.
func TestKeysChangeBetweenTwoAppliances(t *testing.T) {
	ctx := context.Background()
	hub, s := crossing(t)
	id, before := s.Self.ID, s.peerOf(hub)
	// The site exchanges its appliance key and its identity; papers signed with the old key and sealed to the old recipient are
	// under way both ways.
	inventory, err := s.Inventory(ctx, "hub")
	s.must(err)
	late := hub.stick(outbound(s.forged(), hub.forged(), forge.Epoch(), map[string][]byte{"inventory.json": inventory.Envelope}))
	if _, err := s.keys(rotate("appliance")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.keys(rotate("age")); err != nil {
		t.Fatal(err)
	}
	if ids, err := s.Keys.Identities(); err != nil || len(ids) != 2 || ids[1].Recipient().String() != before {
		t.Errorf("%d identities: %v", len(ids), err)
	}
	stick := t.TempDir()
	card, err := s.WriteCard(ctx, stick)
	s.must(err)
	if card.ID != id || len(card.KeyIDs) != 2 || card.RootVersion != 2 || card.Recipient == before {
		t.Errorf("%+v", card)
	}
	if _, err := hub.Import(ctx, Request{Path: late, Actor: "uid:1004"}, nil); err != nil {
		t.Errorf("papers of the old key: %v", err)
	}
	res, err := hub.trust(stick)
	if err != nil || len(res.Plans) != 1 || !res.Plans[0].Applied {
		t.Fatalf("%+v %v", res, err)
	}
	if p := hub.peers()[0]; p.Recipient != card.Recipient || !slices.Equal(p.KeyIDs, card.KeyIDs) || len(p.Roots) != 2 || p.ID != id {
		t.Errorf("%+v", p)
	}
	// From now on the new key speaks, and the old one is still believed.
	s.clock.Advance(time.Minute)
	inventory, err = s.Inventory(ctx, "hub")
	s.must(err)
	now := hub.stick(outbound(s.forged(), hub.forged(), forge.Epoch().Add(time.Hour), map[string][]byte{"inventory.json": inventory.Envelope}))
	if _, err := hub.Import(ctx, Request{Path: now, Actor: "uid:1004"}, nil); err != nil {
		t.Errorf("papers of the new key: %v", err)
	}
	if res, err := hub.Trust(ctx, TrustRequest{Path: stick}); err != nil || len(res.Plans) != 0 {
		t.Errorf("once more: %+v %v", res, err)
	}
}

// peerOf is our recipient as another site knows it.
func (s *site) peerOf(other *site) string {
	for _, p := range other.peers() {
		if p.ID == s.Self.ID {
			return p.Recipient
		}
	}
	return ""
}

func TestRootKeyKeptElsewhere(t *testing.T) {
	ctx := context.Background()
	s := newSite(t, "hub", "acme")
	file := filepath.Join(s.dir, "keys", "root.key")
	pem, err := os.ReadFile(file)
	s.must(err)
	s.must(os.Remove(file))
	p, err := s.ProposeKeys(ctx, rotate("bundle"))
	if err != nil || !p.Offline {
		t.Fatalf("%+v %v", p, err)
	}
	apply := func(keys ...[]byte) error {
		_, err := s.ApplyKeys(ctx, KeyRequest{Approve: p.Digest, Actor: "uid:1002", RootKeys: keys})
		return err
	}
	stranger, err := attest.NewSigner(attest.Ed25519, forge.Random(3))
	s.must(err)
	other, err := stranger.PEM()
	s.must(err)
	for name, keys := range map[string][][]byte{"none": nil, "a stranger's": {other}, "junk": {[]byte("junk")}} {
		if err := apply(keys...); code.Of(err) != code.SigningKey {
			t.Errorf("%s: %v", name, err)
		}
	}
	if s.version() != 1 {
		t.Error("something was made")
	}
	if err := apply(pem); err != nil || s.version() != 2 {
		t.Errorf("with the key: %v", err)
	}
	s.must(filepath.WalkDir(s.dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		if strings.Contains(string(b), strings.Split(string(pem), "\n")[1]) {
			t.Errorf("the root key was kept in %s", path)
		}
		return err
	}))
}

// A trust root is renewed before it ends; keys that end sooner, because they were exchanged, still do.
func TestRenewal(t *testing.T) {
	s := newSite(t, "hub", "acme")
	if _, err := s.keys(rotate(keyRoot)); err != nil && code.Of(err) != code.Conflict {
		t.Fatal(err)
	}
	p, err := s.keys(rotate(keyBundle))
	s.must(err)
	s.must(s.Marks.SetTime(forge.Epoch().AddDate(9, 0, 0)))
	s.clock.Advance(forge.Epoch().AddDate(9, 0, 0).Sub(s.clock.Now()))
	done, err := s.keys(rotate(keyRoot))
	if err != nil || !strings.Contains(strings.Join(done.Changes, "\n"), "the trust root is valid until") {
		t.Fatalf("%+v %v", done, err)
	}
	own, _, err := s.own()
	s.must(err)
	in := own.Document()
	if e := entryOf(in, p.New); e.NotAfter != in.NotAfter || in.NotAfter != done.New {
		t.Errorf("the key in use ends %s, the root %s", e.NotAfter, in.NotAfter)
	}
	if e := entryOf(in, p.Old); e.NotAfter >= in.NotAfter {
		t.Errorf("the key before ends %s", e.NotAfter)
	}
}

// A disk that forgot a version it gave out numbers none again.
func TestForgottenOwnVersion(t *testing.T) {
	s := newSite(t, "hub", "acme")
	if _, err := s.keys(rotate("bundle")); err != nil {
		t.Fatal(err)
	}
	own, _, err := s.own()
	s.must(err)
	s.must(os.Remove(s.Keys.RootPath(own.ID(), 2)))
	if p, err := s.ProposeKeys(context.Background(), rotate("appliance")); err != nil || p.To != 3 {
		t.Errorf("what the state remembers is written again first: %+v %v", p, err)
	}
	s.must(os.Remove(s.Keys.RootPath(own.ID(), 2)))
	s.reopen()
	if s.version() != 2 {
		t.Error("the version that was committed is not written again at start")
	}
	s.must(s.Marks.Raise(func(m *marks.Set) error { m.Roots[own.ID().String()] = 3; return nil }))
	if _, err := s.ProposeKeys(context.Background(), rotate("age")); code.Of(err) != code.RootRollback {
		t.Errorf("version 3 was given out and is forgotten: %v", err)
	}
}

// TestKeyFaults fails each durable step of a change of keys, lost and kept, alone and with everything after it: a share of them,
// all with SALLYPORT_CRASH=all.
func TestKeyFaults(t *testing.T) {
	for _, kind := range []string{keyBundle, keyAppliance, keyAge} {
		s := newSite(t, "hub", "acme")
		s.close()
		tpl := &template{s: s}
		total := keyFault(t, tpl, kind, fault{})
		t.Logf("%s: %d durable steps", kind, total)
		var all []fault
		for at := 1; at <= total; at++ {
			for _, dead := range []bool{false, true} {
				all = append(all, fault{at, durable.Lose, dead}, fault{at, durable.Keep, dead})
			}
		}
		if os.Getenv("SALLYPORT_CRASH") != "all" {
			rand.New(rand.NewPCG(8, 8)).Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
			all = all[:min(12, len(all))]
		}
		for _, f := range all {
			keyFault(t, tpl, kind, f)
		}
	}
}

// keyFault runs one change of keys with a fault, starts again and checks that no key is lost, nothing is half made, and that the
// change can be finished.
func keyFault(t *testing.T, tpl *template, kind string, f fault) (steps int) {
	t.Helper()
	ctx := context.Background()
	c := tpl.copy(t)
	name, armed := "", false
	c.open(durable.WithHook(func(op durable.Op) durable.Verdict {
		if !armed {
			return durable.Do
		}
		steps++
		switch {
		case steps == f.at:
			name = op.Verb + " " + op.Path
			return f.first
		case steps > f.at && f.dead && f.at > 0:
			return durable.Lose
		}
		return durable.Do
	}))
	first := inUseNow(c, kind)
	armed = true
	done, err := c.keys(rotate(kind))
	acknowledged := err == nil && done.Applied
	var shown *bundle.Card
	if own, _, oerr := c.own(); oerr == nil {
		if card, _, cerr := c.signCard(ctx, own); cerr == nil {
			shown = card // what others may have seen
		}
	}
	armed = false
	c.reopen()
	what := fmt.Sprintf("%s, %s (%s): %v", kind, f, name, err)
	own, envelopes, err := c.own()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	if mark := c.Marks.Get().Roots[own.ID().String()]; mark > own.Version() || int(own.Version()) != len(envelopes) {
		t.Errorf("%s: mark %d, version %d", what, mark, own.Version())
	}
	now := inUseNow(c, kind)
	if acknowledged && now != done.New || now != first && made(c) == 0 {
		t.Errorf("%s: acknowledged %v, in use %s", what, acknowledged, now)
	}
	usable(t, c, own, what, first)
	if shown != nil {
		ids, err := c.Keys.Identities()
		if err != nil || !slices.ContainsFunc(ids, func(i seal.Identity) bool { return i.Recipient().String() == shown.Recipient }) {
			t.Errorf("%s: the identity of a card that was shown is lost: %v", what, err)
		}
	}
	if now == first {
		if _, err := c.keys(rotate(kind)); err != nil || inUseNow(c, kind) == first {
			p, perr := c.ProposeKeys(ctx, rotate(kind))
			t.Errorf("%s: finishing: %v (%+v %v)", what, err, p, perr)
		}
	}
	c.must(c.State.View(func(tx *state.Tx) error {
		_, err := c.Timeline.Verify(tx)
		return err
	}))
	return steps
}

// inUseNow is the id of the key, or the recipient, that is used now.
func inUseNow(c *site, kind string) string {
	c.t.Helper()
	switch kind {
	case keyAge:
		r, err := c.Keys.Recipient()
		c.must(err)
		return r.String()
	case keyAppliance:
		k, err := c.Keys.Appliance()
		c.must(err)
		return k.Public().ID()
	}
	k, err := c.Keys.Bundle("acme")
	c.must(err)
	return k.Public().ID()
}

// made counts the changes that were committed.
func made(c *site) (n int) {
	c.must(c.State.View(func(tx *state.Tx) error {
		return ownChanges.Scan(tx, "", func(_ string, o ownChange) error {
			if o.AppliedAt != "" {
				n++
			}
			return nil
		})
	}))
	return n
}

// usable checks that what is in use is what our root names, and that the private half before it is still here.
func usable(t *testing.T, c *site, own *root.Trusted, what, first string) {
	t.Helper()
	now := c.Marks.Now().Trusted
	app, err := c.Keys.Appliance()
	if err == nil {
		err = own.Why(app.Public().ID(), root.RoleAppliance, "acme", c.Self.ID, now)
	}
	if err != nil {
		t.Errorf("%s: appliance key: %v", what, err)
	}
	pack, err := c.Keys.Bundle("acme")
	if err == nil {
		err = own.Why(pack.Public().ID(), root.RoleBundle, "acme", c.Self.ID, now)
	}
	if err != nil {
		t.Errorf("%s: bundle key: %v", what, err)
	}
	rows, err := c.KeysList(context.Background())
	if err != nil || !slices.ContainsFunc(rows, func(r KeyRow) bool { return r.KeyID == first && r.Here }) {
		t.Errorf("%s: the private half of %s is lost: %v", what, first, err)
	}
	if pub, err := os.ReadFile(c.Keys.PublicPath("acme")); err != nil || string(pub) != string(pack.Public().PEM()) {
		t.Errorf("%s: another public half is published: %v", what, err)
	}
}
