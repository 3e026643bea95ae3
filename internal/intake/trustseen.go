package intake

import (
	"fmt"
	"slices"
	"strings"

	"sallyport/internal/code"
	"sallyport/internal/peer"
)

// changes tells, for an import or an exchange, which changes of trust lie on the medium. It applies none.
func (v *visit) changes() {
	sheets, err := v.sheets()
	if err != nil {
		v.trust = append(v.trust, TrustChange{What: "root", Sentence: "The trust roots on this medium were left alone: " + clean(err.Error())})
		return
	}
	v.ourselves(sheets)
	for _, p := range v.byName() {
		c, err := v.change(p, sheets)
		switch {
		case err != nil:
			v.trust = append(v.trust, TrustChange{Peer: p.Name, What: "root", Sentence: fmt.Sprintf("What this medium says about the trust in %s was left alone: %s", p.Name, clean(err.Error()))})
		case c == nil || code.Of(c.why) == code.CounterOld: // an old stick
		default:
			if c.why != nil && !c.foreign(v) && v.refused == nil {
				v.refused = c.why
			}
			v.trust = append(v.trust, c.seen(v))
		}
	}
}

// byName are the peers in the order of their names.
func (v *visit) byName() []peer.Peer {
	var list []peer.Peer
	for _, p := range v.peers {
		list = append(list, p)
	}
	slices.SortFunc(list, func(a, b peer.Peer) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// seen is a change of trust as an import tells it.
func (c *trustChange) seen(v *visit) TrustChange {
	t := TrustChange{Peer: c.plan.Peer, What: "root", Sentence: c.plan.Sentence}
	switch {
	case c.why != nil && c.foreign(v):
		t.What, t.Old = "card", c.peer.RootID.Hex()
		return t
	case c.why != nil:
		return t
	case len(c.roots) > 0:
		t.Old, t.New = fmt.Sprint(c.plan.From), fmt.Sprint(c.plan.To)
	default:
		t.What, t.Old, t.New = "card", c.peer.Recipient, c.card.card.Recipient
	}
	t.Sentence = fmt.Sprintf("%s changes %s: a change of trust, which takes two people and is never made by an import. Until then nothing of it counts here. Look at it with %s.", c.plan.Peer, c.what(), v.trustPlan())
	return t
}

// foreign tells that it is the card of this peer that names another root.
func (c *trustChange) foreign(v *visit) bool {
	return code.Of(c.why) == code.RootUnknown && slices.ContainsFunc(v.found.Cards, func(file string) bool {
		card, _, err := readCard(v.fsys, file)
		return err == nil && card.Appliance.ID == c.peer.ID && card.RootID != c.peer.RootID
	})
}

// versions warns of bundles that were signed under a newer root than the one that is known here.
func (im *imports) versions() {
	for _, pr := range im.ready {
		if pr.bundle == nil {
			continue
		}
		t, n := im.v.roots[pr.peer.RootID], pr.bundle.Manifest().TrustRoot.Version
		if t == nil || n <= t.Version() || slices.ContainsFunc(im.res.Trust, func(c TrustChange) bool { return c.Peer == pr.peer.Name && c.What == "version" }) {
			continue
		}
		next := "Ask for the trust update: nothing is wrong with this data, but a key revoked there still counts here."
		if slices.ContainsFunc(im.res.Trust, func(c TrustChange) bool { return c.Peer == pr.peer.Name && c.What == "root" && c.New != "" }) {
			next = "A trust update lies on this stick: look at it with sallyport trust plan MEDIUM."
		}
		im.res.Trust = append(im.res.Trust, TrustChange{
			Peer: pr.peer.Name, What: "version", Old: fmt.Sprint(t.Version()), New: fmt.Sprint(n),
			Sentence: fmt.Sprintf("%s was signed under root version %d of %s, here it is version %d. %s", pr.plan.Name, n, pr.peer.Name, t.Version(), next),
		})
	}
}

// rootComes tells that a newer root of a peer lies on this medium and waits for two people.
func (im *imports) rootComes(name string) bool {
	return slices.ContainsFunc(im.v.trust, func(c TrustChange) bool { return c.Peer == name && c.What == "root" && c.New != "" })
}

// newerRoot tells that something on this medium was signed under a newer root of a peer than the one known here.
func (im *imports) newerRoot(name string) bool {
	return slices.ContainsFunc(im.res.Trust, func(c TrustChange) bool { return c.Peer == name && c.What == "version" })
}
