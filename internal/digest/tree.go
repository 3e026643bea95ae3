package digest

import (
	"crypto/sha256"
	"math/bits"
)

// Tree computes an RFC 6962 tree head while leaves stream by: leaf hash SHA-256(0x00 ‖ entry), node hash
// SHA-256(0x01 ‖ left ‖ right), the empty tree SHA-256 of nothing. The zero value is the empty tree.
type Tree struct {
	stack []Digest // one perfect subtree per set bit of n, largest first
	n     uint64
	buf   []byte
}

// Add appends one leaf. The entry is not kept.
func (t *Tree) Add(entry []byte) {
	t.buf = append(append(t.buf[:0], 0), entry...)
	d := Digest(sha256.Sum256(t.buf))
	for i := t.n; i&1 == 1; i >>= 1 {
		d = node(t.stack[len(t.stack)-1], d)
		t.stack = t.stack[:len(t.stack)-1]
	}
	t.stack = append(t.stack, d)
	t.n++
}

// Size is the number of leaves.
func (t *Tree) Size() uint64 { return t.n }

// Root is the tree head over everything added so far; more can be added afterwards.
func (t *Tree) Root() Digest {
	if t.n == 0 {
		return Of(nil)
	}
	d := t.stack[len(t.stack)-1]
	for i := len(t.stack) - 2; i >= 0; i-- {
		d = node(t.stack[i], d)
	}
	return d
}

// Depth is the number of hashes kept, for the test that memory stays O(log n).
func (t *Tree) Depth() int { return bits.OnesCount64(t.n) }

func node(l, r Digest) Digest {
	var b [65]byte
	b[0] = 1
	copy(b[1:], l[:])
	copy(b[33:], r[:])
	return sha256.Sum256(b[:])
}
