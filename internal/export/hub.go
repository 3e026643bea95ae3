package export

import (
	"context"
	"sync"
	"time"

	"sallyport/internal/clock"
)

// quiet is the shortest time between two progress snapshots of a run.
const quiet = 250 * time.Millisecond

// hub keeps the latest progress of each run in work and tells who watches. A slow watcher misses snapshots, never the
// last state, and delays nobody.
type hub struct {
	clock clock.Clock
	mu    sync.Mutex
	last  map[string]*pace
	subs  map[string]map[chan Run]bool
	gone  chan struct{} // closed with the room: nobody waits for a reader that has left
	once  sync.Once
}

type pace struct {
	progress Progress
	began    time.Duration // of the stage
	told     time.Duration
}

func newHub(c clock.Clock) *hub {
	return &hub{clock: c, last: map[string]*pace{}, subs: map[string]map[chan Run]bool{}, gone: make(chan struct{})}
}

// progress notes how far a run is and tells its watchers at most four times a second; a new stage is told at once.
func (h *hub) progress(run Run, p Progress) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.clock.Mono()
	s := h.last[run.ID]
	if s == nil || s.progress.Stage != p.Stage {
		s = &pace{began: now, told: now - quiet}
		h.last[run.ID] = s
	}
	if p.TotalBytes > 0 {
		p.Percent = int(100 * min(p.Bytes, p.TotalBytes) / p.TotalBytes)
	}
	if spent := now - s.began; spent >= time.Second && p.Bytes > 0 {
		p.Rate = int64(float64(p.Bytes) / spent.Seconds())
		if p.Rate > 0 && p.TotalBytes > p.Bytes {
			p.ETA = (p.TotalBytes - p.Bytes) / p.Rate
		}
	}
	s.progress = p
	if now-s.told < quiet {
		return
	}
	s.told = now
	run.Progress = &p
	h.send(run)
}

// moved tells a state, and forgets the progress and closes the watchers when it is the last one.
func (h *hub) moved(run Run) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !run.State.Final() {
		h.send(run)
		return
	}
	delete(h.last, run.ID)
	h.send(run)
	for c := range h.subs[run.ID] {
		close(c)
	}
	delete(h.subs, run.ID)
}

// send replaces what a watcher has not taken yet. The caller holds mu.
func (h *hub) send(run Run) {
	for c := range h.subs[run.ID] {
		select {
		case <-c:
		default:
		}
		c <- run
	}
}

// decorate adds the latest progress.
func (h *hub) decorate(run Run) Run {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s := h.last[run.ID]; s != nil {
		p := s.progress
		run.Progress = &p
	}
	return run
}

func (h *hub) subscribe(id string) chan Run {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := make(chan Run, 1)
	if h.subs[id] == nil {
		h.subs[id] = map[chan Run]bool{}
	}
	h.subs[id][c] = true
	return c
}

// leave ends a subscription that moved has not ended already.
func (h *hub) leave(id string, c chan Run) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.subs[id][c] {
		delete(h.subs[id], c)
		close(c)
	}
}

// Watch subscribes to a run: its present state at once, then every new state and, at most four times a second, progress.
// The channel is closed after the last state, when ctx ends, or when the room closes; whoever reads slowly misses the rest then.
func (r *Room) Watch(ctx context.Context, id string) (<-chan Run, error) {
	c := r.hub.subscribe(id)
	run, err := r.Show(ctx, id)
	if err != nil {
		r.hub.leave(id, c)
		return nil, err
	}
	out := make(chan Run, 1)
	r.done.Add(1)
	go func() {
		defer r.done.Done()
		defer close(out)
		defer r.hub.leave(id, c)
		for {
			select {
			case out <- run: // with room in it also when the room closes
			default:
				select {
				case out <- run:
				case <-ctx.Done():
					return
				case <-r.hub.gone:
					return
				}
			}
			if run.State.Final() {
				return
			}
			select {
			case next, ok := <-c:
				if !ok {
					return
				}
				run = next
			case <-ctx.Done():
				return
			}
		}
	}()
	return out, nil
}

// close ends every subscription.
func (h *hub) close() {
	h.once.Do(func() { close(h.gone) })
	h.mu.Lock()
	defer h.mu.Unlock()
	for id, subs := range h.subs {
		for c := range subs {
			close(c)
		}
		delete(h.subs, id)
	}
}
