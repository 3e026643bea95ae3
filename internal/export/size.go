package export

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"sallyport/internal/code"
	"sallyport/internal/feed"
	"sallyport/internal/layer"
	"sallyport/internal/state"
	"sallyport/internal/units"
)

// FullSize is about how many bytes a full mirror of a tenant takes: its shards as they are packed, and its documents before
// they are.
func (r *Room) FullSize(tenant string) (total int64, err error) { return r.fullSize(tenant, nil) }

// fullSize is FullSize of these feeds; of all when none is named.
func (r *Room) fullSize(tenant string, names []string) (total int64, err error) {
	var gens []feed.Generation
	err = r.State.View(func(tx *state.Tx) error {
		feeds, err := feed.List(tx, tenant)
		if err != nil {
			return err
		}
		for _, f := range feeds {
			g, ok, err := feed.Current(tx, f.Ref)
			if err != nil {
				return err
			}
			if f.Local && ok && (len(names) == 0 || slices.Contains(names, f.Ref.Name)) {
				gens = append(gens, g)
			}
		}
		return nil
	})
	for _, g := range gens {
		if err != nil {
			break
		}
		var n int64
		n, err = r.packedBytes(g)
		total += n
	}
	if err != nil {
		return 0, fmt.Errorf("size of a full: %w", err)
	}
	return total, nil
}

// packedBytes is what the bodies of a generation take in a full.
func (r *Room) packedBytes(g feed.Generation) (n int64, err error) {
	files := make([]string, 0, 2)
	for _, l := range g.Layers {
		files = append(files, l.File)
	}
	v, err := r.Layers.Open(files...)
	if err != nil {
		return 0, err
	}
	defer v.Close()
	for _, s := range v.Shards() {
		n += s.Bytes
	}
	for _, kind := range v.Kinds() {
		err := v.Scan(kind, "", func(it layer.Item) error {
			if !it.Document {
				return layer.ErrStop // a kind is documents or lines throughout
			}
			n += it.Length
			return nil
		})
		if err != nil {
			return 0, err
		}
	}
	return n, nil
}

// sized adds to a refusal that asks for a full how large that would be.
func (r *Room) sized(q Request, err error) error {
	var e *code.Error
	if !code.Has(err, code.ExportBase) || !errors.As(err, &e) {
		return err
	}
	names := q.Feeds
	if len(names) == 0 && e.Place != "" {
		names = strings.Split(e.Place, ", ")
	}
	n, serr := r.fullSize(q.Tenant, names)
	if serr != nil {
		return errors.Join(err, serr)
	}
	next := "Send a full: stella export run submit --profile mirror:full"
	if q.For != "" {
		next += " --for " + q.For
	}
	for _, f := range names {
		next += " --feed " + f
	}
	sized := *e
	sized.Msg = fmt.Sprintf("%s (about %s)", e.Msg, units.Size(n))
	return sized.Do(next)
}
