// Package load is the room where documents on this machine become the next generation of a local feed.
//
// Data: it owns none for long. A load leaves blobs (shards of lines, documents as received, the load record), one layer
// file, and one transaction. The load record is a zstd stream of canonical JSON lines in the content store, named by the
// generation: who loaded when, then each file with name, size and digest, each zip's members after it.
//
// Beside it lies what may be lost: the members file of a feed, D/loads/<feed>/<digest>, tells for each member of its dumps the
// SHA-256 of the packed bytes and what they became. A member with the same packed bytes whose line the feed still has is
// neither inflated nor parsed again. The file counts only with the digest that the active generation names.
//
//	files → guards → candidates (sorted by spilled runs; lines in a spool) ┐
//	                                       the feed's layer, in key order  ┴→ merge → frames → shards, layer
//
// The merge runs twice: once to count, to compute the state root and to learn whether anything changes; once to write. A
// frame whose lines are those of an old frame is copied as bytes, after the old shard was hashed again.
//
// Order: bytes are staged, committed to the content store, the layer is sealed and renamed, then one transaction
// activates the generation and writes the event: that is the commit point. Then the feed's mark is raised (at start the
// daemon raises it again from the ledger). A crash before the commit point leaves orphans (blobs, a layer nobody names) for
// the sweep; after it, at most layers that are no longer needed. Loads of one feed wait for each other.
package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"

	"sallyport/internal/cas"
	"sallyport/internal/clock"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/durable"
	"sallyport/internal/feed"
	"sallyport/internal/ident"
	"sallyport/internal/layer"
	"sallyport/internal/marks"
	"sallyport/internal/record"
	"sallyport/internal/state"
	"sallyport/internal/timeline"
)

// Self is the origin of everything loaded here.
type Self struct{ ID, Name string }

// Room loads local documents. Fields are set once, before the first Load; all but Log and Workers are needed.
type Room struct {
	State    *state.DB
	CAS      *cas.Store
	Layers   *layer.Dir
	Timeline *timeline.Log
	Marks    *marks.Marks
	DataDir  string // files inside it are refused
	Self     Self
	Clock    clock.Clock
	Random   io.Reader
	FS       durable.FS
	Log      *slog.Logger
	Workers  int // goroutines that canonicalise and compress; 0: 2

	mu   sync.Mutex
	busy map[string]chan struct{} // by FeedRef.Key: closed when the load that holds it ends
}

// Request asks for one load.
type Request struct {
	Tenant   string
	Feed     string   // short name, or <our appliance id or name>/<name>
	Files    []string // paths as the caller sees them
	Kind     string   // overrides detection: advisory, finding, sbom, vex, policy, artifact; "" detects
	Strict   bool     // any rejected document fails the load
	Snapshot *bool    // nil: an OSV zip is a snapshot, single documents are additive
	Actor    string   // who asked for it; needed

	// Open opens a file that the caller may read; nil: os.Open.
	Open func(path string) (*os.File, error)
}

// Progress tells how far a load is. Items and Bytes only grow within a stage.
type Progress struct {
	Stage      string // "read", "compare", "write", "commit", "done"
	File       string // the file being read; foreign
	Items      int64
	Bytes      int64 // of documents as received, of lines as canonicalised
	TotalItems int64 // 0: not known
}

// Reject is one document that did not go in. All strings are foreign.
type Reject struct {
	File   string `json:"file"`
	Member string `json:"member,omitempty"`
	Code   string `json:"code"`
	Reason string `json:"reason"`
}

// Counts are records, but Rejected counts documents.
type Counts struct {
	Added     int64 `json:"added"`
	Changed   int64 `json:"changed"`
	Removed   int64 `json:"removed"`
	Unchanged int64 `json:"unchanged"`
	Rejected  int64 `json:"rejected"`
}

// Result is what a load did.
type Result struct {
	ID         string            `json:"id"`
	Feed       string            `json:"feed"`
	Origin     string            `json:"origin"`
	Epoch      int64             `json:"epoch"`
	Generation int64             `json:"generation"` // what is active afterwards
	StateRoot  string            `json:"stateRoot"`
	Records    int64             `json:"records"` // live ones afterwards
	Unchanged  bool              `json:"unchanged,omitempty"`
	Mended     int64             `json:"mended,omitempty"` // damaged or missing blobs of the feed that were written again
	Ill        int64             `json:"ill,omitempty"`    // that still are damaged or missing
	Counts     Counts            `json:"counts"`
	Kinds      map[string]Counts `json:"kinds"`
	Rejects    []Reject          `json:"rejects,omitempty"` // the first MaxRejects; Counts.Rejected has the number
	Frames     Frames            `json:"frames"`
}

// Frames tells how much compression was saved.
type Frames struct {
	Written int64 `json:"written"`
	Copied  int64 `json:"copied"`
}

// MaxRejects is how many rejects a Result lists.
const MaxRejects = 1000

// Load reads the files and makes their records the next generation of the feed. When nothing changes there is no new
// generation, and Result.Unchanged is set. Rejected documents do not stop the others, unless Strict is set or nothing
// else is left: then nothing changes, the error is code.LoadRejects, and the Result lists them. Cancelling ctx leaves
// nothing. progress may be nil; it is called from this goroutine.
func (r *Room) Load(ctx context.Context, req Request, progress func(Progress)) (res Result, err error) {
	ref, err := r.resolve(req)
	if err != nil {
		return Result{}, fmt.Errorf("load: %w", err)
	}
	free, err := r.hold(ctx, ref)
	if err != nil {
		return Result{}, fmt.Errorf("load into %s: %w", ref.Name, err)
	}
	defer free()
	op := &operation{room: r, req: req, ref: ref, progress: progress}
	if op.progress == nil {
		op.progress = func(Progress) {}
	}
	defer op.close()
	if err := op.run(ctx); err != nil {
		if ctx.Err() != nil {
			err = code.Wrap(code.Cancelled, err, "")
		}
		return op.res, fmt.Errorf("load into %s: %w", ref.Name, err)
	}
	return op.res, nil
}

// resolve checks the request and names the feed.
func (r *Room) resolve(req Request) (ident.FeedRef, error) {
	ref := ident.FeedRef{Tenant: req.Tenant, Origin: r.Self.ID, Name: req.Feed}
	if origin, name, ok := strings.Cut(req.Feed, "/"); ok {
		if origin != r.Self.ID && origin != r.Self.Name {
			return ref, code.New(code.FeedForeign, "feed %.80q is not of this appliance", req.Feed).Want(r.Self.Name, origin)
		}
		ref.Name = name
	}
	if len(req.Files) == 0 {
		return ref, code.New(code.BadUsage, "no file to load")
	}
	if req.Actor == "" {
		return ref, code.New(code.BadUsage, "nobody is named as who loads")
	}
	for _, err := range []error{ident.Name(ref.Tenant), ident.Feed(ref.Name)} {
		if err != nil {
			return ref, code.Wrap(code.BadUsage, err, "")
		}
	}
	if req.Kind != "" {
		if err := record.CheckKind(req.Kind); err != nil {
			return ref, err
		}
	}
	return ref, r.State.View(func(tx *state.Tx) error { return r.ours(tx, ref) })
}

// ours refuses a name that another appliance's feed has here and no feed of ours: short names stay unique.
func (r *Room) ours(tx *state.Tx, ref ident.FeedRef) error {
	if _, ok, err := feed.Get(tx, ref); ok || err != nil {
		return err
	}
	feeds, err := feed.List(tx, ref.Tenant)
	if err != nil {
		return err
	}
	for _, f := range feeds {
		if f.Ref.Name == ref.Name && f.Ref.Origin != ref.Origin {
			return code.New(code.FeedForeign, "feed %s comes from another appliance", ref.Name).Want(ref.Origin, f.Ref.Origin)
		}
	}
	return nil
}

// hold waits until no other load works on the feed.
func (r *Room) hold(ctx context.Context, ref ident.FeedRef) (free func(), err error) {
	for {
		r.mu.Lock()
		if r.busy == nil {
			r.busy = map[string]chan struct{}{}
		}
		other := r.busy[ref.Key()]
		if other == nil {
			mine := make(chan struct{})
			r.busy[ref.Key()] = mine
			r.mu.Unlock()
			return func() {
				r.mu.Lock()
				delete(r.busy, ref.Key())
				r.mu.Unlock()
				close(mine)
			}, nil
		}
		r.mu.Unlock()
		select {
		case <-other:
		case <-ctx.Done():
			return nil, code.Wrap(code.Cancelled, context.Cause(ctx), "")
		}
	}
}

func (r *Room) log() *slog.Logger {
	if r.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return r.Log
}

func (r *Room) workers() int {
	if r.Workers > 0 {
		return r.Workers
	}
	return 2
}

// operation is one load under way. It is used by one goroutine, but for what workers.go hands out.
type operation struct {
	room     *Room
	req      Request
	ref      ident.FeedRef
	progress func(Progress)
	res      Result

	stage   *cas.Stage
	release func()
	now     string // RFC 3339

	at   feed.Point             // of the generation being made
	from feed.Generation        // the active one; zero Generation: none
	view *layer.View            // of from, nil without one
	ill  map[digest.Digest]bool // blobs that from names and the content store has not

	in  *harvest
	sum summary
}

// run is the load from top to bottom.
func (op *operation) run(ctx context.Context) error {
	if err := op.begin(); err != nil {
		return err
	}
	if err := op.read(ctx); err != nil {
		return err
	}
	if err := op.judge(); err != nil {
		return err
	}
	if err := op.compare(ctx); err != nil {
		return err
	}
	whole, err := op.mend(ctx)
	if err != nil {
		return err
	}
	if op.view != nil && op.sum.root == op.from.Root && !whole {
		return op.nothing(ctx)
	}
	return op.write(ctx)
}

// begin takes a staging area, an id and the generation to start from.
func (op *operation) begin() (err error) {
	now := op.room.Clock.Now()
	op.now = clock.Format(now)
	if op.res.ID, err = ident.New(now, op.room.Random); err != nil {
		return err
	}
	op.res.Feed, op.res.Origin = op.ref.Name, op.ref.Origin
	err = op.room.State.View(func(tx *state.Tx) (err error) {
		if op.from, _, err = feed.Current(tx, op.ref); err != nil {
			return err
		}
		op.at, err = feed.Next(tx, op.ref)
		return err
	})
	if err != nil {
		return err
	}
	if len(op.from.Layers) > 0 {
		var files []string
		for _, l := range op.from.Layers {
			files = append(files, l.File)
		}
		if op.view, err = op.room.Layers.Open(files...); err != nil {
			return err
		}
	}
	if err := op.findIll(); err != nil {
		return err
	}
	if op.stage, err = op.room.CAS.Stage(); err != nil {
		return err
	}
	op.in, err = newHarvest(op)
	return err
}

// judge decides whether what was read may become a generation.
func (op *operation) judge() error {
	op.res.Counts.Rejected, op.res.Rejects = op.in.rejected, op.in.rejects
	first := func(why string) error {
		err := code.New(code.LoadRejects, "%d of %d documents were rejected; %s", op.in.rejected, op.in.rejected+op.in.taken, why)
		if len(op.in.rejects) > 0 {
			x := op.in.rejects[0]
			err.In(x.File, x.Member).Want("", fmt.Sprintf("%q", x.Reason))
			err.Expected = "a valid document"
		}
		return err
	}
	switch {
	case op.req.Strict && op.in.rejected > 0:
		return first("nothing was changed")
	case op.in.taken == 0 && op.in.rejected > 0:
		return first("nothing is left to load")
	case op.in.taken == 0 && (op.req.Snapshot == nil || op.view == nil):
		return code.New(code.LoadType, "there is no record in these files").Want("at least one", "none")
	}
	return nil
}

// close gives back everything but what was committed.
func (op *operation) close() {
	if op.in != nil {
		op.in.close()
	}
	if op.view != nil {
		op.view.Close()
	}
	if op.release != nil {
		op.release()
	}
	if op.stage != nil {
		if err := op.stage.Discard(); err != nil && !errors.Is(err, durable.ErrInjected) {
			op.room.log().Warn("staging area not removed", "err", err.Error())
		}
	}
}
