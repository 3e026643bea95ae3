package courier_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sallyport/internal/attest"
	"sallyport/internal/bundle"
	"sallyport/internal/forge"
	"sallyport/internal/root"
)

// A root key that was rotated away can still write a chain that is whole in itself. It must not take over from the version
// that is trusted, however high it counts.
func TestForkedRootChain(t *testing.T) {
	s := newStick(t, nil)
	hub := s.w.Hub
	fresh, err := attest.NewSigner(attest.Ed25519, forge.Random(77))
	if err != nil {
		t.Fatal(err)
	}
	rotated := version(t, hub, 2, func(d *root.Document) {
		old := hub.RootKey.Public().ID()
		for _, e := range d.Keys {
			if e.KeyID == old {
				d.Keys = append(d.Keys, root.KeyEntry{KeyID: fresh.Public().ID(), Alg: fresh.Public().Alg(), Public: fresh.Public().Text(), Scope: e.Scope, NotBefore: e.NotBefore, NotAfter: e.NotAfter})
			}
		}
		d.Roles[root.RoleRoot] = root.Role{Threshold: 1, KeyIDs: []string{fresh.Public().ID()}}
	}, hub.RootKey, fresh)
	evil := func(d *root.Document) {
		for _, e := range d.Keys {
			if e.KeyID == hub.Bundle.Public().ID() {
				k := s.w.Stranger.Bundle.Public()
				d.Keys = append(d.Keys, root.KeyEntry{KeyID: k.ID(), Alg: k.Alg(), Public: k.Text(), Scope: e.Scope, NotBefore: e.NotBefore, NotAfter: e.NotAfter})
			}
		}
		d.Roles[root.RoleBundle] = root.Role{Threshold: 1, KeyIDs: []string{s.w.Stranger.Bundle.Public().ID()}}
	}
	forged, err := forge.Plan{From: hub, Signers: []*attest.Signer{s.w.Stranger.Bundle}, Labelers: []*attest.Signer{s.w.Stranger.Bundle}}.Build()
	if err != nil {
		t.Fatal(err)
	}
	dir, id := t.TempDir(), hub.Root.ID().Short()
	if err := forged.Write(dir); err != nil {
		t.Fatal(err)
	}
	roots := filepath.Join(dir, "sallyport", "roots")
	for n, env := range map[string][]byte{
		".1.root.json": hub.RootEnv,
		".2.root.json": version(t, hub, 2, evil, hub.RootKey),
		".3.root.json": version(t, hub, 3, evil, hub.RootKey),
	} {
		if err := os.WriteFile(filepath.Join(roots, id+n), env, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	trusted := t.TempDir()
	for n, env := range map[string][]byte{"a.1.root.json": hub.RootEnv, "a.2.root.json": rotated} {
		if err := os.WriteFile(filepath.Join(trusted, n), env, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want(t, 7, "NOT VERIFIED", nil, "verify", dir, "--root", trusted)

	// The rightful successor still takes over from version 1.
	if err := os.WriteFile(filepath.Join(s.dir, "sallyport", "roots", id+".2.root.json"), rotated, 0o644); err != nil {
		t.Fatal(err)
	}
	want(t, 0, verifiedLine, []string{"version 2 of the trust root, rightly signed after version 1"}, "verify", s.dir, "--root", s.root, "--identity", s.age)
}

// At most 64 versions in a row are followed from the one that is trusted, whoever signed the rest.
func TestLongRootChain(t *testing.T) {
	s := newStick(t, nil)
	hub := s.w.Hub
	for n := int64(1); n <= 1+root.MaxChain+5; n++ {
		env := hub.RootEnv
		if n > 1 {
			env = version(t, hub, n, func(d *root.Document) {
				d.TimeEpoch = n
				if n > 1+root.MaxChain { // believed, this would end the key the bundle is signed with
					d.Revoked = append(d.Revoked, root.Revocation{KeyID: hub.Bundle.Public().ID(), From: d.Keys[0].NotBefore})
				}
			}, hub.RootKey)
		}
		name := fmt.Sprintf("%s.%d.root.json", hub.Root.ID().Short(), n)
		if err := os.WriteFile(filepath.Join(s.dir, "sallyport", "roots", name), env, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want(t, 0, verifiedLine, []string{"version 65 of the trust root, rightly signed after version 1"}, "verify", s.dir, "--root", s.root, "--identity", s.age)
	want(t, 0, verifiedLine, nil, "verify", s.dir, "--key-words", hub.Root.Words(), "--identity", s.age)
}

// version signs a version of an appliance's trust root, changed by edit.
func version(t *testing.T, a *forge.Appliance, n int64, edit func(*root.Document), signers ...*attest.Signer) []byte {
	t.Helper()
	doc := a.Root.Document()
	doc.RootVersion, doc.RootID = n, a.Root.ID()
	edit(&doc)
	env, err := root.New(doc, signers...)
	if err != nil {
		t.Fatal(err)
	}
	return env
}

// A verdict is about the file that was named: one that only looks like part of a good bundle gets none.
func TestFileBesideBundle(t *testing.T) {
	s := newStick(t, nil)
	dir := filepath.Join(s.dir, filepath.FromSlash(s.b.Dir))
	for _, name := range []string{s.b.Label.Name + ".tar.zst.bak", "._" + s.b.Label.Name + ".label.json"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("other bytes"), 0o644); err != nil {
			t.Fatal(err)
		}
		want(t, 6, "NOT VERIFIED", nil, "verify", filepath.Join(dir, name), "--key", s.pub)
	}
	link := filepath.Join(dir, s.b.Label.Name+".tar.zst")
	if err := os.Symlink(filepath.Join(dir, s.b.Label.Name+".tar.zst.bak"), link); err != nil {
		t.Fatal(err)
	}
	if status, out, _ := mirror(t, "verify", link, "--key", s.pub); status == 0 || strings.HasPrefix(out, "INTACT") {
		t.Errorf("a link named like a volume: exit %d\n%s", status, out)
	}
}

// The outer bytes of a relayed bundle are as the relay signed them, not as the origin did.
func TestRelayIsNamed(t *testing.T) {
	s := newStick(t, func(w *forge.World, p *forge.Plan) { p.Packer = w.Stranger })
	key := s.keep(t, "relay.pub", s.w.Stranger.Bundle.Public().PEM())
	want(t, 0, "INTACT, SEALED: every outer byte is as acme ("+s.w.Stranger.ID+") signed it;", []string{"packed by"}, "verify", s.dir, "--key", key)
	want(t, 0, verifiedLine, nil, "verify", s.dir, "--key", key, "--key", s.pub, "--identity", s.age)
}

// --to may be written with a slash at its end.
func TestExtractSlash(t *testing.T) {
	s := newStick(t, func(_ *forge.World, p *forge.Plan) { p.Seal = bundle.SealNone })
	to := filepath.Join(t.TempDir(), "out") + string(filepath.Separator)
	want(t, 0, verifiedLine, nil, "extract", s.dir, "--key", s.pub, "--to", to)
}
