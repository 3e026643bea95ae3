package web

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"sallyport/internal/access"
	"sallyport/internal/code"
)

// fake knows one session and one token.
type fake struct {
	over    atomic.Bool // the session has ended
	broken  atomic.Bool // nothing can be looked up
	touched atomic.Int64
}

const goodSession, goodToken = "the-session", "sp_the-token"

func (f *fake) Session(ctx context.Context, token string) (access.Who, error) {
	f.touched.Add(1)
	return f.Peek(ctx, token)
}

func (f *fake) Peek(_ context.Context, token string) (access.Who, error) {
	switch {
	case f.broken.Load():
		return access.Who{}, errors.New("the state does not answer")
	case token != goodSession || f.over.Load():
		return access.Who{}, code.New(code.SessionOver, "")
	}
	return access.Who{Account: "anna", Person: "anna", Roles: access.Of(access.Operator), Session: "s-1"}, nil
}

func (f *fake) Token(_ context.Context, bearer, _ string) (access.Who, error) {
	if bearer != goodToken {
		return access.Who{}, code.New(code.TokenBad, "")
	}
	return access.Who{Person: "robot", Roles: access.Of(access.Operator), Scopes: []string{"thing:read", "thing:do"}, Session: "t-1"}, nil
}

func (f *fake) Linked(uint32) (access.Who, bool) { return access.Who{}, false }

// actions are a read, a change, one for admins, one that no token may and one that needs a proof.
func actions(did *atomic.Int64) []Action {
	row := func(name, scope string, roles access.Roles) Action {
		return Row(name, "", roles, scope, func(_ context.Context, _ *Call, q echoed) (echoed, error) {
			did.Add(1)
			if q.Word == "panic" {
				panic("on request")
			}
			return q, nil
		})
	}
	op := access.Of(access.Operator, access.Admin)
	return []Action{
		row("thing/show", "thing:read", op), row("thing/do", "thing:do", op).Changes(), row("thing/rule", "thing:do", access.Of(access.Admin)).Changes(),
		row("thing/people", "", op).Changes(), row("thing/proven", "x", op).Changes().Proves(), row("thing/other", "other:do", op).Changes(),
		row("status/show", "thing:read", op), row("metrics/show", "thing:read", op), row("thing/stream", "thing:do", op).Changes().Streams(),
	}
}

// site is a server with a console that says who is there.
type site struct {
	*served
	access  *fake
	did     *atomic.Int64
	door    *Door
	log     *lines
	reached *atomic.Int64
	refused []string // what Door.Refused heard; requests come one after the other
}

// lines is a log that tests read.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) all(t *testing.T) (out []map[string]any) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range strings.Split(strings.TrimSpace(l.b.String()), "\n") {
		var v map[string]any
		if line == "" {
			continue
		}
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Fatal(err)
		}
		out = append(out, v)
	}
	return out
}

func newSite(t *testing.T, l Limits, more func(mux *http.ServeMux, s *site)) *site {
	t.Helper()
	s := &site{access: &fake{}, did: &atomic.Int64{}, reached: &atomic.Int64{}, log: &lines{}}
	log := slog.New(slog.NewJSONHandler(s.log, nil))
	s.door = NewDoor(DoorOptions{Actions: actions(s.did), Log: log, Refused: func(_ context.Context, account, what, remote string) {
		s.refused = append(s.refused, account+" "+what+" "+remote)
	}})
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.reached.Add(1)
		who, ok := Visitor(r)
		if !ok {
			who.Account = "nobody"
		}
		b, err := io.ReadAll(r.Body)
		if err = bodyError(err); err != nil {
			WriteProblem(w, err)
			return
		}
		fmt.Fprintf(w, "%v %s %s %d", ok, who.Name(), Remote(r), len(b))
	})
	mux.HandleFunc("/do", func(w http.ResponseWriter, r *http.Request) {
		who, _ := Visitor(r)
		v, err := s.door.Do(r.Context(), who, "thing/do", echoed{"x"}, nil)
		if err != nil {
			WriteProblem(w, err)
			return
		}
		fmt.Fprint(w, v)
	})
	mux.HandleFunc("/panic", func(http.ResponseWriter, *http.Request) { panic("on request") })
	if more != nil {
		more(mux, s)
	}
	s.served = serve(t, Options{
		Door: s.door, Log: log, Access: s.access, Console: mux, Limits: l,
		Health:  func() (string, []string) { return "Degraded", []string{"the disk of a stranger's interest"} },
		Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "secrets_total 7") }),
		Hosts:   func(h string) bool { return h == "site.lan" || loopbackName(h) },
		Page: func(w http.ResponseWriter, _ *http.Request, status int, err error) {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(status)
			fmt.Fprintf(w, "<p>page about %s", code.Of(err))
		},
	})
	return s
}

// browser is a client over TLS; a new connection each.
func (s *site) browser(t *testing.T) *http.Client {
	t.Helper()
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.pool, ServerName: "127.0.0.1"}, ForceAttemptHTTP2: true}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// ask sends one request; headers are name, value, name, value; Host is one of them.
func (s *site) ask(t *testing.T, c *http.Client, method, path, body string, headers ...string) (res *http.Response, text string) {
	t.Helper()
	req, err := http.NewRequest(method, "https://"+s.tls+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			req.Host = headers[i+1]
			continue
		}
		req.Header.Add(headers[i], headers[i+1])
	}
	res, err = c.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(b)
}
