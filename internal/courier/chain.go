package courier

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"sallyport/internal/code"
	"sallyport/internal/root"
)

// rootFiles reads one trust root, or every *.root.json of a directory. A file of a later version brings its predecessors
// along when they lie beside it.
func rootFiles(name string) ([][]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, missing(name, err)
	}
	dir, only := name, ""
	if !info.IsDir() {
		dir, only = filepath.Dir(name), strings.SplitN(filepath.Base(name), ".", 2)[0]
	}
	list, err := os.ReadDir(dir)
	if err != nil {
		return nil, missing(dir, err)
	}
	var envs [][]byte
	for _, e := range list {
		full := filepath.Join(dir, e.Name())
		sibling := strings.HasSuffix(strings.ToLower(e.Name()), ".root.json") && (only == "" || strings.HasPrefix(e.Name(), only+"."))
		if !sibling && full != filepath.Clean(name) {
			continue
		}
		if len(envs) > filesMax {
			return nil, code.New(code.RootMany, "").In(dir, "").Want(filesMax, "more")
		}
		b, err := readSmall(full, rootMax)
		if err != nil {
			return nil, err
		}
		envs = append(envs, b)
	}
	if len(envs) == 0 {
		return nil, code.New(code.Missing, "no trust root in this directory").In(name, "")
	}
	return envs, nil
}

// chains builds trusted roots from their documents: every version 1 begins one, every other must follow.
func chains(envs [][]byte) ([]*root.Trusted, error) {
	var roots []*root.Trusted
	var later [][]byte
	for _, env := range envs {
		t, err := root.First(env, time.Time{})
		switch {
		case err == nil && slices.ContainsFunc(roots, func(r *root.Trusted) bool { return r.ID() == t.ID() }):
			// named twice: a second copy would stay behind at version 1 and be believed in spite of its successors
		case err == nil:
			roots = append(roots, t)
		case code.Of(err) == code.RootGap:
			later = append(later, env)
		default:
			return nil, err
		}
	}
	for len(later) > 0 {
		var next []*root.Trusted
		rest := later[:0]
		var why error
		for _, env := range later {
			i, t, err := successor(roots, env)
			if err != nil {
				rest, why = append(rest, env), err
				continue
			}
			roots[i], next = t, append(next, t)
		}
		if later = rest; len(next) == 0 {
			return nil, why
		}
	}
	return roots, nil
}

func successor(roots []*root.Trusted, env []byte) (int, *root.Trusted, error) {
	var why error = code.New(code.RootGap, "its version 1 is not here")
	for i, r := range roots {
		t, err := r.Next(env, time.Time{})
		if err == nil {
			return i, t, nil
		}
		if code.Of(err) != code.RootUnknown {
			why = err
		}
	}
	return 0, nil, why
}
