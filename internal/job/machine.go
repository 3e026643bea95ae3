package job

import "slices"

// State of a run or job.
type State string

// The states of a run (40-export-center, "Runs"). Jobs use pending, running, succeeded, failed and cancelled.
const (
	Pending      State = "pending"
	Planning     State = "planning"
	Running      State = "running"
	Signing      State = "signing"
	Verifying    State = "verifying"
	Distributing State = "distributing"
	Succeeded    State = "succeeded"
	Failed       State = "failed"
	Cancelled    State = "cancelled"
	Expired      State = "expired"
)

// edges: forward one step; a working state may fail, be cancelled or, after a restart, wait again; a failed or
// cancelled run may be retried; an ended one expires when retention removes its output.
var edges = map[State][]State{
	Pending:      {Planning, Failed, Cancelled},
	Planning:     {Running, Failed, Cancelled, Pending},
	Running:      {Signing, Failed, Cancelled, Pending},
	Signing:      {Verifying, Failed, Cancelled, Pending},
	Verifying:    {Distributing, Failed, Cancelled, Pending},
	Distributing: {Succeeded, Failed, Cancelled, Pending},
	Succeeded:    {Expired},
	Failed:       {Pending, Expired},
	Cancelled:    {Pending, Expired},
	Expired:      nil,
}

var jobEdges = map[State][]State{
	Pending: {Running, Failed, Cancelled},
	Running: {Succeeded, Failed, Cancelled, Pending}, // pending: the daemon stopped
}

// CanMove is the edge table of runs.
func CanMove(from, to State) bool { return slices.Contains(edges[from], to) }

// Final tells whether no work is left to do.
func (s State) Final() bool {
	return s == Succeeded || s == Failed || s == Cancelled || s == Expired
}

// EventType is the timeline type of a move; "" for a move that no event tells (the stages between start and end, and
// expiry, which the retention run tells). Submit is told as EventType("", Pending).
func EventType(_, to State) string {
	switch to {
	case Pending:
		return "export.run.submitted"
	case Planning:
		return "export.run.started"
	case Succeeded, Failed, Cancelled:
		return "export.run." + string(to)
	}
	return ""
}
