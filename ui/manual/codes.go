package manual

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"sallyport/internal/code"
)

// CodePage is what a person needs who met one error code.
type CodePage struct {
	Info    code.Info
	Means   string // HTML, as all of these: safe, from our own Markdown
	Changed string // what was changed and what was not
	Do      string // step by step
	Seen    string // where it is met
	Links   []string
	Lines   []string // of its code blocks
	Spans   []string // of its code spans
	text    string   // plain, for the search
}

// URL is where the page of a code lies in the console.
func (c *CodePage) URL() string { return CodeURL(c.Info.Code) }

// CodeURL is where the page of a code lies, also of a code that has none.
func CodeURL(c code.Code) string { return Home + "/codes/" + string(c) }

// KindCodes are the codes of one kind.
type KindCodes struct {
	Kind  code.Kind
	Title string
	Means string
	Exit  int
	Codes []*CodePage
}

// Code finds the page of a code, whatever the case of its letters.
func (m *Manual) Code(name string) (c *CodePage, ok bool) {
	c, ok = m.codes[strings.ToLower(name)]
	return c, ok
}

// Kinds lists all codes by what a person does about them.
func (m *Manual) Kinds() []KindCodes { return m.kinds }

// fields of a code's section, in the order they are shown.
const (
	fieldMeans   = "Means"
	fieldChanged = "Changed"
	fieldDo      = "Do"
	fieldSeen    = "Seen"
)

// readCodes makes a page for every code of the table.
func (m *Manual) readCodes() error {
	parts, err := sections("codes/parts.md")
	if err != nil {
		return err
	}
	shared := map[string]string{}
	for _, s := range parts {
		shared[s.name] = s.body
	}
	written := map[string]note{}
	names, err := fs.Glob(files, "codes/*.md")
	if err != nil {
		return fmt.Errorf("manual codes: %w", err)
	}
	for _, name := range names {
		if name == "codes/parts.md" {
			continue
		}
		list, err := sections(name)
		if err != nil {
			return err
		}
		for _, s := range list {
			if _, twice := written[s.name]; twice {
				return fmt.Errorf("manual %s: code %s stands twice", name, s.name)
			}
			written[s.name] = s
		}
	}
	for _, info := range code.Table() {
		s, ok := written[string(info.Code)]
		if !ok {
			return fmt.Errorf("manual codes: code %s has no page: write a section ## %s", info.Code, info.Code)
		}
		delete(written, string(info.Code))
		c, err := codePage(info, s.body, shared)
		if err != nil {
			return fmt.Errorf("manual codes: %s: %w", info.Code, err)
		}
		m.codes[strings.ToLower(string(info.Code))] = c
		m.file(c)
	}
	for name := range written {
		return fmt.Errorf("manual codes: there is no code %s", name)
	}
	slices.SortStableFunc(m.kinds, func(a, b KindCodes) int { return a.Exit - b.Exit })
	return nil
}

// file puts a page below its kind.
func (m *Manual) file(c *CodePage) {
	i := slices.IndexFunc(m.kinds, func(k KindCodes) bool { return k.Kind == c.Info.Kind })
	if i < 0 {
		title, means := kindWords(c.Info.Kind)
		m.kinds = append(m.kinds, KindCodes{Kind: c.Info.Kind, Title: title, Means: means, Exit: c.Info.Exit()})
		i = len(m.kinds) - 1
	}
	m.kinds[i].Codes = append(m.kinds[i].Codes, c)
}

// note is one section of a file of codes.
type note struct{ name, body string }

// sections splits a file at its headings `## NAME`. What stands before the first is for who reads the file.
func sections(name string) (list []note, err error) {
	b, err := files.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("manual %s: %w", name, err)
	}
	for i, part := range strings.Split("\n"+string(b), "\n## ") {
		if i == 0 {
			continue
		}
		head, body, _ := strings.Cut(part, "\n")
		list = append(list, note{strings.TrimSpace(head), body})
	}
	return list, nil
}

func codePage(info code.Info, body string, shared map[string]string) (*CodePage, error) {
	said, err := split(body, shared)
	if err != nil {
		return nil, err
	}
	c := &CodePage{Info: info}
	var texts []string
	for _, f := range []struct {
		name string
		into *string
	}{{fieldMeans, &c.Means}, {fieldChanged, &c.Changed}, {fieldDo, &c.Do}, {fieldSeen, &c.Seen}} {
		if strings.TrimSpace(said[f.name]) == "" {
			return nil, fmt.Errorf("it lacks %s", f.name)
		}
		p, err := fragment(said[f.name])
		if err != nil {
			return nil, err
		}
		*f.into = p.HTML
		c.Links, c.Lines, c.Spans = append(c.Links, p.Links...), append(c.Lines, p.Lines...), append(c.Spans, p.Spans...)
		for _, s := range p.Sections {
			texts = append(texts, s.Text)
		}
	}
	c.text = strings.Join(texts, " ")
	return c, nil
}

// split reads the fields of a section. A line `@name` stands for a shared part.
func split(body string, shared map[string]string) (map[string]string, error) {
	said := map[string]string{}
	field := ""
	for line := range strings.Lines(body) {
		line = strings.TrimRight(line, "\n")
		if name, rest, ok := strings.Cut(line, ":"); ok && slices.Contains([]string{fieldMeans, fieldChanged, fieldDo, fieldSeen}, name) {
			if _, twice := said[name]; twice {
				return nil, fmt.Errorf("%s stands twice", name)
			}
			field, line = name, strings.TrimSpace(rest)
		}
		if part, ok := strings.CutPrefix(line, "@"); ok {
			text, there := shared[strings.TrimSpace(part)]
			if !there {
				return nil, fmt.Errorf("there is no part %q", part)
			}
			line = strings.TrimSpace(text)
		}
		if field == "" && strings.TrimSpace(line) != "" {
			return nil, fmt.Errorf("text before the first field: %.40q", line)
		}
		said[field] += line + "\n"
	}
	return said, nil
}

// kindWords is what a kind of codes is called, and what it means to a person.
func kindWords(k code.Kind) (title, means string) {
	switch k {
	case code.Unexpected:
		return "Unexpected", "Something went wrong that nobody planned for. What was promised to be safe is still safe."
	case code.Usage:
		return "The request", "What was asked for cannot be done as it was asked. Nothing was begun."
	case code.Auth:
		return "Not allowed", "This person may not do that, or a second person is missing."
	case code.NotFound:
		return "Not found", "What was named is not here."
	case code.Sealed:
		return "Sealed", "The appliance is sealed, and this would have opened it."
	case code.Integrity:
		return "Damaged or changed", "Bytes are not what was signed or stored. Most often a copy went wrong."
	case code.Trust:
		return "Signature and trust", "Something is signed by nobody we trust, or says more than its signer may. Treat it as serious until you know better."
	case code.Monotonic:
		return "Older than accepted", "Something goes back behind what was accepted here. An old stick is harmless; two histories are not."
	case code.Stale:
		return "Time", "A date has passed, has not come yet, or cannot be believed."
	case code.Retry:
		return "Try again", "It did not work now, and may work later or elsewhere. Nothing was lost."
	case code.Quarantine:
		return "Quarantine", "It was refused and is kept for a person to look at."
	case code.Base:
		return "Waiting for its base", "A delta came before what it builds on."
	case code.Decrypt:
		return "Encryption", "It could not be opened."
	case code.Space:
		return "No space", "A disk is full. Nothing was lost."
	case code.Interrupt:
		return "Interrupted", "Somebody ended it. Nothing was left half done."
	}
	return string(k), ""
}
