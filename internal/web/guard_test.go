package web

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/client"
	"sallyport/internal/code"
	"sallyport/internal/wire"
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

func TestHeaders(t *testing.T) {
	s := newSite(t, Limits{}, nil)
	want := map[string]string{
		"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
		"X-Content-Type-Options":  "nosniff", "Referrer-Policy": "no-referrer", "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin",
		"Cache-Control": "no-store",
	}
	c := s.browser(t)
	for _, path := range []string{"/", "/healthz", "/ca.crt", "/api/v1/thing/show", "/no/such", "/panic"} {
		res, _ := s.ask(t, c, "GET", path, "", "Host", "site.lan")
		for name, value := range want {
			if res.Header.Get(name) != value {
				t.Errorf("%s: %s is %q", path, name, res.Header.Get(name))
			}
		}
		if res.Header.Get("Strict-Transport-Security") == "" || res.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: %v", path, res.Header)
		}
	}
	if res, _ := s.ask(t, c, "GET", "/", "", "Host", "127.0.0.1"); res.Header.Get("Strict-Transport-Security") != "" || res.ProtoMajor != 2 {
		t.Errorf("an address has no HSTS, and browsers speak HTTP/2: %s %v", res.Proto, res.Header)
	}
	res, err := http.Get("http://" + s.plain + "/")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.Header.Get("Strict-Transport-Security") != "" || res.Header.Get("Content-Security-Policy") == "" {
		t.Errorf("plain: %v", res.Header)
	}
}

// Section K: each request and what comes of it.
func TestHostileRequests(t *testing.T) {
	s := newSite(t, Limits{}, nil)
	cookie, bearer := []string{"Cookie", secureCookie + "=" + goodSession}, []string{"Authorization", "Bearer " + goodToken}
	own := "https://" + s.tls
	const reached, refused = 200, 403
	for _, c := range []struct {
		name, method, path string
		headers            []string
		status             int
		want               string // in the answer
	}{
		{"a page", "GET", "/", cookie, reached, "true anna 127.0.0.1"},
		{"nobody", "GET", "/", nil, reached, "false nobody"},

		{"cross-site POST", "POST", "/do", append(cookie, "Sec-Fetch-Site", "cross-site"), refused, "page about cross-site"},
		{"POST of a sibling host", "POST", "/do", append(cookie, "Sec-Fetch-Site", "same-site"), refused, "cross-site"},
		{"no Sec-Fetch, foreign Origin", "POST", "/do", append(cookie, "Origin", "https://evil.example"), refused, "cross-site"},
		{"no Sec-Fetch, own name on another port", "POST", "/do", append(cookie, "Origin", "https://127.0.0.1:1"), refused, "cross-site"},
		{"Origin null", "POST", "/do", append(cookie, "Origin", "null"), refused, "cross-site"},
		{"cross-site PUT", "PUT", "/uploads/1", append(cookie, "Sec-Fetch-Site", "cross-site"), refused, "cross-site"},
		{"own POST", "POST", "/do", append(cookie, "Sec-Fetch-Site", "same-origin", "Origin", own), reached, "x"},
		{"own POST of an old browser", "POST", "/do", append(cookie, "Origin", own), reached, "x"},
		{"own POST of a program", "POST", "/do", cookie, reached, "x"},

		{"GET that changes", "GET", "/do", cookie, refused, "changes nothing"},
		{"HEAD that changes", "HEAD", "/do", cookie, refused, ""},
		{"GET that changes, method overridden", "GET", "/do", append(cookie, "X-HTTP-Method-Override", "POST"), refused, "changes nothing"},

		{"rebinding", "GET", "/", append(cookie, "Host", "evil.example"), 421, "page about wrong-host"},
		{"rebinding with our port", "POST", "/do", append(cookie, "Host", "evil.example:8443"), 421, "wrong-host"},
		{"rebinding the API", "POST", "/api/v1/thing/show", append(bearer, "Host", "evil.example"), 421, `"wrong-host"`},
		{"our name in capitals, with a dot", "GET", "/", append(cookie, "Host", "SITE.lan.:8443"), reached, "true"},
		{"a name that begins with ours", "GET", "/", append(cookie, "Host", "site.lan.evil.example"), 421, "wrong-host"},

		{"forged addresses", "GET", "/", append(cookie, "X-Forwarded-For", "10.9.9.9", "X-Real-IP", "10.9.9.9", "Forwarded", "for=10.9.9.9"), reached, "anna 127.0.0.1"},

		{"a fixed session", "GET", "/", []string{"Cookie", secureCookie + "=chosen-by-another"}, reached, "false"},
		{"a cookie that a plain connection can plant", "GET", "/", []string{"Cookie", plainCookie + "=" + goodSession}, reached, "false"},
		{"two cookies of the name", "GET", "/", []string{"Cookie", secureCookie + "=a; " + secureCookie + "=" + goodSession}, reached, "false"},
		{"a long cookie", "GET", "/", []string{"Cookie", secureCookie + "=" + strings.Repeat("a", 4000)}, reached, "false"},
		{"a session in the address", "GET", "/?" + secureCookie + "=" + goodSession, nil, reached, "false"},

		{"cookie at the API", "POST", "/api/v1/thing/show", cookie, 401, `"token"`},
		{"nobody at the API", "POST", "/api/v1/thing/show", nil, 401, `"token"`},
		{"wrong token", "POST", "/api/v1/thing/show", []string{"Authorization", "Bearer sp_wrong"}, 401, `"token"`},
		{"two tokens", "POST", "/api/v1/thing/show", append(bearer, bearer...), 401, `"token"`},
		{"token as a password", "POST", "/api/v1/thing/show", []string{"Authorization", "Basic " + goodToken}, 401, `"token"`},
		{"token in the address", "POST", "/api/v1/thing/show?access_token=" + goodToken, nil, 401, `"token"`},
		{"token at a page", "GET", "/", bearer, reached, "false"},
		{"token, read", "POST", "/api/v1/thing/show", bearer, reached, `{"word":""}`},
		{"token, change", "POST", "/api/v1/thing/do", bearer, reached, `{"word":""}`},
		{"token without the scope", "POST", "/api/v1/thing/other", bearer, refused, "this token may not"},
		{"token without the role", "POST", "/api/v1/thing/rule", bearer, refused, "may not do this"},
		{"token for what is for people", "POST", "/api/v1/thing/people", bearer, refused, "for people"},
		{"token for what wants a proof", "POST", "/api/v1/thing/proven", bearer, refused, "for people"},
		{"long action without the scope", "POST", "/api/v1/nothing/stream", bearer, 404, "no such route"},
		{"API by GET", "GET", "/api/v1/thing/do", bearer, 404, "no such route"},
		{"outside of the API", "POST", "/api/v1/../../do", bearer, 404, "no such route"},
		{"no such action", "POST", "/api/v1/thing/none", bearer, 404, `"not-found"`},

		{"readiness for strangers", "GET", "/readyz", nil, reached, "{\"status\":\"Degraded\"}\n"},
		{"readiness for a program", "GET", "/readyz", bearer, reached, "interest"},
		{"readiness with a cookie", "GET", "/readyz", cookie, reached, "{\"status\":\"Degraded\"}\n"},
		{"health", "GET", "/healthz", nil, reached, "{\"status\":\"Healthy\"}\n"},
		{"metrics for strangers", "GET", "/metrics", nil, 401, `"token"`},
		{"metrics for a program", "GET", "/metrics", bearer, reached, "secrets_total"},
		{"the site CA", "GET", "/ca.crt", nil, reached, "-----BEGIN CERTIFICATE-----"},
		{"TRACE", "TRACE", "/", cookie, 405, ""},
		{"a panic", "GET", "/panic", cookie, 500, "page about unexpected"},
	} {
		t.Run(c.name, func(t *testing.T) {
			did := s.did.Load()
			res, text := s.ask(t, s.browser(t), c.method, c.path, "", c.headers...)
			if res.StatusCode != c.status || !strings.Contains(text, c.want) {
				t.Errorf("%d %q, want %d with %q", res.StatusCode, text, c.status, c.want)
			}
			if c.status != reached && s.did.Load() != did {
				t.Error("it was refused and yet done")
			}
			if strings.HasPrefix(c.path, "/api") && c.status != reached {
				var p problem
				if err := json.Unmarshal([]byte(text), &p); err != nil || res.Header.Get("Content-Type") != problemType || p.Status != c.status || p.Title == "" ||
					p.Next == "" || p.Error == nil || p.Type != "/help/codes/"+p.Code {
					t.Errorf("no problem: %v %+v", err, p)
				}
			}
		})
	}
}

// What is not well-formed HTTP reaches nobody.
func TestJunk(t *testing.T) {
	s := newSite(t, Limits{}, nil)
	host := "Host: " + s.plain + "\r\n"
	for name, c := range map[string]struct{ send, want string }{
		"length twice":            {"POST /do HTTP/1.1\r\n" + host + "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", "400"},
		"length and chunks":       {"POST / HTTP/1.1\r\n" + host + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\n", "200"}, // chunks count, and the connection ends
		"unknown encoding":        {"POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", "501"},
		"encoding hidden":         {"POST / HTTP/1.1\r\n" + host + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", "400"},
		"negative length":         {"POST / HTTP/1.1\r\n" + host + "Content-Length: -1\r\n\r\n", "400"},
		"length with a sign":      {"POST / HTTP/1.1\r\n" + host + "Content-Length: +3\r\n\r\nabc", "400"},
		"bad chunk":               {"POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n", "400"},
		"two hosts":               {"GET / HTTP/1.1\r\n" + host + "Host: evil.example\r\n\r\n", "400"},
		"no host":                 {"GET / HTTP/1.1\r\n\r\n", "400"},
		"no host of old":          {"GET / HTTP/1.0\r\n\r\n", "421"},
		"foreign host in line":    {"GET http://evil.example/ HTTP/1.1\r\n" + host + "\r\n", "421"},
		"NUL in a header":         {"GET / HTTP/1.1\r\n" + host + "X: a\x00b\r\n\r\n", "400"},
		"line without a name":     {"GET / HTTP/1.1\r\n" + host + ": x\r\n\r\n", "400"},
		"headers of 100 KiB":      {"GET / HTTP/1.1\r\n" + host + "X: " + strings.Repeat("a", 100<<10) + "\r\n\r\n", "431"},
		"line of 100 KiB":         {"GET /" + strings.Repeat("a", 100<<10) + " HTTP/1.1\r\n" + host + "\r\n", "431"},
		"HTTP/0.9":                {"GET /\r\n\r\n", "400"},
		"HTTP/3 in words":         {"GET / HTTP/3.0\r\n" + host + "\r\n", "505"},
		"TLS to the plain port":   {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", "400"},
		"CONNECT":                 {"CONNECT evil.example:443 HTTP/1.1\r\n" + host + "\r\n", "421"},
		"CONNECT to us":           {"CONNECT " + s.plain + " HTTP/1.1\r\n" + host + "\r\n", "405"},
		"asterisk":                {"OPTIONS * HTTP/1.1\r\n" + host + "Connection: close\r\n\r\n", "200"},
		"a second request inside": {"POST /do HTTP/1.1\r\n" + host + "Origin: null\r\nContent-Length: 60\r\nConnection: close\r\n\r\nPOST /do HTTP/1.1\r\nHost: x\r\n\r\n" + strings.Repeat("a", 29), "403"},
	} {
		conn, err := net.Dial("tcp", s.plain)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, c.send); err != nil {
			t.Logf("%s: %v", name, err) // the answer may come before the last byte is taken
		}
		line, err := bufio.NewReader(conn).ReadString('\n')
		if _, rest, _ := strings.Cut(line, " "); !strings.HasPrefix(rest, c.want) {
			t.Errorf("%s: %q %v, want %s", name, line, err, c.want)
		}
		conn.Close()
	}
	if s.did.Load() != 0 {
		t.Error("something was done")
	}
	// plain HTTP to the TLS port
	res, err := http.Get("http://" + s.tls + "/")
	if err != nil || res.StatusCode != http.StatusBadRequest {
		t.Errorf("%v %v", res, err)
	}
	// a protocol of the past
	if _, err := tls.Dial("tcp", s.tls, &tls.Config{RootCAs: s.pool, ServerName: "localhost", MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}); err == nil {
		t.Error("TLS 1.1 is spoken")
	}
}

func TestSlow(t *testing.T) {
	s := newSite(t, Limits{Header: 50 * time.Millisecond, Grace: 50 * time.Millisecond, Pace: 1 << 40}, nil)
	for name, send := range map[string]string{
		"headers": "GET / HTTP/1.1\r\nHost: " + s.plain + "\r\nX: ", "nothing": "", "half a line": "GE",
	} {
		conn, err := net.Dial("tcp", s.plain)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, send); err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(conn); err != nil || strings.Contains(string(b), " 200 ") { // until it is closed
			t.Errorf("%s: %v %q", name, err, b)
		}
		conn.Close()
	}
	// a handshake that does not go on
	conn, err := net.Dial("tcp", s.tls)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(conn); err != nil {
		t.Errorf("handshake: %v", err)
	}
	for name, to := range map[string]string{"console": "POST /x", "API": "POST /api/v1/thing/show", "upload": "PUT /uploads/1"} {
		conn, err := net.Dial("tcp", s.plain)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "%s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Length: 1000\r\n\r\nx", to, s.plain, goodToken)
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || res.StatusCode != http.StatusRequestTimeout {
			t.Errorf("body to %s: %v %v", name, res, err)
		}
		conn.Close()
	}
	// over HTTP/2, too
	r, w := io.Pipe()
	defer w.Close()
	req, err := http.NewRequest("POST", "https://"+s.tls+"/x", r)
	if err != nil {
		t.Fatal(err)
	}
	res, err := s.browser(t).Do(req)
	if err != nil || res.StatusCode != http.StatusRequestTimeout || res.ProtoMajor != 2 {
		t.Errorf("HTTP/2: %v %v", res, err)
	}
	if s.did.Load() != 0 {
		t.Error("half a request was done")
	}
}

// A body that keeps the pace may take longer than the time in which it must begin, and the handler longer than both.
func TestPace(t *testing.T) {
	release := make(chan struct{})
	s := newSite(t, Limits{Grace: 100 * time.Millisecond, Pace: 1}, func(mux *http.ServeMux, _ *site) {
		mux.HandleFunc("/work", func(w http.ResponseWriter, r *http.Request) {
			n, err := io.Copy(io.Discard, r.Body)
			control := http.NewResponseController(w)
			fmt.Fprintf(w, "%d %v\n", n, err)
			if err := control.Flush(); err != nil {
				t.Error(err)
			}
			<-release
			fmt.Fprintf(w, "%v\n", r.Context().Err())
		})
	})
	for _, base := range []string{"https://" + s.tls, "http://" + s.plain} {
		req, err := http.NewRequest("POST", base+"/work", strings.NewReader(strings.Repeat("x", 1000)))
		if err != nil {
			t.Fatal(err)
		}
		res, err := s.browser(t).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewReader(res.Body)
		if line, err := lines.ReadString('\n'); line != "1000 <nil>\n" {
			t.Errorf("%s: %q %v", base, line, err)
		}
		timer := time.NewTimer(150 * time.Millisecond) // longer than Grace: the deadline of the body must be gone
		<-timer.C
		release <- struct{}{}
		if line, err := lines.ReadString('\n'); line != "<nil>\n" {
			t.Errorf("%s: %q %v", base, line, err)
		}
		res.Body.Close()
	}
}

// Who stops reading does not hold a handler.
func TestSlowReader(t *testing.T) {
	ended := make(chan error, 1)
	s := newSite(t, Limits{Write: 50 * time.Millisecond}, func(mux *http.ServeMux, _ *site) {
		mux.HandleFunc("/big", func(w http.ResponseWriter, _ *http.Request) {
			block := make([]byte, 1<<20)
			for range 256 {
				if _, err := w.Write(block); err != nil {
					ended <- err
					return
				}
			}
			ended <- nil
		})
	})
	for _, base := range []string{"https://" + s.tls, "http://" + s.plain} {
		res, err := s.browser(t).Get(base + "/big")
		if err != nil {
			t.Fatal(err)
		}
		if err := <-ended; err == nil {
			t.Errorf("%s: 256 MiB went to somebody who reads nothing", base)
		}
		res.Body.Close()
	}
}

func TestTooLarge(t *testing.T) {
	s := newSite(t, Limits{}, nil)
	c := s.browser(t)
	for _, q := range []struct {
		path string
		n    int
		want int
	}{
		{"/form", 64 << 10, 200},
		{"/form", 64<<10 + 1, 413},
		{"/uploads/1", 1 << 20, 200},
		{"/api/v1/thing/show", maxBody + 1, 413},
	} {
		res, text := s.ask(t, c, "POST", q.path, strings.Repeat("x", q.n), "Authorization", "Bearer "+goodToken)
		if res.StatusCode != q.want {
			t.Errorf("%s with %d bytes: %d %s", q.path, q.n, res.StatusCode, text)
		}
	}
}

func TestRates(t *testing.T) {
	s := newSite(t, Limits{Rate: 1}, nil)
	c := s.browser(t)
	refused := 0
	for range 12 {
		res, text := s.ask(t, c, "GET", "/", "", "X-Forwarded-For", fmt.Sprintf("10.0.0.%d", refused))
		if res.StatusCode == http.StatusOK {
			continue
		}
		refused++
		if res.StatusCode != http.StatusTooManyRequests || res.Header.Get("Retry-After") != "1" || !strings.Contains(text, "page about too-many") {
			t.Errorf("%d %v %s", res.StatusCode, res.Header, text)
		}
	}
	if refused < 6 {
		t.Errorf("only %d of 12 were refused", refused)
	}
	res, text := s.ask(t, c, "POST", "/api/v1/thing/show", "", "Authorization", "Bearer "+goodToken)
	var p problem
	if err := json.Unmarshal([]byte(text), &p); err != nil || res.StatusCode != 429 || p.Code != "too-many" {
		t.Errorf("%v %s", err, text)
	}
	// the socket is nobody's neighbour
	sock := client.New(s.socket)
	for range 20 {
		if err := sock.Call(context.Background(), "thing/show", nil, nil); err != nil {
			t.Fatal(err)
		}
	}
}

func TestMeter(t *testing.T) {
	now := time.Duration(0)
	m := newMeter(10, func() time.Duration { return now })
	for i := range 50 {
		if m.take("a", 1) != 0 {
			t.Fatalf("request %d of a burst of 50", i)
		}
	}
	if wait := m.take("a", 1); wait != 100*time.Millisecond {
		t.Errorf("wait %v", wait)
	}
	if m.take("b", 1) != 0 {
		t.Error("another address waits too")
	}
	now += 100 * time.Millisecond
	if m.take("a", 1) != 0 || m.take("a", 1) == 0 {
		t.Error("one tenth of a second is one request")
	}
	m.spend("b", 1000)
	if m.take("b", 1) == 0 {
		t.Error("what was spent counts")
	}
	// a full table: nobody new, until somebody's level is full again
	for i := 0; len(m.keys) < maxKeys; i++ {
		m.take(fmt.Sprint("k", i), 1)
	}
	if m.take("new", 1) == 0 || m.take("k1", 1) != 0 {
		t.Error("it fails open, or old ones are shut out")
	}
	now += 10 * time.Second
	if m.take("new", 1) != 0 || len(m.keys) != 1 {
		t.Errorf("%d keys are left", len(m.keys))
	}
	// a token that is tried wrongly costs its address more
	if neighbourhood("2001:db8:1:2:3::1") != neighbourhood("2001:db8:1:2:ffff::9") || neighbourhood("10.0.0.1") == neighbourhood("10.0.0.2") || neighbourhood("::ffff:10.0.0.1") != "10.0.0.1" {
		t.Error("neighbourhoods")
	}
}

// 500 people follow along; many more are told politely that it is full, and everybody else goes on.
func TestStreams(t *testing.T) {
	s := newSite(t, Limits{Rate: 1 << 20}, func(mux *http.ServeMux, s *site) {
		mux.HandleFunc("/jobs/1/events", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			fmt.Fprint(w, "data: hello\n\n")
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		})
	})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	open := func(c *http.Client) (int, error) {
		req, err := http.NewRequestWithContext(ctx, "GET", "https://"+s.tls+"/jobs/1/events", nil)
		if err != nil {
			return 0, err
		}
		res, err := c.Do(req)
		if err != nil {
			return 0, err
		}
		if res.StatusCode != http.StatusOK {
			defer res.Body.Close()
			if res.Header.Get("Retry-After") == "" {
				return 0, errors.New("no Retry-After")
			}
			_, err := io.Copy(io.Discard, res.Body)
			return res.StatusCode, err
		}
		line, err := bufio.NewReader(res.Body).ReadString('\n')
		if line != "data: hello\n" {
			return 0, fmt.Errorf("%q %w", line, err)
		}
		return res.StatusCode, nil
	}
	count := func(n int) (ok, full int) {
		var mu sync.Mutex
		var all sync.WaitGroup
		work := make(chan struct{})
		for range 20 {
			c := s.browser(t)
			all.Go(func() {
				for range work {
					status, err := open(c)
					mu.Lock()
					switch {
					case err != nil:
						t.Error(err)
					case status == 200:
						ok++
					case status == 503:
						full++
					default:
						t.Errorf("status %d", status)
					}
					mu.Unlock()
				}
			})
		}
		for range n {
			work <- struct{}{}
		}
		close(work)
		all.Wait()
		return ok, full
	}
	if ok, full := count(500); ok != 500 || full != 0 {
		t.Fatalf("of 500: %d follow, %d are refused", ok, full)
	}
	if ok, full := count(1000); ok != 100 || full != 900 {
		t.Errorf("of 1000 more: %d follow, %d are refused", ok, full)
	}
	if res, text := s.ask(t, s.browser(t), "GET", "/", "", "Cookie", secureCookie+"="+goodSession); res.StatusCode != 200 {
		t.Errorf("a page meanwhile: %d %s", res.StatusCode, text)
	}
	cancel()
}

// A stream ends when its session does.
func TestStreamEndsWithSession(t *testing.T) {
	s := newSite(t, Limits{Recheck: time.Millisecond}, func(mux *http.ServeMux, s *site) {
		mux.HandleFunc("/events", func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintln(w, "hello")
			_ = http.NewResponseController(w).Flush()
			s.access.over.Store(true)
			<-r.Context().Done()
			fmt.Fprintln(w, "bye")
		})
	})
	res, text := s.ask(t, s.browser(t), "GET", "/events", "", "Cookie", secureCookie+"="+goodSession)
	if res.StatusCode != 200 || text != "hello\nbye\n" {
		t.Errorf("%d %q", res.StatusCode, text)
	}
	if n := s.access.touched.Load(); n != 1 {
		t.Errorf("the session was touched %d times: a stream must not keep it alive", n)
	}
}

// One address has only so many connections; the next ones are closed, and others are not concerned.
func TestConnections(t *testing.T) {
	s := newSite(t, Limits{Conns: 10, ConnsEach: 2}, nil)
	var held []net.Conn
	for range 2 {
		c, err := net.Dial("tcp", s.plain)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprintf(c, "GET /healthz HTTP/1.1\r\nHost: %s\r\n\r\n", s.plain)
		if line, err := bufio.NewReader(c).ReadString('\n'); !strings.Contains(line, "200") {
			t.Fatalf("%q %v", line, err)
		}
		held = append(held, c)
	}
	c, err := net.Dial("tcp", s.plain)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(c); len(b) > 0 {
		t.Errorf("the third gets %q %v", b, err)
	}
	held[0].Close()
	for { // until the server has seen it
		c, err := net.Dial("tcp", s.plain)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(c, "GET /healthz HTTP/1.1\r\nHost: %s\r\n\r\n", s.plain)
		line, _ := bufio.NewReader(c).ReadString('\n')
		c.Close()
		if strings.Contains(line, "200") {
			return
		}
	}
}

func TestCookie(t *testing.T) {
	s := newSite(t, Limits{}, func(mux *http.ServeMux, _ *site) {
		mux.HandleFunc("POST /in", func(w http.ResponseWriter, r *http.Request) { SetSession(w, r, goodSession) })
		mux.HandleFunc("POST /out", func(w http.ResponseWriter, r *http.Request) { ClearSession(w, r) })
	})
	res, _ := s.ask(t, s.browser(t), "POST", "/in", "")
	if got := res.Header.Get("Set-Cookie"); got != "__Host-sallyport=the-session; Path=/; HttpOnly; Secure; SameSite=Strict" {
		t.Error(got)
	}
	res, _ = s.ask(t, s.browser(t), "POST", "/out", "")
	if got := res.Header.Get("Set-Cookie"); got != "__Host-sallyport=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Strict" {
		t.Error(got)
	}
	plain, err := http.Post("http://"+s.plain+"/in", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	plain.Body.Close()
	if got := plain.Header.Get("Set-Cookie"); got != "sallyport=the-session; Path=/; HttpOnly; SameSite=Strict" {
		t.Error(got)
	}
	s.access.broken.Store(true)
	if res, text := s.ask(t, s.browser(t), "GET", "/", "", "Cookie", secureCookie+"=x"); res.StatusCode != 500 || s.reached.Load() != 0 {
		t.Errorf("nobody can be looked up: %d %s", res.StatusCode, text)
	}
}

func TestAttachment(t *testing.T) {
	for name, want := range map[string]string{
		"report.csv":                     `attachment; filename=report.csv`,
		"a b.csv":                        `attachment; filename="a b.csv"`,
		"x\r\nSet-Cookie: a=b":           `attachment; filename="x__Set-Cookie_ a_b"`,
		`x"; filename="evil.exe`:         `attachment; filename="x__ filename__evil.exe"`,
		"../../etc/passwd":               `attachment; filename=_.._etc_passwd`,
		"":                               `attachment; filename=download`,
		"...":                            `attachment; filename=download`,
		"gift\u202efdp.exe":              `attachment; filename=gift_fdp.exe`,
		strings.Repeat("a", 300) + ".gz": `attachment; filename=` + strings.Repeat("a", 197) + `.gz`,
	} {
		h := http.Header{}
		Attachment(headerOnly{h}, name)
		if got := h.Get("Content-Disposition"); got != want {
			t.Errorf("%q: %s", name, got)
		}
	}
}

type headerOnly struct{ h http.Header }

func (o headerOnly) Header() http.Header       { return o.h }
func (headerOnly) Write(b []byte) (int, error) { return len(b), nil }
func (headerOnly) WriteHeader(int)             {}

// A body that cannot be read says why in words of its own.
func TestBodyError(t *testing.T) {
	for _, c := range []struct {
		err  error
		want code.Code
	}{
		{nil, ""},
		{&http.MaxBytesError{Limit: 9}, code.TooLarge},
		{fmt.Errorf("x: %w", os.ErrDeadlineExceeded), code.TooSlow},
		{io.ErrUnexpectedEOF, code.BadUsage},
		{code.New(code.Missing, ""), code.Missing},
	} {
		if got := code.Of(BodyError(c.err)); got != c.want {
			t.Errorf("%v: %s", c.err, got)
		}
	}
}

// The audit line says who did what and how it ended, and never what was in the request.
func TestAudit(t *testing.T) {
	s := newSite(t, Limits{}, nil)
	const secret = "hunter2-hunter2"
	c := s.browser(t)
	for _, q := range []struct{ path, body string }{
		{"thing/show", `{"word":"` + secret + `"}`},
		{"thing/do", `{"word":"` + secret + `"}`},
		{"thing/do", `{"word":7,"other":"` + secret + `"}`},
		{"thing/rule", `{"word":"` + secret + `"}`},
		{"thing/do", `{"word":"panic"}`},
		{"thing/stream", `{"word":"` + secret + `"}`},
	} {
		s.ask(t, c, "POST", "/api/v1/"+q.path, q.body, "Authorization", "Bearer "+goodToken)
	}
	s.ask(t, c, "POST", "/do", "", "Cookie", secureCookie+"="+goodSession, "Origin", "https://evil.example")
	if err := client.New(s.socket).Call(context.Background(), "thing/do", echoed{secret}, nil); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, l := range s.log.all(t) {
		if l["msg"] != "audit" {
			continue
		}
		if l["time"] == "" || l["actor"] == "" {
			t.Errorf("%v", l)
		}
		got = append(got, fmt.Sprint(l["actor"], " ", l["action"], " ", l["outcome"], " ", l["code"], " ", l["remote"]))
	}
	me := Actor{Login: uint32(os.Getuid())}
	want := []string{
		"robot thing.do done <nil> 127.0.0.1", "robot thing.do failed usage 127.0.0.1", "robot thing.rule refused denied 127.0.0.1",
		"robot thing.do failed unexpected 127.0.0.1", "robot thing.stream begun <nil> 127.0.0.1", "robot thing.stream done <nil> 127.0.0.1",
		"nobody console refused cross-site 127.0.0.1", me.Name() + " thing.do done <nil> <nil>",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if fmt.Sprint(s.refused) != "[robot thing/rule 127.0.0.1]" {
		t.Errorf("refused: %q", s.refused)
	}
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	for _, word := range []string{secret, goodToken, goodSession} {
		if strings.Contains(s.log.b.String(), word) {
			t.Errorf("%s is in the log", word)
		}
	}
}

// An Actor that a job keeps comes back as it was.
func TestActorJSON(t *testing.T) {
	a := Actor{UID: NoLogin, GID: NoLogin, Login: NoLogin, Via: ViaToken, Account: "a", Person: "p", Roles: access.Of(access.Operator, access.Auditor), Scopes: []string{"x:y"}, Session: "t-1", Proven: 7, Fresh: true, Remote: "10.0.0.1"}
	b, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	var back Actor
	if err := json.Unmarshal(b, &back); err != nil || fmt.Sprint(back) != fmt.Sprint(a) {
		t.Errorf("%v %+v", err, back)
	}
	if zero := (Actor{}); zero.Roles != 0 || zero.Fresh {
		t.Error("nobody may something")
	}
}

// The API description is there for everybody who reaches the door.
func TestOpenAPI(t *testing.T) {
	s := serve(t, Options{Door: NewDoor(DoorOptions{Log: slog.New(slog.DiscardHandler)}), OpenAPI: []byte(`{"openapi":"3.1.0"}`)})
	status, body, err := client.New(s.socket).Get(context.Background(), wire.Prefix+"openapi.json")
	if err != nil || status != 200 || string(body) != `{"openapi":"3.1.0"}` {
		t.Errorf("%d %s %v", status, body, err)
	}
}
