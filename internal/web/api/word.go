package api

import (
	"context"

	"sallyport/internal/access"
	"sallyport/internal/approval"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/state"
	"sallyport/internal/web"
)

// roleOf is the role in which somebody says yes, for approvals and receipts: the one that weighs most.
func roleOf(who web.Actor) string {
	for _, r := range []access.Role{access.Admin, access.Approver} {
		if who.Roles.Has(r) {
			return string(r)
		}
	}
	return string(access.Operator)
}

// ownOnly tells whether somebody may say yes to their own plan alone, because they are no approver.
func ownOnly(who web.Actor) bool { return !who.Roles.Any(approvers()) }

// agreeing keeps those whom a row lets in only to say yes from proposing: the digest that they name must be of a plan that
// somebody proposed and that is open.
func (a *API) agreeing(row web.Action) web.Action {
	run, may := row.Run, row.Roles
	if row.Approve == 0 {
		return row
	}
	row.Run = func(ctx context.Context, c *web.Call) (any, error) {
		if !c.Actor.Roles.Any(may) {
			if err := a.proposed(c); err != nil {
				return nil, err
			}
		}
		return run(ctx, c)
	}
	return row
}

// proposed finds the plan that a request says yes to.
func (a *API) proposed(c *web.Call) error {
	d, err := digest.Parse(c.Approves())
	if err != nil {
		return code.Wrap(code.BadUsage, err, "this is not the digest of a plan").Do("Copy the whole of it: sallyport approvals list.")
	}
	return a.State.View(func(tx *state.Tx) error {
		_, err := approval.Open(tx, d, a.Marks.Now().Trusted)
		if code.Of(err) == code.Missing {
			return code.New(code.Denied, "nobody proposed plan %s, and you may only say yes to what others propose", d.Short()).Do("Ask an operator or an admin to propose it.")
		}
		return err
	})
}
