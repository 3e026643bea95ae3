package desk

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"sallyport/internal/clock"
	"sallyport/internal/code"
	"sallyport/internal/durable"
)

// maxLog bounds the log of one job in bytes, over all its attempts.
const maxLog = 1 << 20

// logbook is the log of one job: a file, and its last lines in memory for when the disk is full. Safe for concurrent use.
type logbook struct {
	path string
	fs   durable.FS
	now  func() time.Time
	log  *slog.Logger

	mu   sync.Mutex
	f    *os.File // nil before the first line, and after close
	size int64
	ring []string
	full bool // no more goes into the file
}

func (d *Desk) logbook(id string) *logbook {
	return &logbook{path: filepath.Join(d.dir(), id+".log"), fs: d.FS, now: d.Now, log: d.Log}
}

// line writes one line. A log that cannot be written is no reason to end what it tells of: the daemon's log says so once.
func (l *logbook) line(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	text = clock.Format(l.now()) + "  " + clean(text)
	if len(l.ring) == maxLines {
		l.ring = append(l.ring[:0:0], l.ring[1:]...)
	}
	l.ring = append(l.ring, text)
	if l.full {
		return
	}
	if err := l.write(text + "\n"); err != nil {
		l.full = true
		l.log.Warn("the log of a job is not written any more", "file", l.path, "err", err.Error())
	}
}

func (l *logbook) write(text string) error {
	if l.f == nil {
		f, err := os.OpenFile(l.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
		if err != nil {
			return err
		}
		if st, err := f.Stat(); err == nil {
			l.size = st.Size()
		}
		l.f = f
	}
	if l.size+int64(len(text)) > maxLog {
		l.full = true
		text = "(the log ends here: it is full)\n"
	}
	l.size += int64(len(text))
	return l.fs.Write(l.f, []byte(text))
}

// close makes the file durable. The next line opens it again.
func (l *logbook) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.f == nil {
		return nil
	}
	err := l.fs.Sync(l.f)
	err = errors.Join(err, l.f.Close())
	l.f = nil
	if err != nil {
		return fmt.Errorf("close log: %w", err)
	}
	return l.fs.SyncDir(filepath.Dir(l.path))
}

// last is the newest lines.
func (l *logbook) last() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.ring) > 0 {
		return append([]string(nil), l.ring...)
	}
	return tail(l.path, maxLines)
}

// tail reads the last lines of a log file; nil when there is none.
func tail(path string, n int) []string {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	const window = 32 << 10
	if st, err := f.Stat(); err == nil && st.Size() > window {
		if _, err := f.Seek(-window, io.SeekEnd); err != nil {
			return nil
		}
	}
	b, err := io.ReadAll(io.LimitReader(f, window))
	if err != nil {
		return nil
	}
	var list []string
	for line := range strings.SplitSeq(strings.TrimSuffix(string(b), "\n"), "\n") {
		list = append(list, clean(line))
	}
	return list[max(0, len(list)-n):]
}

// whole reads a log file, at most maxLog bytes and a line; ok is false when there is none.
func whole(path string) (text string, ok bool, err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", false, nil
	}
	if err != nil {
		return "", false, fmt.Errorf("read log: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxLog+4096))
	if err != nil {
		return "", false, fmt.Errorf("read log: %w", err)
	}
	return string(bytes.ToValidUTF8(b, []byte("?"))), true, nil
}

// fatal tells an error after which nothing more may be written.
func fatal(err error) bool { return code.Has(err, code.FsyncFailed) }
