package cas

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/durable"
)

// flip changes one bit of a committed blob on the disk.
func flip(t *testing.T, s *Store, d digest.Digest, at int) {
	t.Helper()
	b, err := os.ReadFile(s.path(d))
	if err != nil {
		t.Fatal(err)
	}
	b[at] ^= 1
	if err := os.Chmod(s.path(d), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.path(d), b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func commit(t *testing.T, s *Store, texts ...string) (all []digest.Digest) {
	t.Helper()
	st := begin(t, s)
	defer st.Discard()
	for _, text := range texts {
		all = append(all, stage(t, st, text))
	}
	if err := st.Commit(all...); err != nil {
		t.Fatal(err)
	}
	return all
}

// A round finds every damaged blob and no other, in order, whatever the number of workers.
func TestScrubFindsAll(t *testing.T) {
	s := create(t, durable.FS{})
	var texts []string
	for i := range 100 {
		texts = append(texts, fmt.Sprintf("blob number %d", i))
	}
	all := commit(t, s, texts...)
	want := map[digest.Digest]bool{}
	for i := 0; i < len(all); i += 2 {
		flip(t, s, all[i], i%10)
		want[all[i]] = true
	}
	for _, workers := range []int{0, 1, 4} {
		bad := map[digest.Digest]bool{}
		var last digest.Digest
		n := 0
		_, err := s.Scrub(t.Context(), Scrub{Workers: workers, Disk: true}, func(d digest.Digest, _ int64, err error) {
			if n++; bytes.Compare(last[:], d[:]) >= 0 {
				t.Errorf("%s after %s", d, last)
			}
			if last = d; err != nil {
				bad[d] = true
			}
		})
		if err != nil || n != len(all) || len(bad) != len(want) {
			t.Errorf("%d workers: %d blobs, %d damaged, want %d: %v", workers, n, len(bad), len(want), err)
		}
	}
	for d := range want {
		if err := s.Condemn(d); err != nil {
			t.Fatal(err)
		}
	}
	s = reopen(t, s.dir, durable.FS{})
	if got := s.Condemned(); len(got) != len(want) || !want[got[0].Digest] {
		t.Errorf("%d condemned after reopening", len(got))
	}
	commit(t, s, texts...)
	if got := s.Condemned(); len(got) != 0 {
		t.Errorf("%d are still condemned after all was committed again", len(got))
	}
	if left, err := os.ReadDir(filepath.Join(s.dir, damagedDir)); err != nil || len(left) != 0 {
		t.Errorf("damaged copies are left: %v %v", left, err)
	}
}

func TestScrubIsCancelled(t *testing.T) {
	s := create(t, durable.FS{})
	commit(t, s, "a", "b", "c", "d")
	ctx, cancel := context.WithCancel(t.Context())
	n := 0
	_, err := s.Scrub(ctx, Scrub{Workers: 2}, func(digest.Digest, int64, error) { n++; cancel() })
	if err == nil || n != 1 {
		t.Errorf("%d reported, %v", n, err)
	}
}

// What is left of a condemned blob can be read, is not believed, and counts as missing.
func TestCondemnedCanBeOpened(t *testing.T) {
	s := create(t, durable.FS{})
	d := commit(t, s, "a shard of many records")[0]
	flip(t, s, d, 3)
	for range 2 { // condemned already, the second time
		if err := s.Condemn(d); err != nil {
			t.Fatal(err)
		}
	}
	f, err := s.Open(d)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(f)
	f.Close()
	if err != nil || len(b) != 23 {
		t.Errorf("%q %v", b, err)
	}
	if s.Has(d) {
		t.Error("counts as there")
	}
	if _, err := s.ReadAll(d, 100); code.Of(err) != code.StoreCorrupt {
		t.Errorf("read: %v", err)
	}
	if _, err := s.OpenVerified(d); code.Of(err) != code.StoreCorrupt {
		t.Errorf("verified: %v", err)
	}
	if err := begin(t, s).Commit(d); code.Of(err) != code.Missing {
		t.Errorf("committed without its bytes: %v", err)
	}
	if err := s.Condemn(digest.Of([]byte("never seen"))); err != nil {
		t.Errorf("condemn what is not there: %v", err)
	}
}

// The right bytes heal a damaged blob of the same size, also where nobody noticed the damage.
func TestCommitHealsUnnoticedDamage(t *testing.T) {
	s := create(t, durable.FS{})
	d := commit(t, s, "whole")[0]
	flip(t, s, d, 0)
	commit(t, s, "whole")
	if b, err := s.ReadAll(d, 10); err != nil || string(b) != "whole" {
		t.Errorf("%q %v", b, err)
	}
}

// Each durable step of condemning and of healing is lost and kept, and the process ends at each: after reopening, the blob
// is whole, or condemned, or still there damaged; never whole in name only, and doing both again heals it.
func TestCondemnAndHealFaults(t *testing.T) {
	steps := 0
	run := func(t *testing.T, dir string, fs durable.FS) {
		s, err := Open(dir, fs, "inst")
		if err != nil {
			return
		}
		d := digest.Of([]byte("whole"))
		if s.Condemn(d) != nil {
			return
		}
		st, err := s.Stage()
		if err != nil {
			t.Fatal(err)
		}
		w, err := st.Create()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte("whole")); err != nil {
			return
		}
		if _, _, err := w.Close(); err != nil {
			return
		}
		if st.Commit(d) == nil {
			if b, err := s.ReadAll(d, 10); err != nil || string(b) != "whole" {
				t.Errorf("acknowledged and not whole: %q %v", b, err)
			}
		}
	}
	prepare := func(t *testing.T) string {
		s := create(t, durable.FS{})
		flip(t, s, commit(t, s, "whole")[0], 2)
		return s.dir
	}
	run(t, prepare(t), durable.WithHook(func(durable.Op) durable.Verdict { steps++; return durable.Do }))
	if steps < 8 {
		t.Fatalf("only %d steps", steps)
	}
	type killed struct{}
	for _, how := range []string{"lost", "kept", "killed"} {
		for at := 1; at <= steps; at++ {
			t.Run(fmt.Sprint(how, "-", at), func(t *testing.T) {
				dir, n := prepare(t), 0
				func() {
					defer func() {
						if r := recover(); r != nil && r != (killed{}) {
							panic(r)
						}
					}()
					run(t, dir, durable.WithHook(func(op durable.Op) durable.Verdict {
						if n++; n != at {
							return durable.Do
						}
						switch how {
						case "lost":
							return durable.Lose
						case "kept":
							return durable.Keep
						}
						panic(killed{})
					}))
				}()
				s := reopen(t, dir, durable.FS{})
				d := digest.Of([]byte("whole"))
				_, bad := s.Scrub(t.Context(), Scrub{}, func(digest.Digest, int64, error) {})
				if bad != nil {
					t.Fatal(bad)
				}
				if b, err := s.ReadAll(d, 10); err == nil && string(b) != "whole" {
					t.Errorf("read %q", b)
				}
				if s.Has(d) && len(s.Condemned()) > 0 {
					t.Error("there and condemned at once")
				}
				run(t, dir, durable.FS{})
				if b, err := reopen(t, dir, durable.FS{}).ReadAll(d, 10); err != nil || string(b) != "whole" {
					t.Errorf("not healed the second time: %q %v", b, err)
				}
			})
		}
	}
}

// A sweep goes on past what it cannot judge or remove.
func TestSweepProgresses(t *testing.T) {
	stuck := digest.Of([]byte("stuck"))
	s := create(t, durable.WithHook(func(op durable.Op) durable.Verdict {
		if op.Verb == "remove" && filepath.Base(op.Path) == stuck.Hex() {
			return durable.Lose
		}
		return durable.Do
	}))
	all := commit(t, s, "stuck", "b", "c", "d", "condemned")
	if err := s.Condemn(all[4]); err != nil {
		t.Fatal(err)
	}
	foreign := []string{filepath.Join(s.dir, blobsDir, "desktop.ini"), filepath.Join(filepath.Dir(s.path(all[1])), "junk")}
	for _, f := range foreign {
		if err := os.WriteFile(f, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		defer os.Remove(f)
	}
	dead := func(digest.Digest) bool { return false }
	p, err := s.Plan(t.Context(), dead, 0, time.Now().Add(time.Hour))
	if err != nil || len(p.Blobs) != 5 {
		t.Fatalf("%+v %v", p, err)
	}
	n, _, err := s.Apply(t.Context(), p, dead)
	if n != 4 || err == nil || len(s.Condemned()) != 0 {
		t.Errorf("removed %d, %v", n, err)
	}
	found := 0
	if _, err := s.Scrub(t.Context(), Scrub{}, func(d digest.Digest, _ int64, err error) {
		if d.IsZero() && code.Of(err) == code.StoreCorrupt {
			found++
		}
	}); err != nil || found != 2 {
		t.Errorf("%d foreign names found: %v", found, err)
	}
}

// A tenth stays free, or 2 GiB; a disk without inodes takes nothing in.
func TestAutoReserve(t *testing.T) {
	s := create(t, durable.FS{})
	s.SetReserve(Auto)
	p, err := s.Space()
	if err != nil || p.Keep != min(p.Total/10, 2<<30) {
		t.Errorf("%+v %v", p, err)
	}
	for _, c := range []struct {
		p       Space
		open    int64
		stopped bool
	}{
		{Space{Total: 100, Free: 50, Keep: 10, Inodes: -1}, 40, false},
		{Space{Total: 100, Free: 50, Keep: 10, Reserved: 45, Inodes: -1}, 0, false},
		{Space{Total: 100, Free: 9, Keep: 10, Inodes: -1}, 0, true},
		{Space{Total: 100, Free: 50, Keep: 10, Inodes: 5, KeepInodes: 5}, 0, true},
		{Space{Total: 100, Free: 50, Keep: 10, Inodes: 6, KeepInodes: 5}, 40, false},
	} {
		if c.p.Open() != c.open || c.p.Stopped() != c.stopped {
			t.Errorf("%+v: open %d, stopped %v", c.p, c.p.Open(), c.p.Stopped())
		}
	}
}
