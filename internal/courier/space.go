package courier

import (
	"errors"
	"syscall"

	"sallyport/internal/code"
)

// write names a failure of our own disk, so that it is not taken for one of the bundle.
func write(err error, name string) error {
	if errors.Is(err, syscall.ENOSPC) {
		return code.Wrap(code.NoSpace, err, "write").In(name, "")
	}
	return code.Wrap(code.Bug, err, "cannot write").In(name, "").Do("Check the directory named with --to.")
}
