package crash

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sallyport/internal/bundle"
	"sallyport/internal/cas"
	"sallyport/internal/clock"
	"sallyport/internal/digest"
	"sallyport/internal/durable"
	"sallyport/internal/feed"
	"sallyport/internal/job"
	"sallyport/internal/layer"
	"sallyport/internal/marks"
	"sallyport/internal/state"
	"sallyport/internal/timeline"
)

// facts is what a data directory holds, read from its files while no daemon runs.
type facts struct {
	marks    marks.Set
	runs     map[string]job.Run
	receipts map[string]bool // numbers
}

// auditor reads one data directory, file by file, and trusts none.
type auditor struct {
	dir    string
	f      *findings
	facts  facts
	blobs  map[digest.Digest]bool
	events []timeline.Entry
	known  []bundle.Head // of its timeline, as it was told before
	reborn bool          // made again from a backup: its log tells of no event before that
}

// audit checks everything a stopped appliance promises about its files. known are heads its timeline was said to have.
func audit(dir string, f *findings, known ...bundle.Head) facts {
	a := &auditor{dir: dir, f: f, blobs: map[digest.Digest]bool{}, known: known}
	a.leftovers()
	a.hashAll()
	a.facts.marks = readMarks(dir, f)
	db, err := state.Open(filepath.Join(dir, "state.db"), durable.FS{})
	if err != nil {
		f.check("state", err)
		return a.facts
	}
	f.check("state", db.Check())
	f.check("ledgers", db.View(a.ledgers))
	f.check("state", db.Close())
	return a.facts
}

// readMarks reads the marks file. A damaged one is a finding.
func readMarks(dir string, f *findings) marks.Set {
	m, err := marks.Open(filepath.Join(dir, "marks"), durable.FS{}, clock.System())
	if err != nil {
		f.check("marks", err)
		return marks.Set{}
	}
	return m.Get()
}

// leftovers looks for what only a running operation may have.
func (a *auditor) leftovers() {
	err := filepath.WalkDir(a.dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(a.dir, path)
		if err != nil {
			return err
		}
		switch {
		case strings.HasPrefix(rel, filepath.Join("cas", "staging")+"/"), strings.HasPrefix(e.Name(), ".tmp-"),
			strings.HasSuffix(e.Name(), ".building"), strings.HasPrefix(e.Name(), ".building-"):
			a.f.add(Other, "left behind: %s", rel)
			if e.IsDir() {
				return filepath.SkipDir
			}
		}
		return nil
	})
	a.f.check("walk", err)
}

// hashAll hashes every blob of the content store again.
func (a *auditor) hashAll() {
	err := filepath.WalkDir(filepath.Join(a.dir, "cas", "sha256"), func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		d := digest.Of(b)
		if d.Hex() != e.Name() {
			a.f.add(Other, "blob %.12s has the bytes of %s", e.Name(), d.Short())
		}
		a.blobs[d] = true
		return nil
	})
	a.f.check("content store", err)
}

// ledgers goes through state in one moment.
func (a *auditor) ledgers(tx *state.Tx) error {
	var in struct {
		ID string `json:"id"`
	}
	b, err := os.ReadFile(filepath.Join(a.dir, "instance.json"))
	if err == nil {
		err = json.Unmarshal(b, &in)
	}
	if err != nil {
		return err
	}
	log := timeline.New(in.ID, func() marks.Reading { return marks.Reading{} }, nil)
	if _, err := log.Verify(tx, a.known...); err != nil {
		a.f.check("timeline", err)
	}
	if err := log.Read(tx, 0, 0, func(e timeline.Entry) error {
		a.events = append(a.events, e)
		a.reborn = a.reborn || e.Type == "backup.restored"
		return nil
	}); err != nil {
		return err
	}
	for _, part := range []func(*state.Tx) error{a.feeds, a.layerFiles, a.named, a.runs, a.receipts} {
		if err := part(tx); err != nil {
			return err
		}
	}
	return nil
}

// feeds reads every held generation down to its bodies.
func (a *auditor) feeds(tx *state.Tx) error {
	list, err := feed.List(tx, "")
	if err != nil {
		return err
	}
	dir := layer.NewDir(filepath.Join(a.dir, "layers"), durable.FS{})
	defer dir.Close()
	store, err := cas.Open(filepath.Join(a.dir, "cas"), durable.FS{}, "")
	if err != nil {
		return err
	}
	for _, w := range list {
		held, err := feed.Generations(tx, w.Ref)
		if err != nil {
			return err
		}
		a.marked(w)
		found := false
		for _, g := range held {
			found = found || g.Point == w.Active
			a.f.check(fmt.Sprintf("generation %d of %s", g.Generation, w.Ref.Name), a.generation(dir, store, w, g))
			a.told(w, g)
		}
		if !found {
			a.f.add(Half, "feed %s: active generation %v is not held", w.Ref.Name, w.Active)
		}
		a.overtold(w)
	}
	return nil
}

// generation computes the root of a generation from its bodies.
func (a *auditor) generation(dir *layer.Dir, store *cas.Store, w feed.Feed, g feed.Generation) error {
	var files []string
	for _, l := range g.Layers {
		files = append(files, l.File)
	}
	v, err := dir.Open(files...)
	if err != nil {
		return err
	}
	defer v.Close()
	all := map[record]digest.Digest{}
	if err := v.All(func(it layer.Item) error {
		b, err := v.Body(it, layer.Opener(store.Open))
		all[record{it.Kind, it.Key}] = digest.Of(b)
		return err
	}); err != nil {
		return err
	}
	root, err := rootOf(all)
	if err != nil {
		return err
	}
	if m := v.Meta(); root != g.Root || m.Root != g.Root || int64(len(all)) != g.Records || m.Generation != g.Generation && !a.reborn {
		a.f.add(Half, "generation %d of %s: %d records give %s; the ledger says %d and %s, its layer %s of generation %d",
			g.Generation, w.Ref.Name, len(all), root.Short(), g.Records, g.Root.Short(), m.Root.Short(), m.Generation)
	}
	return nil
}

// marked holds a feed's mark in the ledger and in the marks file against what is active.
func (a *auditor) marked(w feed.Feed) {
	m, ok := a.facts.marks.Feeds[w.Ref.Key()]
	if !ok || m.Less(w.Mark) || w.Mark.Less(marks.Mark{Epoch: w.Active.Epoch, Generation: w.Active.Generation}) {
		a.f.add(Other, "feed %s: active %v, mark %v, mark in the file %v", w.Ref.Name, w.Active, w.Mark, m)
	}
}

// told looks for the event of a held generation.
func (a *auditor) told(w feed.Feed, g feed.Generation) {
	n := 0
	for _, e := range a.events {
		if e.Event != nil && (loaded(e, w, g.Epoch, g.Generation, g.Root) || activated(e, w, g)) {
			n++
		}
	}
	if n == 0 && !a.reborn {
		a.f.add(Half, "generation %d of %s has no event", g.Generation, w.Ref.Name)
	}
}

func loaded(e timeline.Entry, w feed.Feed, epoch, generation int64, root digest.Digest) bool {
	at := e.Event.Attrs
	return e.Type == "feed.loaded" && e.Event.Subject == w.Ref.Name && at["origin"] == w.Ref.Origin && at["epoch"] == fmt.Sprint(epoch) &&
		at["generation"] == fmt.Sprint(generation) && at["stateRoot"] == root.String()
}

func activated(e timeline.Entry, w feed.Feed, g feed.Generation) bool {
	return e.Type == "bundle.import.activated" && e.Event.Attrs["bundleId"] == g.BundleID.String() &&
		e.Event.Attrs["feed/"+w.Ref.Name] == fmt.Sprintf("%d.%d activated %s", g.Epoch, g.Generation, g.Root)
}

// overtold looks for events of generations above the active one: told, and not there.
func (a *auditor) overtold(w feed.Feed) {
	for _, e := range a.events {
		if e.Event == nil || e.Type != "feed.loaded" || e.Event.Subject != w.Ref.Name || e.Event.Attrs["origin"] != w.Ref.Origin {
			continue
		}
		var p feed.Point
		if _, err := fmt.Sscan(e.Event.Attrs["epoch"]+" "+e.Event.Attrs["generation"], &p.Epoch, &p.Generation); err != nil || w.Active.Less(p) {
			a.f.add(Half, "feed %s: event %d tells of generation %v, active is %v", w.Ref.Name, e.Seq, p, w.Active)
		}
	}
}

// layerFiles compares the folder with the ledger.
func (a *auditor) layerFiles(tx *state.Tx) error {
	live, err := feed.LayerFiles(tx)
	if err != nil {
		return err
	}
	root := filepath.Join(a.dir, "layers")
	return filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if !live[filepath.ToSlash(rel)] {
			a.f.add(Other, "layer %s: no generation names it", rel)
		}
		return err
	})
}

// named looks for every blob a generation names.
func (a *auditor) named(tx *state.Tx) error {
	return feed.Live(tx, func(d digest.Digest) {
		if !a.blobs[d] {
			a.f.add(Lost, "blob %s is named and not there", d.Short())
		}
	})
}

// runs compares runs, their last events and the shelf.
func (a *auditor) runs(tx *state.Tx) error {
	a.facts.runs = map[string]job.Run{}
	list, err := job.List(tx, "", "", 0, nil)
	if err != nil {
		return err
	}
	shelf := map[string]bool{}
	for _, r := range list {
		a.facts.runs[r.ID] = r
		shelf[r.Shelf] = true
		a.toldRun(r)
		if r.Shelf != "" {
			_, err := os.Stat(filepath.Join(a.dir, "shelf", r.Shelf))
			a.f.check("bundle of run "+r.ID, err)
		}
	}
	entries, err := os.ReadDir(filepath.Join(a.dir, "shelf"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		if !shelf[e.Name()] {
			a.f.add(Other, "shelf: no run names %s", e.Name())
		}
	}
	return err
}

// toldRun compares a run's state with the last event that speaks of it.
func (a *auditor) toldRun(r job.Run) {
	if a.reborn {
		return
	}
	var last string
	for _, e := range a.events {
		if e.Event != nil && e.Event.Subject == r.ID && strings.HasPrefix(e.Type, "export.run.") {
			last = e.Type
		}
	}
	want := []string{job.EventType("", r.State)}
	if !r.State.Final() {
		want = []string{job.EventType("", job.Pending), job.EventType("", job.Planning)}
	}
	if !slices.Contains(want, last) {
		a.f.add(Half, "run %s is %s, its last event is %q", r.ID, r.State, last)
	}
	if r.State == job.Succeeded && r.Kind == "mirror" && !slices.ContainsFunc(a.events, func(e timeline.Entry) bool {
		return e.Type == "mirror.bundle.created" && e.Event != nil && e.Event.Subject == r.ID && e.Event.Attrs["bundleId"] == r.BundleID.String()
	}) {
		a.f.add(Half, "run %s: no event tells of its bundle", r.ID)
	}
}

// row is the part of a receipt that is looked at.
type row struct {
	Number   string        `json:"number"`
	Counter  int64         `json:"counter"`
	BundleID digest.Digest `json:"bundleId"`
	Envelope []byte        `json:"envelope"`
}

// receipts compares the receipts given out with their events and with the counter that must never give a number twice.
func (a *auditor) receipts(tx *state.Tx) error {
	a.facts.receipts = map[string]bool{}
	top := int64(0)
	for key, n := range a.facts.marks.Counters {
		if strings.HasPrefix(key, "own-receipt/") {
			top = n
		}
	}
	return state.Table[row]{Name: "intake.receipt"}.Scan(tx, "", func(_ string, r row) error {
		a.facts.receipts[r.Number] = true
		if r.Counter > top {
			a.f.add(Other, "receipt %s: the counter stands at %d", r.Number, top)
		}
		if !slices.ContainsFunc(a.events, func(e timeline.Entry) bool {
			return strings.HasPrefix(e.Type, "bundle.import.") && e.Event != nil && e.Event.Attrs["bundleId"] == r.BundleID.String()
		}) {
			a.f.add(Half, "receipt %s: no event tells of its bundle", r.Number)
		}
		return nil
	})
}

// lowered compares two readings of the marks: nothing may go back.
func lowered(before, after marks.Set, f *findings) {
	for key, m := range before.Feeds {
		if n, ok := after.Feeds[key]; !ok || n.Less(m) {
			f.add(Other, "mark of feed %q fell from %v to %v", key, m, n)
		}
	}
	for i, old := range []map[string]int64{before.Roots, before.Anchors, before.Counters} {
		now := []map[string]int64{after.Roots, after.Anchors, after.Counters}[i]
		for key, n := range old {
			if now[key] < n {
				f.add(Other, "mark %q fell from %d to %d", key, n, now[key])
			}
		}
	}
	if after.Trusted.Before(before.Trusted) || after.TimeEpoch < before.TimeEpoch {
		f.add(Other, "trusted time fell from %v to %v", before.Trusted, after.Trusted)
	}
}
