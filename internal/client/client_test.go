package client

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sallyport/internal/code"
)

func TestNobodyAnswers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	err := New(path).Call(context.Background(), "status/show", nil, nil)
	var e *code.Error
	if !errors.As(err, &e) || e.Code != code.NoDaemon || e.File != path {
		t.Errorf("%v", err)
	}
	if _, _, err := New(path).Get(context.Background(), "/healthz"); code.Of(err) != code.NoDaemon {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := New(path).Call(ctx, "status/show", nil, nil); code.Of(err) != code.Interrupted {
		t.Errorf("%v", err)
	}
}

// A daemon that goes away in the middle is not taken for an answer, however much it had said.
func TestCutShort(t *testing.T) {
	path := filepath.Join(t.TempDir(), strings.Repeat("long-", 30), "s")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	t.Chdir(filepath.Dir(path))
	l, err := net.Listen("unix", "s")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, said := range []string{
		"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\n\r\n{\"progress\":{\"stage\":\"read\"}}\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{\"result\":",
		"",
	} {
		go func() {
			c, err := l.Accept()
			if err != nil {
				return
			}
			defer c.Close()
			buf := make([]byte, 4096)
			_, _ = c.Read(buf)
			_, _ = c.Write([]byte(said))
		}()
		var out struct{}
		if err := New(path).Stream(context.Background(), "load/run", nil, nil, &out); code.Of(err) != code.NoDaemon && err == nil {
			t.Errorf("%q was taken for an answer: %v", said, err)
		}
	}
}
