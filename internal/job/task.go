package job

import (
	"encoding/json"
	"slices"
	"time"

	"sallyport/internal/clock"
	"sallyport/internal/code"
	"sallyport/internal/state"
)

// Job is a long task that is not a run: load, import, exchange, outbound, backup.
type Job struct {
	ID         string          `json:"id"`
	Tenant     string          `json:"tenant"`
	Kind       string          `json:"kind"`
	Subject    string          `json:"subject"` // what a person sees; may hold foreign text
	By         string          `json:"by"`
	State      State           `json:"state"`
	Request    json.RawMessage `json:"request,omitempty"`
	Result     json.RawMessage `json:"result,omitempty"`
	Code       code.Code       `json:"code,omitempty"`
	Message    string          `json:"message,omitempty"`
	CreatedAt  string          `json:"createdAt"`
	FinishedAt string          `json:"finishedAt,omitempty"`
}

var jobs = state.Table[Job]{Name: "jobs"}

// Add stores a new job as pending. ID (new, a ULID) and Kind must be set.
func Add(tx *state.Tx, j Job, at time.Time) (Job, error) {
	if j.ID == "" || j.Kind == "" {
		return Job{}, code.New(code.Bug, "add job: no id or kind")
	}
	if _, ok, err := jobs.Get(tx, j.ID); err != nil || ok {
		return Job{}, taken(err, "job", j.ID)
	}
	j.State, j.CreatedAt = Pending, clock.Format(at)
	return j, jobs.Put(tx, j.ID, j)
}

// Find reads a job; code not-found.
func Find(tx *state.Tx, id string) (Job, error) {
	j, ok, err := jobs.Get(tx, id)
	if err == nil && !ok {
		err = code.New(code.Missing, "no job %q", id)
	}
	return j, err
}

// Step moves a job (pending → running → succeeded, failed or cancelled), lets change (which may be nil) edit the rest
// and stores it. Codes not-found, conflict.
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
	if to.Final() {
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

// Interrupt fails, with code interrupted, every job that a stopped daemon left unfinished, and returns them. The
// stores are whole; a person runs the command again.
func Interrupt(tx *state.Tx, at time.Time) ([]Job, error) {
	all, err := Jobs(tx, "", "", 0, func(j Job) bool { return !j.State.Final() })
	if err != nil {
		return nil, err
	}
	for i, j := range all {
		all[i], err = Step(tx, j.ID, Failed, at, func(j *Job) {
			j.Code, j.Message = code.Interrupted, "the daemon was stopped"
		})
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}
