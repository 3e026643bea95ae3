// Package main measures the real programs beside the reference tools and writes a table.
//
// Data: none but the table; see internal/bench.
//
// Order: flags, one run, the table is written when all of it was measured; an interrupt ends what was started and writes
// nothing. It installs nothing: a missing program is named with the package that has it.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"sallyport/internal/bench"
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
	if len(os.Args) > 1 && os.Args[1] == "step" {
		return bench.Step(os.Args[2:])
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	var out, only string
	o := bench.Options{Self: []string{self, "step"}, Log: os.Stderr}
	flag.StringVar(&out, "out", "", "file for the table; standard output when not given")
	flag.StringVar(&o.Build, "build", "build", "directory with sallyport and mirror")
	flag.IntVar(&o.N, "n", 500_000, "advisories")
	flag.Int64Var(&o.Mixed, "mixed", 250_000_000, "bytes of mixed files")
	flag.IntVar(&o.Rounds, "rounds", 5, "rounds; the median counts")
	flag.StringVar(&only, "only", "", "goals to measure, like P1,P3")
	flag.StringVar(&o.Scratch, "scratch", "", "where the temporary directory is made")
	flag.Parse()
	if flag.NArg() > 0 || o.N < 10 || o.Rounds < 1 || o.Mixed < 1 {
		return errors.New("bench: what was asked for cannot be measured")
	}
	if only != "" {
		o.Only = strings.Split(only, ",")
	}
	if o.Build, err = filepath.Abs(o.Build); err != nil {
		return err
	}
	var table bytes.Buffer
	if err := bench.Run(ctx, o, &table); err != nil {
		return err
	}
	if out == "" {
		_, err = os.Stdout.Write(table.Bytes())
		return err
	}
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		return err
	}
	return os.WriteFile(out, table.Bytes(), 0o644)
}
