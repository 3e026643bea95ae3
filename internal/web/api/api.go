// Package api is the table of actions: what the product does, each once, for command line and API alike.
//
// Data: none of its own. An action decodes its request, calls one room or reads the ledgers in one view, and gives back a
// value of wire. The exchange alone joins two rooms, because a visit of a medium is both an import and an export.
//
// Order: whatever an action changes, its room changes in its own order; a crash in an action leaves what that room says.
// Runs belong to the export room and go on when their watcher leaves. A load or an import ends with the connection that asked for
// it, unless it was started as a job: then it belongs to the desk, which asks for it here by itself.
package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/cas"
	"sallyport/internal/clock"
	"sallyport/internal/code"
	"sallyport/internal/config"
	"sallyport/internal/desk"
	"sallyport/internal/durable"
	"sallyport/internal/export"
	"sallyport/internal/intake"
	"sallyport/internal/keyring"
	"sallyport/internal/layer"
	"sallyport/internal/lifecycle"
	"sallyport/internal/load"
	"sallyport/internal/marks"
	"sallyport/internal/metrics"
	"sallyport/internal/peer"
	"sallyport/internal/root"
	"sallyport/internal/state"
	"sallyport/internal/timeline"
	"sallyport/internal/upload"
	"sallyport/internal/web"
	"sallyport/internal/wire"
)

// Deps is what the actions work with. All fields are needed.
type Deps struct {
	State    *state.DB
	CAS      *cas.Store
	Layers   *layer.Dir
	Keys     *keyring.Ring
	Marks    *marks.Marks
	Timeline *timeline.Log
	Load     *load.Room
	Intake   *intake.Room
	Export   *export.Room
	Care     *lifecycle.Room
	Metrics  *metrics.Set
	Access   *access.Desk
	Jobs     *desk.Desk
	Uploads  *upload.Room
	Clock    clock.Clock
	Random   io.Reader
	FS       durable.FS
	Log      *slog.Logger
	Self     wire.Appliance
	Roots    [][]byte      // envelopes of our own trust root
	Every    time.Duration // how often a stick arrives, for feeds without a rhythm of their own
	Config   config.Config // what is in force
	Store    Store
	Console  func() *wire.Console                                                         // how browsers reach us; nil: not at all
	Do       func(ctx context.Context, who web.Actor, action string, in any) (any, error) // asks the door, for addresses that are actions by another name
	Tend     func()                                                                       // looks after a full disk; called before each action, cheap
	Reasons  func() []wire.Reason                                                         // what is not well with disk and store
	Ready    func() bool
	Go       func(func()) // runs a goroutine that the daemon waits for
	Fatal    func(error)  // ends the daemon: a sync failed
}

// API is all actions of one daemon. Safe for concurrent use.
type API struct {
	Deps
	began time.Time
	scale scale // what deltas weigh
}

// New makes it. Nothing is read or written.
func New(d Deps) *API { return &API{Deps: d, began: d.Clock.Now()} }

// guard ends the daemon when our own disk failed a sync: what it acknowledged is whole, what comes next would not be.
func (a *API) guard(run func(context.Context, *web.Call) (any, error)) func(context.Context, *web.Call) (any, error) {
	return func(ctx context.Context, c *web.Call) (any, error) {
		a.Tend()
		v, err := run(ctx, c)
		if code.Has(err, code.FsyncFailed) {
			a.Fatal(err)
		}
		return v, err
	}
}

// tenant is the one that is meant: as named, else the only one.
func (a *API) tenant(name string) (string, error) {
	ours := a.Self.Tenants
	switch {
	case name == "" && len(ours) == 1:
		return ours[0], nil
	case name == "":
		return "", code.New(code.BadUsage, "this appliance has several tenants").Want(strings.Join(ours, ", "), "none").Do("Name one with --tenant.")
	case slices.Contains(ours, name):
		return name, nil
	}
	return "", code.New(code.Missing, "no tenant %.40q", name).Want(strings.Join(ours, ", "), fmt.Sprintf("%.40q", name))
}

// absolute refuses a path that would mean something else here than where it was typed.
func absolute(path string) error {
	if !filepath.IsAbs(path) {
		return code.New(code.BadUsage, "a path must be absolute").In(path, "")
	}
	return nil
}

// names resolves appliance ids to the names they have here.
type names map[string]string

// names reads them in one view.
func (a *API) names(tx *state.Tx) (names, error) {
	n := names{a.Self.ID: a.Self.Name}
	peers, err := peer.List(tx)
	for _, p := range peers {
		n[p.ID] = p.Name
	}
	return n, err
}

func (n names) of(id string) string {
	if name := n[id]; name != "" {
		return name
	}
	return id
}

// recode turns a room's value into its twin of wire; a test holds the two together.
func recode[T any](v any) (out T, err error) {
	b, err := json.Marshal(v)
	if err != nil {
		return out, fmt.Errorf("encode answer: %w", err)
	}
	if err := json.Unmarshal(b, &out); err != nil {
		return out, fmt.Errorf("encode answer: %w", err)
	}
	return out, nil
}

// chain accepts root documents one after the other; dates are judged where a signature is.
func chain(envelopes [][]byte) (*root.Trusted, error) {
	if len(envelopes) == 0 {
		return nil, code.New(code.RootBad, "no trust root document")
	}
	t, err := root.First(envelopes[0], time.Time{})
	for _, e := range envelopes[1:] {
		if err == nil {
			t, err = t.Next(e, time.Time{})
		}
	}
	return t, err
}

// knownPeers adds the names there are to an error about one that is not there.
func (a *API) knownPeers(err error) error {
	var e *code.Error
	if code.Of(err) != code.Missing || errors.As(err, &e) && e.Next != "" {
		return err // nothing is missing, or it is known better what
	}
	var list []string
	if verr := a.State.View(func(tx *state.Tx) error {
		peers, err := peer.List(tx)
		for _, p := range peers {
			list = append(list, p.Name)
		}
		return err
	}); verr != nil || len(list) == 0 {
		return suggest(err, "No peer is known yet: sallyport peers add MEDIUM.")
	}
	return suggest(err, "Known peers: "+strings.Join(list, ", ")+".")
}

// suggest replaces the next step of an error and keeps all else.
func suggest(err error, next string) error {
	e := wire.FromError(err)
	e.Next = next
	return e.Err()
}
