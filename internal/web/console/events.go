package console

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"sallyport/internal/web"
	"sallyport/ui/kit"
)

// The times of a stream of events.
const (
	calm      = 250 * time.Millisecond // between two pictures of the same thing: four a second
	heartbeat = 15 * time.Second       // a line that says nothing, so that a dead connection is noticed
	patience  = 10 * time.Second       // that one client may take for one write
	linger    = 5 * time.Second        // that a picture is kept when nobody looks at it: pages that are loaded again
	comeBack  = 3 * time.Second        // when a browser connects again
)

// narrow is how many streams one session gets over HTTP/1.1, where a browser has six connections for everything.
const narrow = 4

// Rings tells that a job has something new; desk.Desk is one.
type Rings interface {
	Bell(id string) (rings <-chan struct{}, stop func())
}

// Fragment is one element of a page as it is now, by its id; or, instead, that the page is to be loaded again.
type Fragment struct {
	ID     string
	HTML   string
	Reload bool
}

// Topic is what a stream shows. All clients of one Name and Key share one picture.
type Topic struct {
	Name string
	Key  string        // who sees the same
	Job  string        // whose bell wakes it; "": every job's
	Beat time.Duration // looked at again so often without a bell; 0 is 15 seconds
}

// HTML renders a component.
func HTML(ctx context.Context, n kit.Node) (string, error) {
	var b bytes.Buffer
	if err := n.Render(ctx, &b); err != nil {
		return "", fmt.Errorf("render: %w", err)
	}
	return b.String(), nil
}

// Live sends the moving parts of pages to browsers that follow along. A topic has one goroutine that renders it, however many
// look; each client has its own, takes the latest picture when it is ready for it, and knows what it has shown. So a slow one
// delays nobody and loses only what is out of date. Safe for concurrent use.
type Live struct {
	ctx   context.Context
	rings Rings
	log   *slog.Logger
	stall time.Duration // that one client may take for one write
	work  sync.WaitGroup

	mu      sync.Mutex
	topics  map[[2]string]*topic
	narrows map[string][]*client // HTTP/1.1 streams by session and address, oldest first
}

// NewLive makes one; its streams end with ctx.
func NewLive(ctx context.Context, rings Rings, log *slog.Logger) *Live {
	return &Live{ctx: ctx, rings: rings, log: log, stall: patience, topics: map[[2]string]*topic{}, narrows: map[string][]*client{}}
}

// Close waits until everything has ended that the context of NewLive ends.
func (l *Live) Close() { l.work.Wait() }

// topic is one thing that is shown, and its latest picture.
type topic struct {
	what   Topic
	render func(context.Context) ([]Fragment, error)

	mu      sync.Mutex
	latest  []drawn
	err     error // the last picture could not be drawn
	version uint64
	clients map[*client]bool
	left    chan struct{} // gets a value when the last client has gone
}

// drawn is a fragment as it goes over the wire, and since which version of the picture it looks so.
type drawn struct {
	key     string // the id, "" for a reload
	line    []byte
	version uint64
}

// client is one browser that follows along.
type client struct {
	wake chan struct{} // the latest picture has changed
	away chan struct{} // closed: another stream needs its place
	seen uint64
}

// Serve answers one request with a stream. render is called for everybody who looks at the topic. It returns when the client
// has gone, its context ends (session over, daemon stops) or it cannot be served any more; an error only before the first byte.
func (l *Live) Serve(w http.ResponseWriter, r *http.Request, t Topic, render func(ctx context.Context) ([]Fragment, error)) error {
	c := &client{wake: make(chan struct{}, 1), away: make(chan struct{})}
	defer l.admit(r, c)()
	at, leave := l.join(t, c, render)
	defer leave()
	h := w.Header()
	h.Set("Content-Type", "text/event-stream; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	out := &stream{w: w, control: http.NewResponseController(w), stall: l.stall}
	if err := out.send(fmt.Appendf(nil, "retry: %d\n\n", comeBack.Milliseconds())); err != nil {
		return nil // gone already
	}
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for {
		select {
		case <-r.Context().Done():
			return nil
		case <-l.ctx.Done():
			return nil
		case <-c.away:
			return nil
		case <-beat.C:
			if out.send([]byte(": still here\n\n")) != nil {
				return nil
			}
		case <-c.wake:
			news, err := at.news(c)
			if len(news) > 0 && out.send(news) != nil || err != nil {
				return nil
			}
		}
	}
}

// stream writes to one client, and gives up on one that takes nothing.
type stream struct {
	w       io.Writer
	control *http.ResponseController
	stall   time.Duration
}

func (s *stream) send(b []byte) error {
	_ = s.control.SetWriteDeadline(time.Now().Add(s.stall)) // a server without deadlines has its own
	if _, err := s.w.Write(b); err != nil {
		return err
	}
	return s.control.Flush()
}

// news is what a client has not seen yet of the latest picture.
func (t *topic) news(c *client) (b []byte, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, d := range t.latest {
		if d.version > c.seen {
			b = append(b, d.line...)
		}
	}
	c.seen = t.version
	return b, t.err
}

// admit makes room for a stream over HTTP/1.1: the oldest of the same session ends and comes back by itself.
func (l *Live) admit(r *http.Request, c *client) (leave func()) {
	if r.ProtoMajor >= 2 {
		return func() {}
	}
	who, _ := web.Visitor(r)
	key := who.Session + " " + web.Remote(r)
	l.mu.Lock()
	defer l.mu.Unlock()
	list := append(l.narrows[key], c)
	if len(list) > narrow {
		close(list[0].away)
		list = list[1:]
	}
	l.narrows[key] = list
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		var rest []*client
		for _, o := range l.narrows[key] {
			if o != c {
				rest = append(rest, o)
			}
		}
		if l.narrows[key] = rest; len(rest) == 0 {
			delete(l.narrows, key)
		}
	}
}

// join adds a client to a topic, which begins with its first.
func (l *Live) join(what Topic, c *client, render func(context.Context) ([]Fragment, error)) (t *topic, leave func()) {
	key := [2]string{what.Name, what.Key}
	l.mu.Lock()
	defer l.mu.Unlock()
	t = l.topics[key]
	if t == nil {
		t = &topic{what: what, render: render, clients: map[*client]bool{}, left: make(chan struct{}, 1)}
		l.topics[key] = t
		l.work.Add(1)
		go func() {
			defer l.work.Done()
			l.draw(key, t)
		}()
	}
	t.mu.Lock()
	t.clients[c] = true
	if t.version > 0 {
		c.wake <- struct{}{}
	}
	t.mu.Unlock()
	return t, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if delete(t.clients, c); len(t.clients) > 0 {
			return
		}
		select {
		case t.left <- struct{}{}:
		default:
		}
	}
}

// draw renders a topic whenever its bell rings, at most four times a second, until nobody has looked at it for a while.
func (l *Live) draw(key [2]string, t *topic) {
	rings, stop := l.rings.Bell(t.what.Job)
	defer stop()
	every := t.what.Beat
	if every <= 0 {
		every = heartbeat
	}
	beat, idle := time.NewTicker(every), time.NewTimer(linger)
	defer beat.Stop()
	defer idle.Stop()
	for {
		t.update(l.ctx, l.log)
		if !pause(l.ctx, calm) {
			return
		}
		for waiting := true; waiting; {
			select {
			case <-l.ctx.Done():
				return
			case <-rings:
				waiting = false
			case <-beat.C:
				waiting = false
			case <-t.left:
				idle.Reset(linger)
			case <-idle.C:
				if l.forget(key, t) {
					return
				}
			}
		}
	}
}

// pause waits; false when ctx ended.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// forget takes a topic away that nobody looks at.
func (l *Live) forget(key [2]string, t *topic) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.clients) > 0 {
		return false
	}
	delete(l.topics, key)
	return true
}

// update draws the picture anew and wakes its clients when something in it has changed.
func (t *topic) update(ctx context.Context, log *slog.Logger) {
	frags, err := t.render(ctx)
	if err != nil && ctx.Err() == nil {
		log.Warn("a live page cannot be drawn", "topic", t.what.Name, "err", err.Error())
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	next, changed := make([]drawn, 0, len(frags)), t.version == 0 || err != nil
	for _, f := range frags {
		d := drawn{key: f.ID, line: f.line(), version: t.version + 1}
		for _, old := range t.latest {
			if old.key == d.key && bytes.Equal(old.line, d.line) {
				d.version = old.version
			}
		}
		changed = changed || d.version > t.version
		next = append(next, d)
	}
	if t.err = err; err == nil {
		t.latest = next
	}
	if !changed {
		return
	}
	t.version++
	for c := range t.clients {
		select {
		case c.wake <- struct{}{}:
		default: // it has not looked at the last one yet
		}
	}
}

// line is a fragment as a message: one line of data, whatever is in it.
func (f Fragment) line() []byte {
	v := any(map[string]string{"id": f.ID, "html": f.HTML})
	if f.Reload {
		v = map[string]bool{"reload": true}
	}
	b, err := json.Marshal(v)
	if err != nil {
		return nil // strings and booleans encode
	}
	return append(append([]byte("data: "), b...), "\n\n"...)
}
