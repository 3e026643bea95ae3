package crash

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"sallyport/internal/client"
	"sallyport/internal/clock"
	"sallyport/internal/code"
	"sallyport/internal/durable"
	"sallyport/internal/lifecycle"
	"sallyport/internal/wire"
)

// later are the operations of bad days.
func later() []*Operation {
	return []*Operation{
		{Name: "import-delta", drive: driveImport, together: true},
		{Name: "park", drive: driveWaiting},
		{Name: "volumes", drive: driveWaiting, short: true},
		{Name: "rollback", drive: driveRollback},
		{Name: "unpin", drive: driveUnpin},
		{Name: "backup", drive: driveBackup, proof: backupHolds},
		{Name: "rotate", drive: driveRotate},
		{Name: "trust", drive: driveTrust},
		{Name: "card", drive: driveCard},
	}
}

func (t *teller) keepLate() {
	t.late = &player{r: t.r, name: "late", dir: filepath.Join(t.r.dir, "story", "late")}
	t.do("keep a late site", func() error { return copyTree(t.site.dir, t.late.dir) })
}

// deltas lets the hub learn what the site holds and write a delta for it; and a full in volumes, of which one is lost.
func (t *teller) deltas(stick string) (pieces string) {
	pieces = t.medium("pieces")
	alone := t.medium("alone")
	t.on(t.hub)
	t.exchange(t.hub, stick)
	for _, q := range []wire.RunRequest{
		{Profile: "mirror:full", For: "site", To: pieces, VolumeBytes: 8 << 10}, {Profile: "mirror:delta", For: "site", To: alone},
	} {
		t.do("export "+q.Profile, func() error { return exportAs(t.ctx, t.hub.p.client, q, newNotes()) })
	}
	t.off(t.hub)
	t.do("lose a volume", func() error {
		return onMedium(func(name string) bool { return filepath.Ext(name) == ".002" }, os.Remove)(place{dir: filepath.Dir(pieces), stick: pieces})
	})
	t.begin("import-delta", t.site, stick)
	t.begin("park", t.late, alone)
	t.begin("volumes", t.site, pieces)
	t.begin("rollback", t.site, "")
	t.on(t.site)
	t.do("roll back", func() error { return driveRollback(t.ctx, place{}, t.site.p.client, newNotes()) })
	t.off(t.site)
	t.begin("unpin", t.site, "")
	return pieces
}

// changes lets the hub change a key and write a medium that says so.
func (t *teller) changes(stick string) {
	t.begin("rotate", t.hub, "")
	t.begin("card", t.hub, stick)
	t.on(t.hub)
	t.do("rotate", func() error { return driveRotate(t.ctx, place{}, t.hub.p.client, newNotes()) })
	t.load(t.hub, "adv", "week4.zip")
	t.exchange(t.hub, stick)
	t.load(t.hub, "adv", "week3.zip")
	t.off(t.hub)
	t.begin("trust", t.site, stick)
}

func (t *teller) exchange(p *player, stick string) {
	t.do("exchange at "+p.name, func() error {
		return p.p.client.Stream(t.ctx, "exchange/run", wire.ExchangeRequest{Path: stick, Yes: true}, nil, nil)
	})
}

// driveWaiting brings a bundle that cannot be taken in yet: what is there is kept, and nothing flips.
func driveWaiting(ctx context.Context, at place, c *client.Client, n *notes) error {
	err := driveImport(ctx, at, c, n)
	switch code.Of(err) {
	case code.Parked, code.BaseMissing, code.VolumeMissing:
		return nil
	}
	return err
}

// driveRollback goes back to the first generation of the advisories.
func driveRollback(ctx context.Context, _ place, c *client.Client, n *notes) error {
	return steer(ctx, c, n, "feeds/rollback", wire.FeedChange{Name: "adv", To: "1", Reason: "a test"})
}

func driveUnpin(ctx context.Context, _ place, c *client.Client, n *notes) error {
	return steer(ctx, c, n, "feeds/unpin", wire.FeedChange{Name: "adv", Reason: "a test"})
}

// steer does one verb of feeds. What is so already is no error for a second try.
func steer(ctx context.Context, c *client.Client, n *notes, verb string, q wire.FeedChange) error {
	var out wire.FeedChanged
	err := c.Call(ctx, verb, q, &out)
	if code.Of(err) == code.Conflict {
		return nil
	}
	if err == nil {
		n.feeds[out.Feed.FullName] = standing{out.Feed.Epoch, out.Feed.Generation, out.Feed.StateRoot}
		n.acks++
	}
	return err
}

// driveBackup makes a backup beside the appliance; a second try makes another.
func driveBackup(ctx context.Context, at place, c *client.Client, n *notes) error {
	to, err := os.MkdirTemp(at.medium(), "backup-")
	if err != nil {
		return err
	}
	if err := c.Stream(ctx, "backup/create", wire.BackupRequest{To: to}, nil, nil); err != nil {
		return err
	}
	n.backups = append(n.backups, to)
	n.acks++
	return nil
}

// backupHolds demands that a restore would take each acknowledged backup.
func backupHolds(ctx context.Context, at place, n *notes) error {
	for _, from := range n.backups {
		o := lifecycle.RestoreOptions{From: from, DataDir: filepath.Join(at.dir, "restored"), Reason: "a test", Actor: "crash"}
		d := lifecycle.RestoreDeps{Clock: clock.System(), Random: clock.Random(), FS: durable.FS{}, Software: "1.0.0"}
		if _, err := lifecycle.PlanRestore(ctx, o, d, nil); err != nil {
			return fmt.Errorf("backup that was acknowledged: %w", err)
		}
	}
	return nil
}

// driveRotate makes a new bundle key and the trust root that names it.
func driveRotate(ctx context.Context, _ place, c *client.Client, n *notes) error {
	var plan wire.KeyPlan
	if err := c.Call(ctx, "keys/rotate", wire.KeyRequest{Kind: "bundle", Reason: "a test"}, &plan); err != nil {
		return err
	}
	err := c.Call(ctx, "keys/apply", wire.KeyRequest{Approve: plan.Digest, Reason: "a test"}, nil)
	if err == nil {
		n.acks++
	}
	return err
}

// driveTrust takes in what the medium says of the hub's root. A second try finds nothing to change.
func driveTrust(ctx context.Context, at place, c *client.Client, n *notes) error {
	var plans, done wire.TrustResult
	if err := c.Call(ctx, "trust/plan", wire.TrustRequest{Path: at.medium()}, &plans); err != nil {
		return err
	}
	for _, p := range plans.Plans {
		if p.Digest == "" {
			continue
		}
		if err := c.Stream(ctx, "trust/apply", wire.TrustRequest{Path: at.medium(), Approve: p.Digest, Reason: "a test"}, nil, &done); err != nil {
			return err
		}
		for _, d := range done.Plans {
			if !d.Applied {
				return errors.New("trust: " + d.Sentence)
			}
			n.acks++
		}
	}
	return nil
}

func driveCard(ctx context.Context, at place, c *client.Client, n *notes) error {
	err := c.Call(ctx, "card/write", wire.MediumRequest{Path: at.medium()}, nil)
	if err == nil {
		n.acks++
	}
	return err
}
