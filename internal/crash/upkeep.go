package crash

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"sallyport/internal/client"
	"sallyport/internal/clock"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/state"
	"sallyport/internal/wire"
)

// upkeep are the operations that look after an appliance: its disk, its papers, its time; and those that make one.
func upkeep() []*Operation {
	return []*Operation{
		{Name: "peer", drive: drivePeer},
		{Name: "prune", drive: drivePrune},
		{Name: "heal", drive: driveHeal, ill: true},
		{Name: "forget", drive: driveForget},
		{Name: "discard", drive: driveDiscard},
		{Name: "time", drive: driveTime},
		{Name: "init", drive: driveNothing, make: makeNew},
		{Name: "restore", drive: driveNothing, make: makeAgain},
	}
}

// met keeps a hub that has a card of the site before it, and a backup of it.
func (t *teller) met(medium string) {
	t.begin("peer", t.hub, medium)
	t.do("whose card", func() error {
		return os.WriteFile(filepath.Join(t.r.dir, "in", "fingerprint"), []byte(t.site.fingerprint), 0o644)
	})
}

// ill keeps what needs upkeep: old generations at the hub; at the site a damaged blob of an old generation that a medium has, a
// bundle that waits, and one that was refused.
func (t *teller) ill(old, pieces string) {
	t.begin("prune", t.hub, "")
	t.do("no ballast yet", func() error { return os.RemoveAll(filepath.Join(t.r.op("prune").start, "d", "ballast")) })
	t.begin("time", t.site, "")
	t.begin("heal", t.site, old)
	t.do("damage a blob", func() error { return oldest(place{dir: t.r.op("heal").start}, flip) })
	spoilt := t.medium("spoilt")
	t.do("spoil a medium", func() error {
		if err := copyTree(old, spoilt); err != nil {
			return err
		}
		return withVolume(flip)(place{stick: spoilt})
	})
	t.on(t.late)
	for _, from := range []string{pieces, spoilt} {
		t.do("bring what cannot be taken in", func() error {
			err := t.late.p.client.Stream(t.ctx, "import/run", wire.ImportRequest{Path: from, Yes: true}, nil, nil)
			if err == nil {
				return errors.New("it was taken in")
			}
			return nil
		})
	}
	t.off(t.late)
	t.begin("forget", t.late, "")
	t.begin("discard", t.late, "")
}

// empty keeps empty machines, and beside one of them a backup of the hub.
func (t *teller) empty() {
	kept := t.medium("kept")
	t.on(t.hub)
	t.do("backup", func() error {
		return t.hub.p.client.Stream(t.ctx, "backup/create", wire.BackupRequest{To: filepath.Join(kept, "backup")}, nil, nil)
	})
	t.off(t.hub)
	nobody := &player{dir: t.medium("nobody")}
	t.begin("init", nobody, "")
	t.begin("restore", nobody, kept)
}

// oldest does something to a shard of the first generation of the advisories.
func oldest(at place, do func(string) error) error {
	var shard digest.Digest
	err := ledger(at, func(tx *state.Tx) error {
		_, held, err := named(tx, "adv")
		if err == nil {
			shard = held[len(held)-1].Layers[0].Shards[0]
		}
		return err
	})
	if err != nil {
		return err
	}
	return do(filepath.Join(at.data(), "cas", "sha256", shard.Hex()[:2], shard.Hex()))
}

func driveNothing(context.Context, place, *client.Client, *notes) error { return nil }

// drivePeer takes the site's card. A second try finds it there.
func drivePeer(ctx context.Context, at place, c *client.Client, n *notes) error {
	b, err := os.ReadFile(filepath.Join(at.in, "fingerprint"))
	if err != nil {
		return err
	}
	q := wire.PeerRequest{Path: at.medium(), Name: "site", Fingerprint: string(b)}
	err = c.Call(ctx, "peers/add", q, nil)
	if err != nil && code.Of(err) != code.Conflict {
		return err
	}
	n.acks++
	var all wire.Peers
	if err := c.Call(ctx, "peers/list", struct{}{}, &all); err != nil {
		return err
	}
	if len(all.Peers) != 1 || all.Peers[0].Name != "site" {
		return fmt.Errorf("peers after one was taken: %v", all.Peers)
	}
	return nil
}

func drivePrune(ctx context.Context, _ place, c *client.Client, n *notes) error {
	err := c.Call(ctx, "store/prune", wire.PruneRequest{Keep: 1}, nil)
	if err == nil {
		n.acks++
	}
	return err
}

// driveHeal reads everything, and takes from the medium what is damaged.
func driveHeal(ctx context.Context, at place, c *client.Client, n *notes) error {
	if err := c.Stream(ctx, "store/scrub", wire.ScrubRequest{All: true}, nil, nil); err != nil {
		return err
	}
	n.acks++
	var out wire.Healed
	if err := c.Stream(ctx, "media/heal", wire.MediumRequest{Path: at.medium()}, nil, &out); err != nil {
		return err
	}
	if len(out.Left) > 0 {
		return fmt.Errorf("heal: still damaged: %v", out.Left)
	}
	n.acks++
	return nil
}

// driveForget drops all that waits.
func driveForget(ctx context.Context, _ place, c *client.Client, n *notes) error {
	var list wire.Media
	if err := c.Call(ctx, "media/list", struct{}{}, &list); err != nil {
		return err
	}
	for _, w := range list.Waiting {
		if err := c.Call(ctx, "media/forget", wire.ForgetRequest{Label: w.Label, Reason: "a test"}, nil); err != nil {
			return err
		}
		n.acks++
	}
	return nil
}

// driveDiscard throws away all that was refused.
func driveDiscard(ctx context.Context, _ place, c *client.Client, n *notes) error {
	var list wire.Quarantine
	if err := c.Call(ctx, "quarantine/list", struct{}{}, &list); err != nil {
		return err
	}
	for _, e := range list.Entries {
		if err := c.Call(ctx, "quarantine/remove", wire.QuarantineRequest{Number: e.Number, Reason: "a test"}, nil); err != nil {
			return err
		}
		n.acks++
	}
	return nil
}

// driveTime sets the time some days ahead of the last that the appliance can have heard of. A second try finds it passed.
func driveTime(ctx context.Context, at place, c *client.Client, n *notes) error {
	st, err := os.Stat(filepath.Join(at.in, "week1.zip"))
	if err != nil {
		return err
	}
	to := st.ModTime().UTC().Truncate(time.Second).AddDate(0, 0, 5)
	err = c.Call(ctx, "time/set", wire.TimeRequest{At: clock.Format(to), Reason: "a test"}, nil)
	if err != nil && code.Of(err) != code.BadUsage {
		return err
	}
	var now wire.TimeShown
	if err := c.Call(ctx, "time/show", struct{}{}, &now); err != nil {
		return err
	}
	if now.Trusted < clock.Format(to) {
		return fmt.Errorf("time was set to %s and is %s", clock.Format(to), now.Trusted)
	}
	n.acks++
	return nil
}

func makeNew(at place) []string {
	return []string{"init", "--data-dir", at.data(), "--name", "new", "--tenant", "acme", "--single-operator"}
}

func makeAgain(at place) []string {
	found, err := filepath.Glob(filepath.Join(at.medium(), "backup", "*"))
	if err != nil || len(found) != 1 {
		return []string{"restore"} // which asks for a backup
	}
	return []string{"restore", "--data-dir", at.data(), "--from", found[0], "--reason", "a test"}
}

// build runs the program that makes a data directory, to its end. Empty is what it said when it succeeded.
func (c *cell) build(ctx context.Context, env ...string) (p *process, said error, err error) {
	p, err = c.r.start(c.at.data(), c.o.make(c.at), env...)
	if err != nil {
		return p, nil, err
	}
	if err := p.wait(ctx); err != nil {
		return p, nil, err
	}
	if p.err != nil {
		return p, fmt.Errorf("%w: %s", p.err, p.said()), nil
	}
	c.n.acks++
	return p, nil, nil
}

// remake makes the data directory once more, without a fault: what was finished is refused and stays, all else is finished.
func (c *cell) remake(ctx context.Context) error {
	finished := c.n.acks > 0
	_, said, err := c.build(ctx)
	if err != nil {
		return err
	}
	_, there := os.Stat(filepath.Join(c.at.data(), "instance.json"))
	switch {
	case finished && said == nil:
		c.f.add(Lost, "it was made, and was made anew")
	case said != nil && (errors.Is(there, fs.ErrNotExist) || !strings.Contains(said.Error(), string(code.Conflict))):
		c.f.add(Other, "another try: %v", said)
	}
	return nil
}
