// Package web is the HTTP door: the API on the unix socket, and on loopback TCP when configured.
//
// Data: none. Routes: POST /api/v1/<noun>/<verb> for each Action, and GET /healthz, /readyz, /metrics.
//
// Order: one choke point reads the body, asks allow, runs the action and renders its value or error; a long action answers
// with a stream of lines (see wire). A client that goes away cancels its action's context; an export run goes on, because it
// belongs to its room. Nothing here opens a store, a crash leaves nothing.
package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"sallyport/internal/code"
	"sallyport/internal/wire"
)

// maxBody is the largest request: file names and flags, never files.
const maxBody = 1 << 20

// Action is one verb of the product.
type Action struct {
	Name string // "feeds/list"
	Long bool   // answers with a stream of lines
	Run  func(ctx context.Context, c *Call) (any, error)
}

// Call is one request of an action.
type Call struct {
	Actor    Actor
	body     []byte
	progress func(wire.Progress)
}

// NewCall makes a call for tests and for actions that run others. body is the request's JSON.
func NewCall(a Actor, body []byte, progress func(wire.Progress)) *Call {
	if progress == nil {
		progress = func(wire.Progress) {}
	}
	return &Call{Actor: a, body: body, progress: progress}
}

// Decode reads the request; unknown members are refused.
func (c *Call) Decode(into any) error {
	if len(c.body) == 0 {
		return nil
	}
	dec := json.NewDecoder(bytes.NewReader(c.body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return code.Wrap(code.BadUsage, err, "the request does not decode")
	}
	return nil
}

// Progress reports how far a long action is, at most four times a second; a Note is never dropped. Safe for concurrent
// use; in a short action it does nothing.
func (c *Call) Progress(p wire.Progress) { c.progress(p) }

// Health answers /healthz and /readyz: reasons is why not Healthy.
type Health func() (status string, reasons []string)

// Options are what the door serves.
type Options struct {
	Actions []Action
	Metrics http.Handler
	Health  Health
	Member  func(a Actor) bool // may this user use the socket, besides root and the daemon's own user; nil: nobody else
	Log     *slog.Logger
}

// Server serves one daemon on any number of listeners.
type Server struct {
	http *http.Server
	log  *slog.Logger
}

// New makes a server; ctx is the base of all requests.
func New(ctx context.Context, o Options) *Server {
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.IPExtractor = echo.ExtractIPDirect()
	e.HTTPErrorHandler = func(err error, c echo.Context) { render(c.Response(), routeError(err)) }
	e.GET("/healthz", echo.WrapHandler(health(o.Health, false)))
	e.GET("/readyz", echo.WrapHandler(health(o.Health, true)))
	e.GET("/metrics", echo.WrapHandler(o.Metrics))
	for _, a := range o.Actions {
		e.POST(wire.Prefix+a.Name, echo.WrapHandler(o.handler(a)))
	}
	return &Server{log: o.Log, http: &http.Server{
		Handler:           e,
		ReadHeaderTimeout: 5 * time.Second,
		MaxHeaderBytes:    64 << 10,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ConnContext:       withActor,
		ErrorLog:          slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug),
	}}
}

// Serve answers on l until Close.
func (s *Server) Serve(l net.Listener) error {
	if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve %s: %w", l.Addr(), err)
	}
	return nil
}

// Close waits for what runs, at most until ctx ends.
func (s *Server) Close(ctx context.Context) error {
	if err := s.http.Shutdown(ctx); err != nil {
		return s.http.Close()
	}
	return nil
}

func routeError(err error) error {
	var he *echo.HTTPError
	if errors.As(err, &he) {
		return code.New(code.Missing, "no such route")
	}
	return err
}

func health(h Health, strict bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		status, reasons := h()
		body := map[string]any{"status": "Healthy"}
		httpStatus := http.StatusOK
		if strict {
			body["status"] = status
			if len(reasons) > 0 {
				body["reasons"] = reasons
			}
			if status == "Unhealthy" {
				httpStatus = http.StatusServiceUnavailable
			}
		}
		writeJSON(w, httpStatus, body)
	})
}

func (o Options) handler(a Action) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		actor, err := o.allow(r.Context())
		if err != nil {
			render(w, err)
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil {
			render(w, code.Wrap(code.BadUsage, err, "a request has at most %d bytes", maxBody))
			return
		}
		out := &answer{w: w, control: http.NewResponseController(w), stream: a.Long}
		v, err := o.run(r.Context(), a, &Call{Actor: actor, body: body, progress: out.progress})
		out.end(v, err)
		if err != nil {
			o.Log.Info("action failed", "action", a.Name, "actor", actor.Name(), "code", string(code.Of(err)), "error", err.Error())
		}
	})
}

// run turns a panic of an action into an error: one bad request must not end the daemon. The log alone gets the stack.
func (o Options) run(ctx context.Context, a Action, c *Call) (v any, err error) {
	defer func() {
		if p := recover(); p != nil {
			o.Log.Error("panic", "action", a.Name, "stack", string(debug.Stack()))
			err = code.New(code.Bug, "%s: panic: %v", a.Name, p)
		}
	}()
	return a.Run(ctx, c)
}

// allow is the one place that decides who may do what.
func (o Options) allow(ctx context.Context) (Actor, error) {
	actor, ok := ctx.Value(actorKey{}).(Actor)
	if !ok {
		return Actor{}, code.New(code.Denied, "the API answers on the unix socket alone")
	}
	if !actor.Admin && (o.Member == nil || !o.Member(actor)) {
		return actor, code.New(code.Denied, "user %d may not use this socket", actor.UID).
			Do("Ask for membership in a group of socket.groups.")
	}
	return actor, nil
}

// answer is one response: a single value, or lines.
type answer struct {
	mu      sync.Mutex
	w       http.ResponseWriter
	control *http.ResponseController
	stream  bool
	begun   bool
	ended   bool
	last    time.Time
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
		b = []byte(`{"error":{"code":"unexpected","message":"the answer does not encode","next":"Look at the log.","exit":1}}`)
	}
	if _, err := a.w.Write(append(b, '\n')); err == nil {
		_ = a.control.Flush() // a client that is gone is told by its context
	}
}

func (a *answer) end(v any, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ended = true
	if !a.stream {
		if err != nil {
			render(a.w, err)
			return
		}
		writeJSON(a.w, http.StatusOK, v)
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

// render writes an error with its status.
func render(w http.ResponseWriter, err error) {
	e := wire.FromError(err)
	writeJSON(w, code.Lookup(code.Code(e.Code)).Status(), wire.Failure{Error: e})
}

// writeJSON encodes first, so that a failure is a whole answer too.
func writeJSON(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		status, b = http.StatusInternalServerError, []byte(`{"error":{"code":"unexpected","message":"the answer does not encode","next":"Look at the log.","exit":1}}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n'))
}
