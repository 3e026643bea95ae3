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

// ReceiptsView is a page of the receipts that were given out, newest first.
type ReceiptsView struct {
	List  wire.Receipts
	First bool
	Now   time.Time
}

// ReceiptHref is the page of a receipt.
func ReceiptHref(number string) string { return "/receipts/" + url.PathEscape(number) }

func (v ReceiptsView) table() kit.TableView {
	t := kit.TableView{
		ID: "receipts", Caption: "Receipts, newest first", CSV: "/receipts.csv",
		Columns: []kit.Column{{Label: "Receipt"}, {Label: "For"}, {Label: "Bundle"}, {Label: "What became of it"}, {Label: "When"}, {Label: "Acknowledged"}},
		Empty:   kit.EmptyView{Title: "No receipt yet", Text: "Each bundle that is taken in gets a signed answer. It goes back on the next stick."},
	}
	for _, r := range v.List.Receipts {
		t.Rows = append(t.Rows, kit.Row{Cells: []kit.Node{
			kit.To(ReceiptHref(r.Number), r.Number), kit.Text(r.Peer), kit.Text(r.Bundle), decisionBadge(r.Decision), since(r.At, v.Now, ""), since(r.AckedAt, v.Now, "not yet"),
		}})
	}
	if !v.First {
		t.Pager.First = "/receipts"
	}
	if v.List.Next > 0 {
		t.Pager.Next = fmt.Sprintf("/receipts?before=%d", v.List.Next)
	}
	return t
}

func decisionBadge(decision string) kit.Node {
	switch decision {
	case "activated", "already-active":
		return kit.Badge(kit.OK, decisionWords(decision))
	case "held", "already-held", "parked":
		return kit.Badge(kit.Unknown, decisionWords(decision))
	}
	return kit.Badge(kit.Bad, decisionWords(decision))
}

// ReceiptFeed is what a receipt says of one feed.
type ReceiptFeed struct {
	Feed, StateRoot      string
	Epoch, Before, After int64
}

// ReceiptView is one receipt, and what its signed document says.
type ReceiptView struct {
	Receipt   wire.Receipt
	Site      string // who signed it: this appliance
	Signer    string // key id
	Feeds     []ReceiptFeed
	Approvals int64
	Roles     []string
	Medium    string // label and serial of the stick it came on; foreign text
	Time      string // where the time came from
	Verifier  string
	Now       time.Time
}

func (v ReceiptView) lead() string {
	r := v.Receipt
	return fmt.Sprintf("%s for %s: %s was %s.", r.Number, r.Peer, r.Bundle, decisionWords(r.Decision))
}

func (v ReceiptView) facts() []kit.Def {
	r := v.Receipt
	people := units.Plural(v.Approvals, "person", "people")
	if len(v.Roles) > 0 {
		people += " (" + strings.Join(v.Roles, ", ") + ")"
	}
	return []kit.Def{
		{Term: "Bundle", Value: kit.Text(r.Bundle)},
		{Term: "What became of it", Value: decisionBadge(r.Decision)},
		{Term: "When", Value: kit.Join(kit.Text(instant(r.At).Format("2 Jan 2006 15:04Z")), kit.Soft(timeSource(v.Time)))},
		{Term: "Said yes", Value: kit.Text(people)},
		{Term: "Came on", Value: orDash(v.Medium)},
		{Term: "Bundle id", Value: digestOr(r.BundleID)},
		{Term: "Label id", Value: digestOr(r.LabelID)},
		{Term: "Digest of this receipt", Value: digestOr(r.Digest)},
		{Term: "Signed by", Value: kit.Join(kit.Text(v.Site), codeOr(v.Signer))},
		{Term: "Checked with", Value: orDash(v.Verifier)},
	}
}

// timeSource says where a time came from.
func timeSource(source string) string {
	switch source {
	case "anchor":
		return "by a signed anchor"
	case "operator":
		return "by the word of two people"
	case "build":
		return "no later than this: nobody has told the time yet"
	}
	return source
}

func (v ReceiptView) spoken() bool { return v.Receipt.Spoken != "" }

func (v ReceiptView) feeds() kit.TableView {
	t := kit.TableView{
		ID: "answered", Caption: "What it says of each feed", Columns: []kit.Column{{Label: "Feed"}, {Label: "Generation"}, {Label: "State root"}},
		Empty: kit.EmptyView{Title: "It speaks of no feed"},
	}
	for _, f := range v.Feeds {
		t.Rows = append(t.Rows, kit.Row{Cells: []kit.Node{kit.Text(f.Feed), kit.Text(generation(f.Epoch, f.Before) + " → " + generation(f.Epoch, f.After)), digestOr(f.StateRoot)}})
	}
	return t
}

// code is what the picture on the printed sheet says: id, digest and signer.
func (v ReceiptView) code() string {
	return strings.Join([]string{"sallyport receipt " + v.Receipt.Number, v.Receipt.Digest, v.Signer, v.Receipt.BundleID}, "\n")
}

func (v ReceiptView) sheet() kit.SheetView {
	return kit.SheetView{
		Title: "Receipt " + v.Receipt.Number, Subtitle: v.Site + " to " + v.Receipt.Peer, QR: v.code(), QRLabel: "Number, digest, signer and bundle id",
		Foot: "The signed receipt itself goes back on a stick. This sheet says what it says, for people.",
	}
}
