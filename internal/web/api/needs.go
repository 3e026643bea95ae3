package api

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"sallyport/internal/approval"
	"sallyport/internal/export"
	"sallyport/internal/peer"
	"sallyport/internal/state"
	"sallyport/internal/units"
	"sallyport/internal/wire"
)

// maxNamed bounds how many of one sort are named one by one, here and at the end of a visit.
const maxNamed = 3

// needs is what waits for people and is no fault: plans to be approved, what was refused and kept, volumes that peers ask
// for, peers not heard of since a restore.
func (a *API) needs(ctx context.Context) (list []wire.Reason, err error) {
	if list, err = a.plansWait(); err != nil {
		return nil, err
	}
	people, err := a.accessNeeds(ctx)
	if err != nil {
		return nil, err
	}
	list = append(list, people...)
	rows, err := a.Intake.ListQuarantine(ctx, "")
	if err != nil {
		return nil, err
	}
	rows = slices.DeleteFunc(rows, isFork) // a reason of its own
	if n := len(rows); n > 0 {
		list = append(list, wire.Reason{
			Level: "note", What: fmt.Sprintf("%s in quarantine, newest %s (%s).", units.Plural(int64(n), "entry is", "entries are"), rows[0].Number, rows[0].Code),
			Next:  fmt.Sprintf("sallyport quarantine list; when one is settled: sallyport quarantine remove %s --reason …", rows[0].Number),
			Topic: wire.AboutQuarantine, Subject: rows[0].Number, Why: "Nothing of it was taken in. Each is kept until somebody says what became of it.",
		})
	}
	err = a.State.View(func(tx *state.Tx) error {
		peers, err := peer.List(tx)
		for _, p := range peers {
			if n := asks(p); n > 0 {
				list = append(list, wire.Reason{
					Level: "note", What: fmt.Sprintf("%s asks for %s again.", p.Name, units.Plural(int64(n), "volume", "volumes")),
					Next:  fmt.Sprintf("Put in a stick that goes there: sallyport exchange MEDIUM --for %s", p.Name),
					Topic: wire.AboutAsks, Subject: p.Name, Why: "Until it has them it keeps what came whole and waits. The next stick that goes there brings them.",
				})
			}
			if p.Unheard {
				list = append(list, wire.Reason{
					Level: "note", What: fmt.Sprintf("This appliance was restored and nothing of %s was read since: nothing is exported to it.", p.Name),
					Next:  fmt.Sprintf("Import a stick that came from %s: sallyport import MEDIUM. Its card is enough.", p.Name),
					Topic: wire.AboutUnheard, Subject: p.Name, Why: "Its card may be newer than the backup knew. A stick that came from there settles it.",
				})
			}
		}
		return err
	})
	return list, err
}

// asks is how many volumes a peer asks for.
func asks(p peer.Peer) (n int) {
	for _, w := range p.Wanted {
		n += len(w.Volumes)
	}
	return n
}

// plansWait are the plans that people may still speak about, each with what is typed next.
func (a *API) plansWait() (list []wire.Reason, err error) {
	err = a.State.View(func(tx *state.Tx) error {
		plans, err := approval.List(tx, "")
		if err != nil {
			return err
		}
		for _, p := range plans {
			w, err := a.approvalOf(p)
			if err != nil {
				return err
			}
			r := wire.Reason{Level: "note", What: fmt.Sprintf("A plan waits (%s: %s): %d of %d have said yes.", p.Kind, p.Subject, len(p.Grants), p.Need)}
			r.Topic, r.Subject, r.Why = wire.AboutPlan, p.Digest.String(), fmt.Sprintf("Proposed by %s. Nothing changes before enough people agree; after %s it must be proposed anew.", p.Proposer, p.ExpiresAt)
			switch w.State {
			case "waiting":
				r.Next = fmt.Sprintf("Another person types: sallyport approvals approve %s", p.Digest)
			case "ready":
				r.Next = w.Next
			default:
				continue
			}
			list = append(list, r)
		}
		return nil
	})
	return list, err
}

// unmet says who is due something and was not met, when nothing is to be written: a fresh stick names nobody.
func (v *visit) unmet(ctx context.Context) error {
	if len(v.q.For)+len(v.out.Due)+len(v.carried)+len(v.notes) > 0 || v.later != nil {
		return nil
	}
	due := map[string][]string{}
	var peers []peer.Peer
	err := v.State.View(func(tx *state.Tx) (err error) {
		if peers, err = peer.List(tx); err != nil {
			return err
		}
		for _, p := range peers {
			if due[p.Name], err = behind(tx, p); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	var list []string
	for _, p := range peers {
		receipts, err := v.Intake.Receipts(ctx, p.Name, true)
		if err != nil {
			return err
		}
		if n := len(receipts); n > 0 {
			due[p.Name] = append(due[p.Name], units.Plural(int64(n), "receipt", "receipts"))
		}
		if what := due[p.Name]; len(what) > 0 && !v.met[p.Name] {
			list = append(list, fmt.Sprintf("%s is due %s: add --for %s.", p.Name, strings.Join(what, ", "), p.Name))
		}
	}
	if n := len(list) - maxNamed; n > 0 {
		list = append(list[:maxNamed], fmt.Sprintf("So %s more: sallyport peers list.", units.Plural(int64(n), "peer is", "peers are")))
	}
	v.notes = append(v.notes, list...)
	return nil
}

// behind names what a peer lacks of ours: feeds with the generation that is active here, and volumes it asks for.
func behind(tx *state.Tx, p peer.Peer) (what []string, err error) {
	all, err := export.Standings(tx, p)
	for _, s := range all {
		if s.Current() {
			continue
		}
		w := fmt.Sprintf("%s generation %d", s.Now.Ref.Name, s.Now.Generation)
		if slices.Contains(s.Sent, s.Now) {
			w += " (sent, not answered yet)"
		}
		what = append(what, w)
	}
	if n := asks(p); n > 0 {
		what = append(what, units.Plural(int64(n), "volume", "volumes")+" it asks for")
	}
	return what, err
}
