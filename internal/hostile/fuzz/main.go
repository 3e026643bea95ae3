// Package main runs every fuzz target of the project, one for each processor at a time, and writes a table.
//
// Data: none but the table; inputs that break something are kept by the go command under the package's testdata/fuzz, the
// others in its build cache.
//
// Order: the targets are found by their names, each runs for its time in a process of its own, and the table is written after
// each of them: with -resume a run goes on where another one ended, and leaves alone what had its time and was clean. A target
// that fails does not keep the others from running, and the program then exits 1. An interrupt ends those that run.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	out := flag.String("out", "", "file for the table; standard output when not given")
	each := flag.Duration("time", 10*time.Minute, "time of each target")
	workers := flag.Int("parallel", 1, "processes of one target; 0: one for each processor")
	at := flag.Int("targets", runtime.NumCPU(), "targets at a time")
	only := flag.String("only", "", "regular expression over package and target")
	resume := flag.Bool("resume", false, "leave alone what the table says had its time and was clean")
	flag.Parse()
	pick, err := regexp.Compile(*only)
	if err != nil || flag.NArg() > 0 || *each <= 0 || *workers < 0 || *at < 1 || *resume && *out == "" {
		return errors.New("fuzz: what was asked for cannot be run")
	}
	all, err := targets("internal", pick)
	if err != nil {
		return err
	}
	var results []result
	var rested []target
	if *resume {
		old, err := os.ReadFile(*out)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		results = done(string(old), all, *each)
	}
	for _, r := range results {
		rested = append(rested, r.target)
	}
	var mu sync.Mutex
	var turn sync.WaitGroup
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	slots := make(chan struct{}, *at)
	for i, t := range all {
		if slices.Contains(rested, t) {
			continue
		}
		slots <- struct{}{}
		turn.Go(func() {
			defer func() { <-slots }()
			r, err := fuzz(ctx, t, *each, *workers)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				fmt.Fprintf(os.Stderr, "%d of %d: %s: %d executions, %d new inputs, %s\n", i+1, len(all), t, r.execs, r.fresh, r.verdict())
				results = append(results, r)
				err = write(*out, table(results, *each))
			}
			if err != nil {
				stop(err)
			}
		})
	}
	turn.Wait()
	err = context.Cause(ctx)
	failed := 0
	for _, r := range results {
		if r.failure != "" {
			failed++
		}
	}
	if err == nil && failed > 0 {
		err = fmt.Errorf("fuzz: %d of %d targets failed", failed, len(all))
	}
	if *out == "" {
		_, werr := os.Stdout.WriteString(table(results, *each))
		err = errors.Join(err, werr)
	}
	return err
}

// write puts the table in its place; with no name it is written at the end.
func write(name, text string) error {
	if name == "" {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return os.WriteFile(name, []byte(text), 0o644)
}
