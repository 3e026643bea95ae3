package layer

import (
	"context"
	"fmt"
	"io"
	"iter"
	"sync"

	"sallyport/internal/bundle"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/record"
)

// Source tells Build where the bodies of one feed are. Its shards and blobs were hashed by the gate; Build hashes each line again.
type Source struct {
	Shards []Shard  // in manifest order: of a kind, each one's lines ascend and come before the next one's
	Paths  []string // of each of Shards: its member path, as the index names it
	// Document tells file name and media type of the document at a path of the index, false when there is none.
	Document func(path string) (name, mediaType string, ok bool)
	Open     Blobs
	Workers  int // goroutines that inflate and scan; 0: 2
}

// Built is what Build has put into the layer. Source.Shards have their Records filled in.
type Built struct {
	Shards  []Shard
	Counts  map[string]int64
	Bytes   int64 // of all bodies, lines with their LF
	Records int64
}

// Build fills w, in one pass over the index of one feed and the frames of its shards: each index line must name the next line
// of its shard (or a document) and have its digest, each line of each shard must be named. Any disagreement is code.IndexBad.
// Memory is a few frames per worker. It neither seals nor aborts w.
func Build(ctx context.Context, w *Writer, index iter.Seq2[bundle.IndexLine, error], src Source, progress func(items, bytes int64)) (Built, error) {
	return build(ctx, w.Add, index, src, progress)
}

// build is Build with each record given to add.
func build(ctx context.Context, add func(Entry, record.Fields) error, index iter.Seq2[bundle.IndexLine, error], src Source, progress func(items, bytes int64)) (Built, error) {
	ctx, cancel := context.WithCancel(ctx)
	b := builder{ctx: ctx, put: add, src: src, built: Built{Shards: append([]Shard(nil), src.Shards...), Counts: map[string]int64{}}, shard: -1}
	var wait sync.WaitGroup
	defer wait.Wait()
	defer cancel()
	b.frames = inflate(ctx, src, &wait)
	for l, err := range index {
		if err == nil {
			err = b.add(l)
		}
		if err == nil {
			err = context.Cause(ctx)
		}
		if err != nil {
			return Built{}, fmt.Errorf("build layer: %w", err)
		}
		if b.built.Records++; progress != nil && b.built.Records%1024 == 0 {
			progress(b.built.Records, b.built.Bytes)
		}
	}
	if err := b.end(); err != nil {
		return Built{}, fmt.Errorf("build layer: %w", err)
	}
	if progress != nil {
		progress(b.built.Records, b.built.Bytes)
	}
	return b.built, nil
}

type builder struct {
	ctx    context.Context
	put    func(Entry, record.Fields) error
	src    Source
	built  Built
	frames <-chan chan frame

	shard int // of the frame in hand
	frame frame
	at    int // next line of it
}

// frame is one inflated frame, its lines found, hashed and scanned.
type frame struct {
	shard  int
	offset int64
	lines  []line
	err    error
}

type line struct {
	offset, length int64
	digest         digest.Digest
	fields         record.Fields
	err            error
}

// next is the next line of all shards together; ok is false at the end.
func (b *builder) next() (l *line, ok bool, err error) {
	for b.at == len(b.frame.lines) {
		c, ok := <-b.frames
		if !ok {
			return nil, false, context.Cause(b.ctx)
		}
		b.frame, b.at = <-c, 0
		if b.frame.err != nil {
			return nil, false, b.frame.err
		}
		if b.frame.shard != b.shard {
			b.shard = b.frame.shard
			b.built.Shards[b.shard].Records = 0
		}
	}
	l = &b.frame.lines[b.at]
	b.at++
	return l, true, l.err
}

func (b *builder) add(l bundle.IndexLine) error {
	if l.Line == nil {
		return b.document(l)
	}
	got, ok, err := b.next()
	if err != nil {
		return err
	}
	if !ok {
		return disagree(l, "a line", "the end of the shards")
	}
	s := &b.built.Shards[b.shard]
	if l.Path != b.src.Paths[b.shard] || l.Kind != s.Kind || *l.Line != s.Records {
		return disagree(l, fmt.Sprintf("%s line %d", b.src.Paths[b.shard], s.Records), fmt.Sprintf("%s line %d", l.Path, *l.Line))
	}
	if l.Digest != got.digest {
		return disagree(l, l.Digest, got.digest)
	}
	s.Records++
	b.count(l.Kind, got.length+1)
	return b.put(Entry{
		Kind: l.Kind, Key: l.Key, Digest: l.Digest, Source: l.Source,
		Shard: b.shard, Frame: b.frame.offset, Offset: got.offset, Length: got.length,
	}, got.fields)
}

func (b *builder) count(kind string, bytes int64) {
	b.built.Counts[kind]++
	b.built.Bytes += bytes
}

func disagree(l bundle.IndexLine, want, got any) error {
	return code.New(code.IndexBad, "").In(l.Path, fmt.Sprintf("%s %.200q", l.Kind, l.Key)).Want(want, got)
}

// document takes one in; it is parsed for its lookups only, and one that cannot be parsed has its name alone.
func (b *builder) document(l bundle.IndexLine) error {
	if b.src.Document == nil {
		return disagree(l, "lines only", "a document")
	}
	name, mediaType, ok := b.src.Document(l.Path)
	if !ok {
		return disagree(l, "a document of the manifest", "none")
	}
	blob, err := b.src.Open(l.Digest)
	if err != nil {
		return err
	}
	defer blob.Close()
	e := Entry{
		Kind: l.Kind, Key: l.Key, Digest: l.Digest, Document: true, Length: blob.Size(),
		Name: name, MediaType: mediaType, Source: l.Source,
	}
	fields, err := DocumentFields(e, blob)
	if err != nil {
		return err
	}
	b.count(l.Kind, e.Length)
	return b.put(e, fields)
}

// DocumentFields reads what a document can be looked up by. One that is too large or cannot be parsed keeps its name.
func DocumentFields(e Entry, blob Blob) (record.Fields, error) {
	named := record.Fields{ID: e.Key, Aliases: []string{e.Name}}
	if e.Length > record.MaxDocument || e.Kind == record.Artifact || e.Kind == record.Policy {
		return named, nil
	}
	body := make([]byte, e.Length)
	if _, err := io.ReadFull(io.NewSectionReader(blob, 0, e.Length), body); err != nil {
		return named, fmt.Errorf("read document: %w", err)
	}
	d, err := record.ParseDocument(e.Name, e.Kind, body)
	if err != nil {
		return named, nil
	}
	return d.Fields, nil
}

// end demands that every line of every shard was named.
func (b *builder) end() error {
	_, ok, err := b.next()
	if err != nil {
		return err
	}
	if ok {
		return code.New(code.IndexBad, "a line that the index does not name").In(b.src.Paths[b.shard], fmt.Sprint("line ", b.built.Shards[b.shard].Records))
	}
	return nil
}
