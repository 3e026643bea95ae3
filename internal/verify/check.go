package verify

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"

	"sallyport/internal/bundle"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/pack"
)

// check is what must hold between the contents of one bundle: every line and document is named by the index exactly
// once, and the index gives the signed state roots.
//
// Lines arrive before the index that names them (or after: paths are opaque). Nothing is kept per line: for each feed and
// kind two running hashes take the same triples (content, line, digest), one while lines pass, one from the index, and
// are compared at the end. Both sides come in the same order, because lines ascend by key through the shards and the
// index ascends by key. Of a document the manifest already has the digest; one bit says that it was named.
type check struct {
	m       *bundle.Manifest
	name    string
	full    bool // state roots can be computed: a mirror that is no delta
	paths   map[string]int
	named   []bool
	lines   []int64 // of each shard that was read
	threads map[threadKey]*thread
	roots   []*bundle.RootBuilder // by feed; nil before its index came
	records int64
	shards  *shards

	anchor     []byte
	anchorPath string
}

// shardSlack is how far the frame that takes a shard to its limit may take it over.
const shardSlack = pack.FrameMax + 64<<10

type threadKey struct {
	feed int64
	kind string
}

// thread is all lines of one kind in one feed, seen from both sides.
type thread struct {
	lines, index   hash.Hash
	nLines, nIndex int64
	buf            [8 + 8 + 32]byte
}

func newThread() *thread { return &thread{lines: digest.NewHash(), index: digest.NewHash()} }

func (t *thread) add(h hash.Hash, pos int, line int64, d digest.Digest) {
	binary.BigEndian.PutUint64(t.buf[0:], uint64(pos))
	binary.BigEndian.PutUint64(t.buf[8:], uint64(line))
	copy(t.buf[16:], d[:])
	h.Write(t.buf[:])
}

// newCheck lays out what is to be compared, and refuses manifests whose entries cannot fit together.
func newCheck(m *bundle.Manifest, name string) (*check, error) {
	k := &check{
		m: m, name: name, full: m.Profile.Kind == "mirror" && m.Delta == nil, paths: map[string]int{}, named: make([]bool, len(m.Contents)),
		lines: make([]int64, len(m.Contents)), threads: map[threadKey]*thread{}, roots: make([]*bundle.RootBuilder, len(m.Feeds)),
	}
	indexes, anchors := make([]int, len(m.Feeds)), 0
	for i, c := range m.Contents {
		bad := func(msg string) error {
			return code.New(code.ManifestBad, "%s", msg).In(memberEnvelope, fmt.Sprintf("contents[%d] %q", i, c.Path))
		}
		if c.Feed != nil && (*c.Feed < 0 || *c.Feed >= int64(len(m.Feeds))) {
			return nil, bad("it names a feed the manifest does not have")
		}
		switch c.Role {
		case bundle.RoleShard, bundle.RoleDocument, bundle.RoleTombstones:
			if c.Feed == nil || c.Kind == "" {
				return nil, bad("a " + c.Role + " without feed or kind")
			}
			if c.Role == bundle.RoleShard && c.Bytes > pack.ShardMax+shardSlack {
				return nil, bad("a shard over the limit")
			}
			if c.Role == bundle.RoleTombstones && m.Delta == nil {
				return nil, bad("tombstones in a full bundle")
			}
			if c.Role != bundle.RoleTombstones {
				k.paths[c.Path] = i
			}
		case bundle.RoleIndex:
			if c.Feed == nil {
				return nil, bad("an index without a feed")
			}
			if indexes[*c.Feed]++; indexes[*c.Feed] > 1 {
				return nil, bad("a second index for one feed")
			}
		case bundle.RoleAnchor:
			if anchors++; anchors > 1 || c.Digest != m.Anchor {
				return nil, bad("an anchor the manifest does not name")
			}
		}
	}
	if !m.Anchor.IsZero() && anchors == 0 {
		return nil, code.New(code.ManifestBad, "the anchor it names is not among the contents").In(memberEnvelope, "anchor")
	}
	for f, n := range indexes {
		if k.full && n == 0 {
			return nil, code.New(code.ManifestBad, "a feed without an index").In(memberEnvelope, fmt.Sprintf("feeds[%d]", f))
		}
	}
	k.shards = newShards()
	return k, nil
}

// content looks into content i while its bytes pass; what it leaves unread the caller reads.
func (k *check) content(i int, c bundle.Content, r io.Reader) error {
	switch c.Role {
	case bundle.RoleShard:
		return k.shard(i, c, r)
	case bundle.RoleIndex:
		return k.index(i, c, r)
	case bundle.RoleTombstones:
		return k.tombstones(c, r)
	case bundle.RoleAnchor:
		if c.Bytes > smallMax {
			return code.New(code.AnchorBad, "the time anchor is over the limit").Want(fmt.Sprint("at most ", smallMax, " bytes"), c.Bytes)
		}
		b, err := io.ReadAll(r)
		k.anchor, k.anchorPath = b, c.Path
		return err
	}
	return nil
}

func (k *check) thread(feed int64, kind string) *thread {
	t := k.threads[threadKey{feed, kind}]
	if t == nil {
		t = newThread()
		k.threads[threadKey{feed, kind}] = t
	}
	return t
}

// shard reads a shard to its end: frames, lines, their digests, and their number.
func (k *check) shard(i int, c bundle.Content, r io.Reader) error {
	t := k.thread(*c.Feed, c.Kind)
	n, err := k.shards.read(r, func(line int64, d digest.Digest) { t.add(t.lines, i, line, d) })
	if err != nil {
		return err
	}
	k.lines[i] = n
	t.nLines += n
	return counted(c, n)
}

func counted(c bundle.Content, n int64) error {
	if c.Records != nil && *c.Records != n {
		return code.New(code.LineBad, "another number of lines than was signed").In(c.Path, "records").Want(*c.Records, n)
	}
	return nil
}

// index reads the index of one feed: ascending entries, each naming a line or document of this feed and kind.
func (k *check) index(i int, c bundle.Content, r io.Reader) error {
	b := &bundle.RootBuilder{}
	k.roots[*c.Feed] = b
	var n int64
	var parser bundle.LineParser
	err := eachLine(r, func(line []byte) error {
		l, err := parser.Index(line)
		if err == nil {
			err = k.indexLine(*c.Feed, b, l)
		}
		if err != nil {
			return at(err, n)
		}
		n++
		return nil
	})
	if err != nil {
		return err
	}
	k.records += n
	return counted(c, n)
}

func (k *check) indexLine(feed int64, b *bundle.RootBuilder, l bundle.IndexLine) error {
	pos, ok := k.paths[l.Path]
	if !ok {
		return code.New(code.IndexBad, "it names a path that holds no records").Want("a shard or document", fmt.Sprintf("%q", l.Path))
	}
	c := k.m.Contents[pos]
	if *c.Feed != feed || c.Kind != l.Kind {
		return code.New(code.IndexBad, "feed or kind differ from the entry's").Want(fmt.Sprintf("feed %d, %s", *c.Feed, c.Kind), fmt.Sprintf("feed %d, %q", feed, l.Kind))
	}
	if err := b.Add(l.Kind, l.Key, l.Digest); err != nil {
		return err
	}
	if c.Role == bundle.RoleShard {
		if l.Line == nil {
			return code.New(code.IndexBad, "a shard is named without a line").In(l.Path, "")
		}
		t := k.thread(feed, l.Kind)
		t.add(t.index, pos, *l.Line, l.Digest)
		t.nIndex++
		return nil
	}
	switch {
	case l.Line != nil:
		return code.New(code.IndexBad, "a document is named with a line")
	case k.named[pos]:
		return code.New(code.IndexBad, "a document is named twice")
	case l.Digest != c.Digest:
		return code.New(code.IndexBad, "a document has another digest than in the manifest").Want(c.Digest, l.Digest)
	}
	k.named[pos] = true
	return nil
}

// tombstones reads what a delta removes: ascending keys, each once.
func (k *check) tombstones(c bundle.Content, r io.Reader) error {
	var n int64
	last := ""
	err := eachLine(r, func(line []byte) error {
		t, err := bundle.ParseTombstone(line)
		switch {
		case err != nil:
			return at(err, n)
		case n > 0 && t.Key <= last:
			return at(code.New(code.LineBad, "keys do not ascend").Want(fmt.Sprintf("a key after %.80q", last), fmt.Sprintf("%.80q", t.Key)), n)
		}
		last = t.Key
		n++
		return nil
	})
	if err != nil {
		return err
	}
	return counted(c, n)
}

// finish compares both sides.
func (k *check) finish() error {
	for i, c := range k.m.Contents {
		if c.Role == bundle.RoleDocument && !k.named[i] {
			return code.New(code.IndexBad, "a document the index does not name").In(c.Path, "")
		}
	}
	for key, t := range k.threads {
		place := fmt.Sprintf("feed %s, kind %s", k.m.Feeds[key.feed].Feed, key.kind)
		if t.nLines != t.nIndex {
			return code.New(code.IndexBad, "the index does not name every line exactly once").In(k.name, place).Want(t.nLines, t.nIndex)
		}
		if want, got := digest.Sum(t.lines), digest.Sum(t.index); want != got {
			return code.New(code.IndexBad, "the index names other lines than the shards hold").In(k.name, place).Want(want, got)
		}
	}
	if !k.full {
		return nil
	}
	for i, f := range k.m.Feeds {
		b := k.roots[i]
		if b.Count() != f.Records {
			return code.New(code.StateRootBad, "another number of records than was signed").In(k.name, "feed "+f.Feed).Want(f.Records, b.Count())
		}
		if b.Root() != f.StateRoot {
			return code.New(code.StateRootBad, "").In(k.name, "feed "+f.Feed).Want(f.StateRoot, b.Root())
		}
	}
	return nil
}

func (k *check) close() { k.shards.close() }

// eachLine inflates a file of lines and calls fn with each, without its LF. The buffer is reused.
func eachLine(r io.Reader, fn func(line []byte) error) error {
	br := bufio.NewReader(r)
	if _, err := br.Peek(1); errors.Is(err, io.EOF) {
		return nil // a file without lines has no frames
	}
	z := pack.NewReader(br)
	defer z.Close()
	lr := bufio.NewReaderSize(z, 256<<10)
	var long []byte
	for n := int64(0); ; n++ {
		line, err := lr.ReadSlice('\n')
		for errors.Is(err, bufio.ErrBufferFull) && len(long) <= pack.LineMax {
			long = append(long, line...)
			line, err = lr.ReadSlice('\n')
		}
		switch {
		case errors.Is(err, io.EOF) && len(long)+len(line) == 0:
			return nil
		case errors.Is(err, io.EOF):
			return at(code.New(code.LineBad, "the last line does not end"), n)
		case err != nil && !errors.Is(err, bufio.ErrBufferFull):
			return err
		}
		if len(long) > 0 {
			line = append(long, line...)
			long = line[:0]
		}
		if len(line) > pack.LineMax {
			return at(code.New(code.LineLimit, "").Want(pack.LineMax, "more"), n)
		}
		if err := fn(bytes.TrimSuffix(line, []byte("\n"))); err != nil {
			return err
		}
	}
}

// at says in which line of a file an error happened; lines count from 0, as in the index.
func at(err error, line int64) error {
	var e *code.Error
	if !errors.As(err, &e) {
		return fmt.Errorf("line %d: %w", line, err)
	}
	if e.Place == "" {
		e.Place = fmt.Sprint("line ", line)
	} else {
		e.Place = fmt.Sprintf("line %d, %s", line, e.Place)
	}
	return err
}
