package intake

// TrustRequest asks to look at the changes of trust that lie on a medium, to propose them, or to approve and make one.
type TrustRequest struct {
	Path    string
	Peer    string // "": every peer that the medium has a change of
	Approve string // digest of the plan this person says yes to; "" proposes
	Reason  string
	Actor   string
	Role    string // "" is operator
	Lone    bool   // the actor is root that nobody signed in to start: never the second person
}

// TrustPlan is what a medium would change in what we believe of one peer. Old stands before new in every line of Changes.
type TrustPlan struct {
	Digest      string   `json:"digest,omitempty"` // approvals bind to this; "" when nothing can be decided
	Peer        string   `json:"peer"`
	ID          string   `json:"id"`
	Tenant      string   `json:"tenant"`
	Fingerprint string   `json:"fingerprint"` // root id, which no change of trust changes
	From        int64    `json:"from"`        // root version held here
	To          int64    `json:"to"`
	Changes     []string `json:"changes,omitempty"`
	Need        int      `json:"need"`             // people who must say yes
	People      []string `json:"people,omitempty"` // who has
	ExpiresAt   string   `json:"expiresAt,omitempty"`
	Applied     bool     `json:"applied"`
	Code        string   `json:"code,omitempty"` // why it is refused
	Reason      string   `json:"reason,omitempty"`
	Next        string   `json:"next,omitempty"`
	Sentence    string   `json:"sentence"`
}

// TrustResult is all changes of trust of one medium.
type TrustResult struct {
	Plans    []TrustPlan `json:"plans"`
	Sentence string      `json:"sentence"`
}

// KeyRequest asks to exchange one of our own keys, to revoke one, or to approve and make such a change.
type KeyRequest struct {
	Kind     string   // bundle, appliance or age: exchange it; "" with KeyID: revoke
	KeyID    string   // of the key to revoke
	Tenant   string   // of a bundle key; "" when there is only one
	Overlap  int64    // seconds that the old key stays valid; 0 is 90 days
	RootKeys [][]byte // PEM of root keys that are kept offline; never stored
	Approve  string   // digest of the change this person says yes to
	Reason   string
	Actor    string
	Role     string
	Lone     bool
}

// KeyPlan is a change of our own keys.
type KeyPlan struct {
	Digest    string   `json:"digest"`
	Kind      string   `json:"kind"` // bundle, appliance, age, root
	What      string   `json:"what"` // rotate, revoke, renew
	Tenant    string   `json:"tenant,omitempty"`
	Old       string   `json:"old,omitempty"` // key id or recipient
	New       string   `json:"new,omitempty"`
	From      int64    `json:"from"` // our root version now
	To        int64    `json:"to"`   // after the change; the same for age
	Changes   []string `json:"changes"`
	Need      int      `json:"need"`
	People    []string `json:"people,omitempty"`
	ExpiresAt string   `json:"expiresAt,omitempty"`
	Offline   bool     `json:"offline,omitempty"` // the root key is not here: it must be brought with the approval
	Applied   bool     `json:"applied"`
	Sentence  string   `json:"sentence"`
}

// KeyRow is one key of a trust root, or one of our age recipients.
type KeyRow struct {
	Kind     string   `json:"kind"` // root, bundle, pack, appliance, anchor, release, age
	KeyID    string   `json:"keyid"`
	Words    string   `json:"words,omitempty"`
	Tenants  []string `json:"tenants,omitempty"`
	State    string   `json:"state"` // in use, previous, revoked, expired, valid
	NotAfter string   `json:"notAfter,omitempty"`
	Here     bool     `json:"here"` // the private half lies in this appliance
}

// TrustView is what we believe of one appliance, and since which version of its root.
type TrustView struct {
	Name        string   `json:"name"`
	ID          string   `json:"id"`
	Own         bool     `json:"own,omitempty"`
	Fingerprint string   `json:"fingerprint"`
	Words       string   `json:"words"`
	Version     int64    `json:"version"`
	Mark        int64    `json:"mark"` // newest version ever accepted; above Version after a restored backup
	NotAfter    string   `json:"notAfter"`
	Recipient   string   `json:"recipient,omitempty"`
	Keys        []KeyRow `json:"keys"`
	How         string   `json:"how,omitempty"`
	By          string   `json:"by,omitempty"`
	At          string   `json:"at,omitempty"`
	Warning     string   `json:"warning,omitempty"`
}
