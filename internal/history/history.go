// Package history plays random histories of a hub and two sites and knows what must come of them; tests alone use it.
//
// Data, below one scratch directory:
//
//	hub/ north/ south/      data directories of three real daemons, in this process, each with a clock of its own
//	stick-<n>/              media: each is a plain directory that is carried, copied, damaged, lost and found again
//	kept/<n>/               backups
//
// The model is small: what each load at the hub put there, as the digests of the evidence itself; which state root each
// generation got; and what every bundle carries, read from its manifest. It decides nothing an appliance decides: it only
// holds what must be true after each step.
//
// Order: a seed gives the steps. After each, the appliance that did something is asked where it stands: an active state is
// one the hub minted, marks never fall, an intact bundle is applied or a thing that is missing is named, a damaged one is
// never applied. At the end sticks travel quietly and everything must be equal; then all stop, and every log is proven
// against every head the others saw of it. A crash of the test leaves the scratch directory.
package history

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"sallyport/internal/client"
	"sallyport/internal/clock"
	"sallyport/internal/code"
	"sallyport/internal/config"
	"sallyport/internal/daemon"
	"sallyport/internal/digest"
	"sallyport/internal/verify"
	"sallyport/internal/wire"
)

// begin is when every history begins: some months after the keys do.
var begin = time.Date(2026, 5, 4, 8, 0, 0, 0, time.UTC)

// World is one history. Not safe for concurrent use.
type World struct {
	Trace []string // one line a step

	ctx    context.Context
	dir    string
	random *rand.Rand
	hub    *appliance
	sites  []*appliance
	sticks []*stick
	named  int // sticks so far
	truth  map[string]*feedTruth
	weeks  map[string]*week
	gate   verify.Options // believes the hub and opens what is for any site
	known  map[digest.Digest]*carried
	read   map[digest.Digest]lying // bundle directories read before, by their bytes
	leave  string                  // deeds to leave out, to look for others
	epochs map[int64]int64         // epoch of the hub → version of its trust root that names it
	failed []string
	counts map[string]int // of steps and verdicts
}

// appliance is one of the three.
type appliance struct {
	w           *World
	name, dir   string
	id          string
	fingerprint string
	clock       *clock.Fixed
	run         *daemon.Running
	marks       map[string]point // highest seen, by full feed name
	behind      map[string]bool  // feeds a person has rolled back or pinned
	again       map[string]bool  // feeds that a restore set back and that are not forward again
	backups     []backup
	cards       bool                   // exports need not wait for cards after a restore
	version     int64                  // of the hub's trust root that is believed here
	marked      int64                  // the highest of these that the marks know of
	volumes     map[digest.Digest]bool // that came here unharmed
}

// point is an epoch and a generation.
type point struct{ epoch, generation int64 }

func (p point) less(o point) bool {
	return p.epoch < o.epoch || p.epoch == o.epoch && p.generation < o.generation
}

func (p point) String() string { return fmt.Sprintf("%d.%d", p.epoch, p.generation) }

// New makes the three appliances, lets them meet, and begins.
func New(ctx context.Context, dir string, seed uint64) (*World, error) {
	w := &World{
		ctx: ctx, dir: dir, random: rand.New(rand.NewPCG(seed, 7)),
		leave: os.Getenv("SALLYPORT_WITHOUT"), truth: map[string]*feedTruth{}, weeks: map[string]*week{}, known: map[digest.Digest]*carried{}, read: map[digest.Digest]lying{}, counts: map[string]int{},
		epochs: map[int64]int64{1: 1},
	}
	for _, name := range []string{"hub", "north", "south"} {
		a, err := w.found(name)
		if err != nil {
			return w, err
		}
		if name == "hub" {
			w.hub = a
		} else {
			w.sites = append(w.sites, a)
		}
	}
	return w, errors.Join(w.meet(), w.trust())
}

func (w *World) all() []*appliance { return append([]*appliance{w.hub}, w.sites...) }

func (w *World) found(name string) (*appliance, error) {
	a := &appliance{
		w: w, name: name, dir: filepath.Join(w.dir, name), clock: clock.NewFixed(begin), marks: map[string]point{}, behind: map[string]bool{},
		again: map[string]bool{}, cards: true, version: 1, marked: 1, volumes: map[digest.Digest]bool{},
	}
	o := daemon.InitOptions{DataDir: a.dir, Name: name, Tenant: "acme", SingleOperator: true, Actor: "history"}
	made, err := daemon.Init(o, daemon.Deps{Clock: a.clock, Software: "1.0.0"})
	if err != nil {
		return nil, err
	}
	a.id, a.fingerprint = made.ID, made.Fingerprint
	return a, a.start()
}

func (a *appliance) start() (err error) {
	c := config.New(a.dir)
	c.Reserve, c.Workers = 1<<20, 1
	a.run, err = daemon.Start(a.w.ctx, c, daemon.Deps{Clock: a.clock, Software: "1.0.0"})
	return err
}

func (a *appliance) stop() error {
	r := a.run
	a.run = nil
	return r.Stop()
}

func (a *appliance) client() *client.Client { return a.run.Client() }

// call does one action. Requests of actions that came later are plain maps.
func (a *appliance) call(action string, in, out any) error {
	return a.client().Call(a.w.ctx, action, in, out)
}

func (a *appliance) stream(action string, in, out any) error {
	return a.client().Stream(a.w.ctx, action, in, nil, out)
}

// meet lets the hub and each site put cards on a stick and take each other's.
func (w *World) meet() error {
	s, err := w.stick()
	if err != nil {
		return err
	}
	for _, a := range w.all() {
		if err := a.call("card/write", wire.MediumRequest{Path: s.dir}, nil); err != nil {
			return err
		}
	}
	for _, site := range w.sites {
		for _, pair := range [][2]*appliance{{w.hub, site}, {site, w.hub}} {
			q := wire.PeerRequest{Path: s.dir, Name: pair[1].name, Fingerprint: pair[1].fingerprint}
			if err := pair[0].call("peers/add", q, nil); err != nil {
				return err
			}
		}
	}
	return nil
}

// Close stops what runs.
func (w *World) Close() {
	for _, a := range w.all() {
		if a != nil && a.run != nil {
			if err := a.stop(); err != nil {
				w.wrong("%s stops: %v", a.name, err)
			}
		}
	}
}

// tell adds a line to the trace.
func (w *World) tell(format string, args ...any) {
	w.Trace = append(w.Trace, fmt.Sprintf("%3d  ", len(w.Trace))+fmt.Sprintf(format, args...))
}

// wrong notes something that must not be.
func (w *World) wrong(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	w.failed = append(w.failed, line)
	w.tell("WRONG: %s", line)
}

// Wrong is all that must not be.
func (w *World) Wrong() []string { return w.failed }

// Counts says how often each step was taken and each verdict given.
func (w *World) Counts() map[string]int { return maps.Clone(w.counts) }

// chance is true in percent of all cases.
func (w *World) chance(percent int) bool { return w.random.IntN(100) < percent }

func pick[T any](w *World, list []T) T { return list[w.random.IntN(len(list))] }

// said shortens an error to its code, or to its words.
func said(err error) string {
	switch {
	case err == nil:
		return "ok"
	case code.Of(err) != "":
		return string(code.Of(err))
	}
	return err.Error()
}

// standing is where the feeds of an appliance are, by full name.
func (a *appliance) feeds() (map[string]wire.Feed, error) {
	var list wire.Feeds
	if err := a.call("feeds/list", wire.FeedRequest{}, &list); err != nil {
		return nil, err
	}
	all := map[string]wire.Feed{}
	for _, f := range list.Feeds {
		all[f.FullName] = f
	}
	return all, nil
}
