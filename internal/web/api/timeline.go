package api

import (
	"context"
	"slices"

	"sallyport/internal/bundle"
	"sallyport/internal/code"
	"sallyport/internal/peer"
	"sallyport/internal/state"
	"sallyport/internal/timeline"
	"sallyport/internal/web"
	"sallyport/internal/wire"
)

// page is how much a list gives when nobody says.
const page = 50

func (a *API) timelineList(ctx context.Context, _ *web.Call, q wire.TimelineRequest) (wire.Timeline, error) {
	if q.Type != "" && q.Before == nil && !timeline.Known(q.Type) {
		return wire.Timeline{}, code.New(code.Missing, "there is no event type %.60q", q.Type)
	}
	if q.Limit <= 0 {
		q.Limit = page
	}
	if q.Before != nil {
		return a.timelineBack(ctx, q)
	}
	out := wire.Timeline{Events: []wire.Event{}}
	err := a.State.View(func(tx *state.Tx) error {
		from, newest := uint64(0), q.From == nil
		if !newest {
			from = *q.From
		} else if q.Type == "" {
			head, err := a.Timeline.Head(tx)
			if err != nil {
				return err
			}
			from = uint64(max(0, head.Size-int64(q.Limit)))
		}
		return a.Timeline.Read(tx, from, 0, func(e timeline.Entry) error {
			if q.Type != "" && e.Type != q.Type {
				return ctx.Err()
			}
			out.Events = append(out.Events, eventOf(e))
			if len(out.Events) <= q.Limit {
				return ctx.Err()
			}
			if !newest {
				out.Events = out.Events[:q.Limit]
				return state.ErrStop
			}
			out.Events = slices.Delete(out.Events, 0, 1)
			return ctx.Err()
		})
	})
	return out, err
}

func eventOf(e timeline.Entry) wire.Event {
	w := wire.Event{Seq: e.Seq, ID: e.EventID, Type: e.Type, At: e.At, Wall: e.Wall, Gone: e.Event == nil}
	if e.Event != nil {
		w.Tenant, w.Actor, w.Subject, w.Attrs = e.Event.Tenant, e.Event.Actor, e.Event.Subject, e.Event.Attrs
	}
	return w
}

// timelineVerify recomputes the whole log, and proves every head of it that came back from outside.
func (a *API) timelineVerify(_ context.Context, _ *web.Call, _ wire.None) (wire.TimelineHead, error) {
	var out wire.TimelineHead
	err := a.State.View(func(tx *state.Tx) error {
		peers, err := peer.List(tx)
		if err != nil {
			return err
		}
		var known []bundle.Head
		for _, p := range peers {
			if p.Log != nil {
				known = append(known, bundle.Head{Size: int64(p.Log.Size), Root: p.Log.Root})
			}
		}
		head, err := a.Timeline.Verify(tx, known...)
		if err != nil {
			return err
		}
		out, err = a.head(tx, head)
		out.Witnesses = len(known)
		return err
	})
	return out, err
}

func (a *API) head(tx *state.Tx, h bundle.Head) (wire.TimelineHead, error) {
	n, err := a.Timeline.Number(tx)
	return wire.TimelineHead{Origin: timeline.Origin(a.Self.ID, n), Number: n, Size: h.Size, Root: h.Root.String()}, err
}

func (a *API) timelineCheckpoint(_ context.Context, _ *web.Call, _ wire.None) (wire.TimelineHead, error) {
	key, err := a.Keys.Appliance()
	if err != nil {
		return wire.TimelineHead{}, err
	}
	var out wire.TimelineHead
	err = a.State.View(func(tx *state.Tx) error {
		h, err := a.Timeline.Head(tx)
		if err != nil {
			return err
		}
		if out, err = a.head(tx, h); err != nil {
			return err
		}
		note, err := a.Timeline.Checkpoint(tx, key)
		out.Checkpoint = string(note)
		return err
	})
	return out, err
}
