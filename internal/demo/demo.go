// Package demo plays the main job on real appliances in one temporary directory and says what was done and what was seen.
//
// Data: one directory, made and removed by the caller of Run: hub/, site/, site-12/ and stranger/ are data directories,
// sticks/ stands for what couriers carry. Where no evidence is given, 60 made-up advisories and four documents of this
// package are used.
//
//	1 load  2 meet  3 cross  4 attack  5 answer  6 ask  7 proven
//
// Order: the acts run one after another through the same sockets, files and gate as in earnest; only the clocks of the
// appliances stand still, so that acts can set them. One act, the kill, runs the real program as a process of its own. An
// act that does not end as announced ends the play with an error. Where somebody watches, the console of the site stays open
// afterwards. A crash leaves the directory.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"sallyport/internal/clock"
	"sallyport/internal/config"
	"sallyport/internal/daemon"
)

// Width is how long a line may be.
const Width = 100

// Options say where and with what the play is given.
type Options struct {
	Out  io.Writer
	Dir  string // an empty directory
	Exe  string // this program, for the act that kills it
	Data string // folder with osv/*.zip, sbom/*.json, vex/*.json; "" or incomplete: made-up evidence
	Kept bool   // Dir stays after the play
	Stay bool   // somebody watches: the console of the site stays open until ctx ends
}

// play is one performance.
type play struct {
	Options
	ctx      context.Context
	evidence evidence
	now      time.Time
	lines    int // in this act
	err      error

	hub, site, other, stranger *appliance
	stick                      string
	old                        string // a stick with a generation that the site never held
	run                        string // the one that crosses
	bundles                    int    // refused, for the last word
}

// Run gives the play. The error names the act that did not end as announced.
func Run(ctx context.Context, o Options) error {
	p := &play{Options: o, ctx: ctx, now: clock.System().Now(), stick: filepath.Join(o.Dir, "sticks", "stick")}
	defer p.stop()
	var err error
	if p.evidence, err = findEvidence(o.Data, filepath.Join(o.Dir, "evidence")); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	fmt.Fprintf(p.Out, "Sallyport: evidence crosses an air gap on a stick, proven at every step. %s\n", p.evidence.note)
	for i, act := range []struct {
		name string
		play func()
	}{
		{"load", p.load}, {"meet", p.meet}, {"cross", p.cross}, {"attack", p.attack}, {"answer", p.answer}, {"ask", p.ask}, {"proven", p.proven},
	} {
		p.lines = 0
		fmt.Fprintf(p.Out, "\n%d %s\n", i+1, act.name)
		act.play()
		if p.err != nil {
			return fmt.Errorf("act %d, %s: did not end as announced: %w", i+1, act.name, p.err)
		}
	}
	p.end()
	if o.Stay {
		if err := p.stay(); err != nil {
			return fmt.Errorf("demo: console: %w", err)
		}
	}
	p.farewell()
	return nil
}

// stay serves the console of the site, on loopback without a certificate, and prints the link that opens it once.
func (p *play) stay() error {
	p.site.stop()
	c := config.New(p.site.dir)
	if err := errors.Join(c.Set("listen.http", "127.0.0.1:0", "demo"), c.Set("listen.https", "off", "demo")); err != nil {
		return err
	}
	r, err := daemon.Start(p.ctx, c, daemon.Deps{})
	if err != nil {
		return err
	}
	p.site.running = r
	if err := r.Daemon().Guest(p.ctx, "guest"); err != nil {
		return err
	}
	link, err := r.Daemon().SignInLink(p.ctx, "guest")
	if err != nil {
		return err
	}
	fmt.Fprintf(p.Out, "\nThe console of site, signed in: %s\n  The link opens once, within ten minutes, on this machine alone. Ctrl-C ends it.\n", link)
	<-p.ctx.Done()
	return nil
}

// end says what was proven and what to type next.
func (p *play) end() {
	fmt.Fprintf(p.Out, `
Proven: evidence entered only through the gate, byte for byte as hub signed it; %d bad sticks changed nothing;
wrong clocks changed no verdict; a kill left nothing half done; the receipt came home and the logs hold together.

Next: sallyport init --data-dir hub --name hub --tenant acme
      sallyport serve --data-dir hub          (in another terminal, or with &)
      sallyport load --data-dir hub --feed NAME FILE...
`, p.bundles)
}

// farewell says what is left.
func (p *play) farewell() {
	if p.Kept {
		fmt.Fprintf(p.Out, "To remove it: rm -r %s\n", p.Dir)
		return
	}
	fmt.Fprintln(p.Out, "To remove it: nothing to do; all of it was in one temporary directory, which is gone now.")
}

// say prints one line: what was done → what was seen.
func (p *play) say(done, seen string, args ...any) {
	if p.err != nil {
		return
	}
	line := fmt.Sprintf("  %s → %s", done, fmt.Sprintf(seen, args...))
	if p.lines++; p.lines > 4 || len([]rune(line)) > Width {
		p.err = fmt.Errorf("line %d of the act has %d columns: %s", p.lines, len([]rune(line)), line)
		return
	}
	fmt.Fprintln(p.Out, line)
}

// must keeps the first error.
func (p *play) must(err error, what string) bool {
	if p.err == nil && err != nil {
		p.err = fmt.Errorf("%s: %w", what, err)
	}
	return p.err == nil
}

// expect fails the act unless two texts are equal.
func (p *play) expect(what, want, got string) bool {
	if p.err == nil && want != got {
		p.err = fmt.Errorf("%s: want %q, got %q", what, want, got)
	}
	return p.err == nil
}

// newStick makes an empty stick.
func (p *play) newStick(name string) string {
	dir := filepath.Join(p.Dir, "sticks", name)
	p.must(os.MkdirAll(dir, 0o755), "stick")
	return dir
}

// copyStick makes a copy of a stick, as a courier who wants to cheat would.
func (p *play) copyStick(from, name string) string {
	to := filepath.Join(p.Dir, "sticks", name)
	p.must(os.CopyFS(to, os.DirFS(from)), "copy a stick")
	return to
}

func (p *play) stop() {
	for _, a := range []*appliance{p.hub, p.site, p.other, p.stranger} {
		if a != nil {
			a.stop()
		}
	}
}

func short(hex string) string {
	hex = strings.TrimPrefix(hex, "sha256:")
	if len(hex) > 12 {
		return hex[:12]
	}
	return hex
}
