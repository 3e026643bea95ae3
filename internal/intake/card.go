package intake

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"sallyport/internal/attest"
	"sallyport/internal/bundle"
	"sallyport/internal/clock"
	"sallyport/internal/digest"
	"sallyport/internal/keyring"
	"sallyport/internal/marks"
	"sallyport/internal/media"
	"sallyport/internal/root"
	"sallyport/internal/state"
	"sallyport/internal/units"
)

// cardLife is how long a card may be used for meeting; a known peer's card is replaced at every visit.
const cardLife = 400 * 24 * time.Hour

// Card is our own card as people compare it. Nothing is signed and no counter is used up.
func (r *Room) Card(ctx context.Context) (CardInfo, error) {
	own, _, err := r.own()
	if err != nil {
		return CardInfo{}, err
	}
	c, _, err := r.card(own, r.Marks.Now())
	if err != nil {
		return CardInfo{}, err
	}
	c.Counter = r.Marks.Get().Counters[marks.CounterKey("own-card", r.Self.ID)]
	return cardInfo(c, own), nil
}

// WriteCard writes cards/<name>.card.json, every version of our root to roots/ and each tenant's public bundle key to pub/,
// and flushes the medium. The card comes last: a reader that finds it finds its root too. A path inside the data directory is
// refused.
func (r *Room) WriteCard(ctx context.Context, path string) (CardInfo, error) {
	own, envelopes, err := r.own()
	if err != nil {
		return CardInfo{}, fmt.Errorf("write card: %w", err)
	}
	if filepath.Base(path) == media.Top {
		path = filepath.Dir(path) // the folder itself was named
	}
	if err := media.Outside(path, r.DataDir); err != nil {
		return CardInfo{}, err
	}
	m, err := media.Open(path)
	if err != nil {
		return CardInfo{}, err
	}
	defer m.Close()
	c, envelope, err := r.signCard(ctx, own)
	if err != nil {
		return CardInfo{}, err
	}
	info := cardInfo(c, own)
	for i, e := range envelopes {
		if err := m.WriteRoot(r.FS, own.ID(), int64(i+1), e); err != nil {
			return info, err
		}
		info.Files = append(info.Files, fmt.Sprintf("%s/roots/%s.%d.root.json", media.Top, own.ID().Short(), i+1))
	}
	for _, t := range r.Self.Tenants {
		pem, err := os.ReadFile(r.Keys.PublicPath(t))
		if err != nil {
			return info, fmt.Errorf("write card: public key of tenant %s: %w", t, err)
		}
		if err := m.WritePub(r.FS, r.Self.Name, t, pem); err != nil {
			return info, err
		}
		info.Files = append(info.Files, fmt.Sprintf("%s/pub/%s/tenants/%s/export-center.pub", media.Top, r.Self.Name, t))
	}
	if err := m.WriteCard(r.FS, r.Self.Name, envelope); err != nil {
		return info, err
	}
	info.Files = append(info.Files, fmt.Sprintf("%s/cards/%s.card.json", media.Top, r.Self.Name))
	return info, m.Sync(r.FS)
}

// cardFresh is how long a card is written again as it is: a stick that says nothing new changes nothing at the reader.
const cardFresh = 30 * 24 * time.Hour

// ownCard keeps the envelope of the last card that was signed here.
var ownCard = state.Table[[]byte]{Name: "own-card"}

// signCard gives the last card while it is fresh and says what a new one would, else a new one with the next counter.
func (r *Room) signCard(ctx context.Context, own *root.Trusted) (*bundle.Card, []byte, error) {
	now := r.Marks.Now()
	c, keys, err := r.card(own, now)
	if err != nil {
		return nil, nil, err
	}
	if last, envelope, ok := r.lastCard(); ok && sameCard(*last, *c) && last.Counter == r.Marks.Get().Counters[marks.CounterKey("own-card", r.Self.ID)] && issued(now).Sub(issuedAt(last)).Abs() < cardFresh {
		return last, envelope, nil
	}
	if c.Counter, err = r.Marks.Issue("own-card", r.Self.ID); err != nil {
		return nil, nil, fmt.Errorf("sign card: %w", err)
	}
	payload, err := c.Encode()
	if err != nil {
		return nil, nil, fmt.Errorf("sign card: %w", err)
	}
	envelope, err := attest.Sign(attest.TypeCard, payload, keys...)
	if err != nil {
		return nil, nil, fmt.Errorf("sign card: %w", err)
	}
	if err := r.State.Update(ctx, func(tx *state.Tx) error { return ownCard.Put(tx, r.Self.ID, envelope) }); err != nil {
		return nil, nil, fmt.Errorf("keep card: %w", err)
	}
	return c, envelope, nil
}

// lastCard reads the last card signed here; one that does not read counts as none.
func (r *Room) lastCard() (c *bundle.Card, envelope []byte, ok bool) {
	err := r.State.View(func(tx *state.Tx) (err error) {
		envelope, ok, err = ownCard.Get(tx, r.Self.ID)
		return err
	})
	if err != nil || !ok {
		return nil, nil, false
	}
	return parseCard(envelope)
}

// parseCard reads a card that was verified when it was stored.
func parseCard(envelope []byte) (*bundle.Card, []byte, bool) {
	claim, err := attest.Inspect(envelope)
	if err != nil {
		return nil, nil, false
	}
	c, err := bundle.ParseCard(claim.Payload)
	return c, envelope, err == nil
}

// sameCard compares all that two cards say but their counter and dates.
func sameCard(a, b bundle.Card) bool {
	b.Counter, b.IssuedAt, b.NotAfter = a.Counter, a.IssuedAt, a.NotAfter
	x, errA := a.Encode()
	y, errB := b.Encode()
	return errA == nil && errB == nil && bytes.Equal(x, y)
}

func issuedAt(c *bundle.Card) time.Time {
	at, err := clock.Parse(c.IssuedAt)
	if err != nil {
		return time.Time{} // as old as can be: a new one is signed
	}
	return at
}

// card is what a card would say now, and the keys that sign it: the appliance key in use, and those before it that our root
// still lets speak, so that whoever knows one of them knows the card.
func (r *Room) card(own *root.Trusted, now marks.Reading) (*bundle.Card, []*attest.Signer, error) {
	keys, err := r.applianceKeys(own, now)
	if err != nil {
		return nil, nil, err
	}
	recipient, err := r.Keys.Recipient()
	if err != nil {
		return nil, nil, err
	}
	at := issued(now)
	c := &bundle.Card{
		Appliance: r.self(),
		Recipient: recipient.String(),
		RootID:    own.ID(),
		Reads:     bundle.Reads{BundleVersion: 1, TrivyDBSchemas: []int64{}, Software: r.Self.Software},
		Delivery:  bundle.Delivery{EverySeconds: r.every()},
		Counter:   1,
		IssuedAt:  clock.Format(at),
		NotAfter:  clock.Format(at.Add(cardLife)),
	}
	for _, s := range keys {
		k := s.Public()
		c.Keys = append(c.Keys, bundle.CardKey{KeyID: k.ID(), Alg: k.Alg(), Public: base64.StdEncoding.EncodeToString(k.DER())})
	}
	return c, keys, nil
}

// maxCardKeys bounds the keys on our card: the one in use and those it followed.
const maxCardKeys = 8

// applianceKeys are the appliance keys we can sign with and our root lets speak, the one in use first.
func (r *Room) applianceKeys(own *root.Trusted, now marks.Reading) ([]*attest.Signer, error) {
	key, err := r.Keys.Appliance()
	if err != nil {
		return nil, err
	}
	keys := []*attest.Signer{key}
	for _, k := range own.Keys(root.RoleAppliance, "", r.Self.ID, now.Trusted) {
		if k.ID() == key.Public().ID() || len(keys) == maxCardKeys {
			continue
		}
		old, err := r.Keys.Old(keyring.ApplianceKey, k)
		if err != nil {
			return nil, err
		}
		if old != nil {
			keys = append(keys, old)
		}
	}
	return keys, nil
}

func (r *Room) self() bundle.Appliance { return bundle.Appliance{ID: r.Self.ID, Name: r.Self.Name} }

// cardInfo is a card and its root in plain values.
func cardInfo(c *bundle.Card, t *root.Trusted) CardInfo {
	info := CardInfo{
		Name: c.Appliance.Name, ID: c.Appliance.ID, Fingerprint: t.ID().Hex(), Words: units.Words(t.ID()), RootVersion: t.Version(),
		Recipient: c.Recipient, Tenants: tenants(t), Counter: c.Counter, IssuedAt: c.IssuedAt, NotAfter: c.NotAfter,
	}
	for _, k := range c.Keys {
		info.KeyIDs = append(info.KeyIDs, k.KeyID)
	}
	return info
}

// tenants are the tenants that the bundle keys of a root may speak for, sorted.
func tenants(t *root.Trusted) []string {
	doc := t.Document()
	var names []string
	for _, k := range doc.Keys {
		if slices.Contains(doc.Roles[root.RoleBundle].KeyIDs, k.KeyID) {
			names = append(names, k.Scope.Tenants...)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// fingerprint reads what a person typed from a letter: 64 hex, in any case, with or without "sha256:" and spaces.
func fingerprint(typed string) (digest.Digest, error) {
	return digest.ParseHex(plainHex(typed))
}

// every is how often a stick arrives, in seconds.
func (r *Room) every() int64 {
	if r.Often == nil {
		return r.Self.Every
	}
	return int64(r.Often() / time.Second)
}
