package crash

import (
	"context"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"sallyport/internal/bundle"
	"sallyport/internal/client"
	"sallyport/internal/clock"
	"sallyport/internal/digest"
	"sallyport/internal/durable"
	"sallyport/internal/marks"
	"sallyport/internal/wire"
)

// told is what an appliance and a medium were seen to hold at one moment: from then on it must stay so, or become what the
// next one says.
type told struct {
	At       int                      `json:"at"` // entries of the disk's log before it
	Op       string                   `json:"op"` // what was just acknowledged
	Who      string                   `json:"who"`
	Feeds    map[string]standing      `json:"feeds"`
	Runs     map[string]string        `json:"runs"` // id → final state
	Receipts []string                 `json:"receipts"`
	Log      bundle.Head              `json:"log"`
	Marks    marks.Set                `json:"marks"`
	Medium   map[string]digest.Digest `json:"medium"` // labels
}

// ask gathers what a daemon answers now, its marks file, and the labels of a medium.
func ask(ctx context.Context, c *client.Client, dir, medium string) (t told, err error) {
	t = told{Feeds: map[string]standing{}, Runs: map[string]string{}}
	var feeds wire.Feeds
	var runs wire.Runs
	var receipts wire.Receipts
	var head wire.TimelineHead
	for _, q := range []struct {
		action  string
		in, out any
	}{
		{"feeds/list", wire.FeedRequest{}, &feeds},
		{"runs/list", wire.RunRequest{Limit: 1000}, &runs},
		{"receipts/list", wire.ReceiptRequest{Limit: 1000}, &receipts},
		{"timeline/verify", struct{}{}, &head},
	} {
		if err := c.Call(ctx, q.action, q.in, q.out); err != nil {
			return t, err
		}
	}
	for _, w := range feeds.Feeds {
		t.Feeds[w.FullName] = standing{w.Epoch, w.Generation, w.StateRoot}
	}
	for _, r := range runs.Runs {
		if final(r.State) {
			t.Runs[r.ID] = r.State
		}
	}
	for _, r := range receipts.Receipts {
		t.Receipts = append(t.Receipts, r.Number)
	}
	t.Log.Size = head.Size
	if t.Log.Root, err = digest.Parse(head.Root); err != nil {
		return t, err
	}
	m, err := marks.Open(filepath.Join(dir, "marks"), durable.FS{}, clock.System())
	if err != nil {
		return t, err
	}
	t.Marks = m.Get()
	t.Medium, err = labels(medium)
	return t, err
}

// labels finds the labels of a medium: one without its bytes is worth nothing, and one that was there is a promise.
func labels(medium string) (map[string]digest.Digest, error) {
	all := map[string]digest.Digest{}
	err := filepath.WalkDir(medium, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || !strings.HasSuffix(e.Name(), ".label.json") {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(medium, path)
		all[rel] = digest.Of(b)
		return err
	})
	return all, err
}

// around finds what was told last at a moment, and next after it. who "" is anybody. There is always a first.
func around(all []told, who string, at int) (before, next told) {
	first := true
	for _, t := range all {
		if who != "" && t.Who != who {
			continue
		}
		if t.At > at && !first {
			return before, t
		}
		before, next, first = t, t, false
	}
	return before, next
}

func readJSON(path string, v any) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, v)
}

func writeJSON(path string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return os.WriteFile(path, b, 0o600)
}
