package console

import (
	"net/url"
	"strconv"

	"sallyport/internal/code"
	"sallyport/internal/wire"
	"sallyport/ui/page"
)

// recordsOf asks for what a page of records shows: a search, or the records in order.
func recordsOf(c *Ctx, limit int) (wire.Records, error) {
	q := wire.RecordRequest{Query: c.query("q"), Feed: c.query("feed"), Kind: c.query("kind"), After: c.query("after"), Limit: limit}
	if q.Query == "" {
		return ask[wire.Records](c, "records/list", q)
	}
	return ask[wire.Records](c, "records/search", q)
}

func recordsPage(_ *Console, c *Ctx) (Page, error) {
	v := page.RecordsView{Query: c.query("q"), Feed: c.query("feed"), Kind: c.query("kind")}
	f, err := ask[wire.Feeds](c, "feeds/list", wire.FeedRequest{})
	if err != nil {
		return Page{}, err
	}
	for _, x := range f.Feeds {
		if x.Generation > 0 {
			v.Feeds++
		}
	}
	if v.Query == "" {
		v.List, err = recordsOf(c, perPage)
		v.Next = v.List.Next
	} else {
		err = searched(c, &v)
	}
	if err != nil {
		return Page{}, err
	}
	if v.Next != "" {
		v.Next = recordsHref(c, "after", v.Next)
	}
	if c.query("after") != "" {
		v.First = recordsHref(c, "", "")
	}
	return Page{Title: "Records", Body: page.Records(v)}, nil
}

// searched fills one page of a search. What it finds has no order of its own that a cursor could name, so the cursor is how
// many were shown before.
func searched(c *Ctx, v *page.RecordsView) error {
	from, err := strconv.Atoi(c.query("after"))
	if err != nil || from < 0 || from >= maxFound {
		from = 0
	}
	q := wire.RecordRequest{Query: v.Query, Feed: v.Feed, Kind: v.Kind, Limit: min(from+perPage+1, maxFound)}
	if v.List, err = ask[wire.Records](c, "records/search", q); err != nil {
		return err
	}
	all := v.List.Records
	if len(all) > from+perPage {
		v.Next = strconv.Itoa(from + perPage)
	}
	v.List.Records = all[min(from, len(all)):min(from+perPage, len(all))]
	if from+perPage >= maxFound {
		v.Next, v.Note = "", "more than that is not looked for: be more exact"
	}
	return nil
}

// maxFound is how many records a search goes through at most.
const maxFound = 1000

// recordsHref is this page with another cursor.
func recordsHref(c *Ctx, name, value string) string {
	q := url.Values{}
	for _, k := range []string{"q", "feed", "kind"} {
		if v := c.query(k); v != "" {
			q.Set(k, v)
		}
	}
	if name != "" {
		q.Set(name, value)
	}
	if len(q) == 0 {
		return "/records"
	}
	return "/records?" + q.Encode()
}

// recordsCSV is what the page would show, with as many rows as one answer has.
func recordsCSV(_ *Console, c *Ctx) (Page, error) {
	list, err := recordsOf(c, maxFound)
	if err != nil {
		return Page{}, err
	}
	return c.csv("records", list)
}

func recordPage(_ *Console, c *Ctx) (Page, error) {
	key := c.path("key")
	if c.R.URL.Query().Has("key") { // keys that a path cannot carry
		key = c.R.URL.Query().Get("key")
	}
	proof := c.query("proof") != ""
	r, err := ask[wire.Record](c, "records/show", wire.RecordRequest{Kind: c.path("kind"), Key: key, Feed: c.query("feed"), Proof: proof})
	if code.Of(err) == code.Ambiguous {
		return ambiguousPage(c, key)
	}
	if err != nil {
		return Page{}, err
	}
	if c.query("raw") != "" {
		c.W.Header().Set("Content-Type", "application/octet-stream")
		return c.download(fileName(r), r.Body)
	}
	v := page.RecordView{Record: r, Now: c.now(), Proof: r.Proof}
	if proof {
		return Page{Title: "Proof of " + r.Key, Body: page.Proof(v)}, nil
	}
	v.About = page.AboutRecord(r.Kind, r.Body)
	v.Text, v.Cut, v.Binary = page.RecordText(r.Body)
	return Page{Title: r.Key, Body: page.Record(v)}, nil
}

// ambiguousPage lists the records that one name means.
func ambiguousPage(c *Ctx, key string) (Page, error) {
	list, err := ask[wire.Records](c, "records/search", wire.RecordRequest{Query: key, Limit: perPage})
	if err != nil {
		return Page{}, err
	}
	return Page{Title: "Records", Body: page.Records(page.RecordsView{Query: key, List: list, Feeds: 1})}, nil
}

// fileName is what a record's bytes are called when they are taken away.
func fileName(r wire.Record) string {
	switch {
	case r.Name != "":
		return r.Name
	case r.Document:
		return r.Key
	}
	return r.Key + ".json"
}
