package verify

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"

	"sallyport/internal/attest"
	"sallyport/internal/bundle"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/pack"
	"sallyport/internal/root"
)

// The members in front of the contents, in this order; the second is K/export.json.
const (
	memberEnvelope = "signatures/export.dsse.json"
	memberRaw      = "signatures/export.sig"
	memberSigstore = "signatures/export.sigstore.json"
)

// smallMax bounds the raw signature, the Sigstore bundle and the time anchor, in bytes.
const smallMax = 64 << 10

// pass is one way through the payload. It owns the only judge of the operation; run is the only order of its steps, and
// each step leaves in the pass what the next one may rely on.
type pass struct {
	o    Options
	p    *Packing // nil for a bare file
	name string
	tar  *pack.TarReader

	payload []byte // of the manifest, verified
	j       judge
	purpose purpose
	b       *Bundle
	voice   voice // every accepted signer of the manifest
	check   *check
}

// run goes through the payload: envelope, manifest, its raw copies, contents, end, and what only the end can tell.
func (ps *pass) run() (*Bundle, error) {
	ps.j = judge{trust: ps.o.Trust, now: ps.o.Now}
	v, err := ps.readEnvelope()
	if err != nil {
		return nil, err
	}
	if err := ps.readManifest(v); err != nil {
		return nil, err
	}
	if err := ps.readCopies(); err != nil {
		return nil, err
	}
	if ps.check, err = newCheck(ps.b.manifest, ps.name); err != nil {
		return nil, err
	}
	if ps.o.Sink != nil {
		if err := ps.o.Sink.Begin(ps.b); err != nil {
			return nil, err
		}
	}
	for i := range ps.b.manifest.Contents {
		if err := ps.readContent(i); err != nil {
			return nil, err
		}
	}
	if err := ps.readEnd(); err != nil {
		return nil, err
	}
	if err := ps.check.finish(); err != nil {
		return nil, err
	}
	ps.b.rooted, ps.b.stats.Records = ps.check.full, ps.check.records
	return ps.b, ps.judgeTimes()
}

// close waits for the workers of the pass.
func (ps *pass) close() {
	if ps.check != nil {
		ps.check.close()
	}
}

// next goes to one of the members in front of the contents and gives its size.
func (ps *pass) next(want string, limit int64, over code.Code) (int64, error) {
	name, size, err := ps.tar.Next()
	switch {
	case errors.Is(err, io.EOF):
		return 0, code.New(code.EntryMissing, "the payload ends before this member").In(want, "").Want(want, "the end")
	case err != nil:
		return 0, in(err, ps.name)
	case name != want && slices.Contains([]string{memberEnvelope, memberRaw, memberSigstore}, name):
		return 0, code.New(code.TarOrder, "").In(ps.name, "").Want(want, name)
	case name != want:
		return 0, code.New(code.EntryMissing, "another member stands where this one must").In(want, "").Want(want, fmt.Sprintf("%q", name))
	case size > limit:
		return 0, code.New(over, "the member is over the limit").In(want, "size").Want(fmt.Sprint("at most ", limit, " bytes"), size)
	}
	return size, nil
}

// member reads one of them whole.
func (ps *pass) member(want string, limit int64, over code.Code) ([]byte, error) {
	size, err := ps.next(want, limit, over)
	if err != nil {
		return nil, err
	}
	b := make([]byte, size)
	if _, err := io.ReadFull(ps.tar, b); err != nil {
		return nil, in(err, ps.name)
	}
	return b, nil
}

// readEnvelope is the first step: nothing of the payload was parsed before it, and it parses nothing but the envelope.
func (ps *pass) readEnvelope() (*attest.Verified, error) {
	env, err := ps.member(memberEnvelope, manifestEnvelopeMax, code.ManifestLimit)
	if err != nil {
		return nil, err
	}
	v, err := ps.j.envelope(env, memberEnvelope, attest.TypeManifest)
	if err != nil {
		return nil, err
	}
	ps.payload = v.Payload()
	ps.b = &Bundle{envelope: env, id: v.PayloadDigest(), packing: ps.p}
	return v, nil
}

// readManifest parses the verified payload and judges who may say so, for whom, and whether the label says the same.
func (ps *pass) readManifest(v *attest.Verified) error {
	m, err := bundle.ParseManifest(ps.payload)
	if err != nil {
		return in(err, memberEnvelope)
	}
	ps.b.manifest = m
	ps.purpose = purpose{roles: []string{root.RoleBundle}, tenant: m.Tenant, origin: m.Appliance.ID, rootID: m.TrustRoot.ID}
	if ps.voice, err = ps.j.accept(v, ps.purpose, memberEnvelope); err != nil {
		return err
	}
	ps.b.voice = ps.voice
	for _, step := range []func(*bundle.Manifest) error{ps.checkOrigin, ps.checkLimits, ps.checkAudience, ps.checkLabel} {
		if err := step(m); err != nil {
			return err
		}
	}
	if got := bundle.RerunHash(m.Contents); got != m.RerunHash {
		return code.New(code.RerunHashBad, "").In(memberEnvelope, "rerunHash").Want(m.RerunHash, got)
	}
	return ps.j.until(m.NotAfter, memberEnvelope)
}

// checkOrigin: a manifest speaks for its signer only.
func (ps *pass) checkOrigin(m *bundle.Manifest) error {
	for i, f := range m.Feeds {
		if f.Origin != m.Appliance.ID {
			return code.New(code.OriginMismatch, "").In(memberEnvelope, fmt.Sprintf("feeds[%d].origin", i)).Want(m.Appliance.ID, f.Origin)
		}
	}
	return nil
}

func (ps *pass) checkLimits(m *bundle.Manifest) error {
	if most := ps.o.Limits.Entries; most > 0 && len(m.Contents) > most || len(m.Contents) > bundle.MaxContents {
		return code.New(code.ManifestLimit, "too many entries").In(memberEnvelope, "contents").Want(most, len(m.Contents))
	}
	var sum int64
	for _, c := range m.Contents {
		sum += c.Bytes
	}
	if most := ps.o.Limits.Bytes; most > 0 && sum > most {
		return code.New(code.ManifestLimit, "too many bytes").In(memberEnvelope, "contents").Want(most, sum)
	}
	return nil
}

func (ps *pass) checkAudience(m *bundle.Manifest) error {
	if ps.o.Audience == "" || slices.Contains(m.Audience, ps.o.Audience) || slices.Contains(m.Audience, "*") {
		return nil
	}
	return code.New(code.WrongAudience, "").In(memberEnvelope, "audience").Want(ps.o.Audience, fmt.Sprint(m.Audience))
}

// checkLabel demands that every field the label repeats is the manifest's.
func (ps *pass) checkLabel(m *bundle.Manifest) error {
	if ps.p == nil {
		return nil
	}
	l := ps.p.label
	for _, f := range []struct {
		name        string
		label, real any
	}{
		{"bundleId", l.BundleID, ps.b.id},
		{"name", l.Name, m.ExportID},
		{"kind", l.Kind, m.Profile.Kind},
		{"variant", l.Variant, m.Profile.Variant},
		{"tenant", l.Tenant, m.Tenant},
		{"appliance", l.Appliance, m.Appliance},
		{"notAfter", l.NotAfter, m.NotAfter},
	} {
		if f.label != f.real {
			return code.New(code.LabelMismatch, "").In(ps.p.dir, f.name).Want(fmt.Sprintf("%q as in the manifest", fmt.Sprint(f.real)), fmt.Sprintf("%q", fmt.Sprint(f.label)))
		}
	}
	for _, a := range l.For {
		if !slices.Contains(m.Audience, a.ID) && !slices.Contains(m.Audience, "*") {
			return code.New(code.LabelMismatch, "the label names an addressee the manifest does not").In(ps.p.dir, "for").Want(fmt.Sprint(m.Audience), a.ID)
		}
	}
	if m.Challenge != "" && l.Sealed.Mode == bundle.SealNone {
		return code.New(code.LabelMismatch, "a bundle with a challenge lies here unsealed").In(ps.p.dir, "sealed.mode").Want("age or dare", l.Sealed.Mode)
	}
	return nil
}

// readCopies: the decision was made on the envelope alone; the copies for stock tools must say exactly the same.
func (ps *pass) readCopies() error {
	clear := ps.b.manifest.Profile.Kind + "/export.json"
	if err := ps.readClear(clear); err != nil {
		return err
	}
	sig, err := ps.member(memberRaw, smallMax, code.RawSignature)
	if err != nil {
		return err
	}
	key, err := ps.rawSigner(ps.payload, sig)
	if err != nil {
		return in(err, memberRaw)
	}
	got, err := ps.member(memberSigstore, smallMax, code.SigstoreBad)
	if err != nil {
		return err
	}
	ps.b.front = []Member{{memberEnvelope, ps.b.envelope}, {clear, ps.payload}, {memberRaw, sig}, {memberSigstore, got}}
	der, err := attest.DecodeRaw(sig)
	if err != nil {
		return in(err, memberRaw)
	}
	want, err := attest.SigstoreBundle(key, ps.b.id, der)
	if err != nil {
		return in(err, memberSigstore)
	}
	if !bytes.Equal(got, want) {
		return code.New(code.SigstoreBad, "").In(memberSigstore, "").Want(digest.Of(want), digest.Of(got))
	}
	return nil
}

// readClear compares the clear copy of the manifest with the payload that was verified, without keeping it.
func (ps *pass) readClear(name string) error {
	size, err := ps.next(name, bundle.MaxManifest, code.ManifestLimit)
	if err != nil {
		return err
	}
	same, rest, buf := size == int64(len(ps.payload)), ps.payload, make([]byte, 64<<10)
	for same && len(rest) > 0 {
		n, err := ps.tar.Read(buf)
		if err != nil {
			return in(err, ps.name)
		}
		same, rest = bytes.HasPrefix(rest, buf[:n]), rest[min(n, len(rest)):]
	}
	if !same {
		return code.New(code.ManifestBad, "this copy of the manifest is not the one that was signed").In(name, "").
			Want(ps.b.id, fmt.Sprint(size, " other bytes"))
	}
	return nil
}

// rawSigner finds which of the accepted signers made the raw signature: strict DER, so by an ECDSA key.
func (ps *pass) rawSigner(payload, sig []byte) (*attest.Key, error) {
	var why error
	for _, k := range ps.voice.keys {
		err := attest.VerifyRaw(k, payload, sig)
		if err == nil && k.Alg() != attest.ECDSA {
			err = code.New(code.RawSignature, "a manifest is signed with a bundle key").Want(attest.ECDSA, k.Alg())
		}
		if err == nil {
			ps.b.voice.keys = []*attest.Key{k}
			return k, nil
		}
		why = err
	}
	return nil, why
}

// judgeTimes is the last step: with the anchor read, everything that has a date is judged once, with one reading.
func (ps *pass) judgeTimes() error {
	m := ps.b.manifest
	if err := ps.readAnchor(); err != nil {
		return err
	}
	ps.b.now = ps.j.now
	if err := ps.j.again(ps.voice, ps.purpose, memberEnvelope); err != nil {
		return err
	}
	if ps.p != nil {
		if err := ps.j.again(ps.p.voice, ps.p.purpose, ps.p.dir); err != nil {
			return err
		}
	}
	if err := ps.j.until(m.NotAfter, memberEnvelope); err != nil {
		return err
	}
	return ps.notYet(m)
}
