package page

import (
	"fmt"
	"strings"
	"time"

	"sallyport/internal/units"
	"sallyport/internal/wire"
	"sallyport/ui/kit"
)

// SheetView is the receipt of a visit on paper.
type SheetView struct {
	Site, Appliance string
	Now             time.Time
	Path            string
	By              string
	Approvers       []string
	Crossings       []Crossing
	Back            string
}

// Crossing is one bundle that came in, with the receipt it got.
type Crossing struct {
	Outcome wire.Outcome
	Receipt wire.Receipt
}

// qr is what the picture says: number, digest and signer, for whoever compares it elsewhere.
func (v SheetView) qr() string {
	var parts []string
	for _, c := range v.Crossings {
		parts = append(parts, fmt.Sprintf("%s %s %s", c.Receipt.Number, c.Receipt.BundleID, c.Receipt.Digest))
	}
	return "sallyport receipt " + v.Appliance + "\n" + strings.Join(parts, "\n")
}

// facts are the lines of one crossing.
func (v SheetView) facts(c Crossing) []kit.Def {
	p := c.Outcome.Plan
	var added, changed, removed int64
	for _, f := range p.Feeds {
		added, changed, removed = added+f.Added, changed+f.Changed, removed+f.Removed
	}
	list := []kit.Def{
		{Term: "Bundle", Value: kit.Strong(c.Receipt.Bundle)},
		{Term: "From", Value: kit.Text(c.Receipt.Peer)},
		{Term: "Signed by", Value: kit.Words(p.Signer)},
		{Term: "Became", Value: DecisionBadge(c.Receipt.Decision, "")},
		{Term: "Records", Value: kit.Text(fmt.Sprintf("%s added, %s changed, %s removed", units.Count(added), units.Count(changed), units.Count(removed)))},
		{Term: "Bundle id", Value: kit.Code(c.Receipt.BundleID)},
		{Term: "Receipt digest", Value: kit.Code(c.Receipt.Digest)},
		{Term: "At", Value: kit.Text(c.Receipt.At + ", trusted time")},
	}
	if c.Receipt.Spoken != "" {
		list = append(list, kit.Def{Term: "By phone", Value: kit.Words(c.Receipt.Spoken), Explain: "six words that confirm it where no paper may leave"})
	}
	return list
}

func (v SheetView) title() string {
	var numbers []string
	for _, c := range v.Crossings {
		numbers = append(numbers, c.Receipt.Number)
	}
	return "Receipt " + joined(numbers)
}

func (v SheetView) subtitle() string {
	s := v.Site + ", from " + v.Path + ", taken in by " + v.By
	if len(v.Approvers) > 0 {
		s += "; approved by " + joined(v.Approvers)
	}
	return s
}
