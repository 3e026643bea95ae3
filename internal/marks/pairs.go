package marks

import (
	"bytes"
	"cmp"
	"slices"
)

// Accept notes a pair. Slices of a Set are shared between copies, so they are never written in place.
func (s *Set) Accept(key string, p Pair) {
	if slices.Contains(s.Accepted[key], p) {
		return
	}
	if s.Accepted == nil {
		s.Accepted = map[string][]Pair{}
	}
	list := append(slices.Clone(s.Accepted[key]), p)
	slices.SortFunc(list, comparePairs)
	s.Accepted[key] = list[max(0, len(list)-MaxPairs):]
}

func comparePairs(a, b Pair) int {
	return cmp.Or(cmp.Compare(a.Epoch, b.Epoch), cmp.Compare(a.Generation, b.Generation), bytes.Compare(a.Bundle[:], b.Bundle[:]))
}

// mergePairs keeps the newest of both.
func mergePairs(merged *Set, next Set) (rose bool) {
	for key, list := range next.Accepted {
		for _, p := range list {
			before := merged.Accepted[key]
			merged.Accept(key, p)
			rose = rose || !slices.Equal(before, merged.Accepted[key])
		}
	}
	return rose
}

// Accepted tells whether exactly this was accepted here before and is among the last that were: after a restore it may come
// in again although it lies below the mark.
func (m *Marks) Accepted(key string, p Pair) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Contains(m.set.Accepted[key], p)
}
