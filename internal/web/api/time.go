package api

import (
	"context"
	"fmt"
	"time"

	"sallyport/internal/clock"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/feed"
	"sallyport/internal/lifecycle"
	"sallyport/internal/marks"
	"sallyport/internal/state"
	"sallyport/internal/units"
	"sallyport/internal/web"
	"sallyport/internal/wire"
)

func (a *API) timeShow(_ context.Context, _ *web.Call, _ wire.None) (wire.TimeShown, error) {
	r := a.Marks.Now()
	out := wire.TimeShown{Time: timeOf(r), TimeEpoch: a.Marks.Get().TimeEpoch, Words: r.Words()}
	if !r.Anchor.IsZero() {
		out.AnchorAge = int64(max(0, r.Trusted.Sub(r.Anchor)) / time.Second)
	}
	list, err := a.Intake.WaitingAnchors()
	for _, w := range list {
		out.Waiting = append(out.Waiting, wire.AnchorWaits{
			Peer: w.Peer, At: clock.Format(w.At), Approve: a.Care.Plan(lifecycle.Anchor(w)).String(),
		})
	}
	return out, err
}

// timeSet is for two people; the second names the digest that the first was told.
func (a *API) timeSet(ctx context.Context, c *web.Call, q wire.TimeRequest) (wire.TimeShown, error) {
	at, err := clock.Parse(q.At)
	if err != nil {
		return wire.TimeShown{}, code.Wrap(code.BadUsage, err, "--at").Do("Write it in UTC like 2026-11-21T09:30:00Z.")
	}
	return a.agreed(ctx, c, q, a.Care.TimePlan(at), a.Care.SetTime(ctx, person(c.Actor), at, q.Reason, q.Approve))
}

// agreed is how time stands after a proposal, which is no failure, or after the second yes.
func (a *API) agreed(ctx context.Context, c *web.Call, q wire.TimeRequest, plan digest.Digest, err error) (wire.TimeShown, error) {
	proposed := q.Approve == "" && code.Of(err) == code.PlanApproval
	if err != nil && !proposed {
		return wire.TimeShown{}, err
	}
	out, err := a.timeShow(ctx, c, wire.None{})
	if proposed {
		out.Proposed = plan.String()
	}
	return out, err
}

// timeConfirm lets the anchor of a peer count that jumps too far for one person.
func (a *API) timeConfirm(ctx context.Context, c *web.Call, q wire.TimeRequest) (wire.TimeShown, error) {
	list, err := a.Intake.WaitingAnchors()
	if err != nil {
		return wire.TimeShown{}, err
	}
	for _, w := range list {
		if w.Peer != q.Peer {
			continue
		}
		x := lifecycle.Anchor(w)
		return a.agreed(ctx, c, q, a.Care.Plan(x), a.Care.ConfirmAnchor(ctx, person(c.Actor), x, q.Reason, q.Approve))
	}
	return wire.TimeShown{}, code.New(code.Missing, "no anchor of %.40q waits for anybody", q.Peer).Do("See what waits with sallyport time show.")
}

// clockReasons are what speaks against the clock.
func clockReasons(r marks.Reading) (list []wire.Reason) {
	if !r.Suspect && !r.Unproven && r.Source != "operator" {
		return nil
	}
	next := map[bool]string{true: "Set the clock of this machine.", false: ""}[r.Suspect]
	for _, w := range r.Words()[:1] {
		list = append(list, wire.Reason{Level: "warning", What: w, Next: next, Topic: wire.AboutClock, Why: "No verdict depends on the clock. Ages and dates shown here may be off, and codes from a phone may not match."})
	}
	return list
}

// budgetReasons are the feeds that are older than their budget allows. They never make an appliance unready: reading and
// importing go on.
func (a *API) budgetReasons() (list []wire.Reason) {
	err := a.State.View(func(tx *state.Tx) error {
		n, err := a.names(tx)
		if err != nil {
			return err
		}
		feeds, err := a.feedsOf(tx, "", n)
		for _, f := range feeds {
			if f.Standing != string(feed.Late) && f.Standing != string(feed.Breach) {
				continue
			}
			every := time.Duration(f.Every) * time.Second
			age := units.Age(time.Duration(f.AgeSeconds) * time.Second)
			if f.AtLeast {
				age = "at least " + age
			}
			what := fmt.Sprintf("the data of %s is %s old; a stick arrives every %s", f.FullName, age, units.Age(every))
			if f.Standing == string(feed.Breach) {
				what += ": in breach"
			}
			list = append(list, wire.Reason{Level: "warning", What: what, Next: "Bring a newer bundle of " + f.OriginName + ", or say how often one arrives: sallyport feeds rhythm " + f.Name + " --every …", Topic: wire.AboutBudget, Subject: f.FullName, Why: budgetWhy(f)})
		}
		return err
	})
	if err != nil {
		list = append(list, wire.Reason{Level: "warning", What: "the age of the data cannot be told: " + err.Error(), Topic: wire.AboutBudget})
	}
	return list
}

// budgetWhy is what data that is too old means to whoever reads it.
func budgetWhy(f wire.Feed) string {
	if f.Blocks {
		return "It can still be read and searched; nothing older is activated any more. Newer data comes in whatever its age."
	}
	return "It can still be read and searched, and is shown as old. A newer bundle of " + f.OriginName + " renews it."
}
