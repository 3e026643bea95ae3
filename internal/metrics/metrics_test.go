package metrics

import (
	"strings"
	"testing"
	"time"
)

// The names of 40-export-center are binding: monitors and alerts know them.
func TestNames(t *testing.T) {
	s := New(Gauges{
		JobsReady: func() float64 { return 3 }, StorageBytes: func() float64 { return 4096 }, AnchorAge: func() float64 { return -1 },
		DiskFree: func() float64 { return 5 }, Condemned: func() float64 { return 2 },
	})
	s.RunDone("mirror", 2*time.Second, 10, time.Second)
	s.RunFailed("mirror:full", "verify")
	s.Imported("activated")
	s.Loaded(1, 2, 3)
	s.Scrubbed(100, 2)
	text, err := s.Text()
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		`exporter_run_duration_seconds_count{profile_kind="mirror"} 1`,
		`exporter_run_failures_total{error_code="verify",profile="mirror:full"} 1`,
		`exporter_run_bytes_total 10`, `exporter_distribution_push_seconds_count 1`, `exporter_verify_failures_total 1`,
		`exporter_retention_pruned_total 0`, `exporter_jobs_ready 3`, `exporter_storage_bytes_total 4096`, `airgap_time_anchor_age_seconds -1`,
		`sallyport_imports_total{decision="activated"} 1`, `sallyport_records_loaded_total{change="removed"} 3`,
		`sallyport_scrub_bytes_total 100`, `sallyport_scrub_damaged_total 2`, `sallyport_disk_free_bytes 5`, `sallyport_store_damaged_blobs 2`,
	} {
		if !strings.Contains(text, "\n"+line+"\n") {
			t.Errorf("no line %q", line)
		}
	}
}
