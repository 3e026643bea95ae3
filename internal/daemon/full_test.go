package daemon

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"sallyport/internal/code"
	"sallyport/internal/durable"
	"sallyport/internal/wire"
)

// disk is a small file system of its own: an ext4 image, mounted by a loop device.
type disk struct {
	t    *testing.T
	path string // where it is mounted
	mu   sync.Mutex
	n    int
}

// smallDisk makes one of that many mebibytes and inodes (0: as usual). Without root or a loop device the test is skipped.
func smallDisk(t *testing.T, mebibytes int64, inodes int) *disk {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("a file system of one's own needs root")
	}
	dir, err := os.MkdirTemp("/dev/shm", "sallyport-disk-") // in memory where that is to be had: nobody cuts the power here
	if err != nil {
		dir = t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	image, at := filepath.Join(dir, "image"), filepath.Join(dir, "disk")
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(image, mebibytes<<20); err != nil {
		t.Fatal(err)
	}
	args := []string{"-q", "-F", "-m", "0"}
	if inodes > 0 {
		args = append(args, "-N", fmt.Sprint(inodes))
	}
	if out, err := exec.Command("mkfs.ext4", append(args, image)...).CombinedOutput(); err != nil {
		t.Skipf("mkfs.ext4: %v %s", err, out)
	}
	if err := os.Mkdir(at, 0o700); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("losetup", "-f", "--show", image).CombinedOutput()
	if err != nil {
		t.Skipf("losetup: %v %s", err, out)
	}
	device := strings.TrimSpace(string(out))
	t.Cleanup(func() {
		if out, err := exec.Command("losetup", "-d", device).CombinedOutput(); err != nil {
			t.Errorf("losetup -d %s: %v %s", device, err, out)
		}
	})
	if err := syscall.Mount(device, at, "ext4", 0, ""); err != nil {
		t.Skipf("mount: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(at, 0); err != nil {
			t.Errorf("unmount %s: %v", at, err)
			syscall.Unmount(at, syscall.MNT_DETACH)
		}
	})
	return &disk{t: t, path: at}
}

func (d *disk) free() int64 {
	var st syscall.Statfs_t
	if err := syscall.Statfs(d.path, &st); err != nil {
		d.t.Error(err)
	}
	return int64(st.Bavail) * st.Bsize
}

// fill takes everything but leave bytes, as another program would. It may be called from anywhere.
func (d *disk) fill(leave int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.n++
	f, err := os.Create(filepath.Join(d.path, fmt.Sprintf("other-%d", d.n)))
	if err != nil {
		return // so full that not even this goes
	}
	defer f.Close()
	var at int64
	for chunk := int64(8 << 20); chunk >= 4096; {
		room := d.free() - leave
		if room < chunk || syscall.Fallocate(int(f.Fd()), 0, at, chunk) != nil {
			chunk /= 2
			continue
		}
		at += chunk
	}
}

// fillInodes takes every inode but leave.
func (d *disk) fillInodes(leave uint64) {
	dir := filepath.Join(d.path, "other-inodes")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		d.t.Fatal(err)
	}
	for i := 0; ; i++ {
		var st syscall.Statfs_t
		if err := syscall.Statfs(d.path, &st); err != nil {
			d.t.Fatal(err)
		}
		if st.Ffree <= leave || os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), nil, 0o600) != nil {
			return
		}
	}
}

// clear gives back what fill took.
func (d *disk) clear() {
	d.mu.Lock()
	defer d.mu.Unlock()
	list, err := filepath.Glob(filepath.Join(d.path, "other-*"))
	if err != nil {
		d.t.Fatal(err)
	}
	for _, f := range list {
		if err := os.RemoveAll(f); err != nil {
			d.t.Fatal(err)
		}
	}
}

// filler fills the disk at the n-th durable step after it was armed. It is how a disk gets full in the middle of things.
type filler struct {
	mu    sync.Mutex
	steps int
	at    int // 0: only count
	do    func()
}

func (f *filler) hook(op durable.Op) durable.Verdict {
	f.mu.Lock()
	defer f.mu.Unlock()
	if op.Verb == "point" {
		return durable.Do
	}
	if f.steps++; f.at > 0 && f.steps == f.at {
		f.do()
	}
	return durable.Do
}

// arm begins to count; with at it will do that step.
func (f *filler) arm(at int, do func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.steps, f.at, f.do = 0, at, do
}

func (f *filler) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.steps
}

// spaceError tells that an operation ended as it should on a full disk: well, or with a code that says so.
func spaceError(err error) bool {
	return err == nil || code.Lookup(code.Of(err)).Kind == code.Space
}

// TestDiskFullAtEveryStage fills a real disk in the middle of load, export, import and exchange, at one durable step after
// the other: each ends with no-space or well, nothing that was there is lost, and when there is room again all goes on.
func TestDiskFullAtEveryStage(t *testing.T) {
	small := smallDisk(t, 160, 0)
	medium := t.TempDir()
	f := &filler{}
	fsys := durable.WithHook(f.hook)
	set := map[string]string{"store.reserve": "0B"} // a reservation would refuse before the first byte
	hub, site := enter(t, small.path, "hub", fsys, set), enter(t, small.path, "site", fsys, set)
	meet(hub, site, medium)
	hub.must(hub.load("osv", dump(t, 80, 0)), "load")
	hub.must(hub.load("notes", documents(t, 5)...), "load")
	run, err := hub.export("site", medium)
	hub.must(err, "export "+run.Message)
	_, err = site.take(medium)
	site.must(err, "import")
	s := &stages{t: t, small: small, f: f, hub: hub, site: site, medium: medium}
	for _, op := range []stageOp{
		{"load", s.load}, {"export to the shelf", s.export}, {"export to a medium", s.carry}, {"import", s.take}, {"exchange", s.exchange},
	} {
		t.Run(op.name, func(t *testing.T) { s.t = t; s.every(op) })
	}
}

type stageOp struct {
	name string
	do   func() error
}

type stages struct {
	t         *testing.T
	small     *disk
	f         *filler
	hub, site *actor
	medium    string
	week      int // how many advisories were changed last
}

// every runs an operation once to count its steps, and then with the disk filled at one step after the other.
func (s *stages) every(op stageOp) {
	s.prepare(op)
	s.f.arm(0, nil)
	if err := op.do(); err != nil {
		s.t.Fatalf("%s on an empty disk: %v", op.name, err)
	}
	steps := s.f.count()
	stride := max(1, steps/3)
	if os.Getenv("SALLYPORT_CAMPAIGN") != "" {
		stride = 1
	}
	refused := 0
	for at := 1; at <= steps; at += stride {
		s.prepare(op)
		leave := []int64{0, 64 << 10, 512 << 10}[at%3]
		s.f.arm(at, func() { s.small.fill(leave) })
		err := op.do()
		s.f.arm(0, nil)
		if err != nil {
			refused++
		}
		died := s.hub.revive() // neither must: a full disk is no reason
		died = s.site.revive() || died
		if died || !spaceError(err) {
			s.t.Errorf("%s, full at step %d of %d (%d bytes left): %v (%s), stopped: %v", op.name, at, steps, leave, err, code.Of(err), died)
		}
		s.intact(op.name, at)
		s.small.clear()
		if err := op.do(); err != nil && !done(err) {
			s.t.Fatalf("%s, full at step %d: not possible again when there was room: %v (%s)", op.name, at, err, code.Of(err))
		}
		s.intact(op.name, at)
	}
	s.t.Logf("%s: %d steps, every %dth; %d ended with no-space", op.name, steps, stride, refused)
}

// done tells that the operation had been done already the first time.
func done(err error) bool { return code.Of(err) == code.ExportEmpty }

// prepare makes something new to load, to export and to import.
func (s *stages) prepare(op stageOp) {
	s.t.Helper()
	s.small.clear()
	s.week++
	switch op.name {
	case "import", "exchange":
		s.hub.must(s.load(), "load")
		if err := os.RemoveAll(filepath.Join(s.medium, "sallyport", "bundles")); err != nil {
			s.t.Fatal(err)
		}
		s.hub.must(s.carry(), "export")
	}
	for _, a := range []*actor{s.hub, s.site} {
		a.must(a.call("store/prune", wire.PruneRequest{Keep: 2}, nil), "prune")
	}
	if err := s.emptyShelf(); err != nil {
		s.t.Fatal(err)
	}
}

// emptyShelf makes room: what is on the hub's shelf was delivered.
func (s *stages) emptyShelf() error {
	list, err := filepath.Glob(filepath.Join(s.hub.dir, "shelf", "*"))
	for _, f := range list {
		err = errors.Join(err, os.RemoveAll(f))
	}
	return err
}

func (s *stages) load() error   { return s.hub.load("osv", dump(s.t, 80, s.week%78+1)) }
func (s *stages) export() error { return s.finished(s.hub.export("site", "")) }
func (s *stages) carry() error  { return s.finished(s.hub.export("site", s.medium)) }
func (s *stages) take() error   { _, err := s.site.take(s.medium); return err }

func (s *stages) exchange() error {
	return s.site.long("exchange/run", wire.ExchangeRequest{Path: s.medium, Yes: true}, nil)
}

// finished turns a run that failed into the error it failed with.
func (s *stages) finished(run wire.Run, err error) error {
	if err == nil && run.State == "failed" {
		return code.New(code.Code(run.Code), "%s", run.Message)
	}
	return err
}

// intact reads everything that is active at both ends, on the disk as it is.
func (s *stages) intact(what string, at int) {
	s.t.Helper()
	for _, a := range []*actor{s.hub, s.site} {
		for _, feed := range []string{"osv", "notes"} {
			if err := a.proves(feed, 75); err != nil {
				s.t.Errorf("%s, full at step %d: %s of %s: %v", what, at, feed, a.name, err)
			}
		}
		var doctor wire.Doctor
		if err := a.call("doctor/run", nil, &doctor); err != nil || doctor.Worst == "critical" {
			s.t.Errorf("%s, full at step %d: doctor of %s: %v %+v", what, at, a.name, err, doctor)
		}
	}
}

// TestFullDiskIsPruned: at 0 bytes free, with and without ballast, with a restart, what must work works: status with its
// sentence, timeline verify, a receipt, pruning; intake says no-space; when there is room again the ballast is made again
// and intake goes on.
func TestFullDiskIsPruned(t *testing.T) {
	small := smallDisk(t, 128, 0)
	medium := t.TempDir()
	hub, site := enter(t, t.TempDir(), "hub", durable.FS{}, nil), enter(t, small.path, "site", durable.FS{}, nil)
	meet(hub, site, medium)
	for i := range 6 {
		hub.must(hub.load("osv", dump(t, 120, 15*i)), "load")
		run, err := hub.export("site", medium)
		hub.must(err, "export "+run.Message)
		_, err = site.take(medium)
		site.must(err, "import")
	}
	d := site.run.Daemon()
	if there := d.ballast.there(); there == 0 || there != 128<<20/ballastShare/ballastPieces/4096*4096*ballastPieces && there < 3<<20 {
		t.Errorf("%d bytes of ballast", there)
	}
	for _, how := range []string{"from the ballast", "when the ballast is eaten too", "after a restart"} {
		t.Run(how, func(t *testing.T) {
			small.fill(0)
			if how != "from the ballast" {
				site.must(site.call("feeds/list", wire.FeedRequest{}, nil), "something")
				small.fill(0)
			}
			if how == "after a restart" {
				site.stop()
				small.fill(0)
				site.start()
			}
			atZero(t, site, medium, how == "from the ballast")
			small.clear()
			site.run.Daemon().tend()
			if site.run.Daemon().ballast.there() == 0 {
				t.Error("the ballast was not made again")
			}
			hub.must(hub.load("osv", dump(t, 120, 80+len(how))), "load")
			run, err := hub.export("site", medium)
			hub.must(err, "export "+run.Message)
			_, err = site.take(medium)
			site.must(err, "import with room again")
		})
	}
}

// atZero does on a full disk what must be possible there. Receipts need a little room: the ballast.
func atZero(t *testing.T, site *actor, medium string, ballast bool) {
	t.Helper()
	s := status(t, site.run)
	said := ""
	for _, r := range s.Reasons {
		said += r.What
	}
	if s.Health != "Degraded" || !strings.Contains(said, "Disk full: intake stopped, nothing lost.") || !strings.Contains(said, "can be freed here → sallyport store prune --plan") {
		t.Errorf("status: %s %q", s.Health, said)
	}
	site.must(site.call("timeline/verify", nil, nil), "verify the timeline")
	if err := site.load("own", dump(t, 20, 0)); code.Of(err) != code.NoSpace || code.Exit(err) != 14 {
		t.Errorf("load: %v", err)
	}
	site.must(site.proves("osv", 100), "read")
	if ballast {
		site.must(site.long("outbound/write", wire.OutboundRequest{Path: medium, Peer: "hub"}, nil), "receipts to a medium")
	}
	var plan, done wire.Pruned
	site.must(site.call("store/prune", wire.PruneRequest{Keep: 1, Plan: true}, &plan), "plan a prune")
	site.must(site.call("store/prune", wire.PruneRequest{Keep: 1}, &done), "prune")
	if len(plan.Generations) == 0 || len(done.Generations) != len(plan.Generations) || done.Free == 0 {
		t.Errorf("planned %+v, done %+v", plan, done)
	}
	site.must(site.proves("osv", 100), "read after pruning")
}

// TestInodesFull: a file system without inodes takes nothing in, says so, and lets the rest go on.
func TestInodesFull(t *testing.T) {
	small := smallDisk(t, 64, 600)
	site := enter(t, small.path, "site", durable.FS{}, nil)
	for i := range 3 {
		site.must(site.load("osv", dump(t, 100, 20*i)), "load")
	}
	for _, leave := range []uint64{0, 3} {
		small.fillInodes(leave)
		if err := site.load("osv", dump(t, 100, 90)); code.Of(err) != code.NoSpace {
			t.Errorf("%d inodes left: load: %v", leave, err)
		}
		s := status(t, site.run)
		if s.Health != "Degraded" || !strings.Contains(fmt.Sprint(s.Reasons), "inode") {
			t.Errorf("%d inodes left: %s %+v", leave, s.Health, s.Reasons)
		}
		site.must(site.call("store/prune", wire.PruneRequest{Keep: 1}, nil), "prune")
		site.must(site.proves("osv", 20), "read")
		site.stop()
		site.start()
		site.must(site.call("timeline/verify", nil, nil), "verify the timeline")
		small.clear()
	}
	site.must(site.load("osv", dump(t, 100, 95)), "load with room again")
}
