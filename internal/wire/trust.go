package wire

// TrustRequest asks for trust/show (Peer), trust/plan and trust/apply.
type TrustRequest struct {
	Path    string `json:"path,omitempty"`
	Peer    string `json:"peer,omitempty"`
	Approve string `json:"approve,omitempty"`
	Reason  string `json:"reason,omitempty"`
}

// TrustPlan is what a medium would change in what we believe of one peer.
type TrustPlan struct {
	Digest      string   `json:"digest,omitempty"`
	Peer        string   `json:"peer"`
	ID          string   `json:"id"`
	Tenant      string   `json:"tenant"`
	Fingerprint string   `json:"fingerprint"`
	From        int64    `json:"from"`
	To          int64    `json:"to"`
	Changes     []string `json:"changes,omitempty"`
	Need        int      `json:"need"`
	People      []string `json:"people,omitempty"`
	ExpiresAt   string   `json:"expiresAt,omitempty"`
	Applied     bool     `json:"applied"`
	Code        string   `json:"code,omitempty"`
	Reason      string   `json:"reason,omitempty"`
	Next        string   `json:"next,omitempty"`
	Sentence    string   `json:"sentence"`
}

// TrustResult is all changes of trust of one medium.
type TrustResult struct {
	Plans    []TrustPlan `json:"plans"`
	Sentence string      `json:"sentence"`
}

// TrustViews is the answer of trust/show.
type TrustViews struct {
	Appliances []TrustView `json:"appliances"`
}

// TrustView is what we believe of one appliance, and since which version of its root.
type TrustView struct {
	Name        string   `json:"name"`
	ID          string   `json:"id"`
	Own         bool     `json:"own,omitempty"`
	Fingerprint string   `json:"fingerprint"`
	Words       string   `json:"words"`
	Version     int64    `json:"version"`
	Mark        int64    `json:"mark"`
	NotAfter    string   `json:"notAfter"`
	Recipient   string   `json:"recipient,omitempty"`
	Keys        []KeyRow `json:"keys"`
	How         string   `json:"how,omitempty"`
	By          string   `json:"by,omitempty"`
	At          string   `json:"at,omitempty"`
	Warning     string   `json:"warning,omitempty"`
}

// KeyRow is one key of a trust root, or one of our age recipients.
type KeyRow struct {
	Kind     string   `json:"kind"`
	KeyID    string   `json:"keyid"`
	Words    string   `json:"words,omitempty"`
	Tenants  []string `json:"tenants,omitempty"`
	State    string   `json:"state"`
	NotAfter string   `json:"notAfter,omitempty"`
	Here     bool     `json:"here"`
}

// KeyRows is the answer of keys/list.
type KeyRows struct {
	Keys []KeyRow `json:"keys"`
}

// KeyRequest asks for keys/rotate, keys/revoke and keys/apply. RootKeys are PEM blocks of root keys that are kept offline: the
// daemon signs with them once and keeps nothing.
type KeyRequest struct {
	Kind     string   `json:"kind,omitempty"`
	KeyID    string   `json:"keyid,omitempty"`
	Tenant   string   `json:"tenant,omitempty"`
	Overlap  int64    `json:"overlapSeconds,omitempty"`
	RootKeys [][]byte `json:"rootKeys,omitempty"`
	Approve  string   `json:"approve,omitempty"`
	Reason   string   `json:"reason,omitempty"`
}

// KeyPlan is a change of our own keys.
type KeyPlan struct {
	Digest    string   `json:"digest"`
	Kind      string   `json:"kind"`
	What      string   `json:"what"`
	Tenant    string   `json:"tenant,omitempty"`
	Old       string   `json:"old,omitempty"`
	New       string   `json:"new,omitempty"`
	From      int64    `json:"from"`
	To        int64    `json:"to"`
	Changes   []string `json:"changes"`
	Need      int      `json:"need"`
	People    []string `json:"people,omitempty"`
	ExpiresAt string   `json:"expiresAt,omitempty"`
	Offline   bool     `json:"offline,omitempty"`
	Applied   bool     `json:"applied"`
	Sentence  string   `json:"sentence"`
}

// ApprovalRequest asks for approvals/list, show, approve and deny.
type ApprovalRequest struct {
	Digest string `json:"digest,omitempty"`
	Reason string `json:"reason,omitempty"`
	All    bool   `json:"all,omitempty"` // list: also what is over
}

// Approval is a plan that needs people.
type Approval struct {
	Digest    string  `json:"digest"`
	Tenant    string  `json:"tenant"`
	Kind      string  `json:"kind"` // import, trust, keys
	Subject   string  `json:"subject"`
	Proposer  string  `json:"proposer"`
	Need      int     `json:"need"`
	Grants    []Grant `json:"grants,omitempty"`
	Denied    *Grant  `json:"denied,omitempty"`
	CreatedAt string  `json:"createdAt"`
	ExpiresAt string  `json:"expiresAt"`
	UsedAt    string  `json:"usedAt,omitempty"`
	Over      string  `json:"over,omitempty"` // why nobody is asked any more
	State     string  `json:"state"`          // waiting, ready, used, denied, over, expired
	Next      string  `json:"next,omitempty"` // the command that goes on, without its data directory
	// Changes are the lines of a change of our own keys or of the trust in a peer; those of an import are on the medium.
	Changes []string `json:"changes,omitempty"`
}

// Grant is one person's word.
type Grant struct {
	Person string `json:"person"`
	Role   string `json:"role"`
	At     string `json:"at"`
	Reason string `json:"reason,omitempty"`
	Lone   bool   `json:"lone,omitempty"`
	// OwnOnly says that the person is no approver: it is a yes to what they proposed themselves.
	OwnOnly bool `json:"ownOnly,omitempty"`
}

// Approvals is the answer of approvals/list.
type Approvals struct {
	Approvals []Approval `json:"approvals"`
}
