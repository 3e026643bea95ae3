package web

import (
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"sallyport/internal/wire"
)

// answer is one response of the API: a single value, or lines.
type answer struct {
	mu      sync.Mutex
	w       http.ResponseWriter
	r       *http.Request
	control *http.ResponseController
	stream  bool
	begun   bool
	ended   bool
	last    time.Time
}

func newAnswer(w http.ResponseWriter, r *http.Request, stream bool) *answer {
	return &answer{w: w, r: r, control: http.NewResponseController(w), stream: stream}
}

// every is how often progress is sent at most: four times a second.
const every = 250 * time.Millisecond

func (a *answer) progress(p wire.Progress) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.stream || a.ended || p.Note == "" && time.Since(a.last) < every {
		return
	}
	a.last = time.Now()
	a.line(wire.Line{Progress: &p})
}

// line writes one line; a failure means that the client is gone, which its context tells the action.
func (a *answer) line(l wire.Line) {
	if !a.begun {
		a.begun = true
		a.w.Header().Set("Content-Type", wire.StreamType)
		a.w.Header().Set("Cache-Control", "no-store")
		a.w.WriteHeader(http.StatusOK)
	}
	b, err := json.Marshal(l)
	if err != nil {
		b = []byte(`{"error":` + unencodable + `}`)
	}
	if _, err := a.w.Write(append(b, '\n')); err == nil {
		_ = a.control.Flush() // a client that is gone is told by its context
	}
}

// end writes what came of it. What was refused before the first line is a plain answer with its status.
func (a *answer) end(v any, err error, refused bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ended = true
	if !a.stream || refused && !a.begun {
		if err != nil {
			WriteProblem(a.w, err)
			return
		}
		writeJSON(a.w, http.StatusOK, jsonType, v)
		return
	}
	l := wire.Line{Error: wire.FromError(err)}
	if v != nil {
		b, merr := json.Marshal(v)
		if merr != nil && err == nil {
			l.Error = wire.FromError(merr)
		} else if merr == nil {
			l.Result = b
		}
	}
	if !l.Last() {
		l.Result = json.RawMessage("{}")
	}
	a.line(l)
}
