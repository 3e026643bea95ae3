package media

import (
	"context"
	"errors"
	"io/fs"
	"syscall"

	"sallyport/internal/code"
	"sallyport/internal/units"
)

// fault says what an error while reading means on a medium; at is the byte it happened at. A file that is not there and
// an error that has a code stay what they are.
func (m *Medium) fault(err error, name string, at int64) error {
	var coded *code.Error
	switch {
	case err == nil || errors.As(err, &coded) || errors.Is(err, fs.ErrInvalid) || isContext(err):
		return err
	case m.gone() || osCode(err) == code.MediumGone:
		return code.Wrap(code.MediumGone, err, "").In(name, "")
	case errors.Is(err, fs.ErrNotExist):
		return &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return code.Wrap(code.MediumRead, err, "read error at byte %s (the medium, not the data)", units.Count(at)).In(name, "")
}

// writeFault says what an error while writing means. durable reports a failed sync with a code that stops the daemon;
// that is meant for our own disk, so on a medium it ends here.
func (m *Medium) writeFault(err error, name string) error {
	var coded *code.Error
	switch {
	case err == nil || isContext(err):
		return err
	case errors.As(err, &coded) && coded.Code == code.FsyncFailed:
		err = coded.Err
	case coded != nil && coded.Code != code.NoSpace:
		return err
	}
	if m.gone() {
		return code.Wrap(code.MediumGone, err, "").In(name, "")
	}
	c := osCode(err)
	if c == "" {
		c = code.MediumWrite
	}
	return code.Wrap(c, err, "").In(name, "")
}

// osCode finds the code of what the operating system said, "" when it said nothing in particular.
func osCode(err error) code.Code {
	for _, row := range []struct {
		errno syscall.Errno
		code  code.Code
	}{
		{syscall.ENOSPC, code.NoSpace},
		{syscall.EDQUOT, code.NoSpace},
		{syscall.EROFS, code.MediumReadOnly},
		{syscall.EFBIG, code.FileTooBig},
		{syscall.ENODEV, code.MediumGone},
		{syscall.ENXIO, code.MediumGone},
		{syscall.ESTALE, code.MediumGone},
		{syscall.ENOTCONN, code.MediumGone},
	} {
		if errors.Is(err, row.errno) {
			return row.code
		}
	}
	return ""
}

func isContext(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}
