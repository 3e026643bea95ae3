package cli_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// The scripts of time/ run a program with the fault seam, whose clock SALLYPORT_FAKE_TIME sets: 1970, 2099, or years after the
// last stick. They need root and setpriv, as those of trust/ do.
func TestTimeScripts(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("two users: run as root")
	}
	if _, err := exec.LookPath("setpriv"); err != nil {
		t.Skip("no setpriv: ", err)
	}
	bin := t.TempDir()
	if err := os.Chmod(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	build := exec.Command("go", "build", "-tags", "faultpoints", "-ldflags", "-X sallyport/internal/cli.Version=0.1.0", "-o", filepath.Join(bin, "sallyport"), "sallyport/cmd/sallyport")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/time",
		Setup: func(env *testscript.Env) error {
			env.Setenv("SALLYPORT_LISTEN_HTTPS", "off")
			env.Setenv("NO_COLOR", "1")
			env.Setenv("PATH", bin+string(os.PathListSeparator)+env.Getenv("PATH"))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"ready": ready, "exits": exitsAs, "keep": keep, "as": as, "meet": meet, "plan": plan, "cross": cross,
		},
	})
}
