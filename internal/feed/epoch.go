package feed

import (
	"time"

	"sallyport/internal/ident"
	"sallyport/internal/state"
)

// life is the epoch in which feeds that are made here begin: 1, and one more after each restore.
var life = state.Table[int64]{Name: "feed-life"}

// Reborn is a local feed that a restore put into a new epoch.
type Reborn struct {
	Ref    ident.FeedRef
	Before Point // active in the backup
	After  Point // the same contents, generation 1 of the new epoch
}

// Rebirth puts every local feed into a new epoch, as a restore must: what is active becomes its generation 1, with the same
// contents, so that those who saw more of the old epoch can be given it. The epoch is the least one that is not below the one
// given and above every epoch a local feed was in, and further by skip; feeds that are made later begin in it too, because
// the lost future may have had feeds of their name.
func Rebirth(tx *state.Tx, epoch, skip int64, at time.Time) (list []Reborn, in int64, err error) {
	all, err := List(tx, "")
	if err != nil {
		return nil, 0, err
	}
	for _, f := range all {
		if f.Local {
			epoch = max(epoch, f.Mark.Epoch+1, f.NextEpoch+1)
		}
	}
	epoch += skip
	for _, f := range all {
		if !f.Local {
			continue
		}
		r, err := reborn(tx, f, epoch, at)
		if err != nil {
			return nil, 0, err
		}
		list = append(list, r)
	}
	return list, epoch, life.Put(tx, "epoch", epoch)
}

func reborn(tx *state.Tx, f Feed, epoch int64, at time.Time) (r Reborn, err error) {
	g, ok, err := Current(tx, f.Ref)
	r = Reborn{Ref: f.Ref, Before: f.Active, After: Point{epoch, 1}}
	if err != nil || !ok {
		f.NextEpoch = epoch
		return r, feeds.Put(tx, f.Ref.Key(), f)
	}
	g.Point, g.Held, g.Users, g.AcceptedAt = r.After, false, nil, stamp(at)
	if err := generations.Put(tx, genKey(f.Ref, g.Point), g); err != nil {
		return r, err
	}
	f.Active, f.NextEpoch = g.Point, 0
	f.Mark.Epoch, f.Mark.Generation, f.Mark.Root = epoch, 1, g.Root
	return r, feeds.Put(tx, f.Ref.Key(), f)
}

// begin is the epoch in which a new local feed begins; 0 before the first restore.
func begin(tx *state.Tx) (int64, error) {
	epoch, _, err := life.Get(tx, "epoch")
	return epoch, err
}
