package access

import (
	"strings"
	"testing"
	"time"

	"sallyport/internal/code"
)

func TestTheLastAdminStays(t *testing.T) {
	w := newWorld(t)
	w.admin("anna")
	viewer, until, never := Of(Viewer), "2030-01-01", ""
	tries := map[string]func() error{
		"disable": func() error { _, err := w.Disable(ctx, host(), "anna", "x"); return err },
		"demote":  func() error { _, _, err := w.Change(ctx, host(), "anna", Change{Roles: &viewer}); return err },
		"end":     func() error { _, _, err := w.Change(ctx, host(), "anna", Change{EndsAt: &until}); return err },
		"reset":   func() error { _, _, err := w.Change(ctx, host(), "anna", Change{Reset: true}); return err },
	}
	refused := func(when string) {
		t.Helper()
		for name, try := range tries {
			if err := try(); code.Of(err) != code.LastAdmin {
				t.Errorf("%s: %s: %v", when, name, err)
			}
		}
		if u, err := w.User(ctx, "anna"); err != nil || u.State != Active || u.EndsAt != "" || len(u.Roles) != 1 || u.Roles[0] != Admin {
			t.Errorf("%s: %+v %v", when, u, err)
		}
	}
	refused("alone")
	w.person("bob", Of(Operator))
	refused("beside an operator")
	_, _, err := w.Create(ctx, host(), NewUser{Name: "carl", Roles: Of(Admin)})
	w.must(err)
	refused("beside an admin who chose no password yet")
	w.person("guest", Of(Admin))
	_, _, err = w.Change(ctx, host(), "guest", Change{EndsAt: &until})
	w.must(err)
	refused("beside an admin with a last day")
	_, _, err = w.Change(ctx, host(), "guest", Change{EndsAt: &never})
	w.must(err)
	w.must(tries["disable"]())
	_, err = w.Disable(ctx, host(), "guest", "x")
	w.wants(err, code.LastAdmin)
	if n, _ := w.events(); n["user.disabled"] != 1 {
		t.Errorf("%v", n)
	}
}

func TestChangesThatAreRefused(t *testing.T) {
	w := newWorld(t)
	w.admin("anna")
	w.person("bob", Of(Operator))
	none, same, past, bad := Roles(0), Of(Operator), "2020-01-01", "soon"
	for name, c := range map[string]struct {
		try  func() error
		want code.Code
	}{
		"create: name":    {func() error { _, _, err := w.Create(ctx, host(), NewUser{Name: "a b", Roles: same}); return err }, code.NameBad},
		"create: taken":   {func() error { _, _, err := w.Create(ctx, host(), NewUser{Name: "BOB", Roles: same}); return err }, code.NameTaken},
		"create: no role": {func() error { _, _, err := w.Create(ctx, host(), NewUser{Name: "carl"}); return err }, code.BadUsage},
		"create: past": {func() error {
			_, _, err := w.Create(ctx, host(), NewUser{Name: "carl", Roles: same, EndsAt: past})
			return err
		}, code.BadUsage},
		"create: no day": {func() error {
			_, _, err := w.Create(ctx, host(), NewUser{Name: "carl", Roles: same, EndsAt: bad})
			return err
		}, code.BadUsage},
		"change: unknown":    {func() error { _, _, err := w.Change(ctx, host(), "carl", Change{Enable: true}); return err }, code.Missing},
		"change: nothing":    {func() error { _, _, err := w.Change(ctx, host(), "bob", Change{}); return err }, code.BadUsage},
		"change: same roles": {func() error { _, _, err := w.Change(ctx, host(), "bob", Change{Roles: &same}); return err }, code.BadUsage},
		"change: no role":    {func() error { _, _, err := w.Change(ctx, host(), "bob", Change{Roles: &none}); return err }, code.BadUsage},
		"change: past":       {func() error { _, _, err := w.Change(ctx, host(), "bob", Change{EndsAt: &past}); return err }, code.BadUsage},
		"disable: no reason": {func() error { _, err := w.Disable(ctx, host(), "bob", ""); return err }, code.BadUsage},
		"disable: unknown":   {func() error { _, err := w.Disable(ctx, host(), "carl", "x"); return err }, code.Missing},
		"link: root":         {func() error { _, err := w.LinkUser(ctx, host(), "bob", 0, false); return err }, code.BadUsage},
		"link: nobody":       {func() error { _, err := w.LinkUser(ctx, host(), "bob", nobody, false); return err }, code.BadUsage},
		"link: unnamed":      {func() error { _, err := w.LinkUser(ctx, host(), "bob", unnamed, false); return err }, code.BadUsage},
		"link: unknown":      {func() error { _, err := w.LinkUser(ctx, host(), "carl", 1000, false); return err }, code.Missing},
		"part: not linked":   {func() error { _, err := w.LinkUser(ctx, host(), "bob", 1000, true); return err }, code.Missing},
		"token: no scope": {func() error {
			_, _, err := w.CreateToken(ctx, host(), NewToken{Name: "ci", Account: "bob"})
			return err
		}, code.BadUsage},
		"token: strange scope": {func() error {
			_, _, err := w.CreateToken(ctx, host(), NewToken{Name: "ci", Account: "bob", Scopes: []string{"feed:read\nx"}})
			return err
		}, code.BadUsage},
		"token: years": {func() error {
			_, _, err := w.CreateToken(ctx, host(), NewToken{Name: "ci", Account: "bob", Scopes: []string{"feed:read"}, Days: 367})
			return err
		}, code.BadUsage},
		"token: name": {func() error {
			_, _, err := w.CreateToken(ctx, host(), NewToken{Name: "<b>", Account: "bob", Scopes: []string{"feed:read"}})
			return err
		}, code.BadUsage},
		"token: unknown account": {func() error {
			_, _, err := w.CreateToken(ctx, host(), NewToken{Name: "ci", Account: "carl", Scopes: []string{"feed:read"}})
			return err
		}, code.Missing},
		"token: nobody's": {func() error {
			_, _, err := w.CreateToken(ctx, host(), NewToken{Name: "ci", Scopes: []string{"feed:read"}})
			return err
		}, code.BadUsage},
		"revoke: unknown": {func() error { _, err := w.RevokeToken(ctx, host(), "ci"); return err }, code.Missing},
	} {
		before, _ := w.events()
		if err := c.try(); code.Of(err) != c.want {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
		if after, _ := w.events(); len(after) != len(before) || after["user.changed"] != before["user.changed"] {
			t.Errorf("%s: wrote an event", name)
		}
	}
}

// A user of the machine that is linked to an account is the same person; root is nobody's.
func TestLinkedUsers(t *testing.T) {
	w := newWorld(t)
	w.admin("anna")
	w.person("bob", Of(Operator, Approver))
	_, err := w.LinkUser(ctx, By{Name: "anna"}, "bob", 1001, false)
	w.must(err)
	who, ok := w.Linked(1001)
	if !ok || who.Person != "bob" || who.Account != "bob" || who.Roles != Of(Operator, Approver) {
		t.Errorf("%+v %v", who, ok)
	}
	if _, ok := w.Linked(1002); ok {
		t.Error("a stranger is linked")
	}
	_, err = w.LinkUser(ctx, By{Name: "anna"}, "anna", 1001, false)
	w.wants(err, code.Conflict)
	_, err = w.LinkUser(ctx, By{Name: "anna"}, "bob", 1001, false)
	w.wants(err, code.Conflict)
	_, err = w.Disable(ctx, By{Name: "anna"}, "bob", "left")
	w.must(err)
	if who, ok := w.Linked(1001); !ok || who.Person != "bob" || who.Roles != 0 {
		t.Errorf("disabled: %+v %v", who, ok)
	}
	u, err := w.LinkUser(ctx, By{Name: "anna"}, "bob", 1001, true)
	w.must(err)
	if _, ok := w.Linked(1001); ok || len(u.UIDs) != 0 {
		t.Errorf("%+v", u)
	}
}

func TestAPITokens(t *testing.T) {
	w := newWorld(t)
	w.admin("anna")
	w.person("bob", Of(Operator))
	v, secret, err := w.CreateToken(ctx, By{Name: "bob"}, NewToken{Name: "ci", Account: "bob", Scopes: []string{"feed:read", "export:run", "feed:read"}, Days: 30})
	w.must(err)
	if !strings.HasPrefix(secret, "sp_") || len(secret) < 50 || strings.Join(v.Scopes, " ") != "export:run feed:read" || v.State != Active {
		t.Errorf("%+v", v)
	}
	use := func() (Who, error) { return w.Token(ctx, secret, away) }
	who, err := use()
	w.must(err)
	if who.Account != "bob" || who.Person != "bob" || who.Roles != Of(Operator) || who.Fresh || who.Session != v.ID || len(who.Scopes) != 2 {
		t.Errorf("%+v", who)
	}
	w.must(w.Tick(ctx))
	list, err := w.Tokens(ctx)
	w.must(err)
	if len(list) != 1 || list[0].UsedAt == "" {
		t.Errorf("%+v", list)
	}
	roles := Of(Viewer)
	_, _, err = w.Change(ctx, host(), "bob", Change{Roles: &roles})
	w.must(err)
	if who, err = use(); err != nil || who.Roles != Of(Viewer) {
		t.Errorf("%+v %v", who, err)
	}
	for _, bad := range []string{"", "sp_", secret + "a", secret[:len(secret)-1], strings.ToUpper(secret), v.ID, "Bearer " + secret} {
		_, err := w.Token(ctx, bad, away)
		w.wants(err, code.TokenBad)
	}
	_, err = w.Disable(ctx, host(), "bob", "left")
	w.must(err)
	_, err = use()
	w.wants(err, code.TokenBad)
	if list, err = w.Tokens(ctx); err != nil || list[0].State != Disabled {
		t.Errorf("%+v %v", list, err)
	}
	_, _, err = w.Change(ctx, host(), "bob", Change{Enable: true})
	w.must(err)
	w.clock.Set(time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC)) // no wall clock ends it
	_, err = use()
	w.must(err)
	w.clock.Advance(30 * 24 * time.Hour)
	_, err = use()
	w.wants(err, code.TokenBad)
	if list, err = w.Tokens(ctx); err != nil || list[0].State != Ended {
		t.Errorf("%+v %v", list, err)
	}
	_, _, err = w.CreateToken(ctx, host(), NewToken{Name: "CI", Roles: Of(Viewer), Scopes: []string{"feed:read"}})
	w.wants(err, code.Conflict)
	_, err = w.RevokeToken(ctx, By{Name: "anna"}, "ci")
	w.must(err)
	_, own, err := w.CreateToken(ctx, host(), NewToken{Name: "ci", Roles: Of(Viewer), Scopes: []string{"feed:*"}})
	w.must(err)
	if who, err = w.Token(ctx, own, away); err != nil || who.Account != "" || who.Person != "root" || who.Roles != Of(Viewer) {
		t.Errorf("%+v %v", who, err)
	}
	// One that an admin makes for another account is not that other person.
	_, theirs, err := w.CreateToken(ctx, By{Name: "anna"}, NewToken{Name: "for-bob", Account: "bob", Scopes: []string{"feed:read"}})
	w.must(err)
	if who, err = w.Token(ctx, theirs, away); err != nil || who.Person != "anna" || who.Account != "bob" {
		t.Errorf("%+v %v", who, err)
	}
}

func TestOwnAccount(t *testing.T) {
	w := newWorld(t)
	in, p := w.admin("anna")
	second, err := w.SignIn(ctx, SignIn{Name: "anna", Password: good, Code: p.shows(w.clock.Now(), 0), Remote: home})
	w.must(err)
	w.wants(w.ChangePassword(ctx, in.Token, good, "short", home), code.PasswordBad)
	w.wants(w.ChangePassword(ctx, in.Token, other, "new words for a door", home), code.SignInBad)
	w.must(w.ChangePassword(ctx, in.Token, good, "new words for a door", home))
	_, err = w.Session(ctx, second.Token)
	w.wants(err, code.SessionOver)
	u, err := w.Me(ctx, in.Token)
	w.must(err)
	if u.Name != "anna" || u.Sessions != 1 || !u.App {
		t.Errorf("%+v", u)
	}
	e, err := w.BeginTOTP(ctx, in.Token)
	w.must(err)
	_, err = w.ConfirmTOTP(ctx, in.Token, "000000", home)
	w.wants(err, code.TOTPBad)
	fresh := phone{secret: e.Secret}
	codes, err := w.ConfirmTOTP(ctx, in.Token, fresh.shows(w.clock.Now(), 0), home)
	w.must(err)
	w.clock.Advance(time.Minute)
	sign := func(typed string) error {
		w.delays = newDelays()
		_, err := w.SignIn(ctx, SignIn{Name: "anna", Password: "new words for a door", Code: typed, Remote: home})
		return err
	}
	w.wants(sign(p.shows(w.clock.Now(), 0)), code.SignInBad)
	w.wants(sign(in.Recovery[0]), code.SignInBad)
	w.must(sign(codes[0]))
	w.must(sign(fresh.shows(w.clock.Now(), 0)))
	more, err := w.NewRecoveryCodes(ctx, in.Token, home)
	w.must(err)
	w.wants(sign(codes[1]), code.SignInBad)
	w.must(sign(more[1]))
	w.clock.Advance(Fresh)
	_, err = w.NewRecoveryCodes(ctx, in.Token, home)
	w.wants(err, code.StepUpNeeded)
	_, err = w.BeginTOTP(ctx, in.Token)
	w.wants(err, code.StepUpNeeded)
	_, err = w.BeginTOTP(ctx, "nothing")
	w.wants(err, code.SessionOver)
	_, err = w.NewRecoveryCodes(ctx, w.person("bob", Of(Viewer)).Token, home)
	w.wants(err, code.BadUsage)
}

func TestRoles(t *testing.T) {
	for _, in := range []string{"viewer", "operator+approver", "viewer+operator+approver+auditor+admin"} {
		r, err := ParseRoles(in)
		if err != nil || r.String() != in {
			t.Errorf("%s: %s %v", in, r, err)
		}
		var back Roles
		b, _ := r.MarshalText()
		if err := back.UnmarshalText(b); err != nil || back != r {
			t.Errorf("%s: %s %v", in, back, err)
		}
	}
	if r, err := ParseRoles("Admin, approver viewer"); err != nil || r != Of(Viewer, Approver, Admin) {
		t.Errorf("%s %v", r, err)
	}
	for _, bad := range []string{"", "+", "root", "viewer+root"} {
		if _, err := ParseRoles(bad); code.Of(err) != code.BadUsage {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if Roles(0).Any(Of(All()...)) || Of(Role("x")) != 0 || !Of(Admin).Any(Of(Admin, Viewer)) || Of(Admin).Has(Operator) {
		t.Error("sets")
	}
}

func TestPasswords(t *testing.T) {
	for p, ok := range map[string]bool{
		good: true, "äöüäöüäöüßäö": true, "12 characters": true, "correct horse battery staple": true,
		"": false, "elevenchars": false, strings.Repeat("ab", 129): false, "aaaaaaaaaaaaaaa": false, "abcabcabcabc": false, "passwordpassword": false,
		"Password1234": false, "qwertyuiop12": false, "anna.smith12": false, "sallyport123": false, "123456789012": false, "abcdefghijkl": false, "\xff\xfe\xfd good bytes no": false,
	} {
		if err := NewPassword(p, "anna.smith"); (err == nil) != ok || err != nil && code.Of(err) != code.PasswordBad {
			t.Errorf("%q: %v", p, err)
		} else if err != nil && len(p) > 3 && strings.Contains(err.Error(), p) {
			t.Errorf("%q: the error repeats it", p)
		}
	}
}

func TestHash(t *testing.T) {
	h := newHasher(cheap(), randomReader())
	text, err := h.make(ctx, good)
	if err != nil || !strings.HasPrefix(text, "$argon2id$v=19$m=64,t=1,p=1$") {
		t.Fatal(text, err)
	}
	again, _ := h.make(ctx, good)
	if again == text {
		t.Error("no salt")
	}
	for hash, want := range map[string]bool{
		text: true, again: true, "": false, "$": false, strings.Replace(text, "argon2id", "argon2i", 1): false, strings.Replace(text, "m=64", "m=4294967295", 1): false,
		strings.Replace(text, "t=1", "t=0", 1): false, strings.Replace(text, "p=1", "p=0", 1): false, text + "=": false, text[:len(text)-1]: false,
		// argon2id, m=64 t=1 p=1, of another password
		"$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHRzYWx0$" + strings.Repeat("A", 43): false,
	} {
		if ok, err := h.check(ctx, hash, good); ok != want || err != nil {
			t.Errorf("%s: %v %v", hash, ok, err)
		}
	}
	if ok, _ := h.check(ctx, text, other); ok {
		t.Error("another password fits")
	}
	if c := DefaultCost(); c.Memory > 64<<10 || c.Time < 1 {
		t.Errorf("%+v", c)
	}
}
