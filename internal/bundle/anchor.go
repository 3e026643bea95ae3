package bundle

import (
	"fmt"

	"sallyport/internal/attest"
	"sallyport/internal/clock"
	"sallyport/internal/code"
)

// Anchor is a signed statement of what time it is (30-trust-and-time, "Time").
type Anchor struct {
	Header
	AnchorTime string `json:"anchorTime"`
	IssuedAt   string `json:"issuedAt"`
	NotAfter   string `json:"notAfter"`
	Counter    int64  `json:"counter"`
	Source     string `json:"source"`
	AccuracyMS int64  `json:"accuracyMs"`
	Site       string `json:"site,omitempty"`
}

// Encode writes the payload. It fills the header and lists that are nil.
func (v *Anchor) Encode() ([]byte, error) {
	v.fill(attest.TypeAnchor)
	return encode(MaxLabel, code.AnchorBad, "anchor", v, v.check())
}

// ParseAnchor reads a verified payload. Codes anchor, bad-time and those of canon.Unmarshal.
func ParseAnchor(payload []byte) (*Anchor, error) {
	v := &Anchor{}
	if err := decode(payload, MaxLabel, code.AnchorBad, "anchor", v); err != nil {
		return nil, err
	}
	if err := v.check(); err != nil {
		return nil, fmt.Errorf("anchor: %w", err)
	}
	return v, nil
}

func (v *Anchor) check() error {
	c := &checker{code: code.AnchorBad}
	c.header(&v.Header, attest.TypeAnchor)
	c.time("anchorTime", v.AnchorTime)
	c.time("issuedAt", v.IssuedAt)
	c.time("notAfter", v.NotAfter)
	if c.ok() {
		at, _ := clock.Parse(v.AnchorTime)
		end, _ := clock.Parse(v.NotAfter)
		c.demand(!end.Before(at), "notAfter", "not before "+v.AnchorTime, v.NotAfter)
	}
	c.between("counter", v.Counter, 1, MaxNumber)
	c.text("source", v.Source, 1, MaxText)
	if v.Site != "" {
		c.name("site", v.Site)
	}
	return c.err
}
