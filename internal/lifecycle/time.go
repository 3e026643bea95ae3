package lifecycle

import (
	"context"
	"fmt"
	"time"

	"sallyport/internal/approval"
	"sallyport/internal/clock"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/state"
	"sallyport/internal/timeline"
)

// SetTime takes the word of two people for the time, where no anchor comes: it is the trusted time from then on, warns
// wherever time is shown, and proves nothing. Codes usage (no reason, or a time that has passed), approval-needed,
// plan-changed.
func (r *Room) SetTime(ctx context.Context, who Person, at time.Time, reason, approve string) error {
	if err := reasoned(reason); err != nil {
		return err
	}
	now := r.Marks.Now()
	if at.Before(now.Trusted) {
		return code.New(code.BadUsage, "trusted time cannot go back").Want("after "+clock.Format(now.Trusted), clock.Format(at)).
			Do("The way back from a wrong anchor is a new trust root of its signer with a higher time epoch.")
	}
	text := clock.Format(at)
	d := r.TimePlan(at)
	if err := r.agree(ctx, who, "time", "setting the trusted time to "+text, reason, d, approve); err != nil {
		return err
	}
	ev := timeline.Event{Type: "time.anchor.applied", Actor: who.Name, Subject: "operator", Attrs: map[string]string{
		"source": "operator", "at": text, "before": clock.Format(now.Trusted), "wall": clock.Format(now.Wall), "reason": reason, "plan": d.String(),
	}}
	if err := r.tell(ctx, ev, d, told{At: text}); err != nil {
		return fmt.Errorf("set time: %w", err)
	}
	return nil
}

// TimePlan is what people say yes to when they set the time.
func (r *Room) TimePlan(at time.Time) digest.Digest {
	return planDigest(map[string]string{"what": "sallyport/v1/time", "site": r.ID, "at": clock.Format(at)})
}

// ConfirmAnchor lets a time anchor count that came in with an accepted bundle and moves time by more than 400 days: its
// data was taken in, its time waits for two people. Codes usage, approval-needed, plan-changed, counter.
func (r *Room) ConfirmAnchor(ctx context.Context, who Person, a Anchor, reason, approve string) error {
	if err := reasoned(reason); err != nil {
		return err
	}
	d := r.Plan(a)
	if err := r.agree(ctx, who, "time", "the anchor of "+a.Peer+" that says "+clock.Format(a.At), reason, d, approve); err != nil {
		return err
	}
	ev := timeline.Event{Type: "time.anchor.applied", Actor: who.Name, Subject: "peer/" + a.Peer, Attrs: map[string]string{
		"source": "anchor", "at": clock.Format(a.At), "before": clock.Format(r.Marks.Now().Trusted), "key": a.Key, "counter": fmt.Sprint(a.Counter),
		"reason": reason, "plan": d.String(),
	}}
	if err := r.tell(ctx, ev, d, told{At: clock.Format(a.At), Key: a.Key, Counter: a.Counter}); err != nil {
		return fmt.Errorf("confirm anchor: %w", err)
	}
	return nil
}

// Anchor is one that waits for people.
type Anchor struct {
	Peer    string
	Key     string // id of the key that signed it
	Counter int64
	At      time.Time
}

// Plan is what people say yes to when they confirm an anchor.
func (r *Room) Plan(a Anchor) digest.Digest {
	return planDigest(map[string]string{
		"what": "sallyport/v1/anchor", "site": r.ID, "key": a.Key, "counter": fmt.Sprint(a.Counter), "at": clock.Format(a.At),
	})
}

// told is the last time that people set or confirmed: a crash may come before the marks have it.
type told struct {
	At      string `json:"at"`
	Epoch   int64  `json:"timeEpoch"`         // of the marks then: a later one may have set time back
	Key     string `json:"key,omitempty"`     // of an anchor; "": an operator said so
	Counter int64  `json:"counter,omitempty"` // of the anchor
}

var lastTold = state.Table[told]{Name: "time-told"}

// tell writes the event of a time that people agreed to, uses their approval up, and then lets the time count.
func (r *Room) tell(ctx context.Context, ev timeline.Event, d digest.Digest, t told) error {
	now := r.Marks.Now()
	t.Epoch = r.Marks.Get().TimeEpoch
	err := r.State.Update(ctx, func(tx *state.Tx) error {
		p, err := approval.Use(tx, d, now.Trusted)
		if err != nil {
			return err
		}
		ev.Attrs["people"] = people(p)
		if err := lastTold.Put(tx, "last", t); err != nil {
			return err
		}
		_, err = r.Timeline.Append(tx, ev)
		return err
	})
	if err != nil {
		return err
	}
	r.FS.Point("time.told")
	return r.count(t)
}

// count lets a time count. One that has passed moves nothing.
func (r *Room) count(t told) error {
	at, err := clock.Parse(t.At)
	if err != nil {
		return code.Wrap(code.StateCorrupt, err, "time that was told")
	}
	if t.Key != "" {
		return r.Marks.ApplyAnchor(t.Key, t.Counter, at, true)
	}
	if !at.After(r.Marks.Now().Trusted) {
		return nil
	}
	return r.Marks.SetTime(at)
}

// Recover lets count what people agreed to before a crash kept it from the marks. Run it before the room is used.
func (r *Room) Recover() error {
	if err := r.recall(); err != nil {
		return err
	}
	var t told
	var ok bool
	err := r.State.View(func(tx *state.Tx) (err error) {
		t, ok, err = lastTold.Get(tx, "last")
		return err
	})
	set := r.Marks.Get()
	if err != nil || !ok || t.Epoch != set.TimeEpoch || t.Key != "" && set.Anchors[t.Key] >= t.Counter {
		return err
	}
	return r.count(t)
}
