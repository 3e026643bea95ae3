package crash

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"sallyport/internal/code"
	"sallyport/internal/durable"
	"sallyport/internal/keyring"
	"sallyport/internal/marks"
	"sallyport/internal/root"
	"sallyport/internal/verify"
)

// Rig runs cells below one scratch directory. Safe for concurrent use after New.
type Rig struct {
	Operations []*Operation

	dir     string
	program string
	env     []string       // of every daemon
	gate    verify.Options // believes hub and site, and opens what is sealed for either
	sockets counter
	cells   counter
}

// New builds the rig in dir: the story, then each operation once without a fault. program is the one with the fault seam.
func New(ctx context.Context, dir, program string) (*Rig, error) {
	r := &Rig{Operations: operations(), dir: dir, program: program}
	if err := r.tell(ctx); err != nil {
		return nil, err
	}
	if err := r.trust(); err != nil {
		return nil, err
	}
	for _, o := range r.Operations {
		if err := r.learn(ctx, o); err != nil {
			return nil, fmt.Errorf("%s without a fault: %w", o.Name, err)
		}
	}
	return r, nil
}

func (r *Rig) op(name string) *Operation {
	for _, o := range r.Operations {
		if o.Name == name {
			return o
		}
	}
	panic("no operation " + name)
}

// trust reads both trust roots and both identities, to judge media as both sides would.
func (r *Rig) trust() error {
	for _, name := range []string{"hub", "site"} {
		dir := filepath.Join(r.dir, "story", name)
		trusted, err := rootIn(dir)
		if err != nil {
			return fmt.Errorf("trust root of %s: %w", name, err)
		}
		ring, err := keyring.Open(dir, durable.FS{})
		if err != nil {
			return err
		}
		ids, err := ring.Identities()
		if err != nil {
			return err
		}
		r.gate.Trust.Roots = append(r.gate.Trust.Roots, trusted)
		r.gate.Identities = append(r.gate.Identities, ids...)
	}
	return nil
}

// rootIn reads all versions of an appliance's own trust root: nine at most.
func rootIn(dir string) (t *root.Trusted, err error) {
	files, err := filepath.Glob(filepath.Join(dir, "pub", "roots", "*.root.json"))
	if err != nil || len(files) == 0 || len(files) > 9 {
		return nil, fmt.Errorf("%v %w", files, err)
	}
	for i, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		if i == 0 {
			t, err = root.First(b, time.Time{})
		} else {
			t, err = t.Next(b, time.Time{})
		}
		if err != nil {
			return nil, err
		}
	}
	return t, nil
}

// learn runs an operation without a fault: where it begins, its steps, and what must come out.
func (r *Rig) learn(ctx context.Context, o *Operation) error {
	at, err := r.place(o)
	if err != nil {
		return err
	}
	defer os.RemoveAll(at.dir)
	var f findings
	start := facts{}
	if o.make == nil {
		start = audit(filepath.Join(o.start, "d"), new(findings)) // a wreck has leftovers
	}
	n := newNotes()
	before := func(ctx context.Context, p *process) (err error) {
		if o.before, err = look(ctx, p.client, &f); err != nil {
			return err
		}
		for i, run := range o.before.runs {
			o.before.runs[i].State = string(start.runs[run.ID].State) // as it was before the daemon came up
		}
		return nil
	}
	if o.make == nil && !o.ill {
		err = r.visit(ctx, at, before)
	}
	if err != nil {
		return err
	}
	if at, err = r.place(o); err != nil {
		return err
	}
	defer os.RemoveAll(at.dir)
	if err := r.once(ctx, o, at, n, "SALLYPORT_TRACE="+at.trace()); err != nil {
		return err
	}
	b, err := os.ReadFile(at.trace())
	if err != nil {
		return err
	}
	o.Trace = steps(string(b))
	for _, wrong := range Unsynced(o.Trace, at.data(), at.medium()) {
		f.add(Other, "%s", wrong)
	}
	if err := r.visit(ctx, at, func(ctx context.Context, p *process) (err error) {
		o.after, err = look(ctx, p.client, &f)
		return err
	}); err != nil {
		return err
	}
	if o.ill {
		o.before = o.after
	}
	audit(at.data(), &f)
	r.judgeMedium(ctx, at, n, &f)
	if len(f) > 0 {
		return fmt.Errorf("%v", f)
	}
	return nil
}

// once does an operation without a fault.
func (r *Rig) once(ctx context.Context, o *Operation, at place, n *notes, env ...string) error {
	if o.make == nil {
		return r.visit(ctx, at, func(ctx context.Context, p *process) error { return o.drive(ctx, at, p.client, n) }, env...)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	_, said, err := (&cell{r: r, o: o, at: at, n: n}).build(ctx, env...)
	return errors.Join(said, err)
}

// visit serves, does something, and stops.
func (r *Rig) visit(ctx context.Context, at place, do func(context.Context, *process) error, env ...string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	p, err := r.serve(ctx, at.data(), env...)
	if errors.Is(err, errEnded) {
		return fmt.Errorf("%w: %s", err, p.said())
	}
	if err != nil {
		return err
	}
	if err := do(ctx, p); err != nil {
		return errors.Join(err, p.stop(ctx))
	}
	return p.stop(ctx)
}

// place copies where an operation begins.
func (r *Rig) place(o *Operation) (place, error) {
	at := place{dir: filepath.Join(r.dir, "cells", fmt.Sprint(r.cells.Add(1))), in: r.in(), short: o.short}
	return at, copyTree(o.start, at.dir)
}

// Outcome is what became of one cell.
type Outcome struct {
	Operation *Operation
	Fault     Fault
	Step      Step     // the one that was struck
	Struck    bool     // the fault came to pass
	Acks      int      // things acknowledged before the end
	Taken     []string // by a power cut
	Findings  []Finding
}

// Run runs one cell. The error is the rig's own trouble; what the daemon did wrong are findings. spoil, when it is given,
// damages the place before the daemon is looked at again: what a blind checker would not see.
func (r *Rig) Run(ctx context.Context, o *Operation, fault Fault, spoil func(place) error) (Outcome, error) {
	out := Outcome{Operation: o, Fault: fault}
	at, err := r.place(o)
	if err != nil {
		return out, err
	}
	defer os.RemoveAll(at.dir)
	c := &cell{r: r, o: o, at: at, fault: fault, n: newNotes()}
	var before marks.Set
	strike := c.strikeBuild
	if o.make == nil {
		before, strike = readMarks(at.data(), &c.f), c.strike
	}
	if err := strike(ctx); err != nil {
		return out, err
	}
	out.Step, out.Struck, out.Acks = c.step, c.struck, c.n.acks
	if spoil != nil {
		if err := spoil(at); err != nil {
			return out, err
		}
	}
	if fault.Again > 0 {
		err = c.again(ctx)
	}
	if fault.Cut && c.struck {
		out.Taken, err = c.cut()
	}
	if err != nil {
		return out, err
	}
	r.judgeMedium(ctx, at, c.n, &c.f)
	if o.proof != nil {
		if err := o.proof(ctx, at, c.n); err != nil {
			c.f.add(Lost, "%v", err)
		}
	}
	if o.make == nil {
		lowered(before, readMarks(at.data(), &c.f), &c.f)
	}
	c.recover(ctx)
	after := audit(at.data(), &c.f)
	lowered(before, after.marks, &c.f)
	for _, number := range c.n.receipts {
		if !after.receipts[number] {
			c.f.add(Lost, "receipt %s was acknowledged and is not there", number)
		}
	}
	r.judgeMedium(ctx, at, c.n, &c.f)
	out.Findings = c.f
	return out, nil
}

// cell is one run under way.
type cell struct {
	r      *Rig
	o      *Operation
	at     place
	fault  Fault
	n      *notes
	f      findings
	step   Step
	struck bool
}

// strike serves with the fault, drives the operation and waits for the end, which it makes itself when the daemon lives on.
func (c *cell) strike(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := os.Mkdir(c.at.kept(), 0o700); err != nil {
		return err
	}
	p, err := c.r.serve(ctx, c.at.data(), append(c.fault.env(), "SALLYPORT_TRACE="+c.at.trace(), "SALLYPORT_KEEP="+c.at.kept())...)
	if err != nil && !errors.Is(err, errEnded) {
		return err
	}
	var told error
	if err == nil {
		told = c.o.drive(ctx, c.at, p.client, c.n)
	}
	if err := c.met(); err != nil {
		return err
	}
	if c.struck && told != nil && !c.mustEnd() {
		c.insist(ctx, p)
	}
	if !c.struck || !c.mustEnd() {
		_ = p.stop(ctx) // its own fault may meet it while it stops; what counts is what it leaves
	}
	if err := p.wait(ctx); err != nil {
		c.f.add(Other, "after %s: %v", c.fault, err)
	}
	if err := c.met(); err != nil {
		return err
	}
	c.ended(p, told)
	return nil
}

// strikeBuild makes the data directory with the fault.
func (c *cell) strikeBuild(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := os.Mkdir(c.at.kept(), 0o700); err != nil {
		return err
	}
	p, told, err := c.build(ctx, append(c.fault.env(), "SALLYPORT_TRACE="+c.at.trace(), "SALLYPORT_KEEP="+c.at.kept())...)
	if err == nil {
		err = c.met()
	}
	if err != nil {
		return err
	}
	c.ended(p, told)
	return nil
}

// met reads from the trace whether the fault came to pass, and where.
func (c *cell) met() error {
	b, err := os.ReadFile(c.at.trace())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	c.step, c.struck = struck(c.fault, steps(string(b)))
	return nil
}

// ended judges how the process ended.
func (c *cell) ended(p *process, told error) {
	switch {
	case c.struck && c.fault.Kill() && !p.killed():
		c.f.add(Other, "the daemon outlived a kill: %v", p.err)
	case !c.struck && told != nil:
		c.f.add(Other, "without a fault: %v", told)
	case strings.Contains(p.stderr.String(), "panic:"), strings.Contains(p.stderr.String(), "fatal error:"):
		c.f.add(Other, "panic: %s", p.said())
	}
}

// again kills the recovery. A start with fewer steps than that is let be, and stopped.
func (c *cell) again(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if c.o.make != nil {
		_, _, err := c.build(ctx, Fault{At: c.fault.Again, How: "kill"}.env()...)
		return err
	}
	p, err := c.r.serve(ctx, c.at.data(), Fault{At: c.fault.Again, How: "kill"}.env()...)
	switch {
	case errors.Is(err, errEnded):
		return nil
	case err != nil:
		return err
	}
	_, _ = settle(ctx, p.client), p.stop(ctx) // the kill may come in either
	return p.wait(ctx)
}

// cut takes away what was not synced when the process ended. The step it ended at was announced and not done.
func (c *cell) cut() ([]string, error) {
	b, err := os.ReadFile(c.at.trace())
	if err != nil {
		return nil, err
	}
	trace := steps(string(b))
	return Cut(trace[:len(trace)-1], c.at.data(), c.at.medium(), c.at.kept(), func(p string) bool {
		rel, err := filepath.Rel(c.at.dir, p)
		if err != nil {
			return false
		}
		_, err = os.Lstat(filepath.Join(c.o.start, rel))
		return err == nil
	})
}

// insist does the operation again with a daemon that said no and lives on. One that is ending says so.
func (c *cell) insist(ctx context.Context, p *process) {
	err := c.o.drive(ctx, c.at, p.client, c.n)
	switch code.Of(err) {
	case "":
	case code.NoDaemon, code.NotReady, code.Interrupted, code.FsyncFailed:
		if werr := p.wait(ctx); werr != nil {
			c.f.add(Other, "another try without a restart: %v; %v", err, werr)
		}
	default:
		c.f.add(Other, "another try without a restart: %v", err)
	}
}

// mustEnd tells that the fault alone ends the daemon: a kill, or a sync of its own disk that did not succeed.
func (c *cell) mustEnd() bool {
	if c.fault.Kill() {
		return true
	}
	own := strings.HasPrefix(c.step.Path, c.at.data()+"/") || c.step.Path == c.at.data()
	return own && (c.step.Verb == "sync" || c.step.Verb == "syncdir" || c.step.Verb == "commit" && !c.fault.Full())
}

// recover serves without the fault, compares, and does the operation again.
func (c *cell) recover(ctx context.Context) {
	if c.o.make != nil {
		if err := c.remake(ctx); err != nil {
			c.f.check("another try", err)
			return
		}
	}
	err := c.r.visit(ctx, c.at, func(ctx context.Context, p *process) error {
		if err := settle(ctx, p.client); err != nil {
			return err
		}
		healthy(ctx, p.client, &c.f)
		if !c.o.ill {
			v, err := look(ctx, p.client, &c.f)
			if err != nil {
				return fmt.Errorf("look after the restart: %w", err)
			}
			c.o.compare(v, c.n, &c.f)
			if c.fault.Kill() && c.o.make == nil {
				c.unbroken(v)
			}
		}
		again := newNotes()
		if err := c.o.drive(ctx, c.at, p.client, again); err != nil {
			return fmt.Errorf("another try: %w", err)
		}
		v, err := look(ctx, p.client, &c.f)
		if err != nil {
			return fmt.Errorf("look after another try: %w", err)
		}
		c.o.compare(v, again, &c.f)
		c.o.finished(v, &c.f)
		c.n.written = append(c.n.written, again.written...)
		c.n.receipts = append(c.n.receipts, again.receipts...)
		return nil
	})
	c.f.check("after the restart", err)
}

// unbroken demands that no run failed: a kill is no error of the run, it begins again.
func (c *cell) unbroken(v view) {
	for _, run := range v.runs {
		if run.State != "succeeded" {
			c.f.add(Other, "run %s is %s after a kill (%s: %s)", run.ID, run.State, run.Code, run.Message)
		}
	}
}

// judgeMedium opens everything on the medium that has a label: under a label every byte is as signed, at any moment.
func (r *Rig) judgeMedium(ctx context.Context, at place, n *notes, f *findings) {
	var all findings
	r.judge(ctx, at.medium(), n, &all)
	for _, x := range all {
		if !at.short || !strings.Contains(x.What, "this volume is missing") {
			*f = append(*f, x)
		}
	}
}

func (r *Rig) judge(ctx context.Context, medium string, n *notes, f *findings) {
	fsys := os.DirFS(medium)
	found, err := verify.Find(fsys)
	if err != nil {
		f.check("medium", err)
		return
	}
	there := map[string]bool{}
	for _, dir := range found.Bundles {
		p, err := verify.CheckLabel(ctx, fsys, dir, r.gate)
		if err == nil {
			_, err = verify.Open(ctx, p, r.gate)
		}
		if err != nil {
			f.add(Half, "a label over what does not verify: %s: %v", dir, err)
			continue
		}
		there[p.Label().BundleID.String()] = true
	}
	for _, id := range n.written {
		if !there[id] {
			f.add(Lost, "bundle %.20s was said to be on the medium and is not", id)
		}
	}
}
