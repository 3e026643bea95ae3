package keyring

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/durable"
	"sallyport/internal/forge"
)

// made is a ring whose key directory can fail at one step.
func made(t *testing.T, at *int, verdict *durable.Verdict) (*Ring, string) {
	t.Helper()
	dir := t.TempDir()
	steps := 0
	fs := durable.WithHook(func(durable.Op) durable.Verdict {
		if *at == 0 {
			steps = 0
			return durable.Do
		}
		if steps++; steps == *at {
			return *verdict
		}
		return durable.Do
	})
	r, err := Create(dir, fs, forge.Random(1), Options{Tenant: "acme"})
	if err != nil {
		t.Fatal(err)
	}
	return r, dir
}

// At whatever step an exchange fails, both private halves are there, and doing it again finishes it.
func TestExchange(t *testing.T) {
	for _, name := range []string{ApplianceKey, TenantKey("acme")} {
		for at := 0; at <= 12; at++ {
			for _, verdict := range []durable.Verdict{durable.Lose, durable.Keep} {
				fail := 0
				r, _ := made(t, &fail, &verdict)
				what := fmt.Sprintf("%s at %d, %d", name, at, verdict)
				alg, err := algorithm(name)
				if err != nil {
					t.Fatal(err)
				}
				old, err := r.signer(r.path(name), alg)
				if err != nil {
					t.Fatal(err)
				}
				fail = at
				next, err := r.Prepare(name, forge.Random(2))
				if err == nil {
					_ = r.Promote(name, next.Public().ID())
				}
				fail = 0
				again, err := r.Prepare(name, forge.Random(2))
				if err != nil {
					t.Fatalf("%s: %v", what, err)
				}
				use, err := r.signer(r.path(name), alg)
				if err != nil {
					t.Fatalf("%s: %v", what, err)
				}
				if next != nil && use.Public().ID() != next.Public().ID() {
					if again.Public().ID() != next.Public().ID() {
						t.Errorf("%s: the prepared key is lost", what)
					}
					if err := r.Promote(name, next.Public().ID()); err != nil {
						t.Errorf("%s: again: %v", what, err)
					}
				}
				if next == nil {
					if err := r.Promote(name, again.Public().ID()); err != nil {
						t.Errorf("%s: again: %v", what, err)
					}
				}
				if k, err := r.Old(name, old.Public()); err != nil || k == nil || k.Public().ID() != old.Public().ID() {
					t.Errorf("%s: the key before is lost: %v", what, err)
				}
				if name == ApplianceKey {
					continue
				}
				now, err := r.Bundle("acme")
				if err != nil {
					t.Fatal(err)
				}
				if pub, err := os.ReadFile(r.PublicPath("acme")); err == nil && next != nil && at == 0 && !bytes.Equal(pub, now.Public().PEM()) {
					t.Errorf("%s: another public half is published", what)
				}
			}
		}
	}
}

func TestExchangeOfIdentities(t *testing.T) {
	for at := 0; at <= 10; at++ {
		for _, verdict := range []durable.Verdict{durable.Lose, durable.Keep} {
			fail := 0
			r, dir := made(t, &fail, &verdict)
			old, err := r.Recipient()
			if err != nil {
				t.Fatal(err)
			}
			fail = at
			next, err := r.PrepareIdentity(false)
			if err == nil {
				_ = r.PromoteIdentity(next.String())
			}
			fail = 0
			if next.String() == "" {
				if next, err = r.PrepareIdentity(false); err != nil {
					t.Fatal(err)
				}
			}
			if err := r.PromoteIdentity(next.String()); err != nil {
				t.Fatalf("at %d, %d: %v", at, verdict, err)
			}
			ids, err := r.Identities()
			if err != nil || len(ids) != 2 || ids[0].Recipient().String() != next.String() || ids[1].Recipient().String() != old.String() {
				t.Errorf("at %d, %d: %d identities, %v", at, verdict, len(ids), err)
			}
			if _, err := os.Lstat(filepath.Join(dir, "keys", "age.next")); err == nil {
				t.Errorf("at %d, %d: the prepared file is still there", at, verdict)
			}
		}
	}
}

func TestPromoteAnotherKey(t *testing.T) {
	fail, verdict := 0, durable.Do
	r, _ := made(t, &fail, &verdict)
	if err := r.Promote(ApplianceKey, "SHA256:x"); code.Of(err) != code.SigningKey {
		t.Errorf("nothing is prepared: %v", err)
	}
	if _, err := r.Prepare(ApplianceKey, forge.Random(2)); err != nil {
		t.Fatal(err)
	}
	if err := r.Promote(ApplianceKey, "SHA256:x"); code.Of(err) != code.SigningKey {
		t.Errorf("another is prepared: %v", err)
	}
	for _, name := range []string{"root", "tenants/../x", "tenants/", "../x"} {
		if _, err := r.Prepare(name, forge.Random(2)); err == nil {
			t.Errorf("%q was prepared", name)
		}
	}
}

func TestOwnRoots(t *testing.T) {
	fail, verdict := 0, durable.Do
	r, _ := made(t, &fail, &verdict)
	w, err := forge.NewWorld(5)
	if err != nil {
		t.Fatal(err)
	}
	have := [][]byte{w.Hub.RootEnv}
	id := w.Hub.Root.ID()
	if all, err := r.Roots(have); err != nil || len(all) != 1 {
		t.Fatalf("%d %v", len(all), err)
	}
	for range 2 {
		if err := r.AddRoot(id, 2, []byte("two")); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.AddRoot(id, 2, []byte("other")); code.Of(err) != code.RootFork {
		t.Errorf("another version 2: %v", err)
	}
	if err := r.AddRoot(digest.Of([]byte("x")), 2, []byte("of another root")); err != nil {
		t.Error(err)
	}
	if all, err := r.Roots(have); err != nil || len(all) != 2 || string(all[1]) != "two" || len(have) != 1 {
		t.Errorf("%d %v", len(all), err)
	}
}
