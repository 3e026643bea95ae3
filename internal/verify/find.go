package verify

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strings"

	"sallyport/internal/code"
)

// Walking limits: a bundle lies at most six directories below what was named (20-bundle-format), and a medium with more
// names than this is not one of ours.
const (
	findDepth = 6
	findNames = 200_000
)

// Medium is what lies on a medium, as paths inside its file system. Nothing was verified: names prove nothing.
type Medium struct {
	Bundles    []string // directories that hold a label
	Unfinished []string // directories that hold volumes and no label: a copy that was not finished
	Cards      []string // *.card.json
	Roots      []string // *.root.json
	Pubs       []string // *.pub
	Loose      []string // other signed papers by their name: *.receipt.json, *.inventory.json, *.anchor.json
}

// Empty tells that nothing of ours lies there.
func (m *Medium) Empty() bool {
	return len(m.Bundles)+len(m.Unfinished)+len(m.Cards)+len(m.Roots)+len(m.Loose) == 0
}

// volumeRE is the shape of every volume name; what the label does not name is only listed.
var volumeRE = regexp.MustCompile(`^(.+)\.tar\.zst(\.age|\.dare)?(\.[0-9]{3,4})?$`)

// Find walks a file system to a depth of six directories and sorts what it sees by name, compared without case. Symbolic
// links and everything else but directories and plain files are not followed and not listed, nor are directories below the
// first that we have no right to read (lost+found, System Volume Information). Any other failure to read is an error (code
// medium-read), so that a failing stick is never taken for an empty one.
func Find(fsys fs.FS) (*Medium, error) {
	m, names := &Medium{}, 0
	err := m.walk(fsys, ".", 0, &names)
	if err != nil {
		return nil, err
	}
	return m, nil
}

func (m *Medium) walk(fsys fs.FS, dir string, depth int, names *int) error {
	list, err := fs.ReadDir(fsys, dir)
	if errors.Is(err, fs.ErrPermission) && depth > 0 {
		return nil
	}
	if err != nil {
		return readError(err, dir, 0)
	}
	if *names += len(list); *names > findNames {
		return code.New(code.MediumName, "too many files on this medium").Want(fmt.Sprint("at most ", findNames), "more").In(dir, "")
	}
	var labels, volumes int
	for _, e := range list {
		p := path.Join(dir, e.Name())
		switch {
		case !fs.ValidPath(p):
		case e.IsDir() && depth < findDepth:
			if err := m.walk(fsys, p, depth+1, names); err != nil {
				return err
			}
		case e.Type().IsRegular():
			switch kind := m.sort(p, fold(e.Name())); kind {
			case "label":
				labels++
			case "volume":
				volumes++
			}
		}
	}
	switch {
	case labels > 0:
		m.Bundles = append(m.Bundles, dir)
	case volumes > 0:
		m.Unfinished = append(m.Unfinished, dir)
	}
	return nil
}

func (m *Medium) sort(p, name string) string {
	switch {
	case strings.HasPrefix(name, "._"): // what macOS leaves beside each file
	case strings.HasSuffix(name, ".label.json"):
		return "label"
	case volumeRE.MatchString(strings.TrimSuffix(name, ".partial")):
		return "volume"
	case strings.HasSuffix(name, ".card.json"):
		m.Cards = append(m.Cards, p)
	case strings.HasSuffix(name, ".root.json"):
		m.Roots = append(m.Roots, p)
	case strings.HasSuffix(name, ".pub"):
		m.Pubs = append(m.Pubs, p)
	case strings.HasSuffix(name, ".receipt.json"), strings.HasSuffix(name, ".inventory.json"), strings.HasSuffix(name, ".anchor.json"):
		m.Loose = append(m.Loose, p)
	}
	return ""
}

// fold lowers ASCII letters and nothing else, so that no other letter (a Kelvin sign) becomes one of ours.
func fold(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

// readError is a failure of the medium, not of the data: it is never reported as damage.
func readError(err error, name string, at int64) error {
	if errors.Is(err, fs.ErrNotExist) {
		return code.Wrap(code.MediumGone, cause(err), "it is gone").In(name, "")
	}
	return code.Wrap(code.MediumRead, cause(err), "read error at byte %d (the medium, not the data)", at).In(name, fmt.Sprint("byte ", at))
}

// cause drops the path an fs.PathError repeats.
func cause(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
