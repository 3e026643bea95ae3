package intake

import (
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sallyport/internal/durable"
	"sallyport/internal/feed"
	"sallyport/internal/forge"
	"sallyport/internal/ident"
	"sallyport/internal/marks"
	"sallyport/internal/peer"
	"sallyport/internal/state"
)

// fault is one thing that goes wrong at one durable step of an import.
type fault struct {
	at    int
	first durable.Verdict // of the step
	dead  bool            // nothing after it happens either: the power is gone
}

func (f fault) String() string {
	what := map[durable.Verdict]string{durable.Do: "do", durable.Lose: "lose", durable.Keep: "keep"}[f.first]
	if f.dead {
		what += ", then nothing"
	}
	return fmt.Sprintf("step %d: %s", f.at, what)
}

// template is a site with a first generation, and a stick with a second, to be copied for each fault.
type template struct {
	s     *site
	w     *forge.World
	stick string
}

func newTemplate(t *testing.T) *template {
	w := world(t, 21)
	s := newSite(t, "site", "acme")
	s.meetHub(w.Hub)
	to := []*forge.Appliance{s.forged()}
	both := func(gen int64, lines int) []forge.Feed {
		f := forge.DefaultFeeds()
		f[0].Generation, f[0].Lines, f[1].Generation = gen, lines, gen
		f[1].Documents[fmt.Sprintf("urn:uuid:33333333-3333-4333-8333-33333333333%d", gen)] = `{"bomFormat":"CycloneDX","specVersion":"1.6"}`
		return f
	}
	return s.template(w, forge.Plan{From: w.Hub, To: to, Feeds: both(1, 20)}, forge.Plan{From: w.Hub, To: to, Feeds: both(2, 25)})
}

// newDeltaTemplate has a delta on its stick: of one feed so much changes that it gets a new base, of the other an overlay.
func newDeltaTemplate(t *testing.T) *template {
	w := world(t, 22)
	s := newSite(t, "site", "acme")
	s.meetHub(w.Hub)
	to := []*forge.Appliance{s.forged()}
	old, sboms := advisories(t, 0, 20), forge.Records{}
	for i := range 6 {
		sboms = sboms.With("sbom", fmt.Sprint("urn:", i), fmt.Sprintf(`{"bomFormat":"CycloneDX","specVersion":"1.%d"}`, i))
	}
	now := old
	for i := range 10 {
		key, body := advisory(i, 2)
		now = now.With("advisory", key, body)
	}
	full := forge.Plan{From: w.Hub, To: to, Feeds: []forge.Feed{{Name: "osv-go", Epoch: 1, Generation: 1, Records: old}, {Name: "sboms", Epoch: 1, Generation: 1, Records: sboms}}}
	delta := forge.Plan{From: w.Hub, To: to, Feeds: []forge.Feed{
		{Name: "osv-go", Epoch: 1, Generation: 2, Records: now, Bases: []forge.Base{{Generation: 1, Records: old}}},
		{Name: "sboms", Epoch: 1, Generation: 2, Records: sboms.With("sbom", "urn:0", ""), Bases: []forge.Base{{Generation: 1, Records: sboms}}},
	}}
	return s.template(w, full, delta)
}

// template imports the first bundle, and keeps the second for later.
func (s *site) template(w *forge.World, first, second forge.Plan) *template {
	s.t.Helper()
	_, err := s.Import(context.Background(), Request{Path: s.stick(first), Yes: true, Actor: "uid:1001"}, nil)
	s.must(err)
	tpl := &template{s: s, w: w, stick: s.stick(second)}
	s.close()
	return tpl
}

// copy is the template on a disk of its own, not opened.
func (tpl *template) copy(t *testing.T) *site {
	c := &site{t: t, name: tpl.s.name, clock: tpl.s.clock, dir: t.TempDir()}
	c.must(os.CopyFS(c.dir, os.DirFS(tpl.s.dir)))
	c.must(filepath.WalkDir(filepath.Join(c.dir, "keys"), func(p string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			err = os.Chmod(p, 0o600)
		}
		return err
	}))
	t.Cleanup(c.close)
	return c
}

func (tpl *template) run(t *testing.T, f fault) (steps int) {
	c := tpl.copy(t)
	name := ""
	armed := false
	c.open(durable.WithHook(func(op durable.Op) durable.Verdict {
		if !armed {
			return durable.Do
		}
		steps++
		switch {
		case steps == f.at:
			name = op.Verb + " " + op.Path
			return f.first
		case steps > f.at && f.dead && f.at > 0:
			return durable.Lose
		}
		return durable.Do
	}))
	armed = true
	res, err := c.Import(context.Background(), Request{Path: tpl.stick, Yes: true, Actor: "uid:1001"}, nil)
	acknowledged := err == nil && res.Applied
	c.reopen()
	tpl.check(t, c, acknowledged, fmt.Sprintf("%s (%s): %v", f, name, err))
	return steps
}

// check is what must hold after any fault: both feeds or none, nothing acknowledged lost, and the import can be finished.
func (tpl *template) check(t *testing.T, c *site, acknowledged bool, what string) {
	t.Helper()
	a, _ := c.active(tpl.w.Hub, "osv-go")
	b, _ := c.active(tpl.w.Hub, "sboms")
	if a.Generation != b.Generation || a.Generation < 1 || a.Generation > 2 || acknowledged && a.Generation != 2 {
		t.Errorf("%s: acknowledged %v, osv-go at %d, sboms at %d", what, acknowledged, a.Generation, b.Generation)
	}
	for _, g := range []feed.Generation{a, b} {
		v, err := c.view(g)
		if err != nil {
			t.Errorf("%s: layer: %v", what, err)
			continue
		}
		if sum, err := v.Sum(context.Background()); err != nil || sum.Root != g.Root {
			t.Errorf("%s: generation %d: root %s, %v", what, g.Generation, sum.Root, err)
		}
		v.Close()
	}
	if m, _ := c.Marks.Feed(refKey(c, tpl.w.Hub, "osv-go")); (m != marks.Mark{Epoch: 1, Generation: a.Generation, Root: a.Root}) {
		t.Errorf("%s: mark %+v, active %d", what, m, a.Generation)
	}
	res, err := c.Import(context.Background(), Request{Path: tpl.stick, Yes: true, Actor: "uid:1001"}, nil)
	if err != nil || res.Outcomes[0].Decision != Activated && res.Outcomes[0].Decision != AlreadyActive {
		t.Errorf("%s: finishing: %v %+v", what, err, res.Outcomes)
	}
	if g, _ := c.active(tpl.w.Hub, "sboms"); g.Generation != 2 {
		t.Errorf("%s: finished at generation %d", what, g.Generation)
	}
	ev := c.events()
	if ev["bundle.import.activated"] != 2 {
		t.Errorf("%s: %d activations in the timeline", what, ev["bundle.import.activated"])
	}
	if err := c.CAS.Check(context.Background()); err != nil {
		t.Errorf("%s: store: %v", what, err)
	}
	c.must(c.State.View(func(tx *state.Tx) error {
		_, err := c.Timeline.Verify(tx)
		return err
	}))
}

func refKey(c *site, hub *forge.Appliance, name string) string {
	return ident.FeedRef{Tenant: c.Self.Tenants[0], Origin: hub.ID, Name: name}.Key()
}

// TestFaults fails each durable step of an import, lost and kept, alone and with everything after it: a seeded share of
// them, all with SALLYPORT_CRASH=all.
func TestFaults(t *testing.T) { newTemplate(t).faults(t) }

// TestDeltaFaults does the same to a delta.
func TestDeltaFaults(t *testing.T) { newDeltaTemplate(t).faults(t) }

func (tpl *template) faults(t *testing.T) {
	total := tpl.run(t, fault{})
	t.Logf("%d durable steps", total)
	var all []fault
	for at := 1; at <= total; at++ {
		for _, dead := range []bool{false, true} {
			all = append(all, fault{at, durable.Lose, dead}, fault{at, durable.Keep, dead})
		}
	}
	if os.Getenv("SALLYPORT_CRASH") != "all" {
		rand.New(rand.NewPCG(7, 7)).Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		all = all[:min(10, len(all))]
	}
	for _, f := range all {
		tpl.run(t, f)
	}
}

// marksFull is a disk that is full for the marks file once the transaction of an import has committed.
func marksFull(on *bool) durable.FS {
	return durable.WithHook(func(op durable.Op) durable.Verdict {
		if op.Verb == "point" && op.Path == "import.transaction" {
			*on = true
		}
		if *on && op.Verb == "rename" && filepath.Base(op.Path) == "marks" {
			return durable.Lose
		}
		return durable.Do
	})
}

// What was activated stands when the marks could not be written, and is told so.
func TestMarksNotWrittenAfterTheTransaction(t *testing.T) {
	tpl := newTemplate(t)
	c := tpl.copy(t)
	var on bool
	c.open(marksFull(&on))
	res, err := c.Import(context.Background(), Request{Path: tpl.stick, Yes: true, Actor: "uid:1001"}, nil)
	if err == nil || !strings.Contains(err.Error(), "activated, but its marks were not written") {
		t.Errorf("%v", err)
	}
	if !res.Applied || len(res.Outcomes) != 1 || res.Outcomes[0].Decision != Activated || res.Outcomes[0].Receipt == "" {
		t.Errorf("%+v", res)
	}
	if g, _ := c.active(tpl.w.Hub, "osv-go"); g.Generation != 2 {
		t.Errorf("active %d", g.Generation)
	}
	c.reopen()
	tpl.check(t, c, true, "after a restart")
}

// The same for the papers that came home.
func TestMarksNotWrittenAfterPapers(t *testing.T) {
	ctx := context.Background()
	hub, s := crossing(t)
	inv, err := s.Inventory(ctx, "hub")
	s.must(err)
	stick := hub.stick(outbound(s.forged(), hub.forged(), forge.Epoch(), map[string][]byte{"inventory.json": inv.Envelope}))
	hub.close()
	var on bool
	hub.open(marksFull(&on))
	res, err := hub.Import(ctx, Request{Path: stick, Actor: "uid:1004"}, nil)
	if err == nil || !strings.Contains(err.Error(), "applied, but its marks were not written") || len(res.Outcomes) != 1 || res.Outcomes[0].Decision != Applied {
		t.Errorf("%v %+v", err, res)
	}
	if v := hub.peers()[0].Views["osv-go"]; v.From != peer.FromInventory {
		t.Errorf("view %+v", v)
	}
}
