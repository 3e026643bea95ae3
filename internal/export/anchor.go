package export

import (
	"fmt"
	"time"

	"sallyport/internal/attest"
	"sallyport/internal/bundle"
	"sallyport/internal/clock"
)

// anchorLife is how long a time anchor may be believed after the moment it states: longer than any stick travels.
const anchorLife = 400 * 24 * time.Hour

// anchorAccuracy is what we claim of a clock without a reference, in milliseconds.
const anchorAccuracy = 60_000

// Anchor stages our signed statement of the time at path. Each has a higher counter than the one before, also across
// crashes: a number is used up before it is written anywhere. What we tell others is what we go by ourselves from then on,
// unless the clock is suspect already.
func (b *Build) Anchor(path string) (bundle.Content, error) {
	c := bundle.Content{Path: path, Role: bundle.RoleAnchor, ContentType: "application/json", Volatile: true}
	signer, err := b.Keys.Anchor()
	if err != nil {
		return c, in("signing", err)
	}
	counter, err := b.Marks.Issue("own-anchor", signer.Public().ID())
	if err != nil {
		return c, fmt.Errorf("anchor: %w", err)
	}
	if !b.Marks.Now().Suspect {
		if err := b.Marks.Stated(b.Now); err != nil {
			return c, fmt.Errorf("anchor: %w", err)
		}
	}
	a := &bundle.Anchor{
		AnchorTime: clock.Format(b.Now), IssuedAt: clock.Format(b.Now), NotAfter: clock.Format(b.Now.Add(anchorLife)),
		Counter: counter, Source: "clock of " + b.Self.Name, AccuracyMS: anchorAccuracy,
	}
	payload, err := a.Encode()
	if err != nil {
		return c, err
	}
	env, err := attest.Sign(attest.TypeAnchor, payload, signer)
	if err != nil {
		return c, in("signing", err)
	}
	return b.PutBytes(c, env)
}
