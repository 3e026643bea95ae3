package layer

import (
	"fmt"
	"iter"
)

// Difference counts what one view has and another has not.
type Difference struct {
	Added, Changed, Removed int64
}

// Compare counts what leads from one view to another, by keys and digests. Two views over the same base cost what their
// overlays have, others a walk through both. Memory does not grow with the feeds.
func Compare(from, to *View) (Difference, error) { return CompareEach(from, to, nil) }

// CompareEach is Compare that also shows each difference, ascending by kind and key: of an added record from is nil, of a
// removed one to is. each may be nil, and keeps neither entry.
func CompareEach(from, to *View, each func(from, to *Entry)) (Difference, error) {
	d := &differ{each: each}
	var err error
	if from.base == to.base || from.base.path == to.base.path {
		err = d.overlays(from, to)
	} else {
		err = d.all(from, to)
	}
	if err != nil {
		return Difference{}, fmt.Errorf("compare generations: %w", err)
	}
	return d.Difference, nil
}

// differ is one comparison under way.
type differ struct {
	Difference
	each func(from, to *Entry)
}

func (d *differ) count(from, to *Entry) {
	switch {
	case from == nil && to == nil:
		return
	case from == nil:
		d.Added++
	case to == nil:
		d.Removed++
	case from.Digest != to.Digest:
		d.Changed++
	default:
		return
	}
	if d.each != nil {
		d.each(from, to)
	}
}

// overlays looks up in both views what either overlay has a word on.
func (d *differ) overlays(from, to *View) error {
	return pairs(entries(from.over), entries(to.over), func(x, y *Entry) error {
		at := x
		if at == nil {
			at = y
		}
		a, okA, err := from.Get(at.Kind, at.Key)
		if err != nil {
			return err
		}
		b, okB, err := to.Get(at.Kind, at.Key)
		if err != nil {
			return err
		}
		x, y = nil, nil
		if okA {
			x = &a.Entry
		}
		if okB {
			y = &b.Entry
		}
		d.count(x, y)
		return nil
	})
}

func (d *differ) all(from, to *View) error {
	return pairs(from.live(), to.live(), func(x, y *Entry) error {
		d.count(x, y)
		return nil
	})
}

// live walks the records of a view as a sequence.
func (v *View) live() iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		err := v.All(func(it Item) error {
			if !yield(it.Entry, nil) {
				return ErrStop
			}
			return nil
		})
		if err != nil {
			yield(Entry{}, err)
		}
	}
}

// pairs walks two ascending sequences side by side; fn gets those of equal kind and key together, others alone.
func pairs(as, bs iter.Seq2[Entry, error], fn func(a, b *Entry) error) error {
	nextA, stopA := iter.Pull2(as)
	defer stopA()
	nextB, stopB := iter.Pull2(bs)
	defer stopB()
	a, errA, okA := nextA()
	b, errB, okB := nextB()
	for okA || okB {
		if errA != nil {
			return errA
		}
		if errB != nil {
			return errB
		}
		x, y := &a, &b
		switch c := compareRefs(Ref{a.Kind, a.Key}, Ref{b.Kind, b.Key}); {
		case !okB || okA && c < 0:
			y = nil
		case !okA || c > 0:
			x = nil
		}
		if err := fn(x, y); err != nil {
			return err
		}
		if x != nil {
			a, errA, okA = nextA()
		}
		if y != nil {
			b, errB, okB = nextB()
		}
	}
	return nil
}
