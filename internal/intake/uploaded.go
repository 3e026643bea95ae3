package intake

import (
	"path/filepath"
	"strings"
)

// uploaded tells whether a path is the medium that an upload became, or lies on it: D/uploads/<id>/medium is the one folder of
// the data directory that bundles are taken from. Nothing is ever written there, and what is in it is as hostile as a stick.
func uploaded(at, dataDir string) bool {
	own, err := filepath.EvalSymlinks(dataDir)
	if err != nil {
		return false
	}
	there, err := filepath.EvalSymlinks(at)
	if err != nil {
		return false
	}
	rel, err := filepath.Rel(filepath.Join(own, "uploads"), there)
	if err != nil || !filepath.IsLocal(rel) {
		return false
	}
	parts := strings.Split(filepath.ToSlash(rel), "/")
	return len(parts) > 1 && parts[1] == "medium"
}
