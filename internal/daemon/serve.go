package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"time"

	sd "github.com/coreos/go-systemd/v22/daemon"

	"sallyport/internal/code"
	"sallyport/internal/metrics"
	"sallyport/internal/state"
	"sallyport/internal/timeline"
	"sallyport/internal/web"
)

// maxPath is the longest address of a unix socket on Linux, without its NUL.
const maxPath = 107

// patience is how long running calls get to end after they were cancelled.
const patience = 20 * time.Second

// Serve recovers what a crash left, answers until ctx ends, and stops in order. It may be called once.
func (d *Daemon) Serve(ctx context.Context) (err error) {
	defer func() { err = errors.Join(err, d.close()) }()
	run, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	d.began = d.deps.Clock.Now()
	if err := d.recover(run); err != nil {
		return fmt.Errorf("recover: %w", err)
	}
	listeners, err := d.listen()
	if err != nil {
		return err
	}
	if err := d.export.Start(run); err != nil {
		for _, l := range listeners {
			l.Close()
		}
		return err
	}
	server := web.New(run, web.Options{
		Actions: d.api.Actions(), Metrics: d.metrics.Handler(), Health: d.health, Member: member(d.cfg.SocketGroups), Log: d.log,
	})
	ended := make(chan error, len(listeners))
	for _, l := range listeners {
		go func() { ended <- server.Serve(l) }()
	}
	d.goDo(func() { d.tick(run) })
	d.goDo(func() { d.sweeping(run) })
	d.goDo(func() { d.scrubbing(run) })
	close(d.ready)
	d.log.Info("ready", "socket", d.Socket(), "name", d.in.Name, "id", d.in.ID)
	d.notify(sd.SdNotifyReady)
	broken := false // a sync failed: what is on the disk is not known any more, and nothing is written over it
	select {
	case <-ctx.Done():
	case err = <-d.fatal:
		broken = true
	case <-d.state.Failed():
		broken = true
		err = code.New(code.FsyncFailed, "a commit of the state database failed; the daemon stops so that nothing is half written")
	case err = <-ended:
		ended <- nil
	}
	d.notify(sd.SdNotifyStopping)
	return errors.Join(err, d.stop(server, cancel, ended, len(listeners), broken))
}

// recover drops what a crash left and takes unfinished runs up again. The same functions do it after a clean stop.
// A full disk is no reason not to start: the ballast is given back first, and what cannot be written now is written later.
func (d *Daemon) recover(ctx context.Context) error {
	if err := d.tend(); err != nil {
		return err
	}
	if err := tidy(d.cfg.DataDir); err != nil {
		return err
	}
	if err := d.bearable(d.intake.Recover(ctx)); err != nil {
		return err
	}
	if err := d.bearable(d.care.Recover()); err != nil {
		return err
	}
	if err := d.bearable(d.marks.Tick()); err != nil {
		return err
	}
	return d.bearable(d.note(ctx, "daemon.started"))
}

// stop ends calls, rooms and listeners. It writes down that the daemon stopped, unless something is broken: the next start
// then meets what a crash leaves.
func (d *Daemon) stop(server *web.Server, cancel context.CancelCauseFunc, ended <-chan error, n int, broken bool) error {
	cancel(code.New(code.Interrupted, "the daemon stops"))
	soon, done := context.WithTimeout(context.Background(), patience)
	defer done()
	errs := []error{server.Close(soon)}
	for range n {
		errs = append(errs, <-ended)
	}
	errs = append(errs, d.export.Close())
	d.work.Wait()
	errs = append(errs, os.Remove(d.Socket()))
	select {
	case err := <-d.fatal:
		broken, errs = true, append(errs, err)
	case <-d.state.Failed():
		broken = true
	default:
	}
	if !broken {
		errs = append(errs, d.bearable(d.marks.Tick()), d.bearable(d.note(context.Background(), "daemon.stopped")))
	}
	d.log.Info("stopped")
	return errors.Join(errs...)
}

func (d *Daemon) note(ctx context.Context, typ string) error {
	return d.state.Update(ctx, func(tx *state.Tx) error {
		_, err := d.timeline.Append(tx, timeline.Event{Type: typ, Subject: d.in.Name, Attrs: map[string]string{"software": d.deps.Software}})
		return err
	})
}

// tick raises the trusted time once a minute and feeds the watchdog.
func (d *Daemon) tick(ctx context.Context) {
	t := time.NewTicker(time.Minute)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			d.tended()
			if err := d.marks.Tick(); err != nil {
				d.log.Error("marks not raised", "err", err.Error())
				if code.Has(err, code.FsyncFailed) {
					d.die(err)
				}
			}
			d.notify(sd.SdNotifyWatchdog)
		}
	}
}

// notify tells systemd; outside of it nobody listens.
func (d *Daemon) notify(what string) {
	if _, err := sd.SdNotify(false, what); err != nil {
		d.log.Warn("systemd was not told", "what", what, "err", err.Error())
	}
}

// listen opens the socket, and loopback TCP when configured.
func (d *Daemon) listen() ([]net.Listener, error) {
	l, err := listenUnix(d.Socket())
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	if err := d.admit(); err != nil {
		return nil, errors.Join(fmt.Errorf("listen: %w", err), l.Close(), os.Remove(d.Socket()))
	}
	all := []net.Listener{l}
	if d.cfg.ListenHTTP == "" {
		return all, nil
	}
	tcp, err := net.Listen("tcp", d.cfg.ListenHTTP)
	if err != nil {
		l.Close()
		return nil, code.Wrap(code.BadConfig, err, "listen").In(d.cfg.ListenHTTP, "listen.http")
	}
	d.log.Info("listening", "address", tcp.Addr().String())
	return append(all, tcp), nil
}

// listenUnix replaces a socket that nobody serves any more: the lock says that we are alone. Its folder is 0700 or the
// packager's; the socket itself is 0660. Who else may come is admit's.
func listenUnix(path string) (net.Listener, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	name := path
	if len(path) > maxPath {
		dir, err := os.Open(filepath.Dir(path))
		if err != nil {
			return nil, err
		}
		defer dir.Close()
		name = fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(path))
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: name, Net: "unix"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false)
	if err := os.Chmod(path, 0o660); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// health is what /readyz says.
func (d *Daemon) health() (status string, reasons []string) {
	if !d.isReady() {
		return "Unhealthy", []string{"starting"}
	}
	status, list := d.api.Health()
	for _, r := range list {
		reasons = append(reasons, r.What)
	}
	return status, reasons
}

// gauges are read at each scrape.
func (d *Daemon) gauges() metrics.Gauges {
	return metrics.Gauges{
		JobsReady: func() float64 { return float64(d.api.Waiting()) },
		StorageBytes: func() float64 {
			_, bytes, err := d.cas.Usage()
			if err != nil {
				return -1
			}
			return float64(bytes)
		},
		DiskFree: func() float64 {
			p, err := d.cas.Space()
			if err != nil {
				return -1
			}
			return float64(p.Free)
		},
		Condemned: func() float64 { return float64(len(d.cas.Condemned())) },
		AnchorAge: func() float64 {
			now := d.marks.Now()
			if now.Anchor.IsZero() {
				return -1
			}
			return now.Trusted.Sub(now.Anchor).Seconds()
		},
	}
}
