package page

import (
	"net/url"
	"strings"
	"time"

	"sallyport/internal/units"
	"sallyport/internal/wire"
	"sallyport/ui/kit"
)

// QuarantineView is what was refused and kept.
type QuarantineView struct {
	Entries []wire.Quarantined // of this page
	All     int
	Pager   kit.PagerView
	Now     time.Time
}

// QuarantineHref is the page of an entry.
func QuarantineHref(number string) string { return "/quarantine/" + url.PathEscape(number) }

func (v QuarantineView) lead() string {
	if v.All == 0 {
		return "Nothing was refused. What is refused is kept here as evidence, and nothing of it is used."
	}
	return units.Plural(int64(v.All), "refused bundle is", "refused bundles are") + " kept here as evidence. Nothing of them is used."
}

func (v QuarantineView) table() kit.TableView {
	t := kit.TableView{
		ID: "quarantine", Caption: "Quarantine", CSV: "/quarantine.csv", Pager: v.Pager,
		Columns: []kit.Column{{Label: "Number"}, {Label: "Bundle"}, {Label: "It says it is from"}, {Label: "Why"}, {Label: "Size", Kind: kit.NumberColumn}, {Label: "When"}},
		Empty:   kit.EmptyView{Tone: kit.OK, Title: "Quarantine is empty"},
	}
	for _, q := range v.Entries {
		t.Rows = append(t.Rows, kit.Row{Cells: []kit.Node{
			kit.To(QuarantineHref(q.Number), q.Number), kit.Text(q.Bundle), orDash(q.From), kit.Lines(kit.Text(q.Reason), kit.Soft(q.Code)), sizeOr(q.Bytes), since(q.At, v.Now, ""),
		}})
	}
	return t
}

// QuarantinedView is one entry.
type QuarantinedView struct {
	Entry  wire.Quarantined
	Now    time.Time
	Settle bool // the person may release and remove
}

func (v QuarantinedView) lead() string {
	return "Refused, nothing was changed. Write " + v.Entry.Number + " on the stick it came on, and keep that stick."
}

func (v QuarantinedView) actions() []kit.ButtonView {
	if !v.Settle {
		return nil
	}
	href := QuarantineHref(v.Entry.Number)
	return []kit.ButtonView{{Label: "Verify it again", Href: href + "/release"}, {Label: "Remove", Href: href + "/remove", Kind: kit.Danger}}
}

func (v QuarantinedView) facts() []kit.Def {
	q := v.Entry
	return []kit.Def{
		{Term: "Why", Value: kit.Lines(kit.Text(q.Reason), kit.To("/help/codes/"+url.PathEscape(q.Code), q.Code))},
		{Term: "It says it is", Value: orDash(q.Bundle)},
		{Term: "It says it is from", Value: orDash(q.From), Explain: "What a refused bundle says of itself is proven by nothing."},
		{Term: "Signer", Value: codeOr(q.Signer)},
		{Term: "Refused", Value: since(q.At, v.Now, "")},
		{Term: "Size", Value: sizeOr(q.Bytes)},
		{Term: "Digest of its label", Value: digestOr(q.Label)},
		{Term: "Kept in", Value: kit.Code("quarantine/" + q.Dir)},
	}
}

func (v QuarantinedView) files() kit.TableView {
	t := kit.TableView{ID: "kept", Caption: "Files that were kept", Columns: []kit.Column{{Label: "File"}}, Empty: kit.EmptyView{Title: "No file was kept"}}
	for _, f := range v.Entry.Files {
		t.Rows = append(t.Rows, kit.Row{Cells: []kit.Node{kit.Code(f)}})
	}
	return t
}

func (v QuarantinedView) log() []string {
	if strings.TrimSpace(v.Entry.Log) == "" {
		return nil
	}
	return strings.Split(strings.TrimRight(v.Entry.Log, "\n"), "\n")
}

// QuarantineFacts is what an entry is, for the page before it is released or removed.
func QuarantineFacts(q wire.Quarantined, now time.Time) []kit.Def {
	return []kit.Def{
		{Term: "It says it is", Value: orDash(q.Bundle)},
		{Term: "Why it is here", Value: kit.Lines(kit.Text(q.Reason), kit.Soft(q.Code))},
		{Term: "Refused", Value: since(q.At, now, "")},
		{Term: "Size", Value: sizeOr(q.Bytes)},
	}
}
