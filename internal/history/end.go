package history

import (
	"fmt"
	"path/filepath"

	"sallyport/internal/bundle"
	"sallyport/internal/durable"
	"sallyport/internal/marks"
	"sallyport/internal/state"
	"sallyport/internal/timeline"
	"sallyport/internal/wire"
)

// rounds is how many quiet journeys of a good stick must be enough to make all equal.
const rounds = 3

// Settle ends a history: clocks are right, nothing is pinned, good sticks travel. Then all must be equal.
func (w *World) Settle() error {
	w.tell("now it is quiet")
	for _, a := range w.all() {
		a.clock.Set(begin.Add(a.clock.Mono()))
		for _, name := range sorted(a.behind) {
			if err := w.unpinOne(a, name); err != nil {
				return err
			}
		}
	}
	for _, name := range sorted(w.truth) {
		if w.truth[name].lost {
			if err := w.loadFeed(name); err != nil {
				return err
			}
		}
	}
	for range rounds {
		for _, site := range w.sites {
			s, err := w.stick()
			if err != nil {
				return err
			}
			if err := site.call("card/write", wire.MediumRequest{Path: s.dir}, nil); err != nil {
				return err
			}
			if err := site.stream("outbound/write", wire.OutboundRequest{Path: s.dir}, nil); err != nil {
				w.tell("%s writes nothing home: %s", site.name, said(err))
			}
			for _, a := range []*appliance{w.hub, site, w.hub} {
				if err := w.bring(s, a, site.name); err != nil {
					return err
				}
				if err := w.believeOn(s, site); err != nil {
					return err
				}
			}
		}
	}
	return w.equal()
}

// equal holds both sites against the hub, record by record.
func (w *World) equal() error {
	for feed, e := range w.weeks {
		_, want, err := w.evidence(feed, e)
		if err != nil {
			return err
		}
		for _, a := range w.all() {
			feeds, err := a.feeds()
			if err != nil {
				return err
			}
			f, t := feeds["hub/"+feed], w.truth[feed]
			if (point{f.Epoch, f.Generation}) != t.now || f.StateRoot != t.roots[t.now] {
				w.wrong("at the end %s stands at %d.%d of %s, the hub minted %v", a.name, f.Epoch, f.Generation, feed, t.now)
				continue
			}
			if err := a.holds("hub/"+feed, want); err != nil {
				return err
			}
		}
	}
	return nil
}

// Prove stops all three and holds each log against every head of it that another one saw.
func (w *World) Prove() error {
	heads := map[string][]timeline.Seen{} // of whom
	for _, a := range w.all() {
		if err := a.stop(); err != nil {
			return err
		}
		err := a.ledger(func(tx *state.Tx) error {
			for _, b := range w.all() {
				s, err := timeline.LastSeen(tx, b.id)
				if err != nil {
					return err
				}
				if s != nil {
					heads[b.name] = append(heads[b.name], *s)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	for _, a := range w.all() {
		if len(heads[a.name]) == 0 {
			w.wrong("nobody ever saw the log of %s", a.name)
		}
		err := a.ledger(func(tx *state.Tx) error {
			log := timeline.New(a.id, func() marks.Reading { return marks.Reading{} }, nil)
			number, err := log.Number(tx)
			if err != nil {
				return err
			}
			var known []bundle.Head // of the log written to now; one before a restore may know what is gone
			for _, s := range heads[a.name] {
				if s.Number == number {
					known = append(known, s.Head)
				}
			}
			w.counts["heads proven"] += len(known)
			_, err = log.Verify(tx, known...)
			return err
		})
		if err != nil {
			w.wrong("the log of %s against what others saw of it: %v", a.name, err)
		}
	}
	return nil
}

// ledger reads the state of a stopped appliance.
func (a *appliance) ledger(do func(*state.Tx) error) error {
	db, err := state.Open(filepath.Join(a.dir, "state.db"), durable.FS{})
	if err != nil {
		return fmt.Errorf("state of %s: %w", a.name, err)
	}
	defer db.Close()
	return db.View(do)
}
