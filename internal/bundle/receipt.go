package bundle

import (
	"fmt"
	"slices"

	"sallyport/internal/attest"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/ident"
)

// Receipt is the signed answer to a bundle.
type Receipt struct {
	Header
	Issuer      Appliance     `json:"issuer"`
	Tenant      string        `json:"tenant"` // the sender's name of it
	To          Appliance     `json:"to"`
	Counter     int64         `json:"counter"`
	BundleID    digest.Digest `json:"bundleId"`
	LabelID     digest.Digest `json:"labelId,omitzero"` // absent for a bare payload file
	Opened      bool          `json:"opened"`
	Decision    string        `json:"decision"`
	Code        string        `json:"code,omitempty"` // why, for parked, quarantined, refused
	Feeds       []ReceiptFeed `json:"feeds"`
	Approvals   Approvals     `json:"approvals"`
	TrustedTime string        `json:"trustedTime"`
	TimeSource  string        `json:"timeSource"`
	Medium      Medium        `json:"medium"`
	Verifier    string        `json:"verifier"` // software and version
	Log         Log           `json:"log"`
}

// The decisions of a receipt. Only the first four cover anything.
const (
	Activated     = "activated"
	HeldBack      = "held"
	AlreadyActive = "already-active"
	AlreadyHeld   = "already-held"
	Parked        = "parked"
	Quarantined   = "quarantined"
	Refused       = "refused"
)

// ReceiptFeed is what became of one feed. Before is the generation that was active, 0 for none; After the one that the
// bundle brought, active or held now as the decision says, with its StateRoot.
type ReceiptFeed struct {
	Feed      string        `json:"feed"`
	Origin    string        `json:"origin"`
	Epoch     int64         `json:"epoch"`
	Before    int64         `json:"before"`
	After     int64         `json:"after"`
	StateRoot digest.Digest `json:"stateRoot"` // of After
}

// Approvals counts who said yes; names stay at home.
type Approvals struct {
	Count int64    `json:"count"`
	Roles []string `json:"roles"`
}

// Medium is what the medium said about itself; all of it may be missing or made up.
type Medium struct {
	Serial string `json:"serial,omitempty"`
	FSUUID string `json:"fsUuid,omitempty"`
	Label  string `json:"label,omitempty"`
}

// Decisions lists the decisions a receipt can have.
func Decisions() []string {
	return []string{Activated, HeldBack, AlreadyActive, AlreadyHeld, Parked, Quarantined, Refused}
}

// Covers tells whether a receipt with this decision covers what was sent: the hub prunes nothing else.
func Covers(decision string) bool {
	return slices.Contains([]string{Activated, HeldBack, AlreadyActive, AlreadyHeld}, decision)
}

// Encode writes the payload. It fills the header and lists that are nil.
func (v *Receipt) Encode() ([]byte, error) {
	v.fill(attest.TypeReceipt)
	list(&v.Feeds)
	list(&v.Approvals.Roles)
	list(&v.Log.Proof)
	return encode(MaxLabel, code.DocumentBad, "receipt", v, v.check())
}

// ParseReceipt reads a verified payload. Codes document, bad-time and those of canon.Unmarshal.
func ParseReceipt(payload []byte) (*Receipt, error) {
	v := &Receipt{}
	if err := decode(payload, MaxLabel, code.DocumentBad, "receipt", v); err != nil {
		return nil, err
	}
	if err := v.check(); err != nil {
		return nil, fmt.Errorf("receipt: %w", err)
	}
	return v, nil
}

func (v *Receipt) check() error {
	c := &checker{code: code.DocumentBad}
	c.header(&v.Header, attest.TypeReceipt)
	c.appliance("issuer", v.Issuer)
	c.appliance("to", v.To)
	c.name("tenant", v.Tenant)
	c.between("counter", v.Counter, 1, MaxNumber)
	c.demand(slices.Contains(Decisions(), v.Decision), "decision", "one of "+fmt.Sprint(Decisions()), fmt.Sprintf("%.40q", v.Decision))
	if v.Code != "" {
		c.match(codeRE, "code", v.Code)
	}
	c.demand(!Covers(v.Decision) || v.Opened, "opened", "true for "+v.Decision, v.Opened)
	c.demand(len(v.Feeds) <= MaxFeeds, "feeds", fmt.Sprintf("at most %d", MaxFeeds), len(v.Feeds))
	for i, f := range v.Feeds {
		place := fmt.Sprintf("feeds[%d]", i)
		c.wrap(c.code, place+".feed", ident.Feed(f.Feed))
		c.wrap(c.code, place+".origin", ident.Appliance(f.Origin))
		if i > 0 {
			c.ascending("feeds", v.Feeds[i-1].Feed, f.Feed)
		}
	}
	c.between("approvals.count", v.Approvals.Count, 0, 1000)
	c.demand(len(v.Approvals.Roles) <= 16, "approvals.roles", "at most 16", len(v.Approvals.Roles))
	for _, r := range v.Approvals.Roles {
		c.match(wordRE, "approvals.roles", r)
	}
	c.time("trustedTime", v.TrustedTime)
	c.text("timeSource", v.TimeSource, 1, MaxText)
	c.text("medium.serial", v.Medium.Serial, 0, MaxText)
	c.text("medium.fsUuid", v.Medium.FSUUID, 0, MaxText)
	c.text("medium.label", v.Medium.Label, 0, MaxText)
	c.text("verifier", v.Verifier, 1, MaxText)
	c.log("log", &v.Log)
	return c.err
}
