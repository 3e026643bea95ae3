//go:build !linux

package durable

import "os"

// Directories cannot be synced on every system; mirror, which is all that runs there, writes only extracted copies.
func syncDir(*os.File) error { return nil }

func syncFS(*os.File) error { return nil }
