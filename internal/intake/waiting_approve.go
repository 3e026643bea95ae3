package intake

import (
	"fmt"
	"slices"

	"sallyport/internal/approval"
	"sallyport/internal/clock"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/state"
	"sallyport/internal/timeline"
)

// approveParked writes down a yes to a bundle that waits for its base: Approve names its plan. It binds to the bundle and every
// state it results in, and counts when its base has come. Without one that is meant nothing happens.
func (im *imports) approveParked() error {
	i := slices.IndexFunc(im.rows, func(row WaitingRow) bool { return row.Plan != "" && row.Plan == im.q.Approve })
	if i < 0 || im.q.PlanOnly {
		return nil
	}
	row := im.rows[i]
	err := im.State.Update(im.ctx, func(tx *state.Tx) error {
		at := im.v.time.Trusted
		p, err := im.proposeParked(tx, row)
		if err != nil {
			return err
		}
		had := len(p.Grants)
		p, err = approval.Approve(tx, p.Digest, approval.Grant{Person: im.q.Actor, Role: im.role(), At: clock.Format(at), Lone: im.q.Lone, OwnOnly: im.q.OwnOnly}, at)
		if err != nil || len(p.Grants) == had {
			return err
		}
		_, err = im.Timeline.Append(tx, timeline.Event{
			Type: "approval.granted", Tenant: row.Tenant, Actor: im.q.Actor, Subject: "bundle/" + row.Name,
			Attrs: map[string]string{"plan": row.Plan, "bundleId": row.BundleID.String()},
		})
		return err
	})
	if err != nil {
		return fmt.Errorf("approve parked %s: %w", row.Name, err)
	}
	im.q.Approve = ""
	return nil
}

// proposeParked puts the plan of a parked bundle before people.
func (im *imports) proposeParked(tx *state.Tx, row WaitingRow) (approval.Plan, error) {
	d, err := digest.Parse(row.Plan)
	if err != nil {
		return approval.Plan{}, err
	}
	return approval.Propose(tx, approval.Plan{
		Digest: d, Tenant: row.Tenant, Kind: "import", Subject: row.Name + ", while it is parked", Proposer: im.q.Actor, Need: im.Approvals,
	}, im.v.time.Trusted, im.Expire)
}

// parkedGrants are the people who said yes to every new bundle of the plan while it was parked.
func (im *imports) parkedGrants() (common []approval.Grant, err error) {
	first := true
	err = im.State.View(func(tx *state.Tx) error {
		for _, pr := range im.ready {
			if pr.already() {
				continue
			}
			p, err := approval.Open(tx, im.parkedPlan(pr.asParked()), im.v.time.Trusted)
			if err != nil && !isCode(err, code.Missing, code.Conflict) {
				return err
			}
			if err != nil {
				p.Grants = nil
			}
			if first {
				common, first = p.Grants, false
			}
			common = slices.DeleteFunc(common, func(g approval.Grant) bool {
				return !slices.ContainsFunc(p.Grants, func(o approval.Grant) bool { return o.Person == g.Person })
			})
		}
		return nil
	})
	return common, err
}

// asParked is what the plan of a bundle would be made of if it were parked, from what was verified now.
func (pr *prepared) asParked() WaitingRow {
	row := WaitingRow{BundleID: pr.bundle.ID()}
	for i := range pr.offers {
		o := &pr.offers[i]
		row.Feeds = append(row.Feeds, WaitingFeed{Ref: o.ref, Epoch: o.state.Epoch, Generation: o.state.Generation, StateRoot: o.state.StateRoot})
	}
	return row
}
