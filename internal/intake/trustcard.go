package intake

import (
	"fmt"
	"slices"
	"time"

	"sallyport/internal/attest"
	"sallyport/internal/bundle"
	"sallyport/internal/code"
	"sallyport/internal/marks"
	"sallyport/internal/peer"
	"sallyport/internal/root"
	"sallyport/internal/verify"
)

// newCard is a card of a known peer that changes its keys or its recipient.
type newCard struct {
	file     string
	card     *bundle.Card
	envelope []byte
	orphan   bool // not signed by a key the peer had before: all of those are revoked
}

// changedCard finds the newest card of a peer on the medium, and tells whether it changes keys or recipient. It is judged under
// the root it would count under, t. Nil when there is none, or it is the one that is known. Codes counter, root-unknown,
// root-rollback, card-key, key-role, key-revoked and those of verify.Document.
func (v *visit) changedCard(p peer.Peer, held, t *root.Trusted) (*newCard, error) {
	var newest *newCard
	for _, file := range v.found.Cards {
		c, envelope, err := readCard(v.fsys, file)
		if err != nil || c.Appliance.ID != p.ID {
			continue
		}
		if newest == nil || c.Counter > newest.card.Counter {
			newest = &newCard{file: file, card: c, envelope: envelope}
		}
	}
	if newest == nil || newest.card.Recipient == p.Recipient && sameKeys(newest.card, p) && newest.card.RootID == p.RootID {
		return nil, nil
	}
	if newest.card.RootID != p.RootID {
		return nil, code.New(code.RootUnknown, "%s", trustChanged(p.Name)).In(newest.file, "rootId").Want(p.RootID.Hex(), newest.card.RootID.Hex()).
			Do("Keep the stick and call " + p.Name + " on a number you already had.")
	}
	if v.forgets(t) {
		return nil, code.New(code.RootRollback, "version %d of the root of %s was accepted here before, and what is left of it is version %d: it vouches for no card", v.marked[t.ID().String()], p.Name, t.Version()).
			In(newest.file, "").Do("Bring a medium with the newest trust root of " + p.Name + ".")
	}
	if last := max(p.Counters["card"], v.floor[marks.CounterKey("card", p.ID)]); newest.card.Counter <= last {
		return nil, code.New(code.CounterOld, "a card of %s that is older than the one known here, with other keys", p.Name).
			In(newest.file, "counter").Want(fmt.Sprint("more than ", last), newest.card.Counter)
	}
	return newest, newest.check(v, p, held, t)
}

// check proves a changed card: it holds under the root, all its keys may speak, and a key known before signed it.
func (n *newCard) check(v *visit, p peer.Peer, held, t *root.Trusted) error {
	if _, err := verify.Document(n.envelope, v.only(t)); err != nil {
		return fmt.Errorf("card %q: %w", n.file, err)
	}
	if err := cardDates(n.card, n.file, v.time); err != nil {
		return err
	}
	for _, k := range n.card.Keys {
		if err := t.Why(k.KeyID, root.RoleAppliance, "", p.ID, v.time.Trusted); err != nil {
			return fmt.Errorf("card %q: %w", n.file, err)
		}
	}
	var before []*attest.Key
	able := false // a previous key that still counts
	for _, id := range p.KeyIDs {
		if k := held.Key(id); k != nil {
			before = append(before, k)
			able = able || t.Why(id, root.RoleAppliance, "", p.ID, time.Time{}) == nil
		}
	}
	_, err := attest.Verify(n.envelope, attest.Policy{Types: []string{attest.TypeCard}, Keys: before})
	switch {
	case err == nil:
		return nil
	case able:
		return code.Wrap(code.CardKey, err, "").In(n.file, "signatures").Want("a signature by one of the keys "+fmt.Sprint(p.KeyIDs), "none")
	}
	n.orphan = true // the root, which took its own keys to sign, ended every key the card had before
	return nil
}

// words say what the card changes.
func (n *newCard) words(p peer.Peer) (list []string) {
	if n.card.Recipient != p.Recipient {
		list = append(list, fmt.Sprintf("encryption key (age recipient): %s → %s; bundles for %s are sealed to the new one from then on", p.Recipient, n.card.Recipient, p.Name))
	}
	for _, k := range n.card.Keys {
		if !slices.Contains(p.KeyIDs, k.KeyID) {
			list = append(list, fmt.Sprintf("card: signs from now on with the appliance key %s too", k.KeyID))
		}
	}
	for _, id := range p.KeyIDs {
		if !slices.ContainsFunc(n.card.Keys, func(k bundle.CardKey) bool { return k.KeyID == id }) {
			list = append(list, fmt.Sprintf("card: signs no more with the appliance key %s", id))
		}
	}
	if n.orphan {
		list = append(list, "card: not signed by a key it had before, because the new trust root revokes them all; the root keys vouch for the new one")
	}
	return list
}
