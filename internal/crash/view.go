package crash

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"sallyport/internal/bundle"
	"sallyport/internal/client"
	"sallyport/internal/digest"
	"sallyport/internal/wire"
)

// standing is where a feed stands, as it was told.
type standing struct {
	Epoch, Generation int64
	Root              string
}

func (s standing) String() string { return fmt.Sprintf("%d.%d %.15s", s.Epoch, s.Generation, s.Root) }

// record is one live record.
type record struct{ Kind, Key string }

// view is what a daemon answers about its evidence: where each feed stands, and the digest of every body it gave out.
type view struct {
	feeds   map[string]standing // by full name
	records map[string]map[record]digest.Digest
	runs    []wire.Run
}

// look asks for everything, reads every body and computes every state root anew.
func look(ctx context.Context, c *client.Client, f *findings) (view, error) {
	v := view{feeds: map[string]standing{}, records: map[string]map[record]digest.Digest{}}
	var feeds wire.Feeds
	if err := c.Call(ctx, "feeds/list", wire.FeedRequest{}, &feeds); err != nil {
		return v, fmt.Errorf("list feeds: %w", err)
	}
	for _, w := range feeds.Feeds {
		if w.Generation == 0 {
			f.add(Half, "feed %s exists without a generation", w.FullName)
			continue
		}
		v.feeds[w.FullName] = standing{w.Epoch, w.Generation, w.StateRoot}
		list, err := bodies(ctx, c, w, f)
		if err != nil {
			return v, fmt.Errorf("records of %s: %w", w.FullName, err)
		}
		v.records[w.FullName] = list
	}
	var runs wire.Runs
	if err := c.Call(ctx, "runs/list", wire.RunRequest{Limit: 1000}, &runs); err != nil {
		return v, fmt.Errorf("list runs: %w", err)
	}
	v.runs = runs.Runs
	return v, nil
}

// bodies reads all records of a feed and compares bytes, digests, number and root with what the feed says of itself.
func bodies(ctx context.Context, c *client.Client, w wire.Feed, f *findings) (map[record]digest.Digest, error) {
	all := map[record]digest.Digest{}
	for after := ""; ; {
		var page wire.Records
		if err := c.Call(ctx, "records/list", wire.RecordRequest{Feed: w.FullName, Body: true, Limit: 500, After: after}, &page); err != nil {
			return nil, err
		}
		for _, r := range page.Records {
			d := digest.Of(r.Body)
			if d.String() != r.Digest || r.Generation != w.Generation {
				f.add(Half, "record %s %q of %s: body %s, said %s, generation %d of %d", r.Kind, r.Key, w.FullName, d, r.Digest, r.Generation, w.Generation)
			}
			all[record{r.Kind, r.Key}] = d
		}
		if after = page.Next; after == "" {
			break
		}
	}
	root, err := rootOf(all)
	if err != nil {
		return nil, err
	}
	if root.String() != w.StateRoot || int64(len(all)) != w.Records {
		f.add(Half, "feed %s: %d records give root %s, the feed says %d and %s", w.FullName, len(all), root, w.Records, w.StateRoot)
	}
	return all, nil
}

// rootOf is the state root of records.
func rootOf(all map[record]digest.Digest) (digest.Digest, error) {
	var b bundle.RootBuilder
	keys := slices.SortedFunc(maps.Keys(all), func(x, y record) int {
		return slices.Compare([]string{x.Kind, x.Key}, []string{y.Kind, y.Key})
	})
	for _, k := range keys {
		if err := b.Add(k.Kind, k.Key, all[k]); err != nil {
			return digest.Digest{}, err
		}
	}
	return b.Root(), nil
}

// settle waits until no run is under way.
func settle(ctx context.Context, c *client.Client) error {
	var runs wire.Runs
	if err := c.Call(ctx, "runs/list", wire.RunRequest{Limit: 1000}, &runs); err != nil {
		return err
	}
	for _, r := range runs.Runs {
		if final(r.State) {
			continue
		}
		var end wire.Run
		if err := c.Stream(ctx, "runs/watch", wire.RunRequest{ID: r.ID}, nil, &end); err != nil && !final(end.State) {
			return fmt.Errorf("run %s: %w", r.ID, err)
		}
	}
	return nil
}

func final(state string) bool {
	return slices.Contains([]string{"succeeded", "failed", "cancelled", "expired"}, state)
}

// healthy asks the daemon to prove its own timeline and state.
func healthy(ctx context.Context, c *client.Client, f *findings) {
	f.check("timeline", c.Call(ctx, "timeline/verify", struct{}{}, nil))
	var d wire.Doctor
	f.check("doctor", c.Call(ctx, "doctor/run", struct{}{}, &d))
	for _, check := range d.Checks {
		if check.Level == "critical" {
			f.add(Other, "doctor: %s: %s", check.Name, check.Detail)
		}
	}
}
