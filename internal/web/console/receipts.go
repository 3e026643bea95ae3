package console

import (
	"math"
	"strconv"
	"strings"

	"sallyport/internal/attest"
	"sallyport/internal/bundle"
	"sallyport/internal/code"
	"sallyport/internal/wire"
	"sallyport/ui/page"
)

// receiptsOf asks for one page of receipts, the newest when the address names none.
func receiptsOf(c *Ctx, limit int) (wire.Receipts, error) {
	before, err := strconv.ParseInt(c.query("before"), 10, 64)
	if err != nil || before < 1 {
		before = math.MaxInt64
	}
	return ask[wire.Receipts](c, "receipts/list", wire.ReceiptRequest{Before: before, Limit: limit})
}

func receiptsPage(_ *Console, c *Ctx) (Page, error) {
	list, err := receiptsOf(c, perPage)
	if err != nil {
		return Page{}, err
	}
	return Page{Title: "Receipts", Body: page.Receipts(page.ReceiptsView{List: list, First: c.query("before") == "", Now: c.now()})}, nil
}

func receiptsCSV(_ *Console, c *Ctx) (Page, error) {
	list, err := receiptsOf(c, maxRows)
	if err != nil {
		return Page{}, err
	}
	return c.csv("receipts", list)
}

func receiptPage(con *Console, c *Ctx) (Page, error) {
	v, err := receiptView(con, c)
	if err != nil {
		return Page{}, err
	}
	return Page{Title: "Receipt " + v.Receipt.Number, Body: page.Receipt(v)}, nil
}

func receiptSheet(con *Console, c *Ctx) (Page, error) {
	v, err := receiptView(con, c)
	if err != nil {
		return Page{}, err
	}
	return Page{Title: "Receipt " + v.Receipt.Number, Sheet: true, Body: page.ReceiptSheet(v)}, nil
}

// receiptView takes apart the document that we signed ourselves.
func receiptView(con *Console, c *Ctx) (page.ReceiptView, error) {
	r, err := ask[wire.Receipt](c, "receipts/show", wire.ReceiptRequest{Number: c.path("n")})
	if err != nil {
		return page.ReceiptView{}, err
	}
	v := page.ReceiptView{Receipt: r, Site: con.Site.Name, Now: c.now()}
	claim, err := attest.Inspect(r.Envelope)
	if err != nil {
		return v, code.Wrap(code.StateCorrupt, err, "receipt %s", r.Number)
	}
	doc, err := bundle.ParseReceipt(claim.Payload)
	if err != nil {
		return v, code.Wrap(code.StateCorrupt, err, "receipt %s", r.Number)
	}
	if len(claim.KeyIDs) > 0 {
		v.Signer = claim.KeyIDs[0]
	}
	for _, f := range doc.Feeds {
		v.Feeds = append(v.Feeds, page.ReceiptFeed{Feed: f.Feed, StateRoot: f.StateRoot.String(), Epoch: f.Epoch, Before: f.Before, After: f.After})
	}
	v.Approvals, v.Roles, v.Time, v.Verifier = doc.Approvals.Count, doc.Approvals.Roles, doc.TimeSource, doc.Verifier
	v.Medium = strings.TrimSpace(doc.Medium.Label + " " + doc.Medium.Serial)
	return v, nil
}
