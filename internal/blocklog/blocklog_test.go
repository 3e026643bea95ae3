package blocklog

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// memory is a disk to write images to.
type memory []byte

func (m memory) WriteAt(p []byte, off int64) (int, error) { return copy(m[off:], p), nil }

func sectors(n int, b byte) []byte { return bytes.Repeat([]byte{b}, n*Sector) }

// sample is a log of two flushed writes and two open ones.
func sample() Log {
	return Log{
		{Offset: 0, Data: sectors(2, 'a')},
		{Flush: true},
		{Offset: 2 * Sector, Data: sectors(2, 'b')},
		{Flush: true},
		{Offset: 0, Data: sectors(4, 'c')},
		{Offset: 6 * Sector, Data: sectors(2, 'd')},
	}
}

func TestLogIsKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	var b bytes.Buffer
	if err := sample().Write(&b); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := ReadLog(path)
	if err != nil || len(l) != 6 || l.Flushes() != 2 || !bytes.Equal(l[4].Data, sample()[4].Data) || l[5].Offset != 6*Sector {
		t.Errorf("%v %v", l, err)
	}
	if err := os.WriteFile(path, b.Bytes()[:b.Len()-1], 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadLog(path); err == nil {
		t.Error("a cut log was read")
	}
}

// What was flushed is always there; what was not is there wholly, in part or not at all, by whole sectors.
func TestImages(t *testing.T) {
	part := map[Variant]map[byte]bool{}
	for _, v := range Variants() {
		part[v] = map[byte]bool{}
		for seed := range uint64(40) {
			p, m := NewPlayer(make([]byte, 8*Sector), sample()), memory(make([]byte, 8*Sector))
			if _, _, err := p.Image(Point{At: 4, Variant: v, Seed: seed}, m); err != nil || !bytes.Equal(m[:4*Sector], append(sectors(2, 'a'), sectors(2, 'b')...)) {
				t.Fatalf("%s: what was flushed is not there: %v", v, err)
			}
			open, dropped, err := p.Image(Point{At: 6, Variant: v, Seed: seed}, m)
			if err != nil || open != 2 || v == Prefix && dropped != 0 {
				t.Fatalf("%s: %d open, %d dropped: %v", v, open, dropped, err)
			}
			seen := byte(0)
			for i := range 4 {
				s := m[i*Sector : (i+1)*Sector]
				if bytes.Count(s, s[:1]) != Sector {
					t.Fatalf("%s: a sector in two parts", v)
				}
				if s[0] == 'c' {
					seen++
				}
			}
			part[v][seen] = true
		}
	}
	if len(part[Prefix]) != 1 || len(part[Half]) != 2 || len(part[Torn]) < 4 {
		t.Errorf("sectors of an open write that came: %v", part)
	}
	if _, _, err := NewPlayer(make([]byte, 8*Sector), sample()).Image(Point{At: 7}, memory(make([]byte, 8*Sector))); err == nil {
		t.Error("a point beyond the log")
	}
}

func TestSpread(t *testing.T) {
	last, variants := 0, map[Variant]int{}
	for _, p := range sample().Spread(1, 6, 30, 5) {
		if p.At < last || sample()[p.At-1].Flush || p.At < 2 || p.At > 6 {
			t.Errorf("%v after %d", p, last)
		}
		last = p.At
		variants[p.Variant]++
	}
	if last != 6 || variants[Prefix] != 10 || variants[Half] != 10 || variants[Torn] != 10 {
		t.Errorf("ends at %d, %v", last, variants)
	}
	if points := (Log{{Flush: true}}).Spread(0, 1, 5, 1); points != nil {
		t.Errorf("nothing to lose, and %v", points)
	}
}
