package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"sallyport/internal/cas"
	"sallyport/internal/clock"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/feed"
	"sallyport/internal/state"
	"sallyport/internal/timeline"
	"sallyport/internal/units"
	"sallyport/internal/verify"
	"sallyport/internal/wire"
)

// round is how far the scrub has come: one row of the state database. What it says is about bytes outside of it.
type round struct {
	After   digest.Digest  `json:"after,omitzero"` // last blob read in this round; zero: a round begins
	Rounds  int64          `json:"rounds"`
	At      string         `json:"at"`
	All     bool           `json:"all"`
	Blobs   int64          `json:"blobs"` // read in the last part
	Layers  int64          `json:"layers"`
	Bundles int64          `json:"bundles"`
	Bytes   int64          `json:"bytes"`
	Bad     []wire.Damaged `json:"bad,omitempty"` // what the last whole round found, but for condemned blobs
}

// sum is a layer file as it was when its contents were proven: from then on any flipped bit shows. A file of another time
// is another file.
type sum struct {
	Digest digest.Digest `json:"digest"`
	Bytes  int64         `json:"bytes"`
	Nanos  int64         `json:"nanos"` // modification time
}

var (
	rounds    = state.Table[round]{Name: "scrub"}
	layerSums = state.Table[sum]{Name: "scrub.layers"}
)

const (
	scrubKey   = "store"
	scrubEvery = time.Hour // a day's budget is spent in so many parts
)

// Scrub reads a part of the store again, or all of it.
func (s store) Scrub(ctx context.Context, q wire.ScrubRequest, progress func(wire.Progress)) (out wire.Scrubbed, err error) {
	part := s.d.cfg.Scrub / int64(24*time.Hour/scrubEvery)
	if q.All {
		part = 0
	}
	if err := s.d.scrub(ctx, part, q.All, runtime.NumCPU(), progress); err != nil {
		return out, err
	}
	return s.d.lastScrub()
}

// scrub hashes blobs until the budget is spent (0: all of them from the first on), condemns what is damaged, and when it
// has come to the end looks at layers, bundles on the shelf, and what should be there and is not.
func (d *Daemon) scrub(ctx context.Context, budget int64, all bool, workers int, progress func(wire.Progress)) error {
	select {
	case d.scrubOne <- struct{}{}:
		defer func() { <-d.scrubOne }()
	case <-ctx.Done():
		return code.Wrap(code.Interrupted, ctx.Err(), "wait for the scrub before this one")
	}
	var r round
	if err := d.state.View(func(tx *state.Tx) (err error) { r, _, err = rounds.Get(tx, scrubKey); return err }); err != nil {
		return err
	}
	if all {
		r.After = digest.Digest{}
	}
	r.All, r.Blobs, r.Layers, r.Bundles, r.Bytes = all, 0, 0, 0, 0
	condemned, foreign, err := d.scrubBlobs(ctx, &r, budget, workers, progress)
	if err != nil {
		return err
	}
	if r.After.IsZero() {
		r.Rounds++
		r.Bad = foreign
		if err := d.scrubRest(ctx, &r); err != nil {
			return err
		}
	}
	r.At = clock.Format(d.marks.Now().Trusted)
	return d.noteScrub(ctx, r, condemned)
}

// scrubBlobs reads blobs and condemns those whose bytes are wrong or cannot be read.
func (d *Daemon) scrubBlobs(ctx context.Context, r *round, budget int64, workers int, progress func(wire.Progress)) (condemned []digest.Digest, foreign []wire.Damaged, err error) {
	_, total, err := d.cas.Usage()
	if err != nil {
		return nil, nil, err
	}
	var bad []digest.Digest
	next, err := d.cas.Scrub(ctx, cas.Scrub{After: r.After, Budget: budget, Workers: workers, Disk: true}, func(b digest.Digest, n int64, err error) {
		r.Blobs, r.Bytes = r.Blobs+1, r.Bytes+n
		switch {
		case err != nil && b.IsZero():
			foreign = append(foreign, wire.Damaged{What: "file", Name: fileOf(err), Why: err.Error(), Next: code.NextStep(err)})
		case err != nil:
			d.log.Error("a blob is damaged", "blob", b.String(), "err", err.Error())
			bad = append(bad, b)
		}
		progress(wire.Progress{Stage: "scrub blobs", Items: r.Blobs, Bytes: r.Bytes, TotalBytes: total})
	})
	if err != nil {
		return nil, nil, err
	}
	for _, b := range bad {
		if err := d.cas.Condemn(b); err != nil {
			return condemned, foreign, err
		}
		condemned = append(condemned, b)
	}
	d.deps.FS.Point("scrub.condemned")
	d.metrics.Scrubbed(r.Bytes, len(bad))
	r.After = next
	return condemned, foreign, nil
}

func fileOf(err error) string {
	var e *code.Error
	if errors.As(err, &e) {
		return e.File
	}
	return ""
}

// noteScrub writes down how far the scrub has come, and one event when blobs went into quarantine.
func (d *Daemon) noteScrub(ctx context.Context, r round, condemned []digest.Digest) error {
	return d.state.Update(ctx, func(tx *state.Tx) error {
		if err := rounds.Put(tx, scrubKey, r); err != nil || len(condemned) == 0 {
			return err
		}
		attrs := map[string]string{"blobs": fmt.Sprint(len(condemned))}
		for i, b := range condemned[:min(len(condemned), 64)] {
			attrs[fmt.Sprintf("blob/%02d", i)] = b.String()
		}
		_, err := d.timeline.Append(tx, timeline.Event{Type: "bundle.import.quarantined", Subject: "store", Attrs: attrs})
		return err
	})
}

// scrubRest looks at everything that is no blob.
func (d *Daemon) scrubRest(ctx context.Context, r *round) error {
	gens, err := d.kept()
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, g := range gens {
		if err := d.scrubLayers(ctx, g, seen, r); err != nil {
			return err
		}
	}
	live, torn := map[digest.Digest]bool{}, map[string]bool{}
	for _, b := range r.Bad {
		torn[b.Name] = b.What == "layer"
	}
	for _, g := range gens {
		if slices.ContainsFunc(files(g.Generation), func(file string) bool { return torn[file] }) {
			if err := d.namedIn(g.Generation, live); err != nil {
				d.log.Warn("what a generation needs is not known", "feed", g.Ref.Name, "generation", g.Point.String(), "err", err.Error())
			}
			continue // what a damaged layer names may never have been
		}
		if err := d.liveIn(g.Generation, live); err != nil {
			continue // its layers are named already
		}
	}
	ill := map[digest.Digest]bool{}
	for _, c := range d.cas.Condemned() {
		ill[c.Digest] = true
	}
	for b := range live {
		if !d.cas.Has(b) && !ill[b] {
			r.Bad = append(r.Bad, wire.Damaged{What: "blob", Name: b.String(), Why: "missing"})
		}
	}
	return d.scrubShelf(ctx, r)
}

// scrubLayers proves the layers of one generation: by their own digest when it is known, else by the state root, after
// which the digest is known.
func (d *Daemon) scrubLayers(ctx context.Context, g feed.Spare, seen map[string]bool, r *round) error {
	fresh := map[string]sum{}
	for _, l := range g.Layers {
		if seen[l.File] {
			continue
		}
		seen[l.File] = true
		r.Layers, r.Bytes = r.Layers+1, r.Bytes+l.Bytes
		s, why := d.scrubLayer(l.File)
		if why != nil {
			r.Bad = append(r.Bad, wire.Damaged{What: "layer", Name: l.File, Bytes: l.Bytes, Why: layerWhy(why)})
			return ctx.Err()
		}
		if s != (sum{}) {
			fresh[l.File] = s
		}
	}
	if len(fresh) == 0 {
		return ctx.Err()
	}
	v, err := d.layers.Open(files(g.Generation)...)
	if err == nil {
		got, serr := v.Sum(ctx)
		if err = serr; err == nil && got.Root != g.Root {
			err = code.New(code.StateRootBad, "").Want(g.Root, got.Root)
		}
		if err == nil {
			err = d.proveLayers(ctx, v, g)
		}
		err = errors.Join(err, v.Close())
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		r.Bad = append(r.Bad, wire.Damaged{What: "layer", Name: files(g.Generation)[len(g.Layers)-1], Why: layerWhy(err)})
		return nil
	}
	return d.state.Update(ctx, func(tx *state.Tx) error {
		for file, s := range fresh {
			if err := layerSums.Put(tx, file, s); err != nil {
				return err
			}
		}
		return nil
	})
}

// scrubLayer hashes one layer file. A zero sum says that it is as it was; another one is to be believed when the contents
// are proven.
func (d *Daemon) scrubLayer(file string) (fresh sum, err error) {
	got, err := hashFile(d.layers.Path(file))
	if err != nil {
		return sum{}, err
	}
	var was sum
	known := false
	if err := d.state.View(func(tx *state.Tx) (err error) { was, known, err = layerSums.Get(tx, file); return err }); err != nil {
		return sum{}, err
	}
	switch {
	case !known || was.Nanos != got.Nanos:
		return got, nil
	case was != got:
		return sum{}, code.New(code.StoreCorrupt, "not the bytes that were proven before").Want(was.Digest, got.Digest)
	}
	return sum{}, nil
}

func hashFile(path string) (sum, error) {
	f, err := os.Open(path)
	if err != nil {
		return sum{}, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return sum{}, err
	}
	w := digest.NewWriter(nil)
	buf := make([]byte, 256<<10)
	for {
		n, err := f.Read(buf)
		if _, werr := w.Write(buf[:n]); werr != nil {
			return sum{}, werr
		}
		if n == 0 && err != nil {
			if isEOF(err) {
				return sum{w.Sum(), w.Size(), st.ModTime().UnixNano()}, nil
			}
			return sum{}, err
		}
	}
}

// scrubShelf reads every bundle on the shelf against its label.
func (d *Daemon) scrubShelf(ctx context.Context, r *round) error {
	shelf := at(d.cfg.DataDir, "shelf")
	list, err := os.ReadDir(shelf)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range list {
		if !e.IsDir() || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		loose, err := verify.Sums(ctx, os.DirFS(at(shelf, e.Name())), ".", verify.Options{})
		if ctx.Err() != nil {
			return ctx.Err()
		}
		r.Bundles++
		if err != nil {
			r.Bad = append(r.Bad, wire.Damaged{
				What: "bundle", Name: e.Name(), Why: err.Error(), Used: []string{"the shelf: what is copied to media from here"},
				Next: "Make the bundle again: sallyport export run submit.",
			})
			continue
		}
		r.Bytes += loose.Label().Bytes
	}
	return nil
}

// lastScrub is what the last scrub found, less what was healed since.
func (d *Daemon) lastScrub() (out wire.Scrubbed, err error) {
	var r round
	if err := d.state.View(func(tx *state.Tx) (err error) { r, _, err = rounds.Get(tx, scrubKey); return err }); err != nil {
		return out, err
	}
	out = wire.Scrubbed{At: r.At, All: r.All, Blobs: r.Blobs, Layers: r.Layers, Bundles: r.Bundles, Bytes: r.Bytes, Rounds: r.Rounds, Percent: 100}
	if !r.After.IsZero() {
		out.Percent = int(r.After[0]) * 100 / 256 // digests are spread evenly
	}
	if out.Damaged, err = d.damage(r); err != nil {
		return out, err
	}
	what := fmt.Sprintf("%s, %s and %s read, %s", units.Plural(out.Blobs, "blob", "blobs"), units.Plural(out.Layers, "layer", "layers"),
		units.Plural(out.Bundles, "bundle", "bundles"), units.Size(out.Bytes))
	switch n := int64(len(out.Damaged)); {
	case r.At == "":
		out.Sentence = "Nothing was scrubbed yet."
	case n == 0:
		out.Sentence = "Well: " + what + "; every byte is what its name says."
	default:
		out.Sentence = fmt.Sprintf("%s: %s.", units.Plural(n, "damaged thing", "damaged things"), what)
	}
	return out, nil
}

// healNext is what to do about a damaged blob.
const healNext = "Heal it from any stick that has it: sallyport media heal MEDIUM."

// damage lists what is damaged now, and who needs it.
func (d *Daemon) damage(r round) ([]wire.Damaged, error) {
	list := []wire.Damaged{}
	for _, c := range d.cas.Condemned() {
		list = append(list, wire.Damaged{What: "blob", Name: c.Digest.String(), Bytes: c.Bytes, Why: "its bytes are wrong; in quarantine"})
	}
	for _, b := range r.Bad {
		if b.What == "blob" {
			if h, err := digest.Parse(b.Name); err == nil && d.cas.Has(h) {
				continue
			}
		}
		list = append(list, b)
	}
	if len(list) == 0 {
		return list, nil
	}
	return d.needed(list)
}

// damageReasons says in status that the store is damaged.
func (d *Daemon) damageReasons() []wire.Reason {
	last, err := d.lastScrub()
	if err != nil {
		return []wire.Reason{{Level: "critical", What: "what the last scrub found cannot be read: " + err.Error(), Next: code.NextStep(err), Topic: wire.AboutDamaged}}
	}
	if len(last.Damaged) == 0 {
		return nil
	}
	var used []string
	for _, b := range last.Damaged {
		used = append(used, b.Used...)
	}
	slices.Sort(used)
	used = slices.Compact(used)
	what := units.Plural(int64(len(last.Damaged)), "thing in the store is damaged", "things in the store are damaged")
	if len(used) > 0 {
		what += ": needed by " + strings.Join(used[:min(len(used), 3)], "; ")
		if len(used) > 3 {
			what += fmt.Sprintf("; and %d more", len(used)-3)
		}
	}
	return []wire.Reason{{
		Level: "warning", What: what, Next: cmpNext(last.Damaged[0].Next, healNext),
		Topic: wire.AboutDamaged, Why: "What is damaged is never shown as whole. A stick that has the same bytes heals it.",
	}}
}

func cmpNext(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// Heal takes from a medium what is damaged or missing here.
func (s store) Heal(ctx context.Context, path, actor string, progress func(wire.Progress)) (out wire.Healed, err error) {
	d := s.d
	out.Bundles, out.Left = []wire.HealedBundle{}, []wire.Damaged{}
	ill, err := d.ill(ctx)
	if err != nil {
		return out, err
	}
	if len(ill.Blobs)+len(ill.Layers) == 0 {
		out.Sentence = "Nothing is damaged here as far as it is known. A scrub finds out more: sallyport store scrub --all"
		return out, nil
	}
	list, err := d.intake.Heal(ctx, path, ill, actor, func(step string, done, total int64) {
		progress(wire.Progress{Stage: step, Bytes: done, TotalBytes: total})
	})
	for _, h := range list {
		b := wire.HealedBundle{Name: h.Name, From: h.From, Blobs: len(h.Blobs), Layers: len(h.Layers), Bytes: h.Bytes}
		if h.Err != nil {
			b.Code, b.Reason = string(code.Of(h.Err)), reasonOf(h.Err)
		}
		out.Bundles = append(out.Bundles, b)
		out.Blobs, out.Layers, out.Bytes = out.Blobs+b.Blobs, out.Layers+b.Layers, out.Bytes+b.Bytes
	}
	if err != nil {
		return out, err
	}
	if err := d.recheck(ctx); err != nil {
		return out, err
	}
	last, err := d.lastScrub()
	if err != nil {
		return out, err
	}
	out.Left = last.Damaged
	switch {
	case len(out.Left) == 0:
		out.Sentence = "Healed: nothing that is known to be damaged is left."
	case !slices.ContainsFunc(out.Left, func(b wire.Damaged) bool { return b.Next != localNext }):
		out.Sentence = fmt.Sprintf("%s left, made here: load the same files again with sallyport load.", units.Plural(int64(len(out.Left)), "damaged thing is", "damaged things are"))
	case out.Blobs+out.Layers == 0:
		out.Sentence = "Nothing on this medium has what is missing here. Try an older stick, or ask headquarters for a full."
	default:
		out.Sentence = fmt.Sprintf("%s left: try another stick, or ask headquarters for a full.", units.Plural(int64(len(out.Left)), "damaged thing is", "damaged things are"))
	}
	return out, nil
}

// reasonOf is an error without the path it is about, which stands beside it, and without the causes below it.
func reasonOf(err error) string {
	var e *code.Error
	if !errors.As(err, &e) {
		return err.Error()
	}
	msg := e.Msg
	if msg == "" {
		msg = code.Lookup(e.Code).Summary
	}
	return msg
}

// recheck looks again at what is no blob, after something was healed.
func (d *Daemon) recheck(ctx context.Context) error {
	d.scrubOne <- struct{}{}
	defer func() { <-d.scrubOne }()
	var r round
	if err := d.state.View(func(tx *state.Tx) (err error) { r, _, err = rounds.Get(tx, scrubKey); return err }); err != nil {
		return err
	}
	r.Bad = slices.DeleteFunc(r.Bad, func(b wire.Damaged) bool { return b.What != "file" })
	if err := d.scrubRest(ctx, &r); err != nil {
		return err
	}
	return d.noteScrub(ctx, r, nil)
}

// scrubbing spends the day's budget, an hour's part at a time.
func (d *Daemon) scrubbing(ctx context.Context) {
	if d.cfg.Scrub == 0 {
		return
	}
	t := time.NewTicker(scrubEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		err := d.scrub(ctx, max(1, d.cfg.Scrub/int64(24*time.Hour/scrubEvery)), false, 1, func(wire.Progress) {})
		switch {
		case code.Has(err, code.FsyncFailed):
			d.die(err)
			return
		case err != nil && ctx.Err() == nil:
			d.log.Error("scrub failed", "err", err.Error())
		}
	}
}
