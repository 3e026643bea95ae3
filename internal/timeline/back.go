package timeline

import (
	"errors"

	"sallyport/internal/state"
)

// Next is the seq that the next entry gets: how many entries there are, over all logs.
func (l *Log) Next(tx *state.Tx) (uint64, error) {
	in, err := l.current(tx)
	return in.Start + uint64(in.Size), err
}

// backChunk is how many entries ReadBack reads at a time.
const backChunk = 256

// ReadBack visits the entries before a seq (exclusive), newest first. fn may return state.ErrStop.
func (l *Log) ReadBack(tx *state.Tx, before uint64, fn func(Entry) error) error {
	next, err := l.Next(tx)
	if err != nil {
		return err
	}
	for before = min(before, next); before > 0; {
		from := before - min(before, backChunk)
		part := make([]Entry, 0, before-from)
		err := l.Read(tx, from, int(before-from), func(e Entry) error {
			part = append(part, e)
			return nil
		})
		if err != nil {
			return err
		}
		for i := len(part) - 1; i >= 0; i-- {
			if err := fn(part[i]); errors.Is(err, state.ErrStop) {
				return nil
			} else if err != nil {
				return err
			}
		}
		before = from
	}
	return nil
}
