package root

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"sallyport/internal/attest"
	"sallyport/internal/canon"
	"sallyport/internal/code"
)

// Successor makes version N+1 of a root: change edits a copy of version N, whose number, id and signatures are taken care of
// here. The signers are the root keys of N and of N+1; what they give is checked by Next before it is handed out, so a key that
// is missing, or a document that breaks a rule, is found where it is made. Codes as Next.
func Successor(prev *Trusted, change func(*Document) error, signers ...*attest.Signer) ([]byte, error) {
	doc, err := prev.edit(change)
	if err != nil {
		return nil, err
	}
	envelope, err := New(doc, signers...)
	if err != nil {
		return nil, fmt.Errorf("root version %d: %w", doc.RootVersion, err)
	}
	if _, err := prev.Next(envelope, time.Time{}); err != nil {
		return nil, fmt.Errorf("root version %d: %w", doc.RootVersion, err)
	}
	return envelope, nil
}

// edit is the document of version N+1, not filled yet.
func (t *Trusted) edit(change func(*Document) error) (Document, error) {
	doc := t.doc.clone()
	if err := change(&doc); err != nil {
		return doc, fmt.Errorf("root version %d: %w", t.Version()+1, err)
	}
	doc.RootVersion, doc.RootID = t.Version()+1, t.ID()
	return doc, nil
}

// Draft is the payload that Successor would sign, for people to agree to, and what it says. Nobody signed it.
func Draft(prev *Trusted, change func(*Document) error) (payload []byte, next Document, err error) {
	doc, err := prev.edit(change)
	if err != nil {
		return nil, doc, err
	}
	doc.fill()
	if _, err := doc.check(); err != nil {
		return nil, doc, fmt.Errorf("root version %d: %w", doc.RootVersion, err)
	}
	payload, err = canon.Marshal(doc)
	return payload, doc, err
}

// SignDraft signs the payload of a Draft: the same document, byte for byte. Codes as Successor.
func SignDraft(prev *Trusted, payload []byte, signers ...*attest.Signer) ([]byte, error) {
	doc, _, err := parse(payload)
	if err != nil {
		return nil, err
	}
	return Successor(prev, func(d *Document) error {
		if doc.RootVersion != prev.Version()+1 || doc.RootID != prev.ID() {
			return code.New(code.RootGap, "").In("", "rootVersion").Want(prev.Version()+1, doc.RootVersion)
		}
		*d = *doc
		return nil
	}, signers...)
}

// clone shares nothing with the document.
func (d *Document) clone() Document {
	c := *d
	c.Ext, c.Critical = maps.Clone(d.Ext), slices.Clone(d.Critical)
	c.Roles = map[string]Role{}
	for name, r := range d.Roles {
		c.Roles[name] = Role{Threshold: r.Threshold, KeyIDs: slices.Clone(r.KeyIDs)}
	}
	c.Keys = slices.Clone(d.Keys)
	for i, k := range c.Keys {
		c.Keys[i].Scope = Scope{Tenants: slices.Clone(k.Scope.Tenants), Origins: slices.Clone(k.Scope.Origins)}
	}
	c.Revoked, c.FeedEpochs = slices.Clone(d.Revoked), slices.Clone(d.FeedEpochs)
	return c
}

// SetEpoch names the epoch of a feed: one entry per feed, the new one counts.
func (d *Document) SetEpoch(e FeedEpoch) {
	for i, have := range d.FeedEpochs {
		if compareEpochs(have, e) == 0 {
			d.FeedEpochs[i].Epoch = e.Epoch
			return
		}
	}
	d.FeedEpochs = append(d.FeedEpochs, e)
}
