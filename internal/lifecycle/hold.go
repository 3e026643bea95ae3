package lifecycle

import (
	"context"
	"fmt"

	"sallyport/internal/approval"
	"sallyport/internal/canon"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/feed"
	"sallyport/internal/ident"
	"sallyport/internal/state"
)

// Hold keeps a generation from retention, whatever arrives. Codes usage (no reason), not-found, ambiguous.
func (r *Room) Hold(ctx context.Context, who Person, ref ident.FeedRef, epoch, generation int64, reason string) (g feed.Generation, err error) {
	if err := reasoned(reason); err != nil {
		return g, err
	}
	err = r.State.Update(ctx, func(tx *state.Tx) error {
		if g, err = feed.HeldAt(tx, ref, epoch, generation); err != nil || g.Held {
			return err
		}
		if err := feed.Hold(tx, ref, g.Point, true); err != nil {
			return err
		}
		return r.note(tx, "hold.set", who, ref, map[string]string{"generation": g.String(), "root": g.Root.String(), "reason": reason})
	})
	if err != nil {
		return g, fmt.Errorf("hold %s: %w", ref.Name, err)
	}
	return g, nil
}

// Release lets retention have a generation again. It takes two people: the second names the digest that the first was
// told (code approval-needed). Codes not-found, ambiguous, conflict (there is no hold), plan-changed.
func (r *Room) Release(ctx context.Context, who Person, ref ident.FeedRef, epoch, generation int64, reason, approve string) (g feed.Generation, err error) {
	if err := reasoned(reason); err != nil {
		return g, err
	}
	err = r.State.View(func(tx *state.Tx) error {
		g, err = heldOn(tx, ref, epoch, generation)
		return err
	})
	if err != nil {
		return g, fmt.Errorf("release %s: %w", ref.Name, err)
	}
	d := planDigest(map[string]string{
		"what": "sallyport/v1/release", "tenant": ref.Tenant, "origin": ref.Origin, "feed": ref.Name, "generation": g.String(), "root": g.Root.String(),
	})
	if err := r.agree(ctx, who, "hold", "releasing the hold on generation "+g.String()+" of "+ref.Name, reason, d, approve); err != nil {
		return g, err
	}
	err = r.State.Update(ctx, func(tx *state.Tx) error {
		p, err := approval.Use(tx, d, r.Marks.Now().Trusted)
		if err != nil {
			return err
		}
		if g, err = heldOn(tx, ref, g.Epoch, g.Generation); err != nil {
			return err
		}
		if err := feed.Hold(tx, ref, g.Point, false); err != nil {
			return err
		}
		return r.note(tx, "hold.released", who, ref, map[string]string{"generation": g.String(), "reason": reason, "plan": d.String(), "people": people(p)})
	})
	if err != nil {
		return g, fmt.Errorf("release %s: %w", ref.Name, err)
	}
	return g, nil
}

func heldOn(tx *state.Tx, ref ident.FeedRef, epoch, generation int64) (feed.Generation, error) {
	g, err := feed.HeldAt(tx, ref, epoch, generation)
	if err == nil && !g.Held {
		err = code.New(code.Conflict, "there is no hold on generation %s of feed %q", g.Point, ref.Name)
	}
	return g, err
}

// planDigest is what an approval of a change binds to.
func planDigest(what map[string]string) digest.Digest {
	b, err := canon.Marshal(what)
	if err != nil {
		panic(fmt.Sprintf("plan: %v", err)) // strings only
	}
	return digest.Of(b)
}
