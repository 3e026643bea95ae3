// Package export is the room where bundles are made: a run is planned, built, signed, verified by the gate and distributed.
//
// Data: runs live in the ledger job; finished bundles lie on the shelf:
//
//	D/shelf/NAME-<8 hex of label id>/   volumes, SHA256SUMS, COVER.txt, label: exactly what a medium gets
//	D/shelf/.building-<run id>/         a run's own folder while it is built; no other run looks into it
//
// Index files and papers that a run makes stay in a staging area of the content store and go when the run ends; shards and
// documents are read from the content store and hashed again while they are copied. What is inside a payload is decided by
// a Kind (packages below this one); how it is signed, packed, sealed, cut, proven and carried is the same for all.
//
// What a peer is known to hold and was sent since (its standing) is worked out of the ledgers peer, job and feed; those
// generations are kept from pruning for it ("peer:<name>"), those that a run reads for the run ("run:<id>"), in the very
// transactions that make them so.
//
// Order: planning pins what is carried in one transaction; contents are staged; the manifest is signed; the payload is
// packed, sealed and cut into volumes while an unsealed copy of the same bytes runs through the gate; the label is signed;
// the gate's verdict and a full read of the volumes decide; the folder is renamed onto the shelf; one transaction says so
// (*this line is the commit point* of a bundle); then it is copied to the medium and the run has succeeded. Every state
// is one transaction with its event. A crash leaves a run that is not final (back to pending at start, attempt + 1), a
// .building folder and perhaps a shelf folder that no run names (both removed at start). A run whose bundle stands on the
// shelf is not built again: it resumes with the gate and the copy.
package export

import (
	"context"
	"io"
	"log/slog"
	"path/filepath"
	"runtime"
	"sync"

	"sallyport/internal/cas"
	"sallyport/internal/clock"
	"sallyport/internal/digest"
	"sallyport/internal/durable"
	"sallyport/internal/job"
	"sallyport/internal/keyring"
	"sallyport/internal/layer"
	"sallyport/internal/marks"
	"sallyport/internal/root"
	"sallyport/internal/state"
	"sallyport/internal/timeline"
)

// Self is what this appliance says about itself.
type Self struct {
	ID       string   // appliance id
	Name     string   // as it calls itself
	Roots    [][]byte // envelopes of our own trust root, version 1 first; versions made since are read when they are needed
	Software string   // version of this program
}

// Deps is what the room works with. All fields are needed unless they say otherwise.
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
	Log      *slog.Logger // nil: silent
	Self     Self
	DataDir  string
	Kinds    []Kind // profiles this room can run
	Workers  int    // goroutines that compress, for each run; 0: one per core
	Parallel int    // runs at a time; 0: one per two cores

	// Mirror is the digest of the mirror program of our kit, for cover sheets; zero when not known.
	Mirror digest.Digest
	// MirrorFile is that program, copied to bin/ on a medium; "" copies none.
	MirrorFile string
	// Card writes our card to a medium on which a bundle was just written; nil writes none.
	Card func(ctx context.Context, medium string) error
	// Acks lists the receipts and inventories of a peer that its next manifest acknowledges; nil: none.
	Acks func(tx *state.Tx, peerID string) ([]digest.Digest, error)
	// Fatal is told when our own disk failed a sync: the daemon must stop. nil: the run fails.
	Fatal func(error)
}

// Room is the export centre. Safe for concurrent use.
type Room struct {
	Deps
	kinds map[string]Kind // by profile name
	hub   *hub

	mu     sync.Mutex
	active map[string]*task // runs that a worker has
	wake   chan struct{}    // holds a token when there may be a pending run
	stop   context.CancelCauseFunc
	done   sync.WaitGroup
}

// task is a run in the hands of a worker.
type task struct {
	cancel context.CancelCauseFunc
	actor  string // who cancelled it
}

// New makes the room. Nothing is read or written; call Start.
func New(d Deps) *Room {
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	if d.Workers <= 0 {
		d.Workers = runtime.GOMAXPROCS(0)
	}
	if d.Parallel <= 0 {
		d.Parallel = max(1, runtime.GOMAXPROCS(0)/2)
	}
	r := &Room{Deps: d, kinds: map[string]Kind{}, hub: newHub(d.Clock), active: map[string]*task{}}
	for _, k := range d.Kinds {
		r.kinds[k.Profile().Name] = k
	}
	return r
}

// Shelf is the folder of finished bundles, D/shelf.
func (r *Room) Shelf() string { return filepath.Join(r.DataDir, "shelf") }

// trusted is our own trust root at its newest version.
func (r *Room) trusted() (*root.Trusted, error) {
	envelopes, err := r.Keys.Roots(r.Self.Roots)
	if err != nil {
		return nil, err
	}
	return chain(envelopes)
}

// Run is one run as people and scripts see it.
type Run struct {
	job.Run
	Progress *Progress `json:"progress,omitempty"` // while a worker has it
}

// Progress is how far a run is. It is no event: only the latest is kept.
type Progress struct {
	Stage      string `json:"stage"`      // the run's state, while distributing "copy: write", "copy: read back", …
	Percent    int    `json:"percent"`    // of the stage, 0 to 100
	Items      int64  `json:"items"`      // members done
	TotalItems int64  `json:"totalItems"` // 0: not known
	Bytes      int64  `json:"bytes"`
	TotalBytes int64  `json:"totalBytes"` // 0: not known
	Rate       int64  `json:"rate"`       // bytes per second in this stage
	ETA        int64  `json:"etaSeconds"` // 0: not known
}
