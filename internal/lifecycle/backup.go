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

	"sallyport/internal/clock"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/durable"
	"sallyport/internal/media"
	"sallyport/internal/state"
	"sallyport/internal/timeline"
	"sallyport/internal/units"
)

// partial ends the name of a backup that is not finished.
const partial = ".partial"

// backupTries is how often a backup starts anew because retention took away what its copy of the state names.
const backupTries = 3

// Made is a finished backup.
type Made struct {
	Dir     string
	Archive *Archive
}

// Backup copies this appliance into a new directory below to, opens and checks the copy, and only then gives it its name.
// It may run while everything else does: what it holds is one moment. What is not finished is removed. Codes conflict
// (another one runs), no-space, backup.
func (r *Room) Backup(ctx context.Context, who Person, to string, progress Progress) (m Made, err error) {
	if !r.one.TryLock() {
		return m, code.New(code.Conflict, "a backup is running")
	}
	defer r.one.Unlock()
	if progress == nil {
		progress = func(string, int64, int64) {}
	}
	if err := media.Outside(to, r.DataDir); err != nil {
		return m, err
	}
	if err := travels(to); err != nil {
		return m, err
	}
	if err := r.FS.Mkdir(to, 0o700); err != nil {
		return m, fmt.Errorf("backup: %w", err)
	}
	for try := 1; ; try++ {
		m, err = r.backup(ctx, who, to, progress)
		if err == nil || try == backupTries || !errors.Is(err, errMoved) {
			break
		}
	}
	if err != nil {
		return m, fmt.Errorf("backup to %s: %w", to, err)
	}
	return m, nil
}

// travels refuses a medium that goes to others: a backup holds our private keys. Code usage.
func travels(to string) error {
	for dir := to; ; dir = filepath.Dir(dir) {
		for _, sign := range []string{"cards", "bundles", "receipts", "roots"} {
			info, err := os.Stat(filepath.Join(dir, "sallyport", sign))
			if err == nil && info.IsDir() {
				return code.New(code.BadUsage, "this is a stick that travels: a backup holds the private keys of this appliance").In(dir, "").
					Do("Write it to another medium, one that you keep as you keep the keys.")
			}
		}
		if dir == filepath.Dir(dir) {
			return nil
		}
	}
}

// errMoved says that a layer or blob went away between the copy of the state and its own.
var errMoved = errors.New("retention took away what the copy names")

func (r *Room) backup(ctx context.Context, who Person, to string, progress Progress) (m Made, err error) {
	now := r.Marks.Now()
	in, err := readIdentity(r.DataDir)
	if err != nil {
		return m, err
	}
	stamp := strings.NewReplacer("-", "", ":", "").Replace(clock.Format(now.Trusted))
	c := &copying{Room: r, ctx: ctx, progress: progress, final: filepath.Join(to, in.Name+"-"+stamp)}
	c.dir = c.final + partial
	c.archive = &Archive{
		Version: archiveVersion, ID: in.ID, Name: in.Name, Instance: in.Instance, RootID: in.RootID, CreatedAt: clock.Format(now.Trusted),
		Wall: clock.Format(now.Wall), Software: r.Software, Keys: true, Lacks: lacking(),
	}
	if _, err := os.Lstat(c.final); err == nil {
		return m, code.New(code.Conflict, "there is a backup of this second already").In(c.final, "")
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(c.dir))
		}
	}()
	for _, step := range []func() error{c.begin, c.state, c.small, c.named, c.finish} {
		if err := step(); err != nil {
			return m, err
		}
	}
	m = Made{c.final, c.archive}
	err = r.State.Update(ctx, func(tx *state.Tx) error {
		_, err := r.Timeline.Append(tx, timeline.Event{
			Type: "backup.created", Actor: who.Name, Subject: filepath.Base(c.final),
			Attrs: map[string]string{"to": to, "bytes": fmt.Sprint(c.archive.Bytes), "files": fmt.Sprint(len(c.archive.Files)), "digest": c.sheet.String()},
		})
		return err
	})
	return m, err
}

// copying is one backup under way.
type copying struct {
	*Room
	ctx      context.Context
	progress Progress
	final    string
	dir      string // final + ".partial"
	archive  *Archive
	sheet    digest.Digest // of backup.json
	total    int64         // bytes that blobs and layers will take
}

func (c *copying) begin() error {
	if err := os.RemoveAll(c.dir); err != nil {
		return err
	}
	return c.FS.Mkdir(c.dir, 0o700)
}

// state is the hot copy: one moment of everything that the state database says.
func (c *copying) state() error {
	c.progress("copy state", 0, 0)
	return c.put("state.db", func(w io.Writer) error {
		_, err := c.State.Copy(w)
		return err
	})
}

// small copies who this appliance is. The marks are read after the state: they are never behind it.
func (c *copying) small() error {
	for _, p := range []string{"marks", "instance.json", "config.yaml", "config.d", "keys", "pub"} {
		root := filepath.Join(c.DataDir, p)
		err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
			switch {
			case errors.Is(err, fs.ErrNotExist):
				return nil
			case err != nil:
				return err
			case !e.Type().IsRegular() || strings.HasPrefix(e.Name(), ".tmp-"):
				return nil
			}
			rel, err := filepath.Rel(c.DataDir, path)
			if err != nil {
				return err
			}
			return c.copy(filepath.ToSlash(rel), path)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// named copies the layers and blobs that the copied state names.
func (c *copying) named() (err error) {
	db, err := state.Open(filepath.Join(c.dir, "state.db"), durable.FS{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	n, err := named(db, c.Layers)
	if err != nil {
		return moved(err)
	}
	if err := c.archive.describe(db); err != nil {
		return err
	}
	if err := c.room(n); err != nil {
		return err
	}
	var done int64
	for _, l := range n.layers {
		if err := c.copy("layers/"+l, c.Layers.Path(l)); err != nil {
			return moved(err)
		}
	}
	for _, p := range n.paths() {
		hex := filepath.Base(p)
		d, err := digest.ParseHex(hex)
		if err != nil || strings.HasPrefix(p, "layers/") {
			continue
		}
		if err := c.blob(p, d); err != nil {
			return moved(err)
		}
		if size, err := c.CAS.Size(d); err == nil {
			done += size
		}
		c.progress("copy", done, c.total)
	}
	return nil
}

// moved marks what a new copy of the state would put right.
func moved(err error) error {
	if errors.Is(err, fs.ErrNotExist) || code.Of(err) == code.Missing {
		return errors.Join(errMoved, err)
	}
	return err
}

// room refuses before the first large byte what does not fit.
func (c *copying) room(n names) error {
	for d := range n.blobs {
		size, err := c.CAS.Size(d)
		if err != nil {
			return moved(err)
		}
		c.total += size
	}
	need := c.total
	for _, l := range n.layers {
		st, err := os.Stat(c.Layers.Path(l))
		if err != nil {
			return moved(err)
		}
		need += st.Size()
	}
	var st syscall.Statfs_t
	if err := syscall.Statfs(c.dir, &st); err != nil {
		return fmt.Errorf("space for backup: %w", err)
	}
	if free := int64(st.Bavail) * st.Bsize; free < need {
		return code.New(code.NoSpace, "backup").In(filepath.Dir(c.final), "").Want(units.Size(need), units.Size(free)+" free")
	}
	return nil
}

// blob copies one blob and hashes it again: a damaged one is found here, not at the restore.
func (c *copying) blob(path string, d digest.Digest) error {
	f, err := c.CAS.OpenVerified(d)
	if err != nil {
		return err
	}
	defer f.Close()
	return c.put(path, func(w io.Writer) error {
		_, err := io.Copy(w, f)
		return err
	})
}

func (c *copying) copy(path, from string) error {
	f, err := os.Open(from)
	if err != nil {
		return err
	}
	defer f.Close()
	return c.put(path, func(w io.Writer) error {
		_, err := io.Copy(w, f)
		return err
	})
}

// put writes one file of the backup and notes its digest. It is not synced yet.
func (c *copying) put(path string, fill func(io.Writer) error) (err error) {
	if err := c.ctx.Err(); err != nil {
		return code.Wrap(code.Interrupted, err, "backup")
	}
	to := filepath.Join(c.dir, filepath.FromSlash(path))
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := digest.NewWriter(c.FS.Writer(f))
	if err := fill(w); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	c.archive.Files = append(c.archive.Files, ArchiveFile{path, w.Size(), w.Sum()})
	c.archive.Bytes += w.Size()
	return nil
}

// finish writes the list, flushes everything, opens and checks the copy as a restore would, and gives it its name.
func (c *copying) finish() error {
	slices.SortFunc(c.archive.Files, func(a, b ArchiveFile) int { return strings.Compare(a.Path, b.Path) })
	if err := c.archive.check(sheetFile); err != nil {
		return err
	}
	c.FS.Point("backup.copied")
	if err := c.FS.SyncTree(c.dir); err != nil {
		return err
	}
	b, err := json.MarshalIndent(c.archive, "", " ")
	if err != nil {
		return err
	}
	c.sheet = digest.Of(b)
	if err := c.FS.WriteFile(filepath.Join(c.dir, sheetFile), b, 0o600); err != nil {
		return err
	}
	c.FS.Point("backup.listed")
	if err := c.archive.opened(c.dir); err != nil {
		return err
	}
	if err := c.archive.verify(c.ctx, c.dir, c.progress); err != nil {
		return err
	}
	c.FS.Point("backup.checked")
	return c.FS.Rename(c.dir, c.final)
}

// identity is the part of instance.json that this room needs.
type identity struct {
	Instance string   `json:"instance"`
	ID       string   `json:"id"`
	Name     string   `json:"name"`
	Tenants  []string `json:"tenants"`
	RootID   string   `json:"rootId"`
}

func readIdentity(dir string) (in identity, err error) {
	file := filepath.Join(dir, "instance.json")
	b, err := os.ReadFile(file)
	if err != nil {
		return in, code.Wrap(code.StateCorrupt, err, "read instance").In(file, "")
	}
	if err := json.Unmarshal(b, &in); err != nil || in.ID == "" || in.Instance == "" {
		return in, code.Wrap(code.StateCorrupt, errors.Join(err, errors.New("no id")), "read instance").In(file, "")
	}
	return in, nil
}
