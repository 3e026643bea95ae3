package web

import (
	"context"
	"net"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"sallyport/internal/code"
)

// policy is the content security policy of every answer over TCP, word for word that of the design.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// hsts keeps browsers on HTTPS for a year. They heed it only where the certificate is trusted, and never for an address.
const hsts = "max-age=31536000"

// harden puts on every answer over TCP what keeps a browser from being used against us.
func harden(h http.Header, r *http.Request, host string) {
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	if Secure(r) && !loopbackName(host) && net.ParseIP(host) == nil { // localhost belongs to other programs too
		h.Set("Strict-Transport-Security", hsts)
	}
}

// hostOf is the name a client asked for: lower case, without port, brackets and final dot.
func hostOf(r *http.Request) string {
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// local answers on the socket.
func (s *Server) local(w http.ResponseWriter, r *http.Request) {
	switch {
	case isAPI(r.URL.Path):
		s.api.ServeHTTP(w, r)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		WriteProblem(w, code.New(code.Missing, "no such route"))
	case r.URL.Path == "/healthz":
		s.healthy(w)
	case r.URL.Path == "/readyz":
		s.ready(w, true)
	case r.URL.Path == "/metrics":
		s.o.Metrics.ServeHTTP(w, r)
	default:
		WriteProblem(w, code.New(code.Missing, "no such route"))
	}
}

// remote answers over TCP.
func (s *Server) remote(writer http.ResponseWriter, r *http.Request) {
	w := newPaced(writer, s.o.Limits.Write)
	defer w.begin() // what is still to be flushed has its time too
	defer s.caught(w, r)
	host := hostOf(r)
	harden(w.Header(), r, host)
	if r.Body != nil && r.Body != http.NoBody {
		r.Body = newBody(w, r, s.o.Limits)
	}
	key := neighbourhood(Remote(r))
	if wait := s.meter.take("a "+key, 1); wait > 0 {
		s.fail(w, r, tooMany(wait))
		return
	}
	switch {
	case !s.o.Hosts(host):
		s.fail(w, r, code.New(code.WrongHost, "").In(clip(host), ""))
	case r.Method == http.MethodConnect || r.Method == http.MethodTrace:
		w.Header().Set("Allow", "GET, HEAD, POST, PUT, DELETE")
		w.WriteHeader(http.StatusMethodNotAllowed)
	case isAPI(r.URL.Path):
		s.api.ServeHTTP(w, r)
	case s.plainPage(w, r):
	case s.o.Console == nil:
		s.fail(w, r, code.New(code.Missing, "no such route"))
	default:
		s.browser(w, r, key)
	}
}

// caught turns a panic of a handler into an answer; the log alone gets the stack.
func (s *Server) caught(w *paced, r *http.Request) {
	p := recover()
	if p == nil {
		return
	}
	if p == http.ErrAbortHandler {
		panic(p)
	}
	s.o.Log.Error("panic", "path", clip(r.URL.Path), "stack", string(debug.Stack()))
	if w.wrote {
		panic(http.ErrAbortHandler) // half an answer must not look like a whole one
	}
	s.fail(w, r, code.New(code.Bug, "panic: %v", p))
}

// plainPage answers what is neither API nor console, and tells whether it was that.
func (s *Server) plainPage(w http.ResponseWriter, r *http.Request) bool {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return false
	}
	switch r.URL.Path {
	case "/healthz":
		s.healthy(w)
	case "/readyz":
		s.ready(w, s.told(r, "status/show") == nil)
	case "/metrics":
		if err := s.told(r, "metrics/show"); Secure(r) && err != nil {
			WriteProblem(w, err)
			return true
		}
		s.o.Metrics.ServeHTTP(w, r)
	case "/ca.crt":
		s.authority(w, r)
	default:
		return false
	}
	return true
}

// told judges a program that asks for what stands outside of the table of actions.
func (s *Server) told(r *http.Request, action string) error {
	if r.Header.Get("Authorization") == "" {
		return code.New(code.TokenBad, "this wants a token")
	}
	who, err := s.bearer(r)
	if err != nil {
		return err
	}
	return s.o.Door.Allow(who, action, nil)
}

func (s *Server) authority(w http.ResponseWriter, r *http.Request) {
	var text []byte
	if s.o.CA != nil {
		text = s.o.CA()
	}
	if text == nil {
		s.fail(w, r, code.New(code.Missing, "there is no site CA: the certificate of the console was brought by its people"))
		return
	}
	w.Header().Set("Content-Type", "application/x-x509-ca-cert")
	Attachment(w, "sallyport-ca.crt")
	_, _ = w.Write(text)
}

func (s *Server) healthy(w http.ResponseWriter) {
	writeJSON(w, http.StatusOK, jsonType, map[string]any{"status": "Healthy"})
}

// ready says how it is; why is for those who may know.
func (s *Server) ready(w http.ResponseWriter, reasoned bool) {
	status, reasons := s.o.Health()
	body, httpStatus := map[string]any{"status": status}, http.StatusOK
	if reasoned && len(reasons) > 0 {
		body["reasons"] = reasons
	}
	if status == "Unhealthy" {
		httpStatus = http.StatusServiceUnavailable
	}
	writeJSON(w, httpStatus, jsonType, body)
}

// browser lets a request through to the console, with who asks in its context.
func (s *Server) browser(w http.ResponseWriter, r *http.Request, key string) {
	if err := s.cross.Check(r); err != nil {
		s.o.Log.Warn("audit", "actor", "nobody", "action", "console", "outcome", "refused", "remote", Remote(r), "code", string(code.CrossSite),
			"path", clip(r.URL.Path), "origin", clip(r.Header.Get("Origin")))
		s.fail(w, r, code.Wrap(code.CrossSite, err, ""))
		return
	}
	ctx := r.Context()
	if r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == http.MethodOptions {
		ctx = looking(ctx)
	}
	token := ""
	if !strings.HasPrefix(r.URL.Path, "/static/") {
		token = SessionToken(r)
	}
	if token != "" && s.o.Access != nil {
		who, err := s.o.Access.Session(ctx, token)
		switch code.Of(err) {
		case "":
			ctx = context.WithValue(ctx, actorKey{}, actorOf(who, ViaConsole, Remote(r)))
		case code.SessionOver:
		default:
			s.fail(w, r, err)
			return
		}
	}
	limit := s.o.Limits.Form
	if strings.HasPrefix(r.URL.Path, "/uploads") {
		limit = s.o.Limits.Upload
	}
	r.Body = http.MaxBytesReader(w, r.Body, limit)
	if follows(r.URL.Path) {
		s.follow(w, r.WithContext(ctx), key, token)
		return
	}
	s.o.Console.ServeHTTP(w, r.WithContext(ctx))
}

// follows tells whether a path is a stream of events.
func follows(path string) bool { return strings.HasSuffix(path, "/events") }

// follow serves a stream of events: counted apart, and ended when the session of who looks ends.
func (s *Server) follow(w http.ResponseWriter, r *http.Request, key, token string) {
	if !s.streams.enter(key) {
		s.fail(w, r, crowded())
		return
	}
	defer s.streams.leave(key)
	ctx, cancel := context.WithCancel(r.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.watch(ctx, cancel, token)
	}()
	defer func() {
		cancel()
		<-done
	}()
	s.o.Console.ServeHTTP(w, r.WithContext(ctx))
}

// watch ends a stream when its session is over; it goes when the stream goes.
func (s *Server) watch(ctx context.Context, cancel context.CancelFunc, token string) {
	if token == "" || s.o.Access == nil {
		return
	}
	t := time.NewTicker(s.o.Limits.Recheck)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			if _, err := s.o.Access.Peek(ctx, token); code.Of(err) == code.SessionOver {
				cancel()
				return
			}
		}
	}
}
