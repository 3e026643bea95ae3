package bundle

import (
	"fmt"

	"sallyport/internal/attest"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/ident"
)

// Inventory tells a hub what a site holds of its feeds in one tenant. Sealed to the hub, signed with the appliance key.
type Inventory struct {
	Header
	Issuer   Appliance       `json:"issuer"`
	Tenant   string          `json:"tenant"` // the hub's name of it
	To       Appliance       `json:"to"`     // the hub
	Feeds    []InventoryFeed `json:"feeds"`  // ascending by feed
	Wanted   []Wanted        `json:"wanted"`
	LogSeen  *Head           `json:"logSeen,omitempty"` // last head of the hub's timeline seen here
	Counter  int64           `json:"counter"`
	IssuedAt string          `json:"issuedAt"`
}

// InventoryFeed is one feed of the hub as the site holds it.
type InventoryFeed struct {
	Feed   string `json:"feed"`
	Origin string `json:"origin"`
	Held   []Held `json:"held"`
	Active *Held  `json:"active,omitempty"`
	Mark   Mark   `json:"mark"`
	Pinned bool   `json:"pinned"`
}

// Held is one generation that stands whole at the site.
type Held struct {
	Epoch      int64         `json:"epoch"`
	Generation int64         `json:"generation"`
	StateRoot  digest.Digest `json:"stateRoot"`
}

// Mark is the highest (epoch, generation) ever accepted.
type Mark struct {
	Epoch      int64 `json:"epoch"`
	Generation int64 `json:"generation"`
}

// Wanted names volumes of a bundle that are missing or damaged at the site.
type Wanted struct {
	BundleID digest.Digest `json:"bundleId"`
	Volumes  []int64       `json:"volumes"`
}

// Encode writes the payload. It fills the header and lists that are nil.
func (v *Inventory) Encode() ([]byte, error) {
	v.fill(attest.TypeInventory)
	list(&v.Feeds)
	list(&v.Wanted)
	for i := range v.Feeds {
		list(&v.Feeds[i].Held)
	}
	for i := range v.Wanted {
		list(&v.Wanted[i].Volumes)
	}
	return encode(MaxLabel, code.DocumentBad, "inventory", v, v.check())
}

// ParseInventory reads a verified payload. Codes document, bad-time and those of canon.Unmarshal.
func ParseInventory(payload []byte) (*Inventory, error) {
	v := &Inventory{}
	if err := decode(payload, MaxLabel, code.DocumentBad, "inventory", v); err != nil {
		return nil, err
	}
	if err := v.check(); err != nil {
		return nil, fmt.Errorf("inventory: %w", err)
	}
	return v, nil
}

func (v *Inventory) check() error {
	c := &checker{code: code.DocumentBad}
	c.header(&v.Header, attest.TypeInventory)
	c.appliance("issuer", v.Issuer)
	c.appliance("to", v.To)
	c.name("tenant", v.Tenant)
	c.demand(len(v.Feeds) <= MaxFeeds, "feeds", fmt.Sprintf("at most %d", MaxFeeds), len(v.Feeds))
	for i := range v.Feeds {
		v.Feeds[i].check(c, fmt.Sprintf("feeds[%d]", i))
		c.demand(v.Feeds[i].Origin == v.To.ID, fmt.Sprintf("feeds[%d].origin", i), v.To.ID, v.Feeds[i].Origin)
		if i > 0 {
			c.ascending("feeds", v.Feeds[i-1].Feed, v.Feeds[i].Feed)
		}
	}
	for i, w := range v.Wanted {
		c.between(fmt.Sprintf("wanted[%d].volumes", i), int64(len(w.Volumes)), 1, MaxVolumes)
		for j, n := range w.Volumes {
			c.demand(n >= 1 && n <= MaxVolumes && (j == 0 || w.Volumes[j-1] < n), fmt.Sprintf("wanted[%d].volumes", i), "numbers from 1, ascending", n)
		}
	}
	c.between("counter", v.Counter, 1, MaxNumber)
	c.time("issuedAt", v.IssuedAt)
	return c.err
}

func (f *InventoryFeed) check(c *checker, place string) {
	c.wrap(c.code, place+".feed", ident.Feed(f.Feed))
	c.wrap(c.code, place+".origin", ident.Appliance(f.Origin))
	c.demand(len(f.Held) <= 1000, place+".held", "at most 1000", len(f.Held))
	for i, h := range f.Held {
		c.between(place+".held.generation", h.Generation, 1, MaxNumber)
		if i > 0 {
			p := f.Held[i-1]
			c.demand(p.Epoch < h.Epoch || p.Epoch == h.Epoch && p.Generation < h.Generation, place+".held", "ascending by epoch, generation", h.Generation)
		}
	}
}
