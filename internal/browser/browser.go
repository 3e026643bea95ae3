// Package browser opens pages in Chromium for tests: it lets axe judge them, watches what they load, and takes their
// pictures; tests alone use it.
//
// Data: none of its own. The programs it starts are testdata/browser/*.mjs (playwright-core and axe-core, pinned by their
// lock file); pictures go to the directory named by SALLYPORT_SCREENS, when it is set.
//
// Order: one node process a visit, which starts one Chromium with a profile of its own and ends it; each page is opened in
// its variants, then every finding is reported as an error of the test. A crash leaves a temporary profile behind.
package browser

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// Patience is how long one script may take before it is ended.
const Patience = 30 * time.Minute

// Page is one page to open.
type Page struct {
	Name  string `json:"name"` // of its pictures
	Path  string `json:"path"`
	Sheet bool   `json:"sheet,omitempty"` // fits on one printed page
	Wait  string `json:"wait,omitempty"`  // a selector that must be there first
	// Noise lists messages of the browser's console that belong to the page, such as the 404 of an error page.
	Noise []string `json:"noise,omitempty"`
}

// Variant is a way to look at a page. Zoom 2 is what the browser's 200 % does: half the width at twice the dots.
type Variant struct {
	Name     string `json:"name"`
	Scheme   string `json:"scheme"` // "light" or "dark"
	Width    int    `json:"width"`
	Height   int    `json:"height"`
	Zoom     int    `json:"zoom,omitempty"`
	NoScript bool   `json:"noScript,omitempty"`
	NoAxe    bool   `json:"noAxe,omitempty"`
}

// Variants are the six ways in which every page can be looked at.
func Variants() []Variant {
	return []Variant{
		{Name: "light", Scheme: "light", Width: 1280, Height: 800},
		{Name: "dark", Scheme: "dark", Width: 1280, Height: 800},
		{Name: "light-400", Scheme: "light", Width: 400, Height: 800},
		{Name: "dark-400", Scheme: "dark", Width: 400, Height: 800},
		{Name: "light-zoom", Scheme: "light", Width: 1280, Height: 800, Zoom: 2},
		{Name: "light-plain", Scheme: "light", Width: 1280, Height: 800, NoScript: true, NoAxe: true},
	}
}

// ways are the variants of a walk that names none: those of SALLYPORT_WAYS ("light,dark-400"; "all"). none: it is not set.
func ways() (list []Variant, none bool) {
	names := os.Getenv("SALLYPORT_WAYS")
	if names == "all" {
		return Variants(), false
	}
	return slices.DeleteFunc(Variants(), func(v Variant) bool { return !slices.Contains(strings.Split(names, ","), v.Name) }), names == ""
}

// turns are the two ways, different in everything, that pages take in turns in the tests of every day, so that these end soon.
func turns() []Variant {
	all := Variants()
	return []Variant{all[0], all[3]}
}

// Visit is a walk over pages of one server.
type Visit struct {
	Origin   string         `json:"origin"`
	Cookies  []*http.Cookie `json:"cookies,omitempty"`
	Pages    []Page         `json:"pages"`
	Variants []Variant      `json:"variants"` // none: those of SALLYPORT_WAYS, else one of two in turns
	Out      string         `json:"out,omitempty"`
}

// Walk opens every page in each variant. It is an error of the test when axe finds a violation, when anything is asked of
// another origin, when the browser's console shows an error or a report of the content policy, when a page scrolls
// sideways, when a sheet takes more than one printed page.
func Walk(t *testing.T, v Visit) {
	t.Helper()
	for _, f := range Look(t, v) {
		t.Error(f)
	}
}

// Look is Walk that gives its findings instead of reporting them.
func Look(t *testing.T, v Visit) (findings []string) {
	t.Helper()
	if v.Variants == nil {
		var none bool
		if v.Variants, none = ways(); none {
			return inTurns(t, v)
		}
	}
	v.Out = os.Getenv("SALLYPORT_SCREENS")
	job, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	out, err := run(t, "walk", bytes.NewReader(job), nil)
	for line := range strings.Lines(out) {
		if finding, ok := strings.CutPrefix(line, "FINDING "); ok {
			findings = append(findings, strings.TrimSpace(finding))
		} else {
			t.Log(strings.TrimSpace(line))
		}
	}
	if err != nil && len(findings) == 0 {
		findings = append(findings, "walk: "+err.Error())
	}
	return findings
}

// inTurns looks at each page in one of two ways.
func inTurns(t *testing.T, v Visit) (findings []string) {
	t.Helper()
	for i, way := range turns() {
		some := v
		some.Variants, some.Pages = []Variant{way}, nil
		for n, p := range v.Pages {
			if n%2 == i {
				some.Pages = append(some.Pages, p)
			}
		}
		if len(some.Pages) > 0 {
			findings = append(findings, Look(t, some)...)
		}
	}
	return findings
}

// Script runs testdata/browser/NAME.mjs with the environment given; an exit other than 0 fails the test with its output.
func Script(t *testing.T, name string, env map[string]string) string {
	t.Helper()
	out, err := run(t, name, nil, env)
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
	return out
}

// run starts one script and waits for it; without Chromium, node or the two packages the test is skipped with a line.
func run(t *testing.T, name string, stdin *bytes.Reader, env map[string]string) (string, error) {
	t.Helper()
	if testing.Short() {
		t.Skip("a browser takes too long for -short")
	}
	dir := tools(t)
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", name+".mjs")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CHROMIUM="+chromium())
	for k, value := range env {
		cmd.Env = append(cmd.Env, k+"="+value)
	}
	if stdin != nil {
		cmd.Stdin = stdin
	}
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// tools finds the scripts and what they need.
func tools(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
	}
	dir = filepath.Join(dir, "testdata", "browser")
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("no node on this machine: make stock-browser")
	}
	if chromium() == "" {
		t.Skip("no chromium on this machine: make stock-browser")
	}
	for _, p := range []string{"playwright-core", "axe-core"} {
		if _, err := os.Stat(filepath.Join(dir, "node_modules", p)); err != nil {
			t.Skipf("no %s below testdata/browser: make stock-browser", p)
		}
	}
	return dir
}

// chromium is the path of the browser, "" when there is none.
func chromium() string {
	for _, name := range []string{"chromium", "chromium-browser"} {
		if p, err := exec.LookPath(name); err == nil {
			return p
		}
	}
	return ""
}
