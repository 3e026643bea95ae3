package export_test

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sallyport/internal/attest"
	"sallyport/internal/cas"
	"sallyport/internal/clock"
	"sallyport/internal/durable"
	"sallyport/internal/export"
	"sallyport/internal/export/mirror"
	"sallyport/internal/export/outbound"
	"sallyport/internal/forge"
	"sallyport/internal/job"
	"sallyport/internal/keyring"
	"sallyport/internal/layer"
	"sallyport/internal/load"
	"sallyport/internal/marks"
	"sallyport/internal/peer"
	"sallyport/internal/root"
	"sallyport/internal/sample"
	"sallyport/internal/seal"
	"sallyport/internal/state"
	"sallyport/internal/timeline"
	"sallyport/internal/verify"
)

const (
	tenant   = "acme"
	instance = "01jexporttest"
)

// hub is one appliance on disk with an export room, and a site it knows.
type hub struct {
	t      testing.TB
	dir    string
	fs     durable.FS
	clock  *clock.Fixed
	random io.Reader
	site   *forge.Appliance
	self   export.Self
	trust  *root.Trusted
	tune   func(*export.Deps)

	deps export.Deps
	room *export.Room
}

// newHub makes an appliance from a seed: same seed, same keys, ids and clock.
func newHub(t testing.TB, seed uint64) *hub {
	t.Helper()
	h := &hub{t: t, dir: filepath.Join(t.TempDir(), "hub"), clock: clock.NewFixed(forge.Epoch()), random: forge.Random(seed)}
	must(t, os.Mkdir(h.dir, 0o700))
	must(t, state.Create(h.path("state.db"), durable.FS{}, instance))
	must(t, cas.Create(h.path("cas"), durable.FS{}, instance))
	must(t, marks.Create(h.path("marks"), durable.FS{}, instance, forge.Epoch().AddDate(0, -1, 0)))
	keys, err := keyring.Create(h.dir, durable.FS{}, h.random, keyring.Options{Tenant: tenant})
	must(t, err)
	h.self.Name, h.self.Software = "hub", "1.0.0"
	h.self.ID, err = keys.ApplianceID()
	must(t, err)
	h.self.Roots = [][]byte{rootOf(t, keys, h.self.ID)}
	h.trust, err = root.First(h.self.Roots[0], time.Time{})
	must(t, err)
	world, err := forge.NewWorld(seed + 1)
	must(t, err)
	h.site = world.Site
	h.open()
	must(t, h.deps.State.Update(t.Context(), func(tx *state.Tx) error {
		_, err := peer.Add(tx, peer.Peer{
			Name: "site", ID: h.site.ID, Tenant: tenant, TheirTenant: tenant, RootID: h.site.Root.ID(), Roots: [][]byte{h.site.RootEnv},
			Recipient: h.site.Identity.Recipient().String(), Reads: peer.Reads{BundleVersion: 1}, Trust: peer.Trust{How: peer.ByFingerprint},
		}, h.clock.Now())
		return err
	}))
	t.Cleanup(h.close)
	return h
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (h *hub) path(name string) string { return filepath.Join(h.dir, name) }

func rootOf(t testing.TB, keys *keyring.Ring, id string) []byte {
	t.Helper()
	from, to := forge.Epoch().AddDate(-1, 0, 0), forge.Epoch().AddDate(5, 0, 0)
	doc := root.Document{RootVersion: 1, Roles: map[string]root.Role{}, NotAfter: clock.Format(to)}
	var top *attest.Signer
	for role, get := range map[string]func() (*attest.Signer, error){
		root.RoleRoot: keys.Root, root.RoleAppliance: keys.Appliance, root.RoleAnchor: keys.Anchor,
		root.RoleBundle: func() (*attest.Signer, error) { return keys.Bundle(tenant) },
	} {
		s, err := get()
		must(t, err)
		if role == root.RoleRoot {
			top = s
		}
		doc.Roles[role] = root.Role{Threshold: 1, KeyIDs: []string{s.Public().ID()}}
		doc.Keys = append(doc.Keys, root.Entry(s.Public(), root.Scope{Tenants: []string{tenant}, Origins: []string{id}}, from, to))
	}
	env, err := root.New(doc, top)
	must(t, err)
	return env
}

// fork copies a closed appliance, so that many cases begin with the same filled store.
func (h *hub) fork(t testing.TB) *hub {
	t.Helper()
	f := &hub{
		t: t, dir: filepath.Join(t.TempDir(), "hub"), clock: clock.NewFixed(h.clock.Now()), random: forge.Random(99), site: h.site,
		self: h.self, trust: h.trust,
	}
	must(t, filepath.WalkDir(h.dir, func(p string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		to := filepath.Join(f.dir, strings.TrimPrefix(p, h.dir))
		if d.IsDir() {
			return os.Mkdir(to, 0o700)
		}
		data, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		return os.WriteFile(to, data, 0o600)
	}))
	f.open()
	t.Cleanup(f.close)
	return f
}

// open opens the stores with the present fault seam and makes a room, not started.
func (h *hub) open() {
	h.t.Helper()
	db, err := state.Open(h.path("state.db"), h.fs)
	must(h.t, err)
	store, err := cas.Open(h.path("cas"), h.fs, instance)
	must(h.t, err)
	keys, err := keyring.Open(h.dir, h.fs)
	must(h.t, err)
	m, err := marks.Open(h.path("marks"), h.fs, h.clock)
	must(h.t, err)
	h.deps = export.Deps{
		State: db, CAS: store, Layers: layer.NewDir(h.path("layers"), h.fs), Keys: keys, Marks: m,
		Timeline: timeline.New(h.self.ID, m.Now, h.random), Clock: h.clock, Random: h.random, FS: h.fs, Self: h.self, DataDir: h.dir,
		Kinds: []export.Kind{mirror.Full{}, mirror.Delta{}, outbound.Site{Papers: h.papers}},
	}
	if testing.Verbose() {
		h.deps.Log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	if h.tune != nil {
		h.tune(&h.deps)
	}
	h.room = export.New(h.deps)
}

// close closes everything; the room may have been closed before.
func (h *hub) close() {
	if h.room == nil {
		return
	}
	h.room.Close()
	h.deps.Layers.Close()
	h.deps.State.Close()
	h.room = nil
}

// restart is what a new start of the daemon does after a crash, with faults no more.
func (h *hub) restart() {
	h.t.Helper()
	h.close()
	h.fs = durable.FS{}
	h.open()
	must(h.t, h.room.Start(h.t.Context()))
}

func (h *hub) papers(context.Context, string) (outbound.Papers, error) {
	return outbound.Papers{Receipts: []outbound.Paper{{Name: "R-0001.receipt.json", Envelope: []byte(`{"r":1}`)}}, Inventory: []byte(`{"i":1}`)}, nil
}

// fill loads n advisories, three SBOMs and a VEX document into three feeds.
func (h *hub) fill(n int) {
	h.t.Helper()
	h.fillFrom(h.t.TempDir(), n)
}

// fillFrom is fill with files made in src; the load record names them, so two appliances with equal inputs share it.
func (h *hub) fillFrom(src string, n int) {
	h.t.Helper()
	var z bytes.Buffer
	zw := zip.NewWriter(&z)
	for i := range n {
		w, err := zw.Create(sample.AdvisoryID(i) + ".json")
		must(h.t, err)
		_, err = w.Write(sample.Advisory(7, i))
		must(h.t, err)
	}
	must(h.t, zw.Close())
	write := func(name string, data []byte) string {
		p := filepath.Join(src, name)
		must(h.t, os.WriteFile(p, data, 0o600))
		return p
	}
	h.load("osv-go", write("all.zip", z.Bytes()))
	h.load("sboms", write("a.cdx.json", sample.SBOM(7, 1)), write("b.cdx.json", sample.SBOM(7, 2)), write("c.spdx.json", sample.SPDX(7, 3)))
	h.load("vex", write("v.json", sample.VEX(7, 1)))
}

func (h *hub) load(feed string, files ...string) {
	h.t.Helper()
	r := &load.Room{
		State: h.deps.State, CAS: h.deps.CAS, Layers: h.deps.Layers, Timeline: h.deps.Timeline, Marks: h.deps.Marks, DataDir: h.dir,
		Self: load.Self{ID: h.self.ID, Name: h.self.Name}, Clock: h.clock, Random: h.random, FS: h.fs,
	}
	res, err := r.Load(h.t.Context(), load.Request{Tenant: tenant, Feed: feed, Files: files, Strict: true, Actor: "test"}, nil)
	if err != nil {
		h.t.Fatalf("load %s: %v (%+v)", feed, err, res.Rejects)
	}
}

// run submits a request and waits for its end.
func (h *hub) run(q export.Request) (export.Run, error) {
	h.t.Helper()
	q.Tenant, q.Profile, q.Actor = tenant, "mirror:full", "test"
	id, err := h.room.Submit(h.t.Context(), q)
	if err != nil {
		return export.Run{}, err
	}
	return h.room.Wait(h.t.Context(), id)
}

// mustRun is run that has to succeed.
func (h *hub) mustRun(q export.Request) export.Run {
	h.t.Helper()
	run, err := h.run(q)
	if err != nil {
		h.t.Fatalf("run: %v (%+v)", err, run)
	}
	return run
}

func (h *hub) shelf(run export.Run) string { return filepath.Join(h.room.Shelf(), run.Shelf) }

// gate opens a bundle folder as a site does: with the hub's root, and the site's identity unless bare.
func (h *hub) gate(dir string, ids ...seal.Identity) (*verify.Bundle, error) {
	o := verify.Options{Trust: verify.Trust{Roots: []*root.Trusted{h.trust}}, Identities: ids, Now: h.clock.Now(), Audience: h.site.ID}
	fsys := os.DirFS(filepath.Dir(dir))
	p, err := verify.CheckLabel(h.t.Context(), fsys, filepath.Base(dir), o)
	if err != nil {
		return nil, fmt.Errorf("label: %w", err)
	}
	if err := verify.Outer(h.t.Context(), p, o); err != nil {
		return nil, fmt.Errorf("outer: %w", err)
	}
	if !p.ForUs(ids, h.site.ID) {
		return nil, errors.New("not for the site")
	}
	return verify.Open(h.t.Context(), p, o)
}

// events lists the types of the timeline.
func (h *hub) events() (list []string) {
	h.t.Helper()
	must(h.t, h.deps.State.View(func(tx *state.Tx) error {
		return h.deps.Timeline.Read(tx, 0, 0, func(e timeline.Entry) error {
			list = append(list, e.Type)
			return nil
		})
	}))
	return list
}

func (h *hub) stored(id string) job.Run {
	h.t.Helper()
	run, err := h.room.Show(h.t.Context(), id)
	must(h.t, err)
	return run.Run
}
