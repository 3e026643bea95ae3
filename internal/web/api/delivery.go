package api

import (
	"context"
	"time"

	"sallyport/internal/code"
	"sallyport/internal/units"
	"sallyport/internal/web"
	"sallyport/internal/wire"
)

func (a *API) deliveryRows() []web.Action {
	return []web.Action{
		web.Row("delivery/set", "Says how often a stick arrives: the age that data may have follows from it.", admins(), "", a.deliverySet).Changes(),
	}
}

// deliverySet answers the question of the first day.
func (a *API) deliverySet(ctx context.Context, c *web.Call, q wire.DeliveryRequest) (wire.Rhythm, error) {
	every, err := units.ParseDuration(q.Every)
	if err != nil {
		return wire.Rhythm{}, code.Wrap(code.BadUsage, err, "how often a stick arrives").Do("Say it in days, like 14d.")
	}
	if err := a.Care.SetOften(ctx, person(c.Actor), every); err != nil {
		return wire.Rhythm{}, err
	}
	return wire.Rhythm{Every: int64(a.Care.Often() / time.Second)}, nil
}
