package forge

import (
	"fmt"
	"time"

	"sallyport/internal/attest"
	"sallyport/internal/bundle"
	"sallyport/internal/clock"
	"sallyport/internal/digest"
	"sallyport/internal/pack"
	"sallyport/internal/seal"
)

// Member is one member of the payload. A content has its manifest entry beside it.
type Member struct {
	Name  string
	Body  []byte
	Entry *bundle.Content // nil for the four members in front
}

// Feed says what one feed of a bundle holds.
type Feed struct {
	Name       string
	Generation int64
	Epoch      int64
	Lines      int               // advisories, made up
	Pad        int               // bytes of text in each advisory
	Documents  map[string]string // SBOMs: key → bytes
	Records    Records           // not nil: these and nothing made up
	Bases      []Base            // of a delta, which needs Records
}

// Plan is a bundle to be built. The zero value with From set is a full mirror of one feed, unsealed, uncut, for everyone.
// Nil hooks do nothing.
type Plan struct {
	Kind     string // of the profile; "": mirror
	Variant  string // "": full, or delta when a feed has bases
	From     *Appliance
	To       []*Appliance // audience; none: "*"
	Packer   *Appliance   // nil: From
	Feeds    []Feed       // nil: DefaultFeeds
	Seal     string       // bundle.SealNone, SealAge (for To), SealDare
	Dare     seal.DareKey
	Cut      int64     // volume size in bytes, 0: uncut
	At       time.Time // zero: Epoch
	NoAnchor bool
	Reset    bool             // of a delta: resetBaseline, with every record
	SkipRaw  bool             // the raw signature is of "{}", because the payload is nothing that may be signed raw
	Anchor   []byte           // an envelope to carry instead of one of From's
	Signers  []*attest.Signer // of the manifest; nil: From's bundle key
	Labelers []*attest.Signer // of the label; nil: the packer's bundle key

	Index         func([]bundle.IndexLine) []bundle.IndexLine // of each feed
	Tombstones    func(map[string][]bundle.Tombstone) map[string][]bundle.Tombstone
	Contents      func([]Member) []Member // sorted by path afterwards; digests are made after it
	Manifest      func(*bundle.Manifest)
	Payload       func([]byte) []byte // of the manifest, before it is signed
	Envelope      func([]byte) []byte // of the manifest
	Members       func([]Member) []Member
	Tar           func([]Member) []byte // instead of the canonical archive
	TarBytes      func([]byte) []byte
	Zstd          func(tar []byte) []byte // instead of the canonical stream
	ZstdBytes     func([]byte) []byte
	SealBytes     func([]byte) []byte // the sealed stream
	Label         func(*bundle.Label)
	LabelPayload  func([]byte) []byte
	LabelEnvelope func([]byte) []byte
	Files         func(dir string, files map[string][]byte) // of the medium, paths from its root
}

// DefaultFeeds is one feed of forty advisories in several frames and one of two documents.
func DefaultFeeds() []Feed {
	return []Feed{
		{Name: "osv-go", Generation: 1, Epoch: 1, Lines: 40},
		{Name: "sboms", Generation: 3, Epoch: 1, Documents: map[string]string{
			"urn:uuid:11111111-1111-4111-8111-111111111111": `{"bomFormat":"CycloneDX","specVersion":"1.5"}`,
			"urn:uuid:22222222-2222-4222-8222-222222222222": "{ \"bomFormat\": \"CycloneDX\" }\n",
		}},
	}
}

// Bundle is what was built.
type Bundle struct {
	Dir      string            // sallyport/bundles/NAME-xxxxxxxx
	Files    map[string][]byte // the whole medium, paths from its root
	Payload  []byte            // tar in zstd, before sealing
	Outer    []byte            // sealed, before cutting
	Manifest *bundle.Manifest
	Label    *bundle.Label
	ID       digest.Digest
	LabelID  digest.Digest
	Members  []Member
	pieces   map[string][]byte // volumes and sheets as they were before the label was touched
}

// Build makes the bundle and the medium it lies on.
func (p Plan) Build() (*Bundle, error) {
	p.defaults()
	b := &Bundle{Files: map[string][]byte{}, pieces: map[string][]byte{}}
	if err := p.inside(b); err != nil {
		return nil, fmt.Errorf("forge payload: %w", err)
	}
	if err := p.outside(b); err != nil {
		return nil, fmt.Errorf("forge label: %w", err)
	}
	return b, nil
}

func (p *Plan) defaults() {
	if p.Kind == "" {
		p.Kind = "mirror"
	}
	if p.Feeds == nil {
		p.Feeds = DefaultFeeds()
	}
	if p.Variant == "" {
		p.Variant = "full"
		if p.Delta() {
			p.Variant = "delta"
		}
	}
	if p.Packer == nil {
		p.Packer = p.From
	}
	if p.Seal == "" {
		p.Seal = bundle.SealNone
	}
	if p.At.IsZero() {
		p.At = Epoch()
	}
	if p.Signers == nil {
		p.Signers = []*attest.Signer{p.From.Bundle}
	}
	if p.Labelers == nil {
		p.Labelers = []*attest.Signer{p.Packer.Bundle}
	}
}

// inside makes the payload.
func (p *Plan) inside(b *Bundle) error {
	states, members, err := p.contents()
	if err != nil {
		return err
	}
	b.Manifest = p.manifest(states, members)
	if _, err := b.Manifest.Encode(); err != nil {
		return err
	}
	if p.Manifest != nil {
		p.Manifest(b.Manifest)
	}
	payload, err := encode(b.Manifest)
	if err != nil {
		return err
	}
	if p.Payload != nil {
		payload = p.Payload(payload)
	}
	b.ID = digest.Of(payload)
	front, err := p.front(payload)
	if err != nil {
		return err
	}
	b.Members = append(front, members...)
	if p.Members != nil {
		b.Members = p.Members(b.Members)
	}
	b.Payload, err = p.pack(b.Members)
	return err
}

// front are the four members before the contents.
func (p *Plan) front(payload []byte) ([]Member, error) {
	env, err := attest.Sign(attest.TypeManifest, payload, p.Signers...)
	if err != nil {
		return nil, err
	}
	if p.Envelope != nil {
		env = p.Envelope(env)
	}
	blob := payload
	if p.SkipRaw {
		blob = []byte("{}")
	}
	sig, err := attest.SignRaw(p.Signers[0], blob)
	if err != nil {
		return nil, err
	}
	der, err := attest.DecodeRaw(sig)
	if err != nil {
		return nil, err
	}
	store, err := attest.SigstoreBundle(p.Signers[0].Public(), digest.Of(payload), der)
	if err != nil {
		return nil, err
	}
	return []Member{
		{Name: "signatures/export.dsse.json", Body: env},
		{Name: p.Kind + "/export.json", Body: payload},
		{Name: "signatures/export.sig", Body: sig},
		{Name: "signatures/export.sigstore.json", Body: store},
	}, nil
}

func (p *Plan) pack(members []Member) ([]byte, error) {
	tar, err := p.tar(members)
	if err != nil {
		return nil, err
	}
	if p.TarBytes != nil {
		tar = p.TarBytes(tar)
	}
	var out []byte
	if p.Zstd != nil {
		out = p.Zstd(tar)
	} else if out, err = Zstd(tar); err != nil {
		return nil, err
	}
	if p.ZstdBytes != nil {
		out = p.ZstdBytes(out)
	}
	return out, nil
}

func (p *Plan) tar(members []Member) ([]byte, error) {
	if p.Tar != nil {
		return p.Tar(members), nil
	}
	return Tar(members)
}

// Tar is the canonical archive of members.
func Tar(members []Member) ([]byte, error) {
	var b buffer
	w := pack.NewTarWriter(&b)
	for _, m := range members {
		if err := w.Header(m.Name, int64(len(m.Body))); err != nil {
			return nil, err
		}
		if _, err := w.Write(m.Body); err != nil {
			return nil, err
		}
	}
	err := w.Close()
	return b.b, err
}

// Zstd is the canonical outer stream of some bytes.
func Zstd(tar []byte) ([]byte, error) {
	var b buffer
	w := pack.NewOuterWriter(&b, 1)
	if _, err := w.Write(tar); err != nil {
		return nil, err
	}
	err := w.Close()
	return b.b, err
}

type buffer struct{ b []byte }

func (b *buffer) Write(p []byte) (int, error) {
	b.b = append(b.b, p...)
	return len(p), nil
}

func (p *Plan) manifest(states []bundle.FeedState, members []Member) *bundle.Manifest {
	m := &bundle.Manifest{
		RunID: "01jnsampl0000000000000000a", Tenant: p.From.Tenant,
		Appliance:   bundle.Appliance{ID: p.From.ID, Name: p.From.Name},
		Audience:    []string{"*"},
		Profile:     bundle.Profile{Kind: p.Kind, Variant: p.Variant, Name: p.Kind + ":" + p.Variant, Revision: 1},
		GeneratedAt: clock.Format(p.At), TrustRoot: bundle.TrustRoot{ID: p.From.Root.ID(), Version: 1},
		Log:   bundle.Log{Checkpoint: checkpoint(p.From), Proof: []digest.Digest{}},
		Feeds: states,
	}
	peer := ""
	if len(p.To) > 0 {
		m.Audience = ids(p.To)
	}
	if len(p.To) == 1 {
		peer = p.To[0].Name
	}
	m.ExportID = bundle.Name(p.Kind, p.At, p.Variant, peer, 0)
	if p.Delta() {
		m.Delta = &bundle.Delta{ResetBaseline: p.Reset}
	}
	if p.Seal != bundle.SealNone {
		m.Challenge = "000102030405060708090a0b0c0d0e0f"
	}
	for _, c := range members {
		m.Contents = append(m.Contents, *c.Entry)
		if c.Entry.Role == bundle.RoleAnchor {
			m.Anchor = c.Entry.Digest
		}
	}
	m.RerunHash = bundle.RerunHash(m.Contents)
	return m
}

// checkpoint looks like a note; nothing here judges it.
func checkpoint(a *Appliance) string {
	return "sallyport.timeline/" + a.ID + "/1\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\n— forge AAAA\n"
}
