package cas

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"sallyport/internal/code"
	"sallyport/internal/digest"
)

// Plan is what a sweep would remove. Making one changes nothing.
type Plan struct {
	Blobs []Orphan
	Bytes int64
}

// Orphan is one blob that nothing names.
type Orphan struct {
	Digest digest.Digest
	Bytes  int64
	mtime  time.Time
}

// Plan lists the blobs that are not live, belong to no open Stage and came (or were committed again) longer than grace
// before now, by the clock of the file system.
func (s *Store) Plan(ctx context.Context, live func(digest.Digest) bool, grace time.Duration, now time.Time) (*Plan, error) {
	p := &Plan{}
	err := s.each(digest.Digest{}, func(d digest.Digest, e fs.DirEntry) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil || live(d) || s.pinned(d) || now.Sub(info.ModTime()) < grace {
			return nil
		}
		p.Blobs = append(p.Blobs, Orphan{d, info.Size(), info.ModTime()})
		p.Bytes += info.Size()
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("plan sweep: %w", err)
	}
	return p, nil
}

func (s *Store) pinned(d digest.Digest) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pins[d] > 0
}

// Apply removes what the plan lists and is still dead: not live (ask the state of now, not that of the plan), not held
// by an open Stage, not committed again since. It may be repeated; a crash leaves some removed.
func (s *Store) Apply(ctx context.Context, p *Plan, live func(digest.Digest) bool) (removed int, bytes int64, err error) {
	for _, o := range p.Blobs {
		if err := ctx.Err(); err != nil {
			return removed, bytes, err
		}
		gone, err := s.remove(o, live)
		if err != nil {
			return removed, bytes, fmt.Errorf("sweep: %w", err)
		}
		if gone {
			removed, bytes = removed+1, bytes+o.Bytes
		}
	}
	return removed, bytes, nil
}

// remove needs no sync of the directory: an orphan that comes back is an orphan.
func (s *Store) remove(o Orphan, live func(digest.Digest) bool) (bool, error) {
	if live(o.Digest) {
		return false, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	info, err := os.Lstat(s.path(o.Digest))
	if errors.Is(err, fs.ErrNotExist) || err == nil && (s.pins[o.Digest] > 0 || !info.ModTime().Equal(o.mtime)) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	err = s.fs.Step("remove", s.path(o.Digest), func() error { return os.Remove(s.path(o.Digest)) })
	return err == nil, err
}

// Scrub hashes blobs after the given digest (zero: from the start) until budget bytes were read (0: to the end) and
// reports each one with nil or store-corrupt. next is where to go on, zero when the round is complete.
func (s *Store) Scrub(ctx context.Context, after digest.Digest, budget int64, fn func(d digest.Digest, bytes int64, err error)) (next digest.Digest, err error) {
	var spent int64
	full := errors.New("budget spent")
	err = s.each(after, func(d digest.Digest, _ fs.DirEntry) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := s.rehash(d)
		if code.Has(err, code.Missing) {
			return nil
		}
		fn(d, n, err)
		spent += n
		if budget > 0 && spent >= budget {
			next = d
			return full
		}
		return nil
	})
	if err != nil && !errors.Is(err, full) {
		return next, fmt.Errorf("scrub: %w", err)
	}
	return next, nil
}

func (s *Store) rehash(d digest.Digest) (int64, error) {
	r, err := s.OpenVerified(d)
	if err != nil {
		return 0, err
	}
	defer r.Close()
	buf := make([]byte, 128<<10)
	var n int64
	for {
		m, err := r.Read(buf)
		n += int64(m)
		if err != nil {
			return n, eof(err)
		}
	}
}

// Condemn moves a damaged blob out of the way, so that a later Commit of the right bytes heals it.
func (s *Store) Condemn(d digest.Digest) error {
	dir := filepath.Join(s.dir, damagedDir)
	if err := s.fs.Mkdir(dir, dirMode); err != nil {
		return fmt.Errorf("condemn: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.fs.Rename(s.path(d), filepath.Join(dir, d.Hex())); err != nil {
		return fmt.Errorf("condemn: %w", err)
	}
	return nil
}

// Check proves the whole store: every name is that of its bytes, nothing foreign lies in it and no operation is open.
// It reads every byte: for tests and for an operator who asks.
func (s *Store) Check(ctx context.Context) error {
	var first error
	_, err := s.Scrub(ctx, digest.Digest{}, 0, func(_ digest.Digest, _ int64, err error) {
		if first == nil {
			first = err
		}
	})
	if err == nil {
		err = first
	}
	if err != nil {
		return fmt.Errorf("check store: %w", err)
	}
	left, err := os.ReadDir(filepath.Join(s.dir, stagingDir))
	if err != nil {
		return fmt.Errorf("check store: %w", err)
	}
	if len(left) > 0 {
		return fmt.Errorf("check store: %d operations are open, the first is %q", len(left), left[0].Name())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.pins) > 0 || s.reserved > 0 {
		return fmt.Errorf("check store: %d blobs are held and %d bytes reserved with no operation open", len(s.pins), s.reserved)
	}
	return nil
}
