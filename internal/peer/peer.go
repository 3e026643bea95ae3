// Package peer is the ledger of other appliances: whom we know, why we trust them, and what they hold of ours.
//
// Data, tables of the state database:
//
//	peers       our name of the peer → Peer: appliance id, pinned root documents, card, tenant binding, what it holds
//	peer-ids    appliance id → name
//	peer-roots  root id → name
//
// Order: a room verifies a card, receipt, inventory or root document, and calls Add, Edit, Count or Know in its one
// transaction. Counters are raised there and, after the commit, in the marks file as well, so that a restored backup
// takes in nothing twice. A crash leaves the peer as it was before or after.
package peer

import (
	"fmt"
	"slices"
	"time"

	"sallyport/internal/clock"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/ident"
	"sallyport/internal/state"
)

// How trust in a root was made.
const (
	ByWords       = "words"
	ByFingerprint = "fingerprint"
	ByKit         = "kit"
	NotCompared   = "not compared"
)

// Trust is how and by whom first trust was made.
type Trust struct {
	How string `json:"how"`
	By  string `json:"by"`
	At  string `json:"at"`
}

// Where a view of a feed came from.
const (
	FromReceipt   = "receipt"
	FromInventory = "inventory" // whole: replaces what was known
	FromVoice     = "voice"
)

// Held is one state of one of our feeds that the peer says it holds.
type Held struct {
	Epoch      int64         `json:"epoch"`
	Generation int64         `json:"generation"`
	Root       digest.Digest `json:"root,omitzero"` // zero: nothing yet
}

// FeedView is what the peer last told us about one of our feeds.
type FeedView struct {
	Feed   string `json:"feed"`
	Held   []Held `json:"held,omitempty"`
	Active Held   `json:"active"`
	Mark   Held   `json:"mark"`
	Pinned bool   `json:"pinned,omitempty"`
	At     string `json:"at"`
	From   string `json:"from"` // FromReceipt, FromInventory, FromVoice
}

// Wanted is a bundle whose volumes the peer misses.
type Wanted struct {
	BundleID digest.Digest `json:"bundleId"`
	Volumes  []int64       `json:"volumes"`
}

// Reads is what the peer can read.
type Reads struct {
	BundleVersion  int64   `json:"bundleVersion"`
	TrivyDBSchemas []int64 `json:"trivyDbSchemas,omitempty"`
	Software       string  `json:"software,omitempty"`
}

// Peer is another appliance. Its root envelopes are what we trust; all else about it came signed under them, except
// Name, Tenant, TheirTenant and Trust, which are ours. Views is keyed by feed name.
type Peer struct {
	Name        string              `json:"name"`
	ID          string              `json:"id"`          // appliance id
	Tenant      string              `json:"tenant"`      // ours
	TheirTenant string              `json:"theirTenant"` // theirs, bound to ours
	RootID      digest.Digest       `json:"rootId"`
	Roots       [][]byte            `json:"roots"` // envelopes, version 1 first
	Card        []byte              `json:"card"`  // last accepted envelope
	KeyIDs      []string            `json:"keyids"`
	Recipient   string              `json:"recipient,omitempty"` // age
	Reads       Reads               `json:"reads"`
	Every       int64               `json:"everySeconds,omitempty"`
	Counters    map[string]int64    `json:"counters,omitempty"` // card, receipt, inventory: last taken in
	Trust       Trust               `json:"trust"`
	Views       map[string]FeedView `json:"views,omitempty"`
	Wanted      []Wanted            `json:"wanted,omitempty"`
	Log         *LogHead            `json:"log,omitempty"` // last head of OUR log that it reported
	LastReceipt string              `json:"lastReceipt,omitempty"`
	Unheard     bool                `json:"unheard,omitempty"` // this appliance was restored, and nothing of the peer was read since
	LastContact string              `json:"lastContact,omitempty"`
	CreatedAt   string              `json:"createdAt"`
}

// LogHead is a head of our timeline.
type LogHead struct {
	Size uint64        `json:"size"`
	Root digest.Digest `json:"root"`
}

var (
	peers = state.Table[Peer]{Name: "peers"}
	ids   = state.Table[string]{Name: "peer-ids"}
	roots = state.Table[string]{Name: "peer-roots"}
)

// Add stores a new peer. Name, appliance id and root must all be new (code conflict), at least one root document must
// be there, and Trust must say how its words were compared.
func Add(tx *state.Tx, p Peer, at time.Time) (Peer, error) {
	if err := p.check(); err != nil {
		return Peer{}, fmt.Errorf("add peer: %w", err)
	}
	_, named, err := peers.Get(tx, p.Name)
	if err != nil {
		return Peer{}, err
	}
	_, known, err := ids.Get(tx, p.ID)
	if err != nil {
		return Peer{}, err
	}
	_, rooted, err := roots.Get(tx, p.RootID.String())
	if err != nil {
		return Peer{}, err
	}
	if named || known || rooted {
		return Peer{}, code.New(code.Conflict, "add peer: %q, its appliance id or its root is known already", p.Name)
	}
	p.CreatedAt = clock.Format(at)
	if err := ids.Put(tx, p.ID, p.Name); err != nil {
		return Peer{}, err
	}
	if err := roots.Put(tx, p.RootID.String(), p.Name); err != nil {
		return Peer{}, err
	}
	return p, peers.Put(tx, p.Name, p)
}

func (p Peer) check() error {
	for _, name := range []string{p.Name, p.Tenant, p.TheirTenant} {
		if err := ident.Name(name); err != nil {
			return err
		}
	}
	if err := ident.Appliance(p.ID); err != nil {
		return err
	}
	if p.RootID.IsZero() || len(p.Roots) == 0 {
		return code.New(code.Bug, "no root document")
	}
	if !slices.Contains([]string{ByWords, ByFingerprint, ByKit, NotCompared}, p.Trust.How) {
		return code.New(code.Bug, "trust made by %q", p.Trust.How)
	}
	return nil
}

// Edit changes a peer; its name, appliance id and root id cannot change (replacing a peer is removing and adding).
func Edit(tx *state.Tx, name string, change func(*Peer) error) (Peer, error) {
	old, err := Get(tx, name)
	if err != nil {
		return Peer{}, err
	}
	p := old
	if err := change(&p); err != nil {
		return Peer{}, err
	}
	if p.Name != old.Name || p.ID != old.ID || p.RootID != old.RootID {
		return Peer{}, code.New(code.Bug, "edit peer %q: its identity cannot change", name)
	}
	if err := p.check(); err != nil {
		return Peer{}, fmt.Errorf("edit peer: %w", err)
	}
	return p, peers.Put(tx, name, p)
}

// Get reads a peer by our name for it; code not-found.
func Get(tx *state.Tx, name string) (Peer, error) {
	p, ok, err := peers.Get(tx, name)
	if err == nil && !ok {
		err = code.New(code.Missing, "no peer %q", name)
	}
	return p, err
}

// ByID reads a peer by its appliance id.
func ByID(tx *state.Tx, id string) (Peer, bool, error) { return by(tx, ids, id) }

// ByRoot reads the peer that pins a root.
func ByRoot(tx *state.Tx, rootID digest.Digest) (Peer, bool, error) {
	return by(tx, roots, rootID.String())
}

func by(tx *state.Tx, index state.Table[string], key string) (Peer, bool, error) {
	name, ok, err := index.Get(tx, key)
	if err != nil || !ok {
		return Peer{}, false, err
	}
	return peers.Get(tx, name)
}

// List lists all peers by name.
func List(tx *state.Tx) (all []Peer, err error) {
	err = peers.Scan(tx, "", func(_ string, p Peer) error {
		all = append(all, p)
		return nil
	})
	return all, err
}

// Remove forgets a peer; code not-found. What came from it stays attributed to its appliance id.
func Remove(tx *state.Tx, name string) error {
	p, err := Get(tx, name)
	if err != nil {
		return err
	}
	if err := ids.Delete(tx, p.ID); err != nil {
		return err
	}
	if err := roots.Delete(tx, p.RootID.String()); err != nil {
		return err
	}
	return peers.Delete(tx, name)
}
