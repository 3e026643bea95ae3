package intake

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	"sallyport/internal/bundle"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/feed"
	"sallyport/internal/forge"
	"sallyport/internal/ident"
	"sallyport/internal/layer"
	"sallyport/internal/marks"
	"sallyport/internal/peer"
	"sallyport/internal/record"
	"sallyport/internal/root"
	"sallyport/internal/state"
)

// history is one feed of a forged hub: its states by generation, from 1.
type history struct {
	t      *testing.T
	s      *site
	hub    *forge.Appliance
	states []forge.Records
	at     time.Time
}

func newHistory(t *testing.T, seed uint64, first forge.Records) *history {
	t.Helper()
	w := world(t, seed)
	s := newSite(t, "site", "acme")
	s.meetHub(w.Hub)
	return &history{t: t, s: s, hub: w.Hub, states: []forge.Records{first}, at: forge.Epoch()}
}

func advisories(t *testing.T, from, n int) forge.Records {
	t.Helper()
	r, err := forge.Advisories(from, n, 0)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// advisory is a made-up advisory of a key with another body for each version.
func advisory(i, version int) (key, body string) {
	key = fmt.Sprintf("FORGE-2026-%07d", i)
	return key, fmt.Sprintf(`{"affected":[{"package":{"ecosystem":"Go","name":"example.com/v%d"}}],"aliases":["CVE-%d-%d"],"id":%q}`, version, version, i, key)
}

// mint adds a generation.
func (h *history) mint(r forge.Records) int64 {
	h.states = append(h.states, r)
	return int64(len(h.states))
}

func (h *history) last() forge.Records { return h.states[len(h.states)-1] }

// full is a bundle with all of a generation.
func (h *history) full(gen int64) forge.Plan {
	h.at = h.at.Add(time.Minute)
	return forge.Plan{From: h.hub, To: []*forge.Appliance{h.s.forged()}, At: h.at, Feeds: []forge.Feed{{Name: "osv-go", Epoch: 1, Generation: gen, Records: h.states[gen-1]}}}
}

// delta is a bundle that leads from any of the bases to a generation.
func (h *history) delta(gen int64, bases ...int64) forge.Plan {
	p := h.full(gen)
	for _, b := range bases {
		p.Feeds[0].Bases = append(p.Feeds[0].Bases, forge.Base{Generation: b, Records: h.states[b-1]})
	}
	return p
}

func (h *history) take(plans ...forge.Plan) (Result, error) {
	h.t.Helper()
	return h.s.Import(context.Background(), Request{Path: h.s.stick(plans...), Yes: true, Actor: "uid:1001"}, nil)
}

func (h *history) must(plans ...forge.Plan) Result {
	h.t.Helper()
	res, err := h.take(plans...)
	if err != nil {
		h.t.Fatal(err)
	}
	return res
}

func (h *history) ref() ident.FeedRef {
	return ident.FeedRef{Tenant: h.s.Self.Tenants[0], Origin: h.hub.ID, Name: "osv-go"}
}

// check demands that the active generation is gen, record by record, and that lookups find what is there and nothing else.
func (h *history) check(gen int64) {
	h.t.Helper()
	g, ok := h.s.active(h.hub, "osv-go")
	if !ok || g.Generation != gen {
		h.t.Fatalf("generation %d is active, not %d", g.Generation, gen)
	}
	h.same(g)
}

func (h *history) same(g feed.Generation) {
	h.t.Helper()
	want := h.states[g.Generation-1]
	v, err := h.s.view(g)
	h.s.must(err)
	defer v.Close()
	sum, err := v.Sum(context.Background())
	h.s.must(err)
	if sum.Root != want.Root() || sum.Root != g.Root || sum.Records != want.Count() || g.Records != want.Count() || sum.Bytes != g.Bytes {
		h.t.Errorf("generation %d: %+v, ledger %d records %d bytes", g.Generation, sum, g.Records, g.Bytes)
	}
	open := layer.Opener(h.s.CAS.Open)
	h.s.must(v.All(func(it layer.Item) error {
		body, err := v.Body(it, open)
		if err != nil || string(body) != want[it.Kind][it.Key] {
			h.t.Errorf("generation %d: %s %s: %v", g.Generation, it.Kind, it.Key, err)
		}
		return nil
	}))
}

// sweep removes every blob that no kept generation names, at once.
func (h *history) sweep() {
	h.t.Helper()
	live := map[digest.Digest]bool{}
	add := func(d digest.Digest) error { live[d] = true; return nil }
	h.s.must(h.s.State.View(func(tx *state.Tx) error {
		if err := feed.Live(tx, func(d digest.Digest) { live[d] = true }); err != nil {
			return err
		}
		all, err := feed.Generations(tx, h.ref())
		for _, g := range all {
			v, err := h.s.view(g)
			h.s.must(err)
			h.s.must(v.Blobs(add))
			h.s.must(v.Close())
		}
		return err
	}))
	is := func(d digest.Digest) bool { return live[d] }
	plan, err := h.s.CAS.Plan(context.Background(), is, 0, time.Now().Add(time.Hour))
	h.s.must(err)
	_, _, err = h.s.CAS.Apply(context.Background(), plan, is)
	h.s.must(err)
}

// A delta makes the generation that a full would have made, over the base that is there; a chain of them stays one base and
// one overlay, and every record is proven through the manifest that brought it.
func TestDelta(t *testing.T) {
	h := newHistory(t, 41, advisories(t, 0, 60).With(record.SBOM, "urn:a", `{"bomFormat":"CycloneDX","specVersion":"1.5"}`))
	h.must(h.full(1))
	h.check(1)
	key, body := advisory(3, 2)
	h.mint(h.last().With("advisory", key, body).With("advisory", "FORGE-2026-0000007", "").With(record.SBOM, "urn:b", `{"bomFormat":"CycloneDX","specVersion":"1.6"}`))
	res := h.must(h.delta(2, 1))
	h.check(2)
	if f := res.Outcomes[0].Plan.Feeds[0]; f.Added != 1 || f.Changed != 1 || f.Removed != 1 || f.Unchanged != 59 || f.Base != 1 || f.Refresh {
		t.Errorf("%+v", f)
	}
	key5, body5 := advisory(5, 3)
	h.mint(h.last().With("advisory", key5, body5))
	h.must(h.delta(3, 2))
	h.check(3)
	g, _ := h.s.active(h.hub, "osv-go")
	if len(g.Layers) != 2 || len(g.Manifests) != 3 {
		t.Errorf("%d layers, %d manifests", len(g.Layers), len(g.Manifests))
	}
	for _, want := range []struct {
		kind, key string
		voucher   int
	}{{"advisory", "FORGE-2026-0000001", 0}, {"advisory", key, 1}, {"advisory", key5, 2}, {record.SBOM, "urn:a", 0}, {record.SBOM, "urn:b", 1}} {
		p, err := h.s.Proof(context.Background(), h.ref(), want.kind, want.key)
		if err != nil || p.Manifest != g.Manifests[want.voucher].BundleID || p.Generation != 3 {
			t.Errorf("%s: %v, %s", want.key, err, p.Bundle)
		}
	}
	if _, err := h.s.Proof(context.Background(), h.ref(), "advisory", "FORGE-2026-0000007"); code.Of(err) != code.Missing {
		t.Errorf("a removed record: %v", err)
	}
	if n := h.s.events()["mirror.delta.applied"]; n != 2 {
		t.Errorf("%d deltas in the timeline", n)
	}
}

// Deltas on one stick are applied in order, each on what the one before makes; one whose base only a third has is applied on
// what is active.
func TestDeltasOfOnePlan(t *testing.T) {
	for _, test := range []struct {
		name  string
		plans func(h *history) []forge.Plan
	}{
		{"full and delta", func(h *history) []forge.Plan { return []forge.Plan{h.full(1), h.delta(2, 1)} }},
		{"1 and 3", func(h *history) []forge.Plan { return []forge.Plan{h.full(1), h.delta(2, 1), h.delta(4, 1, 2, 3)} }},
		{"1, 2, 3", func(h *history) []forge.Plan {
			return []forge.Plan{h.full(1), h.delta(2, 1), h.delta(3, 1, 2), h.delta(4, 1, 2, 3)}
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := newHistory(t, 42, advisories(t, 0, 40))
			key, body := advisory(3, 2)
			first := h.last()["advisory"][key]
			h.mint(h.last().With("advisory", key, body))
			h.mint(h.last().With("advisory", "FORGE-2026-0000009", ""))
			h.mint(h.last().With("advisory", key, first)) // changed and changed back
			plans := test.plans(h)
			h.must(plans...)
			last := plans[len(plans)-1].Feeds[0].Generation
			h.check(last)
			h.s.reopen()
			h.check(last)
			if m, _ := h.s.Marks.Feed(h.ref().Key()); (m != marks.Mark{Epoch: 1, Generation: last, Root: h.states[last-1].Root()}) {
				t.Errorf("mark %+v", m)
			}
		})
	}
}

// Without a base a delta waits, and nothing else changes; what is old, known or forked is that, not a missing base.
func TestDeltaWithoutBase(t *testing.T) {
	h := newHistory(t, 43, advisories(t, 0, 40))
	for i := range 5 {
		key, body := advisory(i, 2)
		h.mint(h.last().With("advisory", key, body))
	}
	check := func(want code.Code, p forge.Plan) {
		t.Helper()
		before, _ := h.s.active(h.hub, "osv-go")
		mark, _ := h.s.Marks.Feed(h.ref().Key())
		if _, err := h.take(p); code.Of(err) != want {
			t.Errorf("want %s: %v", want, err)
		}
		after, _ := h.s.active(h.hub, "osv-go")
		if m, _ := h.s.Marks.Feed(h.ref().Key()); m != mark || after.Point != before.Point {
			t.Errorf("%s: %+v %+v", want, m, after.Point)
		}
	}
	check(code.Parked, h.delta(3, 1, 2))
	h.must(h.full(1), h.delta(3, 1))
	check("", h.delta(3, 2)) // is active already
	h.must(h.full(5))
	check("", h.delta(3, 1, 2)) // is held
	check(code.Rollback, h.delta(4, 2))
	fork := h.delta(5, 2)
	fork.Feeds[0].Records = fork.Feeds[0].Records.With("advisory", "X", `{"id":"X"}`)
	check(code.Fork, fork)
	check(code.Parked, h.delta(6, 4))
}

// A delta that does not give what it says changes nothing, has its code, and is told in the timeline.
func TestDeltaWithWrongResult(t *testing.T) {
	h := newHistory(t, 44, advisories(t, 0, 40))
	h.must(h.full(1))
	key, body := advisory(3, 2)
	h.mint(h.last().With("advisory", key, body).With("advisory", "FORGE-2026-0000009", ""))
	before := h.s.tree()
	p := h.delta(2, 1)
	p.Tombstones = func(map[string][]bundle.Tombstone) map[string][]bundle.Tombstone { return nil }
	_, err := h.take(p)
	if code.Of(err) != code.StateRootBad {
		t.Fatalf("%v", err)
	}
	if h.s.tree() != before {
		t.Error("the store has changed")
	}
	if n := h.s.events(); n["mirror.delta.apply_failed"] != 1 || n["bundle.import.refused"] != 1 {
		t.Errorf("%v", n)
	}
	h.check(1)
}

// A base that is damaged here is not blamed on the delta, which waits for nobody and is kept for nobody.
func TestDeltaOnDamagedBase(t *testing.T) {
	h := newHistory(t, 40, advisories(t, 0, 40))
	h.must(h.full(1))
	g, _ := h.s.active(h.hub, "osv-go")
	file := h.s.Layers.Path(g.Layers[0].File)
	h.s.close()
	b, err := os.ReadFile(file)
	h.s.must(err)
	d := digest.Of([]byte(h.states[0]["advisory"]["FORGE-2026-0000012"]))
	at := bytes.Index(b, d[:])
	b[at] ^= 1
	h.s.must(os.WriteFile(file, b, 0o600))
	h.s.reopen()
	key, body := advisory(3, 2)
	h.mint(h.last().With("advisory", key, body))
	_, err = h.take(h.delta(2, 1))
	if code.Of(err) != code.StoreCorrupt {
		t.Errorf("%v", err)
	}
	if n := h.s.events(); n["mirror.delta.apply_failed"] != 0 || n["bundle.import.refused"] != 0 {
		t.Errorf("%v", n)
	}
}

// A bundle is atomic over its feeds: where one delta has no base, or does not give its state, none is applied.
func TestDeltaOfTwoFeeds(t *testing.T) {
	h := newHistory(t, 39, advisories(t, 0, 40))
	key, body := advisory(3, 2)
	h.mint(h.last().With("advisory", key, body))
	two := func(p forge.Plan, other ...forge.Base) forge.Plan {
		p.Feeds = append(p.Feeds, forge.Feed{Name: "other", Epoch: 1, Generation: p.Feeds[0].Generation, Records: p.Feeds[0].Records, Bases: other})
		return p
	}
	h.must(two(h.full(1)))
	if _, err := h.take(two(h.delta(2, 1), forge.Base{Generation: 1, Records: advisories(t, 0, 9)})); code.Of(err) != code.Parked {
		t.Errorf("%v", err)
	}
	wrong := two(h.delta(2, 1), forge.Base{Generation: 1, Records: h.states[0]})
	wrong.Index = func(lines []bundle.IndexLine) []bundle.IndexLine {
		for i := range lines {
			lines[i].Key += "x"
		}
		return lines
	}
	if _, err := h.take(wrong); code.Of(err) != code.StateRootBad {
		t.Errorf("%v", err)
	}
	h.check(1)
	h.must(two(h.delta(2, 1), forge.Base{Generation: 1, Records: h.states[0]}))
	h.check(2)
}

// An overlay that has outgrown its base is written as a base; bodies stay where they were signed.
func TestOverlayBecomesBase(t *testing.T) {
	h := newHistory(t, 45, advisories(t, 0, 60))
	h.must(h.full(1))
	for gen := int64(2); gen <= 8; gen++ {
		r := h.last()
		for i := range 4 {
			key, body := advisory(int(gen)*4+i, 9)
			r = r.With("advisory", key, body)
		}
		h.mint(r)
		h.must(h.delta(gen, gen-1))
		h.check(gen)
		g, _ := h.s.active(h.hub, "osv-go")
		if n := (int(gen)-2)%6 + 1; len(g.Layers) != map[bool]int{true: 2, false: 1}[n < 6] {
			t.Errorf("generation %d has %d layers", gen, len(g.Layers))
		}
	}
	h.s.must(h.s.CAS.Check(context.Background()))
	var live map[string]bool
	h.s.must(h.s.State.View(func(tx *state.Tx) (err error) {
		live, err = feed.LayerFiles(tx)
		return err
	}))
	orphans, err := h.s.Layers.Orphans(func(file string) bool { return live[file] })
	if err != nil || len(orphans) != 0 {
		t.Errorf("%v %v", orphans, err)
	}
}

// A manifest whose records were all overtaken is not kept for ever.
func TestVouchersAreLetGo(t *testing.T) {
	h := newHistory(t, 49, advisories(t, 0, 40))
	h.must(h.full(1))
	for gen := int64(2); gen <= 5; gen++ {
		key, body := advisory(3, int(gen))
		h.mint(h.last().With("advisory", key, body))
		h.must(h.delta(gen, gen-1))
	}
	g, _ := h.s.active(h.hub, "osv-go")
	if len(g.Manifests) != 2 || len(g.Layers[1].Shards) != 1 {
		t.Errorf("%d manifests, %d shards", len(g.Manifests), len(g.Layers[1].Shards))
	}
	key, _ := advisory(3, 0)
	if p, err := h.s.Proof(context.Background(), h.ref(), "advisory", key); err != nil || p.Manifest != g.BundleID {
		t.Errorf("%v %s", err, p.Bundle)
	}
}

// While a feed is pinned deltas are built and held, one on the other.
func TestDeltaWhilePinned(t *testing.T) {
	h := newHistory(t, 46, advisories(t, 0, 40))
	h.must(h.full(1))
	h.s.must(h.s.State.Update(context.Background(), func(tx *state.Tx) error { return feed.Pin(tx, h.ref(), true, "test") }))
	for gen := int64(2); gen <= 3; gen++ {
		key, body := advisory(int(gen), 2)
		h.mint(h.last().With("advisory", key, body))
		if res := h.must(h.delta(gen, gen-1)); res.Outcomes[0].Decision != Held {
			t.Errorf("%+v", res.Outcomes)
		}
	}
	h.check(1)
	h.s.must(h.s.State.View(func(tx *state.Tx) error {
		g, ok, err := feed.At(tx, h.ref(), feed.Point{Epoch: 1, Generation: 3})
		if !ok {
			t.Error("generation 3 is not held")
		}
		h.same(g)
		return err
	}))
}

// A delta that resets the baseline carries every record and needs no base.
func TestResetBaseline(t *testing.T) {
	h := newHistory(t, 47, advisories(t, 0, 40))
	h.mint(h.last().With("advisory", "FORGE-2026-0000009", ""))
	p := h.delta(2, 1)
	p.Reset = true
	res := h.must(p)
	h.check(2)
	if f := res.Outcomes[0].Plan.Feeds[0]; !f.Refresh || f.Base != 0 {
		t.Errorf("%+v", f)
	}
	h.mint(h.last().With("advisory", "FORGE-2026-0000008", ""))
	p = h.delta(3, 2)
	p.Reset = true
	p.Index = func(lines []bundle.IndexLine) []bundle.IndexLine {
		lines[len(lines)-1].Key += "x"
		return lines
	}
	if _, err := h.take(p); code.Of(err) != code.StateRootBad {
		t.Errorf("%v", err)
	}
	if n := h.s.events(); n["mirror.delta.applied"] != 1 || n["mirror.delta.apply_failed"] != 1 {
		t.Errorf("%v", n)
	}
}

// Removing more than a fifth needs a yes even where approvals are off.
func TestDeltaThatShrinks(t *testing.T) {
	h := newHistory(t, 48, advisories(t, 0, 40))
	h.must(h.full(1))
	h.mint(advisories(t, 0, 30))
	h.s.Approvals = 0
	stick := h.s.stick(h.delta(2, 1))
	res, err := h.s.Import(context.Background(), Request{Path: stick, Actor: "uid:1001"}, nil)
	if err != nil || res.Applied || res.Outcomes[0].Plan.NeedsApproval == "" {
		t.Fatalf("%v %+v", err, res)
	}
	if _, err := h.s.Import(context.Background(), Request{Path: stick, Approve: res.Plan.Digest, Actor: "uid:1001"}, nil); err != nil {
		t.Fatal(err)
	}
	h.check(2)
}

// TestRandomChains runs random histories of fulls and deltas with random bases against what a full would have given.
func TestRandomChains(t *testing.T) {
	for seed := range uint64(3) {
		r := rand.New(rand.NewPCG(seed, 11))
		h := newHistory(t, 50+seed, advisories(t, 0, 30))
		h.must(h.full(1))
		kept := []int64{1}
		for gen := int64(2); gen < 14; gen++ {
			next := h.last()
			for range 1 + r.IntN(8) {
				switch i := r.IntN(40); r.IntN(6) {
				case 0, 1:
					next = next.With("advisory", fmt.Sprintf("FORGE-2026-%07d", i), "")
				case 2:
					next = next.With(record.SBOM, fmt.Sprint("urn:", i%4), fmt.Sprintf(`{"bomFormat":"CycloneDX","specVersion":"1.%d"}`, r.IntN(3)))
				case 3:
					next = next.With(record.SBOM, fmt.Sprint("urn:", i%4), "")
				default:
					key, body := advisory(i, r.IntN(3))
					next = next.With("advisory", key, body)
				}
			}
			if next.Root() == h.last().Root() || next.Count() == 0 {
				gen--
				continue
			}
			h.mint(next)
			if r.IntN(4) == 0 {
				continue // lost on the way
			}
			p := h.full(gen)
			if r.IntN(5) > 0 {
				p = h.delta(gen, kept[max(0, len(kept)-1-r.IntN(3)):]...)
			}
			h.must(p)
			h.sweep()
			h.check(gen)
			kept = append(kept, gen)
			kept = kept[max(0, len(kept)-feed.Kept):]
		}
	}
}

// What a key signed in its time stays proven when the root has let the key go, and the proof says so.
func TestProofByAKeyOfTheirs(t *testing.T) {
	w := world(t, 38)
	h := newHistory(t, 38, advisories(t, 0, 40))
	h.must(h.full(1))
	_, env, err := h.hub.NextRoot(func(d *root.Document) {
		next := root.Entry(w.Stranger.Bundle.Public(), root.Scope{Tenants: []string{h.hub.Tenant}, Origins: []string{h.hub.ID}}, forge.Epoch(), forge.Epoch().AddDate(1, 0, 0))
		d.Keys = slices.DeleteFunc(d.Keys, func(k root.KeyEntry) bool { return k.KeyID == h.hub.Bundle.Public().ID() })
		d.Keys = append(d.Keys, next)
		d.Roles[root.RoleBundle] = root.Role{Threshold: 1, KeyIDs: []string{w.Stranger.Bundle.Public().ID()}}
	})
	h.s.must(err)
	h.s.must(h.s.State.Update(context.Background(), func(tx *state.Tx) error {
		_, err := peer.Edit(tx, h.hub.Name, func(p *peer.Peer) error { p.Roots = append(p.Roots, env); return nil })
		return err
	}))
	p, err := h.s.Proof(context.Background(), h.ref(), "advisory", "FORGE-2026-0000001")
	if err != nil || p.SignerState != string(code.SignerUnknown) || p.RootVersion != 2 {
		t.Errorf("%v: %s, root version %d", err, p.SignerState, p.RootVersion)
	}
}
