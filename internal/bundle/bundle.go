// Package bundle is the format of everything that crosses the gap: manifest, label, card, inventory, receipt, anchor, index lines,
// state roots, names and paths (20-bundle-format, normative).
//
// Data: no files of its own. Each document is canonical JSON that begins with Header, is signed as a DSSE payload of the type its
// schema names, and is identified by the digest of that payload:
//
//	Manifest   what is inside a bundle, entry by entry       its digest is the bundle id
//	Label      the outer bytes of one packing of it          its digest is the label id
//	Card       who an appliance is                           Inventory  what a site holds
//	Receipt    the answer to a bundle                        Anchor     what time it is
//
// Order: Encode fills what is constant and refuses what Parse would refuse; Parse checks size, canonical form, types and then the
// document's own rules, and is called on verified payloads only. Whether a document may be believed (keys, tenant, marks, time) is
// not judged here. Pure functions, a crash leaves nothing.
package bundle

import (
	"crypto/sha256"
	"fmt"
	"slices"

	"sallyport/internal/digest"
)

// MinReader is the first software version that reads everything this package writes.
const MinReader = "0.1.0"

// Version is the version of all formats here.
const Version = 1

// The roles of contents.
const (
	RoleIndex      = "index"
	RoleShard      = "shard"
	RoleDocument   = "document"
	RoleTombstones = "tombstones"
	RoleDatabase   = "database"
	RoleReceipt    = "receipt"
	RoleInventory  = "inventory"
	RoleEvidence   = "evidence"
	RoleTimeline   = "timeline"
	RoleAnchor     = "anchor"
	RoleSignature  = "signature"
	RoleInfo       = "info"
)

// Limits of what we write and read ("Reader's limits"). Readers may be set lower, never higher.
const (
	MaxLabel    = 1 << 20 // also of cards, inventories, receipts and anchors
	MaxManifest = 8 << 20
	MaxContents = 50_000
	MaxFeeds    = 1000
	MaxVolumes  = 4096
	MaxVolume   = 4<<30 - 1
	VolumeBytes = 1 << 30 // the default
	MaxNumber   = 1<<53 - 1
	MaxLine     = 1 << 20
	MaxKey      = 1024
	MaxText     = 256
	MaxNote     = 64 << 10
)

// RerunHash is the SHA-256 over the sorted lines `path NUL digest LF` of the contents that are not volatile.
func RerunHash(contents []Content) digest.Digest {
	var stable []Content
	for _, c := range contents {
		if !c.Volatile {
			stable = append(stable, c)
		}
	}
	slices.SortFunc(stable, func(a, b Content) int { return compare(a.Path, b.Path) })
	h := sha256.New()
	for _, c := range stable {
		fmt.Fprintf(h, "%s\x00%s\n", c.Path, c.Digest)
	}
	return digest.Sum(h)
}

func compare(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}
