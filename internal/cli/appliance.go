package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sallyport/internal/cert"
	"sallyport/internal/code"
	"sallyport/internal/daemon"
	"sallyport/internal/demo"
	"sallyport/internal/durable"
	"sallyport/internal/units"
	"sallyport/internal/wire"
)

// build is when this source was current: a new appliance believes that it is not earlier.
func build() time.Time { return time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC) }

// deps are the outside world of a daemon in this process.
func (a *app) deps() (daemon.Deps, error) {
	getenv := func(name string) string {
		v, _ := a.LookupEnv(name)
		return v
	}
	fsys, err := durable.FromEnv(getenv)
	if err != nil {
		return daemon.Deps{}, usage(err)
	}
	c, err := machine(getenv)
	if err != nil {
		return daemon.Deps{}, usage(err)
	}
	return daemon.Deps{Clock: c, FS: fsys, Software: Version, Build: build(), Mirror: beside("mirror")}, nil
}

// beside finds a program in the folder of this one; "" when there is none.
func beside(name string) string {
	exe, err := os.Executable()
	if err != nil {
		return ""
	}
	if exe, err = filepath.EvalSymlinks(exe); err != nil {
		return ""
	}
	file := filepath.Join(filepath.Dir(exe), name)
	if st, err := os.Stat(file); err != nil || !st.Mode().IsRegular() {
		return ""
	}
	return file
}

func (a *app) initCmd() *cobra.Command {
	var o daemon.InitOptions
	c := command("init", "make a new appliance: its data directory, keys and trust root", 0, func([]string) (err error) {
		if o.Name == "" {
			return missing("--name", "Say how the appliance is called, like --name site-07.")
		}
		if o.Tenant == "" {
			return missing("--tenant", "Say who owns the data, like --tenant acme.")
		}
		if o.DataDir, err = a.dir(); err != nil {
			return err
		}
		deps, err := a.deps()
		if err != nil {
			return err
		}
		o.Actor = fmt.Sprintf("uid:%d", os.Getuid())
		made, err := daemon.Init(o, deps)
		if err != nil {
			return err
		}
		return a.show(made, func(w io.Writer) {
			pairs(w, "appliance", made.Name, "id", made.ID, "tenant", strings.Join(made.Tenants, ", "), "data", made.DataDir,
				"fingerprint", made.Fingerprint, "words", made.Words, "recipient", made.Recipient)
			if made.SingleOperator {
				a.say("Single operator: one person can change trust here. This stands on every line of its audit.")
			}
			for _, n := range made.Next {
				a.say("→ %s", n)
			}
		})
	})
	f := c.Flags()
	f.StringVar(&o.Name, "name", "", "name of the appliance (a-z 0-9 -, at most 16)")
	f.StringVar(&o.Tenant, "tenant", "", "owner of the data")
	f.BoolVar(&o.SingleOperator, "single-operator", false, "one person may change trust alone")
	f.BoolVar(&o.Hybrid, "hybrid", false, "a post-quantum hybrid key for sealing")
	return c
}

// gcPercent keeps a daemon's heap near what is alive: rooms work in buffers they use again, so collecting often costs little,
// and an appliance has other uses for its memory.
const gcPercent = 50

func (a *app) serveCmd() *cobra.Command {
	var listen string
	c := command("serve", "run the daemon until it is told to stop", 0, func([]string) error {
		dir, err := a.dir()
		if err != nil {
			return err
		}
		cfg, err := daemon.LoadConfig(dir, a.LookupEnv)
		if err != nil {
			return err
		}
		if listen != "" {
			if err := cfg.Set("listen.https", listen, "--listen"); err != nil {
				return err
			}
		}
		cfg.Resolve()
		deps, err := a.deps()
		if err != nil {
			return err
		}
		deps.Log = a.logger(cfg.LogLevel, cfg.LogFormat)
		if terminal(a.Err) {
			deps.Greet = a.greet
		}
		if os.Getenv("GOGC") == "" {
			debug.SetGCPercent(gcPercent)
		}
		d, err := daemon.New(cfg, deps)
		if err != nil {
			return err
		}
		if err := d.Serve(a.ctx); err != nil {
			return err
		}
		return nil
	})
	c.Flags().StringVar(&listen, "listen", "", "HOST:PORT of the console, for this time; off for none")
	return c
}

// greet tells a person at a terminal where the console is, what the browser's warning must show, and the code of the first visit.
func (a *app) greet(g daemon.Greeting) {
	c := g.Console
	for _, at := range c.Addresses {
		a.say("Console: %s", at)
	}
	if c.Plain != "" {
		a.say("Console, on this machine alone and without TLS: %s", c.Plain)
	}
	if len(c.Addresses) > 0 && c.Authority != "" {
		a.say("The browser will warn, because the certificate is this appliance's own. The SHA-256 fingerprint that it shows must be")
		a.say("  %s", c.Fingerprint)
	}
	if c.Note != "" {
		a.say("%s %s", clean(c.Note), clean(c.Next))
	}
	if g.Code != "" {
		a.say("Set-up code: %s", g.Code)
		a.say("  Type it on the first page within %d minutes (%d tries), and make the first admin. sallyport setup-code prints a new one.", g.Minutes, g.Tries)
	}
}

// logger writes to standard error: JSON, or text where a person looks.
func (a *app) logger(level, format string) *slog.Logger {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		l = slog.LevelInfo
	}
	o := &slog.HandlerOptions{Level: l, ReplaceAttr: cleanAttr}
	if format == "text" || format == "auto" && terminal(a.Err) {
		return slog.New(slog.NewTextHandler(a.Err, o))
	}
	return slog.New(slog.NewJSONHandler(a.Err, o))
}

// cleanAttr escapes in a log what a terminal would obey: JSON lets C1 control characters of foreign strings through.
func cleanAttr(_ []string, at slog.Attr) slog.Attr {
	switch v := at.Value.Resolve(); v.Kind() {
	case slog.KindString:
		at.Value = slog.StringValue(clean(v.String()))
	case slog.KindAny:
		switch x := v.Any().(type) {
		case error:
			at.Value = slog.StringValue(clean(x.Error()))
		case []string:
			list := make([]string, len(x))
			for i, s := range x {
				list[i] = clean(s)
			}
			at.Value = slog.AnyValue(list)
		}
	}
	return at
}

func (a *app) statusCmd() *cobra.Command {
	var check bool
	c := command("status", "is it ready, and what does it hold; exits 0 exactly when ready", 0, func([]string) error {
		a.hasty = true // a monitor wants to know how it is now
		s, err := call[wire.Status](a, "status/show", nil)
		if check {
			return a.plugin(s, err)
		}
		if err != nil {
			return err
		}
		if err := a.show(s, func(w io.Writer) { a.status(w, s) }); err != nil {
			return err
		}
		if !s.Ready {
			return exit(code.Lookup(code.NotReady).Exit())
		}
		return nil
	})
	c.Flags().BoolVar(&check, "check", false, "one line and 0, 1, 2 or 3, as monitoring plug-ins have it")
	return c
}

func (a *app) status(w io.Writer, s wire.Status) {
	lines := []string{
		"appliance", s.Name + " (" + s.ID + ")", "state", s.Health, "tenants", strings.Join(s.Tenants, ", "), "data", s.DataDir,
		"trusted time", s.Time.Trusted + " (" + s.Time.Source + ")", "clock", s.Time.Wall, "peers", fmt.Sprint(s.Peers), "runs waiting", fmt.Sprint(s.Runs),
		"store", units.Size(s.Disk.Store) + " in " + units.Count(s.Disk.Blobs) + " blobs, " + units.Size(s.Disk.Free) + " free", "events", units.Count(s.Events),
	}
	pairs(w, append(lines, consoleLines(s.Console)...)...)
	if s.Console != nil && s.Console.Note != "" {
		a.say("%s", clean(s.Console.Note))
		a.say("  next: %s", clean(a.again(s.Console.Next)))
	}
	if len(s.Feeds) > 0 {
		fmt.Fprintln(w)
		a.feeds(w, s.Feeds)
	}
	a.waitingFor(w, s.Waiting)
	for _, r := range slices.Concat(s.Reasons, s.Needs) {
		a.say("%s: %s", r.Level, clean(r.What))
		if r.Next != "" {
			a.say("  next: %s", clean(a.again(r.Next)))
		}
	}
	if len(s.Reasons)+len(s.Needs)+len(s.Waiting) == 0 {
		a.say("Nothing needs you.")
	}
}

// consoleLines say how browsers reach the appliance and what their warning must show.
func consoleLines(c *wire.Console) (lines []string) {
	switch {
	case c == nil:
		return nil
	case len(c.Addresses) == 0:
		lines = append(lines, "console", "none over the network")
	default:
		lines = append(lines, "console", strings.Join(c.Addresses, ", "), "certificate", "SHA-256 "+c.Fingerprint+", until "+c.NotAfter)
		if c.Authority != "" {
			lines = append(lines, "site CA", "SHA-256 "+c.Authority)
		}
	}
	if c.Plain != "" {
		lines = append(lines, "without TLS", c.Plain)
	}
	return lines
}

// plugin is the one line of monitoring: OK 0, WARNING 1, CRITICAL 2, UNKNOWN 3.
func (a *app) plugin(s wire.Status, err error) error {
	word, status, why := "OK", 0, fmt.Sprintf("%s is ready, %d feeds", s.Name, len(s.Feeds))
	switch {
	case code.Of(err) == code.NoDaemon:
		word, status, why = "CRITICAL", 2, "no daemon answers"
	case err != nil:
		word, status, why = "UNKNOWN", 3, clean(err.Error())
	case !s.Ready:
		word, status = "CRITICAL", 2
	case breached(s.Feeds):
		word, status = "CRITICAL", 2
	case len(s.Reasons) > 0:
		word, status = "WARNING", 1
	}
	if len(s.Reasons) > 0 {
		why = clean(s.Reasons[0].What)
	}
	fmt.Fprintf(a.Out, "%s - %s\n", word, why)
	if status == 0 {
		return nil
	}
	return exit(status)
}

func (a *app) doctorCmd() *cobra.Command {
	return command("doctor", "check state, timeline, keys, trust root and layers", 0, func([]string) error {
		d, err := call[wire.Doctor](a, "doctor/run", nil)
		if err != nil {
			return err
		}
		err = a.show(d, func(w io.Writer) {
			var rows [][]string
			for _, c := range d.Checks {
				rows = append(rows, []string{c.Level, c.Name, c.Detail})
			}
			table(w, "LEVEL CHECK DETAIL", rows)
		})
		for _, c := range d.Checks {
			if c.Next != "" {
				a.say("%s: %s", clean(c.Name), clean(c.Next))
			}
		}
		if err == nil && d.Worst == "critical" {
			return exit(code.Lookup(code.StateCorrupt).Exit())
		}
		return err
	})
}

func (a *app) checkConfigCmd() *cobra.Command {
	return command("check-config", "judge the configuration and print what is in force", 0, func([]string) error {
		dir, err := a.dir()
		if err != nil {
			return err
		}
		cfg, err := daemon.LoadConfig(dir, a.LookupEnv)
		if err != nil {
			return err
		}
		cfg.Resolve()
		groups, err := daemon.Groups(cfg)
		if err != nil {
			return err
		}
		if err := cert.Judge(cfg.TLSCert, cfg.TLSKey); err != nil {
			return err
		}
		return a.show(cfg.Values(), func(w io.Writer) {
			var rows [][]string
			for _, v := range cfg.Values() {
				rows = append(rows, []string{v.Name, v.Value, v.Source})
			}
			table(w, "SETTING VALUE SOURCE", rows)
			if text := daemon.OneOwner(groups); text != "" {
				a.say("socket.groups: %s", clean(text))
			}
		})
	})
}

func (a *app) setupCodeCmd() *cobra.Command {
	return command("setup-code", "print a new one-time code for making the first admin", 0, func([]string) error {
		s, err := call[wire.SetupCode](a, "setup/code", nil)
		if err != nil {
			return err
		}
		return a.show(s, func(w io.Writer) {
			fmt.Fprintln(w, s.Code)
			a.say("Type it at %s within %d minutes (%d tries), and make the first admin. A code printed before is void.", a.consoleAt("/set-up"), s.Minutes, s.Tries)
		})
	})
}

func (a *app) metricsCmd() *cobra.Command {
	return command("metrics", "print the metrics of the daemon", 0, func([]string) error {
		m, err := call[wire.Text](a, "metrics/show", nil)
		if err != nil {
			return err
		}
		return a.show(m, func(w io.Writer) { fmt.Fprint(w, m.Text) })
	})
}

func (a *app) versionCmd() *cobra.Command {
	return command("version", "print what this program is", 0, func([]string) error {
		v := map[string]string{"version": Version, "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH, "bundleVersion": "1"}
		return a.show(v, func(w io.Writer) {
			fmt.Fprintf(w, "sallyport %s\n", Version)
			a.say("%s %s, reads bundle format 1", v["go"], v["platform"])
		})
	})
}

func (a *app) demoCmd() *cobra.Command {
	var data, dir string
	c := command("demo", "show the main job in one temporary directory", 0, func([]string) (err error) {
		exe, err := os.Executable()
		if err != nil {
			return fmt.Errorf("demo: %w", err)
		}
		kept := dir != ""
		if !kept {
			if dir, err = os.MkdirTemp("", "sallyport-demo-"); err != nil {
				return fmt.Errorf("demo: %w", err)
			}
			defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
		}
		if data == "" {
			data, _ = a.LookupEnv("SALLYPORT_DATA")
		}
		return demo.Run(a.ctx, demo.Options{Out: a.Out, Dir: dir, Exe: exe, Data: data, Kept: kept, Stay: terminal(a.In)})
	})
	c.Flags().StringVar(&data, "data", "", "folder with osv/*.zip, sbom/*.json and vex/*.json (SALLYPORT_DATA)")
	c.Flags().StringVar(&dir, "dir", "", "a new directory to play in, kept afterwards")
	return c
}

// ask puts a question to a person. Without a terminal nobody answers.
func (a *app) ask(question string) (bool, error) {
	if !terminal(a.In) {
		return false, nil
	}
	fmt.Fprintf(a.Err, "%s ", question)
	answer := make(chan string, 1)
	go func() {
		var text string
		if _, err := fmt.Fscanln(a.In, &text); err != nil {
			text = ""
		}
		answer <- text
	}()
	select {
	case text := <-answer:
		return strings.EqualFold(text, "yes"), nil
	case <-a.ctx.Done():
		return false, errors.Join(context.Cause(a.ctx), code.New(code.Interrupted, "interrupted"))
	}
}
