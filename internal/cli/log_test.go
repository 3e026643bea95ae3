package cli

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

// Whatever a foreign string holds, no log line has a control character that a terminal obeys.
func TestLogsAreClean(t *testing.T) {
	foreign := "x\u009b2J\u0085\x1b[2J\u202e"
	for _, format := range []string{"json", "text"} {
		var out bytes.Buffer
		a := &app{Stdio: Stdio{Err: &out}}
		a.logger("info", format).With("with", foreign).Info(foreign, "name", foreign, "err", errors.New(foreign), "list", []string{foreign}, "n", 1)
		line := strings.TrimSuffix(out.String(), "\n")
		if strings.ContainsAny(line, "\u009b\u0085\x1b\u202e\n") {
			t.Errorf("%s: %q", format, line)
		}
		if strings.Count(line, "2J") != 10 || !strings.Contains(line, "INFO") {
			t.Errorf("%s: something is missing in %q", format, line)
		}
	}
}
