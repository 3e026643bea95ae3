package intake

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"sallyport/internal/clock"
	"sallyport/internal/code"
	"sallyport/internal/forge"
	"sallyport/internal/marks"
	"sallyport/internal/peer"
	"sallyport/internal/state"
)

// A bundle is accepted at the time its own anchor proves, and a crash before the marks are raised loses none of it.
func TestAcceptedAtTheAnchorsTime(t *testing.T) {
	ctx := context.Background()
	w := world(t, 61)
	s := newSite(t, "site", "acme")
	s.meetHub(w.Hub)
	marksFile := filepath.Join(s.dir, "marks")
	before, err := os.ReadFile(marksFile)
	s.must(err)
	at := forge.Epoch().Add(72 * time.Hour)
	stick := s.stick(forge.Plan{From: w.Hub, To: []*forge.Appliance{s.forged()}, At: at})
	if _, err := s.Import(ctx, Request{Path: stick, Yes: true, Actor: "uid:1001"}, nil); err != nil {
		t.Fatal(err)
	}
	g, _ := s.active(w.Hub, "osv-go")
	rows, err := s.ListReceipts(ctx, "", 0)
	s.must(err)
	if want := clock.Format(at); g.AcceptedAt != want || rows[0].At != want {
		t.Errorf("accepted at %s, receipt of %s, anchor of %s", g.AcceptedAt, rows[0].At, want)
	}
	s.close()
	s.must(os.WriteFile(marksFile, before, 0o600))
	s.reopen()
	if now := s.Marks.Now(); now.Trusted.Before(at) || now.Source != "anchor" {
		t.Errorf("after a crash before the marks: %s from %s, anchor of %s", now.Trusted, now.Source, at)
	}
}

// An anchor that two people must confirm moves neither the marks nor what the acceptance says.
func TestFarAnchorMovesNothing(t *testing.T) {
	w := world(t, 62)
	s := newSite(t, "site", "acme")
	s.meetHub(w.Hub)
	stick := s.stick(forge.Plan{From: w.Hub, To: []*forge.Appliance{s.forged()}, At: forge.Epoch().Add(500 * 24 * time.Hour)})
	res, err := s.Import(context.Background(), Request{Path: stick, Yes: true, Actor: "uid:1001"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	g, _ := s.active(w.Hub, "osv-go")
	now := s.Marks.Now()
	if accepted, err := clock.Parse(g.AcceptedAt); err != nil || accepted.After(now.Trusted) || now.Trusted.After(forge.Epoch().Add(400*24*time.Hour)) {
		t.Errorf("accepted at %s, trusted %s, %v", g.AcceptedAt, now.Trusted, err)
	}
	if !slices.ContainsFunc(res.Trust, func(c TrustChange) bool { return c.What == "time" }) {
		t.Errorf("trust: %+v", res.Trust)
	}
}

// What a restored backup forgets, the marks file remembers: an older card is not taken for a new one.
func TestMarksRememberCards(t *testing.T) {
	ctx := context.Background()
	w := world(t, 63)
	s := newSite(t, "site", "acme")
	p := s.meetHub(w.Hub)
	s.must(s.Marks.Raise(func(m *marks.Set) error {
		m.Counters[marks.CounterKey("card", p.ID)] = 9
		return nil
	}))
	s.must(s.State.Update(ctx, func(tx *state.Tx) error { return peer.Remove(tx, p.Name) }))
	stick := s.stick(forge.Plan{From: w.Hub, To: []*forge.Appliance{s.forged()}})
	if _, err := s.AddPeer(ctx, stick, AddRequest{Fingerprint: w.Hub.Root.ID().Hex(), Actor: "uid:1001"}); code.Of(err) != code.CounterOld {
		t.Errorf("an older card: %v", err)
	}
}
