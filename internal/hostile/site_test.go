package hostile

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/internal/cas"
	"sallyport/internal/clock"
	"sallyport/internal/durable"
	"sallyport/internal/forge"
	"sallyport/internal/intake"
	"sallyport/internal/keyring"
	"sallyport/internal/layer"
	"sallyport/internal/marks"
	"sallyport/internal/peer"
	"sallyport/internal/root"
	"sallyport/internal/seal"
	"sallyport/internal/state"
	"sallyport/internal/timeline"
)

const instance = "01jtest0000000000000000000"

// site is a real appliance on disk that knows the hub and holds Base.
type site struct {
	dir      string
	id       string
	identity seal.Identity
	room     *intake.Room
	log      *timeline.Log
	db       *state.DB
	clock    *clock.Fixed
	mu       sync.Mutex
	hook     func(durable.Op) durable.Verdict // of everything that is made to last; nil: does it
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newSite(t *testing.T, w *forge.World, hybrid bool) *site {
	t.Helper()
	s := &site{dir: t.TempDir()}
	for _, d := range []string{"layers", "quarantine"} {
		check(t, os.Mkdir(filepath.Join(s.dir, d), 0o700))
	}
	at := clock.NewFixed(forge.Epoch().Add(24 * time.Hour))
	s.clock = at
	dfs := durable.WithHook(func(op durable.Op) durable.Verdict {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.hook == nil {
			return durable.Do
		}
		return s.hook(op)
	})
	keys, err := keyring.Create(s.dir, durable.FS{}, forge.Random(71), keyring.Options{Tenant: "acme", Hybrid: hybrid})
	check(t, err)
	check(t, os.MkdirAll(filepath.Join(s.dir, "keys", "dare"), 0o700))
	check(t, os.WriteFile(filepath.Join(s.dir, "keys", "dare", "hub.key"), []byte(w.Dare.String()+"\n"), 0o600))
	check(t, state.Create(filepath.Join(s.dir, "state.db"), durable.FS{}, instance))
	check(t, marks.Create(filepath.Join(s.dir, "marks"), durable.FS{}, instance, forge.Epoch()))
	check(t, cas.Create(filepath.Join(s.dir, "cas"), durable.FS{}, instance))
	s.db, err = state.Open(filepath.Join(s.dir, "state.db"), dfs)
	check(t, err)
	blobs, err := cas.Open(filepath.Join(s.dir, "cas"), dfs, instance)
	check(t, err)
	blobs.SetReserve(0)
	m, err := marks.Open(filepath.Join(s.dir, "marks"), dfs, at)
	check(t, err)
	s.id, err = keys.ApplianceID()
	check(t, err)
	ids, err := keys.Identities()
	check(t, err)
	s.identity = ids[0]
	s.log = timeline.New(s.id, m.Now, forge.Random(5))
	layers := layer.NewDir(filepath.Join(s.dir, "layers"), dfs)
	s.room = intake.New(intake.Deps{
		State: s.db, CAS: blobs, Layers: layers, Keys: keys, Marks: m, Timeline: s.log, Clock: at, Random: forge.Random(6),
		FS: dfs, DataDir: s.dir, Approvals: 1,
		Self: intake.Self{ID: s.id, Name: "site", Tenants: []string{"acme"}, Roots: [][]byte{ownRoot(t, keys, s.id)}, Software: "1.0.0", Every: 14 * 86400},
	})
	t.Cleanup(func() { layers.Close(); s.db.Close() })
	check(t, s.db.Update(context.Background(), func(tx *state.Tx) error {
		_, err := s.log.Begin(tx, "init")
		return err
	}))
	check(t, s.room.Recover(context.Background()))
	s.meet(t, w)
	return s
}

func ownRoot(t *testing.T, keys *keyring.Ring, id string) []byte {
	t.Helper()
	own := root.Scope{Tenants: []string{"acme"}, Origins: []string{id}}
	doc := root.Document{RootVersion: 1, Roles: map[string]root.Role{}, NotAfter: clock.Format(forge.Epoch().AddDate(10, 0, 0))}
	signer, err := keys.Root()
	check(t, err)
	app, err := keys.Appliance()
	check(t, err)
	tenant, err := keys.Bundle("acme")
	check(t, err)
	anchor, err := keys.Anchor()
	check(t, err)
	from, to := forge.Epoch().AddDate(-1, 0, 0), forge.Epoch().AddDate(10, 0, 0)
	doc.Roles[root.RoleRoot] = root.Role{Threshold: 1, KeyIDs: []string{signer.Public().ID()}}
	doc.Roles[root.RoleAppliance] = root.Role{Threshold: 1, KeyIDs: []string{app.Public().ID()}}
	doc.Roles[root.RoleBundle] = root.Role{Threshold: 1, KeyIDs: []string{tenant.Public().ID()}}
	doc.Roles[root.RoleAnchor] = root.Role{Threshold: 1, KeyIDs: []string{anchor.Public().ID()}}
	doc.Keys = []root.KeyEntry{root.Entry(signer.Public(), own, from, to), root.Entry(app.Public(), own, from, to), root.Entry(tenant.Public(), own, from, to), root.Entry(anchor.Public(), own, from, to)}
	env, err := root.New(doc, signer)
	check(t, err)
	return env
}

// meet makes the hub a peer and takes Base in.
func (s *site) meet(t *testing.T, w *forge.World) {
	t.Helper()
	b, err := Base(w).Build()
	check(t, err)
	stick := t.TempDir()
	check(t, b.Write(stick))
	_, err = s.room.AddPeer(context.Background(), stick, intake.AddRequest{Name: w.Hub.Name, Fingerprint: w.Hub.Root.ID().Hex(), Actor: "uid:1001"})
	check(t, err)
	res, err := s.room.Import(context.Background(), intake.Request{Path: stick, Yes: true, Actor: "uid:1001"}, nil)
	check(t, err)
	if !res.Applied {
		t.Fatalf("the base was not applied: %+v", res)
	}
}

// trust makes the hub's root stand at the newest of these versions, as two people would have.
func (s *site) trust(t *testing.T, roots [][]byte) {
	t.Helper()
	check(t, s.db.Update(context.Background(), func(tx *state.Tx) error {
		_, err := peer.Edit(tx, "hub", func(p *peer.Peer) error {
			p.Roots = roots
			return nil
		})
		return err
	}))
}

// tree is the digest of names and bytes below cas/sha256, layers and marks.
func (s *site) tree(t *testing.T) string { return tree(t, s.dir, "cas/sha256", "layers", "marks") }

func tree(t *testing.T, dir string, tops ...string) string {
	t.Helper()
	h := sha256.New()
	for _, top := range tops {
		check(t, filepath.WalkDir(filepath.Join(dir, top), func(p string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			b, err := os.ReadFile(p)
			fmt.Fprintf(h, "%s %x\n", strings.TrimPrefix(p, dir), sha256.Sum256(b))
			return err
		}))
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

// outside lists every file that is neither in quarantine nor in the waiting room.
func (s *site) outside(t *testing.T) []string {
	t.Helper()
	var names []string
	check(t, filepath.WalkDir(s.dir, func(p string, e fs.DirEntry, err error) error {
		kept := strings.HasPrefix(p, filepath.Join(s.dir, "quarantine")+"/") || strings.HasPrefix(p, filepath.Join(s.dir, "waiting")+"/")
		if err == nil && !e.IsDir() && !kept {
			names = append(names, p)
		}
		return err
	}))
	slices.Sort(names)
	return names
}

// events are the types on the timeline, in order.
func (s *site) events(t *testing.T) []string {
	t.Helper()
	var types []string
	check(t, s.db.View(func(tx *state.Tx) error {
		return s.log.Read(tx, 0, 0, func(e timeline.Entry) error {
			types = append(types, e.Type)
			return nil
		})
	}))
	return types
}
