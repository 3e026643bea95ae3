//go:build !linux

package layer

// forget does nothing where we do not know how.
func forget(uintptr, int64) {}

// writeback does nothing where we do not know how.
func writeback(string) {}
