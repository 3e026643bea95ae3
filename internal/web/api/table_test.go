package api

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"sallyport/internal/access"
	"sallyport/internal/code"
	"sallyport/internal/web"
)

// rights reads testdata/rights.txt: for each action who may, written down by hand a second time. A right that is given away in the
// table alone is found here.
func rights(t *testing.T) map[string][]string {
	t.Helper()
	b, err := os.ReadFile("testdata/rights.txt")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]string{}
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) == 0 || f[0] == "#" {
			continue
		}
		if len(f) != 8 || all[f[0]] != nil {
			t.Fatalf("rights.txt: %q", line)
		}
		all[f[0]] = f[1:]
	}
	return all
}

// line is one row as rights.txt has it.
func line(a web.Action) string {
	f := []string{a.Name}
	for _, r := range access.All() {
		switch {
		case a.Roles.Has(r):
			f = append(f, "yes")
		case a.Approve.Has(r):
			f = append(f, "agree")
		default:
			f = append(f, "-")
		}
	}
	scope := a.Scope
	if scope == "" {
		scope = "-"
	}
	how := "read"
	if a.Audit != "" {
		how = "change"
	}
	if a.StepUp {
		how += "+proof"
	}
	return fmt.Sprintf("%-22s %-6s %-8s %-8s %-7s %-5s %-19s %s", f[0], f[1], f[2], f[3], f[4], f[5], scope, how)
}

// Every action × role: the table says what rights.txt says, and May does what the table says, on each of the three ways in.
func TestRights(t *testing.T) {
	want := rights(t)
	for _, a := range Table() {
		if got := strings.Fields(line(a))[1:]; !slices.Equal(got, want[a.Name]) {
			t.Errorf("rights.txt has %v\n%s", want[a.Name], line(a))
		}
		delete(want, a.Name)
		for _, r := range access.All() {
			who := web.Actor{Via: web.ViaSocket, Fresh: true, Roles: access.Of(r)}
			yes, agree := a.Roles.Has(r), a.Approve.Has(r)
			judge(t, a, who, "{}", yes, code.Denied)
			judge(t, a, who, `{"approve":"sha256:00"}`, yes || agree, code.Denied)

			who.Via = web.ViaConsole
			judge(t, a, who, "{}", yes, code.Denied)
			who.Fresh = false
			judge(t, a, who, "{}", yes && !a.StepUp, map[bool]code.Code{true: code.StepUpNeeded, false: code.Denied}[yes])

			who = web.Actor{Via: web.ViaToken, Roles: access.Of(r)}
			judge(t, a, who, "{}", false, code.Denied)
			who.Scopes = []string{a.Scope}
			judge(t, a, who, "{}", yes && a.Scope != "", code.Denied)
			who.Scopes = []string{"export:profile:manage", "nothing"}
			judge(t, a, who, "{}", false, code.Denied)
		}
		judge(t, a, web.Actor{Via: web.ViaSocket, Fresh: true, Admin: true}, "{}", false, code.Denied) // without a role nobody may anything
	}
	for name := range want {
		t.Errorf("rights.txt has %s, the table has not", name)
	}
}

func judge(t *testing.T, a web.Action, who web.Actor, body string, may bool, refusal code.Code) {
	t.Helper()
	err := a.May(who, []byte(body))
	if may != (err == nil) || err != nil && code.Of(err) != refusal {
		t.Errorf("%s: %s with %s by %s, scopes %v, fresh %v: %v", a.Name, who.Roles, body, who.Via, who.Scopes, who.Fresh, err)
	}
}

// What the rows say of themselves fits together.
func TestRowsAreWhole(t *testing.T) {
	seen := map[string]bool{}
	for _, a := range Table() {
		noun, verb, ok := strings.Cut(a.Name, "/")
		switch {
		case !ok || noun == "" || verb == "" || strings.Contains(verb, "/"):
			t.Errorf("%q is no noun and verb", a.Name)
		case seen[a.Name]:
			t.Errorf("%s stands twice", a.Name)
		case a.Roles == 0:
			t.Errorf("%s: nobody may", a.Name)
		case !a.Roles.Has(access.Admin):
			t.Errorf("%s: an admin may not", a.Name)
		case a.StepUp && a.Scope != "":
			t.Errorf("%s asks for a password and takes tokens", a.Name)
		case a.StepUp && a.Audit == "":
			t.Errorf("%s asks for a password to read", a.Name)
		case a.Job && !a.Long:
			t.Errorf("%s is a job and answers at once", a.Name)
		case a.Approve != 0 && a.Approve&^access.Of(access.Approver, access.Admin) != 0:
			t.Errorf("%s: %s say yes to what others propose", a.Name, a.Approve)
		case a.Audit != "" && a.Roles.Any(access.Of(access.Viewer, access.Auditor)) && !slices.Contains([]string{"users/recover", "sessions/revoke", "jobs/start", "jobs/cancel"}, a.Name):
			t.Errorf("%s: who only looks may change something", a.Name)
		case a.Summary == "" || !strings.HasSuffix(a.Summary, ".") || strings.ToUpper(a.Summary[:1]) != a.Summary[:1] || len(a.Summary) > 130:
			t.Errorf("%s: %q is no sentence", a.Name, a.Summary)
		}
		seen[a.Name] = true
	}
	for _, s := range Scopes(Table()) {
		if parts := strings.Split(s.Name, ":"); len(parts) < 2 || slices.Contains(parts, "") {
			t.Errorf("%q is no scope", s.Name)
		}
	}
}

// Rows decode what they say: a member that nobody knows is refused before anything is done.
func TestRowsRefuseUnknownMembers(t *testing.T) {
	for _, a := range new(API).rows() {
		if _, err := a.Run(context.Background(), web.NewCall(web.Actor{}, []byte(`{"noSuchMember":1}`), nil)); code.Of(err) != code.BadUsage {
			t.Errorf("%s: %v", a.Name, err)
		}
	}
}
