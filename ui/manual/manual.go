// Package manual is the manual of this version: its pages, one page for every error code, and the search over both.
//
// Data: Markdown compiled into the program. pages/*.md are chapters, whose order and readers stand in the table of chapters
// below; cli.md and api.md are made by `make gen` from the command tree and from the table of actions; codes/*.md has a section
// `## CODE` for each code of package code, with the fields Means, Changed, Do and Seen, and codes/parts.md the words that many
// of them share; the table of settings comes from package config when a page is made. Everything is ours: nothing a stick or a
// browser says gets in.
//
// Order: New renders every page once and builds the index of words; after that a Manual is only read and may be shared. Raw
// HTML in a page is left out. A code without a page, a page without a chapter and an unknown field are errors of New, so
// that a program with a hole in its manual does not start and its tests do not pass. Nothing is written.
package manual

import (
	"bytes"
	"embed"
	"fmt"
	"io/fs"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"

	"sallyport/internal/config"
)

//go:embed pages/*.md codes/*.md cli.md api.md
var files embed.FS

// Home is where the manual lies in the console. Every link inside it is absolute.
const Home = "/help"

// Manual is the whole of it, ready to be read by any number of goroutines.
type Manual struct {
	groups []Group
	pages  map[string]*Page
	codes  map[string]*CodePage
	kinds  []KindCodes
	index  index
}

// Group is a part of the manual, in the order of reading.
type Group struct {
	Title string
	Pages []*Page
}

// Page is one chapter.
type Page struct {
	Slug     string
	Title    string
	Lead     string   // its first paragraph, as text
	For      []string // whom it is for
	HTML     string   // the body without its title: safe, from our own Markdown
	Sections []Section
	Links    []string // where it leads, as they stand there
	Lines    []string // the lines of its code blocks
	Spans    []string // the text of its code spans

	Previous, Next *Page // nil at the ends
}

// URL is where the page lies in the console.
func (p *Page) URL() string { return Home + "/" + p.Slug }

// Section is a part of a page below a heading. The first may have no heading: it is what stands before any.
type Section struct {
	ID    string // "" for what stands before the first heading
	Level int    // 2 or 3
	Title string
	Text  string // plain
}

// New makes the manual. An error names the file and is a mistake in the manual itself.
func New() (*Manual, error) {
	m := &Manual{pages: map[string]*Page{}, codes: map[string]*CodePage{}}
	var last *Page
	for _, c := range chapters() {
		src, err := source(c.slug)
		if err != nil {
			return nil, err
		}
		p, err := render(src)
		if err != nil {
			return nil, fmt.Errorf("manual page %s: %w", c.slug, err)
		}
		p.Slug, p.For, p.Previous = c.slug, c.readers, last
		if last != nil {
			last.Next = p
		}
		last = p
		m.pages[c.slug] = p
		if n := len(m.groups); n == 0 || m.groups[n-1].Title != c.group {
			m.groups = append(m.groups, Group{Title: c.group})
		}
		g := &m.groups[len(m.groups)-1]
		g.Pages = append(g.Pages, p)
	}
	if err := m.complete(); err != nil {
		return nil, err
	}
	if err := m.readCodes(); err != nil {
		return nil, err
	}
	m.index = m.build()
	return m, nil
}

// source is the Markdown of a chapter.
func source(slug string) ([]byte, error) {
	name := "pages/" + slug + ".md"
	if slug == "cli" || slug == "api" {
		name = slug + ".md" // made from the commands and from the table of actions
	}
	b, err := files.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("manual page %s: %w", slug, err)
	}
	if slug == "settings" {
		b = bytes.Replace(b, []byte("{{settings}}"), []byte(settingsTable()), 1)
	}
	return b, nil
}

// complete finds pages that no chapter names.
func (m *Manual) complete() error {
	names, err := fs.Glob(files, "pages/*.md")
	if err != nil {
		return fmt.Errorf("manual pages: %w", err)
	}
	for _, name := range names {
		slug := strings.TrimSuffix(strings.TrimPrefix(name, "pages/"), ".md")
		if m.pages[slug] == nil {
			return fmt.Errorf("manual page %s: no chapter has it", slug)
		}
	}
	return nil
}

// Groups is the table of contents.
func (m *Manual) Groups() []Group { return m.groups }

// Page finds a chapter; ok is false when there is none.
func (m *Manual) Page(slug string) (p *Page, ok bool) {
	p, ok = m.pages[slug]
	return p, ok
}

// First lists the chapters that a reader should begin with, in order.
func (m *Manual) First(r Reader) (list []*Page) {
	for _, slug := range r.start {
		if p, ok := m.pages[slug]; ok {
			list = append(list, p)
		}
	}
	return list
}

// markdown is the one way our text becomes HTML: tables without inline style, raw HTML left out.
func markdown() goldmark.Markdown {
	return goldmark.New(
		goldmark.WithExtensions(extension.NewTable(extension.WithTableCellAlignMethod(extension.TableCellAlignNone))),
		goldmark.WithParserOptions(parser.WithAutoHeadingID()),
	)
}

// fragment renders a piece of Markdown that is no page.
func fragment(src string) (*Page, error) {
	return walk([]byte(src))
}

// render makes a page: its title is the one heading of level 1, with which it begins.
func render(src []byte) (*Page, error) {
	first, rest, _ := bytes.Cut(src, []byte("\n"))
	title, ok := bytes.CutPrefix(first, []byte("# "))
	if !ok {
		return nil, fmt.Errorf("line 1: want a title, got %.60q", first)
	}
	p, err := walk(rest)
	if err != nil {
		return nil, err
	}
	p.Title = string(bytes.TrimSpace(title))
	return p, nil
}

func walk(src []byte) (*Page, error) {
	md := markdown()
	doc := md.Parser().Parse(text.NewReader(src))
	p := gather(doc, src)
	var b bytes.Buffer
	if err := md.Renderer().Render(&b, src, doc); err != nil {
		return nil, err
	}
	p.HTML = b.String()
	return p, nil
}

// settingsTable is every setting there is, from the table of the configuration itself.
func settingsTable() string {
	var b strings.Builder
	b.WriteString("| setting | default | what it is |\n|---|---|---|\n")
	for _, s := range config.Settings() {
		def := "`" + s.Default + "`"
		if s.Default == "" {
			def = "none"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", s.Name, def, strings.ReplaceAll(s.Help, "|", "\\|"))
	}
	return b.String()
}
