package bundle

import (
	"fmt"
	"strings"

	"sallyport/internal/attest"
	"sallyport/internal/code"
	"sallyport/internal/digest"
)

// Card says who an appliance is (20-bundle-format, "Card, inventory, receipt"). It travels in clear, signed with the appliance key.
type Card struct {
	Header
	Appliance Appliance     `json:"appliance"`
	Keys      []CardKey     `json:"keys"`      // appliance keys: the one in use first
	Recipient string        `json:"recipient"` // age recipient
	RootID    digest.Digest `json:"rootId"`
	Reads     Reads         `json:"reads"`
	Delivery  Delivery      `json:"delivery"`
	Counter   int64         `json:"counter"`
	IssuedAt  string        `json:"issuedAt"`
	NotAfter  string        `json:"notAfter"`
}

// CardKey is a public key on a card.
type CardKey struct {
	KeyID  string `json:"keyid"`
	Alg    string `json:"alg"`
	Public string `json:"public"` // padded base64 of the DER SubjectPublicKeyInfo
}

// Reads says what the appliance can read.
type Reads struct {
	BundleVersion  int64   `json:"bundleVersion"`
	TrivyDBSchemas []int64 `json:"trivyDbSchemas"`
	Software       string  `json:"software"`
}

// Delivery says how often a stick arrives.
type Delivery struct {
	EverySeconds int64 `json:"everySeconds"`
}

// Encode writes the payload. It fills the header and lists that are nil.
func (v *Card) Encode() ([]byte, error) {
	v.fill(attest.TypeCard)
	list(&v.Keys)
	list(&v.Reads.TrivyDBSchemas)
	return encode(MaxLabel, code.DocumentBad, "card", v, v.check())
}

// ParseCard reads a verified payload. Codes document, bad-time and those of canon.Unmarshal.
func ParseCard(payload []byte) (*Card, error) {
	v := &Card{}
	if err := decode(payload, MaxLabel, code.DocumentBad, "card", v); err != nil {
		return nil, err
	}
	if err := v.check(); err != nil {
		return nil, fmt.Errorf("card: %w", err)
	}
	return v, nil
}

func (v *Card) check() error {
	c := &checker{code: code.DocumentBad}
	c.header(&v.Header, attest.TypeCard)
	c.appliance("appliance", v.Appliance)
	c.between("keys", int64(len(v.Keys)), 1, 16)
	for i, k := range v.Keys {
		v.checkKey(c, fmt.Sprintf("keys[%d]", i), i)
		for _, o := range v.Keys[:i] {
			c.demand(o.KeyID != k.KeyID, "keys", "each key once", fmt.Sprintf("%.60q", k.KeyID))
		}
	}
	good := strings.HasPrefix(v.Recipient, "age1") && len(v.Recipient) <= 4096 && strings.Trim(v.Recipient, "abcdefghijklmnopqrstuvwxyz0123456789") == ""
	c.demand(good, "recipient", "an age recipient", fmt.Sprintf("%.80q", v.Recipient))
	c.between("reads.bundleVersion", v.Reads.BundleVersion, 1, MaxNumber)
	for i, n := range v.Reads.TrivyDBSchemas {
		c.demand(i == 0 || v.Reads.TrivyDBSchemas[i-1] < n, "reads.trivyDbSchemas", "ascending", n)
	}
	c.text("reads.software", v.Reads.Software, 1, MaxText)
	c.between("counter", v.Counter, 1, MaxNumber)
	c.time("issuedAt", v.IssuedAt)
	c.time("notAfter", v.NotAfter)
	return c.err
}

func (v *Card) checkKey(c *checker, place string, i int) {
	if !c.ok() {
		return
	}
	e := v.Keys[i]
	k, err := attest.ParseKeyText(e.Public)
	if c.wrap(code.KeyBad, place, err); err != nil {
		return
	}
	c.demand(k.ID() == e.KeyID && k.Alg() == e.Alg && e.Alg == attest.Ed25519, place, "an Ed25519 key with its own id", fmt.Sprintf("%.60q %.20q", e.KeyID, e.Alg))
}

// NewCardKey describes a public key for a card.
func NewCardKey(k *attest.Key) CardKey { return CardKey{KeyID: k.ID(), Alg: k.Alg(), Public: k.Text()} }
