package verify_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"sallyport/internal/attest"
	"sallyport/internal/bundle"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/forge"
	"sallyport/internal/root"
	"sallyport/internal/seal"
	"sallyport/internal/verify"
)

// sick is a medium on which one file cannot be read past some byte.
type sick struct {
	fs.FS
	name string
	at   int64
}

var errSector = errors.New("bad sector")

func (s sick) Open(name string) (fs.File, error) {
	f, err := s.FS.Open(name)
	if err == nil && strings.HasSuffix(name, s.name) {
		return &sickFile{f, s.at}, nil
	}
	return f, err
}

type sickFile struct {
	fs.File
	left int64
}

func (f *sickFile) Read(p []byte) (int, error) {
	if f.left == 0 {
		return 0, errSector
	}
	n, err := f.File.Read(p[:min(int64(len(p)), f.left)])
	f.left -= int64(n)
	return n, err
}

// A medium that cannot be read is never reported as damaged data, and says where.
func TestMediumRead(t *testing.T) {
	w := world(t)
	b := build(t, forge.Plan{From: w.Hub, To: []*forge.Appliance{w.Site}, Seal: bundle.SealAge, Cut: 3000})
	o := options(w)
	for _, at := range []int64{0, 1, 2999} {
		fsys := sick{b.FS(), ".002", at}
		p, err := verify.CheckLabel(context.Background(), fsys, b.Dir, o)
		if err != nil {
			t.Fatal(err)
		}
		for _, err := range []error{verify.Outer(context.Background(), p, o), second(verify.Open(context.Background(), p, o))} {
			var e *code.Error
			if code.Of(err) != code.MediumRead || !errors.Is(err, errSector) || !errors.As(err, &e) || !strings.HasPrefix(e.Place, "volume 2 of 3, byte ") {
				t.Errorf("at %d: %v", at, err)
			}
		}
	}
	payload := io.MultiReader(bytes.NewReader(b.Payload[:2000]), &sickFile{File: nil})
	if _, err := verify.Payload(context.Background(), payload, "x", o); code.Of(err) != code.MediumRead {
		t.Errorf("bare file: %v", err)
	}
	for _, name := range []string{".label.json", "SHA256SUMS", "COVER.txt"} {
		if _, err := verify.CheckLabel(context.Background(), sick{b.FS(), name, 9}, b.Dir, o); code.Of(err) != code.MediumRead {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func second(_ *verify.Bundle, err error) error { return err }

// Damage in a volume is reported as that, by name, even when what is inside fails first; all bad volumes are named.
func TestDamageIsNamed(t *testing.T) {
	w := world(t)
	o := options(w)
	b := build(t, forge.Plan{From: w.Hub, To: []*forge.Appliance{w.Site}, Seal: bundle.SealAge, Cut: 1500, Files: func(dir string, f map[string][]byte) {
		for _, s := range []string{".001", ".004"} {
			f[find(f, dir, s)][700] ^= 1
		}
	}})
	p, err := verify.CheckLabel(context.Background(), b.FS(), b.Dir, o)
	if err != nil {
		t.Fatal(err)
	}
	var e *code.Error
	if _, err := verify.Open(context.Background(), p, o); code.Of(err) != code.VolumeDamaged || !errors.As(err, &e) || !strings.HasSuffix(e.File, ".001") {
		t.Errorf("open: %v", err)
	}
	if err := verify.Outer(context.Background(), p, o); code.Of(err) != code.VolumeDamaged || !strings.Contains(code.NextStep(err), "volumes 1, 4 ") {
		t.Errorf("outer: %v, %s", err, code.NextStep(err))
	}
	states, err := verify.Survey(context.Background(), p, o)
	if err != nil || len(states) != 6 {
		t.Fatalf("survey: %d states, %v", len(states), err)
	}
	for _, s := range states {
		if bad := s.Volume.N == 1 || s.Volume.N == 4; bad != (code.Of(s.Err) == code.VolumeDamaged) {
			t.Errorf("volume %d: %v", s.Volume.N, s.Err)
		}
	}
}

// Missing volumes leave a packing to work with, but it cannot be opened.
func TestMissingVolumes(t *testing.T) {
	w := world(t)
	o := options(w)
	b := build(t, forge.Plan{From: w.Hub, Cut: 1500, Files: func(dir string, f map[string][]byte) { delete(f, find(f, dir, ".003")) }})
	p, err := verify.CheckLabel(context.Background(), b.FS(), b.Dir, o)
	if p == nil || code.Of(err) != code.VolumeMissing {
		t.Fatalf("%v, %v", p, err)
	}
	if err := verify.Outer(context.Background(), p, o); code.Of(err) != code.VolumeMissing {
		t.Error(err)
	}
	if _, err := verify.Open(context.Background(), p, o); code.Of(err) != code.VolumeMissing {
		t.Error(err)
	}
}

// What lies beside a bundle changes no verdict and is listed; links are not followed.
func TestUnlisted(t *testing.T) {
	w := world(t)
	junk := []string{"._mirror.label.json", "Thumbs.db", "desktop.ini", "other.tar.zst.001", "scan-report.txt"}
	b := build(t, forge.Plan{From: w.Hub, Files: func(dir string, f map[string][]byte) {
		for _, j := range junk {
			f[path.Join(dir, j)] = []byte("x")
		}
		f[find(f, dir, ".tar.zst")+".001.partial"] = nil
	}})
	fsys := b.FS()
	fsys[b.Dir+"/a.link"] = &fstest.MapFile{Data: []byte("COVER.txt"), Mode: fs.ModeSymlink | 0o777}
	p, err := verify.CheckLabel(context.Background(), fsys, b.Dir, options(w))
	if err != nil {
		t.Fatal(err)
	}
	if got := p.Unlisted(); len(got) != len(junk)+1 {
		t.Errorf("unlisted: %q", got)
	}
	fsys[find(b.Files, b.Dir, ".tar.zst")].Mode = fs.ModeSymlink
	if _, err := verify.CheckLabel(context.Background(), fsys, b.Dir, options(w)); code.Of(err) != code.VolumeMissing {
		t.Errorf("a volume behind a link: %v", err)
	}
}

// Names are compared without case, as FAT and its writers change it.
func TestFoldedNames(t *testing.T) {
	w := world(t)
	b := build(t, forge.Plan{From: w.Hub, To: []*forge.Appliance{w.Site}, Seal: bundle.SealAge, Cut: 3000})
	fsys := fstest.MapFS{}
	for name, f := range b.FS() {
		fsys[strings.ToUpper(name)] = f
	}
	m, err := verify.Find(fsys)
	if err != nil || len(m.Bundles) != 1 || len(m.Pubs) != 1 || len(m.Cards) != 1 || len(m.Roots) != 1 {
		t.Fatalf("%+v %v", m, err)
	}
	p, err := verify.CheckLabel(context.Background(), fsys, m.Bundles[0], options(w))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := verify.Open(context.Background(), p, options(w)); err != nil {
		t.Error(err)
	}
}

func TestFind(t *testing.T) {
	file := &fstest.MapFile{Data: []byte("x")}
	fsys := fstest.MapFS{
		"a/b/c/d/e/f/x.label.json": file, "a/b/c/d/e/f/g/y.label.json": file, "half/m.tar.zst.age.001.partial": file,
		"k\u212a.LABEL.JSON": file, "DCIM/1.jpg": file, "l.card.json": {Mode: fs.ModeSymlink, Data: []byte("x")}, "r.receipt.json": file,
	}
	m, err := verify.Find(fsys)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(m.Bundles, []string{"a/b/c/d/e/f", "."}) || !slices.Equal(m.Unfinished, []string{"half"}) || len(m.Cards) != 0 || len(m.Loose) != 1 {
		t.Errorf("%+v", m)
	}
}

// sink records what it was given and fails where it is told to.
type sink struct {
	begun  bool
	got    map[string]*bytes.Buffer
	refuse error
	stop   string
}

func (s *sink) Begin(b *verify.Bundle) error {
	s.begun = b.Manifest() != nil && !b.Done()
	return s.refuse
}

func (s *sink) Entry(c bundle.Content) (io.Writer, error) {
	if c.Role == bundle.RoleInfo {
		return nil, nil
	}
	s.got[c.Path] = &bytes.Buffer{}
	if strings.Contains(c.Path, s.stop) && s.stop != "" {
		return full{}, nil
	}
	return s.got[c.Path], nil
}

type full struct{}

var errFull = code.New(code.NoSpace, "full")

func (full) Write([]byte) (int, error) { return 0, errFull }

func TestSink(t *testing.T) {
	w := world(t)
	b := build(t, forge.Plan{From: w.Hub})
	s := &sink{got: map[string]*bytes.Buffer{}}
	o := options(w)
	o.Sink = s
	if _, err := gate(b, o); err != nil || !s.begun {
		t.Fatal(s.begun, err)
	}
	for _, m := range b.Members[4:] {
		if m.Entry.Role != bundle.RoleInfo && !bytes.Equal(s.got[m.Name].Bytes(), m.Body) {
			t.Errorf("%s: other bytes", m.Name)
		}
	}
	for _, stop := range []string{"/0-0000.jsonl", "sbom.json", "index.jsonl", "time-anchor"} {
		o.Sink = &sink{got: map[string]*bytes.Buffer{}, stop: stop}
		if _, err := gate(b, o); code.Of(err) != code.NoSpace {
			t.Errorf("full at %s: %v", stop, err)
		}
	}
	o.Sink = &sink{refuse: code.New(code.WrongTenant, "")}
	if _, err := gate(b, o); code.Of(err) != code.WrongTenant {
		t.Errorf("refused: %v", err)
	}
}

func TestInterrupted(t *testing.T) {
	w := world(t)
	b := build(t, forge.Plan{From: w.Hub, Cut: 500})
	p, err := verify.CheckLabel(context.Background(), b.FS(), b.Dir, options(w))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	o := options(w)
	o.Progress = func(done, total int64) {
		if total != p.Label().Bytes {
			t.Errorf("total %d", total)
		}
		if done > 1000 {
			cancel()
		}
	}
	if _, err := verify.Open(ctx, p, o); code.Of(err) != code.Interrupted {
		t.Errorf("open: %v", err)
	}
	if err := verify.Outer(ctx, p, o); code.Of(err) != code.Interrupted {
		t.Errorf("outer: %v", err)
	}
}

func TestForUs(t *testing.T) {
	w := world(t)
	ids := func(a *forge.Appliance) []seal.Identity { return []seal.Identity{a.Identity} }
	sealed := forge.Plan{From: w.Hub, To: []*forge.Appliance{w.Site}, Seal: bundle.SealAge}
	hidden := sealed
	hidden.Label = func(l *bundle.Label) { l.For = nil }
	for _, c := range []struct {
		plan       forge.Plan
		site, hub  bool
		wantFor    int
		identities bool
	}{{sealed, true, false, 1, false}, {hidden, true, false, 0, true}, {forge.Plan{From: w.Hub}, true, true, 0, false}} {
		b := build(t, c.plan)
		p, err := verify.CheckLabel(context.Background(), b.FS(), b.Dir, options(w))
		if err != nil {
			t.Fatal(err)
		}
		if p.ForUs(ids(w.Site), w.Site.ID) != c.site || p.ForUs(ids(w.Hub), w.Hub.ID) != c.hub || len(p.Label().For) != c.wantFor {
			t.Errorf("%+v: for site %v, for hub %v", p.Label().For, p.ForUs(ids(w.Site), w.Site.ID), p.ForUs(ids(w.Hub), w.Hub.ID))
		}
		if c.identities && p.ForUs(nil, w.Site.ID) {
			t.Error("for us without an identity")
		}
	}
}

// A relay passes a manifest on under a label of its own; both keys must be trusted.
func TestRelay(t *testing.T) {
	w := world(t)
	b := build(t, forge.Plan{From: w.Hub, Packer: w.Stranger, To: []*forge.Appliance{w.Site}, Seal: bundle.SealAge})
	o := options(w)
	if _, err := gate(b, o); code.Of(err) != code.SignerUnknown {
		t.Errorf("unknown relay: %v", err)
	}
	o.Trust.Roots = append(o.Trust.Roots, w.Stranger.Root)
	got, err := gate(b, o)
	if err != nil {
		t.Fatal(err)
	}
	if got.Root().ID() != w.Hub.Root.ID() || got.Packing().Root().ID() != w.Stranger.Root.ID() {
		t.Error("signers mixed up")
	}
}

func TestDocument(t *testing.T) {
	w := world(t)
	o := options(w)
	anchor, err := w.Hub.AnchorAt(forge.Epoch())
	if err != nil {
		t.Fatal(err)
	}
	_, root2, err := w.Hub.NextRoot(func(*root.Document) {})
	if err != nil {
		t.Fatal(err)
	}
	byBundleKey, err := attest.Sign(attest.TypeCard, payloadOf(t, w.Hub.CardEnv), w.Hub.Bundle)
	if err != nil {
		t.Fatal(err)
	}
	label := build(t, forge.Plan{From: w.Hub})
	for _, c := range []struct {
		name string
		env  []byte
		want code.Code
	}{
		{"card", w.Hub.CardEnv, ""},
		{"anchor", anchor, ""},
		{"root", w.Hub.RootEnv, ""},
		{"next root", root2, ""},
		{"card of a stranger", w.Stranger.CardEnv, code.SignerUnknown},
		{"root of a stranger", w.Stranger.RootEnv, code.RootUnknown},
		{"card by the bundle key", byBundleKey, code.KeyRole},
		{"card with a space", append(slices.Clone(w.Hub.CardEnv), ' '), code.NotCanonical},
		{"label", label.Files[find(label.Files, label.Dir, ".label.json")], code.PayloadType},
		{"manifest", label.Members[0].Body, code.PayloadType},
		{"nothing", nil, code.EnvelopeBad},
	} {
		s, err := verify.Document(c.env, o)
		if code.Of(err) != c.want || (s != nil) != (c.want == "") {
			t.Errorf("%s: %v; want %q", c.name, err, c.want)
		}
	}
	if _, err := verify.Document(w.Hub.CardEnv, verify.Options{Trust: verify.Trust{Keys: []*attest.Key{w.Hub.Key.Public()}}}); err != nil {
		t.Errorf("card in key mode: %v", err)
	}
}

func payloadOf(t *testing.T, env []byte) []byte {
	t.Helper()
	c, err := attest.Inspect(env)
	if err != nil {
		t.Fatal(err)
	}
	return c.Payload
}

// Without any key the sums are checked and a Loose comes back, which opens nothing.
func TestSums(t *testing.T) {
	w := world(t)
	b := build(t, forge.Plan{From: w.Hub, Cut: 700})
	l, err := verify.Sums(context.Background(), b.FS(), b.Dir, verify.Options{})
	if err != nil || l.ID() != b.LabelID || l.KeyIDs()[0] != w.Hub.Bundle.Public().ID() {
		t.Fatal(l, err)
	}
	fsys := b.FS()
	name := find(b.Files, b.Dir, ".002")
	fsys[name] = &fstest.MapFile{Data: bytes.Repeat([]byte{1}, len(b.Files[name]))}
	if _, err := verify.Sums(context.Background(), fsys, b.Dir, verify.Options{}); code.Of(err) != code.VolumeDamaged {
		t.Error(err)
	}
}

// The same world and plan give the same payload, so a test that needs one bundle twice gets one bundle.
func TestForgeIsDeterministic(t *testing.T) {
	a := build(t, forge.Plan{From: world(t).Hub})
	b := build(t, forge.Plan{From: world(t).Hub})
	if digest.Of(a.Payload) != digest.Of(b.Payload) || a.LabelID != b.LabelID {
		t.Error("two payloads")
	}
}

// A bundle of another kind has no state roots, and is verified all the same.
func TestOutbound(t *testing.T) {
	w := world(t)
	b := build(t, forge.Plan{Kind: "outbound", Variant: "site", From: w.Site, To: []*forge.Appliance{w.Hub}, Seal: bundle.SealAge, Feeds: []forge.Feed{}})
	o := verify.Options{Trust: verify.Trust{Roots: []*root.Trusted{w.Hub.Root, w.Site.Root}}, Identities: []seal.Identity{w.Hub.Identity}, Now: forge.Epoch(), Audience: w.Hub.ID}
	got, err := gate(b, o)
	if err != nil || got.Rooted() {
		t.Fatal(got, err)
	}
}

// A reader that needs no sheet may do without them; one that was changed is refused all the same, and everybody else refuses both.
func TestSheetsMayLack(t *testing.T) {
	w := world(t)
	b := build(t, forge.Plan{From: w.Hub})
	strict := options(w)
	lenient := strict
	lenient.SheetsMayLack = true
	for name, change := range map[string]func(files fstest.MapFS, cover string){
		"missing": func(files fstest.MapFS, cover string) { delete(files, cover) },
		"changed": func(files fstest.MapFS, cover string) {
			files[cover] = &fstest.MapFile{Data: append(slices.Clone(files[cover].Data), '\n')}
		},
	} {
		files := fstest.MapFS{}
		for name, body := range b.Files {
			files[name] = &fstest.MapFile{Data: body}
		}
		change(files, path.Join(b.Dir, "COVER.txt"))
		if _, err := verify.CheckLabel(context.Background(), files, b.Dir, strict); code.Of(err) != code.SheetBad {
			t.Errorf("%s, strict: %v", name, err)
		}
		p, err := verify.CheckLabel(context.Background(), files, b.Dir, lenient)
		if name == "missing" && (err != nil || !slices.Equal(p.Lacking(), []string{"COVER.txt"})) || name == "changed" && code.Of(err) != code.SheetBad {
			t.Errorf("%s, lenient: %v", name, err)
		}
	}
}
