package history

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
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
}
