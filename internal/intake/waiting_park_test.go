package intake

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sallyport/internal/approval"
	"sallyport/internal/bundle"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/state"
)

// grown is a history of a full and three generations after it, each with a key changed; the third changes one back.
func grown(t *testing.T, seed uint64) *history {
	h := newHistory(t, seed, advisories(t, 0, 40))
	key, body := advisory(3, 2)
	first := h.last()["advisory"][key]
	h.mint(h.last().With("advisory", key, body))
	h.mint(h.last().With("advisory", "FORGE-2026-0000009", ""))
	h.mint(h.last().With("advisory", key, first))
	return h
}

func (h *history) parkedReceipts() (n int) {
	list, err := h.s.ListReceipts(context.Background(), "", 0)
	h.s.must(err)
	for _, r := range list {
		if r.Decision == bundle.Parked {
			n++
		}
	}
	return n
}

// A delta before its base is parked; when the base comes both are applied in one plan, in order.
func TestDeltaBeforeFull(t *testing.T) {
	h := grown(t, 51)
	second := h.delta(2, 1)
	full := h.full(1)
	stick := h.s.stick(second)
	before := h.s.tree()
	look, err := h.s.Import(context.Background(), Request{Path: stick, PlanOnly: true, Actor: "uid:1001"}, nil)
	if code.Of(err) != code.Parked || len(h.s.waits()) != 0 || h.s.tree() != before {
		t.Errorf("a look: %v %+v", err, look)
	}
	res, err := h.s.take(stick)
	root := h.states[0].Root().Short()
	want := fmt.Sprintf("Kept, waiting for generation 1 of osv-go (%s). Ask headquarters for it, or for a full.", root)
	if code.Of(err) != code.Parked || res.Sentence != want || res.Outcomes[0].Decision != Parked || res.Outcomes[0].Receipt != "R-0001" {
		t.Fatalf("%v %+v", err, res)
	}
	rows := h.s.waits()
	if len(rows) != 1 || rows[0].Why != WaitsForBase || len(rows[0].Wanted) != 0 || rows[0].Feeds[0].Generation != 2 || rows[0].Receipt != "R-0001" {
		t.Errorf("%+v", rows)
	}
	if ev := h.s.events(); ev["bundle.import.parked"] != 1 || ev["bundle.import.refused"] != 0 || h.parkedReceipts() != 1 {
		t.Errorf("%v", ev)
	}
	// the same stick again says the same and does nothing
	if res, err := h.s.take(stick); code.Of(err) != code.Parked || res.Sentence != want || h.parkedReceipts() != 1 || h.s.events()["bundle.import.parked"] != 1 {
		t.Errorf("again: %v %+v", err, res)
	}
	h.s.reopen()
	res = h.must(full)
	if len(res.Outcomes) != 2 || len(res.Plan.Bundles) != 2 || res.Outcomes[0].Plan.Variant != "full" || res.Outcomes[1].Plan.Variant != "delta" ||
		res.Outcomes[0].Decision != Activated || res.Outcomes[1].Decision != Activated {
		t.Errorf("%+v", res)
	}
	h.check(2)
	h.s.gone()
	if res, err := h.s.take(stick); err != nil || !strings.HasPrefix(res.Sentence, "This site already has everything on this stick (since 1 Mar 2026, receipt R-0003).") {
		t.Errorf("the first stick again: %v %s", err, res.Sentence)
	}
}

// The third delta waits for what the second makes, and says its name.
func TestParkedChain(t *testing.T) {
	h := grown(t, 52)
	second, third, full := h.delta(2, 1), h.delta(3, 2), h.full(1)
	h.take(second)
	res, err := h.take(third)
	if code.Of(err) != code.Parked || !strings.HasPrefix(res.Sentence, "Kept, waiting for mirror-20260301-delta-for-site. Ask headquarters") {
		t.Errorf("%v %s", err, res.Sentence)
	}
	if res := h.must(full); len(res.Outcomes) != 3 {
		t.Errorf("%+v", res.Outcomes)
	}
	h.check(3)
	h.s.gone()
}

// Deltas 1, 2, 3 sent without a receipt; 1 and 3 come in, nothing is parked; the stick with all three is nothing new.
func TestOldDeltasBesideGoodOnes(t *testing.T) {
	h := grown(t, 53)
	h.must(h.full(1))
	one, two, three := h.delta(2, 1), h.delta(3, 1, 2), h.delta(4, 1, 2, 3)
	h.must(one)
	h.must(three)
	h.check(4)
	if len(h.s.waits()) != 0 {
		t.Error("something is parked")
	}
	for range 2 {
		res, err := h.take(one, two, three)
		want := "This site already has everything on this stick (since 1 Mar 2026, receipt R-0003). You can take it back."
		if err != nil || res.Sentence != want {
			t.Errorf("%v %s", err, res.Sentence)
		}
	}
	h.check(4)
}

// What the marks have passed is dropped, not refused; its place is free.
func TestParkedOvertaken(t *testing.T) {
	h := grown(t, 54)
	h.take(h.delta(2, 1))
	h.must(h.full(3))
	res := h.must(h.full(4))
	if len(res.Outcomes) != 1 {
		t.Errorf("%+v", res.Outcomes)
	}
	h.s.gone()
	if ev := h.s.events(); ev["bundle.import.refused"] != 0 || ev["bundle.import.parked"] != 2 {
		t.Errorf("%v", ev)
	}
	h.check(4)
}

// A parked bundle is verified again in full: what was changed on the disk meanwhile is refused, and kept as evidence.
func TestParkedChangedOnDisk(t *testing.T) {
	for name, change := range map[string]func(file string) error{
		"a byte": func(file string) error {
			b, err := os.ReadFile(file)
			b[len(b)/2] ^= 1
			return writeOver(file, b, err)
		},
		"cut": func(file string) error {
			b, err := os.ReadFile(file)
			return writeOver(file, b[:len(b)-1], err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := grown(t, 55)
			h.take(h.delta(2, 1))
			row := h.s.waits()[0]
			h.s.must(change(filepath.Join(h.s.folder(row.Label), row.Volumes[0].Name)))
			res, err := h.take(h.full(1))
			if code.Of(err) != code.VolumeDamaged {
				t.Errorf("%v %+v", err, res)
			}
			h.s.gone()
			list, err := h.s.ListQuarantine(context.Background(), "")
			if err != nil || len(list) != 1 || list[0].Code != string(code.VolumeDamaged) {
				t.Fatalf("%v %+v", err, list)
			}
			if _, err := os.Stat(filepath.Join(h.s.quarantineDir(), list[0].Dir, "bundle", row.Volumes[0].Name)); err != nil {
				t.Errorf("evidence: %v", err)
			}
			h.check(1)
		})
	}
}

// Nor does another bundle go in because it lies where one waited, however well it is signed.
func TestParkedExchangedOnDisk(t *testing.T) {
	h := grown(t, 59)
	h.take(h.delta(2, 1))
	row := h.s.waits()[0]
	third := h.delta(3, 2)
	third.Manifest = func(m *bundle.Manifest) { m.ExportID += "-9" }
	b, err := third.Build()
	h.s.must(err)
	list, err := os.ReadDir(h.s.folder(row.Label))
	h.s.must(err)
	for _, e := range list {
		h.s.must(os.Remove(filepath.Join(h.s.folder(row.Label), e.Name())))
	}
	for name, data := range b.Files {
		if strings.HasPrefix(name, b.Dir+"/") {
			h.s.must(os.WriteFile(filepath.Join(h.s.folder(row.Label), filepath.Base(name)), data, 0o600))
		}
	}
	if res, err := h.take(h.full(1)); code.Of(err) != code.LabelBad {
		t.Errorf("%v %+v", err, res)
	}
	h.check(1)
	h.s.gone()
}

func writeOver(file string, b []byte, err error) error {
	if err != nil {
		return err
	}
	return os.WriteFile(file, b, 0o600)
}

// A yes given while a bundle is parked binds to it and its results, and counts when the base is there.
func TestApprovedWhileParked(t *testing.T) {
	h := grown(t, 56)
	stick := h.s.stick(h.delta(2, 1))
	h.s.take(stick)
	plan := h.s.waits()[0].Plan
	ask := func(dir, approve string) (Result, error) {
		return h.s.Import(context.Background(), Request{Path: dir, Approve: approve, Actor: "uid:1002"}, nil)
	}
	if _, err := ask(stick, plan); code.Of(err) != code.Parked {
		t.Errorf("%v", err)
	}
	if n := h.s.events()["approval.granted"]; n != 1 {
		t.Errorf("%d events", n)
	}
	// the full comes, with its own yes: the delta's counts for the delta alone, so the plan of both needs one
	full := h.s.stick(h.full(1))
	res, err := ask(full, "")
	if err != nil || res.Applied || len(res.Plan.Bundles) != 2 {
		t.Fatalf("%v %+v", err, res)
	}
	// the hub repairs it otherwise: the full alone was activated by another way, the parked one goes by itself
	rows := h.s.waits()
	h.s.must(h.s.State.Update(context.Background(), func(tx *state.Tx) error { return waiting.Delete(tx, rows[0].Label) }))
	if _, err := h.s.take(full); err != nil {
		t.Fatal(err)
	}
	res, err = ask(stick, "")
	if err != nil || !res.Applied || res.Outcomes[len(res.Outcomes)-1].Decision != Activated {
		t.Errorf("%v %+v", err, res)
	}
	h.check(2)
}

// So many and no more.
func TestParkedFull(t *testing.T) {
	h := grown(t, 57)
	for i := range MaxWaiting {
		p := h.delta(2, 1)
		p.Manifest = func(m *bundle.Manifest) { m.RunID = fmt.Sprintf("%s%02d", m.RunID[:len(m.RunID)-2], i) }
		if _, err := h.take(p); code.Of(err) != code.Parked {
			t.Fatal(err)
		}
	}
	res, err := h.take(h.delta(3, 2))
	if code.Of(err) != code.WaitingFull || res.Outcomes[0].Quarantine != "" || len(h.s.waits()) != MaxWaiting {
		t.Errorf("%v %+v", err, res)
	}
}

// Nor more than a tenth of the disk.
func TestParkedShareOfTheDisk(t *testing.T) {
	s := newSite(t, "site", "acme")
	s.must(s.State.View(func(tx *state.Tx) error {
		if err := s.roomFor(tx, WaitingRow{Why: WaitsForBase, Bytes: 1 << 20}); err != nil {
			t.Error(err)
		}
		if err := s.roomFor(tx, WaitingRow{Why: WaitsForBase, Bytes: 1 << 52}); code.Of(err) != code.WaitingFull {
			t.Errorf("%v", err)
		}
		return nil
	}))
}

// A parked delta of a full that comes in volumes: both wait, each for its own, and go on together.
func TestParkedBesideVolumes(t *testing.T) {
	h := grown(t, 58)
	h.take(h.delta(2, 1))
	p := h.full(1)
	p.Cut = 700
	b, err := p.Build()
	h.s.must(err)
	h.s.take(h.s.lay(b, 2))
	if rows := h.s.waits(); len(rows) != 2 {
		t.Errorf("%+v", rows)
	}
	var rest []int64
	for _, v := range b.Label.Volumes {
		if v.N != 2 {
			rest = append(rest, v.N)
		}
	}
	if res, err := h.s.take(h.s.lay(b, rest...)); err != nil || len(res.Outcomes) != 2 {
		t.Errorf("%v %+v", err, res.Outcomes)
	}
	h.check(2)
	h.s.gone()
}

// What people were asked about a bundle while it was parked is over when it was activated, overtaken or dropped: nobody can say
// yes to it then.
func TestAskedWhileParkedIsOver(t *testing.T) {
	ctx := context.Background()
	for name, end := range map[string]func(h *history){
		"activated": func(h *history) { h.must(h.full(1)) },
		"overtaken": func(h *history) { h.must(h.full(3)); h.must(h.full(4)) },
		"dropped": func(h *history) {
			_, err := h.s.Forget(ctx, h.s.waits()[0].Label, "not wanted", "uid:1001")
			h.s.must(err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := grown(t, 61)
			h.take(h.delta(2, 1))
			asked, err := digest.Parse(h.s.waits()[0].Plan)
			h.s.must(err)
			end(h)
			h.s.gone()
			h.s.must(h.s.State.View(func(tx *state.Tx) error {
				p, err := approval.Get(tx, asked)
				if p.Over == "" {
					t.Errorf("it is still asked: %+v", p)
				}
				return err
			}))
			if _, err := h.s.Approve(ctx, Word{Digest: asked, Actor: "uid:1002"}); code.Of(err) != code.Conflict {
				t.Errorf("%v", err)
			}
		})
	}
}
