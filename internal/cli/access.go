package cli

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"sallyport/internal/code"
	"sallyport/internal/units"
	"sallyport/internal/wire"
)

func (a *app) usersCmd() *cobra.Command {
	list := command("list", "list the accounts of the console", 0, func([]string) error {
		u, err := call[wire.Users](a, "users/list", nil)
		if err != nil {
			return err
		}
		return a.show(u, func(w io.Writer) { a.users(w, u) })
	})
	show := command("show NAME", "show one account", 1, func(args []string) error {
		u, err := call[wire.User](a, "users/show", wire.UserRequest{Name: args[0]})
		if err != nil {
			return err
		}
		return a.show(u, func(w io.Writer) { user(w, u) })
	})
	return family("users", "the people who sign in to the console", list, show, a.usersCreateCmd(), a.usersChangeCmd(), a.usersDisableCmd(), a.usersLinkCmd(),
		a.usersRecoverCmd(), a.usersCardCmd())
}

func (a *app) users(w io.Writer, u wire.Users) {
	var rows [][]string
	for _, x := range u.Users {
		rows = append(rows, []string{x.Name, x.State, strings.Join(x.Roles, "+"), day(x.LastLogin), lastDay(x.EndsAt), signs(x), cmp.Or(strings.Join(x.Names, " "), "-")})
	}
	table(w, "NAME STATE ROLES SIGNED-IN UNTIL PROOF ALSO", rows)
	switch {
	case len(rows) == 0:
		a.say("Nobody has an account yet. The first one: %s", a.typed("setup-code"))
	case u.CardAt == "":
		a.say("No recovery card was printed yet: %s", a.typed("users", "card"))
	case u.CardSpent:
		a.say("The code of the recovery card was used. Print a new one: %s", a.typed("users", "card"))
	}
	if r := u.Recovered; r != nil {
		a.say("A way in past all accounts was opened %s, last at %s by %s (%s).", units.Plural(int64(r.Count), "time", "times"), r.At, clean(r.By), r.How)
	}
}

// lastDay is the day before an end that falls on midnight, as people count: "until 30 June" has all of that day.
func lastDay(end string) string {
	t, err := time.Parse(time.RFC3339, end)
	if err != nil {
		return "-"
	}
	return t.Add(-time.Second).Format(time.DateOnly)
}

// signs says what an account signs in with.
func signs(u wire.User) string {
	switch {
	case u.State == "invited":
		return "-"
	case !u.App:
		return "password"
	}
	return fmt.Sprintf("password+app, %s", units.Plural(int64(u.CodesLeft), "recovery code", "recovery codes"))
}

func user(w io.Writer, u wire.User) {
	pairs(w, "account", u.Name, "state", u.State, "why", u.Why, "roles", strings.Join(u.Roles, ", "), "signs in with", signs(u), "last sign-in", cmp.Or(u.LastLogin, "never"),
		"sessions", fmt.Sprint(u.Sessions), "last day", lastDay(u.EndsAt), "also", strings.Join(u.Names, ", "), "made", u.CreatedAt+" by "+u.CreatedBy)
}

// made prints an account and the code for its person.
func (a *app) made(u wire.UserMade) error {
	return a.show(u, func(w io.Writer) {
		user(w, u.User)
		if u.Code == "" {
			return
		}
		fmt.Fprintf(w, "\n%s\n\n", u.Code)
		a.say("Give this code to %s and nobody else. They type it at %s within 72 hours and choose a password themselves.", clean(u.Name), a.consoleAt("/set-up"))
		a.say("It is shown once. Lost: %s", a.typed("users", "change", u.Name, "--reset"))
	})
}

// consoleAt is a page of the console as a browser opens it.
func (a *app) consoleAt(page string) string {
	s, err := call[wire.Status](a, "status/show", nil)
	if err != nil || s.Console == nil || len(s.Console.Addresses) == 0 {
		return "the console's page " + page
	}
	return strings.TrimSuffix(s.Console.Addresses[0], "/") + page
}

const rolesHelp = "viewer, operator, approver, auditor, admin; several joined by +"

func (a *app) usersCreateCmd() *cobra.Command {
	var q wire.UserRequest
	var until string
	c := command("create NAME --roles ROLES", "make an account, and the code with which its person chooses a password", 1, func(args []string) error {
		if q.Name = args[0]; q.Roles == "" {
			return missing("--roles", "Say what the person may do: "+rolesHelp+".")
		}
		if until != "" {
			q.EndsAt = &until
		}
		u, err := call[wire.UserMade](a, "users/create", q)
		if err != nil {
			return err
		}
		return a.made(u)
	})
	c.Flags().StringVar(&q.Roles, "roles", "", rolesHelp)
	c.Flags().StringVar(&until, "until", "", "last day of the account, like 2027-06-30")
	return c
}

func (a *app) usersChangeCmd() *cobra.Command {
	var q wire.UserRequest
	var until string
	var forever bool
	c := command("change NAME", "change roles or last day, enable an account, or let its person choose a password anew", 1, func(args []string) error {
		q.Name = args[0]
		if until != "" || forever {
			q.EndsAt = &until
		}
		if until != "" && forever {
			return code.New(code.BadUsage, "--until and --no-end contradict each other")
		}
		u, err := call[wire.UserMade](a, "users/change", q)
		if err != nil {
			return err
		}
		return a.made(u)
	})
	f := c.Flags()
	f.StringVar(&q.Roles, "roles", "", rolesHelp+"; they replace those there are")
	f.StringVar(&until, "until", "", "last day of the account, like 2027-06-30")
	f.BoolVar(&forever, "no-end", false, "no last day")
	f.BoolVar(&q.Enable, "enable", false, "let a disabled account in again")
	f.BoolVar(&q.Reset, "reset", false, "password or phone lost: take both away, end the sessions, and give a code to choose them anew")
	return c
}

func (a *app) usersDisableCmd() *cobra.Command {
	var q wire.UserRequest
	c := command("disable NAME --reason R", "end an account, its sessions and tokens", 1, func(args []string) error {
		if q.Name = args[0]; q.Reason == "" {
			return missing("--reason", "Say why, in your words: it stands in the timeline.")
		}
		u, err := call[wire.User](a, "users/disable", q)
		if err != nil {
			return err
		}
		return a.show(u, func(w io.Writer) { user(w, u) })
	})
	c.Flags().StringVar(&q.Reason, "reason", "", "why: it stands in the timeline")
	return c
}

func (a *app) usersLinkCmd() *cobra.Command {
	var q wire.UserRequest
	c := command("link NAME USER", "say that a user of this machine and an account are one person", 2, func(args []string) error {
		q.Name, q.User = args[0], args[1]
		u, err := call[wire.User](a, "users/link", q)
		if err != nil {
			return err
		}
		return a.show(u, func(w io.Writer) {
			user(w, u)
			if !q.Remove {
				a.say("From now on %s on this machine and %s in the console are one person: where two are asked, they count once.", clean(q.User), clean(u.Name))
			}
		})
	})
	c.Flags().BoolVar(&q.Remove, "remove", false, "they are two people after all")
	return c
}

func (a *app) usersRecoverCmd() *cobra.Command {
	var card bool
	c := command("recover", "nobody can sign in: open a way in for one new admin; every receipt says so from then on", 0, func([]string) (err error) {
		var q wire.RecoverRequest
		if card {
			if q.Card, err = a.secret("Code on the recovery card: "); err != nil {
				return err
			}
		}
		s, err := call[wire.SetupCode](a, "users/recover", q)
		if err != nil {
			return err
		}
		return a.show(s, func(w io.Writer) {
			fmt.Fprintln(w, s.Code)
			a.say("Type this code at %s within %d minutes (%d tries) and make a new admin, under a name that is not taken.", a.consoleAt("/set-up"), s.Minutes, s.Tries)
			a.say("The others keep their accounts. To give one a new password: %s", a.typed("users", "change", "NAME", "--reset"))
			a.say("This stands in the timeline, for 30 days on Overview, and in every receipt from now on.")
		})
	})
	c.Flags().BoolVar(&card, "card", false, "with the code of the recovery card, which is asked for, instead of as root")
	return c
}

func (a *app) usersCardCmd() *cobra.Command {
	return command("card", "make a new recovery card and print it; the one before is void", 0, func([]string) error {
		k, err := call[wire.RecoveryCard](a, "users/card", nil)
		if err != nil {
			return err
		}
		return a.show(k, func(w io.Writer) {
			fmt.Fprintf(w, "RECOVERY CARD of %s, made %s\nKeep it in a safe, on paper. Nothing on this machine knows it.\n\n", clean(k.Appliance), k.MadeAt)
			pairs(w, "appliance", k.ApplianceID, "fingerprint", k.Fingerprint, "in words", k.Words, "identity", k.Identity, "its recipient", k.Recipient, "code", k.Code)
			steps(w, "When nobody can sign in", k.Return)
			steps(w, "When the machine is gone", k.Restore)
			a.say("Print it now; it is shown once. The card before is void.")
		})
	})
}

func steps(w io.Writer, title string, list []string) {
	fmt.Fprintf(w, "\n%s\n", title)
	for i, s := range list {
		fmt.Fprintf(w, "%d. %s\n", i+1, clean(s))
	}
}

// secret reads a line that is not shown on a terminal.
func (a *app) secret(question string) (string, error) {
	if f, ok := a.In.(*os.File); ok && terminal(a.In) {
		fmt.Fprint(a.Err, question)
		b, err := term.ReadPassword(int(f.Fd()))
		fmt.Fprintln(a.Err)
		return string(b), err
	}
	text, err := bufio.NewReader(io.LimitReader(a.In, 4096)).ReadString('\n')
	if err == io.EOF && text != "" {
		err = nil
	}
	if err != nil {
		return "", code.Wrap(code.BadUsage, err, "a line of standard input is needed").Do("Type it on a terminal, or pass it on standard input: it never belongs on the command line.")
	}
	return strings.TrimSpace(text), nil
}

func (a *app) tokensCmd() *cobra.Command {
	var scopes bool
	list := command("list", "list the API tokens", 0, func([]string) error {
		t, err := call[wire.APITokens](a, "tokens/list", nil)
		if err != nil {
			return err
		}
		return a.show(t, func(w io.Writer) {
			if scopes {
				var rows [][]string
				for _, s := range t.Scopes {
					rows = append(rows, []string{s.Name, strings.Join(s.Actions, " ")})
				}
				table(w, "SCOPE ALLOWS", rows)
				return
			}
			var rows [][]string
			for _, x := range t.Tokens {
				rows = append(rows, []string{x.Name, x.State, lastDay(x.EndsAt), day(x.UsedAt), cmp.Or(x.Account, "-"), x.CreatedBy, strings.Join(x.Scopes, " "), x.ID})
			}
			table(w, "NAME STATE UNTIL USED ACCOUNT MADE-BY SCOPES ID", rows)
			if len(rows) == 0 {
				a.say("There are no API tokens.")
			}
		})
	})
	list.Flags().BoolVar(&scopes, "scopes", false, "the scopes there are, and what each allows")
	revoke := command("revoke TOKEN", "end an API token, by its name or id", 1, func(args []string) error {
		t, err := call[wire.APIToken](a, "tokens/revoke", wire.TokenRequest{ID: args[0]})
		if err != nil {
			return err
		}
		return a.show(t, func(io.Writer) { a.say("Token %s (%s) is no longer taken.", clean(t.Name), t.ID) })
	})
	return family("tokens", "what programs sign in with", list, a.tokensCreateCmd(), revoke)
}

func (a *app) tokensCreateCmd() *cobra.Command {
	var q wire.TokenRequest
	c := command("create NAME --scope SCOPE", "make an API token; its secret is printed once", 1, func(args []string) error {
		if q.Name = args[0]; len(q.Scopes) == 0 {
			return missing("--scope", "Say what it may do; see "+a.typed("tokens", "list", "--scopes"))
		}
		t, err := call[wire.TokenMade](a, "tokens/create", q)
		if err != nil {
			return err
		}
		return a.show(t, func(w io.Writer) {
			fmt.Fprintln(w, t.Secret)
			a.say("This is token %s (%s), good until the end of %s. It is shown once and not kept.", clean(t.Name), t.ID, lastDay(t.EndsAt))
			a.say("A program sends it over TLS: Authorization: Bearer sp_…")
		})
	})
	f := c.Flags()
	f.StringSliceVar(&q.Scopes, "scope", nil, "what it may do; may be given several times")
	f.IntVar(&q.Days, "days", 0, "how many days it is good for, at most 366 (default 90)")
	f.StringVar(&q.Account, "account", "", "the account whose roles it has, as they are at each request")
	return c
}

func (a *app) sessionsCmd() *cobra.Command {
	var account string
	list := command("list", "list who is signed in to the console", 0, func([]string) error {
		s, err := call[wire.WebSessions](a, "sessions/list", wire.SessionRequest{Account: account})
		if err != nil {
			return err
		}
		return a.show(s, func(w io.Writer) {
			var rows [][]string
			for _, x := range s.Sessions {
				rows = append(rows, []string{x.ID, x.Account, x.At, lasts(x.Idle), lasts(x.Left), x.Remote, x.Agent})
			}
			table(w, "SESSION ACCOUNT SINCE IDLE ENDS-IN FROM BROWSER", rows)
			if len(rows) == 0 {
				a.say("Nobody is signed in.")
			}
		})
	})
	list.Flags().StringVar(&account, "account", "", "of one account only")
	var q wire.SessionRequest
	revoke := &cobra.Command{Use: "revoke SESSION | --account NAME", Short: "end one session, or all of an account", Args: cobra.MaximumNArgs(1)}
	revoke.RunE = func(_ *cobra.Command, args []string) error {
		if len(args) == 1 {
			q.ID = args[0]
		}
		n, err := call[wire.SessionsEnded](a, "sessions/revoke", q)
		if err != nil {
			return err
		}
		return a.show(n, func(io.Writer) { a.say("%s ended.", units.Plural(int64(n.Ended), "session", "sessions")) })
	}
	revoke.Flags().StringVar(&q.Account, "account", "", "all sessions of this account")
	return family("sessions", "who is signed in to the console", list, revoke)
}

// lasts writes seconds for a table.
func lasts(s int64) string { return (time.Duration(s) * time.Second).Round(time.Minute).String() }
