package intake

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sallyport/internal/bundle"
	"sallyport/internal/code"
	"sallyport/internal/forge"
)

// A fork is kept with both sides, and stays until a person removes it with a reason.
func TestForkIsKeptWithBothSides(t *testing.T) {
	ctx := context.Background()
	h := grown(t, 71)
	h.must(h.full(2))
	fork := h.full(2)
	fork.Feeds[0].Records = h.states[1].With("advisory", "X", `{"id":"X"}`)
	stick := h.s.stick(fork)
	before := h.s.tree()
	if _, err := h.s.take(stick); code.Of(err) != code.Fork || h.s.tree() != before {
		t.Fatal(err)
	}
	row, err := h.s.FindQuarantine(ctx, "q-1")
	h.s.must(err)
	files, log, err := h.s.Files(row)
	want := []string{"accepted-osv-go.manifest.json", "label.json", "manifest.json", "reason", "verification.log"}
	if err != nil || !slices.Equal(files, want) || !strings.Contains(log, "refused: fork") {
		t.Errorf("%v %q %s", err, files, log)
	}
	one, err := os.ReadFile(filepath.Join(h.s.quarantineDir(), row.Dir, "manifest.json"))
	h.s.must(err)
	other, err := os.ReadFile(filepath.Join(h.s.quarantineDir(), row.Dir, "accepted-osv-go.manifest.json"))
	h.s.must(err)
	if string(one) == string(other) {
		t.Error("the same side twice")
	}
	if _, err := h.s.RemoveQuarantine(ctx, "Q-1", " ", "uid:1001"); code.Of(err) != code.BadUsage {
		t.Errorf("without a reason: %v", err)
	}
	if _, err := h.s.RemoveQuarantine(ctx, "Q-9", "x", "uid:1001"); code.Of(err) != code.Missing {
		t.Errorf("%v", err)
	}
	if _, err := h.s.RemoveQuarantine(ctx, "Q-1", "the hub was restored", "uid:1001"); err != nil {
		t.Error(err)
	}
	if list, err := h.s.ListQuarantine(ctx, ""); err != nil || len(list) != 0 {
		t.Errorf("%v %+v", err, list)
	}
	if _, err := os.Stat(filepath.Join(h.s.quarantineDir(), row.Dir)); !os.IsNotExist(err) {
		t.Errorf("%v", err)
	}
	if n := h.s.events()["bundle.import.quarantined"]; n != 1 {
		t.Errorf("%d events", n)
	}
}

// What was refused because something was missing here is verified again when it is there, and taken in then.
func TestReleaseVerifiesAgain(t *testing.T) {
	ctx := context.Background()
	w := world(t, 72)
	s := newSite(t, "site", "acme")
	s.meetHub(w.Hub)
	stick := s.stick(forge.Plan{From: w.Stranger, To: []*forge.Appliance{s.forged()}, Seal: bundle.SealAge})
	if _, err := s.take(stick); code.Of(err) != code.SignerUnknown {
		t.Fatal(err)
	}
	if _, err := s.Release(ctx, "Q-1", Request{Actor: "uid:1001", Yes: true}, nil); code.Of(err) != code.BadUsage || !strings.Contains(code.NextStep(err), "--medium") {
		t.Errorf("%v", err)
	}
	if _, err := s.Release(ctx, "Q-1", Request{Path: stick, Actor: "uid:1001", Yes: true}, nil); code.Of(err) != code.SignerUnknown {
		t.Errorf("still unknown: %v", err)
	}
	if list, _ := s.ListQuarantine(ctx, ""); len(list) != 1 {
		t.Errorf("%+v", list)
	}
	s.meetHub(w.Stranger)
	res, err := s.Release(ctx, "Q-1", Request{Path: stick, Actor: "uid:1001", Yes: true}, nil)
	if err != nil || res.Outcomes[0].Decision != Activated {
		t.Errorf("%v %+v", err, res)
	}
	if list, _ := s.ListQuarantine(ctx, ""); len(list) != 0 {
		t.Errorf("%+v", list)
	}
}

// A parked bundle that was refused keeps all its bytes in the entry; put right on the disk, it is released from there.
func TestReleaseFromTheEntry(t *testing.T) {
	ctx := context.Background()
	h := grown(t, 73)
	h.take(h.delta(2, 1))
	row := h.s.waits()[0]
	file := filepath.Join(h.s.folder(row.Label), row.Volumes[0].Name)
	good, err := os.ReadFile(file)
	h.s.must(err)
	h.s.must(os.WriteFile(file, append([]byte{good[0] ^ 1}, good[1:]...), 0o600))
	if _, err := h.take(h.full(1)); code.Of(err) != code.VolumeDamaged {
		t.Fatal(err)
	}
	q, err := h.s.FindQuarantine(ctx, "Q-1")
	h.s.must(err)
	if _, err := h.s.Release(ctx, "Q-1", Request{Actor: "uid:1001", Yes: true}, nil); code.Of(err) != code.VolumeDamaged {
		t.Errorf("still damaged: %v", err)
	}
	h.check(1)
	h.s.must(os.WriteFile(filepath.Join(h.s.quarantineDir(), q.Dir, evidenceDir, row.Volumes[0].Name), good, 0o600))
	if res, err := h.s.Release(ctx, "Q-1", Request{Actor: "uid:1001", Yes: true}, nil); err != nil || res.Outcomes[0].Decision != Activated {
		t.Errorf("%v %+v", err, res)
	}
	h.check(2)
	if list, _ := h.s.ListQuarantine(ctx, ""); len(list) != 0 {
		t.Errorf("%+v", list)
	}
}
