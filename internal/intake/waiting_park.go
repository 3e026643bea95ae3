package intake

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"sallyport/internal/attest"
	"sallyport/internal/bundle"
	"sallyport/internal/canon"
	"sallyport/internal/clock"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/feed"
	"sallyport/internal/ident"
	"sallyport/internal/marks"
	"sallyport/internal/state"
	"sallyport/internal/timeline"
	"sallyport/internal/verify"
)

// belated is a delta whose base was not there when its turn came; ready is how many bundles were ready then.
type belated struct {
	c     candidate
	ready int
}

// parked tells that a candidate waits here for its base.
func (c candidate) parked() bool { return c.row != nil && c.row.Why == WaitsForBase }

// belated gives deltas another chance while bundles that may be their base become ready, and parks what remains.
func (im *imports) belated() error {
	for again := true; again; {
		list := im.late
		im.late, again = nil, false
		for _, b := range list {
			if b.ready == len(im.ready) {
				im.late = append(im.late, b)
				continue
			}
			again = true
			if err := im.enter(b.c); err != nil {
				return err
			}
		}
	}
	list := im.late
	im.late = nil
	for _, b := range list {
		if err := im.park(b.c); err != nil {
			return err
		}
	}
	return nil
}

// takeUp looks at a bundle that lies here whole: false when it has to wait on, or is not needed any more.
func (im *imports) takeUp(row WaitingRow) (candidate, bool, error) {
	if row.Why == WaitsForBase {
		fits, over, err := im.fits(row)
		switch {
		case err != nil:
			return candidate{}, false, err
		case over:
			return candidate{}, false, im.overtaken(row)
		case !fits:
			return candidate{}, false, nil
		}
	}
	c, err := im.candidateOf(row, waitingHere+row.Label)
	if err != nil {
		im.Log.Warn("a bundle that waits here cannot be read", "bundle", row.Name, "err", err)
		return c, false, nil
	}
	if c.packing == nil || c.err != nil && row.Why == WaitsForBase {
		return c, false, im.settle(c, nil, c.err)
	}
	return c, true, nil
}

// fits tells whether a base of every feed of a parked delta may be here by the end of this import: held, made by another
// bundle that waits here, or, where the medium brings bundles, not known before they are opened. over tells that the marks
// have passed it.
func (im *imports) fits(row WaitingRow) (fits, over bool, err error) {
	over = len(row.Feeds) > 0
	fits = true
	err = im.State.View(func(tx *state.Tx) error {
		for _, f := range row.Feeds {
			mark, known := im.Marks.Feed(f.Ref.Key())
			if !known || mark.Less(marks.Mark{Epoch: f.Epoch, Generation: f.Generation, Root: f.StateRoot}) {
				over = false
			}
			held, err := feed.Generations(tx, f.Ref)
			if err != nil {
				return err
			}
			fits = fits && slices.ContainsFunc(held, func(g feed.Generation) bool { return f.from(g.Root) })
		}
		return nil
	})
	return fits || len(im.v.ours) > 0, over, err
}

// from tells whether a state is one that the delta can be applied to.
func (f WaitingFeed) from(root digest.Digest) bool {
	return slices.ContainsFunc(f.Bases, func(b bundle.Base) bool { return b.StateRoot == root })
}

// overtaken drops a parked bundle that the marks have passed; that is no refusal.
func (im *imports) overtaken(row WaitingRow) error {
	if im.q.PlanOnly {
		return nil
	}
	return im.end(im.ctx, row, im.q.Actor, "newer data is here", code.Rollback)
}

// park keeps a whole delta whose base is not held. One that is parked already stays so quietly, unless it came once more.
func (im *imports) park(c candidate) error {
	if c.parked() {
		if len(c.sources) > 0 {
			im.parkedOutcome(c, *c.row)
		}
		return nil
	}
	row, m, err := im.parkedRow(c)
	if err != nil {
		return im.settle(c, nil, err)
	}
	if im.q.PlanOnly {
		im.parkedOutcome(c, row)
		return nil
	}
	if err := im.State.View(func(tx *state.Tx) error { return im.roomFor(tx, row) }); err != nil {
		return im.settle(c, nil, err)
	}
	if len(c.sources) == 0 && c.row == nil {
		c.sources = []*verify.Packing{c.packing}
	}
	before := c.row
	if before == nil {
		c.row = &row // its row comes last, when all of it is here
	}
	states, err := im.gather(&c, nil)
	if err != nil {
		return im.settle(c, nil, err)
	}
	if bad := c.packing.Verdict(states); bad != nil {
		c.row = before
		return im.wait(c, bad)
	}
	if row.Receipt, err = im.parkIn(row, m); err != nil {
		return err
	}
	im.parkedOutcome(c, row)
	return nil
}

// parkedRow is the row of a delta to be parked, and its manifest.
func (im *imports) parkedRow(c candidate) (WaitingRow, *bundle.Manifest, error) {
	row, err := im.rowOf(c)
	if err != nil {
		return row, nil, err
	}
	b, err := im.glance(c)
	if err != nil {
		return row, nil, err
	}
	m := b.Manifest()
	p, err := im.v.of(b.Root())
	if err != nil {
		return row, nil, err
	}
	row.Why = WaitsForBase
	for _, f := range m.Feeds {
		row.Feeds = append(row.Feeds, WaitingFeed{
			Ref: ident.FeedRef{Tenant: p.Tenant, Origin: f.Origin, Name: f.Feed}, Epoch: f.Epoch, Generation: f.Generation, StateRoot: f.StateRoot, Bases: f.Bases,
		})
	}
	row.Plan = im.parkedPlan(row).String()
	row.Needs, err = im.needs(row)
	return row, m, err
}

// glancing is the sink of a look at the manifest alone.
type glancing struct {
	b *verify.Bundle
}

var errGlance = errors.New("seen enough")

// Begin keeps what is verified so far: the manifest.
func (g *glancing) Begin(b *verify.Bundle) error {
	g.b = b
	return errGlance
}

// glance reads the manifest of a bundle: its signature holds, its contents were not read.
func (im *imports) glance(c candidate) (*verify.Bundle, error) {
	g := &glancing{}
	o := im.v.gate()
	o.Sink = sinkOf{g}
	if _, err := verify.Open(im.ctx, c.packing, o); !errors.Is(err, errGlance) {
		return nil, cmp.Or(err, error(code.New(code.Bug, "the gate did not ask")))
	}
	return g.b, nil
}

// parkedPlan is what an approval given while a bundle is parked binds to: the bundle and every state it results in.
func (im *imports) parkedPlan(row WaitingRow) digest.Digest {
	type result struct {
		Tenant     string `json:"tenant"`
		Origin     string `json:"origin"`
		Feed       string `json:"feed"`
		Epoch      int64  `json:"epoch"`
		Generation int64  `json:"generation"`
		After      string `json:"after"`
	}
	v := struct {
		What     string   `json:"what"`
		Site     string   `json:"site"`
		BundleID string   `json:"bundleId"`
		Feeds    []result `json:"feeds"`
	}{What: "sallyport/v1/parked", Site: im.Self.ID, BundleID: row.BundleID.String(), Feeds: []result{}}
	for _, f := range row.Feeds {
		v.Feeds = append(v.Feeds, result{f.Ref.Tenant, f.Ref.Origin, f.Ref.Name, f.Epoch, f.Generation, f.StateRoot.String()})
	}
	b, err := canon.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("plan of a parked bundle: %v", err)) // strings and integers only
	}
	return digest.Of(b)
}

// needs says what a parked delta waits for: the bundle here that makes its base, else the newest state it can be applied to.
func (im *imports) needs(row WaitingRow) (string, error) {
	var what string
	err := im.State.View(func(tx *state.Tx) error {
		for _, f := range row.Feeds {
			held, err := feed.Generations(tx, f.Ref)
			if err != nil {
				return err
			}
			if len(f.Bases) == 0 || slices.ContainsFunc(held, func(g feed.Generation) bool { return f.from(g.Root) }) {
				continue
			}
			b := f.Bases[len(f.Bases)-1]
			what = fmt.Sprintf("generation %d of %s (%s)", b.Generation, f.Ref.Name, b.StateRoot.Short())
			return waiting.Scan(tx, "", func(_ string, other WaitingRow) error {
				if slices.ContainsFunc(other.Feeds, func(o WaitingFeed) bool { return o.Ref == f.Ref && f.from(o.StateRoot) }) {
					what = other.Name
				}
				return nil
			})
		}
		return nil
	})
	return what, err
}

// parkIn is the transaction that parks: the row, its event, the receipt that says so.
func (im *imports) parkIn(row WaitingRow, m *bundle.Manifest) (number string, err error) {
	counter, err := im.Marks.Issue("own-receipt", im.Self.ID)
	if err != nil {
		return "", err
	}
	key, err := im.Keys.Appliance()
	if err != nil {
		return "", err
	}
	number = receiptNumber(counter)
	row.Receipt = number
	im.FS.Point("waiting.whole")
	err = im.State.Update(im.ctx, func(tx *state.Tx) error {
		if err := im.roomFor(tx, row); err != nil {
			return err
		}
		if err := waiting.Put(tx, row.Label, row); err != nil {
			return err
		}
		attrs := map[string]string{
			"bundleId": row.BundleID.String(), "labelId": digest.Prefix + row.Label, "peer": row.Peer, "code": string(code.BaseMissing),
			"waiting": WaitsForBase, "plan": row.Plan,
		}
		if _, err := im.Timeline.Append(tx, timeline.Event{Type: "bundle.import.parked", Tenant: row.Tenant, Actor: im.q.Actor, Subject: "bundle/" + row.Name, Attrs: attrs}); err != nil {
			return err
		}
		if im.Approvals > 0 {
			if _, err := im.proposeParked(tx, row); err != nil {
				return err
			}
		}
		return im.parkedReceipt(tx, row, m, counter, key)
	})
	if err != nil {
		return "", fmt.Errorf("park %s: %w", row.Name, err)
	}
	im.FS.Point("waiting.parked")
	return number, nil
}

// parkedReceipt says that the bundle came and what it waits for; it covers nothing.
func (im *imports) parkedReceipt(tx *state.Tx, row WaitingRow, m *bundle.Manifest, counter int64, key *attest.Signer) error {
	p, ok := im.v.byID(m.Appliance.ID)
	if !ok {
		return code.New(code.RootUnknown, "")
	}
	log, err := section(im.Timeline, tx, key, p.Log)
	if err != nil {
		return err
	}
	top, err := header(tx)
	if err != nil {
		return err
	}
	rc := &bundle.Receipt{
		Header: top, Issuer: im.self(), Tenant: m.Tenant, To: m.Appliance, Counter: counter, BundleID: row.BundleID, LabelID: labelID(row), Opened: true,
		Decision: bundle.Parked, Code: string(code.BaseMissing), TrustedTime: clock.Format(im.now.Trusted), TimeSource: im.now.Source,
		Medium: im.mediumFacts(), Verifier: "sallyport " + im.Self.Software, Log: log,
	}
	for _, f := range row.Feeds {
		g, _, err := feed.Current(tx, f.Ref)
		if err != nil {
			return err
		}
		rc.Feeds = append(rc.Feeds, bundle.ReceiptFeed{Feed: f.Ref.Name, Origin: f.Ref.Origin, Epoch: f.Epoch, Before: g.Generation, After: f.Generation, StateRoot: f.StateRoot})
	}
	envelope, d, err := signPaper(attest.TypeReceipt, rc.Encode, key)
	if err != nil {
		return err
	}
	return receipts.Put(tx, receiptKey(counter), ReceiptRow{
		Number: receiptNumber(counter), Counter: counter, Tenant: row.Tenant, Peer: p.Name, PeerID: p.ID, Bundle: row.Name,
		BundleID: row.BundleID, LabelID: rc.LabelID, Decision: rc.Decision, At: rc.TrustedTime, Digest: d, Envelope: envelope,
	})
}

func (im *imports) parkedOutcome(c candidate, row WaitingRow) {
	err := code.New(code.Parked, "it waits for %s", row.Needs).In(row.Name, "").Want(row.Needs, "nothing that it can be applied to")
	im.res.Outcomes = append(im.res.Outcomes, Outcome{
		Plan: c.plan(), Dir: c.dir, Decision: Parked, Code: string(code.BaseMissing), Reason: clean(err.Error()), Next: code.NextStep(err), Err: err,
		Receipt: row.Receipt, Sentence: parkedSentence(row),
	})
}

// evidence moves the files of a refused bundle that waited here into its quarantine entry. When that fails they are removed
// with the folder, and so are they when whole bundles in quarantine would take more of the disk, per tenant, than what waits may.
func (im *imports) evidence(label string, q QuarantineRow) {
	to := filepath.Join(im.quarantineDir(), q.Dir, evidenceDir)
	if _, err := os.Lstat(to); err == nil {
		return // kept before
	}
	if err := im.shareOf(evidenceBytes(filepath.Join(im.quarantineDir(), q.Tenant))+treeBytes(im.folder(label)), q.Bundle); err != nil {
		im.Log.Warn("a refused bundle that waited here is not kept as evidence", "quarantine", q.Number, "err", err)
		return
	}
	if err := im.FS.Rename(im.folder(label), to); err != nil {
		im.Log.Warn("a refused bundle that waited here was not kept as evidence", "quarantine", q.Number, "err", err)
	}
}

// evidenceBytes is what whole bundles in the quarantine of a tenant take.
func evidenceBytes(dir string) (n int64) {
	list, _ := os.ReadDir(dir) // none: none is kept
	for _, e := range list {
		n += treeBytes(filepath.Join(dir, e.Name(), evidenceDir))
	}
	return n
}

// treeBytes is the size of all files below a directory of ours; what is not there takes nothing.
func treeBytes(dir string) (n int64) {
	filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return nil
		}
		if info, err := e.Info(); err == nil {
			n += info.Size()
		}
		return nil
	})
	return n
}
