package timeline

import (
	"testing"

	"sallyport/internal/durable"
	"sallyport/internal/state"
)

// Reading back visits every entry once, newest first, across chunks, and stops where it is told.
func TestReadBack(t *testing.T) {
	db, _ := openState(t, durable.FS{})
	l := newLog()
	const n = 2*backChunk + 7
	update(t, db, func(tx *state.Tx) error {
		for i := range n {
			if _, err := l.Append(tx, event(i)); err != nil {
				return err
			}
		}
		return nil
	})
	for _, c := range []struct {
		before uint64
		first  int
		stop   int
		want   int
	}{{^uint64(0), n - 1, 0, n}, {5, 4, 0, 5}, {0, 0, 0, 0}, {backChunk + 1, backChunk, 3, 3}} {
		var got []uint64
		err := db.View(func(tx *state.Tx) error {
			return l.ReadBack(tx, c.before, func(e Entry) error {
				got = append(got, e.Seq)
				if len(got) == c.stop {
					return state.ErrStop
				}
				return nil
			})
		})
		if err != nil || len(got) != c.want {
			t.Fatalf("before %d: %d entries, %v; want %d", c.before, len(got), err, c.want)
		}
		for i, seq := range got {
			if want := uint64(c.first - i); seq != want {
				t.Fatalf("before %d: entry %d is %d, want %d", c.before, i, seq, want)
			}
		}
	}
}
