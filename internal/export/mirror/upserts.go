package mirror

import (
	"context"
	"fmt"
	"io"

	"sallyport/internal/bundle"
	"sallyport/internal/cas"
	"sallyport/internal/code"
	"sallyport/internal/layer"
	"sallyport/internal/pack"
)

// upserts writes the second half of a delta's feed: shards of changed lines, documents, tombstones, and the index that
// names what is there now.
type upserts struct {
	*writer
	n       int64 // position of the feed
	diff    *diff
	index   io.WriteCloser
	indexed int64
	count   int64 // upserts and tombstones
	total   int64
	pack    *pack.Compressor
	buf     []byte

	kind  string      // of what came last
	shard *cas.Writer // the one being written
	at    bundle.Content
	bytes int64 // packed
	lines int64
	many  map[string]int // kind → shards so far

	text []byte       // of the frame being collected
	rows []layer.Item // its lines
	out  []byte

	dead *tombstones
	made []bundle.Content
}

// write takes the changes once more, in order.
func (u *upserts) write(d *diff) error {
	u.diff, u.pack, u.many = d, pack.NewCompressor(), map[string]int{}
	for _, n := range d.counts {
		u.total += n.Added + n.Changed + n.Removed
	}
	defer u.abort()
	c := bundle.Content{Path: bundle.IndexPath(int(u.n)), Role: bundle.RoleIndex, Feed: &u.n, ContentType: typeLines}
	c, err := u.Put(c, func(out io.Writer) (err error) {
		if u.index, err = pack.EncodeStream(out); err != nil {
			return err
		}
		if err := u.all(); err != nil {
			return err
		}
		return u.index.Close()
	})
	if err != nil {
		return err
	}
	c.Records = &u.indexed
	u.members = append(append(u.members, c), u.made...)
	return nil
}

// all takes the pieces as the workers finish them.
func (u *upserts) all() error {
	ctx, cancel := context.WithCancel(u.ctx)
	in := pieces(ctx, u.diff, layer.Opener(u.Stage.Open), u.Workers)
	defer in.wait()
	defer cancel()
	for done := range in.order {
		p := <-done
		if p.err != nil {
			return p.err
		}
		if err := u.piece(p); err != nil {
			return err
		}
	}
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if err := u.endKind(""); err != nil {
		return err
	}
	return u.endDead("")
}

// piece takes one.
func (u *upserts) piece(p *piece) error {
	u.count += int64(len(p.rows) + len(p.dead))
	u.Advance(u.count, max(u.count, u.total), 0, 0)
	switch {
	case p.dead != nil:
		return u.tombstones(p)
	case p.rows[0].Document:
		if err := u.endKind(p.rows[0].Kind); err != nil {
			return err
		}
		x := &index{writer: u.writer, n: u.n}
		return u.name(p.rows[0], bundle.IndexLine{Path: x.document(p.rows[0])})
	case p.packed != nil:
		if err := u.endKind(p.rows[0].Kind); err != nil {
			return err
		}
		if err := u.flush(); err != nil {
			return err
		}
		return u.frame(p.rows, p.packed)
	}
	return u.collect(p)
}

// collect adds lines to the frame being collected and cuts it as 20, "Bodies", says.
func (u *upserts) collect(p *piece) error {
	kind := p.rows[0].Kind
	if err := u.endKind(kind); err != nil {
		return err
	}
	cut, text := u.diff.cut(kind), p.text
	for _, it := range p.rows {
		line := text[:it.Length+1]
		text = text[len(line):]
		if len(u.text)+len(line) > pack.FrameMax {
			if err := u.flush(); err != nil {
				return err
			}
		}
		u.text, u.rows = append(u.text, line...), append(u.rows, it)
		if pack.Cut(kind, it.Key, cut) {
			if err := u.flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

// flush ends the frame being collected.
func (u *upserts) flush() error {
	if len(u.rows) == 0 {
		return nil
	}
	u.out = u.pack.Frame(u.out[:0], u.text)
	rows := u.rows
	u.text, u.rows = u.text[:0], u.rows[:0]
	return u.frame(rows, u.out)
}

// frame appends one frame to the shard and names its lines.
func (u *upserts) frame(rows []layer.Item, packed []byte) (err error) {
	if u.shard == nil {
		kind := rows[0].Kind
		u.at = bundle.Content{
			Path: bundle.UpsertPath(kind, int(u.n), u.many[kind]), Role: bundle.RoleShard, Kind: kind, Feed: &u.n, ContentType: typeLines,
		}
		u.many[kind]++
		if u.shard, err = u.Stage.Create(); err != nil {
			return err
		}
		u.bytes, u.lines = 0, 0
	}
	if _, err := u.shard.Write(packed); err != nil {
		return err
	}
	for _, it := range rows {
		line := u.lines
		if err := u.name(it, bundle.IndexLine{Path: u.at.Path, Line: &line}); err != nil {
			return err
		}
		u.lines++
	}
	if u.bytes += int64(len(packed)); u.bytes >= pack.ShardMax {
		return u.endShard()
	}
	return nil
}

// name adds a line to the index.
func (u *upserts) name(it layer.Item, l bundle.IndexLine) error {
	l.Kind, l.Key, l.Digest, l.Source = it.Kind, it.Key, it.Digest, it.Source
	u.buf = bundle.EncodeIndexLine(u.buf[:0], l)
	u.indexed++
	u.records++
	_, err := u.index.Write(u.buf)
	return err
}

// endKind ends frame and shard of another kind than the next one.
func (u *upserts) endKind(next string) error {
	if u.kind == next {
		return nil
	}
	u.kind = next
	if err := u.flush(); err != nil {
		return err
	}
	return u.endShard()
}

func (u *upserts) endShard() (err error) {
	if u.shard == nil {
		return nil
	}
	c, lines := u.at, u.lines
	c.Records = &lines
	c.Digest, c.Bytes, err = u.shard.Close()
	u.shard = nil
	if err != nil {
		return fmt.Errorf("stage %q: %w", c.Path, err)
	}
	u.made = append(u.made, c)
	return nil
}

func (u *upserts) abort() {
	if u.shard != nil {
		u.shard.Abort()
	}
	if u.dead != nil {
		u.dead.out.Abort()
	}
}

// tombstones is the file of one kind.
type tombstones struct {
	kind string
	out  *cas.Writer
	z    io.WriteCloser
	n    int64
}

// tombstones adds removed records.
func (u *upserts) tombstones(p *piece) (err error) {
	if err := u.endDead(p.kind); err != nil {
		return err
	}
	if u.dead == nil {
		t := &tombstones{kind: p.kind}
		if t.out, err = u.Stage.Create(); err != nil {
			return err
		}
		u.dead = t
		if t.z, err = pack.EncodeStream(t.out); err != nil {
			return err
		}
	}
	for _, t := range p.dead {
		u.buf = bundle.EncodeTombstone(u.buf[:0], t)
		if _, err := u.dead.z.Write(u.buf); err != nil {
			return err
		}
		u.dead.n++
		u.records++
	}
	return nil
}

func (u *upserts) endDead(next string) (err error) {
	t := u.dead
	if t == nil || t.kind == next {
		return nil
	}
	c := bundle.Content{
		Path: bundle.TombstonesPath(t.kind, int(u.n)), Role: bundle.RoleTombstones, Kind: t.kind, Feed: &u.n, Records: &t.n, ContentType: typeLines,
	}
	if err := t.z.Close(); err != nil {
		return err
	}
	c.Digest, c.Bytes, err = t.out.Close()
	u.dead = nil
	if err != nil {
		return code.Wrap(code.Of(err), err, "stage %q", c.Path)
	}
	u.made = append(u.made, c)
	return nil
}
