package bench

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestMain lets this binary run steps, as the command does.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "step" {
		if err := Step(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// TestSmall runs everything once on next to nothing: each program does what it is measured doing, each goal has its rows.
func TestSmall(t *testing.T) {
	if testing.Short() {
		t.Skip("runs daemons")
	}
	build, err := filepath.Abs("../../build")
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Build: build, Self: []string{self, "step"}, N: 200, Mixed: 400_000, Rounds: 1, Scratch: t.TempDir(), Log: io.Discard}
	if err := o.tools(); err != nil {
		t.Skip(err)
	}
	var out bytes.Buffer
	if err := Run(t.Context(), o, &out); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"P1", "P2", "P3", "P4", "P5", "P6", "P7", "P10", "P11"} {
		if !strings.Contains(out.String(), "| "+id+" |") {
			t.Errorf("no row of %s", id)
		}
	}
	host, err := os.Hostname()
	for _, private := range []string{o.Scratch, build, host} {
		if err != nil || strings.Contains(out.String(), private) {
			t.Errorf("the table names %s %v", private, err)
		}
	}
	if left, _ := os.ReadDir(o.Scratch); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestMissingTools(t *testing.T) {
	t.Setenv("PATH", "")
	err := Run(t.Context(), Options{Build: t.TempDir(), Log: io.Discard}, io.Discard)
	for _, want := range []string{"age (apt-get install age)", "sallyport (make build)"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
}

func TestMedian(t *testing.T) {
	s := time.Second
	for _, c := range []struct {
		costs []Cost
		want  Cost
	}{
		{nil, Cost{}},
		{[]Cost{{3 * s, 1 * s, 5}}, Cost{3 * s, 1 * s, 5}},
		{[]Cost{{3 * s, 1 * s, 5}, {1 * s, 9 * s, 7}, {2 * s, 2 * s, 6}}, Cost{2 * s, 2 * s, 6}},
		{[]Cost{{3 * s, 1 * s, 4}, {1 * s, 3 * s, 8}}, Cost{2 * s, 2 * s, 6}},
	} {
		if got := median(c.costs); got != c.want {
			t.Errorf("median of %v: %v", c.costs, got)
		}
	}
}

func TestRender(t *testing.T) {
	l := &lab{Options: Options{N: 10, Rounds: 3, Log: io.Discard}, ctx: t.Context()}
	l.row(Row{ID: "P1", Work: "a | b", Ours: "1 s", Reference: "2 s", Ratio: times(0.5), Goal: "≤ 1×", Verdict: atMost(0.5, 1)})
	l.row(Row{ID: "P2", Work: "c", Verdict: atLeast(0.5, 1), Why: "it was slow"})
	var out strings.Builder
	if err := l.render(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| P1 | a \\| b | 1 s | 2 s | 0.50× | ≤ 1× | met |\n", "| P2 | c |  |  |  |  | **not met** (1) |\n", "\n1. P2, c: it was slow\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}
