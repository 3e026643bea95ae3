package kit

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"sallyport/internal/units"
)

// TableView is rows of facts. Where it is narrow each row becomes a definition list.
type TableView struct {
	ID      string
	Caption string // read aloud, not shown
	Columns []Column
	Rows    []Row
	Empty   EmptyView // shown instead of a table without rows
	Pager   PagerView
	CSV     string // address of the same rows as CSV
	NoHead  bool   // the labels of the columns are read aloud only, where the rows speak for themselves
	Live    bool   // changes are announced politely
}

// ColumnKind is what stands in a column.
type ColumnKind int

// The kinds of columns.
const (
	PlainColumn  ColumnKind = iota
	NumberColumn            // at the right, tabular figures
	ActionColumn            // buttons at the right; the label is read aloud, not shown
)

// Column is one column of a table.
type Column struct {
	Label  string
	Kind   ColumnKind
	Sort   string // address of the table sorted by this column; "" = cannot be sorted
	Sorted string // "ascending" or "descending" when it is
}

// Row is one row; its first cell is its heading. Missing cells are empty, cells without a column are left out.
type Row struct {
	ID    string
	Cells []Node
	Tone  Tone // a stripe at the left edge
}

// PagerView leads through pages; empty addresses are not shown.
type PagerView struct{ Label, First, Prev, Next, Note string }

// Def is a term and its value, with the sentence that explains the term.
type Def struct {
	Term    string
	Value   Node
	Explain string
}

// Change is something that was and what it becomes.
type Change struct {
	Label    string
	Old, New Node
}

// Figure is one number with its word.
type Figure struct {
	Value, Label string
	Tone         Tone
}

// DiffView is what a plan would change: the numbers, then examples.
type DiffView struct {
	Counts []Figure
	Table  TableView
	More   Link // to the full list
}

// MeterView is a part of a whole. Max 0 means that nobody knows: an empty track and words, never a full one.
type MeterView struct {
	Label      string // what is measured, for the ear
	Text, Soft string // "61 %", "of 200 GiB"
	Value, Max float64
	Tone       Tone
	Wide       bool // the bar stands below its words over the full width
}

// AgeView is the age of data against its budget. The tone follows from both unless one is given.
type AgeView struct {
	Age, Budget time.Duration
	Known       bool
	AtLeast     bool   // the age is a lower bound, and says so
	Never       string // words for an unknown age; "" = "unknown"
	Tone        Tone
}

// SparkView is the course of a number over time.
type SparkView struct {
	Label  string // what is drawn, for the ear
	Text   string // the words beside it
	Points []float64
}

func (c Column) class() string {
	switch c.Kind {
	case NumberColumn:
		return "num"
	case ActionColumn:
		return "act"
	}
	return ""
}

// size tells the style sheet from which width on the columns fit side by side.
func (v TableView) size() string {
	switch n := len(v.Columns); {
	case n <= 2:
		return "fit-s"
	case n <= 4:
		return "fit-m"
	case n <= 5:
		return "fit-l"
	}
	return "fit-xl"
}

// class of a cell: its column's, and "none" when nothing stands in it.
func (r Row) class(i int, c Column) string {
	return classes(c.class(), when(i >= len(r.Cells) || r.Cells[i] == nil, "none"))
}

// cell is the i-th cell of a row, nothing when it is missing.
func (r Row) cell(i int) Node {
	if i >= len(r.Cells) {
		return some(nil)
	}
	return some(r.Cells[i])
}

func (p PagerView) shown() bool { return p.First != "" || p.Prev != "" || p.Next != "" || p.Note != "" }

func (p PagerView) label() string {
	if p.Label == "" {
		return "Pages"
	}
	return p.Label
}

// share is value of max in percent, 0 to 100.
func share(value, max float64) float64 {
	if max <= 0 || value <= 0 || value != value {
		return 0
	}
	return min(100, 100*value/max)
}

// percent writes a share for an SVG attribute.
func percent(p float64) string { return strconv.FormatFloat(p, 'f', 1, 64) + "%" }

// whole writes a share for the ear, without a fraction.
func whole(p float64) string { return strconv.Itoa(int(p)) }

// meter is the bar of an age.
func (v AgeView) meter() MeterView {
	m := MeterView{Label: "Age of data", Tone: v.Tone}
	if !v.Known {
		m.Text = v.Never
		if m.Text == "" {
			m.Text = "unknown"
		}
		m.Tone = Unknown
		return m
	}
	m.Text, m.Value, m.Max = short(v.Age), v.Age.Hours(), v.Budget.Hours()
	if v.AtLeast {
		m.Text = "at least " + m.Text
	}
	if v.Budget > 0 {
		m.Soft = "of " + short(v.Budget)
	}
	if m.Tone != "" {
		return m
	}
	switch {
	case v.Budget <= 0:
		m.Tone = Unknown
	case v.Age > v.Budget:
		m.Tone = Bad
	case v.Age > v.Budget-v.Budget/10:
		m.Tone = Warn
	default:
		m.Tone = OK
	}
	return m
}

// short writes a duration with one short unit ("3 d", "6 h", "12 min", "8 s").
func short(d time.Duration) string {
	switch {
	case d < 0:
		return "0 s"
	case d < time.Minute:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", d/time.Minute)
	case d < 72*time.Hour:
		return fmt.Sprintf("%d h", d/time.Hour)
	}
	return units.Count(int64(d/(24*time.Hour))) + " d"
}

// Sparklines are drawn in a field of sparkWidth × sparkHeight.
const (
	sparkWidth  = 96.0
	sparkHeight = 24.0
)

// line is the path of a sparkline, from 0 or the lowest point up.
func (v SparkView) line() string {
	if len(v.Points) == 0 {
		return ""
	}
	low, high := 0.0, 0.0
	for _, p := range v.Points {
		low, high = min(low, p), max(high, p)
	}
	if high == low {
		high = low + 1
	}
	var b strings.Builder
	for i, p := range v.Points {
		x := sparkWidth / 2
		if len(v.Points) > 1 {
			x = 1 + (sparkWidth-2)*float64(i)/float64(len(v.Points)-1)
		}
		y := 1 + (sparkHeight-2)*(1-(p-low)/(high-low))
		letter := "L"
		if i == 0 {
			letter = "M"
		}
		fmt.Fprintf(&b, "%s%.1f %.1f", letter, x, y)
	}
	return b.String()
}
