package intake

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sallyport/internal/cas"
	"sallyport/internal/clock"
	"sallyport/internal/durable"
	"sallyport/internal/feed"
	"sallyport/internal/forge"
	"sallyport/internal/ident"
	"sallyport/internal/keyring"
	"sallyport/internal/layer"
	"sallyport/internal/marks"
	"sallyport/internal/peer"
	"sallyport/internal/root"
	"sallyport/internal/state"
	"sallyport/internal/timeline"
)

// site is one appliance on disk, with a room.
type site struct {
	t     *testing.T
	name  string
	dir   string
	clock *clock.Fixed
	fs    durable.FS
	self  *Self // of the first opening: keys change, an id and a first root do not
	*Room
}

const instance = "01jtest0000000000000000000"

// newSite makes an appliance of a name with one tenant, opened.
func newSite(t *testing.T, name, tenant string) *site {
	t.Helper()
	s := &site{t: t, name: name, dir: t.TempDir(), clock: clock.NewFixed(forge.Epoch().Add(24 * time.Hour))}
	for _, d := range []string{"layers", "quarantine"} {
		s.must(os.Mkdir(filepath.Join(s.dir, d), 0o700))
	}
	_, err := keyring.Create(s.dir, durable.FS{}, forge.Random(uint64(len(name))*7+uint64(name[0])), keyring.Options{Tenant: tenant})
	s.must(err)
	s.must(state.Create(filepath.Join(s.dir, "state.db"), durable.FS{}, instance))
	s.must(marks.Create(filepath.Join(s.dir, "marks"), durable.FS{}, instance, forge.Epoch()))
	s.must(cas.Create(filepath.Join(s.dir, "cas"), durable.FS{}, instance))
	s.open(durable.FS{})
	s.must(s.State.Update(context.Background(), func(tx *state.Tx) error {
		_, err := s.Timeline.Begin(tx, "init")
		return err
	}))
	t.Cleanup(func() { s.close() })
	return s
}

func (s *site) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// open opens what newSite made, with faults.
func (s *site) open(faults durable.FS) {
	s.t.Helper()
	s.fs = faults
	db, err := state.Open(filepath.Join(s.dir, "state.db"), faults)
	s.must(err)
	blobs, err := cas.Open(filepath.Join(s.dir, "cas"), faults, instance)
	s.must(err)
	blobs.SetReserve(0)
	keys, err := keyring.Open(s.dir, faults)
	s.must(err)
	m, err := marks.Open(filepath.Join(s.dir, "marks"), faults, s.clock)
	s.must(err)
	if s.self == nil {
		id, err := keys.ApplianceID()
		s.must(err)
		tenants, err := keys.Tenants()
		s.must(err)
		s.self = &Self{ID: id, Name: s.name, Tenants: tenants, Roots: [][]byte{s.rootDoc(keys, id, tenants[0])}, Software: "1.0.0", Every: 14 * 86400}
	}
	s.Room = New(Deps{
		State: db, CAS: blobs, Layers: layer.NewDir(filepath.Join(s.dir, "layers"), faults), Keys: keys, Marks: m,
		Timeline: timeline.New(s.self.ID, m.Now, forge.Random(5)), Clock: s.clock, Random: forge.Random(6), FS: faults, DataDir: s.dir, Approvals: 1,
		Self: *s.self,
	})
	s.must(s.Recover(context.Background()))
}

// rootDoc is version 1 of the appliance's root; signatures are deterministic.
func (s *site) rootDoc(keys *keyring.Ring, id, tenant string) []byte {
	own := root.Scope{Tenants: []string{tenant}, Origins: []string{id}}
	doc := root.Document{RootVersion: 1, Roles: map[string]root.Role{}, NotAfter: clock.Format(forge.Epoch().AddDate(10, 0, 0))}
	signer, err := keys.Root()
	s.must(err)
	app, err := keys.Appliance()
	s.must(err)
	pack, err := keys.Bundle(tenant)
	s.must(err)
	anchor, err := keys.Anchor()
	s.must(err)
	from, to := forge.Epoch().AddDate(-1, 0, 0), forge.Epoch().AddDate(10, 0, 0)
	doc.Roles[root.RoleRoot] = root.Role{Threshold: 1, KeyIDs: []string{signer.Public().ID()}}
	doc.Roles[root.RoleAppliance] = root.Role{Threshold: 1, KeyIDs: []string{app.Public().ID()}}
	doc.Roles[root.RoleBundle] = root.Role{Threshold: 1, KeyIDs: []string{pack.Public().ID()}}
	doc.Roles[root.RoleAnchor] = root.Role{Threshold: 1, KeyIDs: []string{anchor.Public().ID()}}
	doc.Keys = []root.KeyEntry{root.Entry(signer.Public(), own, from, to), root.Entry(app.Public(), own, from, to), root.Entry(pack.Public(), own, from, to), root.Entry(anchor.Public(), own, from, to)}
	env, err := root.New(doc, signer)
	s.must(err)
	return env
}

func (s *site) close() {
	if s.Room == nil {
		return
	}
	s.Layers.Close()
	s.State.Close()
	s.Room = nil
}

// reopen is what a restart does, without faults.
func (s *site) reopen() {
	s.t.Helper()
	s.close()
	s.open(durable.FS{})
}

// forged is the site as the forge addresses it, with the keys that let it pack bundles too.
func (s *site) forged() *forge.Appliance {
	s.t.Helper()
	ids, err := s.Keys.Identities()
	s.must(err)
	own, err := chain(s.Self.Roots)
	s.must(err)
	a := &forge.Appliance{ID: s.Self.ID, Name: s.name, Identity: ids[0], Tenant: s.Self.Tenants[0], Root: own, RootEnv: s.Self.Roots[0]}
	a.Key, err = s.Keys.Appliance()
	s.must(err)
	a.Bundle, err = s.Keys.Bundle(a.Tenant)
	s.must(err)
	a.Anchor, err = s.Keys.Anchor()
	s.must(err)
	_, a.CardEnv, err = s.signCard(context.Background(), own)
	s.must(err)
	return a
}

// meetHub makes the forged appliance a peer, by its fingerprint.
func (s *site) meetHub(hub *forge.Appliance) peer.Peer {
	s.t.Helper()
	stick := s.stick(forge.Plan{From: hub})
	p, err := s.AddPeer(context.Background(), stick, AddRequest{Name: hub.Name, Fingerprint: hub.Root.ID().Hex(), Actor: "uid:1001"})
	s.must(err)
	return p
}

// stick writes a forged medium into a directory.
func (s *site) stick(plans ...forge.Plan) string {
	s.t.Helper()
	dir := s.t.TempDir()
	for _, p := range plans {
		b, err := p.Build()
		s.must(err)
		s.must(b.Write(dir))
	}
	return dir
}

// tree is the digest of names and bytes under cas/sha256, layers and marks.
func (s *site) tree() string {
	s.t.Helper()
	h := sha256.New()
	for _, top := range []string{"cas/sha256", "layers", "marks"} {
		err := filepath.WalkDir(filepath.Join(s.dir, top), func(p string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			b, err := os.ReadFile(p)
			fmt.Fprintf(h, "%s %x\n", strings.TrimPrefix(p, s.dir), sha256.Sum256(b))
			return err
		})
		s.must(err)
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

// events counts the timeline by type.
func (s *site) events() map[string]int {
	s.t.Helper()
	n := map[string]int{}
	s.must(s.State.View(func(tx *state.Tx) error {
		return s.Timeline.Read(tx, 0, 0, func(e timeline.Entry) error {
			n[e.Type]++
			return nil
		})
	}))
	return n
}

// active is what a feed of the hub stands at.
func (s *site) active(hub *forge.Appliance, name string) (g feed.Generation, ok bool) {
	s.t.Helper()
	s.must(s.State.View(func(tx *state.Tx) (err error) {
		g, ok, err = feed.Current(tx, ident.FeedRef{Tenant: s.Self.Tenants[0], Origin: hub.ID, Name: name})
		return err
	}))
	return g, ok
}

func world(t *testing.T, seed uint64) *forge.World {
	t.Helper()
	w, err := forge.NewWorld(seed)
	if err != nil {
		t.Fatal(err)
	}
	return w
}
