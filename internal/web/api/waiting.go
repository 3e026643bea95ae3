package api

import (
	"context"
	"fmt"

	"sallyport/internal/code"
	"sallyport/internal/intake"
	"sallyport/internal/units"
	"sallyport/internal/web"
	"sallyport/internal/wire"
)

// waitingHere lists the bundles that could not be taken in yet, of a peer by its id ("": of all).
func (a *API) waitingHere(peerID string) (list []wire.Waiting, err error) {
	rows, err := a.Intake.ListWaiting("")
	for _, row := range rows {
		if peerID == "" || row.PeerID == peerID {
			list = append(list, waitingOf(row))
		}
	}
	return list, err
}

func waitingOf(row intake.WaitingRow) wire.Waiting {
	return wire.Waiting{
		Label: row.Label, Name: row.Name, From: row.Peer, Tenant: row.Tenant, Kind: row.Kind, Variant: row.Variant, BundleID: row.BundleID.String(),
		Why: row.Why, Needs: row.Needs, Volumes: len(row.Volumes), Have: row.Have, Wanted: row.Wanted, Bytes: row.Bytes,
		CreatedAt: row.CreatedAt, Since: row.Since, Plan: row.Plan, Receipt: row.Receipt, Sentence: row.Sentence(),
	}
}

// mediaForget drops a waiting bundle.
func (a *API) mediaForget(ctx context.Context, c *web.Call, q wire.ForgetRequest) (wire.Waiting, error) {
	row, err := a.Intake.Forget(ctx, q.Label, q.Reason, c.Actor.Name())
	if err != nil {
		return wire.Waiting{}, err
	}
	return waitingOf(row), nil
}

func (a *API) quarantineList(ctx context.Context, _ *web.Call, _ wire.None) (wire.Quarantine, error) {
	rows, err := a.Intake.ListQuarantine(ctx, "")
	out := wire.Quarantine{Entries: []wire.Quarantined{}}
	for _, row := range rows {
		out.Entries = append(out.Entries, quarantined(row))
	}
	return out, err
}

func quarantined(row intake.QuarantineRow) wire.Quarantined {
	return wire.Quarantined{
		Number: row.Number, Tenant: row.Tenant, At: row.At, Code: row.Code, Reason: row.Reason, Bundle: row.Bundle, From: row.From, Label: row.Label,
		Dir: row.Dir, Bytes: row.Bytes, Signer: row.Signer,
	}
}

// quarantineShow names the files of an entry and gives its log.
func (a *API) quarantineShow(ctx context.Context, _ *web.Call, q wire.QuarantineRequest) (wire.Quarantined, error) {
	row, err := a.Intake.FindQuarantine(ctx, q.Number)
	if err != nil {
		return wire.Quarantined{}, err
	}
	out := quarantined(row)
	out.Files, out.Log, err = a.Intake.Files(row)
	return out, err
}

// quarantineRemove throws an entry away.
func (a *API) quarantineRemove(ctx context.Context, c *web.Call, q wire.QuarantineRequest) (wire.Quarantined, error) {
	row, err := a.Intake.RemoveQuarantine(ctx, q.Number, q.Reason, c.Actor.Name())
	if err != nil {
		return wire.Quarantined{}, err
	}
	return quarantined(row), nil
}

// quarantineRelease verifies an entry again.
func (a *API) quarantineRelease(ctx context.Context, c *web.Call, q wire.QuarantineRequest) (*wire.Imported, error) {
	if q.Path != "" {
		if err := absolute(q.Path); err != nil {
			return nil, err
		}
	}
	res, err := a.Intake.Release(ctx, q.Number, intake.Request{
		Path: q.Path, Yes: q.Yes, Approve: q.Approve, Actor: c.Actor.Name(), Role: roleOf(c.Actor), Lone: c.Actor.Lone, OwnOnly: ownOnly(c.Actor),
	}, func(step string, done, total int64) {
		c.Progress(wire.Progress{Stage: step, Bytes: done, TotalBytes: total})
	})
	if res.Outcomes == nil && res.Plan.Bundles == nil {
		return nil, err
	}
	out, rerr := recode[wire.Imported](res)
	if rerr != nil {
		return nil, rerr
	}
	return &out, err
}

func isFork(row intake.QuarantineRow) bool { return row.Code == string(code.Fork) }

// forks are reasons to look: two histories of one feed exist, until somebody removes the entry and says why.
func (a *API) forks() (list []wire.Reason) {
	rows, err := a.Intake.ListQuarantine(context.Background(), "")
	if err != nil {
		return []wire.Reason{{Level: "critical", What: "the quarantine cannot be read: " + err.Error(), Topic: wire.AboutQuarantine}}
	}
	for _, row := range rows {
		if isFork(row) {
			list = append(list, wire.Reason{
				Level: "warning", What: fmt.Sprintf("%s: %s came with other contents than were accepted here under the same number: two histories exist", row.Number, row.Bundle),
				Next:  fmt.Sprintf("Call the sender. Both sides are kept: sallyport quarantine show %s. When it is settled: sallyport quarantine remove %s --reason …", row.Number, row.Number),
				Topic: wire.AboutFork, Subject: row.Number, Why: "Somebody may be forging, or the sender was restored. Both sides are kept; nothing was taken in. Call the sender.",
			})
		}
	}
	return list
}

// refusals is doctor's line about everything in quarantine.
func (a *API) refusals(ctx context.Context) (string, error) {
	rows, err := a.Intake.ListQuarantine(ctx, "")
	if err != nil || len(rows) == 0 {
		return "nothing in it", err
	}
	return fmt.Sprintf("%s in it, newest %s: sallyport quarantine list", units.Plural(int64(len(rows)), "entry", "entries"), rows[0].Number), nil
}
