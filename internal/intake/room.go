package intake

import (
	"io"
	"io/fs"
	"log/slog"
	"time"

	"sallyport/internal/cas"
	"sallyport/internal/clock"
	"sallyport/internal/durable"
	"sallyport/internal/keyring"
	"sallyport/internal/layer"
	"sallyport/internal/marks"
	"sallyport/internal/state"
	"sallyport/internal/timeline"
)

// Self is what this appliance says about itself.
type Self struct {
	ID       string
	Name     string
	Tenants  []string // ours
	Roots    [][]byte // envelopes of our own trust root, version 1 first; versions made since are read when they are needed
	Software string   // version of this program, "1.0.0"
	Every    int64    // seconds between two sticks, as told at init
}

// Deps is what the room works with. All fields but Log, Delivered and Learned are needed.
type Deps struct {
	State    *state.DB
	CAS      *cas.Store
	Layers   *layer.Dir
	Keys     *keyring.Ring
	Marks    *marks.Marks
	Timeline *timeline.Log
	Clock    clock.Clock
	Random   io.Reader
	FS       durable.FS
	Log      *slog.Logger
	Self     Self
	DataDir  string
	// Approvals is how many people must say yes to an import: 0, 1 or 2 (`approvals.import`).
	Approvals int
	Expire    time.Duration // of an approval (`approvals.expire`); 0 is 7 days
	// SingleOperator lets one person change trust (`init --single-operator`); the timeline says so in every event.
	SingleOperator bool
	// Delivered is told of each receipt taken in, in the transaction that records it. It must be idempotent.
	Delivered func(*state.Tx, Delivery) error
	// Learned is told when a peer's paper changed what it is known to hold, in the same transaction; nil: nobody is.
	Learned func(tx *state.Tx, peer string) error
	// Often is how often a stick arrives, as our card says it; nil: Self.Every.
	Often func() time.Duration
}

// Room takes things in. It does one import at a time. Safe for concurrent use.
type Room struct {
	Deps
	one     chan struct{}     // holds one token: the right to import
	through func(fs.FS) fs.FS // every medium is read through it: faults in tests
}

// New makes the room. Nothing is read or written; call Recover before the first import.
func New(d Deps) *Room {
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	if d.Expire == 0 {
		d.Expire = 7 * 24 * time.Hour
	}
	r := &Room{Deps: d, one: make(chan struct{}, 1), through: func(f fs.FS) fs.FS { return f }}
	r.one <- struct{}{}
	return r
}
