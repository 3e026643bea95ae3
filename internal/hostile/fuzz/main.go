// Package main runs every fuzz target of the project, one after the other, and writes a table.
//
// Data: none but the table; inputs that break something are kept by the go command under the package's testdata/fuzz, the
// others in its build cache.
//
// Order: the targets are found by their names, each runs for its time in a process of its own, the table is written when all
// of them had their turn; a target that fails does not keep the others from running, and the program then exits 1. An
// interrupt ends the target that runs and writes nothing.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
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
	workers := flag.Int("parallel", 0, "processes of one target; 0: one for each processor")
	only := flag.String("only", "", "regular expression over package and target")
	flag.Parse()
	pick, err := regexp.Compile(*only)
	if err != nil || flag.NArg() > 0 || *each <= 0 || *workers < 0 {
		return errors.New("fuzz: what was asked for cannot be run")
	}
	all, err := targets("internal", pick)
	if err != nil {
		return err
	}
	var results []result
	var failed int
	for i, t := range all {
		fmt.Fprintf(os.Stderr, "%d of %d: %s\n", i+1, len(all), t)
		r, err := fuzz(ctx, t, *each, *workers)
		if err != nil {
			return err
		}
		if fmt.Fprintf(os.Stderr, "  %d executions, %d new inputs, %s\n", r.execs, r.fresh, r.verdict()); r.failure != "" {
			failed++
		}
		results = append(results, r)
	}
	text := table(results, *each)
	if *out == "" {
		_, err = os.Stdout.WriteString(text)
	} else if err = os.MkdirAll(filepath.Dir(*out), 0o755); err == nil {
		err = os.WriteFile(*out, []byte(text), 0o644)
	}
	if err == nil && failed > 0 {
		err = fmt.Errorf("fuzz: %d of %d targets failed", failed, len(all))
	}
	return err
}
