package history

import (
	"archive/zip"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"sallyport/internal/bundle"
	"sallyport/internal/digest"
	"sallyport/internal/durable"
	"sallyport/internal/keyring"
	"sallyport/internal/root"
	"sallyport/internal/sample"
	"sallyport/internal/verify"
)

// stick is one medium.
type stick struct {
	name, dir string
	lost      bool // in a drawer somewhere: it may be found again
}

// stick makes an empty one.
func (w *World) stick() (*stick, error) {
	w.named++
	s := &stick{name: fmt.Sprintf("stick-%d", w.named)}
	s.dir = filepath.Join(w.dir, s.name)
	w.sticks = append(w.sticks, s)
	return s, os.Mkdir(s.dir, 0o755)
}

// carried is what one bundle carries, as its manifest says.
type carried struct {
	id      digest.Digest
	name    string
	to      []string // appliance ids
	variant string
	feeds   []bundle.FeedState
	delta   bool
}

// lying is a bundle directory on a stick: what is in it, or why it does not verify.
type lying struct {
	dir string
	*carried
	err error
}

// lies reads everything on a stick as an independent reader with every key would. Bundles of sites are left out.
func (w *World) lies(s *stick) (all []lying, err error) {
	fsys := os.DirFS(s.dir)
	found, err := verify.Find(fsys)
	if err != nil {
		return nil, err
	}
	for _, dir := range slices.Concat(found.Bundles, found.Unfinished) {
		sum, err := sumOf(filepath.Join(s.dir, dir))
		if err != nil {
			return nil, err
		}
		l, ok := w.read[sum]
		if !ok {
			l = w.judge(fsys, dir)
			w.read[sum] = l
		}
		if l.dir = dir; l.err != nil || l.carried != nil {
			all = append(all, l)
		}
	}
	return all, nil
}

// judge reads one bundle directory. An intact bundle of a site gives nothing.
func (w *World) judge(fsys fs.FS, dir string) (l lying) {
	p, err := verify.CheckLabel(w.ctx, fsys, dir, w.gate)
	if err != nil {
		return lying{err: err}
	}
	b, err := verify.Open(w.ctx, p, w.gate)
	switch {
	case err != nil:
		return lying{err: err, carried: w.known[p.Label().BundleID]}
	case p.Label().Kind != "mirror":
		return lying{}
	}
	return lying{carried: w.learn(b)}
}

// sumOf is the digest of all names and bytes below a folder.
func sumOf(dir string) (digest.Digest, error) {
	h := sha256.New()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		fmt.Fprintf(h, "%s %d\n%s", e.Name(), len(b), b)
		return err
	})
	return digest.Digest(h.Sum(nil)), err
}

// learn keeps what a bundle carries.
func (w *World) learn(b *verify.Bundle) *carried {
	m := b.Manifest()
	c := &carried{id: b.ID(), name: m.ExportID, to: m.Audience, variant: m.Profile.Variant, feeds: m.Feeds, delta: m.Delta != nil}
	w.known[c.id] = c
	return c
}

func (c *carried) String() string {
	var parts []string
	for _, f := range c.feeds {
		s := fmt.Sprintf("%s %d.%d", f.Feed, f.Epoch, f.Generation)
		for _, b := range f.Bases {
			s += fmt.Sprintf(" from %d", b.Generation)
		}
		parts = append(parts, s)
	}
	return c.variant + " [" + strings.Join(parts, ", ") + "]"
}

// trust lets the independent reader believe all three and open what is sealed for any.
func (w *World) trust() error {
	w.gate.Trust.Roots, w.gate.Identities = nil, nil
	for _, a := range w.all() {
		files, err := filepath.Glob(filepath.Join(a.dir, "pub", "roots", "*.root.json"))
		if err != nil || len(files) == 0 {
			return fmt.Errorf("trust root of %s: %v %w", a.name, files, err)
		}
		envelope, err := os.ReadFile(files[0])
		if err != nil {
			return err
		}
		trusted, err := root.First(envelope, time.Time{})
		if err != nil {
			return err
		}
		ring, err := keyring.Open(a.dir, durable.FS{})
		if err != nil {
			return err
		}
		ids, err := ring.Identities()
		if err != nil {
			return err
		}
		w.gate.Trust.Roots, w.gate.Identities = append(w.gate.Trust.Roots, trusted), append(w.gate.Identities, ids...)
	}
	return nil
}

// double copies a stick, whole or not.
func (w *World) double(s *stick, half bool) error {
	to, err := w.stick()
	if err != nil {
		return err
	}
	if err := os.CopyFS(to.dir, os.DirFS(s.dir)); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if !half {
		w.tell("%s is copied to %s", s.name, to.name)
		return nil
	}
	done, err := w.spoil(to)
	w.tell("%s is copied to %s and not to the end: %s", s.name, to.name, done)
	return err
}

// wipe empties a stick, as people do with a full one.
func (w *World) wipe() error {
	list := w.hand(false)
	if len(list) == 0 {
		return nil
	}
	s := pick(w, list)
	w.tell("%s is wiped", s.name)
	return errors.Join(os.RemoveAll(s.dir), os.Mkdir(s.dir, 0o755))
}

// spoil cuts, drops or changes a file of a stick.
func (w *World) spoil(s *stick) (done string, err error) {
	var files []string
	err = filepath.WalkDir(filepath.Join(s.dir, "sallyport", "bundles"), func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			files = append(files, path)
		}
		return nil
	})
	if err != nil || len(files) == 0 {
		return "nothing to spoil", err
	}
	path := pick(w, files)
	b, err := os.ReadFile(path)
	if err != nil || len(b) == 0 {
		return "nothing to spoil", err
	}
	name := filepath.Base(path)
	switch w.random.IntN(3) {
	case 0:
		return name + " is missing", os.Remove(path)
	case 1:
		return name + " is cut", os.WriteFile(path, b[:w.random.IntN(len(b))], 0o644)
	}
	b[w.random.IntN(len(b))] ^= 1 << w.random.IntN(8)
	return name + " has another byte", os.WriteFile(path, b, 0o644)
}

// zipped writes advisories at their revisions and shows each source text.
func zipped(to io.Writer, revisions map[int]int, see func([]byte) error) error {
	z := zip.NewWriter(to)
	for _, n := range slices.Sorted(maps.Keys(revisions)) {
		text := sample.Revised(3, n, revisions[n])
		if err := see(text); err != nil {
			return err
		}
		f, err := z.Create(sample.AdvisoryID(n) + ".json")
		if err != nil {
			return err
		}
		if _, err := f.Write(text); err != nil {
			return err
		}
	}
	return z.Close()
}
