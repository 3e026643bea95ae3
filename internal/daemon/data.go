package daemon

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sallyport/internal/code"
	"sallyport/internal/config"
	"sallyport/internal/digest"
)

// Instance is instance.json: who this appliance is. Init writes it last, so a data directory without it was never finished.
type Instance struct {
	Version        int      `json:"version"`
	Instance       string   `json:"instance"` // the id that state.db, marks and cas carry too
	ID             string   `json:"id"`       // appliance id: of its first key, for ever
	Name           string   `json:"name"`
	Tenants        []string `json:"tenants"`
	RootID         string   `json:"rootId"`
	SingleOperator bool     `json:"singleOperator"`
	CreatedAt      string   `json:"createdAt"`
	Software       string   `json:"software"` // that made it
}

const instanceVersion = 1

// at names a file of the data directory.
func at(dir string, parts ...string) string {
	return filepath.Join(append([]string{dir}, parts...)...)
}

// folders of a data directory, besides what the stores make themselves.
func folders() []string {
	return []string{"config.d", "layers", "pub/roots", "quarantine", "shelf", "backups", "tls", "run"}
}

// ReadInstance reads instance.json. Code not-found says that init must come first.
func ReadInstance(dir string) (Instance, error) {
	var in Instance
	file := at(dir, "instance.json")
	b, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return in, code.Wrap(code.Missing, errors.New("there is no appliance here"), "open data directory").In(dir, "").
			Do("Name the right place with --data-dir. A lost one comes back with sallyport restore --from BACKUP --data-dir DIR; a new one is made with sallyport init --data-dir DIR --name NAME --tenant TENANT.")
	}
	if err != nil {
		return in, fmt.Errorf("open data directory: %w", err)
	}
	if err := json.Unmarshal(b, &in); err != nil {
		return in, code.Wrap(code.StateCorrupt, err, "read instance").In(file, "")
	}
	if in.Version > instanceVersion {
		return in, code.New(code.StateNewer, "").In(file, "version").Want(instanceVersion, in.Version)
	}
	return in, nil
}

// LoadConfig reads the configuration of a data directory: defaults, config.yaml, config.d/*.yaml in the order of their
// names, the environment. A missing file is no error.
func LoadConfig(dir string, lookup func(string) (string, bool)) (config.Config, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return config.Config{}, fmt.Errorf("data directory: %w", err)
	}
	c := config.New(dir)
	files := []string{at(dir, "config.yaml")}
	more, err := filepath.Glob(at(dir, "config.d", "*.yaml"))
	if err != nil {
		return c, fmt.Errorf("list config.d: %w", err)
	}
	slices.Sort(more)
	for _, file := range append(files, more...) {
		b, err := os.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return c, code.Wrap(code.BadConfig, err, "read configuration").In(file, "")
		}
		if err := c.File(file, b); err != nil {
			return c, err
		}
	}
	return c, c.Environ(lookup)
}

// rootFile is where a version of our own trust root lies.
func rootFile(dir string, id digest.Digest, version int) string {
	return at(dir, "pub", "roots", fmt.Sprintf("%s.%d.root.json", id.Short(), version))
}

// readRoots reads all versions of our own trust root, version 1 first.
func readRoots(dir string, id digest.Digest) (all [][]byte, err error) {
	for version := 1; ; version++ {
		b, err := os.ReadFile(rootFile(dir, id, version))
		if errors.Is(err, fs.ErrNotExist) && version > 1 {
			return all, nil
		}
		if err != nil {
			return nil, code.Wrap(code.RootBad, err, "read own trust root")
		}
		all = append(all, b)
	}
}

// foreign lists what does not belong into a data directory that init has not finished.
func foreign(dir string) (names []string, err error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	known := []string{"config.yaml", "config.d", "instance.json", "lock", "state.db", "state.db.new", "marks", "cas", "layers", "loads", "keys", "pub", "quarantine", "waiting", "shelf", "backups", "ballast", "tls", "run", "setup-code", "jobs", "uploads"}
	for _, e := range entries {
		if !slices.Contains(known, e.Name()) && !strings.HasPrefix(e.Name(), ".tmp-") && e.Name() != "lost+found" {
			names = append(names, e.Name())
		}
	}
	return names, err
}

// tidy removes what durable.WriteFile leaves when a crash comes between its write and its rename. Stores tidy up in their
// folders themselves; it needs no sync, because what comes back is removed by the next start.
func tidy(dir string) error {
	own := []string{"cas", "layers", "shelf"}
	return filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir() && filepath.Dir(filepath.Dir(path)) == dir && slices.Contains(own, filepath.Base(filepath.Dir(path))):
			return filepath.SkipDir
		case e.Type().IsRegular() && strings.HasPrefix(e.Name(), ".tmp-"):
			return os.Remove(path)
		}
		return nil
	})
}
