package timeline

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"sallyport/internal/bundle"
	"sallyport/internal/canon"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/durable"
	"sallyport/internal/state"
)

// mutations is how many changes of a log are tried; each must be found.
const mutations = 10000

var errUndo = errors.New("undo")

// row is one entry as a forger has it: what stands in the tree, and what its leaf commits to.
type row struct{ leaf, body []byte }

// forger changes a log in a transaction that is undone afterwards. It may write anything, also hashes that fit.
type forger struct {
	tx  *state.Tx
	rnd *rand.Rand
	in  info // log 1 or 2
}

func (f *forger) pick(n int) int { return f.rnd.IntN(n) }

// rows reads the entries of the log; put writes others in their place and makes the tree fit them.
func (f *forger) rows() (list []row) {
	for i := range f.in.Size {
		k := seqKey(f.in.Start + uint64(i))
		list = append(list, row{slices.Clone(f.tx.Get(leafBucket, k)), slices.Clone(f.tx.Get(bodyBucket, k))})
	}
	return list
}

func (f *forger) put(list []row) error {
	for i := range f.in.Size {
		k := seqKey(f.in.Start + uint64(i))
		if err := errors.Join(f.tx.Delete(leafBucket, k), f.tx.Delete(bodyBucket, k)); err != nil {
			return err
		}
	}
	for i := range tlog.StoredHashCount(f.in.Size) {
		if err := f.tx.Delete(hashBucket, hashKey(f.in.Number, i)); err != nil {
			return err
		}
	}
	in := info{Number: f.in.Number, Start: f.in.Start}
	if err := logs.Put(f.tx, logKey(in.Number), in); err != nil {
		return err
	}
	for i, r := range list {
		text, err := renumber(r.leaf, in.Start+uint64(i))
		if err != nil {
			return err
		}
		k := seqKey(in.Start + uint64(i))
		if err := errors.Join(f.tx.Put(leafBucket, k, text), f.tx.Put(bodyBucket, k, r.body), grow(f.tx, in, text)); err != nil {
			return err
		}
		in.Size++
	}
	return nil
}

// renumber gives a leaf the place it has now, as a careful forger would.
func renumber(text []byte, seq uint64) ([]byte, error) {
	var l leaf
	if err := json.Unmarshal(text, &l); err != nil {
		return nil, err
	}
	l.Seq = int64(seq)
	return canon.Marshal(l)
}

// rewritten is an entry that says something else, with a leaf that fits.
func (f *forger) rewritten(r row) row {
	var l leaf
	var b body
	if json.Unmarshal(r.leaf, &l) != nil || json.Unmarshal(r.body[saltSize:], &b) != nil {
		panic("an entry of the test does not read")
	}
	switch f.pick(3) {
	case 0:
		b.Actor = fmt.Sprint("uid:", f.pick(1<<30))
	case 1:
		b.Subject = fmt.Sprint("other ", f.pick(1<<30))
	default:
		l.At = fmt.Sprintf("2026-11-2%dT10:%02d:00Z", f.pick(9), f.pick(60))
		b.Wall = l.At
	}
	text, err := canon.Marshal(b)
	if err != nil {
		panic(err)
	}
	salted := append(slices.Clone(r.body[:saltSize]), text...)
	l.Body = bodyDigest(salted)
	leafText, err := canon.Marshal(l)
	if err != nil {
		panic(err)
	}
	return row{leafText, salted}
}

// The kinds of mutations: raw ones write over what is stored, consistent ones make the whole log fit again, so that only
// a head which was told to others can tell.
func kinds() map[string]func(*forger) error {
	return map[string]func(*forger) error{
		"edited":    func(f *forger) error { l := f.rows(); i := f.pick(len(l)); l[i] = f.rewritten(l[i]); return f.put(l) },
		"dropped":   func(f *forger) error { l := f.rows(); i := f.pick(len(l)); return f.put(slices.Delete(l, i, i+1)) },
		"truncated": func(f *forger) error { l := f.rows(); return f.put(l[:f.pick(len(l))]) },
		"reordered": func(f *forger) error {
			l := f.rows()
			i := f.pick(len(l) - 1)
			j := i + 1 + f.pick(len(l)-1-i)
			l[i], l[j] = l[j], l[i]
			return f.put(l)
		},
		"inserted": func(f *forger) error {
			l := f.rows()
			i := f.pick(len(l))
			return f.put(slices.Insert(l, i, f.rewritten(l[i])))
		},
		"forked": func(f *forger) error {
			l := f.rows()
			for i := f.pick(len(l)); i < len(l); i++ {
				l[i] = f.rewritten(l[i])
			}
			return f.put(l)
		},
		"raw leaf": func(f *forger) error { return f.flip(leafBucket, seqKey(f.in.Start+uint64(f.pick(int(f.in.Size))))) },
		"raw body": func(f *forger) error { return f.flip(bodyBucket, seqKey(f.in.Start+uint64(f.pick(int(f.in.Size))))) },
		"raw hash": func(f *forger) error {
			return f.flip(hashBucket, hashKey(f.in.Number, int64(f.pick(int(tlog.StoredHashCount(f.in.Size))))))
		},
		"lost leaf": func(f *forger) error {
			return f.tx.Delete(leafBucket, seqKey(f.in.Start+uint64(f.pick(int(f.in.Size)))))
		},
		"lost hash": func(f *forger) error {
			return f.tx.Delete(hashBucket, hashKey(f.in.Number, int64(f.pick(int(tlog.StoredHashCount(f.in.Size))))))
		},
		"behind": func(f *forger) error {
			l := f.rows()
			return f.tx.Put(leafBucket, seqKey(f.in.Start+uint64(f.in.Size)+100), l[0].leaf)
		},
		"longer": func(f *forger) error {
			in := f.in
			in.Size += 1 + int64(f.pick(3))
			return logs.Put(f.tx, logKey(in.Number), in)
		},
	}
}

func (f *forger) flip(bucket string, k []byte) error {
	v := slices.Clone(f.tx.Get(bucket, k))
	v[f.pick(len(v))] ^= byte(1 + f.pick(255))
	return f.tx.Put(bucket, k, v)
}

// Any of 10,000 changes of a log is found: edited, dropped, reordered, truncated, forked, consistent or not, in the log that
// is written to or in the one before a restore, by Verify with one head that somebody else has.
func TestMutationsAreFound(t *testing.T) {
	db, _ := openState(t, durable.FS{})
	l := newLog()
	fill(t, db, l, 9)
	update(t, db, func(tx *state.Tx) error { _, err := l.Begin(tx, "uid:1001"); return err })
	fill(t, db, l, 7)
	told := headOf(t, db, l)
	all := kinds()
	var names []string
	for name := range all {
		names = append(names, name)
	}
	slices.Sort(names)
	found := map[string]int{}
	var before digest.Digest
	view(t, db, func(tx *state.Tx) error {
		before = everything(t, tx)
		return nil
	})
	for n := range mutations {
		rnd := rand.New(rand.NewPCG(uint64(n), 7))
		name := names[n%len(names)]
		err := db.Update(t.Context(), func(tx *state.Tx) error {
			f := &forger{tx: tx, rnd: rnd}
			var err error
			if f.in, _, err = logs.Get(tx, logKey(int64(1+rnd.IntN(2)))); err != nil {
				return err
			}
			if err := all[name](f); err != nil {
				return err
			}
			if everything(t, tx) == before {
				return errUndo // it changed nothing after all, like a reordering of equal entries
			}
			if _, err := l.Verify(tx, told); code.Of(err) != code.TimelineBroken {
				t.Errorf("mutation %d (%s of log %d): %v", n, name, f.in.Number, err)
			}
			found[name]++
			return errUndo
		})
		if !errors.Is(err, errUndo) {
			t.Fatalf("mutation %d (%s): %v", n, name, err)
		}
	}
	for _, name := range names {
		if found[name] < mutations/len(names)*9/10 {
			t.Errorf("%s: only %d of them changed anything", name, found[name])
		}
	}
	view(t, db, func(tx *state.Tx) error {
		_, err := l.Verify(tx, told)
		return err
	})
}

// everything is a digest of everything the log consists of.
func everything(t *testing.T, tx *state.Tx) (d digest.Digest) {
	t.Helper()
	h := digest.NewHash()
	for _, b := range []string{leafBucket, bodyBucket, hashBucket, "timeline-logs"} {
		if err := tx.Each(b, nil, func(k, v []byte) error {
			fmt.Fprintf(h, "%s %x %x\n", b, k, v)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	return digest.Sum(h)
}

// A head of the log before a restore, also one of entries that were lost by it, is told from one of a log that was rewritten.
func TestWhere(t *testing.T) {
	db, _ := openState(t, durable.FS{})
	l := newLog()
	fill(t, db, l, 3)
	three := headOf(t, db, l)
	fill(t, db, l, 2)
	five := headOf(t, db, l)
	lost := bundle.Head{Size: 9, Root: digest.Of([]byte("lost"))}
	at := func(h bundle.Head) (p Place) {
		view(t, db, func(tx *state.Tx) (err error) { p, err = l.Where(tx, h); return err })
		return p
	}
	if at(three) != Ours || at(five) != Ours || at(lost) != Strange {
		t.Errorf("before a restore: %s %s %s", at(three), at(five), at(lost))
	}
	update(t, db, func(tx *state.Tx) error { _, err := l.Begin(tx, "uid:1001"); return err })
	fill(t, db, l, 1)
	rewritten := bundle.Head{Size: 2, Root: digest.Of([]byte("rewritten"))}
	if at(headOf(t, db, l)) != Ours || at(three) != Earlier || at(five) != Earlier || at(lost) != Earlier || at(rewritten) != Strange {
		t.Errorf("after it: %s %s %s %s", at(three), at(five), at(lost), at(rewritten))
	}
}
