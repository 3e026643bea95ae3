package access

import (
	"os"
	"strconv"
	"strings"
)

// Boot is a clock that nobody can set and that goes on when the daemon is started again.
type Boot struct {
	ID    string // of this start of the machine
	Since int64  // seconds since then, also while it slept
}

// SystemBoot reads it from /proc: the boot id and the first number of uptime, which counts suspended time. Where there is no
// /proc the id is empty, and every session made then ends at once: it is not known how old it is.
func SystemBoot() Boot {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return Boot{}
	}
	up, err := os.ReadFile("/proc/uptime")
	if err != nil {
		return Boot{}
	}
	first, _, _ := strings.Cut(string(up), " ")
	seconds, err := strconv.ParseFloat(first, 64)
	if err != nil {
		return Boot{}
	}
	return Boot{ID: strings.TrimSpace(string(id)), Since: int64(seconds)}
}
