// Package job is the ledger of long tasks: export runs with their state machine, and simpler jobs.
//
// Data, tables of the state database:
//
//	runs          run id (a ULID, so in order of time) → Run
//	run-names     bundle NAME → run id: a NAME is given out once, forever
//	run-bundles   bundle id → run id
//	jobs          job id → Job
//
// Order: Submit or Add, then one Move or Step per state, in the transaction of the room that appends the event which
// EventType names. What a run has done so far is kept by digest in Steps, so a retry resumes at the failed step. A job has
// no event of its own: what it changes, its room's events tell. At start Requeue puts unfinished runs back to pending and
// TakeUp unfinished jobs; their staged output is gone by then. Progress is not kept here: it is a picture of now.
package job

import (
	"encoding/json"
	"fmt"
	"time"

	"sallyport/internal/clock"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/ident"
	"sallyport/internal/state"
)

// Priority of a run.
type Priority string

// The priorities.
const (
	Normal  Priority = "normal"
	CatchUp Priority = "catch-up"
)

// FeedState is what a run carried of one feed.
type FeedState struct {
	Ref        ident.FeedRef `json:"ref"`
	Epoch      int64         `json:"epoch"`
	Generation int64         `json:"generation"`
	Root       digest.Digest `json:"root"`
}

// Changes are what a delta changes against the newest of its bases.
type Changes struct {
	Added   int64 `json:"added"`
	Changed int64 `json:"changed"`
	Removed int64 `json:"removed"`
}

// How a delivery became known.
const (
	ByReceipt = "receipt"
	ByVoice   = "voice" // a spoken receipt: weaker
)

// Delivery is what a peer answered to the bundle of a run.
type Delivery struct {
	Receipt  digest.Digest `json:"receipt,omitzero"` // digest of the receipt's payload
	Decision string        `json:"decision"`
	At       string        `json:"at"`
	How      string        `json:"how"`    // ByReceipt, ByVoice
	Covers   bool          `json:"covers"` // the resulting state roots equal what was sent
}

// Run is one execution of a profile.
type Run struct {
	ID         string              `json:"id"`
	Tenant     string              `json:"tenant"`
	Kind       string              `json:"kind"`           // profile kind: mirror
	Variant    string              `json:"variant"`        // full
	Profile    string              `json:"profile"`        // mirror:full, or name@rN
	Name       string              `json:"name,omitempty"` // NAME of the bundle, fixed by UniqueName when planned
	Peers      []string            `json:"peers,omitempty"`
	By         string              `json:"by"`
	Request    json.RawMessage     `json:"request,omitempty"`
	Priority   Priority            `json:"priority"`
	State      State               `json:"state"`
	Attempt    int                 `json:"attempt"`             // from 1
	ErrorCode  string              `json:"errorCode,omitempty"` // adapter signing distribution verify storage …
	Code       code.Code           `json:"code,omitempty"`
	Message    string              `json:"message,omitempty"`
	Steps      map[string]string   `json:"steps,omitempty"` // step → digest of its output
	BundleID   digest.Digest       `json:"bundleId,omitzero"`
	LabelID    digest.Digest       `json:"labelId,omitzero"`
	Feeds      []FeedState         `json:"feeds,omitempty"`
	Bases      []FeedState         `json:"bases,omitempty"` // of a delta: every state it can be applied to
	Changes    *Changes            `json:"changes,omitempty"`
	Bytes      int64               `json:"bytes"`
	Records    int64               `json:"records"`
	Shelf      string              `json:"shelf,omitempty"` // directory name below D/shelf
	Challenge  string              `json:"challenge,omitempty"`
	Papers     digest.Digest       `json:"papers,omitzero"`      // of a way home: what it tells, without counter and date
	Deliveries map[string]Delivery `json:"deliveries,omitempty"` // peer name → its answer
	CreatedAt  string              `json:"createdAt"`
	StartedAt  string              `json:"startedAt,omitempty"`
	FinishedAt string              `json:"finishedAt,omitempty"`
}

// Delivered tells whether every addressee (at least one) has answered with a receipt that covers the bundle.
func (r Run) Delivered() bool {
	for _, p := range r.Peers {
		if d := r.Deliveries[p]; !d.Covers || d.How != ByReceipt {
			return false
		}
	}
	return len(r.Peers) > 0
}

var (
	runs    = state.Table[Run]{Name: "runs"}
	names   = state.Table[string]{Name: "run-names"}
	bundles = state.Table[string]{Name: "run-bundles"}
)

// Submit stores a new run as pending, attempt 1. ID (new, a ULID) and Tenant must be set.
func Submit(tx *state.Tx, r Run, at time.Time) (Run, error) {
	if r.ID == "" || r.Tenant == "" {
		return Run{}, code.New(code.Bug, "submit run: no id or tenant")
	}
	if _, ok, err := runs.Get(tx, r.ID); err != nil || ok {
		return Run{}, taken(err, "run", r.ID)
	}
	r.State, r.Attempt, r.CreatedAt = Pending, 1, clock.Format(at)
	if r.Priority == "" {
		r.Priority = Normal
	}
	return r, runs.Put(tx, r.ID, r)
}

func taken(err error, what, id string) error {
	if err != nil {
		return err
	}
	return code.New(code.Conflict, "%s %q exists", what, id)
}

// Get reads a run; code ERR_EXPORT_RUN_NOT_FOUND.
func Get(tx *state.Tx, id string) (Run, error) {
	r, ok, err := runs.Get(tx, id)
	if err == nil && !ok {
		err = code.New(code.ExportRun, "no run %q", id)
	}
	return r, err
}

// Move is the only way a run changes its state. It checks the edge, stamps times, lets change (which may be nil) edit
// the rest, and stores the run; the caller appends the event that EventType names in the same transaction. Going back
// to pending counts the next attempt and clears the error. Codes ERR_EXPORT_RUN_NOT_FOUND, ERR_EXPORT_CONFLICT.
func Move(tx *state.Tx, id string, to State, at time.Time, change func(*Run)) (Run, error) {
	r, err := Get(tx, id)
	if err != nil {
		return Run{}, err
	}
	if !CanMove(r.State, to) {
		return Run{}, code.New(code.ExportConflict, "run %s cannot go from %s to %s", id, r.State, to)
	}
	switch {
	case to == Pending:
		r.Attempt++
		r.ErrorCode, r.Code, r.Message, r.StartedAt, r.FinishedAt = "", "", "", "", ""
	case to == Planning:
		r.StartedAt = clock.Format(at)
	case to.Final() && to != Expired:
		r.FinishedAt = clock.Format(at)
	}
	r.State = to
	return save(tx, r, change)
}

// Edit changes anything but identity, state and attempt of a run.
func Edit(tx *state.Tx, id string, change func(*Run)) (Run, error) {
	r, err := Get(tx, id)
	if err != nil {
		return Run{}, err
	}
	return save(tx, r, change)
}

func save(tx *state.Tx, r Run, change func(*Run)) (Run, error) {
	next := r
	if change != nil {
		change(&next)
	}
	if next.ID != r.ID || next.Tenant != r.Tenant || next.State != r.State || next.Attempt != r.Attempt {
		return Run{}, code.New(code.Bug, "run %s: identity or state changed outside of Move", r.ID)
	}
	if !next.BundleID.IsZero() && next.BundleID != r.BundleID {
		if err := bundles.Put(tx, next.BundleID.String(), next.ID); err != nil {
			return Run{}, err
		}
	}
	return next, runs.Put(tx, next.ID, next)
}

// List lists the runs of a tenant ("": all) that keep (nil: all) likes, newest first, from before the given id ("":
// the newest) on, at most limit (0: all).
func List(tx *state.Tx, tenant, before string, limit int, keep func(Run) bool) (all []Run, err error) {
	err = runs.ScanBack(tx, "", before, func(_ string, r Run) error {
		if tenant != "" && r.Tenant != tenant || keep != nil && !keep(r) {
			return nil
		}
		all = append(all, r)
		if len(all) == limit {
			return state.ErrStop
		}
		return nil
	})
	return all, err
}

// Requeue puts every run that a stopped daemon left unfinished back to pending with attempt + 1, and returns them.
// Runs that were still pending stay as they are and are returned too: all of them are to be worked on.
func Requeue(tx *state.Tx, at time.Time) ([]Run, error) {
	all, err := List(tx, "", "", 0, func(r Run) bool { return !r.State.Final() })
	if err != nil {
		return nil, err
	}
	for i, r := range all {
		if r.State == Pending {
			continue
		}
		if all[i], err = Move(tx, r.ID, Pending, at, nil); err != nil {
			return nil, fmt.Errorf("requeue: %w", err)
		}
	}
	return all, nil
}

// ByBundle finds the run that made a bundle.
func ByBundle(tx *state.Tx, bundleID digest.Digest) (Run, bool, error) {
	id, ok, err := bundles.Get(tx, bundleID.String())
	if err != nil || !ok {
		return Run{}, false, err
	}
	return runs.Get(tx, id)
}

// Deliver stores a peer's answer to a bundle; ok is false when no run here made it. An answer that covers is replaced
// by a covering receipt only: neither a later refusal of a second copy nor a voice weakens what is proven.
func Deliver(tx *state.Tx, bundleID digest.Digest, peer string, d Delivery) (r Run, ok bool, err error) {
	r, ok, err = ByBundle(tx, bundleID)
	if err != nil || !ok {
		return r, false, err
	}
	if old := r.Deliveries[peer]; old.Covers && !(d.Covers && (d.How == ByReceipt || old.How == ByVoice)) {
		return r, true, nil
	}
	r, err = Edit(tx, r.ID, func(r *Run) {
		if r.Deliveries == nil {
			r.Deliveries = map[string]Delivery{}
		}
		r.Deliveries[peer] = d
	})
	return r, true, err
}

// UniqueName gives a run its bundle NAME: the first of name(1), name(2), … that no run here was ever given. A run keeps
// the name it has. name(1) is the one without a number.
func UniqueName(tx *state.Tx, id string, name func(n int) string) (string, error) {
	r, err := Get(tx, id)
	if err != nil || r.Name != "" {
		return r.Name, err
	}
	for n := 1; ; n++ {
		candidate := name(n)
		if _, ok, err := names.Get(tx, candidate); err != nil {
			return "", err
		} else if ok {
			continue
		}
		if err := names.Put(tx, candidate, id); err != nil {
			return "", err
		}
		_, err := Edit(tx, id, func(r *Run) { r.Name = candidate })
		return candidate, err
	}
}
