package intake

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sallyport/internal/attest"
	"sallyport/internal/bundle"
	"sallyport/internal/code"
	"sallyport/internal/feed"
	"sallyport/internal/forge"
	"sallyport/internal/ident"
	"sallyport/internal/state"
)

func TestImportActivates(t *testing.T) {
	ctx := context.Background()
	w := world(t, 1)
	s := newSite(t, "site", "acme")
	s.meetHub(w.Hub)
	stick := s.stick(forge.Plan{From: w.Hub, To: []*forge.Appliance{s.forged()}, Seal: bundle.SealAge})
	before := s.tree()
	plan, err := s.Import(ctx, Request{Path: stick, Actor: "uid:1001"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if plan.Applied || len(plan.Plan.Bundles) != 1 || s.tree() != before {
		t.Fatalf("a plan changed something: %+v", plan)
	}
	again, err := s.Import(ctx, Request{Path: stick, Actor: "uid:1001", PlanOnly: true, Yes: true}, nil)
	if err != nil || again.Plan.Digest != plan.Plan.Digest || again.Applied || s.tree() != before {
		t.Fatalf("second plan: %v %+v", err, again)
	}
	if _, err := s.Import(ctx, Request{Path: stick, Actor: "uid:1001", Approve: "sha256:" + plan.Plan.Digest[8:] + "0"}, nil); code.Of(err) != code.PlanChanged {
		t.Fatalf("another digest: %v", err)
	}
	if s.tree() != before {
		t.Fatal("a refused approval changed the store")
	}
	res, err := s.Import(ctx, Request{Path: stick, Actor: "uid:1001", Approve: plan.Plan.Digest}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !res.Applied || res.Outcomes[0].Decision != Activated || res.Outcomes[0].Receipt != "R-0001" {
		t.Fatalf("not activated: %+v", res)
	}
	t.Log(plan.Sentence, "|", plan.Outcomes[0].Sentence, "|", res.Sentence)
	g, ok := s.active(w.Hub, "osv-go")
	if !ok || g.Generation != 1 || g.Records != 40 {
		t.Fatalf("osv-go: %v %+v", ok, g)
	}
	if g, ok := s.active(w.Hub, "sboms"); !ok || g.Generation != 3 || g.Records != 2 {
		t.Fatalf("sboms: %v %+v", ok, g)
	}
	ev := s.events()
	if ev["bundle.import.accepted"] != 1 || ev["bundle.import.activated"] != 1 || ev["bundle.import.refused"] != 0 {
		t.Fatalf("events: %v", ev)
	}
	after := s.tree()
	idle, err := s.Import(ctx, Request{Path: stick, Actor: "uid:1001", Yes: true}, nil)
	if err != nil || idle.Applied || idle.Outcomes[0].Decision != AlreadyActive || s.tree() != after {
		t.Fatalf("repeat: %v %+v", err, idle)
	}
	t.Log(idle.Sentence)
	s.must(s.CAS.Check(ctx))
}

func TestImportRefuses(t *testing.T) {
	ctx := context.Background()
	w := world(t, 2)
	s := newSite(t, "site", "acme")
	s.meetHub(w.Hub)
	to := []*forge.Appliance{s.forged()}
	feeds := func(gen int64, lines int) []forge.Feed {
		return []forge.Feed{{Name: "osv-go", Generation: gen, Epoch: 1, Lines: lines}}
	}
	if _, err := s.Import(ctx, Request{Path: s.stick(forge.Plan{From: w.Hub, To: to, Feeds: feeds(5, 20)}), Yes: true, Actor: "uid:1001"}, nil); err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		name string
		plan forge.Plan
		want code.Code
		kept bool
	}{
		{"older generation", forge.Plan{Feeds: feeds(4, 19)}, code.Rollback, false},
		{"fork", forge.Plan{Feeds: feeds(5, 21)}, code.Fork, true},
		{"far ahead", forge.Plan{Feeds: feeds(5+10001, 21)}, code.FastForward, false},
		{"epoch nobody named", forge.Plan{Feeds: []forge.Feed{{Name: "osv-go", Generation: 6, Epoch: 2, Lines: 3}}}, code.EpochUnknown, true},
		{"stranger signs", forge.Plan{From: w.Stranger, Feeds: feeds(6, 22)}, code.SignerUnknown, true},
		{"audience", forge.Plan{Feeds: feeds(6, 22), Manifest: func(m *bundle.Manifest) { m.Audience = []string{w.Site.ID} }}, code.WrongAudience, false},
		{"tenant", forge.Plan{Feeds: feeds(6, 22), Manifest: func(m *bundle.Manifest) { m.Tenant = "other" }}, code.KeyScope, true},
		{"damaged", forge.Plan{Feeds: feeds(6, 22), SealBytes: func(b []byte) []byte { b[len(b)/2] ^= 1; return b }}, code.SealDamaged, true},
		{"volume flipped", forge.Plan{Feeds: feeds(6, 22), Files: func(dir string, files map[string][]byte) {
			for name, b := range files {
				if len(name) > 8 && name[len(name)-8:] == ".zst.age" {
					b[len(b)/2] ^= 1
				}
			}
		}}, code.VolumeDamaged, true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			p := c.plan
			if p.From == nil {
				p.From = w.Hub
			}
			p.To, p.Seal = to, bundle.SealAge
			stick := s.stick(p)
			before, ev := s.tree(), s.events()
			res, err := s.Import(ctx, Request{Path: stick, Yes: true, Actor: "uid:1001"}, nil)
			if code.Of(err) != c.want {
				t.Fatalf("error %v (%s), want %s", err, code.Of(err), c.want)
			}
			if s.tree() != before {
				t.Error("the store changed")
			}
			if got := s.events()["bundle.import.refused"] - ev["bundle.import.refused"]; got != 1 {
				t.Errorf("%d events of the refusal", got)
			}
			o := res.Outcomes[len(res.Outcomes)-1]
			if (o.Quarantine != "") != c.kept {
				t.Errorf("quarantine %q, kept wanted %v", o.Quarantine, c.kept)
			}
			t.Log(o.Sentence)
		})
	}
}

func TestForSomebodyElse(t *testing.T) {
	ctx := context.Background()
	w := world(t, 3)
	s := newSite(t, "site-07", "acme")
	s.meetHub(w.Hub)
	before, ev := s.tree(), s.events()
	for name, p := range map[string]forge.Plan{"known hub": {From: w.Hub}, "unknown hub": {From: w.Stranger}} {
		p.To, p.Seal = []*forge.Appliance{w.Site}, bundle.SealAge
		res, err := s.Import(ctx, Request{Path: s.stick(p), Yes: true, Actor: "uid:1001"}, nil)
		want := "This bundle is for site, not for this site (site-07). Nothing was opened. Keep the stick for its courier."
		if code.Of(err) != code.NothingForUs || res.Outcomes[0].Sentence != want || res.Outcomes[0].Decision != Skipped {
			t.Errorf("%s: %v %+v", name, err, res)
		}
	}
	if s.tree() != before || s.events()["bundle.import.refused"] != ev["bundle.import.refused"] {
		t.Error("a courier's stick changed something")
	}
}

func TestTwoGenerationsOnOneStick(t *testing.T) {
	ctx := context.Background()
	w := world(t, 4)
	s := newSite(t, "site", "acme")
	s.meetHub(w.Hub)
	to := []*forge.Appliance{s.forged()}
	one := forge.Plan{From: w.Hub, To: to, Feeds: []forge.Feed{{Name: "osv-go", Generation: 1, Epoch: 1, Lines: 30}}}
	two := forge.Plan{From: w.Hub, To: to, At: forge.Epoch().Add(time.Hour), Feeds: []forge.Feed{{Name: "osv-go", Generation: 2, Epoch: 1, Lines: 35}}}
	res, err := s.Import(ctx, Request{Path: s.stick(two, one), Yes: true, Actor: "uid:1001"}, nil)
	if err != nil || len(res.Outcomes) != 2 {
		t.Fatalf("%v %+v", err, res)
	}
	if f := res.Outcomes[1].Plan.Feeds[0]; f.Added != 5 || f.Unchanged != 30 || f.Before != 1 {
		t.Errorf("second bundle: %+v", f)
	}
	if g, _ := s.active(w.Hub, "osv-go"); g.Generation != 2 {
		t.Errorf("active %d", g.Generation)
	}
}

func TestTwoPeopleAreAsked(t *testing.T) {
	ctx := context.Background()
	w := world(t, 5)
	s := newSite(t, "site", "acme")
	s.Approvals = 2
	s.meetHub(w.Hub)
	stick := s.stick(forge.Plan{From: w.Hub, To: []*forge.Appliance{s.forged()}})
	before := s.tree()
	for range 2 {
		if _, err := s.Import(ctx, Request{Path: stick, Yes: true, Actor: "uid:1001"}, nil); code.Of(err) != code.PlanApproval {
			t.Fatalf("one person was enough: %v", err)
		}
	}
	if _, err := s.Import(ctx, Request{Path: stick, Yes: true, Actor: "root", Lone: true}, nil); code.Of(err) != code.PlanApproval {
		t.Fatalf("root that nobody signed in to start was the second person: %v", err)
	}
	if s.tree() != before {
		t.Error("an unapproved plan changed the store")
	}
	res, err := s.Import(ctx, Request{Path: stick, Yes: true, Actor: "uid:1005", Role: "approver"}, nil)
	if err != nil || !res.Applied {
		t.Fatalf("two people: %v", err)
	}
	rows, err := s.ListReceipts(ctx, "acme", 0)
	if err != nil || len(rows) != 1 || rows[0].Decision != bundle.Activated {
		t.Fatalf("%v %+v", err, rows)
	}
}

func TestPinnedFeedIsHeld(t *testing.T) {
	ctx := context.Background()
	w := world(t, 6)
	s := newSite(t, "site", "acme")
	s.meetHub(w.Hub)
	plan := func(gen int64, lines int) string {
		return s.stick(forge.Plan{From: w.Hub, To: []*forge.Appliance{s.forged()}, Feeds: []forge.Feed{{Name: "osv-go", Generation: gen, Epoch: 1, Lines: lines}}})
	}
	for gen := int64(1); gen <= 2; gen++ {
		if _, err := s.Import(ctx, Request{Path: plan(gen, 30+int(gen)), Yes: true, Actor: "uid:1001"}, nil); err != nil {
			t.Fatal(err)
		}
	}
	ref := ident.FeedRef{Tenant: "acme", Origin: w.Hub.ID, Name: "osv-go"}
	s.must(s.State.Update(ctx, func(tx *state.Tx) error {
		_, err := feed.Rollback(tx, ref, feed.Point{Epoch: 1, Generation: 1}, "a test")
		return err
	}))
	res, err := s.Import(ctx, Request{Path: plan(3, 40), Yes: true, Actor: "uid:1001"}, nil)
	if err != nil || res.Outcomes[0].Decision != Held {
		t.Fatalf("%v %+v", err, res.Outcomes)
	}
	t.Log(res.Sentence)
	if g, _ := s.active(w.Hub, "osv-go"); g.Generation != 1 {
		t.Errorf("active %d", g.Generation)
	}
	held := func() (g feed.Generation) {
		s.must(s.State.View(func(tx *state.Tx) (err error) {
			g, _, err = feed.At(tx, ref, feed.Point{Epoch: 1, Generation: 3})
			return err
		}))
		return g
	}()
	if f := s.newestReceipt().Feeds[0]; f.Before != 1 || f.After != 3 || f.StateRoot != held.Root || held.Root.IsZero() {
		t.Errorf("the receipt of a held bundle: %+v, held %+v", f, held)
	}
	if res, err = s.Import(ctx, Request{Path: plan(3, 40), Yes: true, Actor: "uid:1001"}, nil); err != nil || res.Outcomes[0].Decision != AlreadyHeld {
		t.Errorf("again: %v %+v", err, res.Outcomes)
	}
}

// newestReceipt is what the last receipt given out says.
func (s *site) newestReceipt() *bundle.Receipt {
	s.t.Helper()
	rows, err := s.ListReceipts(context.Background(), "", 1)
	s.must(err)
	claim, err := attest.Inspect(rows[0].Envelope)
	s.must(err)
	rc, err := bundle.ParseReceipt(claim.Payload)
	s.must(err)
	return rc
}

func TestShrinkingNeedsApprovalEvenWhereOff(t *testing.T) {
	ctx := context.Background()
	w := world(t, 7)
	s := newSite(t, "site", "acme")
	s.Approvals = 0
	s.meetHub(w.Hub)
	plan := func(gen int64, lines int) string {
		return s.stick(forge.Plan{From: w.Hub, To: []*forge.Appliance{s.forged()}, Feeds: []forge.Feed{{Name: "osv-go", Generation: gen, Epoch: 1, Lines: lines}}})
	}
	if res, err := s.Import(ctx, Request{Path: plan(1, 40), Actor: "uid:1001"}, nil); err != nil || !res.Applied {
		t.Fatalf("approvals are off: %v", err)
	}
	small := plan(2, 20)
	res, err := s.Import(ctx, Request{Path: small, Actor: "uid:1001"}, nil)
	if err != nil || res.Applied || res.Plan.Bundles[0].NeedsApproval == "" {
		t.Fatalf("half a feed was removed without a word: %v %+v", err, res)
	}
	if res, err = s.Import(ctx, Request{Path: small, Approve: res.Plan.Digest, Actor: "uid:1001"}, nil); err != nil || !res.Applied {
		t.Errorf("approved: %v", err)
	}
}

func TestHalfACopy(t *testing.T) {
	ctx := context.Background()
	w := world(t, 8)
	s := newSite(t, "site", "acme")
	s.meetHub(w.Hub)
	stick := s.stick(forge.Plan{From: w.Hub, To: []*forge.Appliance{s.forged()}, Files: func(dir string, files map[string][]byte) {
		for name := range files {
			if strings.HasSuffix(name, ".label.json") {
				delete(files, name)
			}
		}
	}})
	res, err := s.Import(ctx, Request{Path: stick, Yes: true, Actor: "uid:1001"}, nil)
	if code.Of(err) != code.LabelMissing || res.Outcomes[0].Sentence != "Copying to this stick was not finished: no label. It is resumed at the hub, not imported here." || res.Outcomes[0].Quarantine != "" {
		t.Errorf("%v %+v", err, res.Outcomes)
	}
	if _, err := s.Import(ctx, Request{Path: t.TempDir(), Yes: true}, nil); code.Of(err) != code.MediumEmpty {
		t.Errorf("an empty directory: %v", err)
	}
}

func TestNoSpaceChangesNothing(t *testing.T) {
	ctx := context.Background()
	w := world(t, 9)
	s := newSite(t, "site", "acme")
	s.meetHub(w.Hub)
	stick := s.stick(forge.Plan{From: w.Hub, To: []*forge.Appliance{s.forged()}})
	before, ev := s.tree(), s.events()
	s.CAS.SetReserve(1 << 60)
	_, err := s.Import(ctx, Request{Path: stick, Yes: true, Actor: "uid:1001"}, nil)
	if code.Of(err) != code.NoSpace || s.tree() != before || s.events()["bundle.import.refused"] != ev["bundle.import.refused"] {
		t.Errorf("%v", err)
	}
	s.CAS.SetReserve(0)
	if res, err := s.Import(ctx, Request{Path: stick, Yes: true, Actor: "uid:1001"}, nil); err != nil || !res.Applied {
		t.Errorf("with space: %v", err)
	}
}

func TestCancelledImportLeavesNothing(t *testing.T) {
	w := world(t, 10)
	s := newSite(t, "site", "acme")
	s.meetHub(w.Hub)
	stick := s.stick(forge.Plan{From: w.Hub, To: []*forge.Appliance{s.forged()}})
	before := s.tree()
	ctx, cancel := context.WithCancel(context.Background())
	_, err := s.Import(ctx, Request{Path: stick, Yes: true, Actor: "uid:1001"}, func(step string, _, _ int64) {
		if strings.HasPrefix(step, "verify") || strings.HasPrefix(step, "index") {
			cancel()
		}
	})
	if code.Of(err) != code.Interrupted || s.tree() != before || s.events()["bundle.import.refused"] != 0 {
		t.Errorf("%v (%s)", err, code.Of(err))
	}
}

func TestQuarantineKeepsEvidenceOnce(t *testing.T) {
	ctx := context.Background()
	w := world(t, 19)
	s := newSite(t, "site", "acme")
	s.meetHub(w.Hub)
	stick := s.stick(forge.Plan{From: w.Stranger, To: []*forge.Appliance{s.forged()}})
	for range 2 {
		res, err := s.Import(ctx, Request{Path: stick, Yes: true, Actor: "uid:1001"}, nil)
		if code.Of(err) != code.SignerUnknown || res.Outcomes[0].Quarantine != "Q-1" || !strings.Contains(res.Outcomes[0].Sentence, w.Stranger.Bundle.Public().Words()) {
			t.Fatalf("%v %+v", err, res.Outcomes)
		}
	}
	rows, err := s.ListQuarantine(ctx, "acme")
	if err != nil || len(rows) != 1 || rows[0].Code != "signer-unknown" {
		t.Fatalf("%v %+v", err, rows)
	}
	for _, name := range []string{"label.json", "reason", "verification.log"} {
		if st, err := os.Stat(filepath.Join(s.dir, "quarantine", rows[0].Dir, name)); err != nil || st.Size() == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	s.must(os.MkdirAll(filepath.Join(s.dir, "quarantine", "acme", "20260101T000000Z-left-00000000"), 0o700))
	s.reopen()
	left, err := os.ReadDir(filepath.Join(s.dir, "quarantine", "acme"))
	if err != nil || len(left) != 1 {
		t.Errorf("after a restart: %v %v", left, err)
	}
}

// A stick full of labels that anybody can write does not push out what a known signer did.
func TestQuarantineGivesUpTheLightestFirst(t *testing.T) {
	s := newSite(t, "site", "acme")
	enterRow := func(q QuarantineRow) (row QuarantineRow, evicted []QuarantineRow) {
		s.must(s.State.Update(context.Background(), func(tx *state.Tx) (err error) {
			row = q
			row.Tenant = "acme"
			evicted, err = enter(tx, &row)
			return err
		}))
		return row, evicted
	}
	enterRow(QuarantineRow{Code: string(code.Fork)})
	enterRow(QuarantineRow{Code: string(code.SignatureBad)})
	enterRow(QuarantineRow{Code: string(code.SealDamaged), Signer: "SHA256:k"})
	for range 2 * maxQuarantine {
		if row, _ := enterRow(QuarantineRow{Code: string(code.SignerUnknown)}); row.Number == "" {
			t.Fatal("the newest of the lightest was given up before older ones")
		}
	}
	left := func() map[string]int {
		rows, err := s.ListQuarantine(context.Background(), "acme")
		s.must(err)
		n := map[string]int{}
		for _, q := range rows {
			n[q.Code]++
		}
		return n
	}
	if n := left(); n[string(code.Fork)] != 1 || n[string(code.SignatureBad)] != 1 || n[string(code.SealDamaged)] != 1 || n[string(code.SignerUnknown)] != maxQuarantine-3 {
		t.Errorf("left %v", n)
	}
	for range 2 * maxQuarantine { // a known key's name on signatures that do not hold is easily written too
		enterRow(QuarantineRow{Code: string(code.SignatureBad)})
	}
	if n := left(); n[string(code.Fork)] != 1 || n[string(code.SealDamaged)] != 1 || n[string(code.SignatureBad)] != maxQuarantine-2 {
		t.Errorf("left %v", n)
	}
	if row, evicted := enterRow(QuarantineRow{Code: string(code.SignerUnknown), Dir: "x"}); row.Number != "" || len(evicted) != 1 || evicted[0].Dir != "x" {
		t.Errorf("%+v, evicted %+v", row, evicted)
	}
}
