package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"sallyport/internal/digest"
	"sallyport/internal/feed"
	"sallyport/internal/intake"
	"sallyport/internal/layer"
	"sallyport/internal/state"
	"sallyport/internal/units"
	"sallyport/internal/wire"
)

func isEOF(err error) bool { return errors.Is(err, io.EOF) }

// ill is what a medium may heal: condemned and missing blobs, damaged layers.
func (d *Daemon) ill(ctx context.Context) (intake.Ill, error) {
	ill := intake.Ill{Blobs: map[digest.Digest]bool{}, Layers: map[string]bool{}}
	gens, err := d.kept()
	if err != nil {
		return ill, err
	}
	live := map[digest.Digest]bool{}
	for _, g := range gens {
		r := round{}
		if err := d.scrubLayers(ctx, g, map[string]bool{}, &r); err != nil {
			return ill, err
		}
		for _, b := range r.Bad {
			ill.Layers[b.Name] = true
		}
		names := d.liveIn
		if len(r.Bad) > 0 {
			names = d.namedIn
		}
		if err := names(g.Generation, live); err != nil {
			d.log.Warn("what a generation needs is not known", "feed", g.Ref.Name, "generation", g.Point.String(), "err", err.Error())
		}
	}
	for b := range live {
		if !d.cas.Has(b) {
			ill.Blobs[b] = true
		}
	}
	for _, c := range d.cas.Condemned() {
		ill.Blobs[c.Digest] = true
	}
	return ill, nil
}

// needed says of damaged things which generations, records and papers they belong to, and what helps.
func (d *Daemon) needed(list []wire.Damaged) ([]wire.Damaged, error) {
	blobs, layers := map[digest.Digest]*wire.Damaged{}, map[string]*wire.Damaged{}
	for i := range list {
		b := &list[i]
		b.Used = slices.Clone(b.Used)
		switch b.What {
		case "blob":
			if h, err := digest.Parse(b.Name); err == nil {
				blobs[h] = b
				b.Next = healNext
			}
		case "layer":
			layers[b.Name] = b
			b.Next = "Build it again from the stick with the full it came from: sallyport media heal MEDIUM; or go back: sallyport feeds rollback."
		}
		if b.Used == nil {
			b.Used = []string{}
		}
	}
	gens, err := d.kept()
	if err != nil {
		return list, err
	}
	err = d.state.View(func(tx *state.Tx) error {
		for _, g := range gens {
			name, err := d.feedName(tx, g)
			if err != nil {
				return err
			}
			d.uses(fmt.Sprintf("%s generation %d", name, g.Generation.Generation), g.Generation, blobs, layers)
		}
		return nil
	})
	return list, err
}

// uses adds what one generation uses of the damaged.
func (d *Daemon) uses(name string, g feed.Generation, blobs map[digest.Digest]*wire.Damaged, layers map[string]*wire.Damaged) {
	for _, l := range g.Layers {
		if b := layers[l.File]; b != nil {
			b.Used = append(b.Used, name+": all of it")
		}
	}
	if b := blobs[g.LoadRecord]; b != nil {
		b.Used = append(b.Used, name+": the record of who loaded it")
		b.Next = localNext
	}
	for _, v := range g.Vouchers() {
		if b := blobs[v.Manifest]; b != nil {
			b.Used = append(b.Used, name+": the signed manifest, which proofs need")
		}
	}
	if len(blobs) == 0 {
		return
	}
	v, err := d.layers.Open(files(g)...)
	if err != nil {
		return
	}
	defer v.Close()
	for _, s := range v.Shards() {
		if b := blobs[s.Digest]; b != nil {
			if g.LoadedBy != "" {
				b.Next = localNext
			}
			b.Used = append(b.Used, fmt.Sprintf("%s: a shard of %s", name, units.Plural(s.Records, s.Kind, plural(s.Kind))))
		}
	}
	for _, l := range [...]*layer.Layer{v.Base(), v.Overlay()} {
		if l != nil {
			documentsOf(name, l, blobs, g.LoadedBy != "")
		}
	}
}

// documentsOf names the damaged documents of a layer. It walks the kinds that have documents, and only when one is damaged.
func documentsOf(name string, l *layer.Layer, blobs map[digest.Digest]*wire.Damaged, local bool) {
	found := false
	err := l.Documents(func(b digest.Digest) error {
		if blobs[b] != nil {
			found = true
		}
		return nil
	})
	if err != nil || !found {
		return
	}
	for kind := range l.Meta().Counts {
		err := l.Scan(kind, "", func(e layer.Entry) error {
			if b := blobs[e.Digest]; b != nil && e.Document {
				if local {
					b.Next = localNext
				}
				b.Used = append(b.Used, fmt.Sprintf("%s: %s %s", name, kind, e.Key))
			}
			return nil
		})
		if err != nil {
			return
		}
	}
}

// localNext is what to do about what was made here: bundles for others are encrypted for them.
const localNext = "It was made here: load the same files again: sallyport load --feed NAME FILE…. Sticks for others cannot be opened here."

func plural(kind string) string {
	switch kind {
	case "advisory":
		return "advisories"
	case "policy":
		return "policies"
	case "vex":
		return "vex"
	}
	return kind + "s"
}
