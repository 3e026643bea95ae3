package cas

import (
	"fmt"
	"sync"
	"syscall"

	"sallyport/internal/code"
	"sallyport/internal/units"
)

// Auto, given to SetReserve, is the rule: a tenth of the disk stays free, or 2 GiB where that is less.
const Auto = -1

const (
	autoShare = 10
	autoMost  = 2 << 30
	// inodes that stay free: a hundredth of what the file system has, within these bounds.
	inodeShare = 100
	inodeLeast = 64
	inodeMost  = 1000
)

// Space is how it stands with the disk, in bytes and in inodes.
type Space struct {
	Total, Free int64 // of the file system; Free is what we may still use
	Keep        int64 // reservations leave so much free
	Reserved    int64 // promised to operations that are running
	Inodes      int64 // free; -1 where the file system has no such limit
	KeepInodes  int64
}

// Open is what can still be reserved, never negative.
func (s Space) Open() int64 {
	if s.Inodes >= 0 && s.Inodes <= s.KeepInodes {
		return 0
	}
	return max(0, s.Free-s.Keep-s.Reserved)
}

// Stopped tells that intake has stopped: not a byte can be reserved.
func (s Space) Stopped() bool { return s.Free < s.Keep || s.Inodes >= 0 && s.Inodes <= s.KeepInodes }

// SetReserve sets how many bytes of the disk reservations must leave free, or Auto; 0 until it is called.
func (s *Store) SetReserve(bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keep = bytes
}

// Space asks the file system.
func (s *Store) Space() (Space, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.space()
}

func (s *Store) space() (Space, error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(s.dir, &st); err != nil {
		return Space{}, fmt.Errorf("free space of %s: %w", s.dir, err)
	}
	p := Space{Total: int64(st.Blocks) * st.Bsize, Free: int64(st.Bavail) * st.Bsize, Keep: s.keep, Reserved: s.reserved, Inodes: -1}
	if s.keep == Auto {
		p.Keep = min(p.Total/autoShare, autoMost)
	}
	if st.Files > 0 {
		p.Inodes, p.KeepInodes = int64(st.Ffree), max(inodeLeast, min(int64(st.Files)/inodeShare, inodeMost))
	}
	return p, nil
}

// Free is the number of bytes that can still be reserved, never negative.
func (s *Store) Free() (int64, error) {
	p, err := s.Space()
	return p.Open(), err
}

// Reserve promises that many bytes to one operation before it writes the first, or says no-space. release may be
// called twice. The promise is kept whole until then, so what the operation has already written counts double for
// others: a reservation may be refused early, never granted wrongly.
func (s *Store) Reserve(bytes int64) (release func(), err error) {
	return s.reserve(bytes, func(p Space) bool { return bytes <= p.Open() && !p.Stopped() })
}

// ReserveLast is Reserve for what must go on when intake has stopped, like receipts to a medium: it may have what is kept
// free for that, as far as it is there.
func (s *Store) ReserveLast(bytes int64) (release func(), err error) {
	release, err = s.reserve(bytes, func(p Space) bool { return bytes <= p.Free-p.Reserved })
	if code.Has(err, code.NoSpace) {
		return nil, code.New(code.NoSpace, "not even the room that is kept for this is left").In(s.dir, "").Want(units.Size(bytes)+" free", "less").
			Do("Run sallyport store prune, or free space on this disk.")
	}
	return release, err
}

func (s *Store) reserve(bytes int64, fits func(Space) bool) (release func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := s.space()
	if err != nil {
		return nil, fmt.Errorf("reserve: %w", err)
	}
	if !fits(p) {
		return nil, p.refuse(s.dir, bytes)
	}
	s.reserved += bytes
	var once sync.Once
	return func() {
		once.Do(func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.reserved -= bytes
		})
	}, nil
}

// refuse says what is missing: bytes, or inodes.
func (s Space) refuse(dir string, bytes int64) error {
	if s.Inodes >= 0 && s.Inodes <= s.KeepInodes {
		return code.New(code.NoSpace, "the file system has too few inodes left").In(dir, "").
			Want(fmt.Sprintf("more than %d free", s.KeepInodes), fmt.Sprintf("%d free", s.Inodes)).
			Do("Remove small files from the disk, or run sallyport store prune.")
	}
	return code.New(code.NoSpace, "%s must stay free", units.Size(s.Keep)).In(dir, "").
		Want(units.Size(bytes), units.Size(s.Open())+" to spare").Do("Run sallyport store prune --plan, or free space on this disk.")
}
