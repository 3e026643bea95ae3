// Package state is the one transactional store: what every byte elsewhere means is written here, in one transaction.
//
// Data: state.db, a bbolt file (0600, map freelist, freelist not synced). Top-level buckets:
//
//	meta       schema → integer, instance → id written by Create
//	sequences  name → u64be counter
//	<table>    string key → JSON, one bucket per Table; key parts are joined by NUL
//	<bucket>   raw key → raw value, for the timeline
//
// Order: one goroutine owns the only write transaction. Update hands it a function; it drains its queue, runs what it
// found in one transaction and commits once: that commit is the commit point of the flow above it. A function that
// fails is taken out and the others run again, so a function may run more than once and must have no effect outside
// its Tx (OnCommit is for those). A crash leaves the state before or after a commit, never between. A commit that
// failed for any reason but a full disk has an unknown outcome: every later Update is refused and Failed is closed, so
// that the daemon stops and recovers by opening again. The file is kept a mebibyte longer than its last page by allocated
// blocks (room.go), so that small commits go on when the disk is full; one that does not fit fails whole, with no-space.
//
// A damaged file makes bbolt panic on goroutines of its own. Open therefore first walks every page with plain reads
// and bounds checks (probe.go), which costs one pass over the branch and leaf pages and cannot fault; a child process
// would buy no more. Damage inside a value is not seen there: it is a JSON error with code state-corrupt when read.
package state

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"sallyport/internal/code"
	"sallyport/internal/durable"
)

// Schema is the version of the layout this binary writes.
const Schema = 1

const lockTimeout = 500 * time.Millisecond

var (
	metaBucket  = []byte("meta")
	seqBucket   = []byte("sequences")
	schemaKey   = []byte("schema")
	instanceKey = []byte("instance")
)

// DB is the open database. Safe for concurrent use.
type DB struct {
	bolt     *bolt.DB
	path     string
	fs       durable.FS
	instance string

	queue  chan *request
	closed chan struct{} // closed by Close: no new requests
	done   chan struct{} // closed when the writer has ended
	once   sync.Once

	file      *os.File // what bbolt works with
	allocated int64    // bytes of it that have blocks; for the writer alone

	failed  chan struct{} // closed by the writer on a commit of unknown outcome
	failure error         // set by the writer before failed is closed
}

func options() *bolt.Options {
	return &bolt.Options{Timeout: lockTimeout, FreelistType: bolt.FreelistMapType, NoFreelistSync: true}
}

// Create makes a new database under a temporary name and renames it into place. An existing file has code conflict.
func Create(path string, fsys durable.FS, instance string) error {
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return code.New(code.Conflict, "create state: the file exists").In(path, "")
	}
	tmp := path + ".new"
	if err := os.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("create state: %w", err)
	}
	b, err := bolt.Open(tmp, 0o600, options())
	if err != nil {
		return fmt.Errorf("create state: %w", err)
	}
	err = fsys.Step("sync", tmp, func() error {
		return b.Update(func(tx *bolt.Tx) error { return writeMeta(tx, instance) })
	})
	if cerr := b.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("create state: %w", err)
	}
	if err := fsys.Rename(tmp, path); err != nil {
		return fmt.Errorf("create state: %w", err)
	}
	return nil
}

func writeMeta(tx *bolt.Tx, instance string) error {
	m, err := tx.CreateBucket(metaBucket)
	if err != nil {
		return err
	}
	if err := m.Put(schemaKey, strconv.AppendInt(nil, Schema, 10)); err != nil {
		return err
	}
	return m.Put(instanceKey, []byte(instance))
}

// Open opens a database that Create made. Codes: not-found, locked (another process holds it), state-corrupt,
// state-newer.
func Open(path string, fsys durable.FS) (*DB, error) {
	if err := probe(path); err != nil {
		return nil, fmt.Errorf("open state: %w", err)
	}
	db := &DB{
		path: path, fs: fsys,
		queue: make(chan *request), closed: make(chan struct{}), done: make(chan struct{}), failed: make(chan struct{}),
	}
	o := options()
	o.OpenFile = db.opened
	b, err := openBolt(path, o)
	if err != nil {
		return nil, fmt.Errorf("open state: %w", err)
	}
	db.bolt = b
	if err := b.View(db.readMeta); err != nil {
		b.Close()
		return nil, fmt.Errorf("open state: %w", err)
	}
	go db.write()
	return db, nil
}

// openBolt turns what may still go wrong after the probe into an error.
func openBolt(path string, o *bolt.Options) (b *bolt.DB, err error) {
	defer func() {
		if r := recover(); r != nil {
			b, err = nil, corrupt(path, "", "bbolt: %v", r)
		}
	}()
	b, err = bolt.Open(path, 0o600, o)
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return nil, code.New(code.Locked, "").In(path, "")
	case errors.Is(err, berrors.ErrInvalid), errors.Is(err, berrors.ErrChecksum), errors.Is(err, berrors.ErrVersionMismatch):
		return nil, corrupt(path, "", "%v", err)
	}
	return b, err
}

func (db *DB) readMeta(tx *bolt.Tx) error {
	m := tx.Bucket(metaBucket)
	if m == nil {
		return corrupt(db.path, "bucket meta", "missing")
	}
	v, err := strconv.ParseInt(string(m.Get(schemaKey)), 10, 64)
	if err != nil || v < 1 {
		return corrupt(db.path, "schema", "%q is no version", m.Get(schemaKey))
	}
	if v > Schema {
		return code.New(code.StateNewer, "").In(db.path, "schema").Want(fmt.Sprintf("at most %d", Schema), v)
	}
	db.instance = string(m.Get(instanceKey))
	return nil
}

func corrupt(path, place, format string, args ...any) error {
	return code.New(code.StateCorrupt, format, args...).In(path, place)
}

// View runs fn in a read transaction that sees one moment. It must not call Update (a growing file would deadlock),
// and must be short: pages freed meanwhile are not reused.
func (db *DB) View(fn func(*Tx) error) error {
	err := db.bolt.View(func(b *bolt.Tx) error { return fn(&Tx{bolt: b, path: db.path}) })
	if errors.Is(err, berrors.ErrDatabaseNotOpen) {
		return code.New(code.NotReady, "the state database is closed")
	}
	return err
}

// Close waits for the writer and for read transactions. It may be called twice.
func (db *DB) Close() error {
	db.once.Do(func() { close(db.closed) })
	<-db.done
	return db.bolt.Close()
}

// Copy writes a consistent copy of the whole file. w must be local: a slow reader keeps a read transaction open.
func (db *DB) Copy(w io.Writer) (n int64, err error) {
	err = db.bolt.View(func(tx *bolt.Tx) error {
		n, err = tx.WriteTo(w)
		return err
	})
	if err != nil {
		return n, fmt.Errorf("copy state: %w", err)
	}
	return n, nil
}

// Check proves the structure of the whole database. Writers wait meanwhile. Code state-corrupt.
func (db *DB) Check() error {
	return db.submit(context.Background(), &request{check: true})
}

// Instance is the id that Create was given.
func (db *DB) Instance() string { return db.instance }

// Failed is closed when a commit had an unknown outcome; the daemon must then stop. Nothing is lost by it: what was
// acknowledged is on the disk.
func (db *DB) Failed() <-chan struct{} { return db.failed }

// Size is the file's size in bytes, 0 when it cannot be told.
func (db *DB) Size() int64 {
	st, err := os.Stat(db.path)
	if err != nil {
		return 0
	}
	return st.Size()
}

// LeapSeq makes a counter go on by further, for a restored appliance: numbers given out since its backup are not known.
func (tx *Tx) LeapSeq(name string, by uint64) error {
	n, err := tx.NextSeq(name)
	if err != nil {
		return err
	}
	return tx.Put(string(seqBucket), []byte(name), binary.BigEndian.AppendUint64(nil, n-1+by))
}

// NextSeq counts from 1 per name; a rolled back transaction gives its number back.
func (tx *Tx) NextSeq(name string) (uint64, error) {
	var n uint64
	if v := tx.Get(string(seqBucket), []byte(name)); len(v) == 8 {
		n = binary.BigEndian.Uint64(v)
	}
	n++
	return n, tx.Put(string(seqBucket), []byte(name), binary.BigEndian.AppendUint64(nil, n))
}
