// Package console is the crossing in a browser: pages rendered here, for people who are signed in.
//
// Data: none that lasts. In memory: the sentence that stands on a session's next page once, and what the status strip shows,
// for a second. Everything else a page says it asks of the table of actions, through the door that decides and audits, as the
// person whose session it is.
//
//	request ─► route ─► session ─► may this role? ─► view: asks actions, gives a Page ─► rendered to a buffer ─► sent
//	                                                    └─► an error ─► one place makes a page of it
//
// Order: a GET changes nothing (the door refuses it too); a POST does one thing and answers with 303, or with 422 and the same
// form. Whatever is long is a job of the daemon: a page that is closed, loaded again or opened twice finds it as it is. A crash
// leaves nothing of the console but a person who is shown the same job when the daemon is back.
package console

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/marks"
	"sallyport/internal/upload"
	"sallyport/internal/web"
	"sallyport/internal/wire"
	"sallyport/ui/manual"
	"sallyport/ui/static"
)

// Deps is what the console works with. All fields are needed.
type Deps struct {
	Door   *web.Door
	Access *access.Desk
	Bells  Rings // rings when a job changes
	Log    *slog.Logger
	Manual *manual.Manual
	Site   wire.Appliance
	Now    func() marks.Reading
	Open   func(ctx context.Context, run, file string) (io.ReadSeekCloser, int64, error) // a file of a bundle on the shelf
	Upload *upload.Room
	Rhythm func() (every time.Duration, fixed bool) // how often a stick arrives; fixed: a file of the configuration says it
	Front  func() *wire.Console                     // how browsers reach this appliance; nil: not known
	People int                                      // who must say yes to an import: 0, 1, 2
}

// Console serves the pages. Safe for concurrent use.
type Console struct {
	Deps
	mux   *http.ServeMux
	live  *Live
	strip cache[wire.Status]
	media cache[wire.Media]

	mu   sync.Mutex
	said map[string][]string // session → sentences of its next page
}

// New makes it. Streams of events end with ctx; Close waits for them.
func New(ctx context.Context, d Deps) *Console {
	con := &Console{Deps: d, mux: http.NewServeMux(), live: NewLive(ctx, d.Bells, d.Log), said: map[string][]string{}}
	con.strip.life, con.media.life = time.Second, 3*time.Second
	con.mux.HandleFunc("GET "+static.Prefix, asset)
	for _, r := range Routes() {
		con.mux.Handle(r.Pattern, con.handler(r))
	}
	con.mux.Handle("/", con.handler(Route{Pattern: "/", Open: true, Run: missing}))
	return con
}

// ServeHTTP answers one request of a browser.
func (con *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) { con.mux.ServeHTTP(w, r) }

// Close waits for the streams of events, after the context of New has ended.
func (con *Console) Close() { con.live.Close() }

// asset serves a style sheet, a script or an icon. Its name has its digest, so it may be kept for ever.
func asset(w http.ResponseWriter, r *http.Request) {
	body, typ, ok := static.File(r.URL.Path[len(static.Prefix):])
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", typ)
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	_, _ = w.Write(body)
}

// cache keeps an answer that every page shows, for a moment.
type cache[T any] struct {
	mu   sync.Mutex
	life time.Duration
	at   time.Time
	v    T
}

// get gives what is kept, or asks anew. An error is not kept. now is a clock that never goes back.
func (k *cache[T]) get(now time.Time, ask func() (T, error)) (T, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.at.IsZero() && now.Sub(k.at) < k.life {
		return k.v, nil
	}
	v, err := ask()
	if err == nil {
		k.v, k.at = v, now
	}
	return v, err
}

// forget makes the next page look anew.
func (k *cache[T]) forget() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.at = time.Time{}
}

// maxSaid bounds how many sessions have a sentence waiting.
const maxSaid = 1000

// say keeps a sentence for the next page of a session.
func (con *Console) say(session, sentence string) {
	con.mu.Lock()
	defer con.mu.Unlock()
	if len(con.said) >= maxSaid {
		clear(con.said)
	}
	con.said[session] = append(con.said[session], sentence)
}

// heard gives the sentences that wait for a session, once.
func (con *Console) heard(session string) []string {
	con.mu.Lock()
	defer con.mu.Unlock()
	list := con.said[session]
	delete(con.said, session)
	return list
}
