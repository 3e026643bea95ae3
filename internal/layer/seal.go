package layer

import (
	"bytes"
	"fmt"
	"iter"

	"go.etcd.io/bbolt"

	"sallyport/internal/bundle"
	"sallyport/internal/code"
)

// lookups writes one lookup bucket: the older layer's entries that still hold, merged with the new ones.
func (w *Writer) lookups(name string, parts int, fresh *Sorter) error {
	if err := w.enter(name); err != nil {
		return err
	}
	next, stop := iter.Pull2(fresh.All())
	defer stop()
	var last []byte
	put := func(k []byte) error {
		if last != nil && bytes.Equal(last, k) {
			return nil
		}
		last = w.keep(k)
		return w.put(last, nil)
	}
	head, err, ok := next()
	if w.old != nil {
		kept := w.old.raw(name, func(k, _ []byte) error {
			ref, valid := refOf(k, parts)
			if !valid {
				return torn(name, k)
			}
			if w.drop(ref) {
				return nil
			}
			for ok && err == nil && bytes.Compare(head, k) < 0 {
				if err := put(head); err != nil {
					return err
				}
				head, err, ok = next()
			}
			return put(k)
		})
		if kept != nil {
			return kept
		}
	}
	for ; ok && err == nil; head, err, ok = next() {
		if err := put(head); err != nil {
			return err
		}
	}
	return err
}

// check walks the finished file as a reader sees it: meta, order, numbers, and the state root of a base.
func (w *Writer) check(m Meta) error {
	l, err := Open(w.path)
	if err != nil {
		return err
	}
	defer l.Close()
	counts, dead := map[string]int64{}, int64(0)
	var root bundle.RootBuilder
	err = l.All(func(e Entry) error {
		if e.Deleted {
			dead++
			return nil
		}
		counts[e.Kind]++
		if m.Overlay {
			return nil
		}
		return root.Add(e.Kind, e.Key, e.Digest)
	})
	if err != nil {
		return err
	}
	for _, name := range [...]string{aliasBucket, packageBucket} {
		if err := l.raw(name, func(k, v []byte) error { return nil }); err != nil {
			return err
		}
	}
	if dead != w.dead || (dead > 0 && !m.Overlay) {
		return code.New(code.StoreCorrupt, "tombstones in the layer").Want(w.dead, dead)
	}
	for _, kind := range kindsOf(counts, w.counts, m.Counts) {
		if counts[kind] != w.counts[kind] || counts[kind] != m.Counts[kind] {
			return code.New(code.StoreCorrupt, "records of kind %s in the layer", kind).Want(m.Counts[kind], counts[kind])
		}
	}
	if got := root.Root(); !m.Overlay && got != m.Root {
		return code.New(code.StateRootBad, "").Want(m.Root, got)
	}
	return nil
}

func kindsOf(maps ...map[string]int64) (kinds []string) {
	for _, m := range maps {
		for kind := range m {
			kinds = append(kinds, kind)
		}
	}
	return kinds
}

// raw walks a bucket; a missing one is empty. The bytes are valid during fn only.
func (l *Layer) raw(name string, fn func(k, v []byte) error) error {
	return l.view(func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte(name))
		if b == nil {
			return nil
		}
		c := b.Cursor()
		for k, v := c.First(); k != nil; k, v = c.Next() {
			if err := fn(k, v); err != nil {
				return fmt.Errorf("walk %s: %w", name, err)
			}
			l.walked(len(k) + len(v))
		}
		return nil
	})
}
