package intake

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"sallyport/internal/code"
	"sallyport/internal/durable"
	"sallyport/internal/feed"
	"sallyport/internal/state"
	"sallyport/internal/verify"
)

// when opens the site anew, so that fn runs once when an import comes to a point.
func (h *history) when(point string, fn func()) {
	h.t.Helper()
	h.s.close()
	done := false
	h.s.open(durable.WithHook(func(op durable.Op) durable.Verdict {
		if op.Verb == "point" && op.Path == point && !done {
			done = true
			fn()
		}
		return durable.Do
	}))
	h.t.Cleanup(func() {
		if !done {
			h.t.Errorf("%s was never passed", point)
		}
	})
}

// After a restored backup what was accepted before comes in again, but a bundle that was not does not slip in behind one that
// was: the marks are looked at for each.
func TestRestoredMarksCountForEveryBundleOfAPlan(t *testing.T) {
	for _, c := range []struct {
		name  string
		forge int64 // the generation that is made up
		code  code.Code
	}{{"below the mark", 3, code.Rollback}, {"at the mark", 4, code.Fork}} {
		t.Run(c.name, func(t *testing.T) {
			h := grown(t, 81)
			h.must(h.full(1))
			h.s.close()
			db := filepath.Join(h.s.dir, "state.db")
			backup, err := os.ReadFile(db)
			h.s.must(err)
			h.s.reopen()
			second := h.full(2)
			h.must(second)
			h.must(h.full(3))
			h.must(h.full(4))
			h.s.close()
			h.s.must(os.WriteFile(db, backup, 0o600))
			h.s.reopen()
			forged := h.full(c.forge)
			forged.Feeds[0].Records = h.states[c.forge-1].With("advisory", "X", `{"id":"X"}`)
			res, err := h.take(second, forged)
			g, _ := h.s.active(h.hub, "osv-go")
			if g.Generation != 2 {
				t.Errorf("generation %d is active", g.Generation)
			}
			if len(res.Outcomes) != 2 || res.Outcomes[0].Code+res.Outcomes[1].Code != string(c.code) {
				t.Errorf("%v %+v", err, res.Outcomes)
			}
		})
	}
}

// A delta is made of the layers of the generation it is applied to: when that goes while the delta is merged, and its shards
// are swept, nothing is activated.
func TestBaseRemovedWhileADeltaIsMerged(t *testing.T) {
	ctx := context.Background()
	h := grown(t, 82)
	h.must(h.full(1))
	h.must(h.delta(2, 1))
	h.must(h.full(3))
	delta := h.delta(4, 2)
	h.when("import.layered", func() {
		var dropped []feed.Layer
		h.s.must(h.s.State.Update(ctx, func(tx *state.Tx) error {
			g, ok, err := feed.At(tx, h.ref(), feed.Point{Epoch: 1, Generation: 2})
			if err != nil || !ok {
				return errors.Join(err, errors.New("generation 2 is not held"))
			}
			dropped, err = feed.Discard(tx, []feed.Spare{{Ref: h.ref(), Generation: g}})
			return err
		}))
		h.s.removeLayers(dropped)
		h.sweep()
	})
	res, err := h.take(delta)
	if code.Of(err) != code.Conflict {
		t.Errorf("%v %+v", err, res.Outcomes)
	}
	h.check(3)
}

// A plan says what would be activated: nothing else is, when the feed is unpinned between the plan and its transaction. When it
// goes back meanwhile, what was to be activated is held.
func TestFeedSteeredWhileAPlanIsMade(t *testing.T) {
	ctx := context.Background()
	for name, c := range map[string]struct {
		steer func(h *history, tx *state.Tx) error
		want  int64
		code  code.Code
	}{
		"unpinned": {func(h *history, tx *state.Tx) error { _, err := feed.Unpin(tx, h.ref()); return err }, 2, code.PlanChanged},
		"back": {func(h *history, tx *state.Tx) error {
			_, err := feed.Rollback(tx, h.ref(), feed.Point{Epoch: 1, Generation: 1}, "test")
			return err
		}, 1, ""},
	} {
		t.Run(name, func(t *testing.T) {
			h := grown(t, 83)
			h.must(h.full(1))
			h.must(h.full(2))
			h.s.must(h.s.State.Update(ctx, func(tx *state.Tx) error { return feed.Pin(tx, h.ref(), name == "unpinned", "test") }))
			third := h.full(3)
			h.when("import.layered", func() {
				h.s.must(h.s.State.Update(ctx, func(tx *state.Tx) error { return c.steer(h, tx) }))
			})
			res, err := h.take(third)
			if code.Of(err) != c.code || res.Applied != (err == nil) {
				t.Errorf("%v %+v", err, res)
			}
			h.check(c.want)
			if err == nil {
				return
			}
			orphans, err := h.s.Layers.Orphans(h.live())
			if err != nil || len(orphans) > 0 {
				t.Errorf("%v left %v", err, orphans)
			}
			h.must(third)
			h.check(3)
		})
	}
}

// live tells which layer files kept generations name.
func (h *history) live() func(string) bool {
	var files map[string]bool
	h.s.must(h.s.State.View(func(tx *state.Tx) (err error) {
		files, err = feed.LayerFiles(tx)
		return err
	}))
	return func(file string) bool { return files[file] }
}

// What is active may be damaged on the disk: newer data that needs nothing of it comes in all the same, because that is the way
// out; what would be removed cannot be counted, so a person has to say yes.
func TestFullOverADamagedGeneration(t *testing.T) {
	for name, harm := range map[string]func(string, []byte) error{
		"gone":     func(file string, _ []byte) error { return os.Remove(file) },
		"cut":      func(file string, b []byte) error { return os.WriteFile(file, b[:len(b)/2], 0o600) },
		"no layer": func(file string, b []byte) error { return os.WriteFile(file, make([]byte, len(b)), 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			h := grown(t, 84)
			h.must(h.full(1))
			g, _ := h.s.active(h.hub, "osv-go")
			file := h.s.Layers.Path(g.Layers[0].File)
			h.s.close()
			b, err := os.ReadFile(file)
			h.s.must(err)
			h.s.must(harm(file, b))
			h.s.reopen()
			if _, err := h.take(h.delta(2, 1)); code.Of(err) != code.StoreCorrupt {
				t.Errorf("a delta on it: %v", err)
			}
			h.s.Approvals = 0
			stick := h.s.stick(h.full(3))
			res, err := h.s.Import(context.Background(), Request{Path: stick, Actor: "uid:1001"}, nil)
			if err != nil || res.Applied || len(res.Plan.Bundles) != 1 || res.Plan.Bundles[0].NeedsApproval == "" {
				t.Fatalf("%v %+v", err, res)
			}
			if _, err := h.s.Import(context.Background(), Request{Path: stick, Approve: res.Plan.Digest, Actor: "uid:1001"}, nil); err != nil {
				t.Fatal(err)
			}
			h.check(3)
			h.must(h.delta(4, 3))
			h.check(4)
		})
	}
}

// Evidence of whole bundles takes no more of the disk than what waits may: behind that the label and the log are kept.
func TestEvidenceShareOfTheDisk(t *testing.T) {
	h := grown(t, 85)
	h.take(h.delta(2, 1))
	row := h.s.waits()[0]
	h.s.must(h.s.FS.Mkdir(filepath.Join(h.s.quarantineDir(), row.Tenant, "old", evidenceDir), 0o700))
	f, err := os.Create(filepath.Join(h.s.quarantineDir(), row.Tenant, "old", evidenceDir, "volume"))
	h.s.must(err)
	h.s.must(f.Truncate(1 << 43)) // a hole
	h.s.must(f.Close())
	file := filepath.Join(h.s.folder(row.Label), row.Volumes[0].Name)
	b, err := os.ReadFile(file)
	h.s.must(err)
	b[len(b)/2] ^= 1
	h.s.must(os.WriteFile(file, b, 0o600))
	if _, err := h.take(h.full(1)); code.Of(err) != code.VolumeDamaged {
		t.Errorf("%v", err)
	}
	h.s.gone()
	list, err := h.s.ListQuarantine(context.Background(), "")
	h.s.must(err)
	if len(list) != 1 {
		t.Fatalf("%+v", list)
	}
	if _, err := os.Stat(filepath.Join(h.s.quarantineDir(), list[0].Dir, evidenceDir)); !os.IsNotExist(err) {
		t.Errorf("evidence was kept: %v", err)
	}
	if _, err := os.Stat(filepath.Join(h.s.quarantineDir(), list[0].Dir, "label.json")); err != nil {
		t.Error(err)
	}
}

// Room is asked for what can come in today, not for what a label says of volumes that are elsewhere: one bundle in many parts
// must not keep everything else on its stick out.
func TestRoomForTheVolumesThatAreThere(t *testing.T) {
	w := world(t, 86)
	s := newSite(t, "site", "acme")
	s.meetHub(w.Hub)
	b := cut(t, w, s)
	v, err := s.look(context.Background(), s.lay(b, 2))
	s.must(err)
	defer v.medium.Close()
	c := v.ours[0]
	c.sources = []*verify.Packing{c.packing}
	im := &imports{Room: s.Room, v: v}
	if n, want := im.lacking(c), b.Label.Volumes[1].Bytes; n != want || len(b.Label.Volumes) < 3 {
		t.Errorf("%d bytes, volume 2 has %d", n, want)
	}
}

// A bad sector that can be read the second time, and a volume that has changed here meanwhile: the bundle waits for the one
// volume, and nothing that is good is given up.
func TestFlakyVolumeBesideOneChangedOnDisk(t *testing.T) {
	w := world(t, 87)
	s := newSite(t, "site", "acme")
	s.meetHub(w.Hub)
	b := cut(t, w, s)
	s.take(s.lay(b, 5))
	name := filepath.Join(s.folder(b.LabelID.Hex()), b.Label.Volumes[4].Name)
	data, err := os.ReadFile(name)
	s.must(err)
	data[7] ^= 1
	s.must(os.WriteFile(name, data, 0o600))
	m := newMeter()
	m.over(s.Room)
	flaky := b.Label.Volumes[1].Name
	m.once[flaky], m.bad[flaky] = true, 100
	res, err := s.take(s.lay(b, 1, 2, 3, 4))
	if rows := s.waits(); code.Of(err) != code.VolumeMissing || len(rows) != 1 || !slices.Equal(rows[0].Wanted, []int64{5}) {
		t.Fatalf("%v %+v %+v", err, res.Outcomes, rows)
	}
	if res, err := s.take(s.lay(b, 5)); err != nil || res.Outcomes[0].Decision != Activated {
		t.Errorf("%v %+v", err, res)
	}
	s.gone()
}

// A medium may give more bytes than it says a file has: a small file is read so far and no further.
func TestSmallFileThatGrows(t *testing.T) {
	file := filepath.Join(t.TempDir(), "card")
	f, err := os.Create(file)
	if err != nil || f.Truncate(maxPaper+1) != nil || f.Close() != nil {
		t.Fatal(err)
	}
	lying := liar{os.DirFS(filepath.Dir(file))}
	if b, err := readPaper(lying, "card"); code.Of(err) != code.EnvelopeBad {
		t.Errorf("%d bytes, %v", len(b), err)
	}
}

// liar is a medium that says 10 bytes of every file.
type liar struct{ fs.FS }

func (l liar) Stat(name string) (fs.FileInfo, error) {
	st, err := fs.Stat(l.FS, name)
	return ten{st}, err
}

type ten struct{ fs.FileInfo }

func (ten) Size() int64 { return 10 }
