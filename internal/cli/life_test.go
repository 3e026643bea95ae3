package cli_test

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// The scripts of life/ lose appliances and make them again. Besides the commands of the trust scripts they have:
//
//	cross HUB FROM TO [lost]   loads generations FROM to TO of the feed notes at a hub, and carries each there and back with
//	                           the stick; "lost" leaves the answers of the site where they are
func TestLifeScripts(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("two users: run as root")
	}
	if _, err := exec.LookPath("setpriv"); err != nil {
		t.Skip("no setpriv: ", err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/life",
		Setup: func(env *testscript.Env) error {
			env.Setenv("SALLYPORT_LISTEN_HTTPS", "off")
			env.Setenv("NO_COLOR", "1")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"ready": ready, "exits": exitsAs, "keep": keep, "as": as, "meet": meet, "plan": plan, "cross": cross,
		},
	})
}

func cross(ts *testscript.TestScript, _ bool, args []string) {
	from, err := strconv.Atoi(args[1])
	ts.Check(err)
	to, err := strconv.Atoi(args[2])
	ts.Check(err)
	for n := from; n <= to; n++ {
		file := ts.MkAbs(fmt.Sprintf("note-%d.txt", n))
		ts.Check(os.WriteFile(file, []byte(fmt.Sprintf("note %d of %s\n", n, args[0])), 0o644))
		ts.Check(ts.Exec("sallyport", "load", "--data-dir", args[0], "--feed", "notes", file))
		ts.Check(ts.Exec("sallyport", "exchange", "stick", "--data-dir", args[0], "--yes", "--for", "site"))
		ts.Check(ts.Exec("sallyport", "exchange", "stick", "--data-dir", "site", "--yes"))
		if len(args) == 3 {
			ts.Check(ts.Exec("sallyport", "exchange", "stick", "--data-dir", args[0], "--yes"))
		}
	}
}
