package api

import (
	"context"
	"fmt"
	"os"

	"sallyport/internal/code"
	"sallyport/internal/export"
	"sallyport/internal/job"
	"sallyport/internal/media"
	"sallyport/internal/peer"
	"sallyport/internal/root"
	"sallyport/internal/state"
	"sallyport/internal/verify"
	"sallyport/internal/web"
	"sallyport/internal/wire"
)

func (a *API) runsSubmit(ctx context.Context, c *web.Call, q wire.RunRequest) (wire.Run, error) {
	id, err := a.submit(ctx, c, q)
	if err != nil {
		return wire.Run{}, err
	}
	return a.run(ctx, id)
}

func (a *API) submit(ctx context.Context, c *web.Call, q wire.RunRequest) (string, error) {
	tenant, err := a.tenant(q.Tenant)
	if err != nil {
		return "", err
	}
	if q.Profile == "" {
		q.Profile = "mirror:full"
	}
	if q.To != "" {
		if err := absolute(q.To); err != nil {
			return "", err
		}
	}
	if err := a.Care.Heard(tenant, q.For); err != nil {
		return "", err
	}
	id, err := a.Export.Submit(ctx, export.Request{
		Tenant: tenant, Profile: q.Profile, For: q.For, To: q.To, Unencrypted: q.Unencrypted, VolumeBytes: q.VolumeBytes,
		AllowEmpty: q.AllowEmpty, Feeds: q.Feeds, Base: q.Base, Reset: q.Reset, Anonymous: q.Anonymous, Medium: q.Medium, Actor: c.Actor.Name(),
	})
	if err != nil {
		return "", a.knownPeers(err)
	}
	a.count(id)
	return id, nil
}

// run reads a run in the words of wire.
func (a *API) run(ctx context.Context, id string) (wire.Run, error) {
	r, err := a.Export.Show(ctx, id)
	if err != nil {
		return wire.Run{}, err
	}
	return runOf(r)
}

func runOf(r export.Run) (wire.Run, error) {
	w, err := recode[wire.Run](r)
	w.Delivered = r.Run.Delivered()
	return w, err
}

func (a *API) runsWatch(ctx context.Context, c *web.Call, q wire.RunRequest) (wire.Run, error) {
	watch, err := a.Export.Watch(ctx, q.ID)
	if err != nil {
		return wire.Run{}, err
	}
	a.follow(c, "", watch)
	if err := ctx.Err(); err != nil {
		return wire.Run{}, code.Wrap(code.Interrupted, context.Cause(ctx), "watching ended, the run goes on")
	}
	w, err := a.run(ctx, q.ID)
	if err != nil {
		return wire.Run{}, err
	}
	return w, ended(w)
}

// follow turns states and progress of a run into lines until it ends.
func (a *API) follow(c *web.Call, who string, watch <-chan export.Run) {
	var last job.State
	for r := range watch {
		p := wire.Progress{Stage: string(r.State), Subject: who}
		if g := r.Progress; g != nil {
			p = wire.Progress{
				Stage: g.Stage, Subject: who, Items: g.Items, TotalItems: g.TotalItems, Bytes: g.Bytes, TotalBytes: g.TotalBytes,
				Percent: g.Percent, Rate: g.Rate, ETA: g.ETA,
			}
		}
		if r.State != last {
			last = r.State
			p.Note = string(r.State)
		}
		c.Progress(p)
	}
}

// ended is the error of a run that did not succeed.
func ended(w wire.Run) error {
	switch job.State(w.State) {
	case job.Succeeded, job.Expired:
		return nil
	case job.Failed, job.Cancelled:
		return code.New(code.Code(w.Code), "run %s %s: %s", w.ID, w.State, w.Message)
	}
	return code.New(code.Interrupted, "the daemon stops; run %s begins again at the next start", w.ID)
}

func (a *API) runsList(ctx context.Context, _ *web.Call, q wire.RunRequest) (wire.Runs, error) {
	if q.Limit <= 0 {
		q.Limit = page
	}
	list, err := a.Export.List(ctx, export.Filter{Tenant: q.Tenant, Status: q.Status, Profile: q.Profile, Before: q.Before, Limit: q.Limit + 1})
	if err != nil {
		return wire.Runs{}, err
	}
	out := wire.Runs{Runs: []wire.Run{}}
	if len(list) > q.Limit {
		list = list[:q.Limit]
		out.Next = list[q.Limit-1].ID
	}
	for _, r := range list {
		w, err := runOf(r)
		if err != nil {
			return wire.Runs{}, err
		}
		out.Runs = append(out.Runs, w)
	}
	return out, nil
}

func (a *API) runsShow(ctx context.Context, _ *web.Call, q wire.RunRequest) (wire.Run, error) {
	return a.run(ctx, q.ID)
}

// peersConfirm takes a spoken receipt.
func (a *API) peersConfirm(ctx context.Context, c *web.Call, q wire.ConfirmRequest) (wire.Confirmation, error) {
	got, err := a.Export.Confirm(ctx, q.Peer, q.Words, c.Actor.Name())
	if err != nil {
		return wire.Confirmation{}, a.knownPeers(err)
	}
	run, err := runOf(got.Run)
	return wire.Confirmation{Run: run, Decision: got.Decision, Proven: got.Proven}, err
}

func (a *API) runsCancel(ctx context.Context, c *web.Call, q wire.RunRequest) (wire.Run, error) {
	if err := a.Export.Cancel(ctx, q.ID, c.Actor.Name()); err != nil {
		return wire.Run{}, err
	}
	watch, err := a.Export.Watch(ctx, q.ID)
	if err != nil {
		return wire.Run{}, err
	}
	for range watch {
	}
	return a.run(ctx, q.ID)
}

// bundlesVerify has the gate read every outer byte of a run's bundle, or of what lies at a path: ours and our peers'.
func (a *API) bundlesVerify(ctx context.Context, c *web.Call, q wire.VerifyRequest) (wire.Verdicts, error) {
	if q.Path != "" {
		return a.verifyPath(ctx, c, q.Path)
	}
	r, err := a.Export.Show(ctx, q.ID)
	if err != nil {
		return wire.Verdicts{}, err
	}
	v := wire.Verdict{Name: r.Name, Sentence: fmt.Sprintf("INTACT, SEALED: every outer byte is as %s (%s) signed it; the contents were not opened.", r.Tenant, a.Self.Name)}
	if err := a.Export.Verify(ctx, q.ID); err != nil {
		return wire.Verdicts{Verdicts: []wire.Verdict{refused(r.Name, err)}}, err
	}
	return wire.Verdicts{Verdicts: []wire.Verdict{v}}, nil
}

func refused(name string, err error) wire.Verdict {
	e := wire.FromError(err)
	return wire.Verdict{Name: name, Sentence: "NOT VERIFIED: " + e.Message + ". Do not import. Nothing was changed.", Code: e.Code, Reason: e.Message}
}

func (a *API) verifyPath(ctx context.Context, c *web.Call, at string) (wire.Verdicts, error) {
	if err := absolute(at); err != nil {
		return wire.Verdicts{}, err
	}
	if st, err := os.Stat(at); err != nil || !st.IsDir() {
		return wire.Verdicts{}, code.New(code.BadUsage, "want a run's id or a directory with bundles").In(at, "")
	}
	o, err := a.trust()
	if err != nil {
		return wire.Verdicts{}, err
	}
	o.Progress = func(done, total int64) {
		c.Progress(wire.Progress{Stage: "verify", Bytes: done, TotalBytes: total})
	}
	m, err := media.Open(at)
	if err != nil {
		return wire.Verdicts{}, err
	}
	defer m.Close()
	found, err := verify.Find(m.FS())
	if err != nil {
		return wire.Verdicts{}, err
	}
	if len(found.Bundles) == 0 {
		return wire.Verdicts{}, code.New(code.MediumEmpty, "no bundle lies there").In(at, "")
	}
	out := wire.Verdicts{}
	var first error
	for _, dir := range found.Bundles {
		p, err := verify.CheckLabel(ctx, m.FS(), dir, o)
		if err == nil {
			err = verify.Outer(ctx, p, o)
		}
		if err != nil {
			out.Verdicts = append(out.Verdicts, refused(dir, err))
			if first == nil {
				first = err
			}
			continue
		}
		l := p.Label()
		out.Verdicts = append(out.Verdicts, wire.Verdict{Name: l.Name, Sentence: fmt.Sprintf("INTACT, SEALED: every outer byte is as %s (%s) signed it; the contents were not opened.", l.Tenant, l.Appliance.Name)})
	}
	return out, first
}

// trust is whom this appliance believes: itself and its peers.
func (a *API) trust() (o verify.Options, err error) {
	own, err := a.root()
	if err != nil {
		return o, err
	}
	o.Trust.Roots, o.Now = []*root.Trusted{own}, a.Marks.Now().Trusted
	err = a.State.View(func(tx *state.Tx) error {
		peers, err := peer.List(tx)
		for _, p := range peers {
			t, terr := chain(p.Roots)
			if terr != nil {
				return fmt.Errorf("trust root of %s: %w", p.Name, terr)
			}
			o.Trust.Roots = append(o.Trust.Roots, t)
		}
		return err
	})
	return o, err
}
