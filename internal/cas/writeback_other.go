//go:build !linux

package cas

import "os"

// writeback and uncache do nothing where we do not know how.
func writeback(*os.File) {}
func uncache(*os.File)   {}
