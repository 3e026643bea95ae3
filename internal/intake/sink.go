package intake

import (
	"bytes"
	"fmt"
	"io"

	"sallyport/internal/bundle"
	"sallyport/internal/cas"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/ident"
	"sallyport/internal/peer"
	"sallyport/internal/verify"
)

// sink takes the contents of one bundle from the gate into a staging area of the content store, and refuses as soon as
// the manifest is known what cannot be accepted. Nothing it holds is visible to anyone.
type sink struct {
	room    *Room
	circle  *circle
	label   *bundle.Label
	judge   func(ident.FeedRef, bundle.FeedState) (offer, error)
	base    func(*bundle.Manifest, *offer) error // finds what a delta is applied to
	merging func(*bundle.Manifest, *offer) int64 // bytes
	stage   *cas.Stage

	peer    peer.Peer
	offers  []offer         // by position in the manifest's feeds
	staged  map[string]blob // by path
	anchor  bytes.Buffer    // the envelope of the time anchor
	current *cas.Writer
	content bundle.Content
	release []func()
	space   int64
}

// blob is one content in staging.
type blob struct {
	digest digest.Digest
	bytes  int64
}

// layerShare is the space a layer takes at most, as a share of the bytes it indexes (1/3), reserved with them.
const layerShare = 3

// Begin binds the bundle to a peer and a tenant, looks at the marks and reserves what the contents need.
func (s *sink) Begin(b *verify.Bundle) (err error) {
	if err := s.closeCurrent(); err != nil {
		return err
	}
	m := b.Manifest()
	if s.peer, err = s.circle.of(b.Root()); err != nil {
		return err
	}
	if m.Appliance.ID == s.circle.selfID {
		return code.New(code.OriginMismatch, "this bundle claims to come from this appliance").In(m.ExportID, "appliance")
	}
	if m.Appliance.ID != s.peer.ID {
		return code.New(code.OriginMismatch, "").In(m.ExportID, "appliance").Want(s.peer.ID, m.Appliance.ID)
	}
	if m.Tenant != s.peer.TheirTenant {
		return code.New(code.WrongTenant, "").In(m.ExportID, "tenant").Want(s.peer.TheirTenant, m.Tenant)
	}
	if err := s.judgeFeeds(m); err != nil {
		return err
	}
	for i := range s.offers { // after the marks of all feeds: what is old or forked is never a missing base
		if err := s.base(m, &s.offers[i]); err != nil {
			return err
		}
	}
	return s.reserve(m)
}

func (s *sink) judgeFeeds(m *bundle.Manifest) error {
	for _, f := range m.Feeds {
		o, err := s.judge(ident.FeedRef{Tenant: s.peer.Tenant, Origin: f.Origin, Name: f.Feed}, f)
		if err != nil {
			return err
		}
		s.offers = append(s.offers, o)
	}
	return nil
}

// reserve asks for the bytes of the contents that are kept, beyond what the label asked for already.
func (s *sink) reserve(m *bundle.Manifest) error {
	var need, indexed int64
	for _, c := range m.Contents {
		if s.wanted(c) {
			need += c.Bytes
		}
		if c.Role == bundle.RoleShard {
			indexed += c.Bytes
		}
	}
	s.space = need + indexed/layerShare
	for i := range s.offers {
		s.space += s.merging(m, &s.offers[i])
	}
	if s.space <= s.label.Bytes {
		return nil
	}
	release, err := s.room.CAS.Reserve(s.space - s.label.Bytes)
	if err != nil {
		return fmt.Errorf("reserve space for %s: %w", m.ExportID, err)
	}
	s.release = append(s.release, release)
	return nil
}

// wanted tells whether a content is kept while it passes: what a new feed is made of, and the papers of an outbound bundle.
func (s *sink) wanted(c bundle.Content) bool {
	switch c.Role {
	case bundle.RoleReceipt, bundle.RoleInventory:
		return s.label.Kind == kindOutbound
	case bundle.RoleShard, bundle.RoleIndex, bundle.RoleDocument, bundle.RoleTombstones:
		return c.Feed != nil && int(*c.Feed) < len(s.offers) && s.offers[*c.Feed].fresh()
	}
	return false
}

// Entry gives the writer for the next content; the one before is complete.
func (s *sink) Entry(c bundle.Content) (io.Writer, error) {
	if err := s.closeCurrent(); err != nil {
		return nil, err
	}
	if c.Role == bundle.RoleAnchor && c.Bytes <= maxPaper {
		return &s.anchor, nil
	}
	if !s.wanted(c) {
		return nil, nil
	}
	w, err := s.stage.Create()
	if err != nil {
		return nil, fmt.Errorf("stage %s: %w", c.Path, err)
	}
	s.current, s.content = w, c
	return w, nil
}

// closeCurrent ends the content that was being written. The gate compares digests too; this is the store's own count.
func (s *sink) closeCurrent() error {
	if s.current == nil {
		return nil
	}
	w, c := s.current, s.content
	s.current = nil
	d, n, err := w.Close()
	if err != nil {
		return fmt.Errorf("stage %s: %w", c.Path, err)
	}
	if d != c.Digest || n != c.Bytes {
		return code.New(code.EntryDigest, "").In(c.Path, "").Want(c.Digest, d)
	}
	s.staged[c.Path] = blob{d, n}
	return nil
}

// put stages bytes of our own.
func (s *sink) put(b []byte) (digest.Digest, error) {
	w, err := s.stage.Create()
	if err != nil {
		return digest.Digest{}, err
	}
	if _, err := w.Write(b); err != nil {
		w.Abort()
		return digest.Digest{}, err
	}
	d, _, err := w.Close()
	return d, err
}

// drop gives everything back.
func (s *sink) drop() {
	if s.current != nil {
		s.current.Abort()
		s.current = nil
	}
	if s.stage != nil {
		s.stage.Discard()
	}
	for i := range s.offers {
		s.offers[i].drop()
	}
	for _, f := range s.release {
		f()
	}
	s.release = nil
}
