package wire

import (
	"encoding/json"
	"fmt"
)

// JobRequest starts, names or lists jobs.
type JobRequest struct {
	ID      string          `json:"id,omitempty"`      // show, cancel, watch, log
	Action  string          `json:"action,omitempty"`  // start
	Request json.RawMessage `json:"request,omitempty"` // start: what that action is asked
	Tenant  string          `json:"tenant,omitempty"`
	State   string          `json:"state,omitempty"`  // list: a state, or "unfinished"
	Before  string          `json:"before,omitempty"` // list: older than this id
	Limit   int             `json:"limit,omitempty"`  // list; 0: 50, at most 200
}

// Job is a long task of the daemon. Subject and what is in Progress, Steps and Lines may hold foreign text; Lines are cleaned.
type Job struct {
	ID         string          `json:"id"`
	Action     string          `json:"action"`
	Tenant     string          `json:"tenant,omitempty"`
	Subject    string          `json:"subject,omitempty"` // the path or feed it is about
	By         string          `json:"by"`
	Via        string          `json:"via,omitempty"` // socket, console, token
	State      string          `json:"state"`         // pending, running, succeeded, failed, cancelled
	Attempt    int             `json:"attempt"`       // how often it began; 2 and more: taken up again after a restart
	Position   int             `json:"position,omitempty"`
	Progress   *Progress       `json:"progress,omitempty"`
	Steps      []JobStep       `json:"steps,omitempty"`
	Notes      []string        `json:"notes,omitempty"` // what was said to be kept on the screen, cleaned; facts among them (ParseFact)
	Lines      []string        `json:"lines,omitempty"`
	Request    json.RawMessage `json:"request,omitempty"`
	Result     json.RawMessage `json:"result,omitempty"` // also beside an error; not in lists
	Lost       bool            `json:"lost,omitempty"`   // the result could not be kept
	Error      *Error          `json:"error,omitempty"`
	CreatedAt  string          `json:"createdAt"`
	StartedAt  string          `json:"startedAt,omitempty"`
	FinishedAt string          `json:"finishedAt,omitempty"`
	Seconds    int64           `json:"seconds"` // how long it has run
}

// Finished tells whether nothing more happens to it.
func (j Job) Finished() bool { return j.State != "pending" && j.State != "running" }

// JobResult reads the result of a job as the answer of its action; ok is false when there is none.
func JobResult[T any](j Job) (out T, ok bool, err error) {
	if len(j.Result) == 0 {
		return out, false, nil
	}
	if err := json.Unmarshal(j.Result, &out); err != nil {
		return out, false, fmt.Errorf("result of job %s: %w", j.ID, err)
	}
	return out, true, nil
}

// JobStep is one stage that a job has gone through, or is in.
type JobStep struct {
	Stage      string `json:"stage"`
	Subject    string `json:"subject,omitempty"`
	Items      int64  `json:"items,omitempty"`
	TotalItems int64  `json:"totalItems,omitempty"`
	Bytes      int64  `json:"bytes,omitempty"`
	TotalBytes int64  `json:"totalBytes,omitempty"`
	Seconds    int64  `json:"seconds,omitempty"`
	Done       bool   `json:"done,omitempty"`
}

// Jobs is the answer of jobs/list, newest first.
type Jobs struct {
	Jobs    []Job  `json:"jobs"`
	Next    string `json:"next,omitempty"` // for Before; "": that is all
	Running int    `json:"running"`
	Waiting int    `json:"waiting"`
}

// JobLog is the log of a job.
type JobLog struct {
	ID    string `json:"id"`
	Text  string `json:"text"`  // lines, each with its time; printable
	Whole bool   `json:"whole"` // nothing was left out
}
