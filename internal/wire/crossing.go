package wire

import (
	"encoding/json"
	"strings"
)

// MediumRequest names a medium by its absolute path.
type MediumRequest struct {
	Path string `json:"path,omitempty"`
}

// Card is an appliance's card in plain values.
type Card struct {
	Name        string   `json:"name"`
	ID          string   `json:"id"`
	Fingerprint string   `json:"fingerprint"`
	Words       string   `json:"words"`
	RootVersion int64    `json:"rootVersion"`
	Recipient   string   `json:"recipient"`
	KeyIDs      []string `json:"keyids"`
	Tenants     []string `json:"tenants"`
	Counter     int64    `json:"counter"`
	IssuedAt    string   `json:"issuedAt"`
	NotAfter    string   `json:"notAfter"`
	Files       []string `json:"files,omitempty"`
}

// PeerRequest adds or shows a peer. One of Fingerprint and Words decides; Answered says that a person compared the words
// of this fingerprint on a terminal.
type PeerRequest struct {
	Path        string `json:"path,omitempty"`
	Name        string `json:"name,omitempty"`
	Fingerprint string `json:"fingerprint,omitempty"`
	Words       string `json:"words,omitempty"`
	Answered    string `json:"answered,omitempty"`
	Tenant      string `json:"tenant,omitempty"`
	TheirTenant string `json:"theirTenant,omitempty"`
}

// Question is what a person compares before trusting an appliance.
type Question struct {
	Card     Card   `json:"card"`
	Sentence string `json:"sentence"`
}

// Peer is another appliance.
type Peer struct {
	Name        string     `json:"name"`
	ID          string     `json:"id"`
	Tenant      string     `json:"tenant"`
	TheirTenant string     `json:"theirTenant"`
	Fingerprint string     `json:"fingerprint"`
	Words       string     `json:"words"`
	Recipient   string     `json:"recipient,omitempty"`
	Software    string     `json:"software,omitempty"`
	TrustedBy   string     `json:"trustedBy"`
	TrustedHow  string     `json:"trustedHow"`
	TrustedAt   string     `json:"trustedAt"`
	LastContact string     `json:"lastContact,omitempty"`
	Holds       []PeerFeed `json:"holds,omitempty"` // of ours, as far as it told us
	Asks        int        `json:"asks,omitempty"`  // volumes of ours that it misses
}

// PeerFeed is what a peer told us about one of our feeds.
type PeerFeed struct {
	Feed       string `json:"feed"`
	Epoch      int64  `json:"epoch"`
	Generation int64  `json:"generation"` // active there
	StateRoot  string `json:"stateRoot,omitempty"`
	At         string `json:"at"`
	From       string `json:"from"`
	Current    bool   `json:"current"` // equal to what is active here
}

// Peers is the answer of peers/list.
type Peers struct {
	Peers []Peer `json:"peers"`
}

// OutboundRequest asks for receipts and inventory to be written to a medium; Peer "" is every hub.
type OutboundRequest struct {
	Path string `json:"path"`
	Peer string `json:"peer,omitempty"`
}

// Outbound says what was written for whom.
type Outbound struct {
	Written  []Written `json:"written"`
	Sentence string    `json:"sentence"`
}

// Written is one bundle on a medium.
type Written struct {
	For         string      `json:"for"`
	Kind        string      `json:"kind"`
	Variant     string      `json:"variant"`
	Run         string      `json:"run"`
	Name        string      `json:"name"`
	BundleID    string      `json:"bundleId"`
	Bytes       int64       `json:"bytes"`
	Records     int64       `json:"records"`
	Receipts    int         `json:"receipts"`
	Inventories int         `json:"inventories"`
	Volumes     []int64     `json:"volumes,omitempty"` // of an earlier bundle: those that were asked for
	Changes     *RunChanges `json:"changes,omitempty"` // of a delta
	Wanted      int         `json:"wanted,omitempty"`  // volumes that the inventory asks for
}

// ImportRequest asks for import/run.
type ImportRequest struct {
	Path    string `json:"path"`
	Approve string `json:"approve,omitempty"`
	Yes     bool   `json:"yes,omitempty"`
	Plan    bool   `json:"plan,omitempty"`
}

// FeedPlan is what one bundle would do to one feed.
type FeedPlan struct {
	Feed       string `json:"feed"`
	Origin     string `json:"origin"`
	OriginName string `json:"originName,omitempty"`
	Tenant     string `json:"tenant"`
	Epoch      int64  `json:"epoch"`
	Generation int64  `json:"generation"`
	Before     int64  `json:"before"`
	BeforeRoot string `json:"beforeRoot,omitempty"`
	AfterRoot  string `json:"afterRoot"`
	Decision   string `json:"decision"`
	Added      int64  `json:"added"`
	Changed    int64  `json:"changed"`
	Removed    int64  `json:"removed"`
	Unchanged  int64  `json:"unchanged"`
	Records    int64  `json:"records"`
	Refresh    bool   `json:"refresh,omitempty"` // the bundle carries every record
	Base       int64  `json:"base,omitempty"`    // the generation that a delta is applied to

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
	From          string     `json:"from"`
	Signer        string     `json:"signer"`
	Decision      string     `json:"decision"`
	Feeds         []FeedPlan `json:"feeds,omitempty"`
	Bytes         int64      `json:"bytes"`
	Space         int64      `json:"space"`
	CreatedAt     string     `json:"createdAt"`
	DataTime      string     `json:"dataTime"`
	AgeSeconds    int64      `json:"ageSeconds"`
	NeedsApproval string     `json:"needsApproval,omitempty"`
	Proven        []Fact     `json:"proven,omitempty"` // in the order it was proven
}

// Plan is what an import would do.
type Plan struct {
	Digest  string       `json:"digest"`
	Bundles []BundlePlan `json:"bundles"`
	Bytes   int64        `json:"bytes"`
	Space   int64        `json:"space"`
}

// Outcome is what became of one bundle.
type Outcome struct {
	Plan       BundlePlan `json:"plan"`
	Dir        string     `json:"dir"`
	Decision   string     `json:"decision"`
	Code       string     `json:"code,omitempty"`
	Reason     string     `json:"reason,omitempty"`
	Next       string     `json:"next,omitempty"`
	Sentence   string     `json:"sentence"`
	Quarantine string     `json:"quarantine,omitempty"`
	Receipt    string     `json:"receipt,omitempty"`
	Spoken     string     `json:"spoken,omitempty"`
	Unlisted   []string   `json:"unlisted,omitempty"` // files beside the volumes that nobody signed
	Lacking    []string   `json:"lacking,omitempty"`  // signed sheets that are missing: a note
	Volumes    []Volume   `json:"volumes,omitempty"`  // of one that waits: those that are not here
}

// TrustChange is a change of trust seen on a medium, never applied by an import.
type TrustChange struct {
	Peer     string `json:"peer"`
	What     string `json:"what"`
	Old      string `json:"old,omitempty"`
	New      string `json:"new,omitempty"`
	Sentence string `json:"sentence"`
}

// Imported is the result of import/run.
type Imported struct {
	Plan     Plan          `json:"plan"`
	Applied  bool          `json:"applied"`
	Outcomes []Outcome     `json:"outcomes"`
	Trust    []TrustChange `json:"trust,omitempty"`
	Cards    []string      `json:"cards,omitempty"`
	Clock    string        `json:"clock,omitempty"` // what speaks against the clock of the machine
	Sentence string        `json:"sentence"`
	Damaged  int           `json:"damaged,omitempty"` // things here that are damaged or missing, where nothing was applied
	Next     string        `json:"next,omitempty"`
}

// ExchangeRequest asks for exchange/run.
type ExchangeRequest struct {
	Path    string   `json:"path"`
	Yes     bool     `json:"yes,omitempty"`
	Approve string   `json:"approve,omitempty"`
	Plan    bool     `json:"plan,omitempty"`
	For     []string `json:"for,omitempty"` // peers to write for; empty: all that were met and lack something
}

// Due is what is owed to a peer met on a medium.
type Due struct {
	Peer     string   `json:"peer"`
	Hub      bool     `json:"hub"`              // receipts and inventory go to it
	Site     bool     `json:"site"`             // a mirror goes to it
	Wanted   int      `json:"wanted,omitempty"` // volumes it asked for, which are on the shelf
	Delta    []string `json:"delta,omitempty"`  // feeds that go as what changed in them
	Full     []string `json:"full,omitempty"`   // feeds that go whole
	Receipts int      `json:"receipts"`
	Why      string   `json:"why"`
	Owed     bool     `json:"owed,omitempty"` // the medium cannot be written: still to be done
}

// Exchanged is the result of exchange/run: one visit.
type Exchanged struct {
	In       *Imported `json:"in,omitempty"`
	Due      []Due     `json:"due"`
	Written  []Written `json:"written"`
	Waiting  string    `json:"waiting,omitempty"` // digest of the plan that must be approved before anything goes out
	Sentence string    `json:"sentence"`
}

// ReceiptRequest selects receipts.
type ReceiptRequest struct {
	Number string `json:"number,omitempty"`
	Limit  int    `json:"limit,omitempty"`
	Before int64  `json:"before,omitempty"` // list: the counter of the last one of the last answer
}

// Receipt is one we gave out.
type Receipt struct {
	Number   string `json:"number"`
	Counter  int64  `json:"counter"`
	Tenant   string `json:"tenant"`
	Peer     string `json:"peer"`
	PeerID   string `json:"peerId"`
	Bundle   string `json:"bundle"`
	BundleID string `json:"bundleId"`
	LabelID  string `json:"labelId,omitempty"`
	Decision string `json:"decision"`
	At       string `json:"at"`
	Digest   string `json:"digest"`
	Envelope []byte `json:"envelope"`
	AckedAt  string `json:"ackedAt,omitempty"`
	Spoken   string `json:"spoken,omitempty"`
}

// Receipts is the answer of receipts/list.
type Receipts struct {
	Receipts []Receipt `json:"receipts"`
	Next     int64     `json:"next,omitempty"` // cursor; 0: no more
}

// RunRequest submits or names an export run.
type RunRequest struct {
	ID          string   `json:"id,omitempty"`
	Tenant      string   `json:"tenant,omitempty"`
	Profile     string   `json:"profile,omitempty"`
	For         string   `json:"for,omitempty"`
	To          string   `json:"to,omitempty"` // absolute path
	Unencrypted bool     `json:"unencrypted,omitempty"`
	VolumeBytes int64    `json:"volumeBytes,omitempty"`
	AllowEmpty  bool     `json:"allowEmpty,omitempty"`
	Feeds       []string `json:"feeds,omitempty"`         // of a mirror: these alone; empty: all
	Base        string   `json:"base,omitempty"`          // a delta against this, for experts: run id, bundle id or generation
	Reset       bool     `json:"resetBaseline,omitempty"` // the delta carries every record
	Anonymous   bool     `json:"anonymous,omitempty"`     // the label does not say for whom
	Medium      string   `json:"medium,omitempty"`        // "dvd": one folder per disc
	Status      string   `json:"status,omitempty"`        // list: a state
	Limit       int      `json:"limit,omitempty"`         // list; 0: 50
	Before      string   `json:"before,omitempty"`        // list: the cursor of the last answer
}

// RunFeed is what a run carried of one feed.
type RunFeed struct {
	Ref        FeedRef `json:"ref"`
	Epoch      int64   `json:"epoch"`
	Generation int64   `json:"generation"`
	Root       string  `json:"root"`
}

// Delivery is what a peer answered.
type Delivery struct {
	Receipt  string `json:"receipt,omitempty"`
	Decision string `json:"decision"`
	At       string `json:"at"`
	How      string `json:"how"`
	Covers   bool   `json:"covers"`
}

// ConfirmRequest is a spoken receipt: six words that a peer read over the phone.
type ConfirmRequest struct {
	Peer  string `json:"peer"`
	Words string `json:"words"`
}

// Confirmation is what the words said.
type Confirmation struct {
	Run      Run    `json:"run"`
	Decision string `json:"decision"`
	Proven   bool   `json:"proven"` // a receipt had said so before
}

// Run is one execution of a profile.
type Run struct {
	ID         string              `json:"id"`
	Tenant     string              `json:"tenant"`
	Kind       string              `json:"kind"`
	Variant    string              `json:"variant"`
	Profile    string              `json:"profile"`
	Name       string              `json:"name,omitempty"`
	Peers      []string            `json:"peers,omitempty"`
	By         string              `json:"by"`
	Request    json.RawMessage     `json:"request,omitempty"`
	Priority   string              `json:"priority"`
	State      string              `json:"state"`
	Delivered  bool                `json:"delivered"` // every addressee answered that it holds exactly this
	Attempt    int                 `json:"attempt"`
	ErrorCode  string              `json:"errorCode,omitempty"`
	Code       string              `json:"code,omitempty"`
	Message    string              `json:"message,omitempty"`
	Steps      map[string]string   `json:"steps,omitempty"`
	BundleID   string              `json:"bundleId,omitempty"`
	LabelID    string              `json:"labelId,omitempty"`
	Feeds      []RunFeed           `json:"feeds,omitempty"`
	Bases      []RunFeed           `json:"bases,omitempty"` // of a delta: every state it can be applied to
	Changes    *RunChanges         `json:"changes,omitempty"`
	Bytes      int64               `json:"bytes"`
	Records    int64               `json:"records"`
	Shelf      string              `json:"shelf,omitempty"`
	Challenge  string              `json:"challenge,omitempty"`
	Papers     string              `json:"papers,omitempty"` // of a way home: digest of what it tells, without counter and date
	Deliveries map[string]Delivery `json:"deliveries,omitempty"`
	CreatedAt  string              `json:"createdAt"`
	StartedAt  string              `json:"startedAt,omitempty"`
	FinishedAt string              `json:"finishedAt,omitempty"`
	Progress   *RunProgress        `json:"progress,omitempty"`
}

// RunChanges are what a delta changes against the newest of its bases.
type RunChanges struct {
	Added   int64 `json:"added"`
	Changed int64 `json:"changed"`
	Removed int64 `json:"removed"`
}

// RunProgress is how far a run is in its stage.
type RunProgress struct {
	Stage      string `json:"stage"`
	Percent    int    `json:"percent"`
	Items      int64  `json:"items"`
	TotalItems int64  `json:"totalItems"`
	Bytes      int64  `json:"bytes"`
	TotalBytes int64  `json:"totalBytes"`
	Rate       int64  `json:"rate"`
	ETA        int64  `json:"etaSeconds"`
}

// Status is the word for people: the state, or delivered once every addressee has answered.
func (r Run) Status() string {
	if r.Delivered {
		return "delivered"
	}
	for _, d := range r.Deliveries {
		if d.Covers && d.How == "voice" && len(r.Peers) == 1 {
			return "confirmed by voice"
		}
	}
	return r.State
}

// Runs is the answer of runs/list, newest first.
type Runs struct {
	Runs []Run  `json:"runs"`
	Next string `json:"next,omitempty"` // cursor; "": no more
}

// VerifyRequest asks for bundles/verify: a run or what lies at a path.
type VerifyRequest struct {
	ID   string `json:"id,omitempty"`
	Path string `json:"path,omitempty"`
}

// Verdicts is the answer of bundles/verify.
type Verdicts struct {
	Verdicts []Verdict `json:"verdicts"`
}

// Verdict is what the gate says about one bundle's outer bytes.
type Verdict struct {
	Name     string `json:"name"`
	Sentence string `json:"sentence"`
	Code     string `json:"code,omitempty"`
	Reason   string `json:"reason,omitempty"`
}

// Medium is what lies at a path and what it is to this appliance.
type Medium struct {
	Path     string         `json:"path"`
	FSType   string         `json:"fsType"`
	Device   string         `json:"device,omitempty"`
	Mount    string         `json:"mount,omitempty"`
	Free     int64          `json:"free"`
	Total    int64          `json:"total"`
	ReadOnly bool           `json:"readOnly"`
	Label    string         `json:"label,omitempty"`
	UUID     string         `json:"uuid,omitempty"`
	Serial   string         `json:"serial,omitempty"`
	SameDisk bool           `json:"sameDisk,omitempty"` // as the data directory: a copy here is no copy
	Ours     bool           `json:"ours"`               // has a folder sallyport
	State    string         `json:"state"`              // ours, half-copied, no-folder, empty, not-mounted, encrypted, unreadable
	Sentence string         `json:"sentence"`           // what a person is to know of it
	Writing  string         `json:"writing,omitempty"`  // why nothing can be written to it
	Bundles  []MediumBundle `json:"bundles,omitempty"`
	Cards    []string       `json:"cards,omitempty"`   // names on cards; unproven
	Peers    []string       `json:"peers,omitempty"`   // known ones met on it
	Waiting  []Waiting      `json:"waiting,omitempty"` // bundles of theirs that could not be taken in yet

	ForUs     int      `json:"forUs,omitempty"`     // bundles whose label proves that they are for this appliance
	Strangers []string `json:"strangers,omitempty"` // names on cards of appliances that are not trusted here yet; unproven
}

// MediumBundle is one bundle as its label says itself: nothing is proven here.
type MediumBundle struct {
	Dir       string   `json:"dir"`
	Name      string   `json:"name,omitempty"`
	From      string   `json:"from,omitempty"`
	For       []string `json:"for,omitempty"`
	Kind      string   `json:"kind,omitempty"`
	Variant   string   `json:"variant,omitempty"`
	Bytes     int64    `json:"bytes,omitempty"`
	CreatedAt string   `json:"createdAt,omitempty"`
	Problem   string   `json:"problem,omitempty"`
	Unlisted  []string `json:"unlisted,omitempty"` // files beside it that are not part of it
}

// Media is the answer of media/list.
type Media struct {
	Media   []Medium  `json:"media"`
	Waiting []Waiting `json:"waiting,omitempty"` // bundles that could not be taken in yet
}

// A fact is written as one line of progress: a tick, what was proven, and what it rests on.
const (
	factTick = "✓ "
	factCut  = " · "
)

// FactLine writes a fact as one line.
func FactLine(what, detail string) string {
	if detail == "" {
		return factTick + what
	}
	return factTick + what + factCut + detail
}

// IsFact tells a fact from other notes.
func IsFact(note string) bool { return strings.HasPrefix(note, factTick) }

// ParseFact reads one back, from a note or from a line of a log; ok is false when it is none.
func ParseFact(line string) (f Fact, ok bool) {
	if _, after, dated := strings.Cut(line, "Z  "); dated && !IsFact(line) {
		line = after
	}
	line, ok = strings.CutPrefix(line, factTick)
	if !ok {
		return f, false
	}
	f.What, f.Detail, _ = strings.Cut(line, factCut)
	return f, true
}
