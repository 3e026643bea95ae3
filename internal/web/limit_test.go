package web

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/internal/client"
)

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
