package demo

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"sallyport/internal/config"
	"sallyport/internal/daemon"
)

// TestMain lets the test binary stand in for the program that one act kills.
func TestMain(m *testing.M) {
	if len(os.Args) == 4 && os.Args[1] == "serve" {
		os.Exit(serve(os.Args[3]))
	}
	os.Exit(m.Run())
}

func serve(dir string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	r, err := daemon.Start(ctx, config.New(dir), daemon.Deps{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	<-ctx.Done()
	if err := r.Stop(); err != nil {
		return 1
	}
	return 0
}

func perform(t *testing.T, data, exe string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	err := Run(t.Context(), Options{Out: &out, Dir: t.TempDir(), Exe: exe, Data: data})
	return out.String(), err
}

func self(t *testing.T) string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return exe
}

// Seven acts, each of at most four lines of at most 100 columns, each line what was done and what was seen.
func TestPlay(t *testing.T) {
	data := os.Getenv("SALLYPORT_DATA")
	if data == "" {
		data = filepath.Join("..", "..", "..", "shared", "data")
	}
	for name, data := range map[string]string{"made up": "", "real": data} {
		t.Run(name, func(t *testing.T) {
			if _, err := os.Stat(data); name == "real" && err != nil {
				t.Skip("no real evidence: ", err)
			}
			out, err := perform(t, data, self(t))
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			inspect(t, out)
		})
	}
}

func inspect(t *testing.T, out string) {
	t.Helper()
	acts, lines := 0, 0
	for _, line := range strings.Split(out, "\n") {
		switch {
		case strings.HasPrefix(line, "Proven:"):
			if acts != 7 || lines == 0 {
				t.Errorf("%d acts, %d lines in the last", acts, lines)
			}
			return
		case strings.HasPrefix(line, fmt.Sprint(acts+1, " ")):
			acts, lines = acts+1, 0
		case strings.HasPrefix(line, "  "):
			if lines++; lines > 4 || len([]rune(line)) > Width || strings.Count(line, " → ") != 1 {
				t.Errorf("act %d, line %d: %s", acts, lines, line)
			}
		}
	}
	t.Error("the play has no end")
}

// An act that does not end as announced ends the play with an error that names it.
func TestAnActThatFails(t *testing.T) {
	out, err := perform(t, "", "/bin/false")
	if err == nil || !strings.Contains(err.Error(), "act 4, attack") || strings.Contains(out, "5 answer") {
		t.Errorf("error %v after\n%s", err, out)
	}
}

// Where somebody watches, the play ends with a link that opens the console once, signed in, with something to do.
func TestConsole(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	r, w := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := Run(ctx, Options{Out: w, Dir: t.TempDir(), Exe: self(t), Stay: true})
		w.Close()
		ended <- err
	}()
	var link string
	var said strings.Builder
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		fmt.Fprintln(&said, lines.Text())
		if _, after, ok := strings.Cut(lines.Text(), "signed in: "); ok {
			link = after
			break
		}
	}
	go io.Copy(io.Discard, r)
	if link == "" {
		t.Fatalf("no link: %v\n%s", <-ended, &said)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	visit := func(c *http.Client) string {
		res, err := c.Get(link)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	if page := visit(&http.Client{Jar: jar}); !strings.Contains(page, "Needs you") || !strings.Contains(page, "recovery card") || !strings.Contains(page, "guest") {
		t.Errorf("the first page:\n%.4000s", page)
	}
	if page := visit(&http.Client{}); strings.Contains(page, "Needs you") {
		t.Error("the link opens twice")
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
