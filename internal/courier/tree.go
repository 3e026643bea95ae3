package courier

import (
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"sallyport/internal/code"
	"sallyport/internal/verify"
)

// tree is what is verified: a directory opened once, and what lies in it. Nothing outside it is ever read through it.
type tree struct {
	root   *os.Root
	fsys   fs.FS
	real   string // absolute path without symbolic links: what --key and trust directories must not lie in
	medium *verify.Medium
	file   string // the one file that was named, inside root; "" for a directory
}

// openTree opens PATH. For a file its directory is opened, so that the label beside a volume is found.
func openTree(name string) (*tree, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, missing(name, err)
	}
	dir, file := name, ""
	if !info.IsDir() {
		dir, file = filepath.Dir(name), filepath.Base(name)
	}
	t := &tree{file: file}
	if t.root, err = os.OpenRoot(dir); err != nil {
		return nil, missing(name, err)
	}
	t.fsys = t.root.FS()
	if t.real, err = realPath(dir); err != nil {
		t.close()
		return nil, missing(name, err)
	}
	if file == "" {
		if t.medium, err = verify.Find(t.fsys); err != nil {
			t.close()
			return nil, err
		}
	}
	return t, nil
}

func (t *tree) close() { t.root.Close() }

// above opens what lies around the tree on its medium, for public keys and roots only; the tree itself when it is in none.
func (t *tree) above() (*tree, error) {
	top := mediumOf(t.real)
	if top == t.real {
		if t.medium != nil {
			return t, nil
		}
		return &tree{root: t.root, fsys: t.fsys, real: t.real, medium: &verify.Medium{}}, nil
	}
	return openTree(top)
}

// mediumOf is the nearest directory `sallyport` around dir that holds it in one of the folders of a medium, else dir.
func mediumOf(dir string) string {
	for at, below := dir, ""; ; at, below = filepath.Dir(at), strings.ToLower(filepath.Base(at)) {
		if strings.EqualFold(filepath.Base(at), "sallyport") && slices.Contains([]string{"bundles", "cards", "roots", "pub", "bin"}, below) {
			return at
		}
		if filepath.Dir(at) == at {
			return dir
		}
	}
}

// holds tells whether a file lies in the medium that is verified.
func (t *tree) holds(name string) bool {
	real, err := realPath(name)
	if err != nil {
		return false
	}
	rel, err := filepath.Rel(mediumOf(t.real), real)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}

func realPath(name string) (string, error) {
	abs, err := filepath.Abs(name)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(abs)
}

// read reads a small file of the tree.
func (t *tree) read(name string, limit int64) ([]byte, error) {
	f, err := t.fsys.Open(name)
	if err != nil {
		return nil, missing(name, err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, missing(name, err)
	}
	if int64(len(b)) > limit {
		return nil, code.New(code.EnvelopeBad, "the file is over the limit").In(name, "").Want(limit, "more")
	}
	return b, nil
}

// volumeRE is what a volume's name has behind the bundle's. A file that only begins like one (NAME.tar.zst.bak) is not part
// of the bundle, and the bundle's verdict says nothing of it.
var volumeRE = regexp.MustCompile(`^\.tar\.zst(\.age|\.dare)?(\.[0-9]{3,4})?$`)

// labelled tells whether the named file has the name of a volume of a label beside it; then the bundle is verified whole.
func (t *tree) labelled(name string) bool {
	list, err := fs.ReadDir(t.fsys, path.Dir(name))
	if err != nil {
		return false
	}
	for _, e := range list {
		base, ok := strings.CutSuffix(strings.ToLower(e.Name()), ".label.json")
		rest, same := strings.CutPrefix(strings.ToLower(name), base)
		if ok && same && e.Type().IsRegular() && volumeRE.MatchString(rest) {
			return true
		}
	}
	return false
}
