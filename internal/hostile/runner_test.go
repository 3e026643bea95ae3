package hostile

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"sallyport/internal/archtest"
)

// runner is a second process of this test that stays small and starts the programs: what the kernel reports as the greatest
// memory of a program is never less than its parent had when it started it.
type runner struct {
	in  *json.Encoder
	out *json.Decoder
}

const runnerEnv = "HOSTILE_RUNNER"

// run is one run of a program.
type run struct {
	Exit     int
	Out, Err string
	Memory   int64 // bytes
	CPU      time.Duration
}

func TestMain(m *testing.M) {
	if os.Getenv(runnerEnv) != "" {
		if err := serve(os.Stdin, os.Stdout); err != nil {
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// serve starts what is asked for, line by line, until the other side is gone.
func serve(in io.Reader, out io.Writer) error {
	asks, answers := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var args []string
		if err := asks.Decode(&args); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		var o, e bytes.Buffer
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Stdout, cmd.Stderr = &o, &e
		var failed *exec.ExitError
		if err := cmd.Run(); err != nil && !errors.As(err, &failed) {
			return err
		}
		use := cmd.ProcessState.SysUsage().(*syscall.Rusage)
		r := run{cmd.ProcessState.ExitCode(), o.String(), e.String(), use.Maxrss << 10, cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()}
		if err := answers.Encode(r); err != nil {
			return err
		}
	}
}

func startRunner(t *testing.T) *runner {
	t.Helper()
	self, err := os.Executable()
	check(t, err)
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), runnerEnv+"=1")
	in, err := cmd.StdinPipe()
	check(t, err)
	out, err := cmd.StdoutPipe()
	check(t, err)
	check(t, cmd.Start())
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	})
	return &runner{json.NewEncoder(in), json.NewDecoder(out)}
}

func (r *runner) run(t *testing.T, args ...string) (got run) {
	t.Helper()
	check(t, r.in.Encode(args))
	check(t, r.out.Decode(&got))
	return got
}

// buildMirror builds the real verifier.
func buildMirror(t *testing.T) string {
	t.Helper()
	root, err := archtest.Root()
	check(t, err)
	exe := filepath.Join(t.TempDir(), "mirror")
	cmd := exec.Command("go", "build", "-o", exe, "./cmd/mirror")
	cmd.Dir, cmd.Env = root, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build mirror: %v\n%s", err, out)
	}
	return exe
}
