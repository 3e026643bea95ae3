package wire

// Store is the answer of store/show: what is on the disk and what of it could go. Sizes are in bytes.
type Store struct {
	Free       int64     `json:"free"`
	Total      int64     `json:"total"`
	Keep       int64     `json:"keep"`     // loads and imports leave so much free
	Reserved   int64     `json:"reserved"` // promised to what is running
	Inodes     int64     `json:"inodes"`   // free; -1: the file system has no such limit
	Stopped    bool      `json:"stopped"`  // intake has stopped
	Ballast    int64     `json:"ballast"`
	Blobs      int64     `json:"blobs"`
	Bytes      int64     `json:"bytes"`
	Orphans    int64     `json:"orphans"` // blobs that nothing names
	OrphanSize int64     `json:"orphanBytes"`
	Dead       int64     `json:"deadBytes"` // in kept shards, of records that no kept generation has any more
	Layers     int64     `json:"layers"`    // bytes below layers/
	Staging    int64     `json:"staging"`
	Waiting    int64     `json:"waiting"`
	Quarantine int64     `json:"quarantine"`
	Shelf      int64     `json:"shelf"`
	Backups    int64     `json:"backups"`
	State      int64     `json:"state"`
	Damaged    []Damaged `json:"damaged"`
	Scrub      Scrubbed  `json:"scrub"`    // the last round
	Prunable   int64     `json:"prunable"` // what prune would free
	Keeping    int       `json:"keeping"`  // with so many generations kept
}

// PruneRequest asks to drop generations beyond the newest Keep of each feed (0: as many as are kept anyway), and what
// nothing names.
type PruneRequest struct {
	Keep int  `json:"keep,omitempty"`
	Plan bool `json:"plan,omitempty"`
}

// Pruned is what a prune did, or would do.
type Pruned struct {
	Plan        bool          `json:"plan"`
	Keep        int           `json:"keep"`
	Generations []PrunedPlace `json:"generations"`
	Layers      int           `json:"layers"`
	Blobs       int           `json:"blobs"`
	Bytes       int64         `json:"bytes"`
	Free        int64         `json:"free"` // on the disk, now
	Stopped     bool          `json:"stopped"`
}

// PrunedPlace is one generation that goes.
type PrunedPlace struct {
	Feed       string `json:"feed"` // origin/feed
	Tenant     string `json:"tenant"`
	Epoch      int64  `json:"epoch"`
	Generation int64  `json:"generation"`
	Records    int64  `json:"records"`
	AcceptedAt string `json:"acceptedAt"`
}

// ScrubRequest asks for a scrub: of the next part of the store, or of all of it.
type ScrubRequest struct {
	All bool `json:"all,omitempty"`
}

// Scrubbed is what a scrub found.
type Scrubbed struct {
	At       string    `json:"at,omitempty"` // when it ended; "": never
	All      bool      `json:"all"`          // it was a whole round, of blobs, layers and bundles
	Blobs    int64     `json:"blobs"`
	Layers   int64     `json:"layers"`
	Bundles  int64     `json:"bundles"`
	Bytes    int64     `json:"bytes"`
	Rounds   int64     `json:"rounds"` // whole ones since the appliance was made
	Percent  int       `json:"percent"`
	Rebuilt  []string  `json:"rebuilt,omitempty"` // layers that were damaged and made again
	Damaged  []Damaged `json:"damaged"`
	Sentence string    `json:"sentence"`
}

// Damaged is one thing whose bytes are wrong or gone.
type Damaged struct {
	What  string   `json:"what"` // blob, layer, bundle, file
	Name  string   `json:"name"` // digest, file
	Bytes int64    `json:"bytes,omitempty"`
	Why   string   `json:"why"`
	Used  []string `json:"used"` // who needs it, like "osv-go generation 2 (31,204 advisories)"
	Next  string   `json:"next,omitempty"`
}

// Healed is the answer of media/heal.
type Healed struct {
	Bundles  []HealedBundle `json:"bundles"`
	Blobs    int            `json:"blobs"`
	Bytes    int64          `json:"bytes"`
	Layers   int            `json:"layers"`
	Left     []Damaged      `json:"left"` // still damaged or missing
	Sentence string         `json:"sentence"`
}

// HealedBundle is what one bundle of the medium gave back.
type HealedBundle struct {
	Name   string `json:"name"`
	From   string `json:"from,omitempty"`
	Blobs  int    `json:"blobs"`
	Bytes  int64  `json:"bytes"`
	Layers int    `json:"layers"`
	Code   string `json:"code,omitempty"` // why it was not used
	Reason string `json:"reason,omitempty"`
}
