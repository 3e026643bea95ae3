package history

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"sallyport/internal/canon"
	"sallyport/internal/digest"
	"sallyport/internal/sample"
	"sallyport/internal/wire"
)

// feedTruth is what the hub minted of one feed.
type feedTruth struct {
	roots map[point]string
	now   point
	lost  bool // the hub was restored from a backup that is older than the feed
}

// week is the evidence of a feed as it is at the source now.
type week struct {
	documents bool
	revisions map[int]int // advisory or document → revision
	next      int
	before    []map[int]int // earlier states, to go back to
}

// newEvidence begins the feeds of a history: one of lines, one of documents.
func newEvidence() map[string]*week {
	return map[string]*week{
		"adv":   {revisions: map[int]int{}},
		"sboms": {revisions: map[int]int{}, documents: true},
	}
}

// change lets the source move on: some appear, some change, some go, or all is again as it was once.
func (w *World) change(e *week) string {
	if len(e.before) > 1 && !e.documents && w.chance(15) {
		e.revisions = maps.Clone(pick(w, e.before))
		return "back to an earlier state"
	}
	added, changed, gone := 0, 0, 0
	for range 1 + w.random.IntN(6) {
		e.revisions[e.next] = 0
		e.next, added = e.next+1, added+1
	}
	keys := slices.Sorted(maps.Keys(e.revisions))
	for _, n := range keys {
		switch {
		case e.documents: // documents are only ever added
		case w.chance(8):
			e.revisions[n]++
			changed++
		case w.chance(4) && e.revisions[n] > 0:
			e.revisions[n]--
			changed++
		case w.chance(4) && len(e.revisions) > 3:
			delete(e.revisions, n)
			gone++
		}
	}
	return fmt.Sprintf("%d added, %d changed, %d removed", added, changed, gone)
}

// evidence writes the files of a feed and gives the digests its records must have.
func (w *World) evidence(feed string, e *week) (files []string, want map[digest.Digest]bool, err error) {
	want = map[digest.Digest]bool{}
	dir := filepath.Join(w.dir, "in")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, nil, err
	}
	if e.documents {
		for n := range e.revisions {
			b, name := sample.SBOM(3, n+2), filepath.Join(dir, fmt.Sprintf("sbom-%d.json", n))
			want[digest.Of(b)] = true
			if err := os.WriteFile(name, b, 0o644); err != nil {
				return nil, nil, err
			}
			files = append(files, name)
		}
		slices.Sort(files)
		return files, want, nil
	}
	var b bytes.Buffer
	err = zipped(&b, e.revisions, func(text []byte) error {
		line, err := canon.Line(text)
		want[digest.Of(line)] = true
		return err
	})
	name := filepath.Join(dir, feed+".zip")
	if err == nil {
		err = os.WriteFile(name, b.Bytes(), 0o644)
	}
	return []string{name}, want, err
}

// load takes evidence in at the hub and notes the generation it became.
func (w *World) load() error { return w.loadFeed(pick(w, slices.Sorted(maps.Keys(w.weeks)))) }

func (w *World) loadFeed(feed string) error {
	e := w.weeks[feed]
	how := w.change(e)
	e.before = append(e.before, maps.Clone(e.revisions))
	files, want, err := w.evidence(feed, e)
	if err != nil {
		return err
	}
	var out wire.Loaded
	if err := w.hub.stream("load/run", wire.LoadRequest{Feed: feed, Files: files}, &out); err != nil {
		return fmt.Errorf("load %s: %w", feed, err)
	}
	w.tell("load %s at hub: %s → generation %d.%d", feed, how, out.Epoch, out.Generation)
	return w.minted(feed, point{out.Epoch, out.Generation}, out.StateRoot, want)
}

// minted holds a generation of the hub against the evidence and against what was minted before.
func (w *World) minted(feed string, p point, root string, want map[digest.Digest]bool) error {
	t := w.truth[feed]
	if t == nil {
		t = &feedTruth{roots: map[point]string{}}
		w.truth[feed] = t
	}
	if old, ok := t.roots[p]; ok && old != root {
		w.wrong("hub minted %s %v twice: %s and %s", feed, p, old, root)
	}
	if p.less(t.now) {
		w.wrong("hub minted %s %v after %v", feed, p, t.now)
	}
	t.roots[p], t.now, t.lost = root, p, false
	return w.hub.holds("hub/"+feed, want)
}

// holds compares every body of a feed with the evidence.
func (a *appliance) holds(feed string, want map[digest.Digest]bool) error {
	got := map[digest.Digest]bool{}
	for after := ""; ; {
		var page wire.Records
		if err := a.call("records/list", wire.RecordRequest{Feed: feed, Body: true, Limit: 500, After: after}, &page); err != nil {
			return err
		}
		for _, r := range page.Records {
			got[digest.Of(r.Body)] = true
		}
		if after = page.Next; after == "" {
			break
		}
	}
	if !maps.Equal(got, want) {
		a.w.wrong("%s has %d records of %s that are not the %d of the evidence", a.name, len(got), feed, len(want))
	}
	return nil
}
