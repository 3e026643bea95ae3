// Package courier is the command line of mirror: it verifies, lists and extracts what lies on a medium, with nothing but
// one static file.
//
// Data: none. It reads the named tree, the keys named on the command line or lying in the trust directory beside its own
// kit, and writes only where extract is told to. It uses no temporary directory, no configuration, no network, no time
// zone data and no clock: verdicts are the same whatever the machine believes the date is.
//
// Order: find out whom to trust, look at what lies there, take every bundle through the gate (internal/verify), then
// print: the first line is the worst verdict in one of three fixed sentences, then per bundle what was checked and what
// was not, and the exit status is that of the worst. extract writes into a directory of a temporary name beside the one
// that was asked for and renames it only after everything was verified; a crash leaves that directory and nothing else.
package courier

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"runtime/debug"

	"sallyport/internal/code"
)

// Version is set by the linker.
var Version = "unknown"

// memoryLimit keeps the process, with what the runtime itself needs, below 64 MiB.
const memoryLimit = 44 << 20

// Program is what a run of mirror is given by main.
type Program struct {
	Out, Err io.Writer
	Self     string // path of the running binary, "" when not known: no trust directory is looked for
}

const usage = `mirror checks what lies on a stick, with nothing but this one file.

  mirror verify PATH [--key PUB | --root FILE | --key-words "nine words"] [--identity FILE] [--json]
  mirror list PATH [same flags]            what is inside, after verifying it
  mirror extract PATH --to DIR [same flags]  write it to a new directory, after verifying it
  mirror version
  mirror help

PATH is a stick's root, any directory above a bundle, a bundle's directory, a bundle file, or any signed paper
(card, trust root, receipt, inventory, anchor).

  --key PUB        public key file of the signer (may be repeated). Proves who signed, not whether they may
  --root FILE      trust root document, or a directory with its versions (may be repeated)
  --key-words W    the nine words from your paper: the matching key is taken from the medium
  --identity FILE  secret key that opens what is encrypted for you (age, or aes1- for a shared AES key)
  --json           print one JSON document instead of text

First line of verify, and exit status:
  VERIFIED: …            0   everything was opened and is as signed
  INTACT, SEALED: …      0   every outer byte is as signed; nothing was opened
  NOT VERIFIED: …        6 damaged or changed · 7 signer or trust · 9 dates · 10 try again · 13 encryption · 4 nothing there
Keys are never taken from the tree that is verified unless you name them.
`

// Main runs one command and returns its exit status: 0 only after something was verified.
func (p Program) Main(ctx context.Context, args []string) int {
	debug.SetGCPercent(50)
	debug.SetMemoryLimit(memoryLimit)
	if len(args) < 2 {
		fmt.Fprint(p.Err, usage)
		return code.Lookup(code.BadUsage).Exit()
	}
	run, ok := map[string]func(context.Context, []string) (int, error){
		"verify": p.verify, "list": p.list, "extract": p.extract, "version": p.version, "--version": p.version,
		"help": p.help, "--help": p.help, "-h": p.help,
	}[args[1]]
	if !ok {
		return p.fail(code.New(code.BadUsage, "there is no command %q", clean(args[1])).Do("Run mirror help."))
	}
	status, err := run(ctx, args[2:])
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(p.Out, usage)
		return 0
	case err != nil:
		return p.fail(err)
	}
	return status
}

// fail prints an error that is no verdict: how the command was called, or what stood in its way.
func (p Program) fail(err error) int {
	fmt.Fprintf(p.Err, "mirror: %s\n", clean(err.Error()))
	fmt.Fprintf(p.Err, "  next: %s\n  code: %s\n", clean(code.NextStep(err)), code.Of(err))
	return code.Exit(err)
}

func (p Program) version(context.Context, []string) (int, error) {
	fmt.Fprintf(p.Out, "mirror %s\nreads bundle format 1\n", Version)
	return 0, nil
}

func (p Program) help(context.Context, []string) (int, error) {
	fmt.Fprint(p.Out, usage)
	return 0, nil
}
