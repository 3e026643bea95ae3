package config

import (
	"strings"
	"testing"

	"sallyport/internal/code"
)

// The template is a valid file; with every comment taken off it says the defaults.
func TestTemplateIsTheDefaults(t *testing.T) {
	c := New("/d")
	if err := c.File("config.yaml", []byte(Template())); err != nil {
		t.Fatal(err)
	}
	var lines []string
	for i, line := range strings.Split(Template(), "\n") {
		if i > 3 {
			line = strings.TrimPrefix(line, "#")
		}
		lines = append(lines, line)
	}
	full := New("/d")
	if err := full.File("config.yaml", []byte(strings.Join(lines, "\n"))); err != nil {
		t.Fatalf("%v\n%s", err, strings.Join(lines, "\n"))
	}
	for i, v := range full.Values() {
		if want := New("/d").Values()[i]; v.Value != want.Value {
			t.Errorf("%s is %q, its default is %q", v.Name, v.Value, want.Value)
		}
		if v.Source != "config.yaml" {
			t.Errorf("%s has no line in the template that works", v.Name)
		}
	}
}

// Every setting can be set by its variable, and reads back what was set.
func TestEnvironment(t *testing.T) {
	set := map[string]string{
		"SALLYPORT_LISTEN_HTTP": "127.0.0.1:9000", "SALLYPORT_LISTEN_HTTPS": "0.0.0.0:8443", "SALLYPORT_LISTEN_HOSTS": "site-07.lan,10.0.0.7",
		"SALLYPORT_TLS_CERT": "/c.pem", "SALLYPORT_TLS_KEY": "/k.pem", "SALLYPORT_LIMITS_RATE": "50", "SALLYPORT_LIMITS_CONNECTIONS": "99", "SALLYPORT_LIMITS_STREAMS": "77", "SALLYPORT_LIMITS_UPLOADS": "4.0GiB", "SALLYPORT_SOCKET_PATH": "/s", "SALLYPORT_SOCKET_GROUPS": "a,b", "SALLYPORT_APPROVALS_IMPORT": "2",
		"SALLYPORT_APPROVALS_EXPIRE": "3d", "SALLYPORT_DELIVERY_EVERY": "7d", "SALLYPORT_LIMITS_WORKERS": "3", "SALLYPORT_LIMITS_RUNS": "2",
		"SALLYPORT_STORE_RESERVE": "2.0GiB", "SALLYPORT_STORE_BALLAST": "1.0MiB", "SALLYPORT_STORE_SCRUB": "0B", "SALLYPORT_LOG_LEVEL": "debug", "SALLYPORT_LOG_FORMAT": "json", "SALLYPORT_RETENTION_LOGDAYS": "9",
		"SALLYPORT_EXPORTCENTER_RETENTION_MIRROR_MODE": "count", "SALLYPORT_EXPORTCENTER_RETENTION_MIRROR_VALUE": "4",
		"SALLYPORT_EXPORTCENTER_RETENTION_TRIVY_MODE": "days", "SALLYPORT_EXPORTCENTER_RETENTION_TRIVY_VALUE": "5",
	}
	c := New("/d")
	if err := c.Environ(func(name string) (string, bool) { v, ok := set[name]; return v, ok }); err != nil {
		t.Fatal(err)
	}
	for _, v := range c.Values() {
		if want := set[Variable(v.Name)]; v.Value != want || v.Source != Variable(v.Name) {
			t.Errorf("%s is %q from %s, want %q", v.Name, v.Value, v.Source, want)
		}
	}
}

func TestRefusals(t *testing.T) {
	for _, bad := range []string{
		"apiVersion: other\n",
		"apiVersion: " + Version + "\nunknown: 1\n",
		"apiVersion: " + Version + "\nlisten: {http: '0.0.0.0:80'}\n",
		"apiVersion: " + Version + "\nlisten: {http: '80'}\n",
		"apiVersion: " + Version + "\nlisten: {http: 'example.org:80'}\n",
		"apiVersion: " + Version + "\nlisten: {https: '8443'}\n",
		"apiVersion: " + Version + "\nlisten: {https: '127.0.0.1:x'}\n",
		"apiVersion: " + Version + "\nlisten: {https: 'a b:8443'}\n",
		"apiVersion: " + Version + "\nlisten: {hosts: ['site:8443']}\n",
		"apiVersion: " + Version + "\nlimits: {rate: 0}\n",
		"apiVersion: " + Version + "\ntls: {cert: relative.pem}\n",
		"apiVersion: " + Version + "\nsocket: {path: run/s}\n",
		"apiVersion: " + Version + "\napprovals: {import: 3}\n",
		"apiVersion: " + Version + "\nstore: {reserve: lots}\n",
		"apiVersion: " + Version + "\nlog: {level: loud}\n",
		"apiVersion: " + Version + "\nExportCenter: {Retention: {Mirror: {Mode: weeks}}}\n",
	} {
		c := New("/d")
		if err := c.File("config.yaml", []byte(bad)); code.Of(err) != code.BadConfig {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestAddresses(t *testing.T) {
	for _, good := range []string{"127.0.0.1:8443", "[::1]:8443", ":8443", "0.0.0.0:0", "site-07.lan:443", "off", "auto", "[::]:8443"} {
		c := New("/d")
		if err := c.Set("listen.https", good, "test"); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{"::1:8443", "[::1:8443", "8443", "a:b:1", "host:", "host:99999", "-a:1", "[]:x", "a..b:1"} {
		c := New("/d")
		if err := c.Set("listen.https", bad, "test"); code.Of(err) != code.BadConfig {
			t.Errorf("%s: %v", bad, err)
		}
	}
	for _, good := range []string{"127.0.0.2:80", "[::1]:80", "localhost:80", ""} {
		c := New("/d")
		if err := c.Set("listen.http", good, "test"); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	c := New("/d")
	if c.ListenHTTPS != AutoHTTPS {
		t.Errorf("the default is %q", c.ListenHTTPS)
	}
	if c.Resolve(); c.ListenHTTPS != Console {
		t.Errorf("resolved it is %q", c.ListenHTTPS)
	}
}

// A copy of a configuration does not change with the original.
func TestValueSemantics(t *testing.T) {
	a := New("/d")
	b := a
	if err := b.Set("log.level", "debug", "test"); err != nil {
		t.Fatal(err)
	}
	for _, v := range a.Values() {
		if v.Name == "log.level" && (v.Value != "info" || v.Source != "default") {
			t.Errorf("the original changed: %+v", v)
		}
	}
}
