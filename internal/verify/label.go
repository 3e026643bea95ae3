package verify

import (
	"context"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"sallyport/internal/attest"
	"sallyport/internal/bundle"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/root"
	"sallyport/internal/seal"
)

// An envelope is its payload in base64 and at most 16 signatures.
const (
	labelEnvelopeMax    = bundle.MaxLabel/3*4 + 32<<10
	manifestEnvelopeMax = bundle.MaxManifest/3*4 + 32<<10
	sheetMax            = 1 << 20
)

// Packing is a label that holds, and the volumes it names. Only CheckLabel makes one.
type Packing struct {
	fsys     fs.FS
	dir      string
	label    *bundle.Label
	id       digest.Digest
	voice    voice
	purpose  purpose
	files    map[string]string // folded name → name on the medium
	unlisted []string
	lacking  []string // sheets
	lenient  bool     // sheets may be missing
}

// Label is the verified label. It says who packed these bytes, never what they say.
func (p *Packing) Label() *bundle.Label { return p.label }

// ID is the label id.
func (p *Packing) ID() digest.Digest { return p.id }

// Signer is the packer's key.
func (p *Packing) Signer() *attest.Key { return p.voice.keys[0] }

// Root is the trust root the packer's key counts under, nil in key mode.
func (p *Packing) Root() *root.Trusted { return p.voice.root }

// Unlisted are files beside the bundle that the label does not name: never opened, no part of the verdict. The names are
// attacker-controlled.
func (p *Packing) Unlisted() []string { return p.unlisted }

// Lacking are the signed sheets that are missing; none unless Options.SheetsMayLack.
func (p *Packing) Lacking() []string { return p.lacking }

// Dir is where the bundle lies in its file system.
func (p *Packing) Dir() string { return p.dir }

// File is the path in its file system of a file that the label names, or of the label itself; false when there is none.
func (p *Packing) File(name string) (string, bool) {
	there, ok := p.files[fold(name)]
	return path.Join(p.dir, there), ok
}

// ForUs tells whether the packing is sealed to one of our identities or names our appliance; an unsealed packing that
// names nobody is for everyone. It is the label's word: what counts is the manifest's audience.
func (p *Packing) ForUs(ids []seal.Identity, appliance string) bool {
	if slices.ContainsFunc(p.label.For, func(a bundle.Appliance) bool { return a.ID == appliance }) {
		return true
	}
	if p.label.Sealed.Mode == bundle.SealNone {
		return len(p.label.For) == 0
	}
	return len(p.opens(ids)) > 0
}

// opens are the identities the label lists as recipients.
func (p *Packing) opens(ids []seal.Identity) []seal.Identity {
	var ours []seal.Identity
	for _, id := range ids {
		if slices.Contains(p.label.Sealed.Recipients, seal.Tag(p.label.BundleID, id.Recipient().String())) {
			ours = append(ours, id)
		}
	}
	return ours
}

// CheckLabel checks a bundle directory as far as the label goes: one label, its signature by a key with the role pack or
// bundle, both sheets (see SheetsMayLack), every volume there with the signed size, no volume the label does not have. Volumes are not read.
//
// When nothing is wrong but that volumes are missing or have another size, the Packing comes back beside the error (code
// volume-damaged, else volume-missing), so that what is there can be used; Outer and Open refuse it again.
func CheckLabel(ctx context.Context, fsys fs.FS, dir string, o Options) (*Packing, error) {
	if err := ctx.Err(); err != nil {
		return nil, code.Wrap(code.Interrupted, err, "verify").In(dir, "")
	}
	name, env, files, err := readLabel(fsys, dir)
	if err != nil {
		return nil, err
	}
	j := judge{trust: o.Trust, now: o.Now}
	v, err := j.envelope(env, name, attest.TypeLabel)
	if err != nil {
		return nil, err
	}
	p, err := newPacking(fsys, dir, name, v.Payload(), files)
	if err != nil {
		return nil, err
	}
	p.purpose = purpose{roles: []string{root.RolePack, root.RoleBundle}, tenant: p.label.Tenant, origin: p.label.Packer.ID}
	p.lenient = o.SheetsMayLack
	if p.voice, err = j.accept(v, p.purpose, name); err != nil {
		return nil, err
	}
	if err := j.until(p.label.NotAfter, name); err != nil {
		return nil, err
	}
	if err := p.checkFiles(); err != nil {
		if code.Of(err) == code.VolumeMissing || code.Of(err) == code.VolumeDamaged {
			return p, err
		}
		return nil, err
	}
	return p, nil
}

// newPacking parses a label payload and ties it to its file.
func newPacking(fsys fs.FS, dir, name string, payload []byte, files map[string]string) (*Packing, error) {
	label, err := bundle.ParseLabel(payload)
	if err != nil {
		return nil, in(err, name)
	}
	if want := bundle.LabelName(label.Name); fold(path.Base(name)) != want {
		return nil, code.New(code.LabelBad, "the label's file has another name than the bundle").In(name, "name").Want(want, path.Base(name))
	}
	return &Packing{fsys: fsys, dir: dir, label: label, id: digest.Of(payload), files: files}, nil
}

// readLabel finds and reads the one label of a directory.
func readLabel(fsys fs.FS, dir string) (name string, env []byte, files map[string]string, err error) {
	list, err := fs.ReadDir(fsys, dir)
	if err != nil {
		return "", nil, nil, readError(err, dir, 0)
	}
	files = map[string]string{}
	var labels []string
	for _, e := range list {
		key := fold(e.Name())
		if other, twice := files[key]; twice && ours(key) {
			return "", nil, nil, code.New(code.MediumName, "two names that differ only in case").In(dir, "").Want("one name", fmt.Sprintf("%q and %q", other, e.Name()))
		}
		if !e.Type().IsRegular() {
			if strings.HasSuffix(key, ".label.json") {
				return "", nil, nil, code.New(code.MediumName, "the label is not a plain file").In(path.Join(dir, e.Name()), "").Want("a plain file", e.Type())
			}
			continue // never followed: a volume behind a link counts as missing
		}
		files[key] = e.Name()
		if strings.HasSuffix(key, ".label.json") && !strings.HasPrefix(key, "._") {
			labels = append(labels, path.Join(dir, e.Name()))
		}
	}
	switch len(labels) {
	case 0:
		return "", nil, nil, code.New(code.LabelMissing, "").In(dir, "").Want("a label", "none")
	case 1:
	default:
		return "", nil, nil, code.New(code.LabelBad, "more than one label in one directory").In(dir, "").Want("one", len(labels))
	}
	env, err = readFile(fsys, labels[0], labelEnvelopeMax, code.LabelBad)
	return labels[0], env, files, err
}

// ours tells whether a folded name is one that a bundle directory gives a meaning to.
func ours(key string) bool {
	return volumeRE.MatchString(key) || strings.HasSuffix(key, ".label.json") || key == fold(bundle.SumsName) || key == fold(bundle.CoverName)
}

// readFile reads a small file whole.
func readFile(fsys fs.FS, name string, limit int64, tooBig code.Code) ([]byte, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, readError(err, name, 0)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, readError(err, name, int64(len(b)))
	}
	if int64(len(b)) > limit {
		return nil, code.New(tooBig, "the file is over the limit").In(name, "").Want(fmt.Sprint("at most ", limit, " bytes"), "more")
	}
	return b, nil
}

// checkFiles compares the directory with the label: sheets, volumes, nothing extra. A missing volume is reported last, one of
// another size before it, because these alone leave the rest usable.
func (p *Packing) checkFiles() error {
	named := map[string]bool{fold(bundle.LabelName(p.label.Name)): true}
	for _, s := range p.label.Sheets {
		named[fold(s.Name)] = true
		if err := p.checkSheet(s); err != nil {
			return err
		}
	}
	var gone error
	for _, vol := range p.label.Volumes {
		named[fold(vol.Name)] = true
		err := p.checkVolume(vol)
		switch c := code.Of(err); {
		case err != nil && c != code.VolumeMissing && c != code.VolumeDamaged:
			return err
		case gone == nil, err != nil && c == code.VolumeDamaged && code.Of(gone) != c:
			gone = err
		}
	}
	for key, name := range p.files {
		if named[key] {
			continue
		}
		if m := volumeRE.FindStringSubmatch(key); m != nil && m[1] == p.label.Name {
			return code.New(code.VolumeExtra, "").In(path.Join(p.dir, name), "").
				Want(fmt.Sprint(len(p.label.Volumes), " volumes as the label names them"), "one more")
		}
		p.unlisted = append(p.unlisted, name)
	}
	slices.Sort(p.unlisted)
	return gone
}

func (p *Packing) checkSheet(s bundle.Sheet) error {
	name, there := p.files[fold(s.Name)]
	if !there && p.lenient {
		p.lacking = append(p.lacking, s.Name)
		return nil
	}
	if !there {
		return code.New(code.SheetBad, "a signed sheet is missing").In(path.Join(p.dir, s.Name), "").Want(s.Digest, "no such file")
	}
	name = path.Join(p.dir, name)
	b, err := readFile(p.fsys, name, sheetMax, code.SheetBad)
	if err != nil {
		return err
	}
	if int64(len(b)) != s.Bytes || digest.Of(b) != s.Digest {
		return code.New(code.SheetBad, "").In(name, "").Want(s.Digest, digest.Of(b))
	}
	return nil
}

func (p *Packing) checkVolume(vol bundle.Volume) error {
	name, there := p.files[fold(vol.Name)]
	if !there {
		return missing(p, vol)
	}
	info, err := fs.Stat(p.fsys, path.Join(p.dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return missing(p, vol)
	}
	if err != nil {
		return readError(err, path.Join(p.dir, name), 0)
	}
	if info.Size() != vol.Bytes {
		return resized(p, vol, info.Size())
	}
	return nil
}

// Outer reads every volume and compares it with the label: INTACT, SEALED. Nothing is opened. All volumes are read even
// when one is bad; the error names every bad one.
func Outer(ctx context.Context, p *Packing, o Options) error {
	all := sumOf(p)
	states, err := p.survey(ctx, o, all)
	if err != nil {
		return err
	}
	if err := p.verdict(states); err != nil {
		return err
	}
	return checkSum(p, all)
}

// VolumeState is what became of one volume: nil, or volume-missing, volume-damaged, medium-read.
type VolumeState struct {
	Volume bundle.Volume
	Err    error
	At     int64 // where reading it stopped, in bytes from its beginning
}

// Survey reads every volume that is there and tells of each how it is, so that exactly the bad ones can be asked for
// again. The error is of the operation (interrupted), never of a volume.
func Survey(ctx context.Context, p *Packing, o Options) ([]VolumeState, error) {
	return p.survey(ctx, o, nil)
}

func (p *Packing) survey(ctx context.Context, o Options, all hash.Hash) ([]VolumeState, error) {
	states, done := make([]VolumeState, len(p.label.Volumes)), int64(0)
	for i, vol := range p.label.Volumes {
		vs := openVolumes(ctx, p, p.label.Volumes[i:i+1], all, o.report(&done, p.label.Bytes))
		err := vs.finish()
		vs.close()
		if code.Of(err) == code.Interrupted {
			return nil, err
		}
		states[i] = VolumeState{Volume: vol, Err: err, At: vs.at}
	}
	return states, nil
}

// report makes the progress function of one reading; nil when nobody listens.
func (o Options) report(done *int64, total int64) func(int) {
	if o.Progress == nil {
		return nil
	}
	return func(n int) {
		*done += int64(n)
		o.Progress(*done, total)
	}
}

// verdict sums up a survey: damage before read errors before absence.
func (p *Packing) verdict(states []VolumeState) error {
	var worst error
	var bad []string
	order := []code.Code{code.VolumeDamaged, code.MediumRead, code.VolumeMissing}
	for _, s := range states {
		if s.Err == nil {
			continue
		}
		bad = append(bad, fmt.Sprint(s.Volume.N))
		if worst == nil || slices.Index(order, code.Of(s.Err)) < slices.Index(order, code.Of(worst)) {
			worst = s.Err
		}
	}
	var e *code.Error
	if len(bad) > 1 && errors.As(worst, &e) {
		e.Next = askAgain(bad, len(states)-len(bad))
	}
	return worst
}

// askAgain is the next step when volumes are bad.
func askAgain(bad []string, good int) string {
	which := "volumes " + strings.Join(bad, ", ")
	switch good {
	case 0:
		return fmt.Sprintf("Ask for %s again.", which)
	case 1:
		return fmt.Sprintf("Ask for %s again; the other one can stay.", which)
	}
	return fmt.Sprintf("Ask for %s again; the other %d can stay.", which, good)
}

// Loose is a bundle whose sums were checked and whose signer was not: what can be said without any key. It opens no door.
type Loose struct {
	p      *Packing
	keyIDs []string
}

// Label is the label as it claims to be, unverified.
func (l *Loose) Label() *bundle.Label { return l.p.label }

// ID is the digest of the unverified label payload.
func (l *Loose) ID() digest.Digest { return l.p.id }

// KeyIDs are the key ids the envelope claims.
func (l *Loose) KeyIDs() []string { return l.keyIDs }

// Unlisted are files the label does not name.
func (l *Loose) Unlisted() []string { return l.p.unlisted }

// Sums checks sheets and volumes against a label whose signature nobody can check for want of a key. It proves that the
// copy is whole, not who made it: never the basis of an import.
func Sums(ctx context.Context, fsys fs.FS, dir string, o Options) (*Loose, error) {
	name, env, files, err := readLabel(fsys, dir)
	if err != nil {
		return nil, err
	}
	claim, err := attest.Inspect(env)
	if err != nil {
		return nil, in(err, name)
	}
	if claim.Type != attest.TypeLabel {
		return nil, code.New(code.PayloadType, "").In(name, "payloadType").Want(attest.TypeLabel, claim.Type)
	}
	p, err := newPacking(fsys, dir, name, claim.Payload, files)
	if err != nil {
		return nil, err
	}
	if err := p.checkFiles(); err != nil {
		return nil, err
	}
	if err := Outer(ctx, p, o); err != nil {
		return nil, err
	}
	return &Loose{p: p, keyIDs: claim.KeyIDs}, nil
}
