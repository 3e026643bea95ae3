package access

import (
	"context"
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"

	"sallyport/internal/code"
	"sallyport/internal/durable"
	"sallyport/internal/wire"
)

var ctx = context.Background()

// Every reason for which somebody may not come in reads the same, word for word.
func TestRefusalsReadTheSame(t *testing.T) {
	w := newWorld(t)
	_, p := w.admin("anna")
	w.person("bob", Of(Operator))
	w.person("gone", Of(Operator))
	_, err := w.Disable(ctx, host(), "gone", "left the company")
	w.must(err)
	end := w.reading().Trusted.Add(time.Hour).Format(time.RFC3339)
	w.person("guest", Of(Viewer))
	_, _, err = w.Change(ctx, host(), "guest", Change{EndsAt: &end})
	w.must(err)
	_, _, err = w.Create(ctx, host(), NewUser{Name: "invited", Roles: Of(Viewer)})
	w.must(err)
	w.clock.Advance(2 * time.Hour)
	right := p.shows(w.clock.Now(), 0)
	cases := map[string]SignIn{
		"unknown name":              {Name: "nobody-here", Password: good},
		"no name":                   {Password: good},
		"a name that cannot be":     {Name: strings.Repeat("x", 40_000) + "\x00", Password: good},
		"wrong password":            {Name: "anna", Password: other, Code: right},
		"no password":               {Name: "anna", Code: right},
		"right password, no code":   {Name: "anna", Password: good},
		"right password, bad code":  {Name: "anna", Password: good, Code: "000000"},
		"code of another time":      {Name: "anna", Password: good, Code: p.shows(w.clock.Now(), 500)},
		"code that is no code":      {Name: "anna", Password: good, Code: "' or 1=1 --"},
		"recovery code of nobody":   {Name: "anna", Password: good, Code: "aaaa-bbbb-cccc-dddd"},
		"password 300 bytes":        {Name: "bob", Password: strings.Repeat("a", 300)},
		"disabled":                  {Name: "gone", Password: good},
		"last day passed":           {Name: "guest", Password: good},
		"nobody chose a password":   {Name: "invited", Password: good},
		"nobody chose, no password": {Name: "invited"},
	}
	var first wire.Error
	for name, q := range cases {
		q.Remote = "" // no delays between the cases
		w.delays = newDelays()
		_, err := w.SignIn(ctx, q)
		w.wants(err, code.SignInBad)
		e := *wire.FromError(err)
		if first.Code == "" {
			first = e
		}
		if e != first {
			t.Errorf("%s: %+v, others %+v", name, e, first)
		}
	}
	w.delays = newDelays()
	in, err := w.SignIn(ctx, SignIn{Name: " Anna ", Password: good, Code: right, Remote: home})
	w.must(err)
	if in.Who.Account != "anna" || !in.Who.Fresh || in.Who.Roles != Of(Admin) || in.CodesLeft != 10 {
		t.Errorf("%+v", in)
	}
}

// An unknown account goes through the same hash as a known one: with the hasher held by another, both wait.
func TestUnknownAccountsAreHashedToo(t *testing.T) {
	w := newWorld(t)
	w.admin("anna")
	w.hash.turn <- struct{}{}
	gone, cancel := context.WithCancel(ctx)
	cancel()
	for _, name := range []string{"anna", "nobody"} {
		if _, err := w.SignIn(gone, SignIn{Name: name, Password: good}); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
	}
	<-w.hash.turn
	for range queue + 1 {
		w.hash.line <- struct{}{}
	}
	_, err := w.SignIn(ctx, SignIn{Name: "nobody", Password: good})
	w.wants(err, code.SignInDelayed)
	if d, ok := RetryAfter(err); !ok || d != 2*time.Second {
		t.Errorf("%v", d)
	}
}

// A code of the app works once: also after a restart, also for a proof, and so does each recovery code.
func TestCodesWorkOnce(t *testing.T) {
	w := newWorld(t)
	in, p := w.admin("anna")
	now := p.shows(w.clock.Now(), 0)
	sign := func(c string) error {
		w.delays = newDelays()
		_, err := w.SignIn(ctx, SignIn{Name: "anna", Password: good, Code: c, Remote: home})
		return err
	}
	w.must(sign(now))
	w.wants(sign(now), code.SignInBad)
	w.wants(sign(p.shows(w.clock.Now(), -1)), code.SignInBad) // the one before was never used, and is over with the next
	w.wants(w.StepUp(ctx, in.Token, now, home), code.SignInBad)
	w.open()
	w.wants(sign(now), code.SignInBad)
	w.must(sign(p.shows(w.clock.Now(), 1)))
	w.must(sign(strings.ToUpper(strings.ReplaceAll(in.Recovery[3], "-", " "))))
	w.wants(sign(in.Recovery[3]), code.SignInBad)
	w.open()
	w.wants(sign(in.Recovery[3]), code.SignInBad)
	w.must(sign(in.Recovery[4]))
	u, err := w.User(ctx, "anna")
	w.must(err)
	if u.CodesLeft != 8 {
		t.Errorf("%+v", u)
	}
}

func TestStepUp(t *testing.T) {
	w := newWorld(t)
	in, p := w.admin("anna")
	who := func() Who {
		got, err := w.Session(ctx, in.Token)
		w.must(err)
		return got
	}
	w.clock.Advance(Fresh - 2*time.Minute)
	if !who().Fresh {
		t.Error("the proof of the sign-in does not count for five minutes")
	}
	w.clock.Advance(2 * time.Minute)
	if who().Fresh {
		t.Error("an old proof counts")
	}
	w.wants(w.StepUp(ctx, in.Token, "not the password", home), code.SignInBad)
	if who().Fresh {
		t.Error("a wrong proof counts")
	}
	for name, proof := range map[string]func() string{
		"password": func() string { return good }, "code": func() string { return p.shows(w.clock.Now(), 0) }, "recovery code": func() string { return in.Recovery[0] },
	} {
		w.must(w.StepUp(ctx, in.Token, proof(), home))
		if !who().Fresh {
			t.Errorf("%s is no proof", name)
		}
		w.clock.Advance(Fresh + time.Second)
	}
	w.must(w.StepUp(ctx, in.Token, good, home))
	w.must(w.Tick(ctx))
	w.open()
	if who().Fresh {
		t.Error("a proof outlives the daemon")
	}
	w.wants(w.StepUp(ctx, "no token", good, home), code.SessionOver)
}

// A full disk keeps nobody out, lets no code count twice, and everything is written when there is room again.
func TestSignInOnAFullDisk(t *testing.T) {
	w := newWorld(t)
	first, p := w.admin("anna")
	full := func(op durable.Op) durable.Verdict {
		if op.Verb == "commit" {
			return durable.Fail(syscall.ENOSPC)
		}
		return durable.Do
	}
	w.setFault(full)
	now := p.shows(w.clock.Now(), 0)
	in, err := w.SignIn(ctx, SignIn{Name: "anna", Password: good, Code: now, Remote: home})
	w.must(err)
	who, err := w.Session(ctx, in.Token)
	w.must(err)
	if !who.Fresh || who.Account != "anna" {
		t.Errorf("%+v", who)
	}
	_, err = w.SignIn(ctx, SignIn{Name: "anna", Password: good, Code: now, Remote: home})
	w.wants(err, code.SignInBad)
	again, err := w.SignIn(ctx, SignIn{Name: "anna", Password: good, Code: first.Recovery[0], Remote: home})
	w.must(err)
	_, err = w.SignIn(ctx, SignIn{Name: "anna", Password: good, Code: first.Recovery[0], Remote: home})
	w.wants(err, code.SignInBad)
	w.must(w.StepUp(ctx, in.Token, p.shows(w.clock.Now(), 1), home))
	w.wants(w.StepUp(ctx, in.Token, p.shows(w.clock.Now(), 1), home), code.SignInBad)
	list, err := w.Sessions(ctx, "anna")
	w.must(err)
	if len(list) != 3 {
		t.Errorf("%+v", list)
	}
	w.must(w.Tick(ctx))
	w.must(w.SignOut(ctx, again.Token))
	_, err = w.Session(ctx, again.Token)
	w.wants(err, code.SessionOver)
	if n, _ := w.events(); n["auth.login"] != 1 {
		t.Errorf("%v", n)
	}

	w.setFault(nil)
	w.must(w.Close(ctx))
	n, text := w.events()
	if n["auth.login"] != 2 || n["auth.denied"] == 0 {
		t.Errorf("%v\n%s", n, text)
	}
	w.delays = newDelays()
	_, err = w.SignIn(ctx, SignIn{Name: "anna", Password: good, Code: now, Remote: home})
	w.wants(err, code.SignInBad)
	w.open()
	if _, err := w.Session(ctx, in.Token); err != nil {
		t.Errorf("a session that was kept in memory is not written: %v", err)
	}
	_, err = w.SignIn(ctx, SignIn{Name: "anna", Password: good, Code: now, Remote: home})
	w.wants(err, code.SignInBad)
}

// A hash of another cost is made anew when its password is known.
func TestRehash(t *testing.T) {
	w := newWorld(t)
	w.admin("anna")
	w.person("bob", Of(Viewer))
	dear := cheap()
	dear.Time++
	w.hash = newHasher(dear, w.Random)
	_, err := w.SignIn(ctx, SignIn{Name: "bob", Password: good, Remote: home})
	w.must(err)
	a, _, err := w.view("bob")
	w.must(err)
	if w.hash.stale(a.Password) {
		t.Errorf("%s", a.Password)
	}
	_, err = w.SignIn(ctx, SignIn{Name: "bob", Password: good, Remote: home})
	w.must(err)
}
