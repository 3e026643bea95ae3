package lifecycle

import (
	"context"
	"fmt"
	"time"

	"sallyport/internal/code"
	"sallyport/internal/feed"
	"sallyport/internal/ident"
	"sallyport/internal/state"
	"sallyport/internal/timeline"
)

// Rollback points a foreign feed at another generation that is held and pins it there. epoch 0 is whichever holds it.
// Marks do not fall. Codes usage (no reason), not-found, ambiguous, conflict (a local feed, or active already), stale (in
// breach, nothing older may be activated).
func (r *Room) Rollback(ctx context.Context, who Person, ref ident.FeedRef, epoch, generation int64, reason string) (c feed.Change, err error) {
	if err := reasoned(reason); err != nil {
		return c, err
	}
	err = r.State.Update(ctx, func(tx *state.Tx) error {
		to, err := r.mayGoBack(tx, ref, epoch, generation)
		if err != nil {
			return err
		}
		if c, err = feed.Rollback(tx, ref, to.Point, reason); err != nil {
			return err
		}
		return r.note(tx, "feed.rolledback", who, ref, map[string]string{
			"from": c.Before.String(), "to": c.After.String(), "root": c.Root.String(), "reason": reason,
		})
	})
	if err != nil {
		return feed.Change{}, fmt.Errorf("roll back %s: %w", ref.Name, err)
	}
	r.FS.Point("feed.rolledback")
	return c, nil
}

func (r *Room) mayGoBack(tx *state.Tx, ref ident.FeedRef, epoch, generation int64) (feed.Generation, error) {
	f, err := feed.Steerable(tx, ref)
	if err != nil {
		return feed.Generation{}, err
	}
	to, err := feed.HeldAt(tx, ref, epoch, generation)
	if err != nil {
		return to, err
	}
	now, _, err := feed.Current(tx, ref)
	if err != nil {
		return to, err
	}
	switch {
	case to.Point == f.Active:
		return to, code.New(code.Conflict, "generation %s of feed %q is active already", to.Point, ref.Name).
			Do("To keep it whatever arrives: sallyport feeds pin " + ref.Name)
	case f.Active.Less(to.Point):
		return to, nil // from further back, some of the way forward
	}
	return to, f.Judged(now, r.Marks.Now(), r.Often()).Older(ref)
}

// Pin keeps a foreign feed where it is: imports are built and held. Codes usage, conflict (a local feed).
func (r *Room) Pin(ctx context.Context, who Person, ref ident.FeedRef, reason string) error {
	if err := reasoned(reason); err != nil {
		return err
	}
	err := r.State.Update(ctx, func(tx *state.Tx) error {
		f, err := feed.Steerable(tx, ref)
		if err != nil {
			return err
		}
		if err := feed.Pin(tx, ref, true, reason); err != nil {
			return err
		}
		return r.note(tx, "feed.pinned", who, ref, map[string]string{"pinned": "true", "at": f.Active.String(), "reason": reason})
	})
	if err != nil {
		return fmt.Errorf("pin %s: %w", ref.Name, err)
	}
	return nil
}

// Unpin lets a foreign feed go on: its newest held generation is activated in one flip. Unpinning what is not pinned is
// no error and changes nothing. Code conflict (a local feed).
func (r *Room) Unpin(ctx context.Context, who Person, ref ident.FeedRef) (c feed.Change, err error) {
	err = r.State.Update(ctx, func(tx *state.Tx) error {
		f, err := feed.Steerable(tx, ref)
		if err != nil {
			return err
		}
		if c = (feed.Change{Ref: ref, Before: f.Active, After: f.Active}); !f.Pinned {
			return nil
		}
		if c, err = feed.Unpin(tx, ref); err != nil {
			return err
		}
		err = r.note(tx, "feed.pinned", who, ref, map[string]string{"pinned": "false", "at": c.After.String()})
		if err != nil || c.Before == c.After {
			return err
		}
		return r.note(tx, "bundle.import.activated", who, ref, map[string]string{
			"feed/" + ref.Name: c.After.String() + " activated " + c.Root.String(), "from": c.Before.String(), "why": "unpinned",
		})
	})
	if err != nil {
		return feed.Change{}, fmt.Errorf("unpin %s: %w", ref.Name, err)
	}
	r.FS.Point("feed.unpinned")
	return c, nil
}

// Rhythm says how often a stick arrives for a feed; 0 is the appliance's default again. At most 400 days.
func (r *Room) Rhythm(ctx context.Context, who Person, ref ident.FeedRef, every time.Duration) error {
	if every < 0 || every > 400*24*time.Hour || every > 0 && every < time.Hour {
		return code.New(code.BadUsage, "a rhythm is between an hour and 400 days").Do("Say it in days, like --every 14d.")
	}
	err := r.State.Update(ctx, func(tx *state.Tx) error {
		if _, err := feed.Steerable(tx, ref); err != nil {
			return err
		}
		if err := feed.SetRhythm(tx, ref, every); err != nil {
			return err
		}
		return r.note(tx, "config.changed", who, ref, map[string]string{"setting": "delivery.every", "value": every.String()})
	})
	if err != nil {
		return fmt.Errorf("set rhythm of %s: %w", ref.Name, err)
	}
	return nil
}

func (r *Room) note(tx *state.Tx, typ string, who Person, ref ident.FeedRef, attrs map[string]string) error {
	_, err := r.Timeline.Append(tx, timeline.Event{
		Type: typ, Tenant: ref.Tenant, Actor: who.Name, Subject: "feed/" + ref.Origin + "/" + ref.Name, Attrs: attrs,
	})
	return err
}
