package access

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"sallyport/internal/state"
)

// Refusals go into the timeline as auth.denied: the first of each kind at once, what follows as one entry with a count. Whoever
// tries for ever makes at most 2*tellMost entries in a window, and each window with new ones is twice as long as the one before.
const (
	tellEvery = 10 * time.Minute
	tellMost  = 6
	tellSlow  = 6 // doublings
	maxDenied = 1000
)

// denials counts refusals until they are told.
type denials struct {
	mu     sync.Mutex
	begin  time.Duration // of the window, Clock.Mono
	slow   int           // doublings of it
	told   int           // at once, in this window
	counts map[denial]int
}

// denial is one kind of refusal. Account is "" where what was typed is no account: people type passwords there.
type denial struct {
	What    string // sign-in, code, step-up, token
	Account string
	Remote  string
}

func newDenials() *denials { return &denials{counts: map[denial]int{}} }

// add counts a refusal; now is true when it is to be told at once, and then it is not counted.
func (d *denials) add(mono time.Duration, k denial) (now bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, known := d.counts[k]
	if !known && d.told < tellMost {
		d.told++
		d.counts[k] = 0
		return true
	}
	if !known && len(d.counts) >= maxDenied {
		k = denial{What: k.What}
	}
	d.counts[k]++
	return false
}

// counted is a refusal and how often it came.
type counted struct {
	denial
	times int
}

// due gives what is to be told when a window ends, or at once with all, and begins the next one. The most frequent stand for
// themselves, the rest is one.
func (d *denials) due(mono time.Duration, all bool) (list []counted) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !all && mono-d.begin < tellEvery<<d.slow {
		return nil
	}
	for k, n := range d.counts {
		if n > 0 {
			list = append(list, counted{k, n})
		}
	}
	slices.SortFunc(list, func(a, b counted) int {
		return cmp.Or(cmp.Compare(b.times, a.times), cmp.Compare(a.Account, b.Account), cmp.Compare(a.Remote, b.Remote), cmp.Compare(a.What, b.What))
	})
	if len(list) > tellMost {
		rest := counted{denial{What: "several", Remote: fmt.Sprintf("%d more", len(list)-tellMost+1)}, 0}
		for _, c := range list[tellMost-1:] {
			rest.times += c.times
		}
		list = append(list[:tellMost-1], rest)
	}
	if d.slow = min(d.slow+1, tellSlow); len(d.counts) == 0 {
		d.slow = 0
	}
	d.begin, d.told, d.counts = mono, 0, map[denial]int{}
	return list
}

// back counts again what could not be written.
func (d *denials) back(list []counted) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range list {
		d.counts[c.denial] += c.times
	}
}

// denied notes a refusal. It gives no error: whoever is refused is told why, and nothing else.
func (d *Desk) denied(ctx context.Context, now moment, k denial) {
	if !d.denials.add(now.mono, k) {
		return
	}
	list := []counted{{k, 1}}
	if err := d.tell(context.WithoutCancel(ctx), list); err != nil {
		d.denials.back(list)
		d.Log.Warn("a refusal is not in the timeline yet", "what", k.What, "err", err.Error())
	}
}

// tellDenials writes what was counted when its time has come.
func (d *Desk) tellDenials(ctx context.Context) error {
	return d.tellNow(ctx, false)
}

func (d *Desk) tellNow(ctx context.Context, all bool) error {
	list := d.denials.due(d.Clock.Mono(), all)
	if len(list) == 0 {
		return nil
	}
	err := d.tell(ctx, list)
	if err != nil {
		d.denials.back(list)
	}
	return err
}

func (d *Desk) tell(ctx context.Context, list []counted) error {
	return d.State.Update(ctx, func(tx *state.Tx) error {
		for _, c := range list {
			who := c.Account
			if who == "" {
				who = "unknown"
			}
			if err := d.event(tx, "auth.denied", who, c.What, "remote", c.Remote, "attempts", fmt.Sprint(c.times)); err != nil {
				return err
			}
		}
		return nil
	})
}

// Close writes the refusals that were counted and all else that waits, before the daemon stops. A full disk is no error.
func (d *Desk) Close(ctx context.Context) error {
	if err := roomy(d.tellNow(ctx, true)); err != nil {
		return err
	}
	return d.Tick(ctx)
}

// Refused notes a refusal that a door made, as auth.denied: who came in and may not do what. It is counted like all others.
func (d *Desk) Refused(ctx context.Context, account, what, remote string) {
	d.denied(ctx, d.moment(), denial{What: what, Account: account, Remote: remote})
}
