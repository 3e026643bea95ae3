package web

import (
	"net"
	"net/netip"
	"sync"
	"time"

	"sallyport/internal/code"
)

// Limits is how much of the door anybody gets. Zero values are those of DefaultLimits.
type Limits struct {
	Rate        int // requests a second from one address, and with one token; five seconds' worth at once
	Conns       int // open connections in all
	ConnsEach   int // from one address
	Streams     int // pages that follow along, in all
	StreamsEach int // from one address

	API    int64 // bytes of a request of the API
	Form   int64 // bytes of a form of the console
	Upload int64 // bytes of an upload
	Pace   int64 // bytes a second that a body must arrive with, after Grace

	Header  time.Duration // until the headers of a request are there, the handshake included
	Grace   time.Duration // until a body must have begun to flow
	Write   time.Duration // that one write may take
	Idle    time.Duration // that a connection stays open with nothing asked
	Recheck time.Duration // after which a stream looks whether its session still lasts
}

// DefaultLimits serves 500 people who follow along and keeps the rest polite.
func DefaultLimits() Limits {
	return Limits{
		Rate: 200, Conns: 4096, ConnsEach: 1536, Streams: 1000, StreamsEach: 600,
		API: maxBody, Form: 64 << 10, Upload: 1 << 40, Pace: 16 << 10,
		Header: 5 * time.Second, Grace: 30 * time.Second, Write: time.Minute, Idle: 2 * time.Minute, Recheck: 30 * time.Second,
	}
}

func (l Limits) fill() Limits {
	d := DefaultLimits()
	for _, v := range []struct{ is, def *int }{
		{&l.Rate, &d.Rate}, {&l.Conns, &d.Conns}, {&l.ConnsEach, &d.ConnsEach}, {&l.Streams, &d.Streams}, {&l.StreamsEach, &d.StreamsEach},
	} {
		if *v.is == 0 {
			*v.is = *v.def
		}
	}
	for _, v := range []struct{ is, def *int64 }{{&l.API, &d.API}, {&l.Form, &d.Form}, {&l.Upload, &d.Upload}, {&l.Pace, &d.Pace}} {
		if *v.is == 0 {
			*v.is = *v.def
		}
	}
	for _, v := range []struct{ is, def *time.Duration }{
		{&l.Header, &d.Header}, {&l.Grace, &d.Grace}, {&l.Write, &d.Write}, {&l.Idle, &d.Idle}, {&l.Recheck, &d.Recheck},
	} {
		if *v.is == 0 {
			*v.is = *v.def
		}
	}
	return l
}

// burst is how many seconds' worth of requests may come at once.
const burst = 5

// maxKeys bounds the table of the meter: about 8 MiB.
const maxKeys = 64 << 10

// meter lets each key do so much a second. It fails closed: when its table is full of keys that are in use, a new key gets
// nothing. Safe for concurrent use.
type meter struct {
	rate float64
	full float64
	now  func() time.Duration // monotonic

	mu    sync.Mutex
	keys  map[string]*level
	swept time.Duration
}

type level struct {
	left float64
	at   time.Duration
}

func newMeter(rate int, now func() time.Duration) *meter {
	return &meter{rate: float64(rate), full: float64(rate * burst), now: now, keys: map[string]*level{}, swept: -time.Hour}
}

// take takes n from what a key has left: 0, or how long it must wait.
func (m *meter) take(key string, n float64) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	l := m.keys[key]
	if l == nil {
		if len(m.keys) >= maxKeys && !m.sweep(now) {
			return time.Second
		}
		l = &level{left: m.full, at: now}
		m.keys[key] = l
	}
	m.fill(l, now)
	if l.left < n {
		return time.Duration((n - l.left) / m.rate * float64(time.Second))
	}
	l.left -= n
	return 0
}

// spend takes n without asking: what somebody did counts afterwards too. It never takes more than there is in store.
func (m *meter) spend(key string, n float64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if l := m.keys[key]; l != nil {
		m.fill(l, m.now())
		l.left = max(0, l.left-n)
	}
}

// fill gives a key what the time since has earned.
func (m *meter) fill(l *level, now time.Duration) {
	l.left, l.at = min(m.full, l.left+(now-l.at).Seconds()*m.rate), now
}

// sweep forgets keys that are full again, at most once a second, and tells whether there is room.
func (m *meter) sweep(now time.Duration) bool {
	if now-m.swept < time.Second {
		return false
	}
	m.swept = now
	for k, l := range m.keys {
		if l.left+(now-l.at).Seconds()*m.rate >= m.full {
			delete(m.keys, k)
		}
	}
	return len(m.keys) < maxKeys
}

// crowd counts what is open at a time, in all and for each key. Safe for concurrent use.
type crowd struct {
	all, each int

	mu   sync.Mutex
	n    int
	keys map[string]int
}

func newCrowd(all, each int) *crowd { return &crowd{all: all, each: each, keys: map[string]int{}} }

func (c *crowd) enter(key string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n >= c.all || c.keys[key] >= c.each {
		return false
	}
	c.n++
	c.keys[key]++
	return true
}

func (c *crowd) leave(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n--
	if c.keys[key]--; c.keys[key] == 0 {
		delete(c.keys, key)
	}
}

// neighbourhood is what counts as one address: an IPv4 address, or the /64 that one IPv6 customer has.
func neighbourhood(remote string) string {
	a, err := netip.ParseAddr(remote)
	if err != nil {
		return "?"
	}
	a = a.Unmap().WithZone("")
	if a.Is4() {
		return a.String()
	}
	p, err := a.Prefix(64)
	if err != nil {
		return a.String()
	}
	return p.String()
}

// gate closes connections that are too many as soon as they come.
type gate struct {
	net.Listener
	crowd *crowd
}

// Accept waits for a connection that may stay.
func (g gate) Accept() (net.Conn, error) {
	for {
		c, err := g.Listener.Accept()
		if err != nil {
			return nil, err
		}
		host, _, _ := net.SplitHostPort(c.RemoteAddr().String())
		key := neighbourhood(host)
		if g.crowd.enter(key) {
			return &counted{Conn: c, leave: sync.OnceFunc(func() { g.crowd.leave(key) })}, nil
		}
		c.Close()
	}
}

type counted struct {
	net.Conn
	leave func()
}

func (c *counted) Close() error {
	c.leave()
	return c.Conn.Close()
}

// tooMany is the answer to who asks too often.
func tooMany(wait time.Duration) error { return waitError{code.New(code.TooMany, ""), wait} }

// crowded is the answer to one page too many that wants to follow along.
func crowded() error { return waitError{code.New(code.Crowded, ""), 15 * time.Second} }
