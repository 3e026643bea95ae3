package intake

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sallyport/internal/attest"
	"sallyport/internal/bundle"
	"sallyport/internal/clock"
	"sallyport/internal/code"
	"sallyport/internal/forge"
	"sallyport/internal/peer"
	"sallyport/internal/root"
	"sallyport/internal/state"
)

func (s *site) peers() (list []peer.Peer) {
	s.t.Helper()
	s.must(s.State.View(func(tx *state.Tx) (err error) {
		list, err = peer.List(tx)
		return err
	}))
	return list
}

func TestCardsMeet(t *testing.T) {
	ctx := context.Background()
	hub, s := newSite(t, "hub", "acme"), newSite(t, "site", "acme")
	stick := t.TempDir()
	written, err := hub.WriteCard(ctx, stick)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range written.Files {
		if _, err := os.Stat(filepath.Join(stick, f)); err != nil {
			t.Error(err)
		}
	}
	shown, err := hub.Card(ctx)
	if err != nil || shown.Fingerprint != written.Fingerprint || shown.Counter != written.Counter || len(strings.Fields(shown.Words)) != 9 {
		t.Fatalf("card %+v, written %+v: %v", shown, written, err)
	}
	wrong := strings.Repeat("ab", 32)
	for name, q := range map[string]AddRequest{
		"fingerprint": {Fingerprint: wrong}, "words of another": {Words: mustCard(t, s).Words},
		"a word wrong":     {Words: strings.Replace(shown.Words, strings.Fields(shown.Words)[2], "zoo", 1)},
		"a person says no": {Answer: func(Question) (bool, error) { return false, nil }},
	} {
		q.Actor = "uid:1001"
		if _, err := s.AddPeer(ctx, stick, q); code.Of(err) != code.FingerprintWrong {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := s.AddPeer(ctx, stick, AddRequest{Fingerprint: "xyz", Actor: "uid:1001"}); code.Of(err) != code.BadUsage {
		t.Errorf("a typing error: %v", err)
	}
	if _, err := s.AddPeer(ctx, stick, AddRequest{Actor: "uid:1001"}); code.Of(err) != code.SignerNotChecked {
		t.Errorf("nothing compared: %v", err)
	}
	if n := len(s.peers()); n != 0 {
		t.Fatalf("%d peers after refusals", n)
	}
	p, err := s.AddPeer(ctx, stick, AddRequest{Words: strings.ToUpper(shown.Words), Actor: "uid:1001"})
	if err != nil || p.Trust.How != peer.ByWords || p.Trust.By != "uid:1001" || p.Tenant != "acme" || p.TheirTenant != "acme" || p.RootID.Hex() != shown.Fingerprint {
		t.Fatalf("%+v: %v", p, err)
	}
	if again, err := s.AddPeer(ctx, stick, AddRequest{Fingerprint: shown.Fingerprint, Actor: "uid:1005"}); err != nil || again.Trust.By != "uid:1001" {
		t.Errorf("second meeting: %+v %v", again, err)
	}
	if n := s.events()["trust.rotation.applied"]; n != 1 {
		t.Errorf("%d events", n)
	}
	// The site's own card on the same stick is not a candidate at the site, and the only one at the hub.
	if _, err := s.WriteCard(ctx, stick); err != nil {
		t.Fatal(err)
	}
	asked := ""
	if _, err := hub.AddPeer(ctx, stick, AddRequest{Actor: "uid:1004", Answer: func(q Question) (bool, error) { asked = q.Card.Name; return true, nil }}); err != nil || asked != "site" {
		t.Errorf("asked about %q: %v", asked, err)
	}
	v, err := hub.Found(ctx, stick)
	if err != nil || len(v.Peers) != 1 || v.Peers[0].Name != "site" || v.Peers[0].Hub {
		t.Errorf("found %+v: %v", v, err)
	}
}

func TestCardIsNotWrittenIntoTheDataDirectory(t *testing.T) {
	s := newSite(t, "site", "acme")
	link := filepath.Join(t.TempDir(), "stick")
	s.must(os.Symlink(filepath.Join(s.dir, "layers"), link))
	inside := filepath.Join(s.dir, "cas")
	for _, path := range []string{s.dir, inside, filepath.Join(s.dir, "sallyport"), link} {
		if _, err := s.WriteCard(context.Background(), path); code.Of(err) != code.BadUsage {
			t.Errorf("%s: %v", filepath.Base(path), err)
		}
	}
	for _, dir := range []string{s.dir, inside, filepath.Join(s.dir, "layers")} {
		if _, err := os.Stat(filepath.Join(dir, "sallyport")); err == nil {
			t.Errorf("written to %s", filepath.Base(dir))
		}
	}
}

func mustCard(t *testing.T, s *site) CardInfo {
	t.Helper()
	c, err := s.Card(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestSeveralStrangers(t *testing.T) {
	ctx := context.Background()
	w := world(t, 11)
	s := newSite(t, "here", "acme")
	stick := s.stick(forge.Plan{From: w.Hub}, forge.Plan{From: w.Stranger})
	_, err := s.AddPeer(ctx, stick, AddRequest{Actor: "uid:1001", Answer: func(Question) (bool, error) { return true, nil }})
	if code.Of(err) != code.Ambiguous || !strings.Contains(err.Error(), "hub") || !strings.Contains(err.Error(), "stranger") {
		t.Errorf("two cards: %v", err)
	}
	if p, err := s.AddPeer(ctx, stick, AddRequest{Actor: "uid:1001", Fingerprint: w.Hub.Root.ID().Hex()}); err != nil || p.Name != "hub" {
		t.Errorf("chosen by fingerprint: %v %v", p.Name, err)
	}
}

func TestOtherRootUnderKnownName(t *testing.T) {
	ctx := context.Background()
	w, other := world(t, 12), world(t, 13)
	s := newSite(t, "here", "acme")
	s.meetHub(w.Hub)
	stick := s.stick(forge.Plan{From: other.Hub})
	_, err := s.AddPeer(ctx, stick, AddRequest{Actor: "uid:1001", Name: "hub", Fingerprint: other.Hub.Root.ID().Hex()})
	if code.Of(err) != code.TrustTwoPersons {
		t.Errorf("another hub of the same name: %v", err)
	}
	if p := s.peers(); len(p) != 1 || p[0].RootID != w.Hub.Root.ID() {
		t.Errorf("peers %+v", p)
	}
}

func TestCardOfAnotherKeyIsNoCard(t *testing.T) {
	ctx := context.Background()
	w := world(t, 14)
	s := newSite(t, "here", "acme")
	stick := s.stick(forge.Plan{From: w.Hub, Files: func(_ string, files map[string][]byte) {
		files["sallyport/cards/hub.card.json"] = w.Stranger.CardEnv
	}})
	if _, err := s.AddPeer(ctx, stick, AddRequest{Actor: "uid:1001", Fingerprint: w.Hub.Root.ID().Hex()}); err == nil {
		t.Error("a card whose root is not there was accepted")
	}
}

func TestSuccessorIsReportedNotApplied(t *testing.T) {
	ctx := context.Background()
	w := world(t, 15)
	s := newSite(t, "site", "acme")
	s.meetHub(w.Hub)
	_, env, err := w.Hub.NextRoot(func(d *root.Document) { d.TimeEpoch = 1 })
	if err != nil {
		t.Fatal(err)
	}
	stick := s.stick(forge.Plan{From: w.Hub, To: []*forge.Appliance{s.forged()}, Files: func(_ string, files map[string][]byte) {
		files["sallyport/roots/"+w.Hub.Root.ID().Short()+".2.root.json"] = env
	}})
	res, err := s.Import(ctx, Request{Path: stick, Yes: true, Actor: "uid:1001"}, nil)
	if err != nil || len(res.Trust) == 0 || res.Trust[0].What != "root" || res.Trust[0].New != "2" {
		t.Fatalf("%v %+v", err, res.Trust)
	}
	if p := s.peers(); len(p[0].Roots) != 1 {
		t.Error("an import changed trust")
	}
}

func TestChangedCardWaitsForAPerson(t *testing.T) {
	ctx := context.Background()
	w, other := world(t, 16), world(t, 17)
	s := newSite(t, "site", "acme")
	known := s.meetHub(w.Hub)
	card := func(edit func(*bundle.Card)) func(string, map[string][]byte) {
		return func(_ string, files map[string][]byte) {
			claim, err := attest.Inspect(w.Hub.CardEnv)
			s.must(err)
			c, err := bundle.ParseCard(claim.Payload)
			s.must(err)
			edit(c)
			b, _, err := signPaper(attest.TypeCard, c.Encode, w.Hub.Key)
			s.must(err)
			files["sallyport/cards/hub.card.json"] = b
		}
	}
	visit := func(gen int64, edit func(*bundle.Card)) Result {
		res, err := s.Import(ctx, Request{Path: s.stick(forge.Plan{
			From: w.Hub, To: []*forge.Appliance{s.forged()}, Files: card(edit),
			Feeds: []forge.Feed{{Name: "osv-go", Generation: gen, Epoch: 1, Lines: 10 + int(gen)}},
		}), Yes: true, Actor: "uid:1001"}, nil)
		s.must(err)
		return res
	}
	res := visit(1, func(c *bundle.Card) { c.Counter, c.Recipient = 5, other.Hub.Identity.Recipient().String() })
	if len(res.Trust) == 0 || res.Trust[0].What != "card" || len(res.Cards) != 0 || s.peers()[0].Recipient != known.Recipient {
		t.Errorf("another recipient: %+v", res.Trust)
	}
	res = visit(2, func(c *bundle.Card) { c.Counter, c.Delivery.EverySeconds = 6, 86400 })
	if len(res.Cards) != 1 || s.peers()[0].Every != 86400 || s.peers()[0].Counters["card"] != 6 {
		t.Errorf("a newer card: %+v", res)
	}
	res = visit(3, func(c *bundle.Card) { c.Counter, c.Delivery.EverySeconds = 4, 3600 })
	if len(res.Cards) != 0 || s.peers()[0].Every != 86400 {
		t.Errorf("an older card: %+v", res)
	}
	res = visit(4, func(c *bundle.Card) {
		c.Counter, c.Delivery.EverySeconds, c.NotAfter = 7, 7200, clock.Format(forge.Epoch().Add(-time.Hour))
	})
	if len(res.Cards) != 0 || s.peers()[0].Every != 86400 || len(res.Trust) == 0 || res.Trust[0].What != "card" {
		t.Errorf("an expired card: %+v", res)
	}
}

func TestManyRootsAreLeftAlone(t *testing.T) {
	w := world(t, 18)
	s := newSite(t, "site", "acme")
	_, env, err := w.Hub.NextRoot(func(d *root.Document) { d.TimeEpoch = 1 })
	s.must(err)
	forged := resign(t, env, w.Stranger.RootKey)
	stick := s.stick(forge.Plan{From: w.Hub, Files: func(_ string, files map[string][]byte) {
		for n := 2; n < 300; n++ {
			files[fmt.Sprintf("sallyport/roots/%s.%d.root.json", w.Hub.Root.ID().Short(), n)] = forged
		}
	}})
	p, err := s.AddPeer(context.Background(), stick, AddRequest{Fingerprint: w.Hub.Root.ID().Hex(), Actor: "uid:1001"})
	if err != nil || len(p.Roots) != 1 {
		t.Errorf("%d versions: %v", len(p.Roots), err)
	}
}
