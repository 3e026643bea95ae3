package console

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// bells is a desk that can only ring.
type bells struct {
	mu  sync.Mutex
	all map[chan struct{}]string
}

func (b *bells) Bell(id string) (<-chan struct{}, func()) {
	c := make(chan struct{}, 1)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.all == nil {
		b.all = map[chan struct{}]string{}
	}
	b.all[c] = id
	return c, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.all, c)
	}
}

func (b *bells) ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for c := range b.all {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

func (b *bells) count() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.all)
}

// show is a picture that counts how often it was drawn.
type show struct {
	bells
	live   *Live
	weight int // bytes of the moving part
	value  atomic.Int64
	drawn  atomic.Int64
	broken atomic.Bool
	url    string
	cancel context.CancelFunc
	server *httptest.Server
}

func newShow(t *testing.T, topic Topic) *show {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	s := &show{cancel: cancel}
	s.live = NewLive(ctx, s, slog.New(slog.DiscardHandler))
	s.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Two") != "" {
			r.ProtoMajor = 2 // a browser that speaks HTTP/2 has no few connections
		}
		err := s.live.Serve(w, r, topic, func(context.Context) ([]Fragment, error) {
			s.drawn.Add(1)
			if s.broken.Load() {
				return nil, errors.New("no picture")
			}
			v := s.value.Load()
			return []Fragment{{ID: "moves", HTML: fmt.Sprintf("<p id=moves>%d\n</p>", v) + strings.Repeat(" ", s.weight)}, {ID: "stands", HTML: "<p id=stands>same</p>"}}, nil
		})
		if err != nil {
			t.Error(err)
		}
	}))
	s.url = s.server.URL
	t.Cleanup(func() {
		cancel()
		s.live.Close()
		s.server.Close()
		if n := s.count(); n != 0 {
			t.Errorf("%d bells are left", n)
		}
	})
	return s
}

// tab is one browser that follows along.
type tab struct {
	res   *http.Response
	lines *bufio.Scanner
}

func (s *show) open(t *testing.T, ctx context.Context, two bool) *tab {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if two {
		req.Header.Set("X-Two", "1")
	}
	c := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if typ := res.Header.Get("Content-Type"); !strings.HasPrefix(typ, "text/event-stream") {
		t.Fatal(typ)
	}
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, 64<<20)
	return &tab{res, lines}
}

// next is the next message; ok is false at the end of the stream.
func (p *tab) next() (m map[string]any, ok bool) {
	for p.lines.Scan() {
		if data, is := strings.CutPrefix(p.lines.Text(), "data: "); is {
			if json.Unmarshal([]byte(data), &m) != nil {
				return nil, false
			}
			return m, true
		}
	}
	return nil, false
}

// until reads until the moving part shows a number, and tells how many messages were of the part that stands.
func (p *tab) until(want int64) (still int, ok bool) {
	for {
		m, ok := p.next()
		if !ok {
			return still, false
		}
		if m["id"] == "stands" {
			still++
		} else if strings.TrimRight(fmt.Sprint(m["html"]), " ") == fmt.Sprintf("<p id=moves>%d\n</p>", want) {
			return still, true
		}
	}
}

// Five hundred browsers follow along, all of the same picture; some do not read at all. The picture is drawn once for all of
// them, everyone else sees the last one, and what they cost is bounded.
func TestFiveHundred(t *testing.T) {
	const readers, sleepers = 500, 20
	s := newShow(t, Topic{Name: "job/1", Key: "all", Job: "1"})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for range sleepers { // opened, and never read from
		c, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: x\r\nX-Two: 1\r\n\r\n")
	}
	before := heap()
	pages := make([]*tab, readers)
	for i := range pages {
		pages[i] = s.open(t, ctx, true)
		if _, ok := pages[i].until(0); !ok {
			t.Fatal("no first picture")
		}
	}
	if cost := heap() - before; cost > readers*256<<10 {
		t.Errorf("%d bytes of heap for each client, client and server together", cost/readers)
	}
	var all sync.WaitGroup
	for round := int64(1); round <= 3; round++ {
		s.value.Store(round)
		s.ring()
		for _, p := range pages {
			all.Go(func() {
				if _, ok := p.until(round); !ok {
					t.Error("a stream ended")
				}
			})
		}
		all.Wait()
	}
	if n := s.drawn.Load(); n > 10 {
		t.Errorf("drawn %d times for 4 pictures", n)
	}
	if n := s.count(); n != 1 {
		t.Errorf("%d bells for one topic", n)
	}
	// who comes back gets the latest of everything at once; what stands is sent once
	p := s.open(t, ctx, true)
	if still, ok := p.until(3); !ok {
		t.Error("nothing after coming back")
	} else if m, _ := p.next(); still == 0 && m["id"] != "stands" {
		t.Errorf("%v", m)
	}
	cancel()
}

// A browser that takes nothing for a while holds up nobody, and then sees the latest, not all that it missed.
func TestSlowBrowser(t *testing.T) {
	s := newShow(t, Topic{Name: "job/1", Job: "1"})
	s.live.stall = 10 * time.Minute
	s.weight = 4 << 20 // more than a connection takes in by itself
	slow, fast := s.open(t, t.Context(), true), s.open(t, t.Context(), true)
	const rounds = 8
	for round := int64(0); round <= rounds; round++ {
		s.value.Store(round)
		s.ring()
		if _, ok := fast.until(round); !ok {
			t.Fatal("the fast one is held up")
		}
	}
	seen := 0
	for last := ""; !strings.HasPrefix(last, fmt.Sprintf("<p id=moves>%d\n", rounds)); seen++ {
		m, ok := slow.next()
		if !ok {
			t.Fatal("the slow one was given up")
		}
		if last = fmt.Sprint(m["html"]); m["id"] == "stands" {
			seen--
		}
	}
	if seen > rounds {
		t.Errorf("the slow one saw all %d pictures: nothing was left out", seen)
	}
	slow.res.Body.Close()
	fast.res.Body.Close()
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

// Twenty tabs of one browser over HTTP/1.1: the newest four are served, the others end and come back, none hangs.
func TestTwentyTabs(t *testing.T) {
	s := newShow(t, Topic{Name: "overview"})
	tabs := make([]*tab, 20)
	for i := range tabs {
		tabs[i] = s.open(t, t.Context(), false)
		if _, ok := tabs[i].until(0); !ok {
			t.Fatalf("tab %d sees nothing", i)
		}
	}
	for _, p := range tabs[:16] {
		for {
			if _, ok := p.next(); !ok {
				break // its place was given away
			}
		}
	}
	s.value.Store(1)
	s.ring()
	for i, p := range tabs[16:] {
		if _, ok := p.until(1); !ok {
			t.Errorf("tab %d of the newest has ended", i)
		}
	}
	back := s.open(t, t.Context(), false)
	if _, ok := back.until(1); !ok {
		t.Error("a tab that came back sees nothing")
	}
	for _, p := range append(tabs, back) {
		p.res.Body.Close()
	}
}

// A stream ends with the session, with the daemon, and when the picture cannot be drawn; a new one then begins anew.
func TestStreamEnds(t *testing.T) {
	s := newShow(t, Topic{Name: "overview", Beat: time.Hour})
	ctx, over := context.WithCancel(t.Context())
	p := s.open(t, ctx, true)
	if _, ok := p.until(0); !ok {
		t.Fatal("no picture")
	}
	over()
	if _, ok := p.until(7); ok {
		t.Error("a stream outlives its request")
	}
	p = s.open(t, t.Context(), true)
	if _, ok := p.until(0); !ok {
		t.Fatal("no picture after coming back")
	}
	s.broken.Store(true)
	s.ring()
	if _, ok := p.until(7); ok {
		t.Error("a stream goes on without a picture")
	}
	s.broken.Store(false)
	s.value.Store(2)
	s.ring()
	for ok := false; !ok; { // it may meet the broken picture once more, and comes back
		_, ok = s.open(t, t.Context(), true).until(2)
	}
	p = s.open(t, t.Context(), true)
	p.until(2)
	s.cancel()
	if _, ok := p.until(7); ok {
		t.Error("a stream outlives the daemon")
	}
}

// A message is one line, whatever is in it.
func TestFragmentLine(t *testing.T) {
	got := string(Fragment{ID: "a", HTML: "<p>\n\ndata: x</p>\u2028"}.line())
	if strings.Count(got, "\n") != 2 || !strings.HasSuffix(got, "\n\n") || !strings.HasPrefix(got, `data: {"html":`) {
		t.Errorf("%q", got)
	}
	if got := string(Fragment{Reload: true}.line()); got != "data: {\"reload\":true}\n\n" {
		t.Errorf("%q", got)
	}
}
