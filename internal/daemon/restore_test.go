package daemon

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"sallyport/internal/clock"
	"sallyport/internal/code"
	"sallyport/internal/config"
	"sallyport/internal/durable"
	"sallyport/internal/feed"
	"sallyport/internal/lifecycle"
	"sallyport/internal/marks"
	"sallyport/internal/state"
	"sallyport/internal/wire"
)

// backedUp makes an appliance with two generations of one feed, and its backup.
func backedUp(t *testing.T) (dir, backup string) {
	t.Helper()
	top := t.TempDir()
	dir, backup = filepath.Join(top, "d"), filepath.Join(top, "safe")
	made(t, dir, Deps{})
	r := start(t, dir, Deps{})
	for _, text := range []string{"one", "two"} {
		file := filepath.Join(top, text+".txt")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		var l wire.Loaded
		if err := r.Client().Stream(context.Background(), "load/run", wire.LoadRequest{Feed: "notes", Files: []string{file}}, nil, &l); err != nil {
			t.Fatal(err)
		}
	}
	var b wire.Backup
	if err := r.Client().Stream(context.Background(), "backup/create", wire.BackupRequest{To: backup}, nil, &b); err != nil {
		t.Fatal(err)
	}
	if b.Events == 0 || b.Feeds != 1 || b.Warning == "" {
		t.Errorf("%+v", b)
	}
	if err := r.Stop(); err != nil {
		t.Fatal(err)
	}
	return dir, backup
}

func restoring(from, to string, fsys durable.FS) (lifecycle.Restored, error) {
	o := lifecycle.RestoreOptions{From: from, DataDir: to, Reason: "a test", Actor: "uid:1001"}
	return lifecycle.Restore(context.Background(), o, lifecycle.RestoreDeps{Clock: clock.System(), Random: clock.Random(), FS: fsys}, nil)
}

// sound opens what a restore made, as serve would.
func sound(t *testing.T, dir, what string) {
	t.Helper()
	d, err := New(config.New(dir), Deps{})
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	defer d.close()
	err = d.state.View(func(tx *state.Tx) error {
		list, err := feed.List(tx, "")
		if err != nil || len(list) != 1 || list[0].Active != (feed.Point{Epoch: 2, Generation: 1}) || list[0].Mark.Epoch != 2 {
			t.Errorf("%s: feeds %+v %v", what, list, err)
		}
		h, err := d.timeline.Verify(tx)
		if n, _ := d.timeline.Number(tx); err != nil || n != 2 || h.Size != 2 {
			t.Errorf("%s: log %d of %d entries, %v", what, n, h.Size, err)
		}
		return nil
	})
	if err != nil {
		t.Errorf("%s: %v", what, err)
	}
	var next uint64
	if err := d.state.Update(context.Background(), func(tx *state.Tx) (err error) { next, err = tx.NextSeq("quarantine"); return err }); err != nil || next <= 1<<20 {
		t.Errorf("%s: an entry in quarantine could get a number twice: %d, %v", what, next, err)
	}
	if err := d.cas.Check(context.Background()); err != nil {
		t.Errorf("%s: %v", what, err)
	}
	if files, err := d.keys.Roots(mustRoots(t, d)); err != nil || len(files) != 2 {
		t.Errorf("%s: %d versions of the root, %v", what, len(files), err)
	}
}

func mustRoots(t *testing.T, d *Daemon) [][]byte {
	t.Helper()
	all, err := d.roots()
	if err != nil {
		t.Fatal(err)
	}
	return all[:1]
}

// Whatever durable step of a restore is lost, or done and reported as failed: what it leaves serves nobody, and a restore
// run again finishes it.
func TestRestoreFaults(t *testing.T) {
	_, backup := backedUp(t)
	steps := 0
	counting := durable.WithHook(func(op durable.Op) durable.Verdict {
		if op.Verb != "point" {
			steps++
		}
		return durable.Do
	})
	to := filepath.Join(t.TempDir(), "d")
	if _, err := restoring(backup, to, counting); err != nil {
		t.Fatal(err)
	}
	sound(t, to, "no fault")
	if steps < 30 {
		t.Fatalf("only %d steps", steps)
	}
	for at := 1; at <= steps; at++ {
		for _, v := range []durable.Verdict{durable.Lose, durable.Keep} {
			if (at+int(v))%5 != 0 && at < steps-6 {
				continue // a fifth of them, and all at the end, where it is named
			}
			n := 0
			to := filepath.Join(t.TempDir(), "d")
			_, err := restoring(backup, to, durable.WithHook(func(op durable.Op) durable.Verdict {
				if op.Verb == "point" {
					return durable.Do
				}
				if n++; n == at {
					return v
				}
				return durable.Do
			}))
			if err == nil {
				t.Errorf("step %d (%v): no error", at, v)
			}
			if _, err := ReadInstance(to); err == nil {
				sound(t, to, "named already") // instance.json is there: everything before it must be
				if _, err := os.Stat(filepath.Join(to, "restoring")); err != nil {
					continue
				}
			} else if _, err := New(config.New(to), Deps{}); code.Of(err) != code.Missing {
				t.Errorf("step %d (%v): %v", at, v, err)
			}
			if _, err := restoring(backup, to, durable.FS{}); err != nil {
				t.Errorf("step %d (%v): again: %v", at, v, err)
				continue
			}
			sound(t, to, "again")
			if _, err := os.Stat(filepath.Join(to, "restoring")); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("step %d (%v): the marker is still there", at, v)
			}
		}
	}
}

// A process that ends at any of the named points leaves nothing that serves, and the restore is run again.
func TestRestoreKills(t *testing.T) {
	_, backup := backedUp(t)
	for _, point := range []string{
		"restore.begun", "restore.wiped", "restore.marks", "restore.files", "restore.blobs", "restore.life", "restore.synced", "restore.named",
	} {
		to := filepath.Join(t.TempDir(), "d")
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s was not passed", point)
				}
			}()
			_, _ = restoring(backup, to, durable.WithHook(func(op durable.Op) durable.Verdict {
				if op.Verb == "point" && op.Path == point {
					panic("killed")
				}
				return durable.Do
			}))
		}()
		d, err := New(config.New(to), Deps{})
		if (err == nil) != (point == "restore.named") {
			t.Errorf("%s: %v", point, err)
		}
		if err == nil {
			d.close()
		}
		if _, err := restoring(backup, to, durable.FS{}); err != nil {
			t.Errorf("%s: %v", point, err)
			continue
		}
		sound(t, to, point)
	}
}

// The marks that are in the directory stay: nothing in them falls, and those of another appliance are refused.
func TestRestoreKeepsMarks(t *testing.T) {
	dir, backup := backedUp(t)
	m, err := marks.Open(filepath.Join(dir, "marks"), durable.FS{}, clock.System())
	if err != nil {
		t.Fatal(err)
	}
	const high = 1 << 40
	if err := m.Raise(func(s *marks.Set) error {
		s.Counters[marks.CounterKey("own-card", "x")] = high
		s.Counters[marks.CounterKey("receipt", "ap1x")] = 77
		s.Roots["sha256:x"] = 9
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(t.TempDir(), "d")
	if err := os.Mkdir(to, 0o700); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, "marks"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(to, "marks"), b, 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := restoring(backup, to, durable.FS{})
	if err != nil || !r.KeptOld {
		t.Fatalf("%+v %v", r, err)
	}
	sound(t, to, "kept marks")
	got, err := marks.Open(filepath.Join(to, "marks"), durable.FS{}, clock.System())
	if err != nil {
		t.Fatal(err)
	}
	set := got.Get()
	if set.Counters["own-card/x"] != high || set.Counters["receipt/ap1x"] != 77 || set.Roots["sha256:x"] != 9 {
		t.Errorf("%+v", set)
	}
	other := filepath.Join(t.TempDir(), "other")
	made(t, other, Deps{})
	third := filepath.Join(t.TempDir(), "d")
	if err := os.Mkdir(third, 0o700); err != nil {
		t.Fatal(err)
	}
	if b, err = os.ReadFile(filepath.Join(other, "marks")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(third, "marks"), b, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := restoring(backup, third, durable.FS{}); code.Of(err) != code.WrongInstance {
		t.Errorf("marks of another appliance: %v", err)
	}
}

// Two lives from one backup share no number: the second says how many there were.
func TestRestoreTwice(t *testing.T) {
	_, backup := backedUp(t)
	life := func(earlier int) (lifecycle.Restored, [][]byte, marks.Set) {
		to := filepath.Join(t.TempDir(), "d")
		o := lifecycle.RestoreOptions{From: backup, DataDir: to, Reason: "a test", Actor: "uid:1001", Earlier: earlier}
		r, err := lifecycle.Restore(context.Background(), o, lifecycle.RestoreDeps{Clock: clock.System(), Random: clock.Random()}, nil)
		if err != nil {
			t.Fatal(err)
		}
		d, err := New(config.New(to), Deps{})
		if err != nil {
			t.Fatal(err)
		}
		defer d.close()
		all, err := d.roots()
		if err != nil {
			t.Fatal(err)
		}
		return r, all, d.marks.Get()
	}
	first, one, m1 := life(0)
	second, two, m2 := life(1)
	if first.Log != 2 || first.Epoch != 2 || first.Root != 2 || second.Log != 3 || second.Epoch != 3 || second.Root != 3 {
		t.Errorf("%+v\n%+v", first, second)
	}
	if len(one) != 2 || len(two) != 3 || !slices.Equal(one[1], two[1]) {
		t.Error("the second life does not follow the root of the first")
	}
	for k, n := range m1.Counters {
		if marks.Own(k) && m2.Counters[k] != n+1<<20 {
			t.Errorf("%s: %d and %d", k, n, m2.Counters[k])
		}
	}
}

// A backup with one bit wrong, one file missing or one too many is refused before anything is written.
func TestRestoreRefusesDamage(t *testing.T) {
	_, backup := backedUp(t)
	dirs, err := filepath.Glob(filepath.Join(backup, "hub-*"))
	if err != nil || len(dirs) != 1 {
		t.Fatal(dirs, err)
	}
	for _, name := range []string{"state.db", "marks", "keys/root.key", "instance.json", "backup.json"} {
		file := filepath.Join(dirs[0], name)
		good, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		bad := slices.Clone(good)
		bad[len(bad)/2] ^= 1
		to := filepath.Join(t.TempDir(), "d")
		for what, do := range map[string]func() error{
			"flipped": func() error { return os.WriteFile(file, bad, 0o600) },
			"missing": func() error { return os.Remove(file) },
		} {
			if err := do(); err != nil {
				t.Fatal(err)
			}
			_, err := restoring(backup, to, durable.FS{})
			if err == nil {
				t.Errorf("%s %s: accepted", name, what)
			}
			if _, serr := os.Stat(to); !errors.Is(serr, os.ErrNotExist) {
				t.Errorf("%s %s: something was written", name, what)
			}
			if err := os.WriteFile(file, good, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
}
