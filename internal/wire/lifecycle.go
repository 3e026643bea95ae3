package wire

// BackupRequest asks for backup/create: To is an absolute directory, made when it is not there.
type BackupRequest struct {
	To string `json:"to"`
}

// Backup is a finished backup.
type Backup struct {
	Dir       string   `json:"dir"`
	Name      string   `json:"name"` // of the appliance
	CreatedAt string   `json:"createdAt"`
	Files     int      `json:"files"`
	Bytes     int64    `json:"bytes"`
	Feeds     int      `json:"feeds"`
	Events    int64    `json:"events"`
	Lacks     []string `json:"lacks"`
	Warning   string   `json:"warning"`
}

// Restored is what a restore made, or would make.
type Restored struct {
	From      string         `json:"from"`
	DataDir   string         `json:"dataDir"`
	Name      string         `json:"name"`
	ID        string         `json:"id"`
	Backup    string         `json:"backup"` // when it was made
	Bytes     int64          `json:"bytes"`
	Planned   bool           `json:"planned,omitempty"` // nothing was written
	Events    int64          `json:"events"`            // of the log the backup knows
	Log       int64          `json:"log,omitempty"`     // number of the new one
	Root      int64          `json:"root,omitempty"`    // version of our own trust root
	Epoch     int64          `json:"epoch,omitempty"`
	Feeds     []RestoredFeed `json:"feeds,omitempty"`
	Peers     []string       `json:"peers,omitempty"` // of which something must be read before the first export
	MarksKept bool           `json:"marksKept,omitempty"`
	Newer     int            `json:"newerRoots,omitempty"` // versions of our own trust root that a medium brought back
	Next      []string       `json:"next,omitempty"`
}

// RestoredFeed is one feed made here, as epoch.generation.
type RestoredFeed struct {
	Name   string `json:"name"`
	Before string `json:"before"`
	After  string `json:"after,omitempty"`
}

// TimeRequest sets the trusted time by the word of two people (At, RFC 3339), or confirms the anchor of a peer.
type TimeRequest struct {
	At      string `json:"at,omitempty"`
	Peer    string `json:"peer,omitempty"`
	Reason  string `json:"reason"`
	Approve string `json:"approve,omitempty"`
}

// TimeShown is how this appliance stands with time.
type TimeShown struct {
	Time
	AnchorAge int64         `json:"anchorAgeSeconds,omitempty"`
	TimeEpoch int64         `json:"timeEpoch"`
	Words     []string      `json:"words"` // sentences for people
	Waiting   []AnchorWaits `json:"waiting,omitempty"`
	// Proposed is the digest of what was proposed by this call: nothing has changed, and a second person must agree.
	Proposed string `json:"proposed,omitempty"`
}

// AnchorWaits is an anchor that jumps too far for one person.
type AnchorWaits struct {
	Peer    string `json:"peer"`
	At      string `json:"at"`
	Approve string `json:"approve"` // digest
}
