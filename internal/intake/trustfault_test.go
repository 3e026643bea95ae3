package intake

import (
	"context"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"sallyport/internal/code"
	"sallyport/internal/durable"
	"sallyport/internal/state"
)

// TestTrustFaults fails each durable step of the second person's yes, lost and kept, alone and with everything after it: trust is
// wholly old or wholly new, the marks never behind what was acknowledged after a start, and it can be finished.
func TestTrustFaults(t *testing.T) {
	w := world(t, 51)
	s := newSite(t, "site", "acme")
	s.meetHub(w.Hub)
	stick := s.medium(w.Hub, docs(w.Hub, line(t, w.Hub, 2, nil)...))
	res, err := s.ApplyTrust(context.Background(), TrustRequest{Path: stick, Actor: "uid:1001"})
	s.must(err)
	d, id := res.Plans[0].Digest, w.Hub.Root.ID().String()
	s.close()
	tpl := &template{s: s, w: w, stick: stick}
	run := func(f fault) (steps int) {
		c := tpl.copy(t)
		armed := false
		c.open(durable.WithHook(func(durable.Op) durable.Verdict {
			if !armed {
				return durable.Do
			}
			steps++
			switch {
			case steps == f.at:
				return f.first
			case steps > f.at && f.dead && f.at > 0:
				return durable.Lose
			}
			return durable.Do
		}))
		armed = true
		_, err := c.ApplyTrust(context.Background(), TrustRequest{Path: stick, Actor: "uid:1002", Approve: d})
		armed = false
		c.reopen()
		n := len(c.peers()[0].Roots)
		if n != 1 && n != 3 || err == nil && n != 3 {
			t.Errorf("%s: %d versions, %v", f, n, err)
		}
		if m := c.Marks.Get().Roots[id]; m != int64(n) {
			t.Errorf("%s: mark %d, %d versions", f, m, n)
		}
		_, err = c.ApplyTrust(context.Background(), TrustRequest{Path: stick, Actor: "uid:1002", Approve: d})
		if n == 3 && code.Of(err) != code.Conflict || n == 1 && err != nil || len(c.peers()[0].Roots) != 3 {
			t.Errorf("%s: finishing at %d: %v", f, n, err)
		}
		if ev := c.events(); ev["trust.rotation.applied"] != 2 || ev["trust.rotation.approved"] != 1 {
			t.Errorf("%s: %v", f, ev)
		}
		c.must(c.State.View(func(tx *state.Tx) error {
			_, err := c.Timeline.Verify(tx)
			return err
		}))
		return steps
	}
	total := run(fault{})
	var all []fault
	for at := 1; at <= total; at++ {
		for _, dead := range []bool{false, true} {
			all = append(all, fault{at, durable.Lose, dead}, fault{at, durable.Keep, dead})
		}
	}
	if os.Getenv("SALLYPORT_CRASH") != "all" {
		rand.New(rand.NewPCG(9, 9)).Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		all = all[:min(12, len(all))]
	}
	for _, f := range all {
		run(f)
	}
	t.Logf("%d durable steps", total)
}

// A change that was committed and whose marks were not written is told so, and stands.
func TestTrustStandsWithoutItsMarks(t *testing.T) {
	w := world(t, 52)
	s := newSite(t, "site", "acme")
	s.meetHub(w.Hub)
	stick := s.medium(w.Hub, docs(w.Hub, line(t, w.Hub, 1, nil)...))
	res, err := s.ApplyTrust(context.Background(), TrustRequest{Path: stick, Actor: "uid:1001"})
	s.must(err)
	s.close()
	on := false
	s.open(durable.WithHook(func(op durable.Op) durable.Verdict {
		if op.Verb == "point" && op.Path == "trust.transaction" {
			on = true
		}
		if on && op.Verb == "rename" {
			return durable.Lose
		}
		return durable.Do
	}))
	res, err = s.ApplyTrust(context.Background(), TrustRequest{Path: stick, Actor: "uid:1002", Approve: res.Plans[0].Digest})
	if err == nil || !strings.Contains(err.Error(), "the change of trust was made, but its marks were not written") || !res.Plans[0].Applied {
		t.Errorf("%v %+v", err, res)
	}
	s.reopen()
	if m := s.Marks.Get().Roots[w.Hub.Root.ID().String()]; m != 2 || len(s.peers()[0].Roots) != 2 {
		t.Errorf("mark %d", m)
	}
}
