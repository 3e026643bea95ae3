package intake

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"sallyport/internal/attest"
	"sallyport/internal/bundle"
	"sallyport/internal/code"
	"sallyport/internal/digest"
)

// sought is the one bundle of a release, as the label that was kept claims it: that is only compared, and whatever is taken
// in for it goes through the gate like any other.
type sought struct {
	row    QuarantineRow
	label  digest.Digest // label id; zero when the label was damaged
	bundle digest.Digest // bundle id; zero when the label was damaged
}

// Release verifies again what was refused, by today's trust, marks and time, and takes it in like any other bundle: from the
// medium in q.Path, else from the entry itself where it keeps the whole bundle. It looks for that bundle alone, under this or
// another label: nothing else on the medium is taken in, and nothing that waits here. The entry goes when its bundle was
// taken in, parked or is known here; else it stays. Codes not-found, usage, nothing-for-us (the bundle is not on the medium:
// nothing was changed), evidence-lost, and those of Import.
func (r *Room) Release(ctx context.Context, number string, q Request, progress Progress) (Result, error) {
	row, err := r.FindQuarantine(ctx, number)
	if err != nil {
		return Result{}, err
	}
	if err := r.stillKept(row); err != nil {
		return Result{}, err
	}
	dir := filepath.Join(r.quarantineDir(), row.Dir)
	if q.only, err = soughtIn(row, filepath.Join(dir, "label.json")); err != nil {
		return Result{}, fmt.Errorf("quarantine %s: %w", row.Number, err)
	}
	if q.Path == "" {
		q.Path, q.own = filepath.Join(dir, evidenceDir), true
		if _, err := os.Stat(q.Path); errors.Is(err, fs.ErrNotExist) {
			return Result{}, code.New(code.BadUsage, "the entry keeps the label and the log, not the bundle").In(row.Number, "").
				Do("Put the stick in and say where it is: sallyport quarantine release " + row.Number + " --medium PATH.")
		}
	}
	res, err := r.Import(ctx, q, progress)
	if err != nil && len(res.Outcomes) == 0 {
		return res, err
	}
	for _, o := range res.Outcomes {
		if !o.Decision.takenIn() {
			continue
		}
		derr := r.discard(ctx, row, q.Actor, map[string]string{"released": string(o.Decision)})
		if code.Of(derr) == code.Missing {
			derr = nil // the import has let it go
		}
		return res, cmp.Or(derr, err)
	}
	return res, err
}

// takenIn tells whether a decision answers the question that a quarantine entry keeps open.
func (d Decision) takenIn() bool {
	return slices.Contains([]Decision{Activated, Held, AlreadyActive, AlreadyHeld, Applied, Parked}, d)
}

// soughtIn reads what the kept label claims.
func soughtIn(row QuarantineRow, file string) (*sought, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	s := &sought{row: row}
	if claim, err := attest.Inspect(b); err == nil { // else it was damaged when it came: only the same file is it
		s.label = digest.Of(claim.Payload)
		if l, err := bundle.ParseLabel(claim.Payload); err == nil {
			s.bundle = l.BundleID
		}
	}
	return s, nil
}

// keepOnly leaves of a medium what is sought. Code nothing-for-us: it is not there.
func (v *visit) keepOnly(s *sought) error {
	if s == nil {
		return nil
	}
	all := len(v.ours) + len(v.others) + len(v.broken)
	other := func(c candidate) bool { return !v.is(c, s) }
	v.ours = slices.DeleteFunc(v.ours, other)
	v.others = slices.DeleteFunc(v.others, other)
	v.broken = slices.DeleteFunc(v.broken, other)
	if len(v.ours)+len(v.others)+len(v.broken) > 0 {
		return nil
	}
	name := s.row.Bundle
	if name == "" {
		name = "the bundle of " + s.row.Number
	}
	return code.New(code.NothingForUs, "%s is not on this medium", name).In(s.row.Number, "").
		Want(fmt.Sprintf("label %s", s.row.Label), fmt.Sprintf("%d other bundles", all)).
		Do("Put in the stick that " + s.row.Number + " was written on. Nothing was changed.")
}

// is tells whether a bundle directory is what is sought: by its label file, its label id, or the bundle id it claims.
func (v *visit) is(c candidate, s *sought) bool {
	if b, err := labelFile(v.fsys, c.dir); err == nil && digest.Of(b).String() == s.row.Label {
		return true
	}
	claim, err := v.claim(c.dir)
	if err != nil || s.label.IsZero() {
		return false
	}
	if digest.Of(claim.Payload) == s.label {
		return true
	}
	l := v.peek(c.dir)
	return l != nil && !s.bundle.IsZero() && l.BundleID == s.bundle
}

// letGo ends the entries of bundles that were taken in now, under the very label that was refused before. Two histories of a
// feed stay until a person settles them. Where a crash comes between, the next import of that medium does it.
func (im *imports) letGo() error {
	if im.q.PlanOnly {
		return nil
	}
	rows, err := im.ListQuarantine(im.ctx, "")
	if err != nil {
		return err
	}
	for _, o := range im.res.Outcomes {
		if !o.Decision.takenIn() {
			continue
		}
		label, err := labelFile(im.v.fsys, o.Dir)
		if err != nil {
			continue // taken in from what waited here
		}
		file := digest.Of(label).String()
		for _, row := range rows {
			if row.Label != file || row.Code == string(code.Fork) {
				continue
			}
			err := im.discard(im.ctx, row, im.q.Actor, map[string]string{"released": string(o.Decision)})
			if err != nil && code.Of(err) != code.Missing {
				return err
			}
		}
	}
	return nil
}
