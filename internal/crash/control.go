package crash

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"sallyport/internal/digest"
	"sallyport/internal/durable"
	"sallyport/internal/feed"
	"sallyport/internal/job"
	"sallyport/internal/state"
)

// Control is a damage done on purpose between a faultless operation and the look at it. A checker that does not report it
// as Want is blind.
type Control struct {
	Name      string
	Operation string
	Want      Class
	Says      string // part of the finding that must be among them
	Spoil     func(place) error
}

// Controls are the damages the rig must see.
func Controls() []Control {
	return []Control{
		{"a shard of the active generation is deleted", "load", Lost, "is named and not there", withShard(os.Remove)},
		{"one byte of a shard is another", "load", Other, "has the bytes of", withShard(flip)},
		{"the active generation has the layer of the one before", "load", Half, "the ledger says", swapLayer},
		{"the pointer of an acknowledged load is set back", "load", Lost, "was acknowledged", setBack("adv")},
		{"one feed of a bundle is set back, the others are not", "import", Half, "feeds of one bundle flipped", setBack("adv")},
		{"a mark is lowered", "import", Other, "fell from", lowerMark},
		{"a run changes its state without an event", "export", Half, "its last event is", failRun},
		{"the bundle of a run is taken off the shelf", "export", Other, "bundle of run", dropShelf},
		{"a volume under a label is one byte short", "export", Half, "a label over what does not verify", withVolume(shorten)},
		{"the label of a written bundle is gone", "exchange-site", Lost, "was said to be on the medium", withLabel(os.Remove)},
	}
}

// ledger opens the state of a stopped appliance for a change.
func ledger(at place, change func(*state.Tx) error) (err error) {
	db, err := state.Open(filepath.Join(at.data(), "state.db"), durable.FS{})
	if err != nil {
		return err
	}
	defer func() {
		if cerr := db.Close(); err == nil {
			err = cerr
		}
	}()
	return db.Update(context.Background(), change)
}

// named finds a feed by its short name with its generations, newest first.
func named(tx *state.Tx, name string) (f feed.Feed, held []feed.Generation, err error) {
	if f, err = feed.Find(tx, "acme", name, nil); err != nil {
		return f, nil, err
	}
	held, err = feed.Generations(tx, f.Ref)
	if err == nil && len(held) < 2 {
		err = fmt.Errorf("feed %s has %d generations", name, len(held))
	}
	return f, held, err
}

func withShard(do func(path string) error) func(place) error {
	return func(at place) error {
		var shard digest.Digest
		err := ledger(at, func(tx *state.Tx) error {
			_, held, err := named(tx, "adv")
			if err == nil {
				shard = held[0].Layers[0].Shards[0]
			}
			return err
		})
		if err != nil {
			return err
		}
		return do(filepath.Join(at.data(), "cas", "sha256", shard.Hex()[:2], shard.Hex()))
	}
}

func flip(path string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	b[len(b)/2] ^= 1
	if err := os.Chmod(path, 0o600); err != nil {
		return err
	}
	return os.WriteFile(path, b, 0o600)
}

func swapLayer(at place) error {
	var now, before string
	err := ledger(at, func(tx *state.Tx) error {
		_, held, err := named(tx, "adv")
		if err == nil {
			now, before = held[0].Layers[0].File, held[1].Layers[0].File
		}
		return err
	})
	if err != nil {
		return err
	}
	b, err := os.ReadFile(filepath.Join(at.data(), "layers", before))
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(at.data(), "layers", now), b, 0o600)
}

func setBack(name string) func(place) error {
	return func(at place) error {
		return ledger(at, func(tx *state.Tx) error {
			f, held, err := named(tx, name)
			if err != nil {
				return err
			}
			f.Active = held[1].Point
			return state.Table[feed.Feed]{Name: "feeds"}.Put(tx, f.Ref.Key(), f)
		})
	}
}

// lowerMark writes a whole marks file with a lower generation.
func lowerMark(at place) error {
	path := filepath.Join(at.data(), "marks")
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	line, _, _ := bytes.Cut(b, []byte("\n"))
	var set map[string]any
	if err := json.Unmarshal(line, &set); err != nil {
		return err
	}
	for _, m := range set["feeds"].(map[string]any) {
		m.(map[string]any)["generation"] = 0
	}
	if line, err = json.Marshal(set); err != nil {
		return err
	}
	return os.WriteFile(path, append(line, "\n"+digest.Of(line).String()+"\n"...), 0o600)
}

func failRun(at place) error {
	return ledger(at, func(tx *state.Tx) error {
		runs, err := job.List(tx, "", "", 1, nil)
		if err != nil {
			return err
		}
		r := runs[0]
		r.State, r.ErrorCode, r.Code, r.Message = job.Failed, "storage", "no-space", "made up"
		return state.Table[job.Run]{Name: "runs"}.Put(tx, r.ID, r)
	})
}

func dropShelf(at place) error { return os.RemoveAll(filepath.Join(at.data(), "shelf")) }

// onMedium does something to the first file of a medium that fits.
func onMedium(fits func(name string) bool, do func(path string) error) func(place) error {
	return func(at place) error {
		n := 0
		err := filepath.WalkDir(filepath.Join(at.medium(), "sallyport", "bundles"), func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() || !fits(e.Name()) {
				return err
			}
			n++
			return do(path)
		})
		if err == nil && n == 0 {
			err = fmt.Errorf("nothing to spoil on %s", at.medium())
		}
		return err
	}
}

func withVolume(do func(string) error) func(place) error {
	return onMedium(func(name string) bool { return strings.Contains(name, ".tar.zst") }, do)
}

func withLabel(do func(string) error) func(place) error {
	return onMedium(func(name string) bool { return strings.HasSuffix(name, ".label.json") }, do)
}

func shorten(path string) error {
	st, err := os.Stat(path)
	if err != nil {
		return err
	}
	return os.Truncate(path, st.Size()-1)
}

// Prove does the damage of a control and tells whether the rig reports it.
func (r *Rig) Prove(ctx context.Context, c Control) (Seen, error) {
	out, err := r.Run(ctx, r.op(c.Operation), Fault{}, c.Spoil)
	s := Seen{Control: c, Reported: out.Findings}
	for _, f := range out.Findings {
		s.Found = s.Found || f.Class == c.Want && strings.Contains(f.What, c.Says)
	}
	return s, err
}
