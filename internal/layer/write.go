package layer

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"go.etcd.io/bbolt"

	"sallyport/internal/bundle"
	"sallyport/internal/code"
	"sallyport/internal/durable"
	"sallyport/internal/record"
)

// How a layer is built: so many puts a transaction, pages filled to the brim because nothing is ever inserted between, and
// so many bytes of lookups in memory before a run is spilled.
const (
	batch       = 5000
	fillPercent = 1.0
	spillBytes  = 4 << 20
	arenaBytes  = 64 << 10
)

// Writer builds one layer. Not for concurrent use. It ends with Seal and Dir.Install, or with Abort, which may always follow.
type Writer struct {
	fs   durable.FS
	path string
	db   *bbolt.DB
	tx   *bbolt.Tx
	puts int

	name   string // of bucket
	bucket *bbolt.Bucket
	kind   string // of the last record
	last   Ref
	counts map[string]int64 // live
	dead   int64
	docs   int64 // of the kind's live records, the documents
	mixed  []string
	value  []byte
	arena  []byte // keys and values of the open transaction; only appended to

	aliases, packages *Sorter
	old               *Layer
	drop              func(Ref) bool
}

// Create begins a layer at path, which must not exist; the caller renames it when it is sealed. Spilled runs go into the
// directory scratch and are gone with Seal or Abort.
func Create(fs durable.FS, path string, scratch string) (*Writer, error) {
	if _, err := os.Lstat(path); err == nil {
		return nil, fmt.Errorf("create layer: %w", &os.PathError{Op: "create", Path: path, Err: os.ErrExist})
	}
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{
		NoSync: true, NoGrowSync: true, NoFreelistSync: true, FreelistType: bbolt.FreelistMapType,
		PageSize: 4096, Timeout: time.Second,
	})
	if err != nil {
		return nil, fmt.Errorf("create layer %s: %w", path, err)
	}
	return &Writer{
		fs: fs, path: path, db: db, counts: map[string]int64{},
		aliases: NewSorter(fs, scratch, "alias", spillBytes), packages: NewSorter(fs, scratch, "package", spillBytes),
	}, nil
}

// Path is the file being built, or sealed and not installed; "" afterwards.
func (w *Writer) Path() string { return w.path }

// Add appends a record and what it can be looked up by; kind and key must ascend.
func (w *Writer) Add(e Entry, f record.Fields) error {
	ref := Ref{e.Kind, e.Key}
	if !less(w.last, ref) {
		return fmt.Errorf("add to layer: %w", code.New(code.IndexBad, "records do not ascend").In("", fmt.Sprintf("%s %q", e.Kind, e.Key)))
	}
	if err := bundle.CheckKey(e.Key); err != nil {
		return fmt.Errorf("add to layer: %w", err)
	}
	w.last = ref
	if e.Kind != w.kind {
		if err := w.enter(kindPrefix + e.Kind); err != nil {
			return err
		}
		w.endKind()
		w.kind = e.Kind
	}
	if w.value = encodeEntry(w.value[:0], &e); e.Deleted {
		w.dead++
	} else {
		w.counts[e.Kind]++
		if e.Document {
			w.docs++
		}
	}
	if err := w.put(w.keep([]byte(e.Key)), w.keep(w.value)); err != nil {
		return err
	}
	if e.Deleted {
		return nil
	}
	return w.look(ref, &f)
}

// endKind notes whether the kind that ends has both lines and documents.
func (w *Writer) endKind() {
	if w.docs > 0 && w.docs < w.counts[w.kind] {
		w.mixed = append(w.mixed, w.kind)
	}
	w.docs = 0
}

func less(a, b Ref) bool { return a.Kind < b.Kind || a.Kind == b.Kind && a.Key < b.Key }

func (w *Writer) look(ref Ref, f *record.Fields) error {
	for _, a := range f.Aliases {
		if !indexable(a, maxAlias) {
			continue
		}
		if err := w.aliases.Add(aliasKey(w.value[:0], a, ref.Kind, ref.Key)); err != nil {
			return err
		}
	}
	for _, p := range f.Packages {
		if !indexable(p.Ecosystem, maxEcosystem) || !indexable(p.Name, maxName) {
			continue
		}
		if err := w.packages.Add(packageKey(w.value[:0], p.Ecosystem, p.Name, ref.Kind, ref.Key)); err != nil {
			return err
		}
	}
	return nil
}

// Inherit takes over the lookups of an older layer, but for the records drop names (changed and gone ones). Records that are
// added without fields because they have not changed keep theirs. The older layer must stay open until Seal.
func (w *Writer) Inherit(old *Layer, drop func(Ref) bool) { w.old, w.drop = old, drop }

// keep copies b to where it may stay until the commit, many to an allocation.
func (w *Writer) keep(b []byte) []byte {
	if len(b) > cap(w.arena)-len(w.arena) {
		w.arena = make([]byte, 0, max(arenaBytes, len(b)))
	}
	from := len(w.arena)
	w.arena = append(w.arena, b...)
	return w.arena[from:len(w.arena):len(w.arena)]
}

// enter makes name the bucket that put writes to.
func (w *Writer) enter(name string) (err error) {
	if err := w.commit(); err != nil {
		return err
	}
	if w.tx, err = w.db.Begin(true); err != nil {
		return fmt.Errorf("build layer: %w", err)
	}
	if w.bucket, err = w.tx.CreateBucketIfNotExists([]byte(name)); err != nil {
		return fmt.Errorf("build layer: %w", err)
	}
	w.bucket.FillPercent, w.name = fillPercent, name
	return nil
}

// put appends one pair; key and value must not be changed afterwards.
func (w *Writer) put(key, value []byte) error {
	if w.puts == batch {
		if err := w.enter(w.name); err != nil {
			return err
		}
	}
	w.puts++
	if err := w.bucket.Put(key, value); err != nil {
		return fmt.Errorf("build layer: %w", err)
	}
	return nil
}

func (w *Writer) commit() error {
	w.puts = 0
	if w.tx == nil {
		return nil
	}
	tx := w.tx
	w.tx = nil
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("build layer %s: %w", w.path, err)
	}
	return nil
}

// Seal finishes the file: lookups, meta, a walk over everything as a reader sees it, one fsync. For a base layer the state
// root is computed from what was read back and must be m.Root, else code.StateRootBad; m.Counts may be nil, else they must
// be true. On an error the file is removed.
func (w *Writer) Seal(m Meta) (err error) {
	defer func() {
		if err != nil {
			w.Abort()
		}
	}()
	if w.db == nil {
		return errors.New("seal layer: already ended")
	}
	if m.Counts == nil {
		m.Counts = w.counts
	}
	w.endKind()
	m.Mixed, m.Gone = w.mixed, w.dead
	writeback(w.path)
	if err := w.lookups(aliasBucket, 1, w.aliases); err != nil {
		return err
	}
	w.aliases.Close() // its runs make room for what comes
	if err := w.lookups(packageBucket, 2, w.packages); err != nil {
		return err
	}
	w.packages.Close()
	body, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("seal layer: %w", err)
	}
	if err := w.enter(metaBucket); err != nil {
		return err
	}
	if err := w.put([]byte(metaBucket), body); err != nil {
		return err
	}
	if err := w.commit(); err != nil {
		return err
	}
	db := w.db
	w.db = nil
	if err := db.Close(); err != nil {
		return fmt.Errorf("seal layer %s: %w", w.path, err)
	}
	writeback(w.path)
	if err := w.check(m); err != nil {
		return fmt.Errorf("seal layer %s: %w", w.path, err)
	}
	return w.sync()
}

func (w *Writer) sync() error {
	f, err := os.OpenFile(w.path, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("seal layer: %w", err)
	}
	defer f.Close()
	return w.fs.Sync(f)
}

// Abort closes and removes the file and its runs, sealed or not; after Dir.Install it does nothing.
func (w *Writer) Abort() {
	if w.path == "" {
		return
	}
	if w.tx != nil {
		w.tx.Rollback()
	}
	if w.db != nil {
		w.db.Close()
	}
	w.aliases.Close()
	w.packages.Close()
	os.Remove(w.path)
	w.tx, w.db, w.path = nil, nil, ""
}
