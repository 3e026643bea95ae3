package cli

import (
	"bytes"
	"cmp"
	"context"
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"sallyport/internal/code"
	"sallyport/internal/courier"
	"sallyport/ui/manual"
)

var updateManual = flag.Bool("update", false, "write the command reference of the manual anew")

// The chapters that are made.
const (
	commandsFile = "../../ui/manual/cli.md"
	actionsFile  = "../../ui/manual/api.md"
)

func tree() *cobra.Command {
	root := (&app{Stdio: Stdio{Out: &bytes.Buffer{}, Err: &bytes.Buffer{}}}).root()
	root.InitDefaultCompletionCmd()
	return root
}

// The chapters of commands and of actions are made from the commands and from the table of actions.
func TestManualReference(t *testing.T) {
	for file, want := range map[string]string{commandsFile: reference(t), actionsFile: actions()} {
		if *updateManual {
			if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != want {
			t.Errorf("%s is old: run make gen", file)
		}
	}
}

// actions is the chapter of who may do what, and how a program asks for it.
func actions() string {
	var b strings.Builder
	b.WriteString(actionsHead)
	for _, x := range tableOf() {
		fmt.Fprintf(&b, "### %s\n\n%s\n\n", x.Name, x.Summary)
		var facts []string
		facts = append(facts, "May: "+strings.Join(x.Roles, ", ")+".")
		if len(x.Agree) > 0 {
			facts = append(facts, "May agree to what somebody proposed: "+strings.Join(x.Agree, ", ")+".")
		}
		if x.Scope == "" {
			facts = append(facts, "No token.")
		} else {
			facts = append(facts, "Token: `"+x.Scope+"`.")
		}
		for _, f := range []struct {
			is   bool
			text string
		}{
			{x.StepUp, "The console asks for password or code again."},
			{x.Job, "May go on as a job."},
			{x.Audit == "", "Changes nothing."},
		} {
			if f.is {
				facts = append(facts, f.text)
			}
		}
		fmt.Fprintf(&b, "%s\n\n", strings.Join(facts, " "))
	}
	return strings.TrimSuffix(b.String(), "\n")
}

const actionsHead = `# Actions and the API

Everything that can be done here is one table of actions. Console, command line and programs use the same one, so whoever may do something in one place may do it in the others.

## Who may

An action names the roles of which one is enough. What no role of yours may do is not shown to you, and is refused if you ask for it all the same. See [users](/help/users).

## For programs

A program sends the request as JSON to the path of the action, with a token:

` + "```" + `
curl --cacert ca.crt -H "Authorization: Bearer $TOKEN" -d '{}' https://ADDRESS/api/v1/feeds/list
curl --unix-socket /var/lib/sallyport/run/sallyport.sock -X POST -d '{}' http://localhost/api/v1/feeds/list
sallyport api
` + "```" + `

The second way needs no token: on the socket the user of the machine counts. The last command prints the whole description, OpenAPI 3.1; the appliance serves it at ` + "`/api/v1/openapi.json`" + `. The certificate of the site CA is at ` + "`/ca.crt`" + `.

- An error is JSON with code, message, place and next step. Its code has [a page here](/help/codes).
- A long action answers with lines, one JSON document each: progress, and at the end the result or the error.
- A token needs the scope that stands with the action. Without one in the table no token may ask for it, ever.

## All actions

`

func reference(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("# Commands\n\nEvery command and every flag, as the programs know them.\n\n" +
		"`stella`, `stellaops-cli` and `exportctl` are other names of the same program: `stella export` is `sallyport export`, and `exportctl list` is `sallyport export run list`.\n\n" +
		"## Flags of every command\n\n")
	root := tree()
	flags(&b, root.PersistentFlags())
	for _, c := range root.Commands() {
		if c.Hidden || c.Name() == "help" || c.Name() == "stella" {
			continue
		}
		describe(&b, c, 2)
	}
	var help bytes.Buffer
	if status := (courier.Program{Out: &help, Err: &help}).Main(context.Background(), []string{"mirror", "help"}); status != 0 {
		t.Fatalf("mirror help ended with %d", status)
	}
	fmt.Fprintf(&b, "## mirror\n\nA program of its own, which needs nothing. See [checking a stick on a bare host](/help/mirror).\n\n```text\n%s```\n", help.String())
	return b.String()
}

func describe(b *strings.Builder, c *cobra.Command, level int) {
	if c.Hidden || c.Name() == "help" {
		return
	}
	fmt.Fprintf(b, "%s %s\n\n%s.\n\n", strings.Repeat("#", min(level, 3)), c.CommandPath(), sentence(c.Short))
	if !c.HasAvailableSubCommands() {
		parents := strings.TrimSuffix(c.CommandPath(), c.Name())
		fmt.Fprintf(b, "```text\n%s%s\n```\n\n", parents, strings.TrimSuffix(c.Use, " [flags]"))
		flags(b, c.NonInheritedFlags())
	}
	for _, sub := range c.Commands() {
		describe(b, sub, level+1)
	}
}

func flags(b *strings.Builder, f *pflag.FlagSet) {
	var rows []string
	f.VisitAll(func(x *pflag.Flag) {
		if x.Hidden || x.Name == "help" {
			return
		}
		name := "`--" + x.Name + "`"
		if x.Shorthand != "" {
			name += " `-" + x.Shorthand + "`"
		}
		text := strings.ReplaceAll(x.Usage, "|", "\\|")
		if d := x.DefValue; !slices.Contains([]string{"", "false", "[]", "0", "-1"}, d) {
			text += " (`" + d + "` when not given)"
		}
		rows = append(rows, fmt.Sprintf("| %s | %s |\n", name, text))
	})
	if len(rows) == 0 {
		return
	}
	fmt.Fprintf(b, "| flag | meaning |\n|---|---|\n%s\n", strings.Join(rows, ""))
}

func sentence(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// Every command that the manual shows is one that there is, with flags that it has. Lines of code blocks are whole: their
// arguments fit, and what a command cannot do without is there.
func TestManualCommands(t *testing.T) {
	m, err := manual.New()
	if err != nil {
		t.Fatal(err)
	}
	lines := 0
	judge := func(where string, whole, spans []string) {
		for _, l := range whole {
			if p := program(l); p != "" {
				lines++
				if err := judgeLine(t, l, true); err != nil {
					t.Errorf("%s: %s\n  %v", where, l, err)
				}
			}
		}
		for _, l := range spans {
			if p := program(l); p != "" {
				if err := judgeLine(t, l, false); err != nil {
					t.Errorf("%s: %s\n  %v", where, l, err)
				}
			}
		}
	}
	for _, g := range m.Groups() {
		for _, p := range g.Pages {
			if p.Slug != "cli" && p.Slug != "api" {
				judge(p.Slug, p.Lines, p.Spans)
			}
		}
	}
	for _, k := range m.Kinds() {
		for _, c := range k.Codes {
			judge(string(c.Info.Code), c.Lines, c.Spans)
		}
	}
	if lines < 60 {
		t.Errorf("only %d lines were judged", lines)
	}
}

// program is which of our programs a line runs; "" for another one.
func program(line string) string {
	for _, w := range shell(line) {
		if strings.Contains(w, "=") {
			continue // a variable before the command
		}
		if slices.Contains([]string{"sallyport", "stella", "stellaops-cli", "exportctl", "mirror"}, w) {
			return w
		}
		return ""
	}
	return ""
}

func judgeLine(t *testing.T, line string, whole bool) error {
	t.Helper()
	words := shell(line)
	for strings.Contains(words[0], "=") {
		words = words[1:]
	}
	if words[0] == "mirror" {
		return judgeMirror(t, words, whole)
	}
	if len(words) == 1 {
		return nil // the program's name
	}
	c, rest, err := tree().Find(alias(words))
	if err != nil {
		return err
	}
	err = c.ParseFlags(rest)
	if err != nil && (whole || !strings.Contains(err.Error(), "flag needs an argument")) {
		return err
	}
	args := c.Flags().Args()
	if c.HasSubCommands() && len(args) > 0 {
		return fmt.Errorf("%s has no command %q", c.CommandPath(), args[0])
	}
	if !whole && len(args) == 0 {
		return nil
	}
	if c.HasSubCommands() {
		return fmt.Errorf("%s is no whole command", c.CommandPath())
	}
	if err := c.ValidateArgs(args); err != nil {
		return err
	}
	for _, f := range needed(c) {
		if whole && !c.Flags().Changed(f) {
			return fmt.Errorf("--%s is missing", f)
		}
	}
	return nil
}

// needed are the flags that a command says, in its first line, it cannot do without.
func needed(c *cobra.Command) (names []string) {
	use := regexp.MustCompile(`\[[^]]*\]`).ReplaceAllString(c.Use, "")
	for _, m := range regexp.MustCompile(`--([a-z-]+)`).FindAllStringSubmatch(use, -1) {
		if c.Flags().Lookup("plan") == nil || m[1] != "reason" { // who only looks gives no reason
			names = append(names, m[1])
		}
	}
	return names
}

// judgeMirror runs it on what is not there: it must end for that, not for how it was called.
func judgeMirror(t *testing.T, words []string, whole bool) error {
	t.Helper()
	if !whole {
		words = slices.DeleteFunc(slices.Clone(words), func(w string) bool { return strings.HasPrefix(w, "--") })
		words = words[:min(2, len(words))]
	}
	if len(words) < 2 {
		return nil
	}
	var out bytes.Buffer
	status := (courier.Program{Out: &out, Err: &out}).Main(context.Background(), words)
	called := code.Lookup(code.BadUsage).Exit()
	if status == called && (whole || strings.Contains(out.String(), "no command")) && !strings.Contains(out.String(), "--key-words") {
		return fmt.Errorf("it is called wrongly: %s", out.String())
	}
	return nil
}

// shell splits a line into words as a shell would, up to what is no part of the command.
func shell(line string) (words []string) {
	var w strings.Builder
	quote, begun := rune(0), false
	flush := func() {
		if begun {
			words = append(words, w.String())
		}
		w.Reset()
		begun = false
	}
	for _, r := range line {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			w.WriteRune(r)
		case r == '"' || r == '\'':
			quote, begun = r, true
		case r == ' ' || r == '\t':
			flush()
		case strings.ContainsRune("|&;>#", r):
			flush()
			return words
		default:
			w.WriteRune(r)
			begun = true
		}
	}
	flush()
	return words
}

// The next steps of the table of codes name commands that there are.
func TestCodesNameCommands(t *testing.T) {
	root := tree()
	said := regexp.MustCompile(`(?:^|[^r] )(?:sallyport|stella)((?: [a-z][a-z-]*)+)`)
	for _, info := range code.Table() {
		for _, m := range said.FindAllStringSubmatch(info.Next, -1) {
			words := strings.Fields(m[1])
			c, rest, err := root.Find(words)
			if err != nil || c == root {
				t.Errorf("%s: there is no command %q", info.Code, strings.Join(words, " "))
				continue
			}
			if c.HasSubCommands() && len(rest) > 0 {
				t.Errorf("%s: %s has no command %q", info.Code, c.CommandPath(), cmp.Or(rest...))
			}
		}
	}
}
