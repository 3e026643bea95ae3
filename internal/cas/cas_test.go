package cas

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/durable"
)

// create makes a store that is checked when the test ends.
func create(t *testing.T, fs durable.FS) *Store {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "cas")
	if err := Create(dir, durable.FS{}, "inst"); err != nil {
		t.Fatal(err)
	}
	return reopen(t, dir, fs)
}

func reopen(t *testing.T, dir string, fs durable.FS) *Store {
	t.Helper()
	s, err := Open(dir, fs, "inst")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			return
		}
		again, err := Open(dir, durable.FS{}, "inst")
		if err == nil {
			err = again.Check(context.Background())
		}
		if err != nil {
			t.Errorf("check: %v", err)
		}
	})
	return s
}

func stage(t *testing.T, st *Stage, text string) digest.Digest {
	t.Helper()
	w, err := st.Create()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(w, iotestOneByte{strings.NewReader(text)}); err != nil {
		t.Fatal(err)
	}
	d, n, err := w.Close()
	if err != nil || d != digest.Of([]byte(text)) || n != int64(len(text)) {
		t.Fatalf("close: %v %d %v", d, n, err)
	}
	return d
}

type iotestOneByte struct{ r io.Reader }

func (o iotestOneByte) Read(p []byte) (int, error) { return o.r.Read(p[:min(1, len(p))]) }

func begin(t *testing.T, s *Store) *Stage {
	t.Helper()
	st, err := s.Stage()
	if err != nil {
		t.Fatal(err)
	}
	return st
}

func TestLife(t *testing.T) {
	s := create(t, durable.FS{})
	st := begin(t, s)
	a, b := stage(t, st, "alpha"), stage(t, st, "beta")
	if s.Has(a) || !st.Has(a) {
		t.Error("a staged blob is visible outside of its stage, or not inside")
	}
	if f, err := st.Open(a); err != nil || f.Size() != 5 {
		t.Errorf("open staged: %v", err)
	} else {
		f.Close()
	}
	for range 2 { // idempotent
		if err := st.Commit(a, a); err != nil {
			t.Fatal(err)
		}
	}
	if err := st.Discard(); err != nil {
		t.Fatal(err)
	}
	if err := st.Discard(); err != nil {
		t.Fatal(err)
	}
	if !s.Has(a) || s.Has(b) {
		t.Error("committed blob missing, or uncommitted one there")
	}
	got, err := s.ReadAll(a, 5)
	if err != nil || string(got) != "alpha" {
		t.Errorf("read: %q %v", got, err)
	}
	if _, err := s.ReadAll(a, 4); code.Of(err) != code.StoreCorrupt {
		t.Errorf("over the limit: %v", err)
	}
	if _, err := s.Open(b); code.Of(err) != code.Missing {
		t.Errorf("missing: %v", err)
	}
	if err := begin(t, s).Commit(b); code.Of(err) != code.Missing {
		t.Errorf("commit of what is nowhere: %v", err)
	}
	if n, bytes, err := s.Usage(); n != 1 || bytes != 5 || err != nil {
		t.Errorf("usage %d %d %v", n, bytes, err)
	}
}

func TestDrop(t *testing.T) {
	s := create(t, durable.FS{})
	st := begin(t, s)
	a, b := stage(t, st, "alpha"), stage(t, st, "beta")
	if err := st.Commit(a); err != nil {
		t.Fatal(err)
	}
	for _, d := range []digest.Digest{a, b, b} { // committed, staged, not there
		if err := st.Drop(d); err != nil {
			t.Error(err)
		}
	}
	if !st.Has(a) || st.Has(b) {
		t.Error("a committed blob was dropped, or a staged one was not")
	}
	if left, _ := os.ReadDir(st.dir); len(left) != 0 {
		t.Errorf("left in staging: %v", left)
	}
}

func TestAbortAndClosed(t *testing.T) {
	s := create(t, durable.FS{})
	st := begin(t, s)
	w, err := st.Create()
	if err != nil {
		t.Fatal(err)
	}
	w.Abort()
	w.Abort()
	if _, err := w.Write([]byte("x")); err == nil {
		t.Error("write after abort")
	}
	if left, _ := os.ReadDir(st.dir); len(left) != 0 {
		t.Errorf("left in staging: %v", left)
	}
	st.Discard()
	if _, err := st.Create(); err == nil {
		t.Error("create after discard")
	}
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestManyAtOnce(t *testing.T) {
	syncs := map[string]int{}
	s := create(t, durable.WithHook(func(op durable.Op) durable.Verdict { syncs[op.Verb]++; return durable.Do }))
	st := begin(t, s)
	var all []digest.Digest
	for i := range 200 {
		all = append(all, stage(t, st, fmt.Sprint("blob ", i)))
	}
	clear(syncs)
	if err := st.Commit(all...); err != nil {
		t.Fatal(err)
	}
	if syncs["sync"] > 2 || syncs["rename"] != 200 {
		t.Errorf("steps of a batch of 200: %v", syncs)
	}
	st.Discard()
	if n, _, _ := s.Usage(); n != 200 {
		t.Errorf("%d blobs", n)
	}
}

func TestDamage(t *testing.T) {
	s := create(t, durable.FS{})
	st := begin(t, s)
	d := stage(t, st, "whole")
	if err := st.Commit(d); err != nil {
		t.Fatal(err)
	}
	st.Discard()
	damage := func() {
		os.Remove(s.path(d))
		if err := os.WriteFile(s.path(d), []byte("wh0le"), 0o400); err != nil {
			t.Fatal(err)
		}
	}
	damage()
	if _, err := s.ReadAll(d, 100); code.Of(err) != code.StoreCorrupt {
		t.Errorf("read: %v", err)
	}
	r, err := s.OpenVerified(d)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(r); code.Of(err) != code.StoreCorrupt {
		t.Errorf("verified read: %v", err)
	}
	r.Close()
	if err := s.Check(t.Context()); code.Of(err) != code.StoreCorrupt {
		t.Errorf("check: %v", err)
	}
	bad := 0
	next, err := s.Scrub(t.Context(), Scrub{}, func(got digest.Digest, n int64, err error) {
		if got == d && n == 5 && code.Of(err) == code.StoreCorrupt {
			bad++
		}
	})
	if err != nil || !next.IsZero() || bad != 1 {
		t.Errorf("scrub: %v %v, %d found", next, err, bad)
	}
	if err := s.Condemn(d); err != nil || s.Has(d) {
		t.Errorf("condemn: %v", err)
	}
	st = begin(t, s)
	stage(t, st, "whole")
	if err := st.Commit(d); err != nil {
		t.Fatal(err)
	}
	st.Discard()
	if got, err := s.ReadAll(d, 100); err != nil || string(got) != "whole" {
		t.Errorf("healed: %q %v", got, err)
	}
}

func TestScrubInPieces(t *testing.T) {
	s := create(t, durable.FS{})
	st := begin(t, s)
	var all []digest.Digest
	for i := range 10 {
		all = append(all, stage(t, st, fmt.Sprint("piece ", i)))
	}
	if err := st.Commit(all...); err != nil {
		t.Fatal(err)
	}
	st.Discard()
	seen := map[digest.Digest]int{}
	var at digest.Digest
	rounds := 0
	for {
		var err error
		at, err = s.Scrub(t.Context(), Scrub{After: at, Budget: 14, Workers: 3}, func(d digest.Digest, _ int64, _ error) { seen[d]++ })
		if err != nil {
			t.Fatal(err)
		}
		if rounds++; at.IsZero() {
			break
		}
	}
	if len(seen) != 10 || rounds < 5 {
		t.Errorf("%d blobs in %d pieces", len(seen), rounds)
	}
	for d, n := range seen {
		if n != 1 {
			t.Errorf("%s scrubbed %d times", d, n)
		}
	}
}

func TestOpenRefusesAndCleans(t *testing.T) {
	s := create(t, durable.FS{})
	if _, err := Open(s.dir, durable.FS{}, "other"); code.Of(err) != code.WrongInstance {
		t.Errorf("another instance: %v", err)
	}
	if _, err := Open(t.TempDir(), durable.FS{}, "inst"); err == nil {
		t.Error("an empty directory was opened")
	}
	st := begin(t, s)
	stage(t, st, "left behind")
	if err := os.WriteFile(st.Path("scratch"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Check(t.Context()); err == nil {
		t.Error("check passes with an open operation")
	}
	s = reopen(t, s.dir, durable.FS{})
	if left, _ := os.ReadDir(filepath.Join(s.dir, stagingDir)); len(left) != 0 {
		t.Errorf("left in staging: %v", left)
	}
	foreign := filepath.Join(s.dir, blobsDir, "ab")
	os.MkdirAll(foreign, 0o700)
	os.WriteFile(filepath.Join(foreign, "x"), nil, 0o600)
	if err := s.Check(t.Context()); code.Of(err) != code.StoreCorrupt {
		t.Errorf("check passes a foreign file: %v", err)
	}
	os.Remove(filepath.Join(foreign, "x"))
}

func TestReserve(t *testing.T) {
	s := create(t, durable.FS{})
	free, err := s.Free()
	if err != nil || free <= 0 {
		t.Fatal(free, err)
	}
	release, err := s.Reserve(1 << 20)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Reserve(1 << 60); code.Of(err) != code.NoSpace {
		t.Errorf("an exabyte: %v", err)
	}
	if err := s.Check(t.Context()); err == nil {
		t.Error("check passes with a reservation open")
	}
	release()
	release()
	s.SetReserve(1 << 60)
	if _, err := s.Reserve(1); code.Of(err) != code.NoSpace {
		t.Errorf("below what must stay free: %v", err)
	}
}

func TestSweep(t *testing.T) {
	s := create(t, durable.FS{})
	st := begin(t, s)
	live, dead, young, again, held := stage(t, st, "live"), stage(t, st, "dead"), stage(t, st, "young"), stage(t, st, "again"), stage(t, st, "held")
	if err := st.Commit(live, dead, young, again, held); err != nil {
		t.Fatal(err)
	}
	st.Discard()
	now := time.Now()
	old := now.Add(-48 * time.Hour)
	for _, d := range []digest.Digest{live, dead, again, held} {
		if err := os.Chtimes(s.path(d), old, old); err != nil {
			t.Fatal(err)
		}
	}
	isLive := func(d digest.Digest) bool { return d == live }
	p, err := s.Plan(t.Context(), isLive, 24*time.Hour, now)
	if err != nil || len(p.Blobs) != 3 || p.Bytes != int64(len("deadagainheld")) {
		t.Fatalf("plan %+v %v", p, err)
	}
	if n, _, _ := s.Usage(); n != 5 {
		t.Fatalf("planning removed something: %d left", n)
	}
	st1, st2 := begin(t, s), begin(t, s)
	stage(t, st1, "again")
	if err := st1.Commit(again); err != nil { // came in again, its operation has ended
		t.Fatal(err)
	}
	st1.Discard()
	if err := st2.Commit(held); err != nil { // in use by an operation that has not ended
		t.Fatal(err)
	}
	os.Chtimes(s.path(held), old, old)
	n, bytes, err := s.Apply(t.Context(), p, isLive)
	if n != 1 || bytes != 4 || err != nil || s.Has(dead) {
		t.Errorf("removed %d blobs, %d bytes, %v", n, bytes, err)
	}
	st2.Discard()
	for _, d := range []digest.Digest{live, young, again, held} {
		if !s.Has(d) {
			t.Errorf("%s was removed", d)
		}
	}
	if n, _, err := s.Apply(t.Context(), p, func(digest.Digest) bool { return true }); n != 0 || err != nil {
		t.Errorf("applying again with everything live removed %d, %v", n, err)
	}
}

// TestFaults loses and keeps each durable step of two imports that share a blob. Whatever Commit acknowledged is there
// after reopening, with its bytes; nothing else is wrong; and doing it again heals what failed.
func TestFaults(t *testing.T) {
	texts := [][]string{{"one", "two"}, {"two", "three"}}
	import2 := func(s *Store) (acked []digest.Digest) {
		for _, batch := range texts {
			st, err := s.Stage()
			if err != nil {
				continue
			}
			var ds []digest.Digest
			for _, text := range batch {
				w, err := st.Create()
				if err != nil {
					continue
				}
				if _, err := w.Write([]byte(text)); err != nil {
					w.Abort()
					continue
				}
				if d, _, err := w.Close(); err == nil {
					ds = append(ds, d)
				}
			}
			if err := st.Commit(ds...); err == nil {
				acked = append(acked, ds...)
			}
			st.Discard()
		}
		return acked
	}
	steps := 0
	import2(create(t, durable.WithHook(func(op durable.Op) durable.Verdict {
		if op.Verb != "point" {
			steps++
		}
		return durable.Do
	})))
	if steps < 15 {
		t.Fatalf("only %d steps", steps)
	}
	for _, verdict := range []durable.Verdict{durable.Lose, durable.Keep} {
		for at := 1; at <= steps; at++ {
			t.Run(fmt.Sprint(verdict, "-", at), func(t *testing.T) {
				n := 0
				s := create(t, durable.WithHook(func(op durable.Op) durable.Verdict {
					if op.Verb == "point" {
						return durable.Do
					}
					if n++; n == at {
						return verdict
					}
					return durable.Do
				}))
				acked := import2(s)
				if len(acked) >= 4 && n >= at {
					t.Errorf("step %d failed and nobody heard of it", at)
				}
				s = reopen(t, s.dir, durable.FS{})
				for _, d := range acked {
					if _, err := s.ReadAll(d, 100); err != nil {
						t.Errorf("acknowledged and lost: %v", err)
					}
				}
				if err := s.Check(t.Context()); err != nil {
					t.Error(err)
				}
				if again := import2(s); len(again) != 4 {
					t.Errorf("the second try committed %d of 4", len(again))
				}
			})
		}
	}
}

func TestCommitIsInOrder(t *testing.T) {
	var steps []string
	s := create(t, durable.WithHook(func(op durable.Op) durable.Verdict {
		steps = append(steps, op.Verb)
		return durable.Do
	}))
	st := begin(t, s)
	d := stage(t, st, "x")
	steps = nil
	if err := st.Commit(d); err != nil {
		t.Fatal(err)
	}
	st.Discard()
	if got := strings.Join(steps, " "); got != "sync mkdir syncdir rename point syncdir" {
		t.Errorf("steps: %s", got)
	}
	if st, err := os.Stat(s.path(d)); err != nil || st.Mode().Perm() != 0o400 {
		t.Error("a committed blob can be written to")
	}
	if !bytes.Equal([]byte(filepath.Base(s.path(d))), []byte(d.Hex())) {
		t.Error("the name is not the digest")
	}
}
