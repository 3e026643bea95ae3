package load

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/internal/sample"
)

// BenchmarkLoad loads a dump of SALLYPORT_BENCH_RECORDS advisories (20,000) into an empty feed, then one of a week later (3 %
// appended, 0.05 % changed), and reports the largest heap seen while loading.
func BenchmarkLoad(b *testing.B) {
	n := 20_000
	if s := os.Getenv("SALLYPORT_BENCH_RECORDS"); s != "" {
		v, err := strconv.Atoi(s)
		must(b, err)
		n = v
	}
	dumps := []string{
		written(b, sample.Week{To: n}),
		written(b, sample.Week{To: n + n*3/100, Changed: func(i int) bool { return i%2000 == 0 }}),
	}
	for b.Loop() {
		w := newWorld(b)
		for i, path := range dumps {
			runtime.GC()
			peak, stop := watch()
			start := time.Now()
			res, err := w.room.Load(context.Background(), Request{Tenant: "acme", Feed: "f", Files: []string{path}, Actor: "x"}, nil)
			must(b, err)
			stop()
			week := []string{"first", "second"}[i]
			b.ReportMetric(time.Since(start).Seconds(), week+"-s")
			b.ReportMetric(float64(peak.Load())/(1<<20), week+"-heap-MiB")
			b.ReportMetric(float64(res.Frames.Copied), week+"-frames-copied")
		}
		w.close()
	}
}

// written writes a dump straight to disk.
func written(b *testing.B, week sample.Week) string {
	path := filepath.Join(b.TempDir(), "dump.zip")
	f, err := os.Create(path)
	must(b, err)
	must(b, sample.Zip(f, 1, week))
	must(b, f.Close())
	return path
}

// watch samples the heap until stop.
func watch() (peak *atomic.Uint64, stop func()) {
	peak = new(atomic.Uint64)
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		var m runtime.MemStats
		for {
			runtime.ReadMemStats(&m)
			if m.HeapInuse > peak.Load() {
				peak.Store(m.HeapInuse)
			}
			select {
			case <-quit:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	return peak, func() { close(quit); <-done }
}
