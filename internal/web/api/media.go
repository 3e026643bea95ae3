package api

import (
	"bufio"
	"context"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"sallyport/internal/attest"
	"sallyport/internal/bundle"
	"sallyport/internal/code"
	"sallyport/internal/intake"
	"sallyport/internal/media"
	"sallyport/internal/verify"
	"sallyport/internal/web"
	"sallyport/internal/wire"
)

// mountPoints are below which sticks are mounted by people and desktops.
func mountPoints() []string { return []string{"/media/", "/mnt/", "/run/media/"} }

// mediaList looks at every mount below the usual places.
func (a *API) mediaList(ctx context.Context, _ *web.Call) (any, error) {
	out := wire.Media{Media: []wire.Medium{}}
	f, err := os.Open("/proc/self/mounts")
	if err != nil {
		return out, nil // no mount table, no media to list
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 2 {
			continue
		}
		at := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(fields[1])
		if !slices.ContainsFunc(mountPoints(), func(p string) bool { return strings.HasPrefix(at, p) }) {
			continue
		}
		m, err := a.look(ctx, at)
		if err != nil {
			m = wire.Medium{Path: at}
		}
		out.Media = append(out.Media, m)
	}
	return out, lines.Err()
}

func (a *API) mediaShow(ctx context.Context, c *web.Call) (any, error) {
	q, err := medium(c)
	if err != nil {
		return nil, err
	}
	return a.look(ctx, q.Path)
}

// look tells what a medium is and what its labels say themselves; nothing is proven.
func (a *API) look(ctx context.Context, at string) (wire.Medium, error) {
	m, err := media.Open(at)
	if err != nil {
		return wire.Medium{}, err
	}
	defer m.Close()
	info, err := m.Info()
	if err != nil {
		return wire.Medium{}, err
	}
	w := wire.Medium{
		Path: m.Path(), FSType: info.FSType, Device: info.Device, Mount: info.Mount, Free: info.Free, Total: info.Total,
		ReadOnly: info.ReadOnly, Label: info.Label, UUID: info.UUID, Serial: info.Serial,
	}
	w.SameDisk, _ = m.SharesDisk(a.Self.DataDir) // a hint, never a verdict
	found, err := verify.Find(m.FS())
	if err != nil {
		return w, err
	}
	w.Ours = !found.Empty()
	for _, dir := range found.Bundles {
		w.Bundles = append(w.Bundles, labelOf(m.FS(), dir))
	}
	for _, dir := range found.Unfinished {
		w.Bundles = append(w.Bundles, wire.MediumBundle{Dir: dir, Problem: code.Lookup(code.LabelMissing).Summary})
	}
	for _, c := range found.Cards {
		w.Cards = append(w.Cards, strings.TrimSuffix(path.Base(c), ".card.json"))
	}
	visit, err := a.Intake.Found(ctx, at)
	if code.Of(err) == code.MediumEmpty {
		return w, nil
	}
	for _, p := range visit.Peers {
		w.Peers = append(w.Peers, p.Name)
	}
	return w, err
}

// maxLabel bounds a label file: the payload and its signatures.
const maxLabel = 2 << 20

// labelOf reads a label as it says itself.
func labelOf(fsys fs.FS, dir string) wire.MediumBundle {
	b := wire.MediumBundle{Dir: dir}
	files, err := fs.Glob(fsys, path.Join(dir, "*.label.json"))
	if err != nil || len(files) == 0 {
		b.Problem = "the label's name is not ours"
		return b
	}
	if st, err := fs.Stat(fsys, files[0]); err != nil || st.Size() > maxLabel {
		b.Problem = "the label cannot be read"
		return b
	}
	raw, err := fs.ReadFile(fsys, files[0])
	if err != nil {
		b.Problem = err.Error()
		return b
	}
	claim, err := attest.Inspect(raw)
	if err != nil {
		b.Problem = err.Error()
		return b
	}
	l, err := bundle.ParseLabel(claim.Payload)
	if err != nil {
		b.Problem = err.Error()
		return b
	}
	b.Name, b.From, b.Kind, b.Variant, b.CreatedAt = l.Name, l.Appliance.Name, l.Kind, l.Variant, l.CreatedAt
	for _, f := range l.For {
		b.For = append(b.For, f.Name)
	}
	for _, v := range l.Volumes {
		b.Bytes += v.Bytes
	}
	return b
}

func (a *API) importRun(ctx context.Context, c *web.Call) (any, error) {
	var q wire.ImportRequest
	if err := c.Decode(&q); err != nil {
		return nil, err
	}
	if err := absolute(q.Path); err != nil {
		return nil, err
	}
	return a.take(ctx, c, q)
}

// take runs one import and gives its result in the words of wire.
func (a *API) take(ctx context.Context, c *web.Call, q wire.ImportRequest) (*wire.Imported, error) {
	res, err := a.Intake.Import(ctx, intake.Request{
		Path: q.Path, Approve: q.Approve, Yes: q.Yes, PlanOnly: q.Plan, Actor: c.Actor.Name(), Lone: c.Actor.Lone,
	}, func(step string, done, total int64) {
		c.Progress(wire.Progress{Stage: step, Bytes: done, TotalBytes: total})
	})
	if res.Outcomes == nil && res.Plan.Bundles == nil {
		return nil, err
	}
	out, rerr := recode[wire.Imported](res)
	if rerr != nil {
		return nil, rerr
	}
	for _, o := range out.Outcomes {
		a.Metrics.Imported(o.Decision)
	}
	return &out, err
}

// onMedium lists the bundle directories that have a label, by their last name.
func onMedium(at string) (map[string]bool, error) {
	m, err := media.Open(at)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	found, err := verify.Find(m.FS())
	if err != nil {
		return nil, err
	}
	names := map[string]bool{}
	for _, dir := range found.Bundles {
		names[filepath.Base(dir)] = true
	}
	return names, nil
}

// readOnly tells whether a medium cannot be written.
func readOnly(at string) (bool, error) {
	m, err := media.Open(at)
	if err != nil {
		return false, err
	}
	defer m.Close()
	i, err := m.Info()
	return i.ReadOnly, err
}
