package peer

import (
	"testing"
	"time"

	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/state"
	"sallyport/internal/statetest"
)

var now = time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)

const (
	id1 = "ap1aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	id2 = "ap1bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
)

func d(s string) digest.Digest { return digest.Of([]byte(s)) }

func site(name, id string) Peer {
	return Peer{
		Name: name, ID: id, Tenant: "acme", TheirTenant: "plant", RootID: d("root of " + id), Roots: [][]byte{[]byte("{}")},
		Trust: Trust{How: ByWords, By: "uid:1001"},
	}
}

func TestAddAndFind(t *testing.T) {
	db := statetest.Open(t)
	add := func(p Peer) error {
		return db.Update(t.Context(), func(tx *state.Tx) error { _, err := Add(tx, p, now); return err })
	}
	if err := add(site("site-07", id1)); err != nil {
		t.Fatal(err)
	}
	for name, p := range map[string]Peer{"same name": site("site-07", id2), "same id": site("site-08", id1)} {
		if err := add(p); code.Of(err) != code.Conflict {
			t.Errorf("%s: %v", name, err)
		}
	}
	sameRoot := site("site-08", id2)
	sameRoot.RootID = d("root of " + id1)
	if err := add(sameRoot); code.Of(err) != code.Conflict {
		t.Errorf("same root: %v", err)
	}
	for name, spoil := range map[string]func(*Peer){
		"no root":           func(p *Peer) { p.Roots = nil },
		"no root id":        func(p *Peer) { p.RootID = digest.Digest{} },
		"trust out of thin": func(p *Peer) { p.Trust.How = "" },
		"name":              func(p *Peer) { p.Name = "../x" },
		"tenant":            func(p *Peer) { p.Tenant = "" },
		"id":                func(p *Peer) { p.ID = "x" },
	} {
		p := site("site-09", id2)
		spoil(&p)
		if err := add(p); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	err := db.View(func(tx *state.Tx) error {
		p, ok, err := ByID(tx, id1)
		if !ok || p.Name != "site-07" || p.CreatedAt == "" {
			t.Errorf("by id: %+v %v", p, err)
		}
		if p, ok, err = ByRoot(tx, d("root of "+id1)); !ok || p.ID != id1 {
			t.Errorf("by root: %+v %v", p, err)
		}
		if _, ok, _ := ByID(tx, id2); ok {
			t.Error("a refused peer can be found")
		}
		if _, err := Get(tx, "site-08"); code.Of(err) != code.Missing {
			t.Error(err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(t.Context(), func(tx *state.Tx) error {
		_, err := Edit(tx, "site-07", func(p *Peer) error { p.RootID = d("another"); return nil })
		return err
	})
	if err == nil {
		t.Error("the root of a peer was exchanged")
	}
	if err := db.Update(t.Context(), func(tx *state.Tx) error { return Remove(tx, "site-07") }); err != nil {
		t.Fatal(err)
	}
	if err := add(site("site-08", id1)); err != nil {
		t.Errorf("after removal: %v", err)
	}
}

func TestCounters(t *testing.T) {
	db := statetest.Open(t)
	count := func(what string, n int64) error {
		return db.Update(t.Context(), func(tx *state.Tx) error { return Count(tx, "site-07", what, n) })
	}
	if err := db.Update(t.Context(), func(tx *state.Tx) error { _, err := Add(tx, site("site-07", id1), now); return err }); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what string
		n    int64
		ok   bool
	}{{"receipt", 3, true}, {"receipt", 3, false}, {"receipt", 2, false}, {"card", 1, true}, {"receipt", 4, true}} {
		if err := count(c.what, c.n); (err == nil) != c.ok || err != nil && code.Of(err) != code.CounterOld {
			t.Errorf("%s %d: %v", c.what, c.n, err)
		}
	}
}

func TestKnow(t *testing.T) {
	db := statetest.Open(t)
	know := func(views []FeedView, wanted []Wanted) (p Peer) {
		err := db.Update(t.Context(), func(tx *state.Tx) (err error) {
			p, err = Know(tx, "site-07", now, views, wanted)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	if err := db.Update(t.Context(), func(tx *state.Tx) error { _, err := Add(tx, site("site-07", id1), now); return err }); err != nil {
		t.Fatal(err)
	}
	held := func(g int64, r string) Held { return Held{1, g, d(r)} }
	p := know([]FeedView{{Feed: "osv", Active: held(1, "one"), Held: []Held{held(1, "one")}, From: FromReceipt}}, []Wanted{{BundleID: d("b"), Volumes: []int64{2}}})
	if !p.Knows("osv", d("one")) || p.Knows("osv", d("two")) || p.Knows("vex", d("one")) {
		t.Errorf("after the first receipt: %+v", p.Views)
	}
	p = know([]FeedView{{Feed: "osv", Active: held(2, "two"), Held: []Held{held(2, "two")}, From: FromReceipt}}, nil)
	if !p.Knows("osv", d("one")) || !p.Knows("osv", d("two")) || len(p.Wanted) != 1 {
		t.Errorf("after the second receipt: %+v %+v", p.Views, p.Wanted)
	}
	p = know([]FeedView{{Feed: "osv", Held: []Held{held(3, "three")}, Mark: held(3, "three"), From: FromReceipt}}, nil)
	p = know([]FeedView{{Feed: "osv", Held: []Held{held(1, "one")}, Mark: held(1, "one"), From: FromReceipt}}, nil) // already held
	if v := p.Views["osv"]; !p.Knows("osv", d("three")) || v.Active != held(2, "two") || v.Mark != held(3, "three") {
		t.Errorf("after a receipt for a held generation: %+v", v)
	}
	p = know([]FeedView{{Feed: "osv", Active: held(2, "two"), Held: []Held{held(2, "two")}, From: FromInventory}}, []Wanted{})
	if p.Knows("osv", d("one")) || !p.Knows("osv", d("two")) || len(p.Wanted) != 0 || p.LastContact != "2026-11-21T09:00:00Z" {
		t.Errorf("an inventory is whole: %+v", p)
	}
	p = know([]FeedView{{Feed: "new", From: FromInventory}}, nil) // nothing of it yet
	if p.Knows("new", d("one")) {
		t.Error("an empty view holds something")
	}
}
