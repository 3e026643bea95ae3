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
	server, err := d.server(run)
	if err != nil {
		return err
	}
	socket, err := d.listen()
	if err != nil {
		return err
	}
	if err := d.begin(run, server); err != nil {
		cancel(err)
		return errors.Join(err, d.leave(server, run), socket.Close(), os.Remove(d.Socket()))
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(socket) }()
	d.goDo(func() { d.tick(run, server) })
	d.goDo(func() { d.sweeping(run) })
	d.goDo(func() { d.tidying(run) })
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
	return errors.Join(err, d.stop(server, cancel, ended, broken))
}

// begin takes up what was unfinished and answers over TCP, where that is asked for. What it began before an error ends with run.
func (d *Daemon) begin(run context.Context, server *web.Server) error {
	if err := d.export.Start(run); err != nil {
		return err
	}
	if err := d.bearable(d.desk.Open(run)); err != nil {
		return err
	}
	if err := d.openDoors(server); err != nil {
		return err
	}
	return d.bearable(d.welcome(run))
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
	if err := d.bearable(d.uploads.Open()); err != nil {
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
func (d *Daemon) stop(server *web.Server, cancel context.CancelCauseFunc, ended <-chan error, broken bool) error {
	cancel(code.New(code.Interrupted, "the daemon stops"))
	soon, done := context.WithTimeout(context.Background(), patience)
	defer done()
	errs := []error{d.leave(server, soon), <-ended, os.Remove(d.Socket())}
	select {
	case err := <-d.fatal:
		broken, errs = true, append(errs, err)
	case <-d.state.Failed():
		broken = true
	default:
	}
	if !broken {
		errs = append(errs, d.bearable(d.access.Close(context.Background())), d.bearable(d.marks.Tick()), d.bearable(d.note(context.Background(), "daemon.stopped")))
	}
	d.log.Info("stopped")
	return errors.Join(errs...)
}

// leave ends requests, jobs and rooms, after their base context has ended.
func (d *Daemon) leave(server *web.Server, soon context.Context) error {
	err := server.Close(soon)
	if d.console != nil {
		d.console.Close()
	}
	d.desk.Close()
	err = errors.Join(err, d.export.Close())
	d.work.Wait()
	return err
}

func (d *Daemon) note(ctx context.Context, typ string) error {
	return d.state.Update(ctx, func(tx *state.Tx) error {
		_, err := d.timeline.Append(tx, timeline.Event{Type: typ, Subject: d.in.Name, Attrs: map[string]string{"software": d.deps.Software}})
		return err
	})
}

// tick raises the trusted time once a minute, tends to who is signed in and to the certificate, and feeds the watchdog.
func (d *Daemon) tick(ctx context.Context, server *web.Server) {
	t := time.NewTicker(time.Minute)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			d.tended()
			d.minute("marks not raised", d.marks.Tick())
			d.minute("sessions not tended", d.access.Tick(ctx))
			d.tendHTTPS(ctx, server)
			d.notify(sd.SdNotifyWatchdog)
		}
	}
}

// minute tells of what went wrong in a tick; a sync that failed ends the daemon.
func (d *Daemon) minute(what string, err error) {
	if err == nil {
		return
	}
	d.log.Error(what, "err", err.Error())
	if code.Has(err, code.FsyncFailed) {
		d.die(err)
	}
}

// notify tells systemd; outside of it nobody listens.
func (d *Daemon) notify(what string) {
	if _, err := sd.SdNotify(false, what); err != nil {
		d.log.Warn("systemd was not told", "what", what, "err", err.Error())
	}
}

// listen opens the socket and lets those in who may come.
func (d *Daemon) listen() (net.Listener, error) {
	l, err := listenUnix(d.Socket())
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	if err := d.admit(); err != nil {
		return nil, errors.Join(fmt.Errorf("listen: %w", err), l.Close(), os.Remove(d.Socket()))
	}
	return l, nil
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
