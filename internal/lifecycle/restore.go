package lifecycle

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"sallyport/internal/cas"
	"sallyport/internal/clock"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/durable"
	"sallyport/internal/marks"
	"sallyport/internal/root"
	"sallyport/internal/units"
)

// restoringFile marks a data directory that a restore has begun and not finished.
const restoringFile = "restoring"

// RestoreOptions say what is restored, and where to.
type RestoreOptions struct {
	From         string // a backup, or a directory with one
	DataDir      string // empty or absent; the marks of the lost appliance may lie in it
	Reason       string
	Actor        string
	WithoutCards bool   // exports need not wait until something of each peer was read
	RootKey      string // file of the root key, where it was taken offline
	Earlier      int    // restores made from backups of the same past before this one, whose appliance was lost again
	Roots        string // medium with versions of our own trust root that were published after the backup; "" for none
}

// RestoreDeps is the outside world of a restore. All fields are needed.
type RestoreDeps struct {
	Clock    clock.Clock
	Random   io.Reader
	FS       durable.FS
	Software string
}

// Restored is what a restore would make, or made.
type Restored struct {
	Archive  *Archive
	From     string // directory of the backup
	DataDir  string
	Feeds    []RestoredFeed
	Log      int64    // number of the log that is written to
	Root     int64    // version of our own trust root
	Epoch    int64    // of feeds made here
	Peers    []string // of which something must be read before the first export
	Newer    int      // versions of our own trust root that came from a medium
	KeptOld  bool     // marks of the lost appliance were there and stay
	Finished bool     // an earlier run had made everything already
}

// RestoredFeed is one local feed in its new epoch.
type RestoredFeed struct{ Name, Before, After string }

// PlanRestore verifies a backup and tells what Restore would make of it. Nothing is written.
func PlanRestore(ctx context.Context, o RestoreOptions, d RestoreDeps, progress Progress) (Restored, error) {
	r, err := begin(ctx, o, d, progress)
	if err != nil {
		return Restored{}, fmt.Errorf("restore: %w", err)
	}
	return r.out, nil
}

// Restore makes the data directory of a lost appliance again. It can be run again after whatever stopped it, and what it
// leaves until then serves nobody. See life.go for what it changes in what it brings back. Codes usage, conflict (the
// directory is not empty), wrong-instance (marks of another appliance), backup, no-space, signing (no root key), root-rollback,
// root-fork, root-gap (see roots).
func Restore(ctx context.Context, o RestoreOptions, d RestoreDeps, progress Progress) (Restored, error) {
	if err := reasoned(o.Reason); err != nil {
		return Restored{}, err
	}
	r, err := begin(ctx, o, d, progress)
	if err != nil {
		return Restored{}, fmt.Errorf("restore: %w", err)
	}
	if r.out.Finished {
		return r.out, r.FS.Remove(filepath.Join(r.DataDir, restoringFile))
	}
	if err := r.run(); err != nil {
		return Restored{}, fmt.Errorf("restore: %w", err)
	}
	return r.out, nil
}

// restoring is one restore under way.
type restoring struct {
	RestoreOptions
	RestoreDeps
	ctx      context.Context
	progress Progress
	archive  *Archive
	from     string
	in       identity
	old      *marks.Set // of the lost appliance, when its marks are here
	lock     *os.File
	out      Restored

	rootID digest.Digest
	own    *root.Trusted   // newest version of our own root that was found
	newer  []*root.Trusted // of it: what the backup does not have
	said   int64           // number of the log that it names; 0 for none
	used   int64           // highest epoch that local feeds are known to have been in
}

// begin judges everything that can be judged before anything is written.
func begin(ctx context.Context, o RestoreOptions, d RestoreDeps, progress Progress) (r *restoring, err error) {
	if progress == nil {
		progress = func(string, int64, int64) {}
	}
	r = &restoring{RestoreOptions: o, RestoreDeps: d, ctx: ctx, progress: progress}
	if o.Earlier < 0 || o.Earlier > maxEarlier {
		return nil, code.New(code.BadUsage, "earlier restores are 0 to %d", maxEarlier)
	}
	if r.from, r.archive, err = readArchive(o.From); err != nil {
		return nil, err
	}
	if err := r.apart(); err != nil {
		return nil, err
	}
	if r.in, err = readIdentity(r.from); err != nil {
		return nil, err
	}
	if r.in.Instance != r.archive.Instance || r.in.ID != r.archive.ID {
		return nil, code.New(code.BackupBad, "backup.json and instance.json speak of different appliances").In(r.from, "").Want(r.archive.ID, r.in.ID)
	}
	r.out = Restored{Archive: r.archive, From: r.from, DataDir: o.DataDir}
	if err := r.empty(); err != nil || r.out.Finished {
		return r, err
	}
	if err := r.space(); err != nil {
		return nil, err
	}
	if err := r.archive.verify(ctx, r.from, progress); err != nil {
		return nil, err
	}
	err = r.roots()
	r.out.Newer = len(r.newer)
	return r, err
}

// apart refuses a backup that lies in the directory it would fill.
func (r *restoring) apart() error {
	from, err := filepath.Abs(r.from)
	if err != nil {
		return err
	}
	to, err := filepath.Abs(r.DataDir)
	if err != nil {
		return err
	}
	if rel, err := filepath.Rel(to, from); err == nil && !strings.HasPrefix(rel, "..") {
		return code.New(code.BadUsage, "the backup lies in the data directory it is to fill").In(from, "").Do("Move it elsewhere first.")
	}
	return nil
}

// empty judges the data directory: nothing in it but marks of the same appliance, or what an unfinished restore of the same
// backup left.
func (r *restoring) empty() error {
	entries, err := os.ReadDir(r.DataDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	begun, err := r.begun()
	if err != nil {
		return err
	}
	if _, err := os.Lstat(filepath.Join(r.DataDir, "instance.json")); err == nil && !begun {
		return code.New(code.Conflict, "there is an appliance already, and no unfinished restore").In(r.DataDir, "").
			Do("Start it with sallyport serve, or name an empty directory.")
	}
	for _, e := range entries {
		switch name := e.Name(); {
		case name == "marks":
			if err := r.keep(); err != nil {
				return err
			}
		case name == "lost+found", name == "lock", strings.HasPrefix(name, ".tmp-"):
		case begun && name == "instance.json":
			r.out.Finished = true
		case begun:
		default:
			return code.New(code.Conflict, "the data directory is not empty: %.60q", name).In(r.DataDir, "").
				Do("Name an empty or new one. Of the lost appliance leave only the file marks in it: it is kept and never lowered.")
		}
	}
	return nil
}

// begun tells whether a restore of this very backup was begun here. Code conflict: of another one.
func (r *restoring) begun() (bool, error) {
	b, err := os.ReadFile(filepath.Join(r.DataDir, restoringFile))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if string(b) != r.marker() {
		return false, code.New(code.Conflict, "a restore of another backup was begun here and not finished").In(r.DataDir, restoringFile).
			Do("Restore that one again, or empty the directory but for the file marks.")
	}
	return true, nil
}

func (r *restoring) marker() string {
	return fmt.Sprintf("a restore of %s of %s was not finished; run it again\n", r.archive.Name, r.archive.CreatedAt)
}

// keep reads the marks of the lost appliance.
func (r *restoring) keep() error {
	m, err := marks.Open(filepath.Join(r.DataDir, "marks"), r.FS, r.Clock)
	if err != nil {
		return err
	}
	if got := m.Instance(); got != r.in.Instance {
		return code.New(code.WrongInstance, "the marks there are of another appliance").In(r.DataDir, "marks").Want(r.in.Instance, got)
	}
	set := m.Get()
	r.old, r.out.KeptOld = &set, true
	return nil
}

func (r *restoring) space() error {
	dir := r.DataDir
	for {
		var st syscall.Statfs_t
		err := syscall.Statfs(dir, &st)
		if errors.Is(err, fs.ErrNotExist) && dir != filepath.Dir(dir) {
			dir = filepath.Dir(dir)
			continue
		}
		if err != nil {
			return fmt.Errorf("space of %s: %w", dir, err)
		}
		if free := int64(st.Bavail) * st.Bsize; free < r.archive.Bytes {
			return code.New(code.NoSpace, "restore").In(r.DataDir, "").Want(units.Size(r.archive.Bytes), units.Size(free)+" free")
		}
		return nil
	}
}

// run builds the directory. instance.json, without which nothing serves, is written last.
func (r *restoring) run() (err error) {
	if err := r.FS.Mkdir(r.DataDir, 0o700); err != nil {
		return err
	}
	if err := os.Chmod(r.DataDir, 0o700); err != nil {
		return err
	}
	if r.lock, err = hold(filepath.Join(r.DataDir, "lock")); err != nil {
		return err
	}
	defer r.lock.Close()
	if err := r.FS.WriteFile(filepath.Join(r.DataDir, restoringFile), []byte(r.marker()), 0o600); err != nil {
		return err
	}
	r.FS.Point("restore.begun")
	for _, step := range []struct {
		do    func() error
		point string
	}{
		{r.wipe, "restore.wiped"},
		{r.marks, "restore.marks"},
		{r.files, "restore.files"},
		{r.blobs, "restore.blobs"},
		{r.relive, "restore.life"},
		{r.finish, "restore.done"},
	} {
		if err := r.ctx.Err(); err != nil {
			return code.Wrap(code.Interrupted, err, "restore")
		}
		if err := step.do(); err != nil {
			return err
		}
		r.FS.Point(step.point)
	}
	return nil
}

// hold takes the lock of a data directory for this process.
func hold(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock data directory: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, code.Wrap(code.Locked, err, "").In(path, "")
	}
	return f, nil
}

// wipe removes what an unfinished restore left: everything but its marker, the lock and the marks.
func (r *restoring) wipe() error {
	entries, err := os.ReadDir(r.DataDir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if slices.Contains([]string{"marks", "lock", restoringFile, "lost+found"}, e.Name()) {
			continue
		}
		if err := os.RemoveAll(filepath.Join(r.DataDir, e.Name())); err != nil {
			return err
		}
	}
	return r.FS.SyncDir(r.DataDir)
}

// marks puts the marks of the backup in place, raised by those that were here, and by a jump for our own counters.
func (r *restoring) marks() error {
	to := filepath.Join(r.DataDir, "marks")
	if r.old == nil {
		b, err := os.ReadFile(filepath.Join(r.from, "marks"))
		if err != nil {
			return err
		}
		if err := r.FS.WriteFile(to, b, 0o600); err != nil {
			return err
		}
	}
	past, err := marks.Open(filepath.Join(r.from, "marks"), r.FS, r.Clock)
	if err != nil {
		return err
	}
	m, err := marks.Open(to, r.FS, r.Clock)
	if err != nil {
		return err
	}
	if got := m.Instance(); got != r.in.Instance {
		return code.New(code.BackupBad, "its marks are of another appliance").In(r.from, "marks").Want(r.in.Instance, got)
	}
	return m.Raise(func(s *marks.Set) error {
		leap(s, past.Get(), r.Earlier)
		return nil
	})
}

// files copies everything but the blobs, and instance.json, which comes last.
func (r *restoring) files() error {
	for _, f := range r.archive.Files {
		if f.Path == "marks" || f.Path == "instance.json" || strings.HasPrefix(f.Path, "cas/") {
			continue
		}
		if err := r.file(f); err != nil {
			return fmt.Errorf("%s: %w", f.Path, err)
		}
	}
	for _, name := range []string{"config.d", "keys", "layers", "pub/roots", "quarantine", "shelf", "backups", "tls", "run"} {
		if err := r.FS.Mkdir(filepath.Join(r.DataDir, name), 0o700); err != nil {
			return err
		}
	}
	return r.FS.SyncTree(r.DataDir)
}

func (r *restoring) file(f ArchiveFile) (err error) {
	from, err := os.Open(filepath.Join(r.from, filepath.FromSlash(f.Path)))
	if err != nil {
		return err
	}
	defer from.Close()
	to := filepath.Join(r.DataDir, filepath.FromSlash(f.Path))
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	mode := fs.FileMode(0o600)
	if strings.HasPrefix(f.Path, "pub/") {
		mode = 0o644
	}
	w, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	sum := digest.NewWriter(r.FS.Writer(w))
	if _, err := io.Copy(sum, from); err != nil {
		return err
	}
	if sum.Sum() != f.Digest {
		return code.New(code.BackupBad, "it changed while it was read").In(from.Name(), "").Want(f.Digest, sum.Sum())
	}
	return nil
}

// blobBatch is how many blobs are committed together.
const blobBatch = 256

// blobs fills the content store through its own door, which hashes every blob again.
func (r *restoring) blobs() (err error) {
	dir := filepath.Join(r.DataDir, "cas")
	if err := cas.Create(dir, r.FS, r.in.Instance); err != nil {
		return err
	}
	store, err := cas.Open(dir, r.FS, r.in.Instance)
	if err != nil {
		return err
	}
	st, err := store.Stage()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Discard()) }()
	var batch []digest.Digest
	var done int64
	for _, f := range r.archive.Files {
		if !strings.HasPrefix(f.Path, "cas/") {
			continue
		}
		if err := r.blob(st, f); err != nil {
			return fmt.Errorf("%s: %w", f.Path, err)
		}
		done += f.Bytes
		r.progress("restore", done, r.archive.Bytes)
		if batch = append(batch, f.Digest); len(batch) == blobBatch {
			if err := st.Commit(batch...); err != nil {
				return err
			}
			batch = nil
		}
	}
	if len(batch) == 0 {
		return nil
	}
	return st.Commit(batch...)
}

func (r *restoring) blob(st *cas.Stage, f ArchiveFile) error {
	if f.Path != blobPath(f.Digest) {
		return code.New(code.BackupBad, "a blob under a name that is not its digest").In(f.Path, "").Want(blobPath(f.Digest), f.Path)
	}
	from, err := os.Open(filepath.Join(r.from, filepath.FromSlash(f.Path)))
	if err != nil {
		return err
	}
	defer from.Close()
	w, err := st.Create()
	if err != nil {
		return err
	}
	if _, err := io.Copy(w, from); err != nil {
		w.Abort()
		return err
	}
	d, _, err := w.Close()
	if err == nil && d != f.Digest {
		err = code.New(code.BackupBad, "it changed while it was read").In(from.Name(), "").Want(f.Digest, d)
	}
	return err
}

// finish says who this is, and takes the marker away.
func (r *restoring) finish() error {
	b, err := os.ReadFile(filepath.Join(r.from, "instance.json"))
	if err != nil {
		return err
	}
	var whole map[string]json.RawMessage
	if err := json.Unmarshal(b, &whole); err != nil {
		return code.Wrap(code.BackupBad, err, "read instance").In(r.from, "instance.json")
	}
	if err := r.FS.SyncTree(r.DataDir); err != nil {
		return err
	}
	r.FS.Point("restore.synced")
	if err := r.FS.WriteFile(filepath.Join(r.DataDir, "instance.json"), b, 0o600); err != nil {
		return err
	}
	r.FS.Point("restore.named")
	return r.FS.Remove(filepath.Join(r.DataDir, restoringFile))
}
