package root

import (
	"errors"
	"slices"
	"testing"
	"time"

	"sallyport/internal/attest"
	"sallyport/internal/code"
)

func TestSuccessor(t *testing.T) {
	k := cast(t)
	one := k.first(t)
	before := one.Document()
	env, err := Successor(one, func(d *Document) error {
		d.SetEpoch(FeedEpoch{Tenant: "acme", Origin: origin, Feed: "osv-go", Epoch: 2})
		d.SetEpoch(FeedEpoch{Tenant: "acme", Origin: origin, Feed: "osv-go", Epoch: 3})
		d.Keys[0].Scope.Tenants[0] = "other"
		r := d.Roles[RoleRoot]
		r.KeyIDs = append(r.KeyIDs, k.r2.Public().ID())
		d.Keys = append(d.Keys, Entry(k.r2.Public(), Scope{}, start, end))
		d.Roles[RoleRoot] = r
		return nil
	}, k.r1)
	if err != nil {
		t.Fatal(err)
	}
	two, err := one.Next(env, start)
	if err != nil || two.Version() != 2 || two.ID() != one.ID() {
		t.Fatalf("%+v %v", two, err)
	}
	if e, ok := two.FeedEpoch("acme", origin, "osv-go"); e != 3 || !ok || len(two.Document().FeedEpochs) != 1 {
		t.Errorf("epoch %d %v", e, ok)
	}
	if after := one.Document(); len(after.Keys) != len(before.Keys) || after.Keys[0].Scope.Tenants[0] != "acme" {
		t.Error("the version before was changed")
	}
	// An expired version still gets one, and what is wrong is found where it is made.
	if _, err := Successor(two, func(d *Document) error { d.NotAfter = "2020-01-01T00:00:00Z"; return nil }, k.r1); err != nil {
		t.Error(err)
	}
	why := errors.New("no")
	for name, c := range map[string]struct {
		change  func(*Document) error
		signers []*attest.Signer
		want    code.Code
	}{
		"a change that refuses": {func(*Document) error { return why }, []*attest.Signer{k.r1}, code.Bug},
		"a stranger signs":      {func(*Document) error { return nil }, []*attest.Signer{k.stranger}, code.RootThreshold},
		"nobody signs":          {func(*Document) error { return nil }, nil, code.SignatureCount},
		"only the new key signs": {func(d *Document) error {
			d.Roles[RoleRoot] = Role{1, ids(k.r2)}
			return nil
		}, []*attest.Signer{k.r3}, code.RootThreshold},
		"a key that is not there": {func(d *Document) error { d.Roles[RoleBundle] = Role{1, ids(k.stranger)}; return nil }, []*attest.Signer{k.r1}, code.RootBad},
	} {
		if _, err := Successor(two, c.change, c.signers...); code.Of(err) != c.want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What people agree to is what is signed, byte for byte.
func TestSignDraft(t *testing.T) {
	k := cast(t)
	one := k.first(t)
	payload, doc, err := Draft(one, func(d *Document) error { d.TimeEpoch = 4; return nil })
	if err != nil || doc.RootVersion != 2 {
		t.Fatal(err)
	}
	env, err := SignDraft(one, payload, k.r1)
	if err != nil {
		t.Fatal(err)
	}
	claim, err := attest.Inspect(env)
	if err != nil || !slices.Equal(claim.Payload, payload) {
		t.Errorf("%s is not %s (%v)", claim.Payload, payload, err)
	}
	two, err := one.Next(env, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := SignDraft(two, payload, k.r1); code.Of(err) != code.RootGap {
		t.Errorf("a draft of a version that is over: %v", err)
	}
	if _, err := SignDraft(one, payload, k.stranger); code.Of(err) != code.RootThreshold {
		t.Errorf("a stranger: %v", err)
	}
}
