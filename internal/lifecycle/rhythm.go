package lifecycle

import (
	"context"
	"fmt"
	"time"

	"sallyport/internal/code"
	"sallyport/internal/state"
	"sallyport/internal/timeline"
)

// delivery holds under "every" how often a stick arrives, in seconds, as a person said it on the first day.
var delivery = state.Table[int64]{Name: "delivery"}

// Often is how often a stick arrives, for feeds without a rhythm of their own: what the configuration says where it says
// anything, else what a person said, else the default.
func (r *Room) Often() time.Duration {
	if n := r.told.Load(); n > 0 && !r.Fixed {
		return time.Duration(n) * time.Second
	}
	return r.Every
}

// recall reads what a person said.
func (r *Room) recall() error {
	return r.State.View(func(tx *state.Tx) error {
		n, _, err := delivery.Get(tx, "every")
		r.told.Store(n)
		return err
	})
}

// SetOften says how often a stick arrives. Codes usage (outside of one hour to 400 days), conflict (the configuration says it).
func (r *Room) SetOften(ctx context.Context, who Person, every time.Duration) error {
	if every < time.Hour || every > 400*24*time.Hour {
		return code.New(code.BadUsage, "a rhythm is between an hour and 400 days").Want("1h to 400d", every).Do("Say it in days, like 14d.")
	}
	if r.Fixed {
		return code.New(code.Conflict, "the configuration says how often a stick arrives").In("", "delivery.every").Do("Change it in config.yaml or config.d, and start the daemon again.")
	}
	n := int64(every / time.Second)
	err := r.State.Update(ctx, func(tx *state.Tx) error {
		if err := delivery.Put(tx, "every", n); err != nil {
			return err
		}
		tx.OnCommit(func() { r.told.Store(n) })
		_, err := r.Timeline.Append(tx, timeline.Event{
			Type: "config.changed", Actor: who.Name, Subject: "delivery.every", Attrs: map[string]string{"setting": "delivery.every", "value": every.String()},
		})
		return err
	})
	if err != nil {
		return fmt.Errorf("set how often a stick arrives: %w", err)
	}
	return nil
}
