// Package hostile is the collection of media that must be refused: one directory each below testdata/hostile, one defect each.
//
// Data: a compiled table of cases, sections A to G of 70-hostile-inputs as far as a whole bundle meets them (Cases), and below
// testdata/hostile/<nnn>-<slug>/ what Generate writes from it:
//
//	want        code and exit status; mirror-… and import-… where that surface gives another answer
//	medium/     the files as found on a stick, where they are small, have portable names and are the same every time
//	generator   instead of medium/: the name of the case, whose Build makes the files when a test needs them
//	trust/      the trust root's versions, oldest first, where they are not those of testdata/hostile/trust
//
// Order: Build makes a right bundle with internal/forge and one defect in it; the tests lead every case through the gate, the
// real mirror and an import, and compare the answers with want. Test-only: no package of the product imports it.
package hostile

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"sallyport/internal/code"
	"sallyport/internal/forge"
)

// OK stands where a surface has nothing to object to.
const OK code.Code = "ok"

// Case is one hostile input. A case of code OK is something that looks bad and must change no verdict.
type Case struct {
	Number int
	Slug   string
	Defect string // one sentence
	Code   code.Code
	Mirror code.Code // of mirror verify; "": Code
	Import code.Code // of an import; "": Code
	Big    bool      // too big, too random or with names no repository holds: made when needed
	Paper  bool      // no bundle but one signed paper, roots/<…>.root.json
	Hybrid bool      // the site's identity is a hybrid one
	Waits  bool      // an import keeps what is good and waits for the rest
	Parks  bool      // an import keeps it and waits for its base
	Listed []string  // names that must be listed as not part of the bundle
	Plan   func(*forge.World, *forge.Plan)
	Input  func(*forge.World, *Medium) error    // edits, or makes, the medium
	Trust  func(*forge.World) ([][]byte, error) // the versions of the hub's root that are trusted; nil: version 1
}

// Section is the letter of 70-hostile-inputs.
func (c Case) Section() string { return string(rune('A' + c.Number/100)) }

// Name is that of the directory.
func (c Case) Name() string { return fmt.Sprintf("%03d-%s", c.Number, c.Slug) }

// Cases are all cases, ascending by number.
func Cases() []Case {
	all := slices.Concat(containerCases, nameCases, streamCases, sealCases, envelopeCases, manifestCases, rootCases, deltaCases, moreCases)
	slices.SortFunc(all, func(a, b Case) int { return a.Number - b.Number })
	return all
}

// Want is the text of the case's file want.
func (c Case) Want() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s: %s\n", c.Section(), c.Defect)
	line := func(surface string, got code.Code) {
		fmt.Fprintf(&b, "%scode: %s\n%sexit: %d\n", surface, got, surface, exit(got))
	}
	line("", c.Code)
	for _, s := range []struct {
		name string
		code code.Code
	}{{"mirror-", c.Mirror}, {"import-", c.Import}} {
		if s.code != "" && s.code != c.Code {
			line(s.name, s.code)
		}
	}
	if c.Waits {
		b.WriteString("import-decision: waits\n")
	}
	if c.Parks {
		b.WriteString("import-decision: parked\n")
	}
	if len(c.Listed) > 0 {
		fmt.Fprintf(&b, "listed: %s\n", strings.Join(c.Listed, ", "))
	}
	return b.String()
}

func exit(c code.Code) int {
	if c == OK {
		return 0
	}
	return code.Lookup(c).Exit()
}

// Medium is what lies on a stick.
type Medium struct {
	Dir   string            // of the bundle
	Files map[string][]byte // paths from the stick's root
	Links map[string]string // symbolic links and where they lead
	Dirs  []string          // empty directories
	Pipes []string          // FIFOs
}

// Volume is the path of the bundle's only file whose name ends so.
func (m *Medium) Volume(suffix string) string {
	for name := range m.Files {
		if strings.HasPrefix(name, m.Dir+"/") && strings.HasSuffix(name, suffix) {
			return name
		}
	}
	panic("no file " + suffix)
}

// Move gives a file another path.
func (m *Medium) Move(from, to string) {
	m.Files[to] = m.Files[from]
	delete(m.Files, from)
}

// Write puts the medium into a directory.
func (m *Medium) Write(dir string) error {
	for name, body := range m.Files {
		if err := under(dir, name, func(to string) error { return os.WriteFile(to, body, 0o644) }); err != nil {
			return err
		}
	}
	for name, target := range m.Links {
		if err := under(dir, name, func(to string) error { return os.Symlink(target, to) }); err != nil {
			return err
		}
	}
	for _, name := range m.Dirs {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			return err
		}
	}
	for _, name := range m.Pipes {
		if err := under(dir, name, func(to string) error { return syscall.Mkfifo(to, 0o644) }); err != nil {
			return err
		}
	}
	return nil
}

func under(dir, name string, make func(to string) error) error {
	to := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return make(to)
}

// The generations of Base and of what hostile bundles offer.
const (
	held    = 5
	offered = 6
)

func feeds(generation int64, lines int) []forge.Feed {
	return []forge.Feed{
		{Name: "osv-go", Generation: generation, Epoch: 1, Lines: lines},
		{Name: "sboms", Generation: generation, Epoch: 1, Documents: map[string]string{
			"urn:uuid:11111111-1111-4111-8111-111111111111": fmt.Sprintf(`{"bomFormat":"CycloneDX","specVersion":"1.5","version":%d}`, generation),
		}},
	}
}

// Base is the bundle a site holds before it meets any case.
func Base(w *forge.World) forge.Plan { return forge.Plan{From: w.Hub, Feeds: feeds(held, 8)} }

// plan is a right bundle: the next generation, in clear, for everyone.
func plan(w *forge.World) forge.Plan { return forge.Plan{From: w.Hub, Feeds: feeds(offered, 9)} }

// Build makes the medium of a case. What is not Big depends on the world's seed alone.
func (c Case) Build(w *forge.World) (*Medium, error) {
	m := &Medium{Files: map[string][]byte{}, Links: map[string]string{}}
	if !c.Paper {
		p := plan(w)
		if c.Plan != nil {
			c.Plan(w, &p)
		}
		b, err := p.Build()
		if err != nil {
			return nil, fmt.Errorf("build %s: %w", c.Name(), err)
		}
		m.Dir = b.Dir
		for name, body := range b.Files {
			if strings.HasPrefix(name, b.Dir+"/") {
				m.Files[name] = body
			}
		}
	}
	if c.Input == nil {
		return m, nil
	}
	if err := c.Input(w, m); err != nil {
		return nil, fmt.Errorf("build %s: %w", c.Name(), err)
	}
	return m, nil
}

// Roots are the versions of the hub's trust root that a case trusts, oldest first.
func (c Case) Roots(w *forge.World) ([][]byte, error) {
	if c.Trust == nil {
		return [][]byte{w.Hub.RootEnv}, nil
	}
	return c.Trust(w)
}
