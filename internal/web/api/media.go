package api

import (
	"bufio"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"sallyport/internal/attest"
	"sallyport/internal/bundle"
	"sallyport/internal/code"
	"sallyport/internal/intake"
	"sallyport/internal/media"
	"sallyport/internal/units"
	"sallyport/internal/verify"
	"sallyport/internal/web"
	"sallyport/internal/wire"
)

// mediaList looks at every mount below the usual places, and names the sticks that are plugged in and cannot be looked into:
// locked, of a file system this kernel does not read, or not mounted.
func (a *API) mediaList(ctx context.Context, _ *web.Call, _ wire.None) (wire.Media, error) {
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
		if !slices.ContainsFunc(media.Usual(), func(p string) bool { return strings.HasPrefix(at, p) }) {
			continue
		}
		m, err := a.look(ctx, at)
		if err != nil {
			m.Path, m.Sentence = at, media.Said(err)
		}
		out.Media = append(out.Media, m)
	}
	for _, s := range media.Strays() {
		out.Media = append(out.Media, wire.Medium{Path: s.Device, Device: s.Device, FSType: s.Signature, State: string(s.State), Sentence: s.Sentence})
	}
	if out.Waiting, err = a.waitingHere(""); err != nil {
		return out, err
	}
	return out, lines.Err()
}

func (a *API) mediaShow(ctx context.Context, c *web.Call, q wire.MediumRequest) (wire.Medium, error) {
	if err := absolute(q.Path); err != nil {
		return wire.Medium{}, err
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
	w.Writing = info.Writing()
	if w.Ours = !found.Empty(); !w.Ours {
		w.State, w.Sentence = string(m.Kind()), media.Said(m.Nothing())
		return w, nil
	}
	w.State = string(media.Ours)
	for _, dir := range found.Bundles {
		w.Bundles = append(w.Bundles, labelOf(m.FS(), dir))
	}
	for _, dir := range found.Unfinished {
		w.Bundles = append(w.Bundles, wire.MediumBundle{Dir: dir, Problem: code.Lookup(code.LabelMissing).Summary})
	}
	for _, c := range found.Cards {
		w.Cards = append(w.Cards, strings.TrimSuffix(path.Base(c), ".card.json"))
	}
	if len(found.Unfinished) > 0 && len(found.Bundles)+len(found.Cards)+len(found.Loose) == 0 {
		w.State = string(media.HalfCopied)
	}
	visit, err := a.Intake.Found(ctx, at)
	w.ForUs, w.Strangers = visit.ForUs, visit.Unknown
	for _, p := range visit.Peers {
		w.Peers = append(w.Peers, p.Name)
		rows, werr := a.waitingHere(p.ID)
		if werr != nil {
			return w, werr
		}
		w.Waiting = append(w.Waiting, rows...)
	}
	if w.Sentence = media.State(w.State).Sentence(); w.Sentence == "" {
		w.Sentence = a.words(w, visit)
	}
	return w, err
}

// words say whose stick it is, by what its labels say themselves (66-words-on-screen).
func (a *API) words(w wire.Medium, v intake.Visit) string {
	var whom, made []string
	var bytes int64
	for _, b := range w.Bundles {
		bytes += b.Bytes
		made = append(made, b.From)
		whom = append(whom, b.For...)
	}
	slices.Sort(whom)
	others := strings.Join(slices.Compact(whom), " and ")
	switch n := len(w.Bundles); {
	case v.ForUs > 0:
		return fmt.Sprintf("This stick has %s for this site, %s. Nothing was opened: sallyport import verifies it.", units.Plural(int64(v.ForUs), "bundle", "bundles"), units.Size(bytes))
	case n == 0:
		return "This stick has no bundle, only papers (cards, trust roots). Nothing was opened."
	case !slices.ContainsFunc(made, func(name string) bool { return name != a.Self.Name }):
		return fmt.Sprintf("This stick has %s made here. Nothing to take in.", units.Plural(int64(n), "bundle", "bundles"))
	case slices.Contains(whom, a.Self.Name):
		return "This stick has a bundle that names this site, and its label does not prove here (unknown signer, or damaged). Nothing was opened: sallyport import says why."
	case others == "" || v.Others == 0:
		return "This stick has a bundle whose label does not prove here. Nothing was opened: sallyport import says why."
	case n == 1:
		return fmt.Sprintf("This bundle is for %s, not for this site (%s). Nothing was opened. Keep the stick for its courier.", others, a.Self.Name)
	}
	return fmt.Sprintf("These %d bundles are for %s, not for this site (%s). Nothing was opened. Keep the stick for its courier.", len(w.Bundles), others, a.Self.Name)
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
		b.Problem = shown(err.Error())
		return b
	}
	claim, err := attest.Inspect(raw)
	if err != nil {
		b.Problem = shown(err.Error())
		return b
	}
	l, err := bundle.ParseLabel(claim.Payload)
	if err != nil {
		b.Problem = shown(err.Error())
		return b
	}
	b.Name, b.From, b.Kind, b.Variant, b.CreatedAt = l.Name, l.Appliance.Name, l.Kind, l.Variant, l.CreatedAt
	for _, f := range l.For {
		b.For = append(b.For, f.Name)
	}
	named := []string{path.Base(files[0]), "SHA256SUMS", "COVER.txt"}
	for _, v := range l.Volumes {
		b.Bytes += v.Bytes
		named = append(named, v.Name)
	}
	b.Unlisted = beside(fsys, dir, named)
	return b
}

// maxBeside is how many files that are not part of a bundle are listed.
const maxBeside = 20

// beside lists what lies beside a bundle and is not part of it (Thumbs.db, ._x, a kiosk's report): never opened. The names
// are foreign: what no screen shows is replaced.
func beside(fsys fs.FS, dir string, named []string) (list []string) {
	entries, err := fs.ReadDir(fsys, dir)
	if err != nil {
		return nil
	}
	for _, e := range entries {
		if len(list) < maxBeside && !slices.ContainsFunc(named, func(n string) bool { return strings.EqualFold(n, e.Name()) }) {
			list = append(list, shown(e.Name()))
		}
	}
	return list
}

// shown is a foreign text that does nothing to a terminal or a page.
func shown(s string) string {
	return strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsGraphic(r) || unicode.Is(unicode.Cf, r) {
			return '?'
		}
		return r
	}, s)
}

func (a *API) importRun(ctx context.Context, c *web.Call, q wire.ImportRequest) (*wire.Imported, error) {
	if err := absolute(q.Path); err != nil {
		return nil, err
	}
	return a.take(ctx, c, q)
}

// take runs one import and gives its result in the words of wire.
func (a *API) take(ctx context.Context, c *web.Call, q wire.ImportRequest) (*wire.Imported, error) {
	defer a.Uploads.Hold(q.Path)() // where it is one
	t := teller{c: c}
	res, err := a.Intake.Import(ctx, intake.Request{
		Path: q.Path, Approve: q.Approve, Yes: q.Yes, PlanOnly: q.Plan, Actor: c.Actor.Name(), Lone: c.Actor.Lone, Proven: t.proven,
	}, t.step)
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
	a.mayHeal(ctx, q.Path, &out)
	return &out, err
}

// mayHeal adds, where a medium brought nothing new and something is damaged here, that it may have that. It is a hint: what
// cannot be found out is left to status.
func (a *API) mayHeal(ctx context.Context, path string, out *wire.Imported) {
	if out.Applied || a.Store == nil {
		return
	}
	s, err := a.Store.Damaged(ctx)
	if err != nil || len(s) == 0 {
		return
	}
	out.Damaged = len(s)
	out.Next = "sallyport media heal " + path
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

// teller passes on what an import says: how far it is, and what it has proven. Safe for concurrent use.
type teller struct {
	c    *web.Call
	mu   sync.Mutex
	last wire.Progress
}

func (t *teller) step(step string, done, total int64) {
	p := wire.Progress{Stage: step, Bytes: done, TotalBytes: total}
	if strings.HasPrefix(step, "index ") { // counts records
		p = wire.Progress{Stage: step, Items: done, TotalItems: total}
	}
	t.mu.Lock()
	t.last = p
	t.mu.Unlock()
	t.c.Progress(p)
}

// proven says a fact as a note beside how far it is.
func (t *teller) proven(bundle string, f intake.Fact) {
	t.mu.Lock()
	p := t.last
	t.mu.Unlock()
	if p.Stage == "" {
		p.Stage = "verify " + bundle
	}
	p.Note = wire.FactLine(f.What, f.Detail)
	t.c.Progress(p)
}
