package daemon

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sallyport/internal/cert"
	"sallyport/internal/code"
	"sallyport/internal/config"
	"sallyport/internal/durable"
	"sallyport/internal/wire"
)

// doors starts an appliance with these settings.
func doors(t *testing.T, dir string, fs durable.FS, set ...string) (*Running, error) {
	t.Helper()
	c := config.New(dir)
	c.Reserve, c.Ballast = 1<<20, 64<<10
	for i := 0; i < len(set); i += 2 {
		if err := c.Set(set[i], set[i+1], "test"); err != nil {
			t.Fatal(err)
		}
	}
	return Start(context.Background(), c, Deps{FS: fs, Build: time.Now()})
}

func opened(t *testing.T, dir string, set ...string) *Running {
	t.Helper()
	r, err := doors(t, dir, durable.FS{}, set...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// browse gets a page as a browser that trusts the site CA.
func browse(t *testing.T, r *Running, url, host string) (*http.Response, string) {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(r.Daemon().Authority())
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}
	defer tr.CloseIdleConnections()
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if host != "" {
		req.Host = host
	}
	c := http.Client{Transport: tr, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(b)
}

// The first page is there over TLS, with the certificate whose fingerprint status shows, and stays the same over a restart.
func TestHTTPS(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	made(t, dir, Deps{Build: time.Now()})
	r := opened(t, dir, "listen.https", "127.0.0.1:0", "listen.hosts", "site.lan")
	s := status(t, r)
	if s.Console == nil || len(s.Console.Addresses) != 2 || len(s.Console.Fingerprint) != 95 || s.Console.Note != "" || s.Health != "Healthy" {
		t.Fatalf("%+v", s.Console)
	}
	at := s.Console.Addresses[0]
	res, text := browse(t, r, at, "")
	if res.StatusCode >= 400 || res.ProtoMajor != 2 || cert.Fingerprint(res.TLS.PeerCertificates[0].Raw) != s.Console.Fingerprint {
		t.Errorf("%d %s %.200s", res.StatusCode, res.Proto, text)
	}
	if !strings.Contains(res.Header.Get("Content-Security-Policy"), "default-src 'none'") {
		t.Errorf("%v", res.Header)
	}
	if res, text := browse(t, r, at+"set-up", ""); res.StatusCode != 200 || !strings.Contains(text, s.Console.Fingerprint) {
		t.Errorf("the first page does not show the fingerprint: %d %.500s", res.StatusCode, text)
	}
	if res, _ := browse(t, r, at, "site.lan:8443"); res.StatusCode >= 400 {
		t.Errorf("by a name of listen.hosts: %d", res.StatusCode)
	}
	if res, text := browse(t, r, at, "evil.example"); res.StatusCode != http.StatusMisdirectedRequest || !strings.Contains(text, "wrong-host") {
		t.Errorf("by a foreign name: %d %.300s", res.StatusCode, text)
	}
	if res, text := browse(t, r, at+"ca.crt", ""); res.StatusCode != 200 || text != string(r.Daemon().Authority()) {
		t.Errorf("ca.crt: %d", res.StatusCode)
	}
	if res, text := browse(t, r, at+"readyz", ""); res.StatusCode != 200 || text != "{\"status\":\"Healthy\"}\n" {
		t.Errorf("readyz: %d %s", res.StatusCode, text)
	}
	if res, text := browse(t, r, at+"api/v1/openapi.json", ""); res.StatusCode != 200 || !strings.Contains(text, `"openapi"`) {
		t.Errorf("description: %d %.200s", res.StatusCode, text)
	}
	if err := r.Stop(); err != nil {
		t.Fatal(err)
	}
	r = opened(t, dir, "listen.https", "127.0.0.1:0")
	if c := status(t, r).Console; c.Authority != s.Console.Authority {
		t.Error("a restart made another CA")
	}
	if err := r.Stop(); err != nil {
		t.Fatal(err)
	}
}

// Two appliances on one host: the second goes on with its socket, and says so when a person had asked for the address.
func TestPortTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dir := filepath.Join(t.TempDir(), "d")
	made(t, dir, Deps{Build: time.Now()})
	r := opened(t, dir, "listen.https", l.Addr().String())
	s := status(t, r)
	if !s.Ready || s.Console == nil || len(s.Console.Addresses) != 0 || !strings.Contains(s.Console.Note, "another program") || len(s.Reasons) != 1 || s.Reasons[0].Next == "" {
		t.Errorf("%+v %+v", s.Console, s.Reasons)
	}
	// it is free again: the next minute has a console
	l.Close()
	server, err := r.Daemon().server(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	r.Daemon().tendHTTPS(context.Background(), server)
	if s := status(t, r); len(s.Console.Addresses) != 1 || len(s.Reasons) != 0 {
		t.Errorf("%+v %+v", s.Console, s.Reasons)
	}
	if err := server.Close(context.Background()); err != nil {
		t.Error(err)
	}
	if err := r.Stop(); err != nil {
		t.Fatal(err)
	}

	l, err = net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c := config.New(dir)
	c.ListenHTTPS = l.Addr().String() // as the default that nobody chose
	r, err = Start(context.Background(), c, Deps{Build: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Stop()
	if s := status(t, r); s.Health != "Healthy" || len(s.Reasons) != 0 || !strings.Contains(s.Console.Note, "another program") || !strings.Contains(s.Console.Next, "--listen") {
		t.Errorf("%s %+v %+v", s.Health, s.Console, s.Reasons)
	}
}

// What people chose and cannot be used ends the start, in words.
func TestCertificateRefused(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	made(t, dir, Deps{Build: time.Now()})
	for _, set := range [][]string{
		{"listen.https", "127.0.0.1:0", "tls.cert", "/no/such.pem", "tls.key", "/no/such.key"},
		{"listen.https", "127.0.0.1:0", "tls.cert", "/no/such.pem"},
	} {
		r, err := doors(t, dir, durable.FS{}, set...)
		if err == nil {
			r.Stop()
		}
		if code.Of(err) != code.Certificate {
			t.Errorf("%q: %v", set, err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "tls", "ca.pem"), []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := opened(t, dir, "listen.https", "127.0.0.1:0")
	defer r.Stop()
	if s := status(t, r); !s.Ready || len(s.Console.Addresses) != 0 || len(s.Reasons) != 1 || !strings.Contains(s.Reasons[0].What, "site CA") {
		t.Errorf("a damaged CA: %+v %+v", s.Console, s.Reasons)
	}
}

// A full disk keeps the console from getting its first certificate, and the daemon from nothing; a sync that fails ends it.
func TestCertificateFaults(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	made(t, dir, Deps{Build: time.Now()})
	tls := filepath.Join(dir, "tls")
	fault := func(verb string, v durable.Verdict) durable.FS {
		return durable.WithHook(func(op durable.Op) durable.Verdict {
			if op.Verb == verb && strings.HasPrefix(op.Path, tls) {
				return v
			}
			return durable.Do
		})
	}
	r, err := doors(t, dir, fault("write", durable.Lose), "listen.https", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if s := status(t, r); !s.Ready || len(s.Console.Addresses) != 0 || s.Console.Note == "" {
		t.Errorf("%+v", s.Console)
	}
	if err := r.Stop(); err != nil {
		t.Error(err)
	}
	if r, err := doors(t, dir, fault("sync", durable.Lose), "listen.https", "127.0.0.1:0"); code.Of(err) != code.FsyncFailed {
		if err == nil {
			r.Stop()
		}
		t.Errorf("a sync that failed: %v", err)
	}
	opened(t, dir, "listen.https", "127.0.0.1:0").Stop()
}

// Plain HTTP answers on loopback when it is asked for, with the console and without a certificate.
func TestPlain(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	made(t, dir, Deps{Build: time.Now()})
	r := opened(t, dir, "listen.http", "127.0.0.1:0")
	defer r.Stop()
	c := status(t, r).Console
	if c == nil || c.Plain == "" || len(c.Addresses) != 0 || c.Fingerprint != "" {
		t.Fatalf("%+v", c)
	}
	res, err := http.Get(c.Plain + "metrics")
	if err != nil || res.StatusCode != 200 {
		t.Fatalf("%v %v", res, err)
	}
	res.Body.Close()
	if _, err := os.Stat(filepath.Join(dir, "tls", "ca.pem")); err == nil {
		t.Error("a CA was made that nobody asked for")
	}
}

// A wire.Console is what the first page shows; its authority is the CA that /ca.crt gives.
func TestAuthority(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	made(t, dir, Deps{Build: time.Now()})
	r := opened(t, dir, "listen.https", "127.0.0.1:0")
	defer r.Stop()
	var s wire.Status
	if err := r.Client().Call(context.Background(), "status/show", nil, &s); err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(r.Daemon().Authority())
	if cert.Fingerprint(block.Bytes) != s.Console.Authority {
		t.Error("another CA")
	}
}
