package manual

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"unicode"
)

// Bounds of a search. A query comes from a browser.
const (
	maxQuery = 200 // bytes of a query that are read
	maxWords = 8   // words of it that count
	maxHits  = 30
	excerpt  = 28 // words of an excerpt
)

// Hit is one place that was found, best first.
type Hit struct {
	Title   string // of the page
	Section string // of the place in it, "" for its beginning
	URL     string
	Excerpt []Piece
	score   float64
}

// Piece is a run of an excerpt; a marked one is what was asked for.
type Piece struct {
	Text string
	Mark bool
}

// entry is one place that can be found.
type entry struct {
	title, section, url, text string
	weight                    float64
	words                     map[string]int // in the text
	heads                     map[string]int // in title and section
}

type index struct {
	entries []entry
	within  map[string]int // how many entries have a word
}

// build reads every section and every code.
func (m *Manual) build() index {
	x := index{within: map[string]int{}}
	for _, g := range m.groups {
		for _, p := range g.Pages {
			for _, s := range p.Sections {
				url := p.URL()
				if s.ID != "" {
					url += "#" + s.ID
				}
				weight := 1.0
				if p.Slug == "cli" || p.Slug == "api" || p.Slug == "glossary" {
					weight = 0.6 // they hold nearly every word
				}
				x.add(entry{title: p.Title, section: s.Title, url: url, text: s.Text, weight: weight})
			}
		}
	}
	for _, k := range m.kinds {
		for _, c := range k.Codes {
			x.add(entry{title: string(c.Info.Code), section: c.Info.Summary, url: c.URL(), text: c.text, weight: 0.9})
		}
	}
	return x
}

func (x *index) add(e entry) {
	e.words, e.heads = count(e.text), count(e.title+" "+e.section)
	for w := range e.words {
		x.within[w]++
	}
	for w := range e.heads {
		if e.words[w] == 0 {
			x.within[w]++
		}
	}
	x.entries = append(x.entries, e)
}

// Search finds the places that have most words of a query, or words that begin like them; best first, at most 30. The query
// may be anything.
func (m *Manual) Search(query string) []Hit {
	if len(query) > maxQuery {
		query = strings.ToValidUTF8(query[:maxQuery], "")
	}
	words := asked(query)
	if len(words) == 0 {
		return nil
	}
	var hits []Hit
	for i := range m.index.entries {
		e := &m.index.entries[i]
		score, met := m.index.score(e, words)
		if met == 0 || 3*met < 2*len(words) {
			continue
		}
		share := float64(met) / float64(len(words))
		score *= share * share
		if strings.EqualFold(strings.TrimSpace(query), e.title) {
			score += 100
		}
		hits = append(hits, Hit{Title: e.title, Section: e.section, URL: e.url, Excerpt: cut(e.text, words), score: score})
	}
	slices.SortStableFunc(hits, func(a, b Hit) int { return cmp.Compare(b.score, a.score) })
	return hits[:min(len(hits), maxHits)]
}

// score is how well an entry answers, and how many of the words it has.
func (x *index) score(e *entry, words []string) (score float64, met int) {
	for _, w := range words {
		best := 0.0
		for _, in := range []struct {
			words  map[string]int
			weight float64
		}{{e.heads, 6}, {e.words, 1}} {
			for have, n := range in.words {
				if !strings.HasPrefix(have, w) {
					continue
				}
				rare := math.Log(1 + float64(len(x.entries))/float64(1+x.within[have]))
				s := in.weight * rare * (1 + math.Log(float64(n)))
				if have != w {
					s *= 0.7
				}
				best = max(best, s)
			}
		}
		if best > 0 {
			met++
			score += best
		}
	}
	return score * e.weight, met
}

// tokens are the words of a text in the form they are compared in.
func tokens(s string) []string {
	var out []string
	for _, w := range strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		out = append(out, stem(w))
	}
	return out
}

// stem makes one word of singular and plural, where that is cheap and harmless.
func stem(w string) string {
	switch {
	case len(w) > 4 && strings.HasSuffix(w, "ies"):
		return w[:len(w)-3] + "y"
	case len(w) > 3 && strings.HasSuffix(w, "s") && !strings.HasSuffix(w, "ss") && !strings.HasSuffix(w, "us"):
		return w[:len(w)-1]
	}
	return w
}

func count(s string) map[string]int {
	m := map[string]int{}
	for _, w := range tokens(s) {
		m[w]++
	}
	return m
}

// cut makes an excerpt around the place where most of the words stand together.
func cut(text string, words []string) []Piece {
	fields := strings.Fields(text)
	marked := make([]bool, len(fields))
	for i, f := range fields {
		marked[i] = slices.ContainsFunc(tokens(f), func(have string) bool {
			return slices.ContainsFunc(words, func(w string) bool { return strings.HasPrefix(have, w) })
		})
	}
	from, best := 0, -1
	for i := range fields {
		n := 0
		for _, m := range marked[i:min(len(fields), i+excerpt)] {
			if m {
				n++
			}
		}
		if marked[i] && n > best {
			from, best = max(0, i-6), n
		}
	}
	to := min(len(fields), from+excerpt)
	var out []Piece
	if from > 0 {
		out = append(out, Piece{Text: "… "})
	}
	for i := from; i < to; i++ {
		if n := len(out); n > 0 && out[n-1].Mark == marked[i] && !marked[i] {
			out[n-1].Text += fields[i] + " "
			continue
		}
		if marked[i] {
			out = append(out, Piece{fields[i], true}, Piece{Text: " "})
			continue
		}
		out = append(out, Piece{Text: fields[i] + " "})
	}
	if to < len(fields) {
		out = append(out, Piece{Text: "…"})
	}
	return out
}

// asked are the words of a query that count: not those that stand in every sentence, unless there are no others.
func asked(query string) []string {
	all := slices.Compact(slices.Sorted(slices.Values(tokens(query))))
	few := slices.DeleteFunc(slices.Clone(all), func(w string) bool { return slices.Contains(everywhere(), w) })
	if len(few) == 0 {
		few = all
	}
	return few[:min(len(few), maxWords)]
}

// everywhere are words that tell nothing about a place.
func everywhere() []string {
	return strings.Fields("a an and are as at be by can do does for from has have how i if in is it its my no not of on or so that the then there they thi this to was we what when where which who why will with you your")
}
