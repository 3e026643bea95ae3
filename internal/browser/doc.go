package browser

import (
	"io"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// Doc is a parsed page.
type Doc struct {
	t    *testing.T
	root *html.Node
}

// Parse reads a page or a fragment of one.
func Parse(t *testing.T, r io.Reader) Doc {
	t.Helper()
	root, err := html.Parse(r)
	if err != nil {
		t.Fatal(err)
	}
	return Doc{t: t, root: root}
}

// All finds the elements of a selector: steps separated by spaces (descendants), each a tag, #id, .class, [attribute] or
// [attribute=value], in any number ("table td.num", "form[data-inplace] input[name=code]").
func (d Doc) All(selector string) []*html.Node {
	found := []*html.Node{d.root}
	for step := range strings.FieldsSeq(selector) {
		var next []*html.Node
		seen := map[*html.Node]bool{}
		for _, from := range found {
			for n := range from.Descendants() {
				if n.Type == html.ElementNode && !seen[n] && matches(n, step) {
					seen[n] = true
					next = append(next, n)
				}
			}
		}
		found = next
	}
	return found
}

// One finds the one element of a selector; none or several fail the test.
func (d Doc) One(selector string) *html.Node {
	d.t.Helper()
	found := d.All(selector)
	if len(found) != 1 {
		d.t.Fatalf("%q finds %d elements, not one", selector, len(found))
	}
	return found[0]
}

// Has tells whether a selector finds anything.
func (d Doc) Has(selector string) bool { return len(d.All(selector)) > 0 }

// inline elements run on in their line; every other one stands apart.
const inline = " a abbr b code em i span strong time "

// Text is what stands in an element, white space made single, a space where an element stands apart.
func Text(n *html.Node) string {
	var b strings.Builder
	for c := range n.Descendants() {
		if c.Type == html.TextNode {
			b.WriteString(c.Data)
		} else if c.Type == html.ElementNode && !strings.Contains(inline, " "+c.Data+" ") {
			b.WriteByte(' ')
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// Attr is an attribute's value and whether it is there.
func Attr(n *html.Node, name string) (string, bool) {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val, true
		}
	}
	return "", false
}

// matches tells whether an element fits one step of a selector.
func matches(n *html.Node, step string) bool {
	for step != "" {
		end := strings.IndexAny(step[1:], "#.[") + 1
		if step[0] == '[' {
			end = strings.IndexByte(step, ']') + 1
		}
		if end == 0 {
			end = len(step)
		}
		part := step[:end]
		step = step[end:]
		if !fits(n, part) {
			return false
		}
	}
	return true
}

// fits tells whether an element has one part of a step: a tag, an id, a class or an attribute.
func fits(n *html.Node, part string) bool {
	switch part[0] {
	case '#':
		id, _ := Attr(n, "id")
		return id == part[1:]
	case '.':
		class, _ := Attr(n, "class")
		return strings.Contains(" "+strings.Join(strings.Fields(class), " ")+" ", " "+part[1:]+" ")
	case '[':
		name, want, exact := strings.Cut(strings.Trim(part, "[]"), "=")
		got, ok := Attr(n, name)
		return ok && (!exact || got == strings.Trim(want, `"'`))
	}
	return n.Data == part
}

// HTML writes an element as a fragment.
func HTML(n *html.Node) string {
	var b strings.Builder
	if err := html.Render(&b, n); err != nil {
		return ""
	}
	return b.String()
}
