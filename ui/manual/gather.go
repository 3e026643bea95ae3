package manual

import (
	"strings"

	"github.com/yuin/goldmark/ast"
)

// gather reads from a parsed page what search and tests need.
func gather(doc ast.Node, src []byte) *Page {
	p := &Page{}
	now := Section{}
	var body strings.Builder
	flush := func() {
		now.Text = strings.Join(strings.Fields(body.String()), " ")
		if now.ID != "" || now.Text != "" {
			p.Sections = append(p.Sections, now)
		}
		body.Reset()
	}
	for n := doc.FirstChild(); n != nil; n = n.NextSibling() {
		p.references(n, src)
		if h, ok := n.(*ast.Heading); ok && h.Level <= 3 {
			flush()
			now = Section{ID: headingID(h), Level: h.Level, Title: strings.TrimSpace(plain(h, src))}
			continue
		}
		if _, ok := n.(*ast.Paragraph); ok && p.Lead == "" {
			p.Lead = strings.Join(strings.Fields(plain(n, src)), " ")
		}
		body.WriteString(plain(n, src))
		body.WriteByte(' ')
	}
	flush()
	return p
}

func headingID(h *ast.Heading) string {
	v, ok := h.AttributeString("id")
	if !ok {
		return ""
	}
	if b, ok := v.([]byte); ok {
		return string(b)
	}
	return ""
}

// plain is the text of a node without its marks.
func plain(n ast.Node, src []byte) string {
	var b strings.Builder
	_ = ast.Walk(n, func(n ast.Node, entering bool) (ast.WalkStatus, error) { // the function gives no error
		if !entering {
			if n.Type() == ast.TypeBlock {
				b.WriteByte(' ')
			}
			return ast.WalkContinue, nil
		}
		switch x := n.(type) {
		case *ast.Text:
			b.Write(x.Segment.Value(src))
			if x.SoftLineBreak() || x.HardLineBreak() {
				b.WriteByte(' ')
			}
		case *ast.String:
			b.Write(x.Value)
		case *ast.FencedCodeBlock, *ast.CodeBlock:
			for i := range n.Lines().Len() {
				line := n.Lines().At(i)
				b.Write(line.Value(src))
			}
		}
		return ast.WalkContinue, nil
	})
	return b.String()
}

// references collects links, lines of code and spans of code below a node.
func (p *Page) references(n ast.Node, src []byte) {
	_ = ast.Walk(n, func(n ast.Node, entering bool) (ast.WalkStatus, error) { // the function gives no error
		if !entering {
			return ast.WalkContinue, nil
		}
		switch x := n.(type) {
		case *ast.Link:
			p.Links = append(p.Links, string(x.Destination))
		case *ast.AutoLink:
			p.Links = append(p.Links, string(x.URL(src)))
		case *ast.CodeSpan:
			p.Spans = append(p.Spans, plain(x, src))
		case *ast.FencedCodeBlock, *ast.CodeBlock:
			for i := range n.Lines().Len() {
				line := n.Lines().At(i)
				p.Lines = append(p.Lines, strings.TrimRight(string(line.Value(src)), "\n"))
			}
		}
		return ast.WalkContinue, nil
	})
}
