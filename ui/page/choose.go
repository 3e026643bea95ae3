package page

import (
	"fmt"
	"strings"
	"time"

	"sallyport/internal/units"
	"sallyport/internal/wire"
	"sallyport/ui/kit"
)

// ChooseView is the first step: what is plugged in, and other ways to bring a bundle.
type ChooseView struct {
	Now      time.Time
	Site     string
	Media    wire.Media
	Recent   []wire.Job // imports and exchanges, newest first
	Path     string     // what was typed
	Uploaded *wire.Medium
	Problems []kit.NoticeView
	May      bool // import
	MayAdd   bool // a peer
}

// steps is the wizard's row at its first step.
func (v ChooseView) steps() []kit.Step {
	return []kit.Step{{Label: "Choose", State: kit.StepNow}, {Label: "Verify"}, {Label: "Plan"}, {Label: "Approve"}, {Label: "Done"}}
}

func (v ChooseView) lead() string {
	n := 0
	for _, m := range v.Media.Media {
		if m.Ours {
			n++
		}
	}
	switch {
	case n == 0:
		return "Plug in a stick, name a folder, or upload files. Nothing is changed before you have seen the plan."
	case n == 1:
		return "One stick is here. Nothing on it was opened; nothing is changed before you have seen the plan."
	}
	return fmt.Sprintf("%d sticks are here. Nothing on them was opened; nothing is changed before you have seen the plan.", n)
}

// mediumTitle names a medium.
func mediumTitle(m wire.Medium) string {
	if m.Label != "" {
		return m.Label
	}
	return m.Path
}

// mediumNote is where it is and how much room it has.
func mediumNote(m wire.Medium) string {
	var parts []string
	if m.Label != "" {
		parts = append(parts, m.Path)
	}
	if m.FSType != "" {
		parts = append(parts, m.FSType)
	}
	if m.Total > 0 {
		parts = append(parts, units.Size(m.Free)+" free")
	}
	if m.ReadOnly {
		parts = append(parts, "read-only")
	}
	return strings.Join(parts, " · ")
}

// mediumBadge is its state in a word.
func mediumBadge(m wire.Medium) kit.Node {
	switch {
	case m.ForUs > 0:
		return kit.Badge(kit.OK, units.Plural(int64(m.ForUs), "bundle for us", "bundles for us"))
	case m.State == "half-copied":
		return kit.Badge(kit.Warn, "not finished")
	case m.State == "encrypted", m.State == "unreadable", m.State == "not-mounted":
		return kit.Badge(kit.Warn, strings.ReplaceAll(m.State, "-", " "))
	case m.Ours && len(m.Strangers) > 0:
		return kit.Badge(kit.Unknown, "from somebody unknown")
	case m.Ours:
		return kit.Badge(kit.Plain, "nothing for us")
	}
	return kit.Badge(kit.Plain, "not one of ours")
}

// said is a medium's sentence without the command it names: there is a button.
func mediumSaid(m wire.Medium) string {
	s := strings.ReplaceAll(m.Sentence, " Nothing was opened: sallyport import verifies it.", " Nothing was opened yet.")
	return strings.ReplaceAll(s, " Nothing was opened: sallyport import says why.", " Nothing was opened; looking says why.")
}

// bundles are the bundles on a medium as their labels say themselves.
func (v ChooseView) bundles(m wire.Medium) kit.TableView {
	t := kit.TableView{
		Caption: "Bundles on " + mediumTitle(m),
		Columns: []kit.Column{{Label: "Bundle"}, {Label: "From"}, {Label: "For"}, {Label: "Size", Kind: kit.NumberColumn}, {Label: "Written"}},
	}
	for _, b := range m.Bundles {
		name := b.Name
		if name == "" {
			name = b.Dir
		}
		whom := strings.Join(b.For, ", ")
		if b.Problem != "" {
			t.Rows = append(t.Rows, kit.Row{Tone: kit.Warn, Cells: []kit.Node{kit.Text(name), kit.Text(b.Problem)}})
			continue
		}
		t.Rows = append(t.Rows, kit.Row{Cells: []kit.Node{kit.Text(name), orDash(b.From), orDash(whom), kit.Bytes(b.Bytes), day(b.CreatedAt)}})
	}
	return t
}

// unknown are the cards of a medium that nobody has compared yet.
func (v ChooseView) unknown(m wire.Medium) (list []kit.NeedView) {
	for _, s := range m.Strangers {
		n := kit.NeedView{
			Tone: kit.Unknown, Title: "First meeting: the card of " + s + " is on it, and this site does not know it yet",
			Why: "What it signed cannot come in before somebody has compared its nine words, by phone or from a letter.",
		}
		if v.MayAdd {
			n.Action = kit.ButtonView{Label: "Compare and add", Href: AddHref(m.Path, ""), Kind: kit.Primary}
		} else {
			n.Why += " An admin does that."
		}
		list = append(list, n)
	}
	return list
}

// recent are the last imports and exchanges, to go back to one.
func (v ChooseView) recent() kit.TableView {
	t := kit.TableView{
		ID: "recent", Caption: "Recent imports and exchanges",
		Columns: []kit.Column{{Label: "Visit"}, {Label: "State"}, {Label: "Asked by"}, {Label: "When"}},
		Empty:   kit.EmptyView{Title: "Nothing came in yet"},
	}
	for _, j := range v.Recent {
		t.Rows = append(t.Rows, kit.Row{Cells: []kit.Node{kit.To(jobHref(j), JobTitle(j)), jobBadge(j), kit.Text(j.By), since(j.CreatedAt, v.Now, "never")}})
	}
	return t
}
