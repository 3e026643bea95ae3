package intake

import (
	"errors"
	"fmt"
	"time"

	"sallyport/internal/clock"
	"sallyport/internal/code"
	"sallyport/internal/feed"
	"sallyport/internal/marks"
	"sallyport/internal/state"
)

// anchorRow is the newest anchor of one key that came in with an accepted bundle.
type anchorRow struct {
	Counter int64  `json:"counter"`
	At      string `json:"at"` // anchorTime
	Peer    string `json:"peer,omitempty"`
}

// WaitingAnchor is an anchor of an accepted bundle that moves time by more than 400 days.
type WaitingAnchor struct {
	Peer    string
	Key     string // id of the key that signed it
	Counter int64
	At      time.Time
}

// anchors holds them by key id, written with the bundle's acceptance: a crash before the marks are raised loses no time.
var anchors = state.Table[anchorRow]{Name: "intake.anchor"}

// reading is the time a verified bundle is accepted at: max(trusted now, the bundle's own valid anchor).
func (im *imports) reading(pr *prepared) marks.Reading {
	a := pr.bundle.Anchor()
	if a == nil {
		return im.v.time
	}
	at, err := clock.Parse(a.AnchorTime)
	if err != nil {
		return im.v.time // the gate has parsed it
	}
	return im.Marks.With(im.v.time, anchorKey(pr), a.Counter, at)
}

// read makes the bundle's reading that of the acceptance; one visit never goes back.
func (im *imports) read(pr *prepared) {
	if pr.now.Trusted.After(im.now.Trusted) {
		im.now = pr.now
	}
}

// keepAnchor notes the anchor of a bundle in the transaction that accepts it, and that its sender's feeds were as new as
// they are here at that time: a mirror carries every feed that changed.
func (im *imports) keepAnchor(tx *state.Tx, pr *prepared) error {
	a := pr.bundle.Anchor()
	if a == nil {
		return nil
	}
	at, err := clock.Parse(a.AnchorTime)
	if err != nil {
		return fmt.Errorf("anchor of %s: %w", pr.plan.Name, err)
	}
	if at.After(pr.now.Trusted) {
		at = pr.now.Trusted // a jump that two people must confirm first
	}
	if err := feed.Vouch(tx, pr.peer.Tenant, pr.peer.ID, at); err != nil {
		return err
	}
	key := anchorKey(pr)
	old, ok, err := anchors.Get(tx, key)
	if err != nil || ok && old.Counter >= a.Counter {
		return err
	}
	return anchors.Put(tx, key, anchorRow{a.Counter, a.AnchorTime, pr.peer.Name})
}

// recoverAnchors applies what was accepted before a crash kept it from the marks. An anchor whose counter the marks know
// was applied, and is not applied again: a later time epoch may have taken it back.
func (r *Room) recoverAnchors() error {
	list := map[string]anchorRow{}
	err := r.State.View(func(tx *state.Tx) error {
		return anchors.Scan(tx, "", func(key string, a anchorRow) error {
			list[key] = a
			return nil
		})
	})
	if err != nil {
		return err
	}
	known := r.Marks.Get().Anchors
	for key, a := range list {
		if a.Counter <= known[key] {
			continue
		}
		at, perr := time.Parse(time.RFC3339, a.At)
		if perr != nil {
			return fmt.Errorf("anchor of %s: %w", key, perr)
		}
		if aerr := r.Marks.ApplyAnchor(key, a.Counter, at, false); aerr != nil && !isCode(aerr, code.TrustTwoPersons, code.CounterOld) {
			err = errors.Join(err, aerr)
		}
	}
	return err
}

// WaitingAnchors lists the anchors that two people must confirm before they move time.
func (r *Room) WaitingAnchors() (list []WaitingAnchor, err error) {
	known, now := r.Marks.Get().Anchors, r.Marks.Now().Trusted
	err = r.State.View(func(tx *state.Tx) error {
		return anchors.Scan(tx, "", func(key string, a anchorRow) error {
			at, err := clock.Parse(a.At)
			if err == nil && a.Counter > known[key] && at.After(now) {
				list = append(list, WaitingAnchor{a.Peer, key, a.Counter, at})
			}
			return nil
		})
	})
	return list, err
}
