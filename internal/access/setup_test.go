package access

import (
	"strings"
	"testing"
	"time"

	"sallyport/internal/code"
	"sallyport/internal/seal"
	"sallyport/internal/state"
)

func TestSetupCode(t *testing.T) {
	w := newWorld(t)
	_, err := w.SetupCode(ctx, By{Name: "bob"})
	w.wants(err, code.Denied)
	before, err := w.SetupCode(ctx, host())
	w.must(err)
	one, err := w.SetupCode(ctx, host())
	w.must(err)
	if one.Life != 30*time.Minute || one.Tries != 5 || len(one.Code) != 19 {
		t.Errorf("%+v", one)
	}
	_, err = w.Enrol(ctx, before.Code, "anna", home) // void: it costs a try
	w.wants(err, code.SetupCodeBad)
	e, err := w.Enrol(ctx, " "+strings.ToUpper(one.Code)+" ", "Anna", home)
	w.must(err)
	again, err := w.Enrol(ctx, strings.ReplaceAll(one.Code, "-", ""), "anna", home)
	w.must(err)
	if again.Secret != e.Secret || e.Kind != "setup" || e.Roles != Of(Admin) || e.Life != 30*time.Minute {
		t.Errorf("%+v, then %+v", e, again)
	}
	w.clock.Set(time.Unix(0, 0))
	w.clock.Advance(30*time.Minute - time.Second)
	_, err = w.Enrol(ctx, one.Code, "anna", home)
	w.must(err)
	w.clock.Advance(time.Second)
	_, err = w.Enrol(ctx, one.Code, "anna", home)
	w.wants(err, code.SetupCodeBad)
}

func TestSetupCodeHasFiveTries(t *testing.T) {
	w := newWorld(t)
	one, err := w.SetupCode(ctx, host())
	w.must(err)
	for range 4 {
		w.delays = newDelays()
		_, err := w.Enrol(ctx, "aaaa-bbbb-cccc-dddd", "", home)
		w.wants(err, code.SetupCodeBad)
	}
	w.delays = newDelays()
	_, err = w.Enrol(ctx, one.Code, "", home)
	w.must(err)
	_, err = w.Enrol(ctx, "aaaa-bbbb-cccc-dddd", "", home)
	w.wants(err, code.SetupCodeBad)
	_, err = w.Enrol(ctx, one.Code, "", home)
	w.wants(err, code.SetupCodeBad)
	for range 4 {
		_, err = w.Enrol(ctx, "aaaa-bbbb-cccc-dddd", "", home)
	}
	w.wants(err, code.SignInDelayed)
}

func TestSetUp(t *testing.T) {
	w := newWorld(t)
	one, err := w.SetupCode(ctx, host())
	w.must(err)
	e, err := w.Enrol(ctx, one.Code, "anna", home)
	w.must(err)
	p := phone{secret: e.Secret}
	now := p.shows(w.clock.Now(), 0)
	right := SetUp{Code: one.Code, Name: "anna", Password: good, TOTP: now, Remote: home}
	for name, c := range map[string]struct {
		edit func(*SetUp)
		want code.Code
	}{
		"no code":             {func(q *SetUp) { q.Code = "" }, code.SetupCodeBad},
		"another code":        {func(q *SetUp) { q.Code = "aaaa-bbbb-cccc-dddd" }, code.SetupCodeBad},
		"no name":             {func(q *SetUp) { q.Name = "" }, code.NameBad},
		"a name of ours":      {func(q *SetUp) { q.Name = "root" }, code.NameBad},
		"a name with markup":  {func(q *SetUp) { q.Name = "<b>anna</b>" }, code.NameBad},
		"a long name":         {func(q *SetUp) { q.Name = strings.Repeat("a", 33) }, code.NameBad},
		"a short password":    {func(q *SetUp) { q.Password = "short words" }, code.PasswordBad},
		"no app":              {func(q *SetUp) { q.TOTP = "" }, code.TOTPBad},
		"a code of yesterday": {func(q *SetUp) { q.TOTP = p.shows(w.clock.Now(), -2880) }, code.TOTPBad},
	} {
		w.delays = newDelays()
		q := right
		c.edit(&q)
		if _, err := w.SetUp(ctx, q); code.Of(err) != c.want {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
		if strings.Contains(code.NextStep(err), q.Password) {
			t.Errorf("%s: the answer repeats the password", name)
		}
	}
	w.delays = newDelays()
	if empty, err := w.Empty(ctx); err != nil || !empty {
		t.Error(empty, err)
	}
	in, err := w.SetUp(ctx, right)
	w.must(err)
	if len(in.Recovery) != 10 || in.Token == "" || !in.Who.Fresh || !in.Who.Roles.Has(Admin) {
		t.Errorf("%+v", in)
	}
	_, err = w.SetUp(ctx, right)
	w.wants(err, code.SetupCodeBad) // once
	_, err = w.SetupCode(ctx, host())
	w.wants(err, code.SetupDone)
	if empty, err := w.Empty(ctx); err != nil || empty {
		t.Error(empty, err)
	}
	n, _ := w.events()
	if n["user.created"] != 1 || n["auth.login"] != 1 || n["token.created"] != 1 {
		t.Errorf("%v", n)
	}
}

// Two browsers with the same code: one becomes admin.
func TestSetUpTwice(t *testing.T) {
	w := newWorld(t)
	one, err := w.SetupCode(ctx, host())
	w.must(err)
	errs := make(chan error, 2)
	for _, name := range []string{"anna", "eve"} {
		go func() {
			_, err := w.SetUp(ctx, SetUp{Code: one.Code, Name: name, Password: good, NoTOTP: true, Remote: home})
			errs <- err
		}()
	}
	a, b := <-errs, <-errs
	if (a == nil) == (b == nil) {
		t.Errorf("%v, %v", a, b)
	}
	users, err := w.Users(ctx)
	w.must(err)
	if len(users) != 1 {
		t.Errorf("%+v", users)
	}
}

func TestSetupCodeDiesWithTheDaemon(t *testing.T) {
	w := newWorld(t)
	one, err := w.SetupCode(ctx, host())
	w.must(err)
	w.open()
	_, err = w.Enrol(ctx, one.Code, "", home)
	w.wants(err, code.SetupCodeBad)
}

func TestInvitation(t *testing.T) {
	w := newWorld(t)
	w.admin("anna")
	u, one, err := w.Create(ctx, By{Name: "anna"}, NewUser{Name: "Bob", Roles: Of(Operator), EndsAt: "2027-06-30"})
	w.must(err)
	if u.Name != "bob" || u.State != Invited || u.EndsAt != "2027-07-01T00:00:00Z" || one.Life != 72*time.Hour {
		t.Errorf("%+v %+v", u, one)
	}
	w.open() // it outlives the daemon
	e, err := w.Enrol(ctx, one.Code, "somebody else", home)
	w.must(err)
	if e.Kind != "invitation" || e.Name != "bob" || e.Roles != Of(Operator) || e.Life <= 71*time.Hour {
		t.Errorf("%+v", e)
	}
	roles := Of(Viewer)
	_, _, err = w.Change(ctx, By{Name: "anna"}, "bob", Change{Roles: &roles}) // between the page and its answer
	w.must(err)
	in, err := w.SetUp(ctx, SetUp{Code: one.Code, Name: "eve", Password: good, TOTP: phone{secret: e.Secret}.shows(w.clock.Now(), 0), Remote: home})
	w.must(err)
	if in.Who.Account != "bob" || in.Who.Roles != Of(Viewer) {
		t.Errorf("%+v", in.Who)
	}
	_, err = w.Enrol(ctx, one.Code, "", home)
	w.wants(err, code.SetupCodeBad)

	_, reset, err := w.Change(ctx, By{Name: "anna"}, "bob", Change{Reset: true})
	w.must(err)
	_, err = w.Session(ctx, in.Token)
	w.wants(err, code.SessionOver)
	_, err = w.SignIn(ctx, SignIn{Name: "bob", Password: good, Remote: home})
	w.wants(err, code.SignInBad)
	_, err = w.SetUp(ctx, SetUp{Code: reset.Code, Password: other, NoTOTP: true, Remote: home})
	w.must(err)

	_, late, err := w.Create(ctx, By{Name: "anna"}, NewUser{Name: "carl", Roles: Of(Viewer)})
	w.must(err)
	w.clock.Advance(72 * time.Hour)
	_, err = w.Enrol(ctx, late.Code, "", home)
	w.wants(err, code.SetupCodeBad)
	_, gone, err := w.Change(ctx, By{Name: "anna"}, "carl", Change{Reset: true})
	w.must(err)
	_, err = w.Disable(ctx, By{Name: "anna"}, "carl", "never came")
	w.must(err)
	_, err = w.Enrol(ctx, gone.Code, "", home)
	w.wants(err, code.SetupCodeBad)
}

// Only admin gone, password and app unknown: root on the host opens a way in, and it is seen.
func TestRecover(t *testing.T) {
	w := newWorld(t)
	_, err := w.Recover(ctx, host(), "")
	w.wants(err, code.Conflict)
	w.admin("anna")
	_, err = w.Recover(ctx, By{Name: "bob"}, "")
	w.wants(err, code.Denied)
	one, err := w.Recover(ctx, host(), "")
	w.must(err)
	if one.Life != 15*time.Minute || one.Tries != 5 {
		t.Errorf("%+v", one)
	}
	e, err := w.Enrol(ctx, one.Code, "", home)
	w.must(err)
	if e.Kind != "recover" {
		t.Errorf("%+v", e)
	}
	q := SetUp{Code: one.Code, Name: "anna", Password: other, NoTOTP: true, Remote: home}
	_, err = w.SetUp(ctx, q)
	w.wants(err, code.NameTaken)
	q.Name = "dora"
	in, err := w.SetUp(ctx, q)
	w.must(err)
	if !in.Who.Roles.Has(Admin) {
		t.Errorf("%+v", in)
	}
	q.Name = "eve"
	_, err = w.SetUp(ctx, q)
	w.wants(err, code.SetupCodeBad)
	two, err := w.Recover(ctx, host(), "")
	w.must(err)
	w.clock.Advance(15 * time.Minute)
	_, err = w.Enrol(ctx, two.Code, "", home)
	w.wants(err, code.SetupCodeBad)
	w.must(w.State.View(func(tx *state.Tx) error {
		r, ok, err := Recovered(tx)
		if !ok || r.Count != 2 || r.How != "root" || r.By != "root" {
			t.Errorf("%+v %v", r, ok)
		}
		return err
	}))
	if n, text := w.events(); n["access.recovered"] != 2 || !strings.Contains(text, "how=recover code") {
		t.Errorf("%v\n%s", n, text)
	}
}

func TestRecoveryCard(t *testing.T) {
	w := newWorld(t)
	w.admin("anna")
	first, err := w.MakeCard(ctx, By{Name: "anna"})
	w.must(err)
	c, err := w.MakeCard(ctx, By{Name: "anna"})
	w.must(err)
	ids, err := seal.ParseIdentities([]byte(c.Identity))
	w.must(err)
	w.must(w.State.View(func(tx *state.Tx) error {
		recipient, ok, err := BackupRecipient(tx)
		if !ok || recipient != ids[0].Recipient().String() || recipient != c.Recipient {
			t.Errorf("kept %q, printed %q", recipient, c.Recipient)
		}
		return err
	}))
	if len(strings.Fields(c.Words)) != 9 || len(c.Fingerprint) != 64 || len(c.Restore) == 0 || len(c.Return) == 0 {
		t.Errorf("%#v", c)
	}
	if at, good, err := w.CardAt(ctx); err != nil || at == "" || !good {
		t.Error(at, good, err)
	}
	browser := By{Remote: away}
	_, err = w.Recover(ctx, browser, first.Code)
	w.wants(err, code.SetupCodeBad)
	one, err := w.Recover(ctx, browser, strings.ToUpper(c.Code))
	w.must(err)
	_, err = w.Recover(ctx, browser, c.Code)
	w.wants(err, code.SetupCodeBad)
	_, err = w.SetUp(ctx, SetUp{Code: one.Code, Name: "dora", Password: good, NoTOTP: true, Remote: away})
	w.must(err)
	if at, good, err := w.CardAt(ctx); err != nil || at == "" || good {
		t.Error(at, good, err)
	}
	n, text := w.events()
	if n["key.created"] != 1 || n["key.rotated"] != 1 || n["access.recovered"] != 1 || !strings.Contains(text, "how=card") {
		t.Errorf("%v\n%s", n, text)
	}
	w.delays = newDelays()
	for range 10 {
		_, err = w.Recover(ctx, browser, "aaaa-bbbb-cccc-dddd")
	}
	w.wants(err, code.SignInDelayed)
}

func TestOneTimeLink(t *testing.T) {
	w := newWorld(t)
	w.admin("anna")
	_, err := w.Link(ctx, "nobody")
	w.wants(err, code.Missing)
	one, err := w.Link(ctx, "anna")
	w.must(err)
	_, err = w.Redeem(ctx, one.Code, away, "")
	w.wants(err, code.Denied)
	_, err = w.Redeem(ctx, "aaaa-bbbb-cccc-dddd", "127.0.0.1", "")
	w.wants(err, code.SetupCodeBad)
	in, err := w.Redeem(ctx, one.Code, "::1", "")
	w.must(err)
	if in.Who.Account != "anna" {
		t.Errorf("%+v", in)
	}
	_, err = w.Redeem(ctx, one.Code, "127.0.0.1", "")
	w.wants(err, code.SetupCodeBad)
	two, err := w.Link(ctx, "anna")
	w.must(err)
	w.clock.Advance(linkLife)
	_, err = w.Redeem(ctx, two.Code, "127.0.0.1", "")
	w.wants(err, code.SetupCodeBad)
}
