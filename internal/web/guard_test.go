package web

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"

	"sallyport/internal/access"
	"sallyport/internal/client"
	"sallyport/internal/code"
	"sallyport/internal/wire"
)

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
