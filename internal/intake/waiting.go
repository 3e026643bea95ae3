package intake

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sallyport/internal/approval"
	"sallyport/internal/bundle"
	"sallyport/internal/clock"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/ident"
	"sallyport/internal/media"
	"sallyport/internal/state"
	"sallyport/internal/timeline"
	"sallyport/internal/verify"
)

// Why a bundle waits.
const (
	WaitsForVolumes = "volumes" // not every volume of it has come yet
	WaitsForBase    = "base"    // whole, but a delta to a state that is not held here
)

// MaxWaiting is how many bundles may wait, per tenant; parkedShare is which part of the disk those that wait for a base may
// take together, per tenant: there is no other quota.
const (
	MaxWaiting  = 16
	parkedShare = 10
)

// WaitingRow is one bundle that was not taken in yet, by label id. Its files lie in D/waiting/<64 hex of label id>/ under the
// names the label signs; a volume that stands there under its name was verified and synced before it got it.
type WaitingRow struct {
	Label     string        `json:"label"` // 64 hex of the label id
	Why       string        `json:"why"`
	Tenant    string        `json:"tenant"` // ours
	Peer      string        `json:"peer"`   // who packed it
	PeerID    string        `json:"peerId"`
	BundleID  digest.Digest `json:"bundleId"`
	Name      string        `json:"name"`
	Kind      string        `json:"kind"`
	Variant   string        `json:"variant"`
	CreatedAt string        `json:"createdAt"`
	Bytes     int64         `json:"bytes"` // all volumes
	Since     string        `json:"since"`
	Feeds     []WaitingFeed `json:"feeds,omitempty"`   // of a parked one
	Plan      string        `json:"plan,omitempty"`    // of a parked one: an approval given meanwhile binds to this digest
	Receipt   string        `json:"receipt,omitempty"` // R-0042
	Needs     string        `json:"needs,omitempty"`   // what a parked one waits for, for people

	Volumes []bundle.Volume `json:"volumes"`
	Have    []int64         `json:"have"`   // looked up when it is read: volumes that are here
	Wanted  []int64         `json:"wanted"` // and those that are not
}

// WaitingFeed is what a parked delta would make of one feed.
type WaitingFeed struct {
	Ref        ident.FeedRef `json:"ref"`
	Epoch      int64         `json:"epoch"`
	Generation int64         `json:"generation"`
	StateRoot  digest.Digest `json:"stateRoot"`
	Bases      []bundle.Base `json:"bases"`
}

// waiting holds them by label id.
var waiting = state.Table[WaitingRow]{Name: "intake.waiting"}

func (r *Room) waitingDir() string { return filepath.Join(r.DataDir, "waiting") }

// folder is where the files of one waiting bundle lie.
func (r *Room) folder(label string) string { return filepath.Join(r.waitingDir(), label) }

// Waiting lists what waits, oldest first, with the volumes that are here and those that are not ("": of all tenants).
func (r *Room) Waiting(tx *state.Tx, tenant string) (list []WaitingRow, err error) {
	err = waiting.Scan(tx, "", func(_ string, row WaitingRow) error {
		if tenant == "" || row.Tenant == tenant {
			list = append(list, r.count(row))
		}
		return nil
	})
	slices.SortStableFunc(list, func(a, b WaitingRow) int { return strings.Compare(a.CreatedAt+a.Name, b.CreatedAt+b.Name) })
	return list, err
}

// ListWaiting is Waiting in a view of its own.
func (r *Room) ListWaiting(tenant string) (list []WaitingRow, err error) {
	err = r.State.View(func(tx *state.Tx) (err error) {
		list, err = r.Waiting(tx, tenant)
		return err
	})
	return list, err
}

// count looks which volumes are here.
func (r *Room) count(row WaitingRow) WaitingRow {
	row.Have, row.Wanted = []int64{}, []int64{}
	for _, v := range row.Volumes {
		if r.stands(row.Label, v) {
			row.Have = append(row.Have, v.N)
		} else {
			row.Wanted = append(row.Wanted, v.N)
		}
	}
	return row
}

// stands tells whether a volume is here: under its name, with its size, a plain file.
func (r *Room) stands(label string, v bundle.Volume) bool {
	st, err := os.Lstat(filepath.Join(r.folder(label), v.Name))
	return err == nil && st.Mode().IsRegular() && st.Size() == v.Bytes
}

// rowOf is a new row about a packing.
func (im *imports) rowOf(c candidate) (WaitingRow, error) {
	l := c.packing.Label()
	p, err := im.v.of(c.packing.Root())
	return WaitingRow{
		Label: c.packing.ID().Hex(), Why: WaitsForVolumes, Tenant: p.Tenant, Peer: p.Name, PeerID: p.ID, BundleID: l.BundleID, Name: l.Name,
		Kind: l.Kind, Variant: l.Variant, CreatedAt: l.CreatedAt, Bytes: l.Bytes, Since: clock.Format(im.v.time.Trusted), Volumes: l.Volumes,
	}, err
}

// roomFor refuses a bundle more when too many wait already, or too much.
func (r *Room) roomFor(tx *state.Tx, row WaitingRow) error {
	n, parked := 0, row.Bytes
	err := waiting.Scan(tx, "", func(_ string, other WaitingRow) error {
		if other.Tenant == row.Tenant && other.Label != row.Label {
			n++
			if other.Why == WaitsForBase {
				parked += other.Bytes
			}
		}
		return nil
	})
	switch {
	case err != nil:
		return err
	case n >= MaxWaiting:
		return code.New(code.WaitingFull, "%d bundles wait here already", n).In(row.Name, "").Want(fmt.Sprint("at most ", MaxWaiting), n+1)
	case row.Why == WaitsForBase:
		return r.shareOf(parked, row.Name)
	}
	return nil
}

// shareOf refuses when parked bundles would take more than their part of the disk.
func (r *Room) shareOf(parked int64, name string) error {
	m, err := media.Open(r.DataDir)
	if err != nil {
		return fmt.Errorf("space for what waits: %w", err)
	}
	defer m.Close()
	info, err := m.Info()
	if err != nil {
		return fmt.Errorf("space for what waits: %w", err)
	}
	if most := info.Total / parkedShare; parked > most {
		return code.New(code.WaitingFull, "bundles that are kept whole would take more than a tenth of the disk").In(name, "").
			Want(fmt.Sprint("at most ", most, " bytes"), fmt.Sprint(parked, " bytes"))
	}
	return nil
}

// forget is the transaction's part of ending a wait: every packing of the bundle that waits here.
func forget(tx *state.Tx, id digest.Digest) error {
	return waiting.Scan(tx, "", func(_ string, row WaitingRow) error {
		if row.BundleID != id {
			return nil
		}
		return unwait(tx, row, "the bundle is here")
	})
}

// unwait ends one wait, and the plan that people were asked about meanwhile.
func unwait(tx *state.Tx, row WaitingRow, why string) error {
	if d, err := digest.Parse(row.Plan); err == nil {
		if err := approval.Close(tx, d, why); err != nil {
			return err
		}
	}
	return waiting.Delete(tx, row.Label)
}

// Forget drops one waiting bundle, because a person says so. label is the label id or how it begins, or the bundle's name.
// Codes not-found, ambiguous, usage.
func (r *Room) Forget(ctx context.Context, label, reason, actor string) (row WaitingRow, err error) {
	if strings.TrimSpace(reason) == "" {
		return row, code.New(code.BadUsage, "a reason is needed").Do("Say why with --reason; it goes into the timeline.")
	}
	select {
	case <-r.one:
		defer func() { r.one <- struct{}{} }()
	case <-ctx.Done():
		return row, code.Wrap(code.Interrupted, ctx.Err(), "wait for the import before this one")
	}
	if row, err = r.FindWaiting(label); err != nil {
		return row, err
	}
	return row, r.end(ctx, row, actor, "a person dropped it: "+clean(reason), "")
}

// FindWaiting finds one waiting bundle by its label id, the beginning of it, or its name.
func (r *Room) FindWaiting(label string) (row WaitingRow, err error) {
	list, err := r.ListWaiting("")
	if err != nil {
		return row, err
	}
	label = plainHex(label)
	found := slices.DeleteFunc(list, func(w WaitingRow) bool {
		return w.Name != label && (len(label) < 4 || !strings.HasPrefix(w.Label, label))
	})
	switch len(found) {
	case 0:
		return row, code.New(code.Missing, "no bundle %.80q waits here", label).Do("See what waits: sallyport media list.")
	case 1:
		return found[0], nil
	}
	return row, code.New(code.Ambiguous, "%d bundles of that name wait here", len(found)).Do("Name one by its label id: sallyport media list.")
}

// end drops one waiting bundle: row and event in one transaction, then its folder.
func (r *Room) end(ctx context.Context, row WaitingRow, actor, reason string, why code.Code) error {
	attrs := map[string]string{"bundleId": row.BundleID.String(), "labelId": digest.Prefix + row.Label, "reason": reason, "waiting": "dropped"}
	if why != "" {
		attrs["code"] = string(why)
	}
	err := r.State.Update(ctx, func(tx *state.Tx) error {
		if err := unwait(tx, row, reason); err != nil {
			return err
		}
		_, err := r.Timeline.Append(tx, timeline.Event{Type: "bundle.import.parked", Tenant: row.Tenant, Actor: actor, Subject: "bundle/" + row.Name, Attrs: attrs})
		return err
	})
	if err != nil {
		return fmt.Errorf("drop waiting %s: %w", row.Name, err)
	}
	r.FS.Point("waiting.ended")
	return r.clear(row.Label)
}

// clear removes the folder of a bundle that waits no longer. What fails is removed at the next start.
func (r *Room) clear(label string) error {
	err := r.FS.Step("remove", r.folder(label), func() error { return os.RemoveAll(r.folder(label)) })
	if err != nil {
		r.Log.Warn("folder of a bundle that waits no longer was not removed", "label", label, "err", err)
		return nil
	}
	if err := r.FS.SyncDir(r.waitingDir()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// sweepWaiting puts right what a crash left: folders without a row go, so do rows without a folder, and pieces that were
// being written. It must not run while an import does.
func (r *Room) sweepWaiting(ctx context.Context) error {
	rows, err := r.ListWaiting("")
	if err != nil {
		return err
	}
	named := map[string]bool{}
	for _, row := range rows {
		named[row.Label] = true
		if _, err := os.Lstat(r.folder(row.Label)); errors.Is(err, fs.ErrNotExist) {
			if err := r.end(ctx, row, "system", "its folder is gone", code.VolumeMissing); err != nil {
				return err
			}
		}
	}
	entries, err := os.ReadDir(r.waitingDir())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		if named[e.Name()] {
			err = errors.Join(err, r.tidyPartial(r.folder(e.Name())))
			continue
		}
		err = errors.Join(err, r.clear(e.Name()))
	}
	return err
}

// tidyPartial removes pieces; it needs no sync, because what comes back is removed by the next start.
func (r *Room) tidyPartial(dir string) error {
	list, err := os.ReadDir(dir)
	for _, e := range list {
		if strings.HasSuffix(e.Name(), partialSuffix) || strings.HasPrefix(e.Name(), ".tmp-") {
			err = errors.Join(err, os.Remove(filepath.Join(dir, e.Name())))
		}
	}
	return err
}

const partialSuffix = ".partial"

// candidateOf looks at a waiting bundle as at one on a medium in dir: its label is judged again by today's trust.
func (im *imports) candidateOf(row WaitingRow, dir string) (candidate, error) {
	c := candidate{dir: dir, row: &row}
	m, err := im.opened(im.folder(row.Label))
	if err != nil {
		return c, err
	}
	j := &joined{dir: c.dir, files: map[string]place{}}
	if err := j.all(m.FS(), "."); err != nil {
		return c, err
	}
	c.fsys = j
	c.packing, c.err = verify.CheckLabel(im.ctx, j, c.dir, im.v.labels())
	if c.packing != nil && c.packing.ID().Hex() != row.Label {
		c.err = code.New(code.LabelBad, "another label lies where this bundle waited").In(c.dir, "").Want(row.Label, c.packing.ID().Hex())
		c.packing = nil
	}
	return c, nil
}

// fsysOf is the file system a candidate's directory is in.
func (im *imports) fsysOf(c candidate) fs.FS {
	if c.fsys != nil {
		return c.fsys
	}
	return im.v.fsys
}
