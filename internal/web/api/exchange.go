package api

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"sallyport/internal/bundle"
	"sallyport/internal/code"
	"sallyport/internal/export"
	"sallyport/internal/feed"
	"sallyport/internal/intake"
	"sallyport/internal/job"
	"sallyport/internal/peer"
	"sallyport/internal/state"
	"sallyport/internal/units"
	"sallyport/internal/web"
	"sallyport/internal/wire"
)

// outboundWrite writes receipts and inventory for hubs: the one that is named, else every peer whose feeds we hold.
func (a *API) outboundWrite(ctx context.Context, c *web.Call) (any, error) {
	var q wire.OutboundRequest
	if err := c.Decode(&q); err != nil {
		return nil, err
	}
	if err := absolute(q.Path); err != nil {
		return nil, err
	}
	hubs, err := a.hubs(q.Peer)
	if err != nil {
		return nil, err
	}
	out := wire.Outbound{Written: []wire.Written{}}
	for _, h := range hubs {
		w, err := a.outbound(ctx, c, h, q.Path)
		if err != nil {
			return out, err
		}
		out.Written = append(out.Written, w)
	}
	out.Sentence = sentence(out.Written)
	return out, nil
}

// hubs are the peers whose feeds we hold.
func (a *API) hubs(name string) (list []peer.Peer, err error) {
	err = a.State.View(func(tx *state.Tx) error {
		if name != "" {
			p, err := peer.Get(tx, name)
			list = []peer.Peer{p}
			return err
		}
		all, err := peer.List(tx)
		if err != nil {
			return err
		}
		feeds, err := feed.List(tx, "")
		list = slices.DeleteFunc(all, func(p peer.Peer) bool {
			return !slices.ContainsFunc(feeds, func(f feed.Feed) bool { return f.Ref.Origin == p.ID })
		})
		return err
	})
	if err != nil {
		return nil, a.knownPeers(err)
	}
	if len(list) == 0 {
		return nil, code.New(code.NothingForUs, "no hub: nothing of another appliance was imported here").
			Do("Import a bundle first, or name the peer with --peer.")
	}
	return list, nil
}

// outbound writes one way home and waits for it.
func (a *API) outbound(ctx context.Context, c *web.Call, hub peer.Peer, path string) (wire.Written, error) {
	receipts, err := a.Intake.Receipts(ctx, hub.Name, true)
	if err != nil {
		return wire.Written{}, err
	}
	c.Progress(wire.Progress{Stage: "outbound", Subject: hub.Name, Note: "writing for " + hub.Name})
	run, err := a.Export.Outbound(ctx, hub.Tenant, hub.Name, path, c.Actor.Name())
	if err != nil {
		return wire.Written{}, err
	}
	w := written(run, hub.Name)
	w.Receipts, w.Inventories = len(receipts), 1
	return w, nil
}

func written(run export.Run, name string) wire.Written {
	return wire.Written{
		For: name, Kind: run.Kind, Variant: run.Variant, Run: run.ID, Name: run.Name, BundleID: run.BundleID.String(), Bytes: run.Bytes, Records: run.Records,
	}
}

// sentence is the last one of a visit (66-words-on-screen, "after exchange").
func sentence(list []wire.Written) string {
	if len(list) == 0 {
		return "Done. Safe to remove. Nothing had to be written."
	}
	parts := []string{"Done. Safe to remove."}
	for _, w := range list {
		var what []string
		if w.Kind == "outbound" {
			what = []string{units.Plural(int64(w.Receipts), "receipt", "receipts"), units.Plural(int64(w.Inventories), "inventory", "inventories")}
		} else {
			what = []string{units.Plural(w.Records, "record", "records") + " in a " + w.Variant + " " + w.Kind}
		}
		parts = append(parts, fmt.Sprintf("On this stick for %s: %s, readable only by %s.", w.For, strings.Join(what, ", "), w.For))
	}
	return strings.Join(parts, " ")
}

// visit is one exchange under way.
type visit struct {
	*API
	c   *web.Call
	q   wire.ExchangeRequest
	out wire.Exchanged

	empty   bool     // nothing of ours on the medium
	carried []string // hubs for whom the medium has already all that we would say
}

// exchangeRun does one whole visit of a medium: everything in that is for us, under one plan; then everything out that
// those whom we met on it lack.
func (a *API) exchangeRun(ctx context.Context, c *web.Call) (any, error) {
	v := &visit{API: a, c: c, out: wire.Exchanged{Due: []wire.Due{}, Written: []wire.Written{}}}
	if err := c.Decode(&v.q); err != nil {
		return nil, err
	}
	if err := absolute(v.q.Path); err != nil {
		return nil, err
	}
	return v.run(ctx)
}

func (v *visit) run(ctx context.Context) (out any, err error) {
	if err := v.in(ctx); err != nil {
		return v.out, err
	}
	if v.out.Due, err = v.due(ctx); err != nil {
		return v.out, err
	}
	if v.q.Plan || v.out.Waiting != "" {
		v.out.Sentence = v.waiting()
		return v.out, nil
	}
	blocked, err := readOnly(v.q.Path)
	if err != nil {
		return v.out, err
	}
	if blocked && len(v.out.Due) > 0 {
		for i := range v.out.Due {
			v.out.Due[i].Owed = true
		}
		v.out.Sentence = "Safe to remove. This medium is read-only: nothing was written, and what is owed waits for one that can be written."
		return v.out, nil
	}
	if err := v.write(ctx); err != nil {
		return v.out, err
	}
	v.out.Sentence = sentence(v.out.Written)
	if len(v.carried) > 0 {
		v.out.Sentence += fmt.Sprintf(" What %s is owed is on this stick already.", strings.Join(v.carried, " and "))
	}
	if v.empty && len(v.out.Written) == 0 {
		v.out.Sentence = "Nothing came in and nothing went out."
		return v.out, code.New(code.MediumEmpty, "").In(v.q.Path, "").Do("Is this the right stick? Nothing on it was opened.")
	}
	return v.out, nil
}

// in is the first half. Nothing for us is no error of a visit.
func (v *visit) in(ctx context.Context) error {
	in, err := v.take(ctx, v.c, wire.ImportRequest{Path: v.q.Path, Approve: v.q.Approve, Yes: v.q.Yes, Plan: v.q.Plan})
	v.out.In = in
	v.empty = code.Of(err) == code.MediumEmpty
	if err != nil && code.Of(err) != code.NothingForUs && code.Of(err) != code.MediumEmpty {
		return err
	}
	if in != nil && !in.Applied && slices.ContainsFunc(in.Outcomes, func(o wire.Outcome) bool { return o.Decision == string(intake.Planned) }) {
		v.out.Waiting = in.Plan.Digest
	}
	return nil
}

func (v *visit) waiting() string {
	if v.out.Waiting == "" {
		return "This is the plan; nothing was changed."
	}
	return "Nothing was changed yet: approve the plan by its digest, then this visit goes on."
}

// due works out what those whom we met lack. It reads the medium again, so that what lies on it already is not written
// twice, and the ledgers after the first half.
func (v *visit) due(ctx context.Context) ([]wire.Due, error) {
	met, err := v.Intake.Found(ctx, v.q.Path)
	if err != nil && code.Of(err) != code.MediumEmpty {
		return nil, err
	}
	there, err := onMedium(v.q.Path)
	if err != nil {
		return nil, err
	}
	names := v.q.For
	receipts := map[string]intake.VisitPeer{}
	for _, p := range met.Peers {
		receipts[p.Name] = p
		if len(v.q.For) == 0 {
			names = append(names, p.Name)
		}
	}
	list := []wire.Due{}
	err = v.State.View(func(tx *state.Tx) error {
		for _, name := range names {
			p, err := peer.Get(tx, name)
			if err != nil {
				return err
			}
			d, err := v.owed(tx, p, receipts[name], there)
			if err != nil {
				return err
			}
			if d.Hub || d.Site {
				list = append(list, d)
			}
		}
		return nil
	})
	return list, v.knownPeers(err)
}

// owed judges one peer: it is our hub when we hold feeds of it, our site when we have feeds of our own for it. A hub is
// told when there is something to say; a site gets a mirror when what is active here is neither known to be held there nor
// on this medium already.
func (v *visit) owed(tx *state.Tx, p peer.Peer, met intake.VisitPeer, there map[string]bool) (wire.Due, error) {
	d := wire.Due{Peer: p.Name, Receipts: met.Receipts}
	asked := slices.Contains(v.q.For, p.Name)
	if met.Hub && (met.Receipts > 0 || asked) {
		home, err := v.home(tx, p, there)
		if err != nil {
			return d, err
		}
		if home {
			v.carried = append(v.carried, p.Name)
		} else {
			d.Hub, d.Why = true, units.Plural(int64(met.Receipts), "receipt", "receipts")+" and an inventory"
		}
	}
	feeds, err := feed.List(tx, p.Tenant)
	if err != nil {
		return d, err
	}
	var now []job.FeedState
	var lacks []string
	for _, f := range feeds {
		g, ok, err := feed.Current(tx, f.Ref)
		if err != nil {
			return d, err
		}
		if !f.Local || !ok || g.Records == 0 {
			continue
		}
		now = append(now, job.FeedState{Ref: f.Ref, Epoch: g.Epoch, Generation: g.Generation, Root: g.Root})
		if !p.Knows(f.Ref.Name, g.Root) {
			lacks = append(lacks, f.Ref.Name)
		}
	}
	if len(lacks) == 0 && !(asked && len(now) > 0) {
		return d, nil
	}
	carried, err := lies(tx, p, now, there)
	if err != nil || carried {
		return d, err
	}
	d.Site, d.Why = true, strings.TrimPrefix(d.Why+"; new for it: "+strings.Join(lacks, ", "), "; ")
	return d, nil
}

// home tells whether a way home for the peer that says exactly what would be said now is on the medium already.
func (v *visit) home(tx *state.Tx, p peer.Peer, there map[string]bool) (bool, error) {
	told, err := v.Intake.Told(tx, p.Name)
	if err != nil {
		return false, err
	}
	runs, err := job.List(tx, p.Tenant, "", 1, func(r job.Run) bool {
		return r.State == job.Succeeded && r.Papers == told && slices.Contains(r.Peers, p.Name) && there[bundle.BundleDir(r.Name, r.LabelID)]
	})
	return len(runs) > 0, err
}

// lies tells whether a bundle for the peer with exactly these states is on the medium already.
func lies(tx *state.Tx, p peer.Peer, now []job.FeedState, there map[string]bool) (bool, error) {
	runs, err := job.List(tx, p.Tenant, "", 0, func(r job.Run) bool {
		return r.State == job.Succeeded && slices.Contains(r.Peers, p.Name) && there[bundle.BundleDir(r.Name, r.LabelID)] && sameStates(r.Feeds, now)
	})
	return len(runs) > 0, err
}

func sameStates(a, b []job.FeedState) bool {
	if len(a) != len(b) {
		return false
	}
	for _, f := range a {
		if !slices.Contains(b, f) {
			return false
		}
	}
	return true
}

// write is the second half.
func (v *visit) write(ctx context.Context) error {
	for _, d := range v.out.Due {
		var p peer.Peer
		err := v.State.View(func(tx *state.Tx) (err error) {
			p, err = peer.Get(tx, d.Peer)
			return err
		})
		if err != nil {
			return err
		}
		if d.Hub {
			w, err := v.outbound(ctx, v.c, p, v.q.Path)
			if err != nil {
				return fmt.Errorf("write for %s: %w", p.Name, err)
			}
			v.out.Written = append(v.out.Written, w)
		}
		if d.Site {
			w, err := v.mirror(ctx, p)
			if err != nil {
				return fmt.Errorf("write for %s: %w", p.Name, err)
			}
			v.out.Written = append(v.out.Written, w)
		}
	}
	return nil
}

// mirror exports for one site and waits for it. A visit that is broken off takes its run with it.
func (v *visit) mirror(ctx context.Context, p peer.Peer) (wire.Written, error) {
	v.c.Progress(wire.Progress{Stage: "export", Subject: p.Name, Note: "writing for " + p.Name})
	id, err := v.submit(ctx, v.c, wire.RunRequest{Tenant: p.Tenant, Profile: "mirror:full", For: p.Name, To: v.q.Path})
	if err != nil {
		return wire.Written{}, err
	}
	watch, err := v.Export.Watch(ctx, id)
	if err != nil {
		return wire.Written{}, err
	}
	v.follow(v.c, p.Name, watch)
	run, err := v.Export.Wait(ctx, id)
	if err != nil {
		return wire.Written{}, err
	}
	return written(run, p.Name), nil
}
