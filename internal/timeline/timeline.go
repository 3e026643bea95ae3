// Package timeline is the append-only history: an RFC 6962 log of every change of state, in the state database.
//
// Data, buckets of the state database; seq counts from 0 over all logs, a log is the run of entries between restores:
//
//	timeline-logs    16 hex log number → {number, start, size}
//	timeline-leaf    u64be seq → canonical leaf {at, body, eventId, seq, type, v}
//	timeline-body    u64be seq → salt[32] ‖ canonical body {actor, attrs, subject, tenant, traceId, wall}
//	timeline-hash    u64be log number, u64be index → hash, in the numbering of x/mod/sumdb/tlog
//	timeline-cursor  reader → next seq it wants
//	timeline-seen    appliance id → last head of its log that reached us
//
// A leaf holds only the digest of its salted body, so a body can be redacted (deleted with its salt) without breaking
// the tree, and cannot be guessed from the leaf. Leaf i of a log is entry start+i.
//
// Order: Append runs in the transaction of the change it records, so one is never there without the other, and effects
// are replayed from it by cursor after a crash. Checkpoints are signed notes (C2SP) that bundles and receipts carry; so
// the other side is a witness, and a rewritten log is found here by Verify or at the next crossing by VerifyLog.
package timeline

import (
	"encoding/binary"
	"fmt"
	"io"
	"maps"

	"golang.org/x/mod/sumdb/tlog"

	"sallyport/internal/bundle"
	"sallyport/internal/canon"
	"sallyport/internal/clock"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/ident"
	"sallyport/internal/marks"
	"sallyport/internal/state"
)

const (
	leafBucket = "timeline-leaf"
	bodyBucket = "timeline-body"
	hashBucket = "timeline-hash"
	saltSize   = 32
	bodyDomain = "sallyport/v1/event\x00"
)

// Event is what a caller says happened. Type must be one of Types.
type Event struct {
	Type    string
	Tenant  string // "" for what concerns the whole appliance
	Actor   string // person, peer or part of the daemon
	Subject string // what it happened to
	TraceID string
	Attrs   map[string]string
}

// leaf is what the tree is made of (30-trust-and-time, "Timeline").
type leaf struct {
	V       int64         `json:"v"`
	Seq     int64         `json:"seq"`
	EventID string        `json:"eventId"`
	Type    string        `json:"type"`
	At      string        `json:"at"` // trusted time
	Body    digest.Digest `json:"body"`
}

type body struct {
	Tenant  string            `json:"tenant,omitempty"`
	Actor   string            `json:"actor,omitempty"`
	Subject string            `json:"subject,omitempty"`
	Attrs   map[string]string `json:"attrs,omitempty"`
	Wall    string            `json:"wall"`
	TraceID string            `json:"traceId,omitempty"`
}

// info is one log.
type info struct {
	Number int64  `json:"number"`
	Start  uint64 `json:"start"` // seq of its first entry
	Size   int64  `json:"size"`
}

var (
	logs    = state.Table[info]{Name: "timeline-logs"}
	cursors = state.Table[uint64]{Name: "timeline-cursor"}
)

// Log writes and reads the timeline of one appliance. It has no state beyond its arguments and is safe for concurrent
// use when they are.
type Log struct {
	appliance string
	now       func() marks.Reading
	random    io.Reader
	always    map[string]string
}

// New makes a Log for an appliance id; now is usually Marks.Now.
func New(appliance string, now func() marks.Reading, random io.Reader) *Log {
	return &Log{appliance: appliance, now: now, random: random}
}

// Always puts an attribute into every event from then on: that one person may change trust here. Call it before the log is used.
func (l *Log) Always(name, value string) *Log {
	l.always = map[string]string{name: value}
	return l
}

// Append writes one event in the caller's transaction and returns its seq. An event type that is not in Types is an
// error. The first one ever opens log number 1.
func (l *Log) Append(tx *state.Tx, ev Event) (seq uint64, err error) {
	in, err := l.current(tx)
	if err != nil {
		return 0, fmt.Errorf("append %s: %w", ev.Type, err)
	}
	if in.Number == 0 {
		in.Number = 1
	}
	seq, err = l.append(tx, in, ev)
	if err != nil {
		return 0, fmt.Errorf("append %s: %w", ev.Type, err)
	}
	return seq, nil
}

func (l *Log) append(tx *state.Tx, in info, ev Event) (uint64, error) {
	if !Known(ev.Type) {
		return 0, code.New(code.Bug, "no such event type")
	}
	seq := in.Start + uint64(in.Size)
	now := l.now()
	salted, err := l.body(ev, now)
	if err != nil {
		return 0, err
	}
	id, err := ident.New(now.Trusted, l.random)
	if err != nil {
		return 0, err
	}
	text, err := canon.Marshal(leaf{
		V: 1, Seq: int64(seq), EventID: id, Type: ev.Type, At: clock.Format(now.Trusted), Body: bodyDigest(salted),
	})
	if err != nil {
		return 0, err
	}
	if err := tx.Put(leafBucket, seqKey(seq), text); err != nil {
		return 0, err
	}
	if err := tx.Put(bodyBucket, seqKey(seq), salted); err != nil {
		return 0, err
	}
	return seq, grow(tx, in, text)
}

// body is the salt and the canonical body behind it.
func (l *Log) body(ev Event, now marks.Reading) ([]byte, error) {
	attrs := ev.Attrs
	if len(l.always) > 0 {
		attrs = maps.Clone(l.always)
		maps.Copy(attrs, ev.Attrs)
	}
	b, err := canon.Marshal(body{ev.Tenant, ev.Actor, ev.Subject, attrs, clock.Format(now.Wall), ev.TraceID})
	if err != nil {
		return nil, err
	}
	salt := make([]byte, saltSize, saltSize+len(b))
	if _, err := io.ReadFull(l.random, salt); err != nil {
		return nil, fmt.Errorf("salt: %w", err)
	}
	return append(salt, b...), nil
}

// bodyDigest is SHA-256(domain NUL salt NUL body).
func bodyDigest(salted []byte) digest.Digest {
	b := append([]byte(bodyDomain), salted[:saltSize]...)
	return digest.Of(append(append(b, 0), salted[saltSize:]...))
}

// grow adds a leaf to the tree.
func grow(tx *state.Tx, in info, text []byte) error {
	hashes, err := tlog.StoredHashes(in.Size, text, reader(tx, in.Number))
	if err != nil {
		return err
	}
	at := tlog.StoredHashIndex(0, in.Size)
	for i, h := range hashes {
		if err := tx.Put(hashBucket, hashKey(in.Number, at+int64(i)), h[:]); err != nil {
			return err
		}
	}
	in.Size++
	return logs.Put(tx, logKey(in.Number), in)
}

func seqKey(seq uint64) []byte { return binary.BigEndian.AppendUint64(nil, seq) }

func hashKey(number, index int64) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, uint64(number)), uint64(index))
}

func logKey(number int64) string { return fmt.Sprintf("%016x", number) }

// reader reads stored hashes of one log.
func reader(tx *state.Tx, number int64) tlog.HashReader {
	return tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		hashes := make([]tlog.Hash, len(indexes))
		for i, index := range indexes {
			if copy(hashes[i][:], tx.Get(hashBucket, hashKey(number, index))) != tlog.HashSize {
				return nil, broken("hash %d of log %d is missing", index, number)
			}
		}
		return hashes, nil
	})
}

func broken(format string, args ...any) *code.Error {
	return code.New(code.TimelineBroken, format, args...)
}

// current is the log that is written to; Number 0 before the first entry.
func (l *Log) current(tx *state.Tx) (info, error) {
	_, in, _, err := logs.Last(tx, "")
	return in, err
}

// Number is the number of the log that is written to, 0 before the first entry.
func (l *Log) Number(tx *state.Tx) (int64, error) {
	in, err := l.current(tx)
	return in.Number, err
}

// Begin opens the next log, as a restore must; its first entry names the last head of the one before.
func (l *Log) Begin(tx *state.Tx, actor string) (number int64, err error) {
	return l.BeginAs(tx, actor, nil)
}

// BeginAs is Begin with more to say in that first entry; its own three attributes (log, size, root) stand.
func (l *Log) BeginAs(tx *state.Tx, actor string, more map[string]string) (number int64, err error) {
	last, err := l.current(tx)
	if err != nil {
		return 0, fmt.Errorf("begin log: %w", err)
	}
	h, err := head(tx, last)
	if err != nil {
		return 0, fmt.Errorf("begin log: %w", err)
	}
	in := info{Number: last.Number + 1, Start: last.Start + uint64(last.Size)}
	attrs := map[string]string{}
	maps.Copy(attrs, more)
	attrs["log"], attrs["size"], attrs["root"] = fmt.Sprint(last.Number), fmt.Sprint(h.Size), h.Root.String()
	if _, err = l.append(tx, in, Event{Type: "backup.restored", Actor: actor, Subject: Origin(l.appliance, in.Number), Attrs: attrs}); err != nil {
		return 0, fmt.Errorf("begin log: %w", err)
	}
	return in.Number, nil
}

// Head is the size and root of the log that is written to.
func (l *Log) Head(tx *state.Tx) (bundle.Head, error) {
	in, err := l.current(tx)
	if err != nil {
		return bundle.Head{}, err
	}
	return head(tx, in)
}

func head(tx *state.Tx, in info) (bundle.Head, error) {
	root, err := tlog.TreeHash(in.Size, reader(tx, in.Number))
	if err != nil {
		return bundle.Head{}, fmt.Errorf("head of log %d: %w", in.Number, err)
	}
	return bundle.Head{Size: in.Size, Root: digest.Digest(root)}, nil
}
