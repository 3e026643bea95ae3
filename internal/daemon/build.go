package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"syscall"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/cas"
	"sallyport/internal/code"
	"sallyport/internal/config"
	"sallyport/internal/desk"
	"sallyport/internal/digest"
	"sallyport/internal/export"
	"sallyport/internal/export/mirror"
	"sallyport/internal/export/outbound"
	"sallyport/internal/intake"
	"sallyport/internal/keyring"
	"sallyport/internal/layer"
	"sallyport/internal/lifecycle"
	"sallyport/internal/load"
	"sallyport/internal/marks"
	"sallyport/internal/metrics"
	"sallyport/internal/state"
	"sallyport/internal/timeline"
	"sallyport/internal/upload"
	"sallyport/internal/web"
	"sallyport/internal/web/api"
	"sallyport/internal/web/console"
)

// Daemon is one appliance, built and not yet serving. Its fields are set by New and only read afterwards.
type Daemon struct {
	cfg  config.Config
	deps Deps
	in   Instance
	log  *slog.Logger

	lock     *os.File
	state    *state.DB
	cas      *cas.Store
	layers   *layer.Dir
	keys     *keyring.Ring
	marks    *marks.Marks
	timeline *timeline.Log
	load     *load.Room
	intake   *intake.Room
	export   *export.Room
	care     *lifecycle.Room
	metrics  *metrics.Set
	access   *access.Desk
	api      *api.API
	door     *web.Door
	desk     *desk.Desk
	uploads  *upload.Room
	console  *console.Console // nil: nothing listens over TCP
	front    front
	ballast  *ballast
	cramped  cramped
	scrubOne chan struct{} // holds a token while a scrub runs

	began time.Time
	ready chan struct{}
	fatal chan error // the first reason to stop at once; buffered 1
	once  sync.Once
	work  sync.WaitGroup // goroutines of this daemon
}

// New builds everything from a configuration, in the order the parts need each other. Nothing listens yet. An error leaves
// nothing open.
func New(c config.Config, deps Deps) (_ *Daemon, err error) {
	d := &Daemon{cfg: c, deps: deps.fill(), ready: make(chan struct{}), fatal: make(chan error, 1), scrubOne: make(chan struct{}, 1)}
	d.log = d.deps.Log
	defer func() {
		if err != nil {
			d.close()
		}
	}()
	if d.in, err = ReadInstance(c.DataDir); err != nil {
		return nil, err
	}
	if d.lock, err = lock(at(c.DataDir, "lock")); err != nil {
		return nil, err
	}
	if err := d.open(); err != nil {
		return nil, fmt.Errorf("open data directory %s: %w", c.DataDir, err)
	}
	roots, err := d.roots()
	if err != nil {
		return nil, err
	}
	d.rooms(roots)
	return d, nil
}

// lock holds the data directory for this process.
func lock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock data directory: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, code.Wrap(code.Locked, err, "").In(path, "")
	}
	if err := f.Truncate(0); err == nil {
		fmt.Fprintf(f, "%d\n", os.Getpid()) // for people who look; the lock is what counts
	}
	return f, nil
}

// open opens the stores and refuses parts of another instance.
func (d *Daemon) open() (err error) {
	dir, fsys := d.cfg.DataDir, d.deps.FS
	if d.state, err = state.Open(at(dir, "state.db"), fsys); err != nil {
		return err
	}
	if got := d.state.Instance(); got != d.in.Instance {
		return code.New(code.WrongInstance, "").In(at(dir, "state.db"), "").Want(d.in.Instance, got)
	}
	if d.marks, err = marks.Open(at(dir, "marks"), fsys, d.deps.Clock); err != nil {
		return err
	}
	if got := d.marks.Instance(); got != d.in.Instance {
		return code.New(code.WrongInstance, "").In(at(dir, "marks"), "").Want(d.in.Instance, got)
	}
	if d.cas, err = cas.Open(at(dir, "cas"), fsys, d.in.Instance); err != nil {
		return err
	}
	d.cas.SetReserve(d.cfg.Reserve)
	d.ballast = &ballast{dir: at(dir, "ballast"), fs: fsys, space: d.cas.Space, want: d.cfg.Ballast}
	d.layers = layer.NewDir(at(dir, "layers"), fsys)
	if d.keys, err = keyring.Open(dir, fsys); err != nil {
		return err
	}
	d.timeline = timeline.New(d.in.ID, d.marks.Now, d.deps.Random)
	if d.in.SingleOperator {
		d.timeline.Always("singleOperator", "true")
	}
	return nil
}

// roots reads our own trust root.
func (d *Daemon) roots() ([][]byte, error) {
	id, err := digest.Parse(d.in.RootID)
	if err != nil {
		return nil, code.Wrap(code.StateCorrupt, err, "read instance").In(at(d.cfg.DataDir, "instance.json"), "rootId")
	}
	return readRoots(d.cfg.DataDir, id)
}

// rooms wires the rooms to the stores and to each other.
func (d *Daemon) rooms(roots [][]byte) {
	d.load = &load.Room{
		State: d.state, CAS: d.cas, Layers: d.layers, Timeline: d.timeline, Marks: d.marks, DataDir: d.cfg.DataDir,
		Self:  load.Self{ID: d.in.ID, Name: d.in.Name},
		Clock: d.deps.Clock, Random: d.deps.Random, FS: d.deps.FS, Log: d.log, Workers: d.cfg.Workers,
	}
	d.intake = intake.New(intake.Deps{
		State: d.state, CAS: d.cas, Layers: d.layers, Keys: d.keys, Marks: d.marks, Timeline: d.timeline,
		Clock: d.deps.Clock, Random: d.deps.Random, FS: d.deps.FS, Log: d.log,
		Self: intake.Self{
			ID: d.in.ID, Name: d.in.Name, Tenants: d.in.Tenants, Roots: roots, Software: d.deps.Software, Every: int64(d.cfg.Every / time.Second),
		},
		DataDir: d.cfg.DataDir, Approvals: d.cfg.Approvals, Expire: d.cfg.Expire, SingleOperator: d.in.SingleOperator, Delivered: d.delivered, Learned: export.Remember,
		Often: func() time.Duration { return d.care.Often() },
	})
	d.export = export.New(export.Deps{
		State: d.state, CAS: d.cas, Layers: d.layers, Keys: d.keys, Marks: d.marks, Timeline: d.timeline,
		Clock: d.deps.Clock, Random: d.deps.Random, FS: d.deps.FS, Log: d.log,
		Self:    export.Self{ID: d.in.ID, Name: d.in.Name, Roots: roots, Software: d.deps.Software},
		DataDir: d.cfg.DataDir, Kinds: []export.Kind{mirror.Full{}, mirror.Delta{}, outbound.Site{Papers: d.papers, Told: d.intake.Told}},
		Workers: d.cfg.Workers, Parallel: d.cfg.Runs, MirrorFile: d.deps.Mirror, Mirror: d.mirrorDigest(),
		Card: func(ctx context.Context, medium string) error {
			_, err := d.intake.WriteCard(ctx, medium)
			return err
		},
		Acks: intake.Acks, Fatal: d.die,
	})
	d.care = lifecycle.New(lifecycle.Deps{
		State: d.state, CAS: d.cas, Layers: d.layers, Keys: d.keys, Marks: d.marks, Timeline: d.timeline,
		Clock: d.deps.Clock, Random: d.deps.Random, FS: d.deps.FS, DataDir: d.cfg.DataDir, ID: d.in.ID, Name: d.in.Name, Software: d.deps.Software,
		Every: d.cfg.Every, Expire: d.cfg.Expire, Single: d.in.SingleOperator, Fixed: d.cfg.Source("delivery.every") != "default",
	})
	d.metrics = metrics.New(d.gauges())
	d.people()
	d.desk, d.uploads = d.newDesk(), d.newUploads()
	d.api = api.New(api.Deps{
		State: d.state, CAS: d.cas, Layers: d.layers, Keys: d.keys, Marks: d.marks, Timeline: d.timeline,
		Load: d.load, Intake: d.intake, Export: d.export, Care: d.care, Every: d.cfg.Every, Config: d.cfg, Metrics: d.metrics, Clock: d.deps.Clock, Random: d.deps.Random, FS: d.deps.FS,
		Log: d.log, Self: applianceOf(d.in, d.cfg.DataDir, d.deps.Software), Roots: roots,
		Access: d.access, Jobs: d.desk, Uploads: d.uploads, Console: d.Console, Do: d.do,
		Store: store{d}, Tend: d.tended, Reasons: d.reasons, Ready: d.isReady, Go: d.goDo, Fatal: d.die,
	})
	d.door = web.NewDoor(web.DoorOptions{Actions: d.api.Actions(), Log: d.log, Refused: d.access.Refused})
}

// delivered notes a receipt on the run that made the bundle, in the transaction that records the receipt.
func (d *Daemon) delivered(tx *state.Tx, v intake.Delivery) error {
	_, _, err := export.Delivered(tx, v.Peer.Name, v.Receipt, v.Digest, d.marks.Now().Trusted)
	return err
}

// papers is what a hub is told: receipts it has not acknowledged, and what we hold of its feeds.
func (d *Daemon) papers(ctx context.Context, hub string) (out outbound.Papers, err error) {
	list, err := d.intake.Receipts(ctx, hub, true)
	if err != nil {
		return out, err
	}
	for _, p := range list {
		out.Receipts = append(out.Receipts, outbound.Paper{Name: p.Name, Envelope: p.Envelope})
	}
	inventory, err := d.intake.Inventory(ctx, hub)
	out.Inventory = inventory.Envelope
	return out, err
}

// mirrorDigest is that of the verifier we put on media, zero when there is none.
func (d *Daemon) mirrorDigest() digest.Digest {
	if d.deps.Mirror == "" {
		return digest.Digest{}
	}
	b, err := os.ReadFile(d.deps.Mirror)
	if err != nil {
		d.log.Warn("no mirror program for media", "file", d.deps.Mirror, "err", err.Error())
		d.deps.Mirror = ""
		return digest.Digest{}
	}
	return digest.Of(b)
}

// die asks for an end; the first reason counts.
func (d *Daemon) die(err error) {
	select {
	case d.fatal <- err:
	default:
	}
}

// goDo runs a goroutine that Serve waits for.
func (d *Daemon) goDo(fn func()) {
	d.work.Add(1)
	go func() {
		defer d.work.Done()
		fn()
	}()
}

func (d *Daemon) isReady() bool {
	select {
	case <-d.ready:
		return true
	default:
		return false
	}
}

// Ready is closed when the daemon answers.
func (d *Daemon) Ready() <-chan struct{} { return d.ready }

// Socket is where it listens.
func (d *Daemon) Socket() string { return d.cfg.SocketPath() }

// close closes what is open, in the order opposite to New. It may be called twice.
func (d *Daemon) close() error {
	var errs []error
	d.once.Do(func() {
		if d.layers != nil {
			errs = append(errs, d.layers.Close())
		}
		if d.state != nil {
			errs = append(errs, d.state.Close())
		}
		if d.lock != nil {
			errs = append(errs, d.lock.Close())
		}
	})
	return errors.Join(errs...)
}

// Close ends a daemon that never served.
func (d *Daemon) Close() error { return d.close() }
