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
	"sallyport/internal/code"
	"sallyport/internal/feed"
	"sallyport/internal/layer"
	"sallyport/internal/pack"
)

// indexLine is more than nearly every line of an index has: a key of 1,024 bytes escaped, a path, a digest, a source.
const indexLine = 64 << 10

// layers builds the layers of every fresh feed and counts what would change.
func (im *imports) layers(pr *prepared) error {
	m := pr.bundle.Manifest()
	for i := range pr.offers {
		o := &pr.offers[i]
		if !o.fresh() {
			continue
		}
		build := im.full
		if !o.whole {
			build = im.delta
		}
		err := build(pr, o, contentsOf(m, i))
		if m.Delta != nil {
			err = im.failed(o, err)
		}
		if err != nil {
			return fmt.Errorf("layer of feed %s: %w", o.state.Feed, err)
		}
		if err := im.compare(o); err != nil {
			return fmt.Errorf("compare feed %s: %w", o.state.Feed, err)
		}
		im.proveFeed(pr, o)
	}
	return nil
}

// parts are the contents of one feed.
type parts struct {
	index     string
	shards    []bundle.Content
	gone      []bundle.Content // tombstones
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
		case bundle.RoleTombstones:
			p.gone = append(p.gone, c)
		case bundle.RoleDocument:
			p.documents[c.Path] = c
		}
	}
	byKind := func(a, b bundle.Content) int { return strings.Compare(a.Kind, b.Kind) }
	slices.SortStableFunc(p.shards, byKind)
	slices.SortStableFunc(p.gone, byKind)
	return p
}

// source tells a layer where the bodies of the feed are.
func (p parts) source(pr *prepared) layer.Source {
	src := layer.Source{Document: p.document, Open: layer.Opener(pr.stage.Open)}
	for _, c := range p.shards {
		src.Shards, src.Paths = append(src.Shards, layer.Shard{Digest: c.Digest, Bytes: c.Bytes, Kind: c.Kind}), append(src.Paths, c.Path)
	}
	return src
}

// create begins a layer of an offer.
func (im *imports) create(pr *prepared, o *offer, name string) (*piece, error) {
	scratch := pr.stage.Path(fmt.Sprintf("sort-%d-%s", o.index, name))
	if err := os.MkdirAll(scratch, 0o700); err != nil {
		return nil, err
	}
	w, err := im.Layers.Create(o.ref, scratch)
	if err != nil {
		return nil, err
	}
	p := &piece{writer: w}
	o.own = append(o.own, p)
	return p, nil
}

// indexed tells a person how far the index of a feed has come.
func (im *imports) indexed(o *offer) func(items, bytes int64) {
	return func(items, _ int64) { im.progress("index "+o.state.Feed, items, o.state.Records) }
}

// full builds a base from the staged index and shards, and seals it under its temporary name; that computes the state root.
func (im *imports) full(pr *prepared, o *offer, p parts) error {
	base, err := im.create(pr, o, "base")
	if err != nil {
		return err
	}
	for _, c := range p.shards {
		pr.keep = append(pr.keep, c.Digest)
	}
	for _, c := range p.documents {
		pr.keep = append(pr.keep, c.Digest)
	}
	built, err := layer.Build(im.ctx, base.writer, pr.lines(p.index), p.source(pr), im.indexed(o))
	if err != nil {
		return err
	}
	if err := pr.spent(p.index); err != nil {
		return err
	}
	if err := base.seal(o.meta(built)); err != nil {
		return o.unrooted(err)
	}
	if built.Records != o.state.Records {
		return code.New(code.StateRootBad, "another number of records than was signed").In("", "feed "+o.state.Feed).Want(o.state.Records, built.Records)
	}
	o.made = o.becomes(pr, built, base, nil)
	return nil
}

// meta describes a base of what an offer becomes.
func (o *offer) meta(b layer.Built) layer.Meta {
	return layer.Meta{
		Feed: o.ref, Epoch: o.state.Epoch, Generation: o.state.Generation, Root: o.state.StateRoot,
		Shards: b.Shards, Counts: b.Counts, Bytes: b.Bytes,
	}
}

// becomes is the generation that an offer makes: its layers, and what vouches for their records beside its own manifest.
func (o *offer) becomes(pr *prepared, b layer.Built, base, over *piece, vouchers ...feed.Voucher) *stack {
	s := &stack{
		point: o.point(), root: o.state.StateRoot, records: b.Records, counts: b.Counts, bytes: b.Bytes,
		since: pr.bundle.Manifest().GeneratedAt, base: base, over: over,
	}
	s.vouchers = append(vouchers, feed.Voucher{
		Manifest: pr.manifest, FeedIndex: o.index, BundleID: pr.bundle.ID(), Signer: pr.bundle.Signer().ID(),
	})
	return s
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
		err := pr.eachLine(at, func(b []byte) error {
			l, err := bundle.ParseIndexLine(b)
			if err == nil && !yield(l, nil) {
				err = errStop
			}
			return err
		})
		if err != nil && !errors.Is(err, errStop) {
			yield(bundle.IndexLine{}, fmt.Errorf("read index %s: %w", at, err))
		}
	}
}

// eachLine inflates a staged file of lines; a content that the bundle does not have has none.
func (pr *prepared) eachLine(at string, fn func([]byte) error) error {
	b, ok := pr.staged[at]
	if !ok || b.bytes == 0 {
		return nil
	}
	f, err := pr.stage.Open(b.digest)
	if err != nil {
		return err
	}
	defer f.Close()
	z := pack.NewReader(f)
	defer z.Close()
	scan := bufio.NewScanner(z)
	scan.Buffer(make([]byte, indexLine), bundle.MaxLine+1)
	for scan.Scan() {
		if err := fn(scan.Bytes()); err != nil {
			return err
		}
	}
	return scan.Err()
}

var errStop = errors.New("stop")

// compare counts what the new generation adds, changes, removes and leaves against the active one. One that is damaged here is
// no obstacle: what needs nothing of it is the way out.
func (im *imports) compare(o *offer) error {
	if o.current == nil {
		o.plan.Added = o.state.Records
		return im.firstOf(o)
	}
	d, err := im.difference(o)
	if code.Of(err) == code.StoreCorrupt { // what was made was read whole a moment ago
		im.Log.Error("what is active cannot be read: newer data takes its place uncounted", "feed", o.state.Feed, "err", err)
		o.uncounted, o.plan.Added = true, o.state.Records
		return nil
	}
	if err != nil {
		return err
	}
	o.plan.Added, o.plan.Changed, o.plan.Removed = d.Added, d.Changed, d.Removed
	o.plan.Unchanged = o.state.Records - d.Added - d.Changed
	return nil
}

func (im *imports) difference(o *offer) (d layer.Difference, err error) {
	old, closeOld, err := o.current.open(im.Layers)
	if err != nil {
		return d, err
	}
	defer closeOld()
	now, closeNow, err := o.made.open(im.Layers)
	if err != nil {
		return d, err
	}
	defer closeNow()
	return layer.CompareEach(old, now, o.example())
}

// view opens a held generation.
func (r *Room) view(g feed.Generation) (*layer.View, error) {
	var files []string
	for _, l := range g.Layers {
		files = append(files, l.File)
	}
	return r.Layers.Open(files...)
}

// unrooted says a wrong state root in words about the feed, not about our files.
func (o *offer) unrooted(err error) error {
	var e *code.Error
	if !errors.As(err, &e) || e.Code != code.StateRootBad {
		return err
	}
	return code.New(code.StateRootBad, "").In("", "feed "+o.state.Feed).Want(e.Expected, e.Got)
}
