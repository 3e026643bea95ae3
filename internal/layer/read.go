package layer

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"sallyport/internal/code"
	"sallyport/internal/pack"
)

// ErrStop ends a Scan early without an error.
var ErrStop = errors.New("stop")

// Layer is an open layer file. Safe for concurrent use.
type Layer struct {
	path  string
	db    *bbolt.DB
	meta  Meta
	kinds []string
	packs sync.Pool    // of *pack.Decompressor
	size  int64        // of the file when it was opened: all of it is mapped
	seen  atomic.Int64 // bytes walked since pages were given back
}

// Open opens a sealed layer read-only. A file that is not one, or a damaged one, is code.StoreCorrupt.
func Open(path string) (_ *Layer, err error) {
	l := &Layer{path: path}
	l.packs.New = func() any { return pack.NewDecompressor() }
	st, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("open layer: %w", err)
	}
	l.size = st.Size()
	err = guard(path, func() (err error) {
		l.db, err = bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true, Timeout: time.Second})
		return err
	})
	if errors.Is(err, berrors.ErrInvalid) || errors.Is(err, berrors.ErrChecksum) || errors.Is(err, berrors.ErrVersionMismatch) {
		err = code.Wrap(code.StoreCorrupt, err, "not a layer").In(path, "")
	}
	if err != nil {
		return nil, fmt.Errorf("open layer: %w", err)
	}
	if err := l.view(l.readMeta); err != nil {
		l.Close()
		return nil, fmt.Errorf("open layer: %w", err)
	}
	return l, nil
}

func (l *Layer) readMeta(tx *bbolt.Tx) error {
	b := tx.Bucket([]byte(metaBucket))
	if b == nil {
		return code.New(code.StoreCorrupt, "a layer that was never sealed").In(l.path, metaBucket)
	}
	if err := json.Unmarshal(b.Get([]byte(metaBucket)), &l.meta); err != nil {
		return code.Wrap(code.StoreCorrupt, err, "meta of a layer").In(l.path, metaBucket)
	}
	return tx.ForEach(func(name []byte, _ *bbolt.Bucket) error {
		if kind, ok := strings.CutPrefix(string(name), kindPrefix); ok {
			l.kinds = append(l.kinds, kind)
		}
		return nil
	})
}

// guard turns the panics and page faults of a damaged file into errors.
func guard(path string, fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = code.New(code.StoreCorrupt, "a damaged layer: %.200q", fmt.Sprint(p)).In(path, "")
		}
	}()
	return fn()
}

// view runs fn in a read transaction. Panics of fn itself look like damage too: it calls nothing but the walk.
func (l *Layer) view(fn func(*bbolt.Tx) error) error {
	return guard(l.path, func() error { return l.db.View(fn) })
}

// Close releases the file. Readers must be done.
func (l *Layer) Close() error { return l.db.Close() }

// Meta is what the layer says it is; its maps and slices are shared, not to be changed.
func (l *Layer) Meta() Meta { return l.meta }

// Shards lists the blobs of lines the layer points into.
func (l *Layer) Shards() []Shard { return l.meta.Shards }

// Kinds lists the kinds with records or tombstones, ascending.
func (l *Layer) Kinds() []string { return l.kinds }

// Size is the layer file's size in bytes.
func (l *Layer) Size() int64 { return l.size }

// lookBytes is what one look touches that no other does: a leaf, where keys lie far apart.
const lookBytes = 4096

// Get finds one record; a tombstone is found too.
func (l *Layer) Get(kind, key string) (e Entry, ok bool, err error) {
	err = l.view(func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte(kindPrefix + kind))
		if b == nil {
			return nil
		}
		v := b.Get([]byte(key))
		l.walked(lookBytes)
		if v == nil {
			return nil
		}
		ok = true
		e, err = decodeEntry(kind, []byte(key), v)
		return err
	})
	return e, ok && err == nil, err
}

// page is how many entries one read transaction hands out.
const page = 1024

// Scan walks the records of a kind behind the key after ("": from the first), ascending, tombstones included. fn may take
// its time and may call the layer again. ErrStop ends the walk without an error.
func (l *Layer) Scan(kind, after string, fn func(Entry) error) error {
	var room []Entry
	for {
		list, err := l.page(room, kind, after, page)
		if err != nil {
			return err
		}
		for _, e := range list {
			if err := fn(e); err != nil {
				if errors.Is(err, ErrStop) {
					return nil
				}
				return err
			}
		}
		if len(list) < page {
			return nil
		}
		after, room = list[len(list)-1].Key, list
	}
}

// page reads at most limit records of a kind behind the key after, into list, which grows when it has no room.
func (l *Layer) page(list []Entry, kind, after string, limit int) (_ []Entry, err error) {
	list = slices.Grow(list[:0], limit)
	err = l.view(func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte(kindPrefix + kind))
		if b == nil {
			return nil
		}
		c := b.Cursor()
		k, v := c.Seek([]byte(after))
		if k != nil && string(k) == after {
			k, v = c.Next()
		}
		for ; k != nil && len(list) < limit; k, v = c.Next() {
			e, err := decodeEntry(kind, k, v)
			if err != nil {
				return err
			}
			list = append(list, e)
			l.walked(len(k) + len(v))
		}
		return nil
	})
	return list, err
}

// All walks every record ascending by kind, key.
func (l *Layer) All(fn func(Entry) error) error {
	for _, kind := range l.kinds {
		stopped := false
		err := l.Scan(kind, "", func(e Entry) error {
			err := fn(e)
			stopped = errors.Is(err, ErrStop)
			return err
		})
		if err != nil || stopped {
			return err
		}
	}
	return nil
}
