package layer

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"sallyport/internal/bundle"
	"sallyport/internal/code"
	"sallyport/internal/record"
)

// Delta is what one delta does to a feed: the records that Index names, whose bodies are in Source, are new or changed, those
// of Gone are removed. Both ascend by kind, key.
type Delta struct {
	Source
	Index iter.Seq2[bundle.IndexLine, error]
	Gone  iter.Seq2[Ref, error]
}

// Merge fills w with an overlay over old's base: what old's overlay and the delta, which comes after it, change together. A
// record that is as the base has it, and a removal of one the base does not have, are left out. Built says what went into the
// overlay: the shards that it points into, its live records and their bytes. Memory is O(changed). It neither seals nor
// aborts w, and does not know the state root that comes of it: see Sum.
func Merge(ctx context.Context, w *Writer, old *View, d Delta, progress func(items, bytes int64)) (Built, error) {
	kept, stopKept := iter.Pull2(entries(old.over))
	defer stopKept()
	gone, stopGone := iter.Pull2(d.Gone)
	defer stopGone()
	m := &merger{copier: newCopier(w), base: old.base, over: old.over, delta: d.Shards, gone: gone, kept: kept, hidden: map[Ref]bool{}}
	if old.over != nil {
		w.Inherit(old.over, func(r Ref) bool { return m.hidden[r] })
	}
	err := m.begin()
	var read Built
	if err == nil {
		read, err = build(ctx, m.upsert, d.Index, d.Source, progress)
	}
	if err == nil {
		err = m.until(nil)
	}
	if err != nil {
		return Built{}, fmt.Errorf("merge delta: %w", err)
	}
	for at, n := range m.numbers {
		if at.layer == nil {
			m.built.Shards[n] = read.Shards[at.shard]
		}
	}
	return m.built, nil
}

// Heavy tells that an overlay has outgrown its base: it has more than a third of its records, removals included. Records
// count, not bytes: what an overlay costs is one more look in its index.
func Heavy(base, over *Layer) bool { return Outgrows(base, over, 0) }

// Outgrows tells whether an overlay (nil: none) and so many changes more could together be heavy.
func Outgrows(base, over *Layer, changes int64) bool {
	var all int64
	for _, c := range base.meta.Counts {
		all += c
	}
	if over != nil {
		for _, c := range over.meta.Counts {
			changes += c
		}
		changes += over.meta.Gone
	}
	return 3*changes > all
}

// merger is one merge of an overlay and a delta.
type merger struct {
	*copier
	base, over *Layer
	delta      []Shard

	kept    func() (Entry, error, bool) // entries of the overlay before
	gone    func() (Ref, error, bool)
	entry   *Entry // the next of kept
	removed *Ref   // the next of gone
	hidden  map[Ref]bool
}

func (m *merger) begin() error { return errors.Join(m.nextKept(), m.nextGone()) }

func (m *merger) nextKept() error {
	e, err, ok := m.kept()
	if m.entry = nil; ok && err == nil {
		m.entry = &e
	}
	return err
}

func (m *merger) nextGone() error {
	last := m.removed
	r, err, ok := m.gone()
	if m.removed = nil; ok && err == nil {
		m.removed = &r
		if last != nil && !less(*last, r) {
			return code.New(code.IndexBad, "removals do not ascend").In("", fmt.Sprintf("%s %.200q", r.Kind, r.Key))
		}
	}
	return err
}

// upsert takes one record of the delta.
func (m *merger) upsert(e Entry, f record.Fields) error {
	ref := Ref{e.Kind, e.Key}
	if err := m.until(&ref); err != nil {
		return err
	}
	if m.removed != nil && *m.removed == ref {
		return code.New(code.IndexBad, "the delta both brings and removes a record").In("", fmt.Sprintf("%s %.200q", e.Kind, e.Key)).Want("one of the two", "both")
	}
	if err := m.supersede(ref); err != nil {
		return err
	}
	b, ok, err := m.base.Get(e.Kind, e.Key)
	if err != nil || ok && b.Digest == e.Digest {
		return err
	}
	return m.copy(e, m.delta, nil, f)
}

// supersede drops what the overlay before said about a record.
func (m *merger) supersede(ref Ref) error {
	if m.entry == nil || ref != (Ref{m.entry.Kind, m.entry.Key}) {
		return nil
	}
	m.hidden[ref] = true
	return m.nextKept()
}

// until writes what comes before a record of the delta: of the overlay before, and removals. Nil: all that is left.
func (m *merger) until(end *Ref) error {
	for {
		var ref Ref
		switch {
		case m.entry == nil && m.removed == nil:
			return nil
		case m.removed == nil || m.entry != nil && less(Ref{m.entry.Kind, m.entry.Key}, *m.removed):
			if ref = (Ref{m.entry.Kind, m.entry.Key}); end != nil && !less(ref, *end) {
				return nil
			}
			if err := errors.Join(m.copy(*m.entry, m.over.meta.Shards, m.over, record.Fields{}), m.nextKept()); err != nil {
				return err
			}
		default:
			if ref = *m.removed; end != nil && !less(ref, *end) {
				return nil
			}
			if err := errors.Join(m.remove(ref), m.nextGone()); err != nil {
				return err
			}
		}
	}
}

func (m *merger) remove(ref Ref) error {
	if err := m.supersede(ref); err != nil {
		return err
	}
	_, ok, err := m.base.Get(ref.Kind, ref.Key)
	if err != nil || !ok {
		return err
	}
	return m.copy(Entry{Kind: ref.Kind, Key: ref.Key, Deleted: true}, nil, nil, record.Fields{})
}

// entries walks a layer as a sequence; a nil one is empty.
func entries(l *Layer) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		if l == nil {
			return
		}
		err := l.All(func(e Entry) error {
			if !yield(e, nil) {
				return ErrStop
			}
			return nil
		})
		if err != nil {
			yield(Entry{}, err)
		}
	}
}
