package api

import (
	"context"

	"sallyport/internal/code"
	"sallyport/internal/intake"
	"sallyport/internal/web"
	"sallyport/internal/wire"
)

func (a *API) trustShow(ctx context.Context, c *web.Call) (any, error) {
	var q wire.TrustRequest
	if err := c.Decode(&q); err != nil {
		return nil, err
	}
	list, err := a.Intake.TrustOf(ctx, q.Peer)
	if err != nil {
		return nil, a.knownPeers(err)
	}
	return recode[wire.TrustViews](map[string]any{"appliances": list})
}

// trustRequest decodes what names a medium.
func trustRequest(c *web.Call) (intake.TrustRequest, error) {
	var q wire.TrustRequest
	if err := c.Decode(&q); err != nil {
		return intake.TrustRequest{}, err
	}
	return intake.TrustRequest{Path: q.Path, Peer: q.Peer, Approve: q.Approve, Reason: q.Reason, Actor: c.Actor.Name(), Lone: c.Actor.Lone}, absolute(q.Path)
}

func (a *API) trustPlan(ctx context.Context, c *web.Call) (any, error) {
	q, err := trustRequest(c)
	if err != nil {
		return nil, err
	}
	res, err := a.Intake.Trust(ctx, q)
	if err != nil {
		return nil, a.knownPeers(err)
	}
	return recode[wire.TrustResult](res)
}

// trustApply gives its result also with an error: what was found is shown even where it is refused.
func (a *API) trustApply(ctx context.Context, c *web.Call) (any, error) {
	q, err := trustRequest(c)
	if err != nil {
		return nil, err
	}
	res, err := a.Intake.ApplyTrust(ctx, q)
	if res.Plans == nil {
		return nil, a.knownPeers(err)
	}
	out, rerr := recode[wire.TrustResult](res)
	if rerr != nil {
		return nil, rerr
	}
	return &out, err
}

func (a *API) keysList(ctx context.Context, _ *web.Call) (any, error) {
	rows, err := a.Intake.KeysList(ctx)
	if err != nil {
		return nil, err
	}
	return recode[wire.KeyRows](map[string]any{"keys": rows})
}

func keyRequest(c *web.Call) (q wire.KeyRequest, r intake.KeyRequest, err error) {
	if err = c.Decode(&q); err != nil {
		return q, r, err
	}
	return q, intake.KeyRequest{
		Kind: q.Kind, KeyID: q.KeyID, Tenant: q.Tenant, Overlap: q.Overlap, RootKeys: q.RootKeys, Approve: q.Approve, Reason: q.Reason,
		Actor: c.Actor.Name(), Lone: c.Actor.Lone,
	}, nil
}

func (a *API) keysRotate(ctx context.Context, c *web.Call) (any, error) {
	q, r, err := keyRequest(c)
	if err != nil {
		return nil, err
	}
	if q.Kind == "" || q.KeyID != "" {
		return nil, code.New(code.BadUsage, "which key").Want("bundle, appliance or age", q.Kind)
	}
	return a.proposeKeys(ctx, r)
}

func (a *API) keysRevoke(ctx context.Context, c *web.Call) (any, error) {
	q, r, err := keyRequest(c)
	if err != nil {
		return nil, err
	}
	if q.KeyID == "" || q.Kind != "" {
		return nil, code.New(code.BadUsage, "which key").Do("Name it by its id: sallyport keys list.")
	}
	return a.proposeKeys(ctx, r)
}

func (a *API) proposeKeys(ctx context.Context, r intake.KeyRequest) (any, error) {
	p, err := a.Intake.ProposeKeys(ctx, r)
	if err != nil {
		return nil, err
	}
	return recode[wire.KeyPlan](p)
}

func (a *API) keysApply(ctx context.Context, c *web.Call) (any, error) {
	_, r, err := keyRequest(c)
	if err != nil {
		return nil, err
	}
	p, err := a.Intake.ApplyKeys(ctx, r)
	if err != nil {
		return nil, err
	}
	return recode[wire.KeyPlan](p)
}
