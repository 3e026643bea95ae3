package job

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sallyport/internal/clock"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/state"
	"sallyport/internal/statetest"
	"sallyport/internal/wire"
)

var now = time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)

func update(t *testing.T, db *state.DB, fn func(tx *state.Tx) error) {
	t.Helper()
	if err := db.Update(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

func submit(t *testing.T, db *state.DB, id string) {
	t.Helper()
	update(t, db, func(tx *state.Tx) error {
		_, err := Submit(tx, Run{ID: id, Tenant: "acme", Peers: []string{"site"}}, now)
		return err
	})
}

var all = []State{Pending, Planning, Running, Signing, Verifying, Distributing, Succeeded, Failed, Cancelled, Expired}

// TestEdges holds the table against the sentence it comes from.
func TestEdges(t *testing.T) {
	want := map[string]bool{"failed expired": true, "cancelled expired": true, "succeeded expired": true, "failed pending": true, "cancelled pending": true}
	line := []State{Pending, Planning, Running, Signing, Verifying, Distributing, Succeeded}
	for i, s := range line[:6] {
		want[fmt.Sprint(s, " ", line[i+1])] = true
		want[fmt.Sprint(s, " failed")] = true
		want[fmt.Sprint(s, " cancelled")] = true
		if s != Pending {
			want[fmt.Sprint(s, " pending")] = true
		}
	}
	for _, from := range all {
		for _, to := range all {
			if got := CanMove(from, to); got != want[fmt.Sprint(from, " ", to)] {
				t.Errorf("%s → %s: %v", from, to, got)
			}
		}
		if from.Final() != (from == Succeeded || from == Failed || from == Cancelled || from == Expired) {
			t.Errorf("%s final: %v", from, from.Final())
		}
	}
	if CanMove("", Pending) || CanMove("nonsense", Failed) {
		t.Error("an unknown state can move")
	}
}

// TestWalk moves a run at random: the ledger follows the table and nothing else, and its stamps fit its state.
func TestWalk(t *testing.T) {
	db := statetest.Open(t)
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		id := fmt.Sprintf("run-%06d", n)
		submit(t, db, id)
		state1, attempt := Pending, 1
		for range rapid.IntRange(1, 12).Draw(rt, "moves") {
			to := rapid.SampledFrom(all).Draw(rt, "to")
			var r Run
			err := db.Update(rt.Context(), func(tx *state.Tx) (err error) {
				r, err = Move(tx, id, to, now, func(r *Run) { r.Message = string(to) })
				return err
			})
			if CanMove(state1, to) != (err == nil) {
				rt.Fatalf("%s → %s: %v", state1, to, err)
			}
			if err != nil {
				if code.Of(err) != code.ExportConflict {
					rt.Fatal(err)
				}
				continue
			}
			if state1 = to; to == Pending {
				attempt++
			}
			if r.State != to || r.Attempt != attempt || (r.FinishedAt != "") != to.Final() || to == Pending && r.StartedAt != "" {
				rt.Fatalf("%+v", r)
			}
		}
	})
}

func TestMoveGuards(t *testing.T) {
	db := statetest.Open(t)
	submit(t, db, "r1")
	bad := map[string]func(tx *state.Tx) error{
		"state by the back door": func(tx *state.Tx) error {
			_, err := Edit(tx, "r1", func(r *Run) { r.State = Succeeded })
			return err
		},
		"identity": func(tx *state.Tx) error {
			_, err := Move(tx, "r1", Planning, now, func(r *Run) { r.Tenant = "other" })
			return err
		},
		"submitted twice": func(tx *state.Tx) error {
			_, err := Submit(tx, Run{ID: "r1", Tenant: "acme"}, now)
			return err
		},
		"no run":    func(tx *state.Tx) error { _, err := Move(tx, "r9", Planning, now, nil); return err },
		"no tenant": func(tx *state.Tx) error { _, err := Submit(tx, Run{ID: "r2"}, now); return err },
	}
	for name, fn := range bad {
		if err := db.Update(t.Context(), fn); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if EventType("", Pending) != "export.run.submitted" || EventType(Pending, Planning) != "export.run.started" ||
		EventType(Running, Signing) != "" || EventType(Running, Failed) != "export.run.failed" || EventType(Succeeded, Expired) != "" {
		t.Error("event types")
	}
}

func TestRequeueAfterStop(t *testing.T) {
	db := statetest.Open(t)
	for i, to := range [][]State{{}, {Planning, Running}, {Failed}, {Planning, Running, Signing, Verifying, Distributing, Succeeded}} {
		id := fmt.Sprint("r", i)
		submit(t, db, id)
		for _, s := range to {
			update(t, db, func(tx *state.Tx) error { _, err := Move(tx, id, s, now, nil); return err })
		}
	}
	var rs []Run
	update(t, db, func(tx *state.Tx) (err error) { rs, err = Requeue(tx, now); return err })
	if len(rs) != 2 || rs[0].ID != "r1" || rs[0].Attempt != 2 || rs[0].State != Pending || rs[1].ID != "r0" || rs[1].Attempt != 1 {
		t.Errorf("%+v", rs)
	}
}

func TestNamesAndDelivery(t *testing.T) {
	db := statetest.Open(t)
	name := func(n int) string {
		if n == 1 {
			return "mirror-20261121-full"
		}
		return fmt.Sprint("mirror-20261121-full-", n)
	}
	for i, want := range []string{"mirror-20261121-full", "mirror-20261121-full-2", "mirror-20261121-full-3"} {
		id := fmt.Sprint("r", i)
		submit(t, db, id)
		for range 2 { // a second attempt keeps its name
			update(t, db, func(tx *state.Tx) error {
				got, err := UniqueName(tx, id, name)
				if got != want {
					t.Errorf("%s: %s, want %s", id, got, want)
				}
				return err
			})
		}
	}
	bundle := digest.Of([]byte("bundle"))
	update(t, db, func(tx *state.Tx) error {
		_, err := Edit(tx, "r1", func(r *Run) { r.BundleID = bundle })
		return err
	})
	deliver := func(d Delivery) (r Run) {
		update(t, db, func(tx *state.Tx) (err error) {
			var ok bool
			if r, ok, err = Deliver(tx, bundle, "site", d); !ok {
				t.Error("the run was not found by its bundle")
			}
			return err
		})
		return r
	}
	steps := []struct {
		d         Delivery
		delivered bool
		how       string
	}{
		{Delivery{Decision: "parked", How: ByReceipt}, false, ByReceipt},
		{Delivery{Decision: "activated", How: ByVoice, Covers: true}, false, ByVoice},
		{Delivery{Decision: "activated", How: ByReceipt, Covers: true}, true, ByReceipt},
		{Delivery{Decision: "refused", How: ByReceipt}, true, ByReceipt},
		{Delivery{Decision: "activated", How: ByVoice, Covers: true}, true, ByReceipt},
	}
	for i, s := range steps {
		if r := deliver(s.d); r.Delivered() != s.delivered || r.Deliveries["site"].How != s.how {
			t.Errorf("step %d: delivered %v by %q", i, r.Delivered(), r.Deliveries["site"].How)
		}
	}
	update(t, db, func(tx *state.Tx) error {
		_, ok, err := Deliver(tx, digest.Of([]byte("unknown")), "site", Delivery{})
		if ok {
			t.Error("an unknown bundle was delivered")
		}
		return err
	})
	if (Run{}).Delivered() {
		t.Error("a run for nobody is delivered")
	}
}

func TestList(t *testing.T) {
	db := statetest.Open(t)
	for i := range 5 {
		submit(t, db, fmt.Sprint("r", i))
	}
	err := db.View(func(tx *state.Tx) error {
		page, err := List(tx, "acme", "r3", 2, func(r Run) bool { return r.ID != "r2" })
		if len(page) != 2 || page[0].ID != "r1" || page[1].ID != "r0" {
			t.Errorf("%+v", page)
		}
		if other, _ := List(tx, "other", "", 0, nil); len(other) != 0 {
			t.Error("another tenant sees runs")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestJobs(t *testing.T) {
	db := statetest.Open(t)
	for i, to := range [][]State{{}, {Running}, {Running, Succeeded}, {Cancelled}, {Running}, {Running, Pending}} {
		id := fmt.Sprint("j", i)
		update(t, db, func(tx *state.Tx) error {
			_, err := Add(tx, Job{ID: id, Tenant: "acme", Action: "load/run"}, now)
			for _, s := range to {
				if err == nil {
					_, err = Step(tx, id, s, now, nil)
				}
			}
			return err
		})
	}
	err := db.Update(t.Context(), func(tx *state.Tx) error { _, err := Step(tx, "j2", Running, now, nil); return err })
	if code.Of(err) != code.Conflict {
		t.Errorf("back from the end: %v", err)
	}
	enough := &wire.Error{Code: string(code.Interrupted), Message: "enough"}
	update(t, db, func(tx *state.Tx) error {
		left, err := TakeUp(tx, now, func(j Job) *wire.Error {
			if j.ID == "j4" {
				return enough
			}
			return nil
		})
		if len(left) != 3 || left[0].ID != "j0" || left[1].ID != "j1" || left[1].State != Pending || left[1].Lost != 1 || left[1].Attempt != 1 || left[2].ID != "j5" || left[2].Lost != 0 {
			t.Errorf("%+v", left)
		}
		j, err2 := Find(tx, "j4")
		if j.State != Failed || j.Error.Message != "enough" || j.Lost != 1 || j.FinishedAt == "" || err2 != nil {
			t.Errorf("%+v %v", j, err2)
		}
		return err
	})
	update(t, db, func(tx *state.Tx) error {
		n, err := Interrupt(tx, now, enough)
		if n != 3 {
			t.Errorf("%d interrupted", n)
		}
		return err
	})
}

func TestOldJobs(t *testing.T) {
	db := statetest.Open(t)
	for i := range 6 {
		id := fmt.Sprint("j", i)
		update(t, db, func(tx *state.Tx) error {
			_, err := Add(tx, Job{ID: id, Action: "load/run"}, now)
			if i != 5 && err == nil {
				_, err = Step(tx, id, Cancelled, now.Add(time.Duration(i)*time.Hour), nil)
			}
			return err
		})
	}
	old := func(most, few int, before time.Time) (ids []string) {
		if err := db.View(func(tx *state.Tx) (err error) {
			ids, err = Old(tx, most, few, clock.Format(before))
			return err
		}); err != nil {
			t.Fatal(err)
		}
		return ids
	}
	for _, c := range []struct {
		most, few int
		before    time.Time
		want      string
	}{
		{9, 0, now, "[]"},
		{2, 2, now, "[j2 j1 j0]"},
		{9, 1, now.Add(3 * time.Hour), "[j2 j1 j0]"},
		{4, 9, now.Add(100 * time.Hour), "[j0]"},
	} {
		if got := fmt.Sprint(old(c.most, c.few, c.before)); got != c.want {
			t.Errorf("most %d, few %d: %s, want %s", c.most, c.few, got, c.want)
		}
	}
	update(t, db, func(tx *state.Tx) error { return errors.Join(Drop(tx, "j0"), Drop(tx, "gone")) })
	if err := db.Update(t.Context(), func(tx *state.Tx) error { return Drop(tx, "j5") }); code.Of(err) != code.Conflict {
		t.Errorf("an unfinished job was dropped: %v", err)
	}
	if got := fmt.Sprint(old(0, 0, now)); got != "[j4 j3 j2 j1]" {
		t.Error(got)
	}
}
