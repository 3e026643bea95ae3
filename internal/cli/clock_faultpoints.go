//go:build faultpoints

package cli

import (
	"fmt"
	"time"

	"sallyport/internal/clock"
)

// machine is the clock of this machine, or the one a test sets with SALLYPORT_FAKE_TIME (RFC 3339, or a year like 1970).
func machine(getenv func(string) string) (clock.Clock, error) {
	s := getenv("SALLYPORT_FAKE_TIME")
	if s == "" {
		return clock.System(), nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02", "2006"} {
		if t, err := time.Parse(layout, s); err == nil {
			return clock.Shifted(t), nil
		}
	}
	return nil, fmt.Errorf("SALLYPORT_FAKE_TIME %q: want a time like 1970-01-01T00:12:00Z", s)
}
