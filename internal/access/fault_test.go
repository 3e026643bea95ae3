package access

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"syscall"
	"testing"
	"time"

	"sallyport/internal/code"
	"sallyport/internal/durable"
	"sallyport/internal/state"
)

// dump is every byte of the ledger.
func (w *world) dump() string {
	w.t.Helper()
	var b strings.Builder
	w.must(w.db.View(func(tx *state.Tx) error {
		for _, table := range []string{accounts.Name, sessions.Name, tokens.Name, recovered.Name, cards.Name} {
			if err := tx.Each(table, nil, func(k, v []byte) error {
				fmt.Fprintf(&b, "%s %s %s\n", table, k, v)
				return nil
			}); err != nil {
				return err
			}
		}
		return nil
	}))
	return b.String()
}

// act is one thing that writes, on a world that act made ready.
type act struct {
	name  string
	quiet bool // it writes no event: bookkeeping
	still bool // it needs no disk: on a full one there is no error
	ready func(w *world) func() error
}

func acts() []act {
	var p phone
	var in Welcome
	base := func(w *world) {
		in, p = w.admin("anna")
		w.person("bob", Of(Operator))
	}
	by := By{Name: "anna"}
	return []act{
		{name: "set-up", ready: func(w *world) func() error {
			one, err := w.SetupCode(ctx, host())
			w.must(err)
			return func() error {
				_, err := w.SetUp(ctx, SetUp{Code: one.Code, Name: "anna", Password: good, NoTOTP: true, Remote: home})
				return err
			}
		}},
		{name: "sign-in", still: true, ready: func(w *world) func() error {
			base(w)
			return func() error {
				_, err := w.SignIn(ctx, SignIn{Name: "anna", Password: good, Code: p.shows(w.clock.Now(), 0), Remote: home})
				return err
			}
		}},
		{name: "sign-in by recovery code", still: true, ready: func(w *world) func() error {
			base(w)
			return func() error {
				_, err := w.SignIn(ctx, SignIn{Name: "anna", Password: good, Code: in.Recovery[9], Remote: home})
				return err
			}
		}},
		{name: "proof by code", quiet: true, still: true, ready: func(w *world) func() error {
			base(w)
			return func() error { return w.StepUp(ctx, in.Token, p.shows(w.clock.Now(), 0), home) }
		}},
		{name: "proof by recovery code", still: true, ready: func(w *world) func() error {
			base(w)
			return func() error { return w.StepUp(ctx, in.Token, in.Recovery[0], home) }
		}},
		{name: "sign-out", still: true, ready: func(w *world) func() error { base(w); return func() error { return w.SignOut(ctx, in.Token) } }},
		{name: "create", ready: func(w *world) func() error {
			base(w)
			return func() error { _, _, err := w.Create(ctx, by, NewUser{Name: "carl", Roles: Of(Viewer)}); return err }
		}},
		{name: "change", ready: func(w *world) func() error {
			base(w)
			roles := Of(Viewer)
			return func() error {
				_, _, err := w.Change(ctx, by, "bob", Change{Roles: &roles, Reset: true})
				return err
			}
		}},
		{name: "disable", ready: func(w *world) func() error {
			base(w)
			return func() error { _, err := w.Disable(ctx, by, "bob", "left"); return err }
		}},
		{name: "link", ready: func(w *world) func() error {
			base(w)
			return func() error { _, err := w.LinkUser(ctx, by, "bob", 1001, false); return err }
		}},
		{name: "new token", ready: func(w *world) func() error {
			base(w)
			return func() error {
				_, _, err := w.CreateToken(ctx, by, NewToken{Name: "ci", Account: "bob", Scopes: []string{"feed:read"}})
				return err
			}
		}},
		{name: "revoke token", ready: func(w *world) func() error {
			base(w)
			_, _, err := w.CreateToken(ctx, by, NewToken{Name: "ci", Account: "bob", Scopes: []string{"feed:read"}})
			w.must(err)
			return func() error { _, err := w.RevokeToken(ctx, by, "ci"); return err }
		}},
		{name: "revoke session", ready: func(w *world) func() error {
			base(w)
			return func() error { _, err := w.Revoke(ctx, by, "", "bob"); return err }
		}},
		{name: "password", ready: func(w *world) func() error {
			base(w)
			return func() error { return w.ChangePassword(ctx, in.Token, good, other, home) }
		}},
		{name: "app", ready: func(w *world) func() error {
			base(w)
			e, err := w.BeginTOTP(ctx, in.Token)
			w.must(err)
			return func() error {
				_, err := w.ConfirmTOTP(ctx, in.Token, phone{secret: e.Secret}.shows(w.clock.Now(), 0), home)
				return err
			}
		}},
		{name: "recovery codes", ready: func(w *world) func() error {
			base(w)
			return func() error { _, err := w.NewRecoveryCodes(ctx, in.Token, home); return err }
		}},
		{name: "card", ready: func(w *world) func() error {
			base(w)
			return func() error { _, err := w.MakeCard(ctx, by); return err }
		}},
		{name: "recover", ready: func(w *world) func() error {
			base(w)
			return func() error { _, err := w.Recover(ctx, host(), ""); return err }
		}},
		{name: "recover by card", ready: func(w *world) func() error {
			base(w)
			c, err := w.MakeCard(ctx, by)
			w.must(err)
			return func() error { _, err := w.Recover(ctx, By{Remote: home}, c.Code); return err }
		}},
		{name: "last requests", quiet: true, still: true, ready: func(w *world) func() error {
			base(w)
			w.clock.Advance(time.Minute)
			_, err := w.Session(ctx, in.Token)
			w.must(err)
			return func() error { return w.Tick(ctx) }
		}},
	}
}

// Each write is lost, kept with an error, or meets a full disk: the ledger and the timeline are wholly old or wholly new, together.
func TestFaults(t *testing.T) {
	faults := map[string]durable.Verdict{"lost": durable.Lose, "kept": durable.Keep, "full": durable.Fail(syscall.ENOSPC), "none": durable.Do}
	for _, a := range acts() {
		for name, verdict := range faults {
			t.Run(a.name+" "+name, func(t *testing.T) {
				w := newWorld(t)
				do := a.ready(w)
				before := w.dump()
				_, events := w.events()
				w.setFault(func(op durable.Op) durable.Verdict {
					if op.Verb == "commit" {
						return verdict
					}
					return durable.Do
				})
				err := do()
				w.setFault(nil)
				w.open()
				changed := w.dump() != before
				_, now := w.events()
				if !a.quiet && changed != (now != events) {
					t.Errorf("ledger changed: %v, timeline changed: %v", changed, now != events)
				}
				switch {
				case name == "none" && (err != nil || !changed), name == "kept" && (err == nil || !changed), name == "lost" && (err == nil || changed):
					t.Errorf("%v, changed %v", err, changed)
				case name == "full" && (changed || a.still != (err == nil) || err != nil && code.Of(err) != code.NoSpace):
					t.Errorf("%v, changed %v", err, changed)
				}
			})
		}
	}
}

// No secret that anybody typed, was shown or was given stands in the timeline, the log, an error, or what a value prints as.
func TestNoSecretIsTold(t *testing.T) {
	w := newWorld(t)
	var log bytes.Buffer
	w.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	var errs []string
	note := func(err error) {
		if err != nil {
			errs = append(errs, fmt.Sprintf("%v %+v %q", err, err, code.NextStep(err)))
		}
	}
	secrets := []string{good, other, "mistyped password of anna", "a wrong name that is a password"}
	in, p := w.admin("anna")
	secrets = append(secrets, in.Token, p.secret)
	secrets = append(secrets, in.Recovery...)
	_, err := w.SignIn(ctx, SignIn{Name: "a wrong name that is a password", Password: "mistyped password of anna", Code: in.Recovery[1], Remote: home})
	note(err)
	_, err = w.SignIn(ctx, SignIn{Name: "anna", Password: "mistyped password of anna", Code: p.shows(w.clock.Now(), 0), Remote: home})
	note(err)
	note(w.StepUp(ctx, in.Token, "mistyped password of anna", home))
	note(w.ChangePassword(ctx, in.Token, "mistyped password of anna", other, home))
	w.delays = newDelays()
	w.must(w.ChangePassword(ctx, in.Token, good, other, home))
	w.delays = newDelays()
	_, err = w.SignIn(ctx, SignIn{Name: "anna", Password: other, Code: in.Recovery[0], Remote: home})
	w.must(err)
	_, invited, err := w.Create(ctx, By{Name: "anna"}, NewUser{Name: "bob", Roles: Of(Viewer)})
	w.must(err)
	_, secret, err := w.CreateToken(ctx, By{Name: "anna"}, NewToken{Name: "ci", Account: "anna", Scopes: []string{"feed:read"}})
	w.must(err)
	card, err := w.MakeCard(ctx, By{Name: "anna"})
	w.must(err)
	_, err = w.Token(ctx, secret+"x", away)
	note(err)
	_, err = w.Recover(ctx, By{Remote: home}, card.Code+"x")
	note(err)
	one, err := w.Recover(ctx, By{Remote: home}, card.Code)
	w.must(err)
	_, err = w.Enrol(ctx, one.Code+"x", "", home)
	note(err)
	link, err := w.Link(ctx, "anna")
	w.must(err)
	more, err := w.NewRecoveryCodes(ctx, in.Token, home)
	w.must(err)
	secrets = append(secrets, invited.Code, secret, card.Identity, card.Code, one.Code, link.Code)
	secrets = append(secrets, more...)
	w.must(w.Close(ctx))

	a, _, err := w.view("anna")
	w.must(err)
	secrets = append(secrets, a.Password, a.Recovery[0])
	_, events := w.events()
	told := map[string]string{
		"timeline": events, "log": log.String(), "errors": strings.Join(errs, "\n"),
		"values": fmt.Sprintf("%v %+v %#v %s | %v %+v %#v", a, a, a, a, card, card, card),
	}
	// what the desk shows of accounts, sessions and tokens
	users, err := w.Users(ctx)
	w.must(err)
	tokens, err := w.Tokens(ctx)
	w.must(err)
	open, err := w.Sessions(ctx, "")
	w.must(err)
	told["views"] = fmt.Sprintf("%+v %+v %+v", users, tokens, open)
	if len(errs) < 7 || len(secrets) < 30 {
		t.Fatalf("%d errors, %d secrets: the test looks at nothing", len(errs), len(secrets))
	}
	for where, text := range told {
		for _, s := range secrets {
			if strings.Contains(text, s) || strings.Contains(text, strings.ReplaceAll(s, "-", "")) {
				t.Errorf("%s: tells %q", where, s)
			}
		}
	}
	// and in the state file itself no secret but that of the app, which a server must know
	dump := w.dump()
	for _, s := range secrets {
		if s != p.secret && s != a.Password && s != a.Recovery[0] && strings.Contains(dump, s) {
			t.Errorf("state: holds %q", s)
		}
	}
}
