package intake

import (
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	"sallyport/internal/attest"
	"sallyport/internal/bundle"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/root"
	"sallyport/internal/verify"
)

// maxPaper bounds a signed paper in clear on a medium: card, root, receipt, inventory.
const maxPaper = 1 << 20

// maxSteps bounds how many versions of a root are followed in a row (30-trust-and-time, "Trust root document").
const maxSteps = 64

// maxRoots bounds the root documents looked at on one medium.
const maxRoots = 2000

// readCard reads a card as it says itself. Its names are checked, its signature is not.
func readCard(fsys fs.FS, file string) (*bundle.Card, []byte, error) {
	envelope, err := readPaper(fsys, file)
	if err != nil {
		return nil, nil, err
	}
	claim, err := attest.Inspect(envelope)
	if err != nil {
		return nil, nil, fmt.Errorf("read %q: %w", file, err)
	}
	if claim.Type != attest.TypeCard {
		return nil, nil, code.New(code.PayloadType, "").In(file, "payloadType").Want(attest.TypeCard, claim.Type)
	}
	c, err := bundle.ParseCard(claim.Payload)
	if err != nil {
		return nil, nil, fmt.Errorf("read %q: %w", file, err)
	}
	return c, envelope, nil
}

// readPaper reads a small file; at most maxPaper bytes are read.
func readPaper(fsys fs.FS, file string) ([]byte, error) { return readSmall(fsys, file, maxPaper) }

// readSmall reads a file of at most limit bytes, whatever the medium says of its size.
func readSmall(fsys fs.FS, file string, limit int64) ([]byte, error) {
	f, err := fsys.Open(file)
	if err != nil {
		return nil, fmt.Errorf("read %q: %w", file, err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, fmt.Errorf("read %q: %w", file, err)
	}
	if int64(len(b)) > limit {
		return nil, code.New(code.EnvelopeBad, "too large").In(file, "").Want(fmt.Sprint("at most ", limit, " bytes"), "more")
	}
	return b, nil
}

// rootOnMedium builds the newest version of one root from the documents on a medium. Documents that do not belong to it, or
// do not follow, are left out: what counts is the unbroken chain from version 1.
func rootOnMedium(fsys fs.FS, found *verify.Medium, id digest.Digest) (*root.Trusted, [][]byte, error) {
	if len(found.Roots) > maxRoots {
		return nil, nil, code.New(code.RootMany, "").Want(fmt.Sprint("at most ", maxRoots), len(found.Roots))
	}
	var first *root.Trusted
	var envelopes [][]byte
	var later [][]byte
	for _, file := range found.Roots {
		b, err := readPaper(fsys, file)
		if err != nil {
			return nil, nil, err
		}
		if t, err := root.First(b, time.Time{}); err == nil && t.ID() == id {
			first, envelopes = t, [][]byte{b}
		} else if strings.Contains(strings.ToLower(file), id.Short()) {
			later = append(later, b)
		}
	}
	if first == nil {
		return nil, nil, code.New(code.RootUnknown, "version 1 of trust root %s is not on this medium", id.Short()).
			Do("Let the other side write its card again: sallyport card --to MEDIUM.")
	}
	t, more := follow(first, later)
	return t, append(envelopes, more...), nil
}

// follow goes from version to version as far as the documents lead, in whatever order they come. What a document says its
// version is only decides when it is tried, so that thousands of them cost one signature check each.
func follow(t *root.Trusted, docs [][]byte) (*root.Trusted, [][]byte) {
	byVersion := map[int64][][]byte{}
	for _, b := range docs {
		var hint struct {
			RootVersion int64 `json:"rootVersion"`
		}
		if claim, err := attest.Inspect(b); err == nil && json.Unmarshal(claim.Payload, &hint) == nil {
			byVersion[hint.RootVersion] = append(byVersion[hint.RootVersion], b)
		}
	}
	var taken [][]byte
	for len(taken) < maxSteps {
		next := successor(t, byVersion[t.Version()+1])
		if next == nil {
			break
		}
		t, taken = next, append(taken, next.Envelope())
	}
	return t, taken
}

// successor is the first document that follows t by the rules, nil when none does.
func successor(t *root.Trusted, docs [][]byte) *root.Trusted {
	for _, b := range docs {
		if next, err := t.Next(b, time.Time{}); err == nil {
			return next
		}
	}
	return nil
}
