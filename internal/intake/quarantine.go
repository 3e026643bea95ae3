package intake

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/feed"
	"sallyport/internal/ident"
	"sallyport/internal/state"
	"sallyport/internal/timeline"
)

// evidenceDir is the folder of an entry that holds a whole bundle: one that waited here before it was refused.
const evidenceDir = "bundle"

// maxShown bounds what is shown of a file in an entry.
const maxShown = 64 << 10

// stillKept tells whether the folder of an entry is here. No backup carries it: after a restore the entry is all there is.
// Code evidence-lost.
func (r *Room) stillKept(row QuarantineRow) error {
	_, err := os.Lstat(filepath.Join(r.quarantineDir(), row.Dir))
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return code.New(code.EvidenceLost, "the files of %s are not here: no backup carries what was refused", row.Number).In(row.Number, "").
		Do(fmt.Sprintf("Its reason was %s. When nobody needs the entry: sallyport quarantine remove %s --reason …", row.Code, row.Number))
}

// Files are the names of what an entry keeps, and its verification log. Both are made here; what they quote is cleaned. Code
// evidence-lost.
func (r *Room) Files(row QuarantineRow) (names []string, log string, err error) {
	if err := r.stillKept(row); err != nil {
		return nil, "", err
	}
	dir := filepath.Join(r.quarantineDir(), row.Dir)
	err = filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			names = append(names, clean(strings.TrimPrefix(p, dir+"/")))
		}
		return err
	})
	if err != nil {
		return nil, "", fmt.Errorf("quarantine %s: %w", row.Number, err)
	}
	f, err := os.Open(filepath.Join(dir, "verification.log"))
	if err != nil {
		return names, "", fmt.Errorf("quarantine %s: %w", row.Number, err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxShown))
	return names, string(b), err
}

// FindQuarantine finds an entry by its number, like Q-17. Code not-found.
func (r *Room) FindQuarantine(ctx context.Context, number string) (row QuarantineRow, err error) {
	list, err := r.ListQuarantine(ctx, "")
	if err != nil {
		return row, err
	}
	i := slices.IndexFunc(list, func(q QuarantineRow) bool { return strings.EqualFold(q.Number, number) })
	if i < 0 {
		return row, code.New(code.Missing, "no entry %.40q in quarantine", number).Do("See what is there: sallyport quarantine list.")
	}
	return list[i], nil
}

// RemoveQuarantine throws an entry away, because a person says so. Codes not-found, usage.
func (r *Room) RemoveQuarantine(ctx context.Context, number, reason, actor string) (QuarantineRow, error) {
	row, err := r.FindQuarantine(ctx, number)
	if err != nil {
		return row, err
	}
	if strings.TrimSpace(reason) == "" {
		return row, code.New(code.BadUsage, "a reason is needed").Do("Say why with --reason; it goes into the timeline.")
	}
	return row, r.discard(ctx, row, actor, map[string]string{"removed": "by a person", "reason": clean(reason)})
}

// discard is the transaction that ends an entry, and then its folder goes. A folder without a row goes at the next start.
func (r *Room) discard(ctx context.Context, row QuarantineRow, actor string, attrs map[string]string) error {
	attrs["quarantine"], attrs["code"] = row.Number, row.Code
	err := r.State.Update(ctx, func(tx *state.Tx) error {
		gone := ""
		err := quarantine.Scan(tx, row.Tenant+"\x00", func(key string, q QuarantineRow) error {
			if q.Number == row.Number {
				gone = key
			}
			return nil
		})
		if err != nil || gone == "" {
			return cmp.Or(err, error(code.New(code.Missing, "no entry %.40q in quarantine", row.Number)))
		}
		if err := quarantine.Delete(tx, gone); err != nil {
			return err
		}
		_, err = r.Timeline.Append(tx, timeline.Event{
			Type: "bundle.import.quarantined", Tenant: row.Tenant, Actor: actor, Subject: "quarantine/" + row.Number, Attrs: attrs,
		})
		return err
	})
	if err != nil {
		return fmt.Errorf("remove %s from quarantine: %w", row.Number, err)
	}
	r.FS.Point("quarantine.removed")
	dir := filepath.Join(r.quarantineDir(), row.Dir)
	if err := r.FS.Step("remove", dir, func() error { return os.RemoveAll(dir) }); err != nil {
		r.Log.Warn("folder of a quarantine entry was not removed", "quarantine", row.Number, "err", err)
	}
	return nil
}

// forked collects both sides of a fork: the manifest that was refused, and the one that was accepted here. What cannot be
// had is left out: the entry is made all the same.
func (im *imports) forked(c candidate) map[string][]byte {
	files := map[string][]byte{}
	if c.packing == nil {
		return files
	}
	b, err := im.glance(c)
	if err != nil {
		im.Log.Warn("the refused side of a fork was not kept", "err", err)
		return files
	}
	files["manifest.json"] = b.Envelope()
	p, err := im.v.of(b.Root())
	if err != nil {
		return files
	}
	for _, f := range b.Manifest().Feeds {
		var g feed.Generation
		var ok bool
		err := im.State.View(func(tx *state.Tx) (err error) {
			g, ok, err = feed.At(tx, ident.FeedRef{Tenant: p.Tenant, Origin: f.Origin, Name: f.Feed}, feed.Point{Epoch: f.Epoch, Generation: f.Generation})
			return err
		})
		if err != nil || !ok || g.Root == f.StateRoot || len(g.Manifests) == 0 {
			continue
		}
		if b, err := im.blob(g.Manifests[len(g.Manifests)-1].Manifest); err == nil {
			files["accepted-"+f.Feed+".manifest.json"] = b
		}
	}
	return files
}

// blob reads a small blob.
func (im *imports) blob(d digest.Digest) ([]byte, error) {
	f, err := im.CAS.Open(d)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}
