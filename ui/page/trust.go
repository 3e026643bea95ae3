package page

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"sallyport/internal/units"
	"sallyport/internal/wire"
	"sallyport/ui/kit"
)

// TrustView is whom this appliance believes: itself first, then its peers.
type TrustView struct {
	Appliances []wire.TrustView
	Now        time.Time
	Propose    bool // the person may propose changes of keys and trust
	Media      []wire.Medium
}

// TrustOneView is the trust root of one appliance and its keys.
type TrustOneView struct {
	Root    wire.TrustView
	Now     time.Time
	Propose bool
}

// TrustHref is the page of one trust root.
func TrustHref(name string) string { return "/trust/" + url.PathEscape(name) }

func (v TrustView) lead() string {
	peers := 0
	var warn []string
	for _, a := range v.Appliances {
		if !a.Own {
			peers++
		}
		if a.Warning != "" {
			warn = append(warn, a.Name)
		}
	}
	s := "This appliance believes itself and " + units.Plural(int64(peers), "peer", "peers") + "."
	if peers == 0 {
		s = "This appliance believes nobody but itself yet."
	}
	if len(warn) > 0 {
		s += " Look at " + strings.Join(warn, ", ") + "."
	}
	return s
}

func (v TrustView) actions() []kit.ButtonView {
	if !v.Propose {
		return nil
	}
	return []kit.ButtonView{{Label: "Changes on a stick", Href: "/trust/plan"}}
}

func (v TrustView) table() kit.TableView {
	t := kit.TableView{
		ID: "roots", Caption: "Trust roots", CSV: "/trust.csv",
		Columns: []kit.Column{{Label: "Appliance"}, {Label: "Version", Kind: kit.NumberColumn}, {Label: "Valid until"}, {Label: "Keys", Kind: kit.NumberColumn}, {Label: "How it is trusted"}, {Label: "State"}},
		Empty:   kit.EmptyView{Tone: kit.Unknown, Title: "No trust root can be read"},
	}
	for _, a := range v.Appliances {
		how := kit.Text("this appliance")
		if !a.Own {
			how = kit.Text(trustedHow(a.How))
		}
		t.Rows = append(t.Rows, kit.Row{Cells: []kit.Node{
			kit.To(TrustHref(a.Name), a.Name), kit.Count(a.Version), day(a.NotAfter), kit.Count(int64(len(a.Keys))), how, rootState(a, v.Now),
		}})
	}
	return t
}

// soonDays is how many days before its end a trust root is warned of.
const soonDays = 60

func rootState(a wire.TrustView, now time.Time) kit.Node {
	end := instant(a.NotAfter)
	switch {
	case !end.IsZero() && !end.After(now):
		return kit.Badge(kit.Bad, "expired")
	case a.Warning != "":
		return kit.Badge(kit.Bad, "look at this")
	case !a.Own && a.How == "not compared":
		return kit.Badge(kit.Warn, "never compared")
	case !end.IsZero() && end.Sub(now) < soonDays*24*time.Hour:
		return kit.Badge(kit.Warn, "ends soon")
	case end.IsZero():
		return kit.Badge(kit.Unknown, "unknown")
	}
	return kit.Badge(kit.OK, "valid")
}

func (v TrustOneView) title() string {
	if v.Root.Own {
		return "Own trust root"
	}
	return "Trust root of " + v.Root.Name
}

func (v TrustOneView) actions() (list []kit.ButtonView) {
	if v.Root.Own && v.Propose {
		list = append(list, kit.ButtonView{Label: "Rotate a key", Href: "/trust/keys/rotate"}, kit.ButtonView{Label: "Renew the root", Href: "/trust/keys/renew"})
	}
	if !v.Root.Own {
		list = append(list, kit.ButtonView{Label: "The peer", Href: PeerHref(v.Root.Name)})
	}
	return list
}

func (v TrustOneView) needs() (list []kit.NeedView) {
	if v.Root.Warning != "" {
		n := kit.NeedView{Tone: kit.Bad, Title: v.Root.Warning}
		if v.Propose && !v.Root.Own {
			n.Action = kit.ButtonView{Label: "Changes on a stick", Href: "/trust/plan"}
		}
		list = append(list, n)
	}
	end := instant(v.Root.NotAfter)
	if v.Root.Own && v.Root.Warning == "" && !end.IsZero() && end.Sub(v.Now) < soonDays*24*time.Hour {
		n := kit.NeedView{Tone: kit.Warn, Title: "This trust root ends on " + end.Format("2 Jan 2006"), Why: "After that the others take in nothing new of this appliance. Renewing it reaches them with the next stick."}
		if v.Propose {
			n.Action = kit.ButtonView{Label: "Renew the root", Href: "/trust/keys/renew"}
		}
		list = append(list, n)
	}
	if !v.Root.Own && v.Root.How == "not compared" {
		list = append(list, kit.NeedView{Tone: kit.Warn, Title: "Its fingerprint was never compared", Why: "Read these nine words to the other side and hear theirs. A wrong word means: stop, keep the stick."})
	}
	return list
}

func (v TrustOneView) facts() []kit.Def {
	a := v.Root
	list := []kit.Def{
		{Term: "Fingerprint in nine words", Value: kit.Words(a.Words), Explain: "The fingerprint must come from somewhere else than a stick: your letter, your contract, a phone call."},
		{Term: "Fingerprint", Value: kit.Digest(a.Fingerprint)},
		{Term: "Version", Value: kit.Count(a.Version)},
		{Term: "Highest ever accepted", Value: kit.Count(a.Mark), Explain: "Never goes back."},
		{Term: "Valid until", Value: day(a.NotAfter)},
		{Term: "Appliance id", Value: kit.Code(a.ID)},
	}
	if !a.Own {
		list = append(list, kit.Def{Term: "Trusted", Value: kit.Join(kit.Text(trustedHow(a.How)), kit.Soft("by "+orNone(a.By)), since(a.At, v.Now, ""))},
			kit.Def{Term: "Encrypted to", Value: recipient(a.Recipient)})
	}
	return list
}

func (v TrustOneView) keys() kit.TableView {
	t := kit.TableView{
		ID: "keys", Caption: "Keys", Columns: []kit.Column{{Label: "Key"}, {Label: "Id"}, {Label: "Speaks for"}, {Label: "Ends"}, {Label: "State"}},
		Empty: kit.EmptyView{Tone: kit.Unknown, Title: "No key is named"},
	}
	if v.Root.Own {
		t.Columns = append(t.Columns, kit.Column{Label: "Private half"})
	}
	change := v.Root.Own && v.Propose
	if change {
		t.Columns = append(t.Columns, kit.Column{Label: "Actions", Kind: kit.ActionColumn})
	}
	for _, k := range v.Root.Keys {
		id := kit.Code(k.KeyID)
		if k.Words != "" {
			id = kit.Lines(id, kit.Words(k.Words))
		}
		row := kit.Row{Cells: []kit.Node{kit.Strong(keyWord(k.Kind)), id, orDash(strings.Join(k.Tenants, ", ")), day(k.NotAfter), keyState(k.State)}}
		if v.Root.Own {
			here := kit.Soft("elsewhere")
			if k.Here {
				here = kit.Text("here")
			}
			row.Cells = append(row.Cells, here)
		}
		if change {
			var verb kit.Node = kit.Text("")
			if k.Kind != "age" && k.Kind != "root" && k.State != "revoked" {
				verb = kit.Button(kit.ButtonView{Label: "Revoke", Href: "/trust/keys/revoke?key=" + url.QueryEscape(k.KeyID), Context: " the " + keyWord(k.Kind)})
			}
			row.Cells = append(row.Cells, verb)
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

func keyState(state string) kit.Node {
	switch state {
	case "valid", "in use":
		return kit.Badge(kit.OK, state)
	case "previous":
		return kit.Badge(kit.Plain, "previous")
	case "revoked":
		return kit.Badge(kit.Bad, "revoked")
	case "expired":
		return kit.Badge(kit.Warn, "expired")
	}
	return kit.Badge(kit.Unknown, orNone(state))
}

// TrustPlanView is what a medium would change in whom we believe, before anything is changed.
type TrustPlanView struct {
	Path     string
	Media    []wire.Medium
	Result   *wire.TrustResult // nil: not looked yet
	Problems []kit.NoticeView
	Now      time.Time
	Apply    bool // the person may propose or agree
	Reason   string
}

func (v TrustPlanView) media() kit.FieldView {
	f := kit.FieldView{Name: "path", Label: "Stick", Type: "radio"}
	for _, m := range v.Media {
		if m.Ours {
			f.Options = append(f.Options, kit.Option{Value: m.Path, Label: MediumName(m), Hint: m.Sentence, Selected: m.Path == v.Path || v.Path == "" && len(f.Options) == 0})
		}
	}
	return f
}

func (v TrustPlanView) typed() kit.FieldView {
	return kit.FieldView{Name: "folder", Label: "Or a folder on this machine", Value: v.folder(), Hint: "Its whole path.", Mono: true}
}

// folder is the path when it is none of the sticks that are seen.
func (v TrustPlanView) folder() string {
	for _, m := range v.Media {
		if m.Path == v.Path {
			return ""
		}
	}
	return v.Path
}

// changed are the plans that would change something.
func (v TrustPlanView) changed() (list []wire.TrustPlan) {
	if v.Result == nil {
		return nil
	}
	for _, p := range v.Result.Plans {
		if len(p.Changes) > 0 || p.Code != "" {
			list = append(list, p)
		}
	}
	return list
}

func trustFigures(p wire.TrustPlan) []kit.Change {
	return []kit.Change{{Label: "Version of the trust root", Old: kit.Count(p.From), New: kit.Count(p.To)}}
}

func trustNeed(p wire.TrustPlan) string {
	switch {
	case p.Applied:
		return "Applied."
	case p.Code != "":
		return "cannot be applied"
	case p.Need <= 1:
		return "One person decides this."
	case len(p.People) == 0:
		return fmt.Sprintf("%d people must agree. Nobody has yet.", p.Need)
	}
	return fmt.Sprintf("%d people must agree; %s did. It expires unless the other does too.", p.Need, strings.Join(p.People, ", "))
}

// KeyPlanView is a proposed change of our own keys.
type KeyPlanView struct{ Plan wire.KeyPlan }

func keyChanges(p wire.KeyPlan) []kit.Change {
	list := []kit.Change{{Label: "Version of the trust root", Old: kit.Count(p.From), New: kit.Count(p.To)}}
	if p.Old != "" || p.New != "" {
		list = append(list, kit.Change{Label: upper(keyWord(p.Kind)), Old: codeOr(p.Old), New: codeOr(p.New)})
	}
	return list
}

func codeOr(s string) kit.Node {
	if s == "" {
		return kit.Soft("none")
	}
	return kit.Code(s)
}

func trustReason(p wire.TrustPlan) kit.FieldView {
	f := ReasonField("", "")
	f.ID = "reason-" + p.Digest
	return f
}

func trustButton(p wire.TrustPlan) kit.ButtonView {
	if len(p.People) == 0 {
		return kit.ButtonView{Label: "Propose this change", Kind: kit.Primary}
	}
	return kit.ButtonView{Label: "Agree and apply", Kind: kit.Primary}
}

// KeyKinds asks which of our keys is rotated.
func KeyKinds(kind string) kit.FieldView {
	f := kit.FieldView{Name: "kind", Label: "Which key", Type: "radio", Required: true}
	for _, k := range [][3]string{
		{"bundle", "Bundle key", "Signs manifests and labels: what other sites verify."},
		{"appliance", "Appliance key", "Signs cards, receipts, inventories and checkpoints."},
		{"age", "Age identity", "Opens what is encrypted for this appliance. The old one is kept for reading."},
	} {
		f.Options = append(f.Options, kit.Option{Value: k[0], Label: k[1], Hint: k[2], Selected: k[0] == kind || kind == "" && k[0] == "bundle"})
	}
	return f
}

// KeyChoice asks which of our keys is revoked.
func KeyChoice(keys []wire.KeyRow, id string) kit.FieldView {
	f := kit.FieldView{Name: "key", Label: "Which key", Type: "radio", Required: true}
	for _, k := range keys {
		if k.Kind == "age" || k.Kind == "root" || k.Kind == "pack" || k.State == "revoked" {
			continue
		}
		hint := k.KeyID
		if k.Words != "" {
			hint += " · " + k.Words
		}
		f.Options = append(f.Options, kit.Option{Value: k.KeyID, Label: upper(keyWord(k.Kind)) + ", " + k.State, Hint: hint, Selected: k.KeyID == id})
	}
	return f
}
