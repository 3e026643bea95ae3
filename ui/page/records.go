package page

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"sallyport/internal/record"
	"sallyport/internal/units"
	"sallyport/internal/wire"
	"sallyport/ui/kit"
)

// RecordsView is a search, or the records in order.
type RecordsView struct {
	Query string // what was searched for; "" lists
	Feed  string // in this feed alone
	Kind  string // of this kind alone
	List  wire.Records
	First string // address of the first page, when this is another
	Next  string
	Note  string // which part of how many is shown
	Feeds int    // that have something active; 0: there is nothing to search in
}

// RecordHref is the page of a record of one feed.
func RecordHref(r wire.Record) string {
	parts := strings.Split(r.Key, "/")
	for i, p := range parts {
		parts[i] = url.PathEscape(p)
	}
	q := url.Values{"feed": {r.OriginName + "/" + r.Feed}}
	key := strings.Join(parts, "/")
	if strings.Contains(r.Key, "//") || strings.HasPrefix(r.Key, "/") || dotted(parts) { // a path would be cleaned on its way
		q.Set("key", r.Key)
		key = "-"
	}
	return "/records/" + url.PathEscape(r.Kind) + "/" + key + "?" + q.Encode()
}

// dotted tells whether a path has parts that a browser resolves.
func dotted(parts []string) bool {
	for _, p := range parts {
		if p == "." || p == ".." || p == "" {
			return true
		}
	}
	return false
}

func (v RecordsView) lead() string {
	n := len(v.List.Records)
	switch {
	case v.Feeds == 0:
		return "Nothing is held here yet, so there is nothing to find."
	case v.Query == "":
		return "Find a record by its id, by another name it has, or by a package. Everything shown is the active generation of its feed."
	case n == 0:
		return ""
	}
	return "Found " + units.Plural(int64(n), "record", "records") + v.more() + "."
}

func (v RecordsView) more() string {
	if v.Next != "" {
		return " on this page"
	}
	return ""
}

// address is this page with other filters.
func (v RecordsView) address(kind, feed string) string {
	q := url.Values{}
	for name, value := range map[string]string{"q": v.Query, "kind": kind, "feed": feed} {
		if value != "" {
			q.Set(name, value)
		}
	}
	if len(q) == 0 {
		return "/records"
	}
	return "/records?" + q.Encode()
}

func (v RecordsView) hidden() map[string]string {
	h := map[string]string{}
	if v.Feed != "" {
		h["feed"] = v.Feed
	}
	if v.Kind != "" {
		h["kind"] = v.Kind
	}
	return h
}

func (v RecordsView) search() kit.SearchView {
	return kit.SearchView{Action: "/records", Name: "q", Value: v.Query, Label: "Find a record", Hint: "An id like GO-2024-2687, an alias like CVE-2024-1234, or a package like golang.org/x/net", Hidden: v.hidden()}
}

func (v RecordsView) tabs() kit.TabsView {
	t := kit.TabsView{Label: "Kind of record", Pills: true, Items: []kit.Tab{{Label: "All kinds", Href: v.address("", v.Feed), Current: v.Kind == ""}}}
	for _, k := range record.Kinds() {
		t.Items = append(t.Items, kit.Tab{Label: upper(kindWord(k, 2)), Href: v.address(k, v.Feed), Current: v.Kind == k})
	}
	return t
}

func (v RecordsView) table() kit.TableView {
	t := kit.TableView{
		ID: "records", Caption: "Records", CSV: strings.Replace(v.address(v.Kind, v.Feed), "/records", "/records.csv", 1),
		Columns: []kit.Column{{Label: "Record"}, {Label: "Kind"}, {Label: "Feed"}, {Label: "Size", Kind: kit.NumberColumn}, {Label: "Name"}},
		Pager:   kit.PagerView{First: v.First, Next: v.Next, Note: v.Note},
		Empty:   v.empty(),
	}
	for _, r := range v.List.Records {
		t.Rows = append(t.Rows, kit.Row{Cells: []kit.Node{
			kit.To(RecordHref(r), r.Key), kit.Text(kindWord(r.Kind, 1)), kit.To(FeedHref(r.OriginName, r.Feed), r.OriginName+"/"+r.Feed),
			kit.Bytes(r.Bytes), foundBy(r, v.Query),
		}})
	}
	return t
}

// foundBy is the name of a record's file, or what it was found by when that is not its key.
func foundBy(r wire.Record, query string) kit.Node {
	if r.Name != "" {
		return kit.Text(r.Name)
	}
	if query == "" || strings.EqualFold(r.Key, query) {
		return dash()
	}
	return kit.Soft("by " + query)
}

func (v RecordsView) empty() kit.EmptyView {
	switch {
	case v.Feeds == 0:
		return kit.EmptyView{Title: "No feed has records yet", Text: "Import a stick, or load evidence of your own.", Action: kit.ButtonView{Label: "Import", Href: "/import", Kind: kit.Primary}}
	case v.Query != "":
		return kit.EmptyView{
			Tone: kit.Unknown, Title: "Nothing found for " + v.Query,
			Text: "No active record has this id, alias or package. That says nothing about what no feed here covers.", Action: kit.ButtonView{Label: "See the feeds", Href: "/feeds"},
		}
	case v.Kind != "" || v.Feed != "":
		return kit.EmptyView{Tone: kit.Unknown, Title: "No such record", Text: "No active record is of this kind in this feed.", Action: kit.ButtonView{Label: "All records", Href: "/records"}}
	}
	return kit.EmptyView{Title: "No record is active"}
}

// RecordView is one record.
type RecordView struct {
	Record wire.Record
	About  RecordAbout
	Text   string // what is shown of its bytes
	Cut    bool   // there are more than are shown
	Binary bool   // the bytes are not text
	Now    time.Time
	Proof  *wire.Proof
}

func (v RecordView) address(more string) string { return RecordHref(v.Record) + more }

func (v RecordView) facts() []kit.Def {
	r := v.Record
	list := []kit.Def{
		{Term: "Feed", Value: kit.Join(kit.To(FeedHref(r.OriginName, r.Feed), r.OriginName+"/"+r.Feed), kit.Soft(fmt.Sprintf("generation %d", r.Generation)))},
		{Term: "Origin", Value: kit.Join(kit.Text(r.OriginName), kit.Code(r.Origin))},
		{Term: "Digest", Value: kit.Digest(r.Digest)},
		{Term: "Size", Value: kit.Bytes(r.Bytes)},
	}
	if r.Name != "" {
		list = append(list, kit.Def{Term: "File", Value: kit.Text(r.Name)})
	}
	if r.MediaType != "" {
		list = append(list, kit.Def{Term: "Media type", Value: kit.Code(r.MediaType)})
	}
	return list
}

func (v RecordView) aboutFacts() (list []kit.Def) {
	a := v.About
	add := func(term string, n kit.Node, there bool) {
		if there {
			list = append(list, kit.Def{Term: term, Value: n})
		}
	}
	aliases := make([]kit.Node, 0, len(a.Aliases))
	for _, x := range a.Aliases {
		aliases = append(aliases, kit.To("/records?q="+url.QueryEscape(x), x))
	}
	add("Also known as", kit.Join(aliases...), len(aliases) > 0)
	add("Severity", kit.Text(a.Severity), a.Severity != "")
	add("Published", since(a.Published, v.Now, a.Published), a.Published != "")
	add("Modified", since(a.Modified, v.Now, a.Modified), a.Modified != "")
	add("Withdrawn", kit.Join(kit.Badge(kit.Warn, "withdrawn"), since(a.Withdrawn, v.Now, a.Withdrawn)), a.Withdrawn != "")
	refs := make([]kit.Node, 0, len(a.References))
	for _, x := range a.References {
		refs = append(refs, kit.Code(x)) // an address outside: text, never a link
	}
	add("References", kit.Lines(refs...), len(refs) > 0)
	return list
}

func (v RecordView) packages() kit.TableView {
	t := kit.TableView{
		ID: "packages", Caption: "Packages it speaks of",
		Columns: []kit.Column{{Label: "Package"}, {Label: "Ecosystem"}, {Label: "Affected versions"}},
	}
	for _, p := range v.About.Packages {
		t.Rows = append(t.Rows, kit.Row{Cells: []kit.Node{kit.To("/records?q="+url.QueryEscape(p.Name), p.Name), kit.Text(p.Ecosystem), orDash(p.Versions)}})
	}
	return t
}

func (v RecordView) title() string {
	if v.About.Summary != "" {
		return v.Record.Key + ": " + v.About.Summary
	}
	return v.Record.Key
}

func (v RecordView) packagesNote() string {
	if v.About.MorePackages > 0 {
		return "the first " + units.Count(int64(len(v.About.Packages))) + " of " + units.Count(int64(len(v.About.Packages)+v.About.MorePackages))
	}
	return ""
}
