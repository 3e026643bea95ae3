package clock

import (
	"fmt"
	"strings"
	"time"
)

// Parse reads a time as everything we sign writes it: RFC 3339 in UTC with a capital T and Z, fractions of a second after a
// dot allowed. Format writes it back, cut to whole seconds.
func Parse(s string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil || !strings.HasSuffix(s, "Z") || len(s) > len("2006-01-02T15:04:05.999999999Z") || strings.Contains(s, ",") {
		return time.Time{}, fmt.Errorf("time %.40q: want RFC 3339 in UTC like 2006-01-02T15:04:05Z", s)
	}
	return t, nil
}
