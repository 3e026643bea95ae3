package wire

// Fleet is the answer of peers/fleet: where each peer stands with what is made here, who needs a hand first.
type Fleet struct {
	Peers []PeerStanding `json:"peers"`
	Now   string         `json:"now"` // the trusted time it was judged by
}

// The levels of a PeerStanding, worst first.
const (
	PeerBad     = "bad"     // it cannot be given anything as things stand
	PeerWarn    = "warn"    // late, asks for volumes, or a key of it ends soon
	PeerUnknown = "unknown" // it never told us what it holds
	PeerBehind  = "behind"  // the next stick brings it something
	PeerOK      = "ok"      // it holds what is active here
)

// PeerStanding is one line of the fleet. Sizes are in bytes of bodies, not packed.
type PeerStanding struct {
	Peer
	Level    string       `json:"level"`
	Why      []string     `json:"why,omitempty"` // one sentence each, worst first
	Feeds    []FleetFeed  `json:"feeds,omitempty"`
	FeedsUs  int          `json:"feedsUs"` // feeds of its own that are held here: it is a hub to us
	Every    int64        `json:"everySeconds"`
	NextDue  string       `json:"nextDue,omitempty"` // when the next stick is due; "": it was never heard of
	Overdue  int64        `json:"overdueSeconds,omitempty"`
	Delta    int64        `json:"deltaBytes"` // that the next stick would carry; -1: not weighed yet, or nothing to start from
	Full     int64        `json:"fullBytes"`  // a full of the same feeds
	Wanted   []FleetAsk   `json:"wanted,omitempty"`
	Keys     []FleetKey   `json:"keys,omitempty"` // that end before the stick after the next
	Receipts int          `json:"receipts"`       // of ours that it has not acknowledged
	Reader   int64        `json:"readerVersion"`  // newest bundle format that it reads
	Unheard  bool         `json:"unheard,omitempty"`
	Root     int64        `json:"rootVersion"`
	RootEnds string       `json:"rootNotAfter,omitempty"`
	Sent     []FleetFlown `json:"sent,omitempty"` // the last bundles made for it, newest first
}

// FleetFeed is one of our feeds as a peer has it.
type FleetFeed struct {
	Feed  string `json:"feed"`
	Has   string `json:"has,omitempty"` // epoch.generation it is known to hold; "": unknown
	We    string `json:"we"`            // active here
	Sent  string `json:"sent,omitempty"`
	Heard string `json:"heard,omitempty"` // when it told us
	From  string `json:"from,omitempty"`  // receipt, inventory, voice
	Even  bool   `json:"even"`            // it holds what is active here
}

// FleetAsk is a bundle of which a peer misses volumes.
type FleetAsk struct {
	Run     string  `json:"run,omitempty"` // "": the bundle is not on the shelf any more
	Name    string  `json:"name,omitempty"`
	Volumes []int64 `json:"volumes"`
}

// FleetKey is a key of a peer that ends soon.
type FleetKey struct {
	Kind     string `json:"kind"`
	KeyID    string `json:"keyid"`
	NotAfter string `json:"notAfter"`
}

// FleetFlown is a bundle that was made for a peer.
type FleetFlown struct {
	Run      string `json:"run"`
	Name     string `json:"name"`
	At       string `json:"at"`
	Bytes    int64  `json:"bytes"`
	Decision string `json:"decision,omitempty"` // "": not answered yet
}
