package intake

import (
	"context"
	"fmt"
	"strings"

	"sallyport/internal/approval"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/state"
	"sallyport/internal/timeline"
)

// Word is what a person says about a plan that waits.
type Word struct {
	Digest digest.Digest
	Actor  string
	Role   string
	Lone   bool
	Reason string
}

// Approve adds a person's yes to a plan of any kind. It makes nothing: the command that makes the plan does, once enough people
// have said yes. Codes as approval.Approve.
func (r *Room) Approve(ctx context.Context, w Word) (p approval.Plan, err error) {
	at := r.Marks.Now().Trusted
	err = r.State.Update(ctx, func(tx *state.Tx) error {
		before, err := approval.Open(tx, w.Digest, at)
		if err != nil {
			return err
		}
		p, err = approval.Approve(tx, w.Digest, approval.Grant{Person: w.Actor, Role: roleOf(w.Role), Reason: clean(w.Reason), Lone: w.Lone}, at)
		if err != nil || len(p.Grants) == len(before.Grants) {
			return err
		}
		if p.Kind == kindTrust || p.Kind == kindKeys {
			_, err = r.Timeline.Append(tx, r.trustEvent("approved", p, w.Actor, map[string]string{"subject": p.Subject, "reason": clean(w.Reason)}))
			return err
		}
		_, err = r.Timeline.Append(tx, r.approvalEvent("granted", p, w))
		return err
	})
	if err != nil {
		return p, fmt.Errorf("approve plan %s: %w", w.Digest.Short(), err)
	}
	return p, nil
}

// Deny ends a plan. A reason is needed (code usage).
func (r *Room) Deny(ctx context.Context, w Word) (p approval.Plan, err error) {
	if strings.TrimSpace(w.Reason) == "" {
		return p, code.New(code.BadUsage, "a no needs a reason").Do("Say why with --reason.")
	}
	at := r.Marks.Now().Trusted
	err = r.State.Update(ctx, func(tx *state.Tx) (err error) {
		if p, err = approval.Deny(tx, w.Digest, approval.Grant{Person: w.Actor, Role: roleOf(w.Role), Reason: clean(w.Reason), Lone: w.Lone}, at); err != nil {
			return err
		}
		_, err = r.Timeline.Append(tx, r.approvalEvent("denied", p, w))
		return err
	})
	if err != nil {
		return p, fmt.Errorf("deny plan %s: %w", w.Digest.Short(), err)
	}
	return p, nil
}

func (r *Room) approvalEvent(what string, p approval.Plan, w Word) timeline.Event {
	attrs := map[string]string{"plan": p.Digest.String(), "kind": p.Kind, "need": fmt.Sprint(p.Need), "people": strings.Join(people(p), ", ")}
	if w.Reason != "" {
		attrs["reason"] = clean(w.Reason)
	}
	return timeline.Event{Type: "approval." + what, Tenant: p.Tenant, Actor: w.Actor, Subject: p.Kind + "/" + clean(p.Subject), Attrs: attrs}
}
