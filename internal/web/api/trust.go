package api

import (
	"context"
	"fmt"
	"time"

	"sallyport/internal/code"
	"sallyport/internal/intake"
	"sallyport/internal/web"
	"sallyport/internal/wire"
)

func (a *API) trustShow(ctx context.Context, _ *web.Call, q wire.TrustRequest) (wire.TrustViews, error) {
	list, err := a.Intake.TrustOf(ctx, q.Peer)
	if err != nil {
		return wire.TrustViews{}, a.knownPeers(err)
	}
	return recode[wire.TrustViews](map[string]any{"appliances": list})
}

// trustRequest is what the room is asked about a medium.
func trustRequest(c *web.Call, q wire.TrustRequest) (intake.TrustRequest, error) {
	return intake.TrustRequest{Path: q.Path, Peer: q.Peer, Approve: q.Approve, Reason: q.Reason, Actor: c.Actor.Name(), Role: roleOf(c.Actor), Lone: c.Actor.Lone}, absolute(q.Path)
}

func (a *API) trustPlan(ctx context.Context, c *web.Call, q wire.TrustRequest) (wire.TrustResult, error) {
	r, err := trustRequest(c, q)
	if err != nil {
		return wire.TrustResult{}, err
	}
	res, err := a.Intake.Trust(ctx, r)
	if err != nil {
		return wire.TrustResult{}, a.knownPeers(err)
	}
	return recode[wire.TrustResult](res)
}

// trustApply gives its result also with an error: what was found is shown even where it is refused.
func (a *API) trustApply(ctx context.Context, c *web.Call, q wire.TrustRequest) (*wire.TrustResult, error) {
	r, err := trustRequest(c, q)
	if err != nil {
		return nil, err
	}
	res, err := a.Intake.ApplyTrust(ctx, r)
	if res.Plans == nil {
		return nil, a.knownPeers(err)
	}
	out, rerr := recode[wire.TrustResult](res)
	if rerr != nil {
		return nil, rerr
	}
	return &out, err
}

// soon is how long before its end a trust root is warned of: a few sticks' time.
const soon = 60 * 24 * time.Hour

// trustReasons are what is wrong with whom we believe: roots that were forgotten by a restore, that have expired or soon will.
func (a *API) trustReasons() (list []wire.Reason) {
	views, err := a.Intake.TrustOf(context.Background(), "")
	if err != nil {
		return []wire.Reason{{Level: "warning", What: "the trust roots cannot be read: " + err.Error(), Topic: wire.AboutTrust}}
	}
	now := a.Marks.Now().Trusted
	for _, v := range views {
		end, perr := time.Parse(time.RFC3339, v.NotAfter)
		next, subject := "Bring its newer trust root on a medium: sallyport trust plan MEDIUM.", v.Name
		if v.Own {
			subject = ""
			next = "Renew it: sallyport keys renew --reason REASON."
		}
		switch {
		case v.Warning != "":
			list = append(list, wire.Reason{Level: "warning", What: v.Name + ": " + v.Warning, Next: next, Topic: wire.AboutTrust, Subject: subject})
		case perr == nil && end.Sub(now) < soon:
			list = append(list, wire.Reason{Level: "warning", What: fmt.Sprintf("the trust root of %s ends on %s", v.Name, end.Format(time.DateOnly)), Next: next, Topic: wire.AboutTrust, Subject: subject, Why: "After that nothing signed under it is accepted, and it must be renewed before."})
		}
	}
	return list
}

func (a *API) keysList(ctx context.Context, _ *web.Call, _ wire.None) (wire.KeyRows, error) {
	rows, err := a.Intake.KeysList(ctx)
	if err != nil {
		return wire.KeyRows{}, err
	}
	return recode[wire.KeyRows](map[string]any{"keys": rows})
}

func keyRequest(c *web.Call, q wire.KeyRequest) intake.KeyRequest {
	return intake.KeyRequest{
		Kind: q.Kind, KeyID: q.KeyID, Tenant: q.Tenant, Overlap: q.Overlap, RootKeys: q.RootKeys, Approve: q.Approve, Reason: q.Reason,
		Actor: c.Actor.Name(), Role: roleOf(c.Actor), Lone: c.Actor.Lone,
	}
}

func (a *API) keysRotate(ctx context.Context, c *web.Call, q wire.KeyRequest) (wire.KeyPlan, error) {
	if q.Kind == "" || q.Kind == "root" || q.KeyID != "" {
		return wire.KeyPlan{}, code.New(code.BadUsage, "which key").Want("bundle, appliance or age", q.Kind)
	}
	return a.proposeKeys(ctx, keyRequest(c, q))
}

func (a *API) keysRevoke(ctx context.Context, c *web.Call, q wire.KeyRequest) (wire.KeyPlan, error) {
	if q.KeyID == "" || q.Kind != "" {
		return wire.KeyPlan{}, code.New(code.BadUsage, "which key").Do("Name it by its id: sallyport keys list.")
	}
	return a.proposeKeys(ctx, keyRequest(c, q))
}

// keysRenew proposes a later end of our trust root.
func (a *API) keysRenew(ctx context.Context, c *web.Call, q wire.KeyRequest) (wire.KeyPlan, error) {
	r := keyRequest(c, q)
	r.Kind = "root"
	return a.proposeKeys(ctx, r)
}

func (a *API) proposeKeys(ctx context.Context, r intake.KeyRequest) (wire.KeyPlan, error) {
	p, err := a.Intake.ProposeKeys(ctx, r)
	if err != nil {
		return wire.KeyPlan{}, err
	}
	return recode[wire.KeyPlan](p)
}

func (a *API) keysApply(ctx context.Context, c *web.Call, q wire.KeyRequest) (wire.KeyPlan, error) {
	p, err := a.Intake.ApplyKeys(ctx, keyRequest(c, q))
	if err != nil {
		return wire.KeyPlan{}, err
	}
	return recode[wire.KeyPlan](p)
}
