package history

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"

	"sallyport/internal/archtest"
	"sallyport/internal/crash"
)

// scratch is in memory where the system has a place for that.
func scratch(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "sallyport-history-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// number reads one from the environment.
func number(t *testing.T, name string, otherwise int) int {
	t.Helper()
	s := os.Getenv(name)
	if s == "" {
		return otherwise
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// play plays one history from its seed.
func play(t *testing.T, seed uint64, steps int) map[string]int {
	t.Helper()
	w, err := New(t.Context(), scratch(t), seed)
	if err != nil {
		w.Close()
		t.Fatal(err)
	}
	defer w.Close()
	for _, part := range []func() error{func() error { return w.Run(steps) }, w.Settle, w.Prove} {
		if err == nil && len(w.Wrong()) == 0 {
			err = part()
		}
	}
	if err != nil || len(w.Wrong()) > 0 {
		t.Errorf("seed %d: %v %s\n%s", seed, err, strings.Join(w.Wrong(), "\n"), strings.Join(w.Trace, "\n"))
	} else if os.Getenv("SALLYPORT_TELL") != "" {
		t.Logf("seed %d\n%s", seed, strings.Join(w.Trace, "\n"))
	}
	return w.Counts()
}

// TestHistory plays random histories: 5 of them, or as many as SALLYPORT_HISTORIES says, from SALLYPORT_SEED on.
func TestHistory(t *testing.T) {
	first, n, steps := number(t, "SALLYPORT_SEED", 1), number(t, "SALLYPORT_HISTORIES", 5), number(t, "SALLYPORT_STEPS", 200)
	if testing.Short() {
		n = 1
	}
	var mu sync.Mutex
	sum := map[string]int{}
	t.Run("seeds", func(t *testing.T) {
		for i := range n {
			seed := uint64(first + i)
			t.Run(fmt.Sprint(seed), func(t *testing.T) {
				t.Parallel()
				counts := play(t, seed, steps)
				mu.Lock()
				defer mu.Unlock()
				for k, c := range counts {
					sum[k] += c
				}
			})
		}
	})
	for _, k := range sorted(sum) {
		t.Logf("%6d %s", sum[k], k)
	}
	if os.Getenv("SALLYPORT_CAMPAIGN") == "1" {
		publish(t, first, n, steps, sum)
	}
}

// publish writes this part of testdata/results/crash.md.
func publish(t *testing.T, first, n, steps int, sum map[string]int) {
	module, err := archtest.Root()
	if err != nil {
		t.Fatal(err)
	}
	verdict := "nothing was wrong"
	if t.Failed() {
		verdict = "**something was wrong**"
	}
	var b strings.Builder
	fmt.Fprintf(&b, `A hub and two sites, each a real daemon with a clock of its own. Seeds %d to %d, %d steps each: sticks are lost, doubled,
half copied, found again and wiped, clocks read 1970 and 2099, people roll back, pin and accept, hubs and sites are restored
from backups. After each step: every active and held state is one the hub minted, no mark fell, every intact bundle is in or
what is missing is named, no damaged one is in. At the end sticks travel quietly: all roots and all bodies are equal to the
evidence, and every log is proven against every head of it that another saw. Result: %s.

| | times |
|---|--:|
`, first, first+n-1, steps, verdict)
	for _, k := range sorted(sum) {
		fmt.Fprintf(&b, "| %s | %d |\n", k, sum[k])
	}
	if err := crash.Publish(module, "Random histories", b.String()); err != nil {
		t.Fatal(err)
	}
}
