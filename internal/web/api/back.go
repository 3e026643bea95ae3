package api

import (
	"context"
	"slices"
	"strings"

	"sallyport/internal/state"
	"sallyport/internal/timeline"
	"sallyport/internal/wire"
)

// maxLooked is how many entries of the timeline one answer looks at when it filters: a rare type in a long log is found by
// asking on, never by holding everybody up.
const maxLooked = 20_000

// timelineBack pages backwards: the newest q.Limit events before q.Before that match, oldest first.
func (a *API) timelineBack(ctx context.Context, q wire.TimelineRequest) (wire.Timeline, error) {
	out := wire.Timeline{Events: []wire.Event{}}
	err := a.State.View(func(tx *state.Tx) (err error) {
		if out.Size, err = a.Timeline.Next(tx); err != nil {
			return err
		}
		looked, last := 0, min(*q.Before, out.Size)
		full := func() bool { return len(out.Events) == q.Limit || looked == maxLooked }
		err = a.Timeline.ReadBack(tx, last, func(e timeline.Entry) error {
			if full() {
				return state.ErrStop
			}
			looked, last = looked+1, e.Seq
			if w := eventOf(e); matches(w, q) {
				out.Events = append(out.Events, w)
			}
			return ctx.Err()
		})
		if last > 0 && full() {
			out.Next = &last
		}
		return err
	})
	slices.Reverse(out.Events)
	return out, err
}

// matches tells whether an event is of the type and holds the text that was asked for.
func matches(e wire.Event, q wire.TimelineRequest) bool {
	if q.Type != "" && e.Type != q.Type && !strings.HasPrefix(e.Type, q.Type+".") {
		return false
	}
	if q.Text == "" {
		return true
	}
	text := strings.ToLower(q.Text)
	for _, s := range []string{e.Type, e.Actor, e.Subject, e.Tenant} {
		if strings.Contains(strings.ToLower(s), text) {
			return true
		}
	}
	for k, v := range e.Attrs {
		if strings.Contains(strings.ToLower(k+"="+v), text) {
			return true
		}
	}
	return false
}

// receiptsBack pages through receipts, newest first.
func (a *API) receiptsBack(ctx context.Context, q wire.ReceiptRequest) (wire.Receipts, error) {
	out := wire.Receipts{Receipts: []wire.Receipt{}}
	if q.Limit <= 0 {
		q.Limit = page
	}
	rows, err := a.Intake.ReceiptsBefore(ctx, q.Before, q.Limit+1)
	if err != nil {
		return out, err
	}
	if len(rows) > q.Limit {
		rows = rows[:q.Limit]
		out.Next = rows[q.Limit-1].Counter
	}
	for _, r := range rows {
		w, err := recode[wire.Receipt](r)
		if err != nil {
			return out, err
		}
		out.Receipts = append(out.Receipts, w)
	}
	return out, nil
}

// damagedOf lists what is known to be damaged of what a feed needs, by its full name.
func (a *API) damagedOf(ctx context.Context, name string) (list []wire.Damaged, err error) {
	if a.Store == nil {
		return nil, nil
	}
	all, err := a.Store.Damaged(ctx)
	for _, d := range all {
		if slices.ContainsFunc(d.Used, func(u string) bool { return strings.HasPrefix(u, name+" ") || strings.HasPrefix(u, name+":") }) {
			list = append(list, d)
		}
	}
	return list, err
}
