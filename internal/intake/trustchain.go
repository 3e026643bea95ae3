package intake

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"sallyport/internal/attest"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/root"
)

// maxRootBytes bounds what is read of the root documents on one medium; real ones have some kilobytes.
const maxRootBytes = 64 << 20

// sheet is a root document on a medium as it says itself; nothing is proven by it.
type sheet struct {
	file    string
	id      digest.Digest // root id
	version int64
	payload digest.Digest
}

// sheets lists the root documents on a medium. What cannot be read as one is left out, and nothing is kept of a document but
// what it claims: it is read again when its turn comes. Codes root-many, medium-read.
func (v *visit) sheets() (list []sheet, err error) {
	if len(v.found.Roots) > maxRoots {
		return nil, code.New(code.RootMany, "too many root documents on one medium").Want(fmt.Sprint("at most ", maxRoots), len(v.found.Roots))
	}
	var bytes int64
	for _, file := range v.found.Roots {
		if st, err := fs.Stat(v.fsys, file); err == nil {
			bytes += min(st.Size(), maxPaper)
		}
		if bytes > maxRootBytes {
			return nil, code.New(code.RootMany, "too many bytes of root documents on one medium").Want("at most 64 MiB", "more")
		}
		b, err := readPaper(v.fsys, file)
		if isMediumError(err) {
			return nil, code.Wrap(code.MediumRead, err, "").In(file, "")
		}
		if s, ok := claimed(file, b); err == nil && ok {
			list = append(list, s)
		}
	}
	slices.SortStableFunc(list, func(a, b sheet) int { return cmp.Compare(a.version, b.version) })
	return list, nil
}

// isMediumError tells an error of the medium from one that speaks about a file.
func isMediumError(err error) bool {
	var p *fs.PathError
	return errors.As(err, &p) && !errors.Is(err, fs.ErrNotExist)
}

// claimed reads what a root document says about itself.
func claimed(file string, envelope []byte) (s sheet, ok bool) {
	claim, err := attest.Inspect(envelope)
	if err != nil || claim.Type != attest.TypeRoot {
		return s, false
	}
	var d struct {
		RootVersion int64         `json:"rootVersion"`
		RootID      digest.Digest `json:"rootId"`
	}
	if json.Unmarshal(claim.Payload, &d) != nil || d.RootVersion < 1 {
		return s, false
	}
	s = sheet{file: file, id: d.RootID, version: d.RootVersion, payload: digest.Of(claim.Payload)}
	if d.RootVersion == 1 {
		s.id = s.payload
	}
	return s, true
}

// lineage follows the trust root of a peer as far as the medium leads. It gives the newest version and the envelopes that lead
// to it, none when there is nothing newer; a line that is forked, has a gap, is too long or ends below what was accepted before
// is refused as a whole. Codes root-fork, root-gap, root-many, root-rollback, root-unknown and those of root.Next.
func (v *visit) lineage(held [][]byte, list []sheet) (*root.Trusted, [][]byte, error) {
	t, err := chain(held)
	if err != nil {
		return nil, nil, err
	}
	if err := v.misnamed(t.ID(), list); err != nil {
		return nil, nil, err
	}
	byVersion := map[int64][]sheet{}
	for _, s := range list {
		if s.id == t.ID() && !slices.ContainsFunc(byVersion[s.version], func(o sheet) bool { return o.payload == s.payload }) {
			byVersion[s.version] = append(byVersion[s.version], s)
		}
	}
	if err := v.doubled(held, byVersion); err != nil {
		return nil, nil, err
	}
	next, taken, why := v.forward(t, byVersion)
	if why != nil {
		return nil, nil, why
	}
	if mark := v.marked[t.ID().String()]; len(taken) > 0 && next.Version() < mark {
		return nil, nil, code.New(code.RootRollback, "version %d was accepted here before, and this medium leads to version %d only", mark, next.Version()).
			Want(fmt.Sprint("version ", mark, " or newer"), next.Version()).Do("Bring a medium with the newest trust root of this appliance.")
	}
	return next, taken, nil
}

// misnamed refuses the root of another appliance under the file name of this one: an honest writer names a file by its root id.
func (v *visit) misnamed(id digest.Digest, list []sheet) error {
	for _, s := range list {
		if s.id != id && strings.HasPrefix(strings.ToLower(path.Base(s.file)), id.Short()+".") {
			return code.New(code.RootUnknown, "the file has the name of this root and holds another one").In(s.file, "rootId").
				Want(id, s.id).Do("Apply nothing from this medium. Keep it and call the sender.")
		}
	}
	return nil
}

// doubled refuses a second document of a version that is held here, when the root keys of that time signed it: the same number
// was given out twice. Without those signatures it is a file like any other.
func (v *visit) doubled(held [][]byte, byVersion map[int64][]sheet) error {
	t, err := root.First(held[0], time.Time{})
	if err != nil {
		return err
	}
	for _, envelope := range held[1:] {
		next, err := t.Next(envelope, time.Time{})
		if err != nil {
			return err
		}
		claim, err := attest.Inspect(envelope)
		if err != nil {
			return err
		}
		for _, s := range byVersion[next.Version()] {
			if s.payload == digest.Of(claim.Payload) {
				continue
			}
			if _, err := v.step(t, s); err == nil {
				return forked(s.version, digest.Of(claim.Payload), s)
			}
		}
		t = next
	}
	return nil
}

func forked(version int64, one digest.Digest, other sheet) error {
	return code.New(code.RootFork, "two different documents of version %d, both properly signed", version).In(other.file, "").Want(one, other.payload)
}

func (v *visit) step(t *root.Trusted, s sheet) (*root.Trusted, error) {
	b, err := readPaper(v.fsys, s.file)
	if err != nil {
		return nil, err
	}
	return t.Next(b, time.Time{})
}

// forward goes from version to version. Documents that nobody entitled signed are passed over while a right one is beside them.
func (v *visit) forward(t *root.Trusted, byVersion map[int64][]sheet) (*root.Trusted, [][]byte, error) {
	var taken [][]byte
	for {
		candidates := byVersion[t.Version()+1]
		var next *root.Trusted
		var from sheet
		var why error
		for _, s := range candidates {
			n, err := v.step(t, s)
			if err != nil {
				why = fmt.Errorf("root document %q: %w", s.file, err)
				continue
			}
			if next != nil {
				return nil, nil, forked(s.version, from.payload, s)
			}
			next, from = n, s
		}
		switch {
		case next == nil && why != nil:
			return nil, nil, why
		case next == nil:
			return t, taken, gap(t.Version(), byVersion)
		case len(taken) == root.MaxChain:
			return nil, nil, code.New(code.RootMany, "").In(from.file, "").Want(fmt.Sprintf("at most %d versions in a row", root.MaxChain), "more")
		}
		t, taken = next, append(taken, next.Envelope())
	}
}

// gap refuses a line from which a version is missing.
func gap(reached int64, byVersion map[int64][]sheet) error {
	var beyond sheet
	for n, list := range byVersion {
		if n > reached && (beyond.version == 0 || n < beyond.version) {
			beyond = list[0]
		}
	}
	if beyond.version == 0 {
		return nil
	}
	return code.New(code.RootGap, "version %d is on this medium, and version %d is not", beyond.version, reached+1).
		In(beyond.file, "rootVersion").Want(reached+1, beyond.version).Do("Bring all versions on one medium: the other side writes them with sallyport card --to MEDIUM.")
}
