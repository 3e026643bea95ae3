package page

import (
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"sallyport/internal/units"
	"sallyport/internal/wire"
	"sallyport/ui/kit"
)

// SettingsView is what is in force and where each value came from. Nothing can be changed here.
type SettingsView struct{ Settings wire.Settings }

// appliancePages are the pages about the appliance itself.
func appliancePages(current string, admin bool) kit.TabsView {
	t := kit.TabsView{Label: "The appliance"}
	for _, x := range [][2]string{{"/store", "Store"}, {"/time", "Time"}, {"/backups", "Backups"}, {"/settings", "Settings"}} {
		if !admin && (x[0] == "/backups" || x[0] == "/settings") {
			continue
		}
		t.Items = append(t.Items, kit.Tab{Label: x[1], Href: x[0], Current: x[0] == current})
	}
	return t
}

func (v SettingsView) table() kit.TableView {
	t := kit.TableView{
		ID: "settings", Caption: "Settings", CSV: "/settings.csv",
		Columns: []kit.Column{{Label: "Setting"}, {Label: "Value"}, {Label: "From"}, {Label: "In the environment"}},
		Empty:   kit.EmptyView{Tone: kit.Unknown, Title: "No setting is known"},
	}
	for _, s := range v.Settings.Settings {
		value := kit.Soft("not set")
		if s.Value != "" {
			value = kit.Code(s.Value)
		}
		t.Rows = append(t.Rows, kit.Row{Cells: []kit.Node{kit.Lines(kit.Code(s.Name), kit.Soft(s.Help)), value, settingSource(s.Source), kit.Code(s.Variable)}})
	}
	return t
}

func settingSource(source string) kit.Node {
	if source == "default" {
		return kit.Soft("default")
	}
	if filepath.IsAbs(source) {
		return kit.Code(source)
	}
	return kit.Text(source)
}

// StoreView is the disk of the appliance: what lies on it, what could go, what is damaged.
type StoreView struct {
	Store  wire.Store
	Now    time.Time
	Manage bool // the person may prune and scrub
	Admin  bool
}

func (v StoreView) lead() string {
	s := v.Store
	if s.Total == 0 {
		return "Nobody knows how much room there is."
	}
	lead := units.Size(s.Free) + " of " + units.Size(s.Total) + " are free."
	switch {
	case s.Stopped:
		lead = "Disk full: intake stopped, nothing lost. " + units.Size(s.Free) + " of " + units.Size(s.Total) + " are free."
		if s.Prunable > 0 {
			lead += " " + units.Size(s.Prunable) + " can be freed here."
		}
	case s.Prunable > 0:
		lead += " " + units.Size(s.Prunable) + " could be freed."
	}
	return lead
}

func (v StoreView) meter() kit.MeterView {
	s := v.Store
	m := kit.MeterView{Label: "Disk in use", Value: float64(s.Total - s.Free), Max: float64(s.Total), Tone: kit.Accent, Wide: true, Text: "unknown"}
	if s.Total > 0 {
		m.Text = percentText(s.Total-s.Free, s.Total)
		m.Soft = "of " + units.Size(s.Total) + " · loads and imports leave " + units.Size(s.Keep) + " free"
	}
	switch {
	case s.Stopped:
		m.Tone = kit.Bad
	case s.Free < 2*s.Keep:
		m.Tone = kit.Warn
	}
	return m
}

func percentText(part, whole int64) string {
	if whole <= 0 {
		return "unknown"
	}
	return units.Count(100*part/whole) + " %"
}

func (v StoreView) actions() []kit.ButtonView {
	if !v.Manage {
		return nil
	}
	return []kit.ButtonView{{Label: "What could go", Href: "/store/prune"}, {Label: "Read it again", Href: "/store/scrub"}}
}

func (v StoreView) parts() kit.TableView {
	s := v.Store
	t := kit.TableView{ID: "parts", Caption: "What lies on the disk", Columns: []kit.Column{{Label: "What"}, {Label: "Size", Kind: kit.NumberColumn}, {Label: "It is"}}}
	for _, p := range []struct {
		name  string
		bytes int64
		about string
	}{
		{"Content", s.Bytes, units.Plural(s.Blobs, "blob: the bytes of bundles and documents, as they were signed", "blobs: the bytes of bundles and documents, as they were signed")},
		{"Layers", s.Layers, "indexes of generations; they can be built again"},
		{"State", s.State, "the database of this appliance"},
		{"Shelf", s.Shelf, "bundles made here, kept so that they can be written again"},
		{"Waiting", s.Waiting, "bundles of which something is missing"},
		{"Quarantine", s.Quarantine, "what was refused and kept"},
		{"Backups", s.Backups, "copies of this appliance on this disk"},
		{"Staging", s.Staging, "what is being written just now"},
		{"Ballast", s.Ballast, "given back when the disk is full, so that pruning goes on"},
	} {
		t.Rows = append(t.Rows, kit.Row{Cells: []kit.Node{kit.Text(p.name), sizeOr(p.bytes), kit.Soft(p.about)}})
	}
	return t
}

func (v StoreView) free() []kit.Def {
	s := v.Store
	could := kit.Text("Nothing: what is kept is active, held, or needed.")
	if s.Prunable > 0 {
		could = kit.Join(kit.Bytes(s.Prunable), kit.Soft(keepingWords(s.Keeping)))
	}
	list := []kit.Def{
		{Term: "Could be freed", Value: could},
		{Term: "Named by nothing", Value: kit.Text(units.Plural(s.Orphans, "blob", "blobs") + ", " + units.Size(s.OrphanSize)), Explain: "They go by themselves a day after they came."},
		{Term: "Dead in kept bundles", Value: kit.Bytes(s.Dead), Explain: "Records that no kept generation has any more; the next full mirror returns the room."},
		{Term: "Promised to what runs", Value: kit.Bytes(s.Reserved)},
	}
	if s.Inodes >= 0 {
		list = append(list, kit.Def{Term: "Files that still fit", Value: kit.Count(s.Inodes)})
	}
	return list
}

// keepingWords says how many generations stay.
func keepingWords(n int) string {
	if n == 1 {
		return "when only the newest generation of each feed stays"
	}
	return fmt.Sprintf("when the newest %d generations of each feed stay", n)
}

func (v StoreView) scrub() []kit.Def {
	s := v.Store.Scrub
	if s.At == "" {
		return []kit.Def{{Term: "Read again", Value: kit.Badge(kit.Unknown, "never yet"), Explain: "Every byte is read and proven in the background, a part each day."}}
	}
	what := kit.Text("all of it")
	if !s.All {
		what = kit.Text(units.Count(int64(s.Percent)) + " % of this round")
	}
	return []kit.Def{
		{Term: "Read again", Value: kit.Join(what, kit.Soft("ended"), since(s.At, v.Now, ""))},
		{Term: "Whole rounds", Value: kit.Count(s.Rounds)},
		{Term: "Found", Value: scrubFound(v.Store.Damaged)},
	}
}

func scrubFound(list []wire.Damaged) kit.Node {
	if len(list) == 0 {
		return kit.Badge(kit.OK, "every byte as it was")
	}
	return kit.Badge(kit.Bad, units.Plural(int64(len(list)), "thing is damaged", "things are damaged"))
}

// damagedTable lists what is damaged, who needs it and what helps.
func damagedTable(list []wire.Damaged) kit.TableView {
	t := kit.TableView{
		ID: "damaged", Caption: "Damaged or missing", Columns: []kit.Column{{Label: "What"}, {Label: "Why"}, {Label: "Needed by"}, {Label: "What helps"}},
		Empty: kit.EmptyView{Tone: kit.OK, Title: "Nothing is known to be damaged"},
	}
	for _, d := range list {
		needed := kit.Soft("nothing")
		if len(d.Used) > 0 {
			needed = paragraphs(d.Used)
		}
		t.Rows = append(t.Rows, kit.Row{Tone: kit.Bad, Cells: []kit.Node{kit.Join(kit.Text(d.What), nameOf(d.Name)), kit.Text(d.Why), needed, orDash(d.Next)}})
	}
	return t
}

// nameOf shows a digest as one, a file as code.
func nameOf(s string) kit.Node {
	if strings.HasPrefix(s, "sha256:") {
		return kit.Digest(s)
	}
	return kit.Code(s)
}

// prunedTable lists the generations that a prune takes.
func prunedTable(p wire.Pruned, now time.Time) kit.TableView {
	t := kit.TableView{
		ID: "pruned", Caption: "Generations that go", Columns: []kit.Column{{Label: "Feed"}, {Label: "Generation", Kind: kit.NumberColumn}, {Label: "Records", Kind: kit.NumberColumn}, {Label: "Accepted"}},
		Empty: kit.EmptyView{Title: "No generation goes", Text: "Only what nothing names."},
	}
	for _, g := range p.Generations {
		t.Rows = append(t.Rows, kit.Row{Cells: []kit.Node{kit.Text(g.Feed), kit.Text(generation(g.Epoch, g.Generation)), kit.Count(g.Records), since(g.AcceptedAt, now, "")}})
	}
	return t
}

// TimeView is what is known about time, and how.
type TimeView struct {
	Shown wire.TimeShown
	Now   time.Time
	Set   bool // the person may propose
	Agree bool // or agree
	Admin bool

	Proposed []wire.Approval // times that somebody proposed
}

func (v TimeView) lead() string {
	if len(v.Shown.Words) > 0 {
		return strings.Join(v.Shown.Words, " ")
	}
	return "No verdict here depends on this machine's clock alone."
}

func (v TimeView) actions() []kit.ButtonView {
	if !v.Set {
		return nil
	}
	return []kit.ButtonView{{Label: "Set the time", Href: "/time/set"}}
}

func (v TimeView) facts() []kit.Def {
	t := v.Shown
	anchor := kit.Soft("none yet")
	if t.Anchor != "" {
		age := units.Age(seconds(t.AnchorAge))
		if t.AtLeast {
			age = units.AgeAtLeast(seconds(t.AnchorAge))
		}
		anchor = kit.Join(kit.Text(utc(t.Anchor)), kit.Soft(age+" old"))
	}
	return []kit.Def{
		{Term: "Trusted time", Value: kit.Join(kit.Strong(utc(t.Trusted)), timeBadge(t.Time)), Explain: "Never goes back, also across restarts and restored backups."},
		{Term: "It comes from", Value: kit.Text(timeSource(t.Source))},
		{Term: "Last anchor", Value: anchor, Explain: "Anchor: headquarters' signed statement of the time."},
		{Term: "This machine's clock", Value: kit.Text(utc(t.Wall))},
		{Term: "Time epoch", Value: kit.Count(t.TimeEpoch)},
	}
}

func timeBadge(t wire.Time) kit.Node {
	switch {
	case t.Suspect:
		return kit.Badge(kit.Bad, "the clock is wrong")
	case t.Source == "operator":
		return kit.Badge(kit.Warn, "said by people, not proven")
	case t.Unproven:
		return kit.Badge(kit.Warn, "not proven")
	case t.AtLeast:
		return kit.Badge(kit.Unknown, "at least")
	case t.Source == "build":
		return kit.Badge(kit.Unknown, "nobody told it yet")
	}
	return kit.Badge(kit.OK, "proven")
}

// utc writes a time as a clock on the wall would, in UTC.
func utc(text string) string {
	t := instant(text)
	if t.IsZero() {
		return "unknown"
	}
	return t.UTC().Format("2006-01-02 15:04:05") + "Z"
}

func (v TimeView) waiting() kit.TableView {
	t := kit.TableView{ID: "anchors", Caption: "Anchors that jump too far for one person", Columns: []kit.Column{{Label: "Peer"}, {Label: "It says"}, {Label: "Digest"}}}
	if v.Agree {
		t.Columns = append(t.Columns, kit.Column{Label: "Actions", Kind: kit.ActionColumn})
	}
	for _, a := range v.Shown.Waiting {
		row := kit.Row{Cells: []kit.Node{kit.To(PeerHref(a.Peer), a.Peer), kit.Text(utc(a.At)), kit.Digest(a.Approve)}}
		if v.Agree {
			row.Cells = append(row.Cells, kit.Button(kit.ButtonView{Label: "Let it count", Href: "/time/confirm?peer=" + url.QueryEscape(a.Peer)}))
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// BackupView is the form for a backup.
type BackupView struct {
	Media    []wire.Medium
	Path     string
	Last     string // when the last backup off this machine was made; "": never
	Now      time.Time
	Problems []kit.NoticeView
	Error    string
}

func (v BackupView) lead() string {
	return "A backup holds every byte that a restore needs, also the keys of this appliance. Keep it as you keep the keys."
}

func (v BackupView) targets() kit.FieldView {
	f := kit.FieldView{Name: "to", Label: "Write it to", Type: "radio", Error: v.Error}
	for _, m := range v.Media {
		if m.Path == "" || m.ReadOnly || m.Writing != "" || m.Total == 0 {
			continue
		}
		hint := units.Size(m.Free) + " free"
		if m.SameDisk {
			hint += "; on the disk of this appliance: a copy there does not survive it"
		}
		f.Options = append(f.Options, kit.Option{Value: m.Path, Label: MediumName(m), Hint: hint, Selected: v.Path == m.Path})
	}
	return f
}

func (v BackupView) typed() kit.FieldView {
	typed := v.Path
	for _, o := range v.targets().Options {
		if o.Value == typed {
			typed = ""
		}
	}
	return kit.FieldView{Name: "path", Label: "Or a folder on this machine", Value: typed, Hint: "Its whole path; it is made when it is not there.", Mono: true}
}

func (v BackupView) last() []kit.Def {
	return []kit.Def{{Term: "Last backup", Value: since(v.Last, v.Now, "none is known")}}
}

// proposed lists the times that wait for a second person.
func (v TimeView) proposed() (list []kit.NeedView) {
	for _, p := range v.Proposed {
		at, _ := TimeOfSubject(p.Subject)
		list = append(list, kit.NeedView{
			Tone: kit.Warn, Title: p.Proposer + " proposed to set the time to " + utc(at), Why: "It needs a second person, and expires unless somebody agrees.",
			Action: kit.ButtonView{Label: "Review", Href: "/time/set?at=" + url.QueryEscape(at), Kind: kit.Primary},
		})
	}
	return list
}

// The ledger of approvals names a setting of the time and an anchor in these words (lifecycle).
const (
	setWords    = "setting the trusted time to "
	anchorWords = "the anchor of "
)

// TimeSubject is how the ledger of approvals names a setting of the time.
func TimeSubject(at string) string { return setWords + at }

// TimeOfSubject reads it back.
func TimeOfSubject(subject string) (at string, ok bool) { return strings.CutPrefix(subject, setWords) }

// AnchorSubject is how the ledger of approvals names an anchor that should count.
func AnchorSubject(a wire.AnchorWaits) string { return anchorWords + a.Peer + " that says " + a.At }

// TimeFacts is what is known before the time is set.
func TimeFacts(t wire.TimeShown) []kit.Def {
	return []kit.Def{
		{Term: "Trusted time", Value: kit.Join(kit.Text(utc(t.Trusted)), timeBadge(t.Time))},
		{Term: "This machine's clock", Value: kit.Text(utc(t.Wall))},
	}
}

// AnchorFacts is what an anchor says.
func AnchorFacts(a wire.AnchorWaits) []kit.Def {
	return []kit.Def{{Term: "The anchor says", Value: kit.Strong(utc(a.At))}, {Term: "Digest of the plan", Value: kit.Digest(a.Approve)}}
}

// PruneView is what a prune would take.
type PruneView struct {
	Plan   wire.Pruned
	Now    time.Time
	Manage bool // the person may prune
}

// nothing tells that there is nothing to take.
func (v PruneView) nothing() bool {
	return len(v.Plan.Generations)+v.Plan.Layers+v.Plan.Blobs == 0
}

func (v PruneView) lead() string {
	if v.nothing() {
		return fmt.Sprintf("Nothing can go: what is here is active, held, needed, or one of the newest %d of its feed.", v.Plan.Keep)
	}
	return fmt.Sprintf("%s would be freed, with the newest %s of each feed kept. What is active, held or needed stays in any case.", units.Size(v.Plan.Bytes), units.Plural(int64(v.Plan.Keep), "generation", "generations"))
}

func (v PruneView) figures() []kit.Figure {
	p := v.Plan
	return []kit.Figure{
		{Value: units.Count(int64(len(p.Generations))), Label: "generations"},
		{Value: units.Count(int64(p.Layers)), Label: "layers"},
		{Value: units.Count(int64(p.Blobs)), Label: "blobs"},
		{Value: units.Size(p.Bytes), Label: "freed"},
		{Value: units.Size(p.Free), Label: "free now"},
	}
}

func (v PruneView) keep() kit.FieldView {
	return kit.FieldView{Name: "keep", Label: "Generations of each feed that stay", Type: "number", InputMode: "numeric", Value: fmt.Sprint(v.Plan.Keep), Hint: "Besides what is active, held or needed."}
}
