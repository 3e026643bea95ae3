package daemon

import (
	"context"
	"strings"
	"testing"

	"sallyport/internal/access"
	"sallyport/internal/code"
	"sallyport/internal/durable"
	"sallyport/internal/web"
	"sallyport/internal/wire"
)

// Whoever is root, or runs the daemon, makes the first admin possible, looks after accounts, and opens a way in when nobody can sign
// in; that is under "Needs you" from then on.
func TestPeople(t *testing.T) {
	ctx := context.Background()
	a := enter(t, t.TempDir(), "site", durable.FS{}, nil)
	var one wire.SetupCode
	ask(t, a, "setup/code", nil, &one)
	if one.Minutes != 30 || one.Tries != 5 || one.Code == "" {
		t.Errorf("%+v", one)
	}
	if err := a.call("users/recover", wire.RecoverRequest{}, nil); code.Of(err) != code.Conflict {
		t.Errorf("recovery before there is anybody: %v", err)
	}
	desk := a.run.Daemon().access
	in, err := desk.SetUp(ctx, access.SetUp{Code: one.Code, Name: "anna", Password: "four words not together", NoTOTP: true, Remote: "192.0.2.7"})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.call("setup/code", nil, nil); code.Of(err) != code.SetupDone {
		t.Errorf("a set-up code after set-up: %v", err)
	}
	if got := about(t, a, wire.AboutCard); !strings.Contains(got, "No recovery card was printed") {
		t.Errorf("status says %q", got)
	}
	var card wire.RecoveryCard
	ask(t, a, "users/card", nil, &card)
	var made wire.UserMade
	ask(t, a, "users/create", wire.UserRequest{Name: "bob", Roles: "operator+approver"}, &made)
	if made.State != "invited" || made.Code == "" || made.ExpiresAt == "" {
		t.Errorf("%+v", made)
	}
	if _, err := desk.SetUp(ctx, access.SetUp{Code: made.Code, Password: "other words for bob", NoTOTP: true, Remote: "192.0.2.8"}); err != nil {
		t.Fatal(err)
	}
	var token wire.TokenMade
	ask(t, a, "tokens/create", wire.TokenRequest{Name: "ci", Account: "bob", Scopes: []string{"feed:read"}}, &token)
	if _, err := desk.Token(ctx, token.Secret, "192.0.2.9"); err != nil {
		t.Error(err)
	}
	if err := a.call("tokens/create", wire.TokenRequest{Name: "more", Scopes: []string{"feed:write"}}, nil); code.Of(err) != code.BadUsage {
		t.Errorf("a scope that no action asks for: %v", err)
	}
	var open wire.WebSessions
	ask(t, a, "sessions/list", nil, &open)
	if len(open.Sessions) != 2 || open.Sessions[0].Yours {
		t.Errorf("%+v", open)
	}
	var ended wire.SessionsEnded
	ask(t, a, "sessions/revoke", wire.SessionRequest{Account: "anna"}, &ended)
	if _, err := desk.Session(ctx, in.Token); ended.Ended != 1 || code.Of(err) != code.SessionOver {
		t.Errorf("%+v: %v", ended, err)
	}
	if got := about(t, a, wire.AboutAccess) + about(t, a, wire.AboutCard); got != "" {
		t.Errorf("status says %q", got)
	}
	ask(t, a, "users/recover", wire.RecoverRequest{Card: card.Code}, &one)
	if one.Minutes != 15 {
		t.Errorf("%+v", one)
	}
	if got := about(t, a, wire.AboutAccess); !strings.Contains(got, "with the recovery card") || !strings.Contains(got, "every receipt") {
		t.Errorf("status says %q", got)
	}
	if got := about(t, a, wire.AboutCard); !strings.Contains(got, "was used") {
		t.Errorf("status says %q", got)
	}
	var users wire.Users
	ask(t, a, "users/list", nil, &users)
	if len(users.Users) != 2 || users.Recovered == nil || users.Recovered.Count != 1 || !users.CardSpent {
		t.Errorf("%+v", users)
	}
	a.stop()
	a.start() // sessions, accounts and what was opened are still there
	if got := about(t, a, wire.AboutAccess); got == "" {
		t.Error("a restart makes a recovery silent")
	}
}

// Whoever is no admin sees and ends their own sessions, and a session is told no difference between another's and none.
func TestOwnSessions(t *testing.T) {
	ctx := context.Background()
	a := enter(t, t.TempDir(), "site", durable.FS{}, nil)
	var one wire.SetupCode
	ask(t, a, "setup/code", nil, &one)
	desk := a.run.Daemon().access
	anna, err := desk.SetUp(ctx, access.SetUp{Code: one.Code, Name: "anna", Password: "four words not together", NoTOTP: true, Remote: "192.0.2.7"})
	if err != nil {
		t.Fatal(err)
	}
	var made wire.UserMade
	ask(t, a, "users/create", wire.UserRequest{Name: "bob", Roles: "operator"}, &made)
	bob, err := desk.SetUp(ctx, access.SetUp{Code: made.Code, Password: "other words for bob", NoTOTP: true, Remote: "192.0.2.8"})
	if err != nil {
		t.Fatal(err)
	}
	who := web.Actor{
		Via: web.ViaConsole, Account: "bob", Person: "bob", Roles: bob.Who.Roles, Session: bob.Who.Session, Fresh: true, UID: web.NoLogin, GID: web.NoLogin, Login: web.NoLogin,
	}
	do := func(action string, in any) (any, error) { return a.run.Daemon().door.Do(ctx, who, action, in, nil) }
	for _, account := range []string{"", "anna", "bob"} {
		got, err := do("sessions/list", wire.SessionRequest{Account: account})
		if list, ok := got.(wire.WebSessions); err != nil || !ok || len(list.Sessions) != 1 || list.Sessions[0].Account != "bob" || !list.Sessions[0].Yours {
			t.Errorf("of %q: %+v %v", account, got, err)
		}
	}
	for _, q := range []wire.SessionRequest{{Account: "anna"}, {ID: anna.Who.Session}, {ID: "s-nothing"}} {
		if _, err := do("sessions/revoke", q); code.Of(err) != code.Denied {
			t.Errorf("%+v: %v", q, err)
		}
	}
	for _, action := range []string{"users/list", "users/create", "users/change", "users/disable", "users/link", "users/card", "users/recover", "tokens/list", "tokens/create", "tokens/revoke", "setup/code"} {
		if _, err := do(action, nil); code.Of(err) != code.Denied {
			t.Errorf("%s: %v", action, err)
		}
	}
	if _, err := do("sessions/revoke", wire.SessionRequest{ID: bob.Who.Session}); err != nil {
		t.Error(err)
	}
	if _, err := desk.Session(ctx, bob.Token); code.Of(err) != code.SessionOver {
		t.Error(err)
	}
	if _, err := desk.Session(ctx, anna.Token); err != nil {
		t.Error(err)
	}
	who.Roles, who.Fresh = access.Of(access.Admin), false
	if _, err := do("users/disable", wire.UserRequest{Name: "bob", Reason: "x"}); code.Of(err) != code.StepUpNeeded {
		t.Errorf("without a fresh proof: %v", err)
	}
}

func ask(t *testing.T, a *actor, action string, in, out any) {
	t.Helper()
	if err := a.call(action, in, out); err != nil {
		t.Fatalf("%s: %v", action, err)
	}
}

// about is what status says of a topic.
func about(t *testing.T, a *actor, topic string) string {
	t.Helper()
	var s wire.Status
	ask(t, a, "status/show", nil, &s)
	for _, r := range s.Needs {
		if r.Topic == topic {
			return r.What
		}
	}
	return ""
}
