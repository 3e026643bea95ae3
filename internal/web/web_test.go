package web

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/cert"
	"sallyport/internal/client"
	"sallyport/internal/code"
	"sallyport/internal/marks"
	"sallyport/internal/wire"
)

type echoed struct {
	Word string `json:"word"`
}

// any5 is every role, for actions whose roles are not the point.
func any5() access.Roles { return access.Of(access.All()...) }

// open serves some actions on a unix socket and on TCP.
func open(t *testing.T, actions ...Action) (c *client.Client, tcp string) {
	t.Helper()
	for i := range actions {
		if actions[i].Roles == 0 {
			actions[i].Roles = any5()
		}
	}
	s := serve(t, Options{
		Door: NewDoor(DoorOptions{Actions: actions, Log: slog.New(slog.DiscardHandler)}), Metrics: http.NotFoundHandler(), Log: slog.New(slog.DiscardHandler),
		Health: func() (string, []string) { return "Degraded", []string{"disk"} },
	})
	return client.New(s.socket), s.plain
}

// served is a server on all its faces.
type served struct {
	*Server
	socket string
	plain  string // host:port
	tls    string // host:port
	pool   *x509.CertPool
}

// serve starts a server on a unix socket, on plain loopback and on TLS, and stops it when the test ends.
func serve(t *testing.T, o Options) *served {
	t.Helper()
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Metrics == nil {
		o.Metrics = http.NotFoundHandler()
	}
	if o.Health == nil {
		o.Health = func() (string, []string) { return "Healthy", nil }
	}
	now := marks.Reading{Wall: time.Now(), Trusted: time.Now()}
	keep, err := cert.Open(cert.Options{Dir: t.TempDir(), Random: rand.Reader, Label: "test", Asked: []string{"localhost", "127.0.0.1", "site.lan"}}, now)
	if err != nil {
		t.Fatal(err)
	}
	if o.CA == nil {
		o.CA = keep.CA
	}
	ctx, cancel := context.WithCancel(context.Background())
	out := &served{Server: New(ctx, o), socket: filepath.Join(t.TempDir(), "s"), pool: x509.NewCertPool()}
	out.pool.AppendCertsFromPEM(keep.CA())
	unix, plain, secure := listen(t, "unix", out.socket), listen(t, "tcp", "127.0.0.1:0"), listen(t, "tcp", "127.0.0.1:0")
	out.plain, out.tls = plain.Addr().String(), secure.Addr().String()
	done := make(chan error, 3)
	go func() { done <- out.Serve(unix) }()
	go func() { done <- out.ServePlain(plain) }()
	go func() { done <- out.ServeTLS(secure, keep.Get) }()
	t.Cleanup(func() {
		cancel()
		if err := out.Close(context.Background()); err != nil {
			t.Error(err)
		}
		for range 3 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	})
	return out
}

func listen(t *testing.T, network, address string) net.Listener {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestActions(t *testing.T) {
	long := Action{Name: "long/run", Long: true, Run: func(_ context.Context, c *Call) (any, error) {
		for _, n := range []string{"one", "two"} {
			c.Progress(wire.Progress{Stage: "count", Note: n})
		}
		return echoed{"found"}, code.New(code.Rollback, "too old").In("stick", "line 3").Want("2", 1)
	}}
	short := Action{Name: "short/run", Run: func(_ context.Context, c *Call) (any, error) {
		var q echoed
		if err := c.Decode(&q); err != nil {
			return nil, err
		}
		if q.Word == "panic" {
			panic("on request")
		}
		return q, nil
	}}
	c, tcp := open(t, long, short)
	ctx := context.Background()

	var out echoed
	if err := c.Call(ctx, "short/run", echoed{"hello"}, &out); err != nil || out.Word != "hello" {
		t.Errorf("%+v %v", out, err)
	}
	for _, bad := range []struct {
		in   any
		want code.Code
	}{{map[string]int{"other": 1}, code.BadUsage}, {echoed{"panic"}, code.Bug}, {echoed{strings.Repeat("x", maxBody)}, code.TooLarge}} {
		if err := c.Call(ctx, "short/run", bad.in, nil); code.Of(err) != bad.want {
			t.Errorf("%.40v: %v", bad.in, err)
		}
	}
	if err := c.Call(ctx, "no/such", nil, nil); code.Of(err) != code.Missing {
		t.Errorf("unknown action: %v", err)
	}

	var notes []string
	out = echoed{}
	err := c.Stream(ctx, "long/run", nil, func(p wire.Progress) { notes = append(notes, p.Note) }, &out)
	if code.Of(err) != code.Rollback || out.Word != "found" || strings.Join(notes, " ") != "one two" {
		t.Errorf("stream: %v %+v %q", err, out, notes)
	}
	if e := wire.FromError(err); e.File != "stick" || e.Place != "line 3" || e.Expected != "2" || e.Got != "1" || e.Message != "too old" || e.Exit != 8 {
		t.Errorf("the error lost something: %+v", e)
	}

	// nobody without the kernel's word gets in
	res, err := http.Post("http://"+tcp+wire.Prefix+"short/run", "application/json", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var f wire.Failure
	if err := json.NewDecoder(bufio.NewReader(res.Body)).Decode(&f); err != nil || f.Error == nil || f.Error.Code != string(code.TokenBad) {
		t.Errorf("tcp: %v %+v", err, f)
	}
}

func TestHealth(t *testing.T) {
	c, _ := open(t)
	for path, want := range map[string]string{"/healthz": `{"status":"Healthy"}`, "/readyz": `{"reasons":["disk"],"status":"Degraded"}`} {
		status, body, err := c.Get(context.Background(), path)
		if err != nil || status != 200 || strings.TrimSpace(string(body)) != want {
			t.Errorf("%s: %d %s %v", path, status, body, err)
		}
	}
}

func TestActorName(t *testing.T) {
	if got := (Actor{Login: 4_000_000_123}).Name(); got != "uid:4000000123" {
		t.Errorf("unknown user is %q", got)
	}
}

// A caller that goes away takes its action with it.
func TestGoneCaller(t *testing.T) {
	began, ended := make(chan struct{}), make(chan struct{})
	c, _ := open(t, Action{Name: "wait/run", Long: true, Run: func(ctx context.Context, _ *Call) (any, error) {
		close(began)
		<-ctx.Done()
		close(ended)
		return nil, context.Cause(ctx)
	}})
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		<-began
		cancel()
	}()
	if err := c.Stream(ctx, "wait/run", nil, nil, nil); code.Of(err) != code.Interrupted {
		t.Errorf("%v", err)
	}
	<-ended
}
