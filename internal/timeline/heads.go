package timeline

import (
	"sallyport/internal/bundle"
	"sallyport/internal/code"
	"sallyport/internal/state"
)

// Place is where a head that somebody else saw belongs.
type Place string

// The places.
const (
	Ours    Place = "ours"    // a beginning of the log that is written to
	Earlier Place = "earlier" // of a log before the last restore, or of what that restore lost of it
	Strange Place = "strange" // of no log here: this one was rewritten or cut short
)

// Where tells whether a head of ours, reported by somebody else, is a beginning of the log that is written to. After a
// restore the others still hold heads of the log before, also of entries that the backup did not know; those prove nothing
// here any more, and nothing against it.
func (l *Log) Where(tx *state.Tx, h bundle.Head) (Place, error) {
	now, err := l.current(tx)
	if err != nil {
		return "", err
	}
	if ok, err := begins(tx, now, h); err != nil || ok {
		return Ours, err
	}
	place := Strange
	err = logs.Scan(tx, "", func(_ string, in info) error {
		if in.Number == now.Number {
			return nil
		}
		ok, err := begins(tx, in, h)
		if ok || h.Size > in.Size {
			place = Earlier
		}
		return err
	})
	return place, err
}

func begins(tx *state.Tx, in info, h bundle.Head) (bool, error) {
	err := isBeginning(tx, in, h)
	if code.Has(err, code.TimelineBroken) {
		return false, nil
	}
	return err == nil, err
}
