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

	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/durable"
	"sallyport/internal/feed"
	"sallyport/internal/layer"
	"sallyport/internal/state"
	"sallyport/internal/timeline"
)

// archiveVersion is the layout of a backup that this version writes and reads.
const archiveVersion = 1

// sheetFile is written last: a directory without it is no backup.
const sheetFile = "backup.json"

// maxSheet bounds what is read of one: about two million files.
const maxSheet = 256 << 20

// Archive is backup.json: what a backup is of, and every file in it.
type Archive struct {
	Version   int    `json:"version"`
	ID        string `json:"id"` // appliance
	Name      string `json:"name"`
	Instance  string `json:"instance"`
	RootID    string `json:"rootId"`
	CreatedAt string `json:"createdAt"` // trusted time
	Wall      string `json:"wall"`
	Software  string `json:"software"`

	Log   int64         `json:"log"` // number of its timeline
	Head  ArchiveHead   `json:"head"`
	Feeds []ArchiveFeed `json:"feeds"`
	Files []ArchiveFile `json:"files"` // ascending by path, backup.json excepted
	Bytes int64         `json:"bytes"` // of all files
	Keys  bool          `json:"holdsKeys"`
	Lacks []string      `json:"lacks"` // what is not in it and not needed to start again
}

// ArchiveHead is the head of the timeline in the backup.
type ArchiveHead struct {
	Size int64         `json:"size"`
	Root digest.Digest `json:"root"`
}

// ArchiveFeed is one feed in the backup.
type ArchiveFeed struct {
	Tenant  string        `json:"tenant"`
	Origin  string        `json:"origin"`
	Name    string        `json:"name"`
	Local   bool          `json:"local"`
	Active  string        `json:"active"` // epoch.generation
	Root    digest.Digest `json:"root,omitzero"`
	Records int64         `json:"records"`
}

// ArchiveFile is one file of a backup, by its path with slashes.
type ArchiveFile struct {
	Path   string        `json:"path"`
	Bytes  int64         `json:"bytes"`
	Digest digest.Digest `json:"digest"`
}

// lacking is what a backup leaves out.
func lacking() []string {
	return []string{
		"shelf: finished bundles, which are made again",
		"quarantine: refused media, whose events stand in the timeline",
		"waiting: bundles and volumes that wait for their base or their rest; the sticks bring them again",
		"jobs: logs and large results of jobs; how each ended is in the state",
		"uploads: files that browsers sent, which are sent again",
	}
}

// Progress hears how far a long step has come.
type Progress func(step string, done, total int64)

// readArchive reads backup.json of a directory, or of the one backup below it. It gives the backup's own directory.
func readArchive(dir string) (string, *Archive, error) {
	dir, err := backupIn(dir)
	if err != nil {
		return "", nil, err
	}
	file := filepath.Join(dir, sheetFile)
	f, err := os.Open(file)
	if err != nil {
		return "", nil, code.Wrap(code.MediumRead, err, "open backup").In(file, "")
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSheet+1))
	if err != nil || len(b) > maxSheet {
		return "", nil, code.Wrap(code.MediumRead, errors.Join(err, errors.New("not read whole")), "open backup").In(file, "")
	}
	a := &Archive{}
	dec := json.NewDecoder(strings.NewReader(string(b)))
	if err := dec.Decode(a); err != nil {
		return "", nil, code.Wrap(code.BackupBad, err, "backup.json does not decode").In(file, "")
	}
	return dir, a, a.check(file)
}

// backupIn finds the directory that is meant: the one named, or the only backup in it.
func backupIn(dir string) (string, error) {
	if _, err := os.Lstat(filepath.Join(dir, sheetFile)); err == nil {
		return dir, nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", code.Wrap(code.Missing, err, "no backup there").In(dir, "").Do("Name the directory that sallyport backup wrote.")
	}
	var found []string
	for _, e := range entries {
		if _, err := os.Lstat(filepath.Join(dir, e.Name(), sheetFile)); err == nil && !strings.HasSuffix(e.Name(), partial) {
			found = append(found, e.Name())
		}
	}
	switch len(found) {
	case 1:
		return filepath.Join(dir, found[0]), nil
	case 0:
		return "", code.New(code.Missing, "no backup there: no %s", sheetFile).In(dir, "").Do("Name the directory that sallyport backup wrote. One that ends in .partial was never finished.")
	}
	return "", code.New(code.Ambiguous, "there are %d backups", len(found)).In(dir, "").Do("Name one of them: " + strings.Join(found, ", ") + ".")
}

// check refuses paths that would leave the data directory, and what this version cannot read.
func (a *Archive) check(file string) error {
	if a.Version != archiveVersion {
		return code.New(code.StateNewer, "a backup of another layout").In(file, "version").Want(archiveVersion, a.Version)
	}
	var sum int64
	for i, f := range a.Files {
		switch {
		case !fs.ValidPath(f.Path) || f.Path == "." || strings.ContainsAny(f.Path, "\\\x00\n") || f.Bytes < 0:
			return code.New(code.BackupBad, "a file name that is not allowed").In(file, fmt.Sprintf("%.80q", f.Path))
		case i > 0 && a.Files[i-1].Path >= f.Path:
			return code.New(code.BackupBad, "files are not in order").In(file, fmt.Sprintf("%.80q", f.Path))
		case !slices.ContainsFunc(parts(), func(p string) bool { return f.Path == p || strings.HasPrefix(f.Path, p+"/") }):
			return code.New(code.BackupBad, "not a part of a backup").In(file, fmt.Sprintf("%.80q", f.Path))
		}
		sum += f.Bytes
	}
	for _, must := range []string{"instance.json", "state.db", "marks"} {
		if !a.has(must) {
			return code.New(code.BackupBad, "it lacks %s", must).In(file, "files")
		}
	}
	if sum != a.Bytes {
		return code.New(code.BackupBad, "").In(file, "bytes").Want(sum, a.Bytes)
	}
	return nil
}

// parts are what a backup consists of, besides backup.json.
func parts() []string {
	return []string{"instance.json", "config.yaml", "config.d", "keys", "pub", "marks", "state.db", "layers", "cas"}
}

func (a *Archive) has(path string) bool {
	_, ok := slices.BinarySearchFunc(a.Files, path, func(f ArchiveFile, p string) int { return strings.Compare(f.Path, p) })
	return ok
}

// verify hashes every file of a backup. Code backup.
func (a *Archive) verify(ctx context.Context, dir string, progress Progress) error {
	var done int64
	for _, f := range a.Files {
		if err := ctx.Err(); err != nil {
			return code.Wrap(code.Interrupted, err, "check backup")
		}
		if err := f.verify(dir); err != nil {
			return err
		}
		done += f.Bytes
		progress("check", done, a.Bytes)
	}
	return nil
}

func (f ArchiveFile) verify(dir string) error {
	path := filepath.Join(dir, filepath.FromSlash(f.Path))
	file, err := os.Open(path)
	if err != nil {
		return code.Wrap(code.BackupBad, err, "a file is missing").In(path, "")
	}
	defer file.Close()
	r := digest.NewReader(file)
	n, err := io.Copy(io.Discard, r)
	if err != nil {
		return code.Wrap(code.MediumRead, err, "read backup").In(path, fmt.Sprintf("byte %d", n))
	}
	if r.Sum() != f.Digest {
		return code.New(code.BackupBad, "").In(path, "").Want(f.Digest, r.Sum())
	}
	return nil
}

// opened opens what a backup holds as an appliance would, and proves that it is whole: state and timeline, and that
// every layer and blob which kept generations name is in it. dir must be writable: the lock of a state database is a write.
func (a *Archive) opened(dir string) (err error) {
	db, err := state.Open(filepath.Join(dir, "state.db"), durable.FS{})
	if err != nil {
		return fmt.Errorf("open backup: %w", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := db.Check(); err != nil {
		return fmt.Errorf("open backup: %w", err)
	}
	layers := layer.NewDir(filepath.Join(dir, "layers"), durable.FS{})
	defer func() { err = errors.Join(err, layers.Close()) }()
	n, err := named(db, layers)
	if err != nil {
		return fmt.Errorf("open backup: %w", err)
	}
	for _, p := range n.paths() {
		if !a.has(p) {
			return code.New(code.BackupBad, "kept generations name what is not in it").In(filepath.Join(dir, p), "")
		}
	}
	return db.View(func(tx *state.Tx) error {
		_, err := timeline.New(a.ID, nil, nil).Verify(tx)
		return err
	})
}

// names are the files that kept generations name.
type names struct {
	layers []string // below layers/
	blobs  map[digest.Digest]bool
}

func (n names) paths() (list []string) {
	for _, l := range n.layers {
		list = append(list, "layers/"+l)
	}
	for d := range n.blobs {
		list = append(list, blobPath(d))
	}
	slices.Sort(list)
	return list
}

func blobPath(d digest.Digest) string { return "cas/" + d.Hex()[:2] + "/" + d.Hex() }

// named reads from a state database and its layers what must be kept with it.
func named(db *state.DB, layers *layer.Dir) (n names, err error) {
	n.blobs = map[digest.Digest]bool{}
	var kept [][]string
	err = db.View(func(tx *state.Tx) error {
		if err := feed.Live(tx, func(d digest.Digest) { n.blobs[d] = true }); err != nil {
			return err
		}
		feeds, err := feed.List(tx, "")
		if err != nil {
			return err
		}
		for _, f := range feeds {
			gens, err := feed.Generations(tx, f.Ref)
			if err != nil {
				return err
			}
			for _, g := range gens {
				var files []string
				for _, l := range g.Layers {
					files = append(files, l.File)
				}
				kept = append(kept, files)
			}
		}
		return nil
	})
	if err != nil {
		return n, err
	}
	for _, files := range kept {
		n.layers = append(n.layers, files...)
		if err := blobsOf(layers, files, n.blobs); err != nil {
			return n, err
		}
	}
	slices.Sort(n.layers)
	n.layers = slices.Compact(n.layers)
	return n, nil
}

func blobsOf(layers *layer.Dir, files []string, into map[digest.Digest]bool) error {
	v, err := layers.Open(files...)
	if err != nil {
		return err
	}
	err = v.Blobs(func(d digest.Digest) error {
		into[d] = true
		return nil
	})
	return errors.Join(err, v.Close())
}

// describe fills in what a person wants to know of a backup, from its copy of the state.
func (a *Archive) describe(db *state.DB) error {
	return db.View(func(tx *state.Tx) error {
		l := timeline.New(a.ID, nil, nil)
		h, err := l.Head(tx)
		if err != nil {
			return err
		}
		if a.Log, err = l.Number(tx); err != nil {
			return err
		}
		a.Head = ArchiveHead{h.Size, h.Root}
		feeds, err := feed.List(tx, "")
		if err != nil {
			return err
		}
		a.Feeds = []ArchiveFeed{}
		for _, f := range feeds {
			g, _, err := feed.Current(tx, f.Ref)
			if err != nil {
				return err
			}
			a.Feeds = append(a.Feeds, ArchiveFeed{f.Ref.Tenant, f.Ref.Origin, f.Ref.Name, f.Local, f.Active.String(), g.Root, g.Records})
		}
		return nil
	})
}
