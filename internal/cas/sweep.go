package cas

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"sallyport/internal/digest"
)

// Plan is what a sweep would remove. Making one changes nothing.
type Plan struct {
	Blobs []Orphan
	Bytes int64
}

// Orphan is one blob that nothing names.
type Orphan struct {
	Digest  digest.Digest
	Bytes   int64
	Damaged bool // condemned: it lies in damaged/
	mtime   time.Time
}

// Plan lists the blobs that are not live, belong to no open Stage and came (or were committed again) longer than grace
// before now, by the clock of the file system. Condemned ones that are not live have no grace. What is not a blob is left
// for Check to complain about: it must not keep the rest from being swept.
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
		p.add(Orphan{Digest: d, Bytes: info.Size(), mtime: info.ModTime()})
		return nil
	}, nil)
	if err != nil {
		return nil, fmt.Errorf("plan sweep: %w", err)
	}
	for _, c := range s.Condemned() {
		if !live(c.Digest) {
			p.add(Orphan{Digest: c.Digest, Bytes: c.Bytes, Damaged: true})
		}
	}
	return p, nil
}

func (p *Plan) add(o Orphan) {
	p.Blobs = append(p.Blobs, o)
	p.Bytes += o.Bytes
}

func (s *Store) pinned(d digest.Digest) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pins[d] > 0
}

// Apply removes what the plan lists and is still dead: not live (ask the state of now, not that of the plan), not held
// by an open Stage, not committed again since. One that cannot be removed does not keep the others; err is the first such.
// It may be repeated; a crash leaves some removed.
func (s *Store) Apply(ctx context.Context, p *Plan, live func(digest.Digest) bool) (removed int, bytes int64, err error) {
	for _, o := range p.Blobs {
		if cerr := ctx.Err(); cerr != nil {
			return removed, bytes, cerr
		}
		gone, rerr := s.remove(o, live)
		if rerr != nil && err == nil {
			err = fmt.Errorf("sweep: %w", rerr)
		}
		if gone {
			removed, bytes = removed+1, bytes+o.Bytes
		}
	}
	return removed, bytes, err
}

// remove needs no sync of the directory: an orphan that comes back is an orphan.
func (s *Store) remove(o Orphan, live func(digest.Digest) bool) (bool, error) {
	if live(o.Digest) {
		return false, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	path := s.path(o.Digest)
	if o.Damaged {
		path = s.damagedPath(o.Digest)
	}
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !o.Damaged && (s.pins[o.Digest] > 0 || !info.ModTime().Equal(o.mtime)) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	err = s.fs.Step("remove", path, func() error { return os.Remove(path) })
	if err == nil && o.Damaged {
		delete(s.condemned, o.Digest)
	}
	return err == nil, err
}

// Check proves the whole store: every name is that of its bytes, nothing foreign lies in it and no operation is open.
// It reads every byte: for tests and for an operator who asks.
func (s *Store) Check(ctx context.Context) error {
	var first error
	_, err := s.Scrub(ctx, Scrub{}, func(_ digest.Digest, _ int64, err error) {
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
