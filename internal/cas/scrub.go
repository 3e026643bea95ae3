package cas

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"sallyport/internal/code"
	"sallyport/internal/digest"
)

// Scrub says which blobs to hash. The zero value is one round over all, one at a time.
type Scrub struct {
	After   digest.Digest // exclusive; zero: from the start
	Budget  int64         // bytes after which to stop; 0: to the end
	Workers int           // that hash at the same time; 0: 1
	Disk    bool          // drop what the kernel has cached first, so that the disk is read and not memory
}

// scrubbed is one blob on its way through Scrub.
type scrubbed struct {
	d    digest.Digest
	n    int64
	err  error
	done chan struct{}
}

// scrubBuffer is how many bytes are hashed at a time.
const scrubBuffer = 256 << 10

// Scrub hashes blobs and reports each one, in digest order, with nil, store-corrupt or the disk's error; a name that is no
// blob's has store-corrupt and a zero digest. next is where to go on, zero when the round is complete. fn is called by one
// goroutine, the caller's.
func (s *Store) Scrub(ctx context.Context, q Scrub, fn func(d digest.Digest, bytes int64, err error)) (next digest.Digest, err error) {
	ctx, cancel := context.WithCancel(ctx)
	workers := max(q.Workers, 1)
	jobs, order := make(chan *scrubbed), make(chan *scrubbed, 4*workers)
	ended := make(chan struct{}, workers)
	for range workers {
		go func() {
			buf := make([]byte, scrubBuffer)
			for j := range jobs {
				j.n, j.err = s.rehash(ctx, j.d, buf, q.Disk)
				close(j.done)
			}
			ended <- struct{}{}
		}()
	}
	var listed error
	go func() {
		next, listed = s.list(ctx, q, jobs, order)
		close(jobs)
		close(order)
	}()
	for j := range order {
		<-j.done
		if !code.Has(j.err, code.Missing) && ctx.Err() == nil { // removed meanwhile
			fn(j.d, j.n, j.err)
		}
	}
	for range workers {
		<-ended
	}
	defer cancel()
	if listed == nil {
		listed = ctx.Err()
	}
	if listed != nil {
		return digest.Digest{}, fmt.Errorf("scrub: %w", listed)
	}
	return next, nil
}

// list sends the blobs of a scrub to who hashes them and to who reports them.
func (s *Store) list(ctx context.Context, q Scrub, jobs, order chan<- *scrubbed) (next digest.Digest, err error) {
	var spent int64
	full := errors.New("budget spent")
	err = s.each(q.After, func(d digest.Digest, e fs.DirEntry) error {
		j := &scrubbed{d: d, done: make(chan struct{})}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case order <- j:
		}
		jobs <- j
		if info, err := e.Info(); err == nil {
			spent += info.Size()
		}
		if q.Budget > 0 && spent >= q.Budget {
			next = d
			return full
		}
		return nil
	}, func(err error) {
		j := &scrubbed{err: err, done: make(chan struct{})}
		close(j.done)
		order <- j
	})
	if errors.Is(err, full) {
		err = nil
	}
	return next, err
}

// rehash reads one committed blob to its end.
func (s *Store) rehash(ctx context.Context, d digest.Digest, buf []byte, disk bool) (n int64, err error) {
	f, err := open(s.path(d), d)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	if disk {
		uncache(f.f)
	}
	h := digest.NewHash()
	for {
		m, err := f.Read(buf)
		h.Write(buf[:m])
		n += int64(m)
		if err == nil {
			err = ctx.Err()
		}
		if err == nil {
			continue
		}
		if !errors.Is(err, io.EOF) {
			return n, err
		}
		if got := digest.Sum(h); got != d {
			return n, damaged(d, got)
		}
		return n, nil
	}
}

func (s *Store) damagedPath(d digest.Digest) string { return filepath.Join(s.dir, damagedDir, d.Hex()) }

// Condemn moves a damaged blob out of the way: it counts as missing from then on, and a Commit of the right bytes heals
// it. Until then its bytes can still be opened: what is read from a blob is proven again by whoever reads it, and a shard
// with one flipped bit still has thousands of good records. A blob that is not there, or condemned already, is no error.
func (s *Store) Condemn(d digest.Digest) error {
	if err := s.fs.Mkdir(filepath.Join(s.dir, damagedDir), dirMode); err != nil {
		return fmt.Errorf("condemn: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	info, err := os.Lstat(s.path(d))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("condemn: %w", err)
	}
	s.fs.Point("cas-condemn")
	if err := s.fs.Rename(s.path(d), s.damagedPath(d)); err != nil {
		return fmt.Errorf("condemn: %w", err)
	}
	s.condemned[d] = info.Size()
	return nil
}

// Damaged is one condemned blob.
type Damaged struct {
	Digest digest.Digest
	Bytes  int64
}

// Condemned lists what lies in damaged/ and has not been healed, in digest order.
func (s *Store) Condemned() []Damaged {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]Damaged, 0, len(s.condemned))
	for d, n := range s.condemned {
		list = append(list, Damaged{d, n})
	}
	slices.SortFunc(list, func(a, b Damaged) int { return slices.Compare(a.Digest[:], b.Digest[:]) })
	return list
}

// findCondemned reads damaged/ when the store is opened. What was healed and not yet removed when a crash came is removed.
func (s *Store) findCondemned() error {
	entries, err := os.ReadDir(filepath.Join(s.dir, damagedDir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		d, err := digest.ParseHex(e.Name())
		info, ierr := e.Info()
		if err != nil || ierr != nil {
			continue
		}
		s.condemned[d] = info.Size()
		if s.Has(d) {
			if err := s.forgive(d); err != nil {
				return err
			}
		}
	}
	return nil
}

// forgive removes the damaged copy of a blob that is whole again. It needs no sync: Open does it again.
func (s *Store) forgive(d digest.Digest) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.condemned[d]; !ok {
		return nil
	}
	err := s.fs.Step("remove", s.damagedPath(d), func() error { return os.Remove(s.damagedPath(d)) })
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove damaged copy: %w", err)
	}
	delete(s.condemned, d)
	return nil
}
