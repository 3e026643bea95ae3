package approval

import (
	"strings"
	"testing"
	"time"

	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/state"
	"sallyport/internal/statetest"
)

var now = time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)

const week = 7 * 24 * time.Hour

type desk struct {
	t  *testing.T
	db *state.DB
}

func (k desk) do(fn func(tx *state.Tx) (Plan, error)) (p Plan, err error) {
	k.t.Helper()
	err = k.db.Update(k.t.Context(), func(tx *state.Tx) (err error) { p, err = fn(tx); return err })
	return p, err
}

func (k desk) propose(d digest.Digest, need int, at time.Time) Plan {
	k.t.Helper()
	p, err := k.do(func(tx *state.Tx) (Plan, error) {
		return Propose(tx, Plan{Digest: d, Tenant: "acme", Kind: "import", Proposer: "uid:1001", Need: need}, at, week)
	})
	if err != nil {
		k.t.Fatal(err)
	}
	return p
}

func (k desk) approve(d digest.Digest, person string, at time.Time) error {
	_, err := k.do(func(tx *state.Tx) (Plan, error) { return Approve(tx, d, Grant{Person: person}, at) })
	return err
}

func (k desk) use(d digest.Digest, at time.Time) error {
	_, err := k.do(func(tx *state.Tx) (Plan, error) { return Use(tx, d, at) })
	return err
}

func plan(s string) digest.Digest { return digest.Of([]byte(s)) }

func TestCountRule(t *testing.T) {
	for _, c := range []struct {
		need   int
		people []string
		want   bool
	}{
		{0, nil, true},
		{1, nil, false},
		{1, []string{"uid:1001"}, true},
		{1, []string{""}, false},
		{2, []string{"uid:1001"}, false},
		{2, []string{"uid:1001", "uid:1001"}, false},
		{2, []string{"uid:1001", ""}, false},
		{2, []string{"uid:1001", "uid:1002"}, true},
		{2, []string{"uid:1002", "uid:1003"}, true},
	} {
		p := Plan{Need: c.need, Proposer: "uid:1001"}
		for _, person := range c.people {
			p.Grants = append(p.Grants, Grant{Person: person})
		}
		if p.Enough() != c.want {
			t.Errorf("need %d, %q: %v", c.need, c.people, p.Enough())
		}
	}
	if Need(0, 1) != 1 || Need(2, 1) != 2 || Need(0, 0) != 0 {
		t.Error("the stricter of rule and plan counts")
	}
}

func TestTwoPeopleOnce(t *testing.T) {
	k := desk{t, statetest.Open(t)}
	d := plan("two")
	k.propose(d, 2, now)
	for range 2 {
		if err := k.approve(d, "uid:1001", now); err != nil {
			t.Fatal(err)
		}
	}
	if err := k.use(d, now); code.Of(err) != code.PlanApproval {
		t.Errorf("one person twice: %v", err)
	}
	if err := k.approve(d, "", now); code.Of(err) != code.Denied {
		t.Errorf("nobody: %v", err)
	}
	if err := k.approve(d, "uid:1002", now.Add(week-time.Second)); err != nil {
		t.Fatal(err)
	}
	if err := k.use(plan("another"), now); code.Of(err) != code.Missing {
		t.Errorf("approved was another digest: %v", err)
	}
	if err := k.use(d, now.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if err := k.use(d, now.Add(time.Hour)); code.Of(err) != code.Conflict {
		t.Errorf("it ran twice: %v", err)
	}
	if p := k.propose(d, 2, now.Add(2*time.Hour)); len(p.Grants) != 0 || p.UsedAt != "" {
		t.Errorf("a used plan keeps its grants: %+v", p)
	}
}

func TestExpiryAndDenial(t *testing.T) {
	k := desk{t, statetest.Open(t)}
	d := plan("late")
	k.propose(d, 1, now)
	if err := k.approve(d, "uid:1001", now); err != nil {
		t.Fatal(err)
	}
	late := now.Add(week)
	if err := k.use(d, late); code.Of(err) != code.Conflict {
		t.Errorf("used after it expired: %v", err)
	}
	if err := k.approve(d, "uid:1002", late); code.Of(err) != code.Conflict {
		t.Errorf("approved after it expired: %v", err)
	}
	if p := k.propose(d, 1, late); len(p.Grants) != 0 {
		t.Error("an expired plan keeps its grants")
	}
	k.approve(d, "uid:1001", late)
	if _, err := k.do(func(tx *state.Tx) (Plan, error) { return Deny(tx, d, Grant{Person: "uid:1002", Reason: "no"}, late) }); err != nil {
		t.Fatal(err)
	}
	if err := k.use(d, late); code.Of(err) != code.Conflict {
		t.Errorf("used after denial: %v", err)
	}
}

func TestProposeAgain(t *testing.T) {
	k := desk{t, statetest.Open(t)}
	d := plan("again")
	k.propose(d, 1, now)
	if err := k.approve(d, "uid:1001", now); err != nil {
		t.Fatal(err)
	}
	if p := k.propose(d, 2, now); len(p.Grants) != 1 || p.Need != 2 {
		t.Errorf("an open plan: %+v", p)
	}
	if p := k.propose(d, 0, now); p.Need != 2 {
		t.Errorf("the count went down to %d", p.Need)
	}
	k.propose(plan("other"), 0, now.Add(time.Minute))
	if err := k.use(plan("other"), now.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	err := k.db.View(func(tx *state.Tx) error {
		all, err := List(tx, "acme")
		if len(all) != 2 || all[0].Digest != d {
			t.Errorf("%+v", all)
		}
		if other, _ := List(tx, "other"); len(other) != 0 {
			t.Error("another tenant sees plans")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Root that nobody signed in to start may be the first, and never comes after somebody.
func TestLoneIsNeverTheSecond(t *testing.T) {
	k := desk{t, statetest.Open(t)}
	say := func(d digest.Digest, g Grant) (Plan, error) {
		return k.do(func(tx *state.Tx) (Plan, error) { return Approve(tx, d, g, now) })
	}
	root, person := Grant{Person: "root", Lone: true}, Grant{Person: "uid:1001"}
	a, b := plan("a person first"), plan("root first")
	for d, first := range map[digest.Digest]Grant{a: person, b: root} {
		k.propose(d, 2, now)
		if _, err := say(d, first); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := say(a, root); code.Of(err) != code.PlanApproval || k.use(a, now) == nil {
		t.Errorf("root as the second: %v", err)
	}
	if p, err := say(b, person); err != nil || !p.Enough() {
		t.Errorf("root as the first: %+v %v", p, err)
	}
	if _, err := say(a, Grant{Person: "uid:1002"}); err != nil {
		t.Fatal(err)
	}
	if p, err := say(a, root); err != nil || len(p.Grants) != 2 {
		t.Errorf("root executes what two people agreed to: %+v %v", p, err)
	}
}

// A plan that there is nothing left to do for takes no words any more, says why, and may be proposed anew.
func TestClose(t *testing.T) {
	db := statetest.Open(t)
	at := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	d := digest.Of([]byte("plan"))
	if err := db.Update(t.Context(), func(tx *state.Tx) error {
		if err := Close(tx, d, "nobody asked"); err != nil {
			return err
		}
		plan := Plan{Digest: d, Kind: "import", Need: 1}
		if _, err := Propose(tx, plan, at, time.Hour); err != nil {
			return err
		}
		if err := Close(tx, d, "the bundle is here"); err != nil {
			return err
		}
		if _, err := Approve(tx, d, Grant{Person: "uid:1001"}, at); code.Of(err) != code.Conflict || !strings.Contains(err.Error(), "the bundle is here") {
			t.Errorf("%v", err)
		}
		p, err := Propose(tx, plan, at, time.Hour)
		if p.Over != "" {
			t.Errorf("%+v", p)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// Where two are asked, whoever is no approver says yes to what they proposed themselves, and to nothing else; what enough people
// agreed to they may execute.
func TestOwnOnly(t *testing.T) {
	k := desk{t, statetest.Open(t)}
	yes := func(d digest.Digest, person string, ownOnly bool) error {
		_, err := k.do(func(tx *state.Tx) (Plan, error) { return Approve(tx, d, Grant{Person: person, OwnOnly: ownOnly}, now) })
		return err
	}
	d := plan("two, and one is an approver")
	k.propose(d, 2, now) // by uid:1001
	if err := yes(d, "uid:1002", true); code.Of(err) != code.Denied {
		t.Errorf("an operator agreed to what somebody else proposed: %v", err)
	}
	if err := yes(d, "uid:1003", false); err != nil {
		t.Errorf("an approver: %v", err)
	}
	if err := yes(d, "uid:1002", true); code.Of(err) != code.Denied {
		t.Errorf("an operator is the second person: %v", err)
	}
	if err := yes(d, "uid:1001", true); err != nil {
		t.Errorf("the proposer: %v", err)
	}
	if err := yes(d, "uid:1002", true); err != nil {
		t.Errorf("an operator executes what two people agreed to: %v", err)
	}
	if err := k.use(d, now); err != nil {
		t.Error(err)
	}
	one := plan("one is enough")
	k.propose(one, 1, now)
	if err := yes(one, "uid:1002", true); err != nil {
		t.Errorf("where one is asked: %v", err)
	}
}
