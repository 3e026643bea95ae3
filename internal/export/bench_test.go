package export_test

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"syscall"
	"testing"
	"time"

	"sallyport/internal/export"
	"sallyport/internal/sample"
)

// BenchmarkBuild builds a sealed full mirror on the shelf: SALLYPORT_BENCH_RECORDS advisories, 20,000 unless set. Beside
// wall time it reports CPU and the highest anonymous memory of the process while it builds, sampled every 2 ms.
func BenchmarkBuild(b *testing.B) {
	n := 20_000
	if s := os.Getenv("SALLYPORT_BENCH_RECORDS"); s != "" {
		n, _ = strconv.Atoi(s)
	}
	h := newHub(b, 40)
	h.fill(n)
	must(b, h.room.Start(b.Context()))
	debug.FreeOSMemory()
	stop, peak := make(chan struct{}), make(chan int64)
	go func() {
		most := int64(0)
		for {
			select {
			case <-stop:
				peak <- most
				return
			case <-time.After(2 * time.Millisecond):
				most = max(most, anonymous())
			}
		}
	}()
	began := spent()
	b.ResetTimer()
	for range b.N {
		b.SetBytes(h.mustRun(export.Request{For: "site"}).Bytes)
	}
	b.StopTimer()
	b.ReportMetric((spent()-began).Seconds()/float64(b.N), "cpu-s/op")
	close(stop)
	b.ReportMetric(float64(<-peak)/1024, "anon-MiB")
}

func spent() time.Duration {
	var r syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// anonymous is the process's anonymous memory in KiB; pages of files that are mapped or cached do not count.
func anonymous() int64 {
	status, _ := os.ReadFile("/proc/self/status")
	_, rest, _ := bytes.Cut(status, []byte("RssAnon:"))
	fields := bytes.Fields(rest)
	if len(fields) == 0 {
		return 0
	}
	n, _ := strconv.ParseInt(string(fields[0]), 10, 64)
	return n
}

// BenchmarkDelta builds a sealed delta of one advisory in a hundred out of SALLYPORT_BENCH_RECORDS, 20,000 unless set.
func BenchmarkDelta(b *testing.B) {
	n := 20_000
	if s := os.Getenv("SALLYPORT_BENCH_RECORDS"); s != "" {
		n, _ = strconv.Atoi(s)
	}
	h := newHub(b, 40)
	for week := range 2 {
		var z bytes.Buffer
		must(b, sample.Zip(&z, 7, sample.Week{To: n, Changed: func(i int) bool { return week > 0 && i%100 == 50 }}))
		path := filepath.Join(b.TempDir(), "all.zip")
		must(b, os.WriteFile(path, z.Bytes(), 0o600))
		h.load("osv-go", path)
	}
	must(b, h.room.Start(b.Context()))
	began := spent()
	b.ResetTimer()
	for range b.N {
		if _, err := h.delta(export.Request{For: "site", Base: "1"}); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	b.ReportMetric((spent()-began).Seconds()/float64(b.N), "cpu-s/op")
}
