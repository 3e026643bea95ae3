package intake

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"sallyport/internal/attest"
	"sallyport/internal/clock"
	"sallyport/internal/root"
)

// trustChanges says in lines for people what a newer root changes, old before new.
func trustChanges(name string, a, b root.Document) (list []string) {
	say := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	if a.RootVersion != b.RootVersion {
		say("trust root: version %d → %d", a.RootVersion, b.RootVersion)
	}
	for _, k := range b.Keys {
		old := entryOf(a, k.KeyID)
		if old == nil {
			say("key added: %s %s, words: %s, for %s, valid %s to %s", rolesOf(b, k.KeyID), k.KeyID, wordsOf(k), scopeOf(k.Scope), date(k.NotBefore), date(k.NotAfter))
			continue
		}
		list = append(list, keyChanges(*old, k, rolesOf(b, k.KeyID))...)
	}
	for _, k := range a.Keys {
		if entryOf(b, k.KeyID) == nil {
			say("key removed: %s %s; what it signs is refused from now on", rolesOf(a, k.KeyID), k.KeyID)
		}
	}
	for _, r := range b.Revoked {
		if !slices.ContainsFunc(a.Revoked, func(o root.Revocation) bool { return o == r }) {
			say("key revoked from %s on: %s %s; what it signs is refused, what came in before stays and is shown as signer revoked", date(r.From), rolesOf(b, r.KeyID), r.KeyID)
		}
	}
	for _, r := range a.Revoked {
		if !slices.ContainsFunc(b.Revoked, func(o root.Revocation) bool { return o.KeyID == r.KeyID }) {
			say("revocation taken back: %s %s", rolesOf(b, r.KeyID), r.KeyID)
		}
	}
	list = append(list, roleChanges(a, b)...)
	if a.NotAfter != b.NotAfter {
		say("the trust root is valid until %s → %s", date(a.NotAfter), date(b.NotAfter))
	}
	for _, e := range b.FeedEpochs {
		if old := epochOf(a, e); old != e.Epoch {
			say("%s was restored from a backup; epoch %d of feed %s begins (before: %d)", name, e.Epoch, e.Feed, max(old, 1))
		}
	}
	if a.TimeEpoch != b.TimeEpoch {
		say("time epoch: %d → %d: an anchor was wrong: the trusted time here goes back to what this machine's clock reads, or to when the newest card was signed if that is later, so look at the clock first", a.TimeEpoch, b.TimeEpoch)
	}
	return list
}

// epochOf is the epoch a document names for the feed of e, 0 for none.
func epochOf(d root.Document, e root.FeedEpoch) int64 {
	for _, o := range d.FeedEpochs {
		if o.Tenant == e.Tenant && o.Origin == e.Origin && o.Feed == e.Feed {
			return o.Epoch
		}
	}
	return 0
}

func keyChanges(a, b root.KeyEntry, role string) (list []string) {
	if a.NotAfter != b.NotAfter || a.NotBefore != b.NotBefore {
		list = append(list, fmt.Sprintf("%s %s: valid %s to %s → %s to %s", role, b.KeyID, date(a.NotBefore), date(a.NotAfter), date(b.NotBefore), date(b.NotAfter)))
	}
	if x, y := scopeOf(a.Scope), scopeOf(b.Scope); x != y {
		list = append(list, fmt.Sprintf("%s %s: speaks for %s → %s", role, b.KeyID, x, y))
	}
	return list
}

func roleChanges(a, b root.Document) (list []string) {
	for _, name := range root.Roles() {
		x, y := a.Roles[name], b.Roles[name]
		if x.Threshold != y.Threshold {
			list = append(list, fmt.Sprintf("role %s: takes %d → %d keys to sign", name, x.Threshold, y.Threshold))
		}
		for _, id := range y.KeyIDs {
			if !slices.Contains(x.KeyIDs, id) && entryOf(a, id) != nil {
				list = append(list, fmt.Sprintf("role %s: given to key %s", name, id))
			}
		}
		for _, id := range x.KeyIDs {
			if !slices.Contains(y.KeyIDs, id) && entryOf(b, id) != nil {
				list = append(list, fmt.Sprintf("role %s: taken from key %s", name, id))
			}
		}
	}
	return list
}

func entryOf(d root.Document, id string) *root.KeyEntry {
	if i := slices.IndexFunc(d.Keys, func(k root.KeyEntry) bool { return k.KeyID == id }); i >= 0 {
		return &d.Keys[i]
	}
	return nil
}

// rolesOf names what a key is for.
func rolesOf(d root.Document, id string) string {
	var names []string
	for _, name := range root.Roles() {
		if slices.Contains(d.Roles[name].KeyIDs, id) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return "key"
	}
	return strings.Join(names, " and ") + " key"
}

func wordsOf(k root.KeyEntry) string {
	pub, err := attest.ParseKeyText(k.Public)
	if err != nil {
		return "none" // the document was checked, so this cannot be
	}
	return pub.Words()
}

func scopeOf(s root.Scope) string {
	list := func(what string, names []string) string {
		switch {
		case len(names) == 1 && names[0] == root.Any:
			return "every " + what
		case len(names) == 0:
			return "no " + what
		}
		return what + " " + strings.Join(names, ", ")
	}
	return list("tenant", s.Tenants) + " and " + list("origin", s.Origins)
}

// date is the day of a time, which is all that a person compares.
func date(at string) string {
	t, err := clock.Parse(at)
	if err != nil {
		return at
	}
	return t.Format(time.DateOnly)
}
