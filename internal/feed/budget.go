package feed

import (
	"time"

	"sallyport/internal/clock"
	"sallyport/internal/code"
	"sallyport/internal/ident"
	"sallyport/internal/marks"
	"sallyport/internal/state"
	"sallyport/internal/units"
)

// How old the data of a feed may be, in deliveries (30-trust-and-time, "Budgets"); a breach begins to block after Grace.
const (
	WarnAfter   = 2
	BreachAfter = 3
	Grace       = 24 * time.Hour
)

// Standing is how a feed stands against its budget.
type Standing string

// The standings. A local feed, and one of which nothing is active, has none.
const (
	Fresh  Standing = "ok"
	Late   Standing = "warn"
	Breach Standing = "breach"
)

// Budget is the age of what is active, against how often a stick arrives.
type Budget struct {
	Standing Standing
	Age      time.Duration // trusted now less the newest anchor that vouched for what is active
	AtLeast  bool          // no anchor came in since this start: the age is a lower bound
	Every    time.Duration
	Blocks   bool // in breach for more than Grace: nothing older may be activated
}

// Judged measures a generation of a feed; every is the appliance's rhythm, where the feed has none of its own.
func (f Feed) Judged(g Generation, now marks.Reading, every time.Duration) Budget {
	if f.Local || g.Generation == 0 {
		return Budget{}
	}
	b := Budget{Standing: Fresh, AtLeast: now.AtLeast, Every: every}
	if f.Every > 0 {
		b.Every = time.Duration(f.Every) * time.Second
	}
	if at := f.asOf(g, now.Trusted); !at.IsZero() {
		b.Age = now.Trusted.Sub(at)
	}
	switch {
	case b.Every <= 0:
	case b.Age > BreachAfter*b.Every:
		b.Standing, b.Blocks = Breach, b.Age > BreachAfter*b.Every+Grace
	case b.Age > WarnAfter*b.Every:
		b.Standing = Late
	}
	return b
}

// asOf is when the contents of a generation were last known to be the origin's newest: the anchor that came with it, or a
// later one while nothing newer was heard of. A time that is not past yet proves nothing; zero when there is no other.
func (f Feed) asOf(g Generation, now time.Time) (at time.Time) {
	texts := []string{g.AnchorTime, g.GeneratedAt, g.AcceptedAt}
	if g.Point == markPoint(f.Mark) {
		texts = append([]string{f.Vouched}, texts...)
	}
	for _, text := range texts {
		if t, err := clock.Parse(text); err == nil && !t.After(now) {
			return t
		}
	}
	return time.Time{}
}

// Vouch notes that an origin spoke at a time: what is newest here of its feeds was its newest then. A time that is not
// later changes nothing.
func Vouch(tx *state.Tx, tenant, origin string, at time.Time) error {
	return feeds.Scan(tx, tenant+"\x00"+origin+"\x00", func(key string, f Feed) error {
		if old, err := clock.Parse(f.Vouched); f.Local || err == nil && !at.After(old) {
			return nil
		}
		f.Vouched = stamp(at)
		return feeds.Put(tx, key, f)
	})
}

// Older refuses to activate what is older than now while the feed is in breach (code stale).
func (b Budget) Older(ref ident.FeedRef) error {
	if !b.Blocks {
		return nil
	}
	return code.New(code.DataStale, "the data of feed %q is too old already for anything older to be activated", ref.Name).
		Want("at most "+units.Age(BreachAfter*b.Every+Grace), units.Age(b.Age))
}
