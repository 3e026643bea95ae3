package timeline

import (
	"encoding/binary"
	"encoding/json"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"sallyport/internal/bundle"
	"sallyport/internal/canon"
	"sallyport/internal/digest"
	"sallyport/internal/state"
)

// Entry is one event as it stands in the log.
type Entry struct {
	Seq     uint64 // from 0, over all logs
	EventID string
	Type    string
	At      string // trusted time, RFC 3339
	Wall    string // wall clock, RFC 3339; "" when redacted
	Event   *Event // nil when redacted
	Leaf    []byte // canonical leaf, as the tree has it
}

// Read visits entries from seq on (inclusive), ascending, at most limit (0: all). fn may return state.ErrStop.
func (l *Log) Read(tx *state.Tx, from uint64, limit int, fn func(Entry) error) error {
	n := 0
	return tx.Each(leafBucket, seqKey(from), func(k, text []byte) error {
		e, err := entry(tx, k, text)
		if err != nil {
			return fmt.Errorf("read timeline: %w", err)
		}
		if err := fn(e); err != nil {
			return err
		}
		if n++; n == limit {
			return state.ErrStop
		}
		return nil
	})
}

// entry decodes a leaf and its body, and checks that they belong together.
func entry(tx *state.Tx, k, text []byte) (Entry, error) {
	var f leaf
	if err := json.Unmarshal(text, &f); err != nil || len(k) != 8 {
		return Entry{}, broken("leaf %x is damaged: %v", k, err)
	}
	e := Entry{Seq: binary.BigEndian.Uint64(k), EventID: f.EventID, Type: f.Type, At: f.At, Leaf: text}
	if f.V != 1 || f.Seq < 0 || uint64(f.Seq) != e.Seq {
		return Entry{}, broken("entry %d says it is entry %d", e.Seq, f.Seq)
	}
	salted := tx.Get(bodyBucket, k)
	if salted == nil {
		return e, nil
	}
	if len(salted) < saltSize || bodyDigest(salted) != f.Body {
		return Entry{}, broken("the body of entry %d is not the one that was logged", e.Seq)
	}
	var b body
	if err := json.Unmarshal(salted[saltSize:], &b); err != nil {
		return Entry{}, broken("the body of entry %d is damaged: %v", e.Seq, err)
	}
	e.Wall = b.Wall
	e.Event = &Event{f.Type, b.Tenant, b.Actor, b.Subject, b.TraceID, b.Attrs}
	return e, nil
}

// Redact deletes the body of an entry and its salt; the tree still proves. The caller appends a redaction_notice.
func (l *Log) Redact(tx *state.Tx, seq uint64) error { return tx.Delete(bodyBucket, seqKey(seq)) }

// Cursor is the next seq the named reader wants; 0 for a new one.
func (l *Log) Cursor(tx *state.Tx, name string) (uint64, error) {
	next, _, err := cursors.Get(tx, name)
	return next, err
}

// SetCursor moves it: after the effects of every entry before next have happened.
func (l *Log) SetCursor(tx *state.Tx, name string, next uint64) error {
	return cursors.Put(tx, name, next)
}

// Inclusion proves that entry seq is in the tree of the given size of its log.
func (l *Log) Inclusion(tx *state.Tx, seq uint64, size int64) ([]digest.Digest, error) {
	in, err := holding(tx, seq)
	if err != nil {
		return nil, fmt.Errorf("prove entry %d: %w", seq, err)
	}
	if size > in.Size {
		return nil, broken("prove entry %d: the log has %d entries, not %d", seq, in.Size, size)
	}
	proof, err := tlog.ProveRecord(size, int64(seq-in.Start), reader(tx, in.Number))
	if err != nil {
		return nil, fmt.Errorf("prove entry %d: %w", seq, err)
	}
	return digests(proof), nil
}

func digests[P ~[]tlog.Hash](proof P) []digest.Digest {
	out := make([]digest.Digest, len(proof))
	for i, h := range proof {
		out[i] = digest.Digest(h)
	}
	return out
}

// holding is the log that entry seq belongs to.
func holding(tx *state.Tx, seq uint64) (in info, err error) {
	found := false
	err = logs.Scan(tx, "", func(_ string, o info) error {
		if seq >= o.Start && seq < o.Start+uint64(o.Size) {
			in, found = o, true
			return state.ErrStop
		}
		return nil
	})
	if err == nil && !found {
		err = broken("no such entry")
	}
	return in, err
}

// Consistency proves that the tree of size from is the beginning of the tree of size to, of the log written to.
func (l *Log) Consistency(tx *state.Tx, from, to int64) ([]digest.Digest, error) {
	in, err := l.current(tx)
	if err != nil {
		return nil, err
	}
	if to > in.Size {
		return nil, broken("the log has %d entries, not %d", in.Size, to)
	}
	proof, err := tlog.ProveTree(to, from, reader(tx, in.Number))
	if err != nil {
		return nil, fmt.Errorf("prove log of %d in %d: %w", from, to, err)
	}
	return digests(proof), nil
}

// Verify recomputes everything: each leaf, its canonical form and place, each body that is not redacted, each stored
// hash, and that nothing is missing or left over. known are heads of the log written to that were given out before and
// must be its beginnings: without them a log that was cut short and made consistent again cannot be told. It returns
// the proven head. Code timeline.
func (l *Log) Verify(tx *state.Tx, known ...bundle.Head) (bundle.Head, error) {
	var last info
	var seq uint64
	var hashes int64
	err := logs.Scan(tx, "", func(_ string, in info) error {
		if in.Number != last.Number+1 || in.Start != seq {
			return broken("log %d begins at %d", in.Number, in.Start).Want(seq, in.Start)
		}
		if err := follows(tx, last, in); err != nil {
			return err
		}
		seq += uint64(in.Size)
		hashes += tlog.StoredHashCount(in.Size)
		last = in
		return verify(tx, in)
	})
	if err != nil {
		return bundle.Head{}, fmt.Errorf("verify timeline: %w", err)
	}
	if err := nothingLeft(tx, seq, hashes); err != nil {
		return bundle.Head{}, fmt.Errorf("verify timeline: %w", err)
	}
	for _, k := range known {
		if err := isBeginning(tx, last, k); err != nil {
			return bundle.Head{}, fmt.Errorf("verify timeline: %w", err)
		}
	}
	return head(tx, last)
}

// follows checks that a log which a restore opened names the head of the one before, so that what proves the newest log
// proves them all. A first entry that was redacted names nothing.
func follows(tx *state.Tx, before, in info) error {
	if before.Number == 0 {
		return nil
	}
	key := seqKey(in.Start)
	text := tx.Get(leafBucket, key)
	if text == nil {
		return broken("log %d has no first entry", in.Number)
	}
	e, err := entry(tx, key, text)
	if err != nil || e.Event == nil {
		return err
	}
	h, err := head(tx, before)
	if err != nil {
		return err
	}
	got := e.Event.Attrs
	if e.Type != "backup.restored" || got["log"] != fmt.Sprint(before.Number) || got["size"] != fmt.Sprint(h.Size) || got["root"] != h.Root.String() {
		return broken("log %d does not go on from log %d", in.Number, before.Number).Want(fmt.Sprint(h.Size, " entries, ", h.Root), got["size"]+" entries, "+got["root"])
	}
	return nil
}

func verify(tx *state.Tx, in info) error {
	for i := range in.Size {
		seq := in.Start + uint64(i)
		text := tx.Get(leafBucket, seqKey(seq))
		if text == nil {
			return broken("entry %d is missing", seq)
		}
		if _, err := entry(tx, seqKey(seq), text); err != nil {
			return err
		}
		if again, err := canon.Line(text); err != nil || string(again) != string(text) {
			return broken("leaf %d is not canonical", seq)
		}
		if err := verifyHashes(tx, in.Number, i, text); err != nil {
			return err
		}
	}
	return nil
}

// verifyHashes recomputes the hashes that entry i of a log added.
func verifyHashes(tx *state.Tx, number, i int64, text []byte) error {
	r := reader(tx, number)
	want, err := tlog.StoredHashes(i, text, r)
	if err != nil {
		return err
	}
	at := tlog.StoredHashIndex(0, i)
	indexes := make([]int64, len(want))
	for j := range indexes {
		indexes[j] = at + int64(j)
	}
	got, err := r.ReadHashes(indexes)
	if err != nil {
		return err
	}
	for j := range want {
		if got[j] != want[j] {
			return broken("entry %d of log %d is not the one that was hashed", i, number)
		}
	}
	return nil
}

func nothingLeft(tx *state.Tx, seq uint64, hashes int64) error {
	for _, b := range []string{leafBucket, bodyBucket} {
		if k, _ := tx.Last(b); k != nil && (len(k) != 8 || binary.BigEndian.Uint64(k) >= seq) {
			return broken("%s %x lies behind the last entry", b, k)
		}
	}
	var n int64
	err := tx.Each(hashBucket, nil, func(_, _ []byte) error {
		n++
		return nil
	})
	if err == nil && n != hashes {
		err = broken("%d stored hashes, not %d", n, hashes)
	}
	return err
}

func isBeginning(tx *state.Tx, in info, k bundle.Head) error {
	if k.Size > in.Size {
		return broken("%d entries were told to others, %d are here", k.Size, in.Size)
	}
	root, err := tlog.TreeHash(k.Size, reader(tx, in.Number))
	if err != nil {
		return err
	}
	if digest.Digest(root) != k.Root {
		return broken("the first %d entries are not those that were told to others", k.Size).Want(k.Root, digest.Digest(root))
	}
	return nil
}
