package export

import (
	"fmt"
	"path/filepath"

	"sallyport/internal/attest"
	"sallyport/internal/bundle"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/job"
	"sallyport/internal/media"
	"sallyport/internal/seal"
	"sallyport/internal/timeline"
)

// build makes the bundle in dir, proves it and moves it onto the shelf.
func (w *work) build(dir string) error {
	first, err := w.reserve(0)
	if err != nil {
		return in("storage", err)
	}
	defer first()
	stage, err := w.CAS.Stage()
	if err != nil {
		return in("storage", err)
	}
	defer stage.Discard()
	b := &Build{Room: w.Room, Run: w.run, Stage: stage, Now: w.now, Advance: func(i, ti, n, tn int64) { w.advance("running", i, ti, n, tn) }}
	contents, err := w.kind.Members(w.ctx, b)
	if err != nil {
		return in("adapter", err)
	}
	if contents.Delta != nil {
		w.delta = &contents
	}
	w.FS.Point("export.running")
	h, err := w.sign(contents)
	if err != nil {
		return err
	}
	if err := w.preflight(h); err != nil {
		return err
	}
	release, err := w.reserve(h.bytes())
	if err != nil {
		return in("storage", err)
	}
	defer release()
	out := filepath.Join(dir, "out")
	if err := w.FS.Mkdir(out, 0o700); err != nil {
		return in("storage", err)
	}
	vols, err := w.pack(b, h, out)
	if err != nil {
		return err
	}
	w.FS.Point("export.sealed")
	if err := w.step(job.Signing); err != nil {
		return err
	}
	label, id, err := w.label(h, vols, out)
	if err != nil {
		return err
	}
	w.FS.Point("export.signed")
	if err := w.step(job.Verifying); err != nil {
		return err
	}
	return w.shelve(dir, label, id)
}

// What a bundle takes on the disk besides its payload: papers, sheets, label.
const (
	besides     = 1 << 20
	besidesHome = 64 << 10
)

// reserve asks for room before the first byte. Receipts go home from a full disk too: pruning at the hub waits for them.
func (w *work) reserve(bytes int64) (release func(), err error) {
	if w.run.Kind == "outbound" {
		return w.CAS.ReserveLast(bytes + besidesHome)
	}
	return w.CAS.Reserve(bytes + besides)
}

// shelve lets the gate judge the outer bytes, moves the folder onto the shelf and commits the bundle.
func (w *work) shelve(dir string, label *bundle.Label, id digest.Digest) error {
	name := bundle.BundleDir(label.Name, id)
	if err := w.FS.Rename(filepath.Join(dir, "out"), filepath.Join(dir, name)); err != nil {
		return in("storage", err)
	}
	if err := w.outer(dir, name); err != nil {
		return in("verify", code.Wrap(code.ExportVerify, err, "outer bytes").In(name, ""))
	}
	w.FS.Point("export.verified")
	if err := w.FS.Rename(filepath.Join(dir, name), filepath.Join(w.Shelf(), name)); err != nil {
		return in("storage", err)
	}
	w.FS.Point("export.shelved")
	made := []timeline.Event{{Type: "mirror.bundle.created", Attrs: map[string]string{"sealed": label.Sealed.Mode}}}
	if label.Kind != "mirror" {
		made = nil
	}
	run, err := w.move(w.ctx, w.run.ID, job.Distributing, set(func(run *job.Run) {
		run.BundleID, run.LabelID, run.Shelf, run.Bytes = label.BundleID, id, name, label.Bytes
		if w.delta != nil {
			run.Records, run.Changes = w.delta.Records, w.delta.Changes
		}
	}, made...))
	if err == nil {
		w.run = run
	}
	return err
}

// label writes sheets and label beside the volumes: the packer's word about every outer byte.
func (w *work) label(h *head, vols []bundle.Volume, out string) (*bundle.Label, digest.Digest, error) {
	p := w.kind.Profile()
	l := &bundle.Label{
		BundleID: h.id, Name: w.run.Name, Kind: p.Kind, Variant: p.Variant, Tenant: w.run.Tenant, Appliance: h.manifest.Appliance,
		Packer: bundle.Packer{ID: w.Self.ID}, CreatedAt: w.when(), Sealed: w.sealed(h.id), VolumeBytes: w.volumeBytes(), Volumes: vols,
	}
	for _, v := range vols {
		l.Bytes += v.Bytes
	}
	l.Digest = h.outer
	if w.peer != nil && !w.req.Anonymous {
		l.For = []bundle.Appliance{{ID: w.peer.ID, Name: w.peer.Name}}
	}
	sums := bundle.SumsSheet(vols)
	discs, err := w.discs(vols)
	if err != nil {
		return nil, digest.Digest{}, in("distribution", err)
	}
	cover := bundle.CoverSheet(l, w.Mirror, discs...)
	for _, s := range []struct {
		name string
		data []byte
	}{{bundle.CoverName, cover}, {bundle.SumsName, sums}} {
		if err := w.FS.WriteFile(filepath.Join(out, s.name), s.data, 0o600); err != nil {
			return nil, digest.Digest{}, in("storage", err)
		}
		l.Sheets = append(l.Sheets, bundle.Sheet{Name: s.name, Bytes: int64(len(s.data)), Digest: digest.Of(s.data)})
	}
	payload, err := l.Encode()
	if err != nil {
		return nil, digest.Digest{}, fmt.Errorf("label: %w", err)
	}
	env, err := attest.Sign(attest.TypeLabel, payload, w.signer)
	if err != nil {
		return nil, digest.Digest{}, in("signing", err)
	}
	if err := w.FS.WriteFile(filepath.Join(out, bundle.LabelName(l.Name)), env, 0o600); err != nil {
		return nil, digest.Digest{}, in("storage", err)
	}
	return l, digest.Of(payload), nil
}

func (w *work) volumeBytes() int64 {
	switch {
	case w.req.VolumeBytes > 0:
		return w.req.VolumeBytes
	case w.req.Medium == DVD:
		return media.DiscVolume
	}
	return bundle.VolumeBytes
}

func (w *work) sealMode() string {
	switch {
	case w.req.Unencrypted:
		return bundle.SealNone
	case w.req.Seal == bundle.SealDare:
		return bundle.SealDare
	}
	return bundle.SealAge
}

// sealed names the recipient so that it finds itself and a finder links nothing.
func (w *work) sealed(id digest.Digest) bundle.Sealed {
	switch w.sealMode() {
	case bundle.SealNone:
		return bundle.Sealed{Mode: bundle.SealNone, Recipients: []string{}}
	case bundle.SealDare:
		return bundle.Sealed{Mode: bundle.SealDare, Recipients: []string{seal.Tag(id, w.dare.ID())}}
	}
	return bundle.Sealed{Mode: bundle.SealAge, Recipients: []string{seal.Tag(id, w.peer.Recipient)}}
}
