package intake

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"sallyport/internal/bundle"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/forge"
	"sallyport/internal/state"
)

// cut builds a full in five volumes.
func cut(t *testing.T, w *forge.World, s *site) *forge.Bundle {
	t.Helper()
	p := forge.Plan{From: w.Hub, To: []*forge.Appliance{s.forged()}, Seal: bundle.SealAge, Feeds: []forge.Feed{{Name: "osv-go", Generation: 1, Epoch: 1, Lines: 60, Pad: 400}}}
	whole, err := p.Build()
	if err != nil {
		t.Fatal(err)
	}
	p.Cut = int64(len(whole.Outer))/5 + 64
	b, err := p.Build()
	if err != nil {
		t.Fatal(err)
	}
	if len(b.Label.Volumes) != 5 {
		t.Fatalf("%d volumes", len(b.Label.Volumes))
	}
	return b
}

// lay writes a bundle into a new directory, with only some of its volumes.
func (s *site) lay(b *forge.Bundle, volumes ...int64) string {
	s.t.Helper()
	dir := s.t.TempDir()
	s.must(b.Write(dir))
	for _, v := range b.Label.Volumes {
		if !slices.Contains(volumes, v.N) {
			s.must(os.Remove(filepath.Join(dir, b.Dir, v.Name)))
		}
	}
	return dir
}

// flip changes one byte of a volume that lies in a directory.
func (s *site) flip(dir string, b *forge.Bundle, n int64) {
	s.t.Helper()
	name := filepath.Join(dir, b.Dir, b.Label.Volumes[n-1].Name)
	data, err := os.ReadFile(name)
	s.must(err)
	data[len(data)/2] ^= 1
	s.must(os.WriteFile(name, data, 0o600))
}

// meter is a medium that counts the bytes read of each file, and has a bad sector in some.
type meter struct {
	fs.FS
	read map[string]int64 // by last name
	bad  map[string]int64 // byte at which reading fails
	once map[string]bool  // and is good the next time
}

// pulled, for a byte, is a medium that is gone.
const pulled = -1

func newMeter() *meter {
	return &meter{read: map[string]int64{}, bad: map[string]int64{}, once: map[string]bool{}}
}

// over puts the meter over every medium of a room.
func (m *meter) over(r *Room) {
	r.through = func(f fs.FS) fs.FS { return &meter{FS: f, read: m.read, bad: m.bad, once: m.once} }
}

func (m *meter) Open(name string) (fs.File, error) {
	f, err := m.FS.Open(name)
	if err != nil {
		return nil, err
	}
	return &metered{File: f, m: m, name: path.Base(name)}, nil
}

func (m *meter) Stat(name string) (fs.FileInfo, error)      { return fs.Stat(m.FS, name) }
func (m *meter) ReadDir(name string) ([]fs.DirEntry, error) { return fs.ReadDir(m.FS, name) }

type metered struct {
	fs.File
	m    *meter
	name string
	at   int64
}

func (f *metered) Read(p []byte) (int, error) {
	bad, broken := f.m.bad[f.name]
	if broken {
		if bad == pulled {
			return 0, &fs.PathError{Op: "read", Path: f.name, Err: fs.ErrNotExist}
		}
		if f.at >= bad {
			if f.m.once[f.name] {
				delete(f.m.bad, f.name)
			}
			return 0, &fs.PathError{Op: "read", Path: f.name, Err: syscall.EIO}
		}
		p = p[:min(int64(len(p)), bad-f.at)]
	}
	n, err := f.File.Read(p)
	f.at += int64(n)
	f.m.read[f.name] += int64(n)
	return n, err
}

// volumes are what was read of the volumes since the last call, by number.
func (m *meter) volumes(b *forge.Bundle) map[int64]int64 {
	out := map[int64]int64{}
	for _, v := range b.Label.Volumes {
		if n := m.read[v.Name]; n > 0 {
			out[v.N] = n
		}
	}
	clear(m.read)
	return out
}

func (s *site) waits() []WaitingRow {
	s.t.Helper()
	list, err := s.ListWaiting("")
	s.must(err)
	return list
}

func (s *site) take(dir string) (Result, error) {
	s.t.Helper()
	return s.Import(context.Background(), Request{Path: dir, Yes: true, Actor: "uid:1001"}, nil)
}

func TestVolumesFromSeveralMedia(t *testing.T) {
	w := world(t, 31)
	s := newSite(t, "site", "acme")
	s.meetHub(w.Hub)
	b := cut(t, w, s)
	m := newMeter()
	m.over(s.Room)
	before := s.tree()

	// the first stick: 1 missing, 2 damaged, 4 with a bad sector
	one := s.lay(b, 2, 3, 4, 5)
	s.flip(one, b, 2)
	m.bad[b.Label.Volumes[3].Name] = 1000
	res, err := s.take(one)
	if code.Of(err) != code.VolumeDamaged || len(res.Outcomes) != 1 {
		t.Fatalf("%v %+v", err, res)
	}
	o := res.Outcomes[0]
	want := "Volume 4 of 5: read error at byte 1,000 (the stick, not the data). Volume 2 of 5: other bytes than were signed. Volume 1 of 5: missing. " +
		"2 volumes are good and kept here; bring volumes 1, 2 and 4, on any stick."
	if o.Decision != Waits || o.Sentence != want || res.Sentence != want {
		t.Errorf("%s: %s", o.Decision, o.Sentence)
	}
	codes := []string{string(code.VolumeMissing), string(code.VolumeDamaged), string(code.MediumRead)}
	for i, v := range o.Volumes {
		if v.Code != codes[i] {
			t.Errorf("volume %d: %s", v.N, v.Code)
		}
	}
	if rows := s.waits(); len(rows) != 1 || !slices.Equal(rows[0].Have, []int64{3, 5}) || !slices.Equal(rows[0].Wanted, []int64{1, 2, 4}) || rows[0].Peer != "hub" {
		t.Fatalf("%+v", rows)
	}
	if s.tree() != before {
		t.Error("the store changed")
	}
	ev := s.events()
	if ev["bundle.import.parked"] != 1 || ev["bundle.import.refused"] != 0 {
		t.Errorf("%v", ev)
	}

	// the same stick again: nothing that was verified is read again, nothing is written down again
	m.volumes(b)
	if res, err = s.take(one); code.Of(err) != code.VolumeDamaged || res.Outcomes[0].Sentence != want {
		t.Errorf("%v %+v", err, res)
	}
	if read := m.volumes(b); read[3] != 0 || read[5] != 0 || read[4] != 1000 || s.events()["bundle.import.parked"] != 1 {
		t.Errorf("read again: %v", read)
	}

	// a restart, then another stick with one of them, its other volumes bad
	s.reopen()
	m.over(s.Room)
	two := s.lay(b, 1, 3)
	s.flip(two, b, 3)
	res, err = s.take(two)
	want = "Volumes 2 and 4 of 5: missing. 3 volumes are good and kept here; bring volumes 2 and 4, on any stick."
	if code.Of(err) != code.VolumeMissing || res.Sentence != want {
		t.Errorf("%v %s", err, res.Sentence)
	}
	if read := m.volumes(b); read[3] != 0 || read[1] != b.Label.Volumes[0].Bytes {
		t.Errorf("read: %v", read)
	}

	// the rest, from one stick with two directories
	clear(m.bad)
	three := s.lay(b, 4)
	s.must(os.CopyFS(filepath.Join(three, "second"), os.DirFS(s.lay(b, 2))))
	res, err = s.take(three)
	if err != nil || len(res.Outcomes) != 1 || res.Outcomes[0].Decision != Activated {
		t.Fatalf("%v %+v", err, res)
	}
	read := m.volumes(b)
	for n, v := range map[int64]int64{2: b.Label.Volumes[1].Bytes, 4: b.Label.Volumes[3].Bytes} {
		if read[n] != v {
			t.Errorf("volume %d: %d of %d bytes were read", n, read[n], v)
		}
	}
	if len(read) != 2 {
		t.Errorf("read: %v", read)
	}
	if g, ok := s.active(w.Hub, "osv-go"); !ok || g.Records != 60 {
		t.Errorf("%+v", g)
	}
	s.gone()
	if res, err := s.take(one); err != nil || res.Outcomes[0].Decision != AlreadyActive || len(s.waits()) != 0 {
		t.Errorf("the first stick again: %v %+v", err, res)
	}
}

// gone tells that nothing waits any more, in the ledger and on the disk.
func (s *site) gone() {
	s.t.Helper()
	if rows := s.waits(); len(rows) != 0 {
		s.t.Errorf("still waiting: %+v", rows)
	}
	if list, err := os.ReadDir(s.waitingDir()); err != nil && !errors.Is(err, fs.ErrNotExist) || len(list) != 0 {
		s.t.Errorf("still on the disk: %v %v", list, err)
	}
}

// Any order, any number of media, twice the same, damaged between: always the bundle in the end.
func TestVolumesInAnyOrder(t *testing.T) {
	w := world(t, 32)
	for seed := range uint64(6) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		s := newSite(t, "site", "acme")
		s.meetHub(w.Hub)
		b := cut(t, w, s)
		here := map[int64]bool{}
		for visit := 0; len(here) < 5; visit++ {
			var some []int64
			for n := int64(1); n <= 5; n++ {
				if rnd.IntN(3) == 0 {
					some = append(some, n)
				}
			}
			dir, hurt := s.lay(b, some...), int64(0)
			if len(some) > 0 && rnd.IntN(2) == 0 {
				hurt = some[rnd.IntN(len(some))]
				s.flip(dir, b, hurt)
			}
			for _, n := range some {
				here[n] = here[n] || n != hurt
			}
			for n := range here {
				if !here[n] {
					delete(here, n)
				}
			}
			_, err := s.take(dir)
			if len(here) < 5 && err == nil {
				t.Fatalf("seed %d, visit %d: no error with %v here", seed, visit, here)
			}
			if rows := s.waits(); len(here) < 5 && len(here) > 0 && len(rows[0].Have) != len(here) {
				t.Fatalf("seed %d, visit %d: %v here, %v known", seed, visit, here, rows[0].Have)
			}
		}
		if g, ok := s.active(w.Hub, "osv-go"); !ok || g.Records != 60 {
			t.Errorf("seed %d: %+v", seed, g)
		}
		s.gone()
	}
}

// A volume that is whole on the medium but unreadable or damaged, all others good, in one visit.
func TestWholeBundleWithOneBadVolume(t *testing.T) {
	w := world(t, 33)
	s := newSite(t, "site", "acme")
	s.meetHub(w.Hub)
	b := cut(t, w, s)
	m := newMeter()
	m.over(s.Room)
	m.bad[b.Label.Volumes[2].Name] = 700
	dir := s.lay(b, 1, 2, 3, 4, 5)
	look, err := s.Import(context.Background(), Request{Path: dir, PlanOnly: true, Actor: "uid:1001"}, nil)
	want := "Volume 3 of 5: read error at byte 700 (the stick, not the data). 4 volumes are good and can be imported now."
	if code.Of(err) != code.MediumRead || look.Sentence != want {
		t.Errorf("%v %s", err, look.Sentence)
	}
	s.gone()
	res, err := s.take(dir)
	want = "Volume 3 of 5: read error at byte 700 (the stick, not the data). 4 volumes are good and kept here; bring volume 3, on any stick."
	if code.Of(err) != code.MediumRead || res.Sentence != want {
		t.Errorf("%v %s", err, res.Sentence)
	}
	inv, err := s.Inventory(context.Background(), "hub")
	s.must(err)
	s.must(s.State.View(func(tx *state.Tx) error {
		list, err := s.wanted(tx, w.Hub.ID)
		if len(list) != 1 || list[0].BundleID != b.ID || !slices.Equal(list[0].Volumes, []int64{3}) {
			t.Errorf("wanted %+v", list)
		}
		return err
	}))
	if len(inv.Envelope) == 0 {
		t.Error("no inventory")
	}
	clear(m.bad)
	if res, err := s.take(s.lay(b, 3)); err != nil || res.Outcomes[0].Decision != Activated {
		t.Errorf("%v %+v", err, res)
	}
	s.gone()
}

// A stick that is pulled while volumes are read: those that are whole stay, and nothing is taken for damage.
func TestStickPulledWhileVolumesAreKept(t *testing.T) {
	w := world(t, 39)
	s := newSite(t, "site", "acme")
	s.meetHub(w.Hub)
	b := cut(t, w, s)
	m := newMeter()
	m.over(s.Room)
	for _, v := range b.Label.Volumes[2:] {
		m.bad[v.Name] = pulled
	}
	dir := s.lay(b, 1, 2, 3, 4, 5)
	res, err := s.take(dir)
	want := "Volumes 3, 4 and 5 of 5: not read, the stick was removed. 2 volumes are good and kept here; bring volumes 3, 4 and 5, on any stick."
	if code.Of(err) != code.MediumGone || res.Sentence != want {
		t.Errorf("%v %s", err, res.Sentence)
	}
	clear(m.bad)
	m.volumes(b)
	if res, err := s.take(dir); err != nil || res.Outcomes[0].Decision != Activated {
		t.Errorf("%v %+v", err, res)
	}
	if read := m.volumes(b); read[1] != 0 || read[2] != 0 {
		t.Errorf("read again: %v", read)
	}
	s.gone()
}

// A sector that can be read the second time stops nothing.
func TestFlakyVolume(t *testing.T) {
	w := world(t, 40)
	s := newSite(t, "site", "acme")
	s.meetHub(w.Hub)
	b := cut(t, w, s)
	m := newMeter()
	m.over(s.Room)
	dir, name := s.lay(b, 1, 2, 3, 4, 5), b.Label.Volumes[3].Name
	m.once[name] = true
	m.bad[name] = 100
	look, err := s.Import(context.Background(), Request{Path: dir, PlanOnly: true, Actor: "uid:1001"}, nil)
	if err != nil || look.Outcomes[0].Decision != Planned {
		t.Errorf("%v %+v", err, look)
	}
	m.bad[name] = 100
	if res, err := s.take(dir); err != nil || res.Outcomes[0].Decision != Activated || res.Plan.Digest != look.Plan.Digest {
		t.Errorf("%v %+v", err, res)
	}
	s.gone()
}

// Volumes of two label ids are never joined, whatever their names say.
func TestVolumesOfAnotherPacking(t *testing.T) {
	w := world(t, 34)
	s := newSite(t, "site", "acme")
	s.meetHub(w.Hub)
	a, b := cut(t, w, s), cut(t, w, s)
	if a.ID != b.ID || a.LabelID == b.LabelID {
		t.Fatal("the same bundle twice packed")
	}
	s.take(s.lay(a, 1, 2))
	if _, err := s.take(s.lay(b, 3, 4, 5)); code.Of(err) != code.VolumeMissing {
		t.Errorf("%v", err)
	}
	if rows := s.waits(); len(rows) != 2 {
		t.Errorf("%+v", rows)
	}
	mixed := s.lay(a, 3, 4)
	data := b.Files[b.Dir+"/"+b.Label.Volumes[4].Name]
	s.must(os.WriteFile(filepath.Join(mixed, a.Dir, a.Label.Volumes[4].Name), data, 0o600))
	if _, err := s.take(mixed); code.Of(err) != code.VolumeDamaged {
		t.Errorf("%v", err)
	}
	if res, err := s.take(s.lay(a, 5)); err != nil || res.Outcomes[0].Decision != Activated {
		t.Errorf("%v %+v", err, res)
	}
	s.gone() // the other packing of the same bundle waits for nothing any more
}

// A volume number that the label does not have is a refusal, and nothing is kept.
func TestVolumeTooMany(t *testing.T) {
	w := world(t, 35)
	s := newSite(t, "site", "acme")
	s.meetHub(w.Hub)
	b := cut(t, w, s)
	dir := s.lay(b, 1, 2)
	extra := strings.TrimSuffix(b.Label.Volumes[0].Name, "001") + "006"
	s.must(os.WriteFile(filepath.Join(dir, b.Dir, extra), []byte("x"), 0o600))
	if _, err := s.take(dir); code.Of(err) != code.VolumeExtra {
		t.Errorf("%v", err)
	}
	s.gone()
}

// What waits here is hostile too: a volume changed on the disk is found, dropped, and asked for again.
func TestWaitingVolumeChangedOnDisk(t *testing.T) {
	w := world(t, 36)
	s := newSite(t, "site", "acme")
	s.meetHub(w.Hub)
	b := cut(t, w, s)
	s.take(s.lay(b, 1, 2, 3, 4))
	name := filepath.Join(s.folder(b.LabelID.Hex()), b.Label.Volumes[1].Name)
	data, err := os.ReadFile(name)
	s.must(err)
	data[7] ^= 1
	s.must(os.WriteFile(name, data, 0o600))
	res, err := s.take(s.lay(b, 5))
	if code.Of(err) != code.VolumeMissing || !slices.Equal(s.waits()[0].Wanted, []int64{2}) {
		t.Errorf("%v %+v", err, res)
	}
	s.must(os.Remove(filepath.Join(s.folder(b.LabelID.Hex()), b.Label.Volumes[0].Name)))
	s.must(os.Symlink("/etc/passwd", filepath.Join(s.folder(b.LabelID.Hex()), b.Label.Volumes[0].Name)))
	if !slices.Equal(s.waits()[0].Wanted, []int64{1, 2}) {
		t.Error("a link is taken for a volume")
	}
	s.must(os.Remove(filepath.Join(s.folder(b.LabelID.Hex()), b.Label.Volumes[0].Name)))
	if res, err := s.take(s.lay(b, 1, 2)); err != nil || res.Outcomes[0].Decision != Activated {
		t.Errorf("%v %+v", err, res)
	}
	s.gone()
}

// Too many at once are refused with their own code; one that is dropped by a person makes room.
func TestWaitingFull(t *testing.T) {
	w := world(t, 37)
	s := newSite(t, "site", "acme")
	s.meetHub(w.Hub)
	var last *forge.Bundle
	for range MaxWaiting {
		last = cut(t, w, s)
		if _, err := s.take(s.lay(last, 1)); code.Of(err) != code.VolumeMissing {
			t.Fatal(err)
		}
	}
	one := cut(t, w, s)
	if _, err := s.take(s.lay(one, 1)); code.Of(err) != code.WaitingFull || len(s.waits()) != MaxWaiting {
		t.Errorf("%v, %d wait", err, len(s.waits()))
	}
	if _, err := s.take(s.lay(last, 2)); code.Of(err) != code.VolumeMissing {
		t.Errorf("one that waits already: %v", err)
	}
	ctx := context.Background()
	if _, err := s.Forget(ctx, last.LabelID.Hex()[:12], "", "uid:1001"); code.Of(err) != code.BadUsage {
		t.Errorf("without a reason: %v", err)
	}
	if _, err := s.Forget(ctx, "nothing", "because", "uid:1001"); code.Of(err) != code.Missing {
		t.Errorf("%v", err)
	}
	if _, err := s.Forget(ctx, last.Label.Name, "because", "uid:1001"); code.Of(err) != code.Ambiguous {
		t.Errorf("%v", err)
	}
	if row, err := s.Forget(ctx, last.LabelID.Hex()[:12], "sent twice", "uid:1001"); err != nil || row.Label != last.LabelID.Hex() {
		t.Errorf("%v %+v", err, row)
	}
	if _, err := s.take(s.lay(one, 1)); code.Of(err) != code.VolumeMissing || len(s.waits()) != MaxWaiting {
		t.Errorf("%v, %d wait", err, len(s.waits()))
	}
	list, err := os.ReadDir(s.waitingDir())
	if err != nil || len(list) != MaxWaiting {
		t.Errorf("%d folders, %v", len(list), err)
	}
}

// Row and folder each without the other, and pieces that were being written, are put right at the start.
func TestWaitingSweptAtStart(t *testing.T) {
	w := world(t, 38)
	s := newSite(t, "site", "acme")
	s.meetHub(w.Hub)
	a, b := cut(t, w, s), cut(t, w, s)
	s.take(s.lay(a, 1))
	s.take(s.lay(b, 1, 2))
	s.must(os.RemoveAll(s.folder(a.LabelID.Hex())))
	stray := s.folder(digest.Of([]byte("x")).Hex())
	s.must(os.MkdirAll(stray, 0o700))
	s.must(os.WriteFile(filepath.Join(stray, "volume"), []byte("x"), 0o600))
	piece := filepath.Join(s.folder(b.LabelID.Hex()), b.Label.Volumes[3].Name+partialSuffix)
	s.must(os.WriteFile(piece, bytes.Repeat([]byte("x"), 100), 0o600))
	s.reopen()
	rows := s.waits()
	if len(rows) != 1 || rows[0].Label != b.LabelID.Hex() || !slices.Equal(rows[0].Have, []int64{1, 2}) {
		t.Errorf("%+v", rows)
	}
	for _, name := range []string{stray, piece} {
		if _, err := os.Lstat(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := s.events()["bundle.import.parked"]; n != 3 {
		t.Errorf("%d events", n)
	}
}
