package bundle

import (
	"fmt"

	"sallyport/internal/attest"
	"sallyport/internal/code"
	"sallyport/internal/digest"
)

// Manifest says what is inside a bundle, entry by entry (20-bundle-format, "Manifest").
type Manifest struct {
	Header
	ExportID    string          `json:"exportId"` // NAME
	RunID       string          `json:"runId"`
	Tenant      string          `json:"tenant"`
	Appliance   Appliance       `json:"appliance"`
	Audience    []string        `json:"audience"` // appliance ids ascending, or "*" alone
	Profile     Profile         `json:"profile"`
	GeneratedAt string          `json:"generatedAt"`
	NotAfter    string          `json:"notAfter,omitempty"`
	TrustRoot   TrustRoot       `json:"trustRoot"`
	Anchor      digest.Digest   `json:"anchor,omitzero"` // of the content with role `anchor`
	Compat      *Compat         `json:"compat,omitempty"`
	RerunHash   digest.Digest   `json:"rerunHash"`
	Log         Log             `json:"log"`
	Acks        []digest.Digest `json:"acks,omitempty"`      // payload digests of receipts and inventories taken in
	Challenge   string          `json:"challenge,omitempty"` // 32 hex, sealed bundles only
	Feeds       []FeedState     `json:"feeds"`               // ascending by feed name
	Delta       *Delta          `json:"delta,omitempty"`
	Contents    []Content       `json:"contents"` // ascending by path
}

// Profile is the profile revision a bundle was made by.
type Profile struct {
	Kind     string `json:"kind"`    // mirror, trivy, json, outbound, …: K, the folder of export.json
	Variant  string `json:"variant"` // full, delta, …
	Name     string `json:"name"`
	Revision int64  `json:"revision"`
}

// TrustRoot names the root document version the signer wrote under.
type TrustRoot struct {
	ID      digest.Digest `json:"id"`
	Version int64         `json:"version"`
}

// Compat says what a reader's own tools must understand.
type Compat struct {
	TrivyDBSchema *int64 `json:"trivyDbSchema,omitempty"`
}

// Log is the section of the writer's timeline a bundle or receipt carries.
type Log struct {
	Checkpoint string          `json:"checkpoint"`     // C2SP signed note
	From       *Head           `json:"from,omitempty"` // the head the addressee last acknowledged
	Proof      []digest.Digest `json:"proof"`          // RFC 6962 consistency proof from From to Checkpoint
}

// Head is a head of a timeline.
type Head struct {
	Size int64         `json:"size"`
	Root digest.Digest `json:"root"`
}

// FeedState is one feed of a bundle as it stands after the bundle.
type FeedState struct {
	Feed       string            `json:"feed"`
	Origin     string            `json:"origin"` // = appliance.id
	Epoch      int64             `json:"epoch"`
	Generation int64             `json:"generation"` // from 1
	StateRoot  digest.Digest     `json:"stateRoot"`
	Records    int64             `json:"records"` // live records
	Bases      []Base            `json:"bases,omitempty"`
	Counts     map[string]Counts `json:"counts,omitempty"` // by kind
	Derivation *Derivation       `json:"derivation,omitempty"`
}

// Base is a state this delta may be applied to.
type Base struct {
	Generation int64         `json:"generation"`
	StateRoot  digest.Digest `json:"stateRoot"`
}

// Counts are what changed against the newest base (or the generation before, in a full).
type Counts struct {
	Added   int64 `json:"added"`
	Changed int64 `json:"changed"`
	Removed int64 `json:"removed"`
}

// Derivation says which feed a derived feed was selected from.
type Derivation struct {
	Feed      string   `json:"feed"`
	Selectors []string `json:"selectors"` // ascending
}

// Delta is present in deltas only.
type Delta struct {
	ResetBaseline bool `json:"resetBaseline"`
}

// Content is one member of the payload behind the signatures.
type Content struct {
	Path        string        `json:"path"`
	Digest      digest.Digest `json:"digest"`
	Bytes       int64         `json:"bytes"`
	Role        string        `json:"role"`
	Kind        string        `json:"kind,omitempty"`    // of records: shards, documents, tombstones
	Feed        *int64        `json:"feed,omitempty"`    // position in Manifest.Feeds
	Records     *int64        `json:"records,omitempty"` // lines of a shard, index or tombstone file
	ContentType string        `json:"contentType"`
	Volatile    bool          `json:"volatile,omitempty"` // not part of RerunHash
}

// Roles lists the roles a content can have.
func Roles() []string {
	return []string{
		RoleIndex, RoleShard, RoleDocument, RoleTombstones, RoleDatabase, RoleReceipt, RoleInventory, RoleEvidence,
		RoleTimeline, RoleAnchor, RoleSignature, RoleInfo,
	}
}

// Encode writes the payload. It fills the header, lists that are nil, and RerunHash when it is zero; Contents and Feeds must already
// be in order.
func (m *Manifest) Encode() ([]byte, error) {
	m.fill(attest.TypeManifest)
	list(&m.Audience)
	list(&m.Log.Proof)
	list(&m.Feeds)
	list(&m.Contents)
	for i := range m.Feeds {
		if d := m.Feeds[i].Derivation; d != nil {
			list(&d.Selectors)
		}
	}
	if m.RerunHash.IsZero() {
		m.RerunHash = RerunHash(m.Contents)
	}
	return encode(MaxManifest, code.ManifestLimit, "manifest", m, m.check())
}

// ParseManifest reads a verified payload. Codes manifest-limit, manifest, origin-mismatch, rerun-hash, bad-time, tar-name and those
// of canon.Unmarshal.
func ParseManifest(payload []byte) (*Manifest, error) {
	m := &Manifest{}
	if err := decode(payload, MaxManifest, code.ManifestLimit, "manifest", m); err != nil {
		return nil, err
	}
	if err := m.check(); err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	return m, nil
}
