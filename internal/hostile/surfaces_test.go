package hostile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"sallyport/internal/code"
	"sallyport/internal/forge"
	"sallyport/internal/intake"
	"sallyport/internal/root"
	"sallyport/internal/seal"
	"sallyport/internal/verify"
)

// What a hostile input may cost (70-hostile-inputs); a process of its own needs some memory before it has read anything.
const (
	timeMax    = 5 * time.Second
	memoryMax  = 64 << 20
	processMax = 96 << 20
)

// bench is what all cases share.
type bench struct {
	w      *forge.World
	site   *site // holds Base and trusts version 1
	hybrid *site
	mirror string
	run    *runner
}

// given is one case made ready.
type given struct {
	Case
	want   map[string]string
	medium string // directory
	roots  [][]byte
	site   *site
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{run: startRunner(t), mirror: buildMirror(t), w: world(t)}
	b.site, b.hybrid = newSite(t, b.w, false), newSite(t, b.w, true)
	return b
}

// give reads what is kept of a case and makes the rest.
func (b *bench) give(t *testing.T, c Case) given {
	t.Helper()
	g := given{Case: c, want: map[string]string{}, site: b.site, medium: filepath.Join(testdata(t), c.Name(), "medium")}
	text, err := os.ReadFile(filepath.Join(testdata(t), c.Name(), "want"))
	check(t, err)
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ": "); ok && !strings.HasPrefix(name, "#") {
			g.want[name] = value
		}
	}
	if g.roots, err = c.Roots(b.w); err != nil {
		t.Fatal(err)
	}
	if c.Hybrid {
		g.site = b.hybrid
	}
	b.w.Site.ID, b.w.Site.Identity = g.site.id, g.site.identity
	if c.Big {
		m, err := c.Build(b.w)
		check(t, err)
		g.medium = t.TempDir()
		check(t, m.Write(g.medium))
	}
	return g
}

func (g given) code(surface string) string {
	if v := g.want[surface+"code"]; v != "" {
		return v
	}
	return g.want["code"]
}

func (g given) exit(surface string) string {
	if v := g.want[surface+"exit"]; v != "" {
		return v
	}
	return g.want["exit"]
}

// Every case is refused, or not, as its want says, by the gate, by the real mirror and by an import.
func TestCases(t *testing.T) {
	b := newBench(t)
	for _, c := range Cases() {
		t.Run(c.Name(), func(t *testing.T) {
			g := b.give(t, c)
			t.Run("library", func(t *testing.T) { b.library(t, g) })
			t.Run("mirror", func(t *testing.T) { b.verify(t, g) })
			if c.Number%3 == 0 || g.code("mirror-") == string(OK) {
				t.Run("extract", func(t *testing.T) { b.extract(t, g) })
			}
			t.Run("import", func(t *testing.T) { b.intake(t, g) })
		})
	}
}

// library leads a case through the gate.
func (b *bench) library(t *testing.T, g given) {
	chain := trusted(t, g.roots)
	o := verify.Options{
		Trust: verify.Trust{Roots: []*root.Trusted{chain}}, Identities: []seal.Identity{g.site.identity}, Dare: []seal.DareKey{b.w.Dare},
		Now: forge.Epoch(), Audience: g.site.id,
	}
	var err error
	costs(t, func() { err = gate(t, g.medium, o) })
	judge(t, err, g.code(""), g.exit(""))
}

func trusted(t *testing.T, roots [][]byte) *root.Trusted {
	t.Helper()
	r, err := root.First(roots[0], time.Time{})
	check(t, err)
	r, err = r.Follow(roots[1:], time.Time{})
	check(t, err)
	return r
}

func gate(t *testing.T, medium string, o verify.Options) error {
	t.Helper()
	dir, err := os.OpenRoot(medium)
	check(t, err)
	defer dir.Close()
	fsys := dir.FS()
	m, err := verify.Find(fsys)
	if err != nil {
		return err
	}
	bundles := slices.Concat(m.Bundles, m.Unfinished)
	if len(bundles) == 0 {
		if len(m.Roots) != 1 {
			t.Fatalf("neither one bundle nor one paper: %+v", m)
		}
		paper, err := fs.ReadFile(fsys, m.Roots[0])
		check(t, err)
		_, err = verify.Document(paper, o)
		return err
	}
	p, err := verify.CheckLabel(context.Background(), fsys, bundles[0], o)
	if err != nil {
		return err
	}
	bundle, err := verify.Open(context.Background(), p, o)
	if err == nil && !bundle.Done() {
		t.Error("a bundle that is not done")
	}
	return err
}

// judge compares an error with what is wanted, and demands that it helps.
func judge(t *testing.T, err error, wantCode, wantExit string) {
	t.Helper()
	got := string(code.Of(err))
	if err == nil {
		got = string(OK)
	}
	if got != wantCode || fmt.Sprint(code.Exit(err)) != wantExit {
		t.Fatalf("%s, exit %d; want %s, exit %s: %v", got, code.Exit(err), wantCode, wantExit, err)
	}
	if err == nil {
		return
	}
	var e *code.Error
	if !errors.As(err, &e) {
		t.Fatalf("no error of ours: %v", err)
	}
	helps(t, e.File+e.Place, err.Error(), code.NextStep(err))
	if e.Expected+e.Got == "" && e.Err == nil {
		t.Errorf("it says neither what was expected nor why: %v", err)
	}
}

// helps demands a place, a message that does nothing to a terminal, and a next step.
func helps(t *testing.T, place, message, next string) {
	t.Helper()
	if place == "" || message == "" || next == "" {
		t.Errorf("it does not say where, what or what to do: %q %q %q", place, message, next)
	}
	if len(message) > 4096 {
		t.Errorf("a message of %d bytes", len(message))
	}
}

// costs measures what f costs this process.
func costs(t *testing.T, f func()) {
	t.Helper()
	debug.FreeOSMemory()
	before, peak := heap(), uint64(0)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			peak = max(peak, heap())
			select {
			case <-stop:
				return
			case <-time.After(2 * time.Millisecond):
			}
		}
	}()
	start := time.Now()
	f()
	took := time.Since(start)
	close(stop)
	<-stopped
	if took > timeMax {
		t.Errorf("took %v", took)
	}
	if peak > before+memoryMax {
		t.Errorf("took %d MiB", (peak-before)>>20)
	}
	runtime.KeepAlive(f)
}

// heap is the heap in use, in bytes.
func heap() uint64 {
	s := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/unused:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64() + s[1].Value.Uint64()
}

// ask makes a command line of mirror, with the keys of the site.
func (b *bench) ask(t *testing.T, g given, command string, more ...string) []string {
	t.Helper()
	home := t.TempDir()
	args := append([]string{b.mirror, command, g.medium}, more...)
	for i, r := range g.roots {
		name := filepath.Join(home, fmt.Sprintf("hub.%d.root.json", i+1))
		check(t, os.WriteFile(name, r, 0o600))
		args = append(args, "--root", name)
	}
	for name, text := range map[string]string{"age.key": g.site.identity.String(), "aes.key": b.w.Dare.String()} {
		check(t, os.WriteFile(filepath.Join(home, name), []byte(text+"\n"), 0o600))
		args = append(args, "--identity", filepath.Join(home, name))
	}
	return args
}

// quiet demands that nothing printed does anything to a terminal.
func quiet(t *testing.T, text string) {
	t.Helper()
	for _, r := range text {
		if r != '\n' && !unicode.IsGraphic(r) || unicode.Is(unicode.Cf, r) {
			t.Fatalf("it prints %U: %.400q", r, text)
		}
	}
}

// extract leads a case through mirror extract, which leaves nothing behind of what it refuses, and through mirror verify
// without any key, which never says yes.
func (b *bench) extract(t *testing.T, g given) {
	home := t.TempDir()
	got := b.run.run(t, b.ask(t, g, "extract", "--to", filepath.Join(home, "out"))...)
	quiet(t, got.Out+got.Err)
	left, err := os.ReadDir(home)
	check(t, err)
	if right := g.code("mirror-") == string(OK); (got.Exit == 0) != right || (len(left) == 1) != right {
		t.Errorf("extract: exit %d, left %v\n%s%s", got.Exit, left, got.Out, got.Err)
	}
	got = b.run.run(t, b.mirror, "verify", g.medium)
	quiet(t, got.Out+got.Err)
	if first, _, _ := strings.Cut(got.Out, "\n"); got.Exit == 0 || got.Exit == 1 || strings.HasPrefix(first, "VERIFIED") || strings.HasPrefix(first, "INTACT") {
		t.Errorf("without a key: exit %d\n%s%s", got.Exit, got.Out, got.Err)
	}
}

// verify leads a case through the real mirror.
func (b *bench) verify(t *testing.T, g given) {
	got := b.run.run(t, b.ask(t, g, "verify", "--json")...)
	if got.CPU > timeMax || got.Memory > processMax {
		t.Errorf("took %v and %d MiB", got.CPU, got.Memory>>20)
	}
	quiet(t, got.Out+got.Err)
	var report struct {
		Exit  int
		Items []struct {
			Error    *struct{ Code, Message, File, Place, Next string }
			Unlisted []string
		}
	}
	if err := json.Unmarshal([]byte(got.Out), &report); err != nil || len(report.Items) != 1 {
		t.Fatalf("no report of one item: %v\n%s%s", err, got.Out, got.Err)
	}
	listed(t, g.Listed, report.Items[0].Unlisted)
	said := string(OK)
	if e := report.Items[0].Error; e != nil {
		said = e.Code
		helps(t, e.File+e.Place, e.Message, e.Next)
	}
	if said != g.code("mirror-") || fmt.Sprint(got.Exit) != g.exit("mirror-") || report.Exit != got.Exit {
		t.Errorf("%s, exit %d; want %s, exit %s\n%s", said, got.Exit, g.code("mirror-"), g.exit("mirror-"), got.Out)
	}
}

// waits demands that what is good of a bundle is kept, that the rest is asked for, and that nothing else happened.
func (b *bench) waits(t *testing.T, g given, s *site, wrote []string, res intake.Result, err error) {
	t.Helper()
	judge(t, err, g.code("import-"), g.exit("import-"))
	if !slices.Equal(wrote, []string{"bundle.import.parked"}) {
		t.Errorf("events %q", wrote)
	}
	decision := intake.Waits
	if g.Parks {
		decision = intake.Parked
	}
	if len(res.Outcomes) != 1 || res.Outcomes[0].Decision != decision || res.Outcomes[0].Sentence == "" || res.Outcomes[0].Next == "" {
		t.Errorf("outcomes: %+v", res.Outcomes)
	}
	if kept, err := filepath.Glob(filepath.Join(s.dir, "waiting", "*", "*")); err != nil || len(kept) == 0 {
		t.Errorf("nothing is kept: %v", err)
	}
}

// listed demands that junk is shown as what it is.
func listed(t *testing.T, want, got []string) {
	t.Helper()
	for _, name := range want {
		if !slices.Contains(got, name) {
			t.Errorf("%s is not listed as not part of the bundle: %q", name, got)
		}
	}
}

// intake offers a case to a real site. What is right is only planned, so that the next case meets the same site.
func (b *bench) intake(t *testing.T, g given) {
	s := g.site
	if g.Trust != nil || g.Waits || g.Parks {
		s = newSite(t, b.w, false)
	}
	if g.Trust != nil {
		s.trust(t, g.roots)
	}
	want := g.code("import-")
	before, files, events := s.tree(t), s.outside(t), s.events(t)
	stores := tree(t, s.dir, "cas/sha256", "layers")
	var res intake.Result
	var err error
	costs(t, func() {
		res, err = s.room.Import(context.Background(), intake.Request{Path: g.medium, Yes: want != string(OK), PlanOnly: want == string(OK), Actor: "uid:1001"}, nil)
	})
	if g.Parks { // the marks may move: what is parked was opened, and its anchor counts
		if got := tree(t, s.dir, "cas/sha256", "layers"); got != stores {
			t.Error("store or layers changed")
		}
	} else if s.tree(t) != before {
		t.Error("store, layers or marks changed")
	}
	if now := s.outside(t); !slices.Equal(now, files) {
		t.Errorf("other files outside quarantine: %q, before %q", now, files)
	}
	wrote := s.events(t)[len(events):]
	if g.Waits || g.Parks {
		b.waits(t, g, s, wrote, res, err)
		return
	}
	if g.Section() == "G" && len(wrote) == 2 && wrote[1] == "mirror.delta.apply_failed" {
		wrote = wrote[:1] // what was refused, and that a delta could not be applied, are two entries of the log
	}
	refused := !g.Paper && want != string(OK) && want != string(code.NothingForUs)
	if refused && !slices.Equal(wrote, []string{"bundle.import.refused"}) && !slices.Equal(wrote, []string{"bundle.import.quarantined"}) || !refused && len(wrote) != 0 {
		t.Errorf("events %q", wrote)
	}
	if want == string(code.NothingForUs) {
		if code.Of(err) != code.NothingForUs || code.NextStep(err) == "" {
			t.Errorf("%s: %v; want nothing-for-us", code.Of(err), err)
		}
		return
	}
	judge(t, err, want, g.exit("import-"))
	var unlisted []string
	for _, o := range res.Outcomes {
		unlisted = append(unlisted, o.Unlisted...)
		if strings.ContainsFunc(o.Sentence+o.Reason, func(r rune) bool { return !unicode.IsGraphic(r) || unicode.Is(unicode.Cf, r) }) {
			t.Errorf("what is shown holds control characters: %q %q", o.Sentence, o.Reason)
		}
	}
	listed(t, g.Listed, unlisted)
	if refused && (len(res.Outcomes) != 1 || res.Outcomes[0].Sentence == "" || res.Outcomes[0].Next == "") {
		t.Errorf("outcomes: %+v", res.Outcomes)
	}
}
