// Package feed is the ledger of feeds and their generations: what is held, what is active, how far each has come.
//
// Data, tables of the state database:
//
//	feeds        tenant NUL origin NUL name → Feed: pointer to the active generation, mark, pin
//	generations  tenant NUL origin NUL name NUL 16 hex epoch, 16 hex generation → Generation: root, layers, manifests
//	feed-life    "epoch" → the epoch in which feeds that are made here begin, after a restore
//
// Order: a room builds layers, commits blobs, and calls Activate in its one transaction: all pointers of a bundle flip
// together. Activate takes a Plan, which only intake (from a verified bundle) and load (from local documents) may make;
// the architecture test holds them to it. The layer files that no kept generation names any more are handed back and
// deleted after the commit; a crash in between leaves files that LayerFiles does not list.
package feed

import (
	"fmt"
	"time"

	"sallyport/internal/clock"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/ident"
	"sallyport/internal/marks"
	"sallyport/internal/state"
)

// Kept is how many generations of a feed stay; held ones come on top.
const Kept = 5

// MaxJump is how far above the mark a generation may be with one approver.
const MaxJump = 10000

// Point is a place in a feed's life: (epoch, generation). Generation 0 is "nothing yet".
type Point struct {
	Epoch      int64 `json:"epoch"`
	Generation int64 `json:"generation"`
}

// Less orders by epoch, then generation.
func (p Point) Less(o Point) bool {
	return p.Epoch < o.Epoch || p.Epoch == o.Epoch && p.Generation < o.Generation
}

// Layer is one layer file of a generation and what it keeps alive in the CAS.
type Layer struct {
	File   string          `json:"file"` // path below D/layers, chosen by the room that built it
	Bytes  int64           `json:"bytes"`
	Shards []digest.Digest `json:"shards,omitempty"`
}

// Generation is one state of a feed that is held here.
type Generation struct {
	Point
	Root        digest.Digest    `json:"root"`
	Records     int64            `json:"records"`
	Counts      map[string]int64 `json:"counts,omitempty"` // live records per kind
	Layers      []Layer          `json:"layers"`           // base, then at most one overlay
	Bytes       int64            `json:"bytes"`
	BundleID    digest.Digest    `json:"bundleId,omitzero"`   // that made it; zero: loaded here
	Signer      string           `json:"signer,omitempty"`    // keyid of who signed that bundle's manifest
	Manifests   []Voucher        `json:"manifests,omitempty"` // what vouches for its records, oldest first; read them with Vouchers
	Manifest    digest.Digest    `json:"manifest,omitzero"`   // as written before there were Manifests
	FeedIndex   int              `json:"feedIndex,omitempty"` // the same
	LoadedBy    string           `json:"loadedBy,omitempty"`
	LoadRecord  digest.Digest    `json:"loadRecord,omitzero"` // CAS: names, sizes and digests of the source files
	Members     digest.Digest    `json:"members,omitzero"`    // the file of D/loads that tells what the members of its dumps became
	GeneratedAt string           `json:"generatedAt,omitempty"`
	AnchorTime  string           `json:"anchorTime,omitempty"`
	AcceptedAt  string           `json:"acceptedAt"`
	Held        bool             `json:"held,omitempty"`  // a hold keeps it from retention
	Users       []string         `json:"users,omitempty"` // who else needs it kept, see Keep
}

// Voucher is one signed manifest that vouches for records of a generation: that of the bundle which made it, and before it
// those of the full and the deltas whose records it still has.
type Voucher struct {
	Manifest  digest.Digest `json:"manifest"`  // CAS: the signed envelope
	FeedIndex int           `json:"feedIndex"` // position in its feeds[]
	BundleID  digest.Digest `json:"bundleId"`
	Signer    string        `json:"signer"` // keyid of who signed it
}

// Vouchers lists what vouches for the records, oldest first; none for what was loaded here. A generation that was written
// when there was one manifest to each is understood.
func (g Generation) Vouchers() []Voucher {
	if len(g.Manifests) == 0 && !g.Manifest.IsZero() {
		return []Voucher{{g.Manifest, g.FeedIndex, g.BundleID, g.Signer}}
	}
	return g.Manifests
}

// Feed is one named set of records.
type Feed struct {
	Ref       ident.FeedRef `json:"ref"`
	Local     bool          `json:"local"` // origin is this appliance
	Active    Point         `json:"active"`
	Mark      marks.Mark    `json:"mark"`
	Pinned    bool          `json:"pinned,omitempty"`
	PinReason string        `json:"pinReason,omitempty"`
	Every     int64         `json:"everySeconds,omitempty"` // delivery rhythm; 0: the appliance's default
	NextEpoch int64         `json:"nextEpoch,omitempty"`    // in which the next generation is minted, when it is higher
	Vouched   string        `json:"vouched,omitempty"`      // newest anchor with which the origin spoke, see Vouch
	CreatedAt string        `json:"createdAt"`
}

var (
	feeds       = state.Table[Feed]{Name: "feeds"}
	generations = state.Table[Generation]{Name: "generations"}
)

func genPrefix(ref ident.FeedRef) string { return ref.Key() + "\x00" }

func genKey(ref ident.FeedRef, p Point) string {
	return fmt.Sprintf("%s%016x%016x", genPrefix(ref), p.Epoch, p.Generation)
}

func markPoint(m marks.Mark) Point { return Point{m.Epoch, m.Generation} }

// Get reads one feed.
func Get(tx *state.Tx, ref ident.FeedRef) (Feed, bool, error) { return feeds.Get(tx, ref.Key()) }

func must(tx *state.Tx, ref ident.FeedRef) (Feed, error) {
	f, ok, err := Get(tx, ref)
	if err == nil && !ok {
		err = code.New(code.Missing, "no such feed: %q of %s", ref.Name, ref.Origin)
	}
	return f, err
}

// Find resolves the short or the full name (origin/feed) of a feed. originName turns an appliance id into a name that
// may stand before the slash besides the id; it may be nil. Codes not-found, ambiguous (which lists the full names).
func Find(tx *state.Tx, tenant, name string, originName func(id string) string) (Feed, error) {
	if originName == nil {
		originName = func(id string) string { return id }
	}
	var found []Feed
	var full []string
	err := feeds.Scan(tx, tenant+"\x00", func(_ string, f Feed) error {
		origin := originName(f.Ref.Origin)
		if name == f.Ref.Name || name == origin+"/"+f.Ref.Name || name == f.Ref.Origin+"/"+f.Ref.Name {
			found, full = append(found, f), append(full, origin+"/"+f.Ref.Name)
		}
		return nil
	})
	switch {
	case err != nil:
		return Feed{}, err
	case len(found) == 0:
		return Feed{}, code.New(code.Missing, "no feed %q", name)
	case len(found) > 1:
		return Feed{}, code.New(code.Ambiguous, "%q is one of %q", name, full)
	}
	return found[0], nil
}

// List lists the feeds of a tenant ("": all) in key order.
func List(tx *state.Tx, tenant string) (all []Feed, err error) {
	prefix := ""
	if tenant != "" {
		prefix = tenant + "\x00"
	}
	err = feeds.Scan(tx, prefix, func(_ string, f Feed) error {
		all = append(all, f)
		return nil
	})
	return all, err
}

// At reads one held generation.
func At(tx *state.Tx, ref ident.FeedRef, p Point) (Generation, bool, error) {
	return generations.Get(tx, genKey(ref, p))
}

// Current reads the active generation; ok is false when nothing was activated yet.
func Current(tx *state.Tx, ref ident.FeedRef) (Generation, bool, error) {
	f, ok, err := Get(tx, ref)
	if err != nil || !ok || f.Active == (Point{}) {
		return Generation{}, false, err
	}
	return At(tx, ref, f.Active)
}

// Generations lists what is held, newest first.
func Generations(tx *state.Tx, ref ident.FeedRef) (all []Generation, err error) {
	err = generations.ScanBack(tx, genPrefix(ref), "", func(_ string, g Generation) error {
		all = append(all, g)
		return nil
	})
	return all, err
}

// Next is the point that a local feed's next generation will have: (1, 1) for a new feed.
func Next(tx *state.Tx, ref ident.FeedRef) (Point, error) {
	f, known, err := Get(tx, ref)
	if err == nil && !known {
		f.NextEpoch, err = begin(tx)
	}
	return f.next(), err
}

func (f Feed) next() Point {
	switch {
	case f.NextEpoch > f.Mark.Epoch:
		return Point{f.NextEpoch, 1}
	case f.Mark.Generation == 0:
		return Point{1, 1}
	}
	return Point{f.Mark.Epoch, f.Mark.Generation + 1}
}

func edit(tx *state.Tx, ref ident.FeedRef, change func(*Feed)) error {
	f, err := must(tx, ref)
	if err != nil {
		return err
	}
	change(&f)
	return feeds.Put(tx, ref.Key(), f)
}

// Rollback points a foreign feed at a held generation and pins it there: what is imported from now on is held. A local
// feed has code conflict: going back at the origin mints a new generation. Code not-found when it is not held.
func Rollback(tx *state.Tx, ref ident.FeedRef, to Point, reason string) (Change, error) {
	f, err := must(tx, ref)
	if err != nil {
		return Change{}, err
	}
	if f.Local {
		return Change{}, code.New(code.Conflict, "feed %q is ours: going back mints a new generation", ref.Name)
	}
	g, ok, err := At(tx, ref, to)
	if err != nil {
		return Change{}, err
	}
	if !ok {
		return Change{}, code.New(code.Missing, "generation %d of feed %q is not held here", to.Generation, ref.Name)
	}
	c := Change{Ref: ref, Decision: Activated, Before: f.Active, After: to, Root: g.Root}
	f.Active, f.Pinned, f.PinReason = to, true, reason
	return c, feeds.Put(tx, ref.Key(), f)
}

// Pin sets or clears the pin. While pinned, imports are held, not activated. Unpinning activates nothing by itself.
func Pin(tx *state.Tx, ref ident.FeedRef, on bool, reason string) error {
	return edit(tx, ref, func(f *Feed) { f.Pinned, f.PinReason = on, reason })
}

// SetRhythm sets how often a stick arrives for this feed (whole seconds); 0 is the appliance's default.
func SetRhythm(tx *state.Tx, ref ident.FeedRef, every time.Duration) error {
	return edit(tx, ref, func(f *Feed) { f.Every = int64(every / time.Second) })
}

// Hold sets or clears the hold that keeps a generation from retention. Code not-found.
func Hold(tx *state.Tx, ref ident.FeedRef, p Point, on bool) error {
	g, ok, err := At(tx, ref, p)
	if err == nil && !ok {
		err = code.New(code.Missing, "generation %d of feed %q is not held here", p.Generation, ref.Name)
	}
	if err != nil {
		return err
	}
	g.Held = on
	return generations.Put(tx, genKey(ref, p), g)
}

// Live visits every digest that kept generations name (shards, manifests, load records), some more than once. The
// documents of a generation are named by its layers.
func Live(tx *state.Tx, fn func(digest.Digest)) error {
	return generations.Scan(tx, "", func(_ string, g Generation) error {
		if !g.LoadRecord.IsZero() {
			fn(g.LoadRecord)
		}
		for _, v := range g.Vouchers() {
			fn(v.Manifest)
		}
		for _, l := range g.Layers {
			for _, d := range l.Shards {
				fn(d)
			}
		}
		return nil
	})
}

// LayerFiles is the set of layer files that kept generations name.
func LayerFiles(tx *state.Tx) (map[string]bool, error) {
	files := map[string]bool{}
	err := generations.Scan(tx, "", func(_ string, g Generation) error {
		for _, l := range g.Layers {
			files[l.File] = true
		}
		return nil
	})
	return files, err
}

// stamp is how the ledger writes a time.
func stamp(at time.Time) string { return clock.Format(at) }
