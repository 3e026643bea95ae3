// Package bench measures the real programs next to the reference tools, on the same data, in the same run.
//
// Data: one temporary directory, removed at the end: made-up evidence (internal/sample), data directories of appliances,
// media, what the reference tools write. Nothing lasts but the table, which names no host and no path.
//
//	data.go       evidence            process.go   cost of a command, of a daemon
//	appliance.go  hubs and sites      stage.go     what one step of the work costs alone
//	mixed.go      P1 P3 P4            advisories.go P5 P10 P11
//	p6.go         P6                  table.go     rows and their rendering
//
// Order: evidence is made once; ours and the reference are measured in turn, round after round, so that a slow minute
// slows both; the median of each counts. Wall time is the clock's, CPU time is user and system time of a command with
// everything it waited for, or the growth of a daemon's over a call. Every process that was started is ended, also after
// an interrupt; a crash of the harness itself leaves its temporary directory and at most one daemon.
package bench

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// Options of one run.
type Options struct {
	Build   string   // directory with sallyport and mirror
	Self    []string // command that runs Step in a process of its own
	N       int      // advisories
	Mixed   int64    // bytes of mixed files
	Rounds  int
	Only    []string // ids of goals; empty: all
	Scratch string   // where the temporary directory is made; "": the system's place
	Log     io.Writer
}

// lab is one run.
type lab struct {
	Options
	ctx  context.Context
	dir  string
	rows []Row
	made map[string]*pair // hub and site by the name of their evidence
	busy string           // load average before
}

// Run measures the goals and writes the table.
func Run(ctx context.Context, o Options, out io.Writer) (err error) {
	if err := o.tools(); err != nil {
		return err
	}
	l := &lab{Options: o, ctx: ctx, made: map[string]*pair{}, busy: load()}
	if l.dir, err = os.MkdirTemp(o.Scratch, "sallyport-bench-"); err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	defer os.RemoveAll(l.dir)
	defer l.stop()
	for _, g := range goals() {
		if !l.wanted(g.ids) {
			continue
		}
		l.say("%s", g.title)
		if err := g.measure(l); err != nil {
			return fmt.Errorf("bench %s: %w", g.title, err)
		}
	}
	return l.render(out)
}

// goal is a group of rows that are measured together.
type goal struct {
	ids     []string
	title   string
	measure func(*lab) error
}

func goals() []goal {
	return []goal{
		{[]string{"P1", "P3", "P4"}, "mixed files: build and verify", (*lab).mixed},
		{[]string{"P5", "P10", "P11"}, "advisories: load, export, verify, import", (*lab).advisories},
		{[]string{"P2"}, "a full again after a week", (*lab).week},
		{[]string{"P7"}, "a delta of what changed", (*lab).changed},
		{[]string{"P6"}, "flips: roll back and activate", (*lab).flips},
		{[]string{"P9"}, "scrub the store", (*lab).scrub},
		{[]string{"P13"}, "many small commits", (*lab).commits},
	}
}

func (l *lab) wanted(ids []string) bool {
	if len(l.Only) == 0 {
		return true
	}
	for _, id := range ids {
		for _, only := range l.Only {
			if strings.EqualFold(id, only) {
				return true
			}
		}
	}
	return false
}

func (l *lab) say(format string, args ...any) { fmt.Fprintf(l.Log, format+"\n", args...) }

func (l *lab) path(parts ...string) string {
	return filepath.Join(append([]string{l.dir}, parts...)...)
}

func (l *lab) stop() {
	for _, p := range l.made {
		p.stop()
	}
}

// tools names every program that is needed and not there.
func (o Options) tools() error {
	var missing []string
	for _, t := range [...]struct{ program, packages string }{
		{"age", "age"}, {"zstd", "zstd"}, {"openssl", "openssl"}, {"tar", "tar"}, {"sha256sum", "coreutils"}, {"sh", "dash"},
	} {
		if !found(t.program) {
			missing = append(missing, fmt.Sprintf("%s (apt-get install %s)", t.program, t.packages))
		}
	}
	for _, ours := range [...]string{"sallyport", "mirror"} {
		if _, err := os.Stat(filepath.Join(o.Build, ours)); err != nil {
			missing = append(missing, fmt.Sprintf("%s (make build)", filepath.Join(o.Build, ours)))
		}
	}
	if missing != nil {
		return fmt.Errorf("bench: missing: %s", strings.Join(missing, ", "))
	}
	return nil
}

// machine describes what the numbers were measured on, without its name.
func machine() string {
	model := "unknown processor"
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(b)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	return fmt.Sprintf("%d cores (%s), %s memory, %s %s/%s", runtime.NumCPU(), model, memory(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// load is the machine's load average over the last minute.
func load() string {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	first, _, _ := strings.Cut(string(b), " ")
	return first
}
