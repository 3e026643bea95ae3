package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"sallyport/internal/cas"
	"sallyport/internal/code"
	"sallyport/internal/durable"
	"sallyport/internal/units"
	"sallyport/internal/wire"
)

// The ballast is this many files of really allocated bytes, so that giving it back frees inodes too.
const (
	ballastPieces = 16
	ballastShare  = 32 // of a small disk it takes at most this share
)

// ballast is D/ballast/: bytes nobody needs, given back when the disk is full, so that pruning, sweeping, receipts and
// status still have something to write on. Intake does not get them: it stopped long before.
type ballast struct {
	dir   string
	fs    durable.FS
	space func() (cas.Space, error)
	want  int64 // bytes, as configured

	mu sync.Mutex
}

// size is what it should be on this disk: whole pages in each piece.
func (b *ballast) size(p cas.Space) int64 {
	const page = 4096
	return min(b.want, p.Total/ballastShare) / ballastPieces / page * page * ballastPieces
}

// low tells that the disk is so full that the ballast must go.
func (b *ballast) low(p cas.Space) bool {
	return p.Free < b.size(p)/4 || p.Inodes >= 0 && p.Inodes < ballastPieces
}

// tend gives the ballast back when the disk is full, and makes it again when there is room: when intake is open, and would
// be with the ballast there. It tells what it did: "", "given", "made".
func (b *ballast) tend() (did string, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p, err := b.space()
	if err != nil {
		return "", err
	}
	size := b.size(p)
	switch there := b.there(); {
	case b.low(p) && there > 0:
		return "given", b.give()
	case there < size && !b.low(p) && p.Free-p.Reserved-(size-there) >= p.Keep && (p.Inodes < 0 || p.Inodes > p.KeepInodes+ballastPieces):
		return "made", b.take(size)
	}
	return "", nil
}

// there is how many bytes of it have blocks on the disk.
func (b *ballast) there() (bytes int64) {
	for i := range ballastPieces {
		if st, err := os.Lstat(b.piece(i)); err == nil {
			bytes += st.Size()
		}
	}
	return bytes
}

func (b *ballast) piece(i int) string { return filepath.Join(b.dir, fmt.Sprintf("%02d", i)) }

// give needs no sync: a piece that is back after a crash is given again.
func (b *ballast) give() error {
	var errs []error
	for i := range ballastPieces {
		name := b.piece(i)
		err := b.fs.Step("remove", name, func() error { return os.Remove(name) })
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	b.fs.Point("ballast.given")
	return errors.Join(errs...)
}

// take allocates what is missing. A piece of another size, as after a crash or another configuration, is made anew.
func (b *ballast) take(size int64) error {
	if err := b.fs.Mkdir(b.dir, 0o700); err != nil {
		return fmt.Errorf("ballast: %w", err)
	}
	for i := range ballastPieces {
		if st, err := os.Lstat(b.piece(i)); err == nil && st.Size() == size/ballastPieces {
			continue
		}
		if err := b.makePiece(b.piece(i), size/ballastPieces); err != nil {
			return fmt.Errorf("ballast: %w", err)
		}
	}
	b.fs.Point("ballast.made")
	return nil
}

// makePiece needs no sync of its own: after a crash it is there, or made again.
func (b *ballast) makePiece(name string, size int64) (err error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		f.Close()
		if err != nil {
			os.Remove(name)
		}
	}()
	err = b.fs.Allocate(f, size)
	if !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	block := make([]byte, 1<<20)
	for left := size; left > 0; left -= int64(len(block)) {
		if err := b.fs.Write(f, block[:min(left, int64(len(block)))]); err != nil {
			return err
		}
	}
	return nil
}

// tend looks after the disk: before each action, once a minute, and first of all when the daemon starts. Its one error is a
// failed sync: what was to be written is not known any more, of the ballast or of anything else in the data directory.
func (d *Daemon) tend() error {
	did, err := d.ballast.tend()
	switch {
	case code.Has(err, code.FsyncFailed):
		return err
	case err != nil:
		d.log.Warn("ballast", "err", err.Error())
	case did == "given":
		d.log.Warn("the disk is full: the ballast was given back, so that pruning goes on")
	case did == "made":
		d.log.Info("ballast made")
	}
	return nil
}

// tended tends, and ends the daemon when a sync failed.
func (d *Daemon) tended() {
	if err := d.tend(); err != nil {
		d.die(err)
	}
}

// bearable passes over an error that only says that the disk is full: a daemon that stopped for it would be started again
// and stop again, and nobody could prune.
func (d *Daemon) bearable(err error) error {
	if code.Has(err, code.NoSpace) && !code.Has(err, code.FsyncFailed) {
		d.log.Warn("the disk is full", "err", err.Error())
		return nil
	}
	return err
}

// cramped is what was found out about a full disk: it costs a walk, so it is kept for a while.
type cramped struct {
	mu       sync.Mutex
	at       time.Duration // by the monotonic clock
	known    bool
	prunable int64
	ours     int64
}

// crampedFor is how long it is kept.
const crampedFor = time.Minute

// reasons says what is not well with the disk and the store; it is part of status, readiness and doctor.
func (d *Daemon) reasons() (out []wire.Reason) {
	p, err := d.cas.Space()
	if err != nil {
		return []wire.Reason{{Level: "critical", What: "the disk of the data directory does not answer: " + err.Error(), Topic: wire.AboutDisk}}
	}
	if p.Stopped() {
		out = append(out, d.full(p))
	}
	return append(append(out, d.damageReasons()...), d.consoleReasons()...)
}

// full is the sentence for a disk on which intake has stopped.
func (d *Daemon) full(p cas.Space) wire.Reason {
	c := d.look()
	text := "Disk full: intake stopped, nothing lost."
	if p.Inodes >= 0 && p.Inodes <= p.KeepInodes {
		text = fmt.Sprintf("Disk full: %s left on its file system. Intake stopped, nothing lost.", units.Plural(p.Inodes, "free inode is", "free inodes are"))
	}
	if c.prunable > 0 {
		text += " " + units.Size(c.prunable) + " can be freed here → sallyport store prune --plan"
	}
	if others := p.Total - p.Free - c.ours; c.ours > 0 && others > p.Total/100 {
		if c.prunable > 0 {
			text += ";"
		}
		text += " " + units.Size(others) + " on this disk belong to other programs."
	}
	return wire.Reason{
		Level: "warning", What: text,
		Next:  fmt.Sprintf("%s are free; loads and imports go on above %s. Prune here, or free space on the disk of %s.", units.Size(p.Free), units.Size(p.Keep), d.cfg.DataDir),
		Topic: wire.AboutDisk, Why: fmt.Sprintf("%s are free; loads and imports go on above %s. Reading, receipts and pruning still work.", units.Size(p.Free), units.Size(p.Keep)),
	}
}

// look finds out what can be freed and what of the disk is ours.
func (d *Daemon) look() (c struct{ prunable, ours int64 }) {
	k := &d.cramped
	k.mu.Lock()
	defer k.mu.Unlock()
	now := d.deps.Clock.Mono()
	if !k.known || now-k.at > crampedFor {
		k.prunable, k.ours = 0, diskUse(d.cfg.DataDir)
		if plan, err := d.planPrune(context.Background(), 1); err == nil {
			k.prunable = plan.bytes
		}
		k.at, k.known = now, true
	}
	c.prunable, c.ours = k.prunable, k.ours
	return c
}

// forget makes look look again.
func (d *Daemon) forget() {
	d.cramped.mu.Lock()
	defer d.cramped.mu.Unlock()
	d.cramped.known = false
}

// diskUse is how many bytes on the disk the files below a directory take: blocks, so holes do not count.
func diskUse(dir string) (bytes int64) {
	filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return nil // an error: gone meanwhile
		}
		if info, err := e.Info(); err == nil {
			if st, ok := info.Sys().(*syscall.Stat_t); ok {
				bytes += st.Blocks * 512
			}
		}
		return nil
	})
	return bytes
}
