package export

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"

	"sallyport/internal/bundle"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/job"
	"sallyport/internal/media"
	"sallyport/internal/state"
	"sallyport/internal/timeline"
)

// Again writes volumes of a bundle on the shelf to a medium once more, with label and sheets, and nothing else of it: what a
// peer asked for because it is missing or damaged there. Those that stand there whole are not written again. Codes
// ERR_EXPORT_CONFLICT when the bundle is not on the shelf or has no such volume, medium-*, store-corrupt.
func (r *Room) Again(ctx context.Context, id, to string, volumes []int64, actor string) (media.Copied, error) {
	run, err := r.Show(ctx, id)
	if err != nil {
		return media.Copied{}, err
	}
	if run.Shelf == "" {
		return media.Copied{}, code.New(code.ExportConflict, "run %s has no bundle on the shelf", id)
	}
	if err := r.checkMedium(to); err != nil {
		return media.Copied{}, err
	}
	w := &work{Room: r, ctx: ctx, run: run.Run, now: r.reading()}
	if w.root, err = r.trusted(); err != nil {
		return media.Copied{}, err
	}
	if w.signer, err = r.Keys.Bundle(run.Tenant); err != nil {
		return media.Copied{}, err
	}
	m, err := media.Open(to)
	if err != nil {
		return media.Copied{}, err
	}
	defer m.Close()
	copied, err := w.again(m, volumes)
	if err != nil {
		return copied, fmt.Errorf("write again for run %s: %w", id, err)
	}
	if copied.Written == 0 {
		return copied, nil
	}
	return copied, r.State.Update(ctx, func(tx *state.Tx) error {
		ev := timeline.Event{Type: "media.written", Tenant: run.Tenant, Actor: actor, Subject: run.ID, Attrs: map[string]string{
			"dir": copied.Dir, "bytes": strconv.FormatInt(copied.Bytes, 10), "written": strconv.FormatInt(copied.Written, 10),
			"name": run.Name, "labelId": run.LabelID.String(), "volumes": strconv.Itoa(len(volumes)),
		}}
		_, err := r.Timeline.Append(tx, ev)
		return err
	})
}

func (w *work) again(m *media.Medium, volumes []int64) (media.Copied, error) {
	shelf := filepath.Join(w.Shelf(), w.run.Shelf)
	b, label, err := shelved(shelf, w.run.Name)
	if err != nil {
		return media.Copied{}, err
	}
	unwanted := func(f media.File) bool {
		return slices.ContainsFunc(label.Volumes, func(v bundle.Volume) bool { return v.Name == f.Name && !slices.Contains(volumes, v.N) })
	}
	all := len(b.Files)
	b.Files = slices.DeleteFunc(b.Files, unwanted)
	if all-len(b.Files) == len(label.Volumes) {
		return media.Copied{}, code.New(code.ExportConflict, "the bundle has no such volume").Want(fmt.Sprintf("1 to %d", len(label.Volumes)), fmt.Sprint(volumes))
	}
	copied, err := m.CopyBundle(w.ctx, w.FS, shelf, b, nil)
	if err == nil && copied.Written > 0 {
		err = w.papers(m)
	}
	if err == nil {
		err = m.Sync(w.FS)
	}
	return copied, err
}

// Missing lists, of a bundle on the shelf, the volumes that are not whole in a folder of a medium: every byte is read, because
// damage has the right size; all of them when label or sheets are not, as in a copy that was never finished. ok is false when
// the folder is not there.
func (r *Room) Missing(ctx context.Context, run job.Run, fsys fs.FS, dir string) (volumes []int64, ok bool, err error) {
	if st, err := fs.Stat(fsys, dir); err != nil || !st.IsDir() {
		return nil, false, nil
	}
	b, label, err := shelved(filepath.Join(r.Shelf(), run.Shelf), run.Name)
	if err != nil {
		return nil, false, err
	}
	n := len(label.Volumes) // they come first, label and sheets behind them
	papers := !slices.ContainsFunc(b.Files[n:], func(f media.File) bool { return !stands(ctx, fsys, path.Join(dir, f.Name), f) })
	for i, v := range label.Volumes {
		if !papers || !stands(ctx, fsys, path.Join(dir, v.Name), b.Files[i]) {
			volumes = append(volumes, v.N)
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, false, code.Wrap(code.Interrupted, err, "look at %s", run.Name)
	}
	return volumes, true, nil
}

// stands tells whether a file is on a medium as it is on the shelf. One that cannot be read is not.
func stands(ctx context.Context, fsys fs.FS, name string, want media.File) bool {
	f, err := fsys.Open(name)
	if err != nil {
		return false
	}
	defer f.Close()
	if st, err := f.Stat(); err != nil || st.Size() != want.Bytes {
		return false
	}
	r := digest.NewReader(f)
	_, err = io.Copy(io.Discard, struct{ io.Reader }{patient{ctx, r}})
	return err == nil && r.Sum() == want.Digest
}
