// Package mirror fills the payload of `mirror:full`, every feed that originates here, whole, and of `mirror:delta`, what
// changed in them since the states one peer may stand at.
//
// Data: none of its own. What it puts into a payload (20-bundle-format, "Payload"):
//
//	mirror/indexes/<feed n>.index.jsonl.zst                        made here, from the layer
//	mirror/data/raw/{advisories,findings}/<feed n>-NNNN.jsonl.zst  shards as they stand in the content store
//	mirror/data/raw/<kind>/<64 hex>/<name>                         documents as they stand in the content store
//	mirror/delta/upserts/<feed n>/<kind>/NNNN.jsonl.zst            changed lines, packed again here (delta)
//	mirror/delta/tombstones/<feed n>/<kind>.jsonl.zst              keys that are gone (delta)
//	mirror/{provenance.json manifest.yaml README.md time-anchor.json}
//
// Order: feeds are pinned in the planning transaction, of a delta with every state it is to be right from. Of a full each layer
// is read once, in order, and its index is written as the layer gives its records; nothing is inflated or compressed again
// but the index. Of a delta the indexes of now and of all bases are merged; the bodies of what differs from any of them are
// read by a few workers and packed in order, whole frames are copied; memory grows with what changed, up to a bound from
// which on the indexes are merged twice. A crash leaves what the run's staging area held, which is dropped.
package mirror

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"sallyport/internal/bundle"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/export"
	"sallyport/internal/feed"
	"sallyport/internal/job"
	"sallyport/internal/layer"
	"sallyport/internal/pack"
	"sallyport/internal/peer"
	"sallyport/internal/state"
)

// Content types of what a mirror holds.
const (
	typeLines = "application/x-ndjson+zstd"
	typeJSON  = "application/json"
	typeBlob  = "application/octet-stream"
)

// Full is the kind mirror:full.
type Full struct{}

// Profile implements export.Kind.
func (Full) Profile() export.Profile {
	return export.Profile{Name: "mirror:full", Kind: "mirror", Variant: "full", Revision: 1}
}

// Pin takes the active generation of every feed of the tenant that originates here, by name. Codes rollback and fork when the
// peer is ahead of us.
func (Full) Pin(tx *state.Tx, run *job.Run) error {
	if err := behind(tx, run); err != nil {
		return err
	}
	q, err := export.RequestOf(*run)
	if err != nil {
		return err
	}
	feeds, err := feed.List(tx, run.Tenant)
	if err != nil {
		return fmt.Errorf("pin feeds: %w", err)
	}
	run.Feeds, run.Records = nil, 0
	for _, f := range feeds {
		if !f.Local || f.Active.Generation == 0 || !q.Wants(f.Ref.Name) {
			continue
		}
		g, ok, err := feed.Current(tx, f.Ref)
		if err != nil || !ok {
			return fmt.Errorf("pin feed %s: no generation %d: %w", f.Ref.Name, f.Active.Generation, err)
		}
		run.Feeds = append(run.Feeds, job.FeedState{Ref: f.Ref, Epoch: g.Epoch, Generation: g.Generation, Root: g.Root})
		run.Records += g.Records
	}
	slices.SortFunc(run.Feeds, func(a, b job.FeedState) int { return strings.Compare(a.Ref.Name, b.Ref.Name) })
	return nil
}

// behind refuses a run for a peer that is ahead of us.
func behind(tx *state.Tx, run *job.Run) error {
	for _, name := range run.Peers {
		p, err := peer.Get(tx, name)
		if err != nil {
			return err
		}
		all, err := export.Standings(tx, p)
		if err != nil {
			return err
		}
		for _, s := range all {
			if err := s.Ahead(tx, name); err != nil {
				return err
			}
		}
	}
	return nil
}

// Members implements export.Kind.
func (Full) Members(ctx context.Context, b *export.Build) (export.Contents, error) {
	w := &writer{Build: b, ctx: ctx, paths: map[string]bool{}}
	for i, f := range b.Run.Feeds {
		if err := w.feed(i, f); err != nil {
			return export.Contents{}, fmt.Errorf("feed %s: %w", f.Ref.Name, err)
		}
	}
	if err := w.info(); err != nil {
		return export.Contents{}, err
	}
	return export.Contents{Feeds: w.feeds, Members: w.members, Records: w.records}, nil
}

// writer collects the contents of one payload.
type writer struct {
	*export.Build
	ctx     context.Context
	feeds   []bundle.FeedState
	members []bundle.Content
	sources []source
	paths   map[string]bool // of documents: two feeds may hold the same one
	records int64
	changes *job.Changes // of a delta
}

// feed adds the state, shards, documents and index of one pinned generation.
func (w *writer) feed(n int, f job.FeedState) error {
	g, err := w.at(f)
	if err != nil {
		return err
	}
	view, err := w.view(g)
	if err != nil {
		return err
	}
	defer view.Close()
	x := &index{writer: w, n: int64(n), shards: map[digest.Digest]*shard{}, numbers: map[string]int{}, total: g.Records}
	if err := x.write(view); err != nil {
		return err
	}
	if x.count != g.Records {
		return code.New(code.StoreCorrupt, "the layer has another number of records than its generation").Want(g.Records, x.count)
	}
	w.records += g.Records
	w.feeds = append(w.feeds, bundle.FeedState{
		Feed: f.Ref.Name, Origin: f.Ref.Origin, Epoch: f.Epoch, Generation: f.Generation, StateRoot: g.Root, Records: g.Records,
	})
	w.sources = append(w.sources, sourceOf(f, g))
	return nil
}

// shard is one shard of the feed and how many of its lines the index has named.
type shard struct {
	layer.Shard
	path  string
	lines int64
}

// index writes the index of one feed while it walks the layer.
type index struct {
	*writer
	n       int64 // position of the feed
	shards  map[digest.Digest]*shard
	order   []*shard
	numbers map[string]int // kind → shards so far
	count   int64
	total   int64
	buf     []byte
}

func (x *index) write(view *layer.View) error {
	c := bundle.Content{Path: bundle.IndexPath(int(x.n)), Role: bundle.RoleIndex, Feed: &x.n, ContentType: typeLines}
	c, err := x.Put(c, func(out io.Writer) error {
		z, err := pack.EncodeStream(out)
		if err != nil {
			return err
		}
		if err := view.All(func(it layer.Item) error { return x.line(z, it) }); err != nil {
			return err
		}
		return z.Close()
	})
	if err != nil {
		return err
	}
	c.Records = &x.count
	x.members = append(x.members, c)
	return x.close()
}

// line names one record and, at the first line of a shard and at each document, the content that holds it.
func (x *index) line(out io.Writer, it layer.Item) error {
	if x.count%4096 == 0 {
		if err := x.ctx.Err(); err != nil {
			return context.Cause(x.ctx)
		}
		x.Advance(x.count, x.total, 0, 0)
	}
	x.count++
	l := bundle.IndexLine{Kind: it.Kind, Key: it.Key, Digest: it.Digest, Source: it.Source}
	if it.Document {
		l.Path = x.document(it)
	} else {
		s, err := x.shard(it)
		if err != nil {
			return err
		}
		line := s.lines
		l.Path, l.Line = s.path, &line
		s.lines++
	}
	x.buf = bundle.EncodeIndexLine(x.buf[:0], l)
	_, err := out.Write(x.buf)
	return err
}

// shard finds the shard a line lies in. Lines ascend through shards as keys ascend, so its number in the shard is how many
// of them came before.
func (x *index) shard(it layer.Item) (*shard, error) {
	of, ok := it.Shard()
	if !ok {
		return nil, code.New(code.StoreCorrupt, "the layer names a shard it does not have").In(it.Kind, it.Key)
	}
	if s := x.shards[of.Digest]; s != nil {
		return s, nil
	}
	s := &shard{Shard: of, path: bundle.ShardPath(it.Kind, int(x.n), x.numbers[it.Kind])}
	x.numbers[it.Kind]++
	x.shards[of.Digest] = s
	x.order = append(x.order, s)
	return s, nil
}

// document adds one document and returns its path. The same key in two feeds gets two paths: paths are opaque.
func (x *index) document(it layer.Item) string {
	p := bundle.DocumentPath("mirror", it.Kind, it.Key, it.Name)
	if fold := strings.ToLower(p); x.paths[fold] {
		p = bundle.DocumentPath("mirror", it.Kind, it.Key, fmt.Sprintf("%d-%s", x.n, bundle.SafeName(it.Name)))
	}
	x.paths[strings.ToLower(p)] = true
	typ := it.MediaType
	if typ == "" {
		typ = typeBlob
	}
	x.members = append(x.members, bundle.Content{
		Path: p, Digest: it.Digest, Bytes: it.Length, Role: bundle.RoleDocument, Kind: it.Kind, Feed: &x.n, ContentType: typ,
	})
	return p
}

// close adds the shards. A shard with lines that no live record names cannot be shipped as it stands.
func (x *index) close() error {
	for _, s := range x.order {
		if s.lines != s.Records {
			return code.New(code.StoreCorrupt, "a shard holds lines that are no live records").In(s.Digest.String(), "").Want(s.Records, s.lines)
		}
		x.members = append(x.members, bundle.Content{
			Path: s.path, Digest: s.Digest, Bytes: s.Bytes, Role: bundle.RoleShard, Kind: s.Kind, Feed: &x.n, Records: &s.lines, ContentType: typeLines,
		})
	}
	return nil
}

// source is one feed in provenance.json.
type source struct {
	Feed       string        `json:"feed"`
	Origin     string        `json:"origin"`
	Epoch      int64         `json:"epoch"`
	Generation int64         `json:"generation"`
	StateRoot  digest.Digest `json:"stateRoot"`
	Records    int64         `json:"records"`
	LoadRecord digest.Digest `json:"loadRecord,omitzero"`
	LoadedAt   string        `json:"loadedAt,omitempty"`
}

func sourceOf(f job.FeedState, g feed.Generation) source {
	return source{f.Ref.Name, f.Ref.Origin, f.Epoch, f.Generation, g.Root, g.Records, g.LoadRecord, g.AcceptedAt}
}
