// Package daemon builds the appliance from a configuration and runs it.
//
// Data: the data directory D, made by Init and by nothing else:
//
//	D/config.yaml instance.json lock state.db marks   cas/ layers/ keys/ pub/ quarantine/ shelf/ backups/ ballast/ tls/ run/
//	D/jobs/ uploads/
//
// D/ballast holds bytes that nobody needs: they are given back when the disk is full (space.go), so that pruning, sweeping,
// receipts and status go on; a full disk never keeps the daemon from starting. Tables scrub and scrub.layers of the state
// say how far the scrub has come and which digest each proven layer file had (scrub.go).
//
// instance.json says who this appliance is; state.db, marks and cas carry the same instance id, and a daemon that finds
// another one in any of them does not start. The lock file is held while it runs.
//
// Order: lock, instance, stores, marks, rooms, recovery (what a crash left is dropped, interrupted runs wait again, marks are
// raised from the ledger), then the socket's file, then jobs are taken up, certificate, HTTPS and plain loopback (https.go), then
// the socket answers, then ready. What HTTPS lacks keeps nothing else from starting; each minute tries again and renews the
// certificate. A stop goes backwards: no new connections, running calls and streams are cancelled, jobs and rooms are closed,
// stores are closed, the lock goes last. A crash at any place is met by the next start.
package daemon

import (
	"context"
	"io"
	"log/slog"
	"time"

	"sallyport/internal/client"
	"sallyport/internal/clock"
	"sallyport/internal/config"
	"sallyport/internal/durable"
	"sallyport/internal/wire"
)

// Deps are the outside world. Nil fields are the system's own.
type Deps struct {
	Clock    clock.Clock
	Random   io.Reader
	FS       durable.FS
	Log      *slog.Logger
	Software string    // version of this program, "1.0.0"
	Build    time.Time // build date of this program: the first trusted time
	Mirror   string    // path of the mirror program to put on media; "" copies none

	Greet func(Greeting) // tells a person at a terminal where the console is; nil: the log does
}

// Greeting is what the first person needs to know.
type Greeting struct {
	Console wire.Console
	Code    string // to become admin with; "" when there is one
	Minutes int    // that it lives
	Tries   int
}

func (d Deps) fill() Deps {
	if d.Clock == nil {
		d.Clock = clock.System()
	}
	if d.Random == nil {
		d.Random = clock.Random()
	}
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	if d.Software == "" {
		d.Software = "0.0.0"
	}
	if d.Build.IsZero() {
		d.Build = dawn()
	}
	return d
}

// Running is a daemon in this process.
type Running struct {
	d      *Daemon
	cancel context.CancelFunc
	done   chan error
}

// Start builds a daemon and serves until Stop or until ctx ends. When it returns without an error the daemon is ready.
func Start(ctx context.Context, c config.Config, deps Deps) (*Running, error) {
	d, err := New(c, deps)
	if err != nil {
		return nil, err
	}
	run, cancel := context.WithCancel(ctx)
	r := &Running{d: d, cancel: cancel, done: make(chan error, 1)}
	go func() { r.done <- d.Serve(run) }()
	select {
	case <-d.Ready():
		return r, nil
	case err := <-r.done:
		cancel()
		return nil, err
	}
}

// Client speaks to it over its socket, as the command line does.
func (r *Running) Client() *client.Client { return client.New(r.d.Socket()) }

// Daemon is the running one.
func (r *Running) Daemon() *Daemon { return r.d }

// Stop ends it and waits. It may be called once.
func (r *Running) Stop() error {
	r.cancel()
	return <-r.done
}
