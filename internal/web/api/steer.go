package api

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"sallyport/internal/code"
	"sallyport/internal/feed"
	"sallyport/internal/lifecycle"
	"sallyport/internal/state"
	"sallyport/internal/units"
	"sallyport/internal/web"
	"sallyport/internal/wire"
)

// person is who asks, for the rooms that count people.
func person(a web.Actor) lifecycle.Person {
	return lifecycle.Person{Name: a.Name(), Role: roleOf(a), Lone: a.Lone, OwnOnly: ownOnly(a)}
}

// change finds the feed that a verb is about.
func (a *API) change(q wire.FeedChange) (f feed.Feed, err error) {
	tenant, err := a.tenant(q.Tenant)
	if err != nil {
		return f, err
	}
	err = a.State.View(func(tx *state.Tx) error {
		n, err := a.names(tx)
		if err != nil {
			return err
		}
		f, err = a.find(tx, tenant, q.Name, n)
		return err
	})
	return f, err
}

// generation reads 12 or 2.12; epoch 0 is whichever holds it.
func generation(text string) (epoch, n int64, err error) {
	e, g, both := strings.Cut(text, ".")
	if !both {
		e, g = "0", text
	}
	epoch, err1 := strconv.ParseInt(e, 10, 64)
	n, err2 := strconv.ParseInt(g, 10, 64)
	if err1 != nil || err2 != nil || n < 1 || epoch < 0 || both && epoch < 1 {
		return 0, 0, code.New(code.BadUsage, "%.40q is no generation", text).Do("Say a number like 12, or 2.12 with its epoch.")
	}
	return epoch, n, nil
}

// changed is the answer of a verb.
func (a *API) changed(f feed.Feed, before, after feed.Point, sentence, next string) (out wire.FeedChanged, err error) {
	out = wire.FeedChanged{
		Before: pointText(before.Epoch, before.Generation), After: pointText(after.Epoch, after.Generation), Changed: before != after,
		Sentence: sentence, Next: next,
	}
	err = a.State.View(func(tx *state.Tx) error {
		n, err := a.names(tx)
		if err != nil {
			return err
		}
		now, _, err := feed.Get(tx, f.Ref)
		if err != nil {
			return err
		}
		out.Feed, err = a.feedOf(tx, now, n)
		return err
	})
	return out, err
}

func (a *API) feedsRollback(ctx context.Context, c *web.Call, q wire.FeedChange) (wire.FeedChanged, error) {
	f, err := a.change(q)
	if err != nil {
		return wire.FeedChanged{}, err
	}
	epoch, n, err := generation(q.To)
	if err != nil {
		return wire.FeedChanged{}, err
	}
	ch, err := a.Care.Rollback(ctx, person(c.Actor), f.Ref, epoch, n, q.Reason)
	if err != nil {
		return wire.FeedChanged{}, err
	}
	return a.changed(f, ch.Before, ch.After,
		fmt.Sprintf("%s shows generation %s again (was %s) and is pinned there: what arrives from now on is kept, not activated.", f.Ref.Name, ch.After, ch.Before),
		"To go forward again: sallyport feeds unpin "+f.Ref.Name)
}

func (a *API) feedsPin(ctx context.Context, c *web.Call, q wire.FeedChange) (wire.FeedChanged, error) {
	f, err := a.change(q)
	if err != nil {
		return wire.FeedChanged{}, err
	}
	if err := a.Care.Pin(ctx, person(c.Actor), f.Ref, q.Reason); err != nil {
		return wire.FeedChanged{}, err
	}
	return a.changed(f, f.Active, f.Active,
		fmt.Sprintf("%s is pinned at generation %s: what arrives from now on is kept, not activated.", f.Ref.Name, f.Active),
		"To go forward again: sallyport feeds unpin "+f.Ref.Name)
}

func (a *API) feedsUnpin(ctx context.Context, c *web.Call, q wire.FeedChange) (wire.FeedChanged, error) {
	f, err := a.change(q)
	if err != nil {
		return wire.FeedChanged{}, err
	}
	ch, err := a.Care.Unpin(ctx, person(c.Actor), f.Ref)
	if err != nil {
		return wire.FeedChanged{}, err
	}
	text := fmt.Sprintf("%s is no longer pinned. Generation %s is the newest held and stays active.", f.Ref.Name, ch.After)
	switch {
	case !f.Pinned:
		text = fmt.Sprintf("%s was not pinned. Nothing was changed.", f.Ref.Name)
	case ch.Before != ch.After:
		text = fmt.Sprintf("%s is no longer pinned: generation %s is active now (was %s).", f.Ref.Name, ch.After, ch.Before)
	}
	return a.changed(f, ch.Before, ch.After, text, "")
}

func (a *API) feedsHold(ctx context.Context, c *web.Call, q wire.FeedChange) (wire.FeedChanged, error) {
	f, err := a.change(q)
	if err != nil {
		return wire.FeedChanged{}, err
	}
	epoch, n, err := generation(q.To)
	if err != nil {
		return wire.FeedChanged{}, err
	}
	g, err := a.Care.Hold(ctx, person(c.Actor), f.Ref, epoch, n, q.Reason)
	if err != nil {
		return wire.FeedChanged{}, err
	}
	return a.changed(f, f.Active, f.Active, fmt.Sprintf("Generation %s of %s is kept, whatever retention says.", g.Point, f.Ref.Name), "")
}

func (a *API) feedsRelease(ctx context.Context, c *web.Call, q wire.FeedChange) (wire.FeedChanged, error) {
	f, err := a.change(q)
	if err != nil {
		return wire.FeedChanged{}, err
	}
	epoch, n, err := generation(q.To)
	if err != nil {
		return wire.FeedChanged{}, err
	}
	g, err := a.Care.Release(ctx, person(c.Actor), f.Ref, epoch, n, q.Reason, q.Approve)
	if err != nil {
		return wire.FeedChanged{}, err
	}
	return a.changed(f, f.Active, f.Active, fmt.Sprintf("Generation %s of %s is no longer held: it goes when %d newer ones are here.", g.Point, f.Ref.Name, feed.Kept), "")
}

func (a *API) feedsRhythm(ctx context.Context, c *web.Call, q wire.FeedChange) (wire.FeedChanged, error) {
	f, err := a.change(q)
	if err != nil {
		return wire.FeedChanged{}, err
	}
	var every time.Duration
	if q.Every != "" {
		if every, err = units.ParseDuration(q.Every); err != nil {
			return wire.FeedChanged{}, code.Wrap(code.BadUsage, err, "--every")
		}
	}
	if err := a.Care.Rhythm(ctx, person(c.Actor), f.Ref, every); err != nil {
		return wire.FeedChanged{}, err
	}
	text := fmt.Sprintf("%s goes by the rhythm of this appliance, a stick every %s.", f.Ref.Name, units.Age(a.Care.Often()))
	if every > 0 {
		text = fmt.Sprintf("%s: a stick every %s. Data older than %s warns, older than %s is in breach.",
			f.Ref.Name, units.Age(every), units.Age(feed.WarnAfter*every), units.Age(feed.BreachAfter*every))
	}
	return a.changed(f, f.Active, f.Active, text, "")
}
