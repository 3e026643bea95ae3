package verify

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"

	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/pack"
)

func TestHasControl(t *testing.T) {
	for n := range 40 {
		b := bytes.Repeat([]byte{0xff, 0x20, 'a', 0x80, 0x7f}, 9)[:n]
		if hasControl(b) {
			t.Errorf("%d clean bytes", n)
		}
		for i := range b {
			for c := range byte(0x20) {
				bad := bytes.Clone(b)
				if bad[i] = c; !hasControl(bad) {
					t.Fatalf("%d bytes: %#x at %d not seen", n, c, i)
				}
			}
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 5000 {
		b := make([]byte, r.IntN(30))
		want := false
		for i := range b {
			b[i] = byte(r.IntN(256-0x1c) + 0x1c)
			want = want || b[i] < 0x20
		}
		if hasControl(b) != want {
			t.Fatalf("%x: %v", b, !want)
		}
	}
}

// Frames of very many lines take the other way through the workers and give the same digests in the same order.
func TestShardOrder(t *testing.T) {
	for _, sizes := range [][]int{{1}, {3, 1, 2}, {shardDigests, shardDigests + 1, 5}, {100_000, 7, 100_000, 7}, {9, 9, 9, 9, 9, 9, 9, 9, 9}} {
		var shard []byte
		var want []digest.Digest
		for i, n := range sizes {
			var frame []byte
			for j := range n {
				line := []byte("{\"a\":" + strings.Repeat("1", 1+(i+j)%7) + "}")
				frame, want = append(append(frame, line...), '\n'), append(want, digest.Of(line))
			}
			shard = pack.EncodeFrame(shard, frame)
		}
		s := newShards()
		var got []digest.Digest
		n, err := s.read(bytes.NewReader(shard), func(line int64, d digest.Digest) {
			if line != int64(len(got)) {
				t.Fatalf("line %d comes as %d", len(got), line)
			}
			got = append(got, d)
		})
		if err != nil || n != int64(len(want)) || len(got) != len(want) {
			t.Fatalf("%v: %d lines, %v", sizes, n, err)
		}
		for i := range want {
			if got[i] != want[i] {
				t.Fatalf("%v: line %d differs", sizes, i)
			}
		}
		s.close()
	}
}

// An error gives all jobs back and names its line; the next shard is read as if nothing had been.
func TestShardErrorNamesLine(t *testing.T) {
	s := newShards()
	defer s.close()
	good := pack.EncodeFrame(nil, []byte("{}\n{}\n"))
	bad := pack.EncodeFrame(bytes.Clone(good), []byte("{}\nx\n"))
	bad = append(bad, bytes.Repeat(good, 9)...)
	for range 3 {
		_, err := s.read(bytes.NewReader(bad), func(int64, digest.Digest) {})
		if code.Of(err) != code.LineBad || !strings.Contains(err.Error(), "line 3") {
			t.Fatal(err)
		}
		if n, err := s.read(bytes.NewReader(bytes.Repeat(good, 9)), func(int64, digest.Digest) {}); n != 18 || err != nil || len(s.free) != shardJobs {
			t.Fatal(n, err, len(s.free))
		}
	}
}
