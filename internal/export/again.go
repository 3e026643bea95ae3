package export

import (
	"context"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"

	"sallyport/internal/bundle"
	"sallyport/internal/code"
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

// Missing lists, of a bundle on the shelf, the volumes that are not whole in a folder of a medium, by their size; all of them
// when it has no label, for a copy that was never finished. ok is false when the folder is not there.
func (r *Room) Missing(run job.Run, fsys fs.FS, dir string) (volumes []int64, ok bool, err error) {
	if st, err := fs.Stat(fsys, dir); err != nil || !st.IsDir() {
		return nil, false, nil
	}
	_, label, err := shelved(filepath.Join(r.Shelf(), run.Shelf), run.Name)
	if err != nil {
		return nil, false, err
	}
	_, unlabelled := fs.Stat(fsys, path.Join(dir, bundle.LabelName(run.Name)))
	for _, v := range label.Volumes {
		st, err := fs.Stat(fsys, path.Join(dir, v.Name))
		if unlabelled != nil || err != nil || st.Size() != v.Bytes {
			volumes = append(volumes, v.N)
		}
	}
	return volumes, true, nil
}
