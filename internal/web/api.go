package web

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"sallyport/internal/access"
	"sallyport/internal/code"
	"sallyport/internal/wire"
)

// maxBody is the largest request of an action: file names and flags, never files.
const maxBody = 1 << 20

// Route is an address of the API whose body is not one JSON object.
type Route struct {
	Method string // "PUT"
	Path   string // below /api/v1/: "uploads/:id/chunks/:index"
	Action string // whose row says who may
	Body   int64  // most bytes of a request; 0 is Limits.Upload
	Serve  func(w http.ResponseWriter, r *http.Request, who Actor, param func(string) string) error
}

// isAPI tells a path of the API from one of the console.
func isAPI(path string) bool { return path == "/api" || strings.HasPrefix(path, "/api/") }

// routes are those of the API, the same on every face.
func (s *Server) routes() http.Handler {
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.IPExtractor = echo.ExtractIPDirect()
	e.HTTPErrorHandler = func(err error, c echo.Context) { WriteProblem(c.Response(), routeError(err)) }
	e.GET(wire.Prefix+"openapi.json", s.openAPI)
	for _, a := range s.o.Door.Actions() {
		e.POST(wire.Prefix+a.Name, s.action(a))
	}
	for _, r := range s.o.Routes {
		e.Add(r.Method, wire.Prefix+r.Path, s.route(r))
	}
	return e
}

func routeError(err error) error {
	var he *echo.HTTPError
	if errors.As(err, &he) {
		return code.New(code.Missing, "no such route")
	}
	return err
}

func (s *Server) openAPI(c echo.Context) error {
	if s.o.OpenAPI == nil {
		return code.New(code.Missing, "no such route")
	}
	c.Response().Header().Set("Cache-Control", "no-store")
	return c.Blob(http.StatusOK, jsonType, s.o.OpenAPI)
}

// action serves one row of the table.
func (s *Server) action(a Action) echo.HandlerFunc {
	return func(c echo.Context) error {
		w, r := http.ResponseWriter(c.Response()), c.Request()
		who, err := s.who(r)
		if err != nil {
			return err
		}
		if a.Long && who.Via != ViaSocket {
			key := neighbourhood(who.Remote)
			if !s.streams.enter(key) {
				return crowded()
			}
			defer s.streams.leave(key)
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, s.o.Limits.API))
		if err != nil {
			return bodyError(err)
		}
		out := newAnswer(w, r, a.Long)
		v, err := s.o.Door.Do(r.Context(), who, a.Name, body, out.progress)
		out.end(v, err, v == nil && refusal(err))
		return nil
	}
}

// route serves one of the few others.
func (s *Server) route(o Route) echo.HandlerFunc {
	limit := o.Body
	if limit == 0 {
		limit = s.o.Limits.Upload
	}
	return func(c echo.Context) error {
		r := c.Request()
		who, err := s.who(r)
		if err == nil {
			err = s.o.Door.Allow(who, o.Action, nil)
		}
		if err != nil {
			return err
		}
		r.Body = http.MaxBytesReader(c.Response(), r.Body, limit)
		return o.Serve(c.Response(), r, who, c.Param)
	}
}

// who finds out who asks: the kernel's word on the socket, a token everywhere else. A cookie counts for nothing here.
func (s *Server) who(r *http.Request) (Actor, error) {
	if a, ok := r.Context().Value(actorKey{}).(Actor); ok && a.Via == ViaSocket {
		return s.user(a)
	}
	return s.bearer(r)
}

// user is somebody on the socket with the roles of the moment. Rights go by the user that a process runs as, the person by who
// signed in: behind sudo these are two.
func (s *Server) user(a Actor) (Actor, error) {
	switch {
	case a.Admin:
		a.Roles = access.Of(access.Admin)
	case s.o.Member != nil:
		a.Roles = s.o.Member(a)
	}
	if s.o.Access != nil && !a.Lone {
		if who, ok := s.o.Access.Linked(a.Login); ok {
			a.Account, a.Person = who.Account, who.Person
			switch { // an account that is over gives no role, and takes those of a group
			case a.Admin || a.UID != a.Login:
			case who.Roles == 0:
				a.Roles = 0
			default:
				a.Roles |= who.Roles
			}
		}
	}
	if a.Roles == 0 {
		return a, code.New(code.Denied, "user %d may not use this socket", a.UID).
			Do("Ask for membership in a group of socket.groups.")
	}
	return a, nil
}

// bearer is a program that shows a token.
func (s *Server) bearer(r *http.Request) (Actor, error) {
	kind, secret, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if s.o.Access == nil || !strings.EqualFold(kind, "Bearer") || secret == "" || len(secret) > maxToken || len(r.Header.Values("Authorization")) != 1 {
		return Actor{}, code.New(code.TokenBad, "the API over the network wants a token").
			Do("Send it as Authorization: Bearer sp_…; an admin makes one with sallyport tokens create.")
	}
	remote := Remote(r)
	who, err := s.o.Access.Token(r.Context(), secret, remote)
	if err != nil {
		s.meter.spend("a "+neighbourhood(remote), badToken)
		return Actor{}, fmt.Errorf("token: %w", err)
	}
	if wait := s.meter.take("t "+who.Session, 1); wait > 0 {
		return Actor{}, tooMany(wait)
	}
	return actorOf(who, ViaToken, remote), nil
}

// badToken is for how many requests a wrong token counts.
const badToken = 20
