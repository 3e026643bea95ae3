package history

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"sallyport/internal/code"
	"sallyport/internal/wire"
)

// deed is one kind of step. It says nothing and does nothing when it cannot be done now.
type deed struct {
	name   string
	weight int
	do     func(*World) error
}

// deeds are all kinds of steps and how often each comes.
func deeds() []deed {
	return []deed{
		{"load", 18, (*World).load},
		{"hub visit", 22, func(w *World) error { return w.visit(w.hub) }},
		{"site visit", 30, func(w *World) error { return w.visit(pick(w, w.sites)) }},
		{"new stick", 3, func(w *World) error { _, err := w.stick(); return err }},
		{"stick wiped", 6, (*World).wipe},
		{"stick lost", 3, (*World).lose},
		{"stick found", 5, (*World).find},
		{"stick doubled", 4, func(w *World) error { return w.copied(false) }},
		{"stick half copied", 4, func(w *World) error { return w.copied(true) }},
		{"clock", 4, (*World).wind},
		{"restart", 3, (*World).restart},
		{"rollback", 3, (*World).rollback},
		{"unpin", 3, (*World).unpin},
		{"export", 8, (*World).export},
		{"backup", 3, (*World).backup},
		{"restore", 2, (*World).restore},
		{"trust", 6, (*World).believe},
	}
}

// Run takes steps, and stops early only at the rig's own trouble or the first thing that is wrong.
func (w *World) Run(steps int) error {
	w.weeks = newEvidence()
	for range 2 {
		if err := w.load(); err != nil {
			return err
		}
	}
	table, total := slices.DeleteFunc(deeds(), func(d deed) bool { return strings.Contains(w.leave, d.name) }), 0
	for _, d := range table {
		total += d.weight
	}
	for i := 0; i < steps && len(w.failed) == 0; i++ {
		n := w.random.IntN(total)
		for _, d := range table {
			if n -= d.weight; n < 0 {
				w.counts["step: "+d.name]++
				if err := d.do(w); err != nil {
					return fmt.Errorf("step %d, %s: %w", i, d.name, err)
				}
				break
			}
		}
		for _, a := range w.all() {
			a.clock.Advance(time.Duration(1+w.random.IntN(600)) * time.Minute)
		}
	}
	return nil
}

// at hand are the sticks that are not lost.
func (w *World) hand(lost bool) (list []*stick) {
	for _, s := range w.sticks {
		if s.lost == lost {
			list = append(list, s)
		}
	}
	return list
}

func (w *World) lose() error {
	if list := w.hand(false); len(list) > 1 {
		s := pick(w, list)
		s.lost = true
		w.tell("%s is lost", s.name)
	}
	return nil
}

func (w *World) find() error {
	if list := w.hand(true); len(list) > 0 {
		s := pick(w, list)
		s.lost = false
		w.tell("%s is found again", s.name)
	}
	return nil
}

// copied makes a copy; now and then the first one goes to the drawer, so that old ones come back late.
func (w *World) copied(half bool) error {
	list := w.hand(false)
	if len(list) == 0 || len(w.sticks) > 14 {
		return nil
	}
	s := pick(w, list)
	if w.chance(40) {
		s.lost = true
	}
	return w.double(s, half)
}

// wind sets a wall clock to a day that cannot be, or right again.
func (w *World) wind() error {
	a := pick(w, w.all())
	right := begin.Add(a.clock.Mono())
	to := pick(w, []time.Time{
		time.Date(1970, 1, 1, 0, 12, 0, 0, time.UTC), time.Date(2099, 6, 1, 0, 0, 0, 0, time.UTC), right, right.AddDate(0, 0, -3), right,
	})
	a.clock.Set(to)
	w.tell("clock of %s reads %s", a.name, to.Format("2006-01-02"))
	return nil
}

func (w *World) restart() error {
	a := pick(w, w.all())
	w.tell("%s is restarted", a.name)
	if err := a.stop(); err != nil {
		return err
	}
	return a.start()
}

// rollback lets a person at a site go back to a generation held there.
func (w *World) rollback() error {
	a := pick(w, w.sites)
	feeds, err := a.feeds()
	if err != nil || len(feeds) == 0 {
		return err
	}
	name := pick(w, sorted(feeds))
	var f wire.FeedDetail
	if err := a.call("feeds/show", wire.FeedRequest{Name: name}, &f); err != nil || len(f.Held) < 2 {
		return err
	}
	g := pick(w, f.Held)
	to := fmt.Sprintf("%d.%d", g.Epoch, g.Generation)
	err = a.call("feeds/rollback", wire.FeedChange{Name: name, To: to, Reason: "history"}, nil)
	w.tell("%s goes back to %s of %s: %s", a.name, to, name, said(err))
	if err != nil && code.Of(err) != code.Conflict {
		w.wrong("going back to a held generation: %v", err)
	}
	if err == nil {
		a.behind[name] = true
	}
	return w.stands(a, "rollback")
}

// unpin lets a person at a site go forward again.
func (w *World) unpin() error {
	a := pick(w, w.sites)
	for _, name := range sorted(a.behind) {
		return w.unpinOne(a, name)
	}
	return nil
}

func (w *World) unpinOne(a *appliance, name string) error {
	err := a.call("feeds/unpin", wire.FeedChange{Name: name, Reason: "history"}, nil)
	w.tell("%s unpins %s: %s", a.name, name, said(err))
	if err != nil {
		w.wrong("%s cannot unpin %s: %v", a.name, name, err)
		return nil
	}
	delete(a.behind, name)
	return w.stands(a, "unpin")
}

// visit brings a stick to an appliance: one exchange, both ways.
func (w *World) visit(a *appliance) error {
	list := w.hand(false)
	if len(list) == 0 {
		if _, err := w.stick(); err != nil {
			return err
		}
		list = w.hand(false)
	}
	to := []string{w.sites[0].name, w.sites[1].name}
	if w.chance(50) {
		to = []string{pick(w, to)}
	}
	return w.bring(pick(w, list), a, to...)
}

// bring does one visit; to are the sites a hub writes for.
func (w *World) bring(s *stick, a *appliance, to ...string) error {
	before, err := w.lies(s)
	if err != nil {
		return err
	}
	was, err := w.held(a)
	if err != nil {
		return err
	}
	if err := w.volumes(s, a); err != nil {
		return err
	}
	q := wire.ExchangeRequest{Path: s.dir, Yes: true}
	if a == w.hub {
		q.For = to
	}
	var out wire.Exchanged
	err = a.stream("exchange/run", q, &out)
	w.tell("%s goes to %s: %s", s.name, a.name, summary(&out, err))
	v := &verdicts{w: w, a: a, lies: before, was: was, out: &out, err: err}
	if a == w.hub {
		return errors.Join(v.atHub(), w.stands(a, "visit"))
	}
	return errors.Join(v.atSite(), w.stands(a, "visit"))
}
