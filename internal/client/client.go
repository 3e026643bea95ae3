// Package client talks to a daemon over its unix socket.
//
// Data: none. The socket is SALLYPORT_SOCKET or D/run/sallyport.sock; a path that is too long for the system's address
// structure goes through an open directory, /proc/self/fd/N/sallyport.sock.
//
// Order: each call is one request on a connection of its own. A call whose context ends closes the connection, on which the
// daemon gives up what it was doing for it (an export run goes on). Nothing is written here.
package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"

	"sallyport/internal/code"
	"sallyport/internal/wire"
)

// maxPath is the longest address of a unix socket on Linux, without its NUL.
const maxPath = 107

// maxLine bounds one line of a stream: a result with a thousand rejects and all plans.
const maxLine = 64 << 20

// Client speaks to one socket. Safe for concurrent use.
type Client struct {
	socket string
	http   *http.Client
}

// New makes a client for a socket path. Nothing is opened.
func New(socket string) *Client {
	t := &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dial(ctx, socket)
		},
	}
	return &Client{socket: socket, http: &http.Client{Transport: t}}
}

// Socket is the path.
func (c *Client) Socket() string { return c.socket }

func dial(ctx context.Context, path string) (net.Conn, error) {
	var d net.Dialer
	if len(path) <= maxPath {
		return d.DialContext(ctx, "unix", path)
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	return d.DialContext(ctx, "unix", fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(path)))
}

// Call runs one short action ("feeds/list"). in may be nil; out may be nil. Code no-daemon when nobody answers.
func (c *Client) Call(ctx context.Context, action string, in, out any) error {
	res, err := c.post(ctx, action, in)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return failure(res)
	}
	if out == nil {
		return nil
	}
	if err := json.NewDecoder(res.Body).Decode(out); err != nil {
		return lost(ctx, fmt.Errorf("%s: read the answer: %w", action, err))
	}
	return nil
}

// Stream runs one long action. progress hears every line but the last; it may be nil. out is filled when the last line has a
// result, even when it has an error too.
func (c *Client) Stream(ctx context.Context, action string, in any, progress func(wire.Progress), out any) error {
	res, err := c.post(ctx, action, in)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return failure(res)
	}
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(make([]byte, 64<<10), maxLine)
	for lines.Scan() {
		var line wire.Line
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			return fmt.Errorf("%s: read the answer: %w", action, err)
		}
		if line.Progress != nil && progress != nil {
			progress(*line.Progress)
		}
		if !line.Last() {
			continue
		}
		if line.Result != nil && out != nil {
			if err := json.Unmarshal(line.Result, out); err != nil {
				return fmt.Errorf("%s: read the result: %w", action, err)
			}
		}
		return line.Error.Err()
	}
	err = lines.Err()
	if err == nil {
		err = io.ErrUnexpectedEOF
	}
	return lost(ctx, err)
}

// Get reads a plain page of the daemon (/healthz, /readyz, /metrics) and its status.
func (c *Client) Get(ctx context.Context, path string) (status int, body []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://sallyport"+path, nil)
	if err != nil {
		return 0, nil, err
	}
	res, err := c.http.Do(req)
	if err != nil {
		return 0, nil, c.unreachable(ctx, err)
	}
	defer res.Body.Close()
	body, err = io.ReadAll(io.LimitReader(res.Body, maxLine))
	return res.StatusCode, body, err
}

// Download writes what a path of the API gives into w, from a byte on: whoever was interrupted asks for the rest.
func (c *Client) Download(ctx context.Context, path string, from int64, w io.Writer) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://sallyport"+wire.Prefix+path, nil)
	if err != nil {
		return err
	}
	want := http.StatusOK
	if from > 0 {
		want = http.StatusPartialContent
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", from))
	}
	res, err := c.http.Do(req)
	if err != nil {
		return c.unreachable(ctx, err)
	}
	defer res.Body.Close()
	if res.StatusCode != want {
		return failure(res)
	}
	if _, err := io.Copy(w, res.Body); err != nil {
		return lost(ctx, err)
	}
	return nil
}

func (c *Client) post(ctx context.Context, action string, in any) (*http.Response, error) {
	if in == nil {
		in = struct{}{}
	}
	body, err := json.Marshal(in)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", action, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://sallyport"+wire.Prefix+action, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", action, err)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreachable(ctx, err)
	}
	return res, nil
}

func (c *Client) unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return code.Wrap(code.Interrupted, err, "interrupted")
	}
	if errors.Is(err, os.ErrPermission) {
		return code.New(code.Denied, "this user may not talk to the daemon").In(c.socket, "").
			Do("Run it as root or as the daemon's user, or ask for a group in socket.groups.")
	}
	return code.Wrap(code.NoDaemon, cause(err), "no daemon answers").In(c.socket, "")
}

// cause drops what net/http and net wrap around a system error: the address is said already.
func cause(err error) error {
	var op *net.OpError
	if errors.As(err, &op) && op.Err != nil {
		return op.Err
	}
	return err
}

// lost is what a connection that ended in the middle means.
func lost(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return code.Wrap(code.Interrupted, context.Cause(ctx), "interrupted")
	}
	return code.Wrap(code.NoDaemon, err, "the daemon went away in the middle").
		Do("Run sallyport status, then the same command again: nothing is left half done.")
}

func failure(res *http.Response) error {
	b, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	var f wire.Failure
	if err := json.Unmarshal(b, &f); err != nil || f.Error == nil {
		return code.New(code.Bug, "the daemon answered %s", res.Status)
	}
	return f.Error.Err()
}
