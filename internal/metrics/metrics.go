// Package metrics counts what the daemon does, under the names that 40-export-center binds.
//
// Data: one registry of its own, in memory; labels are bounded (profiles, kinds and codes of this product, never foreign text).
//
// Order: rooms are not asked to count: the daemon feeds this from finished runs, imports and gauges read at scrape time.
// A crash starts the counters at zero, as Prometheus expects.
package metrics

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Gauges are read at each scrape.
type Gauges struct {
	JobsReady    func() float64 // runs waiting
	StorageBytes func() float64 // bytes in the content store
	AnchorAge    func() float64 // seconds since the newest time anchor; negative: none
	DiskFree     func() float64 // bytes of the data directory's disk that are free; negative: not known
	Condemned    func() float64 // damaged blobs in quarantine
}

// Set is all metrics of one daemon. Safe for concurrent use.
type Set struct {
	registry    *prometheus.Registry
	duration    *prometheus.HistogramVec
	failures    *prometheus.CounterVec
	bytes       prometheus.Counter
	push        prometheus.Histogram
	verifyFails prometheus.Counter
	pruned      prometheus.Counter
	imports     *prometheus.CounterVec
	loaded      *prometheus.CounterVec
	scrubbed    prometheus.Counter
	damaged     prometheus.Counter
}

// New makes the set.
func New(g Gauges) *Set {
	s := &Set{
		registry: prometheus.NewRegistry(),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "exporter_run_duration_seconds", Help: "Wall time of finished runs.", Buckets: []float64{1, 5, 15, 30, 60, 120, 300, 600, 1800},
		}, []string{"profile_kind"}),
		failures:    counters("exporter_run_failures_total", "Runs that failed.", "profile", "error_code"),
		bytes:       counter("exporter_run_bytes_total", "Outer bytes of finished bundles."),
		push:        prometheus.NewHistogram(prometheus.HistogramOpts{Name: "exporter_distribution_push_seconds", Help: "Time to deliver a bundle to its target.", Buckets: []float64{1, 5, 15, 30, 60, 300}}),
		verifyFails: counter("exporter_verify_failures_total", "Finished bundles that did not pass the gate."),
		pruned:      counter("exporter_retention_pruned_total", "Bundles removed by retention."),
		imports:     counters("sallyport_imports_total", "Bundles that came to the gate, by decision.", "decision"),
		scrubbed:    counter("sallyport_scrub_bytes_total", "Bytes of the store that were read again and proven."),
		damaged:     counter("sallyport_scrub_damaged_total", "Blobs that a scrub found damaged."),
		loaded:      counters("sallyport_records_loaded_total", "Records loaded from local documents.", "change"),
	}
	s.registry.MustRegister(s.duration, s.failures, s.bytes, s.push, s.verifyFails, s.pruned, s.imports, s.loaded, s.scrubbed, s.damaged,
		gauge("exporter_jobs_ready", "Runs waiting for a worker.", g.JobsReady),
		gauge("exporter_storage_bytes_total", "Bytes in the content store.", g.StorageBytes),
		gauge("airgap_time_anchor_age_seconds", "Seconds since the newest time anchor, -1 when there is none.", g.AnchorAge),
		gauge("sallyport_disk_free_bytes", "Free bytes on the disk of the data directory, -1 when not known.", g.DiskFree),
		gauge("sallyport_store_damaged_blobs", "Damaged blobs that were not healed yet.", g.Condemned),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return s
}

func counter(name, help string) prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
}

func counters(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
}

func gauge(name, help string, read func() float64) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, read)
}

// RunDone counts one run that succeeded: its kind ("mirror"), wall time, outer bytes and the time delivery took.
func (s *Set) RunDone(kind string, wall time.Duration, bytes int64, push time.Duration) {
	s.duration.WithLabelValues(kind).Observe(wall.Seconds())
	s.bytes.Add(float64(bytes))
	if push > 0 {
		s.push.Observe(push.Seconds())
	}
}

// RunFailed counts one run that failed with an errorCode of 40-export-center.
func (s *Set) RunFailed(profile, errorCode string) {
	s.failures.WithLabelValues(profile, errorCode).Inc()
	if errorCode == "verify" {
		s.verifyFails.Inc()
	}
}

// Imported counts one bundle at the gate.
func (s *Set) Imported(decision string) { s.imports.WithLabelValues(decision).Inc() }

// Loaded counts records of one load.
func (s *Set) Loaded(added, changed, removed int64) {
	s.loaded.WithLabelValues("added").Add(float64(added))
	s.loaded.WithLabelValues("changed").Add(float64(changed))
	s.loaded.WithLabelValues("removed").Add(float64(removed))
}

// Scrubbed counts what a scrub read and how many blobs of it were damaged.
func (s *Set) Scrubbed(bytes int64, damaged int) {
	s.scrubbed.Add(float64(bytes))
	s.damaged.Add(float64(damaged))
}

// Handler serves the scrape.
func (s *Set) Handler() http.Handler {
	return promhttp.HandlerFor(s.registry, promhttp.HandlerOpts{Registry: s.registry})
}

// Text is the scrape as text, for `sallyport metrics`.
func (s *Set) Text() (string, error) {
	req, err := http.NewRequest(http.MethodGet, "/metrics", nil)
	if err != nil {
		return "", fmt.Errorf("metrics: %w", err)
	}
	p := &page{header: http.Header{}, status: http.StatusOK}
	s.Handler().ServeHTTP(p, req)
	if p.status != http.StatusOK {
		return "", fmt.Errorf("metrics: %s", strings.TrimSpace(p.text.String()))
	}
	return p.text.String(), nil
}

// page keeps a scrape in memory.
type page struct {
	header http.Header
	status int
	text   strings.Builder
}

func (p *page) Header() http.Header         { return p.header }
func (p *page) WriteHeader(status int)      { p.status = status }
func (p *page) Write(b []byte) (int, error) { return p.text.Write(b) }
