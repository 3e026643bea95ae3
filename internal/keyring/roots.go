package keyring

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"sallyport/internal/attest"
	"sallyport/internal/code"
	"sallyport/internal/digest"
)

// RootPath is where a version of our own trust root lies: D/pub/roots/<16 hex of the root id>.<N>.root.json.
func (r *Ring) RootPath(id digest.Digest, version int64) string {
	return filepath.Join(r.dir, "pub", "roots", fmt.Sprintf("%s.%d.root.json", id.Short(), version))
}

// Roots are the versions of our own trust root as they are now: those given, version 1 first, and every later one that was made
// since. Codes envelope, root.
func (r *Ring) Roots(have [][]byte) ([][]byte, error) {
	if len(have) == 0 {
		return nil, nil
	}
	first, err := attest.Inspect(have[0])
	if err != nil {
		return nil, fmt.Errorf("own trust root: %w", err)
	}
	id, all := digest.Of(first.Payload), have[:len(have):len(have)]
	for {
		b, err := os.ReadFile(r.RootPath(id, int64(len(all))+1))
		if errors.Is(err, fs.ErrNotExist) {
			return all, nil
		}
		if err != nil {
			return nil, code.Wrap(code.RootBad, err, "read own trust root")
		}
		all = append(all, b)
	}
}

// AddRoot keeps a new version of our own trust root; the same one again changes nothing, another one under its number is
// refused (code root-fork).
func (r *Ring) AddRoot(id digest.Digest, version int64, envelope []byte) error {
	path := r.RootPath(id, version)
	if b, err := os.ReadFile(path); err == nil {
		if bytes.Equal(b, envelope) {
			return nil
		}
		return code.New(code.RootFork, "version %d of our own root is there already, and another", version).In(path, "")
	}
	if err := r.fs.Mkdir(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("keep root version %d: %w", version, err)
	}
	if err := r.fs.WriteFile(path, envelope, 0o644); err != nil {
		return fmt.Errorf("keep root version %d: %w", version, err)
	}
	return nil
}
