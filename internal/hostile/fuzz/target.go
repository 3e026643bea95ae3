package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// target is one fuzz function.
type target struct{ dir, name string }

func (t target) String() string { return t.dir + " " + t.name }

var declared = regexp.MustCompile(`(?m)^func (Fuzz[A-Za-z0-9]*)\(f \*testing\.F\)`)

// targets finds all fuzz functions below a directory, in the order of their paths.
func targets(top string, pick *regexp.Regexp) (all []target, err error) {
	err = filepath.WalkDir(top, func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || !strings.HasSuffix(p, "_test.go") {
			return err
		}
		text, err := os.ReadFile(p)
		for _, m := range declared.FindAllSubmatch(text, -1) {
			if t := (target{filepath.ToSlash(filepath.Dir(p)), string(m[1])}); pick.MatchString(t.String()) {
				all = append(all, t)
			}
		}
		return err
	})
	if err == nil && len(all) == 0 {
		err = errors.New("fuzz: no targets")
	}
	return all, err
}

// result is what one target did.
type result struct {
	target
	took         time.Duration
	execs, fresh int64
	failure      string // "" when nothing was found
}

func (r result) verdict() string {
	if r.failure == "" {
		return "clean"
	}
	return r.failure
}

// progress is the line the go command prints every three seconds.
var (
	progress = regexp.MustCompile(`execs: (\d+) .*new interesting: (\d+)`)
	kept     = regexp.MustCompile(`testdata/fuzz/[A-Za-z0-9_/]+`)
)

// fuzz runs one target. The error is of running it at all; what the target found is in the result.
func fuzz(ctx context.Context, t target, each time.Duration, workers int) (result, error) {
	args := []string{"test", "-run", "^$", "-fuzz", "^" + t.name + "$", "-fuzztime", each.String(), "-fuzzminimizetime", "100x"}
	if workers > 0 {
		args = append(args, "-parallel", strconv.Itoa(workers))
	}
	cmd := exec.CommandContext(ctx, "go", append(args, "./"+t.dir)...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	start := time.Now()
	err := cmd.Run()
	r := result{target: t, took: time.Since(start)}
	if ctx.Err() != nil {
		return r, fmt.Errorf("fuzz %s: %w", t, ctx.Err())
	}
	for _, m := range progress.FindAllSubmatch(said.Bytes(), -1) {
		r.execs, _ = strconv.ParseInt(string(m[1]), 10, 64)
		r.fresh, _ = strconv.ParseInt(string(m[2]), 10, 64)
	}
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) && overrun(said.Bytes()) && r.execs > 0: // nothing was found
	case errors.As(err, &exit):
		fmt.Fprintf(os.Stderr, "%s\n", said.Bytes())
		if r.failure = string(kept.Find(said.Bytes())); r.failure == "" {
			r.failure = "failed without an input"
		}
	case err != nil:
		return r, fmt.Errorf("fuzz %s: %w", t, err)
	case r.execs == 0:
		r.failure = "ran nothing"
	}
	return r, nil
}

// overrun tells the end of the time that the go command reports as a failure, because a worker was in the middle of an input
// then: there is no failing input, and nothing else is said.
func overrun(said []byte) bool {
	return bytes.Contains(said, []byte("\n    context deadline exceeded\n")) && !kept.Match(said) && !bytes.Contains(said, []byte("panic:"))
}

// table is the report, in the order of the targets.
func table(results []result, each time.Duration) string {
	results = slices.SortedFunc(slices.Values(results), func(a, b result) int {
		return cmp.Or(strings.Compare(a.dir, b.dir), strings.Compare(a.name, b.name))
	})
	var b strings.Builder
	var execs int64
	failures := 0
	for _, r := range results {
		execs += r.execs
		if r.failure != "" {
			failures++
		}
	}
	fmt.Fprintf(&b, "# Fuzzing\n\n`make fuzz`: %d targets, %s each, %s, %d processors. %d executions, %d failures.\n\n", len(results), each, runtime.Version(), runtime.NumCPU(), execs, failures)
	b.WriteString("| package | target | seconds | executions | new inputs | verdict |\n|---|---|--:|--:|--:|---|\n")
	for _, r := range results {
		fmt.Fprintf(&b, "| %s | %s | %.0f | %d | %d | %s |\n", strings.TrimPrefix(r.dir, "internal/"), r.name, r.took.Seconds(), r.execs, r.fresh, r.verdict())
	}
	return b.String()
}

var row = regexp.MustCompile(`(?m)^\| (\S+) \| (Fuzz\w+) \| (\d+) \| (\d+) \| (\d+) \| clean \|$`)

// done reads from a table which of the targets had their time and were clean.
func done(text string, all []target, each time.Duration) (list []result) {
	for _, m := range row.FindAllStringSubmatch(text, -1) {
		t := target{"internal/" + m[1], m[2]}
		seconds, _ := strconv.ParseInt(m[3], 10, 64)
		r := result{target: t, took: time.Duration(seconds) * time.Second}
		if r.took < each.Round(time.Second) || !slices.Contains(all, t) {
			continue
		}
		r.execs, _ = strconv.ParseInt(m[4], 10, 64)
		r.fresh, _ = strconv.ParseInt(m[5], 10, 64)
		list = append(list, r)
	}
	return list
}
