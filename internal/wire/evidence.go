package wire

// LoadRequest asks for load/run. Files are absolute paths; the daemon opens them with the caller's rights.
type LoadRequest struct {
	Tenant   string   `json:"tenant,omitempty"` // "": the only one
	Feed     string   `json:"feed"`
	Files    []string `json:"files"`
	Kind     string   `json:"kind,omitempty"`
	Strict   bool     `json:"strict,omitempty"`
	Snapshot *bool    `json:"snapshot,omitempty"`
}

// Counts are records; Rejected counts documents.
type Counts struct {
	Added     int64 `json:"added"`
	Changed   int64 `json:"changed"`
	Removed   int64 `json:"removed"`
	Unchanged int64 `json:"unchanged"`
	Rejected  int64 `json:"rejected"`
}

// Reject is one document that did not go in. All strings are foreign.
type Reject struct {
	File   string `json:"file"`
	Member string `json:"member,omitempty"`
	Code   string `json:"code"`
	Reason string `json:"reason"`
}

// Loaded is the result of load/run.
type Loaded struct {
	ID         string            `json:"id"`
	Feed       string            `json:"feed"`
	Origin     string            `json:"origin"`
	Epoch      int64             `json:"epoch"`
	Generation int64             `json:"generation"`
	StateRoot  string            `json:"stateRoot"`
	Records    int64             `json:"records"`
	Unchanged  bool              `json:"unchanged,omitempty"`
	Mended     int64             `json:"mended,omitempty"` // damaged or missing blobs of the feed that were written again
	Ill        int64             `json:"ill,omitempty"`    // that still are damaged or missing
	Counts     Counts            `json:"counts"`
	Kinds      map[string]Counts `json:"kinds"`
	Rejects    []Reject          `json:"rejects,omitempty"`
	Frames     struct {
		Written int64 `json:"written"`
		Copied  int64 `json:"copied"`
	} `json:"frames"`
}

// FeedRequest names a feed: short name or origin/feed.
type FeedRequest struct {
	Tenant string `json:"tenant,omitempty"`
	Name   string `json:"name,omitempty"`
}

// Feed is one feed as people see it.
type Feed struct {
	Name        string           `json:"name"`
	FullName    string           `json:"fullName"` // origin's name/feed
	Tenant      string           `json:"tenant"`
	Origin      string           `json:"origin"` // appliance id
	OriginName  string           `json:"originName"`
	Local       bool             `json:"local"`
	Epoch       int64            `json:"epoch"`
	Generation  int64            `json:"generation"` // active; 0: none
	StateRoot   string           `json:"stateRoot,omitempty"`
	Records     int64            `json:"records"`
	Kinds       map[string]int64 `json:"kinds,omitempty"`
	GeneratedAt string           `json:"generatedAt,omitempty"` // by the origin
	AcceptedAt  string           `json:"acceptedAt,omitempty"`  // here
	Bytes       int64            `json:"bytes"`
	Pinned      bool             `json:"pinned,omitempty"`
	PinReason   string           `json:"pinReason,omitempty"`
	Mark        string           `json:"mark,omitempty"`     // highest epoch.generation ever accepted
	Newest      string           `json:"newest,omitempty"`   // newest epoch.generation held
	Standing    string           `json:"standing,omitempty"` // against the budget: ok, warn, breach; "": none
	Blocks      bool             `json:"blocks,omitempty"`   // nothing older may be activated
	AgeSeconds  int64            `json:"ageSeconds,omitempty"`
	AtLeast     bool             `json:"atLeast,omitempty"` // the age is a lower bound
	Every       int64            `json:"everySeconds,omitempty"`
}

// Feeds is the answer of feeds/list.
type Feeds struct {
	Feeds []Feed `json:"feeds"`
}

// FeedDetail is the answer of feeds/show.
type FeedDetail struct {
	Feed
	Held    []Generation `json:"held"`              // newest first
	Damaged []Damaged    `json:"damaged,omitempty"` // things that it needs and that are known to be damaged or missing
}

// Generation is one state of a feed that is held here.
type Generation struct {
	Epoch      int64  `json:"epoch"`
	Generation int64  `json:"generation"`
	StateRoot  string `json:"stateRoot"`
	Records    int64  `json:"records"`
	Bytes      int64  `json:"bytes"`
	BundleID   string `json:"bundleId,omitempty"`
	Signer     string `json:"signer,omitempty"` // key id
	LoadedBy   string `json:"loadedBy,omitempty"`
	AcceptedAt string `json:"acceptedAt"`
	Active     bool   `json:"active"`
	Held       bool   `json:"held,omitempty"` // a hold keeps it from retention
	AnchorTime string `json:"anchorTime,omitempty"`
}

// RecordRequest asks for records. Show: Key (or an alias). Search: Query, a key, an alias, or a package as name or
// ecosystem/name. List: After is the cursor of the last answer.
type RecordRequest struct {
	Tenant string `json:"tenant,omitempty"`
	Feed   string `json:"feed,omitempty"`
	Kind   string `json:"kind,omitempty"`
	Key    string `json:"key,omitempty"`
	Query  string `json:"query,omitempty"`
	After  string `json:"after,omitempty"`
	Limit  int    `json:"limit,omitempty"`
	Proof  bool   `json:"proof,omitempty"`
	Body   bool   `json:"body,omitempty"` // search and list: with bytes
}

// Record is one record. Body is the line without its line feed, or the document as it was loaded.
type Record struct {
	Kind       string `json:"kind"`
	Key        string `json:"key"`
	Digest     string `json:"digest"`
	Bytes      int64  `json:"bytes"`
	Document   bool   `json:"document"`
	Name       string `json:"name,omitempty"` // of a document's file; foreign text
	MediaType  string `json:"mediaType,omitempty"`
	Feed       string `json:"feed"`
	Origin     string `json:"origin"`
	OriginName string `json:"originName"`
	Generation int64  `json:"generation"`
	Body       []byte `json:"body,omitempty"`
	Proof      *Proof `json:"proof,omitempty"`
}

// Records is the answer of records/search and records/list.
type Records struct {
	Records []Record `json:"records"`
	Next    string   `json:"next,omitempty"` // cursor; "": no more
}

// FeedRef is a feed's full key.
type FeedRef struct {
	Tenant string `json:"tenant"`
	Origin string `json:"origin"`
	Name   string `json:"name"`
}

// Proof is the way from a record to a signature, checked.
type Proof struct {
	Feed        FeedRef  `json:"feed"`
	OriginName  string   `json:"originName"`
	Epoch       int64    `json:"epoch"`
	Generation  int64    `json:"generation"`
	StateRoot   string   `json:"stateRoot"`
	Kind        string   `json:"kind"`
	Key         string   `json:"key"`
	Digest      string   `json:"digest"`
	Bytes       int64    `json:"bytes"`
	Shard       string   `json:"shard,omitempty"`
	Path        string   `json:"path,omitempty"`
	Line        *int64   `json:"line,omitempty"`
	Manifest    string   `json:"manifest,omitempty"`
	Bundle      string   `json:"bundle,omitempty"`
	Signer      string   `json:"signer,omitempty"`
	KeyID       string   `json:"keyid,omitempty"`
	SignerState string   `json:"signerState,omitempty"`
	RootID      string   `json:"rootId,omitempty"`
	RootVersion int64    `json:"rootVersion,omitempty"`
	Local       bool     `json:"local"`
	LoadedBy    string   `json:"loadedBy,omitempty"`
	LoadRecord  string   `json:"loadRecord,omitempty"`
	Sources     []string `json:"sources,omitempty"` // files it was loaded from
	AcceptedAt  string   `json:"acceptedAt"`
	Checked     []string `json:"checked"`
}
