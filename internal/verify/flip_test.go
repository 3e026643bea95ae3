package verify_test

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"sallyport/internal/bundle"
	"sallyport/internal/code"
	"sallyport/internal/forge"
	"sallyport/internal/verify"
)

// small is a sealed bundle of as few bytes as possible, in two volumes.
func small(t *testing.T, w *forge.World) *forge.Bundle {
	t.Helper()
	p := forge.Plan{From: w.Hub, To: []*forge.Appliance{w.Site}, Seal: bundle.SealAge, Feeds: []forge.Feed{{Name: "f", Generation: 1, Epoch: 1, Lines: 2}}}
	b := build(t, p)
	p.Cut = int64(len(b.Outer)/2 + 1)
	return build(t, p)
}

// Every flip of a bit and every truncation of label, volumes and sheets is refused: by the label check or by reading the
// outer bytes, and by opening.
func TestEveryByteCounts(t *testing.T) {
	w := world(t)
	b := small(t, w)
	o := options(w)
	step := 1
	if testing.Short() {
		step = 37
	}
	type job struct {
		file string
		body []byte
		what string
		at   int
	}
	jobs := make(chan job)
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for j := range jobs {
				fsys := b.FS()
				fsys[j.file] = &fstest.MapFile{Data: j.body, Mode: 0o644}
				if err := outerAndInner(fsys, b.Dir, o, j.at%32 == 0); err != nil {
					t.Errorf("%s: %s at %d: %v", j.file, j.what, j.at, err)
				}
			}
		})
	}
	n := 0
	for _, name := range slices.Sorted(maps.Keys(b.Files)) {
		if !strings.HasPrefix(name, b.Dir) {
			continue
		}
		body := b.Files[name]
		for i := 0; i < len(body); i += step {
			flipped := slices.Clone(body)
			flipped[i] ^= 1 << (i % 8)
			jobs <- job{name, flipped, "flip", i}
			jobs <- job{name, body[:i], "cut", i}
			n += 2
		}
	}
	close(jobs)
	wg.Wait()
	t.Logf("%d changes, all refused", n)
}

// accepted is what must not happen.
type accepted string

func (a accepted) Error() string { return string(a) }

func outerAndInner(fsys fstest.MapFS, dir string, o verify.Options, open bool) error {
	p, err := verify.CheckLabel(context.Background(), fsys, dir, o)
	if err != nil {
		return bug(err)
	}
	if err := verify.Outer(context.Background(), p, o); err == nil {
		return accepted("INTACT")
	} else if err := bug(err); err != nil {
		return err
	}
	if !open {
		return nil
	}
	if _, err := verify.Open(context.Background(), p, o); err == nil {
		return accepted("VERIFIED")
	} else if code.Of(err) != code.VolumeDamaged {
		return err
	}
	return nil
}

// bug lets refusals pass that name their reason.
func bug(err error) error {
	if code.Of(err) == code.Bug {
		return err
	}
	return nil
}

// A flip or cut inside, under a label that vouches for the changed bytes, is refused or changes nothing that is read.
func TestEveryInnerByteCounts(t *testing.T) {
	w := world(t)
	plan := forge.Plan{From: w.Hub, Feeds: []forge.Feed{{Name: "f", Generation: 1, Epoch: 1, Lines: 2}}}
	b := build(t, plan)
	step := 47
	if testing.Short() {
		step = 211
	}
	o := options(w)
	for i := 0; i < len(b.Payload); i += step {
		for _, change := range []struct {
			what string
			edit func([]byte) []byte
		}{
			{"flip", func(p []byte) []byte { p[i] ^= 1 << (i % 8); return p }},
			{"cut", func(p []byte) []byte { return p[:i] }},
		} {
			p := plan
			p.ZstdBytes = change.edit
			if i == 0 && change.what == "cut" {
				continue // a label of no bytes is refused as a label
			}
			if got, err := gate(build(t, p), o); err == nil && got.ID() != b.ID {
				t.Errorf("%s at %d accepted as another bundle", change.what, i)
			} else if err == nil && change.what == "cut" {
				t.Errorf("cut at %d accepted", i)
			} else if err != nil && bug(err) != nil {
				t.Errorf("%s at %d: no code: %v", change.what, i, err)
			}
		}
	}
}
