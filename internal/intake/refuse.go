package intake

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sallyport/internal/clock"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/state"
	"sallyport/internal/timeline"
)

// What quarantine keeps, per tenant: so many refusals, of the same weight the newest. Each is a label of at most 1 MiB and a
// few lines; bundles that waited here are kept whole as far as a tenth of the disk goes, see evidence.
const maxQuarantine = 64

// QuarantineRow is one refused thing that was kept. All strings but Number, Tenant, At, Code and Dir are foreign, cleaned.
type QuarantineRow struct {
	Number string `json:"number"`
	Tenant string `json:"tenant"`
	At     string `json:"at"`
	Code   string `json:"code"`
	Reason string `json:"reason"`
	Bundle string `json:"bundle"`         // NAME as the label says; proves nothing
	From   string `json:"from,omitempty"` // who made it, as the label says; proves nothing
	Label  string `json:"label"`          // digest of the label file
	Dir    string `json:"dir"`            // below D/quarantine
	Bytes  int64  `json:"bytes"`
	Signer string `json:"signer,omitempty"` // id of the known key whose signature of the label holds
}

// weight orders what is given up: first what anybody can write onto a stick, then a signature that names a known key and
// does not hold, last what a known signer did: forks, and all under a label whose signature holds.
func (q QuarantineRow) weight() int {
	switch {
	case q.Signer != "" || q.Code == string(code.Fork):
		return 2
	case q.Code == string(code.SignatureBad):
		return 1
	}
	return 0
}

var quarantine = state.Table[QuarantineRow]{Name: "intake.quarantine"}

// refuse writes down that a bundle was refused: one event and, where it is kept, its quarantine entry. Store, layers and
// marks are as before. pr is nil when the bundle was not opened.
func (im *imports) refuse(c candidate, pr *prepared, why error) error {
	o := Outcome{Dir: c.dir, Decision: Refused, Code: string(code.Of(why)), Reason: clean(why.Error()), Next: code.NextStep(why), Err: why}
	row := QuarantineRow{Tenant: im.tenantOf(c, pr), At: clock.Format(im.v.time.Trusted), Code: o.Code, Reason: o.Reason}
	label, _ := labelFile(im.fsysOf(c), c.dir)
	if len(label) > 0 {
		row.Label = digest.Of(label).String()
	}
	if pr != nil {
		o.Plan = pr.plan
	} else if c.packing != nil {
		l := c.packing.Label()
		o.Plan = BundlePlan{Name: l.Name, Kind: l.Kind, Variant: l.Variant, BundleID: l.BundleID.String(), LabelID: c.packing.ID().String(), From: l.Appliance.Name, Bytes: l.Bytes, CreatedAt: l.CreatedAt}
	}
	row.Bundle, row.From = o.Plan.Name, o.Plan.From
	if l := im.v.peek(c.dir); l != nil && row.Bundle == "" {
		row.Bundle, row.From = clean(l.Name), clean(l.Appliance.Name) // what nobody vouches for: enough to find the stick by
	}
	if c.packing != nil {
		row.Signer = c.packing.Signer().ID()
	}
	if kept(why) && len(label) > 0 {
		if err := im.keep(&row, label, c, pr, why); err != nil {
			return fmt.Errorf("quarantine %q: %w", c.dir, err)
		}
	}
	if err := im.refused(&o, &row, c); err != nil {
		return fmt.Errorf("refuse %q: %w", c.dir, err)
	}
	o.Quarantine = row.Number
	o.Sentence = im.refusedSentence(c, pr, &o, why)
	im.res.Outcomes = append(im.res.Outcomes, o)
	return nil
}

// kept tells which refusals are evidence: what was forged, damaged or contradicts itself. An older generation, a bundle
// for somebody else, a missing volume or a bad sector are not.
func kept(why error) bool {
	switch code.Of(why) {
	case code.Rollback, code.WrongAudience, code.NotForUs, code.CounterOld, code.ReaderTooOld, code.BadVersion, code.FastForward:
		return false
	case code.Fork:
		return true
	}
	switch code.Lookup(code.Of(why)).Kind {
	case code.Integrity, code.Trust, code.Decrypt, code.Stale, code.Monotonic:
		return true
	}
	return false
}

// tenantOf is whose quarantine a refusal belongs to: the peer's binding, else the first tenant here.
func (im *imports) tenantOf(c candidate, pr *prepared) string {
	if pr != nil && pr.sink != nil && pr.peer.Tenant != "" {
		return pr.peer.Tenant
	}
	if c.packing != nil {
		if p, err := im.v.of(c.packing.Root()); err == nil {
			return p.Tenant
		}
	}
	if len(im.Self.Tenants) > 0 {
		return im.Self.Tenants[0]
	}
	return "none"
}

// keep writes the entry's files. The same label refused for the same reason has an entry already, which serves.
func (im *imports) keep(row *QuarantineRow, label []byte, c candidate, pr *prepared, why error) error {
	if im.q.only != nil && im.q.only.row.Tenant == row.Tenant && im.q.only.row.Label == row.Label {
		*row = im.q.only.row
		return nil
	}
	if old, ok, err := im.keptBefore(row); err != nil || ok {
		*row = old
		return err
	}
	id := strings.TrimPrefix(row.Label, digest.Prefix)[:8]
	stamp := im.v.time.Trusted.UTC().Format("20060102T150405Z")
	row.Dir = filepath.Join(row.Tenant, fmt.Sprintf("%s-%s-%s", stamp, reasonName(row.Code), id))
	dir := filepath.Join(im.quarantineDir(), row.Dir)
	if err := im.FS.Mkdir(dir, 0o700); err != nil {
		return err
	}
	files := map[string][]byte{"label.json": label, "reason": []byte(row.Code + ": " + row.Reason + "\n"), "verification.log": verificationLog(row, pr, why)}
	if code.Of(why) == code.Fork {
		maps.Copy(files, im.forked(c))
	}
	if pr != nil && pr.bundle != nil {
		files["manifest.json"] = pr.bundle.Envelope()
	}
	for name, b := range files {
		if err := im.FS.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			return err
		}
		row.Bytes += int64(len(b))
	}
	return nil
}

func (r *Room) quarantineDir() string { return filepath.Join(r.DataDir, "quarantine") }

// reasonName is a code as a part of a file name.
func reasonName(c string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' {
			return r
		}
		return '-'
	}, strings.ToLower(c))
}

func verificationLog(row *QuarantineRow, pr *prepared, why error) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "at %s\nbundle %q\nlabel %s\n", row.At, row.Bundle, row.Label)
	if pr != nil && pr.packing != nil {
		fmt.Fprintf(&b, "label signature holds: key %s\n", pr.packing.Signer().ID())
	}
	if pr != nil && pr.bundle != nil {
		fmt.Fprintf(&b, "manifest signature holds: key %s, bundle %s\n", pr.bundle.Signer().ID(), pr.bundle.ID())
	}
	fmt.Fprintf(&b, "refused: %s: %s\nnext: %s\n", row.Code, clean(why.Error()), code.NextStep(why))
	return []byte(b.String())
}

func (im *imports) keptBefore(row *QuarantineRow) (old QuarantineRow, ok bool, err error) {
	err = im.State.View(func(tx *state.Tx) error {
		return quarantine.Scan(tx, "", func(_ string, q QuarantineRow) error {
			if q.Label == row.Label && q.Code == row.Code && q.Tenant == row.Tenant {
				old, ok = q, true
			}
			return nil
		})
	})
	return old, ok, err
}

// refused is the transaction of a refusal: its number when it is kept, and its one event.
func (im *imports) refused(o *Outcome, row *QuarantineRow, c candidate) error {
	var evicted []QuarantineRow
	number := row.Number
	err := im.State.Update(im.ctx, func(tx *state.Tx) (err error) {
		row.Number = number
		if row.Dir != "" && row.Number == "" {
			if evicted, err = enter(tx, row); err != nil {
				return err
			}
		}
		subject := "bundle/" + o.Plan.Name
		if o.Plan.Name == "" {
			subject = "medium/" + clean(c.dir)
		}
		attrs := map[string]string{"code": o.Code, "reason": o.Reason}
		for k, v := range map[string]string{"bundleId": o.Plan.BundleID, "labelId": o.Plan.LabelID, "quarantine": row.Number} {
			if v != "" {
				attrs[k] = v
			}
		}
		if c.row != nil {
			if err := unwait(tx, *c.row, "the bundle was refused: "+o.Code); err != nil {
				return err
			}
		}
		ev := timeline.Event{Type: "bundle.import.refused", Tenant: row.Tenant, Actor: im.q.Actor, Subject: subject, Attrs: attrs}
		if _, err = im.Timeline.Append(tx, ev); err != nil {
			return err
		}
		return im.applyFailed(tx, ev, o.Err)
	})
	if err != nil {
		return err
	}
	if c.row != nil && row.Number != "" {
		im.evidence(c.row.Label, *row)
	}
	for _, q := range evicted {
		if err := os.RemoveAll(filepath.Join(im.quarantineDir(), q.Dir)); err != nil {
			im.Log.Warn("old quarantine entry not removed", "quarantine", q.Number, "err", err)
		}
	}
	return nil
}

// enter gives a kept refusal its number. When there are too many, the oldest of the lightest are given up; when that is the
// new one itself, it gets no number.
func enter(tx *state.Tx, row *QuarantineRow) (evicted []QuarantineRow, err error) {
	n, err := tx.NextSeq("quarantine")
	if err != nil {
		return nil, err
	}
	row.Number = fmt.Sprintf("Q-%d", n)
	newest := quarantineKey(row.Tenant, n)
	if err := quarantine.Put(tx, newest, *row); err != nil {
		return nil, err
	}
	type entry struct {
		key string
		row QuarantineRow
	}
	var all []entry // oldest first
	if err := quarantine.Scan(tx, row.Tenant+"\x00", func(key string, q QuarantineRow) error {
		all = append(all, entry{key, q})
		return nil
	}); err != nil {
		return nil, err
	}
	slices.SortStableFunc(all, func(a, b entry) int { return cmp.Compare(a.row.weight(), b.row.weight()) })
	for _, e := range all[:max(0, len(all)-maxQuarantine)] {
		if err := quarantine.Delete(tx, e.key); err != nil {
			return nil, err
		}
		if evicted = append(evicted, e.row); e.key == newest {
			row.Number = ""
		}
	}
	return evicted, nil
}

func quarantineKey(tenant string, n uint64) string { return fmt.Sprintf("%s\x00%016d", tenant, n) }

// ListQuarantine lists what is kept of a tenant ("": all), newest first.
func (r *Room) ListQuarantine(ctx context.Context, tenant string) (list []QuarantineRow, err error) {
	prefix := ""
	if tenant != "" {
		prefix = tenant + "\x00"
	}
	err = r.State.View(func(tx *state.Tx) error {
		return quarantine.Scan(tx, prefix, func(_ string, q QuarantineRow) error {
			list = append(list, q)
			return ctx.Err()
		})
	})
	slices.Reverse(list)
	return list, err
}

// skip notes a bundle that is for somebody else. It is not opened, and no event is written.
func (im *imports) skip(c candidate) {
	o := Outcome{Dir: c.dir, Decision: Skipped}
	l := im.v.peek(c.dir)
	if c.packing != nil {
		l = c.packing.Label()
	}
	if l != nil {
		o.Plan = BundlePlan{Name: l.Name, Kind: l.Kind, Variant: l.Variant, BundleID: l.BundleID.String(), From: l.Appliance.Name, Bytes: l.Bytes, CreatedAt: l.CreatedAt}
	}
	o.Sentence = im.otherSentence(l)
	im.res.Outcomes = append(im.res.Outcomes, o)
}

// staleQuarantine removes folders that no row names: what a crash left between the files and the transaction.
func (r *Room) staleQuarantine() error {
	rows, err := r.ListQuarantine(context.Background(), "")
	if err != nil {
		return err
	}
	named := map[string]bool{}
	for _, q := range rows {
		named[q.Dir] = true
	}
	tenants, err := os.ReadDir(r.quarantineDir())
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	for _, t := range tenants {
		entries, err := fs.ReadDir(os.DirFS(r.quarantineDir()), t.Name())
		if err != nil {
			continue // not a folder of ours
		}
		for _, e := range entries {
			if dir := filepath.Join(t.Name(), e.Name()); !named[dir] {
				if err := os.RemoveAll(filepath.Join(r.quarantineDir(), dir)); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
