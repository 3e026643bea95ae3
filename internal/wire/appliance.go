package wire

// Appliance says which daemon answers.
type Appliance struct {
	ID             string   `json:"id"`
	Name           string   `json:"name"`
	Tenants        []string `json:"tenants"`
	Instance       string   `json:"instance"`
	SingleOperator bool     `json:"singleOperator,omitempty"`
	Software       string   `json:"software"`
	DataDir        string   `json:"dataDir"`
}

// Created is what init made.
type Created struct {
	Appliance
	Fingerprint string   `json:"fingerprint"` // root id, 64 hex
	Words       string   `json:"words"`       // the same as nine words
	Recipient   string   `json:"recipient"`
	Next        []string `json:"next"` // what to do now, one sentence each
}

// Time is one reading of it.
type Time struct {
	Wall     string `json:"wall"`
	Trusted  string `json:"trusted"`
	Source   string `json:"source"` // build, anchor, operator
	Suspect  bool   `json:"suspect,omitempty"`
	Unproven bool   `json:"unproven,omitempty"`
	AtLeast  bool   `json:"atLeast,omitempty"` // ages are lower bounds
	Anchor   string `json:"anchor,omitempty"`
}

// Status is the answer of status/show.
type Status struct {
	Appliance
	Ready   bool     `json:"ready"`
	Health  string   `json:"health"` // Healthy, Degraded, Unhealthy
	Reasons []Reason `json:"reasons,omitempty"`
	Since   string   `json:"since"`
	Time    Time     `json:"time"`
	Feeds   []Feed   `json:"feeds"`
	Peers   int      `json:"peers"`
	Runs    int      `json:"runs"` // not finished
	Disk    Disk     `json:"disk"`
	Events  int64    `json:"events"` // in the timeline

	Waiting []Waiting `json:"waiting,omitempty"` // bundles that could not be taken in yet
	Needs   []Reason  `json:"needs,omitempty"`   // what waits for people and is no fault; level note

	Console *Console `json:"console,omitempty"` // how browsers reach it; nil: not over the network
}

// Reason says why something is not well, and what to do.
type Reason struct {
	Level string `json:"level"` // note, warning, critical
	What  string `json:"what"`
	Next  string `json:"next,omitempty"` // for who types commands

	Topic   string `json:"topic,omitempty"`   // what it is about: one of the topics below
	Subject string `json:"subject,omitempty"` // of the topic: digest of a plan, number of a quarantine entry, full name of a feed, name of a peer
	Why     string `json:"why,omitempty"`     // the consequence, one sentence
}

// The topics of a Reason.
const (
	AboutPlan       = "plan"
	AboutFork       = "fork"
	AboutQuarantine = "quarantine"
	AboutAsks       = "asks"    // a peer asks for volumes
	AboutUnheard    = "unheard" // nothing was read of a peer since a restore
	AboutClock      = "clock"
	AboutBudget     = "budget" // data is older than it may be
	AboutTrust      = "trust"
	AboutDisk       = "disk"
	AboutDamaged    = "damaged"
	AboutAccess     = "access" // a way in past all accounts was opened
	AboutCard       = "card"   // no recovery card was printed, or its code was used
)

// Disk is the room there is, in bytes.
type Disk struct {
	Free  int64 `json:"free"`
	Total int64 `json:"total"`
	Store int64 `json:"store"` // content store
	Blobs int64 `json:"blobs"`
	State int64 `json:"state"` // state database
}

// Check is one line of doctor.
type Check struct {
	Name   string `json:"name"`
	Level  string `json:"level"` // ok, warning, critical
	Detail string `json:"detail"`
	Next   string `json:"next,omitempty"`
}

// Doctor is the answer of doctor/run.
type Doctor struct {
	Checks []Check `json:"checks"`
	Worst  string  `json:"worst"`
}

// SetupCode is a new one-time code; only its hash is kept.
type SetupCode struct {
	Code      string `json:"code"`
	ExpiresAt string `json:"expiresAt"`
	Tries     int    `json:"tries"`
	Minutes   int    `json:"minutes"` // of its life, by a clock that nobody can set
}

// Text is an answer that is text already.
type Text struct {
	Text string `json:"text"`
}

// Event is one entry of the timeline.
type Event struct {
	Seq     uint64            `json:"seq"`
	ID      string            `json:"id"`
	Type    string            `json:"type"`
	At      string            `json:"at"`
	Wall    string            `json:"wall,omitempty"`
	Tenant  string            `json:"tenant,omitempty"`
	Actor   string            `json:"actor,omitempty"`
	Subject string            `json:"subject,omitempty"`
	Attrs   map[string]string `json:"attrs,omitempty"`
	Gone    bool              `json:"redacted,omitempty"`
}

// TimelineRequest selects events: the newest Limit ones, or from a seq on.
type TimelineRequest struct {
	From  *uint64 `json:"from,omitempty"`
	Limit int     `json:"limit,omitempty"` // 0: 50
	Type  string  `json:"type,omitempty"`

	// Before pages backwards: the newest Limit events before this seq. With Type or Text at most a bounded number of entries
	// is looked at for one answer, which then tells in Next where to look on.
	Before *uint64 `json:"before,omitempty"`
	Text   string  `json:"text,omitempty"` // only events whose type, actor, subject or details hold this; case does not matter
}

// Timeline is a part of it, oldest first.
type Timeline struct {
	Events []Event `json:"events"`
	Next   *uint64 `json:"next,omitempty"` // paging backwards: Before of the next request; nil: the beginning was reached
	Size   uint64  `json:"size,omitempty"` // paging backwards: entries there are
}

// TimelineHead is what the log says about itself after it was recomputed.
type TimelineHead struct {
	Origin     string `json:"origin"`
	Number     int64  `json:"number"`
	Size       int64  `json:"size"`
	Root       string `json:"root"`
	Witnesses  int    `json:"witnesses"` // heads of this log that came back from outside and were proven
	Checkpoint string `json:"checkpoint,omitempty"`
}
