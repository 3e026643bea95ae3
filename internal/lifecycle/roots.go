package lifecycle

import (
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"sallyport/internal/attest"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/keyring"
	"sallyport/internal/media"
	"sallyport/internal/root"
	"sallyport/internal/verify"
)

// maxRootFiles bounds how many root documents are looked at on one medium.
const maxRootFiles = 4096

// roots finds the newest version of our own trust root: as the backup has it, and from there as far as a medium leads that was
// written later. A version is never signed twice: where the marks of the lost appliance know of more than was found, nothing is
// restored. Codes backup, root-fork, root-gap, root-rollback and those of media.Open.
func (r *restoring) roots() (err error) {
	if r.rootID, err = digest.Parse(r.in.RootID); err != nil {
		return code.Wrap(code.BackupBad, err, "read instance").In(r.from, "rootId")
	}
	ring, err := keyring.Open(r.from, r.FS)
	if err != nil {
		return err
	}
	chain, err := ownChain(ring, r.rootID)
	if err != nil {
		return err
	}
	if r.Roots != "" {
		if chain, err = r.onMedium(chain); err != nil {
			return err
		}
	}
	r.own = chain[len(chain)-1]
	return r.lives()
}

// ownChain is every version of our own trust root in a directory, version 1 first, at least one.
func ownChain(ring *keyring.Ring, id digest.Digest) (chain []*root.Trusted, err error) {
	first, err := os.ReadFile(ring.RootPath(id, 1))
	if err != nil {
		return nil, code.Wrap(code.BackupBad, err, "read own trust root")
	}
	all, err := ring.Roots([][]byte{first})
	if err != nil {
		return nil, err
	}
	t, err := root.First(all[0], time.Time{})
	for _, e := range all[1:] {
		if err != nil {
			break
		}
		chain = append(chain, t)
		t, err = t.Next(e, time.Time{})
	}
	if err == nil && t.ID() != id {
		err = code.New(code.BackupBad, "the trust root is of another appliance").Want(id, t.ID())
	}
	if err != nil {
		return nil, fmt.Errorf("own trust root: %w", err)
	}
	return append(chain, t), nil
}

// onMedium leads the chain on with the versions that lie on a medium.
func (r *restoring) onMedium(chain []*root.Trusted) ([]*root.Trusted, error) {
	docs, last, err := r.claims()
	if err != nil {
		return nil, err
	}
	for i := 0; ; i++ {
		var next *root.Trusted
		if i+1 < len(chain) {
			next = chain[i+1]
		}
		for _, d := range docs[int64(i)+2] {
			n, err := chain[i].Next(d.envelope, time.Time{})
			switch {
			case err != nil: // nobody entitled signed it
			case next == nil:
				next = n
			case next.PayloadDigest() != n.PayloadDigest():
				return nil, code.New(code.RootFork, "two different documents of version %d of our own root, both properly signed", n.Version()).
					In(d.file, "").Want(next.PayloadDigest(), n.PayloadDigest()).Do("Restore nothing yet. Find out which one the peers took up, and whether somebody else has the root key.")
			}
		}
		if next == nil {
			break
		}
		if i+1 == len(chain) {
			chain = append(chain, next)
			r.newer = append(r.newer, next)
		}
	}
	if got := chain[len(chain)-1].Version(); last.version > got {
		return nil, code.New(code.RootGap, "version %d of our own root is on this medium, and does not follow version %d", last.version, got).
			In(last.file, "rootVersion").Want(got+1, last.version).Do("Bring a medium that has every version since the backup.")
	}
	return chain, nil
}

// ownDoc is a document on a medium that says it is a version of our own root.
type ownDoc struct {
	file     string
	version  int64
	envelope []byte
}

// claims reads what lies on the medium by version, and tells the highest. Nothing is proven by it.
func (r *restoring) claims() (docs map[int64][]ownDoc, last ownDoc, err error) {
	m, err := media.Open(r.Roots)
	if err != nil {
		return nil, last, err
	}
	defer m.Close()
	found, err := verify.Find(m.FS())
	if err != nil {
		return nil, last, err
	}
	if len(found.Roots) > maxRootFiles {
		return nil, last, code.New(code.RootMany, "too many root documents on one medium").Want(fmt.Sprint("at most ", maxRootFiles), len(found.Roots))
	}
	docs = map[int64][]ownDoc{}
	for _, file := range found.Roots {
		d, ok, err := r.claim(m.FS(), file)
		if err != nil {
			return nil, last, err
		}
		if !ok {
			continue
		}
		docs[d.version] = append(docs[d.version], d)
		if d.version > last.version {
			last = d
		}
	}
	if len(docs) == 0 {
		return nil, last, code.New(code.Missing, "no version of our own trust root is on this medium").In(r.Roots, "").Do("Bring one that this appliance wrote to after the backup.")
	}
	return docs, last, nil
}

func (r *restoring) claim(fsys fs.FS, file string) (d ownDoc, ok bool, err error) {
	f, err := fsys.Open(file)
	if err != nil {
		return d, false, code.Wrap(code.MediumRead, err, "read root document").In(file, "")
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, 2*root.MaxDocument))
	if err != nil {
		return d, false, code.Wrap(code.MediumRead, err, "read root document").In(file, "")
	}
	claim, err := attest.Inspect(b)
	if err != nil || claim.Type != attest.TypeRoot {
		return d, false, nil
	}
	var says struct {
		RootVersion int64         `json:"rootVersion"`
		RootID      digest.Digest `json:"rootId"`
	}
	if json.Unmarshal(claim.Payload, &says) != nil {
		return d, false, nil
	}
	if says.RootVersion == 1 {
		says.RootID = digest.Of(claim.Payload)
	}
	return ownDoc{file, says.RootVersion, b}, says.RootVersion > 0 && says.RootID == r.rootID, nil
}

// lives works out which logs and epochs earlier restores from the same past used up, as far as the newest root and the marks that
// were kept tell, and refuses where a version of our root would be signed a second time.
func (r *restoring) lives() error {
	doc := r.own.Document()
	if re := doc.Restored(); re != nil {
		r.said, r.used = re.Log, re.Epoch
		r.Earlier = max(r.Earlier, int(min(re.Log-max(r.archive.Log, 1), maxEarlier+1)))
	}
	if r.Earlier > maxEarlier {
		return code.New(code.RootMany, "more than %d restores since this backup", maxEarlier).Do("Restore a newer backup.")
	}
	for _, e := range doc.FeedEpochs {
		if e.Origin == r.in.ID {
			r.used = max(r.used, e.Epoch)
		}
	}
	if r.old == nil {
		return nil
	}
	for key, m := range r.old.Feeds {
		if _, rest, _ := strings.Cut(key, "\x00"); strings.HasPrefix(rest, r.in.ID+"\x00") {
			r.used = max(r.used, m.Epoch)
		}
	}
	sign := int64(0)
	for n := max(r.archive.Log, 1) + 1; n <= max(r.archive.Log, 1)+1+int64(r.Earlier); n++ {
		if n > r.said {
			sign++
		}
	}
	if mark := r.old.Roots[r.rootID.String()]; mark >= r.own.Version()+sign {
		return code.New(code.RootRollback, "version %d of our own trust root was published, and this backup leads to version %d", mark, r.own.Version()).
			Want(mark, r.own.Version()).Do("Bring a medium that this appliance wrote to since: --roots MEDIUM.")
	}
	return nil
}

// takeRoots puts the versions that a medium brought beside those of the backup.
func (r *restoring) takeRoots(ring *keyring.Ring) error {
	for _, t := range r.newer {
		if err := ring.AddRoot(r.rootID, t.Version(), t.Envelope()); err != nil {
			return err
		}
	}
	return nil
}
