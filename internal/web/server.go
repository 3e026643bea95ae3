// Package web is the door: the API on the unix socket, and console and API over HTTPS or plain loopback HTTP when configured.
//
// Data: none on disk. Routes on every face: POST /api/v1/<noun>/<verb> for each Action, a few with bodies of their own
// (Route), GET /api/v1/openapi.json, /healthz, /readyz, /metrics. Over TCP also GET /ca.crt, and the console under all else.
// In memory: how much each address and token asked for, and what is open from where.
//
// Order: who asks is found out first (the kernel on the socket, a bearer token on the API, the session's cookie in the
// console; never two of them on one route), then one choke point, Door.Do, judges, runs and writes the audit line, and one
// place renders the value or the error; a long action answers with a stream of lines (see wire). Before that a request over
// TCP has passed the name of the host, the meter of its address, and, in the console, the check that no other site sent it. A
// client that goes away cancels its action's context; an export run or a job goes on, because it belongs to its room.
// Nothing here opens a store, a crash leaves nothing.
package web

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/clock"
)

// Health answers /healthz and /readyz: reasons is why not Healthy.
type Health func() (status string, reasons []string)

// Access knows who a secret belongs to; access.Desk is one.
type Access interface {
	Session(ctx context.Context, token string) (access.Who, error) // and notes that somebody is there
	Peek(ctx context.Context, token string) (access.Who, error)    // without noting it
	Token(ctx context.Context, bearer, remote string) (access.Who, error)
	Linked(uid uint32) (access.Who, bool) // the account that a user of the operating system is joined to
}

// Options are what the door serves. Door, Metrics, Health and Log are needed.
type Options struct {
	Door    *Door
	Metrics http.Handler
	Health  Health
	Log     *slog.Logger
	Member  func(a Actor) access.Roles // of a user on the socket who is neither root nor the daemon's own; nil: none
	Access  Access                     // nil: nobody is let in over TCP
	Routes  []Route
	OpenAPI []byte // the description of the API

	Console http.Handler                                                        // nil: none
	Page    func(w http.ResponseWriter, r *http.Request, status int, err error) // an error as a page for people; nil: as the API has it
	Hosts   func(host string) bool                                              // is this name, lower case and without port, one of ours; nil: loopback alone
	CA      func() []byte                                                       // the site CA's certificate as PEM, nil when there is none
	Limits  Limits
	Clock   clock.Clock // nil: the system's
}

// Server serves one daemon on any number of listeners.
type Server struct {
	o       Options
	base    context.Context
	api     http.Handler
	cross   *http.CrossOriginProtection
	meter   *meter
	conns   *crowd
	streams *crowd

	mu      sync.Mutex
	servers []*http.Server
	closed  bool
}

// New makes a server; ctx is the base of all requests.
func New(ctx context.Context, o Options) *Server {
	o.Limits = o.Limits.fill()
	if o.Clock == nil {
		o.Clock = clock.System()
	}
	if o.Hosts == nil {
		o.Hosts = loopbackName
	}
	s := &Server{
		o: o, base: ctx, cross: http.NewCrossOriginProtection(),
		meter:   newMeter(o.Limits.Rate, o.Clock.Mono),
		conns:   newCrowd(o.Limits.Conns, o.Limits.ConnsEach),
		streams: newCrowd(o.Limits.Streams, o.Limits.StreamsEach),
	}
	s.api = s.routes()
	return s
}

// loopbackName tells whether a host is this machine as it calls itself.
func loopbackName(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Serve answers processes of this host on a unix socket until Close.
func (s *Server) Serve(l net.Listener) error {
	srv := s.server(http.HandlerFunc(s.local))
	srv.ConnContext = withActor
	return s.serve(srv, l, srv.Serve)
}

// ServePlain answers on loopback without TLS until Close.
func (s *Server) ServePlain(l net.Listener) error {
	srv := s.server(http.HandlerFunc(s.remote))
	return s.serve(srv, gate{l, s.conns}, srv.Serve)
}

// ServeTLS answers with the certificate that get gives, HTTP/2 and 1.1, TLS 1.2 and 1.3, until Close.
func (s *Server) ServeTLS(l net.Listener, get func(*tls.ClientHelloInfo) (*tls.Certificate, error)) error {
	srv := s.server(http.HandlerFunc(s.remote))
	srv.TLSConfig = &tls.Config{GetCertificate: get, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}}
	return s.serve(srv, gate{l, s.conns}, func(l net.Listener) error { return srv.ServeTLS(l, "", "") })
}

// maxHeaders bounds the headers of a request.
const maxHeaders = 64 << 10

func (s *Server) server(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: s.o.Limits.Header,
		IdleTimeout:       s.o.Limits.Idle,
		MaxHeaderBytes:    maxHeaders,
		BaseContext:       func(net.Listener) context.Context { return s.base },
		ErrorLog:          slog.NewLogLogger(s.o.Log.Handler(), slog.LevelDebug),
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: 250, SendPingTimeout: 30 * time.Second, PingTimeout: 15 * time.Second, WriteByteTimeout: s.o.Limits.Write},
	}
}

func (s *Server) serve(srv *http.Server, l net.Listener, run func(net.Listener) error) error {
	s.mu.Lock()
	closed := s.closed
	s.servers = append(s.servers, srv)
	s.mu.Unlock()
	if closed {
		return l.Close()
	}
	if err := run(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve %s: %w", l.Addr(), err)
	}
	return nil
}

// Close waits for what runs, at most until ctx ends.
func (s *Server) Close(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	servers := s.servers
	s.mu.Unlock()
	errs := make([]error, len(servers))
	var all sync.WaitGroup
	for i, srv := range servers {
		all.Go(func() {
			if srv.Shutdown(ctx) != nil {
				errs[i] = srv.Close()
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}
