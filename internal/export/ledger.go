package export

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"sallyport/internal/bundle"
	"sallyport/internal/clock"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/job"
	"sallyport/internal/state"
	"sallyport/internal/timeline"
)

// prepare works out, in the transaction of a move, what changes with it and which events beside the edge's own tell it.
// It may run more than once.
type prepare func(tx *state.Tx, run job.Run) (change func(*job.Run), also []timeline.Event, err error)

// set is a prepare that only changes the run.
func set(change func(*job.Run), also ...timeline.Event) prepare {
	return func(*state.Tx, job.Run) (func(*job.Run), []timeline.Event, error) { return change, also, nil }
}

// move brings a run to a state and writes its events in the same transaction, then tells its watchers.
func (r *Room) move(ctx context.Context, id string, to job.State, p prepare) (job.Run, error) {
	at := r.Clock.Now()
	var run job.Run
	err := r.State.Update(ctx, func(tx *state.Tx) error {
		before, err := job.Get(tx, id)
		if err != nil {
			return err
		}
		change, also, err := func(*job.Run) {}, []timeline.Event(nil), error(nil)
		if p != nil {
			if change, also, err = p(tx, before); err != nil {
				return err
			}
		}
		if run, err = job.Move(tx, id, to, at, change); err != nil {
			return err
		}
		if err := keeping(tx, run); err != nil {
			return err
		}
		if typ := job.EventType(before.State, to); typ != "" {
			also = append([]timeline.Event{{Type: typ}}, also...)
		}
		for _, ev := range also {
			if err := r.tell(tx, ev.Type, run, ev.Attrs); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return job.Run{}, fmt.Errorf("run %s to %s: %w", id, to, err)
	}
	r.Log.Info("run "+string(to), "runId", id, "profile", run.Profile, "tenant", run.Tenant, "errorCode", run.ErrorCode)
	r.hub.moved(Run{Run: run})
	return run, nil
}

// tell appends an event about a run to the timeline.
func (r *Room) tell(tx *state.Tx, typ string, run job.Run, attrs map[string]string) error {
	ev := timeline.Event{Type: typ, Tenant: run.Tenant, Actor: run.By, Subject: run.ID, Attrs: map[string]string{
		"profile": run.Profile, "attempt": strconv.Itoa(run.Attempt),
	}}
	add := func(key, value string) {
		if value != "" {
			ev.Attrs[key] = value
		}
	}
	add("name", run.Name)
	add("errorCode", run.ErrorCode)
	add("code", string(run.Code))
	if !run.BundleID.IsZero() {
		add("bundleId", run.BundleID.String())
	}
	if !run.LabelID.IsZero() {
		add("labelId", run.LabelID.String())
	}
	for _, p := range run.Peers {
		add("for", p)
	}
	for k, v := range attrs {
		add(k, v)
	}
	if _, err := r.Timeline.Append(tx, ev); err != nil {
		return fmt.Errorf("event %s: %w", typ, err)
	}
	return nil
}

// Show reads one run. Code ERR_EXPORT_RUN_NOT_FOUND.
func (r *Room) Show(_ context.Context, id string) (Run, error) {
	var run job.Run
	err := r.State.View(func(tx *state.Tx) (err error) {
		run, err = job.Get(tx, id)
		return err
	})
	if err != nil {
		return Run{}, fmt.Errorf("show run: %w", err)
	}
	return r.hub.decorate(Run{Run: run}), nil
}

// Filter selects runs for a list; the zero value selects all.
type Filter struct {
	Tenant  string
	Status  string // a state, or Unfinished
	Profile string // "mirror:full", any revision
	Before  string // run id, exclusive: the cursor
	Limit   int    // 0: all
}

// Unfinished is the Status of a Filter for every run that is still to be worked on.
const Unfinished = "unfinished"

// List reads runs, newest first.
func (r *Room) List(_ context.Context, f Filter) ([]Run, error) {
	var runs []job.Run
	err := r.State.View(func(tx *state.Tx) (err error) {
		runs, err = job.List(tx, f.Tenant, f.Before, f.Limit, func(run job.Run) bool {
			return (f.Status == "" || string(run.State) == f.Status || f.Status == Unfinished && !run.State.Final()) && (f.Profile == "" || profileName(run.Profile) == f.Profile)
		})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list runs: %w", err)
	}
	out := make([]Run, 0, len(runs))
	for _, run := range runs {
		out = append(out, r.hub.decorate(Run{Run: run}))
	}
	return out, nil
}

// Delivered notes on the run that made a bundle what its receipt says, in the transaction that records the receipt. A run
// is delivered when the decision covers and the resulting state roots are those that were sent; a receipt for a bundle
// that no run here made changes nothing and is no error. peer is the local name of who signed the receipt, which the
// caller has verified; payload is the digest of the receipt's payload.
func Delivered(tx *state.Tx, peer string, receipt *bundle.Receipt, payload digest.Digest, at time.Time) (run job.Run, covers bool, err error) {
	run, ok, err := job.ByBundle(tx, receipt.BundleID)
	if err != nil || !ok {
		return job.Run{}, false, err
	}
	if run.Tenant != receipt.Tenant {
		return run, false, nil // of a peer bound to another tenant: it says nothing about this one's run
	}
	if len(run.Peers) > 0 && !slices.Contains(run.Peers, peer) {
		return run, false, nil // not its addressee: what it did with it proves nothing about delivery
	}
	covers = bundle.Covers(receipt.Decision) && sameRoots(run.Feeds, receipt.Feeds)
	run, _, err = job.Deliver(tx, receipt.BundleID, peer, job.Delivery{
		Receipt: payload, Decision: receipt.Decision, At: clock.Format(at), How: job.ByReceipt, Covers: covers,
	})
	if err != nil {
		return run, false, fmt.Errorf("deliver run %s: %w", run.ID, err)
	}
	return run, covers, nil
}

// sameRoots tells whether a receipt names, for every feed that was sent, the state that was sent.
func sameRoots(sent []job.FeedState, got []bundle.ReceiptFeed) bool {
	type state struct {
		name, origin string
		epoch        int64
		root         digest.Digest
	}
	have := map[state]bool{}
	for _, f := range got {
		have[state{f.Feed, f.Origin, f.Epoch, f.StateRoot}] = true
	}
	for _, f := range sent {
		if !have[state{f.Ref.Name, f.Ref.Origin, f.Epoch, f.Root}] {
			return false
		}
	}
	return true
}

// Cancel ends a run: at once while it is pending, else as soon as its worker looks up. Code ERR_EXPORT_CONFLICT when it
// has ended already.
func (r *Room) Cancel(ctx context.Context, id, actor string) error {
	r.mu.Lock()
	t := r.active[id]
	if t != nil {
		t.actor = actor
		t.cancel(errCancelled)
	}
	r.mu.Unlock()
	if t != nil {
		return nil
	}
	_, err := r.move(ctx, id, job.Cancelled, set(func(run *job.Run) {
		run.ErrorCode, run.Code, run.Message = "cancelled", code.Cancelled, "cancelled by "+strconv.Quote(actor)
	}))
	return err
}

// profileName takes the revision off a pinned profile.
func profileName(pinned string) string {
	name, _, _ := strings.Cut(pinned, "@")
	return name
}
