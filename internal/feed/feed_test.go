package feed

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/ident"
	"sallyport/internal/marks"
	"sallyport/internal/state"
	"sallyport/internal/statetest"
)

var now = time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)

const (
	us   = "ap1aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	hub  = "ap1bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
	hub2 = "ap1cccccccccccccccccccccccccccccccc"
)

func d(s string) digest.Digest { return digest.Of([]byte(s)) }

func foreign(name string, gen int64) Proposal {
	return Proposal{Ref: ident.FeedRef{Tenant: "acme", Origin: hub, Name: name}, Generation: Generation{
		Point: Point{1, gen}, Root: d(fmt.Sprint(name, gen)), Records: gen,
		Layers:   []Layer{{File: fmt.Sprintf("%s/%d", name, gen), Shards: []digest.Digest{d(fmt.Sprint("shard", gen))}}},
		BundleID: d("bundle"), Manifest: d(fmt.Sprint("manifest", gen)), Signer: "SHA256:x",
	}}
}

func local(name string, p Point, root string) Proposal {
	return Proposal{Ref: ident.FeedRef{Tenant: "acme", Origin: us, Name: name}, Local: true, Generation: Generation{
		Point: p, Root: d(root), Layers: []Layer{{File: name + "/" + root}}, LoadedBy: "uid:1001", LoadRecord: d("load " + root),
	}}
}

func apply(t *testing.T, db *state.DB, ps ...Proposal) (out Outcome, err error) {
	t.Helper()
	p, err := NewPlan(ps...)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(t.Context(), func(tx *state.Tx) (err error) {
		out, err = Activate(tx, p, now)
		return err
	})
	return out, err
}

func view(t *testing.T, db *state.DB, fn func(tx *state.Tx) error) {
	t.Helper()
	if err := db.View(fn); err != nil {
		t.Fatal(err)
	}
}

func TestNewPlanRefuses(t *testing.T) {
	cases := map[string]func(*Proposal){
		"no root":      func(p *Proposal) { p.Generation.Root = digest.Digest{} },
		"generation 0": func(p *Proposal) { p.Generation.Generation = 0 },
		"no layer":     func(p *Proposal) { p.Generation.Layers = nil },
		"three layers": func(p *Proposal) { p.Generation.Layers = make([]Layer, 3) },
		"layer path":   func(p *Proposal) { p.Generation.Layers[0].File = "../x" },
		"no bundle":    func(p *Proposal) { p.Generation.BundleID = digest.Digest{} },
		"no signer":    func(p *Proposal) { p.Generation.Signer = "" },
		"nobody":       func(p *Proposal) { p.Local, p.Generation.LoadedBy = true, "" },
		"feed name":    func(p *Proposal) { p.Ref.Name = "A B" },
		"origin":       func(p *Proposal) { p.Ref.Origin = "hub" },
	}
	for name, spoil := range cases {
		p := foreign("f", 1)
		spoil(&p)
		if _, err := NewPlan(p); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	other := foreign("g", 1)
	other.Ref.Tenant = "other"
	if _, err := NewPlan(foreign("f", 1), other); err == nil {
		t.Error("two tenants: accepted")
	}
	if _, err := NewPlan(foreign("f", 1), foreign("f", 2)); err == nil {
		t.Error("one feed twice: accepted")
	}
	if _, err := NewPlan(); err == nil {
		t.Error("empty: accepted")
	}
	db := statetest.Open(t)
	err := db.Update(t.Context(), func(tx *state.Tx) error { _, err := Activate(tx, Plan{}, now); return err })
	if err == nil {
		t.Error("the zero plan was activated")
	}
}

func TestActivateIsAtomic(t *testing.T) {
	db := statetest.Open(t)
	out, err := apply(t, db, foreign("a", 3), foreign("b", 1))
	if err != nil || len(out.Changes) != 2 || out.Changes[0].Decision != Activated || out.Changes[0].After != (Point{1, 3}) || out.Changes[0].Before != (Point{}) {
		t.Fatalf("%+v %v", out, err)
	}
	if _, err := apply(t, db, foreign("a", 4), foreign("b", 1)); code.Of(err) != code.Conflict {
		t.Fatalf("b is here already: %v", err)
	}
	view(t, db, func(tx *state.Tx) error {
		g, ok, err := Current(tx, foreign("a", 0).Ref)
		if g.Generation != 3 || !ok || g.AcceptedAt != "2026-11-21T09:00:00Z" {
			t.Errorf("half of a plan was applied: %+v", g)
		}
		return err
	})
}

func TestJudge(t *testing.T) {
	db := statetest.Open(t)
	for _, g := range []int64{2, 5} {
		if _, err := apply(t, db, foreign("f", g)); err != nil {
			t.Fatal(err)
		}
	}
	ref := foreign("f", 0).Ref
	file := func(e, g int64, r string) *marks.Mark { return &marks.Mark{Epoch: e, Generation: g, Root: d(r)} }
	cases := []struct {
		name string
		file *marks.Mark
		at   Point
		root string
		want Verdict
	}{
		{"next", nil, Point{1, 6}, "x", New},
		{"at the mark", nil, Point{1, 5}, "f5", AlreadyActive},
		{"at the mark, other root", nil, Point{1, 5}, "x", Forked},
		{"held", nil, Point{1, 2}, "f2", AlreadyHeld},
		{"held, other root", nil, Point{1, 2}, "x", Forked},
		{"never held", nil, Point{1, 3}, "f3", SiteAhead},
		{"10,000 above", nil, Point{1, 10005}, "x", New},
		{"10,001 above", nil, Point{1, 10006}, "x", FastForward},
		{"next epoch", nil, Point{2, 1}, "x", NewEpoch},
		{"epoch before", nil, Point{0, 9}, "x", SiteAhead},
		{"file is higher", file(1, 8, "f8"), Point{1, 7}, "x", SiteAhead},
		{"file is higher, held", file(1, 8, "f8"), Point{1, 5}, "f5", AlreadyActive},
		{"restored backup, same root", file(1, 8, "f8"), Point{1, 8}, "f8", New},
		{"restored backup, other root", file(1, 8, "f8"), Point{1, 8}, "x", Forked},
		{"file is lower", file(1, 1, "f1"), Point{1, 3}, "f3", SiteAhead},
	}
	view(t, db, func(tx *state.Tx) error {
		for _, c := range cases {
			if got, err := Judge(tx, ref, c.file, c.at, d(c.root)); got != c.want || err != nil {
				t.Errorf("%s: %s %v, want %s", c.name, got, err, c.want)
			}
		}
		unknown := ref
		unknown.Name = "never-seen"
		if got, err := Judge(tx, unknown, nil, Point{7, 90000}, d("x")); got != New || err != nil {
			t.Errorf("first contact: %s %v", got, err)
		}
		return nil
	})
	for _, c := range []struct {
		gen  int64
		root string
		want code.Code
	}{{3, "f3", code.Rollback}, {5, "x", code.Fork}, {5, "f5", code.Conflict}} {
		p := foreign("f", c.gen)
		p.Generation.Root = d(c.root)
		if _, err := apply(t, db, p); code.Of(err) != c.want {
			t.Errorf("generation %d root %s: %v, want %s", c.gen, c.root, err, c.want)
		}
	}
}

func TestRetention(t *testing.T) {
	db := statetest.Open(t)
	ref := foreign("f", 0).Ref
	var dropped []string
	for g := int64(1); g <= 9; g++ {
		p := foreign("f", g)
		if g == 9 {
			p.Generation.Layers = append(p.Generation.Layers, Layer{File: "f/8"}) // shares a file with the one before
		}
		out, err := apply(t, db, p)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range out.Dropped {
			dropped = append(dropped, l.File)
		}
		if g == 2 {
			err := db.Update(t.Context(), func(tx *state.Tx) error { return Hold(tx, ref, Point{1, 2}, true) })
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	if fmt.Sprint(dropped) != "[f/1 f/3 f/4]" {
		t.Errorf("dropped %v", dropped)
	}
	view(t, db, func(tx *state.Tx) error {
		all, err := Generations(tx, ref)
		var got []int64
		for _, g := range all {
			got = append(got, g.Generation)
		}
		if fmt.Sprint(got) != "[9 8 7 6 5 2]" {
			t.Errorf("kept %v", got)
		}
		files, err2 := LayerFiles(tx)
		if len(files) != 6 || files["f/1"] || !files["f/2"] {
			t.Errorf("files %v", files)
		}
		live := map[digest.Digest]bool{}
		err3 := Live(tx, func(d digest.Digest) { live[d] = true })
		if !live[d("shard9")] || !live[d("manifest2")] || live[d("shard1")] {
			t.Error("what is live is wrong")
		}
		return errors.Join(err, err2, err3)
	})
}

func TestPinAndRollback(t *testing.T) {
	db := statetest.Open(t)
	ref := foreign("f", 0).Ref
	for g := int64(1); g <= 3; g++ {
		if _, err := apply(t, db, foreign("f", g)); err != nil {
			t.Fatal(err)
		}
	}
	var c Change
	err := db.Update(t.Context(), func(tx *state.Tx) (err error) {
		c, err = Rollback(tx, ref, Point{1, 1}, "bad data")
		return err
	})
	if err != nil || c.Before != (Point{1, 3}) || c.After != (Point{1, 1}) {
		t.Fatalf("%+v %v", c, err)
	}
	for g := int64(4); g <= 12; g++ {
		out, err := apply(t, db, foreign("f", g))
		if err != nil || out.Changes[0].Decision != Held || out.Changes[0].After != (Point{1, 1}) {
			t.Fatalf("import while pinned: %+v %v", out, err)
		}
	}
	view(t, db, func(tx *state.Tx) error {
		g, ok, err := Current(tx, ref)
		f, _, _ := Get(tx, ref)
		if !ok || g.Generation != 1 || !f.Pinned || f.PinReason != "bad data" || f.Mark.Generation != 12 {
			t.Errorf("active %d (%v), %+v", g.Generation, ok, f)
		}
		return err
	})
	for name, fn := range map[string]func(*state.Tx) error{
		"not held": func(tx *state.Tx) error { _, err := Rollback(tx, ref, Point{1, 5}, ""); return err },
		"no feed": func(tx *state.Tx) error {
			_, err := Rollback(tx, ident.FeedRef{Tenant: "acme", Origin: hub, Name: "x"}, Point{1, 1}, "")
			return err
		},
		"hold of nothing": func(tx *state.Tx) error { return Hold(tx, ref, Point{1, 5}, true) },
	} {
		if err := db.Update(t.Context(), fn); code.Of(err) != code.Missing {
			t.Errorf("%s: %v", name, err)
		}
	}
	err = db.Update(t.Context(), func(tx *state.Tx) error {
		return errors.Join(Pin(tx, ref, false, ""), SetRhythm(tx, ref, 14*24*time.Hour))
	})
	if err != nil {
		t.Fatal(err)
	}
	if out, err := apply(t, db, foreign("f", 13)); err != nil || out.Changes[0].Decision != Activated {
		t.Errorf("after unpinning: %+v %v", out, err)
	}
}

func TestLocalMints(t *testing.T) {
	db := statetest.Open(t)
	ref := local("mine", Point{}, "").Ref
	next := func() (p Point) {
		view(t, db, func(tx *state.Tx) (err error) { p, err = Next(tx, ref); return err })
		return p
	}
	for i, root := range []string{"a", "b", "a"} { // going back to a is a new generation
		if p := next(); p != (Point{1, int64(i) + 1}) {
			t.Fatalf("next is %v", p)
		}
		if _, err := apply(t, db, local("mine", next(), root)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := apply(t, db, local("mine", Point{1, 9}, "z")); code.Of(err) != code.Conflict {
		t.Errorf("a gap: %v", err)
	}
	if _, err := apply(t, db, local("mine", next(), "a")); code.Of(err) != code.Conflict {
		t.Errorf("nothing changed: %v", err)
	}
	p := foreign("mine", 4)
	p.Ref = ref
	if _, err := apply(t, db, p); code.Of(err) != code.FeedForeign {
		t.Errorf("from outside into a local feed: %v", err)
	}
	err := db.Update(t.Context(), func(tx *state.Tx) error { _, err := Rollback(tx, ref, Point{1, 1}, ""); return err })
	if code.Of(err) != code.Conflict {
		t.Errorf("rollback at the origin: %v", err)
	}
}

// A restore puts what is active into a new epoch as it is, and feeds that are made later begin in that epoch; a second one
// goes further, also when it skips the epochs of lives it does not know.
func TestRebirth(t *testing.T) {
	db := statetest.Open(t)
	ref := local("mine", Point{}, "").Ref
	for i, root := range []string{"a", "b"} {
		if _, err := apply(t, db, local("mine", Point{1, int64(i) + 1}, root), foreign("f", int64(i)+1)); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ least, skip, want int64 }{{2, 0, 2}, {3, 0, 3}, {2, 2, 6}} {
		var list []Reborn
		var in int64
		err := db.Update(t.Context(), func(tx *state.Tx) (err error) {
			list, in, err = Rebirth(tx, c.least, c.skip, now)
			return err
		})
		if err != nil || in != c.want || len(list) != 1 || list[0].After != (Point{c.want, 1}) {
			t.Fatalf("%+v: %+v in %d, %v", c, list, in, err)
		}
	}
	view(t, db, func(tx *state.Tx) error {
		f, _, err := Get(tx, ref)
		g, _, _ := Current(tx, ref)
		old, _, _ := At(tx, ref, Point{1, 2})
		if f.Active != (Point{6, 1}) || f.Mark.Root != d("b") || g.Root != old.Root || g.Layers[0].File != old.Layers[0].File {
			t.Errorf("%+v %+v", f, g)
		}
		if p, err := Next(tx, ref); err != nil || p != (Point{6, 2}) {
			t.Errorf("next is %v, %v", p, err)
		}
		if p, err := Next(tx, local("new", Point{}, "").Ref); err != nil || p != (Point{6, 1}) {
			t.Errorf("a feed made later begins at %v, %v", p, err)
		}
		other, _, _ := Get(tx, foreign("f", 0).Ref)
		if other.Active != (Point{1, 2}) {
			t.Errorf("a foreign feed was touched: %+v", other)
		}
		return err
	})
	if _, err := apply(t, db, local("mine", Point{6, 2}, "c"), local("new", Point{6, 1}, "x")); err != nil {
		t.Error(err)
	}
}

func TestFind(t *testing.T) {
	db := statetest.Open(t)
	two := foreign("osv", 1)
	two.Ref.Origin = hub2
	only := foreign("only", 1)
	for _, p := range []Proposal{foreign("osv", 1), two, only} {
		if _, err := apply(t, db, p); err != nil {
			t.Fatal(err)
		}
	}
	names := func(id string) string { return map[string]string{hub: "hub-01", hub2: "hub-02"}[id] }
	view(t, db, func(tx *state.Tx) error {
		for name, origin := range map[string]string{"only": hub, "hub-02/osv": hub2, hub + "/osv": hub} {
			if f, err := Find(tx, "acme", name, names); err != nil || f.Ref.Origin != origin {
				t.Errorf("%s: %v %v", name, f.Ref, err)
			}
		}
		if _, err := Find(tx, "acme", "osv", names); code.Of(err) != code.Ambiguous {
			t.Errorf("two origins: %v", err)
		}
		if _, err := Find(tx, "other", "only", nil); code.Of(err) != code.Missing {
			t.Errorf("another tenant's: %v", err)
		}
		all, err := List(tx, "")
		if len(all) != 3 {
			t.Errorf("%d feeds", len(all))
		}
		if some, _ := List(tx, "acm"); len(some) != 0 {
			t.Error("a tenant whose name begins like another's sees its feeds")
		}
		return err
	})
}
