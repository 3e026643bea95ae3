// Package outbound fills the payload of the way home: what a site sends its hub.
//
// Data: none of its own. What it puts into a payload (20-bundle-format, "Payload", "Card, inventory, receipt"):
//
//	outbound/receipts/R-nnnn.receipt.json   signed receipts the hub has not acknowledged yet
//	outbound/inventory.json                 the signed inventory of what this site holds of the hub's feeds
//
// The papers are signed documents of their own; the bundle around them seals them to the hub, orders them and carries the
// log section that makes the hub a witness.
//
// Order: the papers are signed by their room while the payload is made, once per attempt; nothing is pinned before. A
// crash leaves a paper counter that was used up.
package outbound

import (
	"context"
	"fmt"

	"sallyport/internal/bundle"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/export"
	"sallyport/internal/ident"
	"sallyport/internal/job"
	"sallyport/internal/state"
)

// Paper is one signed document: its DSSE envelope and the file name it gets.
type Paper struct {
	Name     string // "R-0042.receipt.json"
	Envelope []byte
}

// Papers are what a hub is told.
type Papers struct {
	Receipts  []Paper
	Inventory []byte // envelope; nil: none
}

// Site is the kind outbound:site.
type Site struct {
	// Papers signs what the peer of that name is to be told; wired to the room that keeps receipts.
	Papers func(ctx context.Context, hub string) (Papers, error)
	// Told is a digest of what Papers would say now, without counters and dates; nil: not noted.
	Told func(tx *state.Tx, hub string) (digest.Digest, error)
}

// Profile implements export.Kind.
func (Site) Profile() export.Profile {
	return export.Profile{Name: "outbound:site", Kind: "outbound", Variant: "site", Revision: 1, Internal: true}
}

// Pin notes what is told; an outbound bundle carries no feed.
func (s Site) Pin(tx *state.Tx, run *job.Run) (err error) {
	if s.Told == nil || len(run.Peers) != 1 {
		return nil
	}
	if run.Papers, err = s.Told(tx, run.Peers[0]); err != nil {
		return fmt.Errorf("pin papers for %s: %w", run.Peers[0], err)
	}
	return nil
}

// Members implements export.Kind.
func (s Site) Members(ctx context.Context, b *export.Build) (export.Contents, error) {
	req, err := b.Request()
	if err != nil {
		return export.Contents{}, err
	}
	if req.For == "" {
		return export.Contents{}, code.New(code.ExportInvalid, "an outbound bundle needs its hub")
	}
	papers, err := s.Papers(ctx, req.For)
	if err != nil {
		return export.Contents{}, fmt.Errorf("papers for %s: %w", req.For, err)
	}
	var out export.Contents
	add := func(path, role string, envelope []byte) error {
		c, err := b.PutBytes(bundle.Content{Path: path, Role: role, ContentType: "application/json"}, envelope)
		out.Members = append(out.Members, c)
		return err
	}
	for _, p := range papers.Receipts {
		if err := ident.File(lower(p.Name)); err != nil {
			return out, fmt.Errorf("receipt: %w", err)
		}
		if err := add("outbound/receipts/"+p.Name, bundle.RoleReceipt, p.Envelope); err != nil {
			return out, err
		}
	}
	if papers.Inventory != nil {
		if err := add("outbound/inventory.json", bundle.RoleInventory, papers.Inventory); err != nil {
			return out, err
		}
	}
	return out, nil
}

// lower lets the one capital of a receipt's number pass the rule for names on media.
func lower(name string) string {
	if len(name) > 1 && name[0] == 'R' {
		return "r" + name[1:]
	}
	return name
}
