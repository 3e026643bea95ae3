// Package cas keeps blobs under the digest of their bytes, once, whatever names them.
//
// Data, below one directory (0700; blobs are 0400):
//
//	instance            the instance id, so that a wrong disk is noticed
//	sha256/ab/<64 hex>  committed blobs, ab being the first two digits
//	staging/<op>/       one directory per running operation: <64 hex> staged blobs, w-N being written, other scratch
//	damaged/<64 hex>    condemned blobs: their bytes were found wrong; gone when the right ones were committed
//
// The store is not trusted: a name proves nothing until the bytes are hashed again (OpenVerified, ReadAll, Scrub).
// References are not counted here; who keeps a blob alive is said by the state database.
//
// Order: Stage, Create and Close blobs (hashed while written, not synced), Commit (sync files, make missing parents,
// rename, sync directories, in batches), then the caller's state transaction, then Discard. A crash before Commit
// leaves a staging directory, removed by the next Open. A crash after it leaves orphans, removed by a sweep (Plan,
// Apply) after a grace period. What an open Stage has committed is never swept, and committing a blob that is already
// here restarts its grace, so nothing disappears between Commit and the transaction that names it. A staged blob is
// always renamed over the committed one: its bytes were hashed a moment ago, those on the disk perhaps a year.
package cas

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/durable"
)

const (
	blobsDir     = "sha256"
	stagingDir   = "staging"
	damagedDir   = "damaged"
	instanceFile = "instance"
	dirMode      = 0o700
	blobMode     = 0o400
)

// Store is one content store. Safe for concurrent use; one process opens it at a time (the data directory is locked).
type Store struct {
	dir string
	fs  durable.FS

	mu        sync.Mutex // guards what follows, and the moment a blob is renamed in or removed
	pins      map[digest.Digest]int
	ops       int
	reserved  int64
	keep      int64
	condemned map[digest.Digest]int64 // what lies in damaged/, and its bytes
}

// Create makes an empty store. It may be repeated with the same instance after a crash.
func Create(dir string, fsys durable.FS, instance string) error {
	for _, d := range []string{filepath.Join(dir, blobsDir), filepath.Join(dir, stagingDir)} {
		if err := fsys.Mkdir(d, dirMode); err != nil {
			return fmt.Errorf("create store: %w", err)
		}
	}
	if err := fsys.WriteFile(filepath.Join(dir, instanceFile), []byte(instance+"\n"), 0o600); err != nil {
		return fmt.Errorf("create store: %w", err)
	}
	return nil
}

// Open opens a store that Create made and drops what crashed operations left in staging. A store of another instance
// has code wrong-instance; "" takes any.
func Open(dir string, fsys durable.FS, instance string) (*Store, error) {
	s := &Store{dir: dir, fs: fsys, pins: map[digest.Digest]int{}, condemned: map[digest.Digest]int64{}}
	got, err := s.Instance()
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	if instance != "" && got != instance {
		return nil, code.New(code.WrongInstance, "open store").In(dir, instanceFile).Want(instance, got)
	}
	if err := s.dropStaging(); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	if err := s.findCondemned(); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	return s, nil
}

// Instance reads the id that Create was given.
func (s *Store) Instance() (string, error) {
	b, err := os.ReadFile(filepath.Join(s.dir, instanceFile))
	if err != nil {
		return "", err
	}
	return strings.TrimSuffix(string(b), "\n"), nil
}

// dropStaging needs no sync: what comes back after a crash is dropped by the next Open.
func (s *Store) dropStaging() error {
	entries, err := os.ReadDir(filepath.Join(s.dir, stagingDir))
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := os.RemoveAll(filepath.Join(s.dir, stagingDir, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) path(d digest.Digest) string {
	h := d.Hex()
	return filepath.Join(s.dir, blobsDir, h[:2], h)
}

// Has tells whether a blob is committed. It says nothing about its bytes.
func (s *Store) Has(d digest.Digest) bool {
	_, err := s.Size(d)
	return err == nil
}

// Size is the size of a committed blob in bytes; code not-found.
func (s *Store) Size(d digest.Digest) (int64, error) {
	st, err := os.Lstat(s.path(d))
	if err != nil {
		return 0, absent(d, err)
	}
	return st.Size(), nil
}

func absent(d digest.Digest, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return code.Wrap(code.Missing, err, "no such blob").In(d.String(), "")
	}
	return fmt.Errorf("blob %s: %w", d, err)
}

// Open opens a committed blob without hashing it, or what is left of a condemned one; code not-found.
func (s *Store) Open(d digest.Digest) (*File, error) {
	f, err := open(s.path(d), d)
	if !code.Has(err, code.Missing) {
		return f, err
	}
	if left, derr := open(s.damagedPath(d), d); derr == nil {
		return left, nil
	}
	return nil, err
}

func open(path string, d digest.Digest) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, absent(d, err)
	}
	st, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, absent(d, err)
	}
	return &File{f, st.Size()}, nil
}

// File is an open blob, for reading.
type File struct {
	f    *os.File
	size int64
}

func (f *File) Read(p []byte) (int, error)                   { return f.f.Read(p) }
func (f *File) ReadAt(p []byte, off int64) (int, error)      { return f.f.ReadAt(p, off) }
func (f *File) Seek(offset int64, whence int) (int64, error) { return f.f.Seek(offset, whence) }

// Close ends it.
func (f *File) Close() error { return f.f.Close() }

// Size is in bytes, as it was when opened.
func (f *File) Size() int64 { return f.size }

// whole opens a committed blob; a condemned one has code store-corrupt.
func (s *Store) whole(d digest.Digest) (*File, error) {
	f, err := open(s.path(d), d)
	if code.Has(err, code.Missing) {
		if _, derr := os.Lstat(s.damagedPath(d)); derr == nil {
			return nil, code.New(code.StoreCorrupt, "this blob was found damaged").In(d.String(), "").Do("Heal it from any stick that has it: sallyport media heal MEDIUM.")
		}
	}
	return f, err
}

// OpenVerified hashes a blob while it is read: wrong bytes give code store-corrupt where io.EOF would be. What was
// read before is not proven until then.
func (s *Store) OpenVerified(d digest.Digest) (io.ReadCloser, error) {
	f, err := s.whole(d)
	if err != nil {
		return nil, err
	}
	return &verified{f, digest.NewReader(f), d}, nil
}

type verified struct {
	f    *File
	r    *digest.Reader
	want digest.Digest
}

func (v *verified) Read(p []byte) (int, error) {
	n, err := v.r.Read(p)
	if err == io.EOF && v.r.Sum() != v.want {
		return n, damaged(v.want, v.r.Sum())
	}
	return n, err
}

func (v *verified) Close() error { return v.f.Close() }

func damaged(want, got digest.Digest) error {
	return code.New(code.StoreCorrupt, "").In(want.String(), "").Want(want, got)
}

// ReadAll reads a blob of at most max bytes and hashes it; codes not-found, store-corrupt.
func (s *Store) ReadAll(d digest.Digest, max int64) ([]byte, error) {
	f, err := s.whole(d)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if f.Size() > max {
		return nil, code.New(code.StoreCorrupt, "blob is larger than it may be").In(d.String(), "").Want(fmt.Sprintf("at most %d bytes", max), f.Size())
	}
	b := make([]byte, f.Size())
	if _, err := io.ReadFull(f, b); err != nil {
		return nil, fmt.Errorf("read blob %s: %w", d, err)
	}
	if got := digest.Of(b); got != d {
		return nil, damaged(d, got)
	}
	return b, nil
}

// each visits committed blobs in digest order, from one on (exclusive when after is not zero). foreign, which may be nil,
// hears of names that are not a blob's.
func (s *Store) each(after digest.Digest, fn func(d digest.Digest, e fs.DirEntry) error, foreign func(error)) error {
	if foreign == nil {
		foreign = func(error) {}
	}
	root := filepath.Join(s.dir, blobsDir)
	fans, err := os.ReadDir(root)
	if err != nil {
		return err
	}
	from := ""
	if !after.IsZero() {
		from = after.Hex()
	}
	for _, fan := range fans {
		if from != "" && fan.Name() < from[:2] {
			continue
		}
		if !fan.IsDir() {
			foreign(notBlob(root, fan.Name()))
			continue
		}
		blobs, err := os.ReadDir(filepath.Join(root, fan.Name()))
		if err != nil {
			return err
		}
		for _, e := range blobs {
			d, err := digest.ParseHex(e.Name())
			if err != nil || e.Name()[:2] != fan.Name() || !e.Type().IsRegular() {
				foreign(notBlob(filepath.Join(root, fan.Name()), e.Name()))
				continue
			}
			if e.Name() <= from {
				continue
			}
			if err := fn(d, e); err != nil {
				return err
			}
		}
	}
	return nil
}

func notBlob(dir, name string) error {
	return code.New(code.StoreCorrupt, "not the name of a blob: %q", name).In(dir, "").Do("Move it away: nothing of ours is called so.")
}

// Usage counts committed blobs and their bytes.
func (s *Store) Usage() (blobs, bytes int64, err error) {
	err = s.each(digest.Digest{}, func(_ digest.Digest, e fs.DirEntry) error {
		if info, err := e.Info(); err == nil { // removed meanwhile: not counted
			blobs, bytes = blobs+1, bytes+info.Size()
		}
		return nil
	}, nil)
	if err != nil {
		return 0, 0, fmt.Errorf("count store: %w", err)
	}
	return blobs, bytes, nil
}
