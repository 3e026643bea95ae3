package intake

import (
	"bufio"
	"errors"
	"fmt"
	"iter"
	"os"
	"path"
	"slices"
	"strings"

	"sallyport/internal/bundle"
	"sallyport/internal/feed"
	"sallyport/internal/layer"
	"sallyport/internal/pack"
)

// maxIndexLine bounds one line of an index: two keys of 1,024 bytes escaped, a path, a digest.
const maxIndexLine = 64 << 10

// layers builds the layer of every fresh feed and counts what would change.
func (im *imports) layers(pr *prepared) error {
	m := pr.bundle.Manifest()
	for i := range pr.offers {
		o := &pr.offers[i]
		if !o.fresh() {
			continue
		}
		if err := im.layer(pr, o, contentsOf(m, i)); err != nil {
			return fmt.Errorf("layer of feed %s: %w", o.state.Feed, err)
		}
		if err := im.compare(o); err != nil {
			return fmt.Errorf("compare feed %s: %w", o.state.Feed, err)
		}
	}
	return nil
}

// parts are the contents of one feed.
type parts struct {
	index     string
	shards    []bundle.Content
	documents map[string]bundle.Content
}

func contentsOf(m *bundle.Manifest, n int) parts {
	p := parts{documents: map[string]bundle.Content{}}
	for _, c := range m.Contents {
		if c.Feed == nil || int(*c.Feed) != n {
			continue
		}
		switch c.Role {
		case bundle.RoleIndex:
			p.index = c.Path
		case bundle.RoleShard:
			p.shards = append(p.shards, c)
		case bundle.RoleDocument:
			p.documents[c.Path] = c
		}
	}
	slices.SortStableFunc(p.shards, func(a, b bundle.Content) int { return strings.Compare(a.Kind, b.Kind) })
	return p
}

// layer builds one layer from the staged index and shards, and seals it under its temporary name.
func (im *imports) layer(pr *prepared, o *offer, p parts) error {
	scratch := pr.stage.Path(fmt.Sprintf("sort-%d", o.index))
	if err := os.MkdirAll(scratch, 0o700); err != nil {
		return err
	}
	w, err := im.Layers.Create(o.ref, scratch)
	if err != nil {
		return err
	}
	o.writer = w
	src := layer.Source{Document: p.document, Open: layer.Opener(pr.stage.Open)}
	for _, c := range p.shards {
		src.Shards, src.Paths = append(src.Shards, layer.Shard{Digest: c.Digest, Bytes: c.Bytes, Kind: c.Kind}), append(src.Paths, c.Path)
		pr.keep = append(pr.keep, c.Digest)
	}
	for _, c := range p.documents {
		pr.keep = append(pr.keep, c.Digest)
	}
	built, err := layer.Build(im.ctx, w, pr.lines(p.index), src, func(items, _ int64) { im.progress("index "+o.state.Feed, items, o.state.Records) })
	if err != nil {
		return err
	}
	if err := pr.spent(p.index); err != nil {
		return err
	}
	o.meta = layer.Meta{Feed: o.ref, Epoch: o.state.Epoch, Generation: o.state.Generation, Root: o.state.StateRoot, Shards: built.Shards, Counts: built.Counts, Bytes: built.Bytes}
	if err := w.Seal(o.meta); err != nil {
		return err
	}
	st, err := os.Stat(w.Path())
	if err != nil {
		return err
	}
	o.size = st.Size()
	return nil
}

// spent gives back the space of an index that was read for the last time, unless another content has the same bytes.
func (pr *prepared) spent(at string) error {
	b, ok := pr.staged[at]
	if !ok {
		return nil
	}
	for other, c := range pr.staged {
		if other != at && c.digest == b.digest {
			return nil
		}
	}
	return pr.stage.Drop(b.digest)
}

// document describes one document of the feed to the layer: a name to show, never a path.
func (p parts) document(at string) (name, mediaType string, ok bool) {
	c, ok := p.documents[at]
	return path.Base(c.Path), c.ContentType, ok
}

// lines reads a staged index. It was verified line by line; an error here is the disk's.
func (pr *prepared) lines(at string) iter.Seq2[bundle.IndexLine, error] {
	return func(yield func(bundle.IndexLine, error) bool) {
		b, ok := pr.staged[at]
		if !ok {
			return // a feed without records has no index
		}
		f, err := pr.stage.Open(b.digest)
		if err != nil {
			yield(bundle.IndexLine{}, err)
			return
		}
		defer f.Close()
		z := pack.NewReader(f)
		defer z.Close()
		scan := bufio.NewScanner(z)
		scan.Buffer(make([]byte, maxIndexLine), maxIndexLine)
		for scan.Scan() {
			l, err := bundle.ParseIndexLine(scan.Bytes())
			if !yield(l, err) || err != nil {
				return
			}
		}
		if err := scan.Err(); err != nil {
			yield(bundle.IndexLine{}, fmt.Errorf("read index %s: %w", at, err))
		}
	}
}

// compare counts what the new layer adds, changes, removes and leaves against the active generation: both are walked
// side by side, in order.
func (im *imports) compare(o *offer) error {
	if o.base == nil {
		o.plan.Added = o.state.Records
		return nil
	}
	old, closeOld, err := o.base()
	if err != nil {
		return err
	}
	defer closeOld()
	now, closeNow, err := sealed(o.writer.Path())
	if err != nil {
		return err
	}
	defer closeNow()
	return o.merge(old, now)
}

// sealed opens a layer that has no lasting name yet.
func sealed(path string) (*layer.View, func(), error) {
	l, err := layer.Open(path)
	if err != nil {
		return nil, nil, err
	}
	return layer.NewView(l, nil), func() { l.Close() }, nil
}

func (o *offer) merge(old, now *layer.View) (err error) {
	a, stopA := iter.Pull2(walk(old))
	defer stopA()
	b, stopB := iter.Pull2(walk(now))
	defer stopB()
	x, errX, okX := a()
	y, errY, okY := b()
	for okX || okY {
		if err := errors.Join(errX, errY); err != nil {
			return err
		}
		c := 0
		switch {
		case !okX:
			c = 1
		case !okY:
			c = -1
		default:
			c = cmpEntry(x, y)
		}
		switch {
		case c < 0:
			o.plan.Removed++
		case c > 0:
			o.plan.Added++
		case x.Digest != y.Digest:
			o.plan.Changed++
		default:
			o.plan.Unchanged++
		}
		if c <= 0 {
			x, errX, okX = a()
		}
		if c >= 0 {
			y, errY, okY = b()
		}
	}
	return nil
}

func cmpEntry(x, y layer.Item) int {
	if c := strings.Compare(x.Kind, y.Kind); c != 0 {
		return c
	}
	return strings.Compare(x.Key, y.Key)
}

var errStop = errors.New("stop")

// walk is a view's records as a sequence.
func walk(v *layer.View) iter.Seq2[layer.Item, error] {
	return func(yield func(layer.Item, error) bool) {
		err := v.All(func(it layer.Item) error {
			if !yield(it, nil) {
				return errStop
			}
			return nil
		})
		if err != nil && !errors.Is(err, errStop) {
			yield(layer.Item{}, err)
		}
	}
}

// view opens a held generation.
func (r *Room) view(g feed.Generation) (*layer.View, error) {
	var files []string
	for _, l := range g.Layers {
		files = append(files, l.File)
	}
	return r.Layers.Open(files...)
}
