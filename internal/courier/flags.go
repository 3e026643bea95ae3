package courier

import (
	"errors"
	"flag"
	"io"

	"sallyport/internal/code"
)

// request is one command line, understood.
type request struct {
	path     string
	keys     list
	roots    list
	words    string
	identity list
	json     bool
	to       string
}

// list is a flag that may be repeated.
type list []string

func (l *list) String() string { return "" }
func (l *list) Set(s string) error {
	*l = append(*l, s)
	return nil
}

// parse reads flags before and after the path.
func parse(command string, args []string) (request, error) {
	var r request
	fs := flag.NewFlagSet(command, flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.Var(&r.keys, "key", "")
	fs.Var(&r.roots, "root", "")
	fs.StringVar(&r.words, "key-words", "", "")
	fs.Var(&r.identity, "identity", "")
	fs.BoolVar(&r.json, "json", false, "")
	if command == "extract" {
		fs.StringVar(&r.to, "to", "", "")
	}
	var paths []string
	for {
		if err := fs.Parse(args); errors.Is(err, flag.ErrHelp) {
			return r, err
		} else if err != nil {
			return r, code.New(code.BadUsage, "%s", err).Do("Run mirror help.")
		}
		if fs.NArg() == 0 {
			break
		}
		paths, args = append(paths, fs.Arg(0)), fs.Args()[1:]
	}
	if len(paths) != 1 {
		return r, code.New(code.BadUsage, "%s takes one PATH", command).Want("one", len(paths)).Do("Run mirror help.")
	}
	r.path = paths[0]
	return r, r.check(command)
}

func (r request) check(command string) error {
	ways := 0
	for _, given := range []bool{len(r.keys) > 0, len(r.roots) > 0, r.words != ""} {
		if given {
			ways++
		}
	}
	switch {
	case ways > 1:
		return code.New(code.BadUsage, "--key, --root and --key-words exclude each other").Do("Give one of them.")
	case command == "extract" && r.to == "":
		return code.New(code.BadUsage, "extract needs --to DIR").Do("Name a directory that does not exist yet.")
	}
	return nil
}
