package cli_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"sallyport/internal/wire"
)

// The scripts of trust/ run commands as two operating-system users; besides those of TestScripts they have:
//
//	as UID PROGRAM ARG…         runs a program as another user, who may open every file
//	alone UID GID PROGRAM…      runs a program of the folder bin as another user who has that one group and no rights but their own
//	tool NAME FILE              copies a program of this test to where other users can run it
//	printed FILE PATTERN VAR    puts what the pattern's group matches into a variable
//	meet                        makes the appliances in hub and site peers, by fingerprint, over the medium stick
//	plan FILE VAR               puts the digest of the line "plan DIGEST" into a variable
//	keyid FILE KIND STATE VAR   puts the id of the key of that kind and state into a variable
//
// They need root, for only root can be somebody else.
func TestTrustScripts(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("two users: run as root")
	}
	if _, err := exec.LookPath("setpriv"); err != nil {
		t.Skip("no setpriv: ", err)
	}
	evidence, err := filepath.Abs("../demo/testdata")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/trust",
		Setup: func(env *testscript.Env) error {
			env.Setenv("SALLYPORT_LISTEN_HTTPS", "off")
			env.Setenv("EVIDENCE", evidence)
			env.Setenv("NO_COLOR", "1")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"ready": ready, "exits": exitsAs, "keep": keep, "as": as, "alone": alone, "tool": tool, "printed": printed, "meet": meet, "plan": plan, "keyid": keyid,
		},
	})
}

// other is a command line that runs the rest as another user. The right to open every file stands for a medium and a program
// that everyone may read; the kernel tells the daemon the user all the same.
func other(args []string) []string {
	all := []string{"setpriv", "--reuid", args[0], "--regid", args[0], "--clear-groups", "--inh-caps", "+dac_override", "--ambient-caps", "+dac_override"}
	return append(all, args[1:]...)
}

func as(ts *testscript.TestScript, neg bool, args []string) {
	line := other(args)
	if err := ts.Exec(line[0], line[1:]...); (err != nil) != neg {
		ts.Fatalf("%v: %v", args, err)
	}
}

func exitsAs(ts *testscript.TestScript, neg bool, args []string) {
	switch args[1] {
	case "as":
		args = append(args[:1:1], other(args[2:])...)
	case "alone":
		args = append(args[:1:1], stranger(ts, args[2:])...)
	}
	exits(ts, neg, args)
}

// stranger is a command line that runs the rest as somebody who has a user, one group, and the program in bin.
func stranger(ts *testscript.TestScript, args []string) []string {
	all := []string{"setpriv", "--reuid", args[0], "--regid", args[1], "--clear-groups", "--inh-caps=-all", "--ambient-caps=-all", "--bounding-set=-all"}
	return append(append(all, "env", "PATH="+ts.Getenv("WORK")+"/bin:/usr/bin:/bin"), args[2:]...)
}

func alone(ts *testscript.TestScript, neg bool, args []string) {
	line := stranger(ts, args)
	if err := ts.Exec(line[0], line[1:]...); (err != nil) != neg {
		ts.Fatalf("%v: %v", args, err)
	}
}

func tool(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(ts.Exec("sh", "-c", `cp "$(command -v "$0")" "$1" && chmod 755 "$1"`, args[0], args[1]))
}

func printed(ts *testscript.TestScript, _ bool, args []string) {
	m := regexp.MustCompile(args[1]).FindStringSubmatch(ts.ReadFile(args[0]))
	if m == nil {
		ts.Fatalf("no %s in %s", args[1], args[0])
	}
	ts.Setenv(args[2], m[1])
}

func meet(ts *testscript.TestScript, _ bool, _ []string) {
	ts.Check(os.Mkdir(ts.MkAbs("stick"), 0o755))
	prints := map[string]string{}
	for _, who := range []string{"hub", "site"} {
		ts.Check(ts.Exec("sallyport", "card", "--data-dir", who, "--to", "stick", "--json"))
		var c wire.Card
		ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &c))
		prints[who] = c.Fingerprint
	}
	ts.Check(ts.Exec("sallyport", "peers", "add", "stick", "--data-dir", "hub", "--fingerprint", prints["site"]))
	ts.Check(ts.Exec("sallyport", "peers", "add", "stick", "--data-dir", "site", "--fingerprint", prints["hub"]))
}

var planLine = regexp.MustCompile(`(?m)^plan (sha256:[0-9a-f]{64})$`)

func plan(ts *testscript.TestScript, _ bool, args []string) {
	m := planLine.FindStringSubmatch(ts.ReadFile(args[0]))
	if m == nil {
		ts.Fatalf("no plan in %s", args[0])
	}
	ts.Setenv(args[1], m[1])
}

func keyid(ts *testscript.TestScript, _ bool, args []string) {
	var k wire.KeyRows
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &k))
	for _, row := range k.Keys {
		if row.Kind == args[1] && row.State == args[2] {
			ts.Setenv(args[3], row.KeyID)
			return
		}
	}
	ts.Fatalf("no %s key is %s", args[1], args[2])
}
