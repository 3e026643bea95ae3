package api

import (
	"context"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"sallyport/internal/code"
	"sallyport/internal/export"
	"sallyport/internal/feed"
	"sallyport/internal/intake"
	"sallyport/internal/peer"
	"sallyport/internal/state"
	"sallyport/internal/units"
	"sallyport/internal/web"
	"sallyport/internal/wire"
)

// outboundWrite writes receipts and inventory for hubs: the one that is named, else every peer whose feeds we hold.
func (a *API) outboundWrite(ctx context.Context, c *web.Call, q wire.OutboundRequest) (wire.Outbound, error) {
	if err := absolute(q.Path); err != nil {
		return wire.Outbound{}, err
	}
	hubs, err := a.hubs(q.Peer)
	if err != nil {
		return wire.Outbound{}, err
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

// hubs are the peers whose feeds we hold, or of which a mirror waits here.
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
		if err != nil {
			return err
		}
		rows, err := a.Intake.Waiting(tx, "")
		list = slices.DeleteFunc(all, func(p peer.Peer) bool {
			return !slices.ContainsFunc(feeds, func(f feed.Feed) bool { return f.Ref.Origin == p.ID }) &&
				!slices.ContainsFunc(rows, func(w intake.WaitingRow) bool { return w.PeerID == p.ID && w.Kind == "mirror" })
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
	rows, err := a.waitingHere(hub.ID)
	for _, r := range rows {
		w.Wanted += len(r.Wanted)
	}
	return w, err
}

func written(run export.Run, name string) wire.Written {
	w := wire.Written{
		For: name, Kind: run.Kind, Variant: run.Variant, Run: run.ID, Name: run.Name, BundleID: run.BundleID.String(), Bytes: run.Bytes, Records: run.Records,
	}
	if c := run.Changes; c != nil {
		w.Changes = &wire.RunChanges{Added: c.Added, Changed: c.Changed, Removed: c.Removed}
	}
	return w
}

// sentence is the last one of a visit (66-words-on-screen, "after exchange").
func sentence(list []wire.Written) string {
	if len(list) == 0 {
		return "Done. Safe to remove. Nothing had to be written."
	}
	parts := []string{"Done. Safe to remove."}
	for _, w := range list {
		var what []string
		switch {
		case w.Kind == "outbound":
			what = []string{units.Plural(int64(w.Receipts), "receipt", "receipts"), units.Plural(int64(w.Inventories), "inventory", "inventories")}
			if w.Wanted > 0 {
				what = append(what, "asking for "+units.Plural(int64(w.Wanted), "volume", "volumes"))
			}
		case len(w.Volumes) > 0:
			what = []string{units.Plural(int64(len(w.Volumes)), "volume", "volumes") + " of " + w.Name + ", written again"}
		case w.Changes != nil:
			what = []string{"a delta", units.Count(w.Changes.Added) + " added", units.Count(w.Changes.Changed) + " changed", units.Count(w.Changes.Removed) + " removed", units.Size(w.Bytes)}
		default:
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

	empty   bool             // nothing of ours on the medium
	carried []string         // hubs for whom the medium has already all that we would say
	notes   []string         // what else must be said
	later   error            // what was refused on the medium, came late, or has to wait: how the visit ends
	settle  bool             // a refusal asks who somebody is: no mirror goes out before that is settled
	wanted  map[string][]ask // by peer: what it asked for, or this medium lacks
	met     map[string]bool  // peers that were met on it
	fsys    fs.FS            // the medium, while it is judged what is due
}

// exchangeRun does one whole visit of a medium: everything in that is for us, under one plan; then everything out that
// those whom we met on it lack.
func (a *API) exchangeRun(ctx context.Context, c *web.Call, q wire.ExchangeRequest) (wire.Exchanged, error) {
	v := &visit{API: a, c: c, q: q, out: wire.Exchanged{Due: []wire.Due{}, Written: []wire.Written{}}}
	if err := absolute(q.Path); err != nil {
		return wire.Exchanged{}, err
	}
	return v.run(ctx)
}

func (v *visit) run(ctx context.Context) (out wire.Exchanged, err error) {
	if err := v.in(ctx); err != nil {
		return v.out, err
	}
	if v.out.Due, err = v.due(ctx); err != nil {
		return v.out, err
	}
	if err := v.unmet(ctx); err != nil {
		return v.out, err
	}
	if v.q.Plan || v.out.Waiting != "" {
		v.out.Sentence = v.said(v.waiting())
		return v.out, v.verdict()
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
		return v.out, v.later
	}
	if err := v.write(ctx); err != nil {
		if v.later == nil {
			return v.out, err
		}
		v.notes = append(v.notes, "Not all that is owed was written: "+wire.FromError(err).Message+".")
		v.out.Sentence = v.said("The stick was not finished.")
		return v.out, v.later
	}
	v.out.Sentence = v.said(sentence(v.out.Written))
	return v.out, v.verdict()
}

// said adds to a last sentence what else must be said.
func (v *visit) said(s string) string {
	if len(v.carried) > 0 {
		s += fmt.Sprintf(" What %s is owed is on this stick already.", strings.Join(v.carried, " and "))
	}
	return strings.Join(append([]string{s}, v.notes...), " ")
}

// verdict is how a visit ends when both halves went as they could.
func (v *visit) verdict() error {
	if v.later != nil {
		return v.later
	}
	if !v.empty || len(v.out.Due)+len(v.out.Written) > 0 {
		return nil
	}
	v.out.Sentence = strings.Join(append([]string{"Nothing came in and nothing went out."}, v.notes...), " ")
	return code.New(code.MediumEmpty, "").In(v.q.Path, "").Do("Is this the right stick? Nothing on it was opened.")
}

// in is the first half. Nothing for us is no error of a visit, and what is refused, late or waiting ends it only after the
// other half: that tells its sender.
func (v *visit) in(ctx context.Context) error {
	in, err := v.take(ctx, v.c, wire.ImportRequest{Path: v.q.Path, Approve: v.q.Approve, Yes: v.q.Yes, Plan: v.q.Plan})
	v.out.In = in
	v.empty = code.Of(err) == code.MediumEmpty
	switch {
	case err == nil || v.empty || code.Of(err) == code.NothingForUs:
	case ofOutcomes(in, code.Of(err)):
		v.later, v.settle = err, doubtful(in)
	default:
		return err
	}
	if in != nil && !in.Applied && slices.ContainsFunc(in.Outcomes, func(o wire.Outcome) bool { return o.Decision == string(intake.Planned) }) {
		v.out.Waiting = in.Plan.Digest
	}
	return nil
}

// ofOutcomes tells whether an error is what became of a bundle, not of this appliance.
func ofOutcomes(in *wire.Imported, c code.Code) bool {
	return in != nil && slices.ContainsFunc(in.Outcomes, func(o wire.Outcome) bool {
		switch intake.Decision(o.Decision) {
		case intake.Refused, intake.Waits, intake.Parked:
			return o.Code == string(c)
		}
		return false
	})
}

// doubtful tells whether a refusal says that somebody may not be who they were: an unknown or revoked key, another root, two
// histories. Damage, age and missing volumes say no such thing.
func doubtful(in *wire.Imported) bool {
	return slices.ContainsFunc(in.Outcomes, func(o wire.Outcome) bool {
		c := code.Code(o.Code)
		return o.Decision == string(intake.Refused) && (code.Lookup(c).Kind == code.Trust || c == code.Fork)
	})
}

func (v *visit) waiting() string {
	if v.out.Waiting == "" {
		return "This is the plan; nothing was changed."
	}
	return "Nothing was changed yet: approve the plan by its digest, then this visit goes on."
}

// write is the second half.
func (v *visit) write(ctx context.Context) error {
	for _, d := range v.out.Due {
		var p peer.Peer
		err := v.State.View(func(tx *state.Tx) (err error) {
			p, err = peer.Get(tx, d.Peer)
			return err
		})
		if err == nil {
			err = v.writeFor(ctx, d, p)
		}
		if err != nil {
			return fmt.Errorf("write for %s: %w", d.Peer, err)
		}
	}
	return nil
}

// writeFor writes what one peer is owed: first what it asked for, without which nothing else may be of use to it.
func (v *visit) writeFor(ctx context.Context, d wire.Due, p peer.Peer) error {
	for _, a := range v.wanted[p.Name] {
		if err := v.again(ctx, p, a); err != nil {
			return err
		}
	}
	if d.Hub {
		w, err := v.outbound(ctx, v.c, p, v.q.Path)
		if err != nil {
			return err
		}
		v.out.Written = append(v.out.Written, w)
	}
	if v.settle && d.Site {
		v.notes = append(v.notes, fmt.Sprintf("No mirror for %s was written: settle first what was refused.", p.Name))
		return nil
	}
	for _, m := range []struct {
		profile string
		feeds   []string
	}{{"mirror:delta", d.Delta}, {"mirror:full", d.Full}} {
		if len(m.feeds) == 0 {
			continue
		}
		w, err := v.mirror(ctx, p, m.profile, m.feeds)
		if err != nil {
			return err
		}
		v.out.Written = append(v.out.Written, w)
	}
	return nil
}

// again writes volumes that a peer asked for.
func (v *visit) again(ctx context.Context, p peer.Peer, a ask) error {
	v.c.Progress(wire.Progress{Stage: "export", Subject: p.Name, Note: "writing again for " + p.Name})
	copied, err := v.Export.Again(ctx, a.run.ID, v.q.Path, a.volumes, v.c.Actor.Name())
	if err != nil || copied.Written == 0 {
		return err
	}
	w := written(export.Run{Run: a.run}, p.Name)
	w.Bytes, w.Volumes = copied.Bytes, a.volumes
	v.out.Written = append(v.out.Written, w)
	return nil
}

// mirror exports for one site and waits for it. A visit that is broken off takes its run with it.
func (v *visit) mirror(ctx context.Context, p peer.Peer, profile string, feeds []string) (wire.Written, error) {
	v.c.Progress(wire.Progress{Stage: "export", Subject: p.Name, Note: "writing for " + p.Name})
	id, err := v.submit(ctx, v.c, wire.RunRequest{Tenant: p.Tenant, Profile: profile, For: p.Name, To: v.q.Path, Feeds: feeds})
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
