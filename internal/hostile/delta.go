package hostile

import (
	"bytes"
	"encoding/json"
	"slices"

	"sallyport/internal/bundle"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/forge"
	"sallyport/internal/pack"
)

// What the site holds of the advisories before it meets a delta is what Base brings: generation held, eight records.
func heldRecords() forge.Records { return must(forge.Advisories(0, 8, 0)) }

// next is what a right delta makes of them: one changed, one removed, one added.
func next() forge.Records {
	changed, added := must(forge.Advisories(3, 1, 64)), must(forge.Advisories(8, 1, 0))
	r := heldRecords().With("advisory", key(7), "")
	for k, body := range changed["advisory"] {
		r = r.With("advisory", k, body)
	}
	for k, body := range added["advisory"] {
		r = r.With("advisory", k, body)
	}
	return r
}

// key is that of advisory n.
func key(n int) string {
	k, _, err := forge.Advisory(n, 0)
	if err != nil {
		panic(err)
	}
	return k
}

// delta makes the plan a delta from what the site holds to the generation that is offered, and edits it.
func delta(edit func(*forge.Plan)) func(*forge.World, *forge.Plan) {
	return func(_ *forge.World, p *forge.Plan) {
		p.Feeds = []forge.Feed{{Name: "osv-go", Generation: offered, Epoch: 1, Records: next(), Bases: []forge.Base{{Generation: held, Records: heldRecords()}}}}
		if edit != nil {
			edit(p)
		}
	}
}

// based makes it from other bases.
func based(bases ...forge.Base) func(*forge.World, *forge.Plan) {
	return delta(func(p *forge.Plan) { p.Feeds[0].Bases = bases })
}

// stated edits what the manifest of the delta says.
func stated(edit func(*bundle.Manifest)) func(*forge.World, *forge.Plan) {
	return delta(func(p *forge.Plan) {
		p.Manifest = func(m *bundle.Manifest) {
			edit(m)
			m.RerunHash = bundle.RerunHash(m.Contents)
		}
	})
}

// gone edits the tombstones.
func gone(edit func([]bundle.Tombstone) []bundle.Tombstone) func(*forge.World, *forge.Plan) {
	return delta(func(p *forge.Plan) {
		p.Tombstones = func(all map[string][]bundle.Tombstone) map[string][]bundle.Tombstone {
			if all["advisory"] = edit(all["advisory"]); len(all["advisory"]) == 0 {
				delete(all, "advisory")
			}
			return all
		}
	})
}

// member edits one content of the delta before its digest is made.
func member(find string, edit func(*forge.Member)) func(*forge.World, *forge.Plan) {
	return delta(func(p *forge.Plan) { content(find, edit)(nil, p) })
}

func grave(n int) bundle.Tombstone {
	return bundle.Tombstone{Key: key(n), Was: digest.Of([]byte(heldRecords()["advisory"][key(n)]))}
}

var deltaCases = []Case{
	{Number: 601, Slug: "delta", Defect: "a delta without any defect", Code: OK, Plan: delta(nil)},
	{Number: 602, Slug: "base-missing", Defect: "a delta from a generation that is not held", Code: OK, Import: code.Parked, Parks: true, Plan: based(forge.Base{Generation: held - 1, Records: must(forge.Advisories(0, 7, 0))})},
	{Number: 603, Slug: "wrong-base", Defect: "a delta from the generation that is held, with another root", Code: OK, Import: code.Parked, Parks: true, Plan: based(forge.Base{Generation: held, Records: must(forge.Advisories(0, 7, 0))})},
	{Number: 604, Slug: "gap", Defect: "a delta from a generation after the one that is held", Code: OK, Import: code.Parked, Parks: true, Plan: delta(func(p *forge.Plan) {
		p.Feeds[0].Generation, p.Feeds[0].Bases = offered+3, []forge.Base{{Generation: offered + 2, Records: must(forge.Advisories(0, 12, 0))}}
	})},
	{Number: 605, Slug: "cycle", Defect: "a delta from its own result", Code: code.ManifestBad, Plan: stated(func(m *bundle.Manifest) {
		m.Feeds[0].Bases[0] = bundle.Base{Generation: offered, StateRoot: other()}
	})},
	{Number: 606, Slug: "cycle-forward", Defect: "a delta from a generation after its result", Code: code.ManifestBad, Plan: stated(func(m *bundle.Manifest) {
		m.Feeds[0].Bases = append(m.Feeds[0].Bases, bundle.Base{Generation: offered + 4, StateRoot: other()})
	})},
	{Number: 607, Slug: "removes-held", Defect: "a delta that removes a record its signed result still has", Code: OK, Import: code.StateRootBad, Plan: gone(func(ts []bundle.Tombstone) []bundle.Tombstone {
		return slices.Insert(ts, 0, grave(2))
	})},
	{Number: 608, Slug: "tombstone-missing", Defect: "a delta without the tombstone of what it removes", Code: OK, Import: code.StateRootBad, Plan: gone(func([]bundle.Tombstone) []bundle.Tombstone { return nil })},
	{Number: 609, Slug: "tombstone-of-nothing", Defect: "a tombstone of a record that nobody has, which removes nothing", Code: OK, Plan: gone(func(ts []bundle.Tombstone) []bundle.Tombstone {
		return append(ts, bundle.Tombstone{Key: "ZZZZ", Was: other()})
	})},
	{Number: 610, Slug: "tombstone-was", Defect: "a tombstone that says another digest than the record had, which decides nothing", Code: OK, Plan: gone(func(ts []bundle.Tombstone) []bundle.Tombstone { ts[0].Was = other(); return ts })},
	{Number: 611, Slug: "tombstones-swapped", Defect: "two tombstones in the wrong order", Code: code.LineBad, Plan: gone(func(ts []bundle.Tombstone) []bundle.Tombstone { return append(ts, grave(1)) })},
	{Number: 612, Slug: "tombstone-twice", Defect: "a tombstone twice", Code: code.LineBad, Plan: gone(func(ts []bundle.Tombstone) []bundle.Tombstone { return append(ts, ts[0]) })},
	{Number: 613, Slug: "brought-and-removed", Defect: "a delta that brings a record and removes it", Code: OK, Import: code.IndexBad, Plan: gone(func(ts []bundle.Tombstone) []bundle.Tombstone {
		return append(ts, bundle.Tombstone{Key: key(8), Was: other()})
	})},
	{Number: 614, Slug: "upserts-swapped", Defect: "an index of a delta that does not ascend", Code: code.IndexBad, Plan: delta(func(p *forge.Plan) {
		p.Index = func(ls []bundle.IndexLine) []bundle.IndexLine { slices.Reverse(ls); return ls }
	})},
	{Number: 615, Slug: "upsert-not-indexed", Defect: "a changed line that the index does not name", Code: code.IndexBad, Plan: delta(func(p *forge.Plan) {
		p.Index = func(ls []bundle.IndexLine) []bundle.IndexLine { return ls[1:] }
	})},
	{Number: 616, Slug: "upsert-missing", Defect: "a delta that leaves out a changed record", Code: OK, Import: code.StateRootBad, Plan: delta(func(p *forge.Plan) {
		kept := next()
		body, changed := kept["advisory"][key(3)], key(3)
		p.Feeds[0].Bases[0].Records = heldRecords().With("advisory", changed, body) // so that it is no difference
		p.Manifest = func(m *bundle.Manifest) { m.Feeds[0].Bases[0].StateRoot = heldRecords().Root() }
	})},
	{Number: 617, Slug: "wrong-result", Defect: "a delta with a result of other records", Code: OK, Import: code.StateRootBad, Plan: stated(func(m *bundle.Manifest) { m.Feeds[0].StateRoot = other() })},
	{Number: 618, Slug: "wrong-count", Defect: "a delta with a record more in its result than there are", Code: OK, Import: code.StateRootBad, Plan: stated(func(m *bundle.Manifest) { m.Feeds[0].Records++ })},
	{Number: 619, Slug: "delta-twice", Defect: "a delta to the generation that is held, with the same root", Code: OK, Plan: delta(func(p *forge.Plan) {
		p.Feeds[0].Generation, p.Feeds[0].Records, p.Feeds[0].Bases = held, heldRecords(), []forge.Base{{Generation: held - 1, Records: must(forge.Advisories(0, 7, 0))}}
	})},
	{Number: 620, Slug: "delta-fork", Defect: "a delta to the generation that is held, with another root: a fork, never parked", Code: OK, Import: code.Fork, Plan: delta(func(p *forge.Plan) {
		p.Feeds[0].Generation, p.Feeds[0].Bases = held, []forge.Base{{Generation: held - 1, Records: must(forge.Advisories(0, 7, 0))}}
	})},
	{Number: 621, Slug: "delta-rollback", Defect: "a delta to a generation below the mark: older, never parked", Code: OK, Import: code.Rollback, Plan: delta(func(p *forge.Plan) {
		p.Feeds[0].Generation, p.Feeds[0].Bases = held-1, []forge.Base{{Generation: held - 2, Records: must(forge.Advisories(0, 6, 0))}}
	})},
	{Number: 622, Slug: "newer-schema", Defect: "a delta with an extension a reader must understand", Code: code.ReaderTooOld, Plan: stated(func(m *bundle.Manifest) {
		m.Ext, m.Critical, m.MinReader = map[string]json.RawMessage{"delta2": json.RawMessage("{}")}, []string{"delta2"}, "9.0.0"
	})},
	{Number: 623, Slug: "newer-version", Defect: "a delta of format version 2", Code: code.BadVersion, Plan: stated(func(m *bundle.Manifest) { m.Version = 2 })},
	{Number: 624, Slug: "bases-none", Defect: "a delta without bases", Code: code.ManifestBad, Plan: stated(func(m *bundle.Manifest) { m.Feeds[0].Bases = nil })},
	{Number: 625, Slug: "bases-swapped", Defect: "bases that do not ascend", Code: code.ManifestBad, Plan: stated(func(m *bundle.Manifest) {
		m.Feeds[0].Bases = append(m.Feeds[0].Bases, bundle.Base{Generation: held - 1, StateRoot: other()})
	})},
	{Number: 626, Slug: "bases-in-a-full", Defect: "a full bundle that names bases", Code: code.ManifestBad, Plan: manifest(func(m *bundle.Manifest) { m.Feeds[0].Bases = []bundle.Base{{Generation: held, StateRoot: other()}} })},
	{Number: 627, Slug: "tombstones-in-a-full", Defect: "a full bundle with tombstones", Code: code.ManifestBad, Plan: stated(func(m *bundle.Manifest) {
		m.Delta, m.Feeds[0].Bases = nil, nil
	})},
	{Number: 628, Slug: "tombstone-bomb", Defect: "a signed tombstone file of 1 GiB in 32 KiB", Code: code.LineLimit, Plan: member("tombstones/0", func(m *forge.Member) { m.Body = bomb() })},
	{Number: 629, Slug: "tombstone-not-a-line", Defect: "a tombstone file that holds something else", Code: code.IndexBad, Plan: member("tombstones/0", func(m *forge.Member) { m.Body = pack.EncodeFrame(nil, []byte("{}\n")) })},
	{Number: 630, Slug: "tombstones-count", Defect: "a tombstone file with a line more than the manifest says", Code: code.LineBad, Plan: member("tombstones/0", func(m *forge.Member) {
		m.Body = pack.EncodeFrame(bytes.Clone(m.Body), bundle.EncodeTombstone(nil, bundle.Tombstone{Key: "ZZZZ", Was: other()}))
	})},
	{Number: 631, Slug: "upsert-of-another-feed", Defect: "an upsert of a feed the manifest does not have", Code: code.ManifestBad, Plan: stated(func(m *bundle.Manifest) {
		seven := int64(7)
		for i := range m.Contents {
			if m.Contents[i].Role == bundle.RoleShard {
				m.Contents[i].Feed = &seven
			}
		}
	})},
	{Number: 632, Slug: "reset-that-lacks", Defect: "a reset of the baseline that does not bring every record of its result", Code: OK, Import: code.StateRootBad, Plan: delta(func(p *forge.Plan) {
		p.Reset = true
		p.Manifest = func(m *bundle.Manifest) {
			m.Feeds[0].StateRoot, m.Feeds[0].Records = must(forge.Advisories(0, 20, 0)).Root(), 20
		}
	})},
	{Number: 633, Slug: "unknown-feed", Defect: "a delta of a feed of which nothing is held", Code: OK, Import: code.Parked, Parks: true, Plan: delta(func(p *forge.Plan) { p.Feeds[0].Name = "osv-new" })},
	{Number: 634, Slug: "delta-fast-forward", Defect: "a delta to generation 2^53 − 1", Code: OK, Import: code.FastForward, Plan: delta(func(p *forge.Plan) { p.Feeds[0].Generation = 1<<53 - 1 })},
}
