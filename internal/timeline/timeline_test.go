package timeline

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"sallyport/internal/attest"
	"sallyport/internal/bundle"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/durable"
	"sallyport/internal/marks"
	"sallyport/internal/state"
)

const us = "ap1aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

var now = time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)

func random(seed byte) io.Reader { return rand.NewChaCha8([32]byte{seed}) }

func reading() marks.Reading { return marks.Reading{Trusted: now, Wall: now.Add(time.Minute)} }

func openState(t *testing.T, fs durable.FS) (*state.DB, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "state.db")
	if err := state.Create(path, durable.FS{}, "i"); err != nil {
		t.Fatal(err)
	}
	return reopen(t, path, fs), path
}

func reopen(t *testing.T, path string, fs durable.FS) *state.DB {
	t.Helper()
	db, err := state.Open(path, fs)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Check(); err != nil && code.Of(err) != code.NotReady && code.Of(err) != code.FsyncFailed {
			t.Errorf("check: %v", err)
		}
		db.Close()
	})
	return db
}

func update(t *testing.T, db *state.DB, fn func(tx *state.Tx) error) {
	t.Helper()
	if err := db.Update(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

func view(t *testing.T, db *state.DB, fn func(tx *state.Tx) error) {
	t.Helper()
	if err := db.View(fn); err != nil {
		t.Fatal(err)
	}
}

func newLog() *Log { return New(us, reading, random(1)) }

func event(i int) Event {
	return Event{Type: "feed.loaded", Tenant: "acme", Actor: "uid:1001", Subject: fmt.Sprint("feed ", i), Attrs: map[string]string{"n": fmt.Sprint(i)}}
}

// fill appends n events in one transaction.
func fill(t *testing.T, db *state.DB, l *Log, n int) {
	t.Helper()
	update(t, db, func(tx *state.Tx) error {
		for i := range n {
			if _, err := l.Append(tx, event(i)); err != nil {
				return err
			}
		}
		return nil
	})
}

func headOf(t *testing.T, db *state.DB, l *Log) (h bundle.Head) {
	t.Helper()
	view(t, db, func(tx *state.Tx) (err error) { h, err = l.Head(tx); return err })
	return h
}

func signer(t *testing.T, seed byte) *attest.Signer {
	t.Helper()
	s, err := attest.NewSigner("ed25519", random(seed))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestTree checks heads, inclusion and consistency proofs of all small sizes against the independent tree of digest.
func TestTree(t *testing.T) {
	db, _ := openState(t, durable.FS{})
	l := newLog()
	var tree digest.Tree
	heads := []digest.Digest{tree.Root()}
	if h := headOf(t, db, l); h.Size != 0 || h.Root != tree.Root() {
		t.Errorf("empty log: %+v", h)
	}
	const n = 20
	fill(t, db, l, n)
	view(t, db, func(tx *state.Tx) error {
		return l.Read(tx, 0, 0, func(e Entry) error {
			tree.Add(e.Leaf)
			heads = append(heads, tree.Root())
			return nil
		})
	})
	if h := headOf(t, db, l); h.Size != n || h.Root != heads[n] {
		t.Errorf("%d entries: %+v, want %v", n, h, heads[n])
	}
	view(t, db, func(tx *state.Tx) error {
		for size := int64(1); size <= n; size++ {
			for from := int64(1); from <= size; from++ {
				proof, err := l.Consistency(tx, from, size)
				if err != nil {
					t.Fatal(err)
				}
				if err := checkProof(bundle.Log{From: &bundle.Head{Size: from, Root: heads[from]}, Proof: proof}, bundle.Head{Size: size, Root: heads[size]}); err != nil {
					t.Errorf("%d in %d: %v", from, size, err)
				}
			}
			for seq := int64(0); seq < size; seq++ {
				proof, err := l.Inclusion(tx, uint64(seq), size)
				if err != nil {
					t.Fatal(err)
				}
				var p tlog.RecordProof
				for _, h := range proof {
					p = append(p, tlog.Hash(h))
				}
				leaf := tlog.RecordHash(tx.Get(leafBucket, seqKey(uint64(seq))))
				if err := tlog.CheckRecord(p, size, tlog.Hash(heads[size]), seq, leaf); err != nil {
					t.Errorf("entry %d in %d: %v", seq, size, err)
				}
			}
		}
		if _, err := l.Inclusion(tx, n, n); err == nil {
			t.Error("an entry that is not there was proven")
		}
		if _, err := l.Consistency(tx, 1, n+1); code.Of(err) != code.TimelineBroken {
			t.Errorf("a size that is not there: %v", err)
		}
		return nil
	})
}

func TestLeafIsAsWritten(t *testing.T) {
	db, _ := openState(t, durable.FS{})
	l := newLog()
	fill(t, db, l, 2)
	view(t, db, func(tx *state.Tx) error {
		return l.Read(tx, 1, 0, func(e Entry) error {
			var m map[string]any
			if err := json.Unmarshal(e.Leaf, &m); err != nil {
				t.Fatal(err)
			}
			salted := tx.Get(bodyBucket, seqKey(1))
			salt, body := salted[:32], salted[32:]
			sum := digest.Of(slices.Concat([]byte("sallyport/v1/event\x00"), salt, []byte{0}, body))
			want := fmt.Sprintf(`{"at":"2026-11-21T09:00:00Z","body":"%s","eventId":"%s","seq":1,"type":"feed.loaded","v":1}`, sum, e.EventID)
			if string(e.Leaf) != want || len(e.EventID) != 26 {
				t.Errorf("leaf %s\nwant %s", e.Leaf, want)
			}
			if got := string(body); got != `{"actor":"uid:1001","attrs":{"n":"1"},"subject":"feed 1","tenant":"acme","wall":"2026-11-21T09:01:00Z"}` {
				t.Errorf("body %s", got)
			}
			if e.Seq != 1 || e.Event.Subject != "feed 1" || e.Event.Attrs["n"] != "1" || e.Wall != "2026-11-21T09:01:00Z" {
				t.Errorf("%+v", e)
			}
			return nil
		})
	})
	err := db.Update(t.Context(), func(tx *state.Tx) error { _, err := l.Append(tx, Event{Type: "made.up"}); return err })
	if err == nil {
		t.Error("a type that is not in the list was logged")
	}
}

func TestReadByCursor(t *testing.T) {
	db, _ := openState(t, durable.FS{})
	l := newLog()
	fill(t, db, l, 10)
	var got []uint64
	for range 5 {
		update(t, db, func(tx *state.Tx) error {
			next, err := l.Cursor(tx, "sse")
			if err != nil {
				return err
			}
			err = l.Read(tx, next, 3, func(e Entry) error {
				got = append(got, e.Seq)
				next = e.Seq + 1
				return nil
			})
			return errors.Join(err, l.SetCursor(tx, "sse", next))
		})
	}
	if fmt.Sprint(got) != "[0 1 2 3 4 5 6 7 8 9]" {
		t.Errorf("read %v", got)
	}
}

// TestTampering edits, drops, reorders, cuts, appends and rewrites; each is found.
func TestTampering(t *testing.T) {
	const n = 9
	swap := func(tx *state.Tx, bucket string) error {
		a, b := tx.Get(bucket, seqKey(3)), tx.Get(bucket, seqKey(4))
		return errors.Join(tx.Put(bucket, seqKey(3), b), tx.Put(bucket, seqKey(4), a))
	}
	cut := func(tx *state.Tx) error { // the last entry, made consistent again
		in := info{Number: 1, Size: n - 1}
		for i := tlog.StoredHashCount(n - 1); i < tlog.StoredHashCount(n); i++ {
			if err := tx.Delete(hashBucket, hashKey(1, i)); err != nil {
				return err
			}
		}
		return errors.Join(tx.Delete(leafBucket, seqKey(n-1)), tx.Delete(bodyBucket, seqKey(n-1)), logs.Put(tx, logKey(1), in))
	}
	cases := map[string]func(tx *state.Tx) error{
		"body edited": func(tx *state.Tx) error {
			b := tx.Get(bodyBucket, seqKey(2))
			return tx.Put(bodyBucket, seqKey(2), []byte(strings.Replace(string(b), "uid:1001", "uid:1002", 1)))
		},
		"salt edited": func(tx *state.Tx) error {
			b := tx.Get(bodyBucket, seqKey(2))
			b[0] ^= 1
			return tx.Put(bodyBucket, seqKey(2), b)
		},
		"leaf edited": func(tx *state.Tx) error {
			b := tx.Get(leafBucket, seqKey(2))
			return tx.Put(leafBucket, seqKey(2), []byte(strings.Replace(string(b), "loaded", "pinned", 1)))
		},
		"leaf dropped":     func(tx *state.Tx) error { return tx.Delete(leafBucket, seqKey(5)) },
		"leaves reordered": func(tx *state.Tx) error { return errors.Join(swap(tx, leafBucket), swap(tx, bodyBucket)) },
		"bodies swapped":   func(tx *state.Tx) error { return swap(tx, bodyBucket) },
		"hash edited":      func(tx *state.Tx) error { return tx.Put(hashBucket, hashKey(1, 2), make([]byte, 32)) },
		"inner hash gone":  func(tx *state.Tx) error { return tx.Delete(hashBucket, hashKey(1, 2)) },
		"hash left over":   func(tx *state.Tx) error { return tx.Put(hashBucket, hashKey(1, 99), make([]byte, 32)) },
		"entry left over":  func(tx *state.Tx) error { return tx.Put(leafBucket, seqKey(n), tx.Get(leafBucket, seqKey(n-1))) },
		"size lowered":     func(tx *state.Tx) error { return logs.Put(tx, logKey(1), info{Number: 1, Size: n - 1}) },
		"size raised":      func(tx *state.Tx) error { return logs.Put(tx, logKey(1), info{Number: 1, Size: n + 1}) },
		"log number": func(tx *state.Tx) error {
			return errors.Join(logs.Delete(tx, logKey(1)), logs.Put(tx, logKey(2), info{Number: 2, Size: n}))
		},
		"cut and made consistent": cut,
		"rewritten as a whole": func(tx *state.Tx) error {
			if err := errors.Join(cut(tx)); err != nil {
				return err
			}
			_, err := New(us, reading, random(7)).Append(tx, event(8))
			return err
		},
	}
	for name, tamper := range cases {
		t.Run(name, func(t *testing.T) {
			db, _ := openState(t, durable.FS{})
			l := newLog()
			fill(t, db, l, n)
			known := headOf(t, db, l)
			view(t, db, func(tx *state.Tx) error {
				if h, err := l.Verify(tx, known); err != nil || h != known {
					t.Fatalf("before: %+v %v", h, err)
				}
				return nil
			})
			update(t, db, tamper)
			view(t, db, func(tx *state.Tx) error {
				if _, err := l.Verify(tx, known); code.Of(err) != code.TimelineBroken {
					t.Errorf("not found: %v", err)
				}
				return nil
			})
		})
	}
}

func TestRedaction(t *testing.T) {
	db, _ := openState(t, durable.FS{})
	l := newLog()
	fill(t, db, l, 3)
	before := headOf(t, db, l)
	update(t, db, func(tx *state.Tx) error { return l.Redact(tx, 1) })
	view(t, db, func(tx *state.Tx) error {
		if h, err := l.Verify(tx, before); err != nil || h != before {
			t.Errorf("%+v %v", h, err)
		}
		return l.Read(tx, 1, 1, func(e Entry) error {
			if e.Event != nil || e.Wall != "" || e.Type != "feed.loaded" {
				t.Errorf("%+v", e)
			}
			return nil
		})
	})
}

// TestCheckpointIsC2SP opens our checkpoint with nothing but x/mod's own note and tlog code.
func TestCheckpointIsC2SP(t *testing.T) {
	db, _ := openState(t, durable.FS{})
	l, key := newLog(), signer(t, 3)
	fill(t, db, l, 5)
	h := headOf(t, db, l)
	view(t, db, func(tx *state.Tx) error {
		cp, err := l.Checkpoint(tx, key)
		if err != nil {
			t.Fatal(err)
		}
		origin := "sallyport.timeline/" + us + "/1"
		vkey, err := note.NewEd25519VerifierKey(origin, key.Public().Raw())
		if err != nil {
			t.Fatal(err)
		}
		v, err := note.NewVerifier(vkey)
		if err != nil {
			t.Fatal(err)
		}
		n, err := note.Open(cp, note.VerifierList(v))
		if err != nil {
			t.Fatal(err)
		}
		want := fmt.Sprintf("%s\n5\n%s\n", origin, base64.StdEncoding.EncodeToString(h.Root[:]))
		if n.Text != want {
			t.Errorf("%q, want %q", n.Text, want)
		}
		number, got, err := VerifyCheckpoint(cp, us, key.Public())
		if number != 1 || got != h || err != nil {
			t.Errorf("%d %+v %v", number, got, err)
		}
		for name, bad := range map[string]func() ([]byte, string, *attest.Key){
			"another appliance": func() ([]byte, string, *attest.Key) { return cp, strings.Replace(us, "aaa", "bbb", 1), key.Public() },
			"another key":       func() ([]byte, string, *attest.Key) { return cp, us, signer(t, 4).Public() },
			"size changed": func() ([]byte, string, *attest.Key) {
				return []byte(strings.Replace(string(cp), "\n5\n", "\n6\n", 1)), us, key.Public()
			},
			"log changed": func() ([]byte, string, *attest.Key) {
				return []byte(strings.Replace(string(cp), "/1\n", "/2\n", 1)), us, key.Public()
			},
			"cut": func() ([]byte, string, *attest.Key) { return cp[:len(cp)-5], us, key.Public() },
			"long": func() ([]byte, string, *attest.Key) {
				return append(cp, make([]byte, maxCheckpoint)...), us, key.Public()
			},
			"empty": func() ([]byte, string, *attest.Key) { return nil, us, key.Public() },
		} {
			msg, appliance, k := bad()
			if _, _, err := VerifyCheckpoint(msg, appliance, k); code.Of(err) != code.TimelineBroken {
				t.Errorf("%s: %v", name, err)
			}
		}
		return nil
	})
	p256, err := attest.NewSigner("ecdsa-p256", random(5))
	if err != nil {
		t.Fatal(err)
	}
	view(t, db, func(tx *state.Tx) error {
		if _, err := l.Checkpoint(tx, p256); code.Of(err) != code.SigningKey {
			t.Errorf("signed with an ECDSA key: %v", err)
		}
		return nil
	})
}

// TestCrossing walks the witness through what can arrive.
func TestCrossing(t *testing.T) {
	db, _ := openState(t, durable.FS{})
	l, key := newLog(), signer(t, 3)
	section := func(from *bundle.Head) (s bundle.Log) {
		view(t, db, func(tx *state.Tx) (err error) { s, err = l.Section(tx, key, from); return err })
		return s
	}
	fill(t, db, l, 3)
	first := section(nil)
	seen1, proven, err := VerifySection(first, us, key.Public(), nil)
	if err != nil || proven || seen1.Head.Size != 3 || first.From != nil {
		t.Fatalf("first contact: %+v %v %v", seen1, proven, err)
	}
	fill(t, db, l, 4)
	next := section(&seen1.Head)
	seen2, proven, err := VerifySection(next, us, key.Public(), &seen1)
	if err != nil || !proven || seen2.Head.Size != 7 || next.From == nil {
		t.Fatalf("next: %+v %v %v", seen2, proven, err)
	}
	if s, proven, err := VerifySection(next, us, key.Public(), &seen2); err != nil || !proven || s.Head != seen2.Head {
		t.Errorf("the same again: %v %v", proven, err)
	}
	if s, proven, err := VerifySection(first, us, key.Public(), &seen2); err != nil || proven || s.Head != seen2.Head {
		t.Errorf("an older one late: %+v %v %v", s, proven, err)
	}
	fill(t, db, l, 1)
	if s, proven, err := VerifySection(section(&seen1.Head), us, key.Public(), &seen2); err != nil || proven || s.Head.Size != 8 {
		t.Errorf("a proof from an older head: %+v %v %v", s, proven, err)
	}
	wrong := section(&seen1.Head)
	wrong.Proof[0][0] ^= 1
	if _, _, err := VerifySection(wrong, us, key.Public(), &seen1); code.Of(err) != code.TimelineBroken {
		t.Errorf("a wrong proof: %v", err)
	}
	nowhere := section(&seen1.Head)
	nowhere.From = nil
	if _, _, err := VerifySection(nowhere, us, key.Public(), &seen1); code.Of(err) != code.TimelineBroken {
		t.Errorf("a proof from nowhere: %v", err)
	}

	other, _ := openState(t, durable.FS{}) // the same appliance, another history
	fork := New(us, reading, random(9))
	fill(t, other, fork, 7)
	forked := func(from *bundle.Head) (s bundle.Log, err error) {
		err = other.View(func(tx *state.Tx) (err error) { s, err = fork.Section(tx, key, from); return err })
		return s, err
	}
	s, _ := forked(nil)
	if _, _, err := VerifySection(s, us, key.Public(), &seen2); code.Of(err) != code.TimelineBroken {
		t.Errorf("a fork of the same size: %v", err)
	}
	if _, err := forked(&seen1.Head); code.Of(err) != code.TimelineBroken {
		t.Errorf("a rewritten log continues a foreign head: %v", err)
	}
	theirs := headOf(t, other, fork)
	fill(t, other, fork, 2)
	s, _ = forked(&theirs)
	if _, _, err := VerifySection(s, us, key.Public(), &seen2); code.Of(err) != code.TimelineBroken {
		t.Errorf("a fork with a proof of its own: %v", err)
	}

	update(t, db, func(tx *state.Tx) error { return Witness(tx, us, seen2) })
	view(t, db, func(tx *state.Tx) error {
		if got, err := LastSeen(tx, us); err != nil || got == nil || *got != seen2 {
			t.Errorf("kept %+v %v", got, err)
		}
		got, err := LastSeen(tx, "nobody")
		if got != nil {
			t.Errorf("kept %+v", got)
		}
		return err
	})
}

func TestRestoreOpensNextLog(t *testing.T) {
	db, _ := openState(t, durable.FS{})
	l, key := newLog(), signer(t, 3)
	fill(t, db, l, 3)
	before := headOf(t, db, l)
	update(t, db, func(tx *state.Tx) error {
		n, err := l.Begin(tx, "uid:1001")
		if n != 2 {
			t.Errorf("log number %d", n)
		}
		return err
	})
	fill(t, db, l, 2)
	view(t, db, func(tx *state.Tx) error {
		h, err := l.Verify(tx)
		if err != nil || h.Size != 3 {
			t.Errorf("%+v %v", h, err)
		}
		s, err := l.Section(tx, key, &before)
		if err != nil || s.From != nil {
			t.Errorf("a head of the log before: %+v %v", s, err)
		}
		seen, proven, err := VerifySection(s, us, key.Public(), &Seen{Number: 1, Head: before})
		if err != nil || proven || seen.Number != 2 {
			t.Errorf("%+v %v %v", seen, proven, err)
		}
		if _, err := l.Inclusion(tx, 1, 3); err != nil {
			t.Errorf("entry of the log before: %v", err)
		}
		var got []uint64
		err = l.Read(tx, 0, 0, func(e Entry) error {
			got = append(got, e.Seq)
			if e.Seq == 3 && (e.Type != "backup.restored" || e.Event.Attrs["root"] != before.Root.String() || e.Event.Attrs["size"] != "3") {
				t.Errorf("first entry of log 2: %+v", e.Event)
			}
			return nil
		})
		if fmt.Sprint(got) != "[0 1 2 3 4 5]" {
			t.Errorf("read %v", got)
		}
		return err
	})
}

// TestFaults loses and keeps each commit: the log that is found afterwards always verifies, and holds exactly the
// entries of the transactions that were kept.
func TestFaults(t *testing.T) {
	for _, v := range []durable.Verdict{durable.Lose, durable.Keep} {
		for at := 1; at <= 3; at++ {
			n := 0
			db, path := openState(t, durable.WithHook(func(op durable.Op) durable.Verdict {
				if op.Verb != "commit" {
					return durable.Do
				}
				if n++; n == at {
					return v
				}
				return durable.Do
			}))
			l := newLog()
			for range 3 {
				db.Update(t.Context(), func(tx *state.Tx) error {
					_, err1 := l.Append(tx, event(1))
					_, err2 := l.Append(tx, event(2))
					return errors.Join(err1, err2)
				})
			}
			db.Close()
			db = reopen(t, path, durable.FS{})
			want := int64(2 * (at - 1))
			if v == durable.Keep {
				want += 2
			}
			view(t, db, func(tx *state.Tx) error {
				if h, err := l.Verify(tx); err != nil || h.Size != want {
					t.Errorf("%v at %d: %d entries, want %d (%v)", v, at, h.Size, want, err)
				}
				return nil
			})
			fill(t, db, l, 1)
		}
	}
}
