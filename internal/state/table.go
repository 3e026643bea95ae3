package state

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// ErrStop, returned by the function given to a scan, ends it early without an error.
var ErrStop = errors.New("stop")

// Tx is one transaction. It must not be used after the function it was given to has returned. Everything read from
// it is a copy.
type Tx struct {
	bolt  *bolt.Tx
	path  string
	dirty bool
	hooks []func()
}

// Writable tells whether this is an Update.
func (tx *Tx) Writable() bool { return tx.bolt.Writable() }

// OnCommit runs fn after the commit succeeded and before Update returns, on the writer's goroutine: it must be quick
// and may not call Update.
func (tx *Tx) OnCommit(fn func()) { tx.hooks = append(tx.hooks, fn) }

// Get reads a raw value; nil when absent, empty but not nil when the value is empty.
func (tx *Tx) Get(bucket string, key []byte) []byte {
	b := tx.bolt.Bucket([]byte(bucket))
	if b == nil {
		return nil
	}
	return bytes.Clone(b.Get(key))
}

// Put writes a raw value. Keys are 1 to 32,768 bytes.
func (tx *Tx) Put(bucket string, key, value []byte) error {
	b, err := tx.bolt.CreateBucketIfNotExists([]byte(bucket))
	if err != nil {
		return fmt.Errorf("put %s: %w", bucket, err)
	}
	tx.dirty = true
	if err := b.Put(key, value); err != nil {
		return fmt.Errorf("put %s %q: %w", bucket, key, err)
	}
	return nil
}

// Delete removes a raw value; absent is no error.
func (tx *Tx) Delete(bucket string, key []byte) error {
	if !tx.Writable() {
		return fmt.Errorf("delete %s %q: %w", bucket, key, berrors.ErrTxNotWritable)
	}
	b := tx.bolt.Bucket([]byte(bucket))
	if b == nil {
		return nil
	}
	tx.dirty = true
	if err := b.Delete(key); err != nil {
		return fmt.Errorf("delete %s %q: %w", bucket, key, err)
	}
	return nil
}

// Last is the last key and value of a raw bucket; nil when it is empty.
func (tx *Tx) Last(bucket string) (key, value []byte) {
	b := tx.bolt.Bucket([]byte(bucket))
	if b == nil {
		return nil, nil
	}
	k, v := b.Cursor().Last()
	return bytes.Clone(k), bytes.Clone(v)
}

// Each visits raw values from a key on (inclusive; nil: all), ascending. fn may write to the bucket.
func (tx *Tx) Each(bucket string, from []byte, fn func(key, value []byte) error) error {
	b := tx.bolt.Bucket([]byte(bucket))
	if b == nil {
		return nil
	}
	c := b.Cursor()
	k, v := c.Seek(from)
	for k != nil {
		key := bytes.Clone(k)
		if err := fn(key, bytes.Clone(v)); err != nil {
			return stopped(err)
		}
		if tx.Writable() { // the cursor may point into a node that fn has changed
			c = b.Cursor()
			if k, v = c.Seek(key); !bytes.Equal(k, key) {
				continue
			}
		}
		k, v = c.Next()
	}
	return nil
}

// back visits raw values before a key (exclusive; nil: from the end), descending. fn may write to the bucket.
func (tx *Tx) back(bucket string, before []byte, fn func(key, value []byte) error) error {
	b := tx.bolt.Bucket([]byte(bucket))
	if b == nil {
		return nil
	}
	c := b.Cursor()
	k, v := seekBefore(c, before)
	for k != nil {
		key := bytes.Clone(k)
		if err := fn(key, bytes.Clone(v)); err != nil {
			return stopped(err)
		}
		if tx.Writable() {
			c = b.Cursor()
			k, v = seekBefore(c, key)
			continue
		}
		k, v = c.Prev()
	}
	return nil
}

func seekBefore(c *bolt.Cursor, before []byte) (k, v []byte) {
	if before == nil {
		return c.Last()
	}
	if k, _ := c.Seek(before); k == nil {
		return c.Last()
	}
	return c.Prev()
}

func stopped(err error) error {
	if errors.Is(err, ErrStop) {
		return nil
	}
	return err
}

// Table is a bucket of JSON values under string keys of at least one byte, which sort bytewise.
type Table[T any] struct{ Name string }

// Get reads one value; ok is false when there is none. A value that is no JSON of T has code state-corrupt.
func (t Table[T]) Get(tx *Tx, key string) (v T, ok bool, err error) {
	b := tx.Get(t.Name, []byte(key))
	if b == nil {
		return v, false, nil
	}
	v, err = t.decode(tx, key, b)
	return v, err == nil, err
}

func (t Table[T]) decode(tx *Tx, key string, b []byte) (v T, err error) {
	if err := json.Unmarshal(b, &v); err != nil {
		return v, corrupt(tx.path, fmt.Sprintf("table %s key %q", t.Name, key), "%v", err)
	}
	return v, nil
}

// Put writes one value.
func (t Table[T]) Put(tx *Tx, key string, v T) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("put %s %q: %w", t.Name, key, err)
	}
	return tx.Put(t.Name, []byte(key), b)
}

// Delete removes one value; absent is no error.
func (t Table[T]) Delete(tx *Tx, key string) error { return tx.Delete(t.Name, []byte(key)) }

// Scan visits the keys with the prefix, ascending. fn may write to the table and may return ErrStop.
func (t Table[T]) Scan(tx *Tx, prefix string, fn func(key string, v T) error) error {
	return t.ScanFrom(tx, prefix, "", fn)
}

// ScanFrom is Scan of the keys after the given one, which need not exist.
func (t Table[T]) ScanFrom(tx *Tx, prefix, after string, fn func(key string, v T) error) error {
	from := prefix
	if after >= prefix && after != "" {
		from = after + "\x00"
	}
	return tx.Each(t.Name, []byte(from), t.visit(tx, prefix, fn))
}

// ScanBack visits the keys with the prefix before the given one ("": from the end), descending.
func (t Table[T]) ScanBack(tx *Tx, prefix, before string, fn func(key string, v T) error) error {
	end := successor(prefix)
	if before != "" && (end == nil || before < string(end)) {
		end = []byte(before)
	}
	return tx.back(t.Name, end, t.visit(tx, prefix, fn))
}

func (t Table[T]) visit(tx *Tx, prefix string, fn func(key string, v T) error) func(k, v []byte) error {
	return func(k, b []byte) error {
		if !strings.HasPrefix(string(k), prefix) {
			return ErrStop
		}
		v, err := t.decode(tx, string(k), b)
		if err != nil {
			return err
		}
		return fn(string(k), v)
	}
}

// successor is the least key greater than every key with the prefix; nil when there is none.
func successor(prefix string) []byte {
	b := []byte(prefix)
	for i := len(b) - 1; i >= 0; i-- {
		if b[i] < 0xff {
			b[i]++
			return b[:i+1]
		}
	}
	return nil
}

// Last is the greatest key with the prefix.
func (t Table[T]) Last(tx *Tx, prefix string) (key string, v T, ok bool, err error) {
	err = t.ScanBack(tx, prefix, "", func(k string, last T) error {
		key, v, ok = k, last, true
		return ErrStop
	})
	return key, v, ok, err
}
