package console

import (
	"fmt"

	"sallyport/internal/wire"
)

// exportVerify reads every byte of a bundle on the shelf again, as a job.
func exportVerify(_ *Console, c *Ctx) (Page, error) {
	id, err := c.jobs("bundles/verify", wire.VerifyRequest{ID: c.path("id")})
	if err != nil {
		return Page{}, err
	}
	return c.to("/jobs/" + id)
}

// cardWrite leaves the card of this appliance on a stick: what another one needs to meet it.
func cardWrite(_ *Console, c *Ctx) (Page, error) {
	path, err := mediumOf(c)
	if err != nil {
		return Page{}, err
	}
	k, err := ask[wire.Card](c, "card/write", wire.MediumRequest{Path: path})
	if err != nil {
		return Page{}, err
	}
	c.say(fmt.Sprintf("The card of %s is on the stick. Safe to remove.", k.Name))
	return c.to("/media")
}
