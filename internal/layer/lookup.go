package layer

import (
	"bytes"
	"slices"
	"strings"

	"go.etcd.io/bbolt"
)

// maxRefs is the most records one lookup gives: the noisiest package of all has some ten thousand.
const maxRefs = 100_000

// Alias finds the records that carry an alias, in any case, ascending by kind, key.
func (l *Layer) Alias(alias string) (refs []Ref, err error) {
	if !indexable(alias, maxAlias) {
		return nil, nil
	}
	prefix := append([]byte(strings.ToLower(alias)), 0)
	err = l.view(func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte(aliasBucket))
		if b == nil {
			return nil
		}
		refs = collect(b.Cursor(), prefix, 1, refs)
		return nil
	})
	return refs, err
}

// Package finds the records about a package behind after, at most limit (0: all), ascending by kind, key. The ecosystem
// "Debian" finds "Debian:12" too; "" finds every ecosystem.
func (l *Layer) Package(ecosystem, name string, after Ref, limit int) (refs []Ref, err error) {
	if !indexable(name, maxName) {
		return nil, nil
	}
	err = l.view(func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte(packageBucket))
		if b == nil {
			return nil
		}
		c := b.Cursor()
		for eco, ok := nextEcosystem(c, []byte(ecosystem)); ok; eco, ok = nextEcosystem(c, append([]byte(eco), 1)) {
			if !matches(eco, ecosystem) {
				if !strings.HasPrefix(eco, ecosystem) {
					return nil
				}
				continue
			}
			refs = collect(c, []byte(eco+"\x00"+name+"\x00"), 2, refs)
		}
		return nil
	})
	return cutRefs(refs, after, limit), err
}

func matches(eco, want string) bool {
	return want == "" || eco == want || strings.HasPrefix(eco, want+":")
}

// nextEcosystem is the first ecosystem at or after from; the ecosystem itself begins with from's bytes or sorts behind.
func nextEcosystem(c *bbolt.Cursor, from []byte) (string, bool) {
	k, _ := c.Seek(from)
	eco, _, ok := bytes.Cut(k, []byte{0})
	return string(eco), k != nil && ok
}

func collect(c *bbolt.Cursor, prefix []byte, parts int, refs []Ref) []Ref {
	for k, _ := c.Seek(prefix); bytes.HasPrefix(k, prefix) && len(refs) < maxRefs; k, _ = c.Next() {
		if ref, ok := refOf(k, parts); ok {
			refs = append(refs, ref)
		}
	}
	return refs
}

// cutRefs sorts, drops repetitions and what is not behind after, and keeps limit.
func cutRefs(refs []Ref, after Ref, limit int) []Ref {
	slices.SortFunc(refs, compareRefs)
	refs = slices.Compact(refs)
	if after != (Ref{}) {
		i, found := slices.BinarySearchFunc(refs, after, compareRefs)
		if found {
			i++
		}
		refs = refs[i:]
	}
	if limit > 0 && len(refs) > limit {
		refs = refs[:limit]
	}
	return refs
}

func compareRefs(a, b Ref) int {
	if c := strings.Compare(a.Kind, b.Kind); c != 0 {
		return c
	}
	return strings.Compare(a.Key, b.Key)
}
