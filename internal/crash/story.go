package crash

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"sallyport/internal/daemon"
	"sallyport/internal/sample"
	"sallyport/internal/wire"
)

// seed of the made-up evidence.
const seed = 20260813

// Dumps of three weeks: some advisories change, some go, some come.
var weeks = []sample.Week{
	{From: 0, To: 30},
	{From: 0, To: 36, Changed: func(n int) bool { return n%7 == 3 }, Removed: func(n int) bool { return n%11 == 5 }},
	{From: 4, To: 40, Changed: func(n int) bool { return n%5 == 1 }, Removed: func(n int) bool { return n%11 == 5 }},
	{From: 6, To: 44, Changed: func(n int) bool { return n%3 == 1 }},
}

// documents are evidence that travels byte for byte.
func documents() map[string][]byte {
	return map[string][]byte{
		"sbom-1.json": sample.SBOM(seed, 20), "sbom-2.json": sample.SBOM(seed, 31), "sbom-3.json": sample.SBOM(seed, 44),
		"spdx.json": sample.SPDX(seed, 12), "vex-1.json": sample.VEX(seed, 9), "csaf.json": sample.CSAF(seed, 5),
	}
}

// evidence writes what will be loaded.
func (r *Rig) evidence() error {
	if err := os.MkdirAll(r.in(), 0o755); err != nil {
		return err
	}
	for i, w := range weeks {
		f, err := os.Create(filepath.Join(r.in(), fmt.Sprintf("week%d.zip", i+1)))
		if err != nil {
			return err
		}
		if err := errors.Join(sample.Zip(f, seed, w), f.Close()); err != nil {
			return err
		}
	}
	for name, b := range documents() {
		if err := os.WriteFile(filepath.Join(r.in(), name), b, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func (r *Rig) in() string { return filepath.Join(r.dir, "in") }

// player is an appliance of the story.
type player struct {
	r           *Rig
	name, dir   string
	fingerprint string
	p           *process
}

// teller tells the story and stops at the first error.
type teller struct {
	r         *Rig
	ctx       context.Context
	hub, site *player
	late      *player // the site as it was when it had met the hub and got nothing yet
	err       error
}

func (t *teller) do(what string, fn func() error) {
	if t.err != nil {
		return
	}
	if err := fn(); err != nil {
		t.err = fmt.Errorf("story: %s: %w", what, err)
	}
}

func (t *teller) found(name string) *player {
	p := &player{r: t.r, name: name, dir: filepath.Join(t.r.dir, "story", name)}
	t.do("init "+name, func() error {
		made, err := daemon.Init(daemon.InitOptions{DataDir: p.dir, Name: name, Tenant: "acme", SingleOperator: true, Actor: "crash"}, daemon.Deps{})
		p.fingerprint = made.Fingerprint
		return err
	})
	return p
}

func (t *teller) on(p *player, env ...string) {
	t.do("serve "+p.name, func() (err error) {
		p.p, err = t.r.serve(t.ctx, p.dir, env...)
		return err
	})
}

func (t *teller) off(p *player) {
	t.do("stop "+p.name, func() error { return p.p.stop(t.ctx) })
}

func (t *teller) load(p *player, feed string, files ...string) {
	t.do("load "+feed, func() error {
		for i, f := range files {
			files[i] = filepath.Join(t.r.in(), f)
		}
		return p.p.client.Stream(t.ctx, "load/run", wire.LoadRequest{Feed: feed, Files: files}, nil, nil)
	})
}

func (t *teller) export(medium string) (run string) {
	t.do("export", func() error {
		n := newNotes()
		err := export(t.ctx, t.hub.p.client, "site", medium, n)
		if err == nil {
			run = n.done[0]
		}
		return err
	})
	return run
}

// meet makes the two appliances peers over a medium.
func (t *teller) meet(medium string) {
	t.cards(medium)
	t.peers(medium)
}

func (t *teller) cards(medium string) {
	t.do("cards", func() error {
		for _, p := range []*player{t.hub, t.site} {
			if err := p.p.client.Call(t.ctx, "card/write", wire.MediumRequest{Path: medium}, nil); err != nil {
				return err
			}
		}
		return nil
	})
}

func (t *teller) peers(medium string) {
	t.do("meet", func() error {
		for _, pair := range [][2]*player{{t.hub, t.site}, {t.site, t.hub}} {
			q := wire.PeerRequest{Path: medium, Name: pair[1].name, Fingerprint: pair[1].fingerprint}
			if err := pair[0].p.client.Call(t.ctx, "peers/add", q, nil); err != nil {
				return err
			}
		}
		return nil
	})
}

// medium makes an empty stick.
func (t *teller) medium(name string) string {
	dir := filepath.Join(t.r.dir, "story", name)
	t.do("medium", func() error { return os.MkdirAll(dir, 0o755) })
	return dir
}

// begin keeps where an operation begins. The appliance must be off; medium "" is an empty one.
func (t *teller) begin(name string, p *player, medium string) {
	t.do("keep the start of "+name, func() error {
		o := t.r.op(name)
		o.start = filepath.Join(t.r.dir, "starts", name)
		if err := copyTree(p.dir, filepath.Join(o.start, "d")); err != nil {
			return err
		}
		if medium == "" {
			return os.MkdirAll(filepath.Join(o.start, "medium"), 0o755)
		}
		return copyTree(medium, filepath.Join(o.start, "medium"))
	})
}

// tell tells the story of a hub and a site up to where each operation begins.
func (r *Rig) tell(ctx context.Context) error {
	t := &teller{r: r, ctx: ctx}
	t.do("evidence", r.evidence)
	t.hub, t.site = t.found("hub"), t.found("site")
	first, second := t.medium("first"), t.medium("second")
	t.on(t.hub)
	t.on(t.site)
	t.load(t.hub, "adv", "week1.zip")
	t.load(t.hub, "sboms", "sbom-1.json", "sbom-2.json")
	t.cards(first)
	t.off(t.hub)
	t.met(first)
	t.on(t.hub)
	t.peers(first)
	t.off(t.hub)
	t.off(t.site)
	t.keepLate()
	t.on(t.site)
	t.begin("load", t.hub, "")
	t.begin("export", t.hub, "")
	t.on(t.hub)
	t.export(first)
	t.do("import", func() error {
		return t.site.p.client.Stream(ctx, "import/run", wire.ImportRequest{Path: first, Yes: true}, nil, nil)
	})
	t.load(t.hub, "adv", "week2.zip")
	t.load(t.hub, "sboms", "sbom-3.json", "spdx.json")
	t.load(t.hub, "vex", "vex-1.json", "csaf.json")
	run := t.export(second)
	t.off(t.site)
	t.begin("import", t.site, second)
	t.begin("exchange-site", t.site, second)
	t.on(t.site)
	t.do("exchange", func() error {
		return t.site.p.client.Stream(ctx, "exchange/run", wire.ExchangeRequest{Path: second, Yes: true}, nil, nil)
	})
	t.off(t.site)
	t.load(t.hub, "adv", "week3.zip")
	t.off(t.hub)
	t.begin("exchange-hub", t.hub, second)
	r.op("exchange-hub").delivers = run
	t.begin("backup", t.hub, "")
	t.ill(first, t.deltas(second))
	t.changes(second)
	t.empty()
	t.wreck()
	t.begin("recover", t.hub, "")
	return t.err
}

// wreck leaves the hub as two kills leave it: a layer nobody names, and a run whose bundle is signed and not yet shelved.
func (t *teller) wreck() {
	t.on(t.hub, "SALLYPORT_KILL=load.layer")
	t.do("killed load", func() error {
		err := t.hub.p.client.Stream(t.ctx, "load/run", wire.LoadRequest{Feed: "adv", Files: []string{filepath.Join(t.r.in(), "week4.zip")}}, nil, nil)
		if err == nil {
			return errors.New("it was not killed")
		}
		return t.hub.p.wait(t.ctx)
	})
	t.on(t.hub, "SALLYPORT_KILL=export.signed")
	t.do("killed export", func() error {
		if err := export(t.ctx, t.hub.p.client, "site", "", newNotes()); err == nil {
			return errors.New("it was not killed")
		}
		return t.hub.p.wait(t.ctx)
	})
}
