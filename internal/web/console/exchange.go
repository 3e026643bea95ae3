package console

import "sallyport/internal/wire"

// exchangeStart plans both halves of a visit; nothing is changed by it.
func exchangeStart(con *Console, c *Ctx) (Page, error) {
	return con.start(c, "exchange/run", wire.ExchangeRequest{Path: c.form("path"), Plan: true}, "/exchange/")
}

// exchangeJob is one exchange at one of its steps.
func exchangeJob(con *Console, c *Ctx) (Page, error) {
	v, err := con.visitOf(c, c.path("job"))
	if err != nil {
		return Page{}, err
	}
	if !v.Exchange {
		return c.to("/import/" + v.Job.ID)
	}
	return visitPage(v), nil
}

// exchangeApprove says yes to the plan of the first half by its digest, where there is one, and does the visit.
func exchangeApprove(con *Console, c *Ctx) (Page, error) {
	v, err := con.visitOf(c, c.path("job"))
	if err != nil {
		return Page{}, err
	}
	q := wire.ExchangeRequest{Path: v.Path}
	if v.In != nil && len(v.In.Plan.Bundles) > 0 {
		q.Approve = c.form("digest")
	}
	id, err := c.jobs("exchange/run", q)
	if err != nil {
		return Page{}, err
	}
	con.strip.forget()
	return c.to("/exchange/" + id)
}
