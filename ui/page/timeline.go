package page

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"sallyport/internal/units"
	"sallyport/internal/wire"
	"sallyport/ui/kit"
)

// TimelineView is a page of the history, newest first.
type TimelineView struct {
	List  wire.Timeline
	Type  string
	Text  string
	Types []string
	First bool // this is the newest page
	Now   time.Time
}

func (v TimelineView) lead() string {
	return "Every change of state here is one event in this log, written with the change itself. " + units.Plural(int64(v.List.Size), "event", "events") + " so far."
}

func (v TimelineView) address(path string, before uint64) string {
	q := url.Values{}
	if v.Type != "" {
		q.Set("type", v.Type)
	}
	if v.Text != "" {
		q.Set("q", v.Text)
	}
	if before > 0 {
		q.Set("before", strconv.FormatUint(before, 10))
	}
	if len(q) == 0 {
		return path
	}
	return path + "?" + q.Encode()
}

func (v TimelineView) types() kit.FieldView {
	f := kit.FieldView{Name: "type", Label: "Type of event", Type: "select", Hint: "What kind of change it was.", Options: []kit.Option{{Value: "", Label: "All types", Selected: v.Type == ""}}}
	for _, t := range v.Types {
		f.Options = append(f.Options, kit.Option{Value: t, Label: t, Selected: t == v.Type})
	}
	return f
}

func (v TimelineView) text() kit.FieldView {
	return kit.FieldView{Name: "q", Label: "With this text", Type: "search", Value: v.Text, Hint: "In who, what or its details."}
}

func (v TimelineView) table() kit.TableView {
	t := kit.TableView{
		ID: "events", Caption: "Events, newest first", CSV: v.address("/timeline.csv", 0),
		Columns: []kit.Column{{Label: "Event"}, {Label: "When"}, {Label: "Who"}, {Label: "About"}, {Label: "Details"}},
		Empty:   kit.EmptyView{Title: "No such event on this page", Text: "Nothing here matches the filter."},
	}
	for _, e := range slices.Backward(v.List.Events) {
		name := kit.Join(kit.Strong(e.Type), kit.Soft("#"+units.Count(int64(e.Seq))))
		if e.Gone {
			t.Rows = append(t.Rows, kit.Row{Cells: []kit.Node{name, since(e.At, v.Now, ""), dash(), kit.Badge(kit.Unknown, "redacted"), kit.Soft("its words were removed; the log still proves it")}})
			continue
		}
		t.Rows = append(t.Rows, kit.Row{Cells: []kit.Node{name, since(e.At, v.Now, ""), orDash(e.Actor), orDash(e.Subject), details(e.Attrs)}})
	}
	if !v.First {
		t.Pager.First = v.address("/timeline", 0)
	}
	if v.List.Next != nil {
		t.Pager.Next = v.address("/timeline", *v.List.Next)
		if len(v.List.Events) == 0 {
			t.Empty.Text = "Nothing in the part that was looked through matches. Go on to older events."
		}
	}
	return t
}

// details writes what an event says beside who and what: digests short, the rest as it is.
func details(attrs map[string]string) kit.Node {
	var list []kit.Node
	for _, k := range slices.Sorted(maps.Keys(attrs)) {
		value := attrs[k]
		if strings.HasPrefix(value, "sha256:") {
			list = append(list, kit.Join(kit.Soft(k), kit.Digest(value)))
			continue
		}
		list = append(list, kit.Join(kit.Soft(k), kit.Text(cutText(value, 200))))
	}
	if len(list) == 0 {
		return dash()
	}
	return kit.Lines(list...)
}

// cutText keeps at most n characters.
func cutText(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n]) + "…"
	}
	return s
}

// LogView is the log proven, or its signed head.
type LogView struct {
	Head wire.TimelineHead
	Now  time.Time
}

func (v LogView) verified() string {
	s := fmt.Sprintf("All %s were read again and every one is in its place.", units.Plural(v.Head.Size, "entry", "entries"))
	switch v.Head.Witnesses {
	case 0:
		return s + " No head of this log has come back from outside yet, so nobody else can vouch for its past."
	case 1:
		return s + " One head that came back from outside agrees with it."
	}
	return s + fmt.Sprintf(" %d heads that came back from outside agree with it.", v.Head.Witnesses)
}

func (v LogView) tone() kit.Tone {
	if v.Head.Witnesses == 0 {
		return kit.Unknown
	}
	return kit.OK
}

func (v LogView) facts() []kit.Def {
	return []kit.Def{
		{Term: "Log", Value: kit.Code(v.Head.Origin)},
		{Term: "Number", Value: kit.Count(v.Head.Number), Explain: "A restore opens the next log, whose first entry names the last head of the one before."},
		{Term: "Entries", Value: kit.Count(v.Head.Size)},
		{Term: "Root", Value: digestOr(v.Head.Root)},
		{Term: "Heads from outside", Value: kit.Count(int64(v.Head.Witnesses))},
	}
}
