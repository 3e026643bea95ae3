package durable

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// allocate reserves blocks on the disk for the first size bytes of f, holes included, and makes f that long.
func allocate(f *os.File, size int64) error {
	for {
		err := unix.Fallocate(int(f.Fd()), 0, 0, size)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EOPNOTSUPP):
			return errors.ErrUnsupported
		}
		return err
	}
}
