// Package cli is the command line of sallyport and of its aliases.
//
// Data: none. What every command takes: --data-dir or SALLYPORT_DATA_DIR (where the appliance is), --json, --quiet. Only
// init, serve, check-config, version, completion and demo work without a running daemon; all others ask it over its socket.
//
// Order: the program's name picks the command tree (stella is `sallyport stella`), flags are parsed, one action is asked for,
// its answer is printed. Data goes to standard output, talk to standard error; progress is drawn on a terminal alone; the exit
// status is that of the error's code. An interrupt cancels the action, but an export run goes on and can be watched again.
package cli

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sallyport/internal/client"
	"sallyport/internal/code"
	"sallyport/internal/config"
	"sallyport/internal/daemon"
	"sallyport/internal/wire"
)

// Version is set by the linker.
var Version = "0.0.0"

// Stdio is where a command reads and writes. In, Out and Err are files in a real process.
type Stdio struct {
	In  io.Reader
	Out io.Writer
	Err io.Writer
	// Getenv and LookupEnv read the environment; nil is the process's own.
	LookupEnv func(string) (string, bool)
}

// defaultDir is where a packaged appliance keeps its data.
const defaultDir = "/var/lib/sallyport"

// app is one run of the command line.
type app struct {
	Stdio
	ctx     context.Context
	dataDir string
	json    bool
	quiet   bool
	hasty   bool // does not wait for a daemon that may be starting
	drawn   bool // a progress line stands on the terminal
}

// Main runs one command and returns its exit status. args[0] is the program's name.
func Main(ctx context.Context, args []string, std Stdio) int {
	if std.LookupEnv == nil {
		std.LookupEnv = os.LookupEnv
	}
	a := &app{Stdio: std, ctx: ctx}
	root := a.root()
	root.SetArgs(alias(args))
	if name := filepath.Base(args[0]); name == "stella" || name == "stellaops-cli" {
		root = a.under(root, name)
		root.SetArgs(slices.Clone(args[1:]))
	}
	err := root.ExecuteContext(ctx)
	a.clear()
	var done exit
	if errors.As(err, &done) {
		return int(done)
	}
	if err == nil {
		return 0
	}
	if ctx.Err() != nil && code.Lookup(code.Of(err)).Kind != code.Interrupt {
		err = code.Wrap(code.Interrupted, err, "interrupted")
	}
	a.fail(err)
	return code.Exit(err)
}

// exit ends a command with a status and nothing more to say.
type exit int

func (exit) Error() string { return "" }

// under makes the commands below stella a program of its own, so that its help shows what was typed.
func (a *app) under(root *cobra.Command, name string) *cobra.Command {
	for _, c := range root.Commands() {
		if c.Name() != "stella" {
			continue
		}
		root.RemoveCommand(c)
		c.Use, c.SilenceErrors, c.SilenceUsage, c.Args = name, true, true, cobra.ArbitraryArgs
		c.PersistentFlags().AddFlagSet(root.PersistentFlags())
		c.SetOut(a.Out)
		c.SetErr(a.Err)
		c.SetIn(a.In)
		c.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usage(err) })
		return c
	}
	return root
}

// alias turns the program's name into a command.
func alias(args []string) []string {
	switch name := filepath.Base(args[0]); name {
	case "stella", "stellaops-cli":
		return append([]string{"stella"}, args[1:]...)
	case "exportctl":
		return append([]string{"exportctl"}, args[1:]...)
	}
	return slices.Clone(args[1:])
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use: "sallyport", Short: "Evidence across the gap: load it, carry it, prove it",
		Long:          "Sallyport takes security evidence in from removable media, proves it, keeps it, serves it, and sends it out signed and encrypted.",
		SilenceErrors: true, SilenceUsage: true, Version: Version,
		Args: cobra.ArbitraryArgs, RunE: group,
	}
	root.SetOut(a.Out)
	root.SetErr(a.Err)
	root.SetIn(a.In)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usage(err) })
	root.CompletionOptions.HiddenDefaultCmd = false
	f := root.PersistentFlags()
	f.StringVar(&a.dataDir, "data-dir", "", "where the appliance is (SALLYPORT_DATA_DIR, else "+defaultDir+")")
	f.BoolVar(&a.json, "json", false, "print JSON")
	f.BoolVarP(&a.quiet, "quiet", "q", false, "say nothing but data and errors")
	root.AddCommand(
		a.initCmd(), a.serveCmd(), a.statusCmd(), a.doctorCmd(), a.checkConfigCmd(), a.settingsCmd(), a.deliveryCmd(), a.apiCmd(), a.setupCodeCmd(), a.metricsCmd(), a.versionCmd(), a.manCmd(), a.demoCmd(),
		a.loadCmd(), a.feedsCmd(), a.recordsCmd(), a.backupCmd(), a.restoreCmd(), a.timeCmd(),
		a.cardCmd(), a.peersCmd(), a.outboundCmd(), a.importCmd(), a.exchangeCmd(), a.receiptsCmd(), a.mediaCmd(), a.storeCmd(), a.quarantineCmd(),
		a.jobsCmd(), a.uploadsCmd(), a.trustCmd(), a.keysCmd(), a.approvalsCmd(),
		a.usersCmd(), a.tokensCmd(), a.sessionsCmd(),
		a.timelineCmd(), a.exportCmd(), a.stellaCmd(), a.exportctlCmd(),
	)
	return root
}

// group answers for a command that only has others below it.
func group(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		e := code.New(code.BadUsage, "%s has no command %.60q", cmd.CommandPath(), args[0])
		if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
			return e.Do("Did you mean " + strings.Join(near, " or ") + "?")
		}
		return e.Do("Run " + cmd.CommandPath() + " --help.")
	}
	cmd.SetOut(cmd.ErrOrStderr())
	if err := cmd.Help(); err != nil {
		return err
	}
	return exit(code.Lookup(code.BadUsage).Exit())
}

func usage(err error) error {
	return code.Wrap(code.BadUsage, err, "").Do("Run the command with --help.")
}

// command makes one that runs; n is how many arguments it takes, -1 at least one.
func command(use, short string, n int, run func(args []string) error) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, RunE: func(_ *cobra.Command, args []string) error { return run(args) }}
	check := cobra.ExactArgs(n)
	if n < 0 {
		check = cobra.MinimumNArgs(1)
	}
	c.Args = func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return usage(err)
		}
		return nil
	}
	return c
}

// family is a command that only has others below it.
func family(use, short string, children ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, RunE: group}
	c.AddCommand(children...)
	return c
}

// dir is the data directory, absolute.
func (a *app) dir() (string, error) {
	dir := a.dataDir
	if dir == "" {
		dir, _ = a.LookupEnv("SALLYPORT_DATA_DIR")
	}
	if dir == "" {
		dir = defaultDir
	}
	return filepath.Abs(dir)
}

// client speaks to the daemon of the data directory. A configuration this user may not read has the default socket.
func (a *app) client() (*client.Client, error) {
	dir, err := a.dir()
	if err != nil {
		return nil, err
	}
	c, err := daemon.LoadConfig(dir, a.LookupEnv)
	if err != nil {
		c = config.New(dir)
		if s, ok := a.LookupEnv("SALLYPORT_SOCKET"); ok && s != "" {
			c.Socket = s
		} else if s, ok := a.LookupEnv(config.Variable("socket.path")); ok && s != "" {
			c.Socket = s
		}
	}
	return client.New(c.SocketPath()), nil
}

// call runs one short action.
func call[T any](a *app, action string, in any) (out T, err error) {
	c, err := a.client()
	if err != nil {
		return out, err
	}
	err = a.patient(func() error { return c.Call(a.ctx, action, in, &out) })
	return out, a.explain(err)
}

// stream runs one long action and draws its progress. out is filled as far as there is a result.
func stream[T any](a *app, action string, in any) (out *T, err error) {
	c, err := a.client()
	if err != nil {
		return nil, err
	}
	err = a.patient(func() error { return c.Stream(a.ctx, action, in, a.progress, &out) })
	a.clear()
	return out, a.explain(err)
}

// patience is how long a command waits for a daemon that was just started.
const patience = 3 * time.Second

// patient repeats what met no daemon, for a moment, where there is an appliance: its daemon may be starting. Nothing was
// asked of anyone yet, so nothing is done twice.
func (a *app) patient(do func() error) error {
	begin := time.Now()
	for {
		err := do()
		if code.Of(err) != code.NoDaemon || a.hasty || time.Since(begin) > patience || a.ctx.Err() != nil {
			return err
		}
		dir, derr := a.dir()
		if derr != nil {
			return err
		}
		if _, ierr := daemon.ReadInstance(dir); ierr != nil {
			return err
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// typed is a command as it must be typed again: with the data directory that was given.
func (a *app) typed(args ...string) string {
	words := []string{"sallyport"}
	if a.dataDir != "" {
		words = append(words, "--data-dir", a.dataDir)
	}
	return line(append(words, args...))
}

// elsewhere is a command as somebody else must type it, in any folder: they may reach the socket and read nothing else of ours.
// Paths among args are absolute.
func (a *app) elsewhere(args ...string) string {
	c, err := a.client()
	if err != nil {
		return a.typed(args...)
	}
	return line([]string{"SALLYPORT_SOCKET=" + c.Socket()}) + " " + line(append([]string{"sallyport"}, args...))
}

// line quotes words for a shell.
func line(words []string) string {
	words = slices.Clone(words)
	for i, w := range words {
		if strings.ContainsAny(w, " '\"$`\\*?&;|<>()") {
			words[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
	}
	return strings.Join(words, " ")
}

// explain says more when nobody answers: perhaps there is no appliance at all.
func (a *app) explain(err error) error {
	if code.Of(err) != code.NoDaemon {
		return err
	}
	dir, derr := a.dir()
	if derr != nil {
		return err
	}
	if _, ierr := daemon.ReadInstance(dir); code.Of(ierr) == code.Missing {
		return next(err, code.NextStep(ierr))
	}
	return next(err, "Start it: sallyport serve --data-dir "+dir)
}

// next replaces the next step of an error and keeps all else.
func next(err error, step string) error {
	e := wire.FromError(err)
	e.Next = step
	return e.Err()
}

// paths makes what was typed absolute: the daemon works elsewhere.
func paths(list []string) (out []string, err error) {
	for _, p := range list {
		abs, err := filepath.Abs(p)
		if err != nil {
			return nil, err
		}
		out = append(out, abs)
	}
	return out, nil
}
