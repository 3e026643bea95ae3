package courier

import (
	"fmt"

	"sallyport/internal/attest"
	"sallyport/internal/bundle"
	"sallyport/internal/clock"
	"sallyport/internal/root"
	"sallyport/internal/verify"
)

// signerOf describes a key that counts, and the root it counts under.
func signerOf(k *attest.Key, r *root.Trusted) *signer {
	s := &signer{KeyID: k.ID(), Fingerprint: k.Fingerprint().Hex(), Words: k.Words(), Trusted: true}
	if r != nil {
		s.Root = fmt.Sprintf("%s version %d", r.ID().Hex(), r.Version())
	}
	return s
}

// label copies what a label says.
func (it *item) label(l *bundle.Label, id string) {
	it.Name, it.Tenant, it.Origin, it.OriginName = l.Name, l.Tenant, l.Appliance.ID, l.Appliance.Name
	it.Created, it.Sealed, it.BundleID, it.LabelID = l.CreatedAt, l.Sealed.Mode, l.BundleID.String(), id
	it.Volumes, it.Bytes = len(l.Volumes), l.Bytes
	if l.Packer.ID != l.Appliance.ID {
		it.Packer = l.Packer.ID
	}
	for _, a := range l.For {
		it.For = append(it.For, a.Name)
	}
}

// packer is who signed the outer bytes: the origin by its name, a relay by its id, for the label names no other.
func packer(l *bundle.Label) string {
	if l.Packer.ID != l.Appliance.ID {
		return l.Packer.ID
	}
	return l.Appliance.Name
}

// packing copies what a verified label says.
func (it *item) packing(p *verify.Packing) {
	it.label(p.Label(), p.ID().String())
	it.Unlisted = cleanEach(p.Unlisted())
	it.Signer = signerOf(p.Signer(), p.Root())
}

// contents is the verdict on a bundle that was opened and holds.
func (it *item) contents(b *verify.Bundle) {
	m := b.Manifest()
	it.Verdict, it.Exit = verified, 0
	it.Sentence = fmt.Sprintf("VERIFIED: everything inside is as %s (%s) signed it.", m.Tenant, m.Appliance.Name)
	it.Name, it.Tenant, it.Origin, it.OriginName = m.ExportID, m.Tenant, m.Appliance.ID, m.Appliance.Name
	it.Created, it.BundleID = m.GeneratedAt, b.ID().String()
	it.Entries, it.Contents, it.Records = b.Stats().Entries, b.Stats().Bytes, b.Stats().Records
	it.Signer = signerOf(b.Signer(), b.Root())
	for _, f := range m.Feeds {
		it.Feeds = append(it.Feeds, feed{f.Feed, f.Epoch, f.Generation, f.Records, f.StateRoot.String()})
	}
	if a := b.Anchor(); a != nil {
		it.Anchor = a.AnchorTime
	}
	it.Checked = append(it.Checked, "signature of the manifest, its raw copy and its Sigstore bundle")
	it.Checked = append(it.Checked, fmt.Sprintf("all %d entries: order, size, digest; nothing is missing, nothing is extra", b.Stats().Entries))
	if b.Rooted() {
		it.Checked = append(it.Checked, "every record against the index, and the state root of every feed")
	} else if len(m.Feeds) > 0 && m.Delta == nil {
		it.NotChecked = append(it.NotChecked, "state roots: a bundle of this kind does not carry whole feeds")
	} else if len(m.Feeds) > 0 {
		it.NotChecked = append(it.NotChecked, "state roots: they come out only on the base this delta is applied to")
	}
	if p := b.Packing(); p != nil {
		it.Checked = append(it.Checked, fmt.Sprintf("signature of the label, all %d volume(s), both sheets; label and manifest say the same", len(p.Label().Volumes)))
	}
}

// limits says what a verdict does not cover.
func (e *errand) limits(it *item, keyMode bool, b *verify.Bundle) {
	if b != nil {
		it.NotChecked = append(it.NotChecked, "audience: whether it is meant for this site is judged at import")
	}
	if keyMode {
		it.NotChecked = append(it.NotChecked, "revocation, scope, time and marks: a bare key says nothing of them")
	} else {
		it.Checked = append(it.Checked, "role, scope and revocation of the signer's key")
		if b != nil && !b.Now().IsZero() {
			it.Checked = append(it.Checked, "dates, by the bundle's own time anchor "+clock.Format(b.Now()))
		} else {
			it.NotChecked = append(it.NotChecked, "dates: nothing here proves what time it is")
		}
		it.NotChecked = append(it.NotChecked, "marks: whether a newer one was accepted before is known at the site alone")
	}
}

// signed is the verdict on a paper that holds.
func (it *item) signed(s *verify.Signed) error {
	it.Verdict, it.Exit = verified, 0
	if k := s.Signer(); k != nil {
		it.Signer = signerOf(k, s.Root())
	} else if r := s.Root(); r != nil {
		it.Signer = &signer{KeyID: fmt.Sprintf("root keys of version %d", r.Version()), Words: r.Words(), Root: r.ID().Hex(), Trusted: true}
	}
	who, err := it.speaker(s)
	if err != nil {
		return err
	}
	it.Sentence = fmt.Sprintf("VERIFIED: everything inside is as %s signed it.", who)
	it.Checked = append(it.Checked, "signature and form of this "+it.What)
	return nil
}

// speaker is whose word a paper is, and copies what it says of itself.
func (it *item) speaker(s *verify.Signed) (string, error) {
	switch s.Type() {
	case attest.TypeCard:
		c, err := bundle.ParseCard(s.Payload())
		if err != nil {
			return "", err
		}
		it.Origin, it.OriginName, it.Created = c.Appliance.ID, c.Appliance.Name, c.IssuedAt
		return c.Appliance.Name + " (" + c.Appliance.ID + ")", nil
	case attest.TypeReceipt:
		r, err := bundle.ParseReceipt(s.Payload())
		if err != nil {
			return "", err
		}
		it.Tenant, it.Origin, it.OriginName, it.BundleID, it.LabelID = r.Tenant, r.Issuer.ID, r.Issuer.Name, r.BundleID.String(), ""
		return r.Tenant + " (" + r.Issuer.Name + ")", nil
	case attest.TypeInventory:
		i, err := bundle.ParseInventory(s.Payload())
		if err != nil {
			return "", err
		}
		it.Tenant, it.Origin, it.OriginName, it.Created = i.Tenant, i.Issuer.ID, i.Issuer.Name, i.IssuedAt
		return i.Tenant + " (" + i.Issuer.Name + ")", nil
	case attest.TypeAnchor:
		a, err := bundle.ParseAnchor(s.Payload())
		if err != nil {
			return "", err
		}
		it.Created, it.Anchor = a.IssuedAt, a.AnchorTime
		return "the anchor key " + s.Signer().ID(), nil
	}
	return "the root keys", nil
}

// paperName is what a payload type is called.
func paperName(payloadType string) string {
	for _, n := range []struct{ t, name string }{
		{attest.TypeCard, "card"},
		{attest.TypeReceipt, "receipt"},
		{attest.TypeInventory, "inventory"},
		{attest.TypeAnchor, "anchor"},
		{attest.TypeRoot, "root"},
		{attest.TypeManifest, "manifest"},
		{attest.TypeLabel, "label"},
	} {
		if n.t == payloadType {
			return n.name
		}
	}
	return "paper"
}

// lonely settles the case of an identity that opened nothing: on a stick with bundles for several sites the others stay
// closed without that being a fault, as long as one was opened.
func (e *errand) lonely(r *report) {
	opened := false
	for _, it := range r.Items {
		opened = opened || it.Verdict == verified
	}
	for _, it := range r.Items {
		if opened && it.Verdict == intact {
			it.Error, it.Exit = nil, 0
		}
	}
}
