package forge

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"testing/fstest"

	"sallyport/internal/attest"
	"sallyport/internal/bundle"
	"sallyport/internal/clock"
	"sallyport/internal/digest"
	"sallyport/internal/seal"
)

// outside seals, cuts and labels the payload.
func (p *Plan) outside(b *Bundle) (err error) {
	if b.Outer, err = p.seal(b.Payload); err != nil {
		return err
	}
	if p.SealBytes != nil {
		b.Outer = p.SealBytes(b.Outer)
	}
	if b.Label, err = p.label(b); err != nil {
		return err
	}
	if p.Label != nil {
		p.Label(b.Label)
	}
	payload, err := encode(b.Label)
	if err != nil {
		return err
	}
	if p.LabelPayload != nil {
		payload = p.LabelPayload(payload)
	}
	env, err := attest.Sign(attest.TypeLabel, payload, p.Labelers...)
	if err != nil {
		return err
	}
	if p.LabelEnvelope != nil {
		env = p.LabelEnvelope(env)
	}
	b.LabelID = digest.Of(payload)
	p.lay(b, env)
	return nil
}

// lay puts everything on the medium.
func (p *Plan) lay(b *Bundle, label []byte) {
	b.Dir = "sallyport/bundles/" + bundle.BundleDir(b.Label.Name, b.LabelID)
	for name, body := range b.pieces {
		b.Files[path.Join(b.Dir, name)] = body
	}
	b.Files[path.Join(b.Dir, bundle.LabelName(b.Label.Name))] = label
	for _, a := range []*Appliance{p.From, p.Packer} {
		b.Files["sallyport/pub/"+a.Name+"/tenants/"+a.Tenant+"/export-center.pub"] = a.Bundle.Public().PEM()
		b.Files["sallyport/cards/"+a.Name+".card.json"] = a.CardEnv
		b.Files["sallyport/roots/"+a.Root.ID().Short()+".1.root.json"] = a.RootEnv
	}
	if p.Files != nil {
		p.Files(b.Dir, b.Files)
	}
}

func (p *Plan) seal(payload []byte) ([]byte, error) {
	var b buffer
	w, err := p.sealer(&b)
	if err != nil || w == nil {
		return payload, err
	}
	if _, err := w.Write(payload); err != nil {
		return nil, err
	}
	err = w.Close()
	return b.b, err
}

type writeCloser interface {
	Write([]byte) (int, error)
	Close() error
}

func (p *Plan) sealer(b *buffer) (writeCloser, error) {
	switch p.Seal {
	case bundle.SealAge:
		var rs []seal.Recipient
		for _, a := range p.To {
			rs = append(rs, a.Identity.Recipient())
		}
		return seal.Encrypt(b, rs...)
	case bundle.SealDare:
		return seal.EncryptDARE(b, p.Dare, Random(99))
	}
	return nil, nil
}

func (p *Plan) label(b *Bundle) (*bundle.Label, error) {
	m := b.Manifest
	l := &bundle.Label{
		BundleID: b.ID, Name: m.ExportID, Kind: m.Profile.Kind, Variant: m.Profile.Variant, Tenant: m.Tenant, Appliance: m.Appliance,
		Packer: bundle.Packer{ID: p.Packer.ID}, CreatedAt: clock.Format(p.At), NotAfter: m.NotAfter,
		Sealed: bundle.Sealed{Mode: p.Seal, Recipients: p.recipients(b.ID)},
		Bytes:  int64(len(b.Outer)), Digest: digest.Of(b.Outer), VolumeBytes: bundle.VolumeBytes,
	}
	for _, a := range p.To {
		l.For = append(l.For, bundle.Appliance{ID: a.ID, Name: a.Name})
	}
	slices.SortFunc(l.For, func(a, b bundle.Appliance) int { return compare(a.ID, b.ID) })
	p.cut(l, b)
	_, _ = l.Encode() // fills the header; the cover sheet speaks of a label without sheets
	for _, s := range []struct {
		name string
		body []byte
	}{{bundle.CoverName, bundle.CoverSheet(l, digest.Digest{})}, {bundle.SumsName, bundle.SumsSheet(l.Volumes)}} {
		l.Sheets = append(l.Sheets, bundle.Sheet{Name: s.name, Bytes: int64(len(s.body)), Digest: digest.Of(s.body)})
		b.pieces[s.name] = s.body
	}
	_, err := l.Encode()
	if p.Manifest != nil || p.Payload != nil || p.Tar != nil {
		err = nil // what came before may be what the label's encoder refuses
	}
	return l, err
}

func (p *Plan) cut(l *bundle.Label, b *Bundle) {
	outer := b.Outer
	size := int64(len(outer))
	if p.Cut > 0 {
		size, l.VolumeBytes = p.Cut, p.Cut
	}
	total := int((int64(len(outer)) + size - 1) / size)
	for n := 1; n <= total; n++ {
		piece := outer[int64(n-1)*size : min(int64(n)*size, int64(len(outer)))]
		l.Volumes = append(l.Volumes, bundle.Volume{
			N: int64(n), Name: bundle.VolumeName(l.Name, bundle.PayloadSuffix(l.Sealed.Mode), n, total),
			Bytes: int64(len(piece)), Digest: digest.Of(piece),
		})
		b.pieces[l.Volumes[n-1].Name] = slices.Clone(piece)
	}
}

func (p *Plan) recipients(id digest.Digest) []string {
	tags := []string{}
	switch p.Seal {
	case bundle.SealAge:
		for _, a := range p.To {
			tags = append(tags, seal.Tag(id, a.Identity.Recipient().String()))
		}
	case bundle.SealDare:
		tags = append(tags, seal.Tag(id, p.Dare.ID()))
	}
	slices.Sort(tags)
	return tags
}

// FS is the medium as a file system in memory.
func (b *Bundle) FS() fstest.MapFS {
	m := fstest.MapFS{}
	for name, body := range b.Files {
		m[name] = &fstest.MapFile{Data: body, Mode: 0o644}
	}
	return m
}

// Write puts the medium into a directory of the disk.
func (b *Bundle) Write(dir string) error {
	for name, body := range b.Files {
		to := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(to), fs.FileMode(0o755)); err != nil {
			return err
		}
		if err := os.WriteFile(to, body, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func ids(as []*Appliance) []string {
	var list []string
	for _, a := range as {
		list = append(list, a.ID)
	}
	slices.Sort(list)
	return list
}

func compare(a, b string) int {
	if a < b {
		return -1
	}
	if a > b {
		return 1
	}
	return 0
}
