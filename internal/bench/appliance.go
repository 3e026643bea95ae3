package bench

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

const tenant = "acme"

// appliance is one data directory and, while it runs, its daemon.
type appliance struct {
	l         *lab
	name, dir string
	d         *daemon
}

// found makes an appliance and starts it.
func (l *lab) found(name, dir string) (*appliance, error) {
	a := &appliance{l: l, name: name, dir: dir}
	if _, err := a.do("init", "--name", name, "--tenant", tenant); err != nil {
		return nil, err
	}
	return a, a.start()
}

func (a *appliance) start() (err error) {
	a.d, err = a.l.serve(a.dir, func() bool { _, err := a.do("status"); return err == nil })
	return err
}

func (a *appliance) stop() {
	if a != nil && a.d != nil {
		a.d.stop()
		a.d = nil
	}
}

// do runs one command of sallyport on this appliance.
func (a *appliance) do(args ...string) (Cost, error) {
	cost, _, err := a.out(args...)
	return cost, err
}

func (a *appliance) out(args ...string) (Cost, []byte, error) {
	return a.l.run(filepath.Join(a.l.Build, "sallyport"), append(args, "--data-dir", a.dir)...)
}

// card asks the appliance who it is.
func (a *appliance) card() (card struct{ Fingerprint, Recipient string }, err error) {
	_, out, err := a.out("card", "--json")
	if err != nil {
		return card, err
	}
	return card, json.Unmarshal(out, &card)
}

// identity is the file that opens what is sealed for this appliance.
func (a *appliance) identity() string { return filepath.Join(a.dir, "keys", "age.key") }

// copy makes a second data directory of a stopped appliance, so that a round starts where every other did.
func (a *appliance) copy(dir string) (*appliance, error) {
	if _, err := a.l.shell(`cp -a "$FROM" "$TO"`, "FROM="+a.dir, "TO="+dir); err != nil {
		return nil, err
	}
	return &appliance{l: a.l, name: a.name, dir: dir}, nil
}

// pair is a hub that has loaded evidence and a site that trusts it and was never given anything. The site is stopped.
type pair struct {
	l         *lab
	dir       string
	hub, site *appliance
	key       string // file with the hub's public bundle key
	recipient string // the site's
	load      Phase
}

// pair makes hub and site for one kind of evidence; load brings it into the hub.
func (l *lab) pair(name string, load func(hub *appliance) (Cost, error)) (p *pair, err error) {
	if p := l.made[name]; p != nil {
		return p, nil
	}
	p = &pair{l: l, dir: l.path(name)}
	if err := os.MkdirAll(p.medium(), 0o755); err != nil {
		return nil, err
	}
	l.made[name] = p
	if p.hub, err = l.found("hub", filepath.Join(p.dir, "hub")); err != nil {
		return nil, err
	}
	if p.site, err = l.found("site", filepath.Join(p.dir, "site")); err != nil {
		return nil, err
	}
	if err := p.meet(); err != nil {
		return nil, err
	}
	p.site.stop()
	p.load, err = p.hub.d.phase(p.hub.dir, func() (Cost, error) { return load(p.hub) })
	return p, err
}

// medium is the directory that stands for a stick.
func (p *pair) medium() string { return filepath.Join(p.dir, "stick") }

// meet makes both trust each other, by card and fingerprint.
func (p *pair) meet() error {
	cards := filepath.Join(p.dir, "cards")
	if err := os.MkdirAll(cards, 0o755); err != nil {
		return err
	}
	for _, a := range []*appliance{p.hub, p.site} {
		if _, err := a.do("card", "--to", cards); err != nil {
			return err
		}
	}
	for _, one := range [][2]*appliance{{p.hub, p.site}, {p.site, p.hub}} {
		c, err := one[1].card()
		if err != nil {
			return err
		}
		if _, err := one[0].do("peers", "add", cards, "--fingerprint", c.Fingerprint); err != nil {
			return err
		}
	}
	c, err := p.site.card()
	p.recipient = c.Recipient
	p.key = filepath.Join(cards, "sallyport", "pub", "hub", "tenants", tenant, "export-center.pub")
	return err
}

// export makes a bundle. It stays on the hub's shelf, and its folder there is returned.
func (p *pair) export(args ...string) (Phase, string, error) {
	var out []byte
	ph, err := p.hub.d.phase("", func() (c Cost, err error) {
		c, out, err = p.hub.out(append([]string{"stella", "export", "run", "submit", "--profile", "mirror:full", "--watch", "--json"}, args...)...)
		return c, err
	})
	if err != nil {
		return ph, "", err
	}
	var run struct{ Shelf string }
	if err := json.Unmarshal(out, &run); err != nil || run.Shelf == "" {
		return ph, "", fmt.Errorf("answer of export: %q: %w", out, err)
	}
	return ph, filepath.Join(p.hub.dir, "shelf", run.Shelf), nil
}

// verify has mirror check a bundle's folder or a medium.
func (p *pair) verify(what string, args ...string) (Cost, error) {
	c, _, err := p.l.run(filepath.Join(p.l.Build, "mirror"), append([]string{"verify", what, "--key", p.key}, args...)...)
	return c, err
}

// imported lets a fresh copy of the site take in what lies on the medium. The copy is removed.
func (p *pair) imported(args ...string) (ph Phase, err error) {
	a, err := p.site.copy(filepath.Join(p.dir, "site-now"))
	if err != nil {
		return ph, err
	}
	defer os.RemoveAll(a.dir)
	if err := a.start(); err != nil {
		return ph, err
	}
	defer a.stop()
	return a.d.phase(a.dir, func() (Cost, error) {
		return a.do(append([]string{"import", p.medium()}, args...)...)
	})
}

// idle is a daemon's memory a moment after it was started on what it holds.
func (a *appliance) idle() (Phase, error) {
	a.stop()
	if err := a.start(); err != nil {
		return Phase{}, err
	}
	ph := Phase{}
	for range 20 {
		_, now, anon := memoryOf(a.d.proc("status"))
		ph.Peak, ph.Anon = now, anon
		if _, err := a.do("feeds", "list"); err != nil {
			return ph, err
		}
	}
	return ph, nil
}

func (p *pair) stop() {
	p.hub.stop()
	p.site.stop()
}

// payload is the one volume of a bundle's folder.
func payload(dir string) (string, int64, error) {
	for _, ext := range []string{".age", ".zst"} {
		if list, _ := filepath.Glob(filepath.Join(dir, "*.tar.zst*")); len(list) == 1 && filepath.Ext(list[0]) == ext {
			st, err := os.Stat(list[0])
			if err != nil {
				return "", 0, err
			}
			return list[0], st.Size(), nil
		}
	}
	return "", 0, fmt.Errorf("%s: not exactly one volume", dir)
}
