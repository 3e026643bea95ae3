package daemon

import (
	"context"
	"io"

	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/feed"
	"sallyport/internal/layer"
)

// layerWhy says in a few words what is wrong with a layer: what its pages break on helps nobody.
func layerWhy(err error) string {
	switch code.Of(err) {
	case code.StateRootBad:
		return "its records are not those that were proven"
	case code.Missing:
		return "the file is missing"
	}
	return "its bytes are wrong"
}

// proveLayers proves, of layers whose records are those of the generation, what the state root does not: that they name the
// shards the ledger names, and that every line lies where they say. It is done once for each layer; from then on its own digest
// is known.
func (d *Daemon) proveLayers(ctx context.Context, v *layer.View, g feed.Spare) error {
	for i, l := range [...]*layer.Layer{v.Base(), v.Overlay()} {
		if l == nil {
			continue
		}
		named, want := l.Meta().Shards, g.Layers[i].Shards
		if len(named) != len(want) {
			return code.New(code.StoreCorrupt, "the layer names other shards").Want(len(want), len(named))
		}
		for n, s := range named {
			if s.Digest != want[n] {
				return code.New(code.StoreCorrupt, "the layer names other shards").Want(want[n], s.Digest)
			}
		}
	}
	bodies := v.Bodies(layer.Opener(d.cas.Open))
	defer bodies.Close()
	whole := map[digest.Digest]bool{}
	return v.All(func(it layer.Item) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		s, ok := it.Shard()
		if !ok || it.Document {
			return nil
		}
		if _, err := bodies.Body(it); err != nil && d.wholeShard(s.Digest, whole) {
			return code.Wrap(code.StoreCorrupt, err, "")
		}
		return nil
	})
}

// wholeShard tells whether a shard has the bytes of its name, so that what cannot be read in it is the layer's fault.
func (d *Daemon) wholeShard(b digest.Digest, known map[digest.Digest]bool) bool {
	ok, met := known[b]
	if !met {
		r, err := d.cas.OpenVerified(b)
		if err == nil && d.cas.Has(b) {
			_, err = io.Copy(io.Discard, r)
			ok = err == nil
		}
		if r != nil {
			r.Close()
		}
		known[b] = ok
	}
	return ok
}
