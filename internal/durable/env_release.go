//go:build !faultpoints

package durable

// FromEnv is the real FS: a release binary has no fault seam to the outside.
func FromEnv(func(string) string) (FS, error) { return FS{}, nil }
