package page

import (
	"fmt"
	"slices"
	"strings"

	"sallyport/internal/units"
	"sallyport/internal/wire"
	"sallyport/ui/kit"
)

// ExportNewView is the form for new runs.
type ExportNewView struct {
	Peers    []wire.PeerStanding
	Feeds    []wire.Feed // made here
	Media    []wire.Medium
	Form     ExportForm
	Problems []kit.NoticeView
	Errors   map[string]string // by field
}

// ExportForm is what was filled in.
type ExportForm struct {
	Variant string // full, delta
	For     []string
	Feeds   []string
	To      string // a medium; "" the shelf
	Volume  string
	Clear   bool
	Empty   bool
	Anon    bool
}

func (v ExportNewView) variants() kit.FieldView {
	return kit.FieldView{Name: "variant", Label: "What", Type: "radio", Error: v.Errors["variant"], Options: []kit.Option{
		{Value: "delta", Label: "Only what changed", Hint: "A delta from where each peer stands. Peers of which nothing is known cannot take one.", Selected: v.Form.Variant == "delta"},
		{Value: "full", Label: "Everything", Hint: "A full mirror: for a new peer, or when a delta cannot be taken.", Selected: v.Form.Variant != "delta"},
	}}
}

func (v ExportNewView) peers() kit.FieldView {
	f := kit.FieldView{Name: "for", Label: "For whom", Type: "checks", Error: v.Errors["for"], Hint: "One bundle for each, encrypted for it alone."}
	for _, p := range v.Peers {
		f.Options = append(f.Options, kit.Option{Value: p.Name, Label: p.Name, Hint: standingHint(p), Selected: slices.Contains(v.Form.For, p.Name)})
	}
	return f
}

func standingHint(p wire.PeerStanding) string {
	switch {
	case len(p.Feeds) == 0:
		return "is given nothing so far"
	case p.Level == wire.PeerOK:
		return "has everything"
	case p.Delta > 0:
		return "about " + units.Size(p.Delta) + " changed, not packed"
	case p.Full > 0:
		return "about " + units.Size(p.Full) + " in full, not packed"
	case len(p.Why) > 0:
		return p.Why[0]
	}
	return ""
}

func (v ExportNewView) feeds() kit.FieldView {
	f := kit.FieldView{Name: "feed", Label: "Feeds", Type: "checks", Error: v.Errors["feed"], Hint: "None ticked means all of them."}
	for _, x := range v.Feeds {
		f.Options = append(f.Options, kit.Option{Value: x.Name, Label: x.Name, Hint: fmt.Sprintf("generation %s, %s", generation(x.Epoch, x.Generation), units.Plural(x.Records, "record", "records")), Selected: slices.Contains(v.Form.Feeds, x.Name)})
	}
	return f
}

func (v ExportNewView) targets() kit.FieldView {
	f := kit.FieldView{
		Name: "to", Label: "Where to", Type: "radio", Error: v.Errors["to"],
		Options: []kit.Option{{Value: "", Label: "The shelf of this appliance", Hint: "Download it, or write it to a stick later.", Selected: v.Form.To == ""}},
	}
	for _, m := range v.Media {
		if !writable(m) {
			continue
		}
		f.Options = append(f.Options, kit.Option{Value: m.Path, Label: MediumName(m), Hint: units.Size(m.Free) + " free", Selected: v.Form.To == m.Path})
	}
	return f
}

func (v ExportNewView) typed() kit.FieldView {
	value := v.Form.To
	for _, m := range v.Media {
		if m.Path == value {
			value = ""
		}
	}
	return kit.FieldView{Name: "path", Label: "Or a folder on this machine", Value: value, Hint: "Its whole path, when the stick is mounted elsewhere.", Mono: true}
}

func (v ExportNewView) volume() kit.FieldView {
	return kit.FieldView{Name: "volume", Label: "Largest volume", Value: v.Form.Volume, Error: v.Errors["volume"], Hint: "Like 2GiB; empty means 1 GiB. A stick with FAT takes files below 4 GiB."}
}

func (v ExportNewView) clear() kit.FieldView {
	return kit.FieldView{Name: "clear", Label: "Write it in clear", Type: "checkbox", Value: "yes", Checked: v.Form.Clear, Hint: "Whoever finds the stick can read it. It is signed all the same."}
}

func (v ExportNewView) anonymous() kit.FieldView {
	return kit.FieldView{Name: "anonymous", Label: "Do not write on the label for whom it is", Type: "checkbox", Value: "yes", Checked: v.Form.Anon, Hint: "The site finds itself by its key."}
}

func (v ExportNewView) allowEmpty() kit.FieldView {
	return kit.FieldView{Name: "empty", Label: "Make it even if it carries no record", Type: "checkbox", Value: "yes", Checked: v.Form.Empty}
}

// nothing says why nothing can be exported, "" when it can.
func (v ExportNewView) nothing() kit.EmptyView {
	switch {
	case len(v.Feeds) == 0:
		return kit.EmptyView{Title: "Nothing is made here", Text: "An export carries feeds that were loaded on this appliance. Load evidence on the host first: sallyport load --feed NAME FILE…", Action: kit.ButtonView{Label: "How to load", Href: "/help?q=load"}}
	case len(v.Peers) == 0:
		return kit.EmptyView{Title: "No peer is known", Text: "A bundle is encrypted for a peer. Take in the card of the other side first.", Action: kit.ButtonView{Label: "Add a peer", Href: "/peers/add", Kind: kit.Primary}}
	}
	return kit.EmptyView{}
}

// MediumName is how a medium is called: its label, else where it stands.
func MediumName(m wire.Medium) string {
	if m.Label != "" {
		return m.Label + " at " + m.Path
	}
	return m.Path
}

// ConfirmView is the form for six spoken words.
type ConfirmView struct {
	Peers    []string
	Peer     string
	Words    string
	Problems []kit.NoticeView
}

func (v ConfirmView) peers() kit.FieldView {
	f := kit.FieldView{Name: "peer", Label: "Who reads the words", Type: "select", Required: true}
	for _, p := range v.Peers {
		f.Options = append(f.Options, kit.Option{Value: p, Label: p, Selected: p == v.Peer})
	}
	return f
}

func (v ConfirmView) words() kit.FieldView {
	return kit.FieldView{
		Name: "words", Label: "Six words", Value: strings.TrimSpace(v.Words), Required: true, Autocomplete: "off",
		Hint: "As the site reads them: its receipt shows them. They say which bundle was activated there.",
	}
}
