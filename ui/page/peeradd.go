package page

import (
	"strings"

	"sallyport/internal/wire"
	"sallyport/ui/kit"
)

// PeerAddView is the first meeting with an appliance: its words against ours.
type PeerAddView struct {
	Path      string
	Job       string   // the visit to go on with; "" for none
	Names     []string // cards on the medium, where there are several and none is chosen
	Question  *wire.Question
	Own       wire.Card
	Tenants   []string // ours
	Typed     string   // what was typed
	Problems  []kit.NoticeView
	MediaSeen wire.Media // to choose from, while no medium is named
}

func (v PeerAddView) lead() string {
	if v.Question == nil {
		return "Two appliances meet once, by a person who compares nine words. From then on each knows the other's signature."
	}
	return v.Question.Sentence
}

// theirs are the facts of the card, as it says itself.
func (v PeerAddView) theirs() []kit.Def {
	c := v.Question.Card
	return []kit.Def{
		{Term: "Name", Value: kit.Strong(c.Name)},
		{Term: "Owner", Value: kit.Text(strings.Join(c.Tenants, ", "))},
		{Term: "Fingerprint", Value: kit.Digest(c.Fingerprint)},
		{Term: "Card", Value: kit.Join(kit.Text("number "+numbers([]int64{c.Counter})), kit.Soft("of"), day(c.IssuedAt))},
	}
}

func (v PeerAddView) sticks() (list []wire.Medium) {
	for _, m := range v.MediaSeen.Media {
		if len(m.Strangers) > 0 {
			list = append(list, m)
		}
	}
	return list
}

// options are our tenants to bind it to.
func (v PeerAddView) options(list []string) (out []kit.Option) {
	for _, t := range list {
		out = append(out, kit.Option{Value: t, Label: t})
	}
	return out
}

// joined names several things in a sentence.
func joined(list []string) string {
	if len(list) < 2 {
		return strings.Join(list, "")
	}
	return strings.Join(list[:len(list)-1], ", ") + " and " + list[len(list)-1]
}
