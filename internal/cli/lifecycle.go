package cli

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"sallyport/internal/clock"
	"sallyport/internal/lifecycle"
	"sallyport/internal/units"
	"sallyport/internal/wire"
)

func (a *app) backupCmd() *cobra.Command {
	var q wire.BackupRequest
	c := command("backup --to DIR", "copy this appliance, keys included, so that it can be made again on an empty machine", 0, func([]string) (err error) {
		if q.To == "" {
			return missing("--to", "Say where: a directory off this machine.")
		}
		if q.To, err = filepath.Abs(q.To); err != nil {
			return err
		}
		b, err := stream[wire.Backup](a, "backup/create", q)
		if b == nil {
			return err
		}
		return a.join(b, func(w io.Writer) {
			pairs(w, "backup", b.Dir, "of", b.Name, "made", b.CreatedAt+" (trusted time)", "size", units.Size(b.Bytes)+" in "+units.Count(int64(b.Files))+" files",
				"feeds", fmt.Sprint(b.Feeds), "events", units.Count(b.Events))
			a.say("Opened and checked: a restore from it works.")
			a.say("%s", b.Warning)
			for _, l := range b.Lacks {
				a.say("Not in it: %s.", l)
			}
		}, err)
	})
	c.Flags().StringVar(&q.To, "to", "", "directory to write into; each backup gets a folder of its own there")
	return c
}

func (a *app) restoreCmd() *cobra.Command {
	var o lifecycle.RestoreOptions
	var plan bool
	c := command("restore --from DIR --reason R", "make a lost appliance again from a backup, on an empty data directory and without a daemon", 0, func([]string) (err error) {
		if o.From == "" {
			return missing("--from", "Name the directory that sallyport backup wrote.")
		}
		if o.Reason == "" && !plan {
			return missing("--reason", "Say why, in your words: it stands in the first entry of the new timeline.")
		}
		if o.DataDir, err = a.dir(); err != nil {
			return err
		}
		if o.From, err = filepath.Abs(o.From); err != nil {
			return err
		}
		if o.Roots != "" {
			if o.Roots, err = filepath.Abs(o.Roots); err != nil {
				return err
			}
		}
		deps, err := a.deps()
		if err != nil {
			return err
		}
		o.Actor = fmt.Sprintf("uid:%d", os.Getuid())
		d := lifecycle.RestoreDeps{Clock: deps.Clock, Random: clock.Random(), FS: deps.FS, Software: deps.Software}
		r, err := a.restore(o, d, plan)
		a.clear()
		if err != nil {
			return err
		}
		return a.show(r, func(w io.Writer) { a.restored(w, r) })
	})
	f := c.Flags()
	f.StringVar(&o.From, "from", "", "the backup")
	f.StringVar(&o.Reason, "reason", "", "why: it stands in the timeline")
	f.BoolVar(&plan, "plan", false, "check the backup, say what would be made of it, and stop")
	f.BoolVar(&o.WithoutCards, "without-cards", false, "export before a card or receipt of each peer was read; this stands in the timeline")
	f.StringVar(&o.RootKey, "root-key", "", "file of the root key, where it was taken offline; read, not kept")
	f.StringVar(&o.Roots, "roots", "", "a medium this appliance wrote to after the backup: versions of its trust root that the backup does not have come from there")
	f.IntVar(&o.Earlier, "earlier", 0, "how often this appliance was restored from this backup, or from one of the same time, and lost again")
	return c
}

func (a *app) restore(o lifecycle.RestoreOptions, d lifecycle.RestoreDeps, plan bool) (wire.Restored, error) {
	do := lifecycle.Restore
	if plan {
		do = lifecycle.PlanRestore
	}
	r, err := do(a.ctx, o, d, func(step string, done, total int64) {
		a.progress(wire.Progress{Stage: step, Bytes: done, TotalBytes: total})
	})
	if err != nil {
		return wire.Restored{}, err
	}
	x := r.Archive
	out := wire.Restored{
		From: r.From, DataDir: r.DataDir, Name: x.Name, ID: x.ID, Backup: x.CreatedAt, Bytes: x.Bytes, Planned: plan, Events: x.Head.Size,
		Log: r.Log, Root: r.Root, Epoch: r.Epoch, Peers: r.Peers, MarksKept: r.KeptOld, Newer: r.Newer,
	}
	for _, f := range r.Feeds {
		out.Feeds = append(out.Feeds, wire.RestoredFeed{Name: f.Name, Before: f.Before, After: f.After})
	}
	if plan {
		for _, f := range x.Feeds {
			if f.Local {
				out.Feeds = append(out.Feeds, wire.RestoredFeed{Name: f.Name, Before: f.Active})
			}
		}
	}
	out.Next = a.afterRestore(out, plan)
	return out, nil
}

func (a *app) afterRestore(r wire.Restored, plan bool) []string {
	if plan {
		next := []string{"Nothing was written. To do it: " + a.typed("restore", "--from", r.From, "--reason", "WHY")}
		if r.Newer == 0 {
			next = append(next, "Name the newest stick it wrote to with --roots MEDIUM: if its trust root was changed after the backup, that change is read from there and not made twice.")
		}
		return next
	}
	next := []string{
		"Start it: sallyport serve --data-dir " + r.DataDir,
		"Write its card to a stick for every peer: sallyport card --to MEDIUM. Each has to take up root version " + fmt.Sprint(r.Root) + " once, by two people.",
	}
	if len(r.Peers) > 0 {
		next = append(next, "Import a stick that came from each of "+strings.Join(r.Peers, ", ")+": before that nothing is exported to them.")
	}
	if r.Newer > 0 {
		next = append(next, "Its trust root was changed after the backup, and keys that were exchanged then are lost: see sallyport keys list, and exchange what is revoked or ends soon.")
	}
	if !r.MarksKept && r.Newer == 0 {
		next = append(next, "If its trust root was changed after the backup, do not start it: restore once more with --roots MEDIUM.")
	}
	if !r.MarksKept {
		next = append(next, "If this backup, or one of the same time, was restored before and lost again, do not start it: restore once more with --earlier 1.")
	}
	return next
}

func (a *app) restored(w io.Writer, r wire.Restored) {
	pairs(w, "appliance", r.Name, "id", r.ID, "backup", r.Backup+" (trusted time then)", "size", units.Size(r.Bytes), "data", r.DataDir,
		"events", units.Count(r.Events)+" known; what came after them is lost here", "timeline", number(r.Log), "trust root", number(r.Root), "epoch", number(r.Epoch),
		"marks", map[bool]string{true: "those of the lost appliance are kept", false: ""}[r.MarksKept])
	if len(r.Feeds) > 0 {
		fmt.Fprintln(w)
		var rows [][]string
		for _, f := range r.Feeds {
			rows = append(rows, []string{f.Name, f.Before, f.After})
		}
		table(w, "FEED IN-BACKUP NOW", rows)
	}
	for _, n := range r.Next {
		a.say("→ %s", clean(n))
	}
}

// number is empty for what is not known yet.
func number(n int64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}
