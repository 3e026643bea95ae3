package load

import (
	"context"
	"crypto/sha256"
	"fmt"
	"iter"

	"sallyport/internal/bundle"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/layer"
	"sallyport/internal/pack"
	"sallyport/internal/record"
)

// outcome is one live or removed record of the new generation: what the feed had, what was offered, what it becomes.
type outcome struct {
	kind, key string
	old       *layer.Item // nil: added
	last      bool        // old is the last line of its frame
	fresh     *candidate  // nil: kept or removed
	same      *candidate  // what was offered, when it is what the feed has
	removed   bool
}

// changed tells that the body comes from this load.
func (o *outcome) changed() bool { return o.fresh != nil }

func (o *outcome) digest() digest.Digest {
	if o.fresh != nil {
		return o.fresh.digest
	}
	return o.old.Digest
}

func (o *outcome) length() int64 {
	if o.fresh != nil {
		return o.fresh.length
	}
	return o.old.Length
}

// summary is what the first merge finds out.
type summary struct {
	root    digest.Digest
	records int64
	bytes   int64 // of all bodies, lines with their LF
	live    map[string]int64
	cut     map[string]uint // n of 20 "Bodies", per kind of lines
	dropped map[[16]byte]struct{}
	changes map[string]*Counts
}

// merge walks the feed's records and the candidates together, ascending by kind, key.
func (op *operation) merge(ctx context.Context, rejects bool, fn func(*outcome) error) error {
	fresh, stopFresh := iter.Pull2(op.winners(rejects))
	defer stopFresh()
	olds := &olds{view: op.view}
	old, last, err := olds.next()
	if err != nil {
		return err
	}
	c, cerr, ok := fresh()
	for n := 0; ok || old != nil; n++ {
		if cerr != nil {
			return cerr
		}
		if n%1024 == 0 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		o := outcome{}
		switch order(old, c, ok) {
		case -1:
			o = outcome{kind: old.Kind, key: old.Key, old: old, last: last, removed: op.gone(old)}
		case 0:
			if o = (outcome{kind: old.Kind, key: old.Key, old: old, last: last}); c.digest != old.Digest {
				o.fresh = &c
			} else {
				o.same = &c
			}
		case 1:
			o = outcome{kind: c.kind, key: c.key, fresh: &c}
			if c.known {
				return code.New(code.StoreCorrupt, "%s %q was in the feed and is not any more", c.kind, c.key)
			}
		}
		if err := fn(&o); err != nil {
			return err
		}
		takeFresh := o.old == nil || (ok && c.kind == o.kind && c.key == o.key)
		if o.old != nil {
			if old, last, err = olds.next(); err != nil {
				return err
			}
		}
		if takeFresh {
			c, cerr, ok = fresh()
		}
	}
	return nil
}

// order compares the heads: -1 the feed's comes first, 1 the candidate's, 0 the same record.
func order(old *layer.Item, c candidate, ok bool) int {
	switch {
	case old == nil:
		return 1
	case !ok:
		return -1
	case old.Kind == c.kind && old.Key == c.key:
		return 0
	case old.Kind < c.kind || old.Kind == c.kind && old.Key < c.key:
		return -1
	}
	return 1
}

// gone tells whether a record that is in none of the files is removed: in a snapshot of its kind, unless its own document was
// rejected, which says nothing about the record.
func (op *operation) gone(old *layer.Item) bool {
	return op.in.snapshot[old.Kind] && !op.in.saved[old.Key]
}

// winners visits the candidates ascending by kind, key, one each: of several with the same key the one modified last, then
// the one that came last. The first merge lists the others as rejects when they differ.
func (op *operation) winners(rejects bool) iter.Seq2[candidate, error] {
	return func(yield func(candidate, error) bool) {
		var best candidate
		for b, err := range op.in.runs.All() {
			var c candidate
			if err == nil {
				c, err = decodeCandidate(b)
			}
			if err != nil {
				yield(candidate{}, err)
				return
			}
			if best.seq == 0 || best.kind != c.kind || best.key != c.key {
				if best.seq != 0 && !yield(best, nil) {
					return
				}
				best = c
				continue
			}
			loser := best
			if c.modified < best.modified {
				loser = c
			} else {
				best = c
			}
			if rejects && loser.digest != best.digest {
				why := code.New(code.Conflict, "another document with the key %q is newer", loser.key)
				if err := op.in.reject(loser.file, loser.member, why); err != nil {
					yield(candidate{}, err)
					return
				}
			}
		}
		if best.seq != 0 {
			yield(best, nil)
		}
	}
}

// olds pulls the feed's live records ascending by kind, key, and knows which is the last line of its frame.
type olds struct {
	view  *layer.View
	kinds []string
	cur   *layer.Cursor
	ahead *layer.Item
	begun bool
}

func (o *olds) next() (it *layer.Item, last bool, err error) {
	if o.view == nil {
		return nil, false, nil
	}
	if !o.begun {
		o.begun, o.kinds = true, o.view.Kinds()
		if o.ahead, err = o.pull(); err != nil {
			return nil, false, err
		}
	}
	if it = o.ahead; it == nil {
		return nil, false, nil
	}
	if o.ahead, err = o.pull(); err != nil {
		return nil, false, err
	}
	n := o.ahead
	return it, n == nil || n.Kind != it.Kind || n.Entry.Shard != it.Entry.Shard || n.Frame != it.Frame, nil
}

func (o *olds) pull() (*layer.Item, error) {
	for {
		if o.cur == nil {
			if len(o.kinds) == 0 {
				return nil, nil
			}
			o.cur, o.kinds = o.view.Cursor(o.kinds[0], ""), o.kinds[1:]
		}
		it, ok, err := o.cur.Next()
		if err != nil {
			return nil, err
		}
		if ok {
			return &it, nil
		}
		o.cur = nil
	}
}

// compare is the first merge: what changes, the new state root, and where frames will be cut. The feed's own root is computed
// beside it: a layer that does not give the root of its generation is damaged, and nothing is built on it.
func (op *operation) compare(ctx context.Context) error {
	s := &op.sum
	s.live, s.cut, s.changes = map[string]int64{}, map[string]uint{}, map[string]*Counts{}
	s.dropped = map[[16]byte]struct{}{}
	var before, after bundle.RootBuilder
	bytes := map[string]int64{}
	var n int64
	err := op.merge(ctx, true, func(o *outcome) error {
		if n++; n%4096 == 0 {
			op.progress(Progress{Stage: "compare", Items: n})
		}
		if o.old != nil {
			if err := before.Add(o.kind, o.key, o.old.Digest); err != nil {
				return err
			}
		}
		s.count(o)
		if o.removed {
			return nil
		}
		s.live[o.kind]++
		bytes[o.kind] += o.length()
		return after.Add(o.kind, o.key, o.digest())
	})
	if err != nil {
		return fmt.Errorf("compare: %w", err)
	}
	if op.view != nil && before.Root() != op.from.Root {
		return code.New(code.StoreCorrupt, "the layer of generation %d", op.from.Generation).Want(op.from.Root, before.Root())
	}
	s.root, s.records = after.Root(), after.Count()
	for kind, lines := range s.live {
		if record.IsLine(kind) {
			bytes[kind] += lines
			s.cut[kind] = pack.CutBits(bytes[kind], lines)
		}
		s.bytes += bytes[kind]
	}
	op.tell()
	if op.req.Strict {
		return op.judge()
	}
	return nil
}

func (s *summary) count(o *outcome) {
	c := s.changes[o.kind]
	if c == nil {
		c = &Counts{}
		s.changes[o.kind] = c
	}
	switch {
	case o.removed:
		c.Removed++
	case o.old == nil:
		c.Added++
	case o.changed():
		c.Changed++
	default:
		c.Unchanged++
		return
	}
	if o.old != nil {
		s.dropped[refDigest(o.kind, o.key)] = struct{}{}
	}
}

// refDigest stands for a record in the set of those whose lookups are not inherited: 16 bytes each.
func refDigest(kind, key string) [16]byte {
	sum := sha256.Sum256([]byte(kind + "\x00" + key))
	return [16]byte(sum[:16])
}

// tell fills the counts into the result.
func (op *operation) tell() {
	r := &op.res
	r.Kinds, r.Counts = map[string]Counts{}, Counts{Rejected: op.in.rejected}
	r.Rejects = op.in.rejects
	for kind, c := range op.sum.changes {
		r.Kinds[kind] = *c
		r.Counts.Added += c.Added
		r.Counts.Changed += c.Changed
		r.Counts.Removed += c.Removed
		r.Counts.Unchanged += c.Unchanged
	}
	r.Records, r.StateRoot = op.sum.records, op.sum.root.String()
}
