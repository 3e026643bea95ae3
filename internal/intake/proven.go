package intake

import (
	"fmt"

	"sallyport/internal/bundle"
	"sallyport/internal/layer"
	"sallyport/internal/units"
)

// maxExamples is how many records of each sort of change a plan names, for a person to look at.
const maxExamples = 20

// prove notes a fact about a bundle and tells it to whoever listens. Facts are no part of the plan's digest.
func (im *imports) prove(pr *prepared, what, detail string) {
	f := Fact{What: clean(what), Detail: clean(detail)}
	pr.plan.Proven = append(pr.plan.Proven, f)
	if im.q.Proven != nil {
		im.q.Proven(pr.plan.Name, f)
	}
}

// proveLabel is said once the label's signature holds, before a volume is read.
func (im *imports) proveLabel(pr *prepared) {
	l := pr.label
	since := ""
	if p, err := im.v.of(pr.packing.Root()); err == nil && p.Trust.At != "" {
		since = ", trusted since " + day(p.Trust.At)
	}
	im.prove(pr, fmt.Sprintf("Label signed by %s at %s", l.Tenant, l.Appliance.Name), pr.packing.Signer().Words()+since)
}

// proveWhole is said once the gate has read the last byte.
func (im *imports) proveWhole(pr *prepared) {
	l, m, stats := pr.label, pr.bundle.Manifest(), pr.bundle.Stats()
	n := len(l.Volumes)
	im.prove(pr, fmt.Sprintf("%d of %d volumes whole", n, n), units.Size(l.Bytes)+" read")
	if l.Sealed.Mode != bundle.SealNone {
		im.prove(pr, "Encrypted for this site", "")
	} else {
		im.prove(pr, "Not encrypted", "whoever had the stick could read it; the signature holds all the same")
	}
	im.prove(pr, fmt.Sprintf("Manifest signed by %s at %s", m.Tenant, m.Appliance.Name), pr.bundle.Signer().Words())
	im.prove(pr, fmt.Sprintf("%s of %s match", units.Count(int64(stats.Entries)), units.Plural(int64(len(m.Contents)), "entry", "entries")),
		units.Plural(stats.Records, "record", "records")+", "+units.Size(stats.Bytes))
	if a := pr.bundle.Anchor(); a != nil {
		im.prove(pr, "Time told by headquarters", "signed for "+day(a.AnchorTime))
	}
}

// proveFeed is said once a feed's layer is built, its state root computed and compared.
func (im *imports) proveFeed(pr *prepared, o *offer) {
	name := o.state.Feed
	if o.from != nil {
		where := "held"
		if o.current != nil && o.from.point == o.active {
			where = "active"
		}
		im.prove(pr, fmt.Sprintf("%s builds on generation %d, which is %s here", name, o.from.point.Generation, where), "")
	}
	im.prove(pr, fmt.Sprintf("%s gives the signed state root", name), o.state.StateRoot.Short())
	im.prove(pr, fmt.Sprintf("%s is newer than anything held", name), "written "+day(pr.bundle.Manifest().GeneratedAt)+", judged by trusted time")
}

// example keeps the first of each sort of change.
func (o *offer) example() func(from, to *layer.Entry) {
	n := map[string]int{}
	return func(from, to *layer.Entry) {
		what, at := "changed", to
		switch {
		case from == nil:
			what = "added"
		case to == nil:
			what, at = "removed", from
		}
		if n[what]++; n[what] <= maxExamples {
			o.plan.Examples = append(o.plan.Examples, Example{What: what, Kind: at.Kind, Key: at.Key})
		}
	}
}

// firstOf names the first records of a feed that is new here.
func (im *imports) firstOf(o *offer) error {
	now, done, err := o.made.open(im.Layers)
	if err != nil {
		return err
	}
	defer done()
	each, n := o.example(), 0
	return now.All(func(it layer.Item) error {
		if n++; n > maxExamples {
			return layer.ErrStop
		}
		each(nil, &it.Entry)
		return nil
	})
}
