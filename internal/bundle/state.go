package bundle

import (
	"encoding/binary"

	"sallyport/internal/code"
	"sallyport/internal/digest"
)

// Entry appends the entry of a state root: u8(len kind) ‖ kind ‖ u16be(len key) ‖ key ‖ digest. kind and key must have been checked.
func Entry(dst []byte, kind, key string, d digest.Digest) []byte {
	dst = append(append(dst, byte(len(kind))), kind...)
	dst = append(binary.BigEndian.AppendUint16(dst, uint16(len(key))), key...)
	return append(dst, d[:]...)
}

// RootBuilder computes a state root while live records stream by, ascending by kind, then key. Memory is O(log n). The zero value is
// the empty feed; not for concurrent use.
type RootBuilder struct {
	tree      digest.Tree
	kind, key string
	n         int64
	buf       []byte
}

// Add appends one live record. A record out of order or twice is code index, a bad kind or key code line; nothing is added then.
func (b *RootBuilder) Add(kind, key string, d digest.Digest) error {
	if err := checkKind(kind); err != nil {
		return err
	}
	if err := CheckKey(key); err != nil {
		return err
	}
	if b.n > 0 && (kind < b.kind || kind == b.kind && key <= b.key) {
		return code.New(code.IndexBad, "records out of order, or one twice").Want("after "+b.kind+" "+b.key, kind+" "+key)
	}
	b.buf = Entry(b.buf[:0], kind, key, d)
	b.tree.Add(b.buf)
	b.kind, b.key, b.n = kind, key, b.n+1
	return nil
}

// Root is the state root of what was added so far.
func (b *RootBuilder) Root() digest.Digest { return b.tree.Root() }

// Count is the number of records added.
func (b *RootBuilder) Count() int64 { return b.n }
