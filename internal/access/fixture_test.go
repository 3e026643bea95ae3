package access

import (
	"context"
	"crypto/rand"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/internal/clock"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/durable"
	"sallyport/internal/marks"
	"sallyport/internal/state"
	"sallyport/internal/timeline"
)

// cheap is a cost that a test can pay a hundred times.
func cheap() Cost { return Cost{Memory: 64, Time: 1, Threads: 1} }

const (
	good  = "four words not together"
	other = "another set of words"
	home  = "192.0.2.7"
	away  = "198.51.100.9"
)

// world is one desk with clocks that a test turns.
type world struct {
	*Desk
	t     *testing.T
	clock *clock.Fixed
	db    *state.DB
	path  string

	mu      sync.Mutex
	boot    string
	base    time.Duration // of the clock at this boot
	trusted time.Time
	steady  bool // trusted stands, not only grows
	fault   func(durable.Op) durable.Verdict
}

func newWorld(t *testing.T) *world {
	t.Helper()
	now := time.Date(2026, 11, 21, 12, 0, 7, 0, time.UTC)
	w := &world{t: t, clock: clock.NewFixed(now), boot: "boot-1", trusted: now, path: filepath.Join(t.TempDir(), "state.db")}
	if err := state.Create(w.path, durable.FS{}, "i"); err != nil {
		t.Fatal(err)
	}
	w.open()
	t.Cleanup(func() {
		w.setFault(nil)
		select {
		case <-w.db.Failed():
			w.open() // as the daemon does
		default:
		}
		if err := w.db.Check(); err != nil {
			t.Errorf("check: %v", err)
		}
		if err := w.db.View(func(tx *state.Tx) error { _, err := w.log().Verify(tx); return err }); err != nil {
			t.Errorf("timeline: %v", err)
		}
		w.db.Close()
	})
	return w
}

func (w *world) setFault(f func(durable.Op) durable.Verdict) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fault = f
}

// open opens the database and makes a desk, as a start of the daemon does.
func (w *world) open() {
	w.t.Helper()
	if w.db != nil {
		w.db.Close()
	}
	db, err := state.Open(w.path, durable.WithHook(func(op durable.Op) durable.Verdict {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.fault == nil {
			return durable.Do
		}
		return w.fault(op)
	}))
	if err != nil {
		w.t.Fatal(err)
	}
	w.db = db
	w.Desk = New(Deps{
		State: db, Timeline: w.log(), Now: w.reading, Clock: w.clock, Random: rand.Reader, Cost: cheap(), Boot: w.bootNow,
		Appliance: Appliance{ID: "ap1x", Name: "site-07", Fingerprint: digest.Of([]byte("root"))},
	})
}

func (w *world) log() *timeline.Log { return timeline.New("ap1x", w.reading, rand.Reader) }

func (w *world) bootNow() Boot {
	w.mu.Lock()
	defer w.mu.Unlock()
	return Boot{ID: w.boot, Since: int64((w.clock.Mono() - w.base) / time.Second)}
}

// reboot starts the machine again: a new boot id, and the seconds since boot begin at 0.
func (w *world) reboot(id string) {
	w.mu.Lock()
	w.boot, w.base = id, w.clock.Mono()
	w.mu.Unlock()
	w.open()
}

// reading is a trusted time that grows with the monotonic clock, and what the wall clock claims.
func (w *world) reading() marks.Reading {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := marks.Reading{Wall: w.clock.Now(), Trusted: w.trusted.Add(w.clock.Mono()), Source: "build", AtLeast: !w.steady}
	diff := r.Wall.Sub(r.Trusted)
	r.Suspect, r.Unproven = diff < -5*time.Minute || diff > 400*24*time.Hour, diff > 24*time.Hour
	return r
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// wants demands an error of a code.
func (w *world) wants(err error, want code.Code) {
	w.t.Helper()
	if code.Of(err) != want {
		w.t.Fatalf("got %v (%s), want %s", err, code.Of(err), want)
	}
}

func host() By { return By{Name: "root", Host: true} }

// phone is an authenticator app with a clock of its own.
type phone struct {
	secret string
	ahead  time.Duration // of the test's true time
}

// shows is what it shows at a true time, n codes later.
func (p phone) shows(truth time.Time, n int64) string {
	return at(p.secret, steps(truth.Add(p.ahead))+n)
}

// admin makes the first admin, with an app, and gives its session.
func (w *world) admin(name string) (Welcome, phone) {
	w.t.Helper()
	ctx := context.Background()
	one, err := w.SetupCode(ctx, host())
	w.must(err)
	e, err := w.Enrol(ctx, one.Code, name, home)
	w.must(err)
	p := phone{secret: e.Secret}
	in, err := w.SetUp(ctx, SetUp{Code: one.Code, Name: name, Password: good, TOTP: p.shows(w.clock.Now(), 0), Remote: home, Agent: "test"})
	w.must(err)
	w.clock.Advance(time.Minute) // the next code has not been used
	return in, p
}

// person makes an account through an invitation, without an app.
func (w *world) person(name string, roles Roles) Welcome {
	w.t.Helper()
	_, one, err := w.Create(context.Background(), By{Name: "anna"}, NewUser{Name: name, Roles: roles})
	w.must(err)
	in, err := w.SetUp(context.Background(), SetUp{Code: one.Code, Password: good, NoTOTP: true, Remote: home})
	w.must(err)
	return in
}

// events counts the entries of the timeline by type, and gives all of their text.
func (w *world) events() (map[string]int, string) {
	w.t.Helper()
	n, text := map[string]int{}, strings.Builder{}
	w.must(w.db.View(func(tx *state.Tx) error {
		return w.log().Read(tx, 0, 0, func(e timeline.Entry) error {
			n[e.Type]++
			text.WriteString(e.Type + " " + e.Event.Actor + " " + e.Event.Subject)
			for _, k := range slices.Sorted(maps.Keys(e.Event.Attrs)) {
				text.WriteString(" " + k + "=" + e.Event.Attrs[k])
			}
			text.WriteString("\n")
			return nil
		})
	}))
	return n, text.String()
}

func randomReader() io.Reader { return rand.Reader }
