package crash

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"slices"

	"sallyport/internal/client"
	"sallyport/internal/wire"
)

// Operation is something a person asks of an appliance, and where every cell of it begins.
type Operation struct {
	Name  string
	Trace []Step // of a run without a fault, the start and the stop of the daemon included

	drive    func(ctx context.Context, at place, c *client.Client, n *notes) error
	make     func(at place) []string                             // how the program makes the data directory; nil: it is there, and served
	proof    func(ctx context.Context, at place, n *notes) error // of what was acknowledged beside the feeds; nil: nothing
	short    bool                                                // its medium lacks volumes on purpose
	ill      bool                                                // it begins with records that cannot be read
	together bool                                                // all feeds flip in one transaction
	delivers string                                              // the run that becomes delivered; "": none
	start    string                                              // folder with d and medium
	before   view
	after    view
}

// place is one copy of an operation's start.
type place struct {
	dir string // holds d, medium, trace
	in  string // evidence

	stick string // where the medium is; "" is beside d
	short bool   // the medium lacks volumes on purpose
}

func (p place) data() string   { return filepath.Join(p.dir, "d") }
func (p place) medium() string { return cmp.Or(p.stick, filepath.Join(p.dir, "medium")) }
func (p place) trace() string  { return filepath.Join(p.dir, "trace") }
func (p place) kept() string   { return filepath.Join(p.dir, "kept") }

// notes is what was acknowledged: what the caller was told and may rely on.
type notes struct {
	feeds     map[string]standing
	runs      []string // submitted
	done      []string // runs that were said to have succeeded
	written   []string // bundle ids that were said to be on the medium
	receipts  []string
	backups   []string
	delivered bool // that our bundle arrived
	acks      int
}

func newNotes() *notes { return &notes{feeds: map[string]standing{}} }

// operations are those of the campaign. story gives each its start.
func operations() []*Operation {
	return append([]*Operation{
		{Name: "load", drive: driveLoad},
		{Name: "export", drive: driveExport},
		{Name: "import", drive: driveImport, together: true},
		{Name: "exchange-site", drive: driveExchange, together: true},
		{Name: "exchange-hub", drive: driveExchange},
		{Name: "recover", drive: func(ctx context.Context, _ place, c *client.Client, _ *notes) error { return settle(ctx, c) }},
	}, slices.Concat(later(), upkeep())...)
}

func driveLoad(ctx context.Context, at place, c *client.Client, n *notes) error {
	for _, l := range []wire.LoadRequest{
		{Feed: "adv", Files: []string{filepath.Join(at.in, "week2.zip")}},
		{Feed: "sboms", Files: []string{filepath.Join(at.in, "sbom-3.json"), filepath.Join(at.in, "spdx.json")}},
		{Feed: "vex", Files: []string{filepath.Join(at.in, "vex-1.json"), filepath.Join(at.in, "csaf.json")}},
	} {
		var out wire.Loaded
		if err := c.Stream(ctx, "load/run", l, nil, &out); err != nil {
			return fmt.Errorf("load %s: %w", l.Feed, err)
		}
		n.feeds["hub/"+l.Feed] = standing{out.Epoch, out.Generation, out.StateRoot}
		n.acks++
	}
	return nil
}

func driveExport(ctx context.Context, at place, c *client.Client, n *notes) error {
	return export(ctx, c, "site", at.medium(), n)
}

// export submits a run and watches it to its end.
func export(ctx context.Context, c *client.Client, peer, medium string, n *notes) error {
	return exportAs(ctx, c, wire.RunRequest{Profile: "mirror:full", For: peer, To: medium}, n)
}

func exportAs(ctx context.Context, c *client.Client, q wire.RunRequest, n *notes) error {
	var run wire.Run
	if err := c.Call(ctx, "runs/submit", q, &run); err != nil {
		return fmt.Errorf("submit: %w", err)
	}
	n.runs = append(n.runs, run.ID)
	n.acks++
	if err := c.Stream(ctx, "runs/watch", wire.RunRequest{ID: run.ID}, nil, &run); err != nil {
		return fmt.Errorf("watch: %w", err)
	}
	if run.State != "succeeded" {
		return fmt.Errorf("run %s %s: %s", run.ID, run.State, run.Message)
	}
	n.done = append(n.done, run.ID)
	if q.To != "" {
		n.written = append(n.written, run.BundleID)
	}
	n.acks++
	return nil
}

func driveImport(ctx context.Context, at place, c *client.Client, n *notes) error {
	var out wire.Imported
	err := c.Stream(ctx, "import/run", wire.ImportRequest{Path: at.medium(), Yes: true}, nil, &out)
	n.imported(&out)
	return err
}

// imported notes what became of each bundle.
func (n *notes) imported(in *wire.Imported) {
	if in == nil {
		return
	}
	for _, o := range in.Outcomes {
		switch o.Decision {
		case "applied":
			n.delivered = true
		case "activated":
			for _, p := range o.Plan.Feeds {
				n.feeds[p.OriginName+"/"+p.Feed] = standing{p.Epoch, p.Generation, p.AfterRoot}
			}
		default:
			continue
		}
		if o.Receipt != "" {
			n.receipts = append(n.receipts, o.Receipt)
		}
		n.acks++
	}
}

func driveExchange(ctx context.Context, at place, c *client.Client, n *notes) error {
	var out wire.Exchanged
	err := c.Stream(ctx, "exchange/run", wire.ExchangeRequest{Path: at.medium(), Yes: true}, nil, &out)
	n.imported(out.In)
	for _, w := range out.Written {
		n.written = append(n.written, w.BundleID)
		if len(w.Volumes) == 0 { // what is written again is no new run: the one that made it may have failed at the medium
			n.done = append(n.done, w.Run)
		}
		n.acks++
	}
	return err
}

// compare holds a view after a fault against what was acknowledged, and against the only two states there may be.
func (o *Operation) compare(v view, n *notes, f *findings) {
	old, fresh := 0, 0
	for name, want := range o.after.feeds {
		was, had := o.before.feeds[name]
		is, has := v.feeds[name]
		switch {
		case has && is == want && was == want:
		case has && is == want:
			fresh++
		case has == had && is == was:
			old++
		default:
			f.add(Half, "feed %s stands at %v, neither at %v nor at %v", name, is, was, want)
		}
		if ack, ok := n.feeds[name]; ok && is != ack {
			f.add(Lost, "feed %s: %v was acknowledged, %v is there", name, ack, is)
		}
	}
	for name := range v.feeds {
		if _, ok := o.after.feeds[name]; !ok {
			f.add(Half, "feed %s should not be there", name)
		}
	}
	if o.together && old > 0 && fresh > 0 {
		f.add(Half, "%d feeds of one bundle flipped, %d did not", fresh, old)
	}
	o.compareRecords(v, n, f)
	o.compareRuns(v, n, f)
}

// compareRecords asks for each acknowledged record, byte by byte.
func (o *Operation) compareRecords(v view, n *notes, f *findings) {
	for name, is := range v.feeds {
		want, ok := o.after, is == o.after.feeds[name]
		if !ok {
			want, ok = o.before, is == o.before.feeds[name]
		}
		if ack, acked := n.feeds[name]; acked && ack == o.after.feeds[name] {
			want, ok = o.after, true
		}
		if !ok {
			continue // said already
		}
		for r, d := range want.records[name] {
			if got, there := v.records[name][r]; !there || got != d {
				f.add(Lost, "record %s %q of %s: want %s, got %s", r.Kind, r.Key, name, d, got)
			}
		}
	}
}

// compareRuns asks for each acknowledged run. None may still be under way, or have failed without a reason.
func (o *Operation) compareRuns(v view, n *notes, f *findings) {
	states := map[string]wire.Run{}
	for _, r := range v.runs {
		states[r.ID] = r
		if !final(r.State) {
			f.add(Other, "run %s is still %s", r.ID, r.State)
		}
		if r.State != "succeeded" && r.State != "expired" && (r.Code == "" || r.ErrorCode == "" || r.Message == "") {
			f.add(Other, "run %s %s without a reason: %q %q %q", r.ID, r.State, r.ErrorCode, r.Code, r.Message)
		}
	}
	for _, r := range o.before.runs {
		if states[r.ID].ID == "" {
			f.add(Lost, "run %s of before is gone", r.ID)
		}
		if final(r.State) && states[r.ID].State != r.State {
			f.add(Lost, "run %s was %s before and is %s", r.ID, r.State, states[r.ID].State)
		}
	}
	for _, id := range n.runs {
		if states[id].ID == "" {
			f.add(Lost, "run %s was acknowledged and is not there", id)
		}
	}
	for _, id := range n.done {
		if s := states[id].State; s != "succeeded" {
			f.add(Lost, "run %s was said to have succeeded and is %q", id, s)
		}
	}
	if n.delivered && o.delivers != "" && !states[o.delivers].Delivered {
		f.add(Lost, "run %s was said to be delivered and is not", o.delivers)
	}
}

// finished holds a view against the state after the operation.
func (o *Operation) finished(v view, f *findings) {
	for name, want := range o.after.feeds {
		if is := v.feeds[name]; is != want {
			f.add(Other, "after another try feed %s stands at %v, not at %v", name, is, want)
		}
	}
	if o.delivers != "" && !slices.ContainsFunc(v.runs, func(r wire.Run) bool { return r.ID == o.delivers && r.Delivered }) {
		f.add(Other, "after another try run %s is not delivered", o.delivers)
	}
}
