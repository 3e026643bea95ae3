package page

import (
	"net/url"
	"strings"
	"time"

	"sallyport/internal/units"
	"sallyport/internal/wire"
	"sallyport/ui/kit"
)

// UsersView is every account.
type UsersView struct {
	Users  wire.Users
	Page   []wire.User // of this page
	Pager  kit.PagerView
	Now    time.Time
	Manage bool // the person may make and change accounts
}

// newOne is the button that makes a new one.
func newOne(may bool, label, href string) []kit.ButtonView {
	if !may {
		return nil
	}
	return []kit.ButtonView{{Label: label, Href: href, Kind: kit.Primary}}
}

// UserHref is the page of an account.
func UserHref(name string) string { return "/users/" + url.PathEscape(name) }

// peoplePages are the pages about who may come in.
func peoplePages(current string) kit.TabsView {
	t := kit.TabsView{Label: "Who may come in"}
	for _, x := range [][2]string{{"/users", "Users"}, {"/tokens", "Tokens"}, {"/sessions", "Sessions"}} {
		t.Items = append(t.Items, kit.Tab{Label: x[1], Href: x[0], Current: x[0] == current})
	}
	return t
}

func (v UsersView) lead() string {
	admins, active := 0, 0
	for _, u := range v.Users.Users {
		if u.State != "active" {
			continue
		}
		active++
		if has(u.Roles, "admin") {
			admins++
		}
	}
	s := units.Plural(int64(active), "account can sign in", "accounts can sign in") + ", " + units.Plural(int64(admins), "of them as admin.", "of them as admin.")
	if admins == 1 {
		s += " Make a second admin, so that one can let the other in again."
	}
	return s
}

func has(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

// needs are what asks for a hand about accounts.
func (v UsersView) needs() (list []kit.NeedView) {
	if r := v.Users.Recovered; r != nil {
		how := "root on the host"
		if r.How == "card" {
			how = "the recovery card"
		}
		list = append(list, kit.NeedView{
			Tone: kit.Warn, Title: "Access was recovered with " + how, Why: "By " + orNone(r.By) + " on " + instant(r.At).Format("2 Jan 2006 15:04Z") + ". It stands in every receipt from then on.",
			Action: kit.ButtonView{Label: "See the timeline", Href: "/timeline?type=access.recovered"},
		})
	}
	switch {
	case v.Users.CardAt == "":
		list = append(list, kit.NeedView{Tone: kit.Warn, Title: "There is no recovery card", Why: "Without it, only root on the host can let somebody in again, and a backup cannot be opened on a new machine.", Action: kit.ButtonView{Label: "Make the card", Href: "/set-up/card"}})
	case v.Users.CardSpent:
		list = append(list, kit.NeedView{Tone: kit.Warn, Title: "The code of the recovery card was used", Why: "It opens nothing any more.", Action: kit.ButtonView{Label: "Make a new card", Href: "/set-up/card"}})
	}
	return list
}

func (v UsersView) table() kit.TableView {
	t := kit.TableView{
		ID: "users", Caption: "Accounts", CSV: "/users.csv", Pager: v.Pager,
		Columns: []kit.Column{{Label: "Name"}, {Label: "Roles"}, {Label: "State"}, {Label: "Signs in with"}, {Label: "Last signed in"}, {Label: "Ends"}, {Label: "On the host"}},
		Empty:   kit.EmptyView{Tone: kit.Unknown, Title: "No account is known"},
	}
	for _, u := range v.Page {
		t.Rows = append(t.Rows, kit.Row{Cells: []kit.Node{
			kit.To(UserHref(u.Name), u.Name), kit.Text(strings.Join(u.Roles, ", ")), userState(u), kit.Text(signsIn(u)), since(u.LastLogin, v.Now, "never"), endOr(u.EndsAt), orDash(strings.Join(u.Names, ", ")),
		}})
	}
	return t
}

func endOr(text string) kit.Node {
	switch {
	case text == "":
		return kit.Soft("never")
	case instant(text).IsZero():
		return kit.Text(text)
	}
	return kit.Date(lastDay(instant(text)))
}

// lastDay is the last day of what ends at a moment: the one before, when it ends at midnight.
func lastDay(t time.Time) time.Time { return t.Add(-time.Second) }

func signsIn(u wire.User) string {
	switch {
	case u.State == "invited":
		return "nothing yet"
	case u.App:
		return "password and code"
	}
	return "password alone"
}

func userState(u wire.User) kit.Node {
	switch u.State {
	case "active":
		return kit.Badge(kit.OK, "active")
	case "invited":
		return kit.Badge(kit.Unknown, "invited")
	case "disabled":
		return kit.Badge(kit.Bad, "disabled")
	case "ended":
		return kit.Badge(kit.Warn, "ended")
	}
	return kit.Badge(kit.Unknown, orNone(u.State))
}

// roleWords are the roles with what each may do.
func roleWords() [][2]string {
	return [][2]string{
		{"viewer", "Sees what is held and how it stands."},
		{"operator", "Imports, exports, exchanges, looks after feeds and the store."},
		{"approver", "Says yes or no to what others propose."},
		{"auditor", "Sees the timeline, receipts and who approved what."},
		{"admin", "All of it, and alone accounts, keys, trust, time, backups and settings."},
	}
}

func rolesField(roles []string, problem string) kit.FieldView {
	f := kit.FieldView{Name: "role", Label: "Roles", Type: "checks", Error: problem}
	for _, r := range roleWords() {
		f.Options = append(f.Options, kit.Option{Value: r[0], Label: upper(r[0]), Hint: r[1], Selected: has(roles, r[0])})
	}
	return f
}

func endField(day string) kit.FieldView {
	return kit.FieldView{Name: "ends", Label: "Ends on", Type: "date", Value: day, Hint: "The last day, counted whole. Empty: it does not end."}
}

// UserNewView is the form for a new account.
type UserNewView struct {
	Name     string
	Roles    []string
	Ends     string
	Problems []kit.NoticeView
	Errors   map[string]string
}

func (v UserNewView) name() kit.FieldView {
	return kit.FieldView{Name: "name", Label: "Name", Value: v.Name, Error: v.Errors["name"], Required: true, Autofocus: true, Autocomplete: "off", MaxLength: 64, Hint: "As the person signs in: small letters, digits, dots and dashes."}
}

// UserView is one account.
type UserView struct {
	User     wire.User
	Sessions []wire.WebSession
	Now      time.Time
	Self     bool // it is the account of who looks
	Manage   bool // the person may change it
	Problems []kit.NoticeView
}

func (v UserView) facts() []kit.Def {
	u := v.User
	list := []kit.Def{
		{Term: "State", Value: kit.Join(userState(u), kit.Soft(u.Why))},
		{Term: "Roles", Value: kit.Text(strings.Join(u.Roles, ", "))},
		{Term: "Signs in with", Value: kit.Text(signsIn(u))},
		{Term: "Recovery codes left", Value: kit.Count(int64(u.CodesLeft))},
		{Term: "Last signed in", Value: since(u.LastLogin, v.Now, "never")},
		{Term: "Made", Value: kit.Join(since(u.CreatedAt, v.Now, ""), kit.Soft("by "+orNone(u.CreatedBy)))},
		{Term: "Ends", Value: endOr(u.EndsAt)},
		{Term: "The same person on the host", Value: orDash(strings.Join(u.Names, ", ")), Explain: "Whoever is joined here counts as one person where two are asked for."},
	}
	return list
}

// endDay is the last day as a date field has it.
func (v UserView) endDay() string {
	if t := instant(v.User.EndsAt); !t.IsZero() {
		return lastDay(t).Format(time.DateOnly)
	}
	return v.User.EndsAt
}

func (v UserView) actions() (list []kit.ButtonView) {
	href := UserHref(v.User.Name)
	if !v.Manage {
		return nil
	}
	if v.User.State == "disabled" {
		return []kit.ButtonView{{Label: "Enable again", Href: href + "/enable"}}
	}
	list = append(list, kit.ButtonView{Label: "New password and app", Href: href + "/reset"})
	if !v.Self {
		list = append(list, kit.ButtonView{Label: "Disable", Href: href + "/disable", Kind: kit.Danger})
	}
	return list
}

func (v UserView) linked() kit.TableView {
	t := kit.TableView{
		ID: "linked", Caption: "Users of the host", Columns: []kit.Column{{Label: "User"}, {Label: "Number", Kind: kit.NumberColumn}},
		Empty: kit.EmptyView{Title: "Joined with no user of the host"},
	}
	if v.Manage {
		t.Columns = append(t.Columns, kit.Column{Label: "Actions", Kind: kit.ActionColumn})
	}
	for i, n := range v.User.Names {
		number := dash()
		if i < len(v.User.UIDs) {
			number = kit.Text(itoa(v.User.UIDs[i]))
		}
		t.Rows = append(t.Rows, kit.Row{Cells: []kit.Node{
			kit.Text(n), number, kit.PostButton(kit.PostView{Action: UserHref(v.User.Name) + "/link", Label: "Part", Hidden: map[string]string{"user": n, "remove": "yes"}, Context: " " + n}),
		}})
	}
	return t
}

// OnceView shows a secret once: it is not kept and cannot be shown again.
type OnceView struct {
	Title  string
	Lead   string
	Label  string // of the secret
	Secret string
	Facts  []kit.Def
	Steps  []string
	Back   kit.Link
}

// SessionsView is everybody who is signed in.
type SessionsView struct {
	Sessions []wire.WebSession // of this page
	All      int
	Pager    kit.PagerView
	Now      time.Time
	Admin    bool // sees those of others, and the pages beside
}

func (v SessionsView) table() kit.TableView { return sessionsTable(v.Sessions, v.Now, v.Pager) }

func sessionsTable(list []wire.WebSession, now time.Time, pager kit.PagerView) kit.TableView {
	t := kit.TableView{
		ID: "sessions", Caption: "Sessions", Pager: pager,
		Columns: []kit.Column{{Label: "Who"}, {Label: "From"}, {Label: "Browser"}, {Label: "Signed in"}, {Label: "Idle"}, {Label: "Ends in"}, {Label: "Actions", Kind: kit.ActionColumn}},
		Empty:   kit.EmptyView{Title: "Nobody is signed in"},
	}
	for _, s := range list {
		who := kit.Text(s.Account)
		if s.Yours {
			who = kit.Join(who, kit.Badge(kit.Accent, "this one"))
		}
		t.Rows = append(t.Rows, kit.Row{Cells: []kit.Node{
			who, kit.Code(s.Remote), kit.Soft(cutText(orNone(s.Agent), 60)), since(s.At, now, ""), kit.Text(units.Age(seconds(s.Idle))), kit.Text(units.Age(seconds(s.Left))),
			kit.PostButton(kit.PostView{Action: "/sessions/revoke", Label: "End it", Hidden: map[string]string{"id": s.ID}, Context: " of " + s.Account}),
		}})
	}
	return t
}

// TokensView is every token.
type TokensView struct {
	Tokens []wire.APIToken // of this page
	All    int
	Pager  kit.PagerView
	Now    time.Time
	Manage bool // the person may make and revoke tokens
}

func (v TokensView) table() kit.TableView {
	t := kit.TableView{
		ID: "tokens", Caption: "Tokens", CSV: "/tokens.csv", Pager: v.Pager,
		Columns: []kit.Column{{Label: "Name"}, {Label: "May"}, {Label: "For"}, {Label: "Last used"}, {Label: "Ends"}, {Label: "State"}},
		Empty:   kit.EmptyView{Title: "No token", Text: "A token lets a program use the API, within the scopes it was given."},
	}
	if v.Manage {
		t.Columns = append(t.Columns, kit.Column{Label: "Actions", Kind: kit.ActionColumn})
		t.Empty.Action = kit.ButtonView{Label: "New token", Href: "/tokens/new"}
	}
	for _, k := range v.Tokens {
		row := kit.Row{Cells: []kit.Node{
			kit.Lines(kit.Strong(k.Name), kit.Soft(k.ID)), kit.Text(strings.Join(k.Scopes, ", ")), orDash(k.Account), since(k.UsedAt, v.Now, "never"), endOr(k.EndsAt), tokenState(k.State),
		}}
		if v.Manage {
			row.Cells = append(row.Cells, kit.Button(kit.ButtonView{Label: "Revoke", Href: "/tokens/" + url.PathEscape(k.ID) + "/revoke", Context: " " + k.Name}))
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

func tokenState(state string) kit.Node {
	switch state {
	case "active":
		return kit.Badge(kit.OK, "active")
	case "ended":
		return kit.Badge(kit.Warn, "ended")
	case "disabled":
		return kit.Badge(kit.Bad, "its account is over")
	}
	return kit.Badge(kit.Unknown, orNone(state))
}

// TokenNewView is the form for a new token.
type TokenNewView struct {
	Scopes   []wire.APIScope
	Name     string
	Chosen   []string
	Days     string
	Problems []kit.NoticeView
	Errors   map[string]string
}

func (v TokenNewView) name() kit.FieldView {
	return kit.FieldView{Name: "name", Label: "Name", Value: v.Name, Error: v.Errors["name"], Required: true, Autofocus: true, Autocomplete: "off", MaxLength: 64, Hint: "What the program is called: nightly-export."}
}

func (v TokenNewView) scopes() kit.FieldView {
	f := kit.FieldView{Name: "scope", Label: "What it may do", Type: "checks", Error: v.Errors["scope"], Hint: "Nothing else, and nothing that you may not do yourself."}
	for _, s := range v.Scopes {
		f.Options = append(f.Options, kit.Option{Value: s.Name, Label: s.Name, Hint: strings.Join(s.Actions, ", "), Selected: has(v.Chosen, s.Name)})
	}
	return f
}

func (v TokenNewView) days() kit.FieldView {
	return kit.FieldView{Name: "days", Label: "Ends after so many days", Type: "number", InputMode: "numeric", Value: v.Days, Error: v.Errors["days"]}
}

// TokenFacts is what a token is, for the page before it is revoked.
func TokenFacts(k wire.APIToken, now time.Time) []kit.Def {
	return []kit.Def{
		{Term: "Token", Value: kit.Join(kit.Strong(k.Name), kit.Code(k.ID))},
		{Term: "May", Value: kit.Text(strings.Join(k.Scopes, ", "))},
		{Term: "Last used", Value: since(k.UsedAt, now, "never")},
		{Term: "Made", Value: kit.Join(since(k.CreatedAt, now, ""), kit.Soft("by "+orNone(k.CreatedBy)))},
	}
}

// CodeFacts says until when the code of a new account counts, and what for.
func CodeFacts(made wire.UserMade) []kit.Def {
	return []kit.Def{
		{Term: "For", Value: kit.Strong(made.Name)},
		{Term: "Roles", Value: kit.Text(strings.Join(made.Roles, ", "))},
		{Term: "The code ends", Value: kit.Text(utc(made.ExpiresAt))},
	}
}

// UserFacts is what an account is, for the page before it is changed.
func UserFacts(u wire.User, now time.Time) []kit.Def {
	return []kit.Def{
		{Term: "State", Value: userState(u)},
		{Term: "Roles", Value: kit.Text(strings.Join(u.Roles, ", "))},
		{Term: "Last signed in", Value: since(u.LastLogin, now, "never")},
		{Term: "Sessions", Value: kit.Count(int64(u.Sessions))},
	}
}
