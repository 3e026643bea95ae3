package cas

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"syscall"

	"sallyport/internal/code"
	"sallyport/internal/units"
)

// SetReserve sets how many bytes of the disk reservations must leave free; 0 until it is called.
func (s *Store) SetReserve(bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keep = bytes
}

// Free is the number of bytes that can still be reserved, never negative.
func (s *Store) Free() (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.free()
}

func (s *Store) free() (int64, error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(s.dir, &st); err != nil {
		return 0, fmt.Errorf("free space of %s: %w", s.dir, err)
	}
	return max(0, int64(st.Bavail)*st.Bsize-s.keep-s.reserved), nil
}

// Reserve promises that many bytes to one operation before it writes the first, or says no-space. release may be
// called twice. The promise is kept whole until then, so what the operation has already written counts double for
// others: a reservation may be refused early, never granted wrongly.
func (s *Store) Reserve(bytes int64) (release func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	free, err := s.free()
	if err != nil {
		return nil, fmt.Errorf("reserve: %w", err)
	}
	if bytes > free {
		return nil, code.New(code.NoSpace, "reserve").In(s.dir, "").Want(units.Size(bytes), units.Size(free)+" free")
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

func eof(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
