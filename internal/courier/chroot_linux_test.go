package courier_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// In an empty root with nothing but the one file and the stick, mirror works as everywhere else.
func TestEmptyRoot(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("chroot needs root")
	}
	s := newStick(t, nil)
	jail := t.TempDir()
	build := exec.Command("go", "build", "-o", filepath.Join(jail, "mirror"), "sallyport/cmd/mirror")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if err := s.b.Write(filepath.Join(jail, "stick")); err != nil {
		t.Fatal(err)
	}
	for name, from := range map[string]string{"hub.pub": s.pub, "age.key": s.age} {
		b, err := os.ReadFile(from)
		if err == nil {
			err = os.WriteFile(filepath.Join(jail, name), b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		status int
		first  string
		args   []string
	}{
		{0, intactLine, []string{"verify", "stick", "--key", "stick/sallyport/pub/hub/tenants/acme/export-center.pub"}},
		{0, verifiedLine, []string{"verify", "/stick", "--key", "hub.pub", "--identity", "age.key"}},
		{7, "NOT VERIFIED", []string{"verify", "stick"}},
		{0, verifiedLine, []string{"extract", "stick", "--key", "hub.pub", "--identity", "age.key", "--to", "out"}},
	} {
		var out bytes.Buffer
		cmd := exec.Command("/mirror", c.args...)
		cmd.Stdout, cmd.Stderr, cmd.Dir, cmd.Env = &out, &out, "/", []string{}
		cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: jail}
		if err := cmd.Run(); cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != c.status || !strings.HasPrefix(out.String(), c.first) {
			t.Errorf("%v: %v\n%s", c.args, err, out.String())
		}
	}
}
