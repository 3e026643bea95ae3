package bench

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Cost is what a piece of work took. Peak is memory in bytes, 0 when not measured.
type Cost struct {
	Wall, CPU time.Duration
	Peak      int64
}

func (c Cost) plus(d Cost) Cost { return Cost{c.Wall + d.Wall, c.CPU + d.CPU, max(c.Peak, d.Peak)} }

// median takes that of each column.
func median(costs []Cost) Cost {
	if len(costs) == 0 {
		return Cost{}
	}
	var wall, cpu, peak []int64
	for _, c := range costs {
		wall, cpu, peak = append(wall, int64(c.Wall)), append(cpu, int64(c.CPU)), append(peak, c.Peak)
	}
	mid := func(v []int64) int64 {
		slices.Sort(v)
		if n := len(v); n%2 == 0 {
			return (v[n/2-1] + v[n/2]) / 2
		}
		return v[len(v)/2]
	}
	return Cost{time.Duration(mid(wall)), time.Duration(mid(cpu)), mid(peak)}
}

func found(program string) bool {
	_, err := exec.LookPath(program)
	return err == nil
}

// command makes a child that an interrupt ends, first politely.
func (l *lab) command(name string, args ...string) *exec.Cmd {
	c := exec.CommandContext(l.ctx, name, args...)
	c.Cancel = func() error { return c.Process.Signal(syscall.SIGTERM) }
	c.WaitDelay = 20 * time.Second
	return c
}

// run runs a program to its end and returns its output.
func (l *lab) run(name string, args ...string) (Cost, []byte, error) {
	return l.finish(l.command(name, args...))
}

// shell runs a script; it sees the lab's directory as $D. The reference tools are run like this.
func (l *lab) shell(script string, env ...string) (Cost, error) {
	c := l.command("sh", "-ec", script)
	c.Dir, c.Env = l.dir, append(append(os.Environ(), "D="+l.dir), env...)
	cost, _, err := l.finish(c)
	return cost, err
}

func (l *lab) finish(c *exec.Cmd) (Cost, []byte, error) {
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	start := time.Now()
	err := c.Run()
	cost := Cost{Wall: time.Since(start)}
	if c.ProcessState != nil {
		cost.CPU = c.ProcessState.UserTime() + c.ProcessState.SystemTime()
		if u, ok := c.ProcessState.SysUsage().(*syscall.Rusage); ok {
			cost.Peak = u.Maxrss << 10
		}
	}
	if err != nil {
		return cost, out.Bytes(), fmt.Errorf("%s: %w\n%s%s", strings.Join(c.Args, " "), err, tail(out.Bytes()), tail(errs.Bytes()))
	}
	return cost, out.Bytes(), nil
}

func tail(b []byte) []byte { return b[max(0, len(b)-2000):] }

// daemon is a running `sallyport serve`.
type daemon struct {
	cmd  *exec.Cmd
	log  *bytes.Buffer
	done chan error
}

// serve starts a daemon and waits until it answers.
func (l *lab) serve(dataDir string, ready func() bool) (*daemon, error) {
	d := &daemon{cmd: l.command(filepath.Join(l.Build, "sallyport"), "serve", "--data-dir", dataDir), log: &bytes.Buffer{}, done: make(chan error, 1)}
	d.cmd.Env = append([]string{"SALLYPORT_LISTEN_HTTPS=off"}, os.Environ()...) // two appliances of one lab; who measures the console says otherwise
	d.cmd.Stderr = &limited{w: d.log, left: 1 << 20}
	if err := d.cmd.Start(); err != nil {
		return nil, fmt.Errorf("serve: %w", err)
	}
	go func() { d.done <- d.cmd.Wait() }()
	for range 600 {
		if ready() {
			return d, nil
		}
		select {
		case err := <-d.done:
			return nil, fmt.Errorf("serve ended: %w\n%s", errors.Join(err, errors.New("before it was ready")), d.log)
		case <-time.After(50 * time.Millisecond):
		}
	}
	d.stop()
	return nil, fmt.Errorf("serve: not ready after 30 s\n%s", d.log)
}

// limited keeps the beginning of a daemon's log.
type limited struct {
	w    io.Writer
	left int
}

func (w *limited) Write(p []byte) (int, error) {
	n := min(len(p), w.left)
	w.left -= n
	w.w.Write(p[:n])
	return len(p), nil
}

func (d *daemon) stop() {
	d.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-d.done:
	case <-time.After(30 * time.Second):
		d.cmd.Process.Kill()
		<-d.done
	}
}

func (d *daemon) proc(file string) string { return fmt.Sprintf("/proc/%d/%s", d.cmd.Process.Pid, file) }

// ticks is Linux's USER_HZ, the unit of /proc/<pid>/stat.
const ticks = 100

// cpu is the daemon's user and system time so far.
func (d *daemon) cpu() (time.Duration, error) {
	b, err := os.ReadFile(d.proc("stat"))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(b), ") ") // the program's name may hold anything
	f := strings.Fields(rest)
	if len(f) < 13 {
		return 0, fmt.Errorf("read %s: %q", d.proc("stat"), b)
	}
	user, err1 := strconv.ParseInt(f[11], 10, 64)
	system, err2 := strconv.ParseInt(f[12], 10, 64)
	return time.Duration(user+system) * (time.Second / ticks), errors.Join(err1, err2)
}

// memoryOf reads a process's memory in bytes: at most so far, now, and now without pages of files.
func memoryOf(status string) (high, now, anon int64) {
	b, err := os.ReadFile(status)
	if err != nil {
		return 0, 0, 0
	}
	for s := bufio.NewScanner(bytes.NewReader(b)); s.Scan(); {
		name, value, _ := strings.Cut(s.Text(), ":")
		n, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		switch name {
		case "VmHWM":
			high = n << 10
		case "VmRSS":
			now = n << 10
		case "RssAnon":
			anon = n << 10
		}
	}
	return high, now, anon
}

// Phase is what one call cost a daemon and its caller together. Anon is the most memory seen that is no page of a file:
// the kernel may drop pages of files, and counts them in Peak.
type Phase struct {
	Cost
	Anon int64
	Disk int64 // most bytes the watched directory grew by
	Kept int64 // bytes it had grown by at the end
}

// phase measures work that the daemon does for fn. watch is a directory whose size is followed, or "".
func (d *daemon) phase(watch string, fn func() (Cost, error)) (Phase, error) {
	if err := os.WriteFile(d.proc("clear_refs"), []byte("5"), 0); err != nil {
		return Phase{}, fmt.Errorf("reset peak memory: %w", err)
	}
	before, err := d.cpu()
	if err != nil {
		return Phase{}, err
	}
	base := usage(watch)
	var p Phase
	quit := make(chan struct{})
	var wait sync.WaitGroup
	wait.Go(func() {
		for {
			_, _, anon := memoryOf(d.proc("status"))
			p.Anon, p.Disk = max(p.Anon, anon), max(p.Disk, usage(watch)-base)
			select {
			case <-quit:
				return
			case <-time.After(10 * time.Millisecond):
			}
		}
	})
	p.Cost, err = fn()
	close(quit)
	wait.Wait()
	if err != nil {
		return p, fmt.Errorf("%w\n%s", err, tail(d.log.Bytes()))
	}
	after, err := d.cpu()
	p.CPU += after - before
	p.Peak, _, _ = memoryOf(d.proc("status"))
	p.Kept = usage(watch) - base
	return p, err
}

// usage is what the files below a directory occupy on the disk, in bytes; one that goes away meanwhile does not count.
func usage(dir string) (total int64) {
	if dir == "" {
		return 0
	}
	filepath.WalkDir(dir, func(_ string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return nil
		}
		info, err := e.Info()
		if err != nil {
			return nil
		}
		if st, ok := info.Sys().(*syscall.Stat_t); ok {
			total += st.Blocks * 512
		}
		return nil
	})
	return total
}

func memory() string {
	b, _ := os.ReadFile("/proc/meminfo")
	_, rest, _ := strings.Cut(string(b), "MemTotal:")
	n, _ := strconv.ParseInt(strings.Fields(rest + " 0")[0], 10, 64)
	return fmt.Sprintf("%.0f GiB", float64(n)/(1<<20))
}
