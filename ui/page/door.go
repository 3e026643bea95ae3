package page

import (
	"strconv"
	"strings"
	"time"

	"sallyport/internal/units"
	"sallyport/internal/wire"
	"sallyport/ui/kit"
)

// SignInView asks who is there.
type SignInView struct {
	Site     string
	Name     string
	Next     string    // where to go then
	Clock    time.Time // what the machine's clock reads
	Doubt    string    // why it cannot be right; "" when nothing speaks against it
	Problems []kit.NoticeView
}

// StepUpView asks once more.
type StepUpView struct {
	Person   string
	Next     string
	Clock    time.Time
	Doubt    string
	Problems []kit.NoticeView
}

// LostView takes the code of the recovery card.
type LostView struct {
	Site     string
	Problems []kit.NoticeView
}

// CodeView asks for a one-time code. First tells that nobody can sign in yet.
type CodeView struct {
	Site     string
	First    bool
	Problems []kit.NoticeView

	Certificate string // SHA-256 of the certificate in use, as browsers show it; "" without TLS
	OwnCA       bool   // it is of the site CA, which /ca.crt gives
}

// AccountView is the form of a new account, with what the phone needs.
type AccountView struct {
	Site     string
	Kind     string // setup, recover, invitation
	Code     string
	Name     string
	Roles    string
	Secret   string // in groups of four
	URI      string // for the QR code
	Left     string // how long the code still works
	Clock    time.Time
	Doubt    string
	Problems []kit.NoticeView
}

// RecoveryView shows recovery codes, once.
type RecoveryView struct {
	Site, Name string
	Codes      []string
	Next       string
	MadeAt     time.Time
}

// RhythmView asks how often a stick arrives.
type RhythmView struct {
	Site, Tenant       string
	Fingerprint, Words string
	Every              time.Duration
	Fixed              bool // a file of the configuration says it
	Problems           []kit.NoticeView
}

// CardView explains the recovery card before it is made.
type CardView struct {
	Site   string
	There  bool
	MadeAt time.Time
	Now    time.Time
}

// clockLine says what the machine's clock reads: codes from a phone depend on it.
func clockLine(at time.Time) string { return "This machine's clock reads " + clockText(at) + "." }

// doubtNotice is the sentence about a clock that cannot be right.
func doubtNotice(doubt string) kit.NoticeView { return kit.NoticeView{Tone: kit.Warn, Title: doubt} }

// accountTitle is what the form is for.
func (v AccountView) title() string {
	switch v.Kind {
	case "recover":
		return "A new admin"
	case "invitation":
		return "Your account"
	}
	return "The first admin"
}

func (v AccountView) lead() string {
	switch v.Kind {
	case "recover":
		return "You get back in with an account of your own. The old ones stay as they are. That this happened stands in the timeline, in every receipt from now on, and on Overview."
	case "invitation":
		return "You were invited as " + v.Roles + ". Choose your password and enrol your phone; nobody else sees either."
	}
	return "This account may do everything on " + v.Site + ". Make accounts for the others later, under Users."
}

// rhythms are the answers to "How often does a stick arrive?".
func (v RhythmView) rhythms() (list []kit.Option) {
	day := 24 * time.Hour
	known := false
	for _, o := range []struct {
		label string
		every time.Duration
	}{{"Every day", day}, {"Every week", 7 * day}, {"Every two weeks", 14 * day}, {"Every month", 30 * day}, {"Every three months", 91 * day}} {
		known = known || o.every == v.Every
		list = append(list, kit.Option{Value: daysOf(o.every) + "d", Label: o.label, Selected: o.every == v.Every, Hint: v.means(o.every)})
	}
	return append(list, kit.Option{Value: "other", Label: "Another number of days", Selected: !known})
}

// means says what follows from a rhythm.
func (v RhythmView) means(every time.Duration) string {
	return "old after " + units.Age(2*every) + ", too old after " + units.Age(3*every)
}

func daysOf(d time.Duration) string { return strconv.Itoa(int(d / (24 * time.Hour))) }

// cardFacts are the lines of the recovery card.
func cardFacts(card wire.RecoveryCard) []kit.Def {
	return []kit.Def{
		{Term: "Appliance", Value: kit.Strong(card.Appliance)},
		{Term: "Made", Value: kit.Text(card.MadeAt)},
		{Term: "Fingerprint", Value: kit.Code(card.Fingerprint)},
		{Term: "In nine words", Value: kit.Words(card.Words)},
		{Term: "Code to get back in", Value: kit.Code(card.Code)},
		{Term: "Recovery identity", Value: kit.Code(card.Identity)},
	}
}

// numbered are the steps of a sheet.
func numbered(list []string) kit.Node {
	nodes := make([]kit.Node, len(list))
	for i, s := range list {
		nodes[i] = kit.Text(strconv.Itoa(i+1) + ". " + s)
	}
	return kit.Lines(nodes...)
}

// codesNode shows recovery codes, one a line.
func codesNode(list []string) kit.Node {
	nodes := make([]kit.Node, len(list))
	for i, s := range list {
		nodes[i] = kit.Code(s)
	}
	return kit.Lines(nodes...)
}

// enrolDoubt is what a wrong clock means to somebody who enrols a phone: two codes in a row tell the drift.
func enrolDoubt(doubt string) kit.NoticeView {
	reads, _, _ := strings.Cut(doubt, ". ")
	return kit.NoticeView{Tone: kit.Warn, Title: strings.TrimSuffix(reads, ".") + ". That cannot be right, and it locks nobody out.", Text: "Type two codes of your phone in a row, one after the other: 123456 654321."}
}
