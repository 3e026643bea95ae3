package intake

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sallyport/internal/bundle"
	"sallyport/internal/code"
	"sallyport/internal/forge"
)

// strange is a site that knows the hub, with a bundle of an appliance that it does not know in quarantine, and the
// stick it came on.
func strange(t *testing.T, seed uint64) (w *forge.World, s *site, stick string) {
	t.Helper()
	w = world(t, seed)
	s = newSite(t, "site", "acme")
	s.meetHub(w.Hub)
	stick = s.stick(forge.Plan{From: w.Stranger, To: []*forge.Appliance{s.forged()}, Seal: bundle.SealAge})
	if _, err := s.take(stick); code.Of(err) != code.SignerUnknown {
		t.Fatal(err)
	}
	return w, s, stick
}

// A release of an entry whose bundle is not on the medium changes nothing, whatever good things lie there.
func TestReleaseOfWhatIsNotThere(t *testing.T) {
	w, s, _ := strange(t, 74)
	other := s.stick(forge.Plan{From: w.Hub, To: []*forge.Appliance{s.forged()}})
	tree, events := s.tree(), s.events()
	res, err := s.Release(context.Background(), "Q-1", Request{Path: other, Actor: "uid:1001", Yes: true}, nil)
	if code.Of(err) != code.NothingForUs || !strings.Contains(err.Error(), "is not on this medium") || !strings.Contains(code.NextStep(err), "Q-1") || len(res.Outcomes) != 0 {
		t.Errorf("%v %+v", err, res)
	}
	if s.tree() != tree || !maps.Equal(s.events(), events) {
		t.Error("something was changed")
	}
	if list, err := s.ListQuarantine(context.Background(), ""); err != nil || len(list) != 1 || list[0].From != w.Stranger.Name || list[0].Bundle == "" {
		t.Errorf("%v %+v", err, list)
	}
	if res, err := s.take(other); err != nil || res.Outcomes[0].Decision != Activated {
		t.Errorf("the medium was good: %v %+v", err, res)
	}
}

// A release takes in the bundle of its entry and leaves everything else on the medium, and what waits here, as it is.
func TestReleaseTakesInNothingElse(t *testing.T) {
	ctx := context.Background()
	w, s, stick := strange(t, 75)
	h := &history{t: t, s: s, hub: w.Hub, states: []forge.Records{advisories(t, 0, 20)}, at: forge.Epoch()}
	key, body := advisory(3, 2)
	h.mint(h.last().With("advisory", key, body))
	h.take(h.delta(2, 1))
	s.meetHub(w.Stranger)
	full, err := h.full(1).Build()
	s.must(err)
	s.must(full.Write(stick))
	volumes, err := filepath.Glob(filepath.Join(stick, "sallyport", "bundles", "*-for-site-*", "*.age"))
	if err != nil || len(volumes) != 1 {
		t.Fatal(err, volumes)
	}
	good, err := os.ReadFile(volumes[0])
	s.must(err)
	s.must(os.WriteFile(volumes[0], good[:10], 0o600))
	// refused once more, for another reason, it is the same entry still
	if _, err := s.Release(ctx, "Q-1", Request{Path: stick, Actor: "uid:1001", Yes: true}, nil); code.Of(err) != code.VolumeDamaged || !strings.Contains(err.Error(), "too short") {
		t.Errorf("a cut volume: %v", err)
	}
	if list, err := s.ListQuarantine(ctx, ""); err != nil || len(list) != 1 || list[0].Number != "Q-1" {
		t.Errorf("%v %+v", err, list)
	}
	s.must(os.WriteFile(volumes[0], good, 0o600))
	res, err := s.Release(ctx, "Q-1", Request{Path: stick, Actor: "uid:1001", Yes: true}, nil)
	if err != nil || len(res.Outcomes) != 1 || res.Outcomes[0].Decision != Activated || res.Outcomes[0].Plan.From != w.Stranger.Name {
		t.Errorf("%v %+v", err, res)
	}
	if _, ok := s.active(w.Hub, "osv-go"); ok || len(s.waits()) != 1 {
		t.Errorf("something else was taken in, or taken up: %v", s.waits())
	}
	if list, err := s.ListQuarantine(ctx, ""); err != nil || len(list) != 0 {
		t.Errorf("%v %+v", err, list)
	}
}

// An entry ends when its bundle comes in by a plain import, with one event, and not by a look; two histories do not.
func TestImportEndsTheEntry(t *testing.T) {
	ctx := context.Background()
	w, s, stick := strange(t, 76)
	s.meetHub(w.Stranger)
	entries := func() int {
		list, err := s.ListQuarantine(ctx, "")
		s.must(err)
		return len(list)
	}
	if _, err := s.Import(ctx, Request{Path: stick, PlanOnly: true, Actor: "uid:1001"}, nil); err != nil || entries() != 1 {
		t.Errorf("a look: %v", err)
	}
	if _, err := s.take(stick); err != nil || entries() != 0 {
		t.Errorf("%v", err)
	}
	if n := s.events()["bundle.import.quarantined"]; n != 1 {
		t.Errorf("%d events", n)
	}
	if list, err := os.ReadDir(filepath.Join(s.quarantineDir(), "acme")); err != nil || len(list) != 0 {
		t.Errorf("%v %v", err, list)
	}
	h := grown(t, 77)
	h.must(h.full(2))
	fork := h.full(2)
	fork.Feeds[0].Records = h.states[1].With("advisory", "X", `{"id":"X"}`)
	h.take(fork)
	h.must(h.full(3))
	if list, err := h.s.ListQuarantine(ctx, ""); err != nil || len(list) != 1 {
		t.Errorf("the fork: %v %+v", err, list)
	}
}

// After a restore an entry has no files: that is said, by a code of its own, and the entry can be ended.
func TestEntryWithoutFiles(t *testing.T) {
	ctx := context.Background()
	_, s, _ := strange(t, 78)
	row, err := s.FindQuarantine(ctx, "Q-1")
	s.must(err)
	s.must(os.RemoveAll(filepath.Join(s.quarantineDir(), row.Dir)))
	s.reopen()
	_, _, err = s.Files(row)
	_, rerr := s.Release(ctx, "Q-1", Request{Actor: "uid:1001", Yes: true}, nil)
	for _, err := range []error{err, rerr} {
		if code.Of(err) != code.EvidenceLost || !strings.Contains(code.NextStep(err), "sallyport quarantine remove Q-1") {
			t.Errorf("%v: %s", err, code.NextStep(err))
		}
	}
	if _, err := s.RemoveQuarantine(ctx, "Q-1", "lost with the disk", "uid:1001"); err != nil {
		t.Error(err)
	}
}

// A missing sheet is a note in the outcome, also where the volumes come in parts; a changed one is a refusal.
func TestMissingSheetIsANote(t *testing.T) {
	w := world(t, 79)
	s := newSite(t, "site", "acme")
	s.meetHub(w.Hub)
	b := cut(t, w, s)
	changed := s.lay(b, 1, 2)
	cover := filepath.Join(changed, b.Dir, bundle.CoverName)
	body, err := os.ReadFile(cover)
	s.must(err)
	s.must(os.WriteFile(cover, append(body, '\n'), 0o600))
	if _, err := s.take(changed); code.Of(err) != code.SheetBad || len(s.waits()) != 0 {
		t.Errorf("changed: %v", err)
	}
	var rest []int64
	for _, v := range b.Label.Volumes[2:] {
		rest = append(rest, v.N)
	}
	for i, stick := range []string{s.lay(b, 1, 2), s.lay(b, rest...)} {
		s.must(os.Remove(filepath.Join(stick, b.Dir, bundle.CoverName)))
		res, err := s.take(stick)
		if len(res.Outcomes) != 1 || strings.Join(res.Outcomes[0].Lacking, " ") != bundle.CoverName {
			t.Fatalf("stick %d: %v %+v", i+1, err, res.Outcomes)
		}
		if want := []Decision{Waits, Activated}[i]; res.Outcomes[0].Decision != want {
			t.Errorf("stick %d: %v %s", i+1, err, res.Outcomes[0].Decision)
		}
	}
}
