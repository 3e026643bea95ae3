package intake

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"sallyport/internal/attest"
	"sallyport/internal/bundle"
	"sallyport/internal/code"
	"sallyport/internal/root"
	"sallyport/internal/units"
)

// Comparing is read by the person who makes first trust.
const Comparing = "Read these nine words to headquarters and hear theirs. Continue only if both match. A wrong word means: stop, keep the stick."

func trustChanged(name string) string {
	return fmt.Sprintf("%s is known here with another fingerprint: that would be a change of trust, not a first meeting", name)
}

// plainHex drops what people type around hex digits.
func plainHex(s string) string {
	s = strings.ToLower(strings.Join(strings.Fields(s), ""))
	return strings.ReplaceAll(strings.TrimPrefix(s, "sha256:"), ":", "")
}

const nothingNew = "This site already has everything on this stick. You can take it back."

// hasAlready is said of a stick that was here before.
func hasAlready(at, receipt string) string {
	if receipt == "" {
		return fmt.Sprintf("This site already has everything on this stick (since %s). You can take it back.", day(at))
	}
	return fmt.Sprintf("This site already has everything on this stick (since %s, receipt %s). You can take it back.", day(at), receipt)
}

func plannedSentence(p BundlePlan) string {
	s := fmt.Sprintf("%s from %s: %s, %s. Already verified.", p.Name, p.From, changes(p.counts()), units.Size(p.Bytes))
	if slices.ContainsFunc(p.Feeds, func(f FeedPlan) bool { return f.Refresh }) && p.Variant != "full" {
		s += " A full refresh: it carries every record."
	}
	if p.NeedsApproval != "" {
		s += " " + p.NeedsApproval + "."
	}
	return s
}

func doneSentence(p BundlePlan, acc accepted) string {
	var feeds []string
	for _, f := range p.Feeds {
		if f.Decision == Activated || f.Decision == Held {
			feeds = append(feeds, fmt.Sprintf("%s generation %d", f.Feed, f.Generation))
		}
	}
	switch acc.decision {
	case Activated:
		return fmt.Sprintf("Activated %s: %s. Receipt %s.", strings.Join(feeds, ", "), changes(p.counts()), acc.receipt.Number)
	case Held:
		return fmt.Sprintf("Kept %s, not activated: the feed is pinned here. Receipt %s.", strings.Join(feeds, ", "), acc.receipt.Number)
	}
	return hasAlready(acc.receipt.At, acc.receipt.Number)
}

// homeSentence says what is new of the papers that came, and what the newest inventory asks for.
func homeSentence(name string, news, all []homePaper) string {
	count := func(list []homePaper) (receipts, inventories int) {
		for _, p := range list {
			if p.receipt != nil {
				receipts++
			} else {
				inventories++
			}
		}
		return receipts, inventories
	}
	receipts, inventories := count(news)
	came, _ := count(all)
	said := plural(receipts, "receipt", "receipts")
	if known := came - receipts; known > 0 {
		said += fmt.Sprintf(" (%d known here already)", known)
	}
	s := fmt.Sprintf("Taken in from %s: %s, %s.", name, said, plural(inventories, "inventory", "inventories"))
	if len(news) == 0 {
		s = fmt.Sprintf("Everything %s sent is known here already.", name)
	}
	if n := asked(all); n > 0 {
		s += fmt.Sprintf(" It asks for %s again: sallyport exchange writes them.", plural(n, "volume", "volumes"))
	}
	return s
}

// asked is how many volumes the newest inventory asks for.
func asked(papers []homePaper) (n int) {
	var newest int64
	for _, p := range papers {
		if p.inventory == nil || p.inventory.Counter < newest {
			continue
		}
		newest, n = p.inventory.Counter, 0
		for _, w := range p.inventory.Wanted {
			n += len(w.Volumes)
		}
	}
	return n
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// otherSentence is said of a bundle for somebody else; l is nil when its label cannot be read.
func (im *imports) otherSentence(l *bundle.Label) string {
	if l == nil {
		return "A bundle that is not for this site. Nothing was opened."
	}
	if l.Appliance.ID == im.Self.ID {
		return fmt.Sprintf("%s was made here%s. Nothing to take in.", l.Name, forWhom(l, ", for "))
	}
	return fmt.Sprintf("This bundle is for %s, not for this site (%s). Nothing was opened. Keep the stick for its courier.", forWhom(l, ""), im.Self.Name)
}

func forWhom(l *bundle.Label, before string) string {
	var names []string
	for _, a := range l.For {
		names = append(names, a.Name)
	}
	if len(names) == 0 && before == "" {
		return "another site"
	}
	if len(names) == 0 {
		return ""
	}
	return before + strings.Join(names, " and ")
}

// refusedSentence is what a person reads about a refusal.
func (im *imports) refusedSentence(c candidate, pr *prepared, o *Outcome, why error) string {
	kept := ""
	if o.Quarantine != "" {
		kept = fmt.Sprintf(" The stick is evidence: keep it and write %[1]s on it. Its label and the log of this check are kept here in quarantine %[1]s.", o.Quarantine)
	}
	switch code.Of(why) {
	case code.LabelMissing:
		return "Copying to this stick was not finished: no label. It is resumed at the hub, not imported here."
	case code.SignerUnknown:
		return fmt.Sprintf("Signed by a key this site does not know (%s)%s. %s%s", im.v.strangerWords(c.dir), im.v.claimed(c.dir), im.v.strangerNext(c.dir), kept)
	case code.Rollback:
		here, there := "", ""
		if pr != nil && pr.bundle == nil {
			here, there = apart(pr, why)
		}
		return fmt.Sprintf("You have newer data%s than this stick%s. Nothing to do.", inBrackets(here), inBrackets(there))
	case code.NotForUs:
		return "Not encrypted for any key of this site. " + im.otherSentence(im.v.peek(c.dir))
	case code.SealDamaged:
		return "Refused, nothing was changed. (Encrypted for this site, but damaged.)" + kept
	case code.MediumRead, code.VolumeMissing:
		return upper(inShort(why)) + ". " + o.Next
	}
	return fmt.Sprintf("Refused, nothing was changed. (%s.)%s", upper(inShort(why)), kept)
}

// apart says of what is here and of what came how new they are: days, times where the days are equal, generations where the
// clocks do not say it.
func apart(pr *prepared, why error) (here, there string) {
	var e *code.Error
	a, aerr := time.Parse(time.RFC3339, pr.since)
	b, berr := time.Parse(time.RFC3339, pr.plan.CreatedAt)
	switch {
	case aerr == nil && berr == nil && a.After(b):
		if here, there = day(pr.since), day(pr.plan.CreatedAt); here == there {
			here, there = a.Format("2 Jan 2006 15:04:05"), b.Format("2 Jan 2006 15:04:05")
		}
		return here, there
	case errors.As(why, &e) && strings.HasPrefix(e.Expected, "above generation "):
		return strings.TrimPrefix(e.Expected, "above "), e.Got
	}
	return "", ""
}

// inShort is the reason of a refusal as a person wants it first: what is wrong and where, without paths and digests.
func inShort(why error) string {
	var e *code.Error
	if !errors.As(why, &e) {
		return clean(strings.TrimRight(why.Error(), ". "))
	}
	s := e.Msg
	if row := code.Lookup(e.Code); s == "" || row.Kind == code.Trust {
		s = row.Summary
	}
	if strings.HasPrefix(e.Place, "volume ") || strings.HasPrefix(e.Place, "feed ") {
		s = e.Place + ": " + s
	}
	return clean(strings.TrimRight(s, ". "))
}

func upper(s string) string { return strings.ToUpper(s[:min(1, len(s))]) + s[min(1, len(s)):] }

func inBrackets(s string) string {
	if s == "" {
		return ""
	}
	return " (" + s + ")"
}

// claimed names whom an unverified label says it is of.
func (v *visit) claimed(dir string) string {
	l := v.peek(dir)
	if l == nil {
		return ""
	}
	return ", in the name of " + clean(l.Appliance.Name)
}

// strangerNext is what to do about a key that is not known here: a change of trust on the same medium may bring it.
func (v *visit) strangerNext(dir string) string {
	l := v.peek(dir)
	for _, t := range v.trust {
		if l != nil && t.Peer == l.Appliance.Name && t.New != "" {
			return fmt.Sprintf("A change of trust of %s lies on this stick and may bring the key: look at it with %s, then import again.", t.Peer, v.trustPlan())
		}
	}
	return "If the sender changed its key, bring its trust update: sallyport trust plan shows the one on a stick. If not, keep the stick and call."
}

// trustPlan is the command that shows the changes of trust on this medium.
func (v *visit) trustPlan() string {
	if v.medium == nil {
		return "sallyport trust plan MEDIUM"
	}
	return "sallyport trust plan " + clean(v.medium.Path())
}

// strangerWords are the nine words of the key that an unverified label names. A key id is a hash of the key: the key itself
// is looked for among the public keys and roots on the medium, which nobody vouches for but the hash; without it the id stands.
func (v *visit) strangerWords(dir string) string {
	claim, err := v.claim(dir)
	if err != nil || len(claim.KeyIDs) == 0 {
		return "no key is named"
	}
	id := claim.KeyIDs[0]
	for _, file := range v.found.Pubs[:min(len(v.found.Pubs), maxRoots)] {
		if b, err := readPaper(v.fsys, file); err == nil {
			if k, err := attest.ParseKey(b); err == nil && k.ID() == id {
				return k.Words()
			}
		}
	}
	for _, file := range v.found.Roots[:min(len(v.found.Roots), maxSteps)] {
		if b, err := readPaper(v.fsys, file); err == nil {
			if t, err := root.First(b, time.Time{}); err == nil {
				if i := slices.IndexFunc(t.All(), func(k *attest.Key) bool { return k.ID() == id }); i >= 0 {
					return t.All()[i].Words()
				}
			}
		}
	}
	return clean(id)
}

// sentence sums the whole import up.
func (im *imports) sentence() string {
	n := map[Decision]int{}
	for _, o := range im.res.Outcomes {
		n[o.Decision]++
	}
	switch {
	case len(im.res.Outcomes) == 0 && len(im.v.fresh) > 0:
		return fmt.Sprintf("No bundle on this stick. It has cards of appliances that are not trusted here yet (%s): sallyport peers add.", strings.Join(im.v.fresh, ", "))
	case len(im.res.Outcomes) == 0:
		return "" // the error says it
	case len(im.res.Outcomes) == 1 && n[Planned] == 0:
		return im.res.Outcomes[0].Sentence
	case n[Planned] > 0:
		here := 0
		for _, o := range im.res.Outcomes {
			if o.Decision == Planned && strings.HasPrefix(o.Dir, waitingHere) {
				here++
			}
		}
		var added, changed, removed int64
		for _, b := range im.res.Plan.Bundles {
			a, c, r := b.counts()
			added, changed, removed = added+a, changed+c, removed+r
		}
		return fmt.Sprintf("%s: %s, %s. Already verified. Review and import.", whereFrom(n[Planned]-here, here), changes(added, changed, removed), units.Size(im.res.Plan.Bytes))
	}
	if o := im.nothingBut(); o != nil {
		return o.Sentence
	}
	var doing []Outcome
	for _, o := range im.res.Outcomes {
		if o.Decision != AlreadyActive && o.Decision != AlreadyHeld && o.Decision != Skipped {
			doing = append(doing, o)
		}
	}
	if len(doing) == 1 {
		return doing[0].Sentence
	}
	late := 0
	for _, o := range doing {
		if o.Decision == Refused && o.Code == string(code.Rollback) {
			late++
		}
	}
	n[Refused] -= late
	var parts []string
	for _, d := range []Decision{Activated, Held, Applied, Parked, Waits, AlreadyActive, AlreadyHeld, Refused, Skipped} {
		if n[d] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n[d], d))
		}
		if d == Refused && late > 0 {
			parts = append(parts, fmt.Sprintf("%d older than what is here", late))
		}
	}
	return strings.Join(parts, ", ") + "."
}

// whereFrom says how many of the bundles of a plan are on the stick, and how many waited here for what it brings.
func whereFrom(stick, here int) string {
	switch {
	case here == 0:
		return fmt.Sprintf("This stick has %s for this site", plural(stick, "bundle", "bundles"))
	case stick == 0:
		return plural(here, "bundle that waited here can come in", "bundles that waited here can come in")
	}
	return fmt.Sprintf("This stick has %s for this site, %s", plural(stick, "bundle", "bundles"), plural(here, "more waited here", "more waited here"))
}

// nothingBut is the newest of the bundles that this site has already, when there is nothing else for it on the stick but older
// ones; else nil.
func (im *imports) nothingBut() (newest *Outcome) {
	for i := range im.res.Outcomes {
		switch o := &im.res.Outcomes[i]; {
		case o.Decision == AlreadyActive || o.Decision == AlreadyHeld:
			if newest == nil || o.Receipt >= newest.Receipt {
				newest = o
			}
		case o.Decision == Skipped, o.Decision == Refused && o.Code == string(code.Rollback):
		default:
			return nil
		}
	}
	return newest
}

// clean makes a text that may hold foreign bytes fit for a log, a terminal and an event.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
	if len(s) > 500 {
		s = strings.ToValidUTF8(s[:500], "") + "…"
	}
	return s
}
