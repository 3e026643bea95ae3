package intake

import (
	"context"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"sallyport/internal/attest"
	"sallyport/internal/bundle"
	"sallyport/internal/clock"
	"sallyport/internal/code"
	"sallyport/internal/ident"
	"sallyport/internal/marks"
	"sallyport/internal/media"
	"sallyport/internal/peer"
	"sallyport/internal/root"
	"sallyport/internal/state"
	"sallyport/internal/timeline"
	"sallyport/internal/units"
	"sallyport/internal/verify"
)

// stranger is an appliance whose card lies on a medium and that is not trusted yet.
type stranger struct {
	file     string
	envelope []byte
	card     *bundle.Card // as it says itself: proves nothing until met
	trusted  *root.Trusted
	roots    [][]byte
}

// Inspect tells whose card a medium carries, for a person to compare. Nothing is stored, and nothing is proven but that
// card and root belong together.
func (r *Room) Inspect(ctx context.Context, path string, q AddRequest) (Question, error) {
	m, err := media.Open(path)
	if err != nil {
		return Question{}, err
	}
	defer m.Close()
	s, err := r.stranger(ctx, m.FS(), q)
	if err != nil {
		return Question{}, err
	}
	if err := s.check(r.Marks.Now()); err != nil {
		return Question{}, err
	}
	return s.question(), nil
}

func (s *stranger) question() Question {
	return Question{Card: cardInfo(s.card, s.trusted), Sentence: Comparing}
}

// AddPeer makes first trust in the appliance whose card and root lie on a medium. What decides is the fingerprint of the
// root, compared by a person or given from a letter; a wrong one stores nothing (code fingerprint). An appliance that is
// a peer already is returned as it is when its root is the same; another root under its name is a change of trust.
func (r *Room) AddPeer(ctx context.Context, path string, q AddRequest) (peer.Peer, error) {
	m, err := media.Open(path)
	if err != nil {
		return peer.Peer{}, err
	}
	defer m.Close()
	s, err := r.stranger(ctx, m.FS(), q)
	if err != nil {
		return peer.Peer{}, err
	}
	how, err := s.compare(q)
	if err != nil {
		return peer.Peer{}, err
	}
	now := r.Marks.Now()
	if err := s.check(now); err != nil {
		return peer.Peer{}, err
	}
	if known, ok, err := r.already(s); err != nil || ok {
		return known, err
	}
	if err := r.notOlder(s); err != nil {
		return peer.Peer{}, err
	}
	p := s.peer(how, q.Actor, now)
	if p.Tenant, p.TheirTenant, err = bind(r.Self.Tenants, tenants(s.trusted), q); err != nil {
		return peer.Peer{}, err
	}
	return r.meet(ctx, p, s, now)
}

// notOlder refuses a card or a root that is older than what was accepted before, as after a restored backup.
func (r *Room) notOlder(s *stranger) error {
	set := r.Marks.Get()
	if last := set.Counters[marks.CounterKey("card", s.card.Appliance.ID)]; s.card.Counter < last {
		return code.New(code.CounterOld, "card").In(s.file, "counter").Want(fmt.Sprint("at least ", last), s.card.Counter)
	}
	if last := set.Roots[s.trusted.ID().String()]; s.trusted.Version() < last {
		return code.New(code.RootRollback, "").In(s.file, "rootVersion").Want(fmt.Sprint("at least ", last), s.trusted.Version())
	}
	return nil
}

// meet stores a peer and raises what may never go back.
func (r *Room) meet(ctx context.Context, p peer.Peer, s *stranger, now marks.Reading) (peer.Peer, error) {
	var stored peer.Peer
	err := r.State.Update(ctx, func(tx *state.Tx) (err error) {
		if stored, err = peer.Add(tx, p, now.Trusted); err != nil {
			return err
		}
		_, err = r.Timeline.Append(tx, timeline.Event{
			Type: "trust.rotation.applied", Tenant: p.Tenant, Actor: p.Trust.By, Subject: "peer/" + p.Name,
			Attrs: map[string]string{
				"change": "peer added", "appliance": p.ID, "fingerprint": p.RootID.Hex(), "rootVersion": fmt.Sprint(s.trusted.Version()),
				"how": p.Trust.How, "theirTenant": p.TheirTenant,
			},
		})
		return err
	})
	if err != nil {
		return peer.Peer{}, fmt.Errorf("add peer %s: %w", p.Name, err)
	}
	err = r.Marks.Raise(func(m *marks.Set) error {
		m.Roots[p.RootID.String()] = max(m.Roots[p.RootID.String()], s.trusted.Version())
		key := marks.CounterKey("card", p.ID)
		m.Counters[key] = max(m.Counters[key], s.card.Counter)
		return nil
	})
	return stored, err
}

// already finds a peer of the same id or name. The same root: it is returned. Another: a change of trust.
func (r *Room) already(s *stranger) (p peer.Peer, ok bool, err error) {
	err = r.State.View(func(tx *state.Tx) error {
		if p, ok, err = peer.ByID(tx, s.card.Appliance.ID); err != nil || ok {
			return err
		}
		named, err := peer.Get(tx, s.card.Appliance.Name)
		if err == nil {
			p, ok = named, true
		} else if code.Of(err) != code.Missing {
			return err
		}
		return nil
	})
	if err == nil && ok && p.RootID != s.trusted.ID() {
		return peer.Peer{}, false, code.New(code.TrustTwoPersons, "%s", trustChanged(p.Name)).
			In(s.file, "").Want(p.RootID.Hex(), s.trusted.ID().Hex()).
			Do("Keep the stick and call " + p.Name + " on a number you already had.")
	}
	return p, ok, err
}

// stranger finds the one card that is meant, with the root it names.
func (r *Room) stranger(ctx context.Context, fsys fs.FS, q AddRequest) (*stranger, error) {
	found, err := verify.Find(fsys)
	if err != nil {
		return nil, err
	}
	if found.Empty() {
		return nil, code.New(code.MediumEmpty, "")
	}
	cards, err := r.strangers(fsys, found, q)
	if err != nil {
		return nil, err
	}
	s, err := choose(cards, q)
	if err != nil {
		return nil, err
	}
	if s.trusted, s.roots, err = rootOnMedium(fsys, found, s.card.RootID); err != nil {
		return nil, fmt.Errorf("root of %s: %w", s.card.Appliance.Name, err)
	}
	return s, ctx.Err()
}

// strangers reads the cards on a medium that are not ours; those of known peers only when asked for by name.
func (r *Room) strangers(fsys fs.FS, found *verify.Medium, q AddRequest) (list []*stranger, err error) {
	for _, file := range found.Cards {
		c, envelope, err := readCard(fsys, file)
		if err != nil {
			return nil, err
		}
		if c.Appliance.ID == r.Self.ID || q.Name != "" && c.Appliance.Name != q.Name {
			continue
		}
		list = append(list, &stranger{file: file, envelope: envelope, card: c})
	}
	return list, nil
}

// choose picks the card that is meant: by name, by the fingerprint given, else the only one.
func choose(cards []*stranger, q AddRequest) (*stranger, error) {
	if len(cards) > 1 && q.Fingerprint != "" {
		if want, err := fingerprint(q.Fingerprint); err == nil {
			if i := slices.IndexFunc(cards, func(s *stranger) bool { return s.card.RootID == want }); i >= 0 {
				return cards[i], nil
			}
		}
	}
	switch {
	case len(cards) == 1:
		return cards[0], nil
	case len(cards) > 1:
		var names []string
		for _, s := range cards {
			names = append(names, s.card.Appliance.Name)
		}
		return nil, code.New(code.Ambiguous, "the medium has cards of %s", strings.Join(names, ", ")).Do("Name the one you mean with --name.")
	case q.Name != "":
		return nil, code.New(code.Missing, "no card of %.40q on this medium", q.Name)
	}
	return nil, code.New(code.Missing, "no card of another appliance on this medium").
		Do("Let the other side write its card first: sallyport card --to MEDIUM.")
}

// compare judges the fingerprint or the words, or asks. It tells how trust was made.
func (s *stranger) compare(q AddRequest) (string, error) {
	id := s.trusted.ID()
	switch {
	case q.Fingerprint != "":
		want, err := fingerprint(q.Fingerprint)
		if err != nil {
			return "", code.Wrap(code.BadUsage, err, "this is not a fingerprint").Do("A fingerprint has 64 hex digits, the words are nine: type it again. Nothing was changed.")
		}
		if want != id {
			return "", code.New(code.FingerprintWrong, "").In(s.file, "root").Want(want.Hex(), id.Hex())
		}
		if q.Compared != "" {
			return q.Compared, nil
		}
		return peer.ByFingerprint, nil
	case q.Words != "":
		ok, err := units.MatchWords(id, q.Words)
		if err != nil {
			return "", code.Wrap(code.FingerprintWrong, err, "the words are not right")
		}
		if !ok {
			return "", code.New(code.FingerprintWrong, "").In(s.file, "root").Want(strings.ToLower(q.Words), units.Words(id))
		}
		return peer.ByWords, nil
	case q.Answer == nil:
		return "", code.New(code.SignerNotChecked, "nobody has compared the fingerprint").
			Do("Give --fingerprint or --words from a letter, a contract or a phone call, not from this stick.")
	}
	if ok, err := q.Answer(s.question()); err != nil || !ok {
		if err == nil {
			err = code.New(code.FingerprintWrong, "a person said that the words do not match")
		}
		return "", err
	}
	return peer.ByWords, nil
}

// check proves that card and root belong together: signed by an appliance key of the root, which may speak for this id, and
// the id is made from the first appliance key.
func (s *stranger) check(now marks.Reading) error {
	signed, err := verify.Document(s.envelope, verify.Options{Trust: verify.Trust{Roots: []*root.Trusted{s.trusted}}, Now: now.Trusted})
	if err != nil {
		return fmt.Errorf("card %q: %w", s.file, err)
	}
	if signed.Type() != attest.TypeCard {
		return code.New(code.PayloadType, "").In(s.file, "payloadType").Want(attest.TypeCard, signed.Type())
	}
	first, err := chain(s.roots[:1])
	if err != nil {
		return err
	}
	var ids []string
	for _, k := range first.Keys(root.RoleAppliance, "", "", time.Time{}) {
		if raw := k.Raw(); len(raw) == 32 {
			ids = append(ids, ident.ApplianceID(raw))
		}
	}
	if !slices.Contains(ids, s.card.Appliance.ID) {
		return code.New(code.KeyScope, "the appliance id is not made from a key of the root").In(s.file, "appliance").Want(ids, s.card.Appliance.ID)
	}
	return cardDates(s.card, s.file, now)
}

func cardDates(c *bundle.Card, file string, now marks.Reading) error {
	if end, err := time.Parse(time.RFC3339, c.NotAfter); err == nil && now.Trusted.After(end) {
		return code.New(code.Expired, "the card has expired").In(file, "notAfter").Want("after "+clock.Format(now.Trusted), c.NotAfter)
	}
	return nil
}

// peer is what is stored about a stranger that became one.
func (s *stranger) peer(how, actor string, now marks.Reading) peer.Peer {
	p := peer.Peer{
		Name: s.card.Appliance.Name, ID: s.card.Appliance.ID, RootID: s.trusted.ID(), Roots: s.roots,
		Trust: peer.Trust{How: how, By: actor, At: clock.Format(now.Trusted)},
	}
	recordCard(&p, s.card, s.envelope)
	return p
}

// recordCard takes over what a verified card says.
func recordCard(p *peer.Peer, c *bundle.Card, envelope []byte) {
	p.Card, p.Recipient, p.Every = envelope, c.Recipient, c.Delivery.EverySeconds
	p.Reads = peer.Reads{BundleVersion: c.Reads.BundleVersion, TrivyDBSchemas: c.Reads.TrivyDBSchemas, Software: c.Reads.Software}
	p.KeyIDs, p.Unheard = nil, false
	for _, k := range c.Keys {
		p.KeyIDs = append(p.KeyIDs, k.KeyID)
	}
	if p.Counters == nil {
		p.Counters = map[string]int64{}
	}
	p.Counters["card"] = max(p.Counters["card"], c.Counter)
}

// bind decides which tenant of theirs is which of ours: as asked, else the only one, else one of the same name.
func bind(ours, theirs []string, q AddRequest) (our, their string, err error) {
	our, their = q.Tenant, q.TheirTenant
	if our == "" && len(ours) == 1 {
		our = ours[0]
	}
	if their == "" && len(theirs) == 1 {
		their = theirs[0]
	}
	if their == "" && slices.Contains(theirs, our) {
		their = our
	}
	if our == "" && slices.Contains(ours, their) {
		our = their
	}
	switch {
	case our == "" || !slices.Contains(ours, our):
		return "", "", code.New(code.BadUsage, "which tenant here is the peer for").Want(strings.Join(ours, ", "), fmt.Sprintf("%.40q", our)).Do("Say it with --tenant.")
	case their == "" || !slices.Contains(theirs, their) && !slices.Contains(theirs, root.Any):
		return "", "", code.New(code.WrongTenant, "the peer's root does not speak for that tenant").
			Want(strings.Join(theirs, ", "), fmt.Sprintf("%.40q", their)).Do("Say which tenant of theirs with --their-tenant.")
	}
	return our, their, nil
}
