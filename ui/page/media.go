package page

import (
	"net/url"
	"strings"
	"time"

	"sallyport/internal/units"
	"sallyport/internal/wire"
	"sallyport/ui/kit"
)

// MediaView is every stick that is seen, and the bundles that wait.
type MediaView struct {
	Media   []wire.Medium
	Waiting []wire.Waiting
	Now     time.Time
	Use     bool // the person may import, exchange and forget
	Failed  *kit.NoticeView
}

func (v MediaView) lead() string {
	n := 0
	for _, m := range v.Media {
		if m.Ours {
			n++
		}
	}
	switch {
	case len(v.Media) == 0:
		return "No stick is plugged in."
	case n == 0:
		return "No stick of ours is plugged in."
	}
	return units.Plural(int64(n), "stick of ours is plugged in.", "sticks of ours are plugged in.")
}

func (v MediaView) actions() []kit.ButtonView {
	if !v.Use {
		return nil
	}
	return []kit.ButtonView{{Label: "Import or exchange", Href: "/import", Kind: kit.Primary}}
}

// mediumTone is what the state of a medium means.
func mediumTone(m wire.Medium) (kit.Tone, string) {
	switch m.State {
	case "ours":
		return kit.OK, "ours"
	case "half-copied":
		return kit.Warn, "half a copy"
	case "encrypted":
		return kit.Warn, "locked"
	case "unreadable":
		return kit.Bad, "cannot be read"
	case "not-mounted":
		return kit.Unknown, "not mounted"
	case "empty", "no-folder":
		return kit.Unknown, "nothing of ours"
	}
	return kit.Unknown, "unknown"
}

func mediumFacts(m wire.Medium) (list []kit.Def) {
	tone, word := mediumTone(m)
	list = append(list, kit.Def{Term: "State", Value: kit.Badge(tone, word)})
	if m.Total > 0 {
		list = append(list, kit.Def{Term: "Space", Value: kit.Meter(kit.MeterView{
			Label: "Space in use", Text: units.Size(m.Free) + " free", Soft: "of " + units.Size(m.Total), Value: float64(m.Total - m.Free), Max: float64(m.Total), Tone: kit.Accent,
		})})
	}
	if m.FSType != "" {
		list = append(list, kit.Def{Term: "File system", Value: kit.Text(m.FSType)})
	}
	writing := kit.Text("can be written")
	switch {
	case m.ReadOnly:
		writing = kit.Text("read only")
	case m.Writing != "":
		writing = kit.Text(m.Writing)
	case m.State != "ours" && m.State != "empty" && m.State != "no-folder" && m.State != "half-copied":
		writing = dash()
	}
	list = append(list, kit.Def{Term: "Writing", Value: writing})
	for _, d := range []struct{ term, text string }{{"Device", m.Device}, {"Serial", m.Serial}, {"Volume id", m.UUID}} {
		if d.text != "" {
			list = append(list, kit.Def{Term: d.term, Value: kit.Code(d.text)})
		}
	}
	if m.SameDisk {
		list = append(list, kit.Def{Term: "Mind", Value: kit.Badge(kit.Warn, "on the disk of this appliance: a copy here is no copy")})
	}
	if len(m.Peers) > 0 {
		list = append(list, kit.Def{Term: "Carries papers of", Value: kit.Text(strings.Join(m.Peers, ", "))})
	}
	return list
}

// writable tells whether something can be put on a medium.
func writable(m wire.Medium) bool { return m.Total > 0 && !m.ReadOnly && m.Writing == "" }

// safety says whether the stick may be pulled. Nothing of ours writes to it unless a job of this appliance does.
func safety(m wire.Medium) string {
	if m.Mount == "" && m.State != "ours" {
		return ""
	}
	return "Safe to remove while no job of this appliance reads or writes it."
}

func mediumBundles(m wire.Medium, now time.Time) kit.TableView {
	t := kit.TableView{
		Caption: "Bundles on " + m.Path, Columns: []kit.Column{{Label: "Bundle"}, {Label: "From"}, {Label: "For"}, {Label: "What"}, {Label: "Size", Kind: kit.NumberColumn}, {Label: "Made"}},
		Empty: kit.EmptyView{Title: "No bundle lies on it"},
	}
	for _, b := range m.Bundles {
		name, made := kit.Text(b.Name), since(b.CreatedAt, now, "unknown")
		switch {
		case b.Name == "":
			name = kit.Lines(kit.Code(b.Dir), kit.Badge(kit.Warn, b.Problem))
		case b.Problem != "":
			name = kit.Lines(name, kit.Badge(kit.Warn, b.Problem))
		}
		if len(b.Unlisted) > 0 {
			name = kit.Lines(name, kit.Soft("beside it, not part of it: "+strings.Join(b.Unlisted, ", ")))
		}
		t.Rows = append(t.Rows, kit.Row{Cells: []kit.Node{
			name, orDash(b.From), orDash(strings.Join(b.For, ", ")), orDash(strings.TrimSpace(b.Kind + " " + b.Variant)), sizeOr(b.Bytes), made,
		}})
	}
	return t
}

func (v MediaView) waiting() kit.TableView {
	t := kit.TableView{
		ID: "waiting", Caption: "Bundles that wait", Columns: []kit.Column{{Label: "Bundle"}, {Label: "From"}, {Label: "It waits for"}, {Label: "Size", Kind: kit.NumberColumn}, {Label: "Since"}},
		Empty: kit.EmptyView{Title: "Nothing waits", Text: "A bundle of which volumes are missing, or a delta that came before what it builds on, is kept here until the rest comes."},
	}
	if v.Use {
		t.Columns = append(t.Columns, kit.Column{Label: "Actions", Kind: kit.ActionColumn})
	}
	for _, w := range v.Waiting {
		row := kit.Row{Cells: []kit.Node{kit.Text(w.Name), kit.Text(w.From), kit.Lines(waitsFor(w), kit.Soft(w.Sentence)), sizeOr(w.Bytes), since(w.Since, v.Now, "")}}
		if v.Use {
			row.Cells = append(row.Cells, kit.Button(kit.ButtonView{Label: "Forget", Href: "/media/forget/" + url.PathEscape(w.Label), Context: " " + w.Name}))
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

func waitsFor(w wire.Waiting) kit.Node {
	if w.Why == "volumes" {
		return kit.Join(
			kit.Meter(kit.MeterView{Label: "Volumes here", Text: units.Count(int64(len(w.Have))), Soft: "of " + units.Plural(int64(w.Volumes), "volume", "volumes"), Value: float64(len(w.Have)), Max: float64(w.Volumes), Tone: kit.Accent}),
			kit.Soft("missing "+numbers(w.Wanted)),
		)
	}
	if w.Needs != "" {
		return kit.Text(w.Needs)
	}
	return kit.Text("what it builds on")
}

// WaitingFacts is what a bundle that waits is, for the page before it is forgotten.
func WaitingFacts(w wire.Waiting, now time.Time) []kit.Def {
	return []kit.Def{
		{Term: "From", Value: kit.Text(w.From)},
		{Term: "What", Value: kit.Text(w.Kind + " " + w.Variant)},
		{Term: "It waits for", Value: kit.Lines(waitsFor(w), kit.Soft(w.Sentence))},
		{Term: "Size", Value: sizeOr(w.Bytes)},
		{Term: "Since", Value: since(w.Since, now, "")},
		{Term: "Bundle id", Value: digestOr(w.BundleID)},
	}
}

// MediumFields ask for a stick: those that are seen to choose from, and a folder to type.
func MediumFields(media []wire.Medium, path, chosen, typed string) []kit.FieldView {
	f := kit.FieldView{Name: chosen, Label: "Stick", Type: "radio"}
	text := path
	for _, m := range media {
		if !m.Ours {
			continue
		}
		if m.Path == path {
			text = ""
		}
		f.Options = append(f.Options, kit.Option{Value: m.Path, Label: MediumName(m), Hint: m.Sentence, Selected: m.Path == path || path == "" && len(f.Options) == 0})
	}
	folder := kit.FieldView{Name: typed, Label: "A folder on this machine", Value: text, Hint: "Its whole path.", Mono: true}
	if len(f.Options) == 0 {
		return []kit.FieldView{folder}
	}
	folder.Label = "Or a folder on this machine"
	return []kit.FieldView{f, folder}
}
