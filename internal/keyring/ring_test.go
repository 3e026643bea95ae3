package keyring

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sallyport/internal/attest"
	"sallyport/internal/code"
	"sallyport/internal/durable"
	"sallyport/internal/ident"
	"sallyport/internal/seal"
)

func random(seed byte) io.Reader { return rand.NewChaCha8([32]byte{seed}) }

func create(t *testing.T, dir string) *Ring {
	t.Helper()
	r, err := Create(dir, durable.FS{}, random(1), Options{Tenant: "acme"})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestCreateMakesEverything(t *testing.T) {
	dir := t.TempDir()
	create(t, dir)
	r, err := Open(dir, durable.FS{})
	if err != nil {
		t.Fatal(err)
	}
	for name, get := range map[string]func() (*attest.Signer, error){"appliance": r.Appliance, "anchor": r.Anchor, "root": r.Root} {
		s, err := get()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if s.Public().Alg() != "ed25519" {
			t.Errorf("%s is %s", name, s.Public().Alg())
		}
	}
	b, err := r.Bundle("acme")
	if err != nil || b.Public().Alg() != "ecdsa-p256" {
		t.Fatalf("bundle key: %v", err)
	}
	pub, err := os.ReadFile(filepath.Join(dir, "pub/tenants/acme/export-center.pub"))
	if err != nil || !bytes.Equal(pub, b.Public().PEM()) {
		t.Errorf("public half: %v", err)
	}
	id, err := r.ApplianceID()
	if err != nil || ident.Appliance(id) != nil {
		t.Errorf("id %q %v", id, err)
	}
	if ts, err := r.Tenants(); fmt.Sprint(ts) != "[acme]" || err != nil {
		t.Errorf("tenants %v %v", ts, err)
	}
	for _, name := range []string{"appliance", "anchor", "root", "age", "tenants/acme"} {
		if st, err := os.Stat(r.path(name)); err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", name, st, err)
		}
	}
}

func TestAgeFileIsStandard(t *testing.T) {
	for _, hybrid := range []bool{false, true} {
		dir := t.TempDir()
		r, err := Create(dir, durable.FS{}, random(1), Options{Tenant: "acme", Hybrid: hybrid})
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(dir, "keys/age.key"))
		if err != nil {
			t.Fatal(err)
		}
		rec, err := r.Recipient()
		if err != nil || rec.Hybrid() != hybrid {
			t.Fatalf("recipient %s %v", rec, err)
		}
		lines := strings.Split(string(b), "\n")
		if len(lines) != 3 || lines[0] != "# public key: "+rec.String() || !strings.HasPrefix(lines[1], "AGE-SECRET-KEY-") || lines[2] != "" {
			t.Errorf("%d lines, first %q", len(lines), lines[0])
		}
	}
}

func TestCreateAgainKeepsKeys(t *testing.T) {
	dir := t.TempDir()
	first := create(t, dir)
	id, _ := first.ApplianceID()
	rec, _ := first.Recipient()
	again, err := Create(dir, durable.FS{}, random(2), Options{Tenant: "acme"})
	if err != nil {
		t.Fatal(err)
	}
	if id2, _ := again.ApplianceID(); id2 != id {
		t.Error("a key was overwritten")
	}
	if rec2, _ := again.Recipient(); rec2.String() != rec.String() {
		t.Error("the identity was overwritten")
	}
}

// TestFaults: init interrupted at every durable step, both ways, is finished by running it again, and keys that were
// there stay the same.
func TestFaults(t *testing.T) {
	steps := 0
	count := durable.WithHook(func(durable.Op) durable.Verdict { steps++; return durable.Do })
	if _, err := Create(t.TempDir(), count, random(1), Options{Tenant: "acme"}); err != nil {
		t.Fatal(err)
	}
	for _, v := range []durable.Verdict{durable.Lose, durable.Keep} {
		for at := 1; at <= steps; at++ {
			dir := t.TempDir()
			n := 0
			_, err := Create(dir, durable.WithHook(func(durable.Op) durable.Verdict {
				if n++; n == at {
					return v
				}
				return durable.Do
			}), random(1), Options{Tenant: "acme"})
			if err == nil {
				t.Errorf("%v at %d: nobody heard of it", v, at)
			}
			before := read(t, dir)
			r, err := Create(dir, durable.FS{}, random(3), Options{Tenant: "acme"})
			if err != nil {
				t.Fatalf("%v at %d: again: %v", v, at, err)
			}
			for name, b := range before {
				if after, _ := os.ReadFile(name); strings.HasSuffix(name, ".key") && !bytes.Equal(after, b) {
					t.Errorf("%v at %d: %s changed", v, at, name)
				}
			}
			if _, err := r.Bundle("acme"); err != nil {
				t.Errorf("%v at %d: %v", v, at, err)
			}
			if _, err := os.Stat(r.PublicPath("acme")); err != nil {
				t.Errorf("%v at %d: %v", v, at, err)
			}
		}
	}
}

func read(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	err := filepath.WalkDir(dir, func(p string, e os.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			files[p], err = os.ReadFile(p)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestUnusableKeysSaySigning(t *testing.T) {
	dir := t.TempDir()
	r := create(t, dir)
	is := func(what string, err error) {
		t.Helper()
		if code.Of(err) != code.SigningKey {
			t.Errorf("%s: %v", what, err)
		}
	}
	os.Chmod(r.path("appliance"), 0o640)
	_, err := r.Appliance()
	is("readable by the group", err)
	os.Chmod(r.path("appliance"), 0o600)
	if _, err := r.Appliance(); err != nil {
		t.Errorf("readable again: %v", err)
	}
	os.Rename(r.path("root"), r.path("root")+".offline")
	_, err = r.Root()
	is("taken offline", err)
	b, _ := os.ReadFile(r.path("tenants/acme"))
	os.WriteFile(r.path("anchor"), b, 0o600)
	_, err = r.Anchor()
	is("a key of another kind", err)
	os.WriteFile(r.path("anchor"), []byte("garbage"), 0o600)
	_, err = r.Anchor()
	is("garbage", err)
	os.WriteFile(r.path("age"), []byte("# nothing\n"), 0o600)
	_, err = r.Identities()
	is("no identity", err)
	_, err = r.Bundle("../acme")
	is("a path as tenant", err)
	_, err = r.Bundle("other")
	is("no such tenant", err)
	_, err = Open(filepath.Join(dir, "nowhere"), durable.FS{})
	is("no directory", err)
	for what, err := range map[string]error{"secret in an error": err} {
		if strings.Contains(err.Error(), "PRIVATE KEY") || strings.Contains(err.Error(), "AGE-SECRET") {
			t.Error(what)
		}
	}
}

func TestSharedKeys(t *testing.T) {
	r := create(t, t.TempDir())
	if ks, err := r.DareKeys(); len(ks) != 0 || err != nil {
		t.Errorf("at first: %v %v", ks, err)
	}
	k, err := seal.NewDareKey(random(9))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.SetDare("site-07", k); err != nil {
		t.Fatal(err)
	}
	if got, err := r.Dare("site-07"); got != k || err != nil {
		t.Errorf("read back: %v", err)
	}
	if ks, err := r.DareKeys(); len(ks) != 1 || ks[0] != k || err != nil {
		t.Errorf("all: %d %v", len(ks), err)
	}
	if err := r.SetDare("../x", k); err == nil {
		t.Error("a path as peer")
	}
	if _, err := r.Dare("site-08"); code.Of(err) != code.SigningKey {
		t.Errorf("no such peer: %v", err)
	}
}
