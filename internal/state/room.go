package state

import (
	"errors"
	"os"

	bolt "go.etcd.io/bbolt"
)

// The database file is kept longer than its last page by really allocated blocks: bbolt itself would make a hole there, and
// find out in the middle of a commit whether the disk has room for it. So small commits go on for a while on a disk that is
// full, which is what pruning needs.
const (
	roomLow  = 1 << 20 // less than this behind the last page: allocate
	roomFull = 2 << 20 // so much
)

// opened keeps the file that bbolt works with.
func (db *DB) opened(name string, flag int, mode os.FileMode) (*os.File, error) {
	f, err := os.OpenFile(name, flag, mode)
	db.file = f
	return f, err
}

// grow allocates behind the last page of a transaction that is about to commit. A disk without room is no error: the
// commit may fit into pages that are free, and when it does not, it fails as a whole.
func (db *DB) grow(b *bolt.Tx) error {
	if db.file == nil || b.Size()+roomLow <= db.allocated {
		return nil
	}
	want := b.Size() + roomFull
	st, err := db.file.Stat()
	if err != nil {
		return err
	}
	want = max(want, st.Size()) // bbolt may have grown it, with a hole
	err = db.fs.Allocate(db.file, want)
	switch {
	case errors.Is(err, errors.ErrUnsupported):
		db.allocated = 1 << 62 // never asked again
		return nil
	case err != nil: // the disk is full, or the call failed: bbolt grows the file in its own way, or cannot
		return nil
	}
	db.allocated = want
	return db.fs.Sync(db.file)
}
