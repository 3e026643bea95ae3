//go:build !linux

package media

// Kernel names what sticks and discs have that every such system reads.
func Kernel() []string { return readable() }

func mountedAt(string) string { return "" }
