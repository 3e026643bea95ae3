package hostile

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sallyport/internal/cli"
	"sallyport/internal/clock"
	"sallyport/internal/config"
	"sallyport/internal/daemon"
	"sallyport/internal/forge"
	"sallyport/internal/wire"
)

// sallyport runs one command against a data directory.
func sallyport(dir string, args ...string) (status int, out, errs string) {
	var o, e bytes.Buffer
	status = cli.Main(context.Background(), append([]string{"sallyport", "--data-dir", dir}, args...), cli.Stdio{In: strings.NewReader(""), Out: &o, Err: &e})
	return status, o.String(), e.String()
}

// appliance is a daemon that knows the hub and holds Base, all through the command line.
func appliance(t *testing.T, w *forge.World) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "d")
	deps := daemon.Deps{Clock: clock.NewFixed(forge.Epoch().Add(24 * time.Hour)), Build: forge.Epoch()}
	_, err := daemon.Init(daemon.InitOptions{DataDir: dir, Name: "site", Tenant: "acme", Actor: "test"}, deps)
	check(t, err)
	run, err := daemon.Start(context.Background(), config.New(dir), deps)
	check(t, err)
	t.Cleanup(func() {
		if err := run.Stop(); err != nil {
			t.Error(err)
		}
	})
	b, err := Base(w).Build()
	check(t, err)
	stick := t.TempDir()
	check(t, b.Write(stick))
	for _, args := range [][]string{{"peers", "add", stick, "--fingerprint", w.Hub.Root.ID().Hex()}, {"import", stick, "--yes"}} {
		if status, out, errs := sallyport(dir, args...); status != 0 {
			t.Fatalf("sallyport %v: exit %d\n%s%s", args, status, out, errs)
		}
	}
	return dir
}

// sample are cases that are kept whole and judged by the usual trust, one of each answer.
func sample() (few []Case) {
	seen := map[string]int{}
	for _, c := range Cases() {
		answer := c.Want()[strings.IndexByte(c.Want(), '\n'):]
		if c.Big || c.Trust != nil || c.Paper || c.Waits || c.Parks || seen[answer] == 1 { // what waits would meet the cases after it
			continue
		}
		seen[answer]++
		few = append(few, c)
	}
	return few
}

// The command line gives the same answers: the status to scripts, one code in JSON, and to people a next step.
func TestCommandLine(t *testing.T) {
	w := world(t)
	dir := appliance(t, w)
	b := &bench{w: w, site: &site{}}
	before := tree(t, dir, "cas/sha256", "layers") // the daemon itself raises the marks as time goes by
	for _, c := range sample() {
		t.Run(c.Name(), func(t *testing.T) {
			g := b.give(t, c)
			way := "--yes"
			if g.code("import-") == string(OK) {
				way = "--plan"
			}
			status, out, errs := sallyport(dir, "import", g.medium, way)
			quiet(t, out+errs)
			if fmt.Sprint(status) != g.exit("import-") {
				t.Errorf("exit %d, want %s %s\n%s%s", status, g.code("import-"), g.exit("import-"), out, errs)
			}
			status, _, failed := sallyport(dir, "import", g.medium, way, "--json")
			var f wire.Failure
			if err := json.Unmarshal([]byte(failed), &f); status != 0 && (err != nil || f.Error == nil || string(f.Error.Code) != g.code("import-") || f.Error.Next == "") {
				t.Errorf("exit %d, %v: %s", status, err, failed)
			}
			if tree(t, dir, "cas/sha256", "layers") != before {
				t.Error("store or layers changed")
			}
		})
	}
}
