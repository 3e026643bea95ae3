package crash

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"sallyport/internal/client"
)

// patience bounds one life of a daemon; only a hung one ever uses it up.
const patience = 60 * time.Second

// Build builds the program, with the fault seam or as it is released.
func Build(ctx context.Context, module, out string, seam bool) error {
	args := []string{"build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w -buildid=", "-o", out}
	if seam {
		args = append(args, "-tags", "faultpoints")
	}
	cmd := exec.CommandContext(ctx, "go", append(args, "./cmd/sallyport")...)
	cmd.Dir = module
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w\n%s", out, err, text)
	}
	return nil
}

// process is one daemon.
type process struct {
	cmd    *exec.Cmd
	client *client.Client
	stderr bytes.Buffer
	ended  chan struct{} // closed when it has ended
	err    error         // how it ended; read after ended
}

// errEnded is what becomes of a daemon that ends before it is ready.
var errEnded = errors.New("the daemon ended before it was ready")

// serve starts a daemon and waits until it is ready. When it ends before that, the process comes back with errEnded.
func (r *Rig) serve(ctx context.Context, dir string, env ...string) (*process, error) {
	address := fmt.Sprintf("@sallyport-crash-%d-%d", os.Getpid(), r.sockets.Add(1))
	notes, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: address, Net: "unixgram"})
	if err != nil {
		return nil, err
	}
	defer notes.Close()
	p, err := r.start(dir, []string{"serve", "--data-dir", dir}, append([]string{"NOTIFY_SOCKET=" + address}, env...)...)
	if err != nil {
		return nil, err
	}
	ready := make(chan error, 1)
	go func() { ready <- awaitReady(notes) }()
	select {
	case err := <-ready:
		return p, err
	case <-p.ended:
		return p, errEnded
	case <-ctx.Done():
		p.kill()
		return p, fmt.Errorf("serve %s: %w", dir, ctx.Err())
	}
}

// start starts the program on a data directory. Its ballast is small: it is copied with every cell.
func (r *Rig) start(dir string, args []string, env ...string) (*process, error) {
	p := &process{cmd: exec.Command(r.program, args...), ended: make(chan struct{})}
	p.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TMPDIR=" + r.dir, "SALLYPORT_STORE_RESERVE=1MiB", "SALLYPORT_STORE_BALLAST=64KiB", "SALLYPORT_LISTEN_HTTPS=off"},
		slices.Concat(r.env, env)...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	p.cmd.Stderr, p.cmd.Stdout = &p.stderr, &p.stderr
	p.client = client.New(filepath.Join(dir, "run", "sallyport.sock"))
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
	return p, nil
}

// awaitReady reads what the daemon tells its supervisor.
func awaitReady(notes net.Conn) error {
	buf := make([]byte, 1024)
	for {
		n, err := notes.Read(buf)
		if err != nil {
			return err
		}
		if strings.Contains(string(buf[:n]), "READY=1") {
			return nil
		}
	}
}

// stop asks for an orderly end and waits for it.
func (p *process) stop(ctx context.Context) error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	if err := p.wait(ctx); err != nil {
		return err
	}
	if p.err != nil {
		return fmt.Errorf("the daemon ended with %w: %s", p.err, p.said())
	}
	return nil
}

// wait waits for the end, and makes one when ctx ends first.
func (p *process) wait(ctx context.Context) error {
	select {
	case <-p.ended:
		return nil
	case <-ctx.Done():
		p.kill()
		return fmt.Errorf("the daemon did not end: %w", ctx.Err())
	}
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may be gone already
	<-p.ended
}

// killed tells whether SIGKILL ended it.
func (p *process) killed() bool {
	var exit *exec.ExitError
	if !errors.As(p.err, &exit) {
		return false
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGKILL
}

// said is the end of what it printed; only after it has ended.
func (p *process) said() string {
	s := strings.TrimSpace(p.stderr.String())
	return s[max(0, len(s)-600):]
}

// counter numbers sockets.
type counter = atomic.Int64
