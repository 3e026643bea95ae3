package api

import (
	"context"
	"fmt"
	"time"

	"sallyport/internal/approval"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/intake"
	"sallyport/internal/state"
	"sallyport/internal/web"
	"sallyport/internal/wire"
)

// approvalsList lists the plans that wait for people; All adds those that are over.
func (a *API) approvalsList(_ context.Context, _ *web.Call, q wire.ApprovalRequest) (wire.Approvals, error) {
	out := wire.Approvals{Approvals: []wire.Approval{}}
	err := a.State.View(func(tx *state.Tx) error {
		list, err := approval.List(tx, "")
		if err != nil {
			return err
		}
		for _, p := range list {
			w, err := a.approvalOf(p)
			if err != nil {
				return err
			}
			if q.All || w.State == "waiting" || w.State == "ready" {
				out.Approvals = append(out.Approvals, w)
			}
		}
		return nil
	})
	return out, err
}

func (a *API) approvalsShow(_ context.Context, c *web.Call, q wire.ApprovalRequest) (wire.Approval, error) {
	d, _, err := approvalRequest(c, q)
	if err != nil {
		return wire.Approval{}, err
	}
	var p approval.Plan
	if err := a.State.View(func(tx *state.Tx) (err error) { p, err = approval.Get(tx, d); return err }); err != nil {
		return wire.Approval{}, err
	}
	return a.approvalOf(p)
}

func (a *API) approvalsApprove(ctx context.Context, c *web.Call, q wire.ApprovalRequest) (wire.Approval, error) {
	_, w, err := approvalRequest(c, q)
	if err != nil {
		return wire.Approval{}, err
	}
	p, err := a.Intake.Approve(ctx, w)
	if err != nil {
		return wire.Approval{}, err
	}
	return a.approvalOf(p)
}

func (a *API) approvalsDeny(ctx context.Context, c *web.Call, q wire.ApprovalRequest) (wire.Approval, error) {
	_, w, err := approvalRequest(c, q)
	if err != nil {
		return wire.Approval{}, err
	}
	p, err := a.Intake.Deny(ctx, w)
	if err != nil {
		return wire.Approval{}, err
	}
	return a.approvalOf(p)
}

// approvalRequest is the word of whoever asks.
func approvalRequest(c *web.Call, q wire.ApprovalRequest) (digest.Digest, intake.Word, error) {
	d, err := digest.Parse(q.Digest)
	if err != nil {
		return d, intake.Word{}, code.Wrap(code.BadUsage, err, "this is not the digest of a plan").Do("Copy the whole of it: sallyport approvals list.")
	}
	return d, intake.Word{Digest: d, Actor: c.Actor.Name(), Role: roleOf(c.Actor), Lone: c.Actor.Lone, Reason: q.Reason}, nil
}

// approvalOf adds to a plan how it stands and the command that goes on.
func (a *API) approvalOf(p approval.Plan) (w wire.Approval, err error) {
	if w, err = recode[wire.Approval](p); err != nil {
		return w, err
	}
	expires, perr := time.Parse(time.RFC3339, p.ExpiresAt)
	switch {
	case p.UsedAt != "":
		w.State = "used"
	case p.Denied != nil:
		w.State = "denied"
	case p.Over != "":
		w.State = "over"
	case perr != nil || !a.Marks.Now().Trusted.Before(expires):
		w.State = "expired"
	case p.Enough():
		w.State = "ready"
	default:
		w.State = "waiting"
	}
	if w.State != "waiting" && w.State != "ready" {
		return w, nil
	}
	switch p.Kind {
	case "import":
		w.Next = fmt.Sprintf("sallyport import MEDIUM --approve %s", p.Digest)
	case "trust":
		w.Next = fmt.Sprintf("sallyport trust apply MEDIUM --approve %s", p.Digest)
	case "keys":
		w.Next = fmt.Sprintf("sallyport keys apply %s", p.Digest)
		w.Changes, err = a.Intake.KeyChanges(p.Digest)
	}
	return w, err
}
