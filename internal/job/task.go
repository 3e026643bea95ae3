package job

import (
	"encoding/json"
	"slices"
	"time"

	"sallyport/internal/clock"
	"sallyport/internal/code"
	"sallyport/internal/state"
	"sallyport/internal/wire"
)

// Job is a long task that is not a run: load, import, exchange, outbound, backup. Its room bounds Request, Result, Steps and Notes.
type Job struct {
	ID          string          `json:"id"`
	Tenant      string          `json:"tenant,omitempty"`
	Action      string          `json:"action"`
	Subject     string          `json:"subject,omitempty"` // what a person sees; may hold foreign text
	By          string          `json:"by"`
	Via         string          `json:"via,omitempty"`
	Who         json.RawMessage `json:"who,omitempty"` // whose right is asked when it runs; never shown
	Request     json.RawMessage `json:"request,omitempty"`
	State       State           `json:"state"`
	Attempt     int             `json:"attempt"`        // how often it began
	Lost        int             `json:"lost,omitempty"` // how often the daemon died while it ran
	Result      json.RawMessage `json:"result,omitempty"`
	ResultBytes int64           `json:"resultBytes,omitempty"` // of a result that stands in a file of its own
	NoResult    bool            `json:"noResult,omitempty"`    // there was one, and it could not be kept
	Error       *wire.Error     `json:"error,omitempty"`
	Steps       []wire.JobStep  `json:"steps,omitempty"`
	Notes       []string        `json:"notes,omitempty"`
	CreatedAt   string          `json:"createdAt"`
	StartedAt   string          `json:"startedAt,omitempty"`
	FinishedAt  string          `json:"finishedAt,omitempty"`
	Seconds     int64           `json:"seconds,omitempty"` // it ran, all attempts together
}

var jobs = state.Table[Job]{Name: "jobs"}

// Add stores a new job as pending. ID (new, a ULID) and Action must be set.
func Add(tx *state.Tx, j Job, at time.Time) (Job, error) {
	if j.ID == "" || j.Action == "" {
		return Job{}, code.New(code.Bug, "add job: no id or action")
	}
	if _, ok, err := jobs.Get(tx, j.ID); err != nil || ok {
		return Job{}, taken(err, "job", j.ID)
	}
	j.State, j.CreatedAt = Pending, clock.Format(at)
	return j, jobs.Put(tx, j.ID, j)
}

// Find reads a job; code not-found.
func Find(tx *state.Tx, id string) (Job, error) {
	j, ok, err := Job{}, false, error(nil)
	if id != "" {
		j, ok, err = jobs.Get(tx, id)
	}
	if err == nil && !ok {
		err = code.New(code.Missing, "no job %.40q", id)
	}
	return j, err
}

// Step moves a job (pending → running → succeeded, failed, cancelled, or pending again when the daemon stopped), lets change
// (which may be nil) edit the rest and stores it. Running counts the attempt. Codes not-found, conflict.
func Step(tx *state.Tx, id string, to State, at time.Time, change func(*Job)) (Job, error) {
	j, err := Find(tx, id)
	if err != nil {
		return Job{}, err
	}
	if !slices.Contains(jobEdges[j.State], to) {
		return Job{}, code.New(code.Conflict, "job %s cannot go from %s to %s", id, j.State, to)
	}
	if change != nil {
		change(&j)
	}
	j.ID, j.State = id, to
	switch {
	case to == Running:
		j.Attempt, j.StartedAt = j.Attempt+1, clock.Format(at)
	case to.Final():
		j.FinishedAt = clock.Format(at)
	}
	return j, jobs.Put(tx, id, j)
}

// Jobs lists jobs as List lists runs.
func Jobs(tx *state.Tx, tenant, before string, limit int, keep func(Job) bool) (all []Job, err error) {
	err = jobs.ScanBack(tx, "", before, func(_ string, j Job) error {
		if tenant != "" && j.Tenant != tenant || keep != nil && !keep(j) {
			return nil
		}
		all = append(all, j)
		if len(all) == limit {
			return state.ErrStop
		}
		return nil
	})
	return all, err
}

func unfinished(j Job) bool { return !j.State.Final() }

// TakeUp puts every job that a daemon left unfinished back to pending and returns them, oldest first. One that was running is
// told to again, which may refuse it with the error that it then ends with: it is asked after the death was counted.
func TakeUp(tx *state.Tx, at time.Time, again func(Job) *wire.Error) (waiting []Job, err error) {
	all, err := Jobs(tx, "", "", 0, unfinished)
	if err != nil {
		return nil, err
	}
	slices.Reverse(all)
	for _, j := range all {
		var why *wire.Error
		if j.State == Running {
			j.Lost++
			why = again(j)
		}
		switch {
		case why != nil:
			_, err = Step(tx, j.ID, Failed, at, func(to *Job) { to.Lost, to.Error = j.Lost, why })
		case j.State == Running:
			j, err = Step(tx, j.ID, Pending, at, func(to *Job) { to.Lost = j.Lost })
			waiting = append(waiting, j)
		default:
			waiting = append(waiting, j)
		}
		if err != nil {
			return nil, err
		}
	}
	return waiting, nil
}

// Interrupt fails every unfinished job with the same error: a restored appliance does not go on with what the lost one did.
func Interrupt(tx *state.Tx, at time.Time, why *wire.Error) (n int, err error) {
	all, err := Jobs(tx, "", "", 0, unfinished)
	for _, j := range all {
		if err == nil {
			_, err = Step(tx, j.ID, Failed, at, func(to *Job) { to.Error = why })
		}
	}
	return len(all), err
}

// Old lists the finished jobs that may be forgotten: all but the newest most, and of those all but the newest few that
// finished before a time (RFC 3339).
func Old(tx *state.Tx, most, few int, before string) (ids []string, err error) {
	n := 0
	err = jobs.ScanBack(tx, "", "", func(id string, j Job) error {
		if !j.State.Final() {
			return nil
		}
		if n++; n > most || n > few && j.FinishedAt < before {
			ids = append(ids, id)
		}
		return nil
	})
	return ids, err
}

// Drop forgets a finished job; one that is gone is no error, an unfinished one has code conflict.
func Drop(tx *state.Tx, id string) error {
	j, ok, err := jobs.Get(tx, id)
	if err != nil || !ok {
		return err
	}
	if !j.State.Final() {
		return code.New(code.Conflict, "job %s has not ended", id)
	}
	return jobs.Delete(tx, id)
}
