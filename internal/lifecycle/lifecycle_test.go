package lifecycle

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sallyport/internal/cas"
	"sallyport/internal/clock"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/durable"
	"sallyport/internal/feed"
	"sallyport/internal/ident"
	"sallyport/internal/keyring"
	"sallyport/internal/layer"
	"sallyport/internal/marks"
	"sallyport/internal/state"
	"sallyport/internal/timeline"
)

var (
	build = time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
	ref   = ident.FeedRef{Tenant: "acme", Origin: "ap1bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", Name: "notes"}
	one   = Person{Name: "uid:1001"}
	two   = Person{Name: "uid:1002"}
)

// room is a room over real stores, with a foreign feed of two generations whose layers are not opened.
func room(t *testing.T, fsys durable.FS) *Room {
	t.Helper()
	dir := t.TempDir()
	c := clock.NewFixed(build.Add(9 * time.Hour))
	keys, err := keyring.Create(dir, durable.FS{}, clock.Random(), keyring.Options{Tenant: "acme"})
	if err != nil {
		t.Fatal(err)
	}
	id, err := keys.ApplianceID()
	if err != nil {
		t.Fatal(err)
	}
	for _, do := range []error{
		state.Create(filepath.Join(dir, "state.db"), durable.FS{}, "i"),
		marks.Create(filepath.Join(dir, "marks"), durable.FS{}, "i", build),
		cas.Create(filepath.Join(dir, "cas"), durable.FS{}, "i"),
		os.WriteFile(filepath.Join(dir, "instance.json"), []byte(`{"instance":"i","id":"`+id+`","name":"site","tenants":["acme"],"rootId":"x"}`), 0o600),
	} {
		if do != nil {
			t.Fatal(do)
		}
	}
	db, err := state.Open(filepath.Join(dir, "state.db"), fsys)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	m, err := marks.Open(filepath.Join(dir, "marks"), durable.FS{}, c)
	if err != nil {
		t.Fatal(err)
	}
	store, err := cas.Open(filepath.Join(dir, "cas"), durable.FS{}, "i")
	if err != nil {
		t.Fatal(err)
	}
	return New(Deps{
		State: db, CAS: store, Layers: layer.NewDir(filepath.Join(dir, "layers"), durable.FS{}), Keys: keys, Marks: m,
		Timeline: timeline.New(id, m.Now, clock.Random()), Clock: c, Random: clock.Random(), FS: fsys, DataDir: dir, ID: id, Name: "site",
		Software: "0.1.0", Every: 14 * 24 * time.Hour, Expire: 7 * 24 * time.Hour,
	})
}

func hold2(t *testing.T, r *Room) {
	t.Helper()
	for g := int64(1); g <= 2; g++ {
		root := digest.Of([]byte{byte(g)})
		plan, err := feed.NewPlan(feed.Proposal{Ref: ref, Generation: feed.Generation{
			Point: feed.Point{Epoch: 1, Generation: g}, Root: root, Layers: []feed.Layer{{File: "x"}},
			BundleID: root, Manifests: []feed.Voucher{{Manifest: root, BundleID: root, Signer: "k"}}, Signer: "k",
		}})
		if err != nil {
			t.Fatal(err)
		}
		if err := r.State.Update(t.Context(), func(tx *state.Tx) error {
			_, err := feed.Activate(tx, plan, build)
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
}

func events(t *testing.T, r *Room, typ string) (n int) {
	t.Helper()
	if err := r.State.View(func(tx *state.Tx) error {
		return r.Timeline.Read(tx, 0, 0, func(e timeline.Entry) error {
			if e.Type == typ {
				n++
			}
			return nil
		})
	}); err != nil {
		t.Fatal(err)
	}
	return n
}

// digestOf reads the digest that an approval-needed error names.
func digestOf(t *testing.T, err error) string {
	t.Helper()
	if code.Of(err) != code.PlanApproval {
		t.Fatalf("not asking for a second person: %v", err)
	}
	step := code.NextStep(err)
	return step[strings.Index(step, "sha256:"):]
}

// Two people set the time: one alone, the same one twice, root that nobody signed in, and another digest do not; it never
// goes back, and each time leaves one event.
func TestSetTimeNeedsTwo(t *testing.T) {
	r := room(t, durable.FS{})
	at := build.AddDate(0, 2, 0)
	set := func(who Person, at time.Time, approve string) error {
		return r.SetTime(context.Background(), who, at, "no stick", approve)
	}
	d := digestOf(t, set(one, at, ""))
	for what, err := range map[string]error{
		"the same one":  set(one, at, d),
		"no digest":     set(two, at, ""),
		"lone root":     set(Person{Name: "root", Lone: true}, at, d),
		"no reason":     r.SetTime(context.Background(), two, at, "", d),
		"another time":  set(two, at.Add(time.Hour), d),
		"back in time":  set(two, build.AddDate(-1, 0, 0), ""),
		"another digit": set(two, at, digest.Of([]byte("x")).String()),
	} {
		if err == nil {
			t.Errorf("%s: the time was set", what)
		}
	}
	if events(t, r, "time.anchor.applied") != 0 || r.Marks.Now().Source == "operator" {
		t.Fatal("one person set the time")
	}
	if err := set(two, at, d); err != nil {
		t.Fatal(err)
	}
	if now := r.Marks.Now(); !now.Trusted.Equal(at) || now.Source != "operator" || events(t, r, "time.anchor.applied") != 1 || events(t, r, "approval.granted") != 2 {
		t.Errorf("%+v, %d times somebody said yes", now, events(t, r, "approval.granted"))
	}
	if err := set(one, at, d); code.Of(err) != code.PlanApproval {
		t.Errorf("the approval was used up: %v", err)
	}
}

// What two people agreed to counts after a crash between its event and the marks, once.
func TestTimeAfterACrash(t *testing.T) {
	r := room(t, durable.WithHook(func(op durable.Op) durable.Verdict {
		if op.Path == "time.told" {
			panic("killed")
		}
		return durable.Do
	}))
	at := build.AddDate(0, 2, 0)
	d := digestOf(t, r.SetTime(context.Background(), one, at, "why", ""))
	func() {
		defer func() { _ = recover() }()
		_ = r.SetTime(context.Background(), two, at, "why", d)
	}()
	if r.Marks.Now().Trusted.Equal(at) {
		t.Fatal("it was not killed before the marks")
	}
	for range 2 {
		if err := r.Recover(); err != nil {
			t.Fatal(err)
		}
		if now := r.Marks.Now(); !now.Trusted.Equal(at) || now.Source != "operator" {
			t.Errorf("%+v", now)
		}
	}
	if err := r.Marks.NewTimeEpoch(1, build); err != nil {
		t.Fatal(err)
	}
	if err := r.Recover(); err != nil || !r.Marks.Now().Trusted.Equal(build) {
		t.Errorf("a later time epoch was overruled: %v, %v", r.Marks.Now().Trusted, err)
	}
}

// An anchor that jumps too far counts when two people confirm it, and only with its own digest.
func TestConfirmAnchor(t *testing.T) {
	r := room(t, durable.FS{})
	a := Anchor{Peer: "hub", Key: "k", Counter: 7, At: build.AddDate(3, 0, 0)}
	if err := r.Marks.ApplyAnchor(a.Key, a.Counter, a.At, false); code.Of(err) != code.TrustTwoPersons {
		t.Fatal(err)
	}
	d := digestOf(t, r.ConfirmAnchor(context.Background(), one, a, "they were away", ""))
	if d != r.Plan(a).String() {
		t.Errorf("%s is not the plan", d)
	}
	other := a
	other.Counter++
	if err := r.ConfirmAnchor(context.Background(), two, other, "called", d); code.Of(err) != code.PlanChanged {
		t.Errorf("another anchor: %v", err)
	}
	if err := r.ConfirmAnchor(context.Background(), two, a, "called", d); err != nil {
		t.Fatal(err)
	}
	if now := r.Marks.Now(); !now.Trusted.Equal(a.At) || now.Source != "anchor" {
		t.Errorf("%+v", now)
	}
}

// A hold goes on with one person's word and comes off with two; a single operator is enough where init said so.
func TestHoldAndRelease(t *testing.T) {
	r := room(t, durable.FS{})
	hold2(t, r)
	ctx := context.Background()
	if _, err := r.Hold(ctx, one, ref, 0, 1, "evidence"); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Hold(ctx, one, ref, 0, 1, "again"); err != nil || events(t, r, "hold.set") != 1 {
		t.Errorf("a second hold: %v, %d events", err, events(t, r, "hold.set"))
	}
	_, err := r.Release(ctx, one, ref, 0, 1, "done", "")
	d := digestOf(t, err)
	if _, err := r.Release(ctx, two, ref, 0, 1, "done", d); err != nil || events(t, r, "hold.released") != 1 {
		t.Errorf("%v, %d events", err, events(t, r, "hold.released"))
	}
	if _, err := r.Release(ctx, one, ref, 0, 1, "done", ""); code.Of(err) != code.Conflict {
		t.Errorf("there is no hold: %v", err)
	}
	r.Single = true
	if _, err := r.Hold(ctx, one, ref, 0, 1, "evidence"); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Release(ctx, one, ref, 0, 1, "done", ""); err != nil {
		t.Errorf("a single operator: %v", err)
	}
}

// Each way a feed is steered is one event, and what is refused is none.
func TestSteer(t *testing.T) {
	r := room(t, durable.FS{})
	hold2(t, r)
	ctx := context.Background()
	if _, err := r.Rollback(ctx, one, ref, 0, 1, ""); code.Of(err) != code.BadUsage {
		t.Errorf("without a reason: %v", err)
	}
	if _, err := r.Rollback(ctx, one, ref, 0, 2, "x"); code.Of(err) != code.Conflict {
		t.Errorf("to what is active: %v", err)
	}
	c, err := r.Rollback(ctx, one, ref, 0, 1, "bad")
	if err != nil || c.After != (feed.Point{Epoch: 1, Generation: 1}) || events(t, r, "feed.rolledback") != 1 {
		t.Fatalf("%+v %v", c, err)
	}
	if c, err = r.Unpin(ctx, one, ref); err != nil || c.After.Generation != 2 || events(t, r, "bundle.import.activated") != 1 || events(t, r, "feed.pinned") != 1 {
		t.Errorf("%+v %v", c, err)
	}
	if _, err = r.Unpin(ctx, one, ref); err != nil || events(t, r, "feed.pinned") != 1 {
		t.Errorf("unpinning what is not pinned left an event: %v", err)
	}
	if err := r.Marks.SetTime(build.AddDate(0, 3, 0)); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Rollback(ctx, one, ref, 0, 1, "bad"); code.Of(err) != code.DataStale {
		t.Errorf("older data in breach: %v", err)
	}
	if err := r.Rhythm(ctx, one, ref, 60*24*time.Hour); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Rollback(ctx, one, ref, 0, 1, "bad"); err != nil {
		t.Errorf("within its own rhythm: %v", err)
	}
}

// A backup that meets a fault in any step leaves no directory that a restore would take; only when the commit of its event
// has an unknown outcome does a whole one stay.
func TestBackupFaults(t *testing.T) {
	steps := 0
	r := room(t, durable.WithHook(func(op durable.Op) durable.Verdict {
		steps++
		return durable.Do
	}))
	steps = 0
	m, err := r.Backup(context.Background(), one, filepath.Join(t.TempDir(), "safe"), nil)
	if err != nil || m.Archive.Bytes == 0 || events(t, r, "backup.created") != 1 {
		t.Fatalf("%+v %v", m, err)
	}
	last := steps
	for at := 1; at <= last; at++ {
		n, armed := 0, false
		r := room(t, durable.WithHook(func(op durable.Op) durable.Verdict {
			if !armed || op.Verb == "point" {
				n++
				return durable.Do
			}
			if n++; n == at {
				return durable.Lose
			}
			return durable.Do
		}))
		n, armed = 0, true
		to := filepath.Join(t.TempDir(), "safe")
		_, err := r.Backup(context.Background(), one, to, nil)
		if err == nil {
			continue // the step was a named point
		}
		if _, _, rerr := readArchive(to); rerr == nil && events(t, r, "backup.created") == 0 && code.Of(err) != code.FsyncFailed {
			t.Errorf("step %d: %v, and yet there is a backup", at, err)
		}
	}
}
