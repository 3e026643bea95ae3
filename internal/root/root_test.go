package root

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sallyport/internal/attest"
	"sallyport/internal/canon"
	"sallyport/internal/clock"
	"sallyport/internal/code"
	"sallyport/internal/digest"
)

var update = flag.Bool("update", false, "write the vectors anew")

const vectorDir = "../../testdata/vectors/roots"

var (
	start  = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	end    = start.AddDate(5, 0, 0)
	origin = "ap1" + strings.Repeat("a", 32)
	other  = "ap1" + strings.Repeat("b", 32)
)

func signer(t testing.TB, alg, name string) *attest.Signer {
	t.Helper()
	var b []byte
	for i := range 4 {
		sum := sha256.Sum256(fmt.Appendf(nil, "%s %d", name, i))
		b = append(b, sum[:]...)
	}
	s, err := attest.NewSigner(alg, bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

type keys struct{ r1, r2, r3, hub, pack, appliance, anchor, stranger *attest.Signer }

func cast(t testing.TB) keys {
	ed := func(name string) *attest.Signer { return signer(t, attest.Ed25519, name) }
	return keys{ed("root 1"), ed("root 2"), ed("root 3"), signer(t, attest.ECDSA, "hub"), ed("pack"), ed("appliance"), ed("anchor"), ed("stranger")}
}

func ids(ss ...*attest.Signer) (out []string) {
	for _, s := range ss {
		out = append(out, s.Public().ID())
	}
	return out
}

// base is version 1: one root key of one.
func (k keys) base() Document {
	scope := Scope{Tenants: []string{"acme"}, Origins: []string{origin}}
	d := Document{RootVersion: 1, NotAfter: clock.Format(end), Roles: map[string]Role{
		RoleRoot: {1, ids(k.r1)}, RoleBundle: {1, ids(k.hub)}, RolePack: {1, ids(k.pack)}, RoleAppliance: {1, ids(k.appliance)}, RoleAnchor: {1, ids(k.anchor)},
	}}
	for _, s := range []*attest.Signer{k.r1, k.hub, k.pack, k.appliance, k.anchor} {
		d.Keys = append(d.Keys, Entry(s.Public(), scope, start, end))
	}
	return d
}

func (k keys) first(t testing.TB) *Trusted {
	t.Helper()
	b, err := New(k.base(), k.r1)
	if err != nil {
		t.Fatal(err)
	}
	r, err := First(b, start)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// next is a version after r whose root keys are given.
func next(r *Trusted, n, threshold int64, roots ...*attest.Signer) Document {
	d := r.Document()
	d.RootVersion, d.RootID = n, r.ID()
	for _, s := range roots {
		if d.entry(s.Public().ID()) == nil {
			d.Keys = append(d.Keys, Entry(s.Public(), Scope{Tenants: []string{Any}, Origins: []string{Any}}, start, end))
		}
	}
	d.Roles[RoleRoot] = Role{threshold, ids(roots...)}
	return d
}

// raw signs a document without New's checks.
func raw(t testing.TB, d Document, signers ...*attest.Signer) []byte {
	t.Helper()
	d.fill()
	payload, err := canon.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	b, err := attest.Sign(attest.TypeRoot, payload, signers...)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// vector is a chain, the last link of which has the code.
type vector struct {
	Name  string   `json:"name"`
	Files []string `json:"files"`
	Code  string   `json:"code"`
	chain [][]byte
}

func cases(t testing.TB) (vs []vector) {
	k := cast(t)
	r1 := k.first(t)
	add := func(name string, c code.Code, chain ...[]byte) {
		vs = append(vs, vector{Name: name, Code: string(c), chain: chain})
	}
	v1 := r1.Envelope()
	v2 := raw(t, next(r1, 2, 2, k.r1, k.r2, k.r3), k.r1, k.r2)
	r2, err := r1.Next(v2, start)
	if err != nil {
		t.Fatal(err)
	}
	v3 := raw(t, next(r2, 3, 1, k.r3), k.r1, k.r2, k.r3)
	bend := func(change func(*Document)) []byte {
		d := k.base()
		change(&d)
		return raw(t, d, k.r1)
	}
	role := func(r Role) []byte { return bend(func(d *Document) { d.Roles[RoleBundle] = r }) }
	add("good-1", "", v1)
	add("good-1-2", "", v1, v2)
	add("good-1-2-3", "", v1, v2, v3)
	add("same-version-again", "", v1, v2, v2)
	add("gap", code.RootGap, v1, v3)
	add("rollback", code.RootRollback, v1, v2, v3, v2)
	add("first-is-2", code.RootGap, v2)
	add("same-version-other-content", code.RootRollback, v1, v2, raw(t, next(r1, 2, 1, k.r1), k.r1))
	add("only-by-the-new", code.RootThreshold, v1, raw(t, next(r1, 2, 1, k.r2), k.r2))
	add("only-by-the-old", code.RootThreshold, v1, raw(t, next(r1, 2, 1, k.r2), k.r1))
	add("one-of-two-new", code.RootThreshold, v1, raw(t, next(r1, 2, 2, k.r1, k.r2), k.r1))
	add("one-of-two-old", code.RootThreshold, v1, v2, raw(t, next(r2, 3, 1, k.r3), k.r3))
	add("by-a-stranger", code.RootThreshold, raw(t, k.base(), k.stranger))
	add("another-root", code.RootUnknown, v1, raw(t, func() Document { d := next(r1, 2, 1, k.r1); d.RootID = digest.Of(nil); return d }(), k.r1))
	add("another-first", code.RootUnknown, v1, bend(func(d *Document) { d.TimeEpoch = 1 }))
	add("threshold-0", code.RootBad, role(Role{0, ids(k.hub)}))
	add("threshold-above-the-keys", code.RootBad, role(Role{2, ids(k.hub)}))
	add("root-threshold-0", code.RootBad, bend(func(d *Document) { d.Roles[RoleRoot] = Role{0, ids(k.r1)} }))
	add("root-without-keys", code.RootBad, bend(func(d *Document) { d.Roles[RoleRoot] = Role{1, nil} }))
	add("role-names-no-key", code.RootBad, role(Role{1, []string{"SHA256:none"}}))
	add("role-unknown", code.RootBad, bend(func(d *Document) { d.Roles["king"] = Role{1, nil} }))
	add("key-id-of-another-key", code.RootBad, bend(func(d *Document) { d.Keys[0].Public, d.Keys[2].Public = d.Keys[2].Public, d.Keys[0].Public }))
	add("wrong-alg", code.RootBad, bend(func(d *Document) { d.Keys[0].Alg = attest.ECDSA }))
	add("low-order-key", code.KeyBad, bend(func(d *Document) {
		d.Keys[0].Public = "MCowBQYDK2VwAyEAAQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
	}))
	add("key-twice", code.RootBad, bend(func(d *Document) { d.Keys = append(d.Keys, d.Keys[0]) }))
	add("bad-time", code.BadTime, bend(func(d *Document) { d.NotAfter = "2030-01-01T00:00:00+00:00" }))
	add("root-id-in-version-1", code.RootBad, bend(func(d *Document) { d.RootID = digest.Of(nil) }))
	add("no-root-id-in-version-2", code.RootBad, v1, raw(t, func() Document { d := next(r1, 2, 1, k.r1); d.RootID = digest.Digest{}; return d }(), k.r1))
	add("revoked-root-key", code.RootBad, bend(func(d *Document) { d.Revoked = []Revocation{{ids(k.r1)[0], clock.Format(start)}} }))
	add("scope-is-no-name", code.RootBad, bend(func(d *Document) { d.Keys[0].Scope.Tenants = []string{"../x"} }))
	add("any-beside-others", code.RootBad, bend(func(d *Document) { d.Keys[0].Scope.Tenants = []string{Any, "acme"} }))
	add("critical-extension", code.ReaderTooOld, bend(func(d *Document) {
		d.Critical, d.MinReader, d.Ext = []string{"x"}, "9.0.0", map[string]json.RawMessage{"x": json.RawMessage("1")}
	}))
	add("two-of-two-by-one-key", code.RootThreshold, raw(t, func() Document {
		d := k.base()
		d.Keys = append(d.Keys, Entry(k.r2.Public(), Scope{}, start, end))
		d.Roles[RoleRoot] = Role{2, ids(k.r1, k.r2)}
		return d
	}(), k.r1))
	add("signature-damaged", code.SignatureBad, damaged(t, v1))
	add("a-receipt", code.PayloadType, envelope(t, attest.TypeReceipt, []byte(`{}`), k.r1))
	add("role-missing", code.RootBad, strip(t, v1, `"release":{"keyids":[],"threshold":1},`, k.r1))
	add("threshold-negative", code.JSONNumber, negative(t, v1, k.r1))
	return vs
}

func envelope(t testing.TB, kind string, payload []byte, s *attest.Signer) []byte {
	t.Helper()
	b, err := attest.Sign(kind, payload, s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func payload(t testing.TB, env []byte) string {
	t.Helper()
	c, err := attest.Inspect(env)
	if err != nil {
		t.Fatal(err)
	}
	return string(c.Payload)
}

func strip(t testing.TB, env []byte, part string, s *attest.Signer) []byte {
	p := payload(t, env)
	if !strings.Contains(p, part) {
		t.Fatalf("%s has no %s", p, part)
	}
	return envelope(t, attest.TypeRoot, []byte(strings.Replace(p, part, "", 1)), s)
}

func negative(t testing.TB, env []byte, s *attest.Signer) []byte {
	return envelope(t, attest.TypeRoot, []byte(strings.Replace(payload(t, env), `"threshold":1`, `"threshold":-1`, 1)), s)
}

// damaged flips one bit in the middle of the signature text.
func damaged(t testing.TB, env []byte) []byte {
	at := bytes.Index(env, []byte(`"sig":"`)) + 20
	b := bytes.Clone(env)
	if b[at] == 'A' {
		b[at] = 'B'
	} else {
		b[at] = 'A'
	}
	return b
}

func follow(chain [][]byte) (*Trusted, error) {
	r, err := First(chain[0], time.Unix(0, 0))
	for i, e := range chain[1:] {
		if err != nil {
			return nil, fmt.Errorf("link %d: %w", i, errors.New(err.Error()))
		}
		r, err = r.Next(e, time.Unix(0, 0))
	}
	return r, err
}

func TestChain(t *testing.T) {
	for _, v := range cases(t) {
		r, err := follow(v.chain)
		if string(code.Of(err)) != v.Code {
			t.Errorf("%s: %v, want code %q", v.Name, err, v.Code)
		}
		if err == nil && r.ID() != digest.Of([]byte(payload(t, v.chain[0]))) {
			t.Errorf("%s: root id %v", v.Name, r.ID())
		}
	}
}

func TestChainVectors(t *testing.T) {
	if *update {
		vs := cases(t)
		if err := os.MkdirAll(vectorDir, 0o755); err != nil {
			t.Fatal(err)
		}
		for i, v := range vs {
			for _, b := range v.chain {
				name := digest.Of(b).Short() + ".root.json"
				vs[i].Files = append(vs[i].Files, name)
				if err := os.WriteFile(filepath.Join(vectorDir, name), b, 0o644); err != nil {
					t.Fatal(err)
				}
			}
		}
		b, _ := json.MarshalIndent(vs, "", " ")
		if err := os.WriteFile(filepath.Join(vectorDir, "want.json"), append(b, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(filepath.Join(vectorDir, "want.json"))
	if err != nil {
		t.Fatal(err)
	}
	var vs []vector
	if err := json.Unmarshal(b, &vs); err != nil || len(vs) < 30 {
		t.Fatalf("%d vectors, %v", len(vs), err)
	}
	for _, v := range vs {
		for _, name := range v.Files {
			b, err := os.ReadFile(filepath.Join(vectorDir, name))
			if err != nil {
				t.Fatal(err)
			}
			v.chain = append(v.chain, b)
		}
		if _, err := follow(v.chain); string(code.Of(err)) != v.Code {
			t.Errorf("%s: %v, want code %q", v.Name, err, v.Code)
		}
	}
}

func TestWhy(t *testing.T) {
	k := cast(t)
	d := k.base()
	revoked := signer(t, attest.Ed25519, "revoked")
	d.Keys = append(d.Keys, Entry(revoked.Public(), Scope{Tenants: []string{Any}, Origins: []string{Any}}, start, end))
	d.Roles[RoleRelease] = Role{1, ids(revoked)}
	d.Revoked = []Revocation{{ids(revoked)[0], clock.Format(start.AddDate(1, 0, 0))}}
	b, err := New(d, k.r1)
	if err != nil {
		t.Fatal(err)
	}
	r, err := First(b, start)
	if err != nil {
		t.Fatal(err)
	}
	mid := start.AddDate(2, 0, 0)
	for _, tc := range []struct {
		who                  *attest.Signer
		role, tenant, origin string
		now                  time.Time
		want                 code.Code
	}{
		{k.hub, RoleBundle, "acme", origin, mid, ""},
		{k.hub, RoleBundle, "", "", time.Time{}, ""},
		{k.hub, RolePack, "acme", origin, mid, ""},
		{k.pack, RolePack, "acme", origin, mid, ""},
		{k.pack, RoleBundle, "acme", origin, mid, code.KeyRole},
		{k.hub, RoleAppliance, "acme", origin, mid, code.KeyRole},
		{k.hub, RoleBundle, "other", origin, mid, code.KeyScope},
		{k.hub, RoleBundle, "acme", other, mid, code.KeyScope},
		{k.hub, RoleBundle, "acme", origin, start.Add(-time.Second), code.KeyExpired},
		{k.hub, RoleBundle, "acme", origin, end.Add(time.Second), code.KeyExpired},
		{k.stranger, RoleBundle, "acme", origin, mid, code.SignerUnknown},
		{revoked, RoleRelease, "any", other, start, ""},
		{revoked, RoleRelease, "any", other, mid, code.KeyRevoked},
		{revoked, RoleRelease, "any", other, time.Time{}, code.KeyRevoked},
	} {
		err := r.Why(tc.who.Public().ID(), tc.role, tc.tenant, tc.origin, tc.now)
		if code.Of(err) != tc.want {
			t.Errorf("%s %s %s at %v: %v, want %q", tc.role, tc.tenant, tc.origin, tc.now, err, tc.want)
		}
		found := false
		for _, key := range r.Keys(tc.role, tc.tenant, tc.origin, tc.now) {
			found = found || key.Equal(tc.who.Public())
		}
		if found != (err == nil) {
			t.Errorf("%s at %v: Keys and Why disagree", tc.role, tc.now)
		}
	}
	if r.Fresh(end.Add(time.Second)) == nil || r.Fresh(end) != nil || r.Fresh(time.Time{}) != nil {
		t.Error("Fresh")
	}
}

func TestExpiredRootLetsItsSuccessorIn(t *testing.T) {
	k := cast(t)
	d := k.base()
	d.NotAfter = clock.Format(start)
	b, err := New(d, k.r1)
	if err != nil {
		t.Fatal(err)
	}
	late := start.AddDate(1, 0, 0)
	r, err := First(b, late)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Why(k.hub.Public().ID(), RoleBundle, "acme", origin, late); code.Of(err) != code.RootExpired {
		t.Errorf("an expired root lets a key act: %v", err)
	}
	n := next(r, 2, 1, k.r1)
	n.NotAfter = clock.Format(end)
	r2, err := r.Next(raw(t, n, k.r1), late)
	if err != nil {
		t.Fatal(err)
	}
	if err := r2.Why(k.hub.Public().ID(), RoleBundle, "acme", origin, late); err != nil {
		t.Error(err)
	}
}

func TestLongChain(t *testing.T) {
	k := cast(t)
	first := k.first(t)
	var chain [][]byte
	for n := int64(2); n <= MaxChain+2; n++ {
		chain = append(chain, raw(t, next(first, n, 1, k.r1), k.r1))
	}
	r, err := first.Follow(chain[:MaxChain], start)
	if err != nil || r.Version() != MaxChain+1 || r.ID() != first.ID() {
		t.Fatalf("64 in a row: %v", err)
	}
	if _, err := first.Follow(chain, start); code.Of(err) != code.RootMany {
		t.Errorf("65 in a row: %v", err)
	}
}
