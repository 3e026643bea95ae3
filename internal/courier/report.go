package courier

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"sallyport/internal/code"
	"sallyport/internal/units"
)

// The verdicts, as JSON names them. The sentences are those of 20-bundle-format, "Words for people".
const (
	verified    = "verified"
	intact      = "intact-sealed"
	notVerified = "not-verified"
	notChecked  = "signer-not-checked"
)

// report is what one run of verify or list says. The JSON names are stable.
type report struct {
	Verdict  string   `json:"verdict"`
	Sentence string   `json:"sentence"`
	Exit     int      `json:"exit"`
	Trust    string   `json:"trust"` // where the trusted keys came from
	Warnings []string `json:"warnings"`
	Items    []*item  `json:"items"`
}

// item is one bundle or signed paper.
type item struct {
	Path     string   `json:"path"`
	What     string   `json:"what"`
	Verdict  string   `json:"verdict"`
	Sentence string   `json:"sentence"`
	Exit     int      `json:"exit"`
	Error    *problem `json:"error,omitempty"`

	Name       string   `json:"name,omitempty"`
	Tenant     string   `json:"tenant,omitempty"`
	Origin     string   `json:"origin,omitempty"`
	OriginName string   `json:"originName,omitempty"`
	Packer     string   `json:"packer,omitempty"`
	For        []string `json:"for,omitempty"`
	Created    string   `json:"created,omitempty"`
	Anchor     string   `json:"anchorTime,omitempty"`
	Sealed     string   `json:"sealed,omitempty"`
	BundleID   string   `json:"bundleId,omitempty"`
	LabelID    string   `json:"labelId,omitempty"`
	Volumes    int      `json:"volumes,omitempty"`
	Bytes      int64    `json:"bytes,omitempty"` // outer
	Entries    int      `json:"entries,omitempty"`
	Contents   int64    `json:"contentBytes,omitempty"`
	Records    int64    `json:"records,omitempty"`
	Feeds      []feed   `json:"feeds,omitempty"`
	Signer     *signer  `json:"signer,omitempty"`

	Checked    []string `json:"checked"`
	NotChecked []string `json:"notChecked"`
	Unlisted   []string `json:"unlisted,omitempty"`
	List       []entry  `json:"list,omitempty"`
}

type feed struct {
	Feed       string `json:"feed"`
	Epoch      int64  `json:"epoch"`
	Generation int64  `json:"generation"`
	Records    int64  `json:"records"`
	StateRoot  string `json:"stateRoot"`
}

type signer struct {
	KeyID       string `json:"keyid"`
	Fingerprint string `json:"fingerprint,omitempty"`
	Words       string `json:"words,omitempty"`
	Root        string `json:"root,omitempty"`
	Appliance   string `json:"applianceWords,omitempty"` // of the trust root on the medium that names the key
	Trusted     bool   `json:"trusted"`
}

type entry struct {
	Path   string `json:"path"`
	Role   string `json:"role"`
	Bytes  int64  `json:"bytes"`
	Digest string `json:"digest"`
}

// problem is an error for people and scripts.
type problem struct {
	Code     string `json:"code"`
	Message  string `json:"message"`
	File     string `json:"file,omitempty"`
	Place    string `json:"place,omitempty"`
	Expected string `json:"expected,omitempty"`
	Got      string `json:"got,omitempty"`
	Cause    string `json:"cause,omitempty"`
	Next     string `json:"next"`
}

func problemOf(err error) *problem {
	p := &problem{Code: string(code.Of(err)), Message: code.Lookup(code.Of(err)).Summary, Next: clean(code.NextStep(err))}
	var e *code.Error
	if !errors.As(err, &e) {
		p.Cause = clean(err.Error())
		return p
	}
	if e.Msg != "" {
		p.Message = clean(e.Msg)
	}
	p.File, p.Place, p.Expected, p.Got = clean(e.File), clean(e.Place), clean(e.Expected), clean(e.Got)
	if e.Err != nil {
		p.Cause = clean(e.Err.Error())
	}
	return p
}

// refuse turns an item into a refusal.
func (it *item) refuse(err error) {
	it.Verdict, it.Error, it.Exit = notVerified, problemOf(err), code.Exit(err)
	if it.Error.File == "" {
		it.Error.File = it.Path
	}
	it.Sentence = fmt.Sprintf("NOT VERIFIED: %s. Do not import. Nothing was changed.", strings.TrimSuffix(it.Error.Message, "."))
}

// sum makes the overall verdict: the worst item decides.
func (r *report) sum() {
	worst := r.Items[0]
	for _, it := range r.Items[1:] {
		if rank(it) > rank(worst) {
			worst = it
		}
	}
	r.Verdict, r.Sentence, r.Exit = worst.Verdict, worst.Sentence, worst.Exit
	if s := r.mixed(worst); s != "" {
		r.Sentence = s
	}
}

// mixed is the sentence about several bundles of which some are good and nothing speaks against the others but that nobody
// gave the key of their signer. The verdict stays that of the worst.
func (r *report) mixed(worst *item) string {
	if worst.Error == nil || worst.Error.Code != string(code.SignerUnknown) || len(r.Items) < 2 {
		return ""
	}
	good, other := int64(0), int64(0)
	for _, it := range r.Items {
		switch {
		case it.Verdict == verified || it.Verdict == intact:
			good++
		case it.Error != nil && it.Error.Code == string(code.SignerUnknown):
			other++
		default:
			return ""
		}
	}
	if good == 0 {
		return ""
	}
	which := "that one"
	if other > 1 {
		which = "those"
	}
	return fmt.Sprintf("NOT ALL VERIFIED: %d good, %d signed by a key that was not given: who signed %s was not checked. Import only what is verified. Nothing was changed.", good, other, which)
}

// rank orders what a person must hear first: damage, then trust, then everything else that is no success, then what was
// not opened.
func rank(it *item) int {
	switch {
	case it.Exit == code.Lookup(code.VolumeDamaged).Exit():
		return 9
	case it.Exit == code.Lookup(code.SignerUnknown).Exit() && it.Verdict == notVerified:
		return 8
	case it.Verdict == notVerified:
		return 7
	case it.Verdict == notChecked:
		return 6
	case it.Exit != 0:
		return 5
	case it.Verdict == intact:
		return 1
	}
	return 0
}

// print writes the report: the first line is the overall sentence.
// papersOnly tells a place that has signed papers that are not believed, and no bundle at all.
func (r *report) papersOnly() bool {
	for _, it := range r.Items {
		if it.What != "card" && it.What != "root" {
			return false
		}
	}
	return r.Exit != 0
}

func (r *report) print(w io.Writer, asJSON bool) error {
	if asJSON {
		enc := json.NewEncoder(w)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		return enc.Encode(r)
	}
	var b strings.Builder
	fmt.Fprintln(&b, r.Sentence)
	if r.papersOnly() {
		fmt.Fprintln(&b, "There is no bundle here, only papers (cards, trust roots): nothing was exported to this place yet, or this is another stick.")
	}
	for _, warning := range r.Warnings {
		fmt.Fprintf(&b, "WARNING: %s.\n", warning)
	}
	for _, it := range r.Items {
		fmt.Fprintf(&b, "\n%s %s\n", it.What, it.Path)
		if len(r.Items) > 1 {
			fmt.Fprintf(&b, "  %s\n", it.Sentence)
		}
		it.print(&b)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (it *item) print(b *strings.Builder) {
	row := func(name, format string, args ...any) {
		fmt.Fprintf(b, "  %-12s %s\n", name, fmt.Sprintf(format, args...))
	}
	if p := it.Error; p != nil {
		for _, l := range [][2]string{{"code", p.Code}, {"what", p.Message}, {"file", p.File}, {"place", p.Place}, {"expected", p.Expected}, {"got", p.Got}, {"cause", p.Cause}, {"next:", p.Next}} {
			if l[1] != "" {
				row(l[0], "%s", l[1])
			}
		}
	}
	if it.Name != "" {
		row("bundle", "%s", it.Name)
	}
	if it.Origin != "" {
		row("from", "%s", strings.TrimSpace(it.Tenant+" "+it.OriginName+" "+it.Origin))
	}
	if it.Packer != "" {
		row("packed by", "%s", it.Packer)
	}
	if len(it.For) > 0 {
		row("for", "%s", strings.Join(it.For, ", "))
	}
	if s := it.Signer; s != nil {
		row("signer", "%s", s.KeyID)
		if s.Words != "" {
			row("words", "%s", s.Words)
		}
		if s.Appliance != "" {
			row("of appliance", "%s", s.Appliance)
		}
		if s.Root != "" {
			row("trust root", "%s", s.Root)
		}
	}
	if it.Created != "" {
		row("made", "%s", it.Created)
	}
	if it.Volumes > 0 {
		row("outside", "%d volume(s), %s bytes", it.Volumes, units.Count(it.Bytes))
	}
	if it.Entries > 0 {
		row("inside", "%d entries, %s bytes, %s", it.Entries, units.Count(it.Contents), units.Plural(it.Records, "record", "records"))
	}
	for _, f := range it.Feeds {
		row("feed", "%s generation %d.%d, %s, %s", f.Feed, f.Epoch, f.Generation, units.Plural(f.Records, "record", "records"), f.StateRoot)
	}
	for _, c := range it.Checked {
		row("checked", "%s", c)
	}
	for _, c := range it.NotChecked {
		row("not checked", "%s", c)
	}
	if len(it.Unlisted) > 0 {
		row("not part of this bundle", "%s", strings.Join(it.Unlisted[:min(len(it.Unlisted), 20)], ", "))
	}
	if it.Verdict == notChecked && it.Signer != nil {
		fmt.Fprintf(b, "\n  %s\n", it.askWords())
	}
}

// askWords is the line for who has no key but a paper.
func (it *item) askWords() string {
	words := it.Signer.Words
	if words == "" {
		return "SIGNER NOT CHECKED: no public key on this medium fits; run again with --key or --root from elsewhere."
	}
	return fmt.Sprintf("SIGNER NOT CHECKED: compare these words with your paper, then run again with --key-words %q", words)
}
