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

func (a *API) storeShow(ctx context.Context, _ *web.Call) (any, error) { return a.Store.Show(ctx) }

func (a *API) storePrune(ctx context.Context, c *web.Call) (any, error) {
	var q wire.PruneRequest
	if err := c.Decode(&q); err != nil {
		return nil, err
	}
	if q.Keep < 0 {
		return nil, code.New(code.BadUsage, "how many generations to keep").Want("1 or more", q.Keep)
	}
	return a.Store.Prune(ctx, q, c.Actor.Name())
}

func (a *API) storeScrub(ctx context.Context, c *web.Call) (any, error) {
	var q wire.ScrubRequest
	if err := c.Decode(&q); err != nil {
		return nil, err
	}
	return a.Store.Scrub(ctx, q, c.Progress)
}

func (a *API) mediaHeal(ctx context.Context, c *web.Call) (any, error) {
	q, err := medium(c)
	if err != nil {
		return nil, err
	}
	return a.Store.Heal(ctx, q.Path, c.Actor.Name(), c.Progress)
}
