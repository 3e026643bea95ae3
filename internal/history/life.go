package history

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"sallyport/internal/bundle"
	"sallyport/internal/clock"
	"sallyport/internal/digest"
	"sallyport/internal/durable"
	"sallyport/internal/lifecycle"
	"sallyport/internal/verify"
	"sallyport/internal/wire"
)

// backup is a copy of an appliance, and what the source of its evidence was then.
type backup struct {
	dir string

	version, marked int64 // of the hub's trust root, as the appliance then
	weeks           map[string]map[int]int
	next            map[string]int
	used            int // restores from it so far
}

// export lets an expert write something else than what a visit would: a full, a delta from some base, in small volumes.
func (w *World) export() error {
	list := w.hand(false)
	if len(list) == 0 {
		return nil
	}
	s, site := pick(w, list), pick(w, w.sites)
	q := wire.RunRequest{Profile: pick(w, []string{"mirror:full", "mirror:delta", "mirror:delta"}), For: site.name, To: s.dir}
	if w.chance(60) {
		q.VolumeBytes = int64(4+w.random.IntN(12)) << 10
	}
	if q.Profile == "mirror:delta" && w.chance(10) {
		q.Reset = true
	}
	var run wire.Run
	err := w.hub.call("runs/submit", q, &run)
	if err == nil {
		err = w.hub.stream("runs/watch", wire.RunRequest{ID: run.ID}, &run)
	}
	if err == nil && run.State != "succeeded" {
		err = fmt.Errorf("%s %s", run.State, run.Code)
	}
	w.tell("export %s for %s to %s, volumes of %d: %s", q.Profile, site.name, s.name, q.VolumeBytes, said(err))
	w.counts["export: "+said(err)]++
	return nil
}

// volumes notes which volumes on a stick are as their label says: they may be kept until the others come.
func (w *World) volumes(s *stick, a *appliance) error {
	fsys := os.DirFS(s.dir)
	found, err := verify.Find(fsys)
	if err != nil {
		return err
	}
	for _, dir := range found.Bundles {
		p, err := verify.CheckLabel(w.ctx, fsys, dir, w.gate)
		if err != nil {
			continue
		}
		for _, v := range p.Label().Volumes {
			b, err := fs.ReadFile(fsys, dir+"/"+v.Name)
			if err == nil && digest.Of(b) == v.Digest {
				a.volumes[v.Digest] = true
			}
		}
	}
	return nil
}

// complete tells that every volume of a bundle came here at some time.
func (a *appliance) complete(l lying) bool {
	for _, s := range a.w.sticks {
		p, err := verify.CheckLabel(a.w.ctx, os.DirFS(s.dir), l.dir, a.w.gate)
		if err == nil && !slices.ContainsFunc(p.Label().Volumes, func(v bundle.Volume) bool { return !a.volumes[v.Digest] }) {
			return true
		}
	}
	return false
}

// backup makes one of any appliance.
func (w *World) backup() error {
	a := pick(w, w.all())
	b := backup{version: a.version, marked: a.marked, dir: filepath.Join(w.dir, "kept", fmt.Sprint(a.name, len(a.backups))), weeks: map[string]map[int]int{}, next: map[string]int{}}
	if err := os.MkdirAll(filepath.Dir(b.dir), 0o700); err != nil {
		return err
	}
	for name, e := range w.weeks {
		b.weeks[name], b.next[name] = maps.Clone(e.revisions), e.next
	}
	err := a.stream("backup/create", wire.BackupRequest{To: b.dir}, nil)
	w.tell("backup of %s: %s", a.name, said(err))
	if err != nil {
		w.wrong("backup of %s: %v", a.name, err)
		return nil
	}
	a.backups = append(a.backups, b)
	return nil
}

// restore loses an appliance and makes it again from a backup, on an empty machine or beside the marks it had.
func (w *World) restore() error {
	var some []*appliance
	for _, a := range w.all() {
		if len(a.backups) > 0 {
			some = append(some, a)
		}
	}
	if len(some) == 0 {
		return nil
	}
	a := pick(w, some)
	b, keep := &a.backups[len(a.backups)-1], w.chance(50)
	if err := a.stop(); err != nil {
		return err
	}
	old, err := os.ReadFile(filepath.Join(a.dir, "marks"))
	if err := errors.Join(err, os.RemoveAll(a.dir), os.MkdirAll(a.dir, 0o700)); err != nil {
		return err
	}
	if keep {
		if err := os.WriteFile(filepath.Join(a.dir, "marks"), old, 0o600); err != nil {
			return err
		}
	}
	o := lifecycle.RestoreOptions{From: b.dir, DataDir: a.dir, Reason: "history", Actor: "history", WithoutCards: w.chance(50), Earlier: b.used}
	b.used, a.cards = b.used+1, o.WithoutCards
	made, err := lifecycle.Restore(context.WithoutCancel(w.ctx), o, lifecycle.RestoreDeps{
		Clock: a.clock, Random: clock.Random(), FS: durable.FS{}, Software: "1.0.0",
	}, nil)
	w.tell("%s is restored from its last backup, for time %d, marks kept: %v, without cards: %v: log %d, root %d, epoch %d: %s",
		a.name, b.used, keep, o.WithoutCards, made.Log, made.Root, made.Epoch, said(err))
	if err != nil {
		return err
	}
	if err := a.start(); err != nil {
		return err
	}
	return w.reborn(a, *b, made, keep)
}

// reborn lets the model follow: the evidence of a hub is as it was at the backup, in a new epoch; a site may be behind.
func (w *World) reborn(a *appliance, b backup, made lifecycle.Restored, kept bool) error {
	now, err := w.held(a)
	if err != nil {
		return err
	}
	if a == w.hub {
		w.epochs[made.Epoch] = made.Root
		for name, e := range w.weeks {
			e.revisions = maps.Clone(b.weeks[name])
		}
		for name, t := range w.truth {
			h, ok := now["hub/"+name]
			if !ok || h.gone {
				if t.lost = true; len(b.weeks[name]) > 0 {
					w.wrong("the restored hub has no feed %s", name)
				}
				continue
			}
			if !t.now.less(h.active) {
				w.wrong("the restored hub stands at %v of %s, and had minted %v", h.active, name, t.now)
			}
			t.roots[h.active], t.now = h.root, h.active
		}
	}
	if a.version = b.version; !kept {
		a.marked = b.marked
	}
	for name := range a.marks {
		if kept && now[name].mark.less(a.marks[name]) {
			w.wrong("marks of %s were kept, and that of %s fell from %v to %v", a.name, name, a.marks[name], now[name].mark)
		}
		a.again[name] = true
		delete(a.marks, name)
	}
	clear(a.behind)
	for name, h := range now {
		if h.pinned {
			a.behind[name] = true
		}
	}
	return w.trust()
}

// believe lets a person at a site take in what a stick says of the hub's trust.
func (w *World) believe() error {
	list := w.hand(false)
	if len(list) == 0 {
		return nil
	}
	return w.believeOn(pick(w, list), pick(w, w.sites))
}

func (w *World) believeOn(s *stick, a *appliance) error {
	var plans wire.TrustResult
	if err := a.call("trust/plan", wire.TrustRequest{Path: s.dir}, &plans); err != nil {
		return nil // an empty stick
	}
	for _, p := range plans.Plans {
		if p.Digest == "" || p.Peer != "hub" {
			continue
		}
		var done wire.TrustResult
		err := a.stream("trust/apply", wire.TrustRequest{Path: s.dir, Approve: p.Digest, Reason: "history"}, &done)
		w.tell("%s believes version %d of the hub's root, after %d: %s", a.name, p.To, p.From, said(err))
		if err != nil {
			w.wrong("%s takes version %d of the hub's root: %v", a.name, p.To, err)
			continue
		}
		for _, d := range done.Plans {
			if d.Peer == "hub" && d.Applied {
				a.version, a.marked = max(a.version, d.To), max(a.marked, d.To)
			}
		}
	}
	return nil
}
