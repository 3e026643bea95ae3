package export

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"sallyport/internal/attest"
	"sallyport/internal/bundle"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/job"
	"sallyport/internal/media"
	"sallyport/internal/state"
	"sallyport/internal/timeline"
)

// distribute brings the bundle from the shelf to where the request wants it, and ends the run. What fails here leaves
// the verified bundle on the shelf; the run can be retried and copies only what is missing.
func (w *work) distribute() error {
	if w.req.To == "" {
		return w.succeed(nil, "")
	}
	places, err := w.places()
	if err != nil {
		return in("distribution", err)
	}
	var written []timeline.Event
	var where []string
	for _, p := range places {
		ev, dir, err := w.carry(p)
		if err != nil {
			return in("distribution", err)
		}
		written, where = append(written, ev), append(where, dir)
	}
	return w.succeed(written, strings.Join(where, "\n"))
}

// place is a folder or mount point that takes a bundle, or a disc's part of it.
type place struct {
	at     string
	bundle media.Bundle
}

// places is where the bundle goes: the medium, or one folder for each disc.
func (w *work) places() ([]place, error) {
	b, label, err := shelved(filepath.Join(w.Shelf(), w.run.Shelf), w.run.Name)
	if err != nil {
		return nil, err
	}
	discs, err := w.discs(label.Volumes)
	if err != nil || discs == nil {
		return []place{{w.req.To, b}}, err
	}
	sheets := b.Files[len(label.Volumes):]
	var list []place
	for i, disc := range discs {
		p := place{filepath.Join(w.req.To, fmt.Sprintf("disc-%d", i+1)), media.Bundle{Dir: b.Dir}}
		for _, n := range disc {
			p.bundle.Files = append(p.bundle.Files, b.Files[n])
		}
		p.bundle.Files = append(p.bundle.Files, sheets...)
		if err := w.FS.Mkdir(p.at, 0o755); err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	return list, nil
}

// discs says which volumes go on which disc; nil when the request is not about discs.
func (w *work) discs(vols []bundle.Volume) ([][]int, error) {
	if w.req.Medium != DVD {
		return nil, nil
	}
	var sizes []int64
	for _, v := range vols {
		sizes = append(sizes, v.Bytes)
	}
	return media.Discs(sizes)
}

// carry copies to one place, with the papers a reader needs, and flushes it.
func (w *work) carry(p place) (ev timeline.Event, dir string, err error) {
	m, err := media.Open(p.at)
	if err != nil {
		return ev, "", err
	}
	defer m.Close()
	if same, err := m.SharesDisk(w.DataDir); err == nil && same {
		w.Log.Warn("the medium lies on the disk of the store: a copy there does not survive that disk", "runId", w.run.ID)
	}
	info, err := m.Info()
	if err != nil {
		return ev, "", err
	}
	copied, err := m.CopyBundle(w.ctx, w.FS, filepath.Join(w.Shelf(), w.run.Shelf), p.bundle, func(step string, done, total int64) {
		w.advance("distributing: "+step, 0, 0, done, total)
	})
	if err == nil {
		err = w.papers(m)
	}
	if err == nil {
		err = m.Sync(w.FS)
	}
	return timeline.Event{Type: "media.written", Attrs: map[string]string{
		"dir": copied.Dir, "bytes": strconv.FormatInt(copied.Bytes, 10), "written": strconv.FormatInt(copied.Written, 10),
		"fsType": info.FSType, "label": info.Label, "uuid": info.UUID, "serial": info.Serial,
	}}, filepath.Join(p.at, filepath.FromSlash(copied.Dir)), err
}

// preflight refuses, before the payload is packed, a volume size of which too many would be needed, and a medium that cannot
// hold the bundle: what is compressed already is the least it can take. The copy asks again, exactly.
func (w *work) preflight(h *head) error {
	var n media.Need
	for _, c := range h.manifest.Contents {
		if packed(c) {
			n.Bytes += c.Bytes
		}
	}
	if most := w.volumeBytes() * bundle.MaxVolumes; n.Bytes > most {
		return in("adapter", code.New(code.ExportInvalid, "volume size").
			Want(fmt.Sprintf("at least %d bytes", n.Bytes/bundle.MaxVolumes+1), w.volumeBytes()).Do("Choose a larger volume size."))
	}
	if w.req.To == "" {
		return nil
	}
	n.MaxFile = min(n.Bytes, w.volumeBytes())
	m, err := media.Open(w.req.To)
	if err == nil {
		err = errors.Join(m.Preflight(n), m.Close())
	}
	return in("distribution", err)
}

// papers writes what a reader needs beside the bundle: our roots, the public bundle key, our card, the verifier.
func (w *work) papers(m *media.Medium) error {
	roots, err := w.Keys.Roots(w.Self.Roots)
	if err != nil {
		return err
	}
	for i, env := range roots {
		if err := m.WriteRoot(w.FS, w.root.ID(), int64(i+1), env); err != nil {
			return err
		}
	}
	if err := m.WritePub(w.FS, w.Self.Name, w.run.Tenant, w.signer.Public().PEM()); err != nil {
		return err
	}
	if w.MirrorFile != "" {
		if err := m.WriteMirror(w.ctx, w.FS, w.MirrorFile); err != nil {
			return err
		}
	}
	if w.Card == nil {
		return nil
	}
	return w.Card(w.ctx, m.Path())
}

func (w *work) succeed(also []timeline.Event, where string) error {
	_, err := w.move(w.ctx, w.run.ID, job.Succeeded, set(func(run *job.Run) {
		run.ErrorCode, run.Code, run.Message = "", "", ""
		if where != "" {
			run.Steps = maps.Clone(run.Steps)
			if run.Steps == nil {
				run.Steps = map[string]string{}
			}
			run.Steps["medium"] = where
		}
	}, also...))
	if err == nil {
		w.FS.Point("export.done")
	}
	return err
}

// Shelved lists the files of a bundle folder on the shelf in the order a medium gets them, with the digests its label
// signs. The label is read, not verified: the run that calls has had the gate look at it.
func Shelved(dir, name string) (media.Bundle, error) {
	b, _, err := shelved(dir, name)
	return b, err
}

func shelved(dir, name string) (media.Bundle, *bundle.Label, error) {
	env, err := os.ReadFile(filepath.Join(dir, bundle.LabelName(name)))
	if err != nil {
		return media.Bundle{}, nil, code.Wrap(code.StoreCorrupt, err, "label on the shelf")
	}
	claim, err := attest.Inspect(env)
	if err != nil {
		return media.Bundle{}, nil, fmt.Errorf("label on the shelf: %w", err)
	}
	l, err := bundle.ParseLabel(claim.Payload)
	if err != nil {
		return media.Bundle{}, nil, fmt.Errorf("label on the shelf: %w", err)
	}
	b := media.Bundle{Dir: filepath.Base(dir)}
	for _, v := range l.Volumes {
		b.Files = append(b.Files, media.File{Name: v.Name, Bytes: v.Bytes, Digest: v.Digest})
	}
	for _, want := range []string{bundle.SumsName, bundle.CoverName} {
		for _, s := range l.Sheets {
			if s.Name == want {
				b.Files = append(b.Files, media.File{Name: s.Name, Bytes: s.Bytes, Digest: s.Digest})
			}
		}
	}
	b.Files = append(b.Files, media.File{Name: bundle.LabelName(name), Bytes: int64(len(env)), Digest: digest.Of(env)})
	return b, l, nil
}

// Verify has the gate check a finished run's bundle on the shelf again: label, sheets, every volume. Codes of the gate;
// ERR_EXPORT_CONFLICT when the run has no bundle.
func (r *Room) Verify(ctx context.Context, id string) error {
	run, err := r.Show(ctx, id)
	if err != nil {
		return err
	}
	if run.Shelf == "" {
		return code.New(code.ExportConflict, "run %s has no bundle on the shelf", id)
	}
	w := &work{Room: r, ctx: ctx, run: run.Run, now: r.reading()}
	if w.root, err = r.trusted(); err != nil {
		return err
	}
	if err := w.outer(r.Shelf(), run.Shelf); err != nil {
		return fmt.Errorf("verify run %s: %w", id, err)
	}
	return nil
}

// Outbound builds the way home for a hub (receipts, inventory; sealed to it), writes it to the medium and returns the
// finished run. It waits for its turn and for the end; when ctx ends first the run is cancelled. The error is the run's.
func (r *Room) Outbound(ctx context.Context, tenant, peer, medium, actor string) (Run, error) {
	id, err := r.submit(ctx, Request{Tenant: tenant, Profile: "outbound:site", For: peer, To: medium, Actor: actor, AllowEmpty: true})
	if err != nil {
		return Run{}, err
	}
	return r.Wait(ctx, id)
}

// Wait waits for the end of a run and returns it with its error; when ctx ends first the run is cancelled.
func (r *Room) Wait(ctx context.Context, id string) (Run, error) {
	watch, err := r.Watch(ctx, id)
	if err != nil {
		return Run{}, err
	}
	for range watch {
	}
	if ctx.Err() != nil {
		err := r.Cancel(context.WithoutCancel(ctx), id, "the caller went away")
		return Run{}, errors.Join(context.Cause(ctx), err)
	}
	run, err := r.Show(ctx, id)
	switch {
	case err != nil:
		return run, err
	case run.State == job.Succeeded:
		return run, nil
	case !run.State.Final():
		return run, code.New(code.Interrupted, "the daemon stops; run %s begins again at the next start", id)
	}
	return run, code.New(run.Code, "%s", run.Message)
}

// Retry puts a failed run back into the queue; one whose bundle stands on the shelf is only distributed again.
func (r *Room) Retry(ctx context.Context, id, actor string) error {
	_, err := r.move(ctx, id, job.Pending, func(_ *state.Tx, run job.Run) (func(*job.Run), []timeline.Event, error) {
		_, serr := os.Stat(filepath.Join(r.Shelf(), run.Shelf))
		damaged := run.ErrorCode == "verify" // build it again; the next start removes what stands there
		return func(run *job.Run) {
			if serr != nil || damaged {
				run.Shelf = ""
			}
		}, nil, nil
	})
	if err != nil {
		return err
	}
	r.Log.Info("run retried", "runId", id, "actor", actor)
	r.poke()
	return nil
}
