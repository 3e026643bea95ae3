package intake

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"sallyport/internal/attest"
	"sallyport/internal/bundle"
	"sallyport/internal/code"
	"sallyport/internal/durable"
	"sallyport/internal/forge"
	"sallyport/internal/marks"
	"sallyport/internal/root"
)

// A change of keys that was made and could not be finished, because the disk was full, is finished before the next one: no version
// of our root is numbered twice, and the appliance starts afterwards.
func TestKeysFinishedBeforeTheNext(t *testing.T) {
	s := newSite(t, "hub", "acme")
	s.close()
	armed, full := true, false
	s.open(durable.WithHook(func(op durable.Op) durable.Verdict {
		full = full || armed && op.Verb == "point" && op.Path == "keys.transaction"
		if full && armed && op.Verb != "point" {
			return durable.Lose
		}
		return durable.Do
	}))
	p, err := s.ProposeKeys(context.Background(), rotate("bundle"))
	s.must(err)
	first, err := s.ApplyKeys(context.Background(), KeyRequest{Approve: p.Digest, Actor: "uid:1002"})
	if err == nil || !first.Applied || s.version() != 1 {
		t.Fatalf("the change was finished: %+v %v", first, err)
	}
	armed = false
	second, err := s.keys(rotate("appliance"))
	if err != nil || second.To != 3 || s.version() != 3 {
		t.Errorf("the next change: %+v %v", second, err)
	}
	if k, err := s.Keys.Bundle("acme"); err != nil || k.Public().ID() != first.New {
		t.Errorf("the first change was lost: %v", err)
	}
	s.reopen()
	if s.version() != 3 {
		t.Errorf("after a start: version %d", s.version())
	}
}

// A higher time epoch is the way back: whatever this machine's clock reads, it moves nothing forward.
func TestTimeEpochNeverMovesForward(t *testing.T) {
	w := world(t, 61)
	s := newSite(t, "site", "acme")
	s.meetHub(w.Hub)
	s.clock.Set(time.Date(2099, 6, 1, 0, 0, 0, 0, time.UTC))
	before := s.Marks.Now().Trusted
	stick := s.medium(w.Hub, docs(w.Hub, line(t, w.Hub, 1, func(_ int64, d *root.Document) { d.TimeEpoch = 1 })...))
	if _, err := s.trust(stick); err != nil {
		t.Fatal(err)
	}
	if now := s.Marks.Now().Trusted; now.After(before.Add(time.Hour)) || now.Before(forge.Epoch().AddDate(-1, 0, 0)) {
		t.Errorf("trusted time went from %s to %s", before, now)
	}
}

// An appliance whose program is years old and that nobody ever told the time goes by its clock: its card is no expired one to
// those who know what day it is. Once it was told, a clock that leaves that far behind is not believed.
func TestCardOfAnOldProgram(t *testing.T) {
	ctx := context.Background()
	hub, s := newSite(t, "hub", "acme"), newSite(t, "site", "acme")
	today := forge.Epoch().AddDate(3, 0, 0)
	hub.clock.Set(today)
	s.must(s.Marks.SetTime(today.Add(time.Hour)))
	stick := t.TempDir()
	if _, err := hub.WriteCard(ctx, stick); err != nil {
		t.Fatal(err)
	}
	if _, err := s.AddPeer(ctx, stick, AddRequest{Words: mustCard(t, hub).Words, Actor: "uid:1001"}); err != nil {
		t.Errorf("the card: %v", err)
	}
	hub.must(hub.Marks.ApplyAnchor("k", 1, today, true))
	hub.clock.Set(time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC))
	if c := mustCard(t, hub); c.NotAfter > "2035" {
		t.Errorf("a card until %s", c.NotAfter)
	}
}

// An appliance whose disk was put back to an earlier day finds on a medium what it published since: it says so, signs no other
// version under that number, and believes nobody who only claims to be it.
func TestOwnRootForgotten(t *testing.T) {
	ctx := context.Background()
	s, other := newSite(t, "hub", "acme"), newSite(t, "other", "acme")
	own, _, err := s.own()
	s.must(err)
	later := func(keys *site, day string) []byte {
		key, err := keys.Keys.Root()
		s.must(err)
		payload, _, err := root.Draft(own, func(d *root.Document) error { d.NotAfter = day; return nil })
		s.must(err)
		env, err := attest.Sign(attest.TypeRoot, payload, key)
		s.must(err)
		return env
	}
	look := func(envelope []byte, version int) (Result, error) {
		dir := filepath.Join(t.TempDir(), "sallyport", "roots")
		s.must(os.MkdirAll(dir, 0o755))
		s.must(os.WriteFile(filepath.Join(dir, fmt.Sprintf("%s.%d.root.json", own.ID().Short(), version)), envelope, 0o644))
		res, _ := s.Import(ctx, Request{Path: filepath.Dir(filepath.Dir(dir)), Yes: true, Actor: "uid:1001"}, nil)
		_, err := s.ProposeKeys(ctx, rotate("bundle"))
		return res, err
	}
	if res, err := look(later(other, "2047-01-01T00:00:00Z"), 2); err != nil || len(res.Trust) != 0 {
		t.Fatalf("a stranger's: %+v %v", res.Trust, err)
	}
	if res, err := look(later(s, "2047-01-01T00:00:00Z"), 2); code.Of(err) != code.RootRollback || len(res.Trust) != 1 || res.Trust[0].What != "own-root" {
		t.Errorf("its own: %+v %v", res.Trust, err)
	}
	s.reopen()
	if _, err := s.ProposeKeys(ctx, rotate("bundle")); code.Of(err) != code.RootRollback {
		t.Errorf("after a start: %v", err)
	}
}

// A root that a restored backup put back to an earlier version vouches for no card: the key on it may have been revoked since.
func TestForgottenRootVouchesForNoCard(t *testing.T) {
	w, other := world(t, 62), world(t, 63)
	s := newSite(t, "site", "acme")
	s.meetHub(w.Hub)
	before := s.peers()[0]
	s.must(s.Marks.Raise(func(m *marks.Set) error { m.Roots[before.RootID.String()] = 2; return nil }))
	for what, edit := range map[string]func(*bundle.Card){
		"another recipient": func(c *bundle.Card) { c.Counter, c.Recipient = 5, cardOf(t, other.Hub).Recipient },
		"only newer":        func(c *bundle.Card) { c.Counter = 5 },
	} {
		stick := s.medium(w.Hub, map[string][]byte{"cards/hub.card.json": s.hubCard(w.Hub, edit, w.Hub.Key)})
		if res, err := s.trust(stick); what == "only newer" && (err != nil || len(res.Plans) != 0) || what != "only newer" && code.Of(err) != code.RootRollback {
			t.Errorf("%s: %+v %v", what, res, err)
		}
		_, _ = s.Import(context.Background(), Request{Path: stick, Yes: true, Actor: "uid:1001"}, nil)
		if p := s.peers()[0]; p.Recipient != before.Recipient || p.Counters["card"] != before.Counters["card"] {
			t.Errorf("%s: taken in: %+v", what, p.Counters)
		}
	}
}

func cardOf(t *testing.T, a *forge.Appliance) *bundle.Card {
	t.Helper()
	c, _, ok := parseCard(a.CardEnv)
	if !ok {
		t.Fatal("no card")
	}
	return c
}
