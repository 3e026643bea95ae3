// Package root is the trust root document: who may sign what, and the rule by which one version follows another.
//
// Data: one DSSE envelope per version, payload type attest.TypeRoot, whose payload is Document in canonical JSON. The root id is the
// digest of version 1's payload; versions belong to a root id. Six roles each name keys and how many of them it takes; a key counts
// only inside its role, its scope (tenants, origins), its dates and before its revocation (30-trust-and-time, "Trust root document").
//
// Order: form and types, the document's own rules, then signatures: version 1 by its own threshold of root keys, version N+1 by the
// threshold of N and of N+1, exactly one step. An expired version still lets its successor in. Documents come from media and are
// attacker-controlled. Pure functions; what was accepted is remembered by others, a crash leaves nothing.
package root

import (
	"encoding/json"
	"slices"
	"time"

	"sallyport/internal/attest"
	"sallyport/internal/clock"
	"sallyport/internal/digest"
)

// The roles of a trust root (30-trust-and-time).
const (
	RoleRoot      = "root"
	RoleBundle    = "bundle"
	RolePack      = "pack" // a bundle key has it too
	RoleAppliance = "appliance"
	RoleAnchor    = "anchor"
	RoleRelease   = "release"
)

// Any in a scope stands for every tenant or every origin.
const Any = "*"

// Limits of a document and of a chain.
const (
	MaxDocument = 1 << 20
	MaxChain    = 64 // versions in a row
	MaxKeys     = 256
)

// Roles lists the six roles, ascending. Every document has all of them.
func Roles() []string {
	return []string{RoleAnchor, RoleAppliance, RoleBundle, RolePack, RoleRelease, RoleRoot}
}

// Document is the payload of a trust root. New fills Schema, Version and what is nil, and sorts every list.
type Document struct {
	Schema      string                     `json:"schema"`
	Version     int64                      `json:"version"` // of the format: 1
	MinReader   string                     `json:"minReader,omitempty"`
	Ext         map[string]json.RawMessage `json:"ext,omitempty"`
	Critical    []string                   `json:"critical,omitempty"`
	RootVersion int64                      `json:"rootVersion"`     // N, from 1
	RootID      digest.Digest              `json:"rootId,omitzero"` // digest of version 1's payload; absent in version 1
	Roles       map[string]Role            `json:"roles"`           // all six
	Keys        []KeyEntry                 `json:"keys"`            // ascending by keyid
	Revoked     []Revocation               `json:"revoked"`         // ascending by keyid
	FeedEpochs  []FeedEpoch                `json:"feedEpochs"`      // ascending by tenant, origin, feed
	TimeEpoch   int64                      `json:"timeEpoch"`
	NotAfter    string                     `json:"notAfter"`
}

// Role says how many of which keys it takes. A role without keys has threshold 1 and is filled by nobody.
type Role struct {
	Threshold int64    `json:"threshold"`
	KeyIDs    []string `json:"keyids"` // ascending
}

// KeyEntry is one public key with where and when it counts.
type KeyEntry struct {
	KeyID     string `json:"keyid"`
	Alg       string `json:"alg"`    // attest.ECDSA or attest.Ed25519
	Public    string `json:"public"` // padded base64 of the DER SubjectPublicKeyInfo
	Scope     Scope  `json:"scope"`
	NotBefore string `json:"notBefore"`
	NotAfter  string `json:"notAfter"`
}

// Scope lists tenants and origin appliance ids a key may speak for, ascending; Any alone stands for all, an empty list for none.
type Scope struct {
	Tenants []string `json:"tenants"`
	Origins []string `json:"origins"`
}

// Revocation ends a key from a moment on.
type Revocation struct {
	KeyID string `json:"keyid"`
	From  string `json:"from"`
}

// FeedEpoch names the epoch of a feed whose origin had to be restored.
type FeedEpoch struct {
	Tenant string `json:"tenant"`
	Origin string `json:"origin"`
	Feed   string `json:"feed"`
	Epoch  int64  `json:"epoch"`
}

// Entry describes a key for a Document.
func Entry(k *attest.Key, scope Scope, notBefore, notAfter time.Time) KeyEntry {
	return KeyEntry{
		KeyID: k.ID(), Alg: k.Alg(), Public: k.Text(),
		Scope:     Scope{Tenants: ascending(scope.Tenants), Origins: ascending(scope.Origins)},
		NotBefore: clock.Format(notBefore), NotAfter: clock.Format(notAfter),
	}
}

// ascending is a sorted copy without repetitions, never nil.
func ascending(in []string) []string {
	out := append([]string{}, in...)
	slices.Sort(out)
	return slices.Compact(out)
}
