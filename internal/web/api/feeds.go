package api

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"sallyport/internal/code"
	"sallyport/internal/feed"
	"sallyport/internal/load"
	"sallyport/internal/state"
	"sallyport/internal/web"
	"sallyport/internal/wire"
)

// loadRun loads files into a feed. It ends with the connection or the job that asked: what was read is dropped, nothing is half
// loaded.
func (a *API) loadRun(ctx context.Context, c *web.Call, q wire.LoadRequest) (*wire.Loaded, error) {
	tenant, err := a.tenant(q.Tenant)
	if err != nil {
		return nil, err
	}
	for _, f := range q.Files {
		if err := absolute(f); err != nil {
			return nil, err
		}
	}
	res, err := a.Load.Load(ctx, load.Request{
		Tenant: tenant, Feed: q.Feed, Files: q.Files, Kind: q.Kind, Strict: q.Strict, Snapshot: q.Snapshot,
		Actor: c.Actor.Name(), Open: opener(c.Actor),
	}, func(p load.Progress) {
		c.Progress(wire.Progress{Stage: p.Stage, Subject: p.File, Items: p.Items, TotalItems: p.TotalItems, Bytes: p.Bytes})
	})
	if err == nil {
		a.Metrics.Loaded(res.Counts.Added, res.Counts.Changed, res.Counts.Removed)
	}
	if res.ID == "" {
		return nil, err
	}
	out, rerr := recode[wire.Loaded](res)
	if rerr != nil {
		return nil, rerr
	}
	return &out, err
}

// opener opens files as the caller could: root and the daemon's user everything, others what its mode lets them read.
func opener(a web.Actor) func(string) (*os.File, error) {
	return func(path string) (*os.File, error) {
		f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
		if err != nil || a.Admin {
			return f, err
		}
		var st syscall.Stat_t
		if err := syscall.Fstat(int(f.Fd()), &st); err != nil {
			f.Close()
			return nil, err
		}
		if !allows(a, &st, 4) || !reachable(a, f) {
			f.Close()
			return nil, &os.PathError{Op: "open", Path: path, Err: syscall.EACCES}
		}
		return f, nil
	}
}

// reachable tells whether the caller may search every folder above the file that was opened, wherever a link led to it.
func reachable(a web.Actor, f *os.File) bool {
	path, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", f.Fd()))
	if err != nil {
		return false
	}
	for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
		var st syscall.Stat_t
		if err := syscall.Stat(dir, &st); err != nil || !allows(a, &st, 1) {
			return false
		}
		if dir == filepath.Dir(dir) {
			return true
		}
	}
}

// allows judges one mode bit (4 read, 2 write, 1 search) by the caller's user and first group.
func allows(a web.Actor, st *syscall.Stat_t, bit uint32) bool {
	switch {
	case st.Uid == a.UID:
		return st.Mode&(bit<<6) != 0
	case st.Gid == a.GID:
		return st.Mode&(bit<<3) != 0
	}
	return st.Mode&bit != 0
}

func (a *API) feedsList(_ context.Context, _ *web.Call, q wire.FeedRequest) (wire.Feeds, error) {
	out := wire.Feeds{}
	err := a.State.View(func(tx *state.Tx) error {
		n, err := a.names(tx)
		if err != nil {
			return err
		}
		out.Feeds, err = a.feedsOf(tx, q.Tenant, n)
		return err
	})
	return out, err
}

func (a *API) feedsOf(tx *state.Tx, tenant string, n names) ([]wire.Feed, error) {
	list, err := feed.List(tx, tenant)
	if err != nil {
		return nil, err
	}
	all := []wire.Feed{}
	for _, f := range list {
		w, err := a.feedOf(tx, f, n)
		if err != nil {
			return nil, err
		}
		all = append(all, w)
	}
	return all, nil
}

func (a *API) feedOf(tx *state.Tx, f feed.Feed, n names) (wire.Feed, error) {
	origin := n.of(f.Ref.Origin)
	w := wire.Feed{
		Name: f.Ref.Name, FullName: origin + "/" + f.Ref.Name, Tenant: f.Ref.Tenant, Origin: f.Ref.Origin, OriginName: origin,
		Local: f.Local, Epoch: f.Active.Epoch, Generation: f.Active.Generation, Pinned: f.Pinned, PinReason: f.PinReason,
		Mark: pointText(f.Mark.Epoch, f.Mark.Generation),
	}
	if err := newest(tx, f, &w); err != nil {
		return w, err
	}
	g, ok, err := feed.Current(tx, f.Ref)
	if err != nil || !ok {
		return w, err
	}
	w.StateRoot, w.Records, w.Kinds, w.GeneratedAt, w.AcceptedAt, w.Bytes = g.Root.String(), g.Records, g.Counts, g.GeneratedAt, g.AcceptedAt, g.Bytes
	b := f.Judged(g, a.Marks.Now(), a.Care.Often())
	w.Standing, w.Blocks, w.AgeSeconds, w.AtLeast, w.Every = string(b.Standing), b.Blocks, int64(b.Age/time.Second), b.AtLeast, int64(b.Every/time.Second)
	return w, nil
}

// newest tells the newest generation that is held: more than the active one when a feed is pinned.
func newest(tx *state.Tx, f feed.Feed, w *wire.Feed) error {
	all, err := feed.Generations(tx, f.Ref)
	if err == nil && len(all) > 0 {
		w.Newest = all[0].String()
	}
	return err
}

func pointText(epoch, generation int64) string {
	if generation == 0 {
		return ""
	}
	return feed.Point{Epoch: epoch, Generation: generation}.String()
}

// find resolves a feed's name and lists the feeds there are when it is unknown.
func (a *API) find(tx *state.Tx, tenant, name string, n names) (feed.Feed, error) {
	f, err := feed.Find(tx, tenant, name, n.of)
	if code.Of(err) != code.Missing {
		return f, err
	}
	list, lerr := feed.List(tx, tenant)
	if lerr != nil || len(list) == 0 {
		return f, errors.Join(err, lerr)
	}
	next := "Feeds here:"
	for i, g := range list {
		if i == 10 {
			next += " …"
			break
		}
		next += fmt.Sprintf(" %s/%s", n.of(g.Ref.Origin), g.Ref.Name)
	}
	return f, suggest(err, next)
}

func (a *API) feedsShow(ctx context.Context, _ *web.Call, q wire.FeedRequest) (wire.FeedDetail, error) {
	tenant, err := a.tenant(q.Tenant)
	if err != nil {
		return wire.FeedDetail{}, err
	}
	var out wire.FeedDetail
	err = a.State.View(func(tx *state.Tx) error {
		n, err := a.names(tx)
		if err != nil {
			return err
		}
		f, err := a.find(tx, tenant, q.Name, n)
		if err != nil {
			return err
		}
		if out.Feed, err = a.feedOf(tx, f, n); err != nil {
			return err
		}
		held, err := feed.Generations(tx, f.Ref)
		for _, g := range held {
			out.Held = append(out.Held, generationOf(f, g))
		}
		return err
	})
	if err == nil {
		out.Damaged, err = a.damagedOf(ctx, out.FullName)
	}
	return out, err
}

func generationOf(f feed.Feed, g feed.Generation) wire.Generation {
	w := wire.Generation{
		Epoch: g.Epoch, Generation: g.Generation, StateRoot: g.Root.String(), Records: g.Records, Bytes: g.Bytes,
		Signer: g.Signer, LoadedBy: g.LoadedBy, AcceptedAt: g.AcceptedAt, Active: g.Point == f.Active, Held: g.Held, AnchorTime: g.AnchorTime,
	}
	if !g.BundleID.IsZero() {
		w.BundleID = g.BundleID.String()
	}
	return w
}

// active is where the records of one feed's active generation are.
type active struct {
	feed  wire.Feed
	ref   feed.Feed
	files []string
}

// actives lists the active generations of a tenant's feeds, or of the one that is named.
func (a *API) actives(tenant, name string) (list []active, err error) {
	err = a.State.View(func(tx *state.Tx) error {
		n, err := a.names(tx)
		if err != nil {
			return err
		}
		feeds, err := feed.List(tx, tenant)
		if err != nil {
			return err
		}
		if name != "" {
			f, err := a.find(tx, tenant, name, n)
			if err != nil {
				return err
			}
			feeds = slices.DeleteFunc(feeds, func(g feed.Feed) bool { return g.Ref != f.Ref })
		}
		for _, f := range feeds {
			g, ok, err := feed.Current(tx, f.Ref)
			if err != nil {
				return err
			}
			if !ok {
				continue
			}
			at := active{ref: f}
			if at.feed, err = a.feedOf(tx, f, n); err != nil {
				return err
			}
			for _, l := range g.Layers {
				at.files = append(at.files, l.File)
			}
			list = append(list, at)
		}
		return nil
	})
	return list, err
}
