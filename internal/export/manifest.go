package export

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"

	"sallyport/internal/attest"
	"sallyport/internal/bundle"
	"sallyport/internal/code"
	"sallyport/internal/digest"
)

// head is the signed part of a payload: what stands before the contents.
type head struct {
	manifest *bundle.Manifest
	id       digest.Digest // bundle id: of payload
	payload  []byte
	first    []member // the four members that come before the contents
	outer    digest.Digest
}

// member is one small member that is held in memory.
type member struct {
	path string
	data []byte
}

// bytes is what the payload holds before it is packed, tar headers included: the space to reserve. Members that are not
// compressed yet come out smaller.
func (h *head) bytes() (n int64) {
	for _, m := range h.first {
		n += int64(len(m.data)) + 1536
	}
	for _, c := range h.manifest.Contents {
		n += c.Bytes + 1536
	}
	return n
}

// sign writes the manifest over all contents and signs it three times: as DSSE, as a plain signature and as a Sigstore
// bundle, so that mirror, openssl and cosign each find what they read.
func (w *work) sign(c Contents) (*head, error) {
	m, err := w.manifest(c)
	if err != nil {
		return nil, err
	}
	h := &head{manifest: m}
	if h.payload, err = m.Encode(); err != nil {
		return nil, in("adapter", fmt.Errorf("manifest: %w", err))
	}
	h.id = digest.Of(h.payload)
	env, err := attest.Sign(attest.TypeManifest, h.payload, w.signer)
	if err != nil {
		return nil, in("signing", err)
	}
	sig, err := attest.SignRaw(w.signer, h.payload)
	if err != nil {
		return nil, in("signing", err)
	}
	der, err := base64.StdEncoding.DecodeString(string(sig))
	if err != nil {
		return nil, in("signing", err)
	}
	stb, err := attest.SigstoreBundle(w.signer.Public(), h.id, der)
	if err != nil {
		return nil, in("signing", err)
	}
	h.first = []member{
		{"signatures/export.dsse.json", env},
		{m.Profile.Kind + "/export.json", h.payload},
		{"signatures/export.sig", sig},
		{"signatures/export.sigstore.json", stb},
	}
	return h, nil
}

func (w *work) manifest(c Contents) (*bundle.Manifest, error) {
	if n := len(c.Members); n > bundle.MaxContents {
		return nil, in("adapter", code.New(code.ManifestLimit, "too many documents for one bundle").Want(bundle.MaxContents, n))
	}
	slices.SortFunc(c.Members, func(a, b bundle.Content) int { return strings.Compare(a.Path, b.Path) })
	p := w.kind.Profile()
	m := &bundle.Manifest{
		ExportID: w.run.Name, RunID: w.run.ID, Tenant: w.run.Tenant,
		Appliance: bundle.Appliance{ID: w.Self.ID, Name: w.Self.Name}, Audience: []string{"*"},
		Profile:     bundle.Profile{Kind: p.Kind, Variant: p.Variant, Name: p.Name, Revision: p.Revision},
		GeneratedAt: w.when(), TrustRoot: bundle.TrustRoot{ID: w.root.ID(), Version: w.root.Version()},
		RerunHash: bundle.RerunHash(c.Members), Log: w.log, Acks: w.acks, Feeds: c.Feeds, Delta: c.Delta, Contents: c.Members,
	}
	if w.peer != nil {
		m.Audience = []string{w.peer.ID}
	}
	if m.Feeds == nil {
		m.Feeds = []bundle.FeedState{}
	}
	if !w.req.Unencrypted {
		m.Challenge = w.run.Challenge
	}
	for _, content := range c.Members {
		if content.Role == bundle.RoleAnchor {
			m.Anchor = content.Digest
		}
	}
	return m, nil
}
