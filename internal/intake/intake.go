// Package intake is the room where bundles come in: it finds them on a medium, has the gate verify them, plans, and applies.
//
// Data, of its own:
//
//	D/quarantine/<tenant>/<time>-<reason>-<id>/   label, log and reason of what was refused and kept; both manifests of a fork;
//	                                              bundle/ where it had waited here
//	D/waiting/<64 hex of label id>/               what could not be taken in yet: label, sheets, and the volumes that are good,
//	                                              under the names the label signs; *.partial while one is being copied
//
// and the tables intake.quarantine and intake.waiting that name them: a folder without a row is nothing, and goes at the start.
// Bodies go to the content store, indexes to D/layers/<feed>/, everything else into the one state transaction: feeds and
// generations (ledger feed), cards, roots and receipts (ledger peer), approvals, the timeline.
//
// Order, for each bundle in order of creation: label, space reserved, the gate with its bytes streaming into a staging area
// of the store, layers built and checked in staging (a full gives a base; a delta is merged over the generation it was made
// for, or over what a bundle before it in this plan makes, and the state root of both is computed), plan, approval by the
// plan's digest; then the blobs are committed, the layers renamed into place, one transaction flips every feed of the bundle
// and signs the receipt, and the marks are raised.
// A crash before the transaction leaves staging (dropped at start) and orphan blobs and layers (removed at start or swept);
// a crash after it leaves marks that start-up raises from the feeds again. A refusal leaves its event and, where it is
// kept, its quarantine entry.
//
// It is also where trust changes: newer roots and changed cards of peers, from a medium, and our own keys (tables own-changes,
// own-card and intake.time), never as part of an import. A change is planned, proposed, agreed to by people, and made in one
// transaction; marks, the file of our own root and the exchange of a key follow from it and are done again at start.
//
// What another day can put right waits: a bundle of which volumes are missing, damaged or unreadable (its good ones are copied,
// synced and renamed one by one, its row comes with the first), and a delta whose base is not held (copied whole, then one
// transaction with row and receipt). Every import joins what waits with what the medium brings, and sends it through the gate
// again in full; the transaction that accepts it ends the wait, and the folder goes after it.
package intake

// Request asks for an import of what is on a medium for this appliance.
type Request struct {
	Path     string  // the stick's root, its sallyport folder, a bundle directory, or any directory above one
	Approve  string  // digest of the plan that was approved, "" when none was
	Yes      bool    // approve whatever the plan says
	PlanOnly bool    // never apply, whatever Yes and Approve say
	Actor    string  // who asks, for the timeline and the approval: "uid:0", a name
	Role     string  // of the actor; "" is operator
	Lone     bool    // the actor cannot be told from whoever proposed the plan: never the second person
	OwnOnly  bool    // the actor is no approver: where two are asked, never the second person
	own      bool    // Path is a quarantine entry
	only     *sought // of a release: nothing else on the medium is taken in, nor is what waits here

	// Proven hears each fact about a bundle as soon as it is proven; nil: nobody does.
	Proven func(bundle string, f Fact)
}

// Progress hears how far a long step has come; it may be nil. Total is 0 while it is not known.
type Progress func(step string, done, total int64)

// Decision is what became of a bundle, in the words of a receipt.
type Decision string

// The decisions. Skipped ones are never in a receipt.
const (
	Planned       Decision = "planned"
	Activated     Decision = "activated"
	Held          Decision = "held"
	AlreadyActive Decision = "already-active"
	AlreadyHeld   Decision = "already-held"
	Applied       Decision = "applied" // an outbound bundle was taken in
	Refused       Decision = "refused"
	Quarantined   Decision = "quarantined"
	Parked        Decision = "parked"  // kept whole: a delta to a state that is not held here yet
	Waits         Decision = "waiting" // its good volumes are kept, the others are named; never in a receipt
	Skipped       Decision = "skipped" // for someone else, or a copy that was not finished
)

// FeedPlan is what one bundle would do to one feed.
type FeedPlan struct {
	Feed       string   `json:"feed"`
	Origin     string   `json:"origin"`
	OriginName string   `json:"originName,omitempty"`
	Tenant     string   `json:"tenant"`
	Epoch      int64    `json:"epoch"`
	Generation int64    `json:"generation"`
	Before     int64    `json:"before"` // active generation, 0: none
	BeforeRoot string   `json:"beforeRoot,omitempty"`
	AfterRoot  string   `json:"afterRoot"`
	Decision   Decision `json:"decision"`
	Added      int64    `json:"added"`
	Changed    int64    `json:"changed"`
	Removed    int64    `json:"removed"`
	Unchanged  int64    `json:"unchanged"`
	Records    int64    `json:"records"`
	Refresh    bool     `json:"refresh,omitempty"` // the bundle carries every record: a full, or a delta that resets the baseline
	Base       int64    `json:"base,omitempty"`    // the generation that a delta is applied to

	Examples []Example `json:"examples,omitempty"` // the first of what would change, in order of kind and key
}

// Example is one record that a plan would add, change or remove.
type Example struct {
	What string `json:"what"` // added, changed, removed
	Kind string `json:"kind"`
	Key  string `json:"key"`
}

// Fact is one thing that was proven about a bundle, in words for people. Detail is what it rests on.
type Fact struct {
	What   string `json:"what"`
	Detail string `json:"detail,omitempty"`
}

// BundlePlan is the part of a plan about one bundle.
type BundlePlan struct {
	Name          string     `json:"name"`
	Kind          string     `json:"kind"`
	Variant       string     `json:"variant"`
	BundleID      string     `json:"bundleId"`
	LabelID       string     `json:"labelId"`
	From          string     `json:"from"`   // name of the appliance that signed it
	Signer        string     `json:"signer"` // nine words of the signing key
	Decision      Decision   `json:"decision"`
	Feeds         []FeedPlan `json:"feeds,omitempty"`
	Bytes         int64      `json:"bytes"` // outer bytes on the medium
	Space         int64      `json:"space"` // bytes the store will need
	CreatedAt     string     `json:"createdAt"`
	DataTime      string     `json:"dataTime"` // generatedAt of the manifest
	AgeSeconds    int64      `json:"ageSeconds"`
	NeedsApproval string     `json:"needsApproval,omitempty"` // why an approval is needed even where approvals are off
	Proven        []Fact     `json:"proven,omitempty"`        // in the order it was proven
}

// Plan is what an import would do, before it does it.
type Plan struct {
	Digest  string       `json:"digest"` // approvals bind to this
	Bundles []BundlePlan `json:"bundles"`
	Bytes   int64        `json:"bytes"`
	Space   int64        `json:"space"`
}

// Outcome is what became of one bundle of the medium.
type Outcome struct {
	Plan       BundlePlan `json:"plan"`
	Dir        string     `json:"dir"`
	Decision   Decision   `json:"decision"`
	Code       string     `json:"code,omitempty"`
	Reason     string     `json:"reason,omitempty"`
	Next       string     `json:"next,omitempty"`
	Sentence   string     `json:"sentence"`             // one sentence for people
	Quarantine string     `json:"quarantine,omitempty"` // Q-n
	Receipt    string     `json:"receipt,omitempty"`    // R-nnnn
	Spoken     string     `json:"spoken,omitempty"`     // six words to read over the telephone, where no receipt may leave
	Unlisted   []string   `json:"unlisted,omitempty"`   // files beside the volumes that are not part of this bundle; foreign
	Lacking    []string   `json:"lacking,omitempty"`    // signed sheets that are missing: a note, nothing here depends on them
	Volumes    []Volume   `json:"volumes,omitempty"`    // of one that waits: every volume that is not here
	Err        error      `json:"-"`
}

// Volume is one volume of a bundle that could not be taken in today.
type Volume struct {
	N      int64  `json:"n"`
	Code   string `json:"code"` // volume-missing, volume-damaged, medium-read
	Reason string `json:"reason"`
	At     int64  `json:"at,omitempty"` // of a read error: the byte in the volume
}

// TrustChange is a change of trust seen on the medium, or a reason for doubt; an import never applies one.
type TrustChange struct {
	Peer     string `json:"peer"`
	What     string `json:"what"` // "root", "card", "time", "timeline", "restored", "recovered"
	Old      string `json:"old,omitempty"`
	New      string `json:"new,omitempty"`
	Sentence string `json:"sentence"`
}

// Result is everything an import found and did.
type Result struct {
	Plan     Plan          `json:"plan"`
	Applied  bool          `json:"applied"`
	Outcomes []Outcome     `json:"outcomes"`
	Trust    []TrustChange `json:"trust,omitempty"`
	Cards    []string      `json:"cards,omitempty"` // names of peers whose newer card was recorded
	Clock    string        `json:"clock,omitempty"` // what speaks against this machine's clock; no verdict depends on it
	Sentence string        `json:"sentence"`
}
