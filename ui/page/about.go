package page

import (
	"bytes"
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// RecordAbout is what an advisory says of itself. Every string is foreign text.
type RecordAbout struct {
	Summary, Details                         string
	Aliases                                  []string
	Packages                                 []AboutPackage
	MorePackages                             int
	Severity, Published, Modified, Withdrawn string
	References                               []string
}

// AboutPackage is a package that an advisory is about.
type AboutPackage struct{ Ecosystem, Name, Versions string }

// Limits of what is shown of one record.
const (
	maxPackages = 200
	maxShown    = 64 << 10 // bytes of its text
	maxListed   = 50       // aliases, references, ranges of a package
)

// osv is the part of an advisory that people read. Whatever has another form is left out: the whole text stands below.
type osv struct {
	Summary   string   `json:"summary"`
	Details   string   `json:"details"`
	Aliases   []string `json:"aliases"`
	Published string   `json:"published"`
	Modified  string   `json:"modified"`
	Withdrawn string   `json:"withdrawn"`
	Severity  []struct {
		Type  string `json:"type"`
		Score string `json:"score"`
	} `json:"severity"`
	Affected []struct {
		Package struct {
			Ecosystem string `json:"ecosystem"`
			Name      string `json:"name"`
		} `json:"package"`
		Ranges []struct {
			Events []struct {
				Introduced   string `json:"introduced"`
				Fixed        string `json:"fixed"`
				LastAffected string `json:"last_affected"`
			} `json:"events"`
		} `json:"ranges"`
	} `json:"affected"`
	References []struct {
		URL string `json:"url"`
	} `json:"references"`
	Specific struct {
		Severity string `json:"severity"`
	} `json:"database_specific"`
}

// AboutRecord reads what an advisory says of itself; of anything else, or one of another form, nothing.
func AboutRecord(kind string, body []byte) (a RecordAbout) {
	if kind != "advisory" && kind != "finding" {
		return a
	}
	var o osv
	if json.Unmarshal(body, &o) != nil {
		return a
	}
	a = RecordAbout{Summary: o.Summary, Details: o.Details, Published: o.Published, Modified: o.Modified, Withdrawn: o.Withdrawn, Severity: o.Specific.Severity}
	a.Aliases = o.Aliases[:min(len(o.Aliases), maxListed)]
	for _, s := range o.Severity {
		if a.Severity != "" {
			a.Severity += ", "
		}
		a.Severity += strings.TrimSpace(s.Type + " " + s.Score)
	}
	for _, r := range o.References {
		if len(a.References) < maxListed {
			a.References = append(a.References, r.URL)
		}
	}
	for _, f := range o.Affected {
		if len(a.Packages) == maxPackages {
			a.MorePackages++
			continue
		}
		var parts []string
		for _, r := range f.Ranges {
			from := ""
			for _, e := range r.Events {
				switch {
				case e.Introduced != "":
					from = e.Introduced
				case e.Fixed != "":
					parts = append(parts, rangeWords(from, "before "+e.Fixed))
					from = ""
				case e.LastAffected != "":
					parts = append(parts, rangeWords(from, "up to "+e.LastAffected))
					from = ""
				}
			}
			if from != "" {
				parts = append(parts, rangeWords(from, "no fix known"))
			}
		}
		if len(parts) > maxListed {
			parts = append(parts[:maxListed], "…")
		}
		a.Packages = append(a.Packages, AboutPackage{f.Package.Ecosystem, f.Package.Name, strings.Join(parts, "; ")})
	}
	return a
}

// rangeWords writes one range of versions.
func rangeWords(from, to string) string {
	if from == "" || from == "0" {
		if to == "no fix known" {
			return "all, no fix known"
		}
		return to
	}
	return "from " + from + ", " + to
}

// RecordText is what is shown of a record's bytes: JSON indented, other text as it is; binary when it is neither.
func RecordText(body []byte) (text string, cut, binary bool) {
	if len(body) <= 4*maxShown {
		var pretty bytes.Buffer
		if json.Indent(&pretty, body, "", "  ") == nil {
			body = pretty.Bytes()
		}
	}
	if cut = len(body) > maxShown; cut {
		body = body[:maxShown]
		for len(body) > 0 && !utf8.RuneStart(body[len(body)-1]) {
			body = body[:len(body)-1]
		}
		if n := len(body); n > 0 && body[n-1] >= utf8.RuneSelf { // the first byte of a rune whose others were cut
			body = body[:n-1]
		}
	}
	if !utf8.Valid(body) || bytes.IndexByte(body, 0) >= 0 {
		return "", cut, true
	}
	return string(body), cut, false
}
