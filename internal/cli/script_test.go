package cli_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"sallyport/internal/cli"
	"sallyport/internal/client"
	"sallyport/internal/config"
	"sallyport/internal/courier"
)

func TestMain(m *testing.M) {
	sallyport := func() {
		cli.Version = "0.1.0" // a build of the day, which every reader of this format can be told from
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		status := cli.Main(ctx, os.Args, cli.Stdio{In: os.Stdin, Out: os.Stdout, Err: os.Stderr})
		stop()
		os.Exit(status)
	}
	testscript.Main(m, map[string]func(){
		"sallyport": sallyport, "stella": sallyport, "exportctl": sallyport,
		"mirror": func() {
			os.Exit(courier.Program{Out: os.Stdout, Err: os.Stderr}.Main(context.Background(), os.Args))
		},
	})
}

// The scripts run the real commands; besides what testscript knows they have:
//
//	ready DIR                 waits until the daemon of a data directory answers
//	exits STATUS PROGRAM ARG… runs a program that must end with this status
//	keep VAR FILE             puts the content of a file, trimmed, into a variable
func TestScripts(t *testing.T) {
	evidence, err := filepath.Abs("../demo/testdata")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Setenv("SALLYPORT_LISTEN_HTTPS", "off")
			env.Setenv("EVIDENCE", evidence)
			env.Setenv("NO_COLOR", "1")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"ready": ready, "exits": exits, "keep": keep,
		},
	})
}

func ready(ts *testscript.TestScript, _ bool, args []string) {
	c := client.New(config.New(ts.MkAbs(args[0])).SocketPath())
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for {
		status, _, err := c.Get(ctx, "/readyz")
		if err == nil && status == 200 {
			return
		}
		select {
		case <-ctx.Done():
			ts.Fatalf("the daemon of %s does not answer: %v", args[0], err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func exits(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	var e *exec.ExitError
	if errors.As(err, &e) {
		got = e.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("%s ended with %d, not %d", args[1], got, want)
	}
}

func keep(ts *testscript.TestScript, _ bool, args []string) {
	text := ts.ReadFile(args[1])
	for len(text) > 0 && text[len(text)-1] == '\n' {
		text = text[:len(text)-1]
	}
	ts.Setenv(args[0], text)
	if text == "" {
		ts.Fatalf("%s", fmt.Sprintf("%s is empty", args[1]))
	}
}
