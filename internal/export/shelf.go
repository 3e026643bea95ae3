package export

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"sallyport/internal/code"
	"sallyport/internal/media"
)

// Files lists the files of a run's bundle on the shelf, as its label names them: exactly what a medium gets. Code
// ERR_EXPORT_CONFLICT when the run has no bundle, not-found when its bundle is gone.
func (r *Room) Files(ctx context.Context, id string) (Run, []media.File, error) {
	run, err := r.Show(ctx, id)
	if err != nil {
		return Run{}, nil, err
	}
	if run.Shelf == "" || !run.State.Final() {
		return run, nil, code.New(code.ExportConflict, "run %s has no bundle on the shelf", id)
	}
	b, _, err := shelved(filepath.Join(r.Shelf(), run.Shelf), run.Name)
	if errors.Is(err, fs.ErrNotExist) {
		err = code.New(code.Missing, "the bundle of run %s is not on the shelf any more", id)
	}
	if err != nil {
		return run, nil, fmt.Errorf("files of run %s: %w", id, err)
	}
	return run, b.Files, nil
}

// Open opens one file of a run's bundle. The name must be one that Files lists; nothing else of the disk can be named. Close it.
func (r *Room) Open(ctx context.Context, id, name string) (*os.File, media.File, error) {
	run, files, err := r.Files(ctx, id)
	if err != nil {
		return nil, media.File{}, err
	}
	i := slices.IndexFunc(files, func(f media.File) bool { return f.Name == name })
	if i < 0 || name != filepath.Base(name) {
		return nil, media.File{}, code.New(code.Missing, "the bundle of run %s has no file %.80q", id, name)
	}
	f, err := os.Open(filepath.Join(r.Shelf(), run.Shelf, name))
	if err != nil {
		return nil, media.File{}, code.Wrap(code.StoreCorrupt, err, "file on the shelf").In(name, "")
	}
	return f, files[i], nil
}
