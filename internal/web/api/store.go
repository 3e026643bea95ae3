package api

import (
	"context"

	"sallyport/internal/code"
	"sallyport/internal/web"
	"sallyport/internal/wire"
)

// Store is what the daemon does about its own disk: what is there, what may go, what is damaged.
type Store interface {
	Show(ctx context.Context) (wire.Store, error)
	Prune(ctx context.Context, q wire.PruneRequest, actor string) (wire.Pruned, error)
	Scrub(ctx context.Context, q wire.ScrubRequest, progress func(wire.Progress)) (wire.Scrubbed, error)
	Heal(ctx context.Context, path, actor string, progress func(wire.Progress)) (wire.Healed, error)
	Damaged(ctx context.Context) ([]wire.Damaged, error) // as far as it is known
}

func (a *API) storeShow(ctx context.Context, _ *web.Call, _ wire.None) (wire.Store, error) {
	return a.Store.Show(ctx)
}

func (a *API) storePrune(ctx context.Context, c *web.Call, q wire.PruneRequest) (wire.Pruned, error) {
	if q.Keep < 0 {
		return wire.Pruned{}, code.New(code.BadUsage, "how many generations to keep").Want("1 or more", q.Keep)
	}
	return a.Store.Prune(ctx, q, c.Actor.Name())
}

// storePlan says what a prune would drop.
func (a *API) storePlan(ctx context.Context, c *web.Call, q wire.PruneRequest) (wire.Pruned, error) {
	q.Plan = true
	return a.storePrune(ctx, c, q)
}

func (a *API) storeScrub(ctx context.Context, c *web.Call, q wire.ScrubRequest) (wire.Scrubbed, error) {
	return a.Store.Scrub(ctx, q, c.Progress)
}

func (a *API) mediaHeal(ctx context.Context, c *web.Call, q wire.MediumRequest) (wire.Healed, error) {
	if err := absolute(q.Path); err != nil {
		return wire.Healed{}, err
	}
	return a.Store.Heal(ctx, q.Path, c.Actor.Name(), c.Progress)
}
