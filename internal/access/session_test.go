package access

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sallyport/internal/code"
)

func TestSessionEnds(t *testing.T) {
	w := newWorld(t)
	in, _ := w.admin("anna")
	alive := func() bool {
		_, err := w.Session(ctx, in.Token)
		return err == nil
	}
	w.clock.Advance(Idle - time.Minute - time.Second)
	if !alive() {
		t.Error("ended before it was idle")
	}
	w.clock.Advance(Idle - time.Second)
	if _, err := w.Peek(ctx, in.Token); err != nil {
		t.Error("a look ends it")
	}
	w.clock.Advance(2 * time.Second)
	_, err := w.Session(ctx, in.Token)
	w.wants(err, code.SessionOver)

	in = w.person("bob", Of(Viewer))
	for i := time.Duration(0); i < Absolute; i += 10 * time.Minute {
		if !alive() {
			t.Fatalf("ended after %s, though somebody is there", i)
		}
		w.clock.Advance(10 * time.Minute)
	}
	if alive() {
		t.Error("lives for ever")
	}
	w.must(w.Tick(ctx))
	if list, err := w.Sessions(ctx, ""); err != nil || len(list) != 0 {
		t.Errorf("%+v %v", list, err)
	}
}

func TestSessionAndRestarts(t *testing.T) {
	w := newWorld(t)
	in, _ := w.admin("anna")
	w.clock.Advance(Idle - 2*time.Minute)
	who, err := w.Session(ctx, in.Token)
	w.must(err)
	w.must(w.Tick(ctx))
	w.open()
	w.clock.Advance(5 * time.Minute)
	again, err := w.Session(ctx, in.Token)
	w.must(err)
	if again.Session != who.Session || again.Fresh {
		t.Errorf("%+v", again)
	}
	w.reboot("boot-2")
	_, err = w.Session(ctx, in.Token)
	w.wants(err, code.SessionOver)
	in = w.person("bob", Of(Viewer))
	w.mu.Lock()
	w.base += time.Hour // the same boot id with an uptime that went back: a clone, or a container that lies
	w.mu.Unlock()
	_, err = w.Session(ctx, in.Token)
	w.wants(err, code.SessionOver)
	w.mu.Lock()
	w.boot, w.base = "", 0
	w.mu.Unlock()
	in = w.person("carl", Of(Viewer))
	_, err = w.Session(ctx, in.Token)
	w.wants(err, code.SessionOver)
}

// Whatever the wall clock does, a session lives exactly as long as the clocks that nobody can set say.
func TestSessionsUnderClockJumps(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t)
		in, _ := w.admin("anna")
		born, last := w.clock.Mono()-time.Minute, w.clock.Mono()-time.Minute
		for range rapid.IntRange(1, 30).Draw(rt, "steps") {
			switch rapid.IntRange(0, 3).Draw(rt, "what") {
			case 0:
				at := rapid.SampledFrom([]time.Time{time.Unix(0, 0), time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)}).Draw(rt, "wall")
				w.clock.Set(at)
			case 1:
				w.must(w.Tick(ctx))
			default:
				w.clock.Advance(time.Duration(rapid.IntRange(1, 1000).Draw(rt, "seconds")) * time.Second)
			}
			now := w.clock.Mono()
			// the seconds since boot are whole: what is closer to the edge than that is not judged
			idle, old := now-last, now-born
			_, err := w.Session(ctx, in.Token)
			switch {
			case idle < Idle-time.Second && old < Absolute-time.Second:
				if err != nil {
					rt.Fatalf("ended after %s, idle %s: %v", old, idle, err)
				}
				last = now
			case idle > Idle+time.Second || old > Absolute+time.Second:
				if err == nil {
					rt.Fatalf("lives after %s, idle %s", old, idle)
				}
				return
			default:
				return
			}
		}
	})
}

// Roles, end and disabling count at the next request.
func TestRolesAreReadAgain(t *testing.T) {
	w := newWorld(t)
	w.admin("anna")
	in := w.person("bob", Of(Operator, Approver))
	roles := Of(Viewer)
	_, _, err := w.Change(ctx, By{Name: "anna"}, "bob", Change{Roles: &roles})
	w.must(err)
	who, err := w.Session(ctx, in.Token)
	w.must(err)
	if who.Roles != Of(Viewer) {
		t.Errorf("%s", who.Roles)
	}
	end := w.reading().Trusted.Add(time.Minute).Format(time.RFC3339)
	_, _, err = w.Change(ctx, By{Name: "anna"}, "bob", Change{EndsAt: &end})
	w.must(err)
	w.clock.Advance(2 * time.Minute)
	_, err = w.Session(ctx, in.Token)
	w.wants(err, code.SessionOver)
	never := ""
	_, _, err = w.Change(ctx, By{Name: "anna"}, "bob", Change{EndsAt: &never})
	w.must(err)
	_, err = w.Session(ctx, in.Token)
	w.must(err)
	_, err = w.Disable(ctx, By{Name: "anna"}, "bob", "left")
	w.must(err)
	_, _, err = w.Change(ctx, By{Name: "anna"}, "bob", Change{Enable: true})
	w.must(err)
	_, err = w.Session(ctx, in.Token) // it ended with the account, and does not come back with it
	w.wants(err, code.SessionOver)
	n, _ := w.events()
	if n["role.changed"] != 1 || n["user.disabled"] != 1 || n["user.changed"] != 4 {
		t.Errorf("%v", n)
	}
}

func TestRevoke(t *testing.T) {
	w := newWorld(t)
	in, p := w.admin("anna")
	second, err := w.SignIn(ctx, SignIn{Name: "anna", Password: good, Code: p.shows(w.clock.Now(), 0), Remote: away, Agent: strings.Repeat("x", 5000)})
	w.must(err)
	bob := w.person("bob", Of(Viewer))
	list, err := w.Sessions(ctx, "anna")
	w.must(err)
	if len(list) != 2 || len(list[0].Agent) > 200 {
		t.Fatalf("%+v", list)
	}
	n, err := w.Revoke(ctx, By{Name: "anna"}, second.Who.Session, "")
	w.must(err)
	if n != 1 {
		t.Error(n)
	}
	_, err = w.Session(ctx, second.Token)
	w.wants(err, code.SessionOver)
	_, err = w.Session(ctx, in.Token)
	w.must(err)
	if n, err = w.Revoke(ctx, By{Name: "anna"}, "", "bob"); err != nil || n != 1 {
		t.Error(n, err)
	}
	_, err = w.Session(ctx, bob.Token)
	w.wants(err, code.SessionOver)
	_, err = w.Revoke(ctx, By{Name: "anna"}, "s-nothing", "")
	w.wants(err, code.Missing)
	_, err = w.Revoke(ctx, By{Name: "anna"}, "", "")
	w.wants(err, code.BadUsage)
	w.must(w.SignOut(ctx, in.Token))
	w.must(w.SignOut(ctx, in.Token))
	_, err = w.Session(ctx, in.Token)
	w.wants(err, code.SessionOver)
	if n, _ := w.events(); n["session.revoked"] != 3 {
		t.Errorf("%v", n)
	}
}

// An account has at most ten sessions; the one used longest ago makes room.
func TestSessionsAreNotUnlimited(t *testing.T) {
	w := newWorld(t)
	w.admin("anna")
	first := w.person("bob", Of(Viewer))
	for i := range maxSessions {
		w.clock.Advance(time.Minute)
		_, err := w.SignIn(ctx, SignIn{Name: "bob", Password: good, Remote: fmt.Sprintf("192.0.2.%d", i)})
		w.must(err)
	}
	list, err := w.Sessions(ctx, "bob")
	w.must(err)
	_, err = w.Session(ctx, first.Token)
	if len(list) != maxSessions || code.Of(err) != code.SessionOver {
		t.Errorf("%d sessions, the first: %v", len(list), err)
	}
}

func TestStanding(t *testing.T) {
	w := newWorld(t)
	w.admin("anna")
	in := w.person("bob", Of(Operator))
	v, _, err := w.CreateToken(ctx, By{Name: "bob"}, NewToken{Name: "ci", Account: "bob", Scopes: []string{"feed:read"}, Days: 2})
	w.must(err)
	w.must(w.SignOut(ctx, in.Token))
	if who, ok := w.Standing(ctx, "bob", in.Who.Session); !ok || who.Roles != Of(Operator) || who.Person != "bob" {
		t.Errorf("%+v %v", who, ok)
	}
	if who, ok := w.Standing(ctx, "bob", v.ID); !ok || len(who.Scopes) != 1 {
		t.Errorf("%+v %v", who, ok)
	}
	w.clock.Advance(3 * 24 * time.Hour)
	if _, ok := w.Standing(ctx, "bob", v.ID); ok {
		t.Error("a token that is over stands")
	}
	_, err = w.Disable(ctx, By{Name: "anna"}, "bob", "left")
	w.must(err)
	for _, session := range []string{in.Who.Session, v.ID, "t-gone"} {
		if who, ok := w.Standing(ctx, "bob", session); ok || who.Roles != 0 {
			t.Errorf("%s: %+v", session, who)
		}
	}
	if _, ok := w.Standing(ctx, "", ""); ok {
		t.Error("nobody stands")
	}
}
