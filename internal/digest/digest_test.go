package digest

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"
)

// head is RFC 6962 section 2.1 as written there: recursive, split at the largest power of two below n.
func head(leaves []string) Digest {
	switch len(leaves) {
	case 0:
		return sha256.Sum256(nil)
	case 1:
		return sha256.Sum256([]byte("\x00" + leaves[0]))
	}
	k := 1
	for k*2 < len(leaves) {
		k *= 2
	}
	l, r := head(leaves[:k]), head(leaves[k:])
	return sha256.Sum256([]byte("\x01" + string(l[:]) + string(r[:])))
}

func TestTreeIsRFC6962(t *testing.T) {
	var tree Tree
	var leaves []string
	for i := range 300 {
		if got, want := tree.Root(), head(leaves); got != want {
			t.Fatalf("%d leaves: root %v, want %v", i, got, want)
		}
		if len(tree.stack) != tree.Depth() {
			t.Fatalf("%d leaves: %d hashes kept", i, len(tree.stack))
		}
		leaves = append(leaves, fmt.Sprint("leaf ", i))
		tree.Add([]byte(leaves[i]))
	}
}

func TestParse(t *testing.T) {
	d := Of([]byte("x"))
	if got, err := Parse(d.String()); err != nil || got != d {
		t.Fatalf("round trip: %v %v", got, err)
	}
	for _, bad := range []string{"", d.Hex(), "md5:" + d.Hex(), strings.ToUpper(d.String()), "sha256:" + strings.ToUpper(d.Hex()), d.String()[:70], d.String() + "0", "sha256:" + strings.Repeat("g", 64)} {
		if _, err := Parse(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
	if _, err := (Digest{}).MarshalText(); err == nil {
		t.Error("the zero digest has a text form")
	}
}
