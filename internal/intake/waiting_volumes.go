package intake

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sallyport/internal/bundle"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/media"
	"sallyport/internal/state"
	"sallyport/internal/timeline"
	"sallyport/internal/verify"
)

// candidates are the bundles on the medium for us, each label id once, joined with what waits here of it; and what waits
// here whole, because its base may have come. In order of creation.
func (im *imports) candidates() (list []candidate, err error) {
	if im.rows, err = im.ListWaiting(""); err != nil {
		return nil, err
	}
	dirs := map[digest.Digest][]candidate{}
	var order []digest.Digest
	for _, c := range im.v.ours {
		id := c.packing.ID()
		if len(dirs[id]) == 0 {
			order = append(order, id)
		}
		dirs[id] = append(dirs[id], c)
	}
	for _, id := range order {
		c, err := im.join(dirs[id])
		if err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	for _, row := range im.rows {
		if _, there := dirs[labelID(row)]; there || im.q.only != nil || row.Why == WaitsForVolumes && len(row.Wanted) > 0 {
			continue
		}
		c, ok, err := im.takeUp(row)
		if err != nil {
			return nil, err
		}
		if ok {
			list = append(list, c)
		}
	}
	slices.SortStableFunc(list, func(a, b candidate) int {
		x, y := a.packing.Label(), b.packing.Label()
		return cmp.Or(strings.Compare(x.CreatedAt, y.CreatedAt), strings.Compare(x.Name, y.Name))
	})
	return list, nil
}

func labelID(row WaitingRow) digest.Digest {
	d, _ := digest.Parse(digest.Prefix + row.Label)
	return d
}

// join makes one candidate of all directories of one label id and of what waits here under it.
func (im *imports) join(list []candidate) (candidate, error) {
	c := list[0]
	i := slices.IndexFunc(im.rows, func(row WaitingRow) bool { return row.Label == c.packing.ID().Hex() })
	if i < 0 && len(list) == 1 {
		return c, nil
	}
	j := &joined{dir: c.dir, files: map[string]place{}}
	if i >= 0 {
		c.row = &im.rows[i]
		if err := im.fromHere(j, *c.row); err != nil {
			return c, err
		}
	}
	for _, d := range list {
		c.sources = append(c.sources, d.packing)
	}
	im.fromMedium(j, c)
	p, err := verify.CheckLabel(im.ctx, j, c.dir, im.v.labels())
	if p == nil {
		return c, fmt.Errorf("join %s: %w", c.dir, err) // each of them held a moment ago
	}
	c.packing, c.err, c.fsys = p, err, j
	return c, nil
}

// fromHere adds the volumes that wait here.
func (im *imports) fromHere(j *joined, row WaitingRow) error {
	m, err := im.opened(im.folder(row.Label))
	if err != nil {
		return err
	}
	for _, v := range row.Volumes {
		if slices.Contains(row.Have, v.N) {
			j.add(v.Name, m.FS(), v.Name)
		}
	}
	return nil
}

// fromMedium adds label, sheets and other files, and the volumes that are not here: of two files the one with the right size.
func (im *imports) fromMedium(j *joined, c candidate) {
	l := c.packing.Label()
	named := append([]string{bundle.LabelName(l.Name)}, sheets(l)...)
	for _, p := range c.sources {
		for _, name := range named {
			if at, ok := p.File(name); ok {
				j.add(name, im.v.fsys, at)
			}
		}
		for _, name := range p.Unlisted() {
			j.add(name, im.v.fsys, p.Dir()+"/"+name)
		}
		for _, v := range l.Volumes {
			if at, ok := p.File(v.Name); ok && sized(im.v.fsys, at, v.Bytes) {
				j.add(v.Name, im.v.fsys, at)
			}
		}
	}
	for _, p := range c.sources {
		for _, v := range l.Volumes {
			if at, ok := p.File(v.Name); ok {
				j.add(v.Name, im.v.fsys, at)
			}
		}
	}
}

func sheets(l *bundle.Label) (names []string) {
	for _, s := range l.Sheets {
		names = append(names, s.Name)
	}
	return names
}

func sized(fsys fs.FS, name string, bytes int64) bool {
	st, err := fs.Stat(fsys, name)
	return err == nil && st.Size() == bytes
}

// opened opens a folder of ours as a medium: links in it are refused. It is closed with the import.
func (im *imports) opened(dir string) (*media.Medium, error) {
	m, err := media.Open(dir)
	if err == nil {
		im.opens = append(im.opens, m)
	}
	return m, err
}

// wait keeps the good volumes of a bundle that is not whole and names the others. When all are here after it, the bundle
// goes on; when none is good it is refused. why is what the gate said, nil when it was not asked.
func (im *imports) wait(c candidate, why error) error {
	if len(c.sources) == 0 && c.row == nil {
		c.sources = []*verify.Packing{c.packing}
	}
	states, err := im.gather(&c, why)
	if err != nil {
		return im.settle(c, nil, err)
	}
	bad := c.packing.Verdict(states)
	good := len(slices.DeleteFunc(slices.Clone(states), func(s verify.VolumeState) bool { return s.Err != nil }))
	switch {
	case bad == nil && im.q.PlanOnly: // it could be read this time
		c.again++
		return im.enter(c)
	case bad == nil:
		return im.resume(c)
	case good == 0:
		return im.settle(c, nil, bad)
	}
	o := Outcome{Plan: c.plan(), Dir: c.dir, Decision: Waits, Code: string(code.Of(bad)), Reason: clean(bad.Error()), Next: code.NextStep(bad), Err: bad}
	for _, s := range states {
		if s.Err != nil {
			o.Volumes = append(o.Volumes, Volume{N: s.Volume.N, Code: string(code.Of(s.Err)), Reason: clean(inShort(s.Err)), At: s.At})
		}
	}
	if !im.q.PlanOnly {
		o.Next = bringNext(o)
		o.Err = withNext(bad, o.Next)
	}
	o.Sentence = waitSentence(o, len(states), im.q.PlanOnly)
	im.res.Outcomes = append(im.res.Outcomes, o)
	return nil
}

// withNext is an error with another next step.
func withNext(err error, next string) error {
	var e *code.Error
	if !errors.As(err, &e) {
		return err
	}
	other := *e
	return other.Do(next)
}

// resume goes on with a bundle whose volumes are all here now.
func (im *imports) resume(c candidate) error {
	row := im.count(*c.row)
	next, err := im.candidateOf(row, c.dir)
	if err != nil {
		return err
	}
	next.again, next.sources = c.again+1, c.sources
	if next.err != nil {
		return im.settle(c, nil, next.err)
	}
	return im.enter(next)
}

// plan is what is known of a bundle from its label.
func (c candidate) plan() BundlePlan {
	l := c.packing.Label()
	return BundlePlan{
		Name: l.Name, Kind: l.Kind, Variant: l.Variant, BundleID: l.BundleID.String(), LabelID: c.packing.ID().String(),
		From: l.Appliance.Name, Signer: c.packing.Signer().Words(), Bytes: l.Bytes, CreatedAt: l.CreatedAt,
	}
}

// gather brings every volume that can be had into D/waiting and says of each how it is. Order: space, folder, label and
// sheets; then each volume as a piece, synced and renamed when its digest is right; with the first good one the row. A crash
// leaves a folder without a row, which the next start removes, or a row with fewer volumes than there could be.
func (im *imports) gather(c *candidate, why error) ([]verify.VolumeState, error) {
	if im.q.PlanOnly {
		return verify.Survey(im.ctx, c.packing, verify.Options{Progress: im.hearing(c.packing.Label())})
	}
	row, err := im.rowOf(*c)
	if err != nil {
		return nil, err
	}
	if c.row == nil {
		if err := im.State.View(func(tx *state.Tx) error { return im.roomFor(tx, row) }); err != nil {
			return nil, err
		}
	}
	release, err := im.CAS.Reserve(im.lacking(*c))
	if err != nil {
		return nil, fmt.Errorf("reserve space for volumes of %s: %w", row.Name, err)
	}
	defer release()
	if err := im.beginFolder(*c, row.Label); err != nil {
		return nil, fmt.Errorf("keep volumes of %s: %w", row.Name, err)
	}
	states := make([]verify.VolumeState, len(row.Volumes))
	for i, v := range row.Volumes {
		if states[i], err = im.hold(*c, v, code.Of(why) == code.VolumeDamaged); err != nil {
			return nil, fmt.Errorf("keep volume %d of %s: %w", v.N, row.Name, err)
		}
		if states[i].Err == nil && c.row == nil {
			if err := im.begin(row, why); err != nil {
				return nil, err
			}
			c.row = &row
		}
	}
	return states, nil
}

func (im *imports) hearing(l *bundle.Label) func(done, total int64) {
	return func(done, total int64) { im.progress("verify "+l.Name, done, total) }
}

// lacking is how many bytes may come in: of volumes that are not here, and are on the medium. What a label says of others takes
// no room, however large.
func (im *imports) lacking(c candidate) (n int64) {
	for _, v := range c.packing.Label().Volumes {
		there := slices.ContainsFunc(c.sources, func(p *verify.Packing) bool {
			_, ok := p.File(v.Name)
			return ok
		})
		if there && !im.stands(c.packing.ID().Hex(), v) {
			n += v.Bytes
		}
	}
	return n
}

// maxBeside bounds a label or sheet that is kept: the gate has seen a smaller one there, but the medium may say something else now.
const maxBeside = 2 << 20

// beginFolder makes the folder with label and sheets, as they lie on the medium.
func (im *imports) beginFolder(c candidate, label string) error {
	dir, l := im.folder(label), c.packing.Label()
	if err := im.FS.Mkdir(dir, 0o700); err != nil {
		return err
	}
	for _, name := range append(sheets(l), bundle.LabelName(l.Name)) {
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			continue
		}
		for _, p := range c.sources {
			at, ok := p.File(name)
			if !ok {
				continue
			}
			b, err := readSmall(im.v.fsys, at, maxBeside)
			if err != nil {
				return err
			}
			if err := im.FS.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
				return err
			}
			break
		}
	}
	im.FS.Point("waiting.folder")
	return nil
}

// begin writes the row of a bundle that begins to wait, and its event.
func (im *imports) begin(row WaitingRow, why error) error {
	err := im.State.Update(im.ctx, func(tx *state.Tx) error {
		if err := im.roomFor(tx, row); err != nil {
			return err
		}
		if err := waiting.Put(tx, row.Label, row); err != nil {
			return err
		}
		c := cmp.Or(code.Of(why), code.VolumeMissing)
		_, err := im.Timeline.Append(tx, timeline.Event{
			Type: "bundle.import.parked", Tenant: row.Tenant, Actor: im.q.Actor, Subject: "bundle/" + row.Name,
			Attrs: map[string]string{"bundleId": row.BundleID.String(), "labelId": digest.Prefix + row.Label, "peer": row.Peer, "code": string(c), "waiting": WaitsForVolumes},
		})
		return err
	})
	if err != nil {
		return fmt.Errorf("wait for volumes of %s: %w", row.Name, err)
	}
	im.FS.Point("waiting.row")
	return nil
}

// hold makes sure that one volume is here, good. One that is here already is not read from the medium again; suspect says
// that the gate found damage, so it is read here.
func (im *imports) hold(c candidate, v bundle.Volume, suspect bool) (verify.VolumeState, error) {
	file := filepath.Join(im.folder(c.packing.ID().Hex()), v.Name)
	best := verify.VolumeState{Volume: v}
	if im.stands(c.packing.ID().Hex(), v) {
		if !suspect {
			return best, nil
		}
		ok, err := sound(file, v.Digest)
		if err != nil || ok {
			return best, err
		}
		im.Log.Warn("a volume that waited here has changed on the disk and is dropped", "file", file)
		if err := im.FS.Remove(file); err != nil {
			return best, err
		}
	}
	var bad []verify.VolumeState
	for _, p := range c.sources {
		s, err := im.fetch(p, v, file)
		if err != nil || s.Err == nil {
			return s, err
		}
		bad = append(bad, s)
	}
	if len(bad) == 0 {
		best.Err = code.New(code.VolumeMissing, "this volume is missing").In(c.dir+"/"+v.Name, fmt.Sprintf("volume %d of %d", v.N, len(c.packing.Label().Volumes)))
		return best, nil
	}
	worst := c.packing.Verdict(bad)
	return bad[slices.IndexFunc(bad, func(s verify.VolumeState) bool { return s.Err == worst })], nil
}

// sound tells whether a file has the bytes that were signed.
func sound(file string, want digest.Digest) (bool, error) {
	f, err := os.Open(file)
	if err != nil {
		return false, err
	}
	defer f.Close()
	h := digest.NewReader(f)
	if _, err := io.Copy(io.Discard, h); err != nil {
		return false, err
	}
	return h.Sum() == want, nil
}

// fetch copies one volume from the medium, hashed on the way: piece, sync, rename, sync of the folder.
func (im *imports) fetch(p *verify.Packing, v bundle.Volume, file string) (s verify.VolumeState, err error) {
	f, err := os.OpenFile(file+partialSuffix, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return s, err
	}
	defer f.Close()
	o := verify.Options{Progress: func(done, total int64) {
		im.progress(fmt.Sprintf("keep volume %d of %s", v.N, p.Label().Name), done, total)
	}}
	s, err = verify.Fetch(im.ctx, p, v.N, im.FS.Writer(f), o)
	if err != nil || s.Err != nil {
		os.Remove(f.Name())
		return s, err
	}
	if err := im.FS.Sync(f); err != nil {
		return s, err
	}
	if err := im.FS.Rename(f.Name(), file); err != nil {
		return s, err
	}
	im.FS.Point("waiting.volume")
	return s, nil
}

// leave removes the folders of bundles that wait no longer, after what ended their waiting was committed. What a crash
// leaves is removed at the next start.
func (im *imports) leave() error {
	now, err := im.ListWaiting("")
	if err != nil {
		return err
	}
	entries, err := os.ReadDir(im.waitingDir())
	if err != nil {
		return nil // nothing waits
	}
	for _, e := range entries {
		if slices.ContainsFunc(now, func(row WaitingRow) bool { return row.Label == e.Name() }) {
			continue
		}
		if err := im.clear(e.Name()); err != nil {
			return err
		}
	}
	return nil
}

// wanted lists what the hub should put on the next medium first: of each bundle that it packed and that waits for volumes,
// those that are not here.
func (r *Room) wanted(tx *state.Tx, peerID string) ([]bundle.Wanted, error) {
	list := []bundle.Wanted{}
	rows, err := r.Waiting(tx, "")
	for _, row := range rows {
		if row.PeerID == peerID && len(row.Wanted) > 0 {
			list = append(list, bundle.Wanted{BundleID: row.BundleID, Volumes: row.Wanted})
		}
	}
	slices.SortFunc(list, func(a, b bundle.Wanted) int { return slices.Compare(a.BundleID[:], b.BundleID[:]) })
	return slices.CompactFunc(list, func(a, b bundle.Wanted) bool { return a.BundleID == b.BundleID }), err
}
